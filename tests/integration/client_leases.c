/*
 * Leases through libems and a real emsd: results and words; the holder killed while others are blocked, with the daemon and
 * without; threads and sessions.
 */
#include <pthread.h>
#include <signal.h>
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

static void ck_tag(ems_key_t key, ems_tag_t expected)
{
	ems_tag_t tag = 0;

	ck_ok(ems_get_tag(heap, key, &tag));
	ck_assert_int_eq(tag, expected);
}

START_TEST(test_element)
{
	ems_value_t text = text_value("what is there"), other = text_value("what comes"), got = EMS_VALUE_INIT;
	ems_key_t key = ems_index(2);
	ems_lease_t lease, copy;

	open_heap("element", 4);
	ck_ok(ems_write(heap, key, &text));
	ck_ok(ems_read_fe_lease(heap, key, &got, &lease));
	ck_assert_str_eq(got.data, "what is there");
	ck_tag(key, EMS_BUSY);
	ck_reads(heap, key, &text);
	ck_ems(ems_write_until(heap, key, &other, EMS_NOW), EMS_ETIMEOUT);
	ck_ems(ems_write(heap, key, &other), EMS_EDEADLOCK);
	ck_ems(ems_read_fe_lease(heap, key, &got, &copy), EMS_EDEADLOCK);
	copy = lease;
	ck_ok(ems_lease_put(&lease, &other));
	ck_tag(key, EMS_FULL);
	ck_reads(heap, key, &other);

	/* Twice: the struct itself, and a copy. */
	ck_ems(ems_lease_keep(&lease), EMS_EINVALID);
	ck_assert_ptr_ne(strstr(ems_last_error()->message, "lease_keep: no lease, or one that was ended"), NULL);
	ck_ems(ems_lease_end(&copy), EMS_EINVALID);
	ck_assert_ptr_ne(strstr(ems_last_error()->message, "the lease was ended, or belongs to another session"), NULL);
	ck_ems(ems_lease_end(NULL), EMS_EINVALID);
	ck_ems(ems_read_fe_lease(heap, key, &got, NULL), EMS_EINVALID);

	ck_ok(ems_read_fe_lease_until(heap, key, NULL, &lease, EMS_NOW));
	ck_ems(ems_lease_put(&lease, &(ems_value_t){.type = 99}), EMS_EINVALID);
	ck_ok(ems_lease_keep(&lease));
	ck_tag(key, EMS_EMPTY);
	ck_ems(ems_read_fe_lease_until(heap, key, NULL, &lease, ems_deadline_in(MS)), EMS_ETIMEOUT);
	ck_ok(ems_set_tag(heap, key, EMS_FULL));
	ck_ok(ems_read_fe_lease(heap, key, NULL, &lease));
	ck_ok(ems_lease_end(&lease));
	ck_tag(key, EMS_FULL);
	ck_reads(heap, key, &other);
	ck_ems(ems_read_fe_lease(heap, ems_index(4), NULL, &lease), EMS_ERANGE);
	ems_value_clear(&got);
	close_heap();
}
END_TEST

START_TEST(test_key)
{
	ems_value_t number = ems_value_integer(7), got = EMS_VALUE_INIT;
	ems_key_t key = ems_key("a key of more than eight bytes");
	ems_lease_t lease;

	connection = connect_daemon();
	heap = make_heap(connection, "keys", &(ems_heap_options_t){.elements = 100, .map = true});
	ck_ok(ems_read_fe_lease(heap, key, &got, &lease)); /* an absent one comes into being */
	ck_assert_int_eq(got.type, EMS_UNDEFINED);
	ck_ems(ems_delete_until(heap, key, ems_deadline_in(MS)), EMS_EDEADLOCK);
	ck_ok(ems_lease_put(&lease, &number));
	ck_reads(heap, key, &number);
	ck_ok(ems_delete(heap, key));
	close_heap();
}
END_TEST

