/* Operations on elements: results, tags, storage, waiting with a deadline; alone and by many threads. */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "shm/check.h"
#include "shm/element.h"
#include "shm/storage.h"
#include "tests/unit/heap.h"
#include "tests/unit/unit.h"

static struct test_heap heap;
static struct shm_session session;

static void open_heap(const struct heap_params *params)
{
	test_heap_open(&heap, params);
	ck_assert_int_eq(shm_session_open(&session, &heap.seg, 0), 0);
}

static void print_problem(void *arg, const char *text)
{
	(void)arg;
	fprintf(stderr, "check: %s\n", text);
}

static void assert_sound(uint64_t blobs)
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

static struct shm_value integer(int64_t i)
{
	return (struct shm_value){.type = TYPE_INTEGER, .integer = i};
}

static struct shm_value string(const char *text)
{
	return (struct shm_value){.type = TYPE_STRING, .data = (void *)(uintptr_t)text, .size = strlen(text)};
}

/* deadline 0: an operation that would wait fails instead. */
static int apply(enum shm_op op, uint64_t index, const struct shm_value *argument, struct shm_value *result)
{
	struct shm_call call = {.op = op, .target.index = index, .argument = argument, .result = result};

	return shm_element_apply(&heap.seg, &session, &call, NULL);
}

static int set_tag(uint64_t index, enum tag tag)
{
	struct shm_call call = {.op = OP_SET_TAG, .target.index = index, .tag = tag};

	return shm_element_apply(&heap.seg, &session, &call, NULL);
}

static void assert_is(uint64_t index, enum tag tag, const struct shm_value *value)
{
	struct shm_value seen = {0};
	enum tag seen_tag;
	struct shm_call call = {.op = OP_READ, .target.index = index, .result = &seen, .result_tag = &seen_tag};

	ck_assert_int_eq(shm_element_apply(&heap.seg, NULL, &call, NULL), 0);
	ck_assert_int_eq(seen_tag, tag);
	ck_assert_uint_eq(seen.type, value->type);
	if (type_has_blob((enum cell_type)value->type)) {
		ck_assert_uint_eq(seen.size, value->size);
		ck_assert_mem_eq(seen.data, value->data, value->size);
	} else {
		ck_assert_int_eq(seen.integer, value->integer);
	}
	if (seen.capacity)
		free(seen.data);
}

/* Each operation under each tag: either it would wait, or this is the tag after it. */
START_TEST(test_tags_that_operations_wait_for_and_leave)
{
	static const struct {
		enum shm_op op;
		enum tag under_empty, under_full; /* TAG_NONE: it waits */
	} table[] = {
		{OP_READ_FF, TAG_NONE, TAG_FULL},    {OP_READ_FE, TAG_NONE, TAG_EMPTY},
		{OP_WRITE, TAG_EMPTY, TAG_FULL},     {OP_WRITE_XF, TAG_FULL, TAG_FULL},
		{OP_WRITE_XE, TAG_EMPTY, TAG_EMPTY}, {OP_WRITE_EF, TAG_FULL, TAG_NONE},
		{OP_ADD, TAG_NONE, TAG_FULL},	     {OP_ADD_INT64, TAG_NONE, TAG_FULL},
		{OP_SWAP, TAG_NONE, TAG_FULL},	     {OP_AND, TAG_NONE, TAG_FULL},
		{OP_OR, TAG_NONE, TAG_FULL},	     {OP_XOR, TAG_NONE, TAG_FULL},
		{OP_MIN, TAG_NONE, TAG_FULL},	     {OP_MAX, TAG_NONE, TAG_FULL},
	};
	struct heap_params params = test_params(4, false);
	struct shm_value one = integer(1), seen = {0};

	open_heap(&params);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		for (enum tag tag = TAG_EMPTY; tag <= TAG_FULL; tag++) {
			enum tag after = tag == TAG_EMPTY ? table[i].under_empty : table[i].under_full;
			struct shm_call look = {.op = OP_READ, .result_tag = &tag};
			enum tag before = tag;

			ck_assert_int_eq(apply(OP_WRITE_XF, 0, &one, NULL), 0);
			ck_assert_int_eq(set_tag(0, tag), 0);
			ck_assert_int_eq(apply(table[i].op, 0, &one, &seen), after ? 0 : -ERROR_TIMEOUT);
			ck_assert_int_eq(shm_element_apply(&heap.seg, NULL, &look, NULL), 0);
			ck_assert_int_eq(tag, after ? after : before);
			tag = before;
		}
	assert_sound(0);
	close_heap();
}
END_TEST

