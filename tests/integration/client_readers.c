/*
 * Read locks between threads and processes: who waits for whom, what ends a lock, and what becomes of those of the dead.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/client.h"

#define ELEMENTS 8
#define ROUNDS	 400

static ems_tag_t tag_of(ems_heap_t *heap, ems_key_t key)
{
	ems_tag_t tag;

	ck_ok(ems_get_tag(heap, key, &tag));
	return tag;
}

START_TEST(test_taking_and_releasing)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap = make_heap(connection, "readers/map", &(ems_heap_options_t){.elements = 600, .map = true});
	ems_value_t value = EMS_VALUE_INIT, text = text_value("held by two"), one = ems_value_integer(1);
	uint32_t left = 99;

	ck_ok(ems_write(heap, ems_key("a"), &text));
	ck_ok(ems_read_rw(heap, ems_key("a"), &value));
	ck_assert_mem_eq(value.data, text.data, text.size);
	ck_ok(ems_read_rw(heap, ems_key("a"), NULL));
	ck_assert_int_eq(tag_of(heap, ems_key("a")), EMS_READERS);
	ck_ems(ems_write_xf(heap, ems_key("a"), &one), EMS_EDEADLOCK);
	ck_assert(strstr(ems_last_error()->message, "release"));
	ck_ems(ems_delete(heap, ems_key("a")), EMS_EDEADLOCK);
	ck_ok(ems_write(heap, ems_key("a"), &one)); /* ignores tags, as ever */
	ck_ok(ems_release_rw(heap, ems_key("a"), &left));
	ck_assert_uint_eq(left, 1);
	ck_ok(ems_release_rw(heap, ems_key("a"), &left));
	ck_assert_uint_eq(left, 0);
	ck_assert_int_eq(tag_of(heap, ems_key("a")), EMS_FULL);
	ck_ems(ems_release_rw(heap, ems_key("a"), &left), EMS_EINVALID);
	ck_assert(strstr(ems_last_error()->message, "holds no read lock"));
	ck_ems(ems_release_rw(heap, ems_key("never there"), &left), EMS_EINVALID);
	/* An absent key comes into being. */
	ck_ok(ems_read_rw(heap, ems_key("b"), &value));
	ck_assert_int_eq(value.type, EMS_UNDEFINED);
	ck_ok(ems_release_rw(heap, ems_key("b"), NULL));
	for (int i = 0; i < 512; i++)
		ck_ok(ems_read_rw(heap, ems_index(i), NULL));
	ck_ems(ems_read_rw(heap, ems_index(0), NULL), EMS_ELIMIT);
	ck_assert(strstr(ems_last_error()->message, "512"));
	ems_heap_detach_thread(heap); /* all at once */
	for (int i = 0; i < 512; i++)
		ck_ok(ems_delete_until(heap, ems_index(i), EMS_NOW));
	ems_value_clear(&value);
	end_heap(connection, heap);
	ems_disconnect(connection);
}
END_TEST

/* ---- threads: a pair of elements that is changed as one ---- */

static ems_heap_t *shared;

static void *read_pairs(void *unused)
{
	(void)unused;
	for (int i = 0; i < ROUNDS; i++) {
		int64_t first = -1, second = -2;

		ck_ok(ems_read_rw(shared, ems_index(0), NULL));
		ck_ok(ems_read_int64(shared, ems_index(1), &first));
		sched_yield();
		ck_ok(ems_read_int64(shared, ems_index(2), &second));
		ck_assert_int_eq(first, second);
		ck_ok(ems_release_rw(shared, ems_index(0), NULL));
	}
	/* The end of the thread releases this one. */
	ck_ok(ems_read_rw(shared, ems_index(0), NULL));
	return NULL;
}

static void *write_pairs(void *unused)
{
	ems_value_t one = ems_value_integer(1);

	(void)unused;
	for (int i = 0; i < ROUNDS / 4; i++) {
		ck_ok(ems_read_fe(shared, ems_index(0), NULL));
		ck_ok(ems_faa_int64(shared, ems_index(1), 1, NULL));
		sched_yield();
		ck_ok(ems_faa_int64(shared, ems_index(2), 1, NULL));
		ck_ok(ems_write_ef(shared, ems_index(0), &one));
	}
	return NULL;
}

START_TEST(test_threads)
{
	ems_connection_t *connection = connect_daemon();
	pthread_t threads[6];
	int64_t sum = 0;

	shared = make_heap(connection, "readers/threads", &(ems_heap_options_t){.elements = ELEMENTS});
	for (int i = 0; i < ELEMENTS; i++)
		ck_ok(ems_write_int64(shared, ems_index(i), 0));
	for (int i = 0; i < 6; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, i < 4 ? read_pairs : write_pairs, NULL), 0);
	for (int i = 0; i < 6; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	ck_assert_int_eq(tag_of(shared, ems_index(0)), EMS_FULL);
	ck_ok(ems_read_int64(shared, ems_index(1), &sum));
	ck_assert_int_eq(sum, 2 * (ROUNDS / 4));
	end_heap(connection, shared);
	ems_disconnect(connection);
}
END_TEST

/* Readers that come again and again, and overlap: the writer has its turn for all that, or this never ends. */
static bool written;

static void *read_until_written(void *unused)
{
	(void)unused;
	while (!__atomic_load_n(&written, __ATOMIC_RELAXED)) {
		ck_ok(ems_read_rw(shared, ems_index(0), NULL));
		sched_yield();
		ck_ok(ems_release_rw(shared, ems_index(0), NULL));
	}
	return NULL;
}

