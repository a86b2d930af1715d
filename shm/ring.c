/* The queue of a heap, putting and taking: see ring.h. */
#include "shm/ring.h"

#include "base/error.h"
#include "base/macros.h"
#include "shm/lease.h"
#include "shm/recover.h"
#include "shm/ring_places.h"
#include "shm/transfer.h"
#include "shm/wait.h"

#define HELP_MAX 64u /* positions that one attempt moves the head over */

/* The cell of `position` says that its time is over: so the word moves on, by whoever comes first. */
static int help(uint64_t *word, uint64_t position)
{
	(void)cas64(word, &position, position + 1);
	return SHM_AGAIN;
}

/* ---- putting ---- */

/* Position `tail` is open when the item before it by the number of elements has been taken. */
static int room(struct shm_transfer *transfer, uint64_t tail)
{
	struct shm_segment *seg = transfer->seg;
	uint64_t elements = shm_elements(seg);
	struct place place;

	if (tail < elements)
		return 0;
	place = ring_look(seg, tail - elements);
	if (place.state == PLACE_TAKEN)
		return 0;
	if (place.state != PLACE_HELD && place.state != PLACE_LEASED)
		return ring_moved(&shm_header(seg)->ring_tail, tail);
	/* Who finds the old number after the cell was loaded is woken when it grows: shm_ring_grown. */
	if (shm_elements(seg) != elements)
		return SHM_AGAIN;
	return shm_transfer_blocked(transfer, place.cell, place.seen);
}

/* How many items are held, with the one that was put at `tail`. */
static uint64_t held_with(const struct shm_segment *seg, uint64_t tail)
{
	uint64_t head = ring_first(seg, UINT64_MAX);

	if (head < load64_acquire(&shm_header(seg)->ring_passed)) /* not all from head to tail are held */
		return MAX(shm_ring_length(seg), UINT64_C(1));
	return head <= tail ? tail + 1 - head : 1;
}

static int publish(struct shm_transfer *transfer, uint64_t tail, struct place place)
{
	struct header *header = shm_header(transfer->seg);
	struct cell desired;

	/* Which cell is named before the CAS: that is how recovery knows a blob that nobody was given from one
	 * that somebody has. */
	shm_transfer_name(transfer, INTENT_REPLACE, place.cell, 0);
	shm_step_cell(transfer->session, place.cell);
	shm_mark(transfer->seg, place.cell, sizeof(*place.cell));
	desired.meta =
		ring_next(place.seen.meta, ring_lap_of(transfer->seg, tail), TAG_FULL, transfer->outcome.type, 0);
	desired.value = shm_transfer_value(transfer);
	if (!cell_cas(place.cell, &place.seen, desired)) {
		shm_transfer_unname(transfer);
		return SHM_AGAIN;
	}
	/* Enqueued. A death here: recovery wakes (slot.cur) and keeps the blob, others move the tail on. */
	shm_transfer_was_put(transfer);
	shm_wait_wake_all(transfer->seg, place.cell, place.seen.meta);
	(void)help(&header->ring_tail, tail);
	shm_transfer_done(transfer, 0);
	if (transfer->count)
		*transfer->count = held_with(transfer->seg, tail);
	return 0;
}

static int put(struct shm_transfer *transfer)
{
	uint64_t *word = &shm_header(transfer->seg)->ring_tail, tail = load64_acquire(word);
	int r = room(transfer, tail); /* first: with room, the cell can no longer be of an earlier lap */
	struct place place;

	if (r != 0)
		return r;
	place = ring_look(transfer->seg, tail);
	if (place.state == PLACE_HELD || place.state == PLACE_LEASED || place.state == PLACE_TAKEN)
		return help(word, tail);
	if (place.state != PLACE_VACANT)
		return ring_moved(word, tail);
	r = shm_transfer_commit(transfer, place.cell);
	if (r == 0)
		r = shm_transfer_prepare(transfer);
	return r == 0 ? publish(transfer, tail, place) : r;
}

/* The same for an immediate where nobody waits, without what such a case does not need. Inside a step. False: nothing was done. */
static bool put_immediate(struct shm_session *session, const struct shm_value *value, uint64_t *tail)
{
	struct shm_segment *seg = session->seg;
	uint64_t elements = shm_elements(seg), *word = &shm_header(seg)->ring_tail;
	struct shm_outcome outcome;
	struct place place;
	struct cell desired;

	*tail = load64_acquire(word);
	if (*tail >= elements && ring_look(seg, *tail - elements).state != PLACE_TAKEN)
		return false;
	place = ring_look(seg, *tail);
	if (place.state != PLACE_VACANT || !place.committed || (place.seen.meta & CELL_W))
		return false;
	shm_value_outcome(value, &outcome);
	shm_step_cell(session, place.cell);
	shm_mark(seg, place.cell, sizeof(*place.cell));
	desired.meta = ring_next(place.seen.meta, ring_lap_of(seg, *tail), TAG_FULL, outcome.type, 0);
	desired.value = outcome.value;
	if (!cell_cas(place.cell, &place.seen, desired))
		return false;
	/* Enqueued. A death here: others move the tail on. */
	(void)help(word, *tail);
	return true;
}

