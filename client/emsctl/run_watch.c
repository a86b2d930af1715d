/*
 * run_watch.c: the loop of emsctl run.
 *
 * A signal for us is one for the members. Those that the terminal sends have reached them already, as they
 * are in our process group, unless one has left it (timeout(1) does). The kernel says which is which: what the terminal
 * sends comes from the kernel, what kill(1) sends from a user. What somebody sends to the whole group reaches members twice.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/macros.h"
#include "client/emsctl/emsctl.h"
#include "client/emsctl/run.h"

/* Those that end a process come first. */
static const int forwarded[] = {SIGINT,	 SIGTERM, SIGHUP,  SIGQUIT, SIGUSR1,
				SIGUSR2, SIGCONT, SIGTSTP, SIGWINCH};
#define ENDING_SIGNALS 4

enum { EXIT_CANNOT_RUN = 126, EXIT_NO_PROGRAM = 127, EXIT_SIGNAL = 128 };

int run_watch_init(struct run *run)
{
	struct sigaction action = {.sa_handler = SIG_DFL}, now;
	sigset_t set;

	/* Ignored, the kernel would reap the members for us, and we would not know how they ended. */
	(void)sigaction(SIGCHLD, &action, &run->before.child);
	action.sa_handler = SIG_IGN;
	(void)sigaction(SIGPIPE, &action, &run->before.pipe);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	/* What we were started to ignore (nohup, a shell's background) stays ignored: blocked, it would not be. */
	for (size_t i = 0; i < ARRAY_SIZE(forwarded); i++)
		if (sigaction(forwarded[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
			(void)sigaddset(&set, forwarded[i]);
	(void)sigprocmask(SIG_BLOCK, &set, &run->before.mask);
	run->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return run->signals < 0 ? report(EXIT_OTHER, "cannot watch for signals: %s", strerror(errno)) : 0;
}

int run_told_to_end(const struct run *run)
{
	sigset_t pending;

	(void)run;
	if (sigpending(&pending) < 0)
		return 0;
	for (size_t i = 0; i < ENDING_SIGNALS; i++)
		if (sigismember(&pending, forwarded[i]) == 1)
			return forwarded[i];
	return 0;
}

static void signal_all(const struct run *run, int number)
{
	for (int i = 0; i < run->count; i++)
		if (run->members[i].pid > 0)
			(void)kill(run->members[i].pid, number);
}

void run_end(struct run *run)
{
	if (run->ending)
		return;
	run->ending = true;
	/* One that is stopped has to run to end. Not the other way round: SIGCONT would take back the stop with which
	 * a leak checker looks at a program that is ending already. */
	signal_all(run, SIGCONT);
	signal_all(run, SIGTERM);
	run->kill_at = clock_deadline(run->grace);
}

static void forward(const struct run *run, int number, bool by_terminal)
{
	for (int i = 0; i < run->count; i++) {
		pid_t pid = run->members[i].pid;

		if (pid > 0 && !(by_terminal && getpgid(pid) == getpgrp()))
			(void)kill(pid, number);
	}
}

/* As the signal would have it; the kernel knows when it must not be (nobody could continue us). */
static void stop_ourselves(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTSTP);
	(void)raise(SIGTSTP);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

/* ---- ends ---- */

/* What member id could not do on its way to the program, if there is a note of that. */
static bool take_note(const struct run *run, int id, struct note *_note)
{
	while (read(run->notes[0], _note, sizeof(*_note)) == (ssize_t)sizeof(*_note))
		if (_note->member == id)
			return true;
	return false;
}

static void failed_to_start(struct run *run, const struct note *note)
{
	if (note->what)
		run_say(run, "member %d %s: %s", note->member, note->what, strerror(note->error));
	else
		run_say(run, "cannot run %s: %s", run->program[0], strerror(note->error));
	if (note->what)
		run->result = EXIT_OTHER;
	else
		run->result =
			note->error == ENOENT || note->error == ENOTDIR ? EXIT_NO_PROGRAM : EXIT_CANNOT_RUN;
	/* The others could not either, or the team would never be complete. */
	run_end(run);
}

static void failed(struct run *run, int id, int status)
{
	const char *then = run->running == 0 ? ""
			   : run->elastic    ? "; the others go on"
					     : "; ending the others";

	if (WIFSIGNALED(status))
		run_say(run, "member %d was ended by signal %d (%s)%s", id, WTERMSIG(status),
			strsignal(WTERMSIG(status)), then);
	else
		run_say(run, "member %d ended with status %d%s", id, WEXITSTATUS(status), then);
	if (run->result == 0)
		run->result = WIFSIGNALED(status) ? EXIT_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
	if (!run->elastic)
		run_end(run);
}

static void take_end(struct run *run, int id, int status)
{
	struct note note;

	run->members[id].pid = 0;
	run->running--;
	/* What comes after the first failure is its consequence. */
	if (status == 0 || run->ending)
		return;
	if (take_note(run, id, &note))
		failed_to_start(run, &note);
	else
		failed(run, id, status);
}

static void take_ends(struct run *run)
{
	int status;
	pid_t pid;

	/* Who ran us by exec may have left children that are no members. */
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (int i = 0; i < run->count; i++)
			if (run->members[i].pid == pid)
				take_end(run, i, status);
}

static void take_signals(struct run *run)
{
	struct signalfd_siginfo info;

	while (read(run->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		int number = (int)info.ssi_signo;

		if (number == SIGCHLD) {
			take_ends(run);
			continue;
		}
		forward(run, number, info.ssi_code == SI_KERNEL);
		if (number == SIGTSTP)
			stop_ourselves();
		/* The members are gone, but their output is not taken: no reason to stay. */
		else if (run->running == 0 && number != SIGCONT && number != SIGWINCH)
			_exit(EXIT_SIGNAL + number);
	}
}

/* ---- the loop ---- */

static void wait_for_something(struct run *run)
{
	/* All members are gone: what they wrote is there, and no more is waited for, as others may hold the pipes open for
	 * ever. One that goes during the poll may have written during it. */
	bool last = run->running == 0;
	uint64_t deadline = run->kill_at;
	struct timespec left;
	size_t count;

	if (last)
		deadline = run_lines_pending(run) ? CLOCK_NEVER : 0;
	run->items[0] = (struct pollfd){.fd = run->signals, .events = POLLIN};
	count = run_lines_poll(run, run->items + 1);
	left = clock_timespec(clock_left(deadline));
	if (ppoll(run->items, count + 1, deadline == CLOCK_NEVER ? NULL : &left, NULL) < 0)
		return;
	if (run->items[0].revents)
		take_signals(run);
	run_lines_take(run, run->items + 1, count, last);
}

void run_watch(struct run *run)
{
	while (run->running > 0 || run_lines_open(run) || run_lines_pending(run)) {
		wait_for_something(run);
		if (run->running > 0 && clock_passed(run->kill_at)) {
			run->kill_at = CLOCK_NEVER;
			signal_all(run, SIGKILL);
		}
	}
}