START_TEST(test_limit)
{
	ems_lease_t leases[129];

	open_heap("limit", 200);
	for (int i = 0; i < 128; i++)
		ck_ok(ems_read_fe_lease(heap, ems_index(i), NULL, &leases[i]));
	ck_ems(ems_read_fe_lease(heap, ems_index(128), NULL, &leases[128]), EMS_ELIMIT);
	ck_assert_ptr_ne(strstr(ems_last_error()->message, "the session has 128 leases"), NULL);
	ck_ok(ems_lease_end(&leases[5]));
	ck_ok(ems_read_fe_lease(heap, ems_index(128), NULL, &leases[128]));
	ems_heap_detach_thread(heap);
	for (int i = 0; i < 129; i++)
		ck_tag(ems_index(i), EMS_FULL);
	ck_ems(ems_lease_end(&leases[7]), EMS_EINVALID);
	close_heap();
}
END_TEST

START_TEST(test_queue)
{
	ems_value_t number = ems_value_integer(1), text = text_value("again"), got = EMS_VALUE_INIT;
	ems_lease_t one, two;
	uint64_t count;

	open_heap("queue", 3);
	ck_ems(ems_dequeue_lease(heap, &got, &one), EMS_EEMPTY);
	ck_ems(ems_dequeue_lease_until(heap, &got, &one, ems_deadline_in(MS)), EMS_ETIMEOUT);
	for (; number.integer <= 3; number.integer++)
		ck_ok(ems_enqueue(heap, &number, NULL));
	ck_ok(ems_dequeue_lease(heap, &got, &one));
	ck_assert_int_eq(got.integer, 1);
	ck_ok(ems_dequeue_lease_until(heap, &got, &two, EMS_FOREVER));
	ck_assert_int_eq(got.integer, 2);
	ck_ok(ems_queue_peek(heap, &got));
	ck_assert_int_eq(got.integer, 3);
	ck_ok(ems_queue_length(heap, &count));
	ck_assert_uint_eq(count, 3);
	ck_ok(ems_queue_leased(heap, &count));
	ck_assert_uint_eq(count, 2);
	ck_ems(ems_enqueue(heap, &number, NULL), EMS_EFULL);
	ck_ems(ems_enqueue_until(heap, &number, NULL, EMS_FOREVER), EMS_EDEADLOCK);
	ck_ok(ems_lease_put(&one, &text));
	ck_ok(ems_lease_keep(&two));
	ck_ok(ems_dequeue(heap, &got));
	ck_assert_str_eq(got.data, "again");
	ck_ok(ems_dequeue(heap, &got));
	ck_assert_int_eq(got.integer, 3);
	ck_ok(ems_queue_length(heap, &count));
	ck_assert_uint_eq(count, 0);
	ems_value_clear(&got);
	close_heap();
}
END_TEST

static void *take_and_end(void *unused)
{
	ems_lease_t lease;

	(void)unused;
	ck_ok(ems_dequeue_lease(heap, NULL, &lease));
	return NULL;
}

