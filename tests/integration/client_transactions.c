/*
 * Transactions through libems and a real emsd: results, refusals, words; heaps with and without keys, two of them;
 * deaths with the daemon there and with it killed.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/client.h"

static ems_connection_t *connection;
static ems_heap_t *plain, *keyed;

static void open_heaps(void)
{
	connection = connect_daemon();
	plain = make_heap(connection, "transaction/plain", &(ems_heap_options_t){.elements = 2000});
	keyed = make_heap(connection, "transaction/keyed",
			  &(ems_heap_options_t){.elements = 100, .map = true, .fill = &(ems_value_t){.type = EMS_INTEGER}});
}

static void close_heaps(void)
{
	end_heap(connection, plain);
	end_heap(connection, keyed);
	ems_disconnect(connection);
}

static void ck_says(const char *words)
{
	ck_assert_msg(strstr(ems_last_error()->message, words) != NULL, "\"%s\"", ems_last_error()->message);
}

START_TEST(test_commit_across_heaps)
{
	ems_value_t old = text_value("old"), new = text_value("new"), json = ems_value_data(EMS_JSON, "[1]", 3);
	ems_value_t bytes = ems_value_data(EMS_BYTES, "\0\1", 2), half = ems_value_float(0.5), value = EMS_VALUE_INIT;
	ems_value_t zero = ems_value_integer(0);
	ems_transaction_t *transaction;

	open_heaps();
	ck_ok(ems_write(plain, ems_index(7), &old));
	ems_transaction_element_t set[] = {{keyed, ems_key("a key that is made by begin"), false},
					   {plain, ems_index(7), false},
					   {plain, ems_index(6), false},
					   {keyed, ems_key("b"), false},
					   {keyed, ems_key("b"), true}};
	for (int commit = 0; commit < 2; commit++) {
		ck_ok(ems_transaction_begin(set, 5, &transaction));
		ck_ok(ems_transaction_read(transaction, 0, &value));
		ck_assert_uint_eq(value.type, EMS_INTEGER);
		ck_ok(ems_transaction_write(transaction, 0, &json));
		ck_ok(ems_transaction_write(transaction, 1, &new));
		ck_ok(ems_transaction_write(transaction, 2, &bytes));
		ck_ok(ems_transaction_write(transaction, 3, &half));
		ck_ok(ems_transaction_read(transaction, 4, &value));
		ck_assert_double_eq(value.number, 0.5);
		ck_ok(ems_transaction_read(transaction, 1, &value));
		ck_assert_str_eq(value.data, "new");
		ck_ok(commit ? ems_transaction_commit(transaction) : ems_transaction_abort(transaction));
		ck_reads(plain, ems_index(7), commit ? &new : &old);
		ck_reads(keyed, ems_key("a key that is made by begin"), commit ? &json : &zero);
		ck_reads(keyed, ems_key("b"), commit ? &half : &zero);
	}
	ck_reads(plain, ems_index(6), &bytes);
	ems_value_clear(&value);
	close_heaps();
}
END_TEST

START_TEST(test_plain_operations_are_part_of_it)
{
	ems_transaction_t *transaction;
	ems_value_t value = EMS_VALUE_INIT, five = ems_value_integer(5);
	int64_t number;
	ems_tag_t tag;
	bool swapped;

	open_heaps();
	ck_ok(ems_write_int64(plain, ems_index(1), 10));
	ck_ok(ems_write_int64(plain, ems_index(2), 20));
	ems_transaction_element_t set[] = {{plain, ems_index(1), false}, {plain, ems_index(2), false}, {keyed, ems_key("k"), false}};
	for (int commit = 0; commit < 2; commit++) {
		ck_ok(ems_transaction_begin(set, 3, &transaction));
		ck_ok(ems_faa_int64(plain, ems_index(1), 1, &number));
		ck_assert_int_eq(number, 10);
		ck_ok(ems_read_int64(plain, ems_index(1), &number));
		ck_assert_int_eq(number, 11);
		ck_ok(ems_read(plain, ems_index(1), &value));
		ck_assert_int_eq(value.integer, 11);
		ck_ok(ems_cas_int64(plain, ems_index(2), 20, 21, NULL, &swapped));
		ck_assert(swapped);
		ck_ok(ems_cas_int64(plain, ems_index(2), 20, 22, &number, &swapped));
		ck_assert(!swapped);
		ck_assert_int_eq(number, 21);
		ck_ok(ems_write(keyed, ems_key("k"), &five));
		ck_ok(ems_faa(keyed, ems_key("k"), &five, &value));
		ck_ok(ems_get_tag(plain, ems_index(1), &tag));
		ck_assert_int_eq(tag, EMS_BUSY);
		ck_ems(ems_write_ef(plain, ems_index(1), &five), EMS_EDEADLOCK);
		ck_ems(ems_delete(keyed, ems_key("k")), EMS_EDEADLOCK);
		ck_ok(ems_write_int64(plain, ems_index(3), commit)); /* not of the set: at once */
		ck_ok(commit ? ems_transaction_commit(transaction) : ems_transaction_abort(transaction));
		ck_ok(ems_read_int64(plain, ems_index(1), &number));
		ck_assert_int_eq(number, 10 + commit);
		ck_ok(ems_read_int64(plain, ems_index(2), &number));
		ck_assert_int_eq(number, 20 + commit);
		ck_ok(ems_read_int64(keyed, ems_key("k"), &number));
		ck_assert_int_eq(number, 10 * commit);
	}
	close_heaps();
}
END_TEST

