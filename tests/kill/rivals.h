/*
 * rivals.h: what another client does to the same heap at the same time.
 *
 * In two forms: through shm on a replica, while the child that is about to be killed is in the
 * middle of its operation; and through libems by the helper, after which the child goes on.
 */
#ifndef TESTS_KILL_RIVALS_H
#define TESTS_KILL_RIVALS_H

#include "tests/kill/scene.h"

enum rival_work {
	RIVAL_NUMBER, /* writes a number under the same key */
	RIVAL_SMALL,  /* writes a text */
	RIVAL_LARGE,
	RIVAL_ADD,
	RIVAL_DELETE,
	RIVAL_RENEW,  /* deletes the key and writes it anew */
	RIVAL_OTHERS, /* writes a dozen other keys or elements; maps grow from it */
	RIVAL_WORKS
};

struct rival {
	ems_key_t key;
	enum rival_work work;
};

extern const char *const rival_names[RIVAL_WORKS];

/* For struct explore; argument is a struct rival. */
bool rival_meanwhile(struct shm_segment *seg, struct shm_session *session, const void *argument);
/* For struct scene; scene->argument is a struct rival. */
int rival_other(const struct scene *scene, ems_heap_t *heap);

#endif
