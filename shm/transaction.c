/*
 * transaction.c: beginning: records, then locks.
 *
 * A death anywhere here finds records that are idle (nothing is locked yet: records are opened first), or open ones
 * whose entries say which cells to unlock. An entry is complete before the CAS of its cell, and is not believed while
 * its version is 0; so entries of an earlier attempt are never mistaken for this one's.
 */
#include "shm/transaction.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "shm/reader.h"
#include "shm/transaction_record.h"
#include "shm/wait.h"

#define SHM_MOVED 4 /* a key leads elsewhere than it did: the order has to be found anew */

static struct shm_session *session_of(const struct shm_transaction *transaction, const struct shm_member *member)
{
	return transaction->parts[member->part].session;
}

/* ---- records ---- */

/* The home names the others before anything is locked there: until they are done, its word is kept. */
static void name_others(const struct shm_transaction *transaction, struct transaction_record *record)
{
	for (uint32_t i = 1; i < transaction->part_count; i++) {
		const struct shm_part *part = &transaction->parts[i];
		struct transaction_other *other = &record->others[i - 1];

		memcpy(other->heap_id, part->heap_id, sizeof(other->heap_id));
		store32_relaxed(&other->slot, part->session->id);
		store64_relaxed(&other->number, part->number);
	}
	store32_relaxed(&record->others_count, transaction->part_count - 1);
}

static void name_home(const struct shm_transaction *transaction, struct transaction_record *record, bool is_home)
{
	const struct shm_part *home = &transaction->parts[0];

	store32_relaxed(&record->home_slot, is_home ? 0 : home->session->id);
	if (is_home)
		return;
	memcpy(record->home_id, home->heap_id, sizeof(record->home_id));
	store64_relaxed(&record->home_number, home->number);
	store32_relaxed(&record->others_count, 0);
}

/* The set is empty and the home named before the new number can be seen. */
static void open_record(const struct shm_transaction *transaction, struct shm_part *part)
{
	struct shm_session *session = part->session;
	struct transaction_record *record = transaction_record(session->seg, session->id);

	shm_step_enter(session);
	shm_mark(session->seg, record, sizeof(*record));
	store32_relaxed(&record->count, 0);
	name_home(transaction, record, part == transaction->parts);
	if (part == transaction->parts)
		name_others(transaction, record);
	store64_release(&session->slot->transaction, transaction_word(part->number, TRANSACTION_OPEN));
	shm_step_leave(session);
	session->transaction_count = 0;
	part->opened = true;
}

static void open_records(struct shm_transaction *transaction)
{
	for (uint32_t i = 0; i < transaction->part_count; i++) {
		struct shm_part *part = &transaction->parts[i];

		part->number = transaction_number(load64_relaxed(&part->session->slot->transaction)) + 1;
	}
	for (uint32_t i = 0; i < transaction->part_count; i++)
		open_record(transaction, &transaction->parts[i]);
}

/* ---- places and their order ---- */

/* A key that is absent comes into being, with the fill value and the initial tag. */
static int make_key(struct shm_session *session, const struct shm_target *target)
{
	struct shm_call call = {.op = OP_READ_FF, .target = *target};
	int r = shm_element_apply(session->seg, session, &call, NULL);

	return r == -ERROR_TIMEOUT ? 0 : r; /* it is there, and EMPTY */
}

/* Inside a step. The binding that the target has now. */
static int look(struct shm_session *session, const struct shm_target *target, struct shm_binding *binding)
{
	struct shm_segment *seg = session->seg;

	if (target->key)
		return shm_map_find(session, target->key, binding);
	if (target->index >= shm_elements(seg))
		return -ERROR_RANGE;
	binding->cell = shm_cell(seg, target->index);
	if (!seg->elements_whole && !shm_committed(seg, shm_offset(seg, binding->cell))) {
		session->need = (struct shm_need){NEED_UNITS, shm_offset(seg, binding->cell) >> UNIT_SHIFT, 1};
		return SHM_NEED;
	}
	binding->seen = cell_load(binding->cell);
	return 0;
}

