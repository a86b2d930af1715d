/*
 * map_move.c: bringing entries over to the next table.
 *
 * Each place of the old table is frozen (then nobody changes it any more), and what is LIVE there is copied
 * to the first EMPTY of its path in the next table, unless an entry of the same binding is there already,
 * LIVE or TOMB; then it is marked moved. Everyone may do every part at any time; a death after any store
 * leaves what the next one finds and goes on from:
 *
 *      frozen, not moved       anybody who comes along copies it
 *      copied, not moved       anybody finds the copy and marks it
 *      moved                   done
 *
 * Two copiers of one binding walk the same path and meet at its first EMPTY, and a tombstone tells which
 * binding it was: so a late copier cannot bring a deleted binding back to life.
 */
#include "shm/map_parts.h"

#define BLOCK	     128u /* places that an operation brings over at a time */
#define CHECK_BLOCKS 32u  /* blocks that it checks at a time in the end */

bool map_entry_hash(const struct shm_segment *seg, uint64_t slot, uint64_t *hash)
{
	uint64_t number = map_slot_element(slot), info, word, size;
	const struct element *element;
	const void *text;

	if (!map_element_is_there(seg, number))
		return false;
	element = map_element(seg, number);
	info = load64_acquire(&element->key.info);
	word = load64_acquire(&element->key.word);
	if (key_info_binding(info) != map_slot_binding(slot))
		return false;
	switch (key_info_kind(info)) {
	case KEY_INTEGER:
	case KEY_FLOAT:
	case KEY_BOOLEAN:
	case KEY_SHORT:
		*hash = shm_key_hash_word(seg, (enum key_kind)key_info_kind(info), word);
		return true;
	case KEY_STRING:
		text = shm_blob_look(seg, word, &size);
		if (!text || size > KEY_MAX)
			return false;
		*hash = shm_key_hash_shared(seg, text, size);
		return true;
	default:
		return false;
	}
}

static void mark_moved(struct shm_segment *seg, uint64_t *place, uint64_t slot)
{
	/* A plain store would do: a frozen slot changes in this one way only. But a scribbled one may not be
	 * frozen. */
	shm_mark(seg, place, sizeof(*place));
	while (!(slot & MAP_MOVED) && !cas64(place, &slot, slot | MAP_MOVED))
		continue;
}

/* 0: an entry of the binding is in the table. */
static int copy_entry(struct shm_segment *seg, const struct map_view *view, uint64_t entry, uint64_t hash)
{
	const struct map_table *table = &view->next;

	for (uint64_t i = 0; i <= table->mask; i++) {
		uint64_t *place = map_place(table, hash, i), slot = load64_acquire(place);

		while (slot == MAP_EMPTY) {
			shm_mark(seg, place, sizeof(*place));
			if (cas64(place, &slot, entry & ~(MAP_FROZEN | MAP_MOVED))) {
				map_count(seg, table, place);
				return 0;
			}
		}
		if (map_slot_state(slot) == MAP_EMPTY) /* frozen: this view is out of date */
			break;
		if (map_slot_same(slot, entry))
			return 0;
	}
	return map_view_is_stale(seg, view) ? SHM_AGAIN : -ERROR_CORRUPT;
}

int map_move(struct shm_segment *seg, const struct map_view *view, uint64_t *place)
{
	uint64_t entry = load64_acquire(place), hash, slot;
	bool readable = map_entry_hash(seg, entry, &hash);
	int r;

	fence_acquire();
	slot = load64_acquire(place);
	if (slot & MAP_MOVED)
		return 0;
	if (readable) {
		r = copy_entry(seg, view, entry, hash);
		if (r != 0)
			return r;
	}
	/* An entry that is not moved and leads to no key at all was scribbled: it is dropped, or no growth
	 * would ever end. check finds its element. */
	mark_moved(seg, place, slot);
	return 0;
}

