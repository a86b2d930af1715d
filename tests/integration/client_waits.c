/* Waiting from an event loop: many at once, with sleepers beside them, with deaths, cancelled, in time or too late. */
#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/client.h"

static ems_connection_t *connection;
static ems_heap_t *heap;

static void open_heap(const char *name, const ems_heap_options_t *options)
{
	connection = connect_daemon();
	heap = make_heap(connection, name, options);
}

static void close_heap(void)
{
	end_heap(connection, heap);
	ems_disconnect(connection);
}

static bool is_readable(void)
{
	struct pollfd poll_fd = {.fd = ems_wait_fd(connection), .events = POLLIN};

	ck_assert_int_ge(poll_fd.fd, 0);
	return poll(&poll_fd, 1, 0) == 1;
}

static void await_readable(void)
{
	struct pollfd poll_fd = {.fd = ems_wait_fd(connection), .events = POLLIN};

	ck_assert_int_eq(poll(&poll_fd, 1, -1), 1);
}

static ems_wait_t begin(ems_operation_code_t code, ems_key_t key, const ems_value_t *value, uintptr_t user)
{
	const ems_operation_t operation = {.code = code, .key = key, .value = value, .expected = value, .tag = EMS_FULL};
	ems_wait_t wait = 0;

	ck_ok(ems_wait_begin(heap, &operation, EMS_FOREVER, (void *)user, &wait));
	ck_assert_uint_ne(wait, 0);
	return wait;
}

/* The next one; waits for it as a loop does. */
static ems_wait_result_t next(void)
{
	ems_wait_result_t result = {0};
	int r;

	while ((r = ems_wait_next(connection, &result)) != 0) {
		ck_ems(r, EMS_EEMPTY);
		await_readable();
	}
	return result;
}

/* Nor does the descriptor stay readable: the library's thread may notice only now what has happened before. */
static void nothing_more(void)
{
	ems_wait_result_t result;

	do
		ck_ems(ems_wait_next(connection, &result), EMS_EEMPTY);
	while (is_readable());
}

/* ---- one at a time ---- */

START_TEST(test_each_operation)
{
	static const struct {
		ems_operation_code_t code;
		ems_tag_t waits_in; /* 0: goes on at once */
		int64_t value;
	} cases[] = {
		{EMS_OP_READ_FF, EMS_EMPTY, 5}, {EMS_OP_READ_FE, EMS_EMPTY, 5}, {EMS_OP_WRITE, 0, 0},
		{EMS_OP_WRITE_XF, 0, 0},	{EMS_OP_WRITE_XE, 0, 0},	{EMS_OP_WRITE_EF, EMS_FULL, 0},
		{EMS_OP_SET_TAG, 0, 0},		{EMS_OP_FAA, EMS_EMPTY, 5},	{EMS_OP_CAS, EMS_EMPTY, 5},
		{EMS_OP_SWAP, EMS_EMPTY, 5},	{EMS_OP_AND, EMS_EMPTY, 5},	{EMS_OP_OR, EMS_EMPTY, 5},
		{EMS_OP_XOR, EMS_EMPTY, 5},	{EMS_OP_MIN, EMS_EMPTY, 5},	{EMS_OP_MAX, EMS_EMPTY, 5},
		{EMS_OP_DELETE, 0, 0},		{EMS_OP_COMPARE_DELETE, 0, 0},	{EMS_OP_READ_RW, EMS_EMPTY, 5},
		{EMS_OP_READ_FE_LEASE, EMS_EMPTY, 5},
	};
	const ems_value_t five = ems_value_integer(5);

	for (int map = 0; map < 2; map++) {
		open_heap("waits/each", &(ems_heap_options_t){.elements = 10, .map = map});
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			ems_key_t key = map ? ems_key("a key that is too long to be within a word") : ems_index(3);
			ems_wait_result_t result;
			ems_wait_t wait;

			ck_ok(ems_write_xf(heap, key, &five));
			if (cases[i].waits_in)
				ck_ok(ems_set_tag(heap, key, cases[i].waits_in));
			wait = begin(cases[i].code, key, &five, i);
			if (cases[i].waits_in) {
				nothing_more();
				ck_ok(ems_set_tag(heap, key, cases[i].waits_in == EMS_FULL ? EMS_EMPTY : EMS_FULL));
			}
			result = next();
			ck_assert_uint_eq(result.wait, wait);
			ck_assert_uint_eq((uintptr_t)result.user, i);
			ck_ok(result.result);
			if (cases[i].value) {
				ck_assert_uint_eq(result.value.type, EMS_INTEGER);
				ck_assert_int_eq(result.value.integer, cases[i].value);
			}
			ems_value_clear(&result.value);
			nothing_more();
			ck_ems(ems_wait_cancel(connection, wait), EMS_EEMPTY);
			ck_assert(!result.lease.heap == (cases[i].code != EMS_OP_READ_FE_LEASE));
			if (result.lease.heap)
				ck_ok(ems_lease_end(&result.lease));
			if (cases[i].code == EMS_OP_READ_RW)
				ck_ok(ems_release_rw(heap, key, NULL));
		}
		close_heap();
	}
}
END_TEST

