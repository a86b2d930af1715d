/* Critical sections of a team. */
#include "tests/unit/team.h"

static struct test_team test;

static uint32_t section_of(struct shm_team *team, const char *name)
{
	uint32_t section;

	CHECK(shm_section_find(team, name, strlen(name), &section) == 0);
	return section;
}

/* shared[0]: inside; [1]: times; [2], [3]: two halves that only the section keeps equal. */
static int one_at_a_time(struct test_team *t, struct shm_teammate *member)
{
	uint32_t section = section_of(&t->team, "only one"), other = section_of(&t->team, "another");
	bool died;

	CHECK(section != other);
	for (int i = 0; i < 2000; i++) {
		CHECK(shm_section_enter(member, section, &died, &patient) == 0 && !died);
		CHECK(add64(&t->shared[0], 1) == 0);
		t->shared[2]++;
		CHECK(shm_section_enter(member, section, &died, &patient) == -ERROR_DEADLOCK);
		CHECK(shm_section_enter(member, other, &died, &patient) == 0);
		t->shared[3]++;
		CHECK(shm_section_leave(member, other) == 0);
		CHECK(t->shared[2] == t->shared[3]);
		(void)sub64(&t->shared[0], 1);
		CHECK(shm_section_leave(member, section) == 0);
		CHECK(shm_section_leave(member, section) == -ERROR_INVALID);
	}
	return 0;
}

START_TEST(test_one_at_a_time)
{
	test_team_open(&test, 5, false, 4);
	test_team_start_all(&test, one_at_a_time);
	test_team_finish(&test);
	ck_assert_uint_eq(word(&test, 2), 10000);
	test_team_close(&test);
}
END_TEST

static bool waits(const struct shm_team *team, uint32_t id)
{
	return load64_acquire(&team_member(team, id)->waits) != 0;
}

/* They come in the order of their ids, each when the one before is in line. */
static int in_order(struct test_team *t, struct shm_teammate *member)
{
	uint32_t section = section_of(&t->team, "line");
	bool died;

	if (member->id > 0)
		WAIT_UNTIL(member->id == 1 ? word(t, 1) : waits(&t->team, member->id - 1));
	CHECK(shm_section_enter(member, section, &died, &patient) == 0);
	CHECK(add64(&t->shared[0], 1) == member->id);
	store64_release(&t->shared[1], 1);
	if (member->id == 0)
		WAIT_UNTIL(waits(&t->team, 5));
	return shm_section_leave(member, section);
}

START_TEST(test_first_come_first_served)
{
	test_team_open(&test, 6, false, 2);
	test_team_start_all(&test, in_order);
	test_team_finish(&test);
	ck_assert_uint_eq(word(&test, 0), 6);
	test_team_close(&test);
}
END_TEST

/* Member 0 is inside; 1 gives up; 2 gets it all the same. */
static int gives_up(struct test_team *t, struct shm_teammate *member)
{
	uint32_t section = section_of(&t->team, "x");
	bool died;

	if (member->id == 0) {
		CHECK(shm_section_enter(member, section, &died, &patient) == 0);
		store64_release(&t->shared[0], 1);
		WAIT_UNTIL(word(t, 1) && waits(&t->team, 2));
		return shm_section_leave(member, section);
	}
	WAIT_UNTIL(word(t, 0));
	if (member->id == 1) {
		CHECK(shm_section_enter(member, section, &died, &impatient) == -ERROR_TIMEOUT);
		CHECK(shm_section_enter(member, section, &died,
					&(struct team_call){.deadline = clock_deadline(NS_PER_MS)}) == -ERROR_TIMEOUT);
		store64_release(&t->shared[1], 1);
		return 0;
	}
	CHECK(shm_section_enter(member, section, &died, &patient) == 0 && !died);
	return shm_section_leave(member, section);
}

START_TEST(test_who_gives_up_leaves_the_line)
{
	test_team_open(&test, 3, false, 2);
	test_team_start_all(&test, gives_up);
	test_team_finish(&test);
	test_team_close(&test);
}
END_TEST

static int impatiently(struct test_team *t, struct shm_teammate *member)
{
	uint32_t section = section_of(&t->team, "x");
	uint64_t seed = t->shared[3] + member->id, entered = 0;
	bool died;

	while (entered < 500) {
		uint64_t pause = unit_random(&seed) % 4 * 10000;
		int r = shm_section_enter(member, section, &died,
					  &(struct team_call){.deadline = pause ? clock_deadline(pause) : 0});

		CHECK(r == 0 || r == -ERROR_TIMEOUT);
		if (r < 0)
			continue;
		CHECK(add64(&t->shared[0], 1) == 0);
		entered++;
		(void)sub64(&t->shared[0], 1);
		CHECK(shm_section_leave(member, section) == 0);
	}
	return 0;
}

