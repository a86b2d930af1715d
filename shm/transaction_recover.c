/*
 * transaction_recover.c: what a dead slot's transaction left.
 *
 * One recoverer of each heap at a time, which may die itself; every part can be done again. Whether the transaction
 * was committed says the home's word; it cannot change any more, for the thread that could is dead, and the home's own
 * recovery keeps a COMMITTED until the others are done:
 *
 *      home IDLE, or OPEN, or at another number    not committed: nobody has been told that it was
 *      home COMMITTED, of that number              committed
 *
 * Without the home's heap nothing is known, and the slot stays dead: deferred, for a recoverer that has it. The daemon
 * has every heap; what it has not is gone, and then nobody can have seen more than this heap's part.
 */
#include "shm/transaction.h"

#include <string.h>

#include "base/error.h"
#include "shm/storage.h"
#include "shm/transaction_record.h"
#include "shm/wait.h"

struct dead {
	struct shm_session *recoverer; /* NULL: the daemon, whose stores need no step */
	struct shm_segment *seg;
	struct slot *slot;
	uint32_t id;
	struct transaction_record *record;
};

static void enter(const struct dead *dead)
{
	if (dead->recoverer)
		shm_step_enter(dead->recoverer);
}

static void leave(const struct dead *dead)
{
	if (dead->recoverer)
		shm_step_leave(dead->recoverer);
}

/* ---- other heaps ---- */

struct question {
	uint32_t slot;
	uint64_t number;
	bool found; /* COMMITTED; or, of one that is not the home, still OPEN */
};

static bool is_at(const struct shm_segment *seg, const struct question *question, enum transaction_state state)
{
	return question->slot < SLOT_COUNT &&
	       load64_acquire(transaction_state_word(seg, question->slot)) ==
		       transaction_word(question->number, state);
}

static int look_if_committed(const struct shm_segment *seg, void *arg)
{
	struct question *question = arg;

	question->found = is_at(seg, question, TRANSACTION_COMMITTED);
	return 0;
}

static int look_if_open(const struct shm_segment *seg, void *arg)
{
	struct question *question = arg;

	question->found = is_at(seg, question, TRANSACTION_OPEN);
	return 0;
}

/* 1 or 0: what look found; 0: the heap is gone. SHM_AGAIN is not an answer: -ERROR_BUSY. */
static int ask(const struct dead *dead, const uint8_t heap_id[16], shm_neighbour_look *look, uint32_t slot,
	       uint64_t number)
{
	const struct shm_neighbours *neighbours = dead->seg->neighbours;
	struct question question = {slot, number, false};
	uint8_t id[16];
	int r;

	memcpy(id, heap_id, sizeof(id)); /* once, whatever others make of it meanwhile */
	if (!neighbours)
		return -ERROR_BUSY;
	r = neighbours->visit(dead->seg->neighbours_context, id, look, &question);
	if (r == -ERROR_NOT_FOUND)
		return 0;
	return r < 0 ? -ERROR_BUSY : question.found;
}

/* 1: it is to be finished; 0: undone; -ERROR_BUSY: not known. */
static int is_committed(const struct dead *dead, uint64_t word)
{
	const struct transaction_record *record = dead->record;

	if (transaction_state(word) == TRANSACTION_COMMITTED)
		return 1;
	if (load32_acquire(&record->home_slot) == 0)
		return 0;
	return ask(dead, record->home_id, look_if_committed, load32_acquire(&record->home_slot),
		   load64_acquire(&record->home_number));
}

/* Of a home: does another part have to ask still? */
static bool is_awaited(const struct dead *dead)
{
	const struct transaction_record *record = dead->record;
	uint32_t count = load32_acquire(&record->others_count);

	if (load32_acquire(&record->home_slot) != 0)
		return false;
	for (uint32_t i = 0; i < count && i < TRANSACTION_OTHERS; i++) {
		const struct transaction_other *other = &record->others[i];

		if (ask(dead, other->heap_id, look_if_open, load32_acquire(&other->slot),
			load64_acquire(&other->number)) != 0)
			return true;
	}
	return false;
}

/* ---- this heap ---- */

static void set_state(const struct dead *dead, uint64_t number, enum transaction_state state)
{
	enter(dead);
	store64_release(&dead->slot->transaction, transaction_word(number, state));
	leave(dead);
}

