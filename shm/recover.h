/*
 * Recovery of dead slots. Anybody who is attached for writing may run it, and
 * the daemon does; one at a time (lock 0), itself killable at every instruction:
 * the next recoverer finds lock 0 dead, takes it, and starts the same slot again.
 * Each part is idempotent.
 *
 * For a dead slot, in this order: 0. its read locks are given back; 1. its push is finished; what its intent names
 * (blobs, map bindings) is finished or undone, and its leases are given back; 2. its slabs, ranges and claims go back;
 * 3. sleepers on the cells it worked and slept on are woken (also when 1. must be put off, because a live slot
 * names the same); 4. the slot is free again.
 */
#ifndef EMS_SHM_RECOVER_H
#define EMS_SHM_RECOVER_H

#include "shm/slot.h"

struct shm_recovery {
	uint32_t recounts; /* cells whose readers may be counted anew in this run; the rest is deferred */
	uint32_t recovered; /* slots made free */
	uint32_t deferred;  /* a live slot still names a blob of a dead one, or uses it; or this run has done enough: run
			       again later */
	uint32_t
		corrupt; /* slots whose record made no sense; they are freed, what they named is left alone */
};

/*
 * Recovers every dead slot. self: the caller's session (not inside a step), or NULL when it has none.
 * 0; -ERROR_BUSY: somebody else is at it (waiting for it is the caller's choice).
 */
int shm_recover(struct shm_segment *seg, struct shm_session *self, struct shm_recovery *recovery);

/* Some slot is dead now. Bounded by slots_high. */
bool shm_recovery_needed(const struct shm_segment *seg);

/* A live slot other than `except` names ref in an open intent. */
bool shm_is_named(const struct shm_segment *seg, blob_ref ref, uint32_t except);

#endif
