/*
 * Teams through libems and a real emsd: forming by name, new ones after the end of old ones, deaths with the daemon and
 * without it, sections, loops, the environment.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/atomic.h"
#include "tests/integration/client.h"

#define MOST 8

typedef int member_body(ems_connection_t *connection, ems_team_t *team);

static uint64_t *shared; /* words for everybody */
static pid_t pids[MOST];
static ems_team_options_t options;

static void set_up(uint32_t size, bool elastic)
{
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(shared != MAP_FAILED);
	options = (ems_team_options_t){.size = size, .elastic = elastic};
}

static uint64_t word(int i)
{
	return load64_acquire(&shared[i]);
}

#define WAIT_UNTIL(condition)                        \
	do {                                         \
		while (!(condition))                 \
			(void)sched_yield();         \
	} while (0)

/* In a child: what must hold. */
#define CHECK(condition)                                                                                   \
	do {                                                                                               \
		if (!(condition)) {                                                                        \
			(void)fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition,           \
				      ems_last_error()->message);                                          \
			_exit(99);                                                                         \
		}                                                                                          \
	} while (0)

static void start(uint32_t i, const char *name, member_body *body)
{
	pid_t parent = getpid();
	ems_connection_t *connection;
	ems_team_t *team = NULL;

	(void)fflush(NULL);
	pids[i] = fork();
	ck_assert_int_ge(pids[i], 0);
	if (pids[i] > 0)
		return;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(98);
	CHECK(ems_connect(&connection, NULL) == 0);
	options.has_member = true;
	options.member = i;
	if (ems_team_join(connection, name, &options, &team) != 0)
		_exit(ems_last_error()->code);
	int r = body(connection, team);
	if (r != 0)
		_exit(-r);
	CHECK(ems_team_leave(team) == 0);
	ems_disconnect(connection);
	_exit(0);
}

static void start_all(const char *name, member_body *body)
{
	for (uint32_t i = 0; i < options.size; i++)
		start(i, name, body);
}

static int reap(uint32_t i)
{
	int status = 0;

	ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
	pids[i] = 0;
	return status;
}

static void finish(void)
{
	for (uint32_t i = 0; i < options.size; i++)
		if (pids[i] > 0)
			ck_assert_int_eq(reap(i), 0);
}

static void kill_member(uint32_t i)
{
	ck_assert_int_eq(kill(pids[i], SIGKILL), 0);
	ck_assert(WIFSIGNALED(reap(i)));
}

/* ---- forming ---- */

static int count_in(ems_connection_t *connection, ems_team_t *team)
{
	bool mine = false;

	(void)connection;
	CHECK(ems_team_size(team) == options.size && ems_team_count(team) == options.size);
	CHECK(ems_team_member(team) == options.member && ems_team_is_master(team) == (options.member == 0));
	(void)add64(&shared[0], 1);
	CHECK(ems_team_barrier(team) == 0);
	CHECK(word(0) % options.size == 0);
	CHECK(ems_team_single(team, &mine) == 0);
	if (mine)
		(void)add64(&shared[1], 1);
	return ems_team_barrier(team);
}

START_TEST(test_teams_of_one_name_one_after_the_other)
{
	set_up(4, false);
	for (int i = 0; i < 20; i++) {
		start_all("team", count_in);
		finish();
	}
	ck_assert_uint_eq(word(0), 80);
	ck_assert_uint_eq(word(1), 20);
}
END_TEST

static int stay(ems_connection_t *connection, ems_team_t *team)
{
	(void)connection, (void)team;
	(void)add64(&shared[0], 1);
	WAIT_UNTIL(word(1));
	return 0;
}