START_TEST(test_pristine_elements)
{
	struct heap_params params = test_params(100000, false);
	struct shm_value fill = string("fill"), seven = integer(7), text = string("fill7"), old = {0};

	params.fill_type = TYPE_STRING;
	params.fill_size = 4;
	params.initial_tag = TAG_EMPTY;
	heap.fd = -1;
	ck_assert_int_eq(shm_segment_create(&heap.seg, &params, "fill", (const uint8_t *)"0123456789abcdef", &heap.fd), 0);
	ck_assert_int_eq(shm_session_open(&session, &heap.seg, 0), 0);
	assert_is(5, TAG_EMPTY, &fill);
	assert_is(99999, TAG_EMPTY, &fill);
	ck_assert_int_eq(set_tag(5, TAG_FULL), 0);
	assert_is(5, TAG_FULL, &fill);
	ck_assert_int_eq(apply(OP_ADD, 5, &seven, &old), 0);
	ck_assert_uint_eq(old.size, 4);
	assert_is(5, TAG_FULL, &text);
	ck_assert_int_eq(apply(OP_READ_FE, 99999, NULL, &old), -ERROR_TIMEOUT);
	assert_is(99999, TAG_EMPTY, &fill);
	ck_assert_int_eq(apply(OP_READ, 100000, NULL, &old), -ERROR_RANGE);
	ck_assert_int_eq(apply(OP_WRITE, UINT64_MAX, &seven, NULL), -ERROR_RANGE);
	free(old.data);
	assert_sound(1);
	close_heap();
}
END_TEST

/* Reading a large heap commits no memory, writing commits what is written. */
START_TEST(test_sparse)
{
	struct heap_params params = test_params(10 * 1000 * 1000, false);
	struct shm_value one = integer(1), undefined = {.type = TYPE_UNDEFINED};
	uint64_t before, after;

	open_heap(&params);
	before = shm_committed_bytes(&heap.seg);
	for (uint64_t i = 0; i < params.elements; i += 4096)
		assert_is(i, TAG_FULL, &undefined);
	ck_assert_uint_eq(shm_committed_bytes(&heap.seg), before);
	ck_assert_int_eq(apply(OP_WRITE, 9999999, &one, NULL), 0);
	after = shm_committed_bytes(&heap.seg);
	ck_assert_uint_gt(after, before);
	ck_assert_uint_le(after, before + 2 * UNIT);
	assert_is(9999999, TAG_FULL, &one);
	close_heap();
}
END_TEST

START_TEST(test_texts_of_all_sizes)
{
	static const size_t sizes[] = {0, 1, 7, 8, 24, 25, 63, 64, 4095, 4096, 4097, 32760, 32761, 65528, 65529, 1000000};
	struct heap_params params = test_params(64, false);
	char *bytes = malloc(1000000);

	open_heap(&params);
	for (size_t i = 0; i < 1000000; i++)
		bytes[i] = (char)('a' + i % 23);
	for (int round = 0; round < 3; round++)
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			struct shm_value value = {.type = TYPE_BYTES, .data = bytes + round, .size = sizes[i] - (sizes[i] ? (size_t)round % sizes[i] : 0)};

			if (value.size + (size_t)round > 1000000)
				value.size -= (size_t)round;
			ck_assert_int_eq(apply(OP_WRITE_XF, i, &value, NULL), 0);
			assert_is(i, TAG_FULL, &value);
		}
	assert_sound(ARRAY_SIZE(sizes));
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct shm_value one = integer(1);

		ck_assert_int_eq(apply(OP_WRITE, i, &one, NULL), 0);
	}
	assert_sound(0);
	free(bytes);
	close_heap();
}
END_TEST

