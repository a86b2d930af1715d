/*
 * judge.h: is an image one that nobody would mind to be left with?
 *
 * The replica is made to look as the kernel leaves it when the given threads die at
 * this instant; then it is recovered, checked, read, worked on, checked again, emptied and
 * checked once more.
 */
#ifndef TESTS_KILL_JUDGE_H
#define TESTS_KILL_JUDGE_H

#include "shm/slot.h"
#include "tests/kill/contents.h"
#include "tests/kill/watch.h"

struct judge {
	/* in */
	struct replica *replica;
	pid_t dead;	/* whose death the image shows */
	pid_t dead_too; /* another one's, 0 none */
	bool one_by_one; /* that one dies first, and is recovered while the other is alive in the middle of a step */
	bool with_session; /* recovered by a client (else as the daemon does) */
	bool with_index;
	bool next_daemon; /* the dead one was the daemon: the next one lowers the gate and goes on trimming */
	/* Another client's operation, made before the deaths are; may be NULL. Says itself what failed. */
	bool (*meanwhile)(struct shm_segment *seg, struct shm_session *session, const void *argument);
	const void *argument;
	/* out */
	struct contents contents; /* after recovery */
	char problem[400];	  /* the first one found */
};

/* The words of locks that thread tid holds, in seg: how many. */
unsigned judge_words_held(const struct shm_segment *seg, pid_t tid);
/* Marks them as the kernel would. */
void judge_bury(struct shm_segment *seg, pid_t tid);

/* True: all is well; judge->contents is what the heap holds then. False: judge->problem says why. */
bool judge_image(struct judge *judge);

#endif
