/*
 * Rows 13 and 14: a process that holds an element is killed; how long until the one that waits for it runs, with the daemon and
 * while that is stopped, and in a small heap and a large one.
 *
 * Each holder takes an element of its own with a lease and sleeps. The waiter waits for the first, which is killed; then for the next.
 */
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/bench.h"

#define HOLDERS_MAX 64
#define STRIDE	    64 /* elements between theirs */

struct scene {
	const char *name;
	unsigned holders;
	sem_t ready; /* of holders, and of the waiter before each wait */
	sem_t got;
	double woke; /* when the waiter had it */
	bool failed;
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void wait_for(sem_t *semaphore)
{
	while (sem_wait(semaphore) < 0)
		;
}

static pid_t start(struct scene *scene, unsigned number, void (*live)(struct scene *scene, ems_heap_t *heap, unsigned number))
{
	pid_t parent = getpid(), child = fork();
	ems_connection_t *connection;

	need_system(child >= 0, "a process");
	if (child > 0)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	need(ems_connect(&connection, NULL));
	live(scene, open_heap(connection, scene->name), number);
	_exit(0);
}

static void hold(struct scene *scene, ems_heap_t *heap, unsigned number)
{
	ems_value_t value = EMS_VALUE_INIT;
	ems_lease_t lease;

	need(ems_read_fe_lease(heap, ems_index((int64_t)number * STRIDE), &value, &lease));
	sem_post(&scene->ready);
	for (;;)
		pause();
}

static void wait_in_turn(struct scene *scene, ems_heap_t *heap, unsigned number)
{
	ems_value_t value = EMS_VALUE_INIT;

	(void)number;
	(void)measure_pin(1);
	for (unsigned i = 0; i < scene->holders; i++) {
		sem_post(&scene->ready);
		need(ems_read_fe(heap, ems_index((int64_t)i * STRIDE), &value));
		scene->woke = now();
		sem_post(&scene->got);
	}
}

/* It is seen asleep in the system's list of processes; before that its wait would be shorter than real. */
static void until_asleep(pid_t pid)
{
	char path[64], state = '?';

	snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	while (state != 'S') {
		FILE *file = fopen(path, "re");

		if (!file || fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
			state = '?';
		if (file)
			fclose(file);
		sched_yield();
	}
}

/* Kills one after the other; times in milliseconds. */
static void kill_all(struct scene *scene, const pid_t *holders, pid_t waiter, pid_t stopped_daemon, double *took)
{
	for (unsigned i = 0; i < scene->holders; i++) {
		double begin;

		wait_for(&scene->ready);
		until_asleep(waiter);
		if (i == 0 && stopped_daemon > 0)
			kill(stopped_daemon, SIGSTOP);
		begin = now();
		kill(holders[i], SIGKILL);
		wait_for(&scene->got);
		took[i] = (scene->woke - begin) / 1e6;
	}
	if (stopped_daemon > 0)
		kill(stopped_daemon, SIGCONT);
	for (unsigned i = 0; i < scene->holders; i++)
		(void)waitpid(holders[i], NULL, 0);
	(void)waitpid(waiter, NULL, 0);
}

static void play(ems_heap_t *heap, unsigned holders, pid_t stopped_daemon, double *took)
{
	struct scene *scene = mmap(NULL, sizeof(*scene), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ems_value_t zero = ems_value_integer(0);
	pid_t pids[HOLDERS_MAX], waiter;
	char name[256];

	need_system(scene != MAP_FAILED && sem_init(&scene->ready, 1, 0) == 0 && sem_init(&scene->got, 1, 0) == 0,
		    "shared memory");
	snprintf(name, sizeof(name), "%s", ems_heap_name(heap));
	scene->name = name;
	scene->holders = holders;
	need(ems_fill(heap, 0, HOLDERS_MAX * STRIDE, &zero, EMS_FULL, NULL)); /* the last waiter has emptied them */
	fflush(NULL);
	for (unsigned i = 0; i < holders; i++) {
		pids[i] = start(scene, i, hold);
		wait_for(&scene->ready);
	}
	waiter = start(scene, 0, wait_in_turn);
	kill_all(scene, pids, waiter, stopped_daemon, took);
	munmap(scene, sizeof(*scene));
}

static ems_heap_t *make(struct bench *bench, uint64_t elements)
{
	ems_heap_t *heap = new_heap(bench, &(ems_heap_options_t){.elements = elements});
	ems_value_t zero = ems_value_integer(0);

	need(ems_fill(heap, 0, elements, &zero, EMS_FULL, NULL));
	return heap;
}

/* The 99th of a hundred: of fewer, the slowest. */
static void measure_deaths(struct bench *bench, const char *what, pid_t stopped_daemon)
{
	unsigned rounds = (unsigned)BENCH_PICK(bench, 1, 2, 4), holders = (unsigned)BENCH_PICK(bench, 2, 25, 50);
	double took[HOLDERS_MAX], worst[MEASURE_TURNS_MAX];
	ems_heap_t *heap = make(bench, HOLDERS_MAX * STRIDE);
	struct figure figure = {.what = what, .unit = "ms", .kind = VALUE_AT_MOST, .target = 5};
	unsigned count = 0;

	for (unsigned i = 0; i < rounds; i++) {
		play(heap, holders, stopped_daemon, took);
		for (unsigned k = 0; k < holders && count < MEASURE_TURNS_MAX; k++)
			worst[count++] = took[k];
	}
	ems_heap_close(heap);
	figure.measured = spread_of(worst, count);
	figure.measured.median = figure.measured.most; /* what 99 of 100 stay below, by at most a hundred */
	report_figure(&figure);
}

void row_death(struct bench *bench)
{
	pid_t daemon = daemon_pid(bench);

	measure_deaths(bench, "a holder's death to its waiter's turn: slowest", 0);
	if (!getenv("EMS_DEVENV_DIR") || daemon <= 0)
		report_missing("the same while the daemon is stopped", "the daemon is not ours to stop");
	else
		measure_deaths(bench, "the same while the daemon is stopped: slowest", daemon);
}

void row_recovery(struct bench *bench)
{
	enum { TURNS = 20 };
	unsigned holders = (unsigned)BENCH_PICK(bench, 2, 10, TURNS);
	uint64_t large = (uint64_t)BENCH_PICK(bench, 10000, 10000000, 10000000);
	struct figure figure = {.what = "recovery of a dead holder, 10 million elements", .unit = "ms",
				.beside = "of 4,096 elements", .kind = RATIO_AT_MOST, .target = 1.5};
	double small_took[TURNS], large_took[TURNS], ratios[TURNS];
	ems_heap_t *heap = make(bench, HOLDERS_MAX * STRIDE);

	play(heap, holders, 0, small_took);
	ems_heap_close(heap);
	heap = make(bench, large);
	play(heap, holders, 0, large_took);
	ems_heap_close(heap);
	for (unsigned i = 0; i < holders; i++)
		ratios[i] = large_took[i] / small_took[i];
	figure.measured = spread_of(large_took, holders);
	figure.limit = spread_of(small_took, holders);
	figure.ratio = spread_of(ratios, holders);
	figure.ratio.median = figure.measured.median / figure.limit.median;
	report_figure(&figure);
}
