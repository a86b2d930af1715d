/*
 * Rows of the daemon: attaching, creating, requests, and how quiet it is when nothing happens.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/bench.h"

/* Who listens at the socket that $EMS_SOCKET names. */
pid_t daemon_pid(struct bench *bench)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *path = getenv("EMS_SOCKET");
	struct ucred peer = {0};
	socklen_t size = sizeof(peer);
	int fd;

	(void)bench;
	if (!path || strlen(path) >= sizeof(address.sun_path))
		return 0;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return 0;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		peer.pid = 0;
	close(fd);
	return peer.pid;
}

/* ---- attaching ---- */

struct control {
	const char *name;
	uint64_t elements;
	ems_connection_t *connection;
	int listener; /* of a server that does the least: accept, pass a descriptor, close */
	struct sockaddr_un address;
	int memory;
};

static void attach(void *context, uint64_t count)
{
	struct control *control = context;

	for (uint64_t i = 0; i < count; i++) {
		ems_connection_t *connection;

		need(ems_connect(&connection, NULL));
		ems_heap_close(open_heap(connection, control->name));
		ems_disconnect(connection);
	}
}

/* A heap that others are attached to is opened and closed by one that is connected. */
static void open_only(void *context, uint64_t count)
{
	struct control *control = context;

	for (uint64_t i = 0; i < count; i++)
		ems_heap_close(open_heap(control->connection, control->name));
}

static void pass_descriptor(int to, int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec data = {&byte, 1};
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(int));
	(void)sendmsg(to, &message, MSG_NOSIGNAL);
}

static int receive_descriptor(int from)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec data = {&byte, 1};
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	int fd = -1;

	if (recvmsg(from, &message, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&message))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
	return fd;
}

static void *serve(void *context)
{
	struct control *control = context;
	int fd;

	(void)measure_pin(1);
	while ((fd = accept4(control->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		pass_descriptor(fd, control->memory);
		close(fd);
	}
	return NULL;
}

static void connect_and_map(void *context, uint64_t count)
{
	struct control *control = context;

	for (uint64_t i = 0; i < count; i++) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), memory;
		void *bytes;

		need_system(fd >= 0 && connect(fd, (struct sockaddr *)&control->address, sizeof(control->address)) == 0,
			    "connecting");
		memory = receive_descriptor(fd);
		bytes = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
		need_system(bytes != MAP_FAILED, "mapping");
		munmap(bytes, 1 << 20);
		close(memory);
		close(fd);
	}
}

static void start_server(struct control *control, pthread_t *thread)
{
	control->address.sun_family = AF_UNIX;
	/* Without a name in the file system, so that nothing is left of it. */
	snprintf(control->address.sun_path + 1, sizeof(control->address.sun_path) - 1, "ems-bench-%ld", (long)getpid());
	control->memory = memfd_create("bench", MFD_CLOEXEC);
	need_system(control->memory >= 0 && ftruncate(control->memory, 1 << 20) == 0, "memory");
	control->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	need_system(control->listener >= 0 &&
			    bind(control->listener, (struct sockaddr *)&control->address, sizeof(control->address)) == 0 &&
			    listen(control->listener, 64) == 0,
		    "a socket");
	need_system(pthread_create(thread, NULL, serve, control) == 0, "a thread");
}

void row_attach(struct bench *bench)
{
	struct measure measure = {bench->measure.turns, bench->measure.slice * 5, true};
	struct control control = {.connection = bench->connection};
	ems_heap_t *heap = new_heap(bench, &(ems_heap_options_t){.elements = 1000});
	struct comparison comparison;
	pthread_t thread;

	control.name = ems_heap_name(heap);
	start_server(&control, &thread);
	comparison = measure_compare(&measure, attach, connect_and_map, &control);
	report_comparison("connect, attach a heap, leave", "connect, one descriptor, mmap", &comparison, RATIO_AT_MOST, 2);
	comparison = measure_compare(&measure, open_only, connect_and_map, &control);
	report_comparison("open a heap that is mapped, and close it", "connect, one descriptor, mmap", &comparison,
			  TARGET_NONE, 0);
	shutdown(control.listener, SHUT_RDWR);
	pthread_join(thread, NULL);
	close(control.listener);
	close(control.memory);
	ems_heap_close(heap);
}

/* ---- creating ---- */

static void create(struct control *control, uint64_t count, uint64_t elements)
{
	ems_heap_options_t options = {.elements = elements, .max_elements = elements, .until_detached = true};

	for (uint64_t i = 0; i < count; i++) {
		ems_heap_t *heap;

		need(ems_heap_open(control->connection, "bench/created", EMS_CREATE, &options, &heap));
		ems_heap_close(heap);
	}
}

static void create_small(void *context, uint64_t count)
{
	create(context, count, 1000);
}

static void create_large(void *context, uint64_t count)
{
	create(context, count, 100000000);
}

