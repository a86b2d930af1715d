/*
 * explore.h: one operation, killed at every instruction.
 *
 * A child does the operation one instruction at a time. Each image of the shared memory that was not there
 * before is tried at once, on a replica: as if the child had been killed there. Its contents
 * after recovery must be those from before the operation or those from after it, first the one and
 * from some image on the other.
 *
 * Many images come from loops (setting the headers of a slab's blocks, say): of those made by one and the
 * same instruction only some are tried, unless EMS_KILL_ALL is set.
 */
#ifndef TESTS_KILL_EXPLORE_H
#define TESTS_KILL_EXPLORE_H

#include "tests/kill/judge.h"
#include "tests/kill/tracee.h"

enum promise {
	ATOMIC, /* all before, or all after */
	MIXED,	/* each element before or after */
	SERIES, /* several operations on one element: other values on the way */
};

struct moment {
	struct contents contents;
	uint64_t image, last; /* first and last image that had them */
	bool second;	      /* seen after the interference */
	char place[128];
};

struct explore {
	/* in */
	const char *name;
	enum promise promise;
	bool with_index;
	bool daemon;	   /* the child is the daemon: a raised gate is lowered by the next one */
	bool robust_steps; /* look at the robust list at every step, not only at every image */
	pid_t dead_too; /* another thread, stopped in the middle of something, that is dead in every image */
	unsigned recoveries; /* of so many images the recovery is stepped and killed, too */
	/* Called once, with the child stopped at image number interfere_at: another client works on the heap. */
	void (*interfere)(void *argument);
	void *interfere_argument;
	uint64_t interfere_at;
	/* Another client's operation on each image's replica, before the death. */
	bool (*meanwhile)(struct shm_segment *seg, struct shm_session *session, const void *argument);
	const void *argument;
	/*
	 * The other's operation may come too early and find nothing to do, while recovery then completes the
	 * child's: contents as after the child's operation alone are right, too.
	 */
	bool may_come_first;

	/* state; all zero at first */
	struct tracee tracee;
	struct watch watch;
	struct replica replica;
	struct moment *moments;
	size_t moment_count, moment_room;
	struct contents alone; /* after the operation, without the other's */
	uint32_t *tried;       /* by instruction */
	bool interfered;

	/* out */
	int result; /* of the operation */
	uint64_t steps, images, judged, recovery_images, failures;
};

extern bool explore_all; /* try every image (EMS_KILL_ALL) */
extern uint64_t explore_seed;

/* A random number below n. */
uint64_t explore_random(uint64_t n);

/*
 * Steps the child, which has been started (explore->tracee) on the heap behind fd, to the end of its operation
 * and kills it. Prints what is wrong. explore->failures counts; -1 also when it could not be done.
 */
int explore_run(struct explore *explore, int fd);
/* Did the contents change between the first and the last image? After explore_run. */
bool explore_changed(const struct explore *explore);
void explore_free(struct explore *explore);

#endif
