/*
 * What others offer for the same work, where it is installed: a counter, and handing a message on. `make bench-peers`.
 */
#include <fcntl.h>
#include <mqueue.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/bench/peer.h"

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

static const char shared[] =
	"python3 -c '\n"
	"import multiprocessing, time\n"
	"from multiprocessing import shared_memory\n"
	"memory = shared_memory.SharedMemory(create=True, size=8)\n"
	"numbers, lock = memory.buf.cast(\"q\"), multiprocessing.Lock()\n"
	"for turn in range(9):\n"
	"    begin = time.perf_counter()\n"
	"    for i in range(20000):\n"
	"        with lock: numbers[0] += 1\n"
	"    print((time.perf_counter() - begin) * 1e9 / 20000)\n"
	"numbers.release(); memory.close(); memory.unlink()\n"
	"' 2>/dev/null";
/* A loop of a module that was compiled: the shell's own are interpreted. */
static const char erlang[] =
	"erl -noshell -eval '\n"
	"Text = \"-module(b). -export([ets/2, counters/2]). \"\n"
	"  \"ets(_, 0) -> ok; ets(T, N) -> ets:update_counter(T, k, 1), ets(T, N - 1). \"\n"
	"  \"counters(_, 0) -> ok; counters(C, N) -> counters:add(C, 1, 1), counters(C, N - 1). \",\n"
	"{ok, Tokens, _} = erl_scan:string(Text),\n"
	"Split = fun Split([], [], All) -> lists:reverse(All);\n"
	"            Split([{dot, _} = D | R], One, All) -> Split(R, [], [lists:reverse([D | One]) | All]);\n"
	"            Split([X | R], One, All) -> Split(R, [X | One], All) end,\n"
	"Forms = [begin {ok, F} = erl_parse:parse_form(T), F end || T <- Split(Tokens, [], [])],\n"
	"{ok, b, Code} = compile:forms(Forms), {module, b} = code:load_binary(b, \"b\", Code),\n"
	"Table = ets:new(t, [public, set]), ets:insert(Table, {k, 0}), Counters = counters:new(1, []),\n"
	"[begin {Time, ok} = timer:tc(b, F, [A, 300000]), io:format(\"~p~n\", [Time / 300]) end\n"
	" || {F, A} <- [{%s, %s}], _ <- lists:seq(1, 9)], halt().' 2>/dev/null";

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

static void run_erlang(const char *what, const char *function, const char *argument)
{
	char command[sizeof(erlang) + 64];

	snprintf(command, sizeof(command), erlang, function, argument);
	run_program(what, command);
}

void row_peers(struct bench *bench)
{
	peer_stores(bench);
	measure_queue(bench);
	run_program("Python, multiprocessing.Manager: add", manager);
	run_program("Python, multiprocessing.Value, lock: add", locked);
	run_program("Python, shared_memory, lock: add", shared);
	run_program("Node, SharedArrayBuffer: Atomics.add", atomics);
	run_erlang("Erlang, ets:update_counter", "ets", "Table");
	run_erlang("Erlang, counters:add", "counters", "Counters");
}
