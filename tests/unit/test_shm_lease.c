/* Leases of elements and of the queue's items: how they end, who waits, the order of what comes back, deaths, many at once. */
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "shm/check.h"
#include "shm/lease.h"
#include "shm/recover.h"
#include "shm/ring.h"
#include "tests/unit/heap.h"
#include "tests/unit/unit.h"

static struct test_heap heap;
static struct shm_session session, other;

static void open_heap_of(uint64_t elements, bool map)
{
	struct heap_params params = test_params(elements, map);

	test_heap_open(&heap, &params);
	ck_assert_int_eq(shm_session_open(&session, &heap.seg, 0), 0);
	ck_assert_int_eq(shm_session_open(&other, &heap.seg, 0), 0);
}

static void print_problem(void *arg, const char *text)
{
	(void)arg;
	fprintf(stderr, "check: %s\n", text);
}

static void ck_sound(uint64_t leased, uint64_t blobs)
{
	struct shm_check check = {.quiet = true, .problem = print_problem};

	ck_assert_int_eq(shm_check(&heap.seg, &check), 0);
	ck_assert_uint_eq(check.problems, 0);
	ck_assert_uint_eq(check.leased, leased);
	ck_assert_uint_eq(check.blobs_allocated, blobs);
}

static void close_heap(void)
{
	shm_session_close(&other);
	shm_session_close(&session);
	ck_sound(0, 0);
	test_heap_close(&heap);
}

static struct shm_value integer(int64_t number)
{
	return (struct shm_value){.type = TYPE_INTEGER, .integer = number};
}

static struct shm_value text(const char *data)
{
	return (struct shm_value){.type = TYPE_STRING, .data = (void *)(uintptr_t)data, .size = strlen(data)};
}

static int apply(struct shm_session *by, enum shm_op op, uint64_t index, const struct shm_value *argument,
		 struct shm_value *result)
{
	struct shm_call call = {.op = op, .target.index = index, .argument = argument, .result = result};

	return shm_element_apply(&heap.seg, by, &call, NULL);
}

static enum tag tag_of(uint64_t index)
{
	enum tag tag = TAG_NONE;
	struct shm_call call = {.op = OP_READ, .target.index = index, .result_tag = &tag};

	ck_assert_int_eq(shm_element_apply(&heap.seg, NULL, &call, NULL), 0);
	return tag;
}

static uint64_t lease_element(struct shm_session *by, uint64_t index, struct shm_value *value)
{
	struct shm_call call = {.target.index = index, .result = value};
	uint64_t ticket = 0;

	ck_assert_int_eq(shm_lease_element(by, &call, &ticket), 0);
	ck_assert_uint_ne(ticket, 0);
	return ticket;
}

static void die_and_recover(struct shm_session *dead)
{
	struct shm_recovery recovery;

	shm_robust_declare_dead(&heap.seg, dead->id);
	while (shm_recover(&heap.seg, NULL, &recovery) == -ERROR_BUSY)
		continue;
	ck_assert_uint_eq(recovery.corrupt, 0);
	ck_assert(!shm_recovery_needed(&heap.seg)); /* a sleeper may have done it */
	ck_assert_int_eq(shm_session_open(dead, &heap.seg, 0), 0);
}

