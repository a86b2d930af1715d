/*
 * The user's own daemon, started by the first client that wants it: where it may not, twice at once, by a name that
 * is wrong, and its end when nobody needs it. Each test has runtime and state directories of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/codec.h"
#include "proto/reader.h"
#include "proto/socket.h"
#include "tests/integration/client.h"

static char directory[] = "/tmp/ems-auto.XXXXXX";
static char socket_path[64];

/* The daemon's process id, from itself. */
static pid_t daemon_pid(void)
{
	struct proto_hello hello = {.version_min = PROTO_VERSION_MIN, .version_max = PROTO_VERSION_MAX};
	struct proto_hello_reply reply = {0};
	struct proto_buffer buffer = {0};
	struct proto_message message;
	struct proto_reader reader;
	const void *data;
	size_t size;
	int socket;

	if (proto_connect(socket_path, UINT64_MAX, &socket) < 0)
		return 0;
	proto_reader_init(&reader, PROTO_FRAME_MAX);
	if (proto_encode_request(&buffer, 1, PROTO_HELLO, &hello) == 0 &&
	    proto_send_all(socket, buffer.data, buffer.size, -1, UINT64_MAX) == 0 &&
	    proto_reader_wait(&reader, socket, UINT64_MAX, &data, &size) == 0 &&
	    proto_parse(data, size, &message) == 0)
		(void)proto_decode_reply(&message, PROTO_HELLO, &reply, NULL);
	proto_reader_fini(&reader);
	proto_buffer_fini(&buffer);
	close(socket);
	return (pid_t)reply.pid;
}

/* Waits for the end of a process that is nobody's child. */
static void await_end(pid_t pid)
{
	struct pollfd fd = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};

	if (fd.fd < 0)
		return;
	ck_assert_int_eq(poll(&fd, 1, 60000), 1);
	close(fd.fd);
}

static void end_daemon(void)
{
	pid_t pid = daemon_pid();

	if (pid <= 1)
		return;
	kill(pid, SIGTERM);
	await_end(pid);
}

START_TEST(test_starts)
{
	ems_connection_t *connection, *other;
	struct stat st;
	ems_heap_t *heap;
	pid_t pid;

	ck_ok(ems_connect(&connection, NULL));
	heap = make_heap(connection, "~/auto", &(ems_heap_options_t){.elements = 10});
	ck_ok(ems_write_int64(heap, ems_index(0), 1));
	pid = daemon_pid();
	ck_assert_int_gt(pid, 1);
	/* It is nobody's child, in a session of its own, with the user's directories. */
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_ne(getsid(pid), getsid(0));
	ck_assert_int_eq(stat(socket_path, &st), 0);
	ck_assert(S_ISSOCK(st.st_mode));
	ck_ok(ems_connect(&other, NULL));
	ck_assert_int_eq(daemon_pid(), pid);
	ems_disconnect(other);
	end_heap(connection, heap);
	ems_disconnect(connection);
	end_daemon();
}
END_TEST

/* The descriptors and signals of the program are not the daemon's. */
START_TEST(test_inherits_nothing)
{
	char path[64], target[256], line[256];
	ems_connection_t *connection;
	int ends[2];
	bool ignored = false;
	FILE *status;
	pid_t pid;

	ck_assert_int_eq(pipe(ends), 0); /* not close-on-exec */
	ck_assert(signal(SIGUSR1, SIG_IGN) != SIG_ERR);
	ck_ok(ems_connect(&connection, NULL));
	pid = daemon_pid();
	close(ends[1]);
	ck_assert_int_eq(read(ends[0], target, 1), 0); /* at its end: nobody else holds it open */
	for (int fd = 0; fd < 3; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
		ssize_t n = readlink(path, target, sizeof(target) - 1);

		ck_assert_int_gt(n, 0);
		target[n] = '\0';
		ck_assert_msg(strcmp(target, "/dev/null") == 0 || strstr(target, "emsd.log"), "%s", target);
	}
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	status = fopen(path, "r");
	while (fgets(line, sizeof(line), status))
		if (strncmp(line, "SigIgn:", 7) == 0)
			ignored = strtoull(line + 7, NULL, 16) >> (SIGUSR1 - 1) & 1;
	fclose(status);
	ck_assert(!ignored);
	ems_disconnect(connection);
	end_daemon();
}
END_TEST

