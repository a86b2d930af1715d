/*
 * Finding the first item of the queue behind places that are leased.
 *
 * Takers go from the head over what is leased or taken. So that a thousand leases do not cost each of them a thousand
 * looks, header.ring_search says where to begin: no item is in front of it. It is only a hint. Whoever finds
 * nothing from there on begins again at the head, before it says that there is nothing; so no item can be out of reach,
 * whatever the hint says and whoever died.
 *
 *      taker      h = hint; search; take at p; hint: h → {p + 1, same generation}
 *      give back  cell → FULL; hint → {the lower of both, next generation}; wake takers
 *
 * The generation makes a taker fail that has searched before an item came back in front of p.
 *
 * Those who find nothing sleep on the place where the next item will be put, and an item that comes back must wake them
 * there. They set W there before the search that is to be the last one, and sleep only if the place has not changed since;
 * who gives back changes the place after its item can be seen.
 */
#include "shm/ring_places.h"
#include "shm/wait.h"

static struct pair *hint_of(const struct shm_segment *seg)
{
	return (struct pair *)(void *)shm_header(seg)->ring_search;
}

/* From `start` to an item, or to where there are no more. */
static int look_from(const struct shm_segment *seg, uint64_t head, uint64_t start, struct ring_search *search,
		     struct shm_watch *watch)
{
	uint64_t once_round = head + seg->layout.params.max_elements;

	for (search->position = start; search->position != once_round; search->position++) {
		search->place = ring_look(seg, search->position);
		if (search->place.state == PLACE_HELD || search->place.state == PLACE_VACANT)
			return 0;
		if (search->place.state == PLACE_LEASED && watch)
			shm_watch_add(watch, cell_own(search->place.seen.meta));
		else if (search->place.state != PLACE_LEASED && search->place.state != PLACE_TAKEN)
			return ring_moved(&shm_header(seg)->ring_head, head);
	}
	/* The head's own cell: of an earlier lap while its item is leased. */
	search->place = ring_look(seg, once_round);
	if (search->place.state == PLACE_BEHIND || search->place.state == PLACE_VACANT)
		return 0;
	return SHM_AGAIN; /* that has ended meanwhile, and the place has been filled again */
}

int ring_search(const struct shm_segment *seg, uint64_t head, struct ring_search *search, struct shm_watch *watch)
{
	const struct pair *hint = hint_of(seg);
	uint64_t ahead;

	/* The generation first: a position that is older than it makes ring_found fail, no more. */
	search->hint.high = load64_acquire(&hint->high);
	search->hint.low = load64_acquire(&hint->low);
	ahead = search->hint.low - head;
	if (ahead > 1 && ahead < seg->layout.params.max_elements &&
	    look_from(seg, head, search->hint.low, search, NULL) == 0 && search->place.state == PLACE_HELD)
		return 0;
	if (watch) {
		watch->count = 0;
		shm_watch_add(watch, cell_own(ring_look(seg, head).seen.meta));
	}
	return look_from(seg, head, head + 1, search, watch);
}

void ring_found(struct shm_segment *seg, const struct ring_search *search)
{
	struct pair expected = search->hint;

	/* A death before it: the next one searches longer. */
	if (search->hint.low < search->position + 1)
		(void)cas_pair(hint_of(seg), &expected, (struct pair){search->position + 1, search->hint.high});
}

static void lower_hint(struct shm_segment *seg, uint64_t position)
{
	struct pair *hint = hint_of(seg), seen = {load64_acquire(&hint->low), load64_acquire(&hint->high)};

	for (;;) {
		uint64_t lower = MIN(seen.low, position);

		if (cas_pair(hint, &seen, (struct pair){lower, seen.high + 1}))
			return;
	}
}

/* Those who sleep for want of items do so on the place that is the next to be filled. */
static void wake_takers(struct shm_segment *seg)
{
	for (;;) {
		struct place place = ring_look(seg, ring_end(seg));
		uint64_t meta = place.seen.meta;

		/* Who sets W from now on searches after that, and finds the item. */
		if (!place.committed || !(meta & CELL_W))
			return;
		shm_mark(seg, place.cell, sizeof(*place.cell));
		if (!cell_cas(place.cell, &place.seen,
			      (struct cell){ring_next(meta, ring_lap(meta), cell_tag(meta), cell_type(meta),
						      cell_own(meta)),
					    place.seen.value}))
			continue;
		shm_wait_wake_everybody(seg, place.cell);
		return;
	}
}

void shm_ring_given_back(struct shm_segment *seg, uint64_t position)
{
	lower_hint(seg, position);
	wake_takers(seg);
}