static bool put_quickly(struct shm_session *session, const struct shm_call *call, uint64_t *count)
{
	uint64_t tail;
	bool done;

	if (call->argument->type > TYPE_FLOAT)
		return false;
	shm_step_enter(session);
	done = put_immediate(session, call->argument, &tail);
	if (done && count)
		*count = held_with(session->seg, tail);
	shm_step_leave(session);
	return done;
}

int shm_ring_put(struct shm_session *session, const struct shm_call *call, uint64_t *count)
{
	struct shm_transfer transfer;

	if (put_quickly(session, call, count))
		return 0;
	shm_transfer_init(&transfer, session, call, -ERROR_FULL);
	transfer.count = count;
	return shm_transfer_run(&transfer, put);
}

/* ---- taking ---- */

/* Before a place is leased, or taken while one in front of it is leased: from now on items are counted one by one. */
static void pass(struct shm_segment *seg, uint64_t position)
{
	uint64_t *word = &shm_header(seg)->ring_passed, passed = load64_relaxed(word);

	while (passed <= position && !cas64(word, &passed, position + 1))
		continue;
}

/* place is passed on by its address: a copy of a cell that was loaded in halves stalls the processor. */
static int consume(struct shm_transfer *transfer, uint64_t position, struct place *place)
{
	blob_ref old = cell_has_blob(place->seen.meta) ? place->seen.value : 0;
	struct cell desired = {ring_next(place->seen.meta, ring_lap(place->seen.meta) + 1, TAG_EMPTY, TYPE_UNDEFINED, 0),
			       0};
	uint64_t seen = place->seen.meta;

	shm_transfer_name(transfer, INTENT_REPLACE, place->cell, old);
	shm_mark(transfer->seg, place->cell, sizeof(*place->cell));
	if (!cell_cas(place->cell, &place->seen, desired)) {
		shm_transfer_unname(transfer);
		return SHM_AGAIN;
	}
	/* Dequeued. A death here: recovery wakes (slot.cur) and releases the blob, others move the head on. */
	shm_wait_wake_all(transfer->seg, place->cell, seen);
	(void)help(&shm_header(transfer->seg)->ring_head, position);
	shm_transfer_done(transfer, old);
	return 0;
}

/* W stays: who sleeps there waits for room, and there is none yet. */
static __attribute__((noinline)) int lease(struct shm_transfer *transfer, uint64_t position, struct place *place)
{
	uint64_t meta = place->seen.meta;
	struct cell desired = {ring_next(meta, ring_lap(meta), TAG_BUSY, cell_type(meta), transfer->session->id) |
				       (meta & CELL_W),
			       place->seen.value};

	pass(transfer->seg, position);
	shm_lease_name(transfer->session, transfer->call->lease, place->cell, position);
	shm_mark(transfer->seg, place->cell, sizeof(*place->cell));
	if (cell_cas(place->cell, &place->seen, desired))
		return 0; /* leased; a death from here on gives it back */
	shm_lease_unname(transfer->call->lease);
	return SHM_AGAIN;
}

static int take_at(struct shm_transfer *transfer, uint64_t position, struct place *place)
{
	int r;

	shm_step_cell(transfer->session, place->cell);
	r = shm_transfer_copy(transfer, place->cell, place->seen, place->seen, position);
	if (r != 0)
		return r;
	return transfer->call->lease ? lease(transfer, position, place) : consume(transfer, position, place);
}

static int nothing_there(struct shm_transfer *transfer, struct place place)
{
	int r = transfer->call->deadline ? shm_transfer_commit(transfer, place.cell) : 0;

	transfer->watch.count = 0;
	return r == 0 ? shm_transfer_blocked(transfer, place.cell, place.seen) : r;
}

/* Only this thread could make something happen: there is no room, and every lease is its own. */
static bool waits_for_itself(const struct shm_transfer *transfer, uint64_t head, const struct ring_search *search)
{
	return search->position - head >= shm_elements(transfer->seg) && transfer->watch.count == 1 &&
	       transfer->watch.slots[0] == transfer->session->id;
}

/*
 * All items are leased, and the last look at them was taken while W was set in the place to sleep on: if one has come
 * back since, the place has changed, and the sleep does not begin (ring_search.c).
 */
