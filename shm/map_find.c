/*
 * map_find.c: finding a key in order to change its element, and the key of an element.
 */
#include "shm/map_parts.h"

int shm_map_find(struct shm_session *session, const struct shm_key *key, struct shm_binding *binding)
{
	struct shm_segment *seg = session->seg;
	struct map_view view;
	int r;

	for (uint32_t tries = 0; tries < MAP_TRIES; tries++) {
		r = map_view(seg, &view);
		if (UNLIKELY(r < 0))
			return r;
		if (UNLIKELY(view.growing)) {
			r = shm_map_migrate_some(session);
			if (r < 0)
				return r;
		}
		r = map_search(seg, &view, key, binding);
		if (LIKELY(r != SHM_AGAIN))
			return r;
	}
	return -ERROR_CORRUPT;
}

/* The bytes of a long key; *size the whole length, even when the buffer is shorter. */
static bool copy_text(const struct shm_segment *seg, blob_ref ref, void *buffer, uint64_t capacity,
		      uint64_t *size)
{
	const void *text = shm_blob_look(seg, ref, size);

	if (!text || *size > KEY_MAX)
		return false;
	copy_from_shared(buffer, text, MIN(*size, capacity));
	return true;
}

/*
 * info, word, bytes, cell, info: an insert writes word before info, so the word was that of the first info's
 * binding or of a later one; when a later one's, so was the live cell, and then info at last is another.
 */
static int key_once(const struct shm_segment *seg, const struct element *element, struct shm_key *key,
		    void *buffer, uint64_t capacity, uint64_t *size, struct cell *seen)
{
	uint64_t info = load64_acquire(&element->key.info) & KEY_INFO_MASK;
	bool readable = true;

	*key = (struct shm_key){.kind = (enum key_kind)key_info_kind(info)};
	key->word = load64_acquire(&element->key.word);
	*size = 0;
	if (key->kind == KEY_STRING) {
		readable = copy_text(seg, key->word, buffer, capacity, size);
		key->text = buffer;
		key->size = (uint32_t)*size;
	} else if (key->kind == KEY_SHORT) {
		*size = shm_key_short_size(key->word);
	}
	fence_acquire();
	*seen = cell_load(&element->cell);
	fence_acquire();
	if (!tag_is_live(cell_tag(seen->meta)))
		return -ERROR_NOT_FOUND;
	if ((load64_relaxed(&element->key.info) & KEY_INFO_MASK) != info)
		return SHM_AGAIN;
	return readable && key->kind > KEY_NONE && key->kind <= KEY_STRING ? 0 : -ERROR_CORRUPT;
}

int shm_map_key_of(const struct shm_segment *seg, uint64_t element, struct shm_key *key, void *buffer,
		   uint64_t capacity, uint64_t *size, struct cell *seen)
{
	int r;

	if (!map_element_is_there(seg, element))
		return -ERROR_NOT_FOUND;
	for (uint32_t tries = 0; tries < MAP_TRIES; tries++) {
		r = key_once(seg, map_element(seg, element), key, buffer, capacity, size, seen);
		if (r == SHM_AGAIN)
			continue;
		if (r == 0 && key->kind != KEY_STRING)
			key->hash = shm_key_hash_word(seg, key->kind, key->word);
		else if (r == 0 && *size <= capacity)
			*key = shm_key_string(seg, buffer, (uint32_t)*size);
		return r;
	}
	return -ERROR_CORRUPT;
}
