/*
 * map_parts.h: what the files of the key map share among themselves. The model and its words: shm/map.h.
 *
 * All functions here that store run inside a step, with `session` that of the caller, or NULL when the
 * daemon recovers. They believe nothing that they read: an element's number is checked before it is used as
 * an index, a table's id before it is looked at, every probe ends after as many places as the table has.
 */
#ifndef SHM_MAP_PARTS_H
#define SHM_MAP_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/macros.h"
#include "shm/map.h"
#include "shm/map_words.h"
#include "shm/storage.h"

/* How often a function starts over by itself, because something moved under it, before it calls the map
 * corrupt. */
#define MAP_TRIES 10000u

struct map_table {
	uint64_t *slots;
	uint64_t mask;	/* slots − 1 */
	uint32_t shift; /* hash >> shift is the home place */
	uint32_t id;
};

/* The tables in use at one moment. */
struct map_view {
	uint64_t word; /* header.map at that moment */
	bool growing;
	struct map_table current, next; /* next: only when growing */
};

static inline struct map_table map_table(const struct shm_segment *seg, uint32_t id)
{
	uint32_t log2 = seg->layout.table_slots_log2 + id / 2;

	return (struct map_table){.slots = shm_at(seg, layout_table_offset(&seg->layout, id)),
				  .mask = (UINT64_C(1) << log2) - 1,
				  .shift = 64 - log2,
				  .id = id};
}

/* May the table be touched? Tables are committed whole: the first and the last place tell. */
static inline bool map_table_is_committed(const struct shm_segment *seg, const struct map_table *table)
{
	return shm_committed(seg, shm_offset(seg, table->slots)) &&
	       shm_committed(seg, shm_offset(seg, table->slots + table->mask));
}

/* 0, or -ERROR_CORRUPT: the map word makes no sense. */
static inline int map_view(const struct shm_segment *seg, struct map_view *view)
{
	uint64_t word = load64_acquire(&shm_header(seg)->map);
	uint32_t current = map_word_current(word), next_plus_1 = map_word_next_plus_1(word);

	if (UNLIKELY(current >= seg->layout.tables || next_plus_1 > seg->layout.tables))
		return -ERROR_CORRUPT;
	view->word = word;
	view->current = map_table(seg, current);
	if (UNLIKELY(!map_table_is_committed(seg, &view->current)))
		return -ERROR_CORRUPT;
	view->growing = next_plus_1 != 0;
	if (LIKELY(!view->growing))
		return 0;
	view->next = map_table(seg, next_plus_1 - 1);
	if (next_plus_1 - 1 == current || !map_table_is_committed(seg, &view->next))
		return -ERROR_CORRUPT;
	return 0;
}

static inline bool map_view_is_stale(const struct shm_segment *seg, const struct map_view *view)
{
	return load64_acquire(&shm_header(seg)->map) != view->word;
}

static inline uint64_t *map_place(const struct map_table *table, uint64_t hash, uint64_t distance)
{
	return table->slots + (((hash >> table->shift) + distance) & table->mask);
}

static inline struct element *map_element(const struct shm_segment *seg, uint64_t element)
{
	return (struct element *)shm_cell(seg, element);
}

/* May this number from the segment be used as an element, and its memory be touched? */
static inline bool map_element_is_there(const struct shm_segment *seg, uint64_t element)
{
	return element < seg->layout.params.max_elements &&
	       (seg->elements_whole || shm_committed(seg, shm_offset(seg, shm_cell(seg, element))));
}

/* ---- key.c ---- */

uint64_t shm_key_hash_word(const struct shm_segment *seg, enum key_kind kind, uint64_t word);
uint64_t shm_key_hash_shared(const struct shm_segment *seg, const void *text, uint64_t size);
uint32_t shm_key_short_size(uint64_t word); /* bytes of a KEY_SHORT */
/* Are the bytes of the blob those of key? False for a blob that is not there. */
bool shm_key_text_equal(const struct shm_segment *seg, blob_ref ref, const struct shm_key *key);

/* ---- map_look.c ---- */