START_TEST(test_queue_and_stack)
{
	const ems_value_t text = text_value("an item of some length, so that it is a blob");
	ems_wait_result_t result;

	open_heap("waits/queue", &(ems_heap_options_t){.elements = 2});
	for (int i = 0; i < 2; i++) {
		ems_operation_code_t put = i ? EMS_OP_PUSH : EMS_OP_ENQUEUE, take = i ? EMS_OP_POP : EMS_OP_DEQUEUE;

		for (uintptr_t user = 1; user <= 3; user++)
			(void)begin(take, ems_index(0), NULL, user);
		nothing_more();
		for (uintptr_t user = 1; user <= 3; user++) {
			ck_ok(i ? ems_push(heap, &text, NULL) : ems_enqueue(heap, &text, NULL));
			result = next();
			ck_assert_uint_eq((uintptr_t)result.user, user); /* they came in this order */
			ck_assert_mem_eq(result.value.data, text.data, text.size);
			ems_value_clear(&result.value);
			nothing_more();
		}
		for (uintptr_t user = 1; user <= 4; user++)
			(void)begin(put, ems_index(0), &text, user);
		for (uintptr_t user = 1; user <= 2; user++) {
			result = next();
			ck_assert_uint_eq((uintptr_t)result.user, user);
			ck_assert_uint_eq(result.count, user);
		}
		nothing_more();
		for (uintptr_t user = 3; user <= 4; user++) {
			ck_ok(i ? ems_pop(heap, NULL) : ems_dequeue(heap, NULL));
			result = next();
			ck_assert_uint_eq((uintptr_t)result.user, user);
			ck_ok(result.result);
		}
		while ((i ? ems_pop(heap, NULL) : ems_dequeue(heap, NULL)) == 0)
			continue;
	}
	/* Growing makes room. */
	for (uintptr_t user = 1; user <= 3; user++)
		(void)begin(EMS_OP_ENQUEUE, ems_index(0), &text, user);
	(void)next();
	(void)next();
	nothing_more();
	ck_ok(ems_heap_grow(heap, 3));
	result = next();
	ck_assert_uint_eq((uintptr_t)result.user, 3);
	close_heap();
}
END_TEST

START_TEST(test_failures)
{
	const ems_value_t five = ems_value_integer(5), text = text_value("text"), strange = {.type = 99};
	ems_operation_t operation = {.code = EMS_OP_FAA, .key = ems_index(10), .value = &five};
	ems_wait_result_t result;
	ems_wait_t wait;

	open_heap("waits/failures", &(ems_heap_options_t){.elements = 10});
	ck_ems(ems_wait_begin(NULL, &operation, EMS_FOREVER, NULL, &wait), EMS_EINVALID);
	ck_ems(ems_wait_begin(heap, NULL, EMS_FOREVER, NULL, &wait), EMS_EINVALID);
	ck_ems(ems_wait_begin(heap, &operation, EMS_FOREVER, NULL, &wait), EMS_ERANGE);
	operation.key = ems_key("text");
	ck_ems(ems_wait_begin(heap, &operation, EMS_FOREVER, NULL, &wait), EMS_EINVALID);
	operation.key = ems_index(1);
	operation.value = &strange;
	ck_ems(ems_wait_begin(heap, &operation, EMS_FOREVER, NULL, &wait), EMS_EINVALID);
	operation.value = NULL;
	ck_ems(ems_wait_begin(heap, &operation, EMS_FOREVER, NULL, &wait), EMS_EINVALID);
	operation.code = (ems_operation_code_t)99;
	ck_ems(ems_wait_begin(heap, &operation, EMS_FOREVER, NULL, &wait), EMS_EINVALID);
	operation = (ems_operation_t){.code = EMS_OP_SET_TAG, .key = ems_index(1), .tag = EMS_BUSY};
	ck_ems(ems_wait_begin(heap, &operation, EMS_FOREVER, NULL, &wait), EMS_EINVALID);
	ck_ems(ems_wait_next(connection, NULL), EMS_EINVALID);
	ck_ems(ems_wait_next(NULL, &result), EMS_EINVALID);
	ck_ems(ems_wait_cancel(connection, 12345), EMS_EEMPTY);
	/* What the operation itself says comes with the result. */
	ck_ok(ems_write(heap, ems_index(2), &text));
	(void)begin(EMS_OP_AND, ems_index(2), &five, 0);
	result = next();
	ck_assert_int_eq(result.result, -EMS_ETYPE);
	ck_assert(strstr(ems_last_error()->message, "waits/failures"));
	nothing_more();
	close_heap();
}
END_TEST