START_TEST(test_out_of_storage_harms_nothing)
{
	struct heap_params params = test_params(64, false);
	size_t size = 3 * UNIT;
	char *bytes = calloc(1, size);
	struct shm_value value = {.type = TYPE_BYTES, .data = bytes, .size = size}, one = integer(1);
	uint64_t i = 0;
	int r;

	params.storage = 16 * UNIT;
	open_heap(&params);
	while ((r = apply(OP_WRITE, i, &value, NULL)) == 0)
		i++;
	ck_assert_int_eq(r, -ERROR_NO_SPACE);
	ck_assert_uint_ge(i, 3);
	ck_assert_int_eq(apply(OP_WRITE, i, &one, NULL), 0);
	ck_assert_int_eq(apply(OP_WRITE_XF, i, &value, NULL), -ERROR_NO_SPACE);
	assert_is(i, TAG_FULL, &one);
	assert_sound(i);
	ck_assert_int_eq(apply(OP_WRITE, 0, &one, NULL), 0); /* room again */
	ck_assert_int_eq(apply(OP_WRITE, i, &value, NULL), 0);
	assert_sound(i);
	free(bytes);
	close_heap();
}
END_TEST

START_TEST(test_compare_and_swap)
{
	struct heap_params params = test_params(4, false);
	struct shm_value a = string("a"), b = string("b"), old = {0}, undefined = {.type = TYPE_UNDEFINED};
	struct shm_call call = {.op = OP_CAS, .argument = &undefined, .argument2 = &a, .result = &old};
	bool changed;

	open_heap(&params);
	ck_assert_int_eq(shm_element_apply(&heap.seg, &session, &call, &changed), 0);
	ck_assert(changed);
	ck_assert_uint_eq(old.type, TYPE_UNDEFINED);
	call.argument = &b;
	ck_assert_int_eq(shm_element_apply(&heap.seg, &session, &call, &changed), 0);
	ck_assert(!changed);
	ck_assert_uint_eq(old.type, TYPE_STRING);
	assert_is(0, TAG_FULL, &a);
	call.argument = &a;
	call.argument2 = &b;
	ck_assert_int_eq(shm_element_apply(&heap.seg, &session, &call, &changed), 0);
	ck_assert(changed);
	assert_is(0, TAG_FULL, &b);
	assert_sound(1);
	free(old.data);
	close_heap();
}
END_TEST

static struct shm_key key_of(const char *text)
{
	return shm_key_string(&heap.seg, text, (uint32_t)strlen(text));
}

static int apply_key(enum shm_op op, const char *text, const struct shm_value *argument, struct shm_value *result)
{
	struct shm_key key = key_of(text);
	struct shm_call call = {.op = op, .target.key = &key, .argument = argument, .result = result};

	return shm_element_apply(&heap.seg, &session, &call, NULL);
}

