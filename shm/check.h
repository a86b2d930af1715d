/*
 * The checker: compares everything that is allocated with everything that is
 * reachable. Bounded; believes nothing; usable on a live heap (then blobs and
 * cells named by live slots are excused) and on a quiet one (then nothing is).
 */
#ifndef EMS_SHM_CHECK_H
#define EMS_SHM_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/segment.h"

struct shm_check {
	bool quiet; /* in: nobody is working on the heap and all dead slots are recovered */
	uint64_t elements; /* in: how many there are, when the header is not to be believed; 0: as it says */
	uint64_t deadline; /* in: when it is to stop (base/clock.h), for a writer can make looking keys up take for ever; 0: never */
	/* Called for each problem with a sentence; may be NULL. */
	void (*problem)(void *arg, const char *text);
	void *arg;
	/* out */
	uint64_t problems;
	bool stopped; /* by the deadline: not everything was looked at */
	uint64_t live_elements, pristine_elements, keys;
	uint64_t queued, stacked; /* items of the queue and the stack */
	uint64_t leased;	  /* of the queued ones */
	uint64_t blobs_reachable, blobs_allocated;
};

/* 0 (look at check->problems), -ERROR_NO_MEMORY, -ERROR_CORRUPT when the header makes no sense. */
int shm_check(const struct shm_segment *seg, struct shm_check *check);

#endif
