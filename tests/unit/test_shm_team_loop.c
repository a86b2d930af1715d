/* Loops of a team: every iteration once, in all schedules, also when members leave or die. */
#include "tests/unit/team.h"

#define SIZE 1000

static struct test_team test;
static int64_t first_of, last_of;
static enum team_schedule schedule;
static uint64_t least;

/* Counts its iterations in shared[0..]. */
static int count_all(struct test_team *t, struct shm_teammate *member)
{
	for (uint64_t round = 1; round <= 20; round++) {
		struct shm_loop loop;
		int64_t first, last;
		int r;

		CHECK(shm_loop_begin(&loop, member, first_of, last_of, schedule, least, &patient) == 0);
		while ((r = shm_loop_next(&loop, &first, &last, &patient)) == 0) {
			CHECK(first < last && first >= first_of && last <= last_of);
			for (int64_t i = first; i < last; i++)
				(void)add64(&t->shared[(uint64_t)i - (uint64_t)first_of], 1);
		}
		CHECK(r == -ERROR_EMPTY);
		for (uint64_t i = 0; i < (uint64_t)last_of - (uint64_t)first_of; i++)
			CHECK(word(t, i) >= round);
		CHECK(shm_loop_next(&loop, &first, &last, &patient) == -ERROR_EMPTY);
		CHECK(shm_loop_end(&loop, &patient) == 0);
		CHECK(shm_team_barrier(member, &patient) == 0);
	}
	return 0;
}

static void play(uint32_t size, bool elastic, int64_t first, int64_t last)
{
	first_of = first;
	last_of = last;
	test_team_open(&test, size, elastic, SIZE);
	test_team_start_all(&test, count_all);
	test_team_finish(&test);
	for (uint64_t i = 0; i < SIZE; i++)
		ck_assert_uint_eq(word(&test, i), i < (uint64_t)last - (uint64_t)first ? 20 : 0);
	test_team_close(&test);
}

START_TEST(test_each_iteration_is_done_once)
{
	const enum team_schedule schedules[] = {TEAM_GUIDED, TEAM_DYNAMIC, TEAM_STATIC};

	for (size_t i = 0; i < ARRAY_SIZE(schedules); i++) {
		schedule = schedules[i];
		for (least = 1; least <= 49; least += 16) {
			play(4, least & 16, 0, SIZE);
			play(3, least & 16, -7, 3);
			play(5, least & 16, INT64_MIN, INT64_MIN + 100);
			play(5, least & 16, INT64_MAX - 101, INT64_MAX);
			play(4, least & 16, 5, 5);
			play(1, least & 16, 0, 10);
		}
	}
}
END_TEST

static int whole_range(struct test_team *t, struct shm_teammate *member)
{
	struct shm_loop loop;
	int64_t first, last;
	uint64_t sum = 0;

	/* A chunk that is most of what 64 bits can count. */
	CHECK(shm_loop_begin(&loop, member, INT64_MIN, INT64_MAX, schedule, UINT64_MAX / 3, &patient) == 0);
	while (shm_loop_next(&loop, &first, &last, &patient) == 0)
		sum += (uint64_t)last - (uint64_t)first;
	CHECK(shm_loop_end(&loop, &patient) == 0);
	(void)add64(&t->shared[0], sum);
	return 0;
}

START_TEST(test_bounds_may_be_the_largest_there_are)
{
	for (schedule = TEAM_GUIDED; schedule <= TEAM_STATIC; schedule++) {
		test_team_open(&test, 3, false, 1);
		test_team_start_all(&test, whole_range);
		test_team_finish(&test);
		ck_assert_uint_eq(word(&test, 0), UINT64_MAX);
		test_team_close(&test);
	}
}
END_TEST

