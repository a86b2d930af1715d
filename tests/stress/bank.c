/*
 * bank: processes move money between accounts in transactions, and are SIGKILLed at random moments.
 *
 * The accounts are in two heaps, one by index, one by key, and hold their balance as an integer, a float or a text of
 * changing length. Each transaction takes two to five of them, of one heap or of both, reads, writes (by
 * ems_transaction_write, or plainly), and commits or aborts. All along the parent takes snapshots: the sum of all
 * balances is ever the same. In the end nothing is BUSY, no reader is left, and when the balances are gone no storage is in use.
 *
 * EMS_BANK_KILLS: how many kills (default 30); EMS_BANK_WORKERS; the seed is printed, EMS_TEST_SEED repeats it, as far as
 * the moments of the kills, which are the clock's, allow.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shm/atomic.h"
#include "tests/integration/client.h"

#define ACCOUNTS    24 /* half in each heap */
#define BALANCE	    1000
#define WORKERS_MAX 8
#define SET_MAX	    5
#define PAUSE_US    10000u

static ems_connection_t *connection;
static ems_heap_t *heaps[2];
static ems_transaction_element_t accounts[ACCOUNTS];
static char names[ACCOUNTS][48];
static uint64_t *ended; /* transactions, by all workers; outlives them */

/* ---- accounts ---- */

static void choose_accounts(void)
{
	for (int i = 0; i < ACCOUNTS; i++) {
		snprintf(names[i], sizeof(names[i]), "the account with number %d", i);
		accounts[i] = (ems_transaction_element_t){heaps[i % 2], i % 2 ? ems_key(names[i]) : ems_index(i), false};
	}
}

static int64_t balance_of(const ems_value_t *value)
{
	switch (value->type) {
	case EMS_INTEGER:
		return value->integer;
	case EMS_FLOAT:
		return (int64_t)value->number;
	case EMS_STRING:
		return strtoll(value->data, NULL, 10);
	default:
		return INT64_MIN / ACCOUNTS;
	}
}

/* As an integer, a float or a text, which is padded; text is the caller's, and stays as long as the value. */
static ems_value_t as_value(int64_t balance, uint64_t form, char *text, size_t size)
{
	if (form % 4 == 0)
		return ems_value_integer(balance);
	if (form % 4 == 1)
		return ems_value_float((double)balance);
	(void)snprintf(text, size, "%" PRId64 " %*s", balance, (int)(form / 4 % (size - 40)), "");
	return ems_value_string(text);
}

static void open_bank(ems_open_t how)
{
	ems_heap_options_t plain = {.elements = 64, .storage = 8 << 20}, keyed = {.elements = 64, .storage = 8 << 20, .map = true};

	child_ok(ems_connect(&connection, NULL));
	child_ok(ems_heap_open(connection, "bank/plain", how, &plain, &heaps[0]));
	child_ok(ems_heap_open(connection, "bank/keyed", how, &keyed, &heaps[1]));
	choose_accounts();
}

/* ---- a worker ---- */

static void move_money(uint64_t *random)
{
	ems_transaction_element_t set[SET_MAX];
	size_t count = 2 + unit_random(random) % (SET_MAX - 1);
	bool one_heap = unit_random(random) % 2;
	ems_transaction_t *transaction;
	int64_t balances[SET_MAX] = {0}, sum = 0;
	bool seen[ACCOUNTS] = {false};
	char text[400];

	for (size_t i = 0; i < count; i++) {
		uint64_t which;

		do
			which = unit_random(random) % (one_heap ? ACCOUNTS / 2 : ACCOUNTS) * (one_heap ? 2 : 1);
		while (seen[which]);
		seen[which] = true;
		set[i] = accounts[which];
	}
	child_ok(ems_transaction_begin(set, count, &transaction));
	for (size_t i = 0; i < count; i++) {
		ems_value_t value = EMS_VALUE_INIT;

		child_ok(ems_transaction_read(transaction, i, &value));
		balances[i] = balance_of(&value);
		ems_value_clear(&value);
	}
	for (size_t i = 0; i < count; i++) {
		int64_t amount = i + 1 < count ? (int64_t)(unit_random(random) % 201) - 100 : -sum;
		ems_value_t value = as_value(balances[i] + amount, unit_random(random), text, sizeof(text));

		sum += amount;
		child_ok(unit_random(random) % 2 ? ems_transaction_write(transaction, i, &value)
					      : ems_write(set[i].heap, set[i].key, &value));
	}
	child_ok(unit_random(random) % 8 ? ems_transaction_commit(transaction) : ems_transaction_abort(transaction));
	add64(ended, 1);
}

