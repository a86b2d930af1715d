/*
 * transactions.c: orders through a queue, each of which changes several accounts at once, by processes that may be killed.
 *
 *     transactions [-n WORKERS] [-j ORDERS] [-h HEAP] [-p PLACE]
 *
 * The model. An order says that an account pays an amount to each of up to four others; or to none, then it only has to be
 * recorded. A worker takes an order with a lease, carries it out in one transaction, and then acknowledges it. These are two
 * steps: who is killed between them leaves an order that was carried out, and comes out of the queue again. So each
 * order has an element of its own, its record, which is part of the transaction: whoever gets the order anew finds there what
 * became of it, and has only to acknowledge. Killed anywhere, an order is carried out once. An account does not go below
 * zero: such an order is refused, and that is recorded as well.
 *
 * In the end every order has a record, and the balances are what the carried out ones make of the first balances.
 *
 * Elements 0 and 1 are switches, for who wants to see a worker die there: workers wait for switch 0 in the middle of each
 * transaction, and for switch 1 after it, before they acknowledge. `emsctl set HEAP PLACE 0 --tag empty` makes them wait,
 * and `--tag full` lets them go on. With -p they begin so. The queue ends with an item that is no order, which each
 * worker gives back for the others.
 */
#include <ems.h>

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ACCOUNTS 20
#define BALANCE	 1000 /* at first */
#define MOST	 5    /* accounts of an order */

enum { INSIDE = 0, AFTER = 1, FIRST_ACCOUNT = 2, FIRST_RECORD = FIRST_ACCOUNT + ACCOUNTS }; /* elements */
enum { CARRIED_OUT = 1, REFUSED = 2 };							    /* in a record */

struct order {
	int64_t number, amount;
	int count, accounts[MOST]; /* the first one pays */
};

static ems_connection_t *connection;
static const char *heap_name = "orders";
static long workers = 4, orders = 1000;
static int pause_at = -1;

/* The library has failed: says why, and ends. */
static void check(int r)
{
	if (r >= 0)
		return;
	fprintf(stderr, "transactions: %s\n", ems_last_error()->message);
	exit(1);
}

/* A worker has nothing of its parent's: it connects anew. */
static ems_heap_t *attach(ems_open_t how, const ems_heap_options_t *options)
{
	ems_heap_t *heap;

	check(ems_connect(&connection, NULL));
	check(ems_heap_open(connection, heap_name, how, options, &heap));
	return heap;
}

/* ---- the workers ---- */

static void carry_out(ems_heap_t *heap, const struct order *order)
{
	ems_transaction_element_t set[1 + MOST] = {
		{.heap = heap, .key = ems_index(FIRST_RECORD + order->number)}};
	ems_value_t value = EMS_VALUE_INIT, record = ems_value_integer(CARRIED_OUT);
	int64_t balances[MOST] = {0}, paid = order->amount * (order->count - 1);
	ems_transaction_t *transaction;
	size_t count = (size_t)order->count;

	for (size_t i = 0; i < count; i++)
		set[1 + i] = (ems_transaction_element_t){
			.heap = heap, .key = ems_index(FIRST_ACCOUNT + order->accounts[i])};
	check(ems_transaction_begin(set, 1 + count, &transaction));
	check(ems_transaction_read(transaction, 0, &value));
	if (value.type == EMS_INTEGER) { /* by one that was killed before it could acknowledge */
		check(ems_transaction_abort(transaction));
		return;
	}
	for (size_t i = 0; i < count; i++) {
		check(ems_transaction_read(transaction, 1 + i, &value));
		balances[i] = value.integer;
	}
	if (balances[0] < paid)
		record = ems_value_integer(REFUSED);
	for (size_t i = 0; record.integer == CARRIED_OUT && i < count; i++) {
		value = ems_value_integer(balances[i] + (i == 0 ? -paid : order->amount));
		check(ems_transaction_write(transaction, 1 + i, &value));
	}
	check(ems_read_ff(heap, ems_index(INSIDE), NULL)); /* killed here, nothing has happened */
	check(ems_transaction_write(transaction, 0, &record));
	check(ems_transaction_commit(transaction));
}

static _Noreturn void work(void)
{
	ems_heap_t *heap = attach(EMS_OPEN_EXISTING, NULL);
	ems_value_t item = EMS_VALUE_INIT;
	struct order order;
	ems_lease_t lease;

	for (;;) {
		check(ems_dequeue_lease_until(heap, &item, &lease, EMS_FOREVER));
		if (item.type != EMS_BYTES)
			break;
		memcpy(&order, item.data, sizeof(order));
		carry_out(heap, &order);
		check(ems_read_ff(heap, ems_index(AFTER), NULL)); /* killed here, the record tells */
		check(ems_lease_keep(&lease));
	}
	check(ems_lease_end(&lease));
	ems_disconnect(connection);
	_exit(0);
}

static void start_worker(void)
{
	pid_t parent = getpid(), child;

	(void)fflush(stdout);
	child = fork();
	if (child < 0) {
		perror("fork");
		exit(1);
	}
	if (child > 0)
		return;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent)
		work();
	_exit(1);
}

