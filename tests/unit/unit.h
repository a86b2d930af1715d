/*
 * unit.h: the main function of a unit test program, and its random seed.
 *
 *     START_TEST(test_something) { ck_assert_int_eq(…); } END_TEST
 *     UNIT_MAIN("base/text", test_something, test_another)
 *
 * Each test runs in a forked process of its own (CK_FORK=no turns that off, for debuggers); the time
 * limit of one is CK_DEFAULT_TIMEOUT seconds.
 */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"

/* The seed of this test's random numbers, printed; EMS_TEST_SEED repeats a run. */
static inline uint64_t unit_seed(void)
{
	const char *given = getenv("EMS_TEST_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : clock_now() ^ ((uint64_t)getpid() << 40);

	printf("EMS_TEST_SEED=%llu\n", (unsigned long long)seed);
	fflush(stdout);
	return seed;
}

/* The next of a sequence of random numbers (splitmix64); state starts as the seed. */
static inline uint64_t unit_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static inline int unit_run(const char *name, const TTest *const *tests, size_t count)
{
	Suite *suite = suite_create(name);
	TCase *tcase = tcase_create(name);
	SRunner *runner;
	int failed;

	for (size_t i = 0; i < count; i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#define UNIT_MAIN(name, ...)                                                                                 \
	int main(void)                                                                                       \
	{                                                                                                    \
		const TTest *const tests[] = {__VA_ARGS__};                                                  \
                                                                                                             \
		return unit_run((name), tests, sizeof(tests) / sizeof(tests[0]));                            \
	}

#endif
