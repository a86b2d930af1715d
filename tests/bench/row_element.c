/*
 * Rows of one thread on one element: reading, adding, counting, handing over, read locks, strings.
 */
#include <stdlib.h>
#include <string.h>

#include "client/emsctl/limit.h"
#include "tests/bench/bench.h"

#define ELEMENTS LIMIT_WORDS /* those that are read in turn; both fit into the first cache */
#define TEXT	 64	     /* bytes of a string */

struct state {
	ems_heap_t *heap;
	ems_value_t value;
	ems_value_t text;
	int64_t *counter; /* in a region */
	int64_t sum;
	char copy[TEXT];
	struct limit limit;
};

static struct state *start(struct bench *bench)
{
	struct state *state = aligned_alloc(4096, (sizeof(*state) + 4095) / 4096 * 4096);

	need_system(state != NULL, "memory");
	memset(state, 0, sizeof(*state));
	state->heap = new_heap(bench, &(ems_heap_options_t){.elements = ELEMENTS});
	for (int64_t i = 0; i < ELEMENTS; i++)
		need(ems_write_int64(state->heap, ems_index(i), i));
	return state;
}

static void finish(struct state *state)
{
	ems_value_clear(&state->value);
	ems_heap_close(state->heap);
	free(state);
}

/* ---- the limits, of the same state ---- */

static void load(void *context, uint64_t count)
{
	limit_load(&((struct state *)context)->limit, count);
}

static void cas(void *context, uint64_t count)
{
	limit_cas(&((struct state *)context)->limit, count);
}

static void locked_add(void *context, uint64_t count)
{
	limit_add(&((struct state *)context)->limit, count);
}

/* ---- reading ---- */

static void read_integer(void *context, uint64_t count)
{
	struct state *state = context;
	int64_t value = 0, sum = 0;

	for (uint64_t i = 0; i < count; i++) {
		need(ems_read_int64(state->heap, ems_index((int64_t)(i % ELEMENTS)), &value));
		sum += value;
	}
	state->sum += sum;
}

static void read_any(void *context, uint64_t count)
{
	struct state *state = context;

	for (uint64_t i = 0; i < count; i++)
		need(ems_read(state->heap, ems_index((int64_t)(i % ELEMENTS)), &state->value));
}

void row_read(struct bench *bench)
{
	struct state *state = start(bench);
	struct comparison comparison = measure_compare(&bench->measure, read_integer, load, state);

	report_comparison("read an integer", "an 8-byte load", &comparison, RATIO_AT_MOST, 2.5);
	comparison = measure_compare(&bench->measure, read_any, load, state);
	report_comparison("read a value of any type", "an 8-byte load", &comparison, TARGET_NONE, 0);
	finish(state);
}

/* ---- adding ---- */

static void faa_integer(void *context, uint64_t count)
{
	struct state *state = context;
	int64_t old;

	for (uint64_t i = 0; i < count; i++)
		need(ems_faa_int64(state->heap, ems_index(1), 1, &old));
}

static void faa_any(void *context, uint64_t count)
{
	struct state *state = context;
	ems_value_t one = ems_value_integer(1);

	for (uint64_t i = 0; i < count; i++)
		need(ems_faa(state->heap, ems_index(1), &one, &state->value));
}

void row_faa(struct bench *bench)
{
	struct state *state = start(bench);
	struct comparison comparison = measure_compare(&bench->measure, faa_integer, cas, state);

	report_comparison("faa of an integer", "faa by a 16-byte CAS", &comparison, RATIO_AT_MOST, 1.5);
	comparison = measure_compare(&bench->measure, faa_any, cas, state);
	report_comparison("faa of a value of any type", "faa by a 16-byte CAS", &comparison, TARGET_NONE, 0);
	finish(state);
}

static void count_up(void *context, uint64_t count)
{
	struct state *state = context;

	for (uint64_t i = 0; i < count; i++)
		(void)ems_counter_add(state->counter, 1);
}