/* Wakes in any case: the owner, or a recoverer, may have died between its CAS and its wake. */
static int unlock(const struct dead *dead, const struct transaction_entry *entry, bool forward)
{
	struct cell *cell = transaction_cell(dead->seg, entry);

	if (!cell)
		return load64_acquire(&entry->version) ? -ERROR_CORRUPT : 0;
	enter(dead);
	(void)transaction_unlock(dead->seg, dead->id, entry, forward);
	leave(dead);
	shm_wait_wake_everybody(dead->seg, cell);
	return 0;
}

/* A new blob is the dead one's own; an old one was in the cell, and went out of it with the commit. */
static void release(const struct dead *dead, const struct transaction_entry *entry, bool forward)
{
	blob_ref loser = forward ? transaction_old_blob(entry) : transaction_new_blob(entry);

	if (!loser)
		return;
	if (forward || shm_blob_is_claimed_by(dead->seg, loser, dead->id))
		shm_blob_release_for(dead->recoverer, dead->seg, dead->slot, dead->id, loser);
	shm_blob_count_for(dead->recoverer, dead->seg, dead->slot, dead->id, loser);
}

static int settle(const struct dead *dead, bool forward)
{
	const struct transaction_entry *entries = transaction_entries(dead->seg, dead->id);
	uint32_t count = transaction_count(dead->seg, dead->id);
	int result = 0;

	for (uint32_t i = 0; i < count; i++) {
		int r = unlock(dead, &entries[i], forward);

		if (r == 0)
			release(dead, &entries[i], forward);
		else
			result = r;
	}
	return result;
}

int shm_transaction_recover(struct shm_session *recoverer, struct shm_segment *seg, struct slot *slot, uint32_t id)
{
	struct dead dead = {recoverer, seg, slot, id, transaction_record(seg, id)};
	uint64_t word = load64_acquire(&slot->transaction), number = transaction_number(word);
	int committed, r;

	if (transaction_state(word) == TRANSACTION_IDLE)
		return 0;
	committed = is_committed(&dead, word);
	if (committed < 0)
		return SHM_AGAIN;
	/* Kept here before anything is done by it: the home may be gone when another recoverer goes on. */
	if (committed && transaction_state(word) == TRANSACTION_OPEN)
		set_state(&dead, number, TRANSACTION_COMMITTED);
	r = settle(&dead, committed);
	if (committed && is_awaited(&dead))
		return SHM_AGAIN;
	set_state(&dead, number, TRANSACTION_IDLE);
	return r;
}

void shm_transaction_farewell(struct shm_segment *seg, const struct shm_segment *home, const uint8_t home_id[16])
{
	for (uint32_t id = 1; id < shm_slots_high(seg); id++) {
		const struct transaction_record *record = transaction_record(seg, id);
		uint64_t *state = transaction_state_word(seg, id), word = load64_acquire(state);
		struct question question = {0};

		if (transaction_state(word) != TRANSACTION_OPEN)
			continue;
		question.slot = load32_acquire(&record->home_slot);
		question.number = load64_acquire(&record->home_number);
		if (question.slot != 0 && memcmp(record->home_id, home_id, sizeof(record->home_id)) == 0 &&
		    is_at(home, &question, TRANSACTION_COMMITTED))
			(void)cas64(state, &word, transaction_word(transaction_number(word), TRANSACTION_COMMITTED));
	}
}

/* ---- looks from outside ---- */

bool shm_transaction_is_open(const struct shm_segment *seg, uint32_t id)
{
	return transaction_state(load64_acquire(transaction_state_word(seg, id))) != TRANSACTION_IDLE;
}

bool shm_transaction_names(const struct shm_segment *seg, uint32_t id, blob_ref ref)
{
	const struct transaction_entry *entries = transaction_entries(seg, id);
	uint32_t count = shm_transaction_is_open(seg, id) ? transaction_count(seg, id) : 0;

	for (uint32_t i = 0; i < count; i++)
		if (transaction_new_blob(&entries[i]) == ref || transaction_old_blob(&entries[i]) == ref)
			return true;
	return false;
}

bool shm_transaction_holds(const struct shm_segment *seg, const struct cell *cell, struct cell seen)
{
	uint32_t id = cell_own(seen.meta), count;
	const struct transaction_entry *entries;

	if (id == 0 || !shm_transaction_is_open(seg, id))
		return false;
	entries = transaction_entries(seg, id);
	count = transaction_count(seg, id);
	for (uint32_t i = 0; i < count; i++)
		if (load64_acquire(&entries[i].cell) == shm_offset(seg, cell) &&
		    load64_acquire(&entries[i].version) == cell_version(seen.meta))
			return true;
	return false;
}