START_TEST(test_keys_come_and_go)
{
	struct heap_params params = test_params(16, true);
	struct shm_value one = integer(1), text = string("text"), seen = {0};
	struct shm_check check = {.quiet = true};

	open_heap(&params);
	ck_assert_int_eq(apply_key(OP_READ, "absent key of some length", NULL, &seen), 0);
	ck_assert_uint_eq(seen.type, TYPE_UNDEFINED);
	ck_assert_int_eq(apply_key(OP_DELETE, "absent", NULL, NULL), -ERROR_NO_KEY);
	ck_assert_int_eq(apply_key(OP_ADD_INT64, "n", &one, &seen), 0);
	ck_assert_int_eq(apply_key(OP_ADD_INT64, "n", &one, &seen), 0);
	ck_assert_int_eq(seen.integer, 1);
	ck_assert_int_eq(apply_key(OP_WRITE_EF, "full from the start", &text, NULL), -ERROR_TIMEOUT);
	ck_assert_int_eq(apply_key(OP_READ_FE, "full from the start", NULL, &seen), 0);
	ck_assert_int_eq(apply_key(OP_WRITE_EF, "full from the start", &text, NULL), 0);
	ck_assert_int_eq(shm_check(&heap.seg, &check), 0);
	ck_assert_uint_eq(check.problems, 0);
	ck_assert_uint_eq(check.keys, 2);
	ck_assert_int_eq(apply_key(OP_DELETE, "n", NULL, NULL), 0);
	ck_assert_int_eq(apply_key(OP_DELETE, "full from the start", NULL, NULL), 0);
	ck_assert_int_eq(apply_key(OP_READ, "full from the start", NULL, &seen), 0);
	ck_assert_uint_eq(seen.type, TYPE_UNDEFINED);
	assert_sound(0);
	free(seen.data);
	close_heap();
}
END_TEST

/* A cas that misses an absent key creates nothing; one that matches the fill value creates it FULL. */
START_TEST(test_cas_of_absent_keys)
{
	struct heap_params params = test_params(16, true);
	struct shm_value one = integer(1), undefined = {.type = TYPE_UNDEFINED}, text = string("new");
	struct shm_key key;
	struct shm_call call = {.op = OP_CAS, .target.key = &key, .argument = &one, .argument2 = &text};
	bool changed;

	open_heap(&params);
	key = key_of("key");
	ck_assert_int_eq(shm_element_apply(&heap.seg, &session, &call, &changed), 0);
	ck_assert(!changed);
	ck_assert_int_eq(apply_key(OP_DELETE, "key", NULL, NULL), -ERROR_NO_KEY);
	call.argument = &undefined;
	ck_assert_int_eq(shm_element_apply(&heap.seg, &session, &call, &changed), 0);
	ck_assert(changed);
	assert_sound(1);
	ck_assert_int_eq(apply_key(OP_DELETE, "key", NULL, NULL), 0);
	assert_sound(0);
	close_heap();
}
END_TEST

/* ---- many threads ---- */

#define THREADS 4
#define TURNS	20000

static void *add_many(void *arg)
{
	struct shm_session mine;
	struct shm_value one = integer(1);

	(void)arg;
	if (shm_session_open(&mine, &heap.seg, 0) < 0)
		return "no session";
	for (int i = 0; i < TURNS; i++) {
		struct shm_call call = {.op = OP_ADD_INT64, .target.index = (uint64_t)i % 3, .argument = &one,
					.deadline = CLOCK_NEVER};

		if (shm_element_apply(&heap.seg, &mine, &call, NULL) < 0)
			return "add";
	}
	shm_session_close(&mine);
	return NULL;
}

static void run_threads(void *(*work)(void *arg))
{
	pthread_t threads[THREADS];
	void *failure;

	for (uintptr_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, work, (void *)i), 0);
	for (int i = 0; i < THREADS; i++) {
		ck_assert_int_eq(pthread_join(threads[i], &failure), 0);
		ck_assert_msg(!failure, "%s", (const char *)failure);
	}
}

START_TEST(test_sums_of_many_threads)
{
	struct heap_params params = test_params(4, false);
	struct shm_value seen = {0};
	int64_t sum = 0;

	open_heap(&params);
	run_threads(add_many);
	for (uint64_t i = 0; i < 3; i++) {
		ck_assert_int_eq(apply(OP_READ, i, NULL, &seen), 0);
		sum += seen.integer;
	}
	ck_assert_int_eq(sum, (int64_t)THREADS * TURNS);
	assert_sound(0);
	close_heap();
}
END_TEST

