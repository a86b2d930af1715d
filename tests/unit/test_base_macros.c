/* Alignment and checked arithmetic at their edges. */
#include "base/macros.h"
#include "tests/unit/unit.h"

START_TEST(array_size_counts)
{
	int three[3];
	char text[] = "four";

	ck_assert_uint_eq(ARRAY_SIZE(three), 3);
	ck_assert_uint_eq(ARRAY_SIZE(text), 5);
}
END_TEST

START_TEST(min_max_evaluate_once)
{
	int a = 1, b = 5;

	ck_assert_int_eq(MIN(a++, b), 1);
	ck_assert_int_eq(a, 2);
	ck_assert_int_eq(MAX(a, b--), 5);
	ck_assert_int_eq(b, 4);
}
END_TEST

START_TEST(powers_of_2)
{
	ck_assert(!is_power_of_2(0));
	ck_assert(is_power_of_2(1));
	ck_assert(!is_power_of_2(3));
	ck_assert(is_power_of_2(UINT64_C(1) << 63));
	ck_assert(!is_power_of_2(UINT64_MAX));
}
END_TEST

START_TEST(alignment)
{
	uint64_t result;

	ck_assert_uint_eq(align_up(0, 16), 0);
	ck_assert_uint_eq(align_up(1, 16), 16);
	ck_assert_uint_eq(align_up(16, 16), 16);
	ck_assert_uint_eq(align_down(31, 16), 16);
	ck_assert(!align_up_overflows(4095, 4096, &result));
	ck_assert_uint_eq(result, 4096);
	ck_assert(!align_up_overflows(UINT64_MAX - 15, 16, &result));
	ck_assert_uint_eq(result, UINT64_MAX - 15);
	ck_assert(align_up_overflows(UINT64_MAX - 14, 16, &result));
	ck_assert(align_up_overflows(UINT64_MAX, 4096, &result));
}
END_TEST

START_TEST(checked_arithmetic)
{
	uint32_t small;
	uint64_t large;

	ck_assert(!ADD_OVERFLOWS(UINT32_MAX - 1, 1u, &small));
	ck_assert(ADD_OVERFLOWS(UINT32_MAX, 1u, &small));
	ck_assert(SUB_OVERFLOWS(1u, 2u, &small));
	ck_assert(!MUL_OVERFLOWS(UINT32_MAX, UINT32_MAX, &large));
	ck_assert(MUL_OVERFLOWS(UINT64_MAX, 2u, &large));
	/* The exact result counts, not the type of the operands. */
	ck_assert(ADD_OVERFLOWS(-1, 0, &large));
}
END_TEST

UNIT_MAIN("base/macros", array_size_counts, min_max_evaluate_once, powers_of_2, alignment, checked_arithmetic)
