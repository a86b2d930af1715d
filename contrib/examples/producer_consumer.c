/*
 * producer_consumer.c: jobs through a queue, done by processes that may be killed at any moment.
 *
 *     producer_consumer [-n WORKERS] [-j JOBS] [-h HEAP] [-p]
 *
 * The model. A job is a number; doing it is counting the steps of its Collatz sequence; the result goes to the element of the
 * job's index. A worker takes a job with a lease, does it, writes the result, and only then acknowledges. When it is
 * killed before, the job is in the queue again, and another one does it: a result may be written twice, which does no harm,
 * but none is missing. The last item says that there are no more; each worker gives it back, for the others.
 *
 * Element 0 is a switch: workers wait while it is EMPTY. `emsctl set HEAP 0 0 --tag empty` makes them pause, each with
 * a job in hand, and `--tag full` lets them go on. With -p they begin so.
 */
#include <ems.h>

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static ems_connection_t *connection;
static const char *heap_name = "jobs";
static long workers = 4, jobs = 1000;
static bool paused;

/* The library has failed: says why, and ends. */
static void check(int r)
{
	if (r >= 0)
		return;
	fprintf(stderr, "producer_consumer: %s\n", ems_last_error()->message);
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

/* ---- the consumers ---- */

static int64_t do_job(int64_t job)
{
	int64_t steps = 0;

	for (; job != 1; steps++)
		job = job % 2 ? 3 * job + 1 : job / 2;
	return steps;
}

static _Noreturn void consume(void)
{
	ems_heap_t *heap = attach(EMS_OPEN_EXISTING, NULL);
	ems_value_t job = EMS_VALUE_INIT;
	ems_lease_t lease;

	for (;;) {
		check(ems_dequeue_lease_until(heap, &job, &lease, EMS_FOREVER));
		if (job.type != EMS_INTEGER)
			break;
		check(ems_read_ff(heap, ems_index(0), NULL)); /* the switch */
		ems_value_t result = ems_value_integer(do_job(job.integer));
		check(ems_write_xf(heap, ems_index(job.integer), &result));
		check(ems_lease_keep(&lease)); /* killed before this line, it is another's job */
	}
	check(ems_lease_end(&lease));
	ems_disconnect(connection);
	_exit(0);
}

static void start_consumer(void)
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
		consume();
	_exit(1);
}

/* ---- the producer ---- */

static void produce(ems_heap_t *heap)
{
	for (int64_t i = 1; i <= jobs; i++) {
		ems_value_t job = ems_value_integer(i);

		check(ems_enqueue_until(heap, &job, NULL, EMS_FOREVER));
	}
	check(ems_enqueue_until(heap, &(ems_value_t){.type = EMS_UNDEFINED}, NULL, EMS_FOREVER));
}

/* Who was killed is replaced, for all others may have gone by the time that his job comes back. */
static long wait_for_consumers(void)
{
	long deaths = 0;
	int status;

	while (wait(&status) > 0 || errno == EINTR) {
		if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
			exit(1); /* it has said why */
		if (WIFSIGNALED(status)) {
			deaths++;
			start_consumer();
		}
	}
	return deaths;
}

static int64_t sum_results(ems_heap_t *heap)
{
	int64_t sum = 0, result;

	for (int64_t i = 1; i <= jobs; i++) {
		check(ems_read_int64(heap, ems_index(i), &result));
		sum += result;
	}
	return sum;
}

int main(int argc, char **argv)
{
	ems_heap_options_t options = {.until_detached = true};
	ems_heap_t *heap;
	long deaths;
	int option;

	while ((option = getopt(argc, argv, "n:j:h:p")) != -1) {
		if (option == 'n')
			workers = strtol(optarg, NULL, 10);
		else if (option == 'j')
			jobs = strtol(optarg, NULL, 10);
		else if (option == 'h')
			heap_name = optarg;
		else if (option == 'p')
			paused = true;
		else
			workers = 0;
	}
	if (workers < 1 || jobs < 1 || optind != argc) {
		fprintf(stderr, "usage: producer_consumer [-n WORKERS] [-j JOBS] [-h HEAP] [-p]\n");
		return 2;
	}
	options.elements = (uint64_t)jobs + 2; /* so many items fit, too: the producer need not wait */
	heap = attach(EMS_CREATE, &options);
	if (paused)
		check(ems_set_tag(heap, ems_index(0), EMS_EMPTY));
	for (long i = 0; i < workers; i++)
		start_consumer();
	produce(heap);
	deaths = wait_for_consumers();
	printf("%ld jobs by %ld workers, %ld of them killed: sum %" PRId64 "\n", jobs, workers, deaths, sum_results(heap));
	ems_disconnect(connection);
	return 0;
}
