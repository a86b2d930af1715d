/*
 * stream.c: how fast numbers in shared memory are, compared with private memory: copy, scale, add and triad.
 *
 *     stream -n 4
 *     emsctl run -n 4 stream
 *
 * The kernels are those of the STREAM benchmark; one round of them, with a scalar s, is
 *
 *     copy c = a    scale b = s * c    add c = a + b    triad a = b + s * c
 *
 * The model. The processes are a team, and each has its slice of the arrays a, b and c. The arrays exist
 * three times: in private memory, in a region (which is memory as it is), and in a heap, as doubles that are
 * elements, with tags, and are read and written in bulk. The barriers are for the clock: member 0 takes the
 * time from one to the next, so until the slowest has done its slice. In the end it looks, through its own
 * mapping, at every number of everybody in the region and the heap.
 *
 * Without emsctl run, the parent only starts the processes and waits for their ends.
 *
 * With few numbers this measures the caches; an array of at least four times the last cache, the memory.
 */
#include <ems.h>

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROCESSES_MAX 1024
#define NUMBERS_MAX   (INT64_C(1) << 36)
#define ROUNDS_MAX    100 /* all numbers stay exact: a round makes a eight times as large */
#define SCALAR	      2.0
#define BLOCK	      1024 /* numbers taken from the heap at once: three blocks fit into the first cache */

enum kernel { COPY, SCALE, ADD, TRIAD, KERNELS };

static const char *const kernel_names[KERNELS] = {"copy", "scale", "add", "triad"};
static const int kernel_arrays[KERNELS] = {2, 2, 3, 3}; /* how many each reads and writes */

enum memory { PRIVATE, REGION, HEAP, MEMORIES };

static struct {
	int processes;
	uint64_t numbers; /* of an array */
	int rounds;
} job = {.processes = 1, .numbers = 262144, .rounds = 5};

/* What a member works with. A slice is [first, first + count) of each array. */
static struct {
	ems_team_t *team;
	uint64_t first, count;
	double *own[3];	   /* the slice */
	double *region[3]; /* the slice's begin */
	ems_heap_t *heap;  /* array k has the elements from k * numbers on */
} my;

