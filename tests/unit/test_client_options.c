/* What a new heap becomes from the options: defaults, limits, and the comparison with one that is there. */
#include <math.h>
#include <string.h>

#include "client/options.h"
#include "shm/layout.h"
#include "tests/unit/unit.h"

static struct proto_open translated(const ems_heap_options_t *options)
{
	struct proto_open open = {.how = PROTO_HOW_CREATE};

	ck_assert_int_eq(options_translate(options, &open), 0);
	return open;
}

START_TEST(test_defaults)
{
	struct proto_open list = translated(&(ems_heap_options_t){.elements = 10});
	struct proto_open map = translated(&(ems_heap_options_t){.map = true});

	ck_assert_uint_eq(list.params.elements, 10);
	ck_assert_uint_eq(list.params.max_elements, 1 << 20);
	ck_assert_uint_eq(list.params.storage, UINT64_C(1) << 30);
	ck_assert_uint_eq(list.mode, 0600);
	ck_assert_int_eq(list.params.tag, PROTO_TAG_FULL);
	ck_assert_int_eq(list.params.fill.type, PROTO_UNDEFINED);
	ck_assert_int_eq(list.lifetime, PROTO_LIFETIME_KEEP);
	ck_assert_uint_eq(map.params.elements, 1 << 20);
	ck_assert_uint_eq(map.params.max_elements, 16 << 20);
	ck_assert(map.params.has_map && !list.params.has_map);
}
END_TEST

/* Storage is stated as bytes alive and reserved with room to spare; never less than 64 MiB nor more than there can be. */
START_TEST(test_storage)
{
	const uint64_t table[][2] = {{1, UINT64_C(64) << 20},
				     {UINT64_C(100) << 20, UINT64_C(400) << 20},
				     {(UINT64_C(100) << 20) + 1, (UINT64_C(400) << 20) + UNIT},
				     {MAX_STORAGE / 4, MAX_STORAGE},
				     {MAX_STORAGE, MAX_STORAGE}};
	struct proto_open open = {0};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		ck_assert_uint_eq(translated(&(ems_heap_options_t){.elements = 1, .storage = table[i][0]})
					  .params.storage,
				  table[i][1]);
	ck_assert_int_eq(
		options_translate(&(ems_heap_options_t){.elements = 1, .storage = MAX_STORAGE + 1}, &open),
		-EMS_ERANGE);
}
END_TEST

/* What the defaults make of any allowed number has a layout. */
START_TEST(test_have_a_layout)
{
	uint64_t random = unit_seed();

	for (int i = 0; i < 2000; i++) {
		bool map = unit_random(&random) % 2;
		uint64_t most = map ? MAX_MAP_ELEMENTS : MAX_ELEMENTS;
		ems_heap_options_t options = {
			.elements = 1 + (unit_random(&random) >> (unit_random(&random) % 64)) % most,
			.storage = (unit_random(&random) >> (unit_random(&random) % 64)) % (MAX_STORAGE + 1),
			.map = map};
		struct proto_params params = translated(&options).params;
		struct layout layout;

		ck_assert_int_eq(
			layout_compute(&layout, &(struct heap_params){.elements = params.elements,
								      .max_elements = params.max_elements,
								      .storage = params.storage,
								      .initial_tag = TAG_FULL,
								      .has_map = map}),
			0);
	}
}
END_TEST

START_TEST(test_compare)
{
	ems_value_t nan = ems_value_float(NAN), minus = ems_value_float(-0.0), zero = ems_value_float(0.0);
	ems_value_t text = ems_value_string("fill");
	ems_heap_options_t with = {.elements = 5, .fill = &text};
	struct proto_params params = translated(&with).params;

	ck_assert_int_eq(options_compare(NULL, "x", &params), 0);
	ck_assert_int_eq(options_compare(&(ems_heap_options_t){0}, "x", &params), 0);
	ck_assert_int_eq(options_compare(&with, "x", &params), 0);
	ck_assert_int_eq(options_compare(&(ems_heap_options_t){.map = true}, "x", &params), -EMS_EMISMATCH);
	ck_assert_int_eq(options_compare(&(ems_heap_options_t){.elements = 6}, "x", &params), -EMS_EMISMATCH);
	ck_assert_str_eq(ems_last_error()->message, "heap \"x\" exists with 5 elements, not 6");
	ck_assert_int_eq(options_compare(&(ems_heap_options_t){.fill = &nan}, "x", &params), -EMS_EMISMATCH);
	with.fill = &nan;
	params = translated(&with).params;
	ck_assert_int_eq(options_compare(&with, "x", &params), 0); /* the same NaN */
	with.fill = &minus;
	params = translated(&with).params;
	ck_assert_int_eq(options_compare(&with, "x", &params), 0);
	with.fill = &zero;
	ck_assert_int_eq(options_compare(&with, "x", &params), -EMS_EMISMATCH);
}
END_TEST

UNIT_MAIN("client/options", test_defaults, test_storage, test_have_a_layout, test_compare)
