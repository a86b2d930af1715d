/*
 * ring.h: the queue of a heap: many producers, many consumers, any values, first in first out.
 *
 * Items have positions 0, 1, 2…; position p lies in cell p % max_elements of AREA_RING, in lap p / max_elements.
 * A cell's version says which lap it is in (high 32 bits) and moves on with each change (low 12 bits):
 *
 *      EMPTY lap n ──enqueue──► FULL lap n ──dequeue──► EMPTY lap n + 1          (all zero: EMPTY of lap 0)
 *                                │   ▲                     ▲
 *                          lease ▼   │ given back, death   │
 *                             BUSY lap n ──acknowledge─────┘
 *
 * Each arrow is one CAS of the cell, and there the operation takes effect. header.ring_tail and ring_head follow:
 * whoever finds one behind the cells moves it on, so a death between the two CASes holds nobody up. Nobody can put at
 * p + 1 before ring_tail is p + 1, so the tail is never more than one behind. The head moves only past items that were
 * taken for good; takers go from it over those that are leased, and over what was taken behind them
 * (shm/ring_search.c). So an item that comes back is in front of all that were enqueued after it.
 *
 * It holds as many items as the heap has elements: position p is open when p - elements has been taken for good. So
 * places that were taken behind a leased one count until its lease is ended.
 *
 * Blobs: named by INTENT_REPLACE with the cell, as elements' are: "the cell goes from nothing to new", "from old to
 * nothing". A reference never comes back, so recovery looks whether the cell has it now: then it belongs to
 * the queue; else, when no live slot names it, it belonged to the dead one. Text is copied before it is taken.
 *
 * Waiting: for an item on the place that is the next to be filled, for room on the cell whose item has to go. The change
 * wakes all. Models: tests/model/queue.pml, tests/model/lease.pml.
 */
#ifndef EMS_SHM_RING_H
#define EMS_SHM_RING_H

#include "shm/element.h"

/*
 * Puts call->argument at the end. *count (may be NULL): how many items are held now, this one included, though
 * others may have been taken before they are counted. 0; -ERROR_FULL with deadline 0, else waits for room;
 * TIMEOUT, CANCELLED, INTERRUPTED, NO_SPACE, BUDGET, CORRUPT, …: nothing was put.
 */
int shm_ring_put(struct shm_session *session, const struct shm_call *call, uint64_t *count);
/*
 * Takes the first item that is not leased into call->result (NULL: it is thrown away); with call->lease it becomes a lease
 * (for shm/lease.c). -ERROR_EMPTY with deadline 0, else waits; -ERROR_DEADLOCK: only an end of the session's own leases
 * could make something happen.
 */
int shm_ring_take(struct shm_session *session, const struct shm_call *call);
/* Copies the first item that is not leased without taking it. Stores nothing. -ERROR_EMPTY; CORRUPT, NO_MEMORY. */
int shm_ring_peek(const struct shm_segment *seg, struct shm_value *value);
/*
 * For looking at all items, one by one, from *position = 0: copies the first that lies at *position or behind it, leased or
 * not, and moves *position behind that. Stores nothing. -ERROR_EMPTY: there is none; CORRUPT, NO_MEMORY.
 */
int shm_ring_look(const struct shm_segment *seg, uint64_t *position, struct shm_value *value);
/*
 * How many items there are, leased ones included: at one moment of the call, as long as no item is leased, or was taken
 * behind a leased one that is there still; else they are counted one by one.
 */
uint64_t shm_ring_length(const struct shm_segment *seg);

struct shm_ring_count {
	uint64_t items, leased; /* items: all of them, also the leased ones */
};
/* The same with the leased ones apart; for those who must not take long, `most` places are looked at, and the rest are taken for
 * items. */
void shm_ring_count(const struct shm_segment *seg, uint64_t most, struct shm_ring_count *count);

/* ---- for shm/lease.c, inside the step that has ended the lease; both may be repeated ---- */

/* The item of that position is there again: takers must find it, and be woken. */
void shm_ring_given_back(struct shm_segment *seg, uint64_t position);
/* It is gone for good. */
void shm_ring_acknowledged(struct shm_segment *seg, uint64_t position);

/* ---- for check, growth and those who look at a quiet heap ---- */

/* Where the items are: positions *head to *tail, exclusive, with the cells' word. Among them may be taken ones. */
void shm_ring_range(const struct shm_segment *seg, uint64_t *head, uint64_t *tail);
/* The cell of a position; its unit may not be committed. */
/* The position whose item a place holds, by its cell alone. */
uint64_t shm_ring_position(const struct shm_segment *seg, uint64_t place, struct cell seen);
struct cell *shm_ring_cell(const struct shm_segment *seg, uint64_t position);
/* Does that cell hold the item of that position, leased or not? Has it been taken for good? */
bool shm_ring_holds(const struct shm_segment *seg, uint64_t position, struct cell seen);
bool shm_ring_is_taken(const struct shm_segment *seg, uint64_t position, struct cell seen);

/*
 * The number of elements has become larger than `old`, with ring_tail at `tail` before: those who wait for room
 * look again. Their cells change, so that one who is about to sleep does not.
 */
void shm_ring_grown(struct shm_segment *seg, uint64_t old, uint64_t tail);

#endif
