/*
 * Processes and threads come and go: fork, exec, threads that end, a heap closed under other threads, the daemon's end.
 */
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/client.h"

static uint32_t slots_of(ems_connection_t *connection, const char *name)
{
	ems_heap_info_t info;

	ck_ok(ems_heap_inspect(connection, name, &info));
	return info.slots;
}

static void ck_child(pid_t pid)
{
	int status;

	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(status == 0, "the child ended with %d", status);
}

/* Every call on what the parent opened. */
static void use_inherited(ems_connection_t *connection, ems_heap_t *heap, ems_iterator_t *iterator)
{
	ems_value_t one = ems_value_integer(1), value = EMS_VALUE_INIT;
	ems_heap_info_t info;
	ems_heap_t *other;
	int64_t integer;
	uint64_t index;
	ems_key_t key;

	ck_ems(ems_read(heap, ems_index(0), &value), EMS_EFORKED);
	ck_assert(strstr(ems_last_error()->message, "parent"));
	ck_ems(ems_write(heap, ems_index(0), &one), EMS_EFORKED);
	ck_ems(ems_faa_int64(heap, ems_index(0), 1, &integer), EMS_EFORKED);
	ck_ems(ems_read_range_int64(heap, 0, 1, &integer, NULL), EMS_EFORKED);
	ck_ems(ems_fill(heap, 0, 1, &one, EMS_FULL, NULL), EMS_EFORKED);
	ck_ems(ems_key_to_index(heap, ems_index(0), &index), EMS_EFORKED);
	ck_ems(ems_iterator_next(iterator, &key, NULL), EMS_EFORKED);
	ck_ems(ems_heap_grow(heap, 100), EMS_EFORKED);
	ck_ems(ems_heap_open(connection, "x", EMS_CREATE, NULL, &other), EMS_EINVALID);
	ck_ems(ems_heap_open(connection, "x", EMS_OPEN_EXISTING, NULL, &other), EMS_EFORKED);
	ck_ems(ems_heap_inspect(connection, "x", &info), EMS_EFORKED);
	ck_ems(ems_ping(connection, EMS_FOREVER), EMS_EFORKED);
	ck_assert(ems_heap_elements(heap) == 0 && ems_heap_name(heap) == NULL && !ems_heap_is_dropped(heap));
	ems_heap_detach_thread(heap);
}

static void in_child(ems_connection_t *connection, ems_heap_t *heap, ems_iterator_t *iterator,
		     bool close_first)
{
	ems_connection_t *own;
	ems_heap_t *again;

	if (close_first) {
		ems_iterator_free(iterator);
		ems_heap_close(heap);
		ems_disconnect(connection);
	} else {
		use_inherited(connection, heap, iterator);
	}
	own = connect_daemon();
	ck_ok(ems_heap_open(own, "process/fork", EMS_OPEN_EXISTING, NULL, &again));
	ck_ok(ems_faa_int64(again, ems_index(0), 1, NULL));
	if (!close_first) {
		use_inherited(connection, heap, iterator);
		ck_ok(ems_faa_int64(again, ems_index(0), 1, NULL));
		ems_iterator_free(iterator);
		ems_disconnect(connection);
	}
	ck_ok(ems_faa_int64(again, ems_index(0), 1, NULL));
	ems_heap_close(again);
	ems_disconnect(own);
}

START_TEST(test_fork)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap = make_heap(connection, "process/fork", &(ems_heap_options_t){.elements = 10});
	ems_iterator_t *iterator;
	int64_t value = 0;

	ck_ok(ems_iterate(heap, &iterator));
	for (int i = 0; i < 6; i++) {
		pid_t pid;

		ck_ok(ems_faa_int64(heap, ems_index(0), 1, NULL)); /* the thread has a slot */
		/* Also by a way around the C library's fork. */
		pid = i < 4 ? fork() : (pid_t)syscall(SYS_clone, SIGCHLD, 0L, 0L, 0L, 0L);
		if (pid == 0) {
			in_child(connection, heap, iterator, i % 2);
			_exit(0);
		}
		ck_child(pid);
		ck_ok(ems_ping(connection, EMS_FOREVER)); /* the child has not spoken on our socket */
		ck_assert_uint_eq(slots_of(connection, "process/fork"), 1);
	}
	ck_ok(ems_read_int64(heap, ems_index(0), &value));
	ck_assert_int_eq(value, 6 + 3 * 3 + 3 * 2);
	ems_iterator_free(iterator);
	end_heap(connection, heap);
	ems_disconnect(connection);
}
END_TEST

/* What another thread holds at the moment of the fork does not stop the child. */
static void *keep_asking(void *arg)
{
	while (ems_ping(arg, EMS_FOREVER) == 0)
		continue;
	return NULL;
}