static void stop(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static void stop(const char *format, ...)
{
	va_list arguments;

	fputs("stream: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(1);
}

static void need(int r)
{
	if (r < 0)
		stop("%s", ems_last_error()->message);
}

/* ---- the kernels ---------------------------------------------------------------------------------- */

static void run_loop(enum kernel kernel, double *a, double *b, double *c, uint64_t count)
{
	switch (kernel) {
	case COPY:
		for (uint64_t i = 0; i < count; i++)
			c[i] = a[i];
		break;
	case SCALE:
		for (uint64_t i = 0; i < count; i++)
			b[i] = SCALAR * c[i];
		break;
	case ADD:
		for (uint64_t i = 0; i < count; i++)
			c[i] = a[i] + b[i];
		break;
	default:
		for (uint64_t i = 0; i < count; i++)
			a[i] = b[i] + SCALAR * c[i];
	}
}

static void read_heap(int array, uint64_t first, uint64_t count, double *numbers)
{
	need(ems_read_range_double(my.heap, (uint64_t)array * job.numbers + first, count, numbers, NULL));
}

static void write_heap(int array, uint64_t first, uint64_t count, const double *numbers)
{
	need(ems_write_range_double(my.heap, (uint64_t)array * job.numbers + first, count, numbers, NULL));
}

/* The same loop, over copies of some elements at a time. */
static void run_heap(enum kernel kernel)
{
	static const struct {
		bool reads[3];
		int writes;
	} uses[KERNELS] = {{{true, false, false}, 2},
			   {{false, false, true}, 1},
			   {{true, true, false}, 2},
			   {{false, true, true}, 0}};
	static double blocks[3][BLOCK];
	uint64_t end = my.first + my.count, count;

	for (uint64_t first = my.first; first < end; first += count) {
		count = end - first < BLOCK ? end - first : BLOCK;
		for (int k = 0; k < 3; k++)
			if (uses[kernel].reads[k])
				read_heap(k, first, count, blocks[k]);
		run_loop(kernel, blocks[0], blocks[1], blocks[2], count);
		write_heap(uses[kernel].writes, first, count, blocks[uses[kernel].writes]);
	}
}

static void run_kernel(enum kernel kernel, enum memory memory)
{
	if (memory == HEAP)
		run_heap(kernel);
	else if (memory == REGION)
		run_loop(kernel, my.region[0], my.region[1], my.region[2], my.count);
	else
		run_loop(kernel, my.own[0], my.own[1], my.own[2], my.count);
}

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Each kernel's shortest time of all rounds, in each memory. */
static void measure(double shortest[KERNELS][MEMORIES])
{
	for (int round = 0; round < job.rounds; round++) {
		for (int kernel = 0; kernel < KERNELS; kernel++) {
			for (int memory = 0; memory < MEMORIES; memory++) {
				double begin, seconds;

				need(ems_team_barrier(my.team));
				begin = seconds_now();
				run_kernel(kernel, memory);
				need(ems_team_barrier(my.team));
				seconds = seconds_now() - begin;
				if (round == 0 || seconds < shortest[kernel][memory])
					shortest[kernel][memory] = seconds;
			}
		}
	}
}

/* ---- the numbers ---------------------------------------------------------------------------------- */

/* What a begins with; different, so that a slice in another's place would be noticed. */
static double begins_with(uint64_t i)
{
	return (double)(1 + i % 1021);
}

/* Everybody writes his own slices, so that their pages are near to him. */
static void make_numbers(void)
{
	for (int k = 0; k < 3; k++) {
		for (uint64_t i = 0; i < my.count; i++)
			my.own[k][i] = my.region[k][i] = k == 0 ? begins_with(my.first + i) : 0;
		write_heap(k, my.first, my.count, my.own[k]);
	}
}

/* Array k of the memory, from number first on, as the rounds must have left it. */
static void verify(const char *memory, int k, uint64_t first, uint64_t count, const double *numbers)
{
	static const double last_round[3] = {8, 2, 3}; /* times what a was before it */
	double factor = last_round[k];

	for (int round = 1; round < job.rounds; round++)
		factor *= 8;
	for (uint64_t i = 0; i < count; i++)
		if (numbers[i] != factor * begins_with(first + i))
			stop("%s: number %" PRIu64 " of %c is %g, not %g", memory, first + i, 'a' + k,
			     numbers[i], factor * begins_with(first + i));
}

/* What everybody has left in the shared memories. */
static void verify_shared(const double *region)
{
	static double block[BLOCK];

	for (int k = 0; k < 3; k++) {
		uint64_t count;

		verify("region", k, 0, job.numbers, region + (uint64_t)k * job.numbers);
		for (uint64_t first = 0; first < job.numbers; first += count) {
			count = job.numbers - first < BLOCK ? job.numbers - first : BLOCK;
			read_heap(k, first, count, block);
			verify("heap", k, first, count, block);
		}
	}
}

/* ---- a member ------------------------------------------------------------------------------------- */

static void report(double shortest[KERNELS][MEMORIES])
{
	printf("%-6s %14s %14s %7s %14s %7s\n", "MB/s", "private", "region", "ratio", "heap", "ratio");
	for (int kernel = 0; kernel < KERNELS; kernel++) {
		double megabytes = (double)job.numbers * kernel_arrays[kernel] * sizeof(double) / 1e6;
		const double *seconds = shortest[kernel];

		printf("%-6s %14.0f %14.0f %7.3f %14.0f %7.3f\n", kernel_names[kernel],
		       megabytes / seconds[PRIVATE], megabytes / seconds[REGION],
		       seconds[PRIVATE] / seconds[REGION], megabytes / seconds[HEAP],
		       seconds[PRIVATE] / seconds[HEAP]);
	}
	printf("3 arrays of %" PRIu64 " numbers, %d rounds, %d process%s: all numbers are right\n",
	       job.numbers, job.rounds, job.processes, job.processes == 1 ? "" : "es");
	if (fflush(stdout) != 0)
		stop("cannot write the result: %s", strerror(errno));
}

/* Slices of the same size, but for one number, lie one behind the other. */
static void take_slice(void)
{
	uint64_t member = ems_team_member(my.team), members = (uint64_t)job.processes;
	uint64_t rest = job.numbers % members;

	my.count = job.numbers / members + (member < rest);
	my.first = job.numbers / members * member + (member < rest ? member : rest);
}

static void open_memory(ems_connection_t *connection, const char *team_name, ems_region_t **_region)
{
	char name[512];
	ems_region_options_t bytes = {.size = 3 * job.numbers * sizeof(double), .until_detached = true};
	ems_heap_options_t elements = {.elements = 3 * job.numbers, .until_detached = true};

	snprintf(name, sizeof(name), "%s-region", team_name);
	need(ems_region_open(connection, name, EMS_OPEN_OR_CREATE, &bytes, _region));
	snprintf(name, sizeof(name), "%s-heap", team_name);
	need(ems_heap_open(connection, name, EMS_OPEN_OR_CREATE, &elements, &my.heap));
	for (int k = 0; k < 3; k++) {
		my.region[k] =
			(double *)ems_region_bytes(*_region, NULL) + (uint64_t)k * job.numbers + my.first;
		my.own[k] = calloc(my.count + 1, sizeof(double));
		if (!my.own[k])
			stop("out of memory");
	}
}

/* The life of a process in the team: of member number of the one called name, or, NULL, of emsctl run's. */
static void work(const char *name, int number)
{
	ems_team_options_t options = {
		.size = (uint32_t)job.processes, .has_member = true, .member = (uint32_t)number};
	double shortest[KERNELS][MEMORIES];
	ems_connection_t *connection;
	ems_region_t *region;

	need(ems_connect(&connection, NULL));
	if (name) {
		need(ems_team_join(connection, name, &options, &my.team));
	} else {
		need(ems_team_from_environment(connection, EMS_FOREVER, &my.team));
		job.processes = (int)ems_team_size(my.team);
		name = getenv("EMS_TEAM");
	}
	take_slice();
	open_memory(connection, name, &region);
	make_numbers();
	measure(shortest);
	for (int k = 0; k < 3; k++)
		verify("private memory", k, my.first, my.count, my.own[k]);
	need(ems_team_barrier(my.team));
	if (ems_team_is_master(my.team)) {
		verify_shared(ems_region_bytes(region, NULL));
		report(shortest);
	}
	for (int k = 0; k < 3; k++)
		free(my.own[k]);
	ems_heap_close(my.heap);
	ems_region_close(region);
	need(ems_team_leave(my.team));
	ems_disconnect(connection);
}

/* ---- the parent ----------------------------------------------------------------------------------- */

static pid_t children[PROCESSES_MAX];

static void end_children(void)
{
	for (int i = 0; i < job.processes; i++)
		if (children[i] > 0)
			kill(children[i], SIGTERM);
}

/* One child that failed is the end of all: they would wait for it before they are a team. */
static bool wait_for_children(void)
{
	bool good = true;
	int status;
	pid_t pid;

	while ((pid = wait(&status)) > 0 || errno == EINTR) {
		for (int i = 0; pid > 0 && i < job.processes; i++)
			if (children[i] == pid)
				children[i] = 0; /* the number may become another process's */
		if (pid < 0 || status == 0 || !good)
			continue;
		good = false;
		if (WIFSIGNALED(status))
			fprintf(stderr, "stream: process %d was killed by signal %d (%s)\n", (int)pid,
				WTERMSIG(status), strsignal(WTERMSIG(status)));
		end_children();
	}
	return good;
}

static bool run_children(void)
{
	pid_t parent = getpid();
	char name[32];

	snprintf(name, sizeof(name), "stream-%d", (int)parent);
	for (int i = 0; i < job.processes; i++) {
		children[i] = fork();
		if (children[i] < 0)
			stop("cannot start a process: %s", strerror(errno));
		if (children[i] > 0)
			continue;
		/* We shall not outlive it, whatever ends it. */
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() == parent)
			work(name, i);
		_exit(0);
	}
	return wait_for_children();
}

/* ---- the command line ----------------------------------------------------------------------------- */

static const char usage_text[] =
	"usage: stream [OPTION…]\n"
	"       emsctl run -n N stream [OPTION…]\n"
	"\n"
	"Measures copy, scale, add and triad on doubles in a region and in a heap, and compares with\n"
	"the same loops on private memory.\n"
	"\n"
	"  -n, --processes N    how many share the work (1); not under emsctl run\n"
	"  -s, --size N         numbers in each of the three arrays (262144)\n"
	"  -r, --rounds N       how often; the best counts (5)\n"
	"  -h, --help           this text\n"
	"\n"
	"The exit code is 0, or 1 when anything failed, a number was wrong or a process died, or 2 for\n"
	"wrong usage.\n";

static void usage_error(void)
{
	fputs(usage_text, stderr);
	exit(2);
}

static int64_t number_or_usage(const char *text, int64_t least, int64_t most)
{
	char *end;
	long long number;

	errno = 0;
	number = strtoll(text, &end, 10);
	if (end == text || *end || errno || number < least || number > most) {
		fprintf(stderr, "stream: \"%s\" is not a number from %" PRId64 " to %" PRId64 "\n", text,
			least, most);
		usage_error();
	}
	return number;
}

static void read_options(int argc, char **argv)
{
	static const struct option options[] = {
		{"processes", required_argument, NULL, 'n'},
		{"size", required_argument, NULL, 's'},
		{"rounds", required_argument, NULL, 'r'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int letter;

	while ((letter = getopt_long(argc, argv, "n:s:r:h", options, NULL)) != -1) {
		switch (letter) {
		case 'n':
			if (getenv("EMS_TEAM"))
				usage_error();
			job.processes = (int)number_or_usage(optarg, 1, PROCESSES_MAX);
			break;
		case 's':
			job.numbers = (uint64_t)number_or_usage(optarg, 1, NUMBERS_MAX);
			break;
		case 'r':
			job.rounds = (int)number_or_usage(optarg, 1, ROUNDS_MAX);
			break;
		case 'h':
			fputs(usage_text, stdout);
			exit(0);
		default:
			usage_error();
		}
	}
	if (optind < argc)
		usage_error();
}

int main(int argc, char **argv)
{
	read_options(argc, argv);
	if (getenv("EMS_TEAM"))
		work(NULL, 0);
	else if (!run_children())
		stop("the measurement is not complete");
	return 0;
}