static int nested(struct test_team *t, struct shm_teammate *member)
{
	struct shm_loop outer, inner;
	int64_t first, last, a, b;

	CHECK(shm_loop_begin(&outer, member, 0, 40, TEAM_DYNAMIC, 1, &patient) == 0);
	CHECK(shm_team_barrier(member, &patient) == -ERROR_DEADLOCK);
	while (shm_loop_next(&outer, &first, &last, &patient) == 0) {
		CHECK(shm_loop_begin(&inner, member, 3, 9, TEAM_STATIC, 1, &patient) == 0);
		CHECK(shm_loop_next(&inner, &a, &b, &patient) == 0 && a == 3 && b == 9);
		CHECK(shm_loop_next(&inner, &a, &b, &patient) == -ERROR_EMPTY);
		CHECK(shm_loop_end(&inner, &patient) == 0);
		(void)add64(&t->shared[0], (uint64_t)(last - first));
	}
	CHECK(shm_loop_end(&outer, &patient) == 0);
	return shm_team_barrier(member, &patient);
}

START_TEST(test_a_loop_inside_a_loop_is_the_callers)
{
	struct shm_loop loop;
	int64_t first, last;

	test_team_open(&test, 3, false, 1);
	test_team_start_all(&test, nested);
	test_team_finish(&test);
	ck_assert_uint_eq(word(&test, 0), 40);
	test_team_close(&test);
	ck_assert_int_eq(shm_loop_begin(&loop, NULL, -5, 5, TEAM_DYNAMIC, 1, &patient), 0);
	ck_assert_int_eq(shm_loop_next(&loop, &first, &last, &patient), 0);
	ck_assert(first == -5 && last == 5);
	ck_assert_int_eq(shm_loop_next(&loop, &first, &last, &patient), -ERROR_EMPTY);
	ck_assert_int_eq(shm_loop_end(&loop, &patient), 0);
}
END_TEST

static int of_two_kinds(struct test_team *t, struct shm_teammate *member)
{
	struct shm_loop loop;
	int r = shm_loop_begin(&loop, member, 0, 9, member->id ? TEAM_STATIC : TEAM_DYNAMIC, 1, &patient);

	CHECK(r == 0 || r == -ERROR_CONFLICT);
	(void)add64(&t->shared[r == 0], 1);
	return r == 0 ? shm_loop_end(&loop, &patient) : 0; /* the other one leaves */
}

START_TEST(test_members_that_disagree_are_told)
{
	test_team_open(&test, 2, false, 2);
	test_team_start_all(&test, of_two_kinds);
	test_team_finish(&test);
	ck_assert(word(&test, 0) == 1 && word(&test, 1) == 1);
	test_team_close(&test);
}
END_TEST

/* One that never comes to the loop and leaves: its share is done by the others, who wait already. */
static int with_one_missing(struct test_team *t, struct shm_teammate *member)
{
	if (member->id != 1)
		return count_all(t, member);
	WAIT_UNTIL(load32_acquire(&team_member(&t->team, 0)->helps) == 2 &&
		   load32_acquire(&team_member(&t->team, 2)->helps) == 2);
	return 0;
}

START_TEST(test_the_share_of_one_who_leaves_is_done)
{
	least = 1;
	for (schedule = TEAM_GUIDED; schedule <= TEAM_STATIC; schedule++) {
		first_of = 0;
		last_of = 100;
		test_team_open(&test, 3, false, SIZE);
		test_team_start_all(&test, with_one_missing);
		test_team_finish(&test);
		for (uint64_t i = 0; i < 100; i++)
			ck_assert_uint_eq(word(&test, i), 20);
		test_team_close(&test);
	}
}
END_TEST

/* ---- deaths ---- */

