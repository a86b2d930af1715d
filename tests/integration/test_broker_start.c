/*
 * test_broker_start.c: how emsd starts, who it gets along with, and how it ends.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "tests/integration/broker.h"

static char output[8192]; /* of the last run() */

static const char *emsd(void)
{
	static char path[4096];
	const char *build = getenv("EMS_BUILD_DIR");

	snprintf(path, sizeof(path), "%s/emsd", build ? build : ".");
	return path;
}

/* Runs emsd with arguments in a shell, to its end; returns its exit status. */
__attribute__((format(printf, 1, 2))) static int run(const char *format, ...)
{
	char arguments[1024], command[8192];
	va_list list;
	FILE *pipe;
	size_t size;
	int status;

	va_start(list, format);
	vsnprintf(arguments, sizeof(arguments), format, list);
	va_end(list);
	snprintf(command, sizeof(command), "exec '%s' %s 2>&1", emsd(), arguments);
	fflush(stdout);
	pipe = popen(command, "re");
	ck_assert_ptr_nonnull(pipe);
	size = fread(output, 1, sizeof(output) - 1, pipe);
	output[size] = '\0';
	status = pclose(pipe);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void wait_for_end(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd item = {.fd = fd, .events = POLLIN};

	/* Gone already is gone. */
	if (fd < 0)
		return;
	ck_assert_int_eq(poll(&item, 1, (int)(BROKER_PATIENCE / NS_PER_MS)), 1);
	fd_close(fd);
}

/* DIRECTORY/NAME in buffer. */
static void place(char *buffer, size_t size, const char *directory, const char *name)
{
	int length = snprintf(buffer, size, "%s/%s", directory, name);

	ck_assert_int_lt(length, (int)size);
}

static void set_address(struct sockaddr_un *address, const char *path)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	ck_assert_uint_lt(strlen(path), sizeof(address->sun_path));
	memcpy(address->sun_path, path, strlen(path));
}

static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

