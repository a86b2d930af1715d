/*
 * run_member.c: from a fork to the program.
 *
 * A child that fails on the way says so in a pipe that the exec closes, and ends. We do not wait for that: the pipe is
 * looked at when the child's end is seen, and what it wrote is in there by then.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "client/emsctl/emsctl.h"
#include "client/emsctl/run.h"

#define CPUS_MOST (1 << 20)

static int keep_cpus(struct run *run, const cpu_set_t *set, int room)
{
	size_t size = CPU_ALLOC_SIZE(room);

	run->cpus = calloc((size_t)CPU_COUNT_S(size, set), sizeof(*run->cpus));
	if (!run->cpus)
		return report(EXIT_OTHER, "out of memory");
	for (int cpu = 0; cpu < room; cpu++)
		if (CPU_ISSET_S((size_t)cpu, size, set))
			run->cpus[run->cpu_count++] = cpu;
	return 0;
}

int run_find_cpus(struct run *run)
{
	/* The kernel's set may be larger than the C library's type. */
	for (int room = CPU_SETSIZE; room <= CPUS_MOST; room *= 2) {
		cpu_set_t *set = CPU_ALLOC((size_t)room);
		int r = -1;

		if (set && sched_getaffinity(0, CPU_ALLOC_SIZE(room), set) == 0)
			r = keep_cpus(run, set, room);
		CPU_FREE(set);
		if (r >= 0)
			return r;
	}
	return report(EXIT_OTHER, "cannot find out which CPUs may be used: %s", strerror(errno));
}

static int pin_to(int cpu)
{
	cpu_set_t *set = CPU_ALLOC((size_t)cpu + 1);
	size_t size = CPU_ALLOC_SIZE((size_t)cpu + 1);
	int r;

	if (!set)
		return -1;
	CPU_ZERO_S(size, set);
	CPU_SET_S((size_t)cpu, size, set);
	r = sched_setaffinity(0, size, set);
	CPU_FREE(set);
	return r;
}

static int set_number(const char *name, int number)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "%d", number);
	return setenv(name, text, 1);
}

static int set_environment(const struct run *run, int id, const char *team)
{
	if (settings.socket && setenv("EMS_SOCKET", settings.socket, 1) < 0)
		return -1;
	if (setenv("EMS_TEAM", team, 1) < 0 || set_number("EMS_TEAM_SIZE", run->count) < 0 ||
	    set_number("EMS_TEAM_MEMBER", id) < 0 || set_number("EMS_TEAM_ELASTIC", run->elastic) < 0)
		return -1;
	return 0;
}

/* Standard input is one: the first member has it. outputs: -1 for those that stay ours. */
static int set_streams(int id, const int outputs[static 2])
{
	if (id > 0) {
		int none = open("/dev/null", O_RDONLY | O_CLOEXEC);

		if (none < 0 || dup2(none, STDIN_FILENO) < 0)
			return -1;
	}
	for (int i = 0; i < 2; i++)
		if (outputs[i] >= 0 && dup2(outputs[i], STDOUT_FILENO + i) < 0)
			return -1;
	return 0;
}

/* The mask comes last: what was sent to us since the fork arrives at that moment. */
static void restore(const struct surroundings *before)
{
	(void)setrlimit(RLIMIT_NOFILE, &before->files);
	(void)sigaction(SIGCHLD, &before->child, NULL);
	(void)sigaction(SIGPIPE, &before->pipe, NULL);
	(void)sigprocmask(SIG_SETMASK, &before->mask, NULL);
}

static _Noreturn void give_up(const struct run *run, int id, const char *what)
{
	struct note note = {.member = id, .what = what, .error = errno};

	(void)fd_write_all(run->notes[1], &note, sizeof(note));
	_exit(EXIT_OTHER);
}

static _Noreturn void become_member(const struct run *run, int id, const char *team,
				    const int outputs[static 2])
{
	/* Our end is its end. If that came before the kernel was told, its parent is another by now. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		give_up(run, id, "cannot be bound to emsctl");
	if (getppid() != run->before.self)
		_exit(EXIT_OTHER);
	if (set_environment(run, id, team) < 0)
		give_up(run, id, "cannot set its environment");
	if (run->pin && pin_to(run->cpus[id % run->cpu_count]) < 0)
		give_up(run, id, "cannot be pinned to a CPU");
	if (set_streams(id, outputs) < 0)
		give_up(run, id, "cannot set its standard streams");
	restore(&run->before);
	(void)execvp(run->program[0], run->program);
	give_up(run, id, NULL);
}

static int make_pipes(struct member *member, int outputs[static 2])
{
	for (int i = 0; i < 2; i++) {
		int ends[2];

		if (pipe2(ends, O_CLOEXEC) < 0)
			return -1;
		member->streams[i].fd = ends[0];
		outputs[i] = ends[1];
		/* Of this end only: the program's end is another description. */
		if (fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
			return -1;
	}
	return 0;
}

int run_start(struct run *run, int id, const char *team)
{
	struct member *member = &run->members[id];
	int outputs[2] = {-1, -1}, code = 0;
	pid_t pid;

	if (run->prefix && make_pipes(member, outputs) < 0) {
		code = report(EXIT_OTHER, "cannot make the pipes of member %d: %s", id, strerror(errno));
	} else {
		pid = fork();
		if (pid == 0)
			become_member(run, id, team, outputs);
		if (pid < 0) {
			code = report(EXIT_OTHER, "cannot start member %d: %s", id, strerror(errno));
		} else {
			member->pid = pid;
			run->running++;
		}
	}
	fd_close(outputs[0]);
	fd_close(outputs[1]);
	return code;
}
