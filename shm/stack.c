/* The stack of a heap: see stack.h. */
#include "shm/stack.h"

#include "base/error.h"
#include "shm/transfer.h"
#include "shm/wait.h"

#define FINISH_TRIES 1000u
#define HOLDS_TRIES  100000u
#define GROWN_TRIES  100000u

static struct cell *top_of(const struct shm_segment *seg)
{
	return &shm_header(seg)->stack_top;
}

static struct cell *cell_of(const struct shm_segment *seg, uint64_t index)
{
	return (struct cell *)shm_area(seg, AREA_STACK) + index;
}

/* Cell index is one that there is, with memory behind it. */
static bool is_there(const struct shm_segment *seg, uint64_t index)
{
	return index < seg->layout.params.max_elements &&
	       shm_committed(seg, shm_offset(seg, cell_of(seg, index)));
}

static bool top_moved(const struct shm_segment *seg, struct cell seen)
{
	return !shm_same_state(load64_acquire(&top_of(seg)->meta), seen.meta);
}

static struct cell top_next(struct cell seen, uint32_t own, uint64_t count)
{
	return (struct cell){cell_next(seen.meta, count ? TAG_FULL : TAG_EMPTY, TYPE_UNDEFINED, own), count};
}

/* ---- finishing a push ---- */

/* What the slot in the top pushes, as the cell is to hold it. True only if the top has not moved. */
static struct cell pushed_item(const struct shm_segment *seg, struct cell top)
{
	const struct slot *slot = shm_slot(seg, cell_own(top.meta));
	uint64_t type = load64_acquire(&slot->push_type) & 7;

	return (struct cell){(top.meta & CELL_VERSION_MASK) | TAG_FULL | type << CELL_TYPE_SHIFT,
			     load64_acquire(&slot->push_value)};
}

/*
 * top: as seen, with a push under way. Any number of threads do this at once, and each may die anywhere: the cell
 * is written once, for its version tells, and the top lets go once.
 */
static int finish(struct shm_segment *seg, struct cell top)
{
	struct cell *cell, seen, item, after;

	if (!is_there(seg, top.value - 1))
		return -ERROR_CORRUPT;
	cell = cell_of(seg, top.value - 1);
	seen = cell_load(cell);
	item = pushed_item(seg, top);
	if (top_moved(seg, top))
		return SHM_AGAIN; /* finished by another; what was read may be of a later push */
	if (cell_version(seen.meta) != cell_version(top.meta)) {
		shm_mark(seg, cell, sizeof(*cell));
		(void)cell_cas(cell, &seen, item); /* fails when it has been written */
	}
	after = top_next(top, 0, top.value);
	after.meta |= top.meta & CELL_W;
	shm_mark(seg, top_of(seg), sizeof(after));
	(void)cell_cas(top_of(seg), &top, after);
	return SHM_AGAIN;
}

/* Until this slot's push, with which the top became `pushing`, is under way no more. */
static int finish_own(struct shm_segment *seg, struct cell pushing)
{
	/* Only one who scribbles makes it fail more than twice. */
	for (uint32_t tries = 0; tries < FINISH_TRIES; tries++) {
		struct cell top = cell_load(top_of(seg));
		int r;

		if (!shm_same_state(top.meta, pushing.meta))
			return 0;
		r = finish(seg, top);
		if (r < 0)
			return r;
	}
	return -ERROR_CORRUPT;
}

/* The top without a push under way. 0, SHM_AGAIN, -ERROR_CORRUPT. */
static int settled_top(struct shm_segment *seg, struct cell *top)
{
	*top = cell_load(top_of(seg));
	if (top->value > seg->layout.params.max_elements)
		return -ERROR_CORRUPT;
	return cell_own(top->meta) ? finish(seg, *top) : 0;
}

/* ---- push ---- */

static int announce(struct shm_transfer *transfer, struct cell seen)
{
	struct shm_segment *seg = transfer->seg;
	struct slot *slot = transfer->session->slot;
	struct cell *top = top_of(seg), pushing = top_next(seen, transfer->session->id, seen.value + 1);

	store64_release(&slot->push_type, transfer->outcome.type);
	store64_release(&slot->push_value, shm_transfer_value(transfer));
	shm_transfer_name(transfer, INTENT_PUSH, cell_of(seg, seen.value), 0);
	shm_step_cell(transfer->session, top);
	shm_mark(seg, top, sizeof(*top));
	if (!cell_cas(top, &seen, pushing)) {
		shm_transfer_unname(transfer);
		return SHM_AGAIN;
	}
	/* Pushed. A death from here on: see stack.h. */
	shm_transfer_was_put(transfer);
	(void)finish_own(seg, pushing);
	shm_wait_wake_all(seg, top, seen.meta);
	shm_transfer_done(transfer, 0);
	if (transfer->count)
		*transfer->count = pushing.value;
	return 0;
}

static int push(struct shm_transfer *transfer)
{
	struct shm_segment *seg = transfer->seg;
	uint64_t elements = shm_elements(seg);
	struct cell top;
	int r = settled_top(seg, &top);

	if (r != 0)
		return r;
	if (top.value >= elements) {
		/* Who finds the old number after the top was loaded is woken when it grows: shm_stack_grown. */
		return shm_elements(seg) != elements ? SHM_AGAIN
						     : shm_transfer_blocked(transfer, top_of(seg), top);
	}
	r = shm_transfer_commit(transfer, cell_of(seg, top.value));
	if (r == 0)
		r = shm_transfer_prepare(transfer);
	return r == 0 ? announce(transfer, top) : r;
}