static int64_t handed_over[THREADS];

/* Two producers and two consumers through one element: every number arrives once, nobody hangs. */
static void *hand_over(void *arg)
{
	uintptr_t me = (uintptr_t)arg;
	struct shm_value value = {0};
	struct shm_session mine;
	int64_t sum = 0;

	if (shm_session_open(&mine, &heap.seg, 0) < 0)
		return "no session";
	for (int i = 1; i <= TURNS / 10; i++) {
		struct shm_call call = {.op = me % 2 ? OP_READ_FE : OP_WRITE_EF, .target.index = 1, .deadline = CLOCK_NEVER};

		if (me % 2)
			call.result = &value;
		else
			call.argument = &value;
		if (!(me % 2))
			value = integer(i);
		if (shm_element_apply(&heap.seg, &mine, &call, NULL) < 0)
			return "hand over";
		sum += value.integer;
	}
	handed_over[me] = sum;
	shm_session_close(&mine);
	return NULL;
}

START_TEST(test_producers_and_consumers)
{
	struct heap_params params = test_params(4, false);

	params.initial_tag = TAG_EMPTY;
	open_heap(&params);
	run_threads(hand_over);
	ck_assert_int_eq(handed_over[0] + handed_over[2], handed_over[1] + handed_over[3]);
	ck_assert_int_eq(handed_over[0], (int64_t)(TURNS / 10) * (TURNS / 10 + 1) / 2);
	close_heap();
}
END_TEST

/* What those who wait for FULL and leave it FULL do; each twice, so that one wake does not do. */
static const enum shm_op keepers[] = {OP_ADD, OP_SWAP, OP_CAS};

struct keeper {
	enum shm_op op;
	struct shm_session session;
	int result;
};

static void *keep_full(void *arg)
{
	struct keeper *keeper = arg;
	struct shm_value one = integer(1), two = integer(2);
	struct shm_call call = {.op = keeper->op, .argument = &one, .argument2 = &two, .target.index = 1,
				.deadline = CLOCK_NEVER};

	keeper->result = shm_session_open(&keeper->session, &heap.seg, 0);
	if (keeper->result == 0)
		keeper->result = shm_element_apply(&heap.seg, &keeper->session, &call, NULL);
	if (keeper->result == 0)
		shm_session_close(&keeper->session);
	return NULL;
}

/* Some slots' threads sleep in the kernel, after they have said on what: slot.wait. */
static uint32_t count_asleep(void)
{
	uint32_t asleep = 0;

	for (uint32_t id = 1; id < shm_slots_high(&heap.seg); id++) {
		const struct slot *slot = shm_slot(&heap.seg, id);
		char path[64], state = 0;
		FILE *file;

		if (load64_acquire(&slot->wait) == 0)
			continue;
		(void)snprintf(path, sizeof(path), "/proc/self/task/%u/stat", load32_relaxed(&slot->tid));
		file = fopen(path, "r");
		if (!file)
			continue;
		if (fscanf(file, "%*d %*s %c", &state) == 1)
			asleep += state == 'S';
		(void)fclose(file);
	}
	return asleep;
}

