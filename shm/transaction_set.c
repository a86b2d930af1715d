/*
 * transaction_set.c: the redo set: reading it, writing it, and plain operations of the owner on it.
 *
 * Nobody else looks at an entry's after and value while the owner lives, and after its death an open transaction's
 * count only as names of blobs. So there are no orders to keep but those of the names: a blob is named in the slot
 * (CLAIM) until the entry has it, and the one it takes the place of is named there (as the key) until it is released.
 */
#include "shm/transaction.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "shm/operation.h"
#include "shm/reader.h"
#include "shm/storage.h"
#include "shm/transaction_record.h"
#include "shm/value.h"

#define FILL_IN_STEP 4096u /* as in element.c: larger blobs are filled outside the step */

/* ---- reading ---- */

static int read_entry(const struct shm_segment *seg, const struct transaction_entry *entry, struct shm_value *value)
{
	uint64_t after = load64_relaxed(&entry->after);
	struct cell *cell = transaction_cell(seg, entry);
	struct cell seen;
	int r;

	if (!cell)
		return -ERROR_CORRUPT;
	do {
		seen = cell_load(cell);
		if (after & ENTRY_WRITES)
			r = shm_value_read_while(seg, cell, seen,
						 (struct cell){after & ~ENTRY_WRITES, load64_relaxed(&entry->value)},
						 value);
		else
			r = shm_value_read(seg, cell, seen, value);
	} while (r == SHM_AGAIN);
	return r;
}

/* ---- writing ---- */

static void fill(struct shm_session *session, blob_ref ref, const struct shm_outcome *outcome)
{
	size_t first = outcome->text[0].size, second = outcome->text[1].size;
	uint8_t *bytes;

	if (second == 0) {
		shm_blob_fill(session, ref, outcome->text[0].data, first);
		return;
	}
	shm_blob_fill(session, ref, NULL, first + second);
	bytes = shm_blob_bytes(session, ref);
	if (!bytes)
		return;
	copy_bytes_to_shared(bytes, outcome->text[0].data, first);
	copy_bytes_to_shared(bytes + first, outcome->text[1].data, second);
}

/* Inside a step. slot->intent_new is claimed and filled with the outcome's text; filling may leave the step. */
static int claim(struct shm_session *session, const struct shm_outcome *outcome)
{
	struct slot *slot = session->slot;
	uint64_t size = outcome->text[0].size + outcome->text[1].size;
	int r;

	store64_release(&slot->intent, INTENT_CLAIM);
	r = shm_blob_claim(session, size, &slot->intent_new);
	if (r != 0) {
		store64_release(&slot->intent, INTENT_NONE);
		return r;
	}
	if (size <= FILL_IN_STEP) {
		fill(session, slot->intent_new, outcome);
		return 0;
	}
	shm_step_leave(session);
	fill(session, slot->intent_new, outcome);
	shm_step_enter(session);
	shm_blob_mark(session, slot->intent_new, size);
	return 0;
}

/* Inside a step. The entry gets a value; a blob it had for one is released. */
static void put(struct shm_session *session, struct transaction_entry *entry, enum tag tag,
		const struct shm_outcome *outcome)
{
	struct slot *slot = session->slot;
	blob_ref before = transaction_new_blob(entry);
	bool claimed = type_has_blob(outcome->type);
	uint64_t after = ENTRY_WRITES | (uint64_t)tag | (uint64_t)outcome->type << CELL_TYPE_SHIFT;

	shm_mark(session->seg, entry, sizeof(*entry));
	if (before) {
		store64_release(&slot->intent_key, before);
		store64_release(&slot->intent, INTENT_CLAIM);
	}
	/* As long as after says "blob", value must name one: a number might look like some other. */
	if (!claimed)
		store64_release(&entry->after, after);
	store64_release(&entry->value, claimed ? slot->intent_new : outcome->value);
	if (claimed)
		store64_release(&entry->after, after);
	if (before)
		shm_blob_release(session, before);
	if (before || claimed) {
		store64_release(&slot->intent, INTENT_NONE);
		store64_release(&slot->intent_new, 0);
		store64_release(&slot->intent_key, 0);
	}
}

static int write_entry(struct shm_session *session, struct transaction_entry *entry, enum tag tag,
		       const struct shm_outcome *outcome)
{
	uint32_t supplies = 0;
	int r;

	for (;;) {
		shm_step_enter(session);
		r = type_has_blob(outcome->type) ? claim(session, outcome) : 0;
		if (r == 0)
			put(session, entry, tag, outcome);
		shm_step_leave(session);
		if (r != SHM_NEED)
			return r;
		r = shm_session_supply(session, &supplies);
		if (r < 0)
			return r;
	}
}

/* ---- by member ---- */

static struct transaction_entry *entry_of(const struct shm_transaction *transaction, const struct shm_member *member)
{
	const struct shm_session *session = transaction->parts[member->part].session;

	return transaction_entries(session->seg, session->id) + member->entry;
}

int shm_transaction_read(const struct shm_transaction *transaction, const struct shm_member *member,
			 struct shm_value *value)
{
	const struct shm_segment *seg = transaction->parts[member->part].session->seg;
	struct cell seen;
	int r;