int shm_stack_push(struct shm_session *session, const struct shm_call *call, uint64_t *count)
{
	struct shm_transfer transfer;

	shm_transfer_init(&transfer, session, call, -ERROR_FULL);
	transfer.count = count;
	return shm_transfer_run(&transfer, push);
}

/* ---- pop ---- */

static int take(struct shm_transfer *transfer, struct cell seen, struct cell item)
{
	struct shm_segment *seg = transfer->seg;
	struct cell *top = top_of(seg);
	blob_ref old = cell_has_blob(item.meta) ? item.value : 0;
	uint64_t meta = seen.meta;

	shm_transfer_name(transfer, INTENT_POP, cell_of(seg, seen.value - 1), old);
	shm_step_cell(transfer->session, top);
	shm_mark(seg, top, sizeof(*top));
	if (!cell_cas(top, &seen, top_next(seen, 0, seen.value - 1))) {
		shm_transfer_unname(transfer);
		return SHM_AGAIN;
	}
	/* Popped. A death here: recovery wakes (slot.cur) and releases the blob. */
	shm_wait_wake_all(seg, top, meta);
	shm_transfer_done(transfer, old);
	return 0;
}

static int pop(struct shm_transfer *transfer)
{
	struct shm_segment *seg = transfer->seg;
	struct cell top, item;
	int r = settled_top(seg, &top);

	if (r != 0)
		return r;
	if (top.value == 0)
		return shm_transfer_blocked(transfer, top_of(seg), top);
	if (!is_there(seg, top.value - 1))
		return -ERROR_CORRUPT;
	item = cell_load(cell_of(seg, top.value - 1));
	if (top_moved(seg, top))
		return SHM_AGAIN;
	r = shm_transfer_copy(transfer, top_of(seg), top, item, 0);
	return r == 0 ? take(transfer, top, item) : r;
}

int shm_stack_pop(struct shm_session *session, const struct shm_call *call)
{
	struct shm_transfer transfer;

	shm_transfer_init(&transfer, session, call, -ERROR_EMPTY);
	return shm_transfer_run(&transfer, pop);
}

/* ---- looking ---- */

/* Item `index` from the bottom, or from the top. SHM_AGAIN when the stack moves. */
static int look(const struct shm_segment *seg, uint64_t index, bool from_top, struct shm_value *value)
{
	struct cell top = cell_load(top_of(seg)), item;
	uint64_t at = from_top ? top.value - 1 - index : index;

	if (index >= top.value)
		return -ERROR_EMPTY;
	if (!is_there(seg, at))
		return -ERROR_CORRUPT;
	item = at + 1 == top.value && cell_own(top.meta) ? pushed_item(seg, top) : cell_load(cell_of(seg, at));
	if (top_moved(seg, top))
		return SHM_AGAIN;
	return value ? shm_value_read_while(seg, top_of(seg), top, item, value) : 0;
}

int shm_stack_peek(const struct shm_segment *seg, struct shm_value *value)
{
	int r;

	do
		r = look(seg, 0, true, value);
	while (r == SHM_AGAIN);
	return r;
}

int shm_stack_look(const struct shm_segment *seg, uint64_t index, struct shm_value *value)
{
	int r;

	do
		r = look(seg, index, false, value);
	while (r == SHM_AGAIN);
	return r;
}

uint64_t shm_stack_length(const struct shm_segment *seg)
{
	uint64_t count = load64_acquire(&top_of(seg)->value), most = seg->layout.params.max_elements;

	return count < most ? count : most;
}

bool shm_stack_is_pushing(const struct shm_segment *seg)
{
	return cell_own(load64_acquire(&top_of(seg)->meta)) != 0;
}

bool shm_stack_item(const struct shm_segment *seg, uint64_t index, struct cell *item)
{
	struct cell top = cell_load(top_of(seg));

	if (index >= top.value || !is_there(seg, index))
		return false;
	*item = index + 1 == top.value && cell_own(top.meta) ? pushed_item(seg, top)
							     : cell_load(cell_of(seg, index));
	return true;
}

/* ---- recovery, growth ---- */

int shm_stack_recover(struct shm_session *recoverer, struct shm_segment *seg, uint32_t dead)
{
	struct cell top;
	int r = 0;

	if (recoverer)
		shm_step_enter(recoverer);
	top = cell_load(top_of(seg));
	if (cell_own(top.meta) == dead)
		r = finish_own(seg, top);
	if (recoverer)
		shm_step_leave(recoverer);
	return r;
}

int shm_stack_holds(struct shm_segment *seg, uint64_t offset, blob_ref ref)
{
	uint64_t index = (offset - seg->layout.offset[AREA_STACK]) / sizeof(struct cell);

	if (!is_there(seg, index) || offset != shm_offset(seg, cell_of(seg, index)))
		return -ERROR_CORRUPT;
	for (uint32_t tries = 0; tries < HOLDS_TRIES; tries++) {
		struct cell top, item;
		int r = settled_top(seg, &top);

		if (r < 0)
			return r;
		if (r == SHM_AGAIN)
			continue;
		item = cell_load(cell_of(seg, index));
		if (!top_moved(seg, top))
			return index < top.value && cell_has_blob(item.meta) && item.value == ref;
	}
	return SHM_AGAIN;
}

void shm_stack_grown(struct shm_segment *seg)
{
	struct cell *top = top_of(seg), seen = cell_load(top);

	/* Nobody sleeps while a push is under way: it has woken all. */
	for (uint32_t tries = 0; tries < GROWN_TRIES && cell_own(seen.meta) == 0; tries++)
		if (cell_cas(top, &seen, top_next(seen, 0, seen.value)))
			break;
	shm_wait_wake_everybody(seg, top);
}
