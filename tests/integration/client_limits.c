/*
 * What a process or the daemon has no more of: descriptors, slots; and what a process leaves that ends without a word.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/integration/client.h"

static uint32_t slots_of(ems_connection_t *connection, const char *name)
{
	ems_heap_info_t info;

	ck_ok(ems_heap_inspect(connection, name, &info));
	return info.slots;
}

static void limit_descriptors(rlim_t most)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = most;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* The lowest descriptor that is free. */
static rlim_t next_descriptor(void)
{
	int fd = dup(STDOUT_FILENO);

	ck_assert_int_ge(fd, 0);
	close(fd);
	return (rlim_t)fd;
}

static bool log_has(const struct daemon *daemon, const char *text)
{
	char path[128], line[4096];
	bool found = false;
	FILE *log;

	snprintf(path, sizeof(path), "%s/emsd.log", daemon->directory);
	log = fopen(path, "re");
	ck_assert_ptr_nonnull(log);
	while (!found && fgets(line, sizeof(line), log))
		found = strstr(line, text) != NULL;
	fclose(log);
	return found;
}

/* Who wants to connect waits, those who are served go on, and when some leave the others have their turn. */
START_TEST(test_daemon_out_of_descriptors)
{
	enum { MOST = 40 };
	const struct rlimit few = {.rlim_cur = MOST, .rlim_max = MOST};
	const struct timespec pause = {.tv_nsec = NS_PER_MS};
	ems_connection_t *connection, *late;
	pid_t others[MOST];
	struct daemon daemon;
	ems_heap_t *heap;

	daemon_start(&daemon, NULL);
	ck_assert_int_eq(prlimit(daemon.pid, RLIMIT_NOFILE, &few, NULL), 0);
	ck_ok(ems_connect(&connection, daemon.socket));
	heap = make_heap(connection, "limits/daemon", &(ems_heap_options_t){.elements = 10});
	ck_ok(ems_write_int64(heap, ems_index(0), 1));
	/* More than it can have. */
	fflush(stdout);
	for (int i = 0; i < MOST; i++) {
		others[i] = fork();
		if (others[i] == 0) {
			(void)ems_connect(&late, daemon.socket);
			for (;;)
				(void)sleep(1000);
		}
	}
	while (!log_has(&daemon, "no connection can be taken for now"))
		(void)nanosleep(&pause, NULL);
	ck_ok(ems_ping(connection, EMS_FOREVER));
	ck_ems(ems_heap_open(connection, "limits/more", EMS_CREATE, &(ems_heap_options_t){.elements = 10}, &heap), EMS_ELIMIT);
	ck_ok(ems_faa_int64(heap, ems_index(0), 1, NULL));
	for (int i = 0; i < MOST; i++)
		kill_child(others[i]);
	ck_ok(ems_connect(&late, daemon.socket));
	ck_ok(ems_ping(late, EMS_FOREVER));
	ems_disconnect(late);
	end_heap(connection, heap);
	ems_disconnect(connection);
	ck_assert_int_eq(daemon_stop(&daemon), 0);
}
END_TEST

/* The call fails with a reason, and works when there are some again; nothing is left of it. */
START_TEST(test_client_out_of_descriptors)
{
	ems_connection_t *connection = connect_daemon(), *second = NULL;
	ems_heap_t *heap = make_heap(connection, "limits/client", &(ems_heap_options_t){.elements = 10}), *again = NULL;
	struct rlimit before;

	ck_ok(ems_write_int64(heap, ems_index(0), 1));
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	for (int i = 0; i < 2; i++) {
		limit_descriptors(next_descriptor());
		ck_ems(ems_connect(&second, NULL), EMS_ELIMIT);
		ck_ems(ems_heap_open(connection, "limits/client", EMS_OPEN_EXISTING, NULL, &again), EMS_ELIMIT);
		ck_assert_ptr_nonnull(strstr(ems_last_error()->message, "descriptor"));
		ck_ok(ems_faa_int64(heap, ems_index(0), 1, NULL)); /* what is attached takes none */
		limit_descriptors(before.rlim_cur);
		ck_ok(ems_heap_open(connection, "limits/client", EMS_OPEN_EXISTING, NULL, &again));
		ck_ok(ems_faa_int64(again, ems_index(0), 1, NULL));
		ems_heap_close(again);
		ck_ok(ems_connect(&second, NULL));
		ems_disconnect(second);
	}
	end_heap(connection, heap);
	ems_disconnect(connection);
}
END_TEST

/* exit() and _exit() without closing anything, and the end by a signal that nobody catches. */
START_TEST(test_end_without_a_word)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap = make_heap(connection, "limits/end", &(ems_heap_options_t){.elements = 10});
	int64_t value;
	int status;

	ck_ok(ems_write_int64(heap, ems_index(0), 0));
	for (int i = 0; i < 3; i++) {
		uint64_t patience = clock_deadline(60 * NS_PER_S);
		ems_heap_info_t info;
		pid_t child;

		fflush(stdout);
		child = fork();
		if (child == 0) {
			ems_connection_t *own;
			ems_heap_t *mine;

			child_ok(ems_connect(&own, NULL));
			child_ok(ems_heap_open(own, "limits/end", EMS_OPEN_EXISTING, NULL, &mine));
			child_ok(ems_faa_int64(mine, ems_index(0), 1, NULL));
			if (i == 0)
				_exit(0);
			if (i == 1)
				exit(0);
			raise(SIGUSR1);
		}
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert(i < 2 ? status == 0 : WIFSIGNALED(status));
		do
			ck_ok(ems_heap_inspect(connection, "limits/end", &info));
		while (info.clients > 1 && !clock_passed(patience));
		ck_assert_uint_eq(info.clients, 1);
		ck_assert_uint_eq(slots_of(connection, "limits/end"), 1); /* ours */
	}
	ck_ok(ems_read_int64(heap, ems_index(0), &value));
	ck_assert_int_eq(value, 3);
	end_heap(connection, heap);
	ems_disconnect(connection);
}
END_TEST

/* The one too many is refused with a reason, reads on, and has its turn when a slot is given back. */
START_TEST(test_all_slots_taken)
{
	enum { MOST = 5000 };
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap = make_heap(connection, "limits/slots", &(ems_heap_options_t){.elements = 10});
	static ems_session_t *sessions[MOST];
	int64_t value;
	int count = 0, r = 0;

	ck_ok(ems_write_int64(heap, ems_index(0), 0));
	while (count < MOST && r == 0) {
		ck_ok(ems_session_open(&sessions[count]));
		ck_ok(ems_session_use(sessions[count++], NULL));
		r = ems_faa_int64(heap, ems_index(0), 1, NULL);
	}
	ck_ems(r, EMS_ELIMIT);
	ck_ok(ems_read_int64(heap, ems_index(0), &value));
	ck_assert_int_eq(value, count - 1);
	ck_ok(ems_session_use(NULL, NULL));
	ck_ok(ems_session_close(sessions[0]));
	ck_ok(ems_session_use(sessions[count - 1], NULL));
	ck_ok(ems_faa_int64(heap, ems_index(0), 1, NULL));
	ck_ok(ems_session_use(NULL, NULL));
	for (int i = 1; i < count; i++)
		ck_ok(ems_session_close(sessions[i]));
	ck_assert_uint_eq(slots_of(connection, "limits/slots"), 1);
	end_heap(connection, heap);
	ems_disconnect(connection);
}
END_TEST

INTEGRATION_MAIN("client/limits", test_daemon_out_of_descriptors, test_client_out_of_descriptors, test_end_without_a_word,
		 test_all_slots_taken)
