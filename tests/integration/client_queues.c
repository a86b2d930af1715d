/*
 * The queue and the stack through libems and a real emsd: results, refusals, words; several processes; growth.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/client.h"

static ems_connection_t *connection;
static ems_heap_t *heap;

static void open_heap(const char *name, uint64_t elements)
{
	connection = connect_daemon();
	heap = make_heap(connection, name, &(ems_heap_options_t){.elements = elements});
}

static void close_heap(void)
{
	end_heap(connection, heap);
	ems_disconnect(connection);
}

START_TEST(test_queue)
{
	ems_value_t text = text_value("first"), number = ems_value_integer(2), got = EMS_VALUE_INIT;
	uint64_t count = 0;

	open_heap("queue", 2);
	ck_ems(ems_dequeue(heap, &got), EMS_EEMPTY);
	ck_assert_str_eq(ems_last_error()->message + strlen(ems_last_error()->message) - 22,
			 "dequeue: nothing there");
	ck_ok(ems_enqueue(heap, &text, &count));
	ck_assert_uint_eq(count, 1);
	ck_ok(ems_enqueue_until(heap, &number, &count, EMS_FOREVER));
	ck_assert_uint_eq(count, 2);
	ck_ems(ems_enqueue(heap, &number, &count), EMS_EFULL);
	ck_ems(ems_enqueue_until(heap, &number, NULL, ems_deadline_in(MS)), EMS_ETIMEOUT);
	ck_ok(ems_queue_peek(heap, &got));
	ck_assert_str_eq(got.data, "first");
	ck_ok(ems_queue_length(heap, &count));
	ck_assert_uint_eq(count, 2);
	ck_ok(ems_dequeue(heap, &got));
	ck_assert_str_eq(got.data, "first");
	ck_ok(ems_dequeue_until(heap, &got, EMS_NOW));
	ck_assert_int_eq(got.integer, 2);
	ck_ems(ems_dequeue_until(heap, &got, ems_deadline_in(MS)), EMS_ETIMEOUT);
	ck_ems(ems_queue_peek(heap, NULL), EMS_EEMPTY);
	ems_value_clear(&got);
	close_heap();
}
END_TEST

START_TEST(test_stack)
{
	ems_value_t text = text_value("first"), number = ems_value_integer(2), got = EMS_VALUE_INIT;
	uint64_t count = 0;

	open_heap("stack", 2);
	ck_ems(ems_pop(heap, &got), EMS_EEMPTY);
	ck_ok(ems_push(heap, &text, &count));
	ck_ok(ems_push_until(heap, &number, &count, EMS_FOREVER));
	ck_assert_uint_eq(count, 2);
	ck_ems(ems_push(heap, &number, &count), EMS_EFULL);
	ck_ok(ems_stack_peek(heap, &got));
	ck_assert_int_eq(got.integer, 2);
	ck_ok(ems_stack_length(heap, &count));
	ck_assert_uint_eq(count, 2);
	ck_ok(ems_pop(heap, &got));
	ck_assert_int_eq(got.integer, 2);
	ck_ok(ems_pop_until(heap, &got, EMS_FOREVER));
	ck_assert_str_eq(got.data, "first");
	ems_value_clear(&got);
	close_heap();
}
END_TEST

/* The elements do not notice, and values are checked as everywhere. */
START_TEST(test_elements_are_left_alone)
{
	ems_value_t wrong = ems_value_data(EMS_STRING, "\xff", 1), number = ems_value_integer(1);
	ems_tag_t tag;

	open_heap("elements", 3);
	ck_ok(ems_write_xe(heap, ems_index(0), &number));
	ck_ems(ems_enqueue(heap, &wrong, NULL), EMS_EINVALID);
	ck_ems(ems_push(heap, NULL, NULL), EMS_EINVALID);
	for (int i = 0; i < 3; i++) {
		ck_ok(ems_enqueue(heap, &number, NULL));
		ck_ok(ems_push(heap, &number, NULL));
	}
	ck_ok(ems_get_tag(heap, ems_index(0), &tag));
	ck_assert_int_eq(tag, EMS_EMPTY);
	ck_ok(ems_get_tag(heap, ems_index(1), &tag));
	ck_assert_int_eq(tag, EMS_FULL);
	close_heap();
}
END_TEST