START_TEST(test_element_ends)
{
	struct shm_value first = text("the first of some length"), second = text("the second"), got = {0};
	uint64_t ticket;

	open_heap_of(8, false);
	ck_assert_int_eq(apply(&session, OP_WRITE, 1, &first, NULL), 0);
	ticket = lease_element(&session, 1, &got);
	ck_assert_str_eq(got.data, first.data);
	ck_assert_int_eq(tag_of(1), TAG_BUSY);
	ck_assert_uint_eq(shm_lease_count(&session), 1);
	ck_sound(0, 1);
	/* The value is seen; nobody else gets it. */
	ck_assert_int_eq(apply(NULL, OP_READ, 1, NULL, &got), 0);
	ck_assert_str_eq(got.data, first.data);
	ck_assert_int_eq(apply(&other, OP_READ_FE, 1, NULL, NULL), -ERROR_TIMEOUT);
	ck_assert_int_eq(apply(&other, OP_WRITE, 1, &second, NULL), -ERROR_TIMEOUT);

	ck_assert_int_eq(shm_lease_finish(&session, ticket, LEASE_PUT, &second), 0);
	ck_assert_int_eq(shm_lease_finish(&session, ticket, LEASE_PUT, &second), -ERROR_NOT_FOUND);
	ck_assert_int_eq(apply(&other, OP_READ_FF, 1, NULL, &got), 0);
	ck_assert_str_eq(got.data, second.data);

	ticket = lease_element(&session, 1, NULL);
	ck_assert_int_eq(shm_lease_finish(&other, ticket, LEASE_END, NULL), -ERROR_NOT_FOUND);
	ck_assert_int_eq(shm_lease_finish(&session, ticket, LEASE_END, NULL), 0);
	ck_assert_int_eq(tag_of(1), TAG_FULL);

	ticket = lease_element(&session, 1, NULL);
	ck_assert_int_eq(shm_lease_finish(&session, ticket, LEASE_KEEP, NULL), 0);
	ck_assert_int_eq(tag_of(1), TAG_EMPTY);
	ck_assert_int_eq(apply(&other, OP_READ, 1, NULL, &got), 0);
	ck_assert_str_eq(got.data, second.data); /* as readFE leaves it */
	ck_assert_int_eq(shm_lease_element(&session, &(struct shm_call){.target.index = 1}, &ticket), -ERROR_TIMEOUT);
	ck_assert_uint_eq(shm_lease_count(&session), 0);

	/* A number over the text; a pristine element. */
	first = integer(1);
	ck_assert_int_eq(apply(&session, OP_WRITE_XF, 1, &second, NULL), 0);
	ticket = lease_element(&session, 1, NULL);
	ck_assert_int_eq(shm_lease_finish(&session, ticket, LEASE_PUT, &first), 0);
	ticket = lease_element(&session, 2, &got);
	ck_assert_uint_eq(got.type, TYPE_UNDEFINED);
	ck_assert_int_eq(shm_lease_finish(&session, ticket, LEASE_END, NULL), 0);
	ck_sound(0, 0);
	free(got.data);
	close_heap();
}
END_TEST

START_TEST(test_deaths_give_back)
{
	struct shm_value value = text("a text that takes a block"), got = {0};
	struct shm_call put = {.argument = &value}, take = {.result = &got};
	uint64_t ticket;

	open_heap_of(4, false);
	ck_assert_int_eq(apply(&session, OP_WRITE, 1, &value, NULL), 0);
	(void)lease_element(&session, 1, NULL);
	ck_assert_int_eq(shm_ring_put(&session, &put, NULL), 0);
	ck_assert_int_eq(shm_lease_item(&session, &take, &ticket), 0);
	ck_assert_int_eq(shm_ring_take(&other, &take), -ERROR_EMPTY);
	die_and_recover(&session);
	ck_sound(0, 2);
	ck_assert_int_eq(tag_of(1), TAG_FULL);
	ck_assert_int_eq(shm_ring_take(&other, &take), 0);
	ck_assert_str_eq(got.data, value.data);
	/* So does the end of a session. */
	(void)lease_element(&session, 1, NULL);
	shm_session_close(&session);
	ck_assert_int_eq(tag_of(1), TAG_FULL);
	ck_assert_int_eq(shm_session_open(&session, &heap.seg, 0), 0);
	/* And who does not wait sees to it, too. */
	(void)lease_element(&session, 1, NULL);
	shm_robust_declare_dead(&heap.seg, session.id);
	ck_assert_int_eq(apply(&other, OP_READ_FE, 1, NULL, NULL), 0);
	ck_assert_int_eq(shm_session_open(&session, &heap.seg, 0), 0);
	ck_assert_int_eq(shm_ring_put(&session, &put, NULL), 0);
	ck_assert_int_eq(shm_lease_item(&session, &take, &ticket), 0);
	shm_robust_declare_dead(&heap.seg, session.id);
	ck_assert_int_eq(shm_ring_take(&other, &take), 0);
	ck_assert_int_eq(shm_session_open(&session, &heap.seg, 0), 0);
	value = integer(0);
	ck_assert_int_eq(apply(&session, OP_WRITE_XF, 1, &value, NULL), 0);
	free(got.data);
	close_heap();
}
END_TEST

START_TEST(test_limit_and_deadlock)
{
	struct shm_value value = integer(5);
	struct shm_call call = {.target.index = 3, .deadline = CLOCK_NEVER};
	uint64_t tickets[RECORD_LEASE_COUNT], ticket;

	open_heap_of(300, false);
	for (uint32_t i = 0; i < RECORD_LEASE_COUNT; i++)
		tickets[i] = lease_element(&session, i, NULL);
	ck_assert_int_eq(shm_lease_element(&session, &(struct shm_call){.target.index = 200}, &ticket), -ERROR_LIMIT);
	ck_sound(0, 0);
	ck_assert_int_eq(shm_lease_finish(&session, tickets[7], LEASE_PUT, &value), 0);
	ck_assert_int_eq(shm_lease_element(&session, &call, &ticket), -ERROR_DEADLOCK);
	ck_assert_uint_eq(shm_lease_count(&session), RECORD_LEASE_COUNT - 1);
	(void)lease_element(&session, 200, NULL);
	ck_assert_uint_eq(shm_lease_count(&session), RECORD_LEASE_COUNT);
	die_and_recover(&session);
	for (uint32_t i = 0; i < RECORD_LEASE_COUNT; i++)
		ck_assert_int_eq(tag_of(i), TAG_FULL);
	close_heap();
}
END_TEST

