/*
 * The queue and the stack under many threads: each item says who put it and which of his it is. Nothing is lost, nothing
 * comes twice, and of a queue each consumer sees the items of one producer in order.
 */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "base/clock.h"
#include "shm/check.h"
#include "shm/ring.h"
#include "shm/stack.h"
#include "tests/unit/heap.h"
#include "tests/unit/unit.h"

#define PRODUCERS 3
#define CONSUMERS 3
#define ITEMS	  4000 /* of each producer */

static struct test_heap heap;
static uint64_t seed;
static bool of_stack;
static uint32_t seen[PRODUCERS][ITEMS]; /* how often it came */

struct worker {
	pthread_t thread;
	struct shm_session session;
	uint32_t number;
	uint64_t random;
	int64_t last[PRODUCERS];
};

static int put(struct worker *worker, const struct shm_call *call)
{
	return of_stack ? shm_stack_push(&worker->session, call, NULL)
			: shm_ring_put(&worker->session, call, NULL);
}

static int take(struct worker *worker, const struct shm_call *call)
{
	return of_stack ? shm_stack_pop(&worker->session, call) : shm_ring_take(&worker->session, call);
}

/* Waits for long, or tries again and again, or waits shortly: they shall meet. */
static int insist(struct worker *worker, struct shm_call *call,
		  int (*operation)(struct worker *, const struct shm_call *))
{
	int r;

	do {
		uint64_t how = unit_random(&worker->random) % 3;

		call->deadline = how == 0 ? CLOCK_NEVER : how == 1 ? 0 : clock_deadline(100000);
		r = operation(worker, call);
		if (r < 0)
			sched_yield();
	} while (r == -ERROR_FULL || r == -ERROR_EMPTY || r == -ERROR_TIMEOUT);
	return r;
}

static void *produce(void *arg)
{
	struct worker *worker = arg;
	char text[64];

	if (shm_session_open(&worker->session, &heap.seg, 0) < 0)
		return "no slot";
	for (int64_t i = 0; i < ITEMS; i++) {
		struct shm_value value = {.type = TYPE_INTEGER, .integer = worker->number * ITEMS + i};
		struct shm_call call = {.argument = &value};

		if (unit_random(&worker->random) % 2) {
			value.type = TYPE_STRING;
			value.size = (size_t)snprintf(text, sizeof(text), "%0*" PRId64, (int)(i % 40 + 1),
						      value.integer);
			value.data = text;
		}
		if (insist(worker, &call, put) < 0)
			return "put";
	}
	shm_session_close(&worker->session);
	return NULL;
}

static const char *note(struct worker *worker, const struct shm_value *value)
{
	int64_t number = value->type == TYPE_STRING ? strtoll(value->data, NULL, 10) : value->integer;
	int64_t producer = number / ITEMS, item = number % ITEMS;

	if (number < 0 || producer >= PRODUCERS)
		return "an item that nobody put";
	if (add32(&seen[producer][item], 1) > 0)
		return "twice";
	if (!of_stack && item <= worker->last[producer])
		return "out of order";
	worker->last[producer] = item;
	return NULL;
}

/* Until it gets an undefined. */
static void *consume(void *arg)
{
	struct worker *worker = arg;
	struct shm_value value = {0}, peeked = {0};
	const char *wrong = NULL;

	for (int i = 0; i < PRODUCERS; i++)
		worker->last[i] = -1;
	if (shm_session_open(&worker->session, &heap.seg, 0) < 0)
		return "no slot";
	while (!wrong) {
		struct shm_call call = {.result = &value};

		if (unit_random(&worker->random) % 8 == 0) {
			int r = of_stack ? shm_stack_peek(&heap.seg, &peeked)
					 : shm_ring_peek(&heap.seg, &peeked);

			if (r != 0 && r != -ERROR_EMPTY)
				wrong = "peek";
		}
		if (insist(worker, &call, take) < 0)
			wrong = "take";
		else if (value.type == TYPE_UNDEFINED)
			break;
		else
			wrong = note(worker, &value);
	}
	free(value.data);
	free(peeked.data);
	shm_session_close(&worker->session);
	return (void *)(uintptr_t)wrong;
}

static void start(struct worker *worker, void *(*work)(void *), uint32_t number)
{
	worker->number = number;
	worker->random = unit_random(&seed);
	ck_assert_int_eq(pthread_create(&worker->thread, NULL, work, worker), 0);
}

static void join(struct worker *worker)
{
	void *wrong;

	ck_assert_int_eq(pthread_join(worker->thread, &wrong), 0);
	ck_assert_msg(!wrong, "%s", (const char *)wrong);
}

/* The rest of a stack, below the ends. */
static void drain(struct worker *worker)
{
	struct shm_value value = {0};
	struct shm_call call = {.result = &value};

	while (take(worker, &call) == 0)
		ck_assert(value.type == TYPE_UNDEFINED || !note(worker, &value));
	free(value.data);
}

static void check_all(void)
{
	struct shm_check check = {.quiet = true};

	for (int p = 0; p < PRODUCERS; p++)
		for (int i = 0; i < ITEMS; i++)
			ck_assert_msg(seen[p][i] == 1, "item %d of %d came %u times", i, p, seen[p][i]);
	ck_assert_int_eq(shm_check(&heap.seg, &check), 0);
	ck_assert_uint_eq(check.problems, 0);
	ck_assert_uint_eq(check.blobs_allocated, 0);
}

static void run(bool stack, uint64_t elements)
{
	static struct worker producers[PRODUCERS], consumers[CONSUMERS], me;
	struct heap_params params = test_params(elements, false);
	struct shm_value end = {.type = TYPE_UNDEFINED};
	struct shm_call call = {.argument = &end};

	of_stack = stack;
	seed = unit_seed();
	memset(seen, 0, sizeof(seen));
	test_heap_open(&heap, &params);
	for (uint32_t i = 0; i < CONSUMERS; i++)
		start(&consumers[i], consume, i);
	for (uint32_t i = 0; i < PRODUCERS; i++)
		start(&producers[i], produce, i);
	for (uint32_t i = 0; i < PRODUCERS; i++)
		join(&producers[i]);
	me.random = seed;
	ck_assert_int_eq(shm_session_open(&me.session, &heap.seg, 0), 0);
	for (int i = 0; i < CONSUMERS; i++)
		ck_assert_int_eq(insist(&me, &call, put), 0);
	for (uint32_t i = 0; i < CONSUMERS; i++)
		join(&consumers[i]);
	memset(me.last, -1, sizeof(me.last));
	if (stack)
		drain(&me);
	shm_session_close(&me.session);
	check_all();
	test_heap_close(&heap);
}

START_TEST(test_queue)
{
	run(false, 64);
}
END_TEST

START_TEST(test_small_queue)
{
	run(false, 1);
}
END_TEST

START_TEST(test_stack)
{
	run(true, 64);
}
END_TEST

START_TEST(test_small_stack)
{
	run(true, 1);
}
END_TEST

UNIT_MAIN("shm/queue threads", test_queue, test_small_queue, test_stack, test_small_stack)
