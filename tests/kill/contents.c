/* Reading and comparing contents: see contents.h. */
#include "tests/kill/contents.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "shm/element.h"
#include "shm/ring.h"
#include "shm/stack.h"

/* Keys of items: far from indexes, and from hashes but for chance. */
#define QUEUE_ITEM UINT64_C(0xeeee000000000000)
#define STACK_ITEM UINT64_C(0xdddd000000000000)

static uint64_t hash_bytes(const void *data, size_t size)
{
	const uint8_t *bytes = data;
	uint64_t hash = size * 0x9e3779b97f4a7c15u + 0x51ed270b, word;

	for (; size >= 8; size -= 8, bytes += 8) {
		memcpy(&word, bytes, 8);
		hash = (hash ^ word) * 0xd6e8feb86659fd93u;
		hash ^= hash >> 29;
	}
	for (; size > 0; size--, bytes++)
		hash = (hash ^ *bytes) * 0x100000001b3u;
	return hash ^ hash >> 32;
}

static uint64_t value_hash(const struct shm_value *value)
{
	switch ((enum cell_type)value->type) {
	case TYPE_BOOLEAN:
		return value->boolean;
	case TYPE_INTEGER:
		return (uint64_t)value->integer;
	case TYPE_FLOAT:
		return hash_bytes(&value->number, sizeof(value->number));
	case TYPE_STRING:
	case TYPE_JSON:
	case TYPE_BYTES:
		return hash_bytes(value->data, value->size);
	default:
		return 0;
	}
}

static struct entry *new_entry(struct contents *contents)
{
	if (contents->count == contents->room) {
		size_t room = contents->room ? contents->room * 2 : 64;
		struct entry *entries = reallocarray(contents->entries, room, sizeof(*entries));

		if (!entries)
			abort();
		contents->entries = entries;
		contents->room = room;
	}
	return memset(&contents->entries[contents->count++], 0, sizeof(struct entry));
}

static int read_value(struct shm_segment *seg, struct cell *cell, struct cell seen, struct entry *entry)
{
	static struct shm_value value; /* its buffer is used again and again */
	int r = shm_value_read(seg, cell, seen, &value);

	if (r != 0)
		return r < 0 ? r : -ERROR_CORRUPT; /* nobody else is at work: it cannot have moved */
	entry->value = value_hash(&value);
	entry->form = value.type | (uint64_t)cell_tag(seen.meta) << 8;
	if (type_has_blob((enum cell_type)value.type))
		entry->form |= (uint64_t)value.size << 16;
	return 0;
}

static int read_key(struct shm_segment *seg, uint64_t index, struct entry *entry, struct cell *seen)
{
	static uint8_t text[KEY_MAX + 1];
	struct shm_key key;
	uint64_t size = 0;
	int r = shm_map_key_of(seg, index, &key, text, sizeof(text), &size, seen);

	if (r < 0)
		return r;
	entry->key = key.kind == KEY_STRING ? hash_bytes(text, size)
					    : key.word * 0x9e3779b97f4a7c15u + (uint64_t)key.kind;
	return 0;
}

static int read_element(struct contents *contents, struct shm_segment *seg, uint64_t index, bool with_index)
{
	struct cell *cell = shm_cell(seg, index), seen = cell_load(cell);
	struct entry *entry;
	int r;

	if (cell_tag(seen.meta) == TAG_NONE)
		return 0;
	entry = new_entry(contents);
	if (!seg->layout.params.has_map) {
		entry->key = index;
		return read_value(seg, cell, seen, entry);
	}
	r = read_key(seg, index, entry, &seen);
	if (r < 0)
		return r;
	entry->index = with_index ? index : 0;
	return read_value(seg, cell, seen, entry);
}

/* An item of the queue or the stack; its place in the order is its key. */
static int read_item(struct contents *contents, struct shm_segment *seg, uint64_t key, struct cell item)
{
	struct entry *entry = new_entry(contents);

	entry->key = key;
	return read_value(seg, &item, item, entry);
}

