/*
 * team.h: a team of child processes for unit tests. Each child maps the segment anew, as strangers would, and dies with
 * the parent.
 */
#ifndef TESTS_UNIT_TEAM_H
#define TESTS_UNIT_TEAM_H

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/error.h"
#include "shm/team.h"
#include "shm/team_loop.h"
#include "shm/team_section.h"
#include "tests/unit/unit.h"

#define TEAM_MOST 32

struct test_team {
	struct shm_team team; /* the parent's mapping */
	int fd;
	pid_t pids[TEAM_MOST];
	uint64_t *shared; /* words for everybody */
	size_t words;
};

typedef int test_team_body(struct test_team *test, struct shm_teammate *member);

static const struct team_call patient = {.deadline = CLOCK_NEVER};
static const struct team_call impatient = {.deadline = 0};

static inline void test_team_open(struct test_team *test, uint32_t size, bool elastic, size_t words)
{
	const uint8_t id[16] = "team";
	struct team_params params = {.size = size, .elastic = elastic};

	memset(test, 0, sizeof(*test));
	ck_assert_int_eq(shm_team_create(&test->team, &params, id, &test->fd), 0);
	test->words = words + 1;
	test->shared = mmap(NULL, test->words * 8, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(test->shared != MAP_FAILED);
}

static inline void test_team_close(struct test_team *test)
{
	shm_team_unmap(&test->team);
	(void)close(test->fd);
	(void)munmap(test->shared, test->words * 8);
}

/* Child number i joins as that member and runs body; its result is the exit code. */
static inline void test_team_start(struct test_team *test, uint32_t i, test_team_body *body)
{
	pid_t parent = getpid();
	struct team_params params = test->team.layout.params;

	(void)fflush(NULL);
	test->pids[i] = fork();
	ck_assert_int_ge(test->pids[i], 0);
	if (test->pids[i] > 0)
		return;

	struct shm_team team;
	struct shm_teammate member;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || shm_team_map(&team, test->fd, &params) != 0)
		_exit(120);
	if (shm_team_join(&member, &team, i, 0, &patient) != 0)
		_exit(121);
	test->team = team;
	int r = body(test, &member);

	if (r != 0)
		_exit(r < 0 ? 100 : r);
	shm_team_leave(&member);
	_exit(0);
}

static inline void test_team_start_all(struct test_team *test, test_team_body *body)
{
	for (uint32_t i = 0; i < test->team.layout.params.size; i++)
		test_team_start(test, i, body);
}

/* The status of waitpid. */
static inline int test_team_reap(struct test_team *test, uint32_t i)
{
	int status = 0;

	ck_assert_int_eq(waitpid(test->pids[i], &status, 0), test->pids[i]);
	test->pids[i] = 0;
	return status;
}

/* All end by themselves, with 0. */
static inline void test_team_finish(struct test_team *test)
{
	for (uint32_t i = 0; i < test->team.layout.params.size; i++)
		if (test->pids[i] > 0)
			ck_assert_int_eq(test_team_reap(test, i), 0);
}

static inline void test_team_kill(struct test_team *test, uint32_t i)
{
	ck_assert_int_eq(kill(test->pids[i], SIGKILL), 0);
	ck_assert(WIFSIGNALED(test_team_reap(test, i)));
}

/* Lets others run until the condition holds. */
#define WAIT_UNTIL(condition)                                                                                \
	do {                                                                                                 \
		while (!(condition))                                                                         \
			(void)sched_yield();                                                                 \
	} while (0)

static inline uint64_t word(const struct test_team *test, size_t i)
{
	return load64_acquire(&test->shared[i]);
}

/* In a child: a condition that must hold; its line is the exit code's hint. */
#define CHECK(condition)                                                                                     \
	do {                                                                                                 \
		if (!(condition)) {                                                                          \
			(void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                \
			_exit(99);                                                                           \
		}                                                                                            \
	} while (0)

#endif
