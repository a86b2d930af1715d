/*
 * One operation on one element, from look to wake: see element.h.
 *
 *      attempt, inside one step:
 *        find the cell; look at its tag       blocked: leave the step, wait, again
 *        the old value's text, when needed    copied outside the step, then again; good while meta is the same
 *        compute the new value
 *        name, claim and fill its blob        large ones are filled outside the step, then again
 *        name both blobs and the cell         (INTENT_REPLACE)
 *        CAS                                  the operation takes effect here
 *        wake; release the old blob; clear the names
 *
 * A death before the CAS: recovery releases the new blob (intent CLAIM, or REPLACE and the cell has another
 * one). After it: recovery wakes (slot.cur) and releases the old blob (REPLACE and the cell has another one).
 */
#include "shm/element.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/macros.h"
#include "shm/lease.h"
#include "shm/operation.h"
#include "shm/quick.h"
#include "shm/reader.h"
#include "shm/storage.h"
#include "shm/transaction.h"
#include "shm/value.h"
#include "shm/wait.h"

#define FULL_TRIES 200u /* while others are at an insert */
#define FILL_IN_STEP \
	4096u /* larger blobs are filled outside the step, so that a checkpoint need not wait for them */

/* What one call carries from attempt to attempt. */
struct work {
	struct shm_segment *seg;
	struct shm_session *session;
	const struct shm_call *call;
	const struct operation *operation;

	struct shm_binding binding; /* the element found; cell NULL: the key is absent */
	struct cell seen;	    /* what it holds, or would hold if it existed */

	struct shm_value old; /* copy of the old value, or the caller's result struct in its place */
	uint64_t old_meta;    /* the meta it belongs to … */
	const struct cell *old_cell; /* … of this cell: a key's next element may have the same meta */
	bool old_known;

	struct shm_outcome outcome;
	/* what the prepared blob was computed for (when it depends on the old value) */
	uint64_t prepared_meta;
	const struct cell *prepared_cell;
	bool prepared;		/* slot->intent_new is claimed and filled */
	bool prepared_outside;	/* … outside a step: marked again by the publishing one */

	bool changed, slept;
	bool gives_way;		/* a reader, that lets others go first … */
	uint32_t gave_way;	/* … and has done so this often */
	bool took; /* it changed the tag of the cell that it waited on: the wake it was given came to use */
	uint32_t full_tries;
	struct cell *waited_on;
};

struct cell shm_cell_pristine(const struct shm_segment *seg)
{
	return (struct cell){
		(uint64_t)seg->layout.params.initial_tag | (uint64_t)TYPE_FILL << CELL_TYPE_SHIFT, 0};
}

static bool same_state(uint64_t a, uint64_t b)
{
	return ((a ^ b) & ~CELL_W) == 0;
}

/* ---- finding the element ---- */

static int element_in_range(const struct shm_segment *seg, uint64_t index)
{
	return index < shm_elements(seg) ? 0 : -ERROR_RANGE;
}

static int find_by_index(struct work *work)
{
	uint64_t index = work->call->target.index;
	struct cell *cell;

	if (element_in_range(work->seg, index) < 0)
		return -ERROR_RANGE;
	cell = shm_cell(work->seg, index);
	if (!work->seg->elements_whole && !shm_committed(work->seg, shm_offset(work->seg, cell))) {
		work->session->need =
			(struct shm_need){NEED_UNITS, shm_offset(work->seg, cell) >> UNIT_SHIFT, 1};
		return SHM_NEED;
	}
	work->binding.element = index;
	work->binding.cell = cell;
	work->binding.seen = cell_load(cell);
	return 0;
}

static int find(struct work *work)
{
	int r;

	if (!work->call->target.key) {
		r = find_by_index(work);
	} else {
		r = shm_map_find(work->session, work->call->target.key, &work->binding);
		if (r == -ERROR_NOT_FOUND) {
			work->binding.cell = NULL;
			work->seen = shm_cell_pristine(work->seg);
			return 0;
		}
	}
	if (r != 0)
		return r;
	work->seen = work->binding.seen;
	if (cell_tag(work->seen.meta) ==
	    TAG_NONE) { /* pristine: W and version are real, the rest is what it stands for */
		struct cell pristine = shm_cell_pristine(work->seg);

		work->seen.meta |= pristine.meta;
		work->seen.value = pristine.value;
	}
	shm_step_cell(work->session, work->binding.cell);
	return 0;
}