static int all_leased(struct shm_transfer *transfer, uint64_t head, const struct ring_search *search)
{
	struct cell seen = search->place.seen, desired = {seen.meta | CELL_W, seen.value};
	bool announced = true;
	int r;

	if (transfer->call->deadline == 0)
		return shm_transfer_blocked(transfer, search->place.cell, seen);
	if (waits_for_itself(transfer, head, search))
		return -ERROR_DEADLOCK;
	r = shm_transfer_commit(transfer, search->place.cell);
	if (r != 0)
		return r;
	if (seen.meta == transfer->armed_meta && search->position == transfer->armed_at)
		return shm_transfer_blocked(transfer, search->place.cell, seen);
	if (!(seen.meta & CELL_W)) {
		shm_step_cell(transfer->session, search->place.cell);
		shm_mark(transfer->seg, search->place.cell, sizeof(desired));
		announced = cell_cas(search->place.cell, &seen, desired);
	}
	transfer->armed_meta = announced ? desired.meta : 0;
	transfer->armed_at = search->position;
	return SHM_AGAIN;
}

/* One who has a lease is dead. Outside the step then. SHM_AGAIN: something came of it. */
static int recover_lessees(struct shm_transfer *transfer)
{
	struct shm_recovery recovery;

	if (!shm_watch_has_dead(&transfer->watch, transfer->seg))
		return 0;
	shm_step_leave(transfer->session);
	if (shm_recover(transfer->seg, transfer->session, &recovery) == 0 && recovery.recovered > 0)
		return SHM_AGAIN;
	shm_step_enter(transfer->session);
	return 0;
}

/* The head is leased: where the first item behind it is. 0; SHM_WAIT, SHM_AGAIN, an error. */
static int find_behind(struct shm_transfer *transfer, uint64_t head, struct ring_search *search)
{
	int r = ring_search(transfer->seg, head, search, &transfer->watch);

	if (r == 0 && search->place.state != PLACE_HELD) {
		r = recover_lessees(transfer);
		return r == 0 ? all_leased(transfer, head, search) : r;
	}
	transfer->watch.count = 0;
	if (r == 0)
		pass(transfer->seg, search->position);
	return r;
}

static __attribute__((noinline)) int take_behind(struct shm_transfer *transfer, uint64_t head)
{
	struct ring_search search;
	int r = find_behind(transfer, head, &search);

	if (r == 0)
		r = take_at(transfer, search.position, &search.place);
	if (r == 0)
		ring_found(transfer->seg, &search);
	return r;
}

static int take(struct shm_transfer *transfer)
{
	uint64_t *word = &shm_header(transfer->seg)->ring_head, head = load64_acquire(word);
	struct place place = ring_look(transfer->seg, head);

	switch (place.state) {
	case PLACE_HELD:
		return take_at(transfer, head, &place);
	case PLACE_VACANT:
		return nothing_there(transfer, place);
	case PLACE_LEASED:
		return take_behind(transfer, head);
	case PLACE_TAKEN:
		/* Behind a lease that has ended there may be many. */
		for (uint32_t i = 0; i < HELP_MAX && ring_look(transfer->seg, head).state == PLACE_TAKEN; i++)
			(void)help(word, head++);
		return SHM_AGAIN;
	default:
		return ring_moved(word, head);
	}
}

/* The same for an immediate at the head, where nobody waits. Inside a step. False: nothing was done. */
static bool take_immediate(struct shm_session *session, struct cell *item)
{
	struct shm_segment *seg = session->seg;
	uint64_t *word = &shm_header(seg)->ring_head, head = load64_acquire(word);
	struct place place = ring_look(seg, head);
	struct cell desired = {0, 0};

	if (place.state != PLACE_HELD || (place.seen.meta & CELL_W) || cell_type(place.seen.meta) > TYPE_FLOAT)
		return false;
	shm_step_cell(session, place.cell);
	shm_mark(seg, place.cell, sizeof(*place.cell));
	item->meta = place.seen.meta;
	item->value = place.seen.value;
	desired.meta = ring_next(place.seen.meta, ring_lap(place.seen.meta) + 1, TAG_EMPTY, TYPE_UNDEFINED, 0);
	if (!cell_cas(place.cell, &place.seen, desired))
		return false;
	/* Dequeued. A death here: others move the head on. */
	(void)help(word, head);
	return true;
}

static bool take_quickly(struct shm_session *session, const struct shm_call *call)
{
	struct cell item;
	bool done;

	if (call->lease)
		return false;
	shm_step_enter(session);
	done = take_immediate(session, &item);
	shm_step_leave(session);
	if (!done || !call->result)
		return done;
	call->result->type = cell_type(item.meta);
	call->result->size = 0;
	call->result->integer = (int64_t)item.value;
	return true;
}

int shm_ring_take(struct shm_session *session, const struct shm_call *call)
{
	struct shm_transfer transfer;

	if (take_quickly(session, call))
		return 0;
	shm_transfer_init(&transfer, session, call, -ERROR_EMPTY);
	return shm_transfer_run(&transfer, take);
}

void shm_ring_acknowledged(struct shm_segment *seg, uint64_t position)
{
	(void)help(&shm_header(seg)->ring_head, position);
}