void row_creation(struct bench *bench)
{
	struct measure measure = {bench->measure.turns, bench->measure.slice * 5, true};
	struct control control = {.connection = bench->connection};
	struct comparison comparison = measure_compare(&measure, create_large, create_small, &control);

	report_comparison("create and drop 100 million elements", "1,000 elements", &comparison, RATIO_AT_MOST, 2);
}

/* ---- many clients ---- */

/* Connections, as many as the limits allow. */
static unsigned connect_many(ems_connection_t **connections, unsigned wanted)
{
	struct rlimit limit;
	unsigned count = 0;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	while (count < wanted && ems_connect(&connections[count], NULL) == 0)
		count++;
	return count;
}

static void disconnect_many(ems_connection_t **connections, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		ems_disconnect(connections[i]);
}

/* A number of /proc/PID/status, by its name. */
static double status_of(pid_t pid, const char *name)
{
	char path[64], line[256];
	double number = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%ld/status", (long)pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
			number = strtod(line + strlen(name) + 1, NULL);
	}
	if (file)
		fclose(file);
	return number;
}

void row_idle(struct bench *bench)
{
	enum { MANY = 1000 };
	unsigned wanted = (unsigned)BENCH_PICK(bench, 10, MANY, MANY), seconds = (unsigned)BENCH_PICK(bench, 0, 5, 30);
	static ems_connection_t *connections[MANY];
	unsigned clients = connect_many(connections, wanted), heaps = 0;
	static ems_heap_t *heap[MANY];
	pid_t pid = daemon_pid(bench);
	char what[2][96];
	double wakes;

	if (pid <= 0) {
		report_missing("the daemon at rest", "no $EMS_SOCKET says where it is");
	} else {
		for (; heaps < clients; heaps++)
			heap[heaps] = new_heap(bench, &(ems_heap_options_t){.elements = 1000});
		need(ems_ping(bench->connection, EMS_FOREVER));
		wakes = status_of(pid, "voluntary_ctxt_switches");
		sleep(seconds);
		wakes = (status_of(pid, "voluntary_ctxt_switches") - wakes) / (seconds > 0 ? seconds : 1);
		snprintf(what[0], sizeof(what[0]), "at rest, %u heaps, %u clients: wake-ups", heaps, clients);
		report_figure(&(struct figure){.what = what[0], .unit = "1/s", .measured = spread_of(&wakes, 1),
					       .kind = VALUE_AT_MOST, .target = 0.1});
		wakes = status_of(pid, "VmRSS") / 1024;
		snprintf(what[1], sizeof(what[1]), "at rest, %u heaps, %u clients: resident", heaps, clients);
		report_figure(&(struct figure){.what = what[1], .unit = "MiB", .measured = spread_of(&wakes, 1),
					       .kind = VALUE_AT_MOST, .target = 20});
	}
	while (heaps > 0)
		ems_heap_close(heap[--heaps]);
	disconnect_many(connections, clients);
}

/* ---- requests ---- */

#define ASKERS 32

struct asker {
	ems_connection_t *connection;
	uint64_t count;
	pthread_t thread;
};

static void *ask(void *context)
{
	struct asker *asker = context;

	for (uint64_t i = 0; i < asker->count; i++)
		need(ems_ping(asker->connection, EMS_FOREVER));
	return NULL;
}

static double rate_of_requests(struct asker *askers, uint64_t each)
{
	double begin = wall_seconds();

	for (unsigned i = 0; i < ASKERS; i++) {
		askers[i].count = each;
		need_system(pthread_create(&askers[i].thread, NULL, ask, &askers[i]) == 0, "a thread");
	}
	for (unsigned i = 0; i < ASKERS; i++)
		pthread_join(askers[i].thread, NULL);
	return (double)each * ASKERS / (wall_seconds() - begin) / 1e3;
}

void row_requests(struct bench *bench)
{
	enum { MANY = 10000 };
	static ems_connection_t *connections[MANY];
	unsigned turns = (unsigned)BENCH_PICK(bench, 1, 5, 9), clients;
	struct asker askers[ASKERS];
	double rates[MEASURE_TURNS_MAX];
	char what[96];

	for (unsigned i = 0; i < ASKERS; i++)
		need(ems_connect(&askers[i].connection, NULL));
	clients = connect_many(connections, (unsigned)BENCH_PICK(bench, 10, MANY, MANY) - ASKERS / 4);
	for (unsigned i = 0; i < turns; i++)
		rates[i] = rate_of_requests(askers, (uint64_t)BENCH_PICK(bench, 1, 1000, 4000));
	snprintf(what, sizeof(what), "requests by %u of %u clients", ASKERS, clients + ASKERS);
	report_figure(&(struct figure){.what = what, .unit = "k/s", .measured = spread_of(rates, turns),
				       .kind = VALUE_AT_LEAST, .target = 100});
	for (unsigned i = 0; i < ASKERS; i++)
		ems_disconnect(askers[i].connection);
	disconnect_many(connections, clients);
}