static void *commit_elsewhere(void *transaction)
{
	return (void *)(intptr_t)ems_transaction_commit(transaction);
}

START_TEST(test_refusals)
{
	static ems_transaction_element_t many[1000];
	ems_transaction_t *transaction, *second;
	ems_value_t value = EMS_VALUE_INIT, one = ems_value_integer(1);
	pthread_t thread;
	void *result;

	open_heaps();
	ems_transaction_element_t set[] = {{plain, ems_index(1), true}, {plain, ems_index(2), false}};
	ems_transaction_element_t outside[] = {{plain, ems_index(2000), false}}, none[] = {{NULL, ems_index(0), false}};

	ck_ems(ems_transaction_begin(NULL, 1, &transaction), EMS_EINVALID);
	ck_ems(ems_transaction_begin(none, 1, &transaction), EMS_EINVALID);
	ck_ems(ems_transaction_begin(outside, 1, &transaction), EMS_ERANGE);
	ck_says("no element 2000");
	ck_ok(ems_transaction_begin(NULL, 0, &transaction));
	ck_ems(ems_transaction_read(transaction, 0, &value), EMS_ERANGE);
	ck_ok(ems_transaction_commit(transaction));
	ck_ems(ems_transaction_commit(transaction), EMS_EINVALID);
	ck_says("no such transaction");
	ck_ems(ems_transaction_commit(NULL), EMS_EINVALID);

	ck_ok(ems_transaction_begin(set, 2, &transaction));
	ck_ems(ems_transaction_begin(set, 2, &second), EMS_EDEADLOCK);
	ck_says("has a transaction already");
	ck_ems(ems_transaction_write(transaction, 0, &one), EMS_EREADONLY);
	ck_says("element 0 of the transaction was named for reading only");
	ck_ems(ems_transaction_write(transaction, 2, &one), EMS_ERANGE);
	ck_ems(ems_transaction_write(transaction, 1, NULL), EMS_EINVALID);
	ck_ems(ems_transaction_write(transaction, 1, &(ems_value_t){.type = 99}), EMS_EINVALID);
	ck_assert_int_eq(pthread_create(&thread, NULL, commit_elsewhere, transaction), 0);
	ck_assert_int_eq(pthread_join(thread, &result), 0);
	ck_assert_int_eq((int)(intptr_t)result, -EMS_EINVALID);
	ck_ok(ems_transaction_abort(transaction));

	ck_ok(ems_set_tag(plain, ems_index(2), EMS_EMPTY));
	ck_ems(ems_transaction_begin_until(set, 2, &transaction, ems_deadline_in(MS)), EMS_ETIMEOUT);
	ck_ems(ems_transaction_begin_until(set, 2, &transaction, EMS_NOW), EMS_ETIMEOUT);
	ck_says("transaction_begin");
	for (int i = 0; i < 1000; i++)
		many[i] = (ems_transaction_element_t){plain, ems_index(1999 - i), false};
	ck_ems(ems_transaction_begin(many, 1000, &transaction), EMS_ELIMIT);
	ck_ok(ems_transaction_begin(many, 832, &transaction));
	for (size_t i = 0; i < 832; i++)
		ck_ok(ems_transaction_write(transaction, i, &(ems_value_t){.type = EMS_INTEGER, .integer = (int64_t)i}));
	ck_ok(ems_transaction_commit(transaction));
	ck_ok(ems_read(plain, ems_index(1999 - 831), &value));
	ck_assert_int_eq(value.integer, 831);
	close_heaps();
}
END_TEST