/* ---- the end of waits ---- */

START_TEST(test_deadlines)
{
	const uint64_t seed = unit_seed();
	uint64_t random = seed;
	ems_operation_t operation = {.code = EMS_OP_READ_FE};
	ems_wait_result_t result;

	open_heap("waits/deadlines", &(ems_heap_options_t){.elements = 500, .initial_tag = EMS_EMPTY});
	(void)begin(EMS_OP_READ_FE, ems_index(499), NULL, 1000);
	for (uintptr_t i = 0; i < 400; i++) {
		operation.key = ems_index((int64_t)i);
		ck_ok(ems_wait_begin(heap, &operation,
				     i == 7 ? EMS_NOW : ems_deadline_in(unit_random(&random) % (30 * MS)), (void *)i,
				     NULL));
	}
	for (int i = 0; i < 400; i++) {
		result = next();
		ck_assert_int_eq(result.result, -EMS_ETIMEOUT);
		ck_assert_uint_ne((uintptr_t)result.user, 1000);
	}
	nothing_more();
	ck_ok(ems_write_int64(heap, ems_index(3), 1));
	ck_ok(ems_set_tag(heap, ems_index(3), EMS_FULL)); /* nobody waits for it any more */
	ck_ok(ems_read_fe(heap, ems_index(3), NULL));
	ck_ok(ems_set_tag(heap, ems_index(499), EMS_FULL));
	result = next();
	ck_assert_uint_eq((uintptr_t)result.user, 1000);
	ck_ok(result.result);
	close_heap();
}
END_TEST

START_TEST(test_cancelling_and_closing)
{
	ems_wait_t wait[3];
	ems_wait_result_t result;
	ems_heap_t *again;

	open_heap("waits/cancel", &(ems_heap_options_t){.elements = 10, .initial_tag = EMS_EMPTY});
	for (int i = 0; i < 3; i++)
		wait[i] = begin(EMS_OP_READ_FE, ems_index(1), NULL, (uintptr_t)i);
	ck_ok(ems_wait_cancel(connection, wait[1]));
	ck_assert(is_readable());
	ck_ems(ems_wait_cancel(connection, wait[1]), EMS_EEMPTY);
	result = next();
	ck_assert_uint_eq(result.wait, wait[1]);
	ck_assert_int_eq(result.result, -EMS_ECANCELLED);
	nothing_more();
	/* Another handle of the same heap has waits of its own. */
	ck_ok(ems_heap_open(connection, "waits/cancel", EMS_OPEN_EXISTING, NULL, &again));
	ck_ok(ems_wait_begin(again, &(ems_operation_t){.code = EMS_OP_READ_FE, .key = ems_index(2)}, EMS_FOREVER, &again,
			     NULL));
	ems_heap_close(again);
	result = next();
	ck_assert_ptr_eq(result.user, &again);
	ck_assert_int_eq(result.result, -EMS_ECANCELLED);
	nothing_more();
	ck_ok(ems_set_tag(heap, ems_index(1), EMS_FULL));
	result = next();
	ck_assert_uint_eq(result.wait, wait[0]);
	/* The last handle, with a wait; then the connection, with one that nobody has asked for. */
	ems_heap_close(heap);
	result = next();
	ck_assert_uint_eq(result.wait, wait[2]);
	ck_assert_int_eq(result.result, -EMS_ECANCELLED);
	ck_ok(ems_heap_open(connection, "waits/cancel", EMS_OPEN_EXISTING, NULL, &heap));
	(void)begin(EMS_OP_READ_FE, ems_index(5), NULL, 0);
	close_heap();
}
END_TEST