/* A bound socket at path; listening or stale. */
static int make_socket(const char *path, bool listening)
{
	struct sockaddr_un address;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	set_address(&address, path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	if (listening)
		ck_assert_int_eq(listen(fd, 5), 0);
	return fd;
}

START_TEST(options)
{
	ck_assert_int_eq(run("--help"), 0);
	ck_assert_ptr_nonnull(strstr(output, "--check-config"));
	ck_assert_int_eq(run("--version"), 0);
	ck_assert(strncmp(output, "emsd ", 5) == 0);
	ck_assert_int_eq(run("--no-such-option"), 2);
	ck_assert_ptr_nonnull(strstr(output, "emsd --help"));
	ck_assert_int_eq(run("word"), 2);
	ck_assert_int_eq(run("--socket relative"), 2);
	ck_assert_int_eq(run("--log-level loud"), 2);
	ck_assert_int_eq(run("--exit-idle -1"), 2);
	ck_assert_int_eq(run("--config /nowhere/emsd.conf"), 2);
	ck_assert_ptr_nonnull(strstr(output, "/nowhere/emsd.conf"));
	ck_assert_int_eq(run("--socket /tmp/%0200d", 1), 2);
}
END_TEST

START_TEST(check_config)
{
	char path[] = "/tmp/test_broker_start.XXXXXX";
	int fd = mkstemp(path);

	ck_assert_int_eq(fd_write_all(fd, "[emsd]\nlog_level = debug\n", 25), 0);
	ck_assert_int_eq(run("--check-config --config %s", path), 0);
	ck_assert_int_eq(fd_write_all(fd, "wrong = 1\n", 10), 0);
	ck_assert_int_eq(run("--check-config --config %s", path), 2);
	ck_assert_ptr_nonnull(strstr(output, ":3: no setting \"wrong\""));
	/* And it does not start with such settings either. */
	ck_assert_int_eq(run("--config %s", path), 2);
	fd_close(fd);
	unlink(path);
}
END_TEST

START_TEST(two_daemons)
{
	struct daemon daemon;
	char expected[192];

	daemon_start(&daemon, NULL);
	ck_assert_int_eq(run("--state-dir %s/state --socket %s/other", daemon.directory, daemon.directory),
			 3);
	snprintf(expected, sizeof(expected), "pid %d, socket %s", (int)daemon.pid, daemon.socket);
	ck_assert_msg(strstr(output, expected), "%s", output);
	ck_assert_int_eq(run("--state-dir %s/state2 --socket %s", daemon.directory, daemon.socket), 3);
	ck_assert_ptr_nonnull(strstr(output, "another daemon listens there"));
	/* The first one did not notice. */
	{
		struct peer peer;

		peer_open(&peer, daemon.socket);
		peer_close(&peer);
	}
	ck_assert_int_eq(daemon_stop(&daemon), 0);
}
END_TEST

/* Several clients that find no daemon start one each, at the same time: one of them serves. */
START_TEST(started_at_the_same_time)
{
	enum { COUNT = 8 };
	char directory[] = "/tmp/test_broker_start.XXXXXX", path[128], state[128];
	pid_t pids[COUNT], pid, winner = 0;
	struct peer peer;
	int status;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	place(path, sizeof(path), directory, "emsd.sock");
	place(state, sizeof(state), directory, "state");
	fflush(stdout);
	for (int i = 0; i < COUNT; i++) {
		pids[i] = fork();
		ck_assert_int_ge(pids[i], 0);
		if (pids[i] == 0) {
			execl(emsd(), "emsd", "--user", "--socket", path, "--state-dir", state, (char *)NULL);
			_exit(127);
		}
	}
	for (int i = 0; i < COUNT - 1; i++) {
		pid = waitpid(-1, &status, 0);
		ck_assert_int_gt(pid, 0);
		ck_assert(WIFEXITED(status));
		ck_assert_int_eq(WEXITSTATUS(status), 3);
		for (int j = 0; j < COUNT; j++)
			if (pids[j] == pid)
				pids[j] = 0;
	}
	for (int i = 0; i < COUNT; i++)
		if (pids[i])
			winner = pids[i];
	EVENTUALLY(exists(path));
	peer_open(&peer, path);
	peer_close(&peer);
	kill(winner, SIGTERM);
	ck_assert_int_eq(waitpid(winner, &status, 0), winner);
	ck_assert_int_eq(status, 0);
	place(path, sizeof(path), state, "lock");
	unlink(path);
	rmdir(state);
	ck_assert_int_eq(rmdir(directory), 0);
}
END_TEST

START_TEST(what_a_crash_leaves)
{
	char directory[] = "/tmp/test_broker_start.XXXXXX", path[128], state[128];
	const char *arguments[] = {"--socket", path, "--state-dir", state, NULL};
	struct daemon daemon;
	struct peer peer;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	place(path, sizeof(path), directory, "emsd.sock");
	place(state, sizeof(state), directory, "state");
	for (int i = 0; i < 2; i++) {
		daemon_start(&daemon, arguments);
		peer_open(&peer, path);
		kill(daemon.pid, SIGKILL);
		peer_expect_end(&peer);
		peer_close(&peer);
		(void)daemon_stop(&daemon);
		/* Socket and lock file are still there: neither blocks the next start. */
		ck_assert(exists(path));
	}
	daemon_start(&daemon, arguments);
	ck_assert_int_eq(daemon_stop(&daemon), 0);
	ck_assert(!exists(path));

	/* A file that is no socket is not touched. */
	fd_close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	ck_assert_int_eq(run("--socket %s --state-dir %s", path, state), 1);
	ck_assert_ptr_nonnull(strstr(output, "is a file, and no socket"));
	ck_assert(exists(path));
	unlink(path);
	place(path, sizeof(path), state, "lock");
	unlink(path);
	rmdir(state);
	ck_assert_int_eq(rmdir(directory), 0);
}
END_TEST

/* Where in the daemon's log a text stands. */
static long log_position(const struct daemon *daemon, const char *text)
{
	static char log[65536];
	const char *found;
	char path[128];
	size_t size;
	FILE *file;

	place(path, sizeof(path), daemon->directory, "emsd.log");
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	size = fread(log, 1, sizeof(log) - 1, file);
	log[size] = '\0';
	fclose(file);
	found = strstr(log, text);
	ck_assert_msg(found, "the log has no \"%s\":\n%s", text, log);
	return found - log;
}

/*
 * A daemon that ends when idle, with a client. One that finds the time over before we are there has done right, and is
 * started again, with more time.
 */
static unsigned start_with_peer(struct daemon *daemon, struct peer *peer)
{
	char seconds[16];
	const char *const arguments[] = {"--user", "--exit-idle", seconds, NULL};

	for (unsigned idle = 2;; idle *= 2) {
		snprintf(seconds, sizeof(seconds), "%u", idle);
		daemon_start(daemon, arguments);
		if (peer_try(peer, daemon->socket) == 0)
			return idle;
		ck_assert_uint_lt(idle, 64);
		ck_assert_int_eq(daemon_stop(daemon), 0);
	}
}

START_TEST(ends_when_idle)
{
	static const char *const soon[] = {"--user", "--exit-idle", "1", NULL};
	struct proto_open request = peer_request("held", PROTO_HOW_CREATE, 1);
	struct proto_open_reply reply;
	struct daemon daemon;
	struct peer peer;

	/* Nobody ever comes. */
	daemon_start(&daemon, soon);
	wait_for_end(daemon.pid);
	ck_assert(!exists(daemon.socket));
	ck_assert_int_eq(daemon_stop(&daemon), 0);

	/* A heap keeps it beyond its time, without a client; when that ends, it does. */
	request.idle_seconds = start_with_peer(&daemon, &peer) + 1;
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &reply), 0);
	peer_close(&peer);
	wait_for_end(daemon.pid);
	ck_assert_int_lt(log_position(&daemon, "heap dropped heap=held why=\"idle for long enough\""),
			 log_position(&daemon, "stopping why=idle"));
	ck_assert_int_eq(daemon_stop(&daemon), 0);
}
END_TEST