	if (member->entry != TRANSACTION_NO_ENTRY)
		return read_entry(seg, entry_of(transaction, member), value);
	do {
		seen = cell_load(member->cell);
		r = shm_value_read(seg, member->cell, seen, value);
	} while (r == SHM_AGAIN);
	return r;
}

int shm_transaction_write(const struct shm_transaction *transaction, const struct shm_member *member,
			  const struct shm_value *value)
{
	struct transaction_entry *entry;
	struct shm_outcome outcome;

	if (member->read_only)
		return -ERROR_READ_ONLY;
	entry = entry_of(transaction, member);
	shm_value_outcome(value, &outcome);
	return write_entry(transaction->parts[member->part].session, entry, cell_tag(load64_relaxed(&entry->after)),
			   &outcome);
}

/* ---- plain operations ---- */

/* The cell that a target leads to, or NULL. */
static struct cell *find_cell(struct shm_session *session, const struct shm_target *target)
{
	struct shm_binding binding;
	int r;

	if (!target->key)
		return target->index < shm_elements(session->seg) ? shm_cell(session->seg, target->index) : NULL;
	shm_step_enter(session);
	r = shm_map_find(session, target->key, &binding);
	shm_step_leave(session);
	return r == 0 ? binding.cell : NULL;
}

/* The entry of the cell, or NULL. */
static struct transaction_entry *find_entry(struct shm_session *session, const struct cell *cell)
{
	struct transaction_entry *entries = transaction_entries(session->seg, session->id);
	uint64_t offset = shm_offset(session->seg, cell);

	for (uint32_t i = 0; i < session->transaction_count; i++)
		if (load64_relaxed(&entries[i].cell) == offset)
			return &entries[i];
	return NULL;
}

static int compute(const struct shm_call *call, const struct operation *operation, const struct shm_value *old,
		   struct shm_outcome *outcome, bool *stores)
{
	*stores = operation->stores_value;
	if (!*stores)
		return 0;
	if (call->op == OP_CAS) {
		*stores = shm_value_equal(old, call->argument);
		if (*stores)
			shm_value_outcome(call->argument2, outcome);
		return 0;
	}
	if (operation->needs_old)
		return shm_value_modify(call->op, old, call->argument, outcome);
	shm_value_outcome(call->argument, outcome);
	return 0;
}

static enum tag tag_after(const struct shm_call *call, const struct operation *operation, enum tag tag)
{
	switch (operation->tag) {
	case BECOME_EMPTY:
		return TAG_EMPTY;
	case BECOME_FULL:
		return TAG_FULL;
	case BECOME_GIVEN:
		return call->tag;
	case BECOME_BUSY: /* a lease's, which does not come here */
	case KEEP_TAG:
		break;
	}
	return tag;
}

static int set_tag(struct shm_session *session, struct transaction_entry *entry, enum tag tag)
{
	uint64_t after = load64_relaxed(&entry->after);

	shm_step_enter(session);
	shm_mark(session->seg, entry, sizeof(*entry));
	store64_release(&entry->after, (after & ~CELL_TAG_MASK) | (uint64_t)tag);
	shm_step_leave(session);
	return 0;
}

static int change(struct shm_session *session, struct transaction_entry *entry, const struct shm_call *call,
		  const struct shm_value *old, bool *changed)
{
	const struct operation *operation = &shm_operations[call->op];
	enum tag tag = cell_tag(load64_relaxed(&entry->after)), next = tag_after(call, operation, tag);
	struct shm_outcome outcome;
	bool stores;
	int r = compute(call, operation, old, &outcome, &stores);

	if (r < 0)
		return r;
	if (stores)
		r = write_entry(session, entry, next, &outcome);
	else if (next != tag)
		r = set_tag(session, entry, next);
	if (changed)
		*changed = r == 0 && (stores || operation->tag != KEEP_TAG);
	return r;
}

static bool is_admitted(const struct shm_call *call, enum tag tag)
{
	return call->op == OP_READ || shm_operations[call->op].admits & TAG_BIT(tag);
}

int shm_transaction_apply(struct shm_session *session, const struct shm_call *call, bool *changed)
{
	struct shm_value own = {0}, *old = call->result ? call->result : &own;
	struct transaction_entry *entry;
	struct cell *cell;
	int r = 0;

	if (call->op == OP_DELETE || call->op == OP_COMPARE_DELETE || call->op == OP_LEASE || call->op == OP_RELEASE_RW)
		return SHM_AGAIN;
	cell = find_cell(session, &call->target);
	entry = cell ? find_entry(session, cell) : NULL;
	if (!entry)
		/* A write ignores read locks; but it must not go past what its own transaction only reads. */
		return call->op == OP_WRITE && cell && shm_reader_holds(session, cell) ? -ERROR_READ_ONLY : SHM_AGAIN;
	/* A read lock beside the transaction's would have to wait for that one's end. */
	if (call->op == OP_READ_RW || !is_admitted(call, cell_tag(load64_relaxed(&entry->after))))
		return -ERROR_DEADLOCK;
	if (call->result_tag)
		*call->result_tag = TAG_BUSY;
	if (call->result || shm_operations[call->op].needs_old)
		r = read_entry(session->seg, entry, old);
	if (r == 0)
		r = change(session, entry, call, old, changed);
	free(own.data);
	return r;
}
