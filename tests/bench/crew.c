/*
 * Several processes that do the same thing at the same time. They sleep on semaphores in between, and go when told; who
 * was late shows in the time from the first one's beginning to the last one's end.
 */
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shm/atomic.h"
#include "tests/bench/bench.h"

struct crew_member {
	sem_t go;
	double begin, end;
	pid_t pid;
} __attribute__((aligned(128)));

struct crew {
	sem_t done;
	unsigned members;
	unsigned work; /* or QUIT */
	uint64_t count;
	unsigned active;
	uint32_t here; /* how many of them are awake, and begin when all are */
	struct crew_member member[CREW_MAX];
};

#define QUIT UINT32_MAX
#define CREW_SLICES 5 /* how much longer they work than one thread does: it takes them some time to wake */

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

/* As many as there are processors begin at one instant; of more, some have to wait for their turn anyhow. */
static void begin_together(struct crew *crew)
{
	(void)add32(&crew->here, 1);
	while (load32_acquire(&crew->here) < crew->active && crew->active <= measure_processors())
		cpu_relax();
}

static void live(struct crew *crew, unsigned member, const struct crew_job *job)
{
	(void)measure_pin(member);
	if (job->set_up)
		job->set_up(job->context, member);
	sem_post(&crew->done);
	for (;;) {
		wait_for(&crew->member[member].go);
		if (crew->work == QUIT)
			_exit(0);
		begin_together(crew);
		crew->member[member].begin = now();
		job->work(job->context, member, crew->work, crew->count);
		crew->member[member].end = now();
		sem_post(&crew->done);
	}
}

/* One that fails has said why; the others would wait for it for ever. */
static void await(struct crew *crew, unsigned how_many)
{
	struct timespec soon;
	int status;

	while (how_many > 0) {
		clock_gettime(CLOCK_REALTIME, &soon);
		soon.tv_sec += 1;
		if (sem_timedwait(&crew->done, &soon) == 0) {
			how_many--;
			continue;
		}
		for (unsigned i = 0; i < crew->members; i++)
			if (waitpid(crew->member[i].pid, &status, WNOHANG) > 0) {
				if (WIFSIGNALED(status))
					fprintf(stderr, "bench: process %u of %u was killed by signal %d\n", i, crew->members,
						WTERMSIG(status));
				exit(1); /* the death signal ends the others */
			}
	}
}

crew_t *crew_start(unsigned members, const struct crew_job *job)
{
	struct crew *crew = mmap(NULL, sizeof(*crew), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t parent = getpid();

	need_system(crew != MAP_FAILED, "memory of a crew");
	crew->members = members;
	need_system(sem_init(&crew->done, 1, 0) == 0, "a semaphore");
	fflush(NULL);
	for (unsigned i = 0; i < members; i++) {
		need_system(sem_init(&crew->member[i].go, 1, 0) == 0, "a semaphore");
		crew->member[i].pid = fork();
		need_system(crew->member[i].pid >= 0, "a process");
		if (crew->member[i].pid > 0)
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent)
			live(crew, i, job);
		_exit(1);
	}
	await(crew, members);
	return crew;
}

double crew_run(crew_t *crew, unsigned active, unsigned work, uint64_t count)
{
	double begin, end;

	crew->work = work;
	crew->count = count;
	crew->active = active;
	store32_release(&crew->here, 0);
	for (unsigned i = 0; i < active; i++)
		sem_post(&crew->member[i].go);
	await(crew, active);
	begin = crew->member[0].begin;
	end = crew->member[0].end;
	for (unsigned i = 1; i < active; i++) {
		begin = crew->member[i].begin < begin ? crew->member[i].begin : begin;
		end = crew->member[i].end > end ? crew->member[i].end : end;
	}
	return end - begin;
}

/* What was late once is not so slow. */
static double least_of_three(crew_t *crew, unsigned active, unsigned work, uint64_t count)
{
	double least = crew_run(crew, active, work, count);

	for (int i = 0; i < 2; i++) {
		double took = crew_run(crew, active, work, count);

		least = took < least ? took : least;
	}
	return least;
}

uint64_t crew_calibrate(crew_t *crew, const struct measure *measure, unsigned active, unsigned work)
{
	double slice = (double)measure->slice * CREW_SLICES, took;
	uint64_t count = 1;

	while ((took = least_of_three(crew, active, work, count)) < slice / 4)
		count *= took < slice / 64 ? 8 : 2;
	count = (uint64_t)((double)count * slice / took);
	return count > 0 ? count : 1;
}

void crew_end(crew_t *crew)
{
	crew->work = QUIT;
	for (unsigned i = 0; i < crew->members; i++)
		sem_post(&crew->member[i].go);
	for (unsigned i = 0; i < crew->members; i++)
		(void)waitpid(crew->member[i].pid, NULL, 0);
	munmap(crew, sizeof(*crew));
}
