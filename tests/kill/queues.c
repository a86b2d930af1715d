/* The queue and the stack: each value, empty, in between and nearly full; alone, in pairs, and waiting. */
#include <stdio.h>

#include "base/macros.h"
#include "shm/ring.h"
#include "shm/stack.h"
#include "tests/kill/groups.h"
#include "tests/kill/scene.h"
#include "tests/kill/values.h"

#define ELEMENTS 4
#define SHORTLY	 1000000u
#define STOPS	 3

struct container {
	const char *put, *put_until, *take, *take_until, *peek, *length;
	int (*do_put)(ems_heap_t *heap, const ems_value_t *value, uint64_t *count, ems_deadline_t deadline);
	int (*do_take)(ems_heap_t *heap, ems_value_t *value, ems_deadline_t deadline);
	int (*do_peek)(ems_heap_t *heap, ems_value_t *value);
	int (*do_length)(ems_heap_t *heap, uint64_t *length);
	int (*shm_put)(struct shm_session *session, const struct shm_call *call, uint64_t *count);
	int (*shm_take)(struct shm_session *session, const struct shm_call *call);
};

static const struct container containers[] = {
	{"ems_enqueue", "ems_enqueue_until", "ems_dequeue", "ems_dequeue_until", "ems_queue_peek",
	 "ems_queue_length", ems_enqueue_until, ems_dequeue_until, ems_queue_peek, ems_queue_length,
	 shm_ring_put, shm_ring_take},
	{"ems_push", "ems_push_until", "ems_pop", "ems_pop_until", "ems_stack_peek", "ems_stack_length",
	 ems_push_until, ems_pop_until, ems_stack_peek, ems_stack_length, shm_stack_push, shm_stack_pop},
};

static ems_value_t taken = EMS_VALUE_INIT;
static bool patient; /* waits for long: somebody will come */

static ems_deadline_t deadline(void)
{
	return ems_deadline_in(patient ? UINT64_C(20000000000) : SHORTLY);
}

/* Holds scene->count items, in the second lap; texts among numbers when they are to be small. */
static int prepare(const struct scene *scene, ems_heap_t *heap)
{
	const struct container *container = scene->operation;
	int r = 0;

	for (int i = 0; i < ELEMENTS + 1 && r == 0; i++) {
		r = container->do_put(heap, &(ems_value_t){.type = EMS_INTEGER, .integer = i}, NULL, EMS_NOW);
		if (r == 0)
			r = container->do_take(heap, NULL, EMS_NOW);
	}
	for (uint64_t i = 0; i < scene->count && r == 0; i++) {
		ems_value_t value = value_old((enum kind)scene->old, false);

		if (scene->old == SMALL && i % 2)
			value = ems_value_integer((int64_t)i);
		r = container->do_put(heap, &value, NULL, EMS_NOW);
	}
	return r;
}

static int put(const struct scene *scene, ems_heap_t *heap)
{
	const struct container *container = scene->operation;
	ems_value_t value = value_new((enum kind)scene->new, false);
	uint64_t count;

	return container->do_put(heap, &value, &count, EMS_NOW);
}

static int take(const struct scene *scene, ems_heap_t *heap)
{
	return ((const struct container *)scene->operation)->do_take(heap, &taken, EMS_NOW);
}

static int peek(const struct scene *scene, ems_heap_t *heap)
{
	return ((const struct container *)scene->operation)->do_peek(heap, &taken);
}

static int length(const struct scene *scene, ems_heap_t *heap)
{
	uint64_t items;

	return ((const struct container *)scene->operation)->do_length(heap, &items);
}

static int put_in_time(const struct scene *scene, ems_heap_t *heap)
{
	ems_value_t value = value_new((enum kind)scene->new, false);

	return ((const struct container *)scene->operation)->do_put(heap, &value, NULL, deadline());
}

static int take_in_time(const struct scene *scene, ems_heap_t *heap)
{
	return ((const struct container *)scene->operation)->do_take(heap, &taken, deadline());
}

static struct scene new_scene(const struct container *container, const char *function,
			      scene_function *operate, uint64_t count, enum kind old, enum kind new)
{
	struct scene scene = {
		.function = function,
		.options = {.elements = ELEMENTS,
			    .max_elements = ELEMENTS,
			    .storage = 4 << 20,
			    .until_detached = true},
		.prepare = prepare,
		.operate = operate,
		.changes = CHANGES,
		.operation = container,
		.count = count,
		.old = (int)old,
		.new = (int)new,
	};

	scene_name(&scene, "%s: %s, %d of %s are there", function, kind_names[new], (int)count,
		   kind_names[old]);
	return scene;
}

/* ---- alone ---- */