/* Member 1 stops in its first chunk; the others go on until they are told. */
static int with_a_death(struct test_team *t, struct shm_teammate *member)
{
	struct shm_loop loop;
	int64_t first, last;
	int r;

	CHECK(shm_loop_begin(&loop, member, 0, 100, schedule, 10, &patient) == 0);
	if (member->id != 1)
		WAIT_UNTIL(word(t, 200));
	while ((r = shm_loop_next(&loop, &first, &last, &patient)) == 0) {
		if (member->id == 1) {
			store64_release(&t->shared[201], (uint64_t)first);
			store64_release(&t->shared[202], (uint64_t)last);
			store64_release(&t->shared[200], 1);
			WAIT_UNTIL(false);
		}
		for (int64_t i = first; i < last; i++)
			(void)add64(&t->shared[i], 1);
	}
	if (t->team.layout.params.elastic) {
		CHECK(r == -ERROR_EMPTY);
	} else {
		struct team_loss loss;

		CHECK(r == -ERROR_BROKEN);
		CHECK(shm_team_loss(&t->team, 0, &loss) == 0 && loss.id == 1);
		CHECK((uint64_t)loss.first == word(t, 201) && (uint64_t)loss.last == word(t, 202));
	}
	CHECK(shm_loop_end(&loop, &patient) == 0);
	CHECK(shm_team_barrier(member, &patient) == 0);
	schedule = (schedule + 1) % 3;
	return count_all(t, member);
}

START_TEST(test_what_a_dead_member_held_is_told_or_done_by_others)
{
	first_of = 0;
	last_of = 100;
	least = 3;
	for (int run = 0; run < 6; run++) {
		bool elastic = run % 2;

		schedule = run / 2;
		test_team_open(&test, 4, elastic, SIZE);
		test_team_start_all(&test, with_a_death);
		/* All: who came to a loop that is broken already would be told of that by its begin. */
		WAIT_UNTIL(load32_acquire(&team_member(&test.team, 0)->helps) == 2 &&
			   load32_acquire(&team_member(&test.team, 2)->helps) == 2 &&
			   load32_acquire(&team_member(&test.team, 3)->helps) == 2);
		test_team_kill(&test, 1);
		test_team_finish(&test);
		for (uint64_t i = 0; i < 100; i++)
			ck_assert_uint_ge(word(&test, i), 20 + elastic);
		for (uint64_t i = 0; elastic && i < 100; i++)
			ck_assert_uint_eq(word(&test, i), 21);
		test_team_close(&test);
	}
}
END_TEST

/* Random deaths in an elastic team: no iteration is left out, in any round, by those who get through. */
static int under_fire(struct test_team *t, struct shm_teammate *member)
{
	uint64_t *done = t->shared, *round = &t->shared[SIZE - 1];

	for (;;) {
		struct shm_loop loop;
		int64_t first, last;
		uint64_t now = load64_acquire(round);

		if (member->id == 0 && shm_team_counted(&t->team) == 1)
			return 0;
		CHECK(shm_loop_begin(&loop, member, 0, 64, (enum team_schedule)(now % 3), now % 5, &patient) == 0);
		while (shm_loop_next(&loop, &first, &last, &patient) == 0)
			for (int64_t i = first; i < last; i++)
				store64_release(&done[i], now + 1);
		CHECK(shm_loop_end(&loop, &patient) == 0);
		for (int i = 0; i < 64; i++)
			CHECK(load64_acquire(&done[i]) == now + 1);
		CHECK(shm_team_barrier(member, &patient) == 0);
		(void)cas64(round, &now, now + 1);
		CHECK(shm_team_barrier(member, &patient) == 0);
	}
}

START_TEST(test_an_elastic_loop_is_whole_in_spite_of_deaths)
{
	uint64_t seed = unit_seed();

	for (int run = 0; run < 15; run++) {
		test_team_open(&test, 5, true, SIZE);
		test_team_start_all(&test, under_fire);
		for (uint32_t i = 1; i < 5; i++) {
			uint64_t until = i * 50 + unit_random(&seed) % 20;

			WAIT_UNTIL(word(&test, SIZE - 1) >= until);
			for (uint64_t n = unit_random(&seed) % 3000; n > 0; n--)
				cpu_relax();
			test_team_kill(&test, i);
		}
		test_team_finish(&test);
		test_team_close(&test);
	}
}
END_TEST

UNIT_MAIN("shm/team_loop", test_each_iteration_is_done_once, test_bounds_may_be_the_largest_there_are,
	  test_a_loop_inside_a_loop_is_the_callers, test_members_that_disagree_are_told,
	  test_the_share_of_one_who_leaves_is_done, test_what_a_dead_member_held_is_told_or_done_by_others,
	  test_an_elastic_loop_is_whole_in_spite_of_deaths)
