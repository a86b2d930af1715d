/*
 * Read locks: taken, given back; alone, beside another one who does the same, and one of whom both die. A lock that is
 * held when its holder dies is gone after recovery, so that contents are the same in every image; the checker holds the
 * count against the records.
 */
#include <stdio.h>

#include "base/macros.h"
#include "shm/element.h"
#include "tests/kill/cells.h"
#include "tests/kill/groups.h"
#include "tests/kill/values.h"

#define SOON  ems_deadline_in(UINT64_C(20000000000))
#define STOPS 2

static ems_value_t value = EMS_VALUE_INIT;
static uint32_t left;

static int write_old(const struct scene *scene, ems_heap_t *heap)
{
	ems_value_t old = value_old((enum kind)scene->old, false);
	int r = ems_write_int64(heap, scene->options.map ? ems_index(77) : ems_index(0), 1);

	return r == 0 && scene->old != PRISTINE ? ems_write(heap, scene->key, &old) : r;
}

/* It has the lock scene->count times already, and one on a neighbour. */
static int write_and_take(const struct scene *scene, ems_heap_t *heap)
{
	int r = write_old(scene, heap);

	if (r == 0)
		r = ems_read_rw(heap, scene->options.map ? ems_index(77) : ems_index(0), NULL);
	for (uint64_t i = 0; i < scene->count && r == 0; i++)
		r = ems_read_rw(heap, scene->key, NULL);
	return r;
}

static int take(const struct scene *scene, ems_heap_t *heap)
{
	return ems_read_rw(heap, scene->key, &value);
}

static int take_in_time(const struct scene *scene, ems_heap_t *heap)
{
	return ems_read_rw_until(heap, scene->key, &value, SOON);
}

static int give_back(const struct scene *scene, ems_heap_t *heap)
{
	return ems_release_rw(heap, scene->key, &left);
}

static int take_and_give_back(const struct scene *scene, ems_heap_t *heap)
{
	int r = ems_read_rw(heap, scene->key, &value);

	return r == 0 ? ems_release_rw(heap, scene->key, NULL) : r;
}

static int end_thread(const struct scene *scene, ems_heap_t *heap)
{
	(void)scene;
	ems_heap_detach_thread(heap);
	return 0;
}

static const struct {
	const char *function, *name;
	scene_function *operate;
	uint64_t holds; /* from before */
	int expected;
} cases[] = {
	{"ems_read_rw", "", take, 0, 0},
	{"ems_read_rw_until", "", take_in_time, 0, 0},
	{"ems_read_rw", " once more", take, 2, 0},
	{"ems_release_rw", "", give_back, 1, 0},
	{"ems_release_rw", " of one of two", give_back, 2, 0},
	{"ems_release_rw", " of none", give_back, 0, -EMS_EINVALID},
	{"ems_read_rw", " and back", take_and_give_back, 0, 0},
	{"ems_heap_detach_thread", " with read locks", end_thread, 2, 0},
};

static struct scene new_scene(size_t i, bool map, enum kind old)
{
	struct scene scene = {
		.function = cases[i].function,
		.options = {.elements = 40, .storage = 4 << 20, .map = map, .until_detached = true},
		.key = map ? ems_key("a long key to be read") : ems_index(3),
		.prepare = write_and_take,
		.operate = cases[i].operate,
		.expected = cases[i].expected,
		.count = cases[i].holds,
		.changes = EITHER,
		.old = (int)old,
		.recoveries = 1,
	};

	scene_name(&scene, "%s%s: %s%s", cases[i].function, cases[i].name, kind_names[old], map ? ", a key" : "");
	return scene;
}

/* ---- the other one ---- */

/* On a replica: takes it; and gives it back when its session is closed. */
static bool takes_meanwhile(struct shm_segment *seg, struct shm_session *session, const void *argument)
{
	struct shm_call call = {.op = OP_READ_RW, .target.index = 3};

	(void)argument;
	return shm_element_apply(seg, session, &call, NULL) == 0;
}

static void play_pairs(size_t i)
{
	struct scene scene = new_scene(i, false, NUMBER);
	uint64_t images;
	char name[sizeof(scene.name)];

	(void)snprintf(name, sizeof(name), "%s", scene.name);
	scene.meanwhile = takes_meanwhile;
	scene_name(&scene, "killed: %.70s, while another one reads", name);
	(void)scene_play(&scene);
	images = totals.last_images;
	scene.meanwhile = NULL;
	for (uint64_t stop = 1; stop <= images; stop++) {
		if (!explore_all && explore_random(images) >= STOPS)
			continue;
		scene.other = take_and_give_back;
		scene.interfere_at = stop;
		scene.stop_at = 0;
		scene.recoveries = 1;
		scene_name(&scene, "goes on: %.60s, at image %d another one reads", name, (int)stop);
		(void)scene_play(&scene);
		scene.interfere_at = 0;
		scene.stop_at = stop;
		scene.recoveries = 0; /* of one death only */
		scene_name(&scene, "both die: %.60s, at image %d another one reads", name, (int)stop);
		(void)scene_play(&scene);
	}
}

void group_readers(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (enum kind old = PRISTINE; old <= SMALL; old++) {
			struct scene scene = new_scene(i, false, old);

			(void)scene_play(&scene);
			/* A key of none is another matter. */
			if (old == PRISTINE && cases[i].expected != 0)
				continue;
			scene = new_scene(i, true, old);
			(void)scene_play(&scene);
		}
		if (cases[i].expected == 0)
			play_pairs(i);
	}
}