/* It comes into being again, elsewhere perhaps, once the wait for it has been tried again. */
static void delete_again(const char *key)
{
	int r;

	while ((r = ems_delete(heap, ems_key(key))) != 0) {
		ck_ems(r, EMS_ENOKEY);
		await_readable();
		nothing_more();
	}
}

START_TEST(test_a_key_that_is_deleted)
{
	const ems_value_t one = ems_value_integer(1);
	ems_wait_result_t result;

	open_heap("waits/key", &(ems_heap_options_t){.elements = 10, .map = true, .initial_tag = EMS_EMPTY});
	for (uintptr_t i = 0; i < 4; i++)
		(void)begin(EMS_OP_READ_FE, ems_key(i % 2 ? "one" : "two"), NULL, i);
	nothing_more();
	for (int i = 0; i < 5; i++) {
		delete_again("one");
		delete_again("two");
	}
	for (uintptr_t i = 0; i < 4; i++) {
		ck_ok(ems_write_ef(heap, ems_key(i % 2 ? "one" : "two"), &one));
		result = next();
		ck_assert_uint_eq((uintptr_t)result.user % 2, i % 2);
		nothing_more();
	}
	close_heap();
}
END_TEST

/* ---- what is held afterwards ---- */

START_TEST(test_leases)
{
	const ems_value_t item = text_value("an item of some length, so that it is a blob");
	ems_wait_result_t first, second, last;
	ems_heap_t *again;

	open_heap("waits/leases", &(ems_heap_options_t){.elements = 3});
	for (uintptr_t user = 1; user <= 3; user++)
		(void)begin(EMS_OP_DEQUEUE_LEASE, ems_index(0), NULL, user);
	nothing_more();
	ck_ok(ems_enqueue(heap, &item, NULL));
	first = next();
	ck_assert_uint_eq((uintptr_t)first.user, 1);
	ck_assert_mem_eq(first.value.data, item.data, item.size);
	nothing_more();
	ck_ok(ems_lease_end(&first.lease)); /* it is there again, and goes to the next one */
	second = next();
	ck_assert_uint_eq((uintptr_t)second.user, 2);
	ck_assert_mem_eq(second.value.data, item.data, item.size);
	ck_ok(ems_lease_keep(&second.lease));
	nothing_more();

	/* One that is taken, but handed out only when the handle is closed. */
	ck_ok(ems_heap_open(connection, "waits/leases", EMS_OPEN_EXISTING, NULL, &again));
	ck_ok(ems_enqueue(again, &item, NULL));
	last = next();
	ck_assert_ptr_eq(last.lease.heap, heap);
	ck_ok(ems_lease_end(&last.lease));
	(void)begin(EMS_OP_DEQUEUE_LEASE, ems_index(0), NULL, 4);
	ems_heap_close(heap);
	ems_value_clear(&last.value);
	last = next();
	ck_ok(last.result);
	ck_assert_uint_eq((uintptr_t)last.user, 4);
	ck_assert_ptr_null(last.lease.heap);
	ems_value_clear(&first.value);
	ems_value_clear(&second.value);
	ems_value_clear(&last.value);
	heap = again;
	close_heap();
}
END_TEST

/* A read lock is this session's, which cannot wait for itself. */
START_TEST(test_read_locks)
{
	const ems_value_t five = ems_value_integer(5);
	uint32_t left;

	open_heap("waits/readers", &(ems_heap_options_t){.elements = 3, .initial_tag = EMS_EMPTY});
	(void)begin(EMS_OP_READ_RW, ems_index(1), NULL, 1);
	nothing_more();
	ck_ok(ems_write_ef(heap, ems_index(1), &five));
	ck_ok(next().result);
	(void)begin(EMS_OP_WRITE_XF, ems_index(1), &five, 2);
	(void)begin(EMS_OP_READ_RW, ems_index(1), NULL, 3);
	ck_ems(next().result, EMS_EDEADLOCK); /* this session reads already … */
	ck_ok(next().result);		      /* … and may do so twice */
	ck_ok(ems_release_rw(heap, ems_index(1), &left));
	ck_assert_uint_eq(left, 1);
	ck_ok(ems_release_rw(heap, ems_index(1), &left));
	ck_assert_uint_eq(left, 0);
	close_heap();
}
END_TEST