START_TEST(test_refusals)
{
	ems_connection_t *connection = connect_daemon();
	ems_team_options_t other = {.size = 3}, late = {.size = 2, .deadline = ems_deadline_in(MS)};
	ems_team_t *team = NULL;

	set_up(2, false);
	ck_ems(ems_team_join(connection, "a//b", &other, &team), EMS_ENAME);
	ck_ems(ems_team_join(connection, NULL, &other, &team), EMS_ENAME);
	ck_ems(ems_team_join(NULL, "team", &other, &team), EMS_EINVALID);
	ck_ems(ems_team_join(connection, "team", NULL, &team), EMS_ERANGE);
	ck_ems(ems_team_join(connection, "team", &(ems_team_options_t){.size = 1025}, &team), EMS_ERANGE);
	ck_ems(ems_team_join(connection, "team", &(ems_team_options_t){.size = 1, .has_member = true, .member = 1}, &team),
	       EMS_ERANGE);
	ck_ems(ems_team_join(connection, "team", &late, &team), EMS_ETIMEOUT);
	ck_assert_str_eq(ems_last_error()->message, "team \"team\": not all of its 2 members came in time");
	start_all("team", stay);
	WAIT_UNTIL(word(0) == 2);
	ck_ems(ems_team_join(connection, "team", &other, &team), EMS_EMISMATCH);
	other.size = 2;
	ck_ems(ems_team_join(connection, "team", &other, &team), EMS_EFULL);
	other.has_member = true;
	ck_ems(ems_team_join(connection, "team", &other, &team), EMS_EBUSY);
	ck_assert_ptr_null(team);
	store64_release(&shared[1], 1);
	finish();
	ems_disconnect(connection);
}
END_TEST

/* ---- deaths ---- */

static int goes_on(ems_connection_t *connection, ems_team_t *team)
{
	ems_team_death_t death;

	(void)connection;
	if (options.member == 1)
		WAIT_UNTIL(false);
	(void)add64(&shared[0], 1);
	if (options.elastic) {
		CHECK(ems_team_barrier(team) == 0);
	} else {
		CHECK(ems_team_barrier(team) == -EMS_EBROKEN);
		CHECK(strstr(ems_last_error()->message, "barrier: member 1 (process ") != NULL);
	}
	CHECK(ems_team_broken(team, 0, &death) == 0);
	CHECK(death.member == 1 && death.pid == (uint32_t)word(2));
	CHECK(ems_team_broken(team, 1, &death) == -EMS_ENOTFOUND);
	for (int i = 0; i < 50; i++)
		CHECK(ems_team_barrier(team) == 0);
	CHECK(ems_team_count(team) <= 3 && ems_team_size(team) == 4);
	return 0;
}

static void play_death(bool elastic)
{
	set_up(4, elastic);
	start_all("team", goes_on);
	WAIT_UNTIL(word(0) == 3);
	store64_release(&shared[2], (uint64_t)pids[1]);
	kill_member(1);
	finish();
}

START_TEST(test_a_death_is_told_and_a_new_team_works)
{
	for (int i = 0; i < 10; i++)
		play_death(i % 2);
	set_up(4, false);
	start_all("team", count_in);
	finish();
}
END_TEST

START_TEST(test_a_death_without_a_daemon)
{
	ems_connection_t *connection;
	struct daemon own;

	daemon_start(&own, NULL);
	ck_assert_int_eq(setenv("EMS_SOCKET", own.socket, 1), 0);
	set_up(4, false);
	start_all("team", goes_on);
	WAIT_UNTIL(word(0) == 3);
	store64_release(&shared[2], (uint64_t)pids[1]);
	ck_assert_int_eq(kill(own.pid, SIGKILL), 0);
	while (ems_connect(&connection, own.socket) == 0) /* until it is gone for sure */
		ems_disconnect(connection);
	kill_member(1);
	finish();
	(void)daemon_stop(&own);
}
END_TEST

static int broken_team_and_new_one(ems_connection_t *connection, ems_team_t *team)
{
	ems_team_options_t smaller = {.size = 2};
	ems_team_t *again = NULL;

	if (options.member == 1)
		WAIT_UNTIL(false);
	(void)add64(&shared[0], 1);
	CHECK(ems_team_barrier(team) == -EMS_EBROKEN);
	/* The survivors form a new one of that name while they are still in the old. */
	CHECK(ems_team_join(connection, "team", &smaller, &again) == 0);
	for (int i = 0; i < 100; i++)
		CHECK(ems_team_barrier(again) == 0);
	CHECK(ems_team_barrier(team) == 0);
	return ems_team_leave(again);
}

START_TEST(test_survivors_form_a_new_team_of_that_name)
{
	set_up(3, false);
	start_all("team", broken_team_and_new_one);
	WAIT_UNTIL(word(0) == 2);
	kill_member(1);
	finish();
}
END_TEST