static void play_alone(const struct container *container)
{
	struct scene scene;

	for (uint64_t count = 0; count <= ELEMENTS; count++)
		for (enum kind kind = NUMBER; kind <= LARGE; kind++) {
			if (kind == LARGE && count != 1 && !explore_all)
				continue;
			scene = new_scene(container, container->put, put, count, NUMBER, kind);
			scene.recoveries = kind != LARGE && count == 1;
			scene.expected = count == ELEMENTS ? -EMS_EFULL : 0;
			scene.changes = count == ELEMENTS ? KEEPS : CHANGES;
			(void)scene_play(&scene);
			scene = new_scene(container, container->take, take, count, kind, PRISTINE);
			scene.recoveries = count == 1;
			scene.expected = count == 0 ? -EMS_EEMPTY : 0;
			scene.changes = count == 0 ? KEEPS : CHANGES;
			(void)scene_play(&scene);
		}
	scene = new_scene(container, container->peek, peek, 2, SMALL, PRISTINE);
	scene.changes = KEEPS;
	(void)scene_play(&scene);
	scene = new_scene(container, container->length, length, 2, SMALL, PRISTINE);
	scene.changes = KEEPS;
	(void)scene_play(&scene);
	scene = new_scene(container, container->put, put, 0, NUMBER, SMALL);
	scene_name(&scene, "a first %s", container->put);
	scene.prepare = NULL;
	scene.cold = scene.robust_steps = true;
	scene.recoveries = 1;
	(void)scene_play(&scene);
}

/* ---- in pairs ---- */

static bool other_puts_image(struct shm_segment *seg, struct shm_session *session, const void *argument)
{
	const struct container *container = argument;
	struct shm_value value = {.type = TYPE_STRING, .data = "the other's", .size = 11};
	struct shm_call call = {.argument = &value};
	int r = container->shm_put(session, &call, NULL);

	(void)seg;
	return r == 0;
}

static bool other_takes_image(struct shm_segment *seg, struct shm_session *session, const void *argument)
{
	const struct container *container = argument;
	struct shm_call call = {.result = NULL};

	(void)seg;
	return container->shm_take(session, &call) == 0;
}

static int other_puts(const struct scene *scene, ems_heap_t *heap)
{
	ems_value_t value = ems_value_data(EMS_STRING, "the other's", 11);

	return ((const struct container *)scene->operation)->do_put(heap, &value, NULL, EMS_NOW);
}

static int other_takes(const struct scene *scene, ems_heap_t *heap)
{
	return ((const struct container *)scene->operation)->do_take(heap, NULL, EMS_NOW);
}

static void play_pair(struct scene scene, bool puts)
{
	char name[sizeof(scene.name)];
	uint64_t images;

	(void)snprintf(name, sizeof(name), "%s", scene.name);
	scene.changes = EITHER;
	scene.argument = scene.operation;
	scene.meanwhile = puts ? other_puts_image : other_takes_image;
	scene_name(&scene, "killed: %.70s, while another %s", name, puts ? "puts" : "takes");
	(void)scene_play(&scene);
	images = totals.last_images;
	scene.meanwhile = NULL;
	scene.other = puts ? other_puts : other_takes;
	for (uint64_t stop = 1; stop <= images; stop++) {
		if (!explore_all && explore_random(images) >= STOPS)
			continue;
		scene.interfere_at = stop;
		scene_name(&scene, "goes on: %.60s, at image %d another %s", name, (int)stop,
			   puts ? "puts" : "takes");
		(void)scene_play(&scene);
	}
}

static void play_pairs(const struct container *container)
{
	for (enum kind kind = NUMBER; kind <= SMALL; kind++)
		for (int puts = 0; puts < 2; puts++) {
			play_pair(new_scene(container, container->put, put, 2, SMALL, kind), puts);
			play_pair(new_scene(container, container->take, take, 3, kind, PRISTINE), puts);
		}
}

/* ---- waiting ---- */

static void play_waiting(struct scene scene, scene_function *other)
{
	uint64_t images;

	patient = false;
	scene.expected = -EMS_ETIMEOUT;
	scene.changes = KEEPS;
	scene_name(&scene, "%s waits in vain", scene.function);
	(void)scene_play(&scene);
	images = totals.last_images;
	patient = true;
	scene.other = other;
	scene.expected = 0;
	scene.changes = EITHER;
	/* The last images come after the sleep. */
	for (uint64_t stop = 1; stop + 3 <= images; stop++) {
		if (!explore_all && explore_random(images) >= STOPS)
			continue;
		scene.interfere_at = stop;
		scene_name(&scene, "%s waits, at image %d another one comes", scene.function, (int)stop);
		(void)scene_play(&scene);
	}
}

void group_queues(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(containers); i++) {
		const struct container *container = &containers[i];

		play_alone(container);
		play_pairs(container);
		play_waiting(new_scene(container, container->put_until, put_in_time, ELEMENTS, SMALL, SMALL),
			     other_takes);
		play_waiting(new_scene(container, container->take_until, take_in_time, 0, SMALL, PRISTINE),
			     other_puts);
	}
}
