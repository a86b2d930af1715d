/*
 * Many threads on one handle, all operations at once, against sums that must come out. Meant for the thread sanitizer
 * as well, so it has rounds rather than time.
 */
#include <pthread.h>

#include "tests/integration/client.h"

#define THREADS	 6
#define ROUNDS	 3000
#define ELEMENTS 16

struct shared {
	ems_connection_t *connection;
	ems_heap_t *list, *map;
	uint64_t seed;
};

struct worker {
	struct shared *shared;
	int number;
	int64_t added, tokens_seen;
};

/* Takes a token from one place and puts it to another, both with waiting. */
static void move_token(struct worker *worker, uint64_t *random)
{
	ems_value_t value = EMS_VALUE_INIT;
	ems_key_t from = ems_index(ELEMENTS + (int64_t)(unit_random(random) % 4));

	ck_ok(ems_read_fe(worker->shared->list, from, &value));
	ck_assert_uint_eq(value.type, EMS_STRING);
	ck_ok(ems_write_ef(worker->shared->list, from, &value));
	worker->tokens_seen++;
	ems_value_clear(&value);
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct shared *shared = worker->shared;
	uint64_t random = shared->seed + (uint64_t)worker->number;
	ems_value_t value = EMS_VALUE_INIT;
	char name[64];

	for (int i = 0; i < ROUNDS; i++) {
		int64_t addend = (int64_t)(unit_random(&random) % 100) - 50, old;
		ems_key_t element = ems_index((int64_t)(unit_random(&random) % ELEMENTS));
		bool swapped = false;

		switch (unit_random(&random) % 6) {
		case 0:
			ck_ok(ems_faa_int64(shared->list, element, addend, NULL));
			worker->added += addend;
			break;
		case 1:
			ck_ok(ems_read_int64(shared->list, element, &old));
			while (!swapped)
				ck_ok(ems_cas_int64(shared->list, element, old, old + addend, &old,
						    &swapped));
			worker->added += addend;
			break;
		case 2:
			snprintf(name, sizeof(name), "a shared key, number %d",
				 (int)(unit_random(&random) % 50));
			ck_ok(ems_faa_int64(shared->map, ems_key(name), 1, NULL));
			break;
		case 3:
			snprintf(name, sizeof(name), "key %d of thread %d", i, worker->number);
			value = text_value(name);
			ck_ok(ems_write(shared->map, ems_key(name), &value));
			value = (ems_value_t)EMS_VALUE_INIT;
			ck_ok(ems_read(shared->map, ems_key(name), &value));
			ck_assert_str_eq(value.data, name);
			ck_ok(ems_delete(shared->map, ems_key(name)));
			ems_value_clear(&value);
			break;
		case 4:
			move_token(worker, &random);
			break;
		default:
			if (i % 100 == 0)
				ck_ok(ems_ping(shared->connection, EMS_FOREVER));
			if (i % 50 == 0)
				ems_heap_detach_thread(shared->list);
			break;
		}
	}
	return NULL;
}

START_TEST(test_everything_at_once)
{
	struct shared shared = {.connection = connect_daemon(), .seed = unit_seed()};
	struct worker workers[THREADS];
	pthread_t threads[THREADS];
	ems_value_t token = text_value("a token that lies in storage"), zero = ems_value_integer(0);
	int64_t sum = 0, expected = 0, values[ELEMENTS];

	shared.list = make_heap(shared.connection, "threads/list",
				&(ems_heap_options_t){.elements = ELEMENTS + 4, .fill = &zero});
	shared.map = make_heap(shared.connection, "threads/map",
			       &(ems_heap_options_t){.elements = 1000, .map = true});
	for (int i = 0; i < 4; i++)
		ck_ok(ems_write(shared.list, ems_index(ELEMENTS + i), &token));
	for (int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.shared = &shared, .number = i};
		ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		expected += workers[i].added;
	}
	ck_ok(ems_read_range_int64(shared.list, 0, ELEMENTS, values, NULL));
	for (int i = 0; i < ELEMENTS; i++)
		sum += values[i];
	ck_assert_int_eq(sum, expected);
	for (int i = 0; i < 4; i++)
		ck_reads(shared.list, ems_index(ELEMENTS + i), &token);
	end_heap(shared.connection, shared.list);
	end_heap(shared.connection, shared.map);
	ems_disconnect(shared.connection);
}
END_TEST

/* Threads open and close their own handles of the same heaps through one connection. */
static void *open_and_close(void *arg)
{
	struct shared *shared = arg;

	for (int i = 0; i < 100; i++) {
		ems_heap_t *heap;

		ck_ok(ems_heap_open(shared->connection, i % 2 ? "threads/a" : "threads/b", EMS_OPEN_OR_CREATE,
				    &(ems_heap_options_t){.elements = 10}, &heap));
		ck_ok(ems_faa_int64(heap, ems_index(0), 1, NULL));
		ems_heap_close(heap);
	}
	return NULL;
}

START_TEST(test_open_and_close)
{
	struct shared shared = {.connection = connect_daemon()};
	pthread_t threads[THREADS];
	int64_t a, b;

	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, open_and_close, &shared), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	ck_ok(ems_heap_open(shared.connection, "threads/a", EMS_OPEN_EXISTING, NULL, &shared.list));
	ck_ok(ems_heap_open(shared.connection, "threads/b", EMS_OPEN_EXISTING, NULL, &shared.map));
	ck_ok(ems_read_int64(shared.list, ems_index(0), &a));
	ck_ok(ems_read_int64(shared.map, ems_index(0), &b));
	ck_assert_int_eq(a + b, THREADS * 100);
	end_heap(shared.connection, shared.list);
	end_heap(shared.connection, shared.map);
	ems_disconnect(shared.connection);
}
END_TEST

INTEGRATION_MAIN("client/threads", test_everything_at_once, test_open_and_close)
