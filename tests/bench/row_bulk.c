/*
 * Many elements at once: ranges of doubles beside memcpy, and the loops of STREAM over private memory, a region, and a heap.
 */
#include <stdlib.h>
#include <string.h>

#include "shm/atomic.h"
#include "tests/bench/bench.h"

#define CELL 16 /* bytes of an element */

struct range {
	ems_heap_t *heap;
	uint64_t elements;
	double *numbers;
	char *from, *to; /* as many bytes as the cells have */
};

static void read_range(void *context, uint64_t count)
{
	struct range *range = context;

	for (uint64_t i = 0; i < count; i++)
		need(ems_read_range_double(range->heap, 0, range->elements, range->numbers, NULL));
}

static void write_range(void *context, uint64_t count)
{
	struct range *range = context;

	for (uint64_t i = 0; i < count; i++)
		need(ems_write_range_double(range->heap, 0, range->elements, range->numbers, NULL));
}

static void fill_range(void *context, uint64_t count)
{
	struct range *range = context;
	ems_value_t value = ems_value_float(1.5);

	for (uint64_t i = 0; i < count; i++)
		need(ems_fill(range->heap, 0, range->elements, &value, 0, NULL));
}

static void copy_cells(void *context, uint64_t count)
{
	struct range *range = context;

	for (uint64_t i = 0; i < count; i++)
		memcpy(range->to, range->from, range->elements * CELL);
}

/* The same number of compare-and-swaps as there are elements, on memory that is as large. */
static void swap_cells(void *context, uint64_t count)
{
	struct range *range = context;

	for (uint64_t i = 0; i < count; i++) {
		for (uint64_t k = 0; k < range->elements; k++) {
			struct pair *pair = (struct pair *)(void *)(range->from + k * CELL), seen = *pair;

			(void)cas_pair(pair, &seen, (struct pair){seen.low + 1, i});
		}
	}
}

static void *memory(size_t size)
{
	void *bytes = aligned_alloc(4096, (size + 4095) / 4096 * 4096);

	need_system(bytes != NULL, "memory");
	memset(bytes, 1, size);
	return bytes;
}

void row_bulk(struct bench *bench)
{
	struct range range = {.elements = (uint64_t)BENCH_PICK(bench, 1000, 1000000, 1000000)};
	struct measure measure = {BENCH_PICK(bench, 5, 15, 31), 5000000, false};
	struct comparison comparison;

	range.heap = new_heap(bench, &(ems_heap_options_t){.elements = range.elements});
	range.numbers = memory(range.elements * sizeof(double));
	range.from = memory(range.elements * CELL);
	range.to = memory(range.elements * CELL);
	for (uint64_t i = 0; i < range.elements; i++)
		range.numbers[i] = (double)i;
	write_range(&range, 1);
	comparison = measure_compare(&measure, read_range, copy_cells, &range);
	report_comparison("read a million doubles", "memcpy of the cells", &comparison, RATIO_AT_MOST, 1.5);
	for (uint64_t i = 0; i < range.elements; i++) {
		if (range.numbers[i] == (double)i)
			continue;
		fprintf(stderr, "bench: element %llu reads as %g\n", (unsigned long long)i, range.numbers[i]);
		exit(1);
	}
	comparison = measure_compare(&measure, write_range, swap_cells, &range);
	report_comparison("write a million doubles", "a 16-byte CAS of each cell", &comparison, TARGET_NONE, 0);
	comparison = measure_compare(&measure, fill_range, swap_cells, &range);
	report_comparison("fill a million elements", "a 16-byte CAS of each cell", &comparison, TARGET_NONE, 0);
	ems_heap_close(range.heap);
	free(range.numbers);
	free(range.from);
	free(range.to);
}

/* ---- STREAM ---- */

#define BLOCK  1024 /* numbers taken from the heap at once */
#define SCALAR 3.0

enum kernel { COPY, SCALE, ADD, TRIAD, KERNELS };

struct arrays {
	ems_heap_t *heap; /* array k has the elements from k * numbers on */
	uint64_t numbers;
	double *own[3], *region[3];
	enum kernel kernel;
};