START_TEST(test_snapshots)
{
	ems_value_t values[3] = {EMS_VALUE_INIT, EMS_VALUE_INIT, EMS_VALUE_INIT}, text = text_value("a text");
	ems_transaction_t *transaction;
	ems_heap_t *looking;
	uint64_t index;

	open_heaps();
	ck_ok(ems_heap_open(connection, "transaction/plain", EMS_OPEN_EXISTING, &(ems_heap_options_t){.read_only = true},
			    &looking));
	ck_ok(ems_write_xe(plain, ems_index(1), &text));
	ems_transaction_element_t set[] = {{looking, ems_index(1), false}, {keyed, ems_key("absent"), false}, {looking, ems_index(2), false}};
	ems_transaction_element_t held[] = {{plain, ems_index(2), false}};
	ems_transaction_element_t outside[] = {{looking, ems_index(2000), false}};
	ck_ok(ems_snapshot(set, 3, values));
	ck_assert_str_eq(values[0].data, "a text");
	ck_assert_uint_eq(values[1].type, EMS_UNDEFINED);
	ck_assert_uint_eq(values[2].type, EMS_UNDEFINED);
	ck_ems(ems_key_to_index(keyed, ems_key("absent"), &index), EMS_ENOKEY);
	ck_ems(ems_snapshot(outside, 1, values), EMS_ERANGE);
	ck_ems(ems_snapshot(NULL, 1, values), EMS_EINVALID);
	ck_ok(ems_snapshot(NULL, 0, NULL));
	ck_ok(ems_transaction_begin(held, 1, &transaction));
	ck_ems(ems_snapshot(set, 3, values), EMS_EDEADLOCK);
	ck_ok(ems_transaction_commit(transaction));
	for (int i = 0; i < 3; i++)
		ems_value_clear(&values[i]);
	ems_heap_close(looking);
	close_heaps();
}
END_TEST

static void *move_money(void *stop)
{
	ems_transaction_element_t set[] = {{plain, ems_index(1), false}, {keyed, ems_key("k"), false}};

	for (int64_t n = 1; !__atomic_load_n((bool *)stop, __ATOMIC_ACQUIRE); n = n % 1000 + 1) {
		ems_transaction_t *transaction;

		ck_ok(ems_transaction_begin(set, 2, &transaction));
		ck_ok(ems_faa_int64(plain, ems_index(1), n, NULL));
		ck_ok(ems_faa_int64(keyed, ems_key("k"), -n, NULL));
		ck_ok(ems_transaction_commit(transaction));
	}
	return NULL;
}