/* Who was killed is replaced, for all others may have gone by the time that his order comes back. */
static long wait_for_workers(void)
{
	long deaths = 0;
	int status;

	while (wait(&status) > 0 || errno == EINTR) {
		if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
			exit(1); /* it has said why */
		if (WIFSIGNALED(status)) {
			deaths++;
			start_worker();
		}
	}
	return deaths;
}

/* ---- the orders, and what must come of them ---- */

/* Order number n, always the same one: there is no need to keep it. */
static struct order make_order(int64_t n)
{
	unsigned int seed = (unsigned int)n;
	struct order order;

	memset(&order, 0, sizeof(order)); /* holes, too: it travels as bytes */
	order.number = n;
	order.amount = rand_r(&seed) % 200;
	order.count = 1 + rand_r(&seed) % MOST;
	order.accounts[0] = rand_r(&seed) % ACCOUNTS;
	for (int i = 1; i < order.count; i++) /* small steps, so none comes twice */
		order.accounts[i] =
			(order.accounts[i - 1] + 1 + rand_r(&seed) % (ACCOUNTS / MOST)) % ACCOUNTS;
	return order;
}

static void place_orders(ems_heap_t *heap)
{
	for (int64_t n = 0; n < orders; n++) {
		struct order order = make_order(n);
		ems_value_t item = ems_value_data(EMS_BYTES, &order, sizeof(order));

		check(ems_enqueue_until(heap, &item, NULL, EMS_FOREVER));
	}
	check(ems_enqueue_until(heap, &(ems_value_t){.type = EMS_UNDEFINED}, NULL, EMS_FOREVER));
}

/* The balances as the records have them. Returns how many orders were refused. */
static int64_t expect_balances(ems_heap_t *heap, int64_t balances[ACCOUNTS])
{
	int64_t refused = 0, record;

	for (int i = 0; i < ACCOUNTS; i++)
		balances[i] = BALANCE;
	for (int64_t n = 0; n < orders; n++) {
		struct order order = make_order(n);

		check(ems_read_int64(heap, ems_index(FIRST_RECORD + n), &record));
		refused += record == REFUSED;
		if (record != CARRIED_OUT && record != REFUSED) {
			fprintf(stderr, "transactions: order %" PRId64 " was forgotten\n", n);
			exit(1);
		}
		for (int i = 1; record == CARRIED_OUT && i < order.count; i++) {
			balances[order.accounts[0]] -= order.amount;
			balances[order.accounts[i]] += order.amount;
		}
	}
	return refused;
}

/* All of them at one moment. Gives their sum. */
static int64_t compare_balances(ems_heap_t *heap, const int64_t expected[ACCOUNTS])
{
	ems_transaction_element_t accounts[ACCOUNTS];
	ems_value_t values[ACCOUNTS];
	int64_t sum = 0;

	for (int i = 0; i < ACCOUNTS; i++) {
		accounts[i] = (ems_transaction_element_t){.heap = heap, .key = ems_index(FIRST_ACCOUNT + i)};
		values[i] = (ems_value_t)EMS_VALUE_INIT;
	}
	check(ems_snapshot(accounts, ACCOUNTS, values));
	for (int i = 0; i < ACCOUNTS; i++) {
		sum += values[i].integer;
		if (values[i].integer != expected[i] || expected[i] < 0) {
			fprintf(stderr, "transactions: account %d has %" PRId64 " instead of %" PRId64 "\n",
				i, values[i].integer, expected[i]);
			exit(1);
		}
	}
	return sum;
}

static void read_options(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "n:j:h:p:")) != -1) {
		if (option == 'n')
			workers = strtol(optarg, NULL, 10);
		else if (option == 'j')
			orders = strtol(optarg, NULL, 10);
		else if (option == 'h')
			heap_name = optarg;
		else if (option == 'p')
			pause_at = optarg[0] == '1' ? AFTER : INSIDE;
		else
			workers = 0;
	}
	if (workers >= 1 && orders >= 1 && optind == argc)
		return;
	fprintf(stderr, "usage: transactions [-n WORKERS] [-j ORDERS] [-h HEAP] [-p PLACE]\n");
	exit(2);
}

int main(int argc, char **argv)
{
	ems_heap_options_t options = {.until_detached = true};
	int64_t balances[ACCOUNTS], refused;
	ems_heap_t *heap;
	long deaths;

	read_options(argc, argv);
	options.elements =
		FIRST_RECORD + (uint64_t)orders; /* so many items fit, too: we need not wait for room */
	heap = attach(EMS_CREATE, &options);
	for (int i = 0; i < ACCOUNTS; i++)
		check(ems_write_int64(heap, ems_index(FIRST_ACCOUNT + i), BALANCE));
	if (pause_at >= 0)
		check(ems_set_tag(heap, ems_index(pause_at), EMS_EMPTY));
	for (long i = 0; i < workers; i++)
		start_worker();
	place_orders(heap);
	deaths = wait_for_workers();
	refused = expect_balances(heap, balances);
	printf("%ld orders by %ld workers, %ld of them killed: %" PRId64 " carried out, %" PRId64
	       " refused; the accounts have %" PRId64 "\n",
	       orders, workers, deaths, orders - refused, refused, compare_balances(heap, balances));
	ems_disconnect(connection);
	return 0;
}