/* ---- the old value ---- */

static struct shm_value *old_value(struct work *work)
{
	return work->call->result ? work->call->result : &work->old;
}

static bool wants_old(const struct work *work)
{
	return work->call->result || work->operation->needs_old;
}

/* Immediates at once; text outside the step, for the next attempt. */
static int take_old(struct work *work)
{
	bool is_text = cell_has_blob(work->seen.meta) && cell_type(work->seen.meta) != TYPE_FILL;
	int r;

	if (!wants_old(work) || (work->old_known && work->old_cell == work->binding.cell &&
				 same_state(work->old_meta, work->seen.meta)))
		return 0;
	work->old_known = false;
	if (is_text)
		shm_step_leave(work->session);
	r = shm_value_read(work->seg, work->binding.cell, work->seen, old_value(work));
	if (r != 0)
		return r;
	work->old_known = true;
	work->old_meta = work->seen.meta;
	work->old_cell = work->binding.cell;
	return is_text ? SHM_AGAIN : 0;
}

/* ---- the new value ---- */

static size_t outcome_size(const struct shm_outcome *outcome)
{
	return outcome->text[0].size + outcome->text[1].size;
}

static void fill_blob(struct work *work, blob_ref ref)
{
	const struct shm_outcome *outcome = &work->outcome;
	uint8_t *bytes;

	if (outcome->text[1].size == 0) {
		shm_blob_fill(work->session, ref, outcome->text[0].data, outcome->text[0].size);
		return;
	}
	shm_blob_fill(work->session, ref, NULL, outcome_size(outcome));
	bytes = shm_blob_bytes(work->session, ref);
	copy_bytes_to_shared(bytes, outcome->text[0].data, outcome->text[0].size);
	copy_bytes_to_shared(bytes + outcome->text[0].size, outcome->text[1].data, outcome->text[1].size);
}

/* Gives a claimed blob back that did not come to use. Inside a step. */
static void release_prepared(struct work *work)
{
	struct slot *slot = work->session->slot;

	if (!work->prepared)
		return;
	shm_blob_release(work->session, slot->intent_new);
	store64_release(&slot->intent, INTENT_NONE);
	store64_release(&slot->intent_new, 0);
	work->prepared = work->prepared_outside = false;
}

/*
 * Makes slot->intent_new a claimed, filled blob with the outcome's text.
 * INTENT_CLAIM is set before the claim: a death from there on makes recovery release what was claimed.
 */
static int prepare_blob(struct work *work)
{
	struct slot *slot = work->session->slot;
	int r;

	if (work->prepared && work->operation->needs_old &&
	    (work->prepared_cell != work->binding.cell || !same_state(work->prepared_meta, work->seen.meta)))
		release_prepared(work);
	if (work->prepared) {
		if (work->prepared_outside)
			shm_blob_mark(work->session, slot->intent_new, outcome_size(&work->outcome));
		return 0;
	}
	store64_release(&slot->intent, INTENT_CLAIM);
	r = shm_blob_claim(work->session, outcome_size(&work->outcome), &slot->intent_new);
	if (r != 0) {
		store64_release(&slot->intent, INTENT_NONE);
		return r;
	}
	work->prepared = true;
	work->prepared_meta = work->seen.meta;
	work->prepared_cell = work->binding.cell;
	if (outcome_size(&work->outcome) <= FILL_IN_STEP) {
		fill_blob(work, slot->intent_new);
		return 0;
	}
	shm_step_leave(work->session);
	fill_blob(work, slot->intent_new);
	work->prepared_outside = true;
	return SHM_AGAIN;
}

/* What the element becomes. *stores: its value changes. */
static int compute(struct work *work, bool *stores)
{
	const struct shm_call *call = work->call;

	*stores = work->operation->stores_value;
	if (!*stores)
		return 0;
	if (call->op == OP_CAS) {
		*stores = shm_value_equal(old_value(work), call->argument);
		if (*stores)
			shm_value_outcome(call->argument2, &work->outcome);
		return 0;
	}
	if (!work->operation->needs_old) {
		shm_value_outcome(call->argument, &work->outcome);
		return 0;
	}
	return shm_value_modify(call->op, old_value(work), call->argument, &work->outcome);
}

