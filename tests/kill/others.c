/* Ranges, iteration, indexes, slots: what the table of operations does not have. */
#include <stdio.h>
#include <string.h>

#include "base/macros.h"
#include "tests/kill/groups.h"
#include "tests/kill/scene.h"
#include "tests/kill/values.h"

#define ELEMENTS 12
#define RANGE	 6

/* Numbers, texts and never-written elements; with a map the same under integer and long keys. */
static int prepare(const struct scene *scene, ems_heap_t *heap)
{
	char text[64];
	int r = 0;

	for (int64_t i = 0; i < RANGE + 2 && r == 0; i++) {
		ems_value_t value = value_old(scene->old ? (enum kind)scene->old : (enum kind)(i % 3), false);
		ems_key_t key = ems_index(i);

		if (scene->options.map && i % 2) {
			(void)snprintf(text, sizeof(text), "long key number %d", (int)i);
			key = ems_key(text);
		}
		if (value.type != EMS_UNDEFINED)
			r = ems_write(heap, key, &value);
	}
	return r;
}

static int read_int64s(const struct scene *scene, ems_heap_t *heap)
{
	int64_t values[RANGE];

	(void)scene;
	return ems_read_range_int64(heap, 1, RANGE, values, NULL);
}

static int read_doubles(const struct scene *scene, ems_heap_t *heap)
{
	double values[RANGE];

	(void)scene;
	return ems_read_range_double(heap, 1, RANGE, values, NULL);
}

static int write_int64s(const struct scene *scene, ems_heap_t *heap)
{
	int64_t values[RANGE] = {100, 101, 102, 103, 104, 105};

	(void)scene;
	return ems_write_range_int64(heap, 1, RANGE, values, NULL);
}

static int write_doubles(const struct scene *scene, ems_heap_t *heap)
{
	double values[RANGE] = {0.5, 1.5, 2.5, 3.5, 4.5, 5.5};

	(void)scene;
	return ems_write_range_double(heap, 1, RANGE, values, NULL);
}

static int fill(const struct scene *scene, ems_heap_t *heap)
{
	ems_value_t value = value_new((enum kind)scene->new, false);

	return ems_fill(heap, 1, RANGE, &value, scene->count ? EMS_EMPTY : 0, NULL);
}

static int iterate(const struct scene *scene, ems_heap_t *heap)
{
	static ems_value_t value = EMS_VALUE_INIT;
	ems_iterator_t *iterator;
	ems_key_t key;
	int r = ems_iterate(heap, &iterator);

	(void)scene;
	while (r == 0)
		r = ems_iterator_next(iterator, &key, &value);
	ems_iterator_free(iterator);
	return r == -EMS_EEMPTY ? 0 : r;
}

static int key_to_index(const struct scene *scene, ems_heap_t *heap)
{
	uint64_t index;
	int r = ems_key_to_index(heap, ems_index(2), &index);

	if (r == 0 && scene->options.map)
		r = ems_key_to_index(heap, ems_key("long key number 1"), &index);
	return r;
}

static int index_to_key(const struct scene *scene, ems_heap_t *heap)
{
	static ems_value_t buffer = EMS_VALUE_INIT;
	ems_key_t key;
	int r = 0;

	(void)scene;
	for (uint64_t i = 0; i < RANGE && (r == 0 || r == -EMS_ENOKEY); i++)
		r = ems_index_to_key(heap, i, &key, &buffer);
	return r == -EMS_ENOKEY ? 0 : r;
}

static int grow(const struct scene *scene, ems_heap_t *heap)
{
	(void)scene;
	return ems_heap_grow(heap, 2 * ELEMENTS);
}

static int detach_thread(const struct scene *scene, ems_heap_t *heap)
{
	(void)scene;
	ems_heap_detach_thread(heap);
	return 0;
}

/* The thread ends, and its slot goes back. */
static int end_thread(const struct scene *scene, ems_heap_t *heap)
{
	(void)scene;
	(void)heap;
	return 0;
}

static int close_heap(const struct scene *scene, ems_heap_t *heap)
{
	(void)scene;
	ems_heap_close(heap);
	return 0;
}

