/*
 * ring_places.h: the places of the queue, for the files that make it up (shm/ring.h).
 */
#ifndef EMS_SHM_RING_PLACES_H
#define EMS_SHM_RING_PLACES_H

#include "base/error.h"
#include "base/macros.h"
#include "shm/ring.h"
#include "shm/watch.h"

#define RING_LAP_SHIFT 32
#define RING_VERSION   0xfffull /* what is left of the version */

/* What the cell of a position is to it. */
enum place_state {
	PLACE_BEHIND,  /* still of an earlier lap: holds an item, or the heap is corrupt */
	PLACE_VACANT,  /* to be put into */
	PLACE_HELD,    /* has the position's item */
	PLACE_LEASED,  /* has it, but somebody is at work on it */
	PLACE_TAKEN,   /* the item has been taken, for good */
	PLACE_STRANGE, /* in no state that there is */
};

struct place {
	struct cell *cell, seen;
	enum place_state state;
	bool committed;
};

static inline uint32_t ring_lap(uint64_t meta)
{
	return (uint32_t)(meta >> RING_LAP_SHIFT);
}
static inline uint32_t ring_lap_of(const struct shm_segment *seg, uint64_t position)
{
	return (uint32_t)(position / seg->layout.params.max_elements);
}

/* The meta after a change: next version, another lap perhaps, W cleared. */
static inline uint64_t ring_next(uint64_t meta, uint32_t lap, enum tag tag, enum cell_type type, uint32_t own)
{
	uint64_t version = ((meta >> CELL_VERSION_SHIFT) + 1) & RING_VERSION;

	return (uint64_t)lap << RING_LAP_SHIFT | version << CELL_VERSION_SHIFT |
	       (uint64_t)own << CELL_OWN_SHIFT | (uint64_t)type << CELL_TYPE_SHIFT | tag;
}

static inline enum place_state ring_state(const struct shm_segment *seg, uint64_t position, uint64_t meta)
{
	/* Laps wrap around; none lives for half of them. */
	int32_t ahead = (int32_t)(ring_lap(meta) - ring_lap_of(seg, position));

	if (ahead != 0)
		return ahead > 0 ? PLACE_TAKEN : PLACE_BEHIND;
	switch (cell_tag(meta)) {
	case TAG_NONE:
	case TAG_EMPTY:
		return PLACE_VACANT;
	case TAG_FULL:
		return PLACE_HELD;
	case TAG_BUSY:
		return PLACE_LEASED;
	default:
		return PLACE_STRANGE;
	}
}

/* The cell and the lap of a position are one division when both are inline. */
static inline struct cell *ring_cell(const struct shm_segment *seg, uint64_t position)
{
	return (struct cell *)shm_area(seg, AREA_RING) + position % seg->layout.params.max_elements;
}

/* What is not committed is all zero, and must not be looked at. */
static inline struct place ring_look(const struct shm_segment *seg, uint64_t position)
{
	struct place place = {.cell = ring_cell(seg, position)};

	place.committed = shm_committed(seg, shm_offset(seg, place.cell));
	if (place.committed)
		place.seen = cell_load(place.cell);
	place.state = ring_state(seg, position, place.seen.meta);
	return place;
}

/* A cell that does not fit the word it was found by: the word has moved on since, or the heap makes no sense. */
static inline int ring_moved(const uint64_t *word, uint64_t position)
{
	return load64_acquire(word) != position ? SHM_AGAIN : -ERROR_CORRUPT;
}

/* The first position that has not been taken, of `most` that are looked at; and the first that has not been filled, which the word is at most one
 * behind. */
uint64_t ring_first(const struct shm_segment *seg, uint64_t most);
uint64_t ring_end(const struct shm_segment *seg);

/* ---- searching behind leased places: ring_search.c ---- */

struct ring_search {
	uint64_t position; /* where the search ended … */
	struct place place; /* … at an item (HELD), or where there are no more: VACANT, or BEHIND once round */
	struct pair hint;   /* for ring_found */
};

/*
 * Looks for the first item behind `head`, whose place is leased. *watch (may be NULL): those who have leases, when there
 * is no item. 0; SHM_AGAIN: the head has moved; -ERROR_CORRUPT. Stores nothing.
 */
int ring_search(const struct shm_segment *seg, uint64_t head, struct ring_search *search, struct shm_watch *watch);
/* The item found has been taken or leased: the next search begins behind it. Inside the step. */
void ring_found(struct shm_segment *seg, const struct ring_search *search);

#endif
