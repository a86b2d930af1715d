/* A private emsd for a test: see daemon.h. */
#include "tests/integration/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define READY_SECONDS 60 /* sanitizers and a busy machine */
#define END_SECONDS   60

struct daemon the_daemon;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *place)
{
	(void)st;
	(void)type;
	(void)place;
	return remove(path);
}

static void show_log(const char *directory)
{
	char path[128], text[4096];
	FILE *log;
	size_t n;

	snprintf(path, sizeof(path), "%s/emsd.log", directory);
	log = fopen(path, "r");
	if (!log)
		return;
	printf("---- log of emsd\n");
	while ((n = fread(text, 1, sizeof(text), log)) > 0)
		fwrite(text, 1, n, stdout);
	printf("----\n");
	fclose(log);
}

static _Noreturn void become_daemon(const struct daemon *daemon, const char *const *options, int ready)
{
	char program[4096], state[96], log[96], fd[16];
	const char *build = getenv("EMS_BUILD_DIR");
	const char *arguments[20] = {"emsd",	    "--foreground", "--socket",	  daemon->socket,
				     "--state-dir", state,	    "--ready-fd", fd};
	size_t n = 8;
	int out;

	snprintf(program, sizeof(program), "%s/emsd", build ? build : ".");
	snprintf(state, sizeof(state), "%s/state", daemon->directory);
	snprintf(log, sizeof(log), "%s/emsd.log", daemon->directory);
	snprintf(fd, sizeof(fd), "%d", ready);
	while (options && *options && n < 19)
		arguments[n++] = *options++;
	out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (out < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0 || fcntl(ready, F_SETFD, 0) < 0)
		_exit(126);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	execv(program, (char *const *)arguments);
	perror(program);
	_exit(127);
}

/* Ends the daemon; one that does not end by itself is killed, so that neither it nor the test stays for ever. */
static int end_daemon(pid_t pid)
{
	struct pollfd end = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
	int status = 0;

	/* In case it is stopped; and first, because SIGCONT takes back the stop with which the leak checker of a daemon that
	 * is ending already attaches to it: both would wait for ever. */
	kill(pid, SIGCONT);
	kill(pid, SIGTERM);
	if (end.fd >= 0 && poll(&end, 1, END_SECONDS * 1000) == 0) {
		printf("emsd does not end\n");
		kill(pid, SIGKILL);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	return status;
}

/* Waits for the test's word or end, then ends the daemon; its exit status is the daemon's. */
static _Noreturn void keep(const struct daemon *daemon, const char *const *options, int stop, int ready)
{
	char byte;
	int status;
	pid_t pid;

	(void)setsid(); /* what ends the test's process group must not end the keeper before its work is done */
	pid = fork();
	if (pid == 0) {
		/* Said here, not by the keeper: the daemon's own word on this pipe must not come first. */
		pid = getpid();
		if (write(ready, &pid, sizeof(pid)) != (ssize_t)sizeof(pid))
			_exit(125);
		become_daemon(daemon, options, ready);
	}
	close(ready);
	while (read(stop, &byte, 1) < 0 && errno == EINTR)
		continue;
	status = end_daemon(pid);
	if (status != 0 && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
		show_log(daemon->directory);
	fflush(stdout);
	nftw(daemon->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* The process id from the keeper, then a byte from the daemon. */
static int wait_ready(struct daemon *daemon, int ready)
{
	struct pollfd fd = {.fd = ready, .events = POLLIN};
	char byte;

	if (read(ready, &daemon->pid, sizeof(daemon->pid)) != (ssize_t)sizeof(daemon->pid))
		return -1;
	if (poll(&fd, 1, READY_SECONDS * 1000) != 1)
		return -1;
	return read(ready, &byte, 1) == 1 ? 0 : -1;
}

static int start(struct daemon *daemon, const char *const *options)
{
	int stop[2], ready[2], r;

	memset(daemon, 0, sizeof(*daemon));
	strcpy(daemon->directory, "/tmp/ems-test.XXXXXX");
	if (!mkdtemp(daemon->directory) || pipe2(stop, O_CLOEXEC) < 0 || pipe2(ready, O_CLOEXEC) < 0)
		return -1;
	snprintf(daemon->socket, sizeof(daemon->socket), "%s/emsd.sock", daemon->directory);
	fflush(stdout);
	daemon->keeper = fork();
	if (daemon->keeper == 0) {
		close(stop[1]);
		close(ready[0]);
		keep(daemon, options, stop[0], ready[1]);
	}
	close(stop[0]);
	close(ready[1]);
	daemon->stop = stop[1];
	r = wait_ready(daemon, ready[0]);
	close(ready[0]);
	if (r < 0) {
		show_log(daemon->directory);
		(void)daemon_stop(daemon);
	}
	return r;
}

void daemon_start(struct daemon *daemon, const char *const *options)
{
	ck_assert_msg(start(daemon, options) == 0, "emsd does not start");
}

int daemon_stop(struct daemon *daemon)
{
	int status = 0;

	close(daemon->stop);
	while (waitpid(daemon->keeper, &status, 0) < 0 && errno == EINTR)
		continue;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* One that a service manager runs. */
static bool use_running(struct daemon *daemon)
{
	const char *directory = getenv("EMS_TEST_DAEMON"), *pid = getenv("EMS_TEST_DAEMON_PID");

	if (!directory || !pid)
		return false;
	snprintf(daemon->directory, sizeof(daemon->directory), "%s", directory);
	snprintf(daemon->socket, sizeof(daemon->socket), "%.64s/emsd.sock", directory);
	daemon->pid = (pid_t)atoi(pid);
	return true;
}

int integration_run(const char *name, const TTest *const *tests, size_t count)
{
	return integration_run_with(name, tests, count, NULL);
}

int integration_run_with(const char *name, const TTest *const *tests, size_t count, const char *const *options)
{
	int result, status;

	if (use_running(&the_daemon))
		return unit_run(name, tests, count);
	if (start(&the_daemon, options) < 0) {
		printf("emsd does not start\n");
		return EXIT_FAILURE;
	}
	setenv("EMS_SOCKET", the_daemon.socket, 1);
	setenv("EMS_AUTOSTART", "0", 1);
	result = unit_run(name, tests, count);
	status = daemon_stop(&the_daemon);
	if (status != 0)
		printf("emsd ended with %d\n", status);
	return status == 0 ? result : EXIT_FAILURE;
}
