/* Teams: forming, barriers, singles, leaving, deaths. */
#include <pthread.h>

#include "tests/unit/team.h"

static struct test_team test;

static bool has_arrived(uint32_t id, uint32_t epoch)
{
	return load32_acquire(&team_member(&test.team, id)->arrived) == epoch + 1;
}

static uint32_t epoch_now(void)
{
	return state_epoch(load64_acquire(&team_header(&test.team)->state.low));
}

/* ---- forming ---- */

static int note_id(struct test_team *t, struct shm_teammate *member)
{
	(void)add64(&t->shared[member->id], 1);
	return 0;
}

START_TEST(test_a_team_forms_with_ids_of_its_own)
{
	test_team_open(&test, 5, false, 5);
	test_team_start_all(&test, note_id);
	test_team_finish(&test);
	for (uint32_t i = 0; i < 5; i++)
		ck_assert_uint_eq(word(&test, i), 1);
	test_team_close(&test);
}
END_TEST

START_TEST(test_join_that_times_out_frees_its_place)
{
	struct shm_teammate member;

	test_team_open(&test, 2, false, 2);
	ck_assert_int_eq(shm_team_join(&member, &test.team, TEAM_ANY, 0, &impatient), -ERROR_TIMEOUT);
	ck_assert_int_eq(shm_team_join(&member, &test.team, 1, 0, &impatient), -ERROR_TIMEOUT);
	ck_assert_int_eq(shm_team_join(&member, &test.team, 2, 0, &impatient), -ERROR_RANGE);
	test_team_start_all(&test, note_id);
	test_team_finish(&test);
	test_team_close(&test);
}
END_TEST

static int wait_for_word(struct test_team *t, struct shm_teammate *member)
{
	(void)member;
	WAIT_UNTIL(word(t, 0));
	return 0;
}

START_TEST(test_a_whole_team_is_full_and_one_that_has_lost_somebody_is_over)
{
	struct shm_teammate member;

	test_team_open(&test, 2, false, 2);
	test_team_start(&test, 0, wait_for_word);
	test_team_start(&test, 1, wait_for_word);
	WAIT_UNTIL(epoch_now() == 1);
	ck_assert_int_eq(shm_team_join(&member, &test.team, TEAM_ANY, 0, &patient), -ERROR_FULL);
	ck_assert_int_eq(shm_team_join(&member, &test.team, 1, 0, &patient), -ERROR_BUSY);
	store64_release(&test.shared[0], 1);
	ck_assert_int_eq(test_team_reap(&test, 1), 0);
	ck_assert_int_eq(shm_team_join(&member, &test.team, TEAM_ANY, 0, &patient), -ERROR_DROPPED);
	test_team_finish(&test);
	test_team_close(&test);
}
END_TEST

static int never(struct test_team *t, struct shm_teammate *member)
{
	(void)t, (void)member;
	return 1;
}

START_TEST(test_a_death_while_it_forms_breaks_it_for_good)
{
	struct shm_teammate member;

	test_team_open(&test, 3, false, 1);
	test_team_start(&test, 0, never);
	test_team_start(&test, 1, never);
	WAIT_UNTIL(has_arrived(0, 0) && has_arrived(1, 0));
	test_team_kill(&test, 0);
	ck_assert_int_eq(WEXITSTATUS(test_team_reap(&test, 1)), 121);
	ck_assert_int_eq(shm_team_join(&member, &test.team, 2, 0, &patient), -ERROR_DROPPED);
	test_team_close(&test);
}
END_TEST

/* ---- barriers ---- */

#define ROUNDS 3000

static int many_barriers(struct test_team *t, struct shm_teammate *member)
{
	uint32_t size = t->team.layout.params.size;

	for (uint64_t round = 1; round <= ROUNDS; round++) {
		(void)add64(&t->shared[member->id], 1);
		CHECK(shm_team_barrier(member, &patient) == 0);
		for (uint32_t i = 0; i < size; i++)
			CHECK(word(t, i) == round || word(t, i) == round + 1);
	}
	return 0;
}

START_TEST(test_nobody_passes_before_all_have_come)
{
	for (uint32_t size = 1; size <= 16; size *= 2) {
		test_team_open(&test, size, size == 4, size);
		test_team_start_all(&test, many_barriers);
		test_team_finish(&test);
		ck_assert_uint_eq(epoch_now(), ROUNDS + 1);
		test_team_close(&test);
	}
}
END_TEST

static int impatient_once(struct test_team *t, struct shm_teammate *member)
{
	if (member->id == 0) {
		CHECK(shm_team_barrier(member, &impatient) == -ERROR_TIMEOUT);
		CHECK(shm_team_barrier(member, &(struct team_call){.deadline = clock_deadline(NS_PER_MS)}) ==
		      -ERROR_TIMEOUT);
		store64_release(&t->shared[0], 1);
	} else {
		WAIT_UNTIL(word(t, 0));
	}
	return shm_team_barrier(member, &patient);
}

