/*
 * How costs grow: with the number of elements, the size of a value, the number of keys, of processes, of clients.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench.h"

#define TENS 8 /* powers of ten of elements, from a thousand on */

struct growing {
	ems_heap_t *heap;
	const char *name; /* of the heap, for a crew */
	uint64_t count, random;
	ems_value_t text, value;
	ems_connection_t *connection;
};

/* ---- elements ---- */

static void faa_somewhere(void *context, uint64_t count)
{
	struct growing *growing = context;

	for (uint64_t i = 0; i < count; i++)
		need(ems_faa_int64(growing->heap, ems_index((int64_t)(next_random(&growing->random) % growing->count)), 1,
				   NULL));
}

void row_curve_elements(struct bench *bench)
{
	uint64_t most = (uint64_t)BENCH_PICK(bench, 1000, 100000000, 100000000);
	ems_value_t zero = ems_value_integer(0);

	for (uint64_t count = 1000; count <= most; count *= 10) {
		struct growing growing = {.count = count, .random = count};
		struct spread spread;

		growing.heap = new_heap(bench, &(ems_heap_options_t){.elements = count});
		need(ems_fill(growing.heap, 0, count, &zero, EMS_FULL, NULL));
		spread = measure_alone(&bench->measure, faa_somewhere, &growing);
		report_point("faa of a random element", "elements", (double)count, "ns", &spread);
		ems_heap_close(growing.heap);
	}
}

/* ---- sizes ---- */

static void set_text(void *context, uint64_t count)
{
	struct growing *growing = context;

	for (uint64_t i = 0; i < count; i++)
		need(ems_write(growing->heap, ems_index(0), &growing->text));
}

static void get_text(void *context, uint64_t count)
{
	struct growing *growing = context;

	for (uint64_t i = 0; i < count; i++)
		need(ems_read(growing->heap, ems_index(0), &growing->value));
}

static void copy_text(void *context, uint64_t count)
{
	struct growing *growing = context;
	void *volatile to = growing->value.data;

	for (uint64_t i = 0; i < count; i++)
		memcpy(to, growing->text.data, growing->text.size);
}

void row_curve_sizes(struct bench *bench)
{
	size_t most = (size_t)BENCH_PICK(bench, 64, 1 << 20, 16 << 20);
	char *bytes = malloc(most);

	need_system(bytes != NULL, "memory");
	memset(bytes, 'x', most);
	for (size_t size = 0; size <= most; size = size ? size * 4 : 16) {
		struct growing growing = {.text = ems_value_data(EMS_BYTES, bytes, size)};
		struct spread spread;

		growing.heap = new_heap(bench, &(ems_heap_options_t){.elements = 16});
		set_text(&growing, 1);
		get_text(&growing, 1);
		spread = measure_alone(&bench->measure, set_text, &growing);
		report_point("set bytes", "bytes", (double)size, "ns", &spread);
		spread = measure_alone(&bench->measure, get_text, &growing);
		report_point("get bytes", "bytes", (double)size, "ns", &spread);
		spread = measure_alone(&bench->measure, copy_text, &growing);
		report_point("memcpy", "bytes", (double)size, "ns", &spread);
		ems_value_clear(&growing.value);
		ems_heap_close(growing.heap);
	}
	free(bytes);
}

/* ---- keys ---- */

static void faa_some_key(void *context, uint64_t count)
{
	struct growing *growing = context;
	char text[32];

	for (uint64_t i = 0; i < count; i++) {
		int size = snprintf(text, sizeof(text), "user:%08llu",
				    (unsigned long long)(next_random(&growing->random) % growing->count));

		need(ems_faa_int64(growing->heap, ems_key_bytes(text, (size_t)size), 1, NULL));
	}
}

/* What making the key's text takes, which is not to be counted. */
static void print_some_key(void *context, uint64_t count)
{
	struct growing *growing = context;
	char text[32];

	for (uint64_t i = 0; i < count; i++)
		growing->value.size = (size_t)snprintf(text, sizeof(text), "user:%08llu",
						       (unsigned long long)(next_random(&growing->random) % growing->count));
}