START_TEST(test_a_writer_has_its_turn)
{
	ems_connection_t *connection = connect_daemon();
	pthread_t readers[4];

	written = false;
	shared = make_heap(connection, "readers/turn", &(ems_heap_options_t){.elements = ELEMENTS});
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&readers[i], NULL, read_until_written, NULL), 0);
	for (int64_t i = 0; i < 100; i++)
		ck_ok(ems_write_xf(shared, ems_index(0), &(ems_value_t){.type = EMS_INTEGER, .integer = i}));
	__atomic_store_n(&written, true, __ATOMIC_RELAXED);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_join(readers[i], NULL), 0);
	ck_assert_int_eq(tag_of(shared, ems_index(0)), EMS_FULL);
	end_heap(connection, shared);
	ems_disconnect(connection);
}
END_TEST

/* ---- processes that die ---- */

/* Holds element 0 until it is killed; says so in element 1. */
static pid_t start_reader(const char *socket, const char *name)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		ems_connection_t *connection;
		ems_heap_t *heap;

		child_ok(ems_connect(&connection, socket));
		child_ok(ems_heap_open(connection, name, EMS_OPEN_EXISTING, NULL, &heap));
		child_ok(ems_read_rw(heap, ems_index(0), NULL));
		child_ok(ems_read_rw(heap, ems_index(0), NULL));
		child_ok(ems_read_rw(heap, ems_index(2), NULL));
		child_ok(ems_set_tag(heap, ems_index(1), EMS_FULL));
		for (;;)
			pause();
	}
	return pid;
}

static void *write_it(void *argument)
{
	ems_value_t two = ems_value_integer(2);

	ck_ok(ems_write_xe(argument, ems_index(0), &two)); /* waits for the readers */
	return NULL;
}

/* A writer behind three readers, of whom two are killed and one, the caller, releases. */
static void play_deaths(ems_heap_t *heap, const char *socket, pid_t daemon)
{
	pthread_t writer;
	pid_t readers[2];
	uint32_t left = 0;

	ck_ok(ems_write_int64(heap, ems_index(0), 1));
	ck_ok(ems_write_xe(heap, ems_index(1), &(ems_value_t){.type = EMS_INTEGER, .integer = 0}));
	ck_ok(ems_read_rw(heap, ems_index(0), NULL));
	for (int i = 0; i < 2; i++) {
		readers[i] = start_reader(socket, "readers/deaths");
		ck_ok(ems_read_fe(heap, ems_index(1), NULL));
	}
	ck_ok(ems_read_rw(heap, ems_index(0), NULL));
	ck_ok(ems_release_rw(heap, ems_index(0), &left));
	ck_assert_uint_eq(left, 5);
	if (daemon) {
		kill(daemon, SIGKILL);
		ck_ems(ems_write_xf_until(heap, ems_index(2), &(ems_value_t){.type = EMS_INTEGER}, EMS_NOW), EMS_ETIMEOUT);
	}
	ck_assert_int_eq(pthread_create(&writer, NULL, write_it, heap), 0);
	for (int i = 0; i < 2; i++)
		kill_child(readers[i]);
	ck_ok(ems_release_rw(heap, ems_index(0), NULL));
	ck_assert_int_eq(pthread_join(writer, NULL), 0);
	ck_assert_int_eq(tag_of(heap, ems_index(0)), EMS_EMPTY);
	/* The other one that they held is free, too, as soon as somebody wants it. */
	ck_ok(ems_write_xe(heap, ems_index(2), &(ems_value_t){.type = EMS_INTEGER}));
}

START_TEST(test_killed_readers)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap = make_heap(connection, "readers/deaths", &(ems_heap_options_t){.elements = ELEMENTS});

	play_deaths(heap, NULL, 0);
	end_heap(connection, heap);
	ems_disconnect(connection);
}
END_TEST

START_TEST(test_killed_readers_without_a_daemon)
{
	ems_connection_t *connection;
	struct daemon daemon;
	ems_heap_t *heap;

	daemon_start(&daemon, NULL);
	ck_ok(ems_connect(&connection, daemon.socket));
	heap = make_heap(connection, "readers/deaths", &(ems_heap_options_t){.elements = ELEMENTS});
	play_deaths(heap, daemon.socket, daemon.pid);
	ems_heap_close(heap);
	ems_disconnect(connection);
	(void)daemon_stop(&daemon);
}
END_TEST

/* A reader that is stopped holds what it holds, and nothing else. */
START_TEST(test_a_stopped_reader)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap = make_heap(connection, "readers/stopped", &(ems_heap_options_t){.elements = ELEMENTS});
	ems_value_t one = ems_value_integer(1);
	int status;
	pid_t pid;

	ck_ok(ems_write_xe(heap, ems_index(1), &one));
	pid = start_reader(NULL, "readers/stopped");
	ck_ok(ems_read_fe(heap, ems_index(1), NULL));
	kill(pid, SIGSTOP);
	ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
	ck_ok(ems_read_rw(heap, ems_index(0), NULL));
	ck_ok(ems_release_rw(heap, ems_index(0), NULL));
	ck_ems(ems_write_xf_until(heap, ems_index(0), &one, ems_deadline_in(20 * MS)), EMS_ETIMEOUT);
	ck_ok(ems_write_xf(heap, ems_index(3), &one));
	kill_child(pid);
	ck_ok(ems_write_xf(heap, ems_index(0), &one));
	end_heap(connection, heap);
	ems_disconnect(connection);
}
END_TEST

INTEGRATION_MAIN("client/readers", test_taking_and_releasing, test_threads, test_a_writer_has_its_turn, test_killed_readers,
		 test_killed_readers_without_a_daemon, test_a_stopped_reader)
