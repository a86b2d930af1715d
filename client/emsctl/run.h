/*
 * run.h: emsctl run, which starts the members of a team and stays until all have ended.
 *
 *     run.c          the command line, and the order of things
 *     run_member.c   becoming a member: ids, CPU, standard input, and what ends it should we be killed
 *     run_watch.c    what happens meanwhile: signals, ends, the time of grace
 *     run_lines.c    their output line by line, when prefixes are wanted
 *
 * Members are our children, in our process group, with our terminal: what the terminal sends (Ctrl-C) reaches
 * them without us, and member 0 may read from it. Everything happens in one loop in one thread; while it runs, the
 * signals of interest are blocked and read from a descriptor.
 */
#ifndef CLIENT_EMSCTL_RUN_H
#define CLIENT_EMSCTL_RUN_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#define RUN_MEMBERS_MAX 1024 /* a team has no more */

/* Where lines go to: our standard output or standard error. */
struct sink {
	int fd;
	char *data; /* [sent, used) waits until fd takes it */
	size_t sent, used, room;
	bool broken; /* nobody reads it any more */
};

/* One of a member's two streams. */
struct stream {
	int fd; /* the reading end of a pipe; -1: none, or at its end */
	struct sink *sink;
	char *line; /* of which the end has not come yet; malloc'ed */
	size_t used, room;
};

struct member {
	pid_t pid; /* 0: has ended, or was not started */
	struct stream streams[2];
};

/* What a member that could not become the program leaves in the pipe `notes`, before it ends. */
struct note {
	int member;
	const char *what; /* the address is as good in the parent */
	int error;
};

/* How things were before us: members get them so. */
struct surroundings {
	sigset_t mask;
	struct sigaction child, pipe;
	struct rlimit files;
	pid_t self;
};

struct run {
	char **program; /* and its arguments, NULL at the end */
	int count;
	bool pin, elastic, prefix;
	uint64_t grace; /* ns */

	int *cpus; /* that may be used, with pin; malloc'ed */
	int cpu_count;
	struct surroundings before;
	int signals;  /* signalfd */
	int notes[2]; /* pipe of struct note */
	struct member *members;
	struct pollfd *items; /* room for all */
	struct sink sinks[2];
	int running;	  /* members */
	bool ending;	  /* they have been told to end */
	uint64_t kill_at; /* clock.h; when those that did not are killed */
	int result;	  /* exit code: of the first failure, or 0 */
};

/* ---- run_member.c: 0, or an exit code after reporting ---- */

/* The CPUs that we may use. */
int run_find_cpus(struct run *run);
/* Starts member id. Its failing to become the program is seen later, as a note. */
int run_start(struct run *run, int id, const char *team);

/* ---- run_watch.c ---- */

/* Signals come through run->signals from here on. 0, or an exit code after reporting. */
int run_watch_init(struct run *run);
/* A signal that ends a process waits to be dealt with: returns its number, else 0. */
int run_told_to_end(const struct run *run);
/* Tells all members to end, and kills those that do not in time. */
void run_end(struct run *run);
/* Until all members have ended, and all they wrote is written. */
void run_watch(struct run *run);

/* ---- run_lines.c ---- */

void run_lines_init(struct run *run);
/* What we have to say ourselves goes between whole lines as well. */
void run_say(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Adds what is to be polled for lines; returns how many items. */
size_t run_lines_poll(struct run *run, struct pollfd *items);
/* Deals with these items after the poll. last: a stream that has nothing now is at its end. */
void run_lines_take(struct run *run, const struct pollfd *items, size_t count, bool last);
/* Something waits to be written. */
bool run_lines_pending(const struct run *run);
/* Some stream may still bring something. */
bool run_lines_open(const struct run *run);

#endif