/* How often the library's thread has gone to sleep, once it sleeps. */
static long service_sleeps(void)
{
	char path[300], text[4096];
	struct dirent *entry;
	DIR *tasks = opendir("/proc/self/task");
	long sleeps = -1;

	ck_assert_ptr_nonnull(tasks);
	while (sleeps < 0 && (entry = readdir(tasks))) {
		FILE *file;
		size_t size;

		snprintf(path, sizeof(path), "/proc/self/task/%s/status", entry->d_name);
		file = fopen(path, "r");
		if (!file)
			continue;
		size = fread(text, 1, sizeof(text) - 1, file);
		fclose(file);
		text[size] = '\0';
		if (!strstr(text, "ems-service"))
			continue;
		if (strstr(text, "State:\tS"))
			sleeps = strtol(strstr(text, "\nvoluntary_ctxt_switches:") + 25, NULL, 10);
		else
			rewinddir(tasks);
	}
	closedir(tasks);
	ck_assert_int_ge(sleeps, 0);
	return sleeps;
}

START_TEST(test_fork)
{
	ems_wait_result_t result;
	pid_t pid;
	int status;

	open_heap("waits/fork", &(ems_heap_options_t){.elements = 10, .initial_tag = EMS_EMPTY});
	(void)begin(EMS_OP_READ_FE, ems_index(1), NULL, 1);
	(void)service_sleeps(); /* it has started: the address sanitizer has no fork beside a starting thread */
	pid = fork();
	if (pid == 0) {
		ck_ems(ems_wait_fd(connection), EMS_EFORKED);
		ck_ems(ems_wait_next(connection, &result), EMS_EFORKED);
		ck_ems(ems_wait_cancel(connection, 1), EMS_EFORKED);
		ems_disconnect(connection);
		connection = connect_daemon();
		ck_ok(ems_heap_open(connection, "waits/fork", EMS_OPEN_EXISTING, NULL, &heap));
		(void)begin(EMS_OP_READ_FE, ems_index(2), NULL, 2);
		ck_ok(ems_set_tag(heap, ems_index(1), EMS_FULL));
		ck_ok(ems_set_tag(heap, ems_index(2), EMS_FULL));
		result = next();
		_exit((uintptr_t)result.user != 2);
	}
	result = next();
	ck_assert_uint_eq((uintptr_t)result.user, 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	close_heap();
}
END_TEST

/* ---- many ---- */

#define MANY 10000

/* Ten thousand wait, and nothing runs, whatever happens elsewhere in the heap; then each gets its own. */
START_TEST(test_ten_thousand)
{
	static bool seen[MANY];
	const ems_value_t value = ems_value_integer(7);
	ems_wait_result_t result;
	long before;

	open_heap("waits/many", &(ems_heap_options_t){.elements = MANY + 1, .initial_tag = EMS_EMPTY});
	for (uintptr_t i = 0; i < MANY; i++)
		(void)begin(EMS_OP_READ_FE, ems_index((int64_t)i), NULL, i);
	nothing_more();
	before = service_sleeps();
	ck_ok(ems_write_xf(heap, ems_index(MANY), &value));
	for (int i = 0; i < 20000; i++) {
		ck_ok(ems_faa_int64(heap, ems_index(MANY), 1, NULL));
		ck_ok(ems_read_fe(heap, ems_index(MANY), NULL));
		ck_ok(ems_write_ef(heap, ems_index(MANY), &value));
		ck_ok(ems_write(heap, ems_index(i % MANY), &value)); /* keeps the tag: nobody's business */
	}
	ck_assert_int_eq(service_sleeps(), before);
	nothing_more();
	for (int i = 0; i < MANY; i++)
		ck_ok(ems_set_tag(heap, ems_index(i), EMS_FULL));
	for (int i = 0; i < MANY; i++) {
		result = next();
		ck_ok(result.result);
		ck_assert(!seen[(uintptr_t)result.user]);
		seen[(uintptr_t)result.user] = true;
	}
	nothing_more();
	printf("the library's thread was woken %ld times for %d\n", service_sleeps() - before, MANY);
	close_heap();
}
END_TEST

static ems_heap_t *heap_of(const char *name, ems_connection_t **own)
{
	ems_heap_t *theirs;

	*own = connect_daemon();
	ck_ok(ems_heap_open(*own, name, EMS_OPEN_EXISTING, NULL, &theirs));
	return theirs;
}

/* All for one queue, which others feed, in other processes that are killed now and then. */
START_TEST(test_a_queue_with_deaths)
{
	static bool seen[4000];
	uint64_t random = unit_seed();
	int got = 0;
	ems_wait_result_t result;

	open_heap("waits/deaths", &(ems_heap_options_t){.elements = 64});
	for (uintptr_t i = 0; i < 2000; i++)
		(void)begin(EMS_OP_DEQUEUE, ems_index(0), NULL, i);
	for (int round = 0; round < 20; round++) {
		pid_t pid = fork();
		int want = got + 100;

		if (pid == 0) {
			ems_connection_t *own;
			ems_heap_t *theirs = heap_of("waits/deaths", &own);
			const ems_value_t text = text_value("an item that needs a blob");

			for (;;)
				child_ok(ems_enqueue_until(theirs, &text, NULL, EMS_FOREVER));
		}
		for (; got < want; got++) {
			result = next();
			ck_ok(result.result);
			ck_assert_uint_eq(result.value.type, EMS_STRING);
			ck_assert(!seen[(uintptr_t)result.user]);
			seen[(uintptr_t)result.user] = true;
			ems_value_clear(&result.value);
		}
		for (uint64_t i = unit_random(&random) % 3000; i > 0; i--)
			sched_yield();
		kill_child(pid);
	}
	nothing_more();
	/* All have been served; what is left in the queue is nobody's. */
	while (ems_dequeue(heap, NULL) == 0)
		continue;
	close_heap();
}
END_TEST

/* ---- beside sleepers ---- */

#define TOKENS	 4
#define PLACES	 3
#define SLEEPERS 3
#define MOVES	 1500

struct sleeper {
	uint64_t random;
};

static void *move_tokens(void *arg)
{
	struct sleeper *sleeper = arg;
	ems_value_t value = EMS_VALUE_INIT;

	for (int i = 0; i < MOVES; i++) {
		ems_key_t key = ems_index((int64_t)(unit_random(&sleeper->random) % PLACES));

		ck_ok(ems_read_fe(heap, key, &value));
		if (unit_random(&sleeper->random) % 2)
			sched_yield();
		ck_ok(ems_write_ef(heap, key, &value));
	}
	return NULL;
}

/* Sleepers and waits take and give back the same elements: each goes on until the last. */
START_TEST(test_beside_sleepers)
{
	uint64_t random = unit_seed();
	struct sleeper sleepers[SLEEPERS];
	pthread_t threads[SLEEPERS];
	ems_value_t value = ems_value_integer(0);
	int moves = 0, active = 4 * PLACES;

	open_heap("waits/beside", &(ems_heap_options_t){.elements = 10});
	for (int i = 0; i < PLACES; i++)
		ck_ok(ems_write(heap, ems_index(i), &value));
	for (int i = 0; i < SLEEPERS; i++) {
		sleepers[i].random = unit_random(&random);
		ck_assert_int_eq(pthread_create(&threads[i], NULL, move_tokens, &sleepers[i]), 0);
	}
	for (int i = 0; i < active; i++)
		(void)begin(EMS_OP_READ_FE, ems_index(i % PLACES), NULL, (uintptr_t)(i % PLACES));
	while (active > 0) {
		ems_wait_result_t result = next();
		ems_key_t key = ems_index((int64_t)((uintptr_t)result.user % 100));

		ck_ok(result.result);
		if ((uintptr_t)result.user < 100) { /* taken: give it back, counted */
			value = ems_value_integer(result.value.integer + 1);
			(void)begin(EMS_OP_WRITE_EF, key, &value, (uintptr_t)result.user + 100);
		} else if (++moves < MOVES) {
			(void)begin(EMS_OP_READ_FE, key, NULL, (uintptr_t)result.user - 100);
		} else {
			active--;
		}
	}
	for (int i = 0; i < SLEEPERS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < PLACES; i++) {
		int64_t count = 0;

		ck_ok(ems_read_int64(heap, ems_index(i), &count));
		moves -= (int)count;
	}
	ck_assert_int_eq(moves, 0);
	close_heap();
}
END_TEST

/* ---- cancelled, in time or too late ---- */

static void *cancel_all(void *arg)
{
	for (ems_wait_t *wait = arg; *wait; wait++) {
		int r = ems_wait_cancel(connection, *wait);

		*wait = r == 0; /* whether */
		if (r != 0)
			ck_ems(r, EMS_EEMPTY);
	}
	return NULL;
}

/* What is cancelled has taken nothing; the rest has; each is handed out once. */
START_TEST(test_cancelled_or_done)
{
	enum { WAITS = 300 };
	static ems_wait_t waits[WAITS + 1], ids[WAITS];
	uint64_t random = unit_seed(), left;
	int cancelled = 0, taken = 0, given = 0;

	open_heap("waits/race", &(ems_heap_options_t){.elements = 1000});
	for (int round = 0; round < 10; round++) {
		pthread_t thread;
		int results = 0;

		for (uintptr_t i = 0; i < WAITS; i++)
			ids[i] = waits[i] = begin(EMS_OP_DEQUEUE, ems_index(0), NULL, i);
		ck_assert_int_eq(pthread_create(&thread, NULL, cancel_all, waits), 0);
		while (results < WAITS) {
			ems_wait_result_t result;

			if (unit_random(&random) % 2 && given < 900) {
				ck_ok(ems_enqueue(heap, &(ems_value_t){.type = EMS_INTEGER}, NULL));
				given++;
			}
			if (ems_wait_next(connection, &result) != 0)
				continue;
			results++;
			ck_assert_uint_eq(result.wait, ids[(uintptr_t)result.user]);
			ids[(uintptr_t)result.user] = (ems_wait_t)(result.result == -EMS_ECANCELLED);
			if (result.result == 0)
				taken++;
			else
				ck_assert_int_eq(result.result, -EMS_ECANCELLED);
		}
		pthread_join(thread, NULL);
		for (int i = 0; i < WAITS; i++) {
			ck_assert_uint_eq(ids[i], waits[i]);
			cancelled += (int)waits[i];
		}
		ck_ok(ems_queue_length(heap, &left));
		ck_assert_int_eq(given - taken, (int)left);
	}
	printf("%d cancelled, %d done\n", cancelled, taken);
	ck_assert_int_eq(cancelled + taken, 10 * WAITS);
	close_heap();
}
END_TEST

/* More heaps than one thread can sleep on. */
START_TEST(test_too_many_heaps)
{
	ems_heap_t *heaps[128];
	ems_operation_t operation = {.code = EMS_OP_DEQUEUE};
	ems_wait_result_t result;

	connection = connect_daemon();
	for (int i = 0; i < 128; i++) {
		char name[32];

		snprintf(name, sizeof(name), "waits/heap%d", i);
		heaps[i] = make_heap(connection, name, &(ems_heap_options_t){.elements = 10});
		ck_ok(ems_wait_begin(heaps[i], &operation, EMS_FOREVER, heaps[i], NULL));
	}
	result = next();
	ck_assert_ptr_eq(result.user, heaps[127]);
	ck_assert_int_eq(result.result, -EMS_ELIMIT);
	for (int i = 0; i < 127; i++)
		ck_ok(ems_enqueue(heaps[i], &(ems_value_t){.type = EMS_INTEGER}, NULL));
	for (int i = 0; i < 127; i++)
		ck_ok(next().result);
	nothing_more();
	for (int i = 0; i < 128; i++)
		end_heap(connection, heaps[i]);
	ems_disconnect(connection);
}
END_TEST

INTEGRATION_MAIN("client/waits", test_each_operation, test_queue_and_stack, test_failures, test_deadlines,
		 test_cancelling_and_closing, test_a_key_that_is_deleted, test_leases, test_read_locks, test_fork, test_ten_thousand,
		 test_a_queue_with_deaths, test_beside_sleepers, test_cancelled_or_done, test_too_many_heaps)