void row_counter(struct bench *bench)
{
	ems_region_options_t options = {.size = 4096, .until_detached = true};
	struct state *state = start(bench);
	struct comparison comparison;
	ems_region_t *region;

	need(ems_region_open(bench->connection, "bench/counter", EMS_REPLACE, &options, &region));
	state->counter = ems_region_bytes(region, NULL);
	comparison = measure_compare(&bench->measure, count_up, locked_add, state);
	report_comparison("add to a counter in a region", "lock xadd", &comparison, RATIO_AT_MOST, 1.3);
	ems_region_close(region);
	finish(state);
}

/* ---- full and empty ---- */

static void hand_over(void *context, uint64_t count)
{
	struct state *state = context;
	ems_value_t one = ems_value_integer(1);

	for (uint64_t i = 0; i < count; i++) {
		need(ems_write_ef(state->heap, ems_index(2), &one));
		need(ems_read_fe(state->heap, ems_index(2), &state->value));
	}
}

void row_handover(struct bench *bench)
{
	struct state *state = start(bench);
	struct comparison comparison;

	need(ems_set_tag(state->heap, ems_index(2), EMS_EMPTY));
	comparison = measure_compare(&bench->measure, hand_over, cas, state);
	report_comparison("writeEF and readFE", "faa by a 16-byte CAS", &comparison, RATIO_AT_MOST, 2.6);
	finish(state);
}

static void lock_and_release(void *context, uint64_t count)
{
	struct state *state = context;

	for (uint64_t i = 0; i < count; i++) {
		need(ems_read_rw(state->heap, ems_index(3), &state->value));
		need(ems_release_rw(state->heap, ems_index(3), NULL));
	}
}

void row_readers(struct bench *bench)
{
	struct state *state = start(bench);
	struct comparison comparison = measure_compare(&bench->measure, lock_and_release, cas, state);

	report_comparison("readRW and releaseRW", "faa by a 16-byte CAS", &comparison, TARGET_NONE, 0);
	finish(state);
}

/* ---- strings ---- */

static void set_text(void *context, uint64_t count)
{
	struct state *state = context;

	for (uint64_t i = 0; i < count; i++)
		need(ems_write(state->heap, ems_index(4), &state->text));
}

static void get_text(void *context, uint64_t count)
{
	struct state *state = context;

	for (uint64_t i = 0; i < count; i++)
		need(ems_read(state->heap, ems_index(4), &state->value));
}

/* As many bytes, from shared words to a buffer; the compiler knows neither. */
static void copy_text(void *context, uint64_t count)
{
	struct state *state = context;
	void *volatile to = state->copy;
	const void *volatile from = state->limit.words;
	volatile size_t size = TEXT;

	for (uint64_t i = 0; i < count; i++)
		memcpy(to, from, size);
}

void row_string(struct bench *bench)
{
	struct state *state = start(bench);
	char text[TEXT];
	struct comparison comparison;
	struct figure figure = {.what = "get a string of 64 bytes, beyond its copy", .unit = "ns", .kind = VALUE_AT_MOST, .target = 10};
	double *of[] = {&figure.measured.median, &figure.measured.low, &figure.measured.high};

	memset(text, 'x', sizeof(text));
	state->text = ems_value_data(EMS_STRING, text, sizeof(text));
	comparison = measure_compare(&bench->measure, set_text, cas, state);
	report_comparison("set a string of 64 bytes", "faa by a 16-byte CAS", &comparison, RATIO_AT_MOST, 4);
	comparison = measure_compare(&bench->measure, get_text, copy_text, state);
	report_comparison("get a string of 64 bytes", "memcpy of 64 bytes", &comparison, TARGET_NONE, 0);
	*of[0] = comparison.measured.median - comparison.limit.median;
	*of[1] = comparison.measured.low - comparison.limit.median;
	*of[2] = comparison.measured.high - comparison.limit.median;
	report_figure(&figure);
	finish(state);
}