START_TEST(test_a_barrier_that_times_out_is_withdrawn)
{
	for (int elastic = 0; elastic < 2; elastic++) {
		test_team_open(&test, 3, elastic, 1);
		test_team_start_all(&test, impatient_once);
		test_team_finish(&test);
		ck_assert_uint_eq(epoch_now(), 2);
		test_team_close(&test);
	}
}
END_TEST

/* Random deadlines, also of no time: passed or withdrawn, never both. */
static int hasty_barriers(struct test_team *t, struct shm_teammate *member)
{
	uint64_t seed = t->shared[TEAM_MOST] + member->id;

	for (uint64_t round = 1; round <= 500; round++) {
		int r;

		(void)add64(&t->shared[member->id], 1);
		do {
			uint64_t pause = unit_random(&seed) % 3 * 20000;
			r = shm_team_barrier(member, &(struct team_call){.deadline = pause ? clock_deadline(pause) : 0});
		} while (r == -ERROR_TIMEOUT);
		CHECK(r == 0);
		for (uint32_t i = 0; i < t->team.layout.params.size; i++)
			CHECK(word(t, i) == round || word(t, i) == round + 1);
	}
	return 0;
}

START_TEST(test_deadlines_do_not_let_anybody_through)
{
	for (int elastic = 0; elastic < 2; elastic++) {
		test_team_open(&test, 3, elastic, TEAM_MOST);
		test.shared[TEAM_MOST] = unit_seed();
		test_team_start_all(&test, hasty_barriers);
		test_team_finish(&test);
		test_team_close(&test);
	}
}
END_TEST

static void *canceller(void *cancel)
{
	WAIT_UNTIL(shm_cancel(cancel) == 0);
	return NULL;
}

static int cancelled(struct test_team *t, struct shm_teammate *member)
{
	struct shm_cancel cancel = {0};
	pthread_t thread;

	(void)t;
	CHECK(pthread_create(&thread, NULL, canceller, &cancel) == 0);
	CHECK(shm_team_barrier(member, &(struct team_call){.deadline = CLOCK_NEVER, .cancel = &cancel}) ==
	      -ERROR_CANCELLED);
	CHECK(pthread_join(thread, NULL) == 0);
	(void)add64(&t->shared[1], 1);
	return shm_team_barrier(member, &patient);
}

START_TEST(test_a_wait_can_be_cancelled)
{
	test_team_open(&test, 2, false, 2);
	test_team_start(&test, 0, cancelled);
	test_team_start(&test, 1, wait_for_word);
	WAIT_UNTIL(word(&test, 1) && has_arrived(0, 1));
	test_team_kill(&test, 1);
	ck_assert_int_eq(WEXITSTATUS(test_team_reap(&test, 0)), 100); /* the second wait is broken */
	test_team_close(&test);
}
END_TEST

/* ---- leaving ---- */

static int leaves_early(struct test_team *t, struct shm_teammate *member)
{
	if (member->id == 2) {
		WAIT_UNTIL(load32_acquire(&team_member(&t->team, 0)->arrived) == 2 &&
			   load32_acquire(&team_member(&t->team, 1)->arrived) == 2);
		return 0;
	}
	CHECK(shm_team_barrier(member, &patient) == 0);
	return shm_team_barrier(member, &patient);
}

START_TEST(test_barriers_do_not_wait_for_who_has_left)
{
	for (int elastic = 0; elastic < 2; elastic++) {
		test_team_open(&test, 3, elastic, 1);
		test_team_start_all(&test, leaves_early);
		test_team_finish(&test);
		test_team_close(&test);
	}
}
END_TEST

/* ---- deaths ---- */

static int told_once(struct test_team *t, struct shm_teammate *member)
{
	struct team_loss loss;

	if (member->id == 1)
		WAIT_UNTIL(false);
	CHECK(shm_team_barrier(member, &patient) == -ERROR_BROKEN);
	CHECK(shm_team_loss(&t->team, 0, &loss) == 0);
	CHECK(loss.id == 1 && loss.first == loss.last && loss.pid == (uint32_t)t->pids[1]);
	CHECK(shm_team_loss(&t->team, 1, &loss) == -ERROR_NOT_FOUND);
	for (int i = 0; i < 100; i++)
		CHECK(shm_team_barrier(member, &patient) == 0);
	CHECK(shm_team_counted(&t->team) >= 1);
	return 0;
}

START_TEST(test_everybody_is_told_of_a_death_once_and_goes_on)
{
	test_team_open(&test, 4, false, 1);
	test_team_start(&test, 1, told_once);
	for (uint32_t i = 0; i < 4; i++)
		if (i != 1)
			test_team_start(&test, i, told_once);
	WAIT_UNTIL(has_arrived(0, 1) && has_arrived(2, 1) && has_arrived(3, 1));
	test_team_kill(&test, 1);
	test_team_finish(&test);
	test_team_close(&test);
}
END_TEST

static int shrinks(struct test_team *t, struct shm_teammate *member)
{
	if (member->id == 1)
		WAIT_UNTIL(false);
	for (int i = 0; i < 100; i++)
		CHECK(shm_team_barrier(member, &patient) == 0);
	(void)t;
	return 0;
}

