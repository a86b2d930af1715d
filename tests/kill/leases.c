/* Leases: taken, ended in each way, given back; of elements and of the queue's items; alone, in pairs, and waiting. */
#include <stdio.h>

#include "base/macros.h"
#include "shm/lease.h"
#include "shm/ring.h"
#include "tests/kill/groups.h"
#include "tests/kill/scene.h"
#include "tests/kill/values.h"

#define ELEMENTS 4
#define ELEMENT	 2
#define SHORTLY	 1000000u
#define STOPS	 3

/* What the child holds when the operation begins: taken by its preparation. */
static ems_lease_t held[ELEMENTS];
static ems_value_t taken = EMS_VALUE_INIT;
static bool patient; /* waits for long: somebody will come */

static ems_deadline_t deadline(void)
{
	return ems_deadline_in(patient ? UINT64_C(20000000000) : SHORTLY);
}

/* Who does it: one object, ended in one way. count: items; first: how many of them are leased before. */
struct subject {
	const char *function;
	scene_function *operate;
	enum changes changes;
	uint64_t count;
	uint32_t leases, holes; /* leased by the preparation; taken behind these */
	bool item, put;
	int expected;
};

static int prepare_item(const struct scene *scene, ems_heap_t *heap)
{
	const struct subject *subject = scene->operation;
	int r = 0;

	/* Into the second lap. */
	for (int i = 0; i < ELEMENTS + 1 && r == 0; i++) {
		r = ems_enqueue(heap, &(ems_value_t){.type = EMS_INTEGER, .integer = i}, NULL);
		if (r == 0)
			r = ems_dequeue(heap, NULL);
	}
	for (uint64_t i = 0; i < subject->count && r == 0; i++) {
		ems_value_t value = value_old((enum kind)scene->old, false);

		if (scene->old == SMALL && i % 2)
			value = ems_value_integer((int64_t)i);
		r = ems_enqueue(heap, &value, NULL);
	}
	for (uint32_t i = 0; i < subject->leases && r == 0; i++)
		r = ems_dequeue_lease(heap, &taken, &held[i]);
	for (uint32_t i = 0; i < subject->holes && r == 0; i++)
		r = ems_dequeue(heap, &taken);
	return r;
}

static int prepare_element(const struct scene *scene, ems_heap_t *heap)
{
	const struct subject *subject = scene->operation;
	ems_value_t old = value_old((enum kind)scene->old, false);
	int r = scene->old == PRISTINE ? 0 : ems_write(heap, scene->key, &old);

	if (r == 0 && subject->leases)
		r = ems_read_fe_lease(heap, scene->key, &taken, &held[0]);
	if (r == 0 && subject->holes)
		r = ems_set_tag(heap, scene->key, EMS_EMPTY);
	return r;
}

static int lease_element(const struct scene *scene, ems_heap_t *heap)
{
	ems_lease_t lease;

	return ems_read_fe_lease(heap, scene->key, &taken, &lease);
}

static int lease_element_in_time(const struct scene *scene, ems_heap_t *heap)
{
	ems_lease_t lease;

	return ems_read_fe_lease_until(heap, scene->key, &taken, &lease, deadline());
}

static int lease_item(const struct scene *scene, ems_heap_t *heap)
{
	ems_lease_t lease;

	(void)scene;
	return ems_dequeue_lease(heap, &taken, &lease);
}

static int lease_item_in_time(const struct scene *scene, ems_heap_t *heap)
{
	ems_lease_t lease;

	(void)scene;
	return ems_dequeue_lease_until(heap, &taken, &lease, deadline());
}

static int put_back(const struct scene *scene, ems_heap_t *heap)
{
	ems_value_t value = value_new((enum kind)scene->new, false);

	(void)heap;
	return ems_lease_put(&held[0], &value);
}

static int keep(const struct scene *scene, ems_heap_t *heap)
{
	(void)scene;
	(void)heap;
	return ems_lease_keep(&held[0]);
}

static int give_back(const struct scene *scene, ems_heap_t *heap)
{
	(void)scene;
	(void)heap;
	return ems_lease_end(&held[0]);
}

static int end_twice(const struct scene *scene, ems_heap_t *heap)
{
	ems_lease_t copy = held[0];

	(void)scene;
	(void)heap;
	(void)ems_lease_end(&held[0]);
	return ems_lease_end(&copy);
}

static int detach(const struct scene *scene, ems_heap_t *heap)
{
	(void)scene;
	ems_heap_detach_thread(heap);
	return 0;
}