/* A thread's leases end with it; those of a session that threads pass on do not. */
START_TEST(test_sessions)
{
	ems_value_t number = ems_value_integer(1);
	ems_session_t *session;
	pthread_t thread;
	ems_lease_t lease;
	uint64_t count;

	open_heap("sessions", 3);
	ck_ok(ems_enqueue(heap, &number, NULL));
	ck_assert_int_eq(pthread_create(&thread, NULL, take_and_end, NULL), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_ok(ems_queue_leased(heap, &count));
	ck_assert_uint_eq(count, 0);

	ck_ok(ems_session_open(&session));
	ck_ok(ems_session_use(session, NULL));
	ck_ok(ems_dequeue_lease(heap, NULL, &lease));
	ck_ok(ems_session_use(NULL, NULL));
	ck_ems(ems_lease_keep(&lease), EMS_EINVALID);
	ck_ok(ems_session_use(session, NULL));
	ck_ok(ems_lease_end(&lease));
	ck_ok(ems_dequeue_lease(heap, NULL, &lease));
	ck_ok(ems_session_use(NULL, NULL));
	ck_ok(ems_session_close(session));
	ck_ok(ems_dequeue(heap, NULL));
	close_heap();
}
END_TEST

START_TEST(test_read_only)
{
	ems_value_t number = ems_value_integer(1);
	ems_heap_t *reader;
	ems_lease_t lease;
	uint64_t count;

	open_heap("reader", 3);
	ck_ok(ems_enqueue(heap, &number, NULL));
	ck_ok(ems_heap_open(connection, "reader", EMS_OPEN_EXISTING, &(ems_heap_options_t){.read_only = true}, &reader));
	ck_ems(ems_dequeue_lease(reader, NULL, &lease), EMS_EREADONLY);
	ck_ems(ems_read_fe_lease(reader, ems_index(0), NULL, &lease), EMS_EREADONLY);
	ck_ok(ems_queue_leased(reader, &count));
	ck_assert_uint_eq(count, 0);
	ems_heap_close(reader);
	close_heap();
}
END_TEST

/* ---- deaths ---- */

/* Takes what there is, says so, and stays. */
static void hold(const char *name, int out)
{
	ems_connection_t *mine;
	ems_lease_t lease;
	ems_heap_t *theirs;

	if (ems_connect(&mine, NULL) < 0 || ems_heap_open(mine, name, EMS_OPEN_EXISTING, NULL, &theirs) < 0 ||
	    ems_read_fe_lease(theirs, ems_index(1), NULL, &lease) < 0)
		_exit(1);
	while (ems_dequeue_lease(theirs, NULL, &lease) == 0)
		continue;
	if (write(out, "", 1) != 1)
		_exit(2);
	for (;;)
		(void)pause();
}

/* Is blocked on the element, or on an item. Ends with the number it gets. */
static void block(const char *name, bool on_element, int out)
{
	ems_connection_t *mine;
	ems_heap_t *theirs;
	ems_value_t got = EMS_VALUE_INIT;
	int r;

	if (ems_connect(&mine, NULL) < 0 || ems_heap_open(mine, name, EMS_OPEN_EXISTING, NULL, &theirs) < 0 ||
	    write(out, "", 1) != 1)
		_exit(101);
	r = on_element ? ems_read_fe_until(theirs, ems_index(1), &got, EMS_FOREVER)
		       : ems_dequeue_until(theirs, &got, EMS_FOREVER);
	_exit(r == 0 ? (int)got.integer : 102);
}

static pid_t start(const char *name, int what, int out)
{
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child > 0)
		return child;
	if (what == 0)
		hold(name, out);
	block(name, what == 1, out);
	_exit(0);
}

/* Slots whose threads are asleep for want of something: seen in the kernel, for the daemon may be gone. */
static bool sleeps(pid_t pid)
{
	char path[64], text[256] = "";
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/syscall", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(text, sizeof(text), file))
		text[0] = '\0';
	(void)fclose(file);
	return strncmp(text, "449 ", 4) == 0; /* futex_waitv, on every architecture */
}

/* Its keeper is told when the children, who have inherited the pipe to it, are gone. */
static void kill_daemon(const struct daemon *daemon)
{
	ck_assert_int_eq(kill(daemon->pid, SIGKILL), 0);
	while (ems_ping(connection, ems_deadline_in(20 * MS)) == 0)
		continue;
}