START_TEST(test_an_elastic_team_goes_on_without_the_dead)
{
	test_team_open(&test, 4, true, 1);
	test_team_start_all(&test, shrinks);
	WAIT_UNTIL(has_arrived(0, 1) && has_arrived(2, 1) && has_arrived(3, 1));
	test_team_kill(&test, 1);
	test_team_finish(&test);
	test_team_close(&test);
}
END_TEST

/* All but one are killed one after the other, at any time: the rest learns of each death, or goes on. */
static int until_alone(struct test_team *t, struct shm_teammate *member)
{
	while (shm_team_counted(&t->team) > 1) {
		int r = shm_team_barrier(member, &patient);

		CHECK(r == 0 || (r == -ERROR_BROKEN && !t->team.layout.params.elastic));
		(void)add64(&t->shared[0], 1);
	}
	return 0;
}

START_TEST(test_deaths_one_after_the_other)
{
	uint64_t seed = unit_seed();

	for (int run = 0; run < 20; run++) {
		test_team_open(&test, 6, run % 2, 1);
		test_team_start_all(&test, until_alone);
		WAIT_UNTIL(epoch_now() > 0);
		for (uint32_t i = 1; i < 6; i++) {
			uint64_t until = word(&test, 0) + unit_random(&seed) % 40;

			WAIT_UNTIL(word(&test, 0) >= until);
			test_team_kill(&test, i);
		}
		test_team_finish(&test);
		test_team_close(&test);
	}
}
END_TEST

/* The one that the kernel wakes for a death is stopped, or dies as well: another one sees to it. */
START_TEST(test_deaths_of_all_but_one_at_once)
{
	for (int run = 0; run < 40; run++) {
		test_team_open(&test, 8, run % 2, 1);
		test_team_start_all(&test, until_alone);
		WAIT_UNTIL(word(&test, 0) > 20);
		for (uint32_t i = 1; i < 8; i++)
			ck_assert_int_eq(kill(test.pids[i], SIGKILL), 0);
		for (uint32_t i = 1; i < 8; i++)
			ck_assert(WIFSIGNALED(test_team_reap(&test, i)));
		test_team_finish(&test);
		test_team_close(&test);
	}
}
END_TEST

/* ---- singles ---- */

static int many_singles(struct test_team *t, struct shm_teammate *member)
{
	for (int round = 0; round < 300; round++) {
		for (int i = 0; i < 5; i++) {
			bool mine = false;

			CHECK(shm_team_single(member, &mine, &patient) == 0);
			if (mine)
				(void)add64(&t->shared[0], 1);
		}
		CHECK(shm_team_barrier(member, &patient) == 0);
		CHECK(word(t, 0) >= (uint64_t)(round + 1) * 5);
	}
	return 0;
}

START_TEST(test_each_single_is_one_members)
{
	test_team_open(&test, 4, false, 1);
	test_team_start_all(&test, many_singles);
	test_team_finish(&test);
	ck_assert_uint_eq(word(&test, 0), 1500);
	test_team_close(&test);
}
END_TEST

/* ---- segments ---- */

START_TEST(test_what_is_no_team_is_refused)
{
	struct team_params wrong = {.size = 3, .elastic = 0}, none = {0}, many = {.size = TEAM_SIZE_MAX + 1};
	struct shm_team team;
	struct team_layout layout;

	test_team_open(&test, 2, false, 1);
	ck_assert_int_eq(shm_team_map(&team, test.fd, &wrong), -ERROR_CORRUPT);
	wrong = (struct team_params){.size = 2, .elastic = 1};
	ck_assert_int_eq(shm_team_map(&team, test.fd, &wrong), -ERROR_CORRUPT);
	team_header(&test.team)->version++;
	wrong.elastic = 0;
	ck_assert_int_eq(shm_team_map(&team, test.fd, &wrong), -ERROR_VERSION);
	ck_assert_int_eq(team_layout_compute(&layout, &none), -ERROR_RANGE);
	ck_assert_int_eq(team_layout_compute(&layout, &many), -ERROR_RANGE);
	test_team_close(&test);
}
END_TEST

UNIT_MAIN("shm/team", test_a_team_forms_with_ids_of_its_own, test_join_that_times_out_frees_its_place,
	  test_a_whole_team_is_full_and_one_that_has_lost_somebody_is_over,
	  test_a_death_while_it_forms_breaks_it_for_good, test_nobody_passes_before_all_have_come,
	  test_a_barrier_that_times_out_is_withdrawn, test_deadlines_do_not_let_anybody_through,
	  test_a_wait_can_be_cancelled, test_barriers_do_not_wait_for_who_has_left,
	  test_everybody_is_told_of_a_death_once_and_goes_on, test_an_elastic_team_goes_on_without_the_dead,
	  test_deaths_one_after_the_other, test_deaths_of_all_but_one_at_once, test_each_single_is_one_members,
	  test_what_is_no_team_is_refused)
