/*
 * map_look.c: finding a key without storing anything.
 *
 * Why what is found is right. A key's entry is put into the map before the element's cell becomes live, and
 * made a tombstone only after the cell is DELETED: a live cell is in the map. And the map holds a key at most
 * once. So when an element's cell is live at a moment at which its key is the one looked for, that is the
 * key's element at that moment, whatever table led there, frozen, moved or out of date.
 *
 * The key cannot be read together with the cell in one access. But word, then info with the new binding, are
 * written while the cell is reserved. A LIVE slot was loaded first, so the word is that of its binding or of a
 * later one; if it was a later one's, so was the cell loaded after it, and when that was live or DELETED, so
 * is the info loaded at last. So the same binding in info says that word and cell were this binding's. (A
 * reserved cell may be the next binding's, which has not written its info yet.)
 *
 * Why what is not found was not there. A present key's entry stands between its home place and the first
 * EMPTY of its path, and non-EMPTY places stay what they are. It is put into the next table only
 * after its whole path in the current one, the EMPTY at the end included, is frozen. So at the moment at
 * which an EMPTY that is not frozen is loaded, the key is in no table, and at that of a frozen one it is in
 * the next table or nowhere. This holds while the tables are the current ones, which the map word at the end
 * says.
 */
#include "shm/map_parts.h"

enum map_sight map_sight(const struct shm_segment *seg, const struct shm_key *key, uint64_t slot,
			 struct shm_binding *binding)
{
	uint64_t number = map_slot_element(slot), word;
	const struct element *element;

	if (UNLIKELY(!map_element_is_there(seg, number)))
		return SIGHT_OTHER;
	element = map_element(seg, number);
	word = load64_acquire(&element->key.word);
	if (key->kind == KEY_STRING) {
		/* The kind says whether the word is a reference at all; a stale one is refused. */
		if (key_info_kind(load64_relaxed(&element->key.info)) != KEY_STRING ||
		    !shm_key_text_equal(seg, word, key))
			return SIGHT_OTHER;
		fence_acquire();
	} else if (word != key->word) {
		return SIGHT_OTHER;
	}
	binding->element = number;
	binding->cell = (struct cell *)&element->cell;
	binding->seen = cell_load(&element->cell);
	binding->map_slot = NULL;
	binding->slot_seen = slot;
	fence_acquire();
	if ((load64_relaxed(&element->key.info) & KEY_INFO_MASK) !=
	    key_info(map_slot_binding(slot), key->kind))
		return SIGHT_OTHER;
	if (tag_is_live(cell_tag(binding->seen.meta)))
		return SIGHT_LIVE;
	if (tag_is_reserved(cell_tag(binding->seen.meta)))
		return SIGHT_RESERVED;
	return cell_tag(binding->seen.meta) == TAG_DELETED ? SIGHT_DELETED : SIGHT_OTHER;
}

/* Where the path ended when the key was not on it. */
enum path_end { END_OPEN, END_FROZEN };

static int search_table(const struct shm_segment *seg, const struct map_table *table,
			const struct shm_key *key, struct shm_binding *binding, enum path_end *end)
{
	uint64_t print = map_print(key->hash);

	*end = END_FROZEN; /* a table without an EMPTY takes no new entry, as if it were frozen */
	for (uint64_t i = 0; i <= table->mask; i++) {
		uint64_t *place = map_place(table, key->hash, i);
		uint64_t slot = load64_acquire(place);

		if (map_slot_state(slot) == MAP_EMPTY) {
			*end = slot & MAP_FROZEN ? END_FROZEN : END_OPEN;
			return -ERROR_NOT_FOUND;
		}
		if (!map_slot_may_be(slot, print))
			continue;
		/* Reserved or deleted: not bound at that moment, unless anew further on. */
		if (map_sight(seg, key, slot, binding) == SIGHT_LIVE) {
			binding->map_slot = place;
			return 0;
		}
	}
	return -ERROR_NOT_FOUND;
}

int map_search(const struct shm_segment *seg, const struct map_view *view, const struct shm_key *key,
	       struct shm_binding *binding)
{
	enum path_end end;
	int r = search_table(seg, &view->current, key, binding, &end);

	if (LIKELY(r != -ERROR_NOT_FOUND))
		return r;
	if (end == END_FROZEN && view->growing) {
		r = search_table(seg, &view->next, key, binding, &end);
		if (r != -ERROR_NOT_FOUND)
			return r;
	}
	/* A table that was cleared for another life, or that has a successor, says nothing about absence. */
	fence_acquire();
	return map_view_is_stale(seg, view) ? SHM_AGAIN : -ERROR_NOT_FOUND;
}

int shm_map_look(const struct shm_segment *seg, const struct shm_key *key, struct shm_binding *binding)
{
	struct map_view view;
	int r;

	for (uint32_t tries = 0; tries < MAP_TRIES; tries++) {
		r = map_view(seg, &view);
		if (UNLIKELY(r < 0))
			return r;
		r = map_search(seg, &view, key, binding);
		if (UNLIKELY(r == SHM_AGAIN))
			continue;
		binding->map_slot = NULL;
		return r;
	}
	return -ERROR_CORRUPT;
}
