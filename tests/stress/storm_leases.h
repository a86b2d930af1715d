/*
 * storm_leases.h: leases in kill_storm. Of elements: sums that are only changed by put. Of the queue (of the heap with a
 * map, which has no other use): items of which a memory that outlives the workers knows whether they were acknowledged.
 */
#ifndef TESTS_STRESS_STORM_LEASES_H
#define TESTS_STRESS_STORM_LEASES_H

#include "shm/slot.h"

/* Elements of the plain heap from here on. */
#define STORM_SUMS_FIRST 40u
#define STORM_SUMS	 4u

/* Before the workers are started. False: no memory. */
bool storm_leases_init(void);

/* One lease from beginning to end, or an item put. NULL, or what is wrong, with *error. */
const char *storm_leases_work(struct shm_session *plain, struct shm_session *mapped, uint32_t worker, uint64_t random,
			      int *error);

/*
 * When all are dead and recovered: takes the rest. An item that was put is there, or was acknowledged, but not both; only that of
 * a worker killed while it acknowledged may be either. The sums are what was put. How much is wrong.
 */
uint64_t storm_leases_check(struct shm_session *plain, struct shm_session *mapped);

#endif