static bool is_delete(const struct work *work)
{
	return work->call->op == OP_DELETE || work->call->op == OP_COMPARE_DELETE;
}

static enum tag tag_after(const struct work *work)
{
	if (is_delete(work)) /* by index: as if never written */
		return (enum tag)work->seg->layout.params.initial_tag;
	switch (work->operation->tag) {
	case BECOME_EMPTY:
		return TAG_EMPTY;
	case BECOME_FULL:
		return TAG_FULL;
	case BECOME_GIVEN:
		return work->call->tag;
	case BECOME_BUSY:
		return TAG_BUSY;
	case KEEP_TAG:
		break;
	}
	return cell_tag(work->seen.meta);
}

/* ---- taking effect ---- */

static struct cell cell_after(const struct work *work, bool stores)
{
	enum tag tag = tag_after(work);
	uint32_t own = tag == TAG_READERS ? cell_own(work->seen.meta)
		       : tag == TAG_BUSY  ? work->session->id
					  : 0;
	enum cell_type type = stores ? work->outcome.type : cell_type(work->seen.meta);
	uint64_t value = stores ? work->outcome.value : work->seen.value;

	if (stores && type_has_blob(type))
		value = work->session->slot->intent_new;
	return (struct cell){cell_next(work->seen.meta, tag, type, own) |
				     shm_wait_bit(work->seen.meta, tag, work->slept),
			     value};
}

static void clear_intent(struct slot *slot)
{
	store64_release(&slot->intent, INTENT_NONE);
	store64_release(&slot->intent_new, 0);
	store64_release(&slot->intent_old, 0);
}

/* The CAS of an element that exists. */
static int replace(struct work *work, bool stores)
{
	struct slot *slot = work->session->slot;
	struct cell *cell = work->binding.cell, expected = work->binding.seen,
		    desired = cell_after(work, stores);
	blob_ref old = stores && cell_has_blob(work->seen.meta) ? work->seen.value : 0;
	bool named = old || (stores && type_has_blob(work->outcome.type));

	if (named) {
		store64_release(&slot->intent_old, old);
		store64_release(&slot->intent_cell, shm_offset(work->seg, cell));
		store64_release(&slot->intent, INTENT_REPLACE);
	}
	if (work->call->lease)
		shm_lease_name(work->session, work->call->lease, cell, 0);
	shm_mark(work->seg, cell, sizeof(*cell));
	if (!cell_cas(cell, &expected, desired)) {
		if (work->call->lease)
			shm_lease_unname(work->call->lease);
		if (named) {
			store64_release(&slot->intent, work->prepared ? INTENT_CLAIM : INTENT_NONE);
			store64_release(&slot->intent_old, 0);
		}
		return SHM_AGAIN;
	}
	/* Done for everybody to see. A death here: recovery wakes the sleepers on slot.cur and releases the
	 * old blob. */
	work->prepared = false;
	work->took = cell == work->waited_on && cell_tag(desired.meta) != cell_tag(work->seen.meta);
	/* Who becomes the owner wakes those whom its own waking may have left asleep, too: from now on they must
	 * watch over its death. */
	shm_wait_wake(work->seg, cell, work->seen.meta | (work->call->lease && work->slept ? CELL_W : 0),
		      cell_tag(desired.meta));
	if (old)
		shm_blob_release(work->session, old);
	if (named)
		clear_intent(slot);
	return 0;
}

/*
 * What an insert came to. The last free element may be in the hands of another insert, of this very key perhaps,
 * or of one that will give it back: "full" is believed when nobody is inserting, or stays at it for long.
 */
static int inserted(struct work *work, int r)
{
	if (r == -ERROR_EXISTS)
		return SHM_AGAIN;
	if (r != -ERROR_FULL || work->full_tries++ >= FULL_TRIES ||
	    !shm_map_inserting(work->seg, work->session->id))
		return r;
	shm_step_leave(work->session);
	(void)sched_yield();
	return SHM_AGAIN;
}

/* The key is absent: it comes into being with the value that the operation leaves. */
static int insert(struct work *work, bool stores)
{
	struct cell desired = cell_after(work, stores);
	int r = shm_map_insert(work->session, work->call->target.key, cell_tag(desired.meta),
			       cell_type(desired.meta), desired.value, &work->binding);

	if (r == 0)
		work->prepared = false;
	return inserted(work, r);
}

