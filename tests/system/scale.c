/*
 * scale: very many clients and heaps, and what they cost the daemon: memory, wake-ups when nobody asks for anything, and how long
 * others wait when a heap that all have attached is dropped.
 *
 *     scale [CLIENTS [PROCESSES [HOLDERS [HEAPS]]]]       of the clients, so many hold slots; 1000 20 100 200 unless said otherwise
 *     scale 10000 100 1000 1000                           make scale
 *
 * What is counted (clients, slots, heaps, who is told of the drop) must be right. Times, memory and wake-ups are printed, and judged by who
 * reads them. Each client is a connection of libems with one handle of the common heap; the other heaps are the measuring process's own.
 */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/macros.h"
#include "tests/integration/client.h"

#define IDLE_SECONDS 5
#define PINGS_MOST   100000

static uint32_t clients = 1000, processes = 20, holders = 100, heaps = 200;
/* Where children say how far they are; the pipes whose ends tell them that the heap is dropped, and that all is over. */
static int told, dropped[2], over[2];

/* ---- one process with many connections ---- */

/* All told of the drop, without asking: the library's thread has heard it, or the heap's memory says it. */
static void await_drop(ems_heap_t *const *handles, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		while (!ems_heap_is_dropped(handles[i]))
			(void)poll(NULL, 0, 1);
}

static _Noreturn void be_clients(uint32_t count, uint32_t holding)
{
	ems_connection_t **connections = calloc(count, sizeof(*connections));
	ems_heap_t **handles = calloc(count, sizeof(*handles));
	char byte;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(dropped[1]);
	close(over[1]);
	for (uint32_t i = 0; i < count; i++) {
		child_ok(ems_connect(&connections[i], NULL));
		child_ok(ems_heap_open(connections[i], "scale/all", EMS_OPEN_EXISTING, NULL, &handles[i]));
		if (i < holding)
			child_ok(ems_faa_int64(handles[i], ems_index(0), 1, NULL));
	}
	child_assert(write(told, "r", 1) == 1);
	(void)!read(dropped[0], &byte, 1);
	await_drop(handles, count);
	child_assert(write(told, "d", 1) == 1);
	(void)!read(over[0], &byte, 1);
	_exit(0);
}

/* So many bytes from so many children; false when one of them has ended instead. */
static void await_children(int from)
{
	char byte;

	for (uint32_t i = 0; i < processes; i++)
		ck_assert_int_eq(read(from, &byte, 1), 1);
}

static void start_children(pid_t *pids, int *_from)
{
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(pipe(dropped), 0);
	ck_assert_int_eq(pipe(over), 0);
	told = ends[1];
	fflush(stdout);
	for (uint32_t i = 0; i < processes; i++) {
		pids[i] = fork();
		ck_assert_int_ge(pids[i], 0);
		if (pids[i] == 0)
			be_clients(clients / processes, holders / processes);
	}
	close(ends[1]);
	*_from = ends[0];
}

/* ---- what the kernel says of the daemon ---- */

static uint64_t status_of(pid_t pid, const char *field)
{
	char path[64], line[256];
	uint64_t number = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, field, strlen(field)) == 0 && line[strlen(field)] == ':')
			number = strtoull(line + strlen(field) + 1, NULL, 10);
	fclose(file);
	return number;
}

static void print_memory(const char *when)
{
	printf("%s: %" PRIu64 " KiB resident, %" PRIu64 " KiB of it its own\n", when, status_of(the_daemon.pid, "VmRSS"),
	       status_of(the_daemon.pid, "RssAnon"));
}

static void print_wakeups(void)
{
	uint64_t before = status_of(the_daemon.pid, "voluntary_ctxt_switches");

	(void)poll(NULL, 0, IDLE_SECONDS * 1000);
	printf("idle: %" PRIu64 " wake-ups in %d seconds\n", status_of(the_daemon.pid, "voluntary_ctxt_switches") - before,
	       IDLE_SECONDS);
}

/* ---- a drop, and the others ---- */

static int compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

struct pings {
	ems_connection_t *connection;
	uint64_t *times;
	size_t count;
	int from; /* readable: all children have heard of the drop */
};

/* Pings until the first child says that it knows, and on until all have. */
static void ping_meanwhile(struct pings *pings)
{
	uint32_t heard = 0;
	char byte;

	while (heard < processes) {
		struct pollfd item = {.fd = pings->from, .events = POLLIN};
		uint64_t begin = clock_now();

		ck_ok(ems_ping(pings->connection, EMS_FOREVER));
		if (pings->count < PINGS_MOST)
			pings->times[pings->count++] = clock_now() - begin;
		while (poll(&item, 1, 0) == 1) {
			ck_assert_int_eq(read(pings->from, &byte, 1), 1);
			heard++;
		}
	}
	qsort(pings->times, pings->count, sizeof(*pings->times), compare);
}