/* Taken while transactions keep moving the elements: the sum is ever the same. */
START_TEST(test_snapshots_are_consistent)
{
	ems_value_t values[2] = {EMS_VALUE_INIT, EMS_VALUE_INIT};
	bool stop = false;
	pthread_t thread;

	open_heaps();
	ck_ok(ems_write_int64(plain, ems_index(1), 0));
	ck_ok(ems_write_int64(keyed, ems_key("k"), 0));
	ems_transaction_element_t set[] = {{plain, ems_index(1), false}, {keyed, ems_key("k"), false}};
	ck_assert_int_eq(pthread_create(&thread, NULL, move_money, &stop), 0);
	for (int i = 0; i < 3000; i++) {
		ck_ok(ems_snapshot(set, 2, values));
		ck_assert_int_eq(values[0].integer + values[1].integer, 0);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	close_heaps();
}
END_TEST

/* Closing a heap, and the end of a thread, abort. */
START_TEST(test_closing_aborts)
{
	ems_transaction_t *transaction;
	ems_value_t one = ems_value_integer(1), undefined = EMS_VALUE_INIT;
	ems_heap_t *third;

	open_heaps();
	third = make_heap(connection, "transaction/third", &(ems_heap_options_t){.elements = 10});
	ems_transaction_element_t set[] = {{plain, ems_index(1), false}, {third, ems_index(2), false}};
	ck_ok(ems_transaction_begin(set, 2, &transaction));
	ck_ok(ems_transaction_write(transaction, 0, &one));
	end_heap(connection, third);
	ck_reads(plain, ems_index(1), &undefined);
	ck_ems(ems_transaction_write(transaction, 0, &one), EMS_ECONFLICT);
	ck_ems(ems_transaction_commit(transaction), EMS_ECONFLICT);
	ck_ems(ems_transaction_commit(transaction), EMS_EINVALID);
	ck_ok(ems_transaction_begin(set, 1, &transaction));
	ck_ok(ems_transaction_abort(transaction));
	close_heaps();
}
END_TEST

static void *begin_and_end(void *arg)
{
	ems_transaction_element_t set[] = {{plain, ems_index(1), false}, {keyed, ems_key("k"), false}};
	ems_transaction_t *transaction;
	int r = ems_transaction_begin(set, 2, &transaction);

	(void)arg;
	return (void *)(intptr_t)r;
}

START_TEST(test_the_end_of_a_thread_aborts)
{
	pthread_t thread;
	void *result;

	open_heaps();
	ck_assert_int_eq(pthread_create(&thread, NULL, begin_and_end, NULL), 0);
	ck_assert_int_eq(pthread_join(thread, &result), 0);
	ck_assert_int_eq((int)(intptr_t)result, 0);
	ck_ok(ems_faa_int64(plain, ems_index(1), 1, NULL));
	ck_ok(ems_faa_int64(keyed, ems_key("k"), 1, NULL));
	close_heaps();
}
END_TEST

START_TEST(test_a_child_has_none_of_it)
{
	ems_transaction_element_t set[1];
	ems_transaction_t *transaction;
	int status;
	pid_t pid;

	open_heaps();
	set[0] = (ems_transaction_element_t){plain, ems_index(1), false};
	ck_ok(ems_transaction_begin(set, 1, &transaction));
	pid = fork();
	if (pid == 0) {
		ems_connection_t *own = connect_daemon();
		ems_heap_t *mine;
		bool right = ems_transaction_commit(transaction) == -EMS_EFORKED &&
			     ems_heap_open(own, "transaction/plain", EMS_OPEN_EXISTING, NULL, &mine) == 0 &&
			     ems_faa_int64(mine, ems_index(3), 1, NULL) == 0 &&
			     ems_transaction_commit(transaction) == -EMS_EFORKED;

		_exit(!right);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_ok(ems_transaction_commit(transaction));
	close_heaps();
}
END_TEST

/* ---- deaths ---- */

/* A child that has begun and written, in both heaps, and then stays. */
static pid_t child_with_transaction(const char *socket)
{
	ems_value_t text = text_value("never to be seen");
	ems_transaction_t *transaction;
	int began[2];
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe(began), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		ems_connection_t *own;
		ems_heap_t *heaps[2];

		child_ok(ems_connect(&own, socket));
		child_ok(ems_heap_open(own, "transaction/plain", EMS_OPEN_EXISTING, NULL, &heaps[0]));
		child_ok(ems_heap_open(own, "transaction/keyed", EMS_OPEN_EXISTING, NULL, &heaps[1]));
		ems_transaction_element_t set[] = {{heaps[0], ems_index(1), false}, {heaps[1], ems_key("k"), false}};
		child_ok(ems_transaction_begin(set, 2, &transaction));
		child_ok(ems_transaction_write(transaction, 0, &text));
		child_ok(ems_transaction_write(transaction, 1, &text));
		child_assert(write(began[1], "x", 1) == 1);
		for (;;)
			pause();
	}
	close(began[1]);
	ck_assert_int_eq(read(began[0], &byte, 1), 1);
	close(began[0]);
	return pid;
}

static void *add_to_both(void *arg)
{
	(void)arg;
	ck_ok(ems_faa_int64(plain, ems_index(1), 1, NULL));
	ck_ok(ems_faa_int64(keyed, ems_key("k"), 1, NULL));
	return NULL;
}

/* Somebody waits behind what the dead one had locked, and gets on. */
static void kill_the_owner(const char *socket, pid_t daemon)
{
	pid_t child = child_with_transaction(socket);
	int64_t number;
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, add_to_both, NULL), 0);
	if (daemon)
		kill(daemon, SIGKILL);
	kill_child(child);
	ck_assert_int_eq(pthread_join(thread, NULL), 0); /* hangs, and fails by time-out, when it does not */
	ck_ok(ems_read_int64(plain, ems_index(1), &number));
	ck_assert_int_eq(number, 1);
	ck_ok(ems_read_int64(keyed, ems_key("k"), &number));
	ck_assert_int_eq(number, 1);
}

START_TEST(test_death_of_an_owner)
{
	open_heaps();
	ck_ok(ems_faa_int64(plain, ems_index(1), 0, NULL));
	kill_the_owner(NULL, 0);
	close_heaps();
}
END_TEST

START_TEST(test_death_of_an_owner_without_a_daemon)
{
	struct daemon daemon;

	daemon_start(&daemon, NULL);
	ck_ok(ems_connect(&connection, daemon.socket));
	plain = make_heap(connection, "transaction/plain", &(ems_heap_options_t){.elements = 2000});
	keyed = make_heap(connection, "transaction/keyed", &(ems_heap_options_t){.elements = 100, .map = true});
	ck_ok(ems_faa_int64(plain, ems_index(1), 0, NULL));
	ck_ok(ems_faa_int64(keyed, ems_key("k"), 0, NULL));
	kill_the_owner(daemon.socket, daemon.pid);
	(void)daemon_stop(&daemon);
	ems_heap_close(plain);
	ems_heap_close(keyed);
	ems_disconnect(connection);
}
END_TEST

INTEGRATION_MAIN("client/transactions", test_commit_across_heaps, test_plain_operations_are_part_of_it, test_refusals,
		 test_snapshots, test_snapshots_are_consistent,
		 test_closing_aborts, test_the_end_of_a_thread_aborts, test_a_child_has_none_of_it,
		 test_death_of_an_owner, test_death_of_an_owner_without_a_daemon)
