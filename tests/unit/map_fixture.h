/*
 * map_fixture.h: a heap with a key map for the tests of the map, and the loop around a step that
 * shm/element.c has in the real thing: enter, try, leave, supply what is needed, again.
 */
#ifndef TESTS_MAP_FIXTURE_H
#define TESTS_MAP_FIXTURE_H

#include <pthread.h>
#include <string.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/macros.h"
#include "shm/map.h"
#include "shm/map_parts.h"
#include "tests/unit/unit.h"

static pthread_mutex_t supply_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t supply_calls;

/* The daemon's side allows one caller at a time; threads of one test are several. */
static int locked_units(void *context, struct shm_segment *seg, uint64_t first, uint64_t count)
{
	pthread_mutex_lock(&supply_lock);
	int r = shm_local_supply.units(context, seg, first, count);
	supply_calls++;
	pthread_mutex_unlock(&supply_lock);
	return r;
}

static int locked_storage(void *context, struct shm_segment *seg, uint32_t chunks)
{
	pthread_mutex_lock(&supply_lock);
	int r = shm_local_supply.storage(context, seg, chunks);
	supply_calls++;
	pthread_mutex_unlock(&supply_lock);
	return r;
}

static int locked_table(void *context, struct shm_segment *seg, uint32_t id)
{
	pthread_mutex_lock(&supply_lock);
	int r = shm_local_supply.table(context, seg, id);
	supply_calls++;
	pthread_mutex_unlock(&supply_lock);
	return r == -ERROR_BUSY ? 0 : r; /* somebody was preempted within a step: asked for again */
}

static void no_trim(void *context, struct shm_segment *seg)
{
	(void)context, (void)seg;
}

static const struct shm_supply locked_supply = {locked_units, locked_storage, locked_table, no_trim};

struct map_heap {
	struct shm_segment seg;
	int fd;
};

static inline struct heap_params map_params(uint64_t elements, uint64_t max_elements, uint64_t seed)
{
	return (struct heap_params){.elements = elements,
				    .max_elements = max_elements,
				    .storage = 64 * UNIT,
				    .seed = seed,
				    .fill_type = TYPE_INTEGER,
				    .initial_tag = TAG_FULL,
				    .has_map = true};
}

static inline void map_heap_init(struct map_heap *heap, const struct heap_params *params)
{
	static const uint8_t id[16] = "map test";

	ck_assert_int_eq(shm_segment_create(&heap->seg, params, NULL, id, &heap->fd), 0);
	heap->seg.supply = &locked_supply;
}

static inline void map_heap_fini(struct map_heap *heap)
{
	shm_segment_unmap(&heap->seg);
	fd_close(heap->fd);
}

/* Inserts with an integer. *binding may be NULL. */
static inline int map_put(struct shm_session *session, const struct shm_key *key, int64_t value,
			  struct shm_binding *binding)
{
	struct shm_binding mine;
	int r;

	for (;;) {
		shm_step_enter(session);
		r = shm_map_insert(session, key, TAG_FULL, TYPE_INTEGER, (uint64_t)value,
				   binding ? binding : &mine);
		shm_step_leave(session);
		if (r == SHM_NEED)
			r = shm_session_supply(session, &(uint32_t){0});
		else if (r <= 0)
			return r;
		if (r < 0)
			return r;
	}
}

/* Deletes; *value is the integer that was deleted. */
static inline int map_del(struct shm_session *session, const struct shm_key *key, int64_t *value)
{
	struct shm_binding binding;
	int r;

	for (;;) {
		shm_step_enter(session);
		r = shm_map_find(session, key, &binding);
		if (r == 0)
			r = shm_map_delete(session, key, &binding);
		shm_step_leave(session);
		if (r == 0 && value)
			*value = (int64_t)binding.seen.value;
		if (r <= 0)
			return r;
	}
}

/* Adds to the integer of a key that is there. */
static inline int map_add(struct shm_session *session, const struct shm_key *key, int64_t n)
{
	struct shm_binding binding;
	int r;

	for (;;) {
		shm_step_enter(session);
		r = shm_map_find(session, key, &binding);
		if (r == 0) {
			struct cell seen = binding.seen, next = seen;

			next.meta = cell_next(seen.meta, cell_tag(seen.meta), cell_type(seen.meta), 0);
			next.value += (uint64_t)n;
			r = cell_cas(binding.cell, &seen, next) ? 0 : SHM_AGAIN;
		}
		shm_step_leave(session);
		if (r <= 0)
			return r;
	}
}

static inline int map_get(const struct shm_segment *seg, const struct shm_key *key, int64_t *value)
{
	struct shm_binding binding;
	int r = shm_map_look(seg, key, &binding);

	if (r == 0 && value)
		*value = (int64_t)binding.seen.value;
	return r;
}

/* What must hold when nobody is at work: each live element is found by its key, the map leads to no others, all cells are
 * free or live, and no blob is allocated but theirs. Returns the number of keys. */
static inline uint64_t map_expect_sound(const struct shm_segment *seg)
{
	static char text[KEY_MAX + 1];
	struct shm_storage_stats storage;
	struct shm_map_stats stats;
	uint64_t live = 0, blobs = 0, size;

	for (uint64_t e = 0; e < seg->layout.params.max_elements; e++) {
		struct shm_binding binding;
		struct shm_key key;
		struct cell seen;

		if (!map_element_is_there(seg, e))
			continue;
		seen = cell_load(shm_cell(seg, e));
		ck_assert_msg(cell_tag(seen.meta) == TAG_NONE || tag_is_live(cell_tag(seen.meta)),
			      "element %llu has tag %d", (unsigned long long)e, cell_tag(seen.meta));
		if (cell_tag(seen.meta) == TAG_NONE)
			continue;
		ck_assert_int_eq(shm_map_key_of(seg, e, &key, text, KEY_MAX, &size, &seen), 0);
		ck_assert_int_eq(shm_map_look(seg, &key, &binding), 0);
		ck_assert_uint_eq(binding.element, e);
		live++;
		blobs += (key.kind == KEY_STRING) + cell_has_blob(seen.meta);
	}
	shm_map_stats(seg, &stats);
	ck_assert_uint_eq(stats.keys, live);
	shm_storage_stats(seg, &storage);
	ck_assert_uint_eq(storage.blocks_allocated, blobs);
	return live;
}

#endif
