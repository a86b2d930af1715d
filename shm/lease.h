/*
 * lease.h: takes that are undone by the taker's death.
 *
 * What is leased is BUSY, with the taker's slot for its owner, and its value still in the cell. Others wait behind the
 * owner; `read` sees the value. An entry of the slot's record names the cell:
 *
 *      take     entry; CAS of the cell FULL → BUSY(own)             ← takes effect
 *      put      intent REPLACE; CAS BUSY → FULL, new value          ← ends it
 *      keep     CAS BUSY → EMPTY: the take stands                   ← ends it
 *               of the queue: intent REPLACE; EMPTY in the next lap: acknowledged, the item is gone
 *      end      CAS BUSY → FULL: as if it had not been taken        ← ends it
 *               then wake, release the old blob, and only then clear the entry
 *      death    for each entry: if the cell is BUSY(dead slot), as `end` does it; wake; clear the entry
 *
 * An entry without effect (the CAS has not been done, or has been undone) names a cell that is not BUSY with this
 * slot, for a slot is at one operation at a time: so what an entry means can be told from the cell alone. Transactions
 * make cells BUSY, too; a cell is named by at most one of both. Model: tests/model/lease.pml.
 *
 * One look costs a death nothing when there were no leases: slot.lease_high says how much of the record may be used.
 */
#ifndef EMS_SHM_LEASE_H
#define EMS_SHM_LEASE_H

#include "shm/element.h"
#include "shm/record.h"

/* An entry of the record. */
struct shm_lease {
	uint64_t cell;	   /* offset; 0: this entry is free. Written last, cleared first */
	uint64_t position; /* of the queue: the item's */
	uint64_t ticket;
	uint64_t reserved;
};
_Static_assert(sizeof(struct shm_lease) == RECORD_LEASE_SIZE, "as the record has it");

enum shm_lease_how { LEASE_PUT, LEASE_KEEP, LEASE_END };

/*
 * Take: call says the element (target), or nothing for the queue's first item; result, deadline, cancel and interruptible
 * as ever. *ticket stands for the lease within this session until it is ended; no other lease of this process
 * has or had it. -ERROR_LIMIT: the session has RECORD_LEASE_COUNT leases; else as readFE, and as shm_ring_take.
 */
int shm_lease_element(struct shm_session *session, const struct shm_call *call, uint64_t *ticket);
int shm_lease_item(struct shm_session *session, const struct shm_call *call, uint64_t *ticket);

/*
 * Ends a lease. value: for LEASE_PUT only. -ERROR_NOT_FOUND: no lease of this session, or not any more; of
 * LEASE_PUT as of a write: NO_SPACE, BUDGET, RANGE, then the lease goes on; CORRUPT: the cell is not as it was left, and
 * the entry is given up.
 */
int shm_lease_finish(struct shm_session *session, uint64_t ticket, enum shm_lease_how how,
		     const struct shm_value *value);

/* How many leases the session has. */
uint32_t shm_lease_count(const struct shm_session *session);

/* ---- for element.c and ring.c: inside the step, before the CAS to BUSY; and when that failed ---- */

void shm_lease_name(struct shm_session *session, struct shm_lease *lease, const struct cell *cell,
		    uint64_t position);
void shm_lease_unname(struct shm_lease *lease);

/* ---- for slots, recovery and check ---- */

/* Gives all leases of the session back. Not inside a step. */
void shm_lease_leave(struct shm_session *session);
/*
 * Gives a dead slot's leases back. Idempotent; not inside a step; recoverer NULL: the daemon. 0; -ERROR_CORRUPT: an entry made
 * no sense, and was left out.
 */
int shm_lease_recover(struct shm_session *recoverer, struct shm_segment *seg, uint32_t dead);
/* Entry i of a slot, as it is; NULL from the first one on that was never used. */
const struct shm_lease *shm_lease_entry(const struct shm_segment *seg, uint32_t slot, uint32_t i);
/* Some entry of the slot names the cell at offset. */
bool shm_lease_names(const struct shm_segment *seg, uint32_t slot, uint64_t offset);

#endif
