/*
 * local.h: cases below <ems.h>: the child maps a heap of the harness's own and calls shm itself.
 *
 * For what only the daemon does to a segment (committing, preparing tables, trimming), which is stepped
 * here as in a daemon that is killed in the middle of it.
 */
#ifndef TESTS_KILL_LOCAL_H
#define TESTS_KILL_LOCAL_H

#include "tests/kill/scene.h"

struct local {
	const char *name;
	struct heap_params params;
	/* Both run in the child; session is NULL when as_daemon. */
	int (*prepare)(const struct local *local, struct shm_segment *seg, struct shm_session *session);
	int (*operate)(const struct local *local, struct shm_segment *seg, struct shm_session *session);
	bool as_daemon;
	uint64_t count;
	enum promise promise;
};

bool local_play(const struct local *local);

#endif
