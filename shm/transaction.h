/*
 * Transactions: a set of elements of one or several heaps, locked together, changed together.
 *
 *      begin    a record is opened in each heap; the elements are locked in a global order, heap id, then place, so
 *               that transactions cannot deadlock each other: FULL → BUSY(own), the value stays; those that are
 *               only read get a read lock, FULL or READERS(n) → READERS(n + 1), which is not in the record here
 *      write    goes to the redo set in the record; others read the old value meanwhile, and wait to write
 *      commit   one store, of the home's state word: from here on it has happened. Then each cell becomes what the
 *               redo set says, FULL, by CAS; old blobs are released; read locks are given back; the records go
 *               idle, the home's last
 *      abort    each cell goes back to FULL; the new blobs are released; the records go idle
 *
 * A death: recovery of each heap (shm_transaction_recover) undoes what is not committed and finishes what is. It asks
 * the home, which may be in another heap, through the segment's neighbours.
 *
 * A thread has at most one transaction at a time. Between begin and end, the operations of that thread's sessions
 * on the elements of the set act on the redo set (shm_transaction_apply).
 */
#ifndef EMS_SHM_TRANSACTION_H
#define EMS_SHM_TRANSACTION_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/element.h"
#include "shm/slot.h"

/* The calling thread's session in one of the heaps. */
struct shm_part {
	struct shm_session *session;
	uint8_t heap_id[16];
	uint64_t number; /* of the transaction in this slot */
	bool opened;	 /* the record is */
};

/* One element of the set. */
struct shm_member {
	uint32_t part;		  /* which heap; index in parts */
	struct shm_target target; /* the key must stay until the begin is over */
	bool read_only;
	uint32_t which; /* the caller's number for it */
	/* after begin: */
	struct cell *cell;
	uint32_t entry; /* in the part's record; the same for the same element twice */
	bool again;	/* the element was named before: this one holds no lock of its own */
};

/* Of an element that is only read: a read lock is held instead (shm/reader.h). */
#define TRANSACTION_NO_ENTRY UINT32_MAX

struct shm_transaction {
	struct shm_part *parts; /* sorted by heap id, each heap once; the first one is home */
	struct shm_member *members;
	uint32_t part_count, count;
	bool any_tag;	 /* locks EMPTY elements as well (snapshots); they go back to EMPTY */
	uint32_t locked; /* so many members have their locks */
	bool held;	 /* begin succeeded, and neither commit nor abort came yet */
	uint32_t failed; /* when begin fails because of a member: its `which`; else UINT32_MAX */
};

/* More parts than this: -ERROR_LIMIT. */
#define TRANSACTION_PARTS_MAX 127u

/*
 * Sets the locks. The caller has filled in parts and members, which begin sorts by place. Waits until each element is
 * FULL (or as any_tag says): patience has the deadline and so on. Absent keys come into being with the fill value.
 * Not inside a step; none of the sessions has a transaction. 0, or nothing is locked: TIMEOUT, CANCELLED,
 * INTERRUPTED, DEADLOCK (a session itself holds an element), RANGE, FULL, NO_SPACE, BUDGET, LIMIT (too many elements
 * in one heap, or heaps), CORRUPT.
 */
int shm_transaction_begin(struct shm_transaction *transaction, const struct shm_call *patience);

/* Everything that was written takes effect at once. Cannot fail. The locks are gone. */
void shm_transaction_commit(struct shm_transaction *transaction);
/* Everything is as it was before begin. The locks are gone. */
void shm_transaction_abort(struct shm_transaction *transaction);

/* ---- the set, by its owner; not inside a step ---- */

/* What the element of a member holds for the transaction. 0, NO_MEMORY, CORRUPT. */
int shm_transaction_read(const struct shm_transaction *transaction, const struct shm_member *member,
			 struct shm_value *value);
/* Writes it; READ_ONLY when every mention of the element in the set is. NO_SPACE, BUDGET, RANGE. */
int shm_transaction_write(const struct shm_transaction *transaction, const struct shm_member *member,
			  const struct shm_value *value);

/*
 * One operation of the owner of session, which has a transaction here. SHM_AGAIN: on no element of the set, or one
 * that does nothing with it (a deletion): for the ordinary way. Else as shm_element_apply; DEADLOCK where it would
 * have to wait.
 */
int shm_transaction_apply(struct shm_session *session, const struct shm_call *call, bool *changed);

/* ---- recovery and check ---- */

/*
 * Finishes or undoes the transaction of a dead slot, idempotently. Not inside a step; recoverer NULL: the daemon.
 * SHM_AGAIN: its home, or for a home one of the others, cannot be asked from here, or is not done yet.
 * -ERROR_CORRUPT: the record makes no sense (and is idle now).
 */
int shm_transaction_recover(struct shm_session *recoverer, struct shm_segment *seg, struct slot *dead,
			    uint32_t dead_id);
/*
 * The home is about to vanish: a part of one of its transactions in seg that has not looked yet learns here how it
 * ended. For the daemon.
 */
void shm_transaction_farewell(struct shm_segment *seg, const struct shm_segment *home, const uint8_t home_id[16]);

/* Is slot id in the middle of a transaction? */
bool shm_transaction_is_open(const struct shm_segment *seg, uint32_t id);
/* Does slot id have ref for a new value, or to be released? */
bool shm_transaction_names(const struct shm_segment *seg, uint32_t id, blob_ref ref);
/* Is this BUSY cell, as seen, locked by the transaction of the slot that it names? */
bool shm_transaction_holds(const struct shm_segment *seg, const struct cell *cell, struct cell seen);

#endif