/* ---- sections, loops ---- */

static int sections_and_loops(ems_connection_t *connection, ems_team_t *team)
{
	const ems_schedule_t schedules[] = {EMS_GUIDED, EMS_DYNAMIC, EMS_STATIC};
	bool died = true;

	(void)connection;
	for (int round = 0; round < 60; round++) {
		ems_loop_options_t how = {.schedule = schedules[round % 3], .chunk = (uint64_t)round % 7};
		int64_t first, last;
		ems_loop_t *loop;
		int r;

		CHECK(ems_loop_begin(team, 0, 100, &how, &loop) == 0);
		while ((r = ems_loop_next(loop, &first, &last)) == 0) {
			CHECK(ems_critical_enter(team, "sum", &died) == 0 && !died);
			for (int64_t i = first; i < last; i++)
				shared[0] += (uint64_t)i;
			CHECK(ems_critical_enter_until(team, "sum", NULL, EMS_NOW) == -EMS_EDEADLOCK);
			CHECK(ems_critical_leave(team, "sum") == 0);
		}
		CHECK(r == -EMS_EEMPTY);
		CHECK(ems_loop_end(loop) == 0);
		CHECK(word(0) >= (uint64_t)(round + 1) * 4950);
	}
	CHECK(ems_critical_leave(team, "sum") == -EMS_EINVALID);
	CHECK(ems_critical_enter(team, "", NULL) == -EMS_ENAME && ems_critical_leave(team, NULL) == -EMS_ENAME);
	return 0;
}

START_TEST(test_sections_and_loops)
{
	set_up(4, false);
	start_all("team", sections_and_loops);
	finish();
	ck_assert_uint_eq(word(0), 60 * 4950);
}
END_TEST

static int dies_in_a_chunk(ems_connection_t *connection, ems_team_t *team)
{
	ems_loop_options_t how = {.schedule = EMS_DYNAMIC, .chunk = 10};
	ems_team_death_t death;
	int64_t first, last;
	ems_loop_t *loop;
	int r;

	(void)connection;
	CHECK(ems_loop_begin(team, 0, 40, &how, &loop) == 0);
	if (options.member == 1) {
		CHECK(ems_critical_enter(team, "x", NULL) == 0);
		CHECK(ems_loop_next(loop, &first, &last) == 0 && last == first + 10);
		store64_release(&shared[100], (uint64_t)first);
		store64_release(&shared[101], 1);
		WAIT_UNTIL(false);
	}
	WAIT_UNTIL(word(101));
	(void)add64(&shared[102], 1);
	while ((r = ems_loop_next(loop, &first, &last)) == 0)
		for (int64_t i = first; i < last; i++)
			(void)add64(&shared[i], 1);
	CHECK(r == (options.elastic ? -EMS_EEMPTY : -EMS_EBROKEN));
	CHECK(ems_team_broken(team, 0, &death) == 0);
	CHECK(death.member == 1 && (uint64_t)death.first == word(100) && death.last == death.first + 10);
	CHECK(ems_loop_end(loop) == 0);
	CHECK(ems_team_barrier(team) == 0);
	if (ems_team_is_master(team)) {
		bool died = false;

		CHECK(ems_critical_enter(team, "x", &died) == 0 && died);
		CHECK(ems_critical_leave(team, "x") == 0);
		CHECK(ems_critical_enter(team, "x", &died) == 0 && !died);
		CHECK(ems_critical_leave(team, "x") == 0);
	}
	return 0;
}

START_TEST(test_a_death_in_a_loop)
{
	for (int elastic = 0; elastic < 2; elastic++) {
		set_up(3, elastic);
		start_all("team", dies_in_a_chunk);
		WAIT_UNTIL(word(102) == 2);
		kill_member(1);
		finish();
		for (int i = 0; elastic && i < 40; i++)
			ck_assert_uint_eq(word(i), 1);
	}
}
END_TEST