/* All that wait for FULL and leave it so go on when it comes, for no other change will wake the rest. */
START_TEST(test_who_leaves_the_element_full_does_not_eat_the_wake)
{
	struct keeper waiters[2 * ARRAY_SIZE(keepers)];
	pthread_t threads[ARRAY_SIZE(waiters)];
	struct heap_params params = test_params(4, false);
	struct shm_value zero = integer(0);

	params.initial_tag = TAG_EMPTY;
	open_heap(&params);
	for (size_t i = 0; i < ARRAY_SIZE(waiters); i++) {
		waiters[i] = (struct keeper){.op = keepers[i / 2]};
		ck_assert_int_eq(pthread_create(&threads[i], NULL, keep_full, &waiters[i]), 0);
	}
	while (count_asleep() < ARRAY_SIZE(waiters))
		sched_yield();
	ck_assert_int_eq(apply(OP_WRITE_XF, 1, &zero, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(waiters); i++) {
		/* hangs, and fails by time-out, when nobody wakes it */
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
		ck_assert_int_eq(waiters[i].result, 0);
	}
	close_heap();
}
END_TEST

/* Writers replace texts whose bytes are all alike, readers must never see a mixture. */
static void *write_or_read_texts(void *arg)
{
	uintptr_t me = (uintptr_t)arg;
	char text[300];
	struct shm_value value = {0};
	struct shm_session mine;

	if (shm_session_open(&mine, &heap.seg, 0) < 0)
		return "no session";
	for (int i = 0; i < TURNS / 4; i++) {
		size_t size = (size_t)(i * 7) % sizeof(text) + 1;
		struct shm_value written = {.type = TYPE_BYTES, .data = text, .size = size};
		struct shm_call call = {.op = me < 2 ? OP_WRITE : OP_READ, .argument = &written, .result = me < 2 ? NULL : &value,
					.target.index = (uint64_t)i % 2, .deadline = CLOCK_NEVER};

		memset(text, 'a' + (int)size % 26, size);
		if (shm_element_apply(&heap.seg, &mine, &call, NULL) < 0)
			return "operation";
		if (me < 2 || value.type != TYPE_BYTES)
			continue;
		for (size_t k = 0; k < value.size; k++)
			if (((char *)value.data)[k] != 'a' + (int)value.size % 26)
				return "torn text";
	}
	if (value.capacity)
		free(value.data);
	shm_session_close(&mine);
	return NULL;
}

START_TEST(test_texts_are_never_torn)
{
	struct heap_params params = test_params(4, false);

	open_heap(&params);
	run_threads(write_or_read_texts);
	assert_sound(2);
	close_heap();
}
END_TEST

static void *add_keys(void *arg)
{
	uint64_t state = (uintptr_t)arg + 1;
	struct shm_session mine;
	struct shm_value one = integer(1);

	if (shm_session_open(&mine, &heap.seg, 0) < 0)
		return "no session";
	for (int i = 0; i < TURNS / 2; i++) {
		char text[40];
		uint64_t random = unit_random(&state);
		int length = snprintf(text, sizeof(text), random & 1 ? "%" PRIu64 : "a long key number %" PRIu64, (random >> 1) % 200);
		struct shm_key key = shm_key_string(&heap.seg, text, (uint32_t)length);
		struct shm_call call = {.op = random >> 60 == 0 ? OP_DELETE : OP_ADD_INT64, .target.key = &key,
					.argument = &one, .deadline = CLOCK_NEVER};
		int r = shm_element_apply(&heap.seg, &mine, &call, NULL);

		if (r < 0 && r != -ERROR_NO_KEY)
			return (void *)(uintptr_t)error_name(r);
	}
	shm_session_close(&mine);
	return NULL;
}

START_TEST(test_keys_of_many_threads)
{
	struct heap_params params = test_params(1000, true);
	struct shm_check check = {.quiet = true, .problem = print_problem};

	open_heap(&params);
	run_threads(add_keys);
	ck_assert_int_eq(shm_check(&heap.seg, &check), 0);
	ck_assert_uint_eq(check.problems, 0);
	ck_assert_uint_le(check.keys, 400);
	close_heap();
}
END_TEST

UNIT_MAIN("shm/element", test_tags_that_operations_wait_for_and_leave, test_pristine_elements, test_sparse,
	  test_texts_of_all_sizes, test_out_of_storage_harms_nothing, test_compare_and_swap, test_keys_come_and_go,
	  test_cas_of_absent_keys, test_sums_of_many_threads, test_producers_and_consumers,
	  test_who_leaves_the_element_full_does_not_eat_the_wake, test_texts_are_never_torn, test_keys_of_many_threads)