START_TEST(test_read_only)
{
	ems_value_t number = ems_value_integer(1), got = EMS_VALUE_INIT;
	ems_heap_t *reader;
	uint64_t count;

	open_heap("reader", 3);
	ck_ok(ems_enqueue(heap, &number, NULL));
	ck_ok(ems_heap_open(connection, "reader", EMS_OPEN_EXISTING, &(ems_heap_options_t){.read_only = true},
			    &reader));
	ck_ems(ems_enqueue(reader, &number, NULL), EMS_EREADONLY);
	ck_ems(ems_dequeue(reader, &got), EMS_EREADONLY);
	ck_ok(ems_queue_peek(reader, &got));
	ck_assert_int_eq(got.integer, 1);
	ck_ok(ems_queue_length(reader, &count));
	ck_assert_uint_eq(count, 1);
	ck_ems(ems_stack_peek(reader, &got), EMS_EEMPTY);
	ems_heap_close(reader);
	close_heap();
}
END_TEST

/* Echoes what it gets, until undefined comes. */
static void echo(const char *name)
{
	ems_connection_t *mine;
	ems_heap_t *theirs;
	ems_value_t value = EMS_VALUE_INIT;

	if (ems_connect(&mine, NULL) < 0 || ems_heap_open(mine, name, EMS_OPEN_EXISTING, NULL, &theirs) < 0)
		_exit(1);
	while (ems_dequeue_until(theirs, &value, EMS_FOREVER) == 0 && value.type != EMS_UNDEFINED)
		if (ems_push_until(theirs, &value, NULL, EMS_FOREVER) < 0)
			_exit(2);
	_exit(value.type == EMS_UNDEFINED ? 0 : 3);
}

/* Also beyond the first unit of places, which is committed by and by. */
START_TEST(test_processes)
{
	ems_value_t got = EMS_VALUE_INIT, end = EMS_VALUE_INIT;
	int64_t sum = 0, expected = 0;
	pid_t child;
	int status;

	open_heap("processes", 8);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0)
		echo("processes");
	for (int64_t i = 0; i < 10000; i++, expected += i) {
		ems_value_t number = ems_value_integer(i + 1);

		ck_ok(ems_enqueue_until(heap, &number, NULL, EMS_FOREVER));
		ck_ok(ems_pop_until(heap, &got, EMS_FOREVER));
		sum += got.integer;
	}
	ck_ok(ems_enqueue(heap, &end, NULL));
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(sum, expected);
	ems_value_clear(&got);
	close_heap();
}
END_TEST

/* One waits for room; growing makes some. */
START_TEST(test_growth)
{
	ems_value_t number = ems_value_integer(1);
	ems_heap_info_t info;
	uint64_t count;
	pid_t child;
	int status;

	open_heap("growth", 1);
	ck_ok(ems_enqueue(heap, &number, NULL));
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		ems_connection_t *mine;
		ems_heap_t *theirs;

		if (ems_connect(&mine, NULL) < 0 ||
		    ems_heap_open(mine, "growth", EMS_OPEN_EXISTING, NULL, &theirs) < 0)
			_exit(1);
		_exit(ems_enqueue_until(theirs, &number, NULL, EMS_FOREVER) < 0);
	}
	do
		ck_ok(ems_heap_inspect(connection, "growth", &info));
	while (info.waiters == 0);
	ck_ok(ems_heap_grow(heap, 2));
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_ok(ems_queue_length(heap, &count));
	ck_assert_uint_eq(count, 2);
	ck_ems(ems_enqueue(heap, &number, NULL), EMS_EFULL);
	close_heap();
}
END_TEST

INTEGRATION_MAIN("client/queues", test_queue, test_stack, test_elements_are_left_alone, test_read_only,
		 test_processes, test_growth)