static void __attribute__((noinline)) run_kernel(enum kernel kernel, double *a, double *b, double *c, uint64_t count)
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

static void in_private_memory(void *context, uint64_t count)
{
	struct arrays *arrays = context;

	for (uint64_t i = 0; i < count; i++)
		run_kernel(arrays->kernel, arrays->own[0], arrays->own[1], arrays->own[2], arrays->numbers);
}

static void in_region(void *context, uint64_t count)
{
	struct arrays *arrays = context;

	for (uint64_t i = 0; i < count; i++)
		run_kernel(arrays->kernel, arrays->region[0], arrays->region[1], arrays->region[2], arrays->numbers);
}

/* Blocks of the heap are read, worked on and written. */
static void in_heap(void *context, uint64_t count)
{
	static const struct {
		bool reads[3];
		unsigned writes;
	} uses[KERNELS] = {{{true, false, false}, 2}, {{false, false, true}, 1}, {{true, true, false}, 2}, {{false, true, true}, 0}};
	struct arrays *arrays = context;
	static double block[3][BLOCK];
	unsigned writes = uses[arrays->kernel].writes;

	for (uint64_t first = 0; count > 0; first = first + BLOCK < arrays->numbers ? first + BLOCK : (count--, 0)) {
		uint64_t size = arrays->numbers - first < BLOCK ? arrays->numbers - first : BLOCK;

		for (unsigned k = 0; k < 3; k++)
			if (uses[arrays->kernel].reads[k])
				need(ems_read_range_double(arrays->heap, k * arrays->numbers + first, size, block[k], NULL));
		run_kernel(arrays->kernel, block[0], block[1], block[2], size);
		need(ems_write_range_double(arrays->heap, writes * arrays->numbers + first, size, block[writes], NULL));
	}
}

void row_stream(struct bench *bench)
{
	static const char *const what[KERNELS][2] = {{"STREAM copy in a region", "STREAM copy in a heap of doubles"},
						     {"STREAM scale in a region", "STREAM scale in a heap of doubles"},
						     {"STREAM add in a region", "STREAM add in a heap of doubles"},
						     {"STREAM triad in a region", "STREAM triad in a heap of doubles"}};
	struct arrays arrays = {.numbers = (uint64_t)BENCH_PICK(bench, 2048, 1000000, 4000000)};
	struct measure measure = {BENCH_PICK(bench, 5, 9, 15), 5000000, false};
	uint64_t array = (arrays.numbers * sizeof(double) + 4095) / 4096 * 4096;
	ems_region_options_t options = {.size = 3 * array, .until_detached = true};
	ems_region_t *region;
	char *bytes;

	need(ems_region_open(bench->connection, "bench/stream", EMS_REPLACE, &options, &region));
	bytes = ems_region_bytes(region, NULL);
	arrays.heap = new_heap(bench, &(ems_heap_options_t){.elements = 3 * arrays.numbers});
	for (unsigned k = 0; k < 3; k++) {
		arrays.own[k] = memory(array);
		arrays.region[k] = (double *)(void *)(bytes + k * array);
		for (uint64_t i = 0; i < arrays.numbers; i++)
			arrays.own[k][i] = arrays.region[k][i] = 1.0;
		need(ems_write_range_double(arrays.heap, k * arrays.numbers, arrays.numbers, arrays.own[k], NULL));
	}
	for (arrays.kernel = COPY; arrays.kernel < KERNELS; arrays.kernel++) {
		struct comparison comparison = measure_compare(&measure, in_region, in_private_memory, &arrays);

		report_comparison(what[arrays.kernel][0], "private memory", &comparison, RATIO_AT_MOST, 1.05);
		comparison = measure_compare(&measure, in_heap, in_private_memory, &arrays);
		report_comparison(what[arrays.kernel][1], "private memory", &comparison, TARGET_NONE, 0);
	}
	ems_region_close(region);
	ems_heap_close(arrays.heap);
	for (unsigned k = 0; k < 3; k++)
		free(arrays.own[k]);
}