/* ---- the queue ---- */

static int put_item(int64_t number)
{
	struct shm_value value = integer(number);
	struct shm_call call = {.argument = &value};

	return shm_ring_put(&session, &call, NULL);
}

static int64_t take_item(void)
{
	struct shm_value value = {0};
	struct shm_call call = {.result = &value};
	int r = shm_ring_take(&other, &call);

	return r < 0 ? r : value.integer;
}

static int64_t lease_item(uint64_t *ticket)
{
	struct shm_value value = {0};
	struct shm_call call = {.result = &value};
	int r = shm_lease_item(&session, &call, ticket);

	return r < 0 ? r : value.integer;
}

static int64_t peek_item(void)
{
	struct shm_value value = {0};
	int r = shm_ring_peek(&heap.seg, &value);

	return r < 0 ? r : value.integer;
}

static void ck_count(uint64_t items, uint64_t leased)
{
	struct shm_ring_count count;

	shm_ring_count(&heap.seg, UINT64_MAX, &count);
	ck_assert_uint_eq(count.items, items);
	ck_assert_uint_eq(count.leased, leased);
	ck_sound(leased, 0);
}

START_TEST(test_items_come_back_in_front)
{
	uint64_t one, two, three;

	open_heap_of(4, false);
	for (int64_t i = 1; i <= 4; i++)
		ck_assert_int_eq(put_item(i), 0);
	ck_assert_int_eq(lease_item(&one), 1);
	ck_assert_int_eq(lease_item(&two), 2);
	ck_assert_int_eq(peek_item(), 3);
	ck_assert_int_eq(lease_item(&three), 3);
	ck_count(4, 3);
	ck_assert_int_eq(shm_lease_finish(&session, two, LEASE_END, NULL), 0);
	ck_assert_int_eq(peek_item(), 2);
	ck_assert_int_eq(take_item(), 2);
	ck_assert_int_eq(take_item(), 4);
	ck_assert_int_eq(take_item(), -ERROR_EMPTY);
	ck_assert_int_eq(peek_item(), -ERROR_EMPTY);
	ck_count(2, 2);
	/* Places behind a leased one count. */
	ck_assert_int_eq(put_item(5), -ERROR_FULL);
	ck_assert_int_eq(shm_lease_finish(&session, one, LEASE_KEEP, NULL), 0);
	ck_count(1, 1);
	ck_assert_int_eq(put_item(5), 0);
	ck_assert_int_eq(put_item(6), 0);
	ck_assert_int_eq(put_item(7), -ERROR_FULL);
	ck_assert_int_eq(take_item(), 5);
	die_and_recover(&session);
	ck_count(2, 0);
	ck_assert_int_eq(take_item(), 3);
	ck_assert_int_eq(take_item(), 6);
	ck_count(0, 0);
	close_heap();
}
END_TEST

/* An item that is put back keeps its place. */
START_TEST(test_put_back_with_another_value)
{
	struct shm_value value = integer(10);
	uint64_t one;

	open_heap_of(4, false);
	ck_assert_int_eq(put_item(1), 0);
	ck_assert_int_eq(put_item(2), 0);
	ck_assert_int_eq(lease_item(&one), 1);
	ck_assert_int_eq(shm_lease_finish(&session, one, LEASE_PUT, &value), 0);
	ck_assert_int_eq(take_item(), 10);
	ck_assert_int_eq(take_item(), 2);
	close_heap();
}
END_TEST