/* The key is absent and its initial tag makes the operation wait: it comes into being as it is, and is waited
 * on. */
static int insert_and_wait(struct work *work)
{
	struct cell pristine = shm_cell_pristine(work->seg);
	int r;

	release_prepared(work);
	r = shm_map_insert(work->session, work->call->target.key, cell_tag(pristine.meta), TYPE_FILL, 0,
			   &work->binding);
	return r == 0 ? SHM_AGAIN : inserted(work, r);
}

static int delete (struct work *work)
{
	if (work->call->op == OP_COMPARE_DELETE && !shm_value_equal(old_value(work), work->call->argument))
		return 0;
	work->changed = true;
	if (work->call->target.key)
		return shm_map_delete(work->session, work->call->target.key, &work->binding);
	work->outcome.type = TYPE_FILL;
	work->outcome.value = 0;
	return replace(work, true);
}

/* ---- read locks ---- */

static int take_read_lock(struct work *work)
{
	int r;

	if (!work->binding.cell)
		return insert_and_wait(work); /* as it is; the next attempt finds it */
	/* A courtesy, and one that would be slept on: not by who does not sleep. */
	work->gives_way = work->call->deadline != 0 && !work->call->notice &&
			  shm_reader_gives_way(work->session, work->binding.cell,
									    work->seen.meta, work->gave_way);
	if (work->gives_way)
		return SHM_WAIT;
	r = shm_reader_take(work->session, work->binding.cell, work->binding.seen, work->seen.meta);
	work->took = r == 0;
	return r;
}

/* Whatever the tag: whether the session holds it stands in its record. */
static int release_read_lock(struct work *work)
{
	int r;

	if (!work->binding.cell)
		return -ERROR_INVALID;
	r = shm_reader_release(work->session, work->binding.cell, work->call->left);
	work->took = r == 0;
	return r;
}

/* The release has waited for a recount, and shall not wait on. */
static int keep_read_lock(struct work *work, int r)
{
	bool released;

	shm_step_enter(work->session);
	released = shm_reader_keep(work->session);
	shm_step_leave(work->session);
	if (released && work->call->left)
		*work->call->left = 0; /* nobody has counted yet */
	return released ? 0 : r;
}

/* Everything that happens to an element that admits the operation. */
static int act(struct work *work)
{
	bool stores;
	int r = take_old(work);

	if (r != 0)
		return r;
	if (is_delete(work))
		return delete (work);
	if (work->call->op == OP_READ_RW)
		return take_read_lock(work);
	r = compute(work, &stores);
	if (r != 0)
		return r;
	work->changed = stores || work->operation->tag != KEEP_TAG;
	if (work->call->op == OP_CAS && !stores)
		return 0; /* a miss changes nothing and creates nothing */
	if (work->call->op == OP_READ_FF && work->binding.cell)
		return 0;
	if (stores && type_has_blob(work->outcome.type)) {
		r = prepare_blob(work);
		if (r != 0)
			return r;
	} else {
		release_prepared(work); /* the old value has become one with which no text comes out */
	}
	if (work->binding.cell)
		return replace(work, stores);
	return work->call->lease ? insert_and_wait(work) : insert(work, stores);
}

/* Inside a step, which it may leave (then the result is SHM_AGAIN or an error; leaving twice does no harm).
 */
static int attempt(struct work *work)
{
	int r = find(work);

	if (r != 0)
		return r;
	if (work->call->op == OP_RELEASE_RW)
		return release_read_lock(work);
	if (!work->binding.cell && is_delete(work))
		return -ERROR_NO_KEY;
	if (work->call->result_tag)
		*work->call->result_tag = cell_tag(work->seen.meta);
	if (work->operation->admits & TAG_BIT(cell_tag(work->seen.meta)))
		return act(work);
	if (!work->binding.cell)
		return insert_and_wait(work);
	release_prepared(work);
	return SHM_WAIT;
}

/* ---- the loop around the attempts ---- */

static int wait_for_change(struct work *work)
{
	struct cell *cell = work->binding.cell;

	if (work->gives_way) {
		work->gives_way = false;
		work->gave_way++;
		shm_wait_turn(cell, work->binding.seen, work->call->deadline);
		return 0;
	}
	if (work->waited_on && work->waited_on != cell) /* the key was deleted and made anew elsewhere */
		shm_wait_done(work->session, work->waited_on, work->operation->waits, true);
	work->waited_on = cell;
	return shm_wait_cell(work->session, cell, work->binding.seen, work->operation->waits, work->call,
			     &work->slept);
}