static int read_items(struct contents *contents, struct shm_segment *seg)
{
	uint64_t head, tail, length = shm_stack_length(seg), count = 0;
	struct cell item;
	int r = 0;

	shm_ring_range(seg, &head, &tail);
	for (uint64_t position = head; position != tail && r == 0; position++) {
		item = cell_load(shm_ring_cell(seg, position));
		if (!shm_ring_is_taken(seg, position, item))
			r = read_item(contents, seg, QUEUE_ITEM + count++, item);
	}
	for (uint64_t index = 0; index < length && r == 0; index++)
		r = shm_stack_item(seg, index, &item) ? read_item(contents, seg, STACK_ITEM + index, item)
						      : -ERROR_CORRUPT;
	return r;
}

static int compare_entries(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;

	return a->key < b->key ? -1 : a->key > b->key;
}

int contents_read(struct contents *contents, struct shm_segment *seg, bool with_index)
{
	int r;

	contents->count = 0;
	contents->elements = shm_elements(seg);
	for (uint64_t index = 0; index < contents->elements; index++) {
		if (!shm_committed(seg, shm_offset(seg, shm_cell(seg, index))))
			continue;
		r = read_element(contents, seg, index, with_index);
		if (r < 0)
			return r;
	}
	r = read_items(contents, seg);
	if (r < 0)
		return r;
	if (contents->count)
		qsort(contents->entries, contents->count, sizeof(struct entry), compare_entries);
	return 0;
}

bool contents_equal(const struct contents *a, const struct contents *b)
{
	return a->elements == b->elements && a->count == b->count &&
	       (a->count == 0 || memcmp(a->entries, b->entries, a->count * sizeof(struct entry)) == 0);
}

static const struct entry *find_entry(const struct contents *contents, const struct entry *like)
{
	if (contents->count == 0)
		return NULL;
	return bsearch(like, contents->entries, contents->count, sizeof(*like), compare_entries);
}

static bool same_entry(const struct entry *a, const struct entry *b)
{
	return a == b || (a && b && memcmp(a, b, sizeof(*a)) == 0);
}

/* For each key of `keys`: mixed has it as a or as b has it. */
static bool all_between(const struct contents *keys, const struct contents *mixed, const struct contents *a,
			const struct contents *b)
{
	for (size_t i = 0; i < keys->count; i++) {
		const struct entry *here = find_entry(mixed, &keys->entries[i]);

		if (!same_entry(here, find_entry(a, &keys->entries[i])) &&
		    !same_entry(here, find_entry(b, &keys->entries[i])))
			return false;
	}
	return true;
}

bool contents_between(const struct contents *mixed, const struct contents *a, const struct contents *b)
{
	return (mixed->elements == a->elements || mixed->elements == b->elements) &&
	       all_between(mixed, mixed, a, b) && all_between(a, mixed, a, b) && all_between(b, mixed, a, b);
}

static void print_one_sided(const struct contents *a, const struct contents *b, const char *side)
{
	for (size_t i = 0; i < a->count; i++) {
		const struct entry *entry = &a->entries[i];

		if (!same_entry(entry, find_entry(b, entry)))
			printf("      %s key %016" PRIx64 " index %" PRIu64 " type %u tag %u size %" PRIu64
			       " value %016" PRIx64 "\n",
			       side, entry->key, entry->index, (unsigned)(entry->form & 0xff),
			       (unsigned)(entry->form >> 8 & 0xff), entry->form >> 16, entry->value);
	}
}

void contents_print_difference(const struct contents *a, const struct contents *b)
{
	if (a->elements != b->elements)
		printf("      %" PRIu64 " elements / %" PRIu64 "\n", a->elements, b->elements);
	print_one_sided(a, b, "-");
	print_one_sided(b, a, "+");
}

void contents_copy(struct contents *to, const struct contents *from)
{
	to->elements = from->elements;
	to->count = 0;
	for (size_t i = 0; i < from->count; i++)
		*new_entry(to) = from->entries[i];
}

void contents_free(struct contents *contents)
{
	free(contents->entries);
	*contents = (struct contents){0};
}
