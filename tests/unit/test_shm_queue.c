/* The queue and the stack of a heap: what one thread sees; growth; what a death at each place leaves. */
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "shm/check.h"
#include "shm/recover.h"
#include "shm/ring.h"
#include "shm/stack.h"
#include "shm/storage.h"
#include "tests/unit/heap.h"
#include "tests/unit/unit.h"

struct kind {
	const char *name;
	int (*put)(struct shm_session *session, const struct shm_call *call, uint64_t *count);
	int (*take)(struct shm_session *session, const struct shm_call *call);
	int (*peek)(const struct shm_segment *seg, struct shm_value *value);
	uint64_t (*length)(const struct shm_segment *seg);
	bool last_first;
};

static const struct kind kinds[] = {
	{"queue", shm_ring_put, shm_ring_take, shm_ring_peek, shm_ring_length, false},
	{"stack", shm_stack_push, shm_stack_pop, shm_stack_peek, shm_stack_length, true},
};

static struct test_heap heap;
static struct shm_session session;

static void open_heap_of(uint64_t elements, uint64_t max_elements)
{
	struct heap_params params = test_params(elements, false);

	params.max_elements = max_elements;
	test_heap_open(&heap, &params);
	ck_assert_int_eq(shm_session_open(&session, &heap.seg, 0), 0);
}

static void print_problem(void *arg, const char *text)
{
	(void)arg;
	fprintf(stderr, "check: %s\n", text);
}

/* Nothing is wrong, and so many blobs are there. */
static void ck_sound(uint64_t blobs)
{
	struct shm_check check = {.quiet = true, .problem = print_problem};

	ck_assert_int_eq(shm_check(&heap.seg, &check), 0);
	ck_assert_uint_eq(check.problems, 0);
	ck_assert_uint_eq(check.blobs_allocated, blobs);
}

static void close_heap(void)
{
	shm_session_close(&session);
	test_heap_close(&heap);
}

static int put(const struct kind *kind, const struct shm_value *value, uint64_t *count)
{
	struct shm_call call = {.argument = value};

	return kind->put(&session, &call, count);
}

static int put_integer(const struct kind *kind, int64_t integer, uint64_t *count)
{
	struct shm_value value = {.type = TYPE_INTEGER, .integer = integer};

	return put(kind, &value, count);
}

static int take(const struct kind *kind, struct shm_value *value)
{
	struct shm_call call = {.result = value};

	return kind->take(&session, &call);
}

static void ck_takes_integer(const struct kind *kind, int64_t integer)
{
	struct shm_value value = {0};

	ck_assert_int_eq(take(kind, &value), 0);
	ck_assert_uint_eq(value.type, TYPE_INTEGER);
	ck_assert_int_eq(value.integer, integer);
}

/* The i-th of some values of all types; texts of a block and of chunks. */
static struct shm_value some_value(uint64_t i)
{
	static char text[200000];

	memset(text, 'a' + (int)(i % 26), sizeof(text));
	switch (i % 8) {
	case 0:
		return (struct shm_value){.type = TYPE_UNDEFINED};
	case 1:
		return (struct shm_value){.type = TYPE_BOOLEAN, .boolean = true};
	case 2:
		return (struct shm_value){.type = TYPE_INTEGER, .integer = -(int64_t)i};
	case 3:
		return (struct shm_value){.type = TYPE_FLOAT, .number = (double)i / 3};
	case 4:
		return (struct shm_value){.type = TYPE_STRING, .data = text, .size = i};
	case 5:
		return (struct shm_value){.type = TYPE_JSON, .data = text, .size = 5000};
	case 6:
		return (struct shm_value){.type = TYPE_BYTES, .data = text, .size = 150000};
	default:
		return (struct shm_value){.type = TYPE_BYTES, .data = text, .size = 0};
	}
}

static bool is_text(const struct shm_value *value)
{
	return type_has_blob((enum cell_type)value->type);
}

static void ck_same(const struct shm_value *a, const struct shm_value *b)
{
	ck_assert_uint_eq(a->type, b->type);
	if (is_text(b)) {
		ck_assert_uint_eq(a->size, b->size);
		ck_assert(b->size == 0 || memcmp(a->data, b->data, b->size) == 0);
	} else if (b->type == TYPE_BOOLEAN) {
		ck_assert(a->boolean == b->boolean);
	} else if (b->type != TYPE_UNDEFINED) {
		ck_assert_int_eq(a->integer, b->integer);
	}
}

