/* The functions of <ems.h> on one element, in one form: see operations.h. */
#include "tests/kill/operations.h"

#include <string.h>

/* What waits for ever in a test would hang it. */
#define SOON ems_deadline_in(UINT64_C(20000000000))

/* Every function gets its results asked for where that changes what it does: a copy of the old value. */
static ems_value_t result = EMS_VALUE_INIT;
static int64_t old_number;
static double old_double;
static bool hit;
static ems_tag_t tag;

#define ROW(name, call)                                                                                    \
	static int name(ems_heap_t *heap, ems_key_t key, const ems_value_t *value, const ems_value_t *old) \
	{                                                                                                  \
		(void)value;                                                                               \
		(void)old;                                                                                 \
		return call;                                                                               \
	}

ROW(run_read, ems_read(heap, key, &result))
ROW(run_read_ff, ems_read_ff(heap, key, &result))
ROW(run_read_ff_until, ems_read_ff_until(heap, key, &result, SOON))
ROW(run_read_ff_until_now, ems_read_ff_until(heap, key, &result, EMS_NOW))
ROW(run_read_fe, ems_read_fe(heap, key, &result))
ROW(run_read_fe_until, ems_read_fe_until(heap, key, &result, SOON))
ROW(run_read_fe_for_nothing, ems_read_fe(heap, key, NULL))
ROW(run_write, ems_write(heap, key, value))
ROW(run_write_until, ems_write_until(heap, key, value, SOON))
ROW(run_write_xf, ems_write_xf(heap, key, value))
ROW(run_write_xf_until, ems_write_xf_until(heap, key, value, SOON))
ROW(run_write_xe, ems_write_xe(heap, key, value))
ROW(run_write_xe_until, ems_write_xe_until(heap, key, value, SOON))
ROW(run_write_ef, ems_write_ef(heap, key, value))
ROW(run_write_ef_until, ems_write_ef_until(heap, key, value, SOON))
ROW(run_set_tag, ems_set_tag(heap, key, EMS_EMPTY))
ROW(run_set_tag_until, ems_set_tag_until(heap, key, EMS_EMPTY, SOON))
ROW(run_set_tag_as_it_is, ems_set_tag(heap, key, EMS_FULL))
ROW(run_get_tag, ems_get_tag(heap, key, &tag))
ROW(run_faa, ems_faa(heap, key, value, NULL))
ROW(run_faa_until, ems_faa_until(heap, key, value, NULL, SOON))
ROW(run_faa_with_result, ems_faa(heap, key, value, &result))
ROW(run_cas, ems_cas(heap, key, old, value, NULL, &hit))
ROW(run_cas_until, ems_cas_until(heap, key, old, value, NULL, &hit, SOON))
ROW(run_cas_with_result, ems_cas(heap, key, old, value, &result, &hit))
ROW(run_cas_miss, ems_cas(heap, key, value, value, NULL, &hit))
ROW(run_swap, ems_swap(heap, key, value, NULL))
ROW(run_swap_until, ems_swap_until(heap, key, value, NULL, SOON))
ROW(run_swap_with_result, ems_swap(heap, key, value, &result))
ROW(run_and, ems_and(heap, key, 9, &old_number))
ROW(run_and_until, ems_and_until(heap, key, 9, &old_number, SOON))
ROW(run_or, ems_or(heap, key, 3, &old_number))
ROW(run_or_until, ems_or_until(heap, key, 3, &old_number, SOON))
ROW(run_xor, ems_xor(heap, key, 5, &old_number))
ROW(run_xor_until, ems_xor_until(heap, key, 5, &old_number, SOON))
ROW(run_min, ems_min(heap, key, value, NULL))
ROW(run_min_until, ems_min_until(heap, key, value, NULL, SOON))
ROW(run_max, ems_max(heap, key, value, NULL))
ROW(run_max_until, ems_max_until(heap, key, value, NULL, SOON))
ROW(run_read_int64, ems_read_int64(heap, key, &old_number))
ROW(run_read_double, ems_read_double(heap, key, &old_double))
ROW(run_write_int64, ems_write_int64(heap, key, 99))
ROW(run_write_double, ems_write_double(heap, key, 9.5))
ROW(run_faa_int64, ems_faa_int64(heap, key, 7, &old_number))
ROW(run_faa_double, ems_faa_double(heap, key, 0.5, &old_double))
ROW(run_cas_int64, ems_cas_int64(heap, key, 12, 13, &old_number, &hit))
ROW(run_cas_int64_miss, ems_cas_int64(heap, key, 11, 13, &old_number, &hit))
ROW(run_delete, ems_delete(heap, key))
ROW(run_delete_until, ems_delete_until(heap, key, SOON))
ROW(run_compare_delete, ems_compare_delete(heap, key, old, &hit))
ROW(run_compare_delete_miss, ems_compare_delete(heap, key, &(ems_value_t){.type = EMS_BOOLEAN}, &hit))
const struct operation_row operation_rows[] = {
	{"ems_read", "", run_read, NEVER_CHANGES},
	{"ems_read_ff", "", run_read_ff, NEVER_CHANGES | EXISTING},
	{"ems_read_ff_until", "", run_read_ff_until, NEVER_CHANGES | EXISTING},
	{"ems_read_ff_until", "now", run_read_ff_until_now, NEVER_CHANGES},
	{"ems_read_fe", "", run_read_fe, EXISTING},
	{"ems_read_fe_until", "", run_read_fe_until, EXISTING},
	{"ems_read_fe", "for nothing", run_read_fe_for_nothing, EXISTING},
	{"ems_write", "", run_write, TAKES_VALUE | FULL_MATRIX},
	{"ems_write_until", "", run_write_until, TAKES_VALUE},
	{"ems_write_xf", "", run_write_xf, TAKES_VALUE | FULL_MATRIX},
	{"ems_write_xf_until", "", run_write_xf_until, TAKES_VALUE},
	{"ems_write_xe", "", run_write_xe, TAKES_VALUE | FULL_MATRIX},
	{"ems_write_xe_until", "", run_write_xe_until, TAKES_VALUE},
	{"ems_write_ef", "", run_write_ef, TAKES_VALUE | EMPTY_FIRST | FULL_MATRIX},
	{"ems_write_ef_until", "", run_write_ef_until, TAKES_VALUE | EMPTY_FIRST},
	{"ems_set_tag", "", run_set_tag, 0},
	{"ems_set_tag_until", "", run_set_tag_until, 0},
	{"ems_set_tag", "as it is", run_set_tag_as_it_is, MAY_CHANGE},
	{"ems_get_tag", "", run_get_tag, NEVER_CHANGES},
	{"ems_faa", "", run_faa, TAKES_VALUE | FULL_MATRIX},
	{"ems_faa_until", "", run_faa_until, TAKES_VALUE},
	{"ems_faa", "with result", run_faa_with_result, TAKES_VALUE},
	{"ems_cas", "", run_cas, TAKES_VALUE | FULL_MATRIX},
	{"ems_cas_until", "", run_cas_until, TAKES_VALUE},
	{"ems_cas", "with result", run_cas_with_result, TAKES_VALUE},
	{"ems_cas", "miss", run_cas_miss, TAKES_VALUE | NEVER_CHANGES},
	{"ems_swap", "", run_swap, TAKES_VALUE | FULL_MATRIX},
	{"ems_swap_until", "", run_swap_until, TAKES_VALUE},
	{"ems_swap", "with result", run_swap_with_result, TAKES_VALUE},
	{"ems_and", "", run_and, NUMBERS | EXISTING},
	{"ems_and_until", "", run_and_until, NUMBERS | EXISTING},
	{"ems_or", "", run_or, NUMBERS | EXISTING},
	{"ems_or_until", "", run_or_until, NUMBERS | EXISTING},
	{"ems_xor", "", run_xor, NUMBERS | EXISTING},
	{"ems_xor_until", "", run_xor_until, NUMBERS | EXISTING},
	{"ems_min", "", run_min, NUMBERS | EXISTING},
	{"ems_min_until", "", run_min_until, NUMBERS | EXISTING},
	{"ems_max", "", run_max, NUMBERS | EXISTING | MAY_CHANGE},
	{"ems_max_until", "", run_max_until, NUMBERS | EXISTING | MAY_CHANGE},
	{"ems_read_int64", "", run_read_int64, NUMBERS | EXISTING | NEVER_CHANGES},
	{"ems_read_double", "", run_read_double, NUMBERS | EXISTING | NEVER_CHANGES},
	{"ems_write_int64", "", run_write_int64, 0},
	{"ems_write_double", "", run_write_double, 0},
	{"ems_faa_int64", "", run_faa_int64, NUMBERS},
	{"ems_faa_double", "", run_faa_double, NUMBERS},
	{"ems_cas_int64", "", run_cas_int64, NUMBERS | EXISTING},
	{"ems_cas_int64", "miss", run_cas_int64_miss, NUMBERS | EXISTING | NEVER_CHANGES},
	{"ems_delete", "", run_delete, KEYED | EXISTING},
	{"ems_delete_until", "", run_delete_until, KEYED | EXISTING},
	{"ems_compare_delete", "", run_compare_delete, KEYED | EXISTING},
	{"ems_compare_delete", "miss", run_compare_delete_miss, KEYED | EXISTING | NEVER_CHANGES},
};
const size_t operation_row_count = sizeof(operation_rows) / sizeof(operation_rows[0]);

const struct operation_row *operation_named(const char *function, const char *variant)
{
	for (size_t i = 0; i < operation_row_count; i++)
		if (strcmp(operation_rows[i].function, function) == 0 &&
		    strcmp(operation_rows[i].variant, variant) == 0)
			return &operation_rows[i];
	return NULL;
}