START_TEST(test_deadlines_and_gifts_cross)
{
	test_team_open(&test, 4, false, 4);
	test.shared[3] = unit_seed();
	test_team_start_all(&test, impatiently);
	test_team_finish(&test);
	test_team_close(&test);
}
END_TEST

/* Member 0 dies inside; 1 dies in line; 2 is told of 0, 3 of nothing. */
static int after_a_death(struct test_team *t, struct shm_teammate *member)
{
	uint32_t section = section_of(&t->team, "x");
	bool died;

	if (member->id > 0)
		WAIT_UNTIL(member->id == 1 ? word(t, 0) : waits(&t->team, member->id - 1));
	CHECK(shm_section_enter(member, section, &died, &patient) == 0);
	store64_release(&t->shared[0], 1);
	if (member->id == 0)
		WAIT_UNTIL(false);
	CHECK(member->id >= 2);
	CHECK(died == (member->id == 2));
	return shm_section_leave(member, section);
}

START_TEST(test_the_next_one_is_told_of_a_death)
{
	for (int elastic = 0; elastic < 2; elastic++) {
		test_team_open(&test, 4, elastic, 1);
		test_team_start_all(&test, after_a_death);
		WAIT_UNTIL(waits(&test.team, 3));
		test_team_kill(&test, 1);
		test_team_kill(&test, 0);
		test_team_finish(&test);
		test_team_close(&test);
	}
}
END_TEST

/* shared[0]: inside; killed ones leave it at 1, and who is told sets it right. */
static int under_fire(struct test_team *t, struct shm_teammate *member)
{
	uint32_t section = section_of(&t->team, "x");
	bool died;

	while (shm_team_counted(&t->team) > 1) {
		CHECK(shm_section_enter(member, section, &died, &patient) == 0);
		if (died)
			store64_release(&t->shared[0], 0);
		CHECK(add64(&t->shared[0], 1) == 0);
		(void)add64(&t->shared[1], 1);
		(void)sub64(&t->shared[0], 1);
		CHECK(shm_section_leave(member, section) == 0);
		if (!t->team.layout.params.elastic)
			(void)shm_team_barrier(member, &impatient);
	}
	return 0;
}

START_TEST(test_sections_under_fire)
{
	uint64_t seed = unit_seed();

	for (int run = 0; run < 20; run++) {
		test_team_open(&test, 6, run % 2, 2);
		test_team_start_all(&test, under_fire);
		/* Who dies before he has come to a team that is still forming leaves his place to another, for whom the rest waits. */
		WAIT_UNTIL(word(&test, 1) > 0);
		for (uint32_t i = 1; i < 6; i++) {
			uint64_t until = word(&test, 1) + unit_random(&seed) % 300;

			WAIT_UNTIL(word(&test, 1) >= until);
			for (uint64_t n = unit_random(&seed) % 3000; n > 0; n--)
				cpu_relax();
			test_team_kill(&test, i);
		}
		/* The survivor may meet the last dead only here: nobody has to wait for that one. BUSY: it recovers another
		 * just now, and may have looked at this one before. */
		while (run % 2 && shm_team_recover(&test.team) == -ERROR_BUSY)
			(void)sched_yield();
		test_team_finish(&test);
		test_team_close(&test);
	}
}
END_TEST

START_TEST(test_there_are_so_many_names)
{
	char name[300];
	uint32_t section, again;

	test_team_open(&test, 1, false, 1);
	for (uint32_t i = 0; i < TEAM_SECTIONS; i++) {
		(void)snprintf(name, sizeof(name), "section %u", i);
		ck_assert_int_eq(shm_section_find(&test.team, name, strlen(name), &section), 0);
		ck_assert_int_eq(shm_section_find(&test.team, name, strlen(name), &again), 0);
		ck_assert_uint_eq(section, again);
		ck_assert_str_eq(team_header(&test.team)->sections[section].name, name);
	}
	ck_assert_int_eq(shm_section_find(&test.team, "one more", 8, &section), -ERROR_LIMIT);
	memset(name, 'x', sizeof(name));
	ck_assert_int_eq(shm_section_find(&test.team, name, 256, &section), -ERROR_NAME);
	ck_assert_int_eq(shm_section_find(&test.team, name, 0, &section), -ERROR_NAME);
	test_team_close(&test);
}
END_TEST

UNIT_MAIN("shm/team_section", test_one_at_a_time, test_first_come_first_served, test_who_gives_up_leaves_the_line,
	  test_deadlines_and_gifts_cross, test_the_next_one_is_told_of_a_death, test_sections_under_fire,
	  test_there_are_so_many_names)
