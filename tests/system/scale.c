/*
 * scale: very many clients and heaps, and what they cost the daemon: memory, wake-ups when nobody asks for anything, and how long
 * others wait when a heap that all have attached is dropped.
 *
 *     scale [CLIENTS [PROCESSES [HOLDERS [HEAPS [DROPS]]]]]    of the clients, so many hold slots; 1000 20 100 200 3 unless said otherwise
 *     scale 10000 100 1000 1000 50                             make scale
 *
 * What is counted (clients, slots, heaps, who is told of each drop) must be right. Times, memory and wake-ups are printed, and judged by who
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
#include "tests/integration/broker.h"
#include "tests/integration/client.h"

#define IDLE_SECONDS 5
#define PING_EVERY   (500 * NS_PER_US)
#define PINGS_MOST   1000000u

static uint32_t clients = 1000, processes = 20, holders = 100, heaps = 200, drops = 3;
/* Where children say how far they are. */
static int told;

/* ---- one process with many connections ---- */

/* All told of the drop, without asking: the library's thread has heard it, or the heap's memory says it. */
static void await_drop(ems_heap_t *const *handles, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		while (!ems_heap_is_dropped(handles[i]))
			(void)poll(NULL, 0, 1);
}

/* Attaches the heap by each connection, says so, and when it is told to waits for the drop, says so, and is told to begin again. */
static _Noreturn void be_clients(uint32_t count, uint32_t holding, int orders)
{
	ems_connection_t **connections = calloc(count, sizeof(*connections));
	ems_heap_t **handles = calloc(count, sizeof(*handles));
	char byte;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (uint32_t i = 0; i < count; i++)
		child_ok(ems_connect(&connections[i], NULL));
	do {
		for (uint32_t i = 0; i < count; i++) {
			child_ok(ems_heap_open(connections[i], "scale/all", EMS_OPEN_EXISTING, NULL, &handles[i]));
			if (i < holding)
				child_ok(ems_faa_int64(handles[i], ems_index(0), 1, NULL));
		}
		child_assert(write(told, "r", 1) == 1);
		child_assert(read(orders, &byte, 1) == 1);
		await_drop(handles, count);
		child_assert(write(told, "d", 1) == 1);
		child_assert(read(orders, &byte, 1) == 1);
		for (uint32_t i = 0; i < count; i++)
			ems_heap_close(handles[i]);
	} while (byte == 'a');
	_exit(0);
}

struct crowd {
	pid_t *pids;
	int *orders; /* to each */
	int from;    /* what all of them say, a byte each */
};

/* A byte from each; false when one of them has ended instead. */
static void await_children(const struct crowd *crowd)
{
	char byte;

	for (uint32_t i = 0; i < processes; i++)
		ck_assert_int_eq(read(crowd->from, &byte, 1), 1);
}

static void order(const struct crowd *crowd, char what)
{
	for (uint32_t i = 0; i < processes; i++)
		ck_assert_int_eq(write(crowd->orders[i], &what, 1), 1);
}

static void start_children(struct crowd *crowd)
{
	int ends[2], orders[2];

	crowd->pids = calloc(processes, sizeof(*crowd->pids));
	crowd->orders = calloc(processes, sizeof(*crowd->orders));
	ck_assert_int_eq(pipe(ends), 0);
	told = ends[1];
	fflush(stdout);
	for (uint32_t i = 0; i < processes; i++) {
		ck_assert_int_eq(pipe(orders), 0);
		crowd->pids[i] = fork();
		ck_assert_int_ge(crowd->pids[i], 0);
		if (crowd->pids[i] == 0)
			be_clients(clients / processes, holders / processes, orders[0]);
		close(orders[0]);
		crowd->orders[i] = orders[1];
	}
	close(ends[1]);
	crowd->from = ends[0];
}