/* The drop is another process's: what is measured is how long those wait who have nothing to do with it. */
static void drop_under_pings(ems_connection_t *connection, int from)
{
	struct pings pings = {.connection = connection, .times = calloc(PINGS_MOST, sizeof(uint64_t)), .from = from};
	pid_t dropper;
	int status;

	fflush(stdout);
	dropper = fork();
	if (dropper == 0) {
		ems_connection_t *own;
		uint64_t begin;

		child_ok(ems_connect(&own, NULL));
		begin = clock_now();
		child_ok(ems_heap_drop(own, "scale/all"));
		printf("drop: answered after %" PRIu64 " us\n", (clock_now() - begin) / NS_PER_US);
		fflush(stdout);
		_exit(0); /* the last end of the pipe */
	}
	close(dropped[1]);
	ping_meanwhile(&pings);
	ck_assert_int_eq(waitpid(dropper, &status, 0), dropper);
	ck_assert_int_eq(status, 0);
	printf("drop of a heap with %u attached: %zu pings of another client meanwhile, p50 %" PRIu64 " us, p99 %" PRIu64
	       " us, longest %" PRIu64 " us\n",
	       clients, pings.count, pings.times[pings.count / 2] / NS_PER_US,
	       pings.times[(pings.count * 99) / 100] / NS_PER_US, pings.times[pings.count - 1] / NS_PER_US);
	free(pings.times);
}

static void make_heaps(ems_connection_t *connection)
{
	ems_value_t zero = ems_value_integer(0);
	char name[32];

	/* Closed at once: heaps stay without clients. */
	for (uint32_t i = 0; i < heaps; i++) {
		snprintf(name, sizeof(name), "scale/%u", i);
		ems_heap_close(make_heap(connection, name, &(ems_heap_options_t){.elements = 10}));
	}
	ems_heap_close(make_heap(connection, "scale/all", &(ems_heap_options_t){.elements = 10, .fill = &zero}));
}

START_TEST(scale)
{
	pid_t *pids = calloc(processes, sizeof(*pids));
	ems_connection_t *connection = connect_daemon();
	ems_heap_info_t info, *infos;
	size_t count;
	int from, status;

	print_memory("nothing");
	make_heaps(connection);
	ck_ok(ems_heap_list(connection, "scale/", &infos, &count));
	free(infos);
	ck_assert_uint_eq(count, heaps + 1);
	printf("%u heaps, ", heaps + 1);
	print_memory("no clients");
	start_children(pids, &from);
	await_children(from);
	ck_ok(ems_heap_inspect(connection, "scale/all", &info));
	ck_assert_uint_eq(info.clients, clients);
	ck_assert_uint_eq(info.slots, holders);
	printf("%u heaps, %u clients in %u processes, %u with slots, ", heaps + 1, clients, processes, holders);
	print_memory("all there");
	print_wakeups();
	drop_under_pings(connection, from);
	close(over[1]);
	for (uint32_t i = 0; i < processes; i++) {
		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
		ck_assert_int_eq(status, 0);
	}
	close(over[0]);
	close(dropped[0]);
	close(from);
	free(pids);
	ems_disconnect(connection);
}
END_TEST

/* A descriptor for each client, for each process, and for each heap. */
static bool raise_limit(void)
{
	rlim_t wanted = clients + processes + heaps + 1000;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return false;
	if (limit.rlim_max < wanted)
		limit.rlim_max = wanted;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

int main(int argc, char **argv)
{
	const TTest *const tests[] = {scale};
	uint32_t *const numbers[] = {&clients, &processes, &holders, &heaps};
	char path[] = "/tmp/ems-scale.XXXXXX", text[128];
	int fd, result;

	for (int i = 0; i < 4 && i + 1 < argc; i++)
		*numbers[i] = (uint32_t)strtoul(argv[i + 1], NULL, 10);
	if (processes == 0 || clients % processes || holders % processes || holders > clients) {
		fprintf(stderr, "scale: clients and holders are to be shared out evenly to processes\n");
		return 2;
	}
	if (!raise_limit()) {
		printf("skipped: %u clients take more descriptors than are allowed here\n", clients);
		return 77;
	}
	fd = mkstemp(path);
	snprintf(text, sizeof(text), "[limits]\nclients = %u\nuser_clients = %u\n", clients + 100, clients + 100);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return 1;
	close(fd);
	setenv("CK_FORK", "no", 1); /* the daemon's process is the parent's child */
	result = integration_run_with("system/scale", tests, 1, (const char *const[]){"--config", path, "--log-level", "notice", NULL});
	unlink(path);
	return result;
}
