/* Starting a daemon: see launch.h. */
#include "client/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/macros.h"
#include "proto/paths.h"

#define READY_FD    3	      /* in the daemon */
#define LOG_MOST    (1 << 20) /* bytes; a longer log of earlier daemons is begun anew */
#define MORE_PLACES ":/usr/local/sbin:/usr/sbin:/sbin" /* seldom in a user's PATH */

/* ---- finding ---- */

static bool is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

static int find_in(const char *places, const char *name, char *buffer, size_t size)
{
	while (*places) {
		size_t length = strcspn(places, ":");
		int n = snprintf(buffer, size, "%.*s/%s", (int)length, places, name);

		if (places[0] == '/' && n > 0 && (size_t)n < size && is_program(buffer))
			return 0;
		places += length + (places[length] == ':');
	}
	return -ERROR_NOT_FOUND;
}

static int find_program(const char *name, char *buffer, size_t size)
{
	const char *path = getenv("PATH");

	if (path && find_in(path, name, buffer, size) == 0)
		return 0;
	return find_in(&MORE_PLACES[1], name, buffer, size);
}

int launch_find(char *buffer, size_t size)
{
	const char *given = getenv("EMS_DAEMON");

	if (given && *given) {
		if ((size_t)snprintf(buffer, size, "%s", given) >= size || !is_program(buffer))
			return -ERROR_NOT_FOUND;
		return 0;
	}
	if ((size_t)snprintf(buffer, size, "%s/emsd", EMS_SBINDIR) < size && is_program(buffer))
		return 0;
	return find_program("emsd", buffer, size);
}

bool launch_can_scope(void)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	char path[PROTO_PATH_SIZE];

	if (!runtime || (size_t)snprintf(path, sizeof(path), "%s/systemd/private", runtime) >= sizeof(path))
		return false;
	return access(path, W_OK) == 0 && find_program("systemd-run", path, sizeof(path)) == 0;
}

/* ---- in the new process: only what is safe in a child of a program with threads ---- */

struct plan {
	const char *file;
	char *const *arguments;
	char *const *environment;
	int pipe, log;
};

static void close_from(unsigned first)
{
#ifdef SYS_close_range
	if (syscall(SYS_close_range, first, UINT_MAX, 0) == 0)
		return;
#endif
	for (int fd = (int)first; fd < 65536; fd++)
		(void)close(fd);
}

static bool set_descriptors(const struct plan *plan)
{
	/* First out of the way of the numbers that they, or others, are to have. */
	int ready = fcntl(plan->pipe, F_DUPFD, 16), log = fcntl(plan->log, F_DUPFD, 16);
	int nothing = open("/dev/null", O_RDWR);

	if (ready < 0 || log < 0 || nothing < 0)
		return false;
	if (dup2(nothing, 0) < 0 || dup2(nothing, 1) < 0 || dup2(log, 2) < 0 || dup2(ready, READY_FD) < 0)
		return false;
	close_from(READY_FD + 1);
	return true;
}

static _Noreturn void become_daemon(const struct plan *plan)
{
	sigset_t none;
	pid_t pid = getpid();

	for (int number = 1; number < NSIG; number++)
		(void)signal(number, SIG_DFL);
	if (set_descriptors(plan) && chdir("/") == 0 &&
	    write(READY_FD, &pid, sizeof(pid)) == (ssize_t)sizeof(pid)) {
		(void)sigemptyset(&none);
		(void)sigprocmask(SIG_SETMASK, &none, NULL);
		(void)execve(plan->file, plan->arguments, plan->environment);
	}
	_exit(127);
}

/* A process that tells nobody of its end (no signal), made without running the program's fork handlers. */
static pid_t fork_silently(void)
{
	return (pid_t)syscall(SYS_clone, 0L, 0L, 0L, 0L, 0L);
}

