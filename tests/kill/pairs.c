/*
 * Pairs: a client in the middle of its operation, and another one that works on the same heap.
 *
 *      killed     the first is at one of its images, the other works, then the first is dead: all images
 *      goes on    the first is at one of its images, the other works, the first goes on, and
 *                 from there on its images are tried: some of the images, all with EMS_KILL_ALL
 *      both die   the first is stopped at one of its images for good; each image of the other's work
 *                 is one in which both are dead
 */
#include <stdio.h>
#include <string.h>

#include "base/macros.h"
#include "tests/kill/cells.h"
#include "tests/kill/groups.h"
#include "tests/kill/rivals.h"

#define TWIN_STOPS 1 /* at which one stays stopped */
#define STOPS	   3 /* places at which a rival interferes with an operation that goes on */

static const struct {
	const char *function;
	bool map;
	enum key_form form;
	enum kind old, new;
	uint64_t keys; /* that are there besides: near the load at which the map grows */
} firsts[] = {
	{"ems_write", false, 0, NUMBER, SMALL, 0},
	{"ems_write", false, 0, SMALL, SMALL, 0},
	{"ems_write", false, 0, LARGE, SMALL, 0},
	{"ems_cas", false, 0, SMALL, SMALL, 0},
	{"ems_faa", false, 0, SMALL, SMALL, 0},
	{"ems_write", true, INTEGER_KEY, PRISTINE, NUMBER, 0},
	{"ems_write", true, LONG_KEY, PRISTINE, SMALL, 0},
	{"ems_write", true, LONG_KEY, SMALL, SMALL, 0},
	{"ems_faa", true, SHORT_KEY, PRISTINE, NUMBER, 0},
	{"ems_delete", true, LONG_KEY, SMALL, NUMBER, 0},
	{"ems_delete", true, INTEGER_KEY, NUMBER, NUMBER, 0},
	{"ems_write", true, LONG_KEY, PRISTINE, SMALL, 36},
	{"ems_delete", true, LONG_KEY, SMALL, NUMBER, 36},
};

static int prepare(const struct scene *scene, ems_heap_t *heap)
{
	/* The first table is sized for 40 keys, and may overflow. */
	int r = scene->options.map ? ems_heap_grow(heap, 200) : 0;

	if (r == 0)
		r = cell_prepare(scene, heap);
	for (int64_t i = 0; i < (int64_t)scene->count && r == 0; i++)
		r = ems_write_int64(heap, ems_index(5000 + i), i);
	return r;
}

static struct scene first_scene(size_t i)
{
	const struct operation_row *row = operation_named(firsts[i].function, "");
	struct scene scene = firsts[i].map ? key_scene(row, firsts[i].form, firsts[i].old, firsts[i].new)
					   : cell_scene(row, firsts[i].old, firsts[i].new);
	char name[sizeof(scene.name)];

	(void)snprintf(name, sizeof(name), "%s", scene.name);
	if (firsts[i].keys)
		scene_name(&scene, "%.80s, growing", name);
	scene.options.elements = firsts[i].map ? 40 : 20;
	scene.options.max_elements = 200;
	scene.prepare = prepare;
	scene.count = firsts[i].keys;
	scene.changes = EITHER;
	return scene;
}

/* By default only a sample of those that take long. */
static bool is_left_out(const struct scene *scene, enum rival_work work, uint64_t images, uint64_t wanted)
{
	if (explore_all)
		return false;
	return work == RIVAL_LARGE || (work == RIVAL_OTHERS && !scene->count) ||
	       explore_random(images) >= wanted;
}

static void play_twins(struct scene scene, const char *name, enum rival_work work, uint64_t images)
{
	scene.interfere_at = 0;
	scene.promise = work == RIVAL_OTHERS ? MIXED : work == RIVAL_RENEW ? SERIES : ATOMIC;
	for (uint64_t stop = 1; stop <= images; stop++) {
		if (is_left_out(&scene, work, images, TWIN_STOPS))
			continue;
		scene.stop_at = stop;
		scene_name(&scene, "both die: %.60s, at image %d another %s", name, (int)stop,
			   rival_names[work]);
		(void)scene_play(&scene);
	}
}

static void play_pair(size_t i, enum rival_work work)
{
	struct scene scene = first_scene(i);
	struct rival rival = {scene.key, work};
	char name[sizeof(scene.name)];
	uint64_t images;

	(void)snprintf(name, sizeof(name), "%s", scene.name);
	scene.argument = &rival;
	scene.meanwhile = rival_meanwhile;
	scene.may_come_first = work == RIVAL_DELETE;
	scene_name(&scene, "killed: %.70s, while another %s", name, rival_names[work]);
	(void)scene_play(&scene);
	images = totals.last_images;
	scene.meanwhile = NULL;
	scene.may_come_first = false;
	scene.other = rival_other;
	scene.or_else = work == RIVAL_LARGE ? -EMS_ETYPE : -EMS_ENOKEY;
	for (uint64_t stop = 1; stop <= images; stop++) {
		if (is_left_out(&scene, work, images, STOPS))
			continue;
		scene.interfere_at = stop;
		scene_name(&scene, "goes on: %.60s, at image %d another %s", name, (int)stop,
			   rival_names[work]);
		(void)scene_play(&scene);
	}
	play_twins(scene, name, work, images);
}

void group_pairs(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(firsts); i++)
		for (enum rival_work work = RIVAL_NUMBER; work < RIVAL_WORKS; work++) {
			bool of_map = work == RIVAL_DELETE || work == RIVAL_RENEW;

			/* Nothing can be added to bytes. */
			if ((of_map && !firsts[i].map) || (work == RIVAL_ADD && firsts[i].old == LARGE))
				continue;
			play_pair(i, work);
		}
}