START_TEST(test_every_type)
{
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		const struct kind *kind = &kinds[k];
		struct shm_value got = {0}, expected;
		uint64_t count, texts = 0;

		open_heap_of(24, 96);
		for (uint64_t i = 0; i < 24; i++) {
			expected = some_value(i);
			texts += is_text(&expected);
			ck_assert_int_eq(put(kind, &expected, &count), 0);
			ck_assert_uint_eq(count, i + 1);
			ck_assert_uint_eq(kind->length(&heap.seg), i + 1);
		}
		ck_sound(texts);
		for (uint64_t i = 0; i < 24; i++) {
			expected = some_value(kind->last_first ? 23 - i : i);
			ck_assert_int_eq(kind->peek(&heap.seg, &got), 0);
			ck_same(&got, &expected);
			ck_assert_int_eq(take(kind, &got), 0);
			ck_same(&got, &expected);
			ck_assert_uint_eq(kind->length(&heap.seg), 23 - i);
		}
		ck_sound(0);
		free(got.data);
		close_heap();
	}
}
END_TEST

/* Round and round: many laps, with every fill that there is. */
START_TEST(test_laps)
{
	for (uint64_t elements = 1; elements <= 5; elements++)
		for (uint64_t held = 1; held <= elements; held++) {
			int64_t in = 0, out = 0;

			open_heap_of(elements, elements + (elements == 3));
			for (uint64_t i = 0; i < held; i++)
				ck_assert_int_eq(put_integer(&kinds[0], in++, NULL), 0);
			for (int turn = 0; turn < 6000 / (int)elements; turn++) {
				ck_takes_integer(&kinds[0], out++);
				ck_assert_int_eq(put_integer(&kinds[0], in++, NULL), 0);
			}
			ck_assert_uint_eq(shm_ring_length(&heap.seg), held);
			ck_sound(0);
			close_heap();
		}
}
END_TEST

START_TEST(test_full_and_empty)
{
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		const struct kind *kind = &kinds[k];
		struct shm_value text = {.type = TYPE_STRING, .data = "too much", .size = 8}, got = {0};
		struct shm_call in_time = {.argument = &text, .deadline = clock_deadline(NS_PER_MS)};
		struct shm_call wait = {.result = &got, .deadline = clock_deadline(NS_PER_MS)};

		open_heap_of(3, 12);
		ck_assert_int_eq(take(kind, NULL), -ERROR_EMPTY);
		ck_assert_int_eq(kind->peek(&heap.seg, NULL), -ERROR_EMPTY);
		ck_assert_int_eq(kind->take(&session, &wait), -ERROR_TIMEOUT);
		for (int64_t i = 0; i < 3; i++)
			ck_assert_int_eq(put_integer(kind, i, NULL), 0);
		ck_assert_int_eq(put(kind, &text, NULL), -ERROR_FULL);
		ck_assert_int_eq(kind->put(&session, &in_time, NULL), -ERROR_TIMEOUT);
		ck_assert_uint_eq(kind->length(&heap.seg), 3);
		ck_sound(0);
		/* A stored undefined is something. */
		ck_takes_integer(kind, kind->last_first ? 2 : 0);
		ck_assert_int_eq(put(kind, &(struct shm_value){.type = TYPE_UNDEFINED}, NULL), 0);
		for (int i = 0; i < 3; i++)
			ck_assert_int_eq(take(kind, &got), 0);
		ck_assert_int_eq(take(kind, &got), -ERROR_EMPTY);
		close_heap();
	}
}
END_TEST

/* Thrown away without being looked at. */
START_TEST(test_no_result)
{
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct shm_value text = {.type = TYPE_STRING, .data = "thrown away", .size = 11};

		open_heap_of(3, 3);
		ck_assert_int_eq(put(&kinds[k], &text, NULL), 0);
		ck_sound(1);
		ck_assert_int_eq(take(&kinds[k], NULL), 0);
		ck_sound(0);
		close_heap();
	}
}
END_TEST

