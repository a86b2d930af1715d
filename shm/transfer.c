/* What putting and taking have in common: see transfer.h. */
#include "shm/transfer.h"

#include "base/error.h"
#include "shm/storage.h"
#include "shm/wait.h"

#define FILL_IN_STEP 4096u /* as in shm/element.c */

void shm_transfer_init(struct shm_transfer *transfer, struct shm_session *session,
		       const struct shm_call *call, int refusal)
{
	transfer->seg = session->seg;
	transfer->session = session;
	transfer->call = call;
	transfer->kind = call->argument ? WAIT_EMPTY : WAIT_FULL_TAKE;
	transfer->refusal = refusal;
	transfer->count = NULL;
	transfer->outcome.type = TYPE_UNDEFINED;
	if (call->argument)
		shm_value_outcome(call->argument, &transfer->outcome);
	transfer->prepared = transfer->prepared_outside = transfer->copied = false;
	transfer->waited = transfer->slept = false;
	transfer->watch.count = 0;
	transfer->armed_meta = 0;
}

/* ---- the value to be put ---- */

static size_t text_size(const struct shm_transfer *transfer)
{
	return transfer->outcome.text[0].size;
}

static void clear_intent(struct slot *slot)
{
	store64_release(&slot->intent, INTENT_NONE);
	store64_release(&slot->intent_new, 0);
	store64_release(&slot->intent_old, 0);
}

/* Gives a blob back that did not come to use. */
static void drop(struct shm_transfer *transfer)
{
	struct slot *slot = transfer->session->slot;

	if (!transfer->prepared)
		return;
	shm_blob_release(transfer->session, slot->intent_new);
	clear_intent(slot);
	transfer->prepared = transfer->prepared_outside = false;
}

/* Died in here: recovery releases what this slot has claimed (INTENT_CLAIM). */
int shm_transfer_prepare(struct shm_transfer *transfer)
{
	struct shm_session *session = transfer->session;
	struct slot *slot = session->slot;
	int r;

	if (!type_has_blob(transfer->outcome.type))
		return 0;
	if (transfer->prepared) {
		if (transfer->prepared_outside)
			shm_blob_mark(session, slot->intent_new, text_size(transfer));
		return 0;
	}
	store64_release(&slot->intent, INTENT_CLAIM);
	r = shm_blob_claim(session, text_size(transfer), &slot->intent_new);
	if (r != 0) {
		store64_release(&slot->intent, INTENT_NONE);
		return r;
	}
	transfer->prepared = true;
	transfer->prepared_outside = text_size(transfer) > FILL_IN_STEP;
	if (transfer->prepared_outside)
		shm_step_leave(session);
	shm_blob_fill(session, slot->intent_new, transfer->outcome.text[0].data, text_size(transfer));
	return transfer->prepared_outside ? SHM_AGAIN : 0;
}

uint64_t shm_transfer_value(const struct shm_transfer *transfer)
{
	return type_has_blob(transfer->outcome.type) ? transfer->session->slot->intent_new
						     : transfer->outcome.value;
}

void shm_transfer_was_put(struct shm_transfer *transfer)
{
	transfer->prepared = false;
}

/* ---- the value to be taken ---- */

int shm_transfer_copy(struct shm_transfer *transfer, const struct cell *watched, struct cell seen,
		      struct cell item, uint64_t position)
{
	bool is_text = cell_has_blob(item.meta);
	int r;

	if (!transfer->call->result || (transfer->copied && transfer->copied_at == position &&
					shm_same_state(transfer->copied_meta, seen.meta)))
		return 0;
	transfer->copied = false;
	if (is_text)
		shm_step_leave(transfer->session);
	r = shm_value_read_while(transfer->seg, watched, seen, item, transfer->call->result);
	if (r != 0)
		return r;
	transfer->copied = true;
	transfer->copied_meta = seen.meta;
	transfer->copied_at = position;
	return is_text ? SHM_AGAIN : 0;
}

/* ---- the intent ---- */

void shm_transfer_name(struct shm_transfer *transfer, enum intent intent, const struct cell *cell,
		       blob_ref old)
{
	struct slot *slot = transfer->session->slot;

	if (!old && !transfer->prepared)
		return;
	store64_release(&slot->intent_old, old);
	store64_release(&slot->intent_cell, shm_offset(transfer->seg, cell));
	store64_release(&slot->intent, intent);
}

void shm_transfer_unname(struct shm_transfer *transfer)
{
	struct slot *slot = transfer->session->slot;

	store64_release(&slot->intent, transfer->prepared ? INTENT_CLAIM : INTENT_NONE);
	store64_release(&slot->intent_old, 0);
}

void shm_transfer_done(struct shm_transfer *transfer, blob_ref old)
{
	if (old)
		shm_blob_release(transfer->session, old);
	if (old || type_has_blob(transfer->outcome.type))
		clear_intent(transfer->session->slot);
}

/* ---- the loop ---- */

int shm_transfer_commit(struct shm_transfer *transfer, const struct cell *cell)
{
	uint64_t offset = shm_offset(transfer->seg, cell);

	if (shm_committed(transfer->seg, offset))
		return 0;
	transfer->session->need = (struct shm_need){NEED_UNITS, offset >> UNIT_SHIFT, 1};
	return SHM_NEED;
}

int shm_transfer_blocked(struct shm_transfer *transfer, struct cell *cell, struct cell seen)
{
	drop(transfer);
	transfer->cell = cell;
	transfer->seen = seen;
	return SHM_WAIT;
}

static int wait_for_change(struct shm_transfer *transfer)
{
	int r;

	if (transfer->call->deadline == 0)
		return transfer->refusal;
	transfer->waited = true;
	transfer->session->watch = transfer->watch.count ? &transfer->watch : NULL;
	r = shm_wait_cell(transfer->session, transfer->cell, transfer->seen, transfer->kind, transfer->call,
			  &transfer->slept);
	transfer->session->watch = NULL;
	transfer->watch.count = 0;
	return r;
}

int shm_transfer_run(struct shm_transfer *transfer, int (*attempt)(struct shm_transfer *transfer))
{
	uint64_t attempts = 0;
	uint32_t supplies = 0;
	bool again;
	int r;

	do {
		shm_step_enter(transfer->session);
		r = attempt(transfer);
		shm_step_leave(transfer->session);
		again = r > 0;
		if (r == SHM_NEED)
			r = shm_session_supply(transfer->session, &supplies);
		else if (r == SHM_WAIT)
			r = wait_for_change(transfer);
		else if (r == SHM_AGAIN)
			r = shm_session_again(transfer->session, &attempts, transfer->call->deadline);
	} while (again && r >= 0);
	/* An error, while a blob was ready to be put. */
	if (transfer->prepared) {
		shm_step_enter(transfer->session);
		drop(transfer);
		shm_step_leave(transfer->session);
	}
	/* Whoever woke this thread woke all others, too: nothing is to be passed on. */
	if (transfer->waited)
		shm_wait_done(transfer->session, transfer->cell, transfer->kind, false);
	return r;
}
