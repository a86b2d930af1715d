/* Transactions in one heap: each function, alone and in pairs. Those in two heaps: twins.c. */
#include "tests/kill/groups.h"

#include <stdlib.h>

#include "base/macros.h"
#include "shm/transaction.h"
#include "tests/kill/scene.h"
#include "tests/kill/values.h"

#define FIRST 3 /* elements 3, 4, 5 */
#define COUNT 3
#define STOPS 4

static ems_value_t found = EMS_VALUE_INIT;

/* Key or index of the n-th element. */
static ems_key_t key_of(const struct scene *scene, int n)
{
	static const char *const names[COUNT] = {"a key that is long enough for a blob", "short", "another long key"};

	return scene->options.map ? ems_key(names[n]) : ems_index(FIRST + n);
}

static int prepare(const struct scene *scene, ems_heap_t *heap)
{
	int r = 0;

	for (int n = 0; n < COUNT && r == 0; n++) {
		ems_value_t value = value_old((enum kind)(n % 2 ? NUMBER : scene->old), false);

		if (scene->old != PRISTINE || n % 2)
			r = ems_write(heap, key_of(scene, n), &value);
	}
	/* So that the first of it does not take the thread's memory. */
	if (r == 0) {
		ems_transaction_element_t one = {heap, key_of(scene, 1), false};
		ems_transaction_t *transaction;

		r = ems_transaction_begin(&one, 1, &transaction);
		if (r == 0)
			r = ems_transaction_abort(transaction);
	}
	return r;
}

/* The last one twice, and only to be read the first time. */
static int begin(const struct scene *scene, ems_heap_t *heap, ems_transaction_t **transaction)
{
	ems_transaction_element_t set[COUNT + 1];

	for (int n = 0; n < COUNT; n++)
		set[n] = (ems_transaction_element_t){heap, key_of(scene, COUNT - 1 - n), n == 0};
	set[COUNT] = (ems_transaction_element_t){heap, key_of(scene, COUNT - 1), false};
	return ems_transaction_begin_until(set, COUNT + 1, transaction, ems_deadline_in(UINT64_C(20000000000)));
}

static int write_all(const struct scene *scene, ems_transaction_t *transaction)
{
	ems_value_t value = value_new((enum kind)scene->new, false), number = ems_value_integer(77);
	int r = 0;

	for (size_t n = 0; n < COUNT && r == 0; n++) {
		r = ems_transaction_read(transaction, n, &found);
		if (r == 0)
			r = ems_transaction_write(transaction, n, n % 2 ? &number : &value);
	}
	return r;
}

static int commit(const struct scene *scene, ems_heap_t *heap)
{
	ems_transaction_t *transaction;
	int r = begin(scene, heap, &transaction);

	if (r == 0)
		r = write_all(scene, transaction);
	return r < 0 ? r : ems_transaction_commit(transaction);
}

/* What was written is written again, of each kind over each. */
static int write_again(const struct scene *scene, ems_heap_t *heap)
{
	ems_value_t values[] = {value_new(SMALL, false), value_old(SMALL, false), ems_value_integer(5),
				value_new(SMALL, false)};
	ems_transaction_t *transaction;
	int r = begin(scene, heap, &transaction);

	for (size_t i = 0; i < ARRAY_SIZE(values) && r == 0; i++)
		r = ems_transaction_write(transaction, 1, &values[i]);
	return r < 0 ? r : ems_transaction_commit(transaction);
}

static int abort_it(const struct scene *scene, ems_heap_t *heap)
{
	ems_transaction_t *transaction;
	int r = begin(scene, heap, &transaction);

	if (r == 0)
		r = write_all(scene, transaction);
	return r < 0 ? r : ems_transaction_abort(transaction);
}

static int read_only(const struct scene *scene, ems_heap_t *heap)
{
	ems_transaction_element_t set[COUNT];
	ems_transaction_t *transaction;
	int r;

	for (int n = 0; n < COUNT; n++)
		set[n] = (ems_transaction_element_t){heap, key_of(scene, n), true};
	r = ems_transaction_begin(set, COUNT, &transaction);
	for (size_t n = 0; n < COUNT && r == 0; n++)
		r = ems_transaction_read(transaction, n, &found);
	return r < 0 ? r : ems_transaction_commit(transaction);
}

/* The EMS style: plain operations in between. */
static int plainly(const struct scene *scene, ems_heap_t *heap)
{
	ems_value_t value = value_new(SMALL, false), more = ems_value_string(" and more");
	ems_transaction_t *transaction;
	int r = begin(scene, heap, &transaction);

	if (r == 0)
		r = ems_write(heap, key_of(scene, 1), &value);
	if (r == 0)
		r = ems_faa(heap, key_of(scene, 0), &more, &found);
	if (r == 0)
		r = ems_read_fe(heap, key_of(scene, 2), &found);
	return r < 0 ? r : ems_transaction_commit(transaction);
}

static int look(const struct scene *scene, ems_heap_t *heap)
{
	static ems_value_t values[COUNT] = {EMS_VALUE_INIT, EMS_VALUE_INIT, EMS_VALUE_INIT};
	ems_transaction_element_t set[COUNT];

	for (int n = 0; n < COUNT; n++)
		set[n] = (ems_transaction_element_t){heap, key_of(scene, n), false};
	return ems_snapshot(set, COUNT, values);
}

/* The thread ends with it open. */
static int leave_open(const struct scene *scene, ems_heap_t *heap)
{
	ems_transaction_t *transaction;
	int r = begin(scene, heap, &transaction);

	return r < 0 ? r : write_all(scene, transaction);
}