int map_freeze(struct shm_segment *seg, const struct map_view *view, uint64_t *place, uint64_t *slot)
{
	*slot = load64_acquire(place);
	while (!(*slot & MAP_FROZEN)) {
		shm_mark(seg, place, sizeof(*place));
		if (cas64(place, slot, *slot | MAP_FROZEN))
			*slot |= MAP_FROZEN;
	}
	if (map_slot_state(*slot) != MAP_LIVE || *slot & MAP_MOVED)
		return 0;
	return map_move(seg, view, place);
}

int map_freeze_path(struct shm_segment *seg, const struct map_view *view, uint64_t hash)
{
	const struct map_table *table = &view->current;

	for (uint64_t i = 0; i <= table->mask; i++) {
		uint64_t slot;
		int r = map_freeze(seg, view, map_place(table, hash, i), &slot);

		if (r != 0)
			return r;
		if (map_slot_state(slot) == MAP_EMPTY)
			break;
	}
	return 0;
}

/* ---- whole tables, a block at a time ---- */

static uint64_t block_size(const struct map_table *table)
{
	return MIN(table->mask + 1, (uint64_t)BLOCK);
}

static int freeze_block(struct shm_segment *seg, const struct map_view *view, uint64_t block)
{
	uint64_t size = block_size(&view->current), slot, *place = view->current.slots + block * size;
	int r;

	for (uint64_t i = 0; i < size; i++) {
		slot = load64_relaxed(&place[i]);
		if (map_slot_state(slot) == MAP_LIVE && map_element_is_there(seg, map_slot_element(slot)))
			__builtin_prefetch(map_element(seg, map_slot_element(slot)));
	}
	for (uint64_t i = 0; i < size; i++) {
		r = map_freeze(seg, view, &place[i], &slot);
		if (r != 0)
			return r;
	}
	return 0;
}

/* The next block that nobody has begun. The sequence in the cursor says which growth it counts for. */
static bool take_block(const struct shm_segment *seg, const struct map_view *view, uint64_t blocks,
		       uint64_t *block)
{
	uint64_t *cursor = &shm_header(seg)->map_cursor, sequence = map_word_sequence(view->word);
	uint64_t seen = load64_relaxed(cursor);

	for (;;) {
		*block = seen >> 32 == sequence ? (uint32_t)seen : 0;
		if (*block >= blocks)
			return false;
		if (cas64(cursor, &seen, sequence << 32 | (*block + 1)))
			return true;
	}
}

/*
 * Who began a block may have died in it. So whoever ends the growth has seen each place frozen and moved
 * itself, some blocks on each call; such places never change any more.
 */
static int check_some(struct shm_session *session, const struct map_view *view, uint64_t blocks)
{
	int r;

	if (session->map_checked_word != view->word) {
		session->map_checked_word = view->word;
		session->map_checked = 0;
	}
	for (uint32_t n = 0; n < CHECK_BLOCKS && session->map_checked < blocks; n++) {
		r = freeze_block(session->seg, view, session->map_checked);
		if (r != 0)
			return r;
		session->map_checked++;
	}
	if (session->map_checked == blocks) {
		uint64_t word = view->word;

		/* Takes effect here: the next table is the only one. Fails when another was faster. */
		(void)cas64(&shm_header(session->seg)->map, &word,
			    map_word(map_word_sequence(word) + 1, view->next.id, 0));
	}
	return 0;
}

int shm_map_migrate_some(struct shm_session *session)
{
	struct map_view view;
	uint64_t blocks, block;
	int r = map_view(session->seg, &view);

	if (r < 0 || !view.growing)
		return r;
	blocks = (view.current.mask + 1) / block_size(&view.current);
	if (take_block(session->seg, &view, blocks, &block))
		r = freeze_block(session->seg, &view, block);
	else
		r = check_some(session, &view, blocks);
	return r == SHM_AGAIN ? 0 : r;
}