START_TEST(test_fork_beside_a_busy_thread)
{
	ems_connection_t *busy = connect_daemon();
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, keep_asking, busy), 0);
	for (int i = 0; i < 50; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			ems_connection_t *own;

			ems_disconnect(busy);
			own = connect_daemon();
			ck_ok(ems_ping(own, EMS_FOREVER));
			ems_disconnect(own);
			_exit(0);
		}
		ck_child(pid);
	}
	/* The thread still uses the connection, so it is not closed: both end with the process. */
}
END_TEST

/* No descriptor of the library is there after exec. */
START_TEST(test_exec)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap = make_heap(connection, "process/exec", &(ems_heap_options_t){.elements = 10});
	pid_t pid;

	ck_ok(ems_write_int64(heap, ems_index(0), 1));
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		/* The parent's, and a connection and a heap of its own. */
		ems_connection_t *own = connect_daemon();
		ems_heap_t *again;

		ck_ok(ems_heap_open(own, "process/exec", EMS_OPEN_EXISTING, NULL, &again));
		ck_ok(ems_write_int64(again, ems_index(1), 1));
		execl("/bin/sh", "sh", "-c",
		      "ls -l /proc/self/fd | grep -E 'socket:|memfd' && exit 1; grep -q ems-heap "
		      "/proc/self/maps && exit 2; exit 0",
		      (char *)NULL);
		_exit(127);
	}
	ck_child(pid);
	end_heap(connection, heap);
	ems_disconnect(connection);
}
END_TEST

#define THREADS 20

struct worker {
	ems_heap_t *heap;
	sem_t ready, go;
};

static void *work(void *arg)
{
	struct worker *worker = arg;

	ck_ok(ems_faa_int64(worker->heap, ems_index(0), 1, NULL));
	sem_post(&worker->ready);
	sem_wait(&worker->go);
	return NULL;
}

START_TEST(test_slots_of_threads)
{
	ems_connection_t *connection = connect_daemon();
	struct worker worker = {
		.heap = make_heap(connection, "process/slots", &(ems_heap_options_t){.elements = 10})};
	pthread_t threads[THREADS];
	int64_t value;

	sem_init(&worker.ready, 0, 0);
	sem_init(&worker.go, 0, 0);
	ck_assert_uint_eq(slots_of(connection, "process/slots"), 0);
	ck_ems(ems_read_int64(worker.heap, ems_index(0), &value), EMS_ETYPE);
	ck_assert_uint_eq(slots_of(connection, "process/slots"), 0); /* a read takes none */
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &worker), 0);
	for (int i = 0; i < THREADS; i++)
		sem_wait(&worker.ready);
	ck_assert_uint_eq(slots_of(connection, "process/slots"), THREADS);
	for (int i = 0; i < THREADS; i++)
		sem_post(&worker.go);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(slots_of(connection, "process/slots"), 0);
	ck_ok(ems_read_int64(worker.heap, ems_index(0), &value));
	ck_assert_int_eq(value, THREADS);
	end_heap(connection, worker.heap);
	ems_disconnect(connection);
}
END_TEST

/* Threads that have slots outlive handle and connection, and give them back in the end. */
START_TEST(test_close_under_threads)
{
	ems_connection_t *connection = connect_daemon(), *other = connect_daemon();
	ems_heap_t *watch;
	struct worker worker = {
		.heap = make_heap(connection, "process/close", &(ems_heap_options_t){.elements = 10})};
	pthread_t threads[THREADS];

	sem_init(&worker.ready, 0, 0);
	sem_init(&worker.go, 0, 0);
	ck_ok(ems_heap_open(other, "process/close", EMS_OPEN_EXISTING, NULL, &watch));
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &worker), 0);
	for (int i = 0; i < THREADS; i++)
		sem_wait(&worker.ready);
	ck_ok(ems_faa_int64(worker.heap, ems_index(0), 1, NULL));
	ems_heap_close(worker.heap);
	ck_assert_uint_eq(slots_of(other, "process/close"), THREADS);
	ems_disconnect(connection);
	for (int i = 0; i < THREADS; i++)
		sem_post(&worker.go);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(slots_of(other, "process/close"), 0);
	ck_ok(ems_write_int64(watch, ems_index(0), 1));
	end_heap(other, watch);
	ems_disconnect(other);
}
END_TEST

