/* Looking at the queue: what is first, how much there is; and what growth has to do. See ring.h. */
#include "shm/ring_places.h"

#include "shm/value.h"
#include "shm/wait.h"

#define GROWN_CELLS_MAX 65536u
#define LENGTH_TRIES	1000u /* then the difference of two moments will do */

struct cell *shm_ring_cell(const struct shm_segment *seg, uint64_t position)
{
	return ring_cell(seg, position);
}

uint64_t shm_ring_position(const struct shm_segment *seg, uint64_t place, struct cell seen)
{
	return ring_lap(seen.meta) * seg->layout.params.max_elements + place;
}

bool shm_ring_holds(const struct shm_segment *seg, uint64_t position, struct cell seen)
{
	enum place_state state = ring_state(seg, position, seen.meta);

	return state == PLACE_HELD || state == PLACE_LEASED;
}

bool shm_ring_is_taken(const struct shm_segment *seg, uint64_t position, struct cell seen)
{
	return ring_state(seg, position, seen.meta) == PLACE_TAKEN;
}

/* Behind a lease that has been ended there may be many that were taken. */
uint64_t ring_first(const struct shm_segment *seg, uint64_t most)
{
	uint64_t first = load64_acquire(&shm_header(seg)->ring_head), start = first;

	most = MIN(most, seg->layout.params.max_elements);
	while (first - start < most && ring_look(seg, first).state == PLACE_TAKEN)
		first++;
	return first;
}

uint64_t ring_end(const struct shm_segment *seg)
{
	uint64_t end = load64_acquire(&shm_header(seg)->ring_tail);
	enum place_state state = ring_look(seg, end).state;

	return end + (state == PLACE_TAKEN || state == PLACE_HELD || state == PLACE_LEASED);
}

/* The place that a taker would take now. SHM_AGAIN; -ERROR_EMPTY, -ERROR_CORRUPT. */
static int first_item(const struct shm_segment *seg, struct place *place)
{
	uint64_t before = load64_acquire(&shm_header(seg)->ring_head), head = ring_first(seg, UINT64_MAX);
	struct ring_search search;
	int r;

	*place = ring_look(seg, head);
	if (place->state == PLACE_LEASED) {
		r = ring_search(seg, head, &search, NULL);
		if (r != 0)
			return r == SHM_AGAIN && before == head ? r : ring_moved(&shm_header(seg)->ring_head, before);
		*place = search.place;
		return place->state == PLACE_HELD ? 0 : -ERROR_EMPTY;
	}
	if (place->state == PLACE_VACANT)
		return -ERROR_EMPTY;
	return place->state == PLACE_HELD ? 0 : ring_moved(&shm_header(seg)->ring_head, before);
}

int shm_ring_peek(const struct shm_segment *seg, struct shm_value *value)
{
	struct place place;
	int r;

	do {
		r = first_item(seg, &place);
		if (r == 0 && value)
			r = shm_value_read_while(seg, place.cell, place.seen, place.seen, value);
	} while (r == SHM_AGAIN);
	return r;
}

/* The item at a position. -ERROR_EMPTY: none is there. */
static int look_at(const struct shm_segment *seg, uint64_t position, struct shm_value *value)
{
	struct place place;
	int r;

	do {
		place = ring_look(seg, position);
		if (place.state != PLACE_HELD && place.state != PLACE_LEASED)
			return -ERROR_EMPTY;
		r = value ? shm_value_read_while(seg, place.cell, place.seen, place.seen, value) : 0;
	} while (r == SHM_AGAIN);
	return r;
}

int shm_ring_look(const struct shm_segment *seg, uint64_t *position, struct shm_value *value)
{
	uint64_t at = MAX(*position, load64_acquire(&shm_header(seg)->ring_head)), end = ring_end(seg);
	int r = -ERROR_EMPTY;

	/* No more items than places: the words may be anybody's scribbling. */
	end = MIN(end, at + seg->layout.params.max_elements);
	while (at < end && r == -ERROR_EMPTY)
		r = look_at(seg, at++, value);
	if (r == 0)
		*position = at;
	return r;
}

void shm_ring_range(const struct shm_segment *seg, uint64_t *head, uint64_t *tail)
{
	*head = ring_first(seg, UINT64_MAX);
	*tail = ring_end(seg);
}

/* Without leases the places from head to tail are all held: so many at a moment at which the head was here. */
static uint64_t count_range(const struct shm_segment *seg, uint64_t most)
{
	uint64_t head = 0, tail = 0;

	for (uint32_t tries = 0; tries < (most == UINT64_MAX ? LENGTH_TRIES : 1u); tries++) {
		head = ring_first(seg, most);
		tail = ring_end(seg);
		if (head == ring_first(seg, most))
			break;
	}
	return tail > head ? MIN(tail - head, seg->layout.params.max_elements) : 0;
}

void shm_ring_count(const struct shm_segment *seg, uint64_t most, struct shm_ring_count *count)
{
	uint64_t head, tail, passed = load64_acquire(&shm_header(seg)->ring_passed), looked = 0;

	*count = (struct shm_ring_count){0, 0};
	head = ring_first(seg, most);
	tail = ring_end(seg);
	if (head >= passed) {
		count->items = count_range(seg, most);
		return;
	}
	tail = MIN(tail, head + seg->layout.params.max_elements);
	for (; head < MIN(passed, tail) && looked < most; head++, looked++) {
		enum place_state state = ring_look(seg, head).state;

		count->items += state == PLACE_HELD || state == PLACE_LEASED;
		count->leased += state == PLACE_LEASED;
	}
	count->items += tail > head ? tail - head : 0;
}

uint64_t shm_ring_length(const struct shm_segment *seg)
{
	struct shm_ring_count count;

	shm_ring_count(seg, UINT64_MAX, &count);
	return count.items;
}

void shm_ring_grown(struct shm_segment *seg, uint64_t old, uint64_t tail)
{
	uint64_t end = load64_acquire(&shm_header(seg)->ring_tail);
	uint32_t count = 0;

	for (uint64_t position = tail; position <= end && count < GROWN_CELLS_MAX; position++, count++) {
		struct place place;
		uint64_t meta;

		if (position < old) /* the first round: nothing was full before it */
			continue;
		place = ring_look(seg, position - old);
		if (!place.committed || (place.state != PLACE_HELD && place.state != PLACE_LEASED))
			continue;
		meta = place.seen.meta;
		shm_mark(seg, place.cell, sizeof(*place.cell));
		/* When it fails it has been changed by another: then its sleepers are woken by him. */
		(void)cell_cas(place.cell, &place.seen,
			       (struct cell){ring_next(meta, ring_lap(meta), cell_tag(meta), cell_type(meta),
						       cell_own(meta)),
					     place.seen.value});
		shm_wait_wake_everybody(seg, place.cell);
	}
}