#define CLIENTS 8

/* However many start at once, they meet in one daemon. */
START_TEST(test_at_once)
{
	int go[2], status;
	pid_t pids[CLIENTS];
	char byte;

	ck_assert_int_eq(pipe(go), 0);
	fflush(stdout);
	for (int i = 0; i < CLIENTS; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			ems_connection_t *connection;
			ems_heap_t *heap;

			close(go[1]);
			(void)!read(go[0], &byte, 1);
			ck_ok(ems_connect(&connection, NULL));
			ck_ok(ems_heap_open(connection, "together", EMS_OPEN_OR_CREATE,
					    &(ems_heap_options_t){.elements = 10}, &heap));
			ck_ok(ems_faa_int64(heap, ems_index(0), 1, NULL));
			ems_disconnect(connection);
			_exit(0);
		}
	}
	close(go[0]);
	close(go[1]);
	for (int i = 0; i < CLIENTS; i++) {
		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
		ck_assert_int_eq(status, 0);
	}
	ems_connection_t *connection;
	ems_heap_t *heap;
	int64_t value;

	ck_ok(ems_connect(&connection, NULL));
	ck_ok(ems_heap_open(connection, "together", EMS_OPEN_EXISTING, NULL, &heap));
	ck_ok(ems_read_int64(heap, ems_index(0), &value));
	ck_assert_int_eq(value, CLIENTS);
	end_heap(connection, heap); /* the next daemon would have it */
	ems_disconnect(connection);
	end_daemon();
}
END_TEST

START_TEST(test_not_wanted)
{
	ems_connection_t *connection;
	struct stat st;

	setenv("EMS_AUTOSTART", "0", 1);
	ck_ems(ems_connect(&connection, NULL), EMS_ENODAEMON);
	ck_assert(strstr(ems_last_error()->message, socket_path));
	unsetenv("EMS_AUTOSTART");
	setenv("EMS_SOCKET", socket_path, 1); /* a given socket is never served by a private daemon */
	ck_ems(ems_connect(&connection, NULL), EMS_ENODAEMON);
	unsetenv("EMS_SOCKET");
	ck_ems(ems_connect(&connection, socket_path), EMS_ENODAEMON);
	ck_assert_int_ne(stat(socket_path, &st), 0);
}
END_TEST

START_TEST(test_wrong_program)
{
	ems_connection_t *connection;
	uint64_t before = ems_deadline_in(0);

	setenv("EMS_DAEMON", "/nonexistent/emsd", 1);
	ck_ems(ems_connect(&connection, NULL), EMS_ENODAEMON);
	ck_assert(strstr(ems_last_error()->message, "EMS_DAEMON"));
	setenv("EMS_DAEMON", "/bin/false", 1); /* ends at once */
	ck_ems(ems_connect(&connection, NULL), EMS_ENODAEMON);
	ck_assert(strstr(ems_last_error()->message, "/bin/false"));
	ck_assert(strstr(ems_last_error()->message, "emsd.log"));
	printf("giving up took %llu ms\n", (unsigned long long)((ems_deadline_in(0) - before) / MS));
}
END_TEST

/* Somebody else's directory, or one where others may write, is not used. */
START_TEST(test_open_directory)
{
	ems_connection_t *connection;
	char path[80];

	snprintf(path, sizeof(path), "%s/run/ems", directory);
	ck_assert(mkdir(path, 0777) == 0 || errno == EEXIST);
	ck_assert_int_eq(chmod(path, 0777), 0);
	ck_ems(ems_connect(&connection, NULL), EMS_EACCESS);
	ck_assert_int_eq(chmod(path, 0700), 0);
}
END_TEST