static int count_leased(const struct scene *scene, ems_heap_t *heap)
{
	uint64_t leased;

	(void)scene;
	return ems_queue_leased(heap, &leased);
}

static const struct subject subjects[] = {
	/* What a death gives back was never gone: contents do not change when a lease is taken. */
	{"ems_read_fe_lease", lease_element, KEEPS, 0, 0, 0, false, false, 0},
	{"ems_read_fe_lease_until", lease_element_in_time, KEEPS, 0, 0, 1, false, false, -EMS_ETIMEOUT},
	{"ems_lease_put", put_back, CHANGES, 0, 1, 0, false, true, 0},
	{"ems_lease_keep", keep, CHANGES, 0, 1, 0, false, false, 0},
	{"ems_lease_end", give_back, KEEPS, 0, 1, 0, false, false, 0},
	{"ems_lease_end", end_twice, KEEPS, 0, 1, 0, false, false, -EMS_EINVALID},
	{"ems_heap_detach_thread", detach, KEEPS, 0, 1, 0, false, false, 0},

	{"ems_dequeue_lease", lease_item, KEEPS, 2, 0, 0, true, false, 0},
	{"ems_dequeue_lease", lease_item, KEEPS, 3, 1, 0, true, false, 0},
	{"ems_dequeue_lease", lease_item, KEEPS, 4, 1, 2, true, false, 0},
	{"ems_dequeue_lease", lease_item, KEEPS, 2, 2, 0, true, false, -EMS_EEMPTY},
	{"ems_dequeue_lease_until", lease_item_in_time, KEEPS, 1, 0, 0, true, false, 0},
	{"ems_dequeue_lease_until", lease_item_in_time, KEEPS, 2, 2, 0, true, false, -EMS_ETIMEOUT},
	{"ems_lease_put", put_back, CHANGES, 3, 1, 1, true, true, 0},
	{"ems_lease_keep", keep, CHANGES, 2, 1, 0, true, false, 0},
	{"ems_lease_keep", keep, CHANGES, 4, 2, 2, true, false, 0},
	{"ems_lease_end", give_back, KEEPS, 2, 1, 0, true, false, 0},
	{"ems_lease_end", give_back, KEEPS, 4, 2, 2, true, false, 0},
	{"ems_heap_detach_thread", detach, KEEPS, 4, 2, 1, true, false, 0},
	{"ems_queue_leased", count_leased, KEEPS, 4, 2, 1, true, false, 0},
};

static struct scene new_scene(const struct subject *subject, bool map, enum kind old, enum kind new)
{
	struct scene scene = {
		.function = subject->function,
		.options = {.elements = ELEMENTS,
			    .max_elements = ELEMENTS,
			    .storage = 4 << 20,
			    .map = map,
			    .until_detached = true},
		.prepare = subject->item ? prepare_item : prepare_element,
		.operate = subject->operate,
		.changes = subject->changes,
		.expected = subject->expected,
		.operation = subject,
		.key = map ? ems_key("a key that takes a block") : ems_index(ELEMENT),
		.old = (int)old,
		.new = (int)new,
	};

	scene_name(&scene, "%s of %s, %d leased%s: %s%s%s", subject->function,
		   subject->item ? "an item"
		   : map	 ? "a key"
				 : "an element",
		   (int)subject->leases, subject->holes ? ", others gone" : "", kind_names[old],
		   subject->put ? " to " : "", subject->put ? kind_names[new] : "");
	return scene;
}

/* ---- alone ---- */

static void play_alone(const struct subject *subject, bool map)
{
	for (enum kind old = subject->item ? NUMBER : PRISTINE; old <= LARGE; old++)
		for (enum kind new = NUMBER; new <= (subject->put ? LARGE : NUMBER); new ++) {
			struct scene scene = new_scene(subject, map, old, new);

			/* Copying a large one takes long, and is the same with each. */
			if ((old == LARGE || new == LARGE) && (old != SMALL || map || subject->holes) && !explore_all)
				continue;
			scene.recoveries = old == SMALL && new != LARGE;
			/* An absent key comes into being; and what was never written has been touched. */
			if (old == PRISTINE && !subject->leases && subject->changes == KEEPS)
				scene.changes = EITHER;
			(void)scene_play(&scene);
		}
}

/* The slot is taken by the operation, too. */
static void play_first(const struct subject *subject)
{
	struct scene scene = new_scene(subject, false, SMALL, NUMBER);
	char name[sizeof(scene.name)];

	(void)snprintf(name, sizeof(name), "%s", scene.name);
	scene_name(&scene, "a first %.100s", name);
	scene.cold = scene.robust_steps = true;
	scene.recoveries = 1;
	(void)scene_play(&scene);
}