static void end_children(struct crowd *crowd)
{
	int status;

	order(crowd, 'e');
	for (uint32_t i = 0; i < processes; i++) {
		ck_assert_int_eq(waitpid(crowd->pids[i], &status, 0), crowd->pids[i]);
		ck_assert_int_eq(status, 0);
		close(crowd->orders[i]);
	}
	close(crowd->from);
	free(crowd->pids);
	free(crowd->orders);
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

/*
 * Pings on a schedule, answered or not: each counts from when it was due. Who sends the next one only after an answer has one that waits
 * in a stall, and learns nothing of those that others would have sent meanwhile.
 */
struct pings {
	struct peer peer;
	uint64_t *times; /* of all that were answered */
	size_t count;
	uint64_t begin, first; /* of this drop: when the first was due, and its id */
	uint64_t answers;      /* of this drop */
};

static void receive_pongs(struct pings *pings)
{
	const void *data;
	size_t size;
	int r;

	while ((r = proto_reader_next(&pings->peer.reader, pings->peer.socket, &data, &size)) == 0) {
		uint64_t due = pings->begin + pings->answers++ * PING_EVERY;

		ck_assert_int_eq(proto_parse(data, size, &pings->peer.message), 0);
		ck_assert_int_eq(pings->peer.message.kind, PROTO_KIND_REPLY);
		ck_assert_uint_eq(pings->peer.message.id, pings->first + pings->answers - 1);
		if (pings->count < PINGS_MOST)
			pings->times[pings->count++] = clock_now() - due;
	}
	ck_assert_int_eq(r, -ERROR_BUSY);
}

/* Sends what is due, and waits for an answer or for the other descriptor, no longer than to when the next is due. */
static void ping_on(struct pings *pings, int other)
{
	struct pollfd items[] = {{.fd = pings->peer.socket, .events = POLLIN}, {.fd = other, .events = POLLIN}};
	const struct proto_empty nothing = {0};
	uint64_t due, now = clock_now();

	while ((due = pings->begin + (pings->peer.next_id - pings->first) * PING_EVERY) <= now)
		(void)peer_send(&pings->peer, PROTO_PING, &nothing);
	(void)ppoll(items, 2, &(struct timespec){.tv_nsec = (long)(due - now)}, NULL);
	receive_pongs(pings);
}

/* Another client drops the heap, and those who have it attached are told; who pings has nothing to do with it. Yields the ns to the answer. */
static uint64_t drop_under_pings(struct pings *pings, struct peer *dropper, const struct crowd *crowd)
{
	const struct proto_drop drop = {.name = "scale/all"};
	struct pollfd item = {.fd = dropper->socket, .events = POLLIN};
	uint32_t heard = 0;
	uint64_t answered;
	char byte;

	pings->first = pings->peer.next_id;
	pings->answers = 0;
	pings->begin = clock_now();
	(void)peer_send(dropper, PROTO_DROP, &drop);
	while (poll(&item, 1, 0) == 0)
		ping_on(pings, dropper->socket);
	answered = clock_now() - pings->begin;
	ck_assert_int_eq(peer_receive(dropper), 0);
	ck_assert_int_eq(dropper->message.kind, PROTO_KIND_REPLY);
	order(crowd, 'd');
	for (item.fd = crowd->from; heard < processes;) {
		ping_on(pings, crowd->from);
		for (; poll(&item, 1, 0) == 1; heard++)
			ck_assert_int_eq(read(crowd->from, &byte, 1), 1);
	}
	while (pings->answers < pings->peer.next_id - pings->first) {
		struct pollfd pong = {.fd = pings->peer.socket, .events = POLLIN};

		ck_assert_int_eq(poll(&pong, 1, (int)(BROKER_PATIENCE / NS_PER_MS)), 1);
		receive_pongs(pings);
	}
	return answered;
}

static void check_attached(ems_connection_t *connection)
{
	ems_heap_info_t info;

	ck_ok(ems_heap_inspect(connection, "scale/all", &info));
	ck_assert_uint_eq(info.clients, clients);
	ck_assert_uint_eq(info.slots, holders);
}

static void make_common_heap(ems_connection_t *connection)
{
	const ems_value_t zero = ems_value_integer(0);

	ems_heap_close(make_heap(connection, "scale/all", &(ems_heap_options_t){.elements = 10, .fill = &zero}));
}

static uint64_t part(const uint64_t *times, size_t count, unsigned percent)
{
	return times[(count - 1) * percent / 100] / NS_PER_US;
}

/* The children have attached the common heap; at the end they are told to do so once more, and have. */
static void measure_drops(ems_connection_t *connection, const struct crowd *crowd)
{
	struct pings pings = {.times = calloc(PINGS_MOST, sizeof(uint64_t))};
	uint64_t *answers = calloc(drops, sizeof(*answers));
	struct peer dropper;

	ck_assert(drops > 0 && pings.times && answers);
	peer_open(&pings.peer, the_daemon.socket);
	peer_open(&dropper, the_daemon.socket);
	for (uint32_t i = 0; i < drops; i++) {
		answers[i] = drop_under_pings(&pings, &dropper, crowd);
		make_common_heap(connection);
		order(crowd, 'a');
		await_children(crowd);
		check_attached(connection);
	}
	qsort(answers, drops, sizeof(*answers), compare);
	qsort(pings.times, pings.count, sizeof(*pings.times), compare);
	printf("%u drops of a heap with %u attached: answered after p50 %" PRIu64 " us, longest %" PRIu64 " us\n", drops, clients,
	       part(answers, drops, 50), part(answers, drops, 100));
	printf("%zu pings of another client meanwhile, one every %" PRIu64 " us: p50 %" PRIu64 " us, p90 %" PRIu64 " us, p99 %" PRIu64
	       " us, longest %" PRIu64 " us\n",
	       pings.count, (uint64_t)(PING_EVERY / NS_PER_US), part(pings.times, pings.count, 50), part(pings.times, pings.count, 90),
	       part(pings.times, pings.count, 99), part(pings.times, pings.count, 100));
	peer_close(&dropper);
	peer_close(&pings.peer);
	free(answers);
	free(pings.times);
}

static void make_heaps(ems_connection_t *connection)
{
	char name[32];

	/* Closed at once: heaps stay without clients. */
	for (uint32_t i = 0; i < heaps; i++) {
		snprintf(name, sizeof(name), "scale/%u", i);
		ems_heap_close(make_heap(connection, name, &(ems_heap_options_t){.elements = 10}));
	}
	make_common_heap(connection);
}

START_TEST(scale)
{
	ems_connection_t *connection = connect_daemon();
	struct crowd crowd;
	ems_heap_info_t *infos;
	size_t count;

	print_memory("nothing");
	make_heaps(connection);
	ck_ok(ems_heap_list(connection, "scale/", &infos, &count));
	free(infos);
	ck_assert_uint_eq(count, heaps + 1);
	printf("%u heaps, ", heaps + 1);
	print_memory("no clients");
	start_children(&crowd);
	await_children(&crowd);
	check_attached(connection);
	printf("%u heaps, %u clients in %u processes, %u with slots, ", heaps + 1, clients, processes, holders);
	print_memory("all there");
	print_wakeups();
	measure_drops(connection, &crowd);
	ck_ok(ems_heap_drop(connection, "scale/all"));
	order(&crowd, 'd');
	await_children(&crowd);
	end_children(&crowd);
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
	uint32_t *const numbers[] = {&clients, &processes, &holders, &heaps, &drops};
	char path[] = "/tmp/ems-scale.XXXXXX", text[128];
	int fd, result;

	for (int i = 0; i < (int)ARRAY_SIZE(numbers) && i + 1 < argc; i++)
		*numbers[i] = (uint32_t)strtoul(argv[i + 1], NULL, 10);
	if (drops == 0 || processes == 0 || clients % processes || holders % processes || holders > clients) {
		fprintf(stderr, "scale: clients and holders are to be shared out evenly to processes, and there is a drop\n");
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
