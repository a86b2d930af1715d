/* Deadlines, and above all their ends. */
#include "base/clock.h"
#include "tests/unit/unit.h"

START_TEST(time_does_not_go_back)
{
	uint64_t last = clock_now();

	for (int i = 0; i < 100000; i++) {
		uint64_t now = clock_now();

		ck_assert_uint_ge(now, last);
		last = now;
	}
}
END_TEST

START_TEST(sums_saturate)
{
	ck_assert_uint_eq(clock_add(1, 2), 3);
	ck_assert_uint_eq(clock_add(UINT64_MAX - 1, 1), CLOCK_NEVER);
	ck_assert_uint_eq(clock_add(UINT64_MAX - 1, 2), CLOCK_NEVER);
	ck_assert_uint_eq(clock_add(CLOCK_NEVER, 0), CLOCK_NEVER);
	ck_assert_uint_eq(clock_add(0, CLOCK_NEVER), CLOCK_NEVER);
	ck_assert_uint_eq(clock_deadline(CLOCK_NEVER), CLOCK_NEVER);
	ck_assert_uint_eq(clock_deadline(CLOCK_NEVER - 1), CLOCK_NEVER);
}
END_TEST

START_TEST(never_is_never)
{
	ck_assert(!clock_passed(CLOCK_NEVER));
	ck_assert_uint_eq(clock_left(CLOCK_NEVER), CLOCK_NEVER);
}
END_TEST

START_TEST(past_deadlines_have_passed)
{
	uint64_t now = clock_now();

	ck_assert(clock_passed(0));
	ck_assert(clock_passed(now));
	ck_assert_uint_eq(clock_left(0), 0);
	ck_assert_uint_eq(clock_left(now), 0);
}
END_TEST

START_TEST(coming_deadlines_have_not)
{
	uint64_t before = clock_now();
	uint64_t deadline = clock_deadline(3600 * NS_PER_S);

	ck_assert_uint_ge(deadline, before + 3600 * NS_PER_S);
	ck_assert(!clock_passed(deadline));
	ck_assert_uint_gt(clock_left(deadline), 0);
	ck_assert_uint_le(clock_left(deadline), 3600 * NS_PER_S);
}
END_TEST

START_TEST(timespec_is_exact_and_valid)
{
	struct timespec t = clock_timespec(5 * NS_PER_S + 7);

	ck_assert_int_eq(t.tv_sec, 5);
	ck_assert_int_eq(t.tv_nsec, 7);
	t = clock_timespec(CLOCK_NEVER);
	ck_assert_int_gt(t.tv_sec, 0);
	ck_assert_int_ge(t.tv_nsec, 0);
	ck_assert_int_lt(t.tv_nsec, 1000000000);
}
END_TEST

UNIT_MAIN("base/clock", time_does_not_go_back, sums_saturate, never_is_never, past_deadlines_have_passed,
	  coming_deadlines_have_not, timespec_is_exact_and_valid)