enum map_sight {
	SIGHT_OTHER,	/* another key, or a binding that has ended */
	SIGHT_LIVE,	/* the key's, live */
	SIGHT_DELETED,	/* the key's, marked deleted; the slot may lead there still */
	SIGHT_RESERVED, /* reserved by the key's insert, or, if the binding has ended, by another */
};

/*
 * What a LIVE slot with the key's print leads to. Stores nothing. For LIVE and DELETED, binding is filled in
 * (not map_slot), and binding->seen was the cell at a moment when the element was bound to the key. For RESERVED the
 * same, if the slot is still LIVE and not frozen afterwards.
 */
enum map_sight map_sight(const struct shm_segment *seg, const struct shm_key *key, uint64_t slot,
			 struct shm_binding *binding);

/*
 * Looks for the key, storing nothing. 0: live; -ERROR_NOT_FOUND: it was not bound to a live element at one
 * moment during the call; SHM_AGAIN: the tables changed.
 */
int map_search(const struct shm_segment *seg, const struct map_view *view, const struct shm_key *key,
	       struct shm_binding *binding);

/* ---- map_insert.c ---- */

/*
 * Makes a reserved cell live, on behalf of whoever reserved it, unless that has been done. Its key must be in
 * the map. *seen: in, the reservation; out, what the cell was at the moment when it became live.
 */
void map_make_live(struct shm_segment *seg, struct cell *cell, struct cell *seen);

/* ---- map_delete.c ---- */

/* Turns the entry `slot` (a binding of the hash's path) into a tombstone wherever it is. 0, also when it is
 * one or is not there; -ERROR_CORRUPT. */
int map_bury(struct shm_segment *seg, uint64_t hash, uint64_t slot);
/* cell DELETED or RESERVED as seen → NONE, wakes, and notes the element as free. */
void map_free_cell(struct shm_segment *seg, uint64_t element, struct cell *cell, struct cell seen);

/* ---- map_grow.c ---- */

/* Adds a new entry at place to the count that says when to grow. */
void map_count(struct shm_segment *seg, const struct map_table *table, const uint64_t *place);
/* Is the current table loaded so far, or a path through tombs so long, that it should be replaced? */
bool map_is_loaded(const struct shm_segment *seg, const struct map_table *table, uint64_t tombs);
/* Publishes a next table. 0, SHM_AGAIN, SHM_NEED (session->need). */
int map_start_growth(struct shm_session *session, const struct map_view *view);

/* ---- map_move.c ---- */

/*
 * The hash of the key of the binding that the slot (any state) leads to. False: the binding has ended, or its
 * key makes no sense. When the slot is found unmoved after this call, the hash is right: a deleter has the
 * entry moved before it releases the key.
 */
bool map_entry_hash(const struct shm_segment *seg, uint64_t slot, uint64_t *hash);

/* Freezes the path of hash in the current table and brings what is LIVE there over to the next.
 * 0, SHM_AGAIN (the tables changed), -ERROR_CORRUPT. */
int map_freeze_path(struct shm_segment *seg, const struct map_view *view, uint64_t hash);
/* Brings over what the LIVE frozen slot at place leads to. The same results. */
int map_move(struct shm_segment *seg, const struct map_view *view, uint64_t *place);
/* Freezes place and brings it over. *slot: what it holds. The same results. */
int map_freeze(struct shm_segment *seg, const struct map_view *view, uint64_t *place, uint64_t *slot);

/* ---- map_element.c ---- */

/* A free element, not reserved yet: the caller's CAS on its cell decides. *seen: its cell.
 * 0; SHM_NEED; -ERROR_FULL. */
int map_element_take(struct shm_session *session, uint64_t *element, struct cell *seen);
/* The element that was taken is named in the slot's intent now: it need not be offered again. */
void map_element_used(struct shm_session *session, uint64_t element);
/* Notes that the element may be free. */
void map_element_hint(struct shm_segment *seg, uint64_t element);
/* The same for this thread, which takes it again first. */
void map_element_keep(struct shm_session *session, uint64_t element);
/* Turns a slot's set-apart elements and claim into hints. Its owner does so, or a recoverer. */
void map_element_return(struct shm_segment *seg, struct slot *slot);

#endif