void row_curve_keys(struct bench *bench)
{
	uint64_t most = (uint64_t)BENCH_PICK(bench, 1000, 1000000, 10000000);

	for (uint64_t count = 1000; count <= most; count *= 10) {
		struct growing growing = {.count = count, .random = count};
		struct comparison comparison;
		struct spread *spread = &comparison.measured;
		char text[32];

		growing.heap = new_heap(bench, &(ems_heap_options_t){.elements = count, .map = true, .storage = UINT64_C(2) << 30});
		for (uint64_t i = 0; i < count; i++) {
			int size = snprintf(text, sizeof(text), "user:%08llu", (unsigned long long)i);

			need(ems_write_int64(growing.heap, ems_key_bytes(text, (size_t)size), 0));
		}
		comparison = measure_compare(&bench->measure, faa_some_key, print_some_key, &growing);
		spread->median -= comparison.limit.median;
		spread->low -= comparison.limit.median;
		spread->high -= comparison.limit.median;
		report_point("find a random key, and faa", "keys", (double)count, "ns", spread);
		ems_heap_close(growing.heap);
	}
}

/* ---- processes ---- */

enum work { OWN_ELEMENT, ONE_ELEMENT, QUEUE, WORKS };

static void set_up(void *context, unsigned member)
{
	struct growing *growing = context;

	(void)member;
	need(ems_connect(&growing->connection, NULL));
	growing->heap = open_heap(growing->connection, growing->name);
}

static void work(void *context, unsigned member, unsigned kind, uint64_t count)
{
	struct growing *growing = context;
	ems_value_t value = ems_value_integer(1);

	for (uint64_t i = 0; i < count; i++) {
		if (kind == QUEUE) {
			need(ems_enqueue(growing->heap, &value, NULL));
			need(ems_dequeue_until(growing->heap, &value, EMS_FOREVER));
		} else {
			need(ems_faa_int64(growing->heap, ems_index(kind == OWN_ELEMENT ? 64 * (member + 1) : 0), 1, NULL));
		}
	}
}

static void measure_crew(struct bench *bench, crew_t *crew, unsigned members)
{
	static const char *const what[WORKS] = {"faa, an element each", "faa, one element", "enqueue and dequeue"};

	for (unsigned kind = 0; kind < WORKS; kind++) {
		uint64_t count = crew_calibrate(crew, &bench->measure, members, kind);
		double rates[MEASURE_TURNS_MAX];
		struct spread spread;

		for (unsigned i = 0; i < bench->measure.turns; i++)
			rates[i] = 1e3 * (double)count * members / crew_run(crew, members, kind, count);
		spread = spread_of(rates, bench->measure.turns);
		report_point(what[kind], "processes", members, "M/s", &spread);
	}
}

void row_curve_processes(struct bench *bench)
{
	unsigned most = (unsigned)BENCH_PICK(bench, 2, CREW_MAX, CREW_MAX);
	struct growing growing = {0};
	ems_value_t zero = ems_value_integer(0);
	crew_t *crew;

	growing.heap = new_heap(bench, &(ems_heap_options_t){.elements = 8192});
	need(ems_fill(growing.heap, 0, 8192, &zero, EMS_FULL, NULL));
	growing.name = ems_heap_name(growing.heap);
	crew = crew_start(most, &(struct crew_job){set_up, &growing, work});
	for (unsigned members = 1; members <= most; members *= 2)
		measure_crew(bench, crew, members);
	crew_end(crew);
	ems_heap_close(growing.heap);
}

/* ---- clients ---- */

static void ask(void *context, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		need(ems_ping(context, EMS_FOREVER));
}

void row_curve_clients(struct bench *bench)
{
	enum { MOST = 1000 };
	unsigned most = (unsigned)BENCH_PICK(bench, 10, 100, MOST), count = 0;
	struct measure measure = {bench->measure.turns, bench->measure.slice, true};
	static ems_connection_t *others[MOST];

	for (unsigned clients = 1; clients <= most; clients *= 10) {
		struct spread spread;

		for (; count + 1 < clients; count++)
			need(ems_connect(&others[count], NULL));
		spread = measure_alone(&measure, ask, bench->connection);
		report_point("a request's time", "clients", clients, "ns", &spread);
	}
	while (count > 0)
		ems_disconnect(others[--count]);
}