/* A client that is killed, at whatever it does, leaves nothing behind. */
START_TEST(test_killed_client)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap =
		make_heap(connection, "process/killed", &(ems_heap_options_t){.elements = 100, .map = true});
	ems_value_t value = EMS_VALUE_INIT;
	int64_t number;

	for (int i = 0; i < 10; i++) {
		int started[2];
		char byte;
		pid_t pid;

		ck_assert_int_eq(pipe(started), 0);
		pid = fork();
		if (pid == 0) {
			ems_connection_t *own = connect_daemon();
			ems_value_t text = text_value("some text that lies in storage, now and then");
			ems_heap_t *mine;

			child_ok(ems_heap_open(own, "process/killed", EMS_OPEN_EXISTING, NULL, &mine));
			for (int n = 0;; n++) {
				char name[64];

				snprintf(name, sizeof(name), "a key that is long enough %d", n % 50);
				child_ok(n % 3 == 2 ? ems_delete(mine, ems_key(name)) * 0 : ems_write(mine, ems_key(name), &text));
				child_ok(ems_faa_int64(mine, ems_key("count"), 1, NULL));
				if (n == 100)
					child_assert(write(started[1], "x", 1) == 1);
			}
		}
		ck_assert_int_eq(read(started[0], &byte, 1), 1);
		kill_child(pid);
		close(started[0]);
		close(started[1]);
		/* Whatever the dead one left half done, the others go on. */
		for (int n = 0; n < 50; n++) {
			char name[64];

			snprintf(name, sizeof(name), "a key that is long enough %d", n);
			ck_ok(ems_read(heap, ems_key(name), &value));
			ck_ok(ems_swap(heap, ems_key(name), &(ems_value_t){.type = EMS_BOOLEAN}, &value));
		}
		ck_ok(ems_read_int64(heap, ems_key("count"), &number));
		ck_assert_int_ge(number, 100);
	}
	ems_value_clear(&value);
	end_heap(connection, heap);
	ems_disconnect(connection);
}
END_TEST

/* Without its daemon a heap goes on; control calls say so, and work again with the next daemon. */
START_TEST(test_daemon_killed)
{
	const char *const none[] = {NULL};
	ems_value_t text = text_value("in storage");
	ems_connection_t *connection;
	struct daemon daemon;
	char saved[96];
	ems_heap_t *heap;
	int64_t value;

	daemon_start(&daemon, none);
	ck_ok(ems_connect(&connection, daemon.socket));
	heap = make_heap(connection, "process/daemon", &(ems_heap_options_t){.elements = 10});
	ck_ok(ems_write(heap, ems_index(1), &text));
	strcpy(saved, daemon.socket);
	kill(daemon.pid, SIGKILL);
	(void)daemon_stop(&daemon);
	ck_ok(ems_faa_int64(heap, ems_index(0), 1, &value));
	ck_reads(heap, ems_index(1), &text);
	ck_ems(ems_ping(connection, ems_deadline_in(20 * MS)), EMS_ENODAEMON);
	ck_assert(strstr(ems_last_error()->message, saved));
	ck_ok(ems_faa_int64(heap, ems_index(0), 1, &value));
	ck_assert_int_eq(value, 1);
	ems_heap_close(heap);
	ems_disconnect(connection);
}
END_TEST

START_TEST(test_connecting_again)
{
	struct daemon first, second;
	ems_connection_t *connection;
	char link[64] = "/tmp/ems-test-link.XXXXXX";

	ck_assert_ptr_nonnull(mkdtemp(link));
	strcat(link, "/s");
	daemon_start(&first, NULL);
	ck_assert_int_eq(symlink(first.socket, link), 0);
	ck_ok(ems_connect(&connection, link));
	ck_ok(ems_ping(connection, EMS_FOREVER));
	ck_assert_int_eq(daemon_stop(&first), 0);
	daemon_start(&second, NULL);
	ck_assert_int_eq(unlink(link), 0);
	ck_assert_int_eq(symlink(second.socket, link), 0);
	ck_ok(ems_ping(connection, EMS_FOREVER));
	ems_disconnect(connection);
	ck_assert_int_eq(daemon_stop(&second), 0);
	unlink(link);
	*strrchr(link, '/') = '\0';
	rmdir(link);
}
END_TEST

/* A daemon that is stopped does not answer; a deadline is kept. */
START_TEST(test_deadline)
{
	ems_connection_t *connection;
	struct daemon daemon;

	daemon_start(&daemon, NULL);
	ck_ok(ems_connect(&connection, daemon.socket));
	kill(daemon.pid, SIGSTOP);
	ck_ems(ems_ping(connection, ems_deadline_in(20 * MS)), EMS_ETIMEOUT);
	kill(daemon.pid, SIGCONT);
	ck_ok(ems_ping(connection, EMS_FOREVER)); /* the late reply to the first is passed over */
	ck_ok(ems_ping(connection, EMS_FOREVER));
	ems_disconnect(connection);
	ck_assert_int_eq(daemon_stop(&daemon), 0);
}
END_TEST

INTEGRATION_MAIN("client/process", test_fork, test_fork_beside_a_busy_thread, test_exec,
		 test_slots_of_threads, test_close_under_threads, test_killed_client, test_daemon_killed,
		 test_connecting_again, test_deadline)