/* Against a plain model: a list of items with a mark whether they are leased. */
START_TEST(test_random_leases)
{
	enum { ELEMENTS = 12, WINDOW = 4096 };
	static enum { GONE, THERE, LEASED } state[WINDOW * 4];
	static uint64_t tickets[WINDOW * 4];
	uint64_t random = unit_seed(), first = 0, end = 0;

	open_heap_of(ELEMENTS, false);
	while (end < WINDOW) {
		uint64_t choice = unit_random(&random) % 8, item = first, leases = 0;

		while (first < end && state[first] == GONE)
			first++;
		for (item = first; item < end && state[item] != THERE; item++)
			continue;
		if (choice < 3) {
			int r = put_item((int64_t)end);

			ck_assert_int_eq(r, end - first < ELEMENTS ? 0 : -ERROR_FULL);
			if (r == 0)
				state[end++] = THERE;
		} else if (choice < 4) {
			ck_assert_int_eq(peek_item(), item < end ? (int64_t)item : -ERROR_EMPTY);
			ck_assert_int_eq(take_item(), item < end ? (int64_t)item : -ERROR_EMPTY);
			state[item] = GONE;
		} else if (choice < 6) {
			int64_t got = lease_item(&tickets[item]);

			ck_assert_int_eq(got, item < end ? (int64_t)item : -ERROR_EMPTY);
			if (got >= 0)
				state[item] = LEASED;
		} else if (first < end) {
			item = first + unit_random(&random) % (end - first);
			if (state[item] == LEASED) {
				ck_assert_int_eq(shm_lease_finish(&session, tickets[item],
								  choice == 6 ? LEASE_KEEP : LEASE_END, NULL),
						 0);
				state[item] = choice == 6 ? GONE : THERE;
			}
		}
		if (unit_random(&random) % 50 == 0) {
			die_and_recover(&session);
			for (uint64_t i = first; i < end; i++)
				state[i] = state[i] == LEASED ? THERE : state[i];
		}
		for (uint64_t i = first; i < end; i++)
			leases += state[i] == LEASED;
		ck_assert_uint_eq(shm_lease_count(&session), leases);
	}
	close_heap();
}
END_TEST

/* With many leases out a taker must not look at all of them each time. */
START_TEST(test_the_hint_spares_looks)
{
	const struct header *header;
	uint64_t ticket;

	open_heap_of(300, false);
	header = shm_header(&heap.seg);
	for (int64_t i = 0; i < 300; i++)
		ck_assert_int_eq(put_item(i), 0);
	for (int64_t i = 0; i < 100; i++)
		ck_assert_int_eq(lease_item(&ticket), i);
	ck_assert_uint_eq(header->ring_head, 0);
	ck_assert_uint_eq(header->ring_search[0], 100);
	ck_assert_int_eq(take_item(), 100);
	ck_assert_uint_eq(header->ring_search[0], 101);
	ck_assert_int_eq(shm_lease_finish(&session, ticket, LEASE_END, NULL), 0);
	ck_assert_uint_eq(header->ring_search[0], 99);
	/* One that leads nowhere costs time, no item. */
	((struct header *)(uintptr_t)header)->ring_search[0] = 250;
	ck_assert_int_eq(take_item(), 250);
	((struct header *)(uintptr_t)header)->ring_search[0] = 1000000;
	ck_assert_int_eq(take_item(), 99);
	for (int64_t i = 101; i < 250; i++)
		ck_assert_int_eq(take_item(), i);
	close_heap();
}
END_TEST

/* ---- waiting ---- */

static void *take_one(void *result)
{
	struct shm_session mine;
	struct shm_value value = {0};
	struct shm_call call = {.result = &value, .deadline = CLOCK_NEVER};

	ck_assert_int_eq(shm_session_open(&mine, &heap.seg, 0), 0);
	*(int *)result = shm_ring_take(&mine, &call);
	*(int64_t *)((int *)result + 2) = value.integer;
	shm_session_close(&mine);
	return NULL;
}

static void wait_for_sleeper(void)
{
	bool sleeps = false;

	while (!sleeps)
		for (uint32_t id = 1; id < shm_slots_high(&heap.seg); id++)
			sleeps = sleeps || load64_acquire(&shm_slot(&heap.seg, id)->wait) != 0;
}

/* Given back, in each way, while somebody sleeps: with room behind it, and in a queue whose places are all leased. */
START_TEST(test_a_sleeper_gets_what_comes_back)
{
	for (int leases = 1; leases <= 4; leases += 3)
		for (int way = 0; way < 3; way++) {
			struct {
				int r, pad;
				int64_t number;
			} result = {1, 0, 0};
			uint64_t tickets[4];
			pthread_t thread;

			open_heap_of(4, false);
			for (int i = 0; i < leases; i++) {
				ck_assert_int_eq(put_item(i + 1), 0);
				ck_assert_int_eq(lease_item(&tickets[i]), i + 1);
			}
			ck_assert_int_eq(pthread_create(&thread, NULL, take_one, &result), 0);
			wait_for_sleeper();
			if (way == 0) {
				ck_assert_int_eq(shm_lease_finish(&session, tickets[0], LEASE_END, NULL), 0);
			} else if (way == 1) {
				shm_session_close(&session);
				ck_assert_int_eq(shm_session_open(&session, &heap.seg, 0), 0);
			} else {
				die_and_recover(&session);
			}
			ck_assert_int_eq(pthread_join(thread, NULL), 0);
			ck_assert_int_eq(result.r, 0);
			ck_assert_int_eq(result.number, 1);
			while (take_item() >= 0)
				continue;
			close_heap();
		}
}
END_TEST