static int run(struct work *work)
{
	uint64_t attempts = 0;
	uint32_t supplies = 0;

	for (;;) {
		shm_step_enter(work->session);
		int r = attempt(work);
		shm_step_leave(work->session);
		if (r == SHM_NEED)
			r = shm_session_supply(work->session, &supplies);
		else if (r == SHM_WAIT)
			r = wait_for_change(work);
		else if (r <= 0)
			return r;
		else
			r = shm_session_again(work->session, &attempts, work->call->deadline);
		if (r < 0)
			return r;
	}
}

/*
 * An error (or a cas that missed) leaves a prepared blob behind. And who was woken as the one that takes, and
 * did not take there (it left the tag as it was, gave up, or found its key elsewhere), wakes the next one, who
 * may be asleep without a W in the cell.
 */
static int finish(struct work *work, int r)
{
	if (r < 0 && work->call->op == OP_RELEASE_RW)
		r = keep_read_lock(work, r);
	if (work->prepared) {
		shm_step_enter(work->session);
		release_prepared(work);
		shm_step_leave(work->session);
	}
	if (work->waited_on)
		shm_wait_done(work->session, work->waited_on, work->operation->waits,
			      work->slept && !work->took);
	if (work->old.capacity)
		free(work->old.data);
	return r;
}

/* ---- reading without a session ---- */

static int look_by_index(struct shm_segment *seg, uint64_t index, struct shm_binding *binding)
{
	if (element_in_range(seg, index) < 0)
		return -ERROR_RANGE;
	binding->cell = shm_cell(seg, index);
	if (seg->elements_whole || shm_committed(seg, shm_offset(seg, binding->cell)))
		binding->seen = cell_load(binding->cell);
	else
		binding->seen = (struct cell){0, 0};
	return 0;
}

static int look(struct shm_segment *seg, const struct shm_call *call, struct shm_binding *binding)
{
	int r = call->target.key ? shm_map_look(seg, call->target.key, binding)
				 : look_by_index(seg, call->target.index, binding);

	if (r == 0 && cell_tag(binding->seen.meta) == TAG_NONE)
		binding->seen = shm_cell_pristine(seg);
	return r;
}

/* Plain read, and readFF when it need not wait (else SHM_WAIT): stores nothing. */
static int read_without_session(struct shm_segment *seg, const struct shm_call *call)
{
	struct shm_binding binding;
	int r;

	do {
		r = look(seg, call, &binding);
		if (r == -ERROR_NOT_FOUND) {
			if (call->op == OP_READ_FF)
				return SHM_WAIT;
			binding.seen = (struct cell){seg->layout.params.initial_tag, 0}; /* undefined */
		} else if (r < 0) {
			return r;
		}
		if (call->op == OP_READ_FF && cell_tag(binding.seen.meta) != TAG_FULL)
			return SHM_WAIT;
		if (call->result_tag)
			*call->result_tag = cell_tag(binding.seen.meta);
		r = call->result ? shm_value_read(seg, binding.cell, binding.seen, call->result) : 0;
	} while (r == SHM_AGAIN);
	return r;
}

int shm_element_apply(struct shm_segment *seg, struct shm_session *session, const struct shm_call *call,
		      bool *changed)
{
	struct work work;
	int r;

	if (session && UNLIKELY(session->in_transaction)) {
		r = shm_transaction_apply(session, call, changed);
		if (r != SHM_AGAIN)
			return r;
	}
	if (call->op == OP_READ || call->op == OP_READ_FF) {
		r = read_without_session(seg, call);
		if (r != SHM_WAIT)
			return r;
	}
	if (!session)
		return -ERROR_READ_ONLY;
	if (shm_quick_apply(seg, session, call, changed) == 0)
		return 0;
	memset(&work, 0, offsetof(struct work, outcome));
	work.prepared = work.prepared_outside = work.changed = work.slept = work.took = false;
	work.gives_way = false;
	work.full_tries = work.gave_way = 0;
	work.waited_on = NULL;
	work.seg = seg;
	work.session = session;
	work.call = call;
	work.operation = &shm_operations[call->op];
	r = finish(&work, run(&work));
	if (changed)
		*changed = r == 0 && work.changed;
	return r;
}
