/*
 * event_loop.c: thousands of waits in one libuv loop, in one thread, beside whatever else the loop does.
 *
 *     event_loop -n 10000
 *     event_loop -n 10000 --queue
 *
 * The model. The program begins to wait for each of many elements to become FULL, or that often for an item
 * of the queue; nothing is there yet. From then on it sits in uv_run. One descriptor stands for all waits:
 * when it is readable, on_readable asks for what has come to its end. An ordinary timer ticks meanwhile. Each
 * of its first ticks lets another process, which libuv has started and which is this program with --fill,
 * fill a tenth of it, in an order of its own: were the loop ever stuck in a wait, nothing would be filled any
 * more. Some waits are for what never comes. Half of them have a deadline; the first tick cancels the others.
 *
 * In the end each wait must have had just one result, the right one, and each value must have come just once.
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
#include <unistd.h>
#include <uv.h>

#define WAITS_MAX   1000000
#define TICK_MAX    3600000
#define IN_VAIN	    50	/* waits with a deadline for what never comes, and again as many that are cancelled */
#define PIECES	    10	/* ticks in which all is filled */
#define AT_ONCE	    100 /* results before the loop gets its turn again */
#define MILLISECOND UINT64_C(1000000)

static struct {
	int64_t count; /* of elements, or items, that come */
	bool queue;
	uint64_t tick;	  /* milliseconds */
	const char *heap; /* to fill; NULL: to wait */
} job = {.count = 5000, .tick = 2};

struct wait {
	int results;
	int expected; /* what the result should be */
	ems_wait_t id;
};

static struct {
	ems_connection_t *connection;
	ems_heap_t *heap;
	struct wait
		*waits; /* [0, count): of what comes; then IN_VAIN with a deadline, IN_VAIN to be cancelled */
	int *came;	/* how often each value did */
	int64_t pending;
	uint64_t ticks;
} my;

static struct {
	uv_loop_t loop;
	uv_poll_t readable;
	uv_timer_t timer;
	uv_process_t filler;
	uv_pipe_t to_filler; /* its stdin */
} uv;