static int place(struct shm_session *session, struct shm_member *member)
{
	struct shm_binding binding;
	uint32_t supplies = 0;
	int r;

	for (;;) {
		shm_step_enter(session);
		r = look(session, &member->target, &binding);
		shm_step_leave(session);
		if (r == SHM_NEED)
			r = shm_session_supply(session, &supplies);
		else if (r == -ERROR_NOT_FOUND)
			r = make_key(session, &member->target);
		else if (r == 0)
			member->cell = binding.cell;
		if (r < 0 || (r == 0 && member->cell))
			return r;
	}
}

static int compare_members(const void *left, const void *right)
{
	const struct shm_member *a = left, *b = right;

	if (a->part != b->part)
		return a->part < b->part ? -1 : 1;
	if (a->cell != b->cell)
		return a->cell < b->cell ? -1 : 1;
	return (int)a->read_only - (int)b->read_only; /* of one element twice, the mention for writing comes first */
}

/* Sets are small, and often in order. */
static void sort_members(struct shm_member *members, uint32_t count)
{
	if (count > 32) {
		qsort(members, count, sizeof(*members), compare_members);
		return;
	}
	for (uint32_t i = 1; i < count; i++) {
		struct shm_member member = members[i];
		uint32_t k = i;

		for (; k > 0 && compare_members(&members[k - 1], &member) > 0; k--)
			members[k] = members[k - 1];
		members[k] = member;
	}
}

static int find_places(struct shm_transaction *transaction)
{
	for (uint32_t i = 0; i < transaction->count; i++) {
		struct shm_member *member = &transaction->members[i];
		int r;

		member->cell = NULL;
		member->again = false;
		r = place(session_of(transaction, member), member);
		if (r < 0) {
			transaction->failed = member->which;
			return r;
		}
	}
	sort_members(transaction->members, transaction->count);
	return 0;
}

/* ---- locking ---- */

/* version is taken away first and set last: what a death leaves in between is no lock. */
static void write_entry(struct shm_session *session, struct transaction_entry *entry, const struct cell *cell,
			struct cell seen, enum tag before)
{
	enum tag tag = cell_tag(seen.meta);


	store64_release(&entry->version, 0);
	store64_release(&entry->cell, shm_offset(session->seg, cell));
	store64_release(&entry->before, (uint64_t)before);
	store64_release(&entry->old_blob, cell_has_blob(seen.meta) ? seen.value : 0);
	store64_release(&entry->after, (uint64_t)tag);
	store64_release(&entry->value, 0);
	store64_release(&entry->version, cell_version(seen.meta) + 1);
}

static bool admits(const struct shm_transaction *transaction, enum tag tag)
{
	return tag == TAG_FULL || (tag == TAG_EMPTY && transaction->any_tag);
}

static int take_read_lock(struct shm_session *session, const struct shm_member *member, struct cell expected,
			  struct cell stands)
{
	if (cell_tag(stands.meta) != TAG_FULL && cell_tag(stands.meta) != TAG_READERS)
		return SHM_WAIT;
	shm_step_cell(session, member->cell);
	return shm_reader_take(session, member->cell, expected, stands.meta);
}

/* Inside a step. *seen: what to wait on. */
static int try_lock(const struct shm_transaction *transaction, const struct shm_member *member, bool slept,
		    struct cell *seen)
{
	struct shm_session *session = session_of(transaction, member);
	struct transaction_entry *entry =
		transaction_entries(session->seg, session->id) + session->transaction_count;
	struct shm_binding binding;
	struct cell stands, expected;
	int r = look(session, &member->target, &binding);

