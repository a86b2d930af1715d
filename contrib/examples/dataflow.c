/*
 * dataflow.c: the longest common subsequence of two texts, computed by processes that wait for data only.
 *
 *     dataflow [-n WORKERS] [-h HEAP] TEXT TEXT
 *
 * The model. length(i, j), of the first i and j bytes, follows from three neighbours: (i-1, j-1), (i-1, j), (i, j-1). Each
 * has an element, which is EMPTY until it is known and FULL from then on, and is read with read_ff, which waits for
 * FULL: the tags are all the synchronisation there is. Nobody says who does what first; the rows become known as a wave.
 *
 * Which row a worker computes comes from the queue, with a lease. When a worker is killed its row is in the queue again and
 * a new worker is started, which takes it before all others. What was written is left, and what was not
 * is written then: each element is written with one value only, whoever does it.
 */
#include <ems.h>

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static ems_connection_t *connection;
static const char *heap_name = "dataflow", *text[2];
static int64_t size[2];
static long workers = 4;

/* The library has failed: says why, and ends. */
static void check(int r)
{
	if (r >= 0)
		return;
	fprintf(stderr, "dataflow: %s\n", ems_last_error()->message);
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

static ems_key_t key_of(int64_t i, int64_t j)
{
	return ems_index(i * (size[1] + 1) + j);
}

/* Waits until it is known. */
static int64_t length_of(ems_heap_t *heap, int64_t i, int64_t j)
{
	ems_value_t value = EMS_VALUE_INIT;

	if (i == 0 || j == 0)
		return 0;
	check(ems_read_ff(heap, key_of(i, j), &value));
	return value.integer;
}

static void compute(ems_heap_t *heap, int64_t i, int64_t j)
{
	int64_t above = length_of(heap, i - 1, j), left = length_of(heap, i, j - 1);
	ems_value_t length = ems_value_integer(above > left ? above : left);

	if (text[0][i - 1] == text[1][j - 1])
		length.integer = length_of(heap, i - 1, j - 1) + 1;
	check(ems_write_xf(heap, key_of(i, j), &length));
}

static _Noreturn void work(void)
{
	ems_heap_t *heap = attach(EMS_OPEN_EXISTING, NULL);
	ems_value_t row = EMS_VALUE_INIT;
	ems_lease_t lease;
	int r;

	while ((r = ems_dequeue_lease(heap, &row, &lease)) == 0) {
		for (int64_t j = 1; j <= size[1]; j++)
			compute(heap, row.integer, j);
		check(ems_lease_keep(&lease));
	}
	if (r != -EMS_EEMPTY)
		check(r);
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

/* One for each who was killed: the others may all be waiting for what he would have written, or be gone. */
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

int main(int argc, char **argv)
{
	ems_heap_options_t options = {.initial_tag = EMS_EMPTY, .until_detached = true};
	ems_heap_t *heap;
	long deaths;
	int option;

	while ((option = getopt(argc, argv, "n:h:")) != -1) {
		if (option == 'n')
			workers = strtol(optarg, NULL, 10);
		else if (option == 'h')
			heap_name = optarg;
		else
			workers = 0;
	}
	if (workers < 1 || optind + 2 != argc) {
		fprintf(stderr, "usage: dataflow [-n WORKERS] [-h HEAP] TEXT TEXT\n");
		return 2;
	}
	for (int i = 0; i < 2; i++) {
		text[i] = argv[optind + i];
		size[i] = (int64_t)strlen(text[i]);
	}
	options.elements = (uint64_t)((size[0] + 1) * (size[1] + 1));
	heap = attach(EMS_CREATE, &options);
	for (int64_t i = 1; i <= size[0]; i++) {
		ems_value_t row = ems_value_integer(i);

		check(ems_enqueue(heap, &row, NULL));
	}
	for (long i = 0; i < workers; i++)
		start_worker();
	deaths = wait_for_workers();
	printf("%" PRId64 " in common, by %ld workers, %ld of them killed\n", length_of(heap, size[0], size[1]), workers,
	       deaths);
	ems_disconnect(connection);
	return 0;
}
