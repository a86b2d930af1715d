/*
 * bench.c: emsctl bench: what the commonest operations cost on this machine, beside what the machine can do at best.
 *
 * Some seconds in a heap of its own, which is gone afterwards. The whole table of targets is in the source tree: `make bench`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "client/emsctl/emsctl.h"
#include "client/emsctl/json.h"
#include "client/emsctl/limit.h"
#include "client/emsctl/measure.h"
#include "client/emsctl/table.h"

#define TEXT 64 /* bytes of a string */

struct bench {
	ems_connection_t *connection;
	ems_heap_t *heap;
	ems_value_t value, text;
	char letters[TEXT];
	bool failed; /* the first failure ends it; the library has the message */
	struct limit *limit;
};

static void need(struct bench *bench, int r)
{
	bench->failed = bench->failed || r < 0;
}

static void load(void *context, uint64_t count)
{
	limit_load(((struct bench *)context)->limit, count);
}

static void cas(void *context, uint64_t count)
{
	limit_cas(((struct bench *)context)->limit, count);
}

static void read_integer(void *context, uint64_t count)
{
	struct bench *bench = context;
	int64_t integer;

	for (uint64_t i = 0; i < count && !bench->failed; i++)
		need(bench, ems_read_int64(bench->heap, ems_index(0), &integer));
}

static void add(void *context, uint64_t count)
{
	struct bench *bench = context;

	for (uint64_t i = 0; i < count && !bench->failed; i++)
		need(bench, ems_faa_int64(bench->heap, ems_index(0), 1, NULL));
}

static void hand_over(void *context, uint64_t count)
{
	ems_value_t one = ems_value_integer(1);
	struct bench *bench = context;

	for (uint64_t i = 0; i < count && !bench->failed; i++) {
		need(bench, ems_read_fe(bench->heap, ems_index(0), &bench->value));
		need(bench, ems_write_ef(bench->heap, ems_index(0), &one));
	}
}

static void set_text(void *context, uint64_t count)
{
	struct bench *bench = context;

	for (uint64_t i = 0; i < count && !bench->failed; i++)
		need(bench, ems_write(bench->heap, ems_index(1), &bench->text));
}

static void get_text(void *context, uint64_t count)
{
	struct bench *bench = context;

	for (uint64_t i = 0; i < count && !bench->failed; i++)
		need(bench, ems_read(bench->heap, ems_index(1), &bench->value));
}

static void pass_on(void *context, uint64_t count)
{
	ems_value_t one = ems_value_integer(1);
	struct bench *bench = context;

	for (uint64_t i = 0; i < count && !bench->failed; i++) {
		need(bench, ems_enqueue(bench->heap, &one, NULL));
		need(bench, ems_dequeue(bench->heap, &bench->value));
	}
}

static void ask(void *context, uint64_t count)
{
	struct bench *bench = context;

	for (uint64_t i = 0; i < count && !bench->failed; i++)
		need(bench, ems_ping(bench->connection, EMS_FOREVER));
}

static const struct {
	const char *what, *beside;
	measure_work_t *work, *limit;
	bool wall_clock;
} measured[] = {
	{"read an integer", "an 8-byte load", read_integer, load, false},
	{"faa of an integer", "a 16-byte compare-and-swap", add, cas, false},
	{"readFE and writeEF", "a 16-byte compare-and-swap", hand_over, cas, false},
	{"set a string of 64 bytes", "a 16-byte compare-and-swap", set_text, cas, false},
	{"get a string of 64 bytes", "a 16-byte compare-and-swap", get_text, cas, false},
	{"enqueue and dequeue", "a 16-byte compare-and-swap", pass_on, cas, false},
	{"ask the daemon", NULL, ask, NULL, true},
};

static void add_line(struct table *table, size_t i, const struct comparison *comparison)
{
	table_add(table, "%s", measured[i].what);
	table_add(table, "%.1f ns", comparison->measured.median);
	if (!measured[i].beside) {
		table_add(table, "-");
		table_add(table, "-");
		table_add(table, "-");
		return;
	}
	table_add(table, "%.1f ns", comparison->limit.median);
	table_add(table, "%.2f", comparison->ratio.median);
	table_add(table, "%s", measured[i].beside);
}