static int disconnect(const struct scene *scene, ems_heap_t *heap)
{
	(void)scene;
	(void)heap;
	ems_disconnect(scene_connection());
	return 0;
}

static int wait_in_vain(const struct scene *scene, ems_heap_t *heap)
{
	ems_value_t value = EMS_VALUE_INIT;

	(void)scene;
	return ems_write_ef_until(heap, ems_index(0), &value, ems_deadline_in(1000000));
}

static int wait_for_key(const struct scene *scene, ems_heap_t *heap)
{
	ems_value_t value = EMS_VALUE_INIT;

	(void)scene;
	return ems_write_ef_until(heap, ems_key("a long key that comes into being"), &value,
				  ems_deadline_in(1000000));
}

static const struct {
	const char *function;
	scene_function *operate;
	enum changes changes;
	bool plain, map; /* in which heaps */
	enum kind old, new;
	uint64_t count;
	int expected;
} cases[] = {
	{"ems_read_range_int64", read_int64s, KEEPS, true, true, NUMBER, 0, 0, 0},
	{"ems_read_range_double", read_doubles, KEEPS, true, true, NUMBER, 0, 0, 0},
	{"ems_write_range_int64", write_int64s, CHANGES, true, false, 0, 0, 0, 0},
	{"ems_write_range_double", write_doubles, CHANGES, true, false, 0, 0, 0, 0},
	{"ems_fill", fill, CHANGES, true, false, 0, NUMBER, 0, 0},
	{"ems_fill", fill, CHANGES, true, false, 0, SMALL, 0, 0},
	{"ems_fill", fill, CHANGES, true, false, SMALL, SMALL, 1, 0},
	{"ems_iterate", iterate, KEEPS, true, true, 0, 0, 0, 0},
	{"ems_iterator_next", iterate, KEEPS, true, true, SMALL, 0, 0, 0},
	{"ems_iterator_free", iterate, KEEPS, true, true, NUMBER, 0, 0, 0},
	{"ems_key_to_index", key_to_index, KEEPS, true, true, SMALL, 0, 0, 0},
	{"ems_index_to_key", index_to_key, KEEPS, true, true, SMALL, 0, 0, 0},
	{"ems_heap_grow", grow, CHANGES, true, true, 0, 0, 0, 0},
	{"ems_heap_detach_thread", detach_thread, KEEPS, true, true, 0, 0, 0, 0},
	{"ems_write", end_thread, KEEPS, true, true, 0, 0, 0, 0},
	{"ems_heap_close", close_heap, KEEPS, true, true, 0, 0, 0, 0},
	{"ems_disconnect", disconnect, KEEPS, true, true, 0, 0, 0, 0},
	{"ems_write_ef_until", wait_in_vain, KEEPS, true, true, NUMBER, 0, 0, -EMS_ETIMEOUT},
	{"ems_write_ef_until", wait_for_key, CHANGES, false, true, NUMBER, 0, 0, -EMS_ETIMEOUT},
};

static void play(size_t i, bool map)
{
	struct scene scene = {
		.function = cases[i].function,
		.options = {.elements = ELEMENTS,
			    .max_elements = 4 * ELEMENTS,
			    .storage = 4 << 20,
			    .map = map,
			    .until_detached = true},
		.prepare = prepare,
		.operate = cases[i].operate,
		.expected = cases[i].expected,
		.changes = cases[i].changes,
		.promise = MIXED,
		.old = (int)cases[i].old,
		.new = (int)cases[i].new,
		.count = cases[i].count,
		.recoveries = 1,
		.robust_steps = cases[i].changes == KEEPS,
	};

	scene.thread = scene.operate == end_thread;
	if (scene.thread)
		scene_name(&scene, "%s, the end of a thread", map ? "map" : "no map");
	else
		scene_name(&scene, "%s, %s%s%s", map ? "map" : "no map", scene.function,
			   cases[i].new ? ": " : "", cases[i].new ? kind_names[cases[i].new] : "");
	(void)scene_play(&scene);
}

void group_others(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (cases[i].plain)
			play(i, false);
		if (cases[i].map)
			play(i, true);
	}
}