/* The text does not fit: nothing is put, and what was there stays. */
START_TEST(test_no_storage)
{
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct heap_params params = test_params(8, false);
		size_t size = 20 * UNIT;
		struct shm_value text = {.type = TYPE_BYTES, .data = calloc(1, size), .size = size};

		params.storage = 16 * UNIT;
		test_heap_open(&heap, &params);
		ck_assert_int_eq(shm_session_open(&session, &heap.seg, 0), 0);
		ck_assert_int_eq(put_integer(&kinds[k], 7, NULL), 0);
		ck_assert_int_eq(put(&kinds[k], &text, NULL), -ERROR_NO_SPACE);
		ck_sound(0);
		ck_takes_integer(&kinds[k], 7);
		free(text.data);
		close_heap();
	}
}
END_TEST

static void *put_one(void *arg)
{
	const struct kind *kind = arg;
	struct shm_value value = {.type = TYPE_INTEGER, .integer = 99};
	struct shm_call call = {.argument = &value, .deadline = CLOCK_NEVER};
	struct shm_session mine;
	int r = shm_session_open(&mine, &heap.seg, 0);

	if (r == 0)
		r = kind->put(&mine, &call, NULL);
	shm_session_close(&mine);
	return (void *)(intptr_t)r;
}

static void *take_one(void *arg)
{
	const struct kind *kind = arg;
	struct shm_call call = {.deadline = CLOCK_NEVER};
	struct shm_session mine;
	int r = shm_session_open(&mine, &heap.seg, 0);

	if (r == 0)
		r = kind->take(&mine, &call);
	shm_session_close(&mine);
	return (void *)(intptr_t)r;
}

static void wait_for_sleepers(uint32_t count)
{
	uint32_t asleep;

	do {
		asleep = 0;
		for (uint32_t id = 1; id < 16; id++)
			asleep += load64_acquire(&shm_slot(&heap.seg, id)->wait) != 0;
	} while (asleep < count);
}

static void start(pthread_t threads[4], void *(*work)(void *), const struct kind *kind)
{
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)kind), 0);
	wait_for_sleepers(4);
}

static void join(pthread_t threads[4])
{
	for (int i = 0; i < 4; i++) {
		void *r;

		ck_assert_int_eq(pthread_join(threads[i], &r), 0);
		ck_assert_int_eq((intptr_t)r, 0);
	}
}

/* Many sleep, and as many items or places come: everybody is served. */
START_TEST(test_sleepers)
{
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		pthread_t threads[4];

		open_heap_of(2, 2);
		start(threads, take_one, &kinds[k]);
		for (int i = 0; i < 4; i++)
			while (put_integer(&kinds[k], i, NULL) == -ERROR_FULL)
				continue;
		join(threads);
		for (int i = 0; i < 2; i++)
			ck_assert_int_eq(put_integer(&kinds[k], i, NULL), 0);
		start(threads, put_one, &kinds[k]);
		for (int i = 0; i < 4; i++)
			while (take(&kinds[k], NULL) == -ERROR_EMPTY)
				continue;
		join(threads);
		ck_assert_uint_eq(kinds[k].length(&heap.seg), 2);
		ck_sound(0);
		close_heap();
	}
}
END_TEST

/* With more elements there is room for those who wait, and the order stays. */
START_TEST(test_growth)
{
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		pthread_t threads[4];

		open_heap_of(2, 8);
		for (int turn = 0; turn < 11; turn++) { /* so that laps do not begin with the first item */
			ck_assert_int_eq(put_integer(&kinds[k], turn, NULL), 0);
			ck_takes_integer(&kinds[k], turn);
		}
		for (int64_t i = 0; i < 2; i++)
			ck_assert_int_eq(put_integer(&kinds[k], i, NULL), 0);
		start(threads, put_one, &kinds[k]);
		shm_grow(&heap.seg, 7);
		join(threads);
		ck_assert_int_eq(put_integer(&kinds[k], 100, NULL), 0);
		ck_assert_int_eq(put_integer(&kinds[k], 101, NULL), -ERROR_FULL);
		ck_assert_uint_eq(kinds[k].length(&heap.seg), 7);
		ck_sound(0);
		ck_takes_integer(&kinds[k], k == 0 ? 0 : 100);
		close_heap();
	}
}
END_TEST