/* The child makes the grandchild and ends, so that the grandchild is nobody's. */
static int fork_twice(const struct plan *plan)
{
	sigset_t all, before;
	pid_t child;
	int error;

	/* The program's handlers must not run in the child. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	child = fork_silently();
	error = errno;
	if (child == 0) {
		(void)setsid();
		if (fork_silently() == 0)
			become_daemon(plan);
		_exit(0);
	}
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (child < 0)
		return error_from_errno(error);
	while (waitpid(child, NULL, __WALL) < 0 && errno == EINTR)
		continue;
	return 0;
}

/* ---- starting ---- */

/* What belongs to the program's own service is not the daemon's. */
static bool is_private(const char *variable)
{
	static const char *const names[] = {
		"NOTIFY_SOCKET=", "LISTEN_PID=",    "LISTEN_FDS=", "LISTEN_FDNAMES=",
		"WATCHDOG_PID=",  "WATCHDOG_USEC=", "EMS_SOCKET="};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strncmp(variable, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

/* The strings stay where they are. */
static char **make_environment(void)
{
	size_t count = 0, kept = 0;
	char **environment;

	while (environ && environ[count])
		count++;
	environment = calloc(count + 1, sizeof(*environment));
	for (size_t i = 0; environment && i < count; i++)
		if (!is_private(environ[i]))
			environment[kept++] = environ[i];
	return environment;
}

static int open_log(void)
{
	char path[PROTO_PATH_SIZE];
	struct stat st;
	int fd = -1;

	if (proto_user_state_path(path, sizeof(path) - sizeof("/emsd.log")) == 0) {
		strcat(path, "/emsd.log");
		if (proto_make_private_directory(path) == 0)
			fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	}
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > LOG_MOST && ftruncate(fd, 0) < 0)
		fd = fd_close(fd);
	return fd >= 0 ? fd : open("/dev/null", O_WRONLY | O_CLOEXEC);
}

static int start(struct launch *launch, struct plan *plan)
{
	_cleanup_(freep) char **environment = make_environment();
	_cleanup_(closep) int log = open_log(), reader = -1, writer = -1;
	int ends[2], r;

	if (!environment)
		return -ERROR_NO_MEMORY;
	if (log < 0 || pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return error_from_errno(errno);
	reader = ends[0];
	writer = ends[1];
	plan->environment = environment;
	plan->log = log;
	plan->pipe = writer;
	r = fork_twice(plan);
	if (r < 0)
		return r;
	launch->pid = 0;
	launch->pipe = steal_fd(&reader);
	return 0;
}

int launch_start(struct launch *launch, const char *program, const char *path, bool scope)
{
	char runner[PROTO_PATH_SIZE];
	char *const arguments[] = {
		"systemd-run", "--user",   "--scope",	 "--quiet",    "--collect", "--", (char *)program,
		"--user",      "--socket", (char *)path, "--ready-fd", "3",	    NULL};
	struct plan plan = {.file = program, .arguments = arguments + 6};

	if (scope) {
		if (find_program("systemd-run", runner, sizeof(runner)) < 0)
			return -ERROR_NOT_FOUND;
		plan.file = runner;
		plan.arguments = arguments;
	}
	return start(launch, &plan);
}

/* What comes through the pipe: the process's id, then one byte when it listens; the end, when it ends. */
enum launch_state launch_look(struct launch *launch)
{
	char byte;
	ssize_t n;

	if (launch->pid == 0) {
		n = read(launch->pipe, &launch->pid, sizeof(launch->pid));
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? LAUNCH_UNDER_WAY : LAUNCH_FAILED;
		if (n != (ssize_t)sizeof(launch->pid))
			return LAUNCH_FAILED;
	}
	n = read(launch->pipe, &byte, 1);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? LAUNCH_UNDER_WAY : LAUNCH_FAILED;
	return n == 1 ? LAUNCH_READY : LAUNCH_FAILED;
}

void launch_end(struct launch *launch, bool kill_it)
{
	if (launch->pipe < 0)
		return;
	/* The pipe is not at its end, so the process is there, and the id is its own. */
	if (kill_it && launch->pid > 0)
		(void)kill(launch->pid, SIGKILL);
	launch->pipe = fd_close(launch->pipe);
	launch->pid = 0;
}
