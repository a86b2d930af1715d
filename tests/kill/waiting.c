/* One waits for an element and is stopped anywhere on its way to sleep; another gives it what it waits for. */
#include <poll.h>
#include <stdio.h>

#include "base/macros.h"
#include "tests/kill/groups.h"
#include "tests/kill/scene.h"

#define SHORTLY 1000000u
#define STOPS	5

static bool patient; /* waits for long: somebody will come */

static ems_deadline_t deadline(void)
{
	return ems_deadline_in(patient ? UINT64_C(20000000000) : SHORTLY);
}

static int prepare_full(const struct scene *scene, ems_heap_t *heap)
{
	return ems_write_int64(heap, scene->key, 1);
}

static int prepare_empty(const struct scene *scene, ems_heap_t *heap)
{
	ems_value_t value = ems_value_data(EMS_STRING, "emptied before it was read", 26);

	return ems_write_xe(heap, scene->key, &value);
}

static int read_ff(const struct scene *scene, ems_heap_t *heap)
{
	return ems_read_ff_until(heap, scene->key, NULL, deadline());
}

static int read_fe(const struct scene *scene, ems_heap_t *heap)
{
	return ems_read_fe_until(heap, scene->key, NULL, deadline());
}

static int add(const struct scene *scene, ems_heap_t *heap)
{
	ems_value_t value = ems_value_data(EMS_STRING, "a text to be added", 18);

	return ems_faa_until(heap, scene->key, &value, NULL, deadline());
}

static int write_ef(const struct scene *scene, ems_heap_t *heap)
{
	ems_value_t value = ems_value_data(EMS_STRING, "a text for an empty place", 25);

	return ems_write_ef_until(heap, scene->key, &value, deadline());
}

static int fill_it(const struct scene *scene, ems_heap_t *heap)
{
	return ems_set_tag(heap, scene->key, EMS_FULL);
}

static int empty_it(const struct scene *scene, ems_heap_t *heap)
{
	return ems_set_tag(heap, scene->key, EMS_EMPTY);
}

static const struct {
	const char *function;
	scene_function *prepare, *operate, *other;
} cases[] = {
	{"ems_read_ff_until", prepare_empty, read_ff, fill_it},
	{"ems_read_fe_until", prepare_empty, read_fe, fill_it},
	{"ems_faa_until", prepare_empty, add, fill_it},
	{"ems_write_ef_until", prepare_full, write_ef, empty_it},
};

static void play(size_t i, bool map)
{
	struct scene scene = {
		.function = cases[i].function,
		.options = {.elements = 16, .storage = 4 << 20, .map = map, .until_detached = true},
		.key = map ? ems_key("a long key to be waited on") : ems_index(2),
		.prepare = cases[i].prepare,
		.operate = cases[i].operate,
		.expected = -EMS_ETIMEOUT,
		.changes = KEEPS,
		.recoveries = 1,
	};
	uint64_t images;

	patient = false;
	scene_name(&scene, "%s waits in vain%s", scene.function, map ? " for a key" : "");
	(void)scene_play(&scene);
	images = totals.last_images;
	patient = true;
	scene.other = cases[i].other;
	scene.expected = 0;
	scene.changes = EITHER;
	/* The last images come after the sleep. */
	for (uint64_t stop = 1; stop + 3 <= images; stop++) {
		if (!explore_all && explore_random(images) >= STOPS)
			continue;
		scene.interfere_at = stop;
		scene_name(&scene, "%s waits%s, at image %d another one comes", scene.function,
			   map ? " for a key" : "", (int)stop);
		(void)scene_play(&scene);
	}
}

/* ---- from an event loop ---- */

static int prepare_loop(const struct scene *scene, ems_heap_t *heap)
{
	int fd = ems_wait_fd(scene_connection()); /* the library's thread is there already */

	return fd < 0 ? fd : prepare_empty(scene, heap);
}

static int prepare_listener(const struct scene *scene, ems_heap_t *heap)
{
	int r = prepare_loop(scene, heap);

	return r == 0 ? ems_wait_begin(heap, &(ems_operation_t){.code = EMS_OP_READ_FF, .key = scene->key},
				       EMS_FOREVER, NULL, NULL)
		      : r;
}

static int begin_take(const struct scene *scene, ems_heap_t *heap)
{
	return ems_wait_begin(heap, &(ems_operation_t){.code = EMS_OP_READ_FE, .key = scene->key}, EMS_FOREVER, NULL,
			      NULL);
}

static int next(const struct scene *scene, ems_heap_t *heap)
{
	ems_wait_result_t result;

	(void)scene;
	(void)heap;
	return ems_wait_next(scene_connection(), &result);
}

/* Taken by the loop: the element has been filled since, and the library's thread has noticed. */
static int prepare_ready(const struct scene *scene, ems_heap_t *heap)
{
	struct pollfd poll_fd = {.events = POLLIN};
	int r = prepare_loop(scene, heap);

	if (r == 0)
		r = begin_take(scene, heap);
	if (r == 0)
		r = ems_set_tag(heap, scene->key, EMS_FULL);
	poll_fd.fd = ems_wait_fd(scene_connection());
	return r == 0 && poll(&poll_fd, 1, -1) == 1 ? 0 : r;
}

static const struct {
	const char *function, *what;
	scene_function *prepare, *operate;
	enum changes changes;
} loop_cases[] = {
	{"ems_wait_begin", "of what is not there yet", prepare_loop, begin_take, KEEPS},
	{"ems_wait_next", "takes what has come", prepare_ready, next, CHANGES},
	{"ems_set_tag", "rings a bell", prepare_listener, fill_it, CHANGES},
};

static void play_loop(size_t i, bool map)
{
	struct scene scene = {
		.function = loop_cases[i].function,
		.options = {.elements = 16, .storage = 4 << 20, .map = map, .until_detached = true},
		.key = map ? ems_key("a long key to be waited on") : ems_index(2),
		.prepare = loop_cases[i].prepare,
		.operate = loop_cases[i].operate,
		.changes = loop_cases[i].changes,
		.recoveries = 1,
	};

	scene_name(&scene, "%s %s%s", scene.function, loop_cases[i].what, map ? ", a key" : "");
	(void)scene_play(&scene);
}

void group_waiting(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(loop_cases); i++) {
		play_loop(i, false);
		play_loop(i, true);
	}
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		play(i, false);
		play(i, true);
	}
}