static struct scene new_scene(const char *function, scene_function *operate, enum kind old, enum kind new)
{
	struct scene scene = {
		.function = function,
		.options = {.elements = 20, .storage = 4 << 20, .until_detached = true},
		.prepare = prepare,
		.operate = operate,
		.changes = CHANGES,
		.old = (int)old,
		.new = (int)new,
	};

	scene_name(&scene, "%s: %s to %s", function, kind_names[old], kind_names[new]);
	return scene;
}

static void play(struct scene scene, enum changes changes, const char *what)
{
	scene.changes = changes;
	if (what)
		scene_name(&scene, "%s, %s", scene.function, what);
	scene.recoveries = 1 + (what != NULL);
	(void)scene_play(&scene);
}

static void play_alone(void)
{
	for (enum kind old = PRISTINE; old <= LARGE; old++)
		for (enum kind new = NUMBER; new <= LARGE; new++)
			if ((old != LARGE && new != LARGE) || explore_all || explore_random(3) == 0)
				play(new_scene("ems_transaction_commit", commit, old, new), CHANGES, NULL);
	play(new_scene("ems_transaction_abort", abort_it, SMALL, SMALL), KEEPS, NULL);
	play(new_scene("ems_transaction_abort", abort_it, PRISTINE, SMALL), KEEPS, NULL);
	play(new_scene("ems_transaction_write", write_again, SMALL, SMALL), CHANGES, "again and again");
	play(new_scene("ems_transaction_read", read_only, SMALL, SMALL), KEEPS, "read only");
	play(new_scene("ems_snapshot", look, SMALL, SMALL), KEEPS, NULL);
	play(new_scene("ems_snapshot_until", look, SMALL, SMALL), KEEPS, NULL);
	play(new_scene("ems_transaction_begin", plainly, SMALL, SMALL), CHANGES, "and plain operations");
	play(new_scene("ems_transaction_begin_until", plainly, SMALL, SMALL), CHANGES, "and plain operations");
}

/* A key that begin makes is there from then on, whatever becomes of the transaction. */
static void play_keys(void)
{
	struct scene scene = new_scene("ems_transaction_commit", commit, SMALL, SMALL);

	scene.options.map = true;
	play(scene, CHANGES, "of keys");
	scene.old = PRISTINE;
	scene.promise = SERIES;
	play(scene, CHANGES, "of keys that are absent");
	scene.operate = abort_it;
	scene.function = "ems_transaction_abort";
	play(scene, CHANGES, "of keys that are absent");
}

static void play_threads(void)
{
	struct scene scene = new_scene("ems_transaction_begin", leave_open, SMALL, SMALL);

	scene.thread = true;
	play(scene, KEEPS, "and the thread ends");
}

/* ---- pairs ---- */

/* Somebody else, who does not wait. */
static int others_try(const struct scene *scene, ems_heap_t *heap)
{
	ems_transaction_element_t set[] = {{heap, key_of(scene, 1), false}, {heap, ems_index(19), false}};
	ems_value_t value = ems_value_string("somebody else's");
	ems_transaction_t *transaction;
	int r = ems_transaction_begin_until(set, ARRAY_SIZE(set), &transaction, EMS_NOW);

	if (r == 0) {
		r = ems_transaction_write(transaction, 1, &value);
		return r < 0 ? r : ems_transaction_commit(transaction);
	}
	return r == -EMS_ETIMEOUT ? ems_write(heap, ems_index(18), &value) : r;
}

/* On the replica, before the death: a plain reader, and a writer that does not wait. */
static bool meanwhile(struct shm_segment *seg, struct shm_session *session, const void *argument)
{
	struct shm_value value = {0}, one = {.type = TYPE_INTEGER, .integer = 1};
	struct shm_call read = {.op = OP_READ, .result = &value}, add = {.op = OP_ADD, .argument = &one};
	bool done = true;

	(void)argument;
	for (uint64_t n = FIRST; n < FIRST + COUNT && done; n++) {
		read.target.index = n;
		done = shm_element_apply(seg, session, &read, NULL) == 0;
	}
	add.target.index = 19;
	done = done && shm_element_apply(seg, session, &add, NULL) == 0;
	free(value.capacity ? value.data : NULL);
	return done;
}

static void play_pairs(void)
{
	for (int stop = 0; stop < STOPS; stop++) {
		struct scene scene = new_scene("ems_transaction_commit", commit, SMALL, SMALL);

		scene.other = others_try;
		scene.stop_at = 1 + explore_random(totals.last_images);
		scene_name(&scene, "%s, stopped at image %d, and another tries", scene.function, (int)scene.stop_at);
		scene.changes = EITHER;
		scene.promise = SERIES;
		(void)scene_play(&scene);
	}
	for (int stop = 0; stop < STOPS; stop++) {
		struct scene scene = new_scene("ems_transaction_commit", commit, SMALL, SMALL);

		scene.other = others_try;
		scene.interfere_at = 1 + explore_random(totals.last_images);
		scene_name(&scene, "%s, and another tries at image %d", scene.function, (int)scene.interfere_at);
		scene.changes = EITHER;
		scene.promise = SERIES;
		(void)scene_play(&scene);
	}
	for (int aborting = 0; aborting < 2; aborting++) {
		struct scene scene = new_scene(aborting ? "ems_transaction_abort" : "ems_transaction_commit",
					       aborting ? abort_it : commit, SMALL, SMALL);

		scene.meanwhile = meanwhile;
		scene_name(&scene, "%s, while others read", scene.function);
		scene.changes = EITHER;
		(void)scene_play(&scene);
	}
}

void group_transactions(void)
{
	play_alone();
	play_keys();
	play_threads();
	play_pairs();
	play_two_heaps();
}