/* The taker of a queue that only it could set in motion. */
START_TEST(test_waiting_for_oneself)
{
	struct shm_value value = integer(9);
	struct shm_call take = {.deadline = CLOCK_NEVER}, put = {.argument = &value, .deadline = CLOCK_NEVER};
	struct shm_call soon = {.deadline = 1};
	uint64_t one, two;

	open_heap_of(2, false);
	ck_assert_int_eq(put_item(1), 0);
	ck_assert_int_eq(lease_item(&one), 1);
	ck_assert_int_eq(shm_ring_take(&session, &soon), -ERROR_TIMEOUT); /* another could put something */
	ck_assert_int_eq(put_item(2), 0);
	ck_assert_int_eq(lease_item(&two), 2);
	ck_assert_int_eq(shm_ring_take(&session, &take), -ERROR_DEADLOCK);
	ck_assert_int_eq(shm_ring_put(&session, &put, NULL), -ERROR_DEADLOCK);
	ck_assert_int_eq(shm_ring_take(&other, &soon), -ERROR_TIMEOUT);
	ck_assert_int_eq(shm_lease_finish(&session, one, LEASE_KEEP, NULL), 0);
	ck_assert_int_eq(shm_ring_put(&session, &put, NULL), 0);
	ck_assert_int_eq(shm_ring_take(&session, &take), 0);
	close_heap();
}
END_TEST

/* ---- many at once ---- */

#define THREADS 4
#define ITEMS	20000

static uint32_t acknowledged[ITEMS];
static uint64_t done_items;

static void *put_all(void *argument)
{
	struct shm_session mine;

	(void)argument;
	ck_assert_int_eq(shm_session_open(&mine, &heap.seg, 0), 0);
	for (int64_t i = 0; i < ITEMS; i++) {
		struct shm_value item = integer(i);
		struct shm_call call = {.argument = &item, .deadline = CLOCK_NEVER};

		ck_assert_int_eq(shm_ring_put(&mine, &call, NULL), 0);
	}
	shm_session_close(&mine);
	return NULL;
}

static void done(const struct shm_value *item)
{
	ck_assert_uint_eq(add32(&acknowledged[item->integer], 1), 0);
	add64(&done_items, 1);
}

static void *work(void *argument)
{
	uint64_t random = *(uint64_t *)argument, ticket;
	struct shm_value value = {0};
	struct shm_session mine;

	ck_assert_int_eq(shm_session_open(&mine, &heap.seg, 0), 0);
	while (load64_acquire(&done_items) < ITEMS) {
		struct shm_call call = {.result = &value, .deadline = clock_deadline(NS_PER_MS)};
		uint64_t choice = unit_random(&random) % 16;

		if (choice < 2) {
			if (shm_ring_take(&mine, &call) == 0)
				done(&value);
		} else if (shm_lease_item(&mine, &call, &ticket) == 0) {
			if (choice < 10)
				done(&value);
			if (choice < 15)
				ck_assert_int_eq(shm_lease_finish(&mine, ticket, choice < 10 ? LEASE_KEEP : LEASE_END, NULL), 0);
			else
				shm_session_close(&mine);
			if (choice == 15)
				ck_assert_int_eq(shm_session_open(&mine, &heap.seg, 0), 0);
		}
	}
	shm_session_close(&mine);
	return NULL;
}

START_TEST(test_threads)
{
	uint64_t random = unit_seed(), seeds[THREADS];
	pthread_t threads[THREADS];

	open_heap_of(16, false);
	for (int i = 0; i < THREADS; i++) {
		seeds[i] = unit_random(&random);
		ck_assert_int_eq(pthread_create(&threads[i], NULL, i ? work : put_all, &seeds[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	for (int i = 0; i < ITEMS; i++)
		ck_assert_uint_eq(acknowledged[i], 1);
	ck_count(0, 0);
	close_heap();
}
END_TEST

UNIT_MAIN("shm/lease", test_element_ends, test_deaths_give_back, test_limit_and_deadlock, test_items_come_back_in_front,
	  test_put_back_with_another_value, test_random_leases, test_the_hint_spares_looks,
	  test_a_sleeper_gets_what_comes_back, test_waiting_for_oneself, test_threads)