/* ---- deaths; the rest of the places is tried by tests/kill ---- */

static void die_and_recover(uint64_t blobs)
{
	struct shm_recovery recovery;

	shm_robust_declare_dead(&heap.seg, session.id);
	ck_assert_int_eq(shm_recover(&heap.seg, NULL, &recovery), 0);
	ck_assert_uint_eq(recovery.recovered, 1);
	ck_assert_uint_eq(recovery.corrupt, 0);
	ck_sound(blobs);
	ck_assert_int_eq(shm_session_open(&session, &heap.seg, 0), 0);
}

static struct cell *top(void)
{
	return &shm_header(&heap.seg)->stack_top;
}

/* Died after the top's CAS: the push is finished, by recovery or by whoever comes. */
static void begin_push(int64_t integer)
{
	struct cell seen = cell_load(top());

	store64_release(&session.slot->push_type, TYPE_INTEGER);
	store64_release(&session.slot->push_value, (uint64_t)integer);
	ck_assert(cell_cas(
		top(), &seen,
		(struct cell){cell_next(seen.meta, TAG_FULL, TYPE_UNDEFINED, session.id), seen.value + 1}));
}

START_TEST(test_push_under_way)
{
	struct shm_session dead;

	open_heap_of(4, 4);
	ck_assert_int_eq(put_integer(&kinds[1], 1, NULL), 0);
	begin_push(2);
	die_and_recover(0);
	ck_assert_uint_eq(shm_stack_length(&heap.seg), 2);
	ck_takes_integer(&kinds[1], 2);

	begin_push(3);
	dead = session;
	ck_assert_int_eq(shm_session_open(&session, &heap.seg, 0), 0);
	ck_assert_int_eq(put_integer(&kinds[1], 4, NULL), 0);
	ck_takes_integer(&kinds[1], 4);
	ck_takes_integer(&kinds[1], 3);
	ck_takes_integer(&kinds[1], 1);
	shm_session_close(&dead);
	close_heap();
}
END_TEST

/* A peek needs nobody to finish first. */
START_TEST(test_peek_while_pushing)
{
	struct shm_value value = {0};

	open_heap_of(4, 4);
	ck_assert_int_eq(put_integer(&kinds[1], 1, NULL), 0);
	ck_assert_int_eq(take(&kinds[1], NULL), 0);
	begin_push(2);
	ck_assert_int_eq(shm_stack_peek(&heap.seg, &value), 0);
	ck_assert_int_eq(value.integer, 2);
	die_and_recover(0);
	close_heap();
}
END_TEST

/* Scribbled words are found out, and end in errors, not in loops or beyond the mapping. */
START_TEST(test_scribbled)
{
	open_heap_of(4, 16);
	ck_assert_int_eq(put_integer(&kinds[0], 1, NULL), 0);
	ck_assert_int_eq(put_integer(&kinds[1], 1, NULL), 0);
	store64_release(&top()->value, UINT64_C(1) << 50);
	ck_assert_int_eq(put_integer(&kinds[1], 1, NULL), -ERROR_CORRUPT);
	ck_assert_int_eq(take(&kinds[1], NULL), -ERROR_CORRUPT);
	ck_assert_int_eq(shm_stack_peek(&heap.seg, NULL), -ERROR_CORRUPT);
	ck_assert_uint_le(shm_stack_length(&heap.seg), 16);
	begin_push(1);
	ck_assert_int_eq(take(&kinds[1], NULL), -ERROR_CORRUPT);
	store64_release(&shm_header(&heap.seg)->ring_head, 16 * 1000 + 5);
	store64_release(&shm_header(&heap.seg)->ring_tail, 16 * 1000 + 9);
	ck_assert_int_lt(take(&kinds[0], NULL), 0);
	ck_assert_int_lt(put_integer(&kinds[0], 1, NULL), 0);
	(void)shm_ring_peek(&heap.seg, NULL);
	(void)shm_ring_length(&heap.seg);
	shm_grow(&heap.seg, 16);
	test_heap_close(&heap);
}
END_TEST

UNIT_MAIN("shm/queue", test_every_type, test_laps, test_full_and_empty, test_no_result, test_no_storage,
	  test_sleepers, test_growth, test_push_under_way, test_peek_while_pushing, test_scribbled)