static void print_json(size_t i, const struct comparison *comparison)
{
	struct json_object object;

	json_begin(&object, stdout);
	json_member_text(&object, "what", measured[i].what);
	json_member(&object, "nanoseconds");
	json_double(stdout, comparison->measured.median);
	if (measured[i].beside) {
		json_member_text(&object, "beside", measured[i].beside);
		json_member(&object, "limit");
		json_double(stdout, comparison->limit.median);
		json_member(&object, "ratio");
		json_double(stdout, comparison->ratio.median);
	}
	json_end(&object);
}

/* One line after the other. Returns an exit code. */
static int measure_all(struct bench *bench, const struct measure *measure)
{
	struct table table = {.columns = 5, .titles = {"WHAT", ">MEASURED", ">LIMIT", ">RATIO", "BESIDE"}};

	if (settings.json)
		putchar('[');
	for (size_t i = 0; i < ARRAY_SIZE(measured); i++) {
		struct measure how = *measure;
		struct comparison comparison = {.measured = {0}};

		how.wall_clock = measured[i].wall_clock;
		if (measured[i].limit)
			comparison = measure_compare(&how, measured[i].work, measured[i].limit, bench);
		else
			comparison.measured = measure_alone(&how, measured[i].work, bench);
		if (bench->failed)
			return report_failure();
		if (settings.json) {
			fputs(i > 0 ? ", " : "", stdout);
			print_json(i, &comparison);
		} else {
			add_line(&table, i, &comparison);
		}
	}
	if (settings.json)
		fputs("]\n", stdout);
	else
		table_print(&table);
	return EXIT_DONE;
}

static int prepare(struct bench *bench)
{
	ems_heap_options_t options = {.elements = 64, .until_detached = true};
	char name[64];
	int code = connect_daemon(&bench->connection);

	if (code != EXIT_DONE)
		return code;
	snprintf(name, sizeof(name), "~/emsctl-bench-%ld", (long)getpid());
	if (ems_heap_open(bench->connection, name, EMS_CREATE, &options, &bench->heap) < 0)
		return report_failure();
	need(bench, ems_write_int64(bench->heap, ems_index(0), 1));
	memset(bench->letters, 'x', sizeof(bench->letters));
	bench->text = ems_value_data(EMS_STRING, bench->letters, sizeof(bench->letters));
	need(bench, ems_write(bench->heap, ems_index(1), &bench->text));
	return bench->failed ? report_failure() : EXIT_DONE;
}

static int run_bench(int argc, char **argv)
{
	static const struct option options[] = {{"quick", no_argument, NULL, 'q'}, COMMON_OPTIONS};
	struct measure measure = {.turns = 51, .slice = 3000000};
	struct arguments arguments;
	struct bench bench = {0};
	int letter, code;

	arguments_init(&arguments, &command_bench, argc, argv);
	while ((letter = arguments_next(&arguments, "q", options)) != -1)
		measure = (struct measure){.turns = 5, .slice = 200000};
	arguments_expect(&arguments, 0, 0);
	bench.limit = aligned_alloc(64, (sizeof(*bench.limit) + 63) / 64 * 64);
	if (!bench.limit)
		return report(EXIT_OTHER, "out of memory");
	memset(bench.limit, 0, sizeof(*bench.limit));
	(void)measure_pin(0);
	code = prepare(&bench);
	if (code == EXIT_DONE)
		code = measure_all(&bench, &measure);
	ems_value_clear(&bench.value);
	free(bench.limit);
	return code;
}

const struct command command_bench = {
	.name = "bench",
	.synopsis = "[OPTION…]",
	.summary = "what operations cost on this machine",
	.help = "Measures the commonest operations for some seconds, in a heap of its own which is gone\n"
		"afterwards, each beside what the machine can do at best: medians of times by turns.\n"
		"\n"
		"  -q, --quick             some hundredths of a second, and less certain\n",
	.run = run_bench,
};