static void stop(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static void stop(const char *format, ...)
{
	va_list arguments;

	fputs("event_loop: ", stderr);
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

static void need_uv(int r)
{
	if (r < 0)
		stop("libuv: %s", uv_strerror(r));
}

static void *zeroes(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (!memory)
		stop("out of memory");
	return memory;
}

/* What element, or item, number i holds; different from its number, lest one be taken for the other. */
static int64_t value_of(int64_t i)
{
	return 3 * i + 7;
}

/* ---- the results ---------------------------------------------------------------------------------- */

/* There is nothing left to wait for: what is closed keeps the loop running no more. */
static void leave_loop(void)
{
	uv_close((uv_handle_t *)&uv.readable, NULL);
	uv_close((uv_handle_t *)&uv.timer, NULL);
	uv_close((uv_handle_t *)&uv.to_filler, NULL);
}

static void take_value(int64_t number, const ems_value_t *value)
{
	int64_t i = (value->integer - value_of(0)) / 3;

	if (value->type != EMS_INTEGER || i < 0 || i >= job.count || value->integer != value_of(i))
		stop("wait %" PRId64 " has a value that nobody wrote", number);
	if (!job.queue && i != number)
		stop("wait %" PRId64 " has the value of element %" PRId64, number, i);
	my.came[i]++;
}

static void take_result(ems_wait_result_t *result)
{
	struct wait *wait = result->user;
	int64_t number = wait - my.waits;

	if (result->wait != wait->id)
		stop("the result of another wait came for wait %" PRId64, number);
	if (result->result != wait->expected)
		stop("wait %" PRId64 " ended with \"%s\", not \"%s\"", number, ems_error_text(result->result),
		     ems_error_text(wait->expected));
	if (++wait->results > 1)
		stop("wait %" PRId64 " ended twice", number);
	if (result->result == 0)
		take_value(number, &result->value);
	ems_value_clear(&result->value);
	my.pending--;
}

/* What is not taken leaves the descriptor readable, so others in the loop need not wait until all has been. */
static void on_readable(uv_poll_t *poll, int status, int events)
{
	ems_wait_result_t result;

	(void)poll;
	(void)events;
	need_uv(status);
	for (int i = 0; i < AT_ONCE; i++) {
		int r = ems_wait_next(my.connection, &result);

		if (r == -EMS_EEMPTY)
			return;
		need(r);
		take_result(&result);
		if (my.pending == 0) {
			leave_loop();
			return;
		}
	}
}

/* ---- beside them ---------------------------------------------------------------------------------- */

static void on_tick(uv_timer_t *timer)
{
	uv_buf_t byte = uv_buf_init((char[]){'.'}, 1);
	struct wait *end = my.waits + job.count + 2 * IN_VAIN;

	(void)timer;
	my.ticks++;
	if (my.ticks == 1)
		for (struct wait *wait = end - IN_VAIN; wait < end; wait++)
			need(ems_wait_cancel(my.connection, wait->id));
	/* It fails when the other process has died, which on_filler_exit is told. */
	if (my.ticks <= PIECES)
		(void)uv_try_write((uv_stream_t *)&uv.to_filler, &byte, 1);
}

static void on_filler_exit(uv_process_t *process, int64_t status, int signal_number)
{
	if (signal_number != 0)
		stop("the process that fills was killed by signal %d (%s)", signal_number,
		     strsignal(signal_number));
	if (status != 0)
		stop("the process that fills has failed");
	uv_close((uv_handle_t *)process, NULL);
}

static void start_filler(const char *heap)
{
	char path[4096], count[32];
	size_t size = sizeof(path);
	char *arguments[] = {"event_loop", "-n", count, "-f", (char *)heap, job.queue ? "-q" : NULL, NULL};
	uv_stdio_container_t stdio[] = {
		{.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&uv.to_filler},
		{.flags = UV_INHERIT_FD, .data.fd = STDOUT_FILENO},
		{.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
	};
	uv_process_options_t options = {
		.exit_cb = on_filler_exit, .file = path, .args = arguments, .stdio_count = 3, .stdio = stdio};

	snprintf(count, sizeof(count), "%" PRId64, job.count);
	need_uv(uv_exepath(path, &size));
	need_uv(uv_pipe_init(&uv.loop, &uv.to_filler, 0));
	need_uv(uv_spawn(&uv.loop, &uv.filler, &options));
}

/* ---- the loop ------------------------------------------------------------------------------------- */

static void begin_waits(void)
{
	ems_operation_t operation = {.code = job.queue ? EMS_OP_DEQUEUE : EMS_OP_READ_FE};

	my.pending = job.count + 2 * IN_VAIN;
	my.waits = zeroes((size_t)my.pending, sizeof(*my.waits));
	my.came = zeroes((size_t)job.count, sizeof(*my.came));
	for (int64_t i = 0; i < my.pending; i++) {
		ems_deadline_t deadline = EMS_FOREVER;

		if (i >= job.count + IN_VAIN) {
			my.waits[i].expected = -EMS_ECANCELLED;
		} else if (i >= job.count) {
			my.waits[i].expected = -EMS_ETIMEOUT;
			deadline = ems_deadline_in(20 * MILLISECOND);
		}
		operation.key = ems_index(i); /* which the queue has no use for */
		need(ems_wait_begin(my.heap, &operation, deadline, &my.waits[i], &my.waits[i].id));
	}
}

static void run_loop(void)
{
	int descriptor = ems_wait_fd(my.connection);

	need(descriptor);
	need_uv(uv_poll_init(&uv.loop, &uv.readable, descriptor));
	need_uv(uv_poll_start(&uv.readable, UV_READABLE, on_readable));
	need_uv(uv_timer_init(&uv.loop, &uv.timer));
	need_uv(uv_timer_start(&uv.timer, on_tick, job.tick, job.tick));
	need_uv(uv_run(&uv.loop, UV_RUN_DEFAULT));
	need_uv(uv_loop_close(&uv.loop));
}

static void verify(void)
{
	ems_wait_result_t result;
	uint64_t left;

	for (int64_t i = 0; i < job.count + 2 * IN_VAIN; i++)
		if (my.waits[i].results != 1)
			stop("wait %" PRId64 " has ended %d times", i, my.waits[i].results);
	for (int64_t i = 0; i < job.count; i++)
		if (my.came[i] != 1)
			stop("value %" PRId64 " came %d times", i, my.came[i]);
	if (ems_wait_next(my.connection, &result) != -EMS_EEMPTY)
		stop("there are more results than waits");
	need(ems_queue_length(my.heap, &left));
	if (left != 0)
		stop("%" PRIu64 " items are left in the queue", left);
	printf("%" PRId64 " %s taken, %d waits timed out, %d cancelled: each ended once, while the timer "
	       "ticked %" PRIu64 " times\n",
	       job.count, job.queue ? "items" : "elements", IN_VAIN, IN_VAIN, my.ticks);
	if (fflush(stdout) != 0)
		stop("cannot write the result: %s", strerror(errno));
}

static void wait_for_all(void)
{
	char name[32];
	ems_heap_options_t options = {.elements = (uint64_t)job.count + (uint64_t)2 * IN_VAIN,
				      .initial_tag = EMS_EMPTY,
				      .until_detached = true};

	signal(SIGPIPE, SIG_IGN); /* writing to a process that has died is an error, not our end */
	snprintf(name, sizeof(name), "event_loop-%d", (int)getpid());
	need(ems_connect(&my.connection, NULL));
	need(ems_heap_open(my.connection, name, EMS_CREATE, &options, &my.heap));
	need_uv(uv_loop_init(&uv.loop));
	begin_waits();
	start_filler(name);
	run_loop();
	verify();
	ems_heap_close(my.heap);
	ems_disconnect(my.connection);
	free(my.waits);
	free(my.came);
}

/* ---- the process that fills ----------------------------------------------------------------------- */

/* All numbers below the count, shuffled. */
static int64_t *another_order(void)
{
	int64_t *order = zeroes((size_t)job.count, sizeof(*order));
	uint64_t random = 1;

	for (int64_t i = 0; i < job.count; i++) {
		int64_t other;

		random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		other = (int64_t)((random >> 33) % (uint64_t)(i + 1));
		order[i] = order[other];
		order[other] = i;
	}
	return order;
}

/* Until the one that waits says to go on. The end of its life is the end of ours. */
static void await_tick(void)
{
	ssize_t size;
	char byte;

	while ((size = read(STDIN_FILENO, &byte, 1)) < 0 && errno == EINTR)
		continue;
	if (size != 1)
		stop("the process that waits has gone");
}

static void fill_all(void)
{
	ems_connection_t *connection;
	ems_heap_t *heap;
	int64_t *order = another_order();

	need(ems_connect(&connection, NULL));
	need(ems_heap_open(connection, job.heap, EMS_OPEN_EXISTING, NULL, &heap));
	for (int64_t piece = 0; piece < PIECES; piece++) {
		await_tick();
		for (int64_t i = job.count * piece / PIECES; i < job.count * (piece + 1) / PIECES; i++) {
			ems_value_t value = ems_value_integer(value_of(order[i]));

			if (job.queue)
				need(ems_enqueue(heap, &value, NULL));
			else
				need(ems_write_ef(heap, ems_index(order[i]), &value));
		}
	}
	ems_heap_close(heap);
	ems_disconnect(connection);
	free(order);
}

/* ---- the command line ----------------------------------------------------------------------------- */

static const char usage_text[] =
	"usage: event_loop [OPTION…]\n"
	"\n"
	"Waits for many elements, or items of a queue, in one libuv loop, beside a timer, while another\n"
	"process fills them.\n"
	"\n"
	"  -n, --number N       how many (5000)\n"
	"  -q, --queue          items of the queue instead of elements\n"
	"  -t, --tick N         milliseconds between two ticks of the timer (2)\n"
	"  -f, --fill HEAP      be the other process: fill a tenth of the heap for each byte of stdin\n"
	"  -h, --help           this text\n"
	"\n"
	"The exit code is 0, or 1 when anything failed, a result was wrong or the other process died, or\n"
	"2 for wrong usage.\n";

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
		fprintf(stderr, "event_loop: \"%s\" is not a number from %" PRId64 " to %" PRId64 "\n", text,
			least, most);
		usage_error();
	}
	return number;
}

static void read_options(int argc, char **argv)
{
	static const struct option options[] = {
		{"number", required_argument, NULL, 'n'}, {"queue", no_argument, NULL, 'q'},
		{"tick", required_argument, NULL, 't'},	  {"fill", required_argument, NULL, 'f'},
		{"help", no_argument, NULL, 'h'},	  {NULL, 0, NULL, 0},
	};
	int letter;

	while ((letter = getopt_long(argc, argv, "n:qt:f:h", options, NULL)) != -1) {
		switch (letter) {
		case 'n':
			job.count = number_or_usage(optarg, 1, WAITS_MAX);
			break;
		case 'q':
			job.queue = true;
			break;
		case 't':
			job.tick = (uint64_t)number_or_usage(optarg, 1, TICK_MAX);
			break;
		case 'f':
			job.heap = optarg;
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
	if (job.heap)
		fill_all();
	else
		wait_for_all();
	return 0;
}