static pid_t start_worker(uint64_t seed)
{
	pid_t parent = getpid(), pid = fork();

	if (pid != 0) {
		ck_assert_int_gt(pid, 0);
		return pid;
	}
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	open_bank(EMS_OPEN_EXISTING);
	for (;;)
		move_money(&seed);
}

/* ---- the whole ---- */

static void check_sum(ems_value_t *values)
{
	int64_t sum = 0;

	ck_ok(ems_snapshot(accounts, ACCOUNTS, values));
	for (int i = 0; i < ACCOUNTS; i++)
		sum += balance_of(&values[i]);
	ck_assert_int_eq(sum, ACCOUNTS * BALANCE);
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

static void storm(uint64_t *random, uint64_t kills, uint64_t workers, ems_value_t *values)
{
	pid_t pids[WORKERS_MAX];

	for (uint64_t i = 0; i < workers; i++)
		pids[i] = start_worker(unit_random(random));
	for (uint64_t n = 0; n < kills; n++) {
		uint64_t which = unit_random(random) % workers;
		struct timespec pause = {0, (long)(unit_random(random) % PAUSE_US) * 1000};

		(void)nanosleep(&pause, NULL);
		kill_child(pids[which]);
		pids[which] = start_worker(unit_random(random));
		check_sum(values);
	}
	for (uint64_t i = 0; i < workers; i++)
		kill_child(pids[i]);
}

/* Whoever writes behind a dead owner waits until it is recovered. */
static void check_end(void)
{
	ems_value_t nothing = EMS_VALUE_INIT;

	for (int i = 0; i < ACCOUNTS; i++) {
		ems_tag_t tag;

		ck_ok(ems_write_xf(accounts[i].heap, accounts[i].key, &nothing));
		ck_ok(ems_get_tag(accounts[i].heap, accounts[i].key, &tag));
		ck_assert_int_eq(tag, EMS_FULL);
		if (i % 2)
			ck_ok(ems_delete(accounts[i].heap, accounts[i].key));
	}
}

/* The daemon may be recovering still: it is asked until it has done so, or the test is out of time. */
static void check_storage(const char *name)
{
	ems_heap_info_t info;

	do
		ck_ok(ems_heap_inspect(connection, name, &info));
	while (info.storage_used > 0);
}

START_TEST(test_bank)
{
	uint64_t random = unit_seed(), workers = setting("EMS_BANK_WORKERS", 3);
	ems_value_t values[ACCOUNTS];
	char text[400];

	ended = mmap(NULL, sizeof(*ended), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(ended, MAP_FAILED);
	open_bank(EMS_CREATE);
	for (int i = 0; i < ACCOUNTS; i++) {
		ems_value_t value = as_value(BALANCE, unit_random(&random), text, sizeof(text));

		values[i] = (ems_value_t)EMS_VALUE_INIT;
		ck_ok(ems_write_xf(accounts[i].heap, accounts[i].key, &value));
	}
	storm(&random, setting("EMS_BANK_KILLS", 30), workers < WORKERS_MAX ? workers : WORKERS_MAX, values);
	printf("%" PRIu64 " transactions ended\n", load64_relaxed(ended));
	ck_assert_uint_gt(load64_relaxed(ended), 0);
	check_sum(values);
	check_end();
	check_storage("bank/plain");
	check_storage("bank/keyed");
	for (int i = 0; i < ACCOUNTS; i++)
		ems_value_clear(&values[i]);
	end_heap(connection, heaps[0]);
	end_heap(connection, heaps[1]);
	ems_disconnect(connection);
}
END_TEST

INTEGRATION_MAIN("stress/bank", test_bank)
