/*
 * transaction_record.h: what stands in a slot's record about its transaction.
 *
 * One struct for each heap that the transaction spans, in the slot that its thread has there. One of them is the HOME
 * (of the heap whose id comes first), and the state word of the home is the commit word for all:
 *
 *      {n, IDLE} ──begin──► {n + 1, OPEN} ──commit──► {n + 1, COMMITTED} ──applied everywhere──► {n + 1, IDLE}
 *                                └───────────────abort───────────────────────────────────────────────▲
 *
 * The others go from OPEN to IDLE; each names its home, by heap, slot and number, and the home names the others. In
 * one of them COMMITTED is written by recovery only: it has found the home committed, and needs it no more.
 * n counts the transactions of a slot and outlives its owners, so that a home that has gone on to another
 * transaction cannot be taken for this one's.
 *
 * One entry for each element that is locked. It says which lock it is by the version that the lock gave the cell:
 * with the owner in the cell that is one lock, for ever, since nobody but the owner and its recoverers changes a
 * BUSY cell (but for W).
 *
 * Source of the protocol and its proof: tests/model/transaction.pml.
 */
#ifndef SHM_TRANSACTION_RECORD_H
#define SHM_TRANSACTION_RECORD_H

#include <stdbool.h>

#include "shm/record.h"
#include "shm/slot.h"

enum transaction_state { TRANSACTION_IDLE = 0, TRANSACTION_OPEN = 1, TRANSACTION_COMMITTED = 2 };

#define TRANSACTION_OTHERS 126u /* heaps beside the home */

struct transaction_other {
	uint8_t heap_id[16];
	uint32_t slot, pad;
	uint64_t number;
};

/* The state word, number << 2 | enum transaction_state, stands in the slot itself: it is looked at often. */
struct transaction_record {
	uint32_t count; /* entries in use */
	uint32_t others_count;
	uint8_t home_id[16]; /* when home_slot is not 0 */
	uint64_t home_number;
	uint32_t home_slot; /* 0: this is the home */
	uint32_t pad[7];
	struct transaction_other others[TRANSACTION_OTHERS];
};
_Static_assert(sizeof(struct transaction_record) <= RECORD_READS - RECORD_TRANSACTION, "its part of the record");

/* after: what commit makes of the cell: tag and type as in a cell's meta, and this when there is a new value. */
#define ENTRY_WRITES (1ull << 63)

struct transaction_entry {
	uint64_t version;  /* cell_version() of the locked cell; 0: not locked */
	uint64_t cell;	   /* offset */
	uint64_t before;   /* the tag that abort goes back to */
	blob_ref old_blob; /* what commit releases when there is a new value */
	uint64_t after;
	uint64_t value; /* with ENTRY_WRITES; a blob is the transaction's own until the commit */
	uint64_t reserved[2];
};
_Static_assert(sizeof(struct transaction_entry) == RECORD_ENTRY_SIZE, "entry");

static inline uint64_t transaction_word(uint64_t number, enum transaction_state state)
{
	return number << 2 | (uint64_t)state;
}
static inline uint64_t transaction_number(uint64_t word)
{
	return word >> 2;
}
static inline enum transaction_state transaction_state(uint64_t word)
{
	return (enum transaction_state)(word & 3);
}

static inline uint64_t *transaction_state_word(const struct shm_segment *seg, uint32_t id)
{
	return &shm_slot(seg, id)->transaction;
}
static inline struct transaction_record *transaction_record(const struct shm_segment *seg, uint32_t id)
{
	return shm_record(seg, id, RECORD_TRANSACTION);
}
static inline struct transaction_entry *transaction_entries(const struct shm_segment *seg, uint32_t id)
{
	return shm_record(seg, id, RECORD_ENTRIES);
}
/* Entries in use; clamped, for others may have scribbled on it. */
static inline uint32_t transaction_count(const struct shm_segment *seg, uint32_t id)
{
	uint32_t count = load32_acquire(&transaction_record(seg, id)->count);

	return count <= RECORD_ENTRY_COUNT ? count : RECORD_ENTRY_COUNT;
}

/* The blob that is the transaction's own, or 0. */
static inline blob_ref transaction_new_blob(const struct transaction_entry *entry)
{
	uint64_t after = load64_acquire(&entry->after);

	return after & ENTRY_WRITES && cell_has_blob(after) ? load64_acquire(&entry->value) : 0;
}
/* The blob that is nobody's once the commit is applied to the cell, or 0. */
static inline blob_ref transaction_old_blob(const struct transaction_entry *entry)
{
	return load64_acquire(&entry->after) & ENTRY_WRITES ? load64_acquire(&entry->old_blob) : 0;
}

/* The entry's cell, or NULL when it makes no sense. */
struct cell *transaction_cell(const struct shm_segment *seg, const struct transaction_entry *entry);

/*
 * Inside a step. Makes the cell what commit (forward) or abort makes of it, if it is locked by this very entry of slot
 * id, and wakes. False: it is not, so this was done before, or the lock was never taken.
 */
bool transaction_unlock(struct shm_segment *seg, uint32_t id, const struct transaction_entry *entry, bool forward);

/*
 * By the owner, not inside a step: unlocks entry `index` of its set, forward or back, and releases the blob that is
 * nobody's then.
 */
void transaction_settle(struct shm_session *session, uint32_t index, bool forward);
/* The same for the read locks of a transaction. */
struct shm_transaction;
void transaction_release_reads(struct shm_transaction *transaction);

#endif