	if (r != 0)
		return r == -ERROR_NOT_FOUND ? SHM_MOVED : r;
	if (binding.cell != member->cell)
		return SHM_MOVED;
	*seen = expected = stands = binding.seen;
	if (cell_tag(stands.meta) == TAG_NONE)
		stands.meta |= shm_cell_pristine(session->seg).meta;
	if (member->read_only)
		return take_read_lock(session, member, expected, stands);
	if (!admits(transaction, cell_tag(stands.meta)))
		return SHM_WAIT;
	shm_step_cell(session, binding.cell);
	shm_mark(session->seg, entry, sizeof(*entry));
	shm_mark(session->seg, binding.cell, sizeof(*binding.cell));
	write_entry(session, entry, binding.cell, stands, cell_tag(expected.meta));
	store32_release(&transaction_record(session->seg, session->id)->count, session->transaction_count + 1);
	/* Locked here. A death after it: the entry says so. */
	if (!cell_cas(binding.cell, &expected,
		      (struct cell){cell_next(stands.meta, TAG_BUSY, cell_type(stands.meta), session->id) |
					    shm_wait_bit(stands.meta, TAG_BUSY, slept),
				    stands.value}))
		return SHM_AGAIN;
	/* Who waits for EMPTY finds an owner to sleep behind; and so do those whom this one's own waking may have left
	 * asleep: from now on they must watch over its death. */
	shm_wait_wake(session->seg, binding.cell, stands.meta | (slept ? CELL_W : 0), TAG_BUSY);
	return 0;
}

static int lock(struct shm_transaction *transaction, struct shm_member *member, const struct shm_call *patience)
{
	struct shm_session *session = session_of(transaction, member);
	bool slept = false, waited = false;
	struct cell seen;
	enum wait_kind kind = member->read_only ? WAIT_FULL_LOOK : WAIT_FULL_TAKE;
	int r;

	if (!member->read_only && session->transaction_count == RECORD_ENTRY_COUNT)
		return -ERROR_LIMIT;
	do {
		shm_step_enter(session);
		r = try_lock(transaction, member, slept, &seen);
		shm_step_leave(session);
		if (r == SHM_WAIT) {
			waited = true;
			r = shm_wait_cell(session, member->cell, seen, kind, patience, &slept);
			r = r == 0 ? SHM_AGAIN : r;
		}
	} while (r == SHM_AGAIN);
	if (waited)
		shm_wait_done(session, member->cell, kind, slept && r != 0);
	if (r == 0)
		member->entry = member->read_only ? TRANSACTION_NO_ENTRY : session->transaction_count++;
	return r;
}

static int lock_all(struct shm_transaction *transaction, const struct shm_call *patience)
{
	for (uint32_t i = 0; i < transaction->count; i++) {
		struct shm_member *member = &transaction->members[i], *before = i > 0 ? member - 1 : NULL;
		int r;

		if (before && before->part == member->part && before->cell == member->cell) {
			member->entry = before->entry;
			member->read_only = before->read_only;
			member->again = true;
			continue;
		}
		r = lock(transaction, member, patience);
		transaction->locked = i + (r == 0);
		if (r != 0) {
			transaction->failed = member->which;
			return r;
		}
	}
	return 0;
}

/* What is locked goes back, and the set is empty again; the records stay open. */
static void unlock_all(struct shm_transaction *transaction)
{
	for (uint32_t i = 0; i < transaction->part_count; i++) {
		struct shm_session *session = transaction->parts[i].session;

		for (; session->transaction_count > 0; session->transaction_count--)
			transaction_settle(session, session->transaction_count - 1, false);
	}
	transaction_release_reads(transaction);
}

static bool is_too_large(const struct shm_transaction *transaction)
{
	return transaction->part_count > TRANSACTION_PARTS_MAX;
}

int shm_transaction_begin(struct shm_transaction *transaction, const struct shm_call *patience)
{
	int r;

	transaction->held = false;
	transaction->locked = 0;
	transaction->failed = UINT32_MAX;
	if (is_too_large(transaction))
		return -ERROR_LIMIT;
	/* Before the records: a key that is made takes intents and time, and an abort would have to undo it. */
	r = find_places(transaction);
	if (r < 0)
		return r;
	open_records(transaction);
	while ((r = lock_all(transaction, patience)) == SHM_MOVED) {
		unlock_all(transaction);
		r = find_places(transaction);
		if (r < 0)
			break;
	}
	if (r < 0) {
		shm_transaction_abort(transaction);
		return r;
	}
	for (uint32_t i = 0; i < transaction->part_count; i++)
		transaction->parts[i].session->in_transaction = true;
	transaction->held = true;
	return 0;
}
