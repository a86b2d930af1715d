/*
 * transaction_end.c: commit and abort.
 *
 * Both walk the entries and may be cut off anywhere: an entry whose cell is not locked by it any more is done but for
 * its blob, and releasing one generation of a blob twice does nothing. The records go idle at the end, the home's
 * last: as long as the others are at it they may have to ask for its word.
 */
#include "shm/transaction.h"

#include "base/clock.h"
#include "shm/reader.h"
#include "shm/storage.h"
#include "shm/transaction_record.h"
#include "shm/wait.h"

void transaction_settle(struct shm_session *session, uint32_t index, bool forward)
{
	const struct transaction_entry *entry = transaction_entries(session->seg, session->id) + index;
	const struct cell *cell = transaction_cell(session->seg, entry);
	blob_ref loser = forward ? transaction_old_blob(entry) : transaction_new_blob(entry);

	shm_step_enter(session);
	if (cell)
		shm_step_cell(session, cell);
	/* The cell first: as long as it is locked, others read the old blob. */
	(void)transaction_unlock(session->seg, session->id, entry, forward);
	if (loser)
		shm_blob_release(session, loser); /* named by the entry until the record is idle */
	shm_step_leave(session);
}

/*
 * A recount may be under way, of which this has to wait for the end (and which ends, or is taken over, when who counts
 * dies). The call that is ending cannot be cancelled, nor come too late.
 */
static void release_read(struct shm_session *session, struct cell *cell)
{
	const struct shm_call patience = {.op = OP_READ_RW, .deadline = CLOCK_NEVER};
	bool slept = false, waited = false;
	int r;

	do {
		shm_step_enter(session);
		shm_step_cell(session, cell);
		r = shm_reader_release(session, cell, NULL);
		shm_step_leave(session);
		if (r == SHM_WAIT) {
			waited = true;
			(void)shm_wait_cell(session, cell, cell_load(cell), WAIT_OTHER, &patience, &slept);
		}
	} while (r > 0);
	if (waited)
		shm_wait_done(session, cell, WAIT_OTHER, false);
}

void transaction_release_reads(struct shm_transaction *transaction)
{
	for (; transaction->locked > 0; transaction->locked--) {
		const struct shm_member *member = &transaction->members[transaction->locked - 1];

		if (member->read_only && !member->again)
			release_read(transaction->parts[member->part].session, member->cell);
	}
}

static void set_state(const struct shm_part *part, enum transaction_state state)
{
	struct shm_session *session = part->session;

	shm_step_enter(session);
	store64_release(&session->slot->transaction, transaction_word(part->number, state));
	shm_step_leave(session);
}

static void settle_all(struct shm_transaction *transaction, bool forward)
{
	for (uint32_t i = 0; i < transaction->part_count; i++) {
		struct shm_session *session = transaction->parts[i].session;

		session->in_transaction = false;
		for (uint32_t k = 0; k < session->transaction_count; k++)
			transaction_settle(session, k, forward);
	}
	transaction_release_reads(transaction);
}

static void close_records(struct shm_transaction *transaction)
{
	for (uint32_t i = transaction->part_count; i-- > 0;) {
		struct shm_part *part = &transaction->parts[i];

		part->session->transaction_count = 0;
		if (part->opened)
			set_state(part, TRANSACTION_IDLE);
		part->opened = false;
	}
	transaction->held = false;
}

void shm_transaction_commit(struct shm_transaction *transaction)
{
	/* The transaction takes effect here, in all heaps. A death right after it: recovery finishes what follows. */
	if (transaction->part_count > 0)
		set_state(&transaction->parts[0], TRANSACTION_COMMITTED);
	settle_all(transaction, true);
	close_records(transaction);
}

void shm_transaction_abort(struct shm_transaction *transaction)
{
	settle_all(transaction, false);
	close_records(transaction);
}