/* A user manager that hangs, and one that refuses: the daemon is started without. A stand-in plays systemd-run. */
static void with_manager(const char *script)
{
	ems_connection_t *connection;
	char path[300], old[1000];
	FILE *file;

	snprintf(path, sizeof(path), "%s/run/systemd", directory);
	ck_assert(mkdir(path, 0700) == 0 || errno == EEXIST);
	strcat(path, "/private");
	close(open(path, O_CREAT | O_WRONLY, 0600));
	snprintf(path, sizeof(path), "%s/systemd-run", directory);
	file = fopen(path, "w");
	fprintf(file, "#!/bin/sh\necho run >>%s/ran\n%s\n", directory, script);
	fclose(file);
	ck_assert_int_eq(chmod(path, 0755), 0);
	snprintf(old, sizeof(old), "%s", getenv("PATH"));
	snprintf(path, sizeof(path), "%s:/usr/bin:/bin", directory);
	setenv("PATH", path, 1);
	ck_ok(ems_connect(&connection, NULL));
	setenv("PATH", old, 1);
	snprintf(path, sizeof(path), "%s/ran", directory);
	ck_assert_int_eq(unlink(path), 0); /* it was tried */
	ems_disconnect(connection);
	end_daemon();
}

START_TEST(test_manager)
{
	with_manager("while [ $# -gt 0 ] && [ \"$1\" != -- ]; do shift; done; shift; exec \"$@\"");
}
END_TEST

START_TEST(test_manager_refuses)
{
	with_manager("exit 1");
}
END_TEST

START_TEST(test_manager_hangs)
{
	with_manager("exec tail -f /dev/null");
}
END_TEST

/* The daemon ends by itself when it is idle, and the next client starts another. */
START_TEST(test_idle_end)
{
	ems_connection_t *connection;
	char path[300];
	FILE *file;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/quick", directory);
	file = fopen(path, "w");
	fprintf(file, "#!/bin/sh\nexec '%s/emsd' --exit-idle 1 \"$@\"\n", getenv("EMS_BUILD_DIR"));
	fclose(file);
	ck_assert_int_eq(chmod(path, 0755), 0);
	setenv("EMS_DAEMON", path, 1);
	for (int i = 0; i < 2; i++) {
		ck_ok(ems_connect(&connection, NULL));
		pid = daemon_pid();
		ems_disconnect(connection);
		await_end(pid);
	}
	/* A connection whose daemon has ended while idle finds the next one. */
	ck_ok(ems_connect(&connection, NULL));
	ck_ok(ems_ping(connection, EMS_FOREVER));
	end_daemon();
	ck_ok(ems_ping(connection, EMS_FOREVER));
	ems_disconnect(connection);
	end_daemon();
}
END_TEST

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *place)
{
	(void)st;
	(void)type;
	(void)place;
	return remove(path);
}

int main(void)
{
	const TTest *const tests[] = {test_starts,     test_inherits_nothing, test_at_once,
				      test_not_wanted, test_wrong_program,    test_open_directory,
				      test_manager,    test_manager_refuses,  test_manager_hangs,
				      test_idle_end};
	char path[4200];
	int result;

	if (access("/run/ems/emsd.sock", F_OK) == 0) {
		printf("a system daemon runs here, which is always preferred: skipped\n");
		return 77;
	}
	if (!mkdtemp(directory))
		return EXIT_FAILURE;
	snprintf(path, sizeof(path), "%s/run", directory);
	mkdir(path, 0700);
	setenv("XDG_RUNTIME_DIR", path, 1);
	snprintf(socket_path, sizeof(socket_path), "%s/run/ems/emsd.sock", directory);
	snprintf(path, sizeof(path), "%s/state", directory);
	setenv("XDG_STATE_HOME", path, 1);
	snprintf(path, sizeof(path), "%s/emsd", getenv("EMS_BUILD_DIR") ? getenv("EMS_BUILD_DIR") : ".");
	setenv("EMS_DAEMON", path, 1);
	unsetenv("EMS_SOCKET");
	unsetenv("EMS_AUTOSTART");
	result = unit_run("client/autostart", tests, sizeof(tests) / sizeof(tests[0]));
	end_daemon(); /* of a test that failed */
	nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return result;
}