START_TEST(orderly_end)
{
	struct proto_open request = peer_request("left", PROTO_HOW_CREATE, 1);
	struct proto_open_reply reply;
	struct proto_empty nothing;
	struct daemon daemon;
	struct peer peer, deaf;

	daemon_start(&daemon, NULL);
	peer_open(&peer, daemon.socket);
	peer_open(&deaf, daemon.socket);
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &reply), 0);
	kill(daemon.pid, SIGTERM);
	peer_expect_event(&peer, PROTO_EVENT_SHUTTING_DOWN, &nothing);
	peer_expect_end(&peer);
	wait_for_end(daemon.pid);
	ck_assert(!exists(daemon.socket));
	peer_close(&peer);
	peer_close(&deaf);
	ck_assert_int_eq(daemon_stop(&daemon), 0);
}
END_TEST

START_TEST(paths_of_a_user)
{
	char directory[] = "/tmp/test_broker_start.XXXXXX", path[128];
	struct daemon daemon;
	struct stat st;
	struct peer peer;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	setenv("XDG_RUNTIME_DIR", directory, 1);
	setenv("XDG_STATE_HOME", directory, 1);
	place(path, sizeof(path), directory, "ems/emsd.sock");
	{
		const char *arguments[] = {"--user", "--socket", path, NULL};

		daemon_start(&daemon, arguments);
	}
	peer_open(&peer, path);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	peer_close(&peer);
	ck_assert_int_eq(daemon_stop(&daemon), 0);
	/* In a directory that others may write to it does not listen. */
	place(path, sizeof(path), directory, "ems");
	ck_assert_int_eq(chmod(path, 0777), 0);
	ck_assert_int_eq(run("--user"), 1);
	rmdir(path);
	place(path, sizeof(path), directory, "ems/lock");
	unlink(path);
	place(path, sizeof(path), directory, "ems");
	rmdir(path);
	ck_assert_int_eq(rmdir(directory), 0);
}
END_TEST

/* emsd as a service manager starts it: the listening socket as descriptor 3, a socket for notes. */
static pid_t start_activated(int listener, const char *state)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		char number[16];

		snprintf(number, sizeof(number), "%d", (int)getpid());
		setenv("LISTEN_PID", number, 1);
		setenv("LISTEN_FDS", "1", 1);
		if (dup2(listener, 3) != 3)
			_exit(126);
		if (listener == 3)
			(void)fcntl(3, F_SETFD, 0);
		execl(emsd(), "emsd", "--state-dir", state, "--log-level", "error", (char *)NULL);
		_exit(127);
	}
	return pid;
}

/* Takes notes until one has the text. */
static void expect_note(int notes, const char *text)
{
	struct pollfd item = {.fd = notes, .events = POLLIN};
	char note[4096];
	ssize_t size;

	do {
		ck_assert_int_eq(poll(&item, 1, (int)(BROKER_PATIENCE / NS_PER_MS)), 1);
		size = recv(notes, note, sizeof(note) - 1, 0);
		ck_assert_int_ge(size, 0);
		note[size] = '\0';
	} while (!strstr(note, text));
}

START_TEST(socket_activation_and_notes)
{
	char directory[] = "/tmp/test_broker_start.XXXXXX", path[128], state[128], notify[128];
	struct sockaddr_un address;
	int listener, notes, status;
	struct peer peer;
	pid_t pid;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	place(path, sizeof(path), directory, "sock");
	place(state, sizeof(state), directory, "state");
	place(notify, sizeof(notify), directory, "notify");
	set_address(&address, notify);
	notes = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(notes, (struct sockaddr *)&address, sizeof(address)), 0);
	setenv("NOTIFY_SOCKET", notify, 1);
	listener = make_socket(path, true);
	/* A client may come before the daemon does. */
	peer_connect(&peer, path);
	pid = start_activated(listener, state);
	fd_close(listener);
	expect_note(notes, "READY=1");
	peer_close(&peer);
	peer_open(&peer, path);
	expect_note(notes, "STATUS=1 clients");
	kill(pid, SIGTERM);
	expect_note(notes, "STOPPING=1");
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	/* The socket is the service manager's. */
	ck_assert(exists(path));
	peer_close(&peer);
	fd_close(notes);
	unlink(path);
	unlink(notify);
	place(path, sizeof(path), state, "lock");
	unlink(path);
	rmdir(state);
	ck_assert_int_eq(rmdir(directory), 0);
}
END_TEST

UNIT_MAIN("broker/start", options, check_config, two_daemons, started_at_the_same_time, what_a_crash_leaves,
	  ends_when_idle, orderly_end, paths_of_a_user, socket_activation_and_notes)