/* ---- in pairs ---- */

enum rival { PUTS, TAKES, LEASES, RIVALS };
static const char *const rival_names[] = {"puts", "takes", "leases and acknowledges"};

static bool other_works_image(struct shm_segment *seg, struct shm_session *session, const void *argument)
{
	enum rival rival = *(const enum rival *)argument;
	struct shm_value value = {.type = TYPE_STRING, .data = "the other's", .size = 11};
	struct shm_call put = {.argument = &value}, take = {.result = NULL};
	uint64_t ticket;
	int r;

	(void)seg;
	if (rival == PUTS)
		r = shm_ring_put(session, &put, NULL);
	else if (rival == TAKES)
		r = shm_ring_take(session, &take);
	else if ((r = shm_lease_item(session, &take, &ticket)) == 0)
		r = shm_lease_finish(session, ticket, LEASE_KEEP, NULL);
	return r == 0;
}

static int other_works(const struct scene *scene, ems_heap_t *heap)
{
	ems_value_t value = ems_value_data(EMS_STRING, "the other's", 11);
	enum rival rival = *(const enum rival *)scene->argument;
	ems_lease_t lease;
	int r;

	if (rival == PUTS)
		return ems_enqueue(heap, &value, NULL);
	if (rival == TAKES)
		return ems_dequeue(heap, NULL);
	r = ems_dequeue_lease(heap, NULL, &lease);
	return r == 0 ? ems_lease_keep(&lease) : r;
}

static void play_pair(struct scene scene, enum rival rival)
{
	char name[sizeof(scene.name)];
	uint64_t images;

	(void)snprintf(name, sizeof(name), "%s", scene.name);
	scene.changes = EITHER;
	scene.argument = &rival;
	scene.meanwhile = other_works_image;
	scene_name(&scene, "killed: %.70s, while another %s", name, rival_names[rival]);
	(void)scene_play(&scene);
	images = totals.last_images;
	scene.meanwhile = NULL;
	scene.other = other_works;
	for (uint64_t stop = 1; stop <= images; stop++) {
		if (!explore_all && explore_random(images) >= STOPS)
			continue;
		scene.interfere_at = stop;
		scene_name(&scene, "goes on: %.60s, at image %d another %s", name, (int)stop, rival_names[rival]);
		(void)scene_play(&scene);
	}
}

static void play_pairs(void)
{
	static const struct subject firsts[] = {
		{"ems_dequeue_lease", lease_item, EITHER, 2, 0, 0, true, false, 0},
		{"ems_lease_put", put_back, EITHER, 3, 1, 0, true, true, 0},
		{"ems_lease_keep", keep, EITHER, 3, 2, 0, true, false, 0},
		{"ems_lease_end", give_back, EITHER, 3, 2, 0, true, false, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(firsts); i++)
		for (enum rival rival = PUTS; rival < RIVALS; rival++)
			play_pair(new_scene(&firsts[i], false, SMALL, SMALL), rival);
}

/* ---- waiting ---- */

static int other_fills(const struct scene *scene, ems_heap_t *heap)
{
	return ems_set_tag(heap, scene->key, EMS_FULL);
}

static void play_waiting(const struct subject *subject, scene_function *other)
{
	static const enum rival puts = PUTS;
	struct scene scene = new_scene(subject, false, SMALL, NUMBER);
	uint64_t images;

	patient = false;
	scene_name(&scene, "%s waits in vain", scene.function);
	(void)scene_play(&scene);
	images = totals.last_images;
	patient = true;
	scene.other = other;
	scene.argument = &puts;
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
	patient = false;
}

void group_leases(void)
{
	static const struct subject element = {
		"ems_read_fe_lease_until", lease_element_in_time, KEEPS, 0, 0, 1, false, false, -EMS_ETIMEOUT};
	static const struct subject item = {
		"ems_dequeue_lease_until", lease_item_in_time, KEEPS, 2, 2, 0, true, false, -EMS_ETIMEOUT};

	for (size_t i = 0; i < ARRAY_SIZE(subjects); i++) {
		play_alone(&subjects[i], false);
		if (!subjects[i].item && !subjects[i].holes)
			play_alone(&subjects[i], true);
		if (subjects[i].operate == lease_element || (subjects[i].operate == lease_item && i == 7))
			play_first(&subjects[i]);
	}
	play_pairs();
	play_waiting(&element, other_fills);
	play_waiting(&item, other_works);
}
