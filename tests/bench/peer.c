/*
 * What others offer for the same work, where it is installed: a counter, and handing a message on. `make bench-peers`.
 */
#include <fcntl.h>
#include <mqueue.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/bench/bench.h"

/* Prints nanoseconds for each of some operations, one a line, in one process. */
static const char manager[] =
	"python3 -c '\n"
	"import multiprocessing, time\n"
	"if __name__ == \"__main__\":\n"
	"    with multiprocessing.Manager() as manager:\n"
	"        value = manager.Value(\"q\", 0)\n"
	"        for turn in range(9):\n"
	"            begin = time.perf_counter()\n"
	"            for i in range(500): value.value += 1\n"
	"            print((time.perf_counter() - begin) * 1e9 / 500)\n"
	"' 2>/dev/null";
static const char locked[] =
	"python3 -c '\n"
	"import multiprocessing, time\n"
	"value = multiprocessing.Value(\"q\", 0)\n"
	"for turn in range(9):\n"
	"    begin = time.perf_counter()\n"
	"    for i in range(20000):\n"
	"        with value.get_lock(): value.value += 1\n"
	"    print((time.perf_counter() - begin) * 1e9 / 20000)\n"
	"' 2>/dev/null";
static const char atomics[] =
	"node -e '\n"
	"const a = new BigInt64Array(new SharedArrayBuffer(8))\n"
	"for (let turn = 0; turn < 9; turn++) {\n"
	"    const begin = process.hrtime.bigint()\n"
	"    for (let i = 0; i < 1000000; i++) Atomics.add(a, 0, 1n)\n"
	"    console.log(Number(process.hrtime.bigint() - begin) / 1e6)\n"
	"}' 2>/dev/null";

static void run_program(const char *what, const char *command)
{
	double samples[MEASURE_TURNS_MAX], number;
	FILE *file = popen(command, "re");
	size_t count = 0;

	while (file && count < MEASURE_TURNS_MAX && fscanf(file, "%lf", &number) == 1)
		samples[count++] = number;
	if (file)
		pclose(file);
	if (count == 0)
		report_missing(what, "the program is not installed, or fails");
	else
		report_figure(&(struct figure){.what = what, .unit = "ns", .measured = spread_of(samples, count)});
}

static void send_and_receive(void *context, uint64_t count)
{
	mqd_t queue = *(mqd_t *)context;
	char message[8] = {0};

	for (uint64_t i = 0; i < count; i++)
		need_system(mq_send(queue, message, sizeof(message), 0) == 0 &&
				    mq_receive(queue, message, sizeof(message), NULL) >= 0,
			    "a message");
}

static void measure_queue(struct bench *bench)
{
	struct mq_attr attributes = {.mq_maxmsg = 4, .mq_msgsize = 8};
	struct spread spread;
	char name[64];
	mqd_t queue;

	snprintf(name, sizeof(name), "/ems-bench-%ld", (long)getpid());
	queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
	if (queue == (mqd_t)-1) {
		report_missing("POSIX message queue: send, receive", "the system has none");
		return;
	}
	mq_unlink(name);
	spread = measure_alone(&bench->measure, send_and_receive, &queue);
	report_figure(&(struct figure){.what = "POSIX message queue: send, receive", .unit = "ns", .measured = spread});
	mq_close(queue);
}

void row_peers(struct bench *bench)
{
	measure_queue(bench);
	run_program("Python, multiprocessing.Manager: add", manager);
	run_program("Python, multiprocessing.Value, lock: add", locked);
	run_program("Node, SharedArrayBuffer: Atomics.add", atomics);
}