START_TEST(test_outside_of_a_team)
{
	ems_team_death_t death;
	int64_t first = 0, last = 0;
	ems_loop_t *loop;
	bool mine = false, died = true;

	ck_assert(ems_team_size(NULL) == 1 && ems_team_member(NULL) == 0 && ems_team_is_master(NULL));
	ck_assert_uint_eq(ems_team_count(NULL), 1);
	ck_ok(ems_team_barrier(NULL));
	ck_ok(ems_team_single(NULL, &mine));
	ck_assert(mine);
	ck_ok(ems_critical_enter(NULL, "x", &died));
	ck_assert(!died);
	ck_ok(ems_critical_leave(NULL, "x"));
	ck_ems(ems_team_broken(NULL, 0, &death), EMS_ENOTFOUND);
	ck_ok(ems_loop_begin(NULL, -3, 4, NULL, &loop));
	ck_ok(ems_loop_next(loop, &first, &last));
	ck_assert(first == -3 && last == 4);
	ck_ems(ems_loop_next(loop, &first, &last), EMS_EEMPTY);
	ck_ok(ems_loop_end(loop));
	ck_ok(ems_loop_end(NULL));
	ck_ok(ems_team_leave(NULL));
	ck_ems(ems_loop_begin(NULL, 0, 1, NULL, NULL), EMS_EINVALID);
}
END_TEST

/* ---- environment, threads, fork ---- */

START_TEST(test_the_environment)
{
	ems_connection_t *connection = connect_daemon();
	ems_team_t *team = (ems_team_t *)&team;

	ck_ok(ems_team_from_environment(connection, EMS_FOREVER, &team));
	ck_assert_ptr_null(team);
	ck_assert_int_eq(setenv("EMS_TEAM", "env", 1), 0);
	ck_ems(ems_team_from_environment(connection, EMS_FOREVER, &team), EMS_EINVALID);
	ck_assert_int_eq(setenv("EMS_TEAM_SIZE", "1x", 1), 0);
	ck_ems(ems_team_from_environment(connection, EMS_FOREVER, &team), EMS_ERANGE);
	ck_assert_int_eq(setenv("EMS_TEAM_SIZE", "1", 1), 0);
	ck_assert_int_eq(setenv("EMS_TEAM_MEMBER", "1", 1), 0);
	ck_ems(ems_team_from_environment(connection, EMS_FOREVER, &team), EMS_ERANGE);
	ck_assert_int_eq(setenv("EMS_TEAM_MEMBER", "0", 1), 0);
	ck_assert_int_eq(setenv("EMS_TEAM_ELASTIC", "1", 1), 0);
	ck_ok(ems_team_from_environment(connection, EMS_FOREVER, &team));
	ck_ok(ems_team_barrier(team));
	ck_ok(ems_team_leave(team));
	ems_disconnect(connection);
}
END_TEST

static void *leave(void *team)
{
	ck_ems(ems_team_leave(team), EMS_EINVALID);
	return NULL;
}

static void *cancel(void *session)
{
	WAIT_UNTIL(ems_cancel(session) == 0);
	return NULL;
}

START_TEST(test_threads_and_children)
{
	ems_connection_t *connection = connect_daemon();
	ems_team_t *team;
	pthread_t thread;
	pid_t child;
	int status;

	ck_assert_int_eq(pthread_create(&thread, NULL, cancel, ems_session_self()), 0);
	ck_ems(ems_team_join(connection, "two", &(ems_team_options_t){.size = 2}, &team), EMS_ECANCELLED);
	(void)pthread_join(thread, NULL);
	ck_ok(ems_team_join(connection, "one", &(ems_team_options_t){.size = 1}, &team));
	ck_assert_int_eq(pthread_create(&thread, NULL, leave, team), 0);
	(void)pthread_join(thread, NULL);
	child = fork();
	if (child == 0) {
		CHECK(ems_team_barrier(team) == -EMS_EFORKED);
		CHECK(ems_team_leave(team) == 0);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ems_disconnect(connection); /* the team goes on */
	ck_ok(ems_team_barrier(team));
	ck_ok(ems_team_leave(team));
}
END_TEST

INTEGRATION_MAIN("client/teams", test_teams_of_one_name_one_after_the_other, test_refusals,
		 test_a_death_is_told_and_a_new_team_works, test_a_death_without_a_daemon,
		 test_survivors_form_a_new_team_of_that_name, test_sections_and_loops, test_a_death_in_a_loop,
		 test_outside_of_a_team, test_the_environment, test_threads_and_children)
