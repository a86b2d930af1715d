/* The arithmetic of segments: areas are apart, large enough, and refuse senseless parameters. */
#include <sys/mman.h>

#include "tests/unit/heap.h"
#include "tests/unit/unit.h"

static void assert_consistent(const struct layout *layout)
{
	uint64_t end = 0;

	for (enum area area = AREA_HEADER; area < AREA_COUNT; area++) {
		ck_assert_uint_eq(layout->offset[area] % UNIT, 0);
		ck_assert_uint_ge(layout->offset[area], end);
		end = layout->offset[area] + layout->size[area];
	}
	ck_assert_uint_ge(layout->segment_size, end);
	/* the commit map has a bit for each unit, the marks a byte for each 4096 bytes */
	ck_assert_uint_ge(layout->size[AREA_COMMIT] * 8, layout->segment_size / UNIT);
	if (layout->params.persistent)
		ck_assert_uint_ge(layout->size[AREA_MARKS], layout->segment_size >> MARK_PAGE_SHIFT);
}

START_TEST(test_areas_of_many_geometries)
{
	static const uint64_t elements[] = {1, 7, 1000, 4096, 100 * 1000 * 1000};

	for (size_t i = 0; i < ARRAY_SIZE(elements); i++)
		for (int map = 0; map < 2; map++)
			for (int persistent = 0; persistent < 2; persistent++) {
				struct heap_params params = test_params(elements[i], map);
				struct layout layout;

				params.persistent = persistent;
				ck_assert_int_eq(layout_compute(&layout, &params), 0);
				assert_consistent(&layout);
			}
}
END_TEST

START_TEST(test_tables_are_apart_and_inside)
{
	struct heap_params params = test_params(1000 * 1000, true);
	struct layout layout;
	uint64_t end;

	ck_assert_int_eq(layout_compute(&layout, &params), 0);
	ck_assert_uint_ge(layout.tables, 2);
	end = layout.offset[AREA_TABLES];
	for (uint32_t id = 0; id < layout.tables; id++) {
		ck_assert_uint_eq(layout_table_offset(&layout, id), end);
		end += align_up(layout_table_slots(&layout, id) * 8, UNIT);
	}
	ck_assert_uint_le(end, layout.offset[AREA_TABLES] + layout.size[AREA_TABLES]);
	/* the last table takes every key at half load */
	ck_assert_uint_ge(layout_table_slots(&layout, layout.tables - 1), 2 * params.max_elements);
}
END_TEST

START_TEST(test_senseless_parameters_are_refused)
{
	struct heap_params good = test_params(10, true), bad;
	struct layout layout;

#define REFUSED(change)                                                                                      \
	do {                                                                                                 \
		bad = good;                                                                                  \
		bad.change;                                                                                  \
		ck_assert_int_eq(layout_compute(&layout, &bad), -ERROR_RANGE);                               \
	} while (0)

	REFUSED(elements = 0);
	REFUSED(elements = good.max_elements + 1);
	REFUSED(max_elements = MAX_MAP_ELEMENTS + 1);
	REFUSED(max_elements = UINT64_MAX);
	REFUSED(storage = 0);
	REFUSED(storage = UNIT + 1);
	REFUSED(storage = MAX_STORAGE + UNIT);
	REFUSED(storage = UINT64_MAX - UNIT + 1);
	REFUSED(fill_type = TYPE_FILL);
	REFUSED(fill_size = 1);
	REFUSED(initial_tag = TAG_BUSY);
#undef REFUSED
	bad = good;
	bad.fill_type = TYPE_STRING;
	bad.fill_size = MAX_FILL + 1;
	ck_assert_int_eq(layout_compute(&layout, &bad), -ERROR_RANGE);
	ck_assert_int_eq(layout_compute(&layout, &good), 0);
}
END_TEST

START_TEST(test_what_is_a_cell)
{
	struct heap_params params = test_params(10, true);
	struct layout layout;
	uint64_t elements;

	ck_assert_int_eq(layout_compute(&layout, &params), 0);
	elements = layout.offset[AREA_ELEMENTS];
	ck_assert(layout_is_cell(&layout, elements));
	ck_assert(layout_is_cell(&layout, elements + 39 * 32));
	ck_assert(!layout_is_cell(&layout, elements + 40 * 32));
	ck_assert(!layout_is_cell(&layout, elements + 16)); /* the key beside it */
	ck_assert(!layout_is_cell(&layout, elements + 8));
	ck_assert(!layout_is_cell(&layout, 0));
	ck_assert(layout_is_cell(&layout, layout.offset[AREA_RING] + 16));
	ck_assert(!layout_is_cell(&layout, UINT64_MAX - 15));
}
END_TEST

/* Creating a heap of a hundred million elements costs no more memory than a small one. */
START_TEST(test_creation_is_sparse)
{
	struct heap_params params = test_params(100 * 1000 * 1000, true);
	struct test_heap heap;

	params.storage = (uint64_t)1 << 34;
	test_heap_open(&heap, &params);
	ck_assert_uint_le(shm_committed_bytes(&heap.seg), 4 * 1024 * 1024);
	test_heap_close(&heap);
}
END_TEST

START_TEST(test_a_foreign_file_is_not_mapped)
{
	struct heap_params params = test_params(10, false), other = test_params(11, false), large = test_params(100000, false);
	struct shm_segment seg;
	struct test_heap heap;
	int plain;

	test_heap_open(&heap, &params);
	ck_assert_int_eq(shm_segment_map(&seg, heap.fd, &other, true), -ERROR_CORRUPT); /* same size, another geometry */
	ck_assert_int_eq(shm_segment_map(&seg, heap.fd, &large, true), -ERROR_CORRUPT); /* another size */
	shm_header(&heap.seg)->version = SEGMENT_VERSION + 1;
	ck_assert_int_eq(shm_segment_map(&seg, heap.fd, &params, true), -ERROR_VERSION);
	shm_header(&heap.seg)->version = SEGMENT_VERSION;
	shm_header(&heap.seg)->magic++;
	ck_assert_int_eq(shm_segment_map(&seg, heap.fd, &params, true), -ERROR_CORRUPT);

	/* right size, but not sealed: it could shrink under our feet */
	plain = memfd_create("unsealed", MFD_CLOEXEC);
	ck_assert_int_eq(ftruncate(plain, (off_t)heap.seg.layout.segment_size), 0);
	ck_assert_int_eq(shm_segment_map(&seg, plain, &params, true), -ERROR_CORRUPT);
	close(plain);
	ck_assert_int_lt(shm_segment_map(&seg, -1, &params, true), 0);
	test_heap_close(&heap);
}
END_TEST

UNIT_MAIN("shm/layout", test_areas_of_many_geometries, test_tables_are_apart_and_inside,
	  test_senseless_parameters_are_refused, test_what_is_a_cell, test_creation_is_sparse,
	  test_a_foreign_file_is_not_mapped)
