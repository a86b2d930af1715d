/*
 * From index to key and back, and iteration.
 *
 * Elements never move: a key stays at its index until it is deleted. So iterating is walking the indexes,
 * whatever the map does meanwhile, and a key that is there throughout is met exactly once. Each step looks
 * at one element without storing anything.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "client/failure.h"
#include "client/key.h"
#include "client/value.h"
#include "shm/map.h"

/* How often one element is looked at again while others keep changing it, before it counts as corrupt. */
#define LOOKS 1000000

struct ems_iterator {
	ems_heap_t *heap;
	uint64_t index;	  /* to be looked at next */
	bool ended;	  /* what comes into being later is not met any more */
	ems_value_t text; /* holds the last key's text */
};

int ems_key_to_index(ems_heap_t *heap, ems_key_t key, uint64_t *index)
{
	struct shm_binding binding;
	struct shm_target target;
	struct shm_key resolved;
	int r = heap_check(heap, "key_to_index");

	if (r < 0)
		return r;
	r = key_resolve(heap, &key, &resolved, &target);
	if (r == 0 && target.key)
		r = shm_map_look(heap_segment(heap), target.key, &binding);
	if (r < 0)
		return failure_at(r == -ERROR_NOT_FOUND ? -ERROR_NO_KEY : r, heap, "key_to_index", &key);
	if (index)
		*index = target.key ? binding.element : target.index;
	return 0;
}

/* A short key is a string of up to 8 bytes without NUL, padded with NUL. */
static int short_key(uint64_t word, ems_key_t *key, ems_value_t *buffer)
{
	int r = value_reserve(buffer, sizeof(word));

	if (r < 0)
		return r;
	memcpy(buffer->data, &word, sizeof(word));
	((char *)buffer->data)[sizeof(word)] = '\0';
	buffer->size = strlen(buffer->data);
	*key = ems_key_bytes(buffer->data, buffer->size);
	return 0;
}

static int convert_key(const struct shm_key *from, uint64_t size, ems_key_t *key, ems_value_t *buffer)
{
	double number;

	switch (from->kind) {
	case KEY_INTEGER:
		*key = ems_index((int64_t)from->word);
		return 0;
	case KEY_FLOAT:
		memcpy(&number, &from->word, sizeof(number));
		*key = ems_key_float(number);
		return 0;
	case KEY_BOOLEAN:
		*key = ems_key_boolean(from->word != 0);
		return 0;
	case KEY_SHORT:
		return short_key(from->word, key, buffer);
	case KEY_STRING:
		buffer->size = size;
		((char *)buffer->data)[size] = '\0';
		*key = ems_key_bytes(buffer->data, size);
		return 0;
	default:
		return -ERROR_CORRUPT;
	}
}

int key_of_element(const struct shm_segment *segment, uint64_t index, ems_key_t *key, ems_value_t *buffer,
		   struct cell *_seen)
{
	struct shm_key found;
	uint64_t size = 0;
	int r;

	buffer->type = EMS_STRING;
	do {
		size = 0;
		r = shm_map_key_of(segment, index, &found, buffer->data,
				   buffer->capacity ? buffer->capacity - 1 : 0, &size, _seen);
		if (r < 0)
			return r;
		if (found.kind != KEY_STRING || size < buffer->capacity)
			return convert_key(&found, size, key, buffer);
		r = size > KEY_MAX ? -ERROR_CORRUPT : value_reserve(buffer, size);
	} while (r == 0);
	return r;
}

int ems_index_to_key(ems_heap_t *heap, uint64_t index, ems_key_t *key, ems_value_t *buffer)
{
	ems_key_t at = ems_index((int64_t)index);
	struct cell seen;
	int r = heap_check(heap, "index_to_key");

	if (r < 0)
		return r;
	if (!key || !buffer)
		return failure_say(-ERROR_INVALID, "index_to_key: no place for the key");
	if (index >= shm_elements(heap_segment(heap)))
		return failure_at(-ERROR_RANGE, heap, "index_to_key", &at);
	if (!heap->has_map) {
		*key = at;
		return 0;
	}
	r = key_of_element(heap_segment(heap), index, key, buffer, &seen);
	return r < 0 ? failure_at(r == -ERROR_NOT_FOUND ? -ERROR_NO_KEY : r, heap, "index_to_key", &at) : 0;
}

/* ---- iteration ---- */

int ems_iterate(ems_heap_t *heap, ems_iterator_t **_iterator)
{
	struct ems_iterator *iterator;
	int r = heap_check(heap, "iterate");

	if (r < 0)
		return r;
	if (!_iterator)
		return failure_say(-ERROR_INVALID, "iterate: no place for the iterator");
	iterator = calloc(1, sizeof(*iterator));
	if (!iterator)
		return failure_of(-ERROR_NO_MEMORY);
	iterator->heap = heap;
	*_iterator = iterator;
	return 0;
}

/* Key and value of one element together: the value is that of the very cell that had the key. */
static int look_both(ems_iterator_t *iterator, uint64_t index, ems_key_t *key, ems_value_t *value)
{
	struct shm_segment *segment = heap_segment(iterator->heap);
	struct cell seen;
	int r = SHM_AGAIN;

	for (int i = 0; i < LOOKS && r == SHM_AGAIN; i++) {
		r = key_of_element(segment, index, key, &iterator->text, &seen);
		if (r < 0 || !value)
			return r;
		r = shm_value_read(segment, shm_cell(segment, index), seen, value_out(value));
	}
	return r == SHM_AGAIN ? -ERROR_CORRUPT : r;
}

static int next_with_map(ems_iterator_t *iterator, ems_key_t *key, ems_value_t *value)
{
	const struct shm_segment *segment = heap_segment(iterator->heap);
	uint64_t per_unit = UNIT >> segment->layout.element_shift;
	int r;

	while (iterator->index < shm_map_element_limit(segment)) {
		uint64_t index = iterator->index;

		/* Of a unit that nobody has used yet nothing need be looked at. */
		if (!segment->elements_whole &&
		    !shm_committed(segment, shm_offset(segment, shm_cell(segment, index)))) {
			iterator->index += per_unit - index % per_unit;
			continue;
		}
		iterator->index++;
		r = look_both(iterator, index, key, value);
		if (r != -ERROR_NOT_FOUND)
			return r;
	}
	return -ERROR_EMPTY;
}

static int next_index(ems_iterator_t *iterator, ems_key_t *key, ems_value_t *value)
{
	if (iterator->index >= shm_elements(heap_segment(iterator->heap)))
		return -ERROR_EMPTY;
	*key = ems_index((int64_t)iterator->index++);
	return value ? ems_read(iterator->heap, *key, value) : 0;
}

int ems_iterator_next(ems_iterator_t *iterator, ems_key_t *key, ems_value_t *value)
{
	ems_key_t found;
	int r = heap_check(iterator ? iterator->heap : NULL, "iterator_next");

	if (r < 0)
		return r;
	if (iterator->ended)
		r = -ERROR_EMPTY;
	else if (iterator->heap->has_map)
		r = next_with_map(iterator, &found, value);
	else
		r = next_index(iterator, &found, value);
	iterator->ended = r == -ERROR_EMPTY;
	if (r < 0)
		return failure_at(r, iterator->heap, "iterator_next", NULL);
	if (key)
		*key = found;
	return 0;
}

void ems_iterator_free(ems_iterator_t *iterator)
{
	if (!iterator)
		return;
	ems_value_clear(&iterator->text);
	free(iterator);
}