static void play_death(struct daemon *daemon, uint64_t elements, int items)
{
	enum { BLOCKED = 4 };
	pid_t holder, blocked[BLOCKED];
	int pipes[2], status, sum = 0;
	char byte;

	open_heap("death", elements);
	ck_ok(ems_write_int64(heap, ems_index(1), 50));
	for (int i = 1; i <= items; i++)
		ck_ok(ems_enqueue(heap, &(ems_value_t){.type = EMS_INTEGER, .integer = i}, NULL));
	ck_assert_int_eq(pipe(pipes), 0);
	holder = start("death", 0, pipes[1]);
	ck_assert_int_eq(read(pipes[0], &byte, 1), 1);
	for (int i = 0; i < BLOCKED; i++) {
		blocked[i] = start("death", i ? 2 : 1, pipes[1]);
		ck_assert_int_eq(read(pipes[0], &byte, 1), 1);
	}
	for (int i = 0; i < BLOCKED; i++)
		while (!sleeps(blocked[i]))
			ck_assert_int_eq(waitpid(blocked[i], &status, WNOHANG), 0);
	if (daemon)
		kill_daemon(daemon);
	ck_assert_int_eq(kill(holder, SIGKILL), 0);
	ck_assert_int_eq(waitpid(holder, &status, 0), holder);
	ck_assert_int_eq(waitpid(blocked[0], &status, 0), blocked[0]);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 50);
	/* The first three items, one for each. */
	for (int i = 1; i < BLOCKED; i++) {
		ck_assert_int_eq(waitpid(blocked[i], &status, 0), blocked[i]);
		ck_assert(WIFEXITED(status));
		sum += WEXITSTATUS(status);
	}
	ck_assert_int_eq(sum, 1 + 2 + 3);
	(void)close(pipes[0]);
	(void)close(pipes[1]);
}

START_TEST(test_death_of_the_holder)
{
	uint64_t count;

	play_death(NULL, 8, 4); /* room behind the leased items */
	ck_ok(ems_queue_length(heap, &count));
	ck_assert_uint_eq(count, 1);
	close_heap();
	play_death(NULL, 3, 3); /* all places leased */
	close_heap();
}
END_TEST

START_TEST(test_death_without_daemon)
{
	for (uint64_t elements = 3; elements <= 8; elements += 5) {
		struct daemon daemon;

		daemon_start(&daemon, NULL);
		ck_assert_int_eq(setenv("EMS_SOCKET", daemon.socket, 1), 0);
		play_death(&daemon, elements, 3);
		(void)daemon_stop(&daemon);
		ems_heap_close(heap);
		ems_disconnect(connection);
	}
	ck_assert_int_eq(setenv("EMS_SOCKET", the_daemon.socket, 1), 0);
}
END_TEST

/* Nobody waits, and no daemon sees the death: who comes along gets what was held. */
START_TEST(test_death_seen_by_who_does_not_wait)
{
	struct daemon daemon;
	pid_t holder;
	int pipes[2], status;
	char byte;

	daemon_start(&daemon, NULL);
	ck_assert_int_eq(setenv("EMS_SOCKET", daemon.socket, 1), 0);
	open_heap("later", 8);
	ck_ok(ems_write_int64(heap, ems_index(1), 50));
	ck_ok(ems_enqueue(heap, &(ems_value_t){.type = EMS_INTEGER, .integer = 5}, NULL));
	ck_assert_int_eq(pipe(pipes), 0);
	holder = start("later", 0, pipes[1]);
	ck_assert_int_eq(read(pipes[0], &byte, 1), 1);
	ck_ems(ems_dequeue(heap, NULL), EMS_EEMPTY);
	ck_ems(ems_read_fe_until(heap, ems_index(1), NULL, EMS_NOW), EMS_ETIMEOUT);
	kill_daemon(&daemon);
	ck_assert_int_eq(kill(holder, SIGKILL), 0);
	ck_assert_int_eq(waitpid(holder, &status, 0), holder);
	(void)daemon_stop(&daemon);
	ck_ok(ems_dequeue(heap, NULL));
	ck_ok(ems_read_fe_until(heap, ems_index(1), NULL, EMS_NOW));
	ems_heap_close(heap);
	ems_disconnect(connection);
	(void)close(pipes[0]);
	(void)close(pipes[1]);
	ck_assert_int_eq(setenv("EMS_SOCKET", the_daemon.socket, 1), 0);
}
END_TEST

INTEGRATION_MAIN("client/leases", test_element, test_key, test_limit, test_queue, test_sessions, test_read_only,
		 test_death_of_the_holder, test_death_without_daemon, test_death_seen_by_who_does_not_wait)
