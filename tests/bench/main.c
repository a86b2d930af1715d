/*
 * bench: what the core of emsd costs, beside what the machine can do at best. See bench.h.
 *
 *     contrib/devenv build/tests/bench/bench [OPTION…] [ROW…]
 *
 * A ROW is a number of the table of targets, or a name; all but curves and peers when none is given.
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench.h"

const struct row rows[] = {
	{"1", "read", row_read, false, false},
	{"2", "faa", row_faa, false, false},
	{"3", "counter", row_counter, false, false},
	{"4", "handover", row_handover, false, false},
	{"5", "string", row_string, false, false},
	{"6", "queue", row_queue, false, false},
	{"7", "map", row_map, false, false},
	{"8", "system-calls", row_system_calls, false, false},
	{"9", "disjoint", row_disjoint, false, false},
	{"10", "one-element", row_one_element, false, false},
	{"11", "ping-pong", row_ping_pong, false, false},
	{"12", "ping-pong-sleeping", row_ping_pong_sleeping, false, false},
	{"13", "death", row_death, false, false},
	{"14", "recovery", row_recovery, false, false},
	{"15", "attach", row_attach, false, false},
	{"16", "creation", row_creation, false, false},
	{"17", "checkpoint", row_checkpoint, false, false},
	{"18", "idle", row_idle, false, false},
	{"19", "requests", row_requests, false, false},
	{"20", "transaction", row_transaction, false, false},
	{"23", "bulk", row_bulk, false, false},
	{"24", "stream", row_stream, false, false},
	{"25", "words", row_words, false, false},
	{"-", "tables", row_tables, false, false},
	{"-", "readers", row_readers, false, false},
	{"-", "crowd", row_crowd, false, false},
	{"-", "by-elements", row_curve_elements, true, false},
	{"-", "by-bytes", row_curve_sizes, true, false},
	{"-", "by-keys", row_curve_keys, true, false},
	{"-", "by-processes", row_curve_processes, true, false},
	{"-", "by-clients", row_curve_clients, true, false},
	{"-", "by-dirty", row_curve_dirty, true, false},
	{"-", "peers", row_peers, false, true},
};
const size_t row_count = ARRAY_SIZE(rows);

static const char usage_text[] =
	"usage: bench [OPTION…] [ROW…]\n"
	"\n"
	"Measures the rows of that number or name; else all but curves and peers.\n"
	"\n"
	"  -q, --quick    under two minutes\n"
	"  -j, --json     one JSON object\n"
	"  -c, --curves   how costs grow, too\n"
	"  -p, --peers    others that do the same work, too\n"
	"  -t, --tiny     hardly anything: only to see that it works\n"
	"  -l, --list     the rows there are\n"
	"  -h, --help     this text\n";

static struct {
	bool json, curves, peers, list;
	char **names;
	int count;
} wish;

static void usage_error(void)
{
	fputs(usage_text, stderr);
	exit(2);
}

static void read_options(struct bench *bench, int argc, char **argv)
{
	static const struct option options[] = {
		{"quick", no_argument, NULL, 'q'}, {"json", no_argument, NULL, 'j'},
		{"curves", no_argument, NULL, 'c'}, {"peers", no_argument, NULL, 'p'},
		{"tiny", no_argument, NULL, 't'}, {"list", no_argument, NULL, 'l'},
		{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0},
	};
	int letter;

	while ((letter = getopt_long(argc, argv, "qjcptlh", options, NULL)) != -1) {
		switch (letter) {
		case 'q':
			bench->quick = true;
			break;
		case 'j':
			wish.json = true;
			break;
		case 'c':
			wish.curves = true;
			break;
		case 'p':
			wish.peers = true;
			break;
		case 't':
			bench->tiny = true;
			break;
		case 'l':
			wish.list = true;
			break;
		case 'h':
			fputs(usage_text, stdout);
			exit(0);
		default:
			usage_error();
		}
	}
	wish.names = argv + optind;
	wish.count = argc - optind;
}

static bool is_named(const struct row *row, const char *name)
{
	return strcmp(row->name, name) == 0 || (row->number[0] != '-' && strcmp(row->number, name) == 0);
}

static bool is_wanted(const struct row *row)
{
	for (int i = 0; i < wish.count; i++)
		if (is_named(row, wish.names[i]))
			return true;
	return wish.count == 0 && (!row->is_curve || wish.curves) && (!row->is_peer || wish.peers);
}

static void check_names(void)
{
	for (int i = 0; i < wish.count; i++) {
		bool found = false;

		for (size_t k = 0; k < row_count; k++)
			found = found || is_named(&rows[k], wish.names[i]);
		if (!found) {
			fprintf(stderr, "bench: no row \"%s\"; --list shows those there are\n", wish.names[i]);
			exit(2);
		}
	}
}

static void list_rows(void)
{
	for (size_t i = 0; i < row_count; i++)
		printf("%-4s %s%s\n", rows[i].number, rows[i].name,
		       rows[i].is_curve ? " (curve)" : rows[i].is_peer ? " (peer)" : "");
}

int main(int argc, char **argv)
{
	struct bench bench = {0};

	read_options(&bench, argc, argv);
	check_names();
	if (wish.list) {
		list_rows();
		return 0;
	}
	bench.measure.turns = (unsigned)BENCH_PICK(&bench, 5, 15, 51);
	bench.measure.slice = (uint64_t)BENCH_PICK(&bench, 20000, 2000000, 4000000);
	report_machine(wish.json);
	(void)measure_pin(0);
	need(ems_connect(&bench.connection, NULL));
	for (size_t i = 0; i < row_count; i++) {
		if (!is_wanted(&rows[i]))
			continue;
		report_begin(&rows[i]);
		rows[i].run(&bench);
	}
	ems_disconnect(bench.connection);
	report_end();
	return fflush(stdout) == 0 ? 0 : 1;
}
