/* The processes of a case: see teams.h. */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "tests/kill/teams.h"

static const struct team_call patient = {.deadline = CLOCK_NEVER};

/* ---- the survivor, the third ---- */

static __attribute__((noreturn)) void fail(struct stage *stage, const char *what, int r)
{
	printf("%s: %s\n", what, error_text(r));
	(void)fflush(stdout);
	stage->failed = true;
	_exit(1);
}

static void wait_for(struct stage *stage, const volatile bool *flag)
{
	while (!*flag && !stage->failed)
		(void)sched_yield();
}

static void mark(struct stage *stage, int64_t first, int64_t last, uint8_t who)
{
	for (int64_t i = first; i < last; i++)
		stage->done[i] |= who;
}

static int begin_loop(struct stage *stage, const struct team_case *play)
{
	return shm_loop_begin(&stage->loop, &stage->survivor, 0, ITERATIONS, play->schedule, CHUNK, &patient);
}

/* Does all but what the child has, and sleeps at the end: but for the child's death, or its coming, for ever. */
static int survivor_does_loop(struct stage *stage, const struct team_case *play)
{
	int64_t first, last;
	int r;

	wait_for(stage, &stage->child_ready);
	r = begin_loop(stage, play);
	while (r == 0 && (r = shm_loop_next(&stage->loop, &first, &last, &patient)) == 0)
		mark(stage, first, last, 2);
	return r == -ERROR_EMPTY ? 0 : r;
}

static int survivor_takes_chunk(struct stage *stage, const struct team_case *play)
{
	int64_t first = 0, last = 0;
	int r = begin_loop(stage, play);

	if (r == 0)
		r = shm_loop_next(&stage->loop, &first, &last, &patient);
	stage->first = first;
	stage->last = last;
	return r;
}

static int enter_section(struct shm_teammate *member)
{
	uint32_t section;
	bool died;
	int r = shm_section_find(member->team, SECTION_NAME, sizeof(SECTION_NAME) - 1, &section);

	return r < 0 ? r : shm_section_enter(member, section, &died, &patient);
}

static int survivor_goes(struct stage *stage, const struct team_case *play)
{
	switch (play->place) {
	case IN_SECTION:
		return enter_section(&stage->survivor);
	case IN_CHUNK:
		return survivor_takes_chunk(stage, play);
	case AT_BARRIER:
		return shm_team_barrier(&stage->survivor, &patient);
	case AT_SECTION:
		wait_for(stage, &stage->child_ready);
		return enter_section(&stage->survivor);
	case AT_LOOP:
		return survivor_does_loop(stage, play);
	default:
		return 0;
	}
}

static int third_goes(struct shm_teammate *member, struct stage *stage, const struct team_case *play)
{
	int64_t first, last;
	struct shm_loop loop;
	int r;

	if (play->third == THIRD_LEFT) {
		shm_team_leave(member);
		return 0;
	}
	r = shm_loop_begin(&loop, member, 0, ITERATIONS, play->schedule, CHUNK, &patient);
	if (r == 0)
		r = shm_loop_next(&loop, &first, &last, &patient);
	(void)stage;
	return r;
}

static __attribute__((noreturn)) void run_member(const struct production *production, uint32_t id, pid_t parent)
{
	static struct shm_team team;
	static struct shm_teammate third;
	struct stage *stage = production->stage;
	struct shm_teammate *member = id == 0 ? &stage->survivor : &third;
	struct team_params params = production->team.layout.params;
	int r;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	r = shm_team_map(&team, production->fd, &params);
	if (r == 0)
		r = shm_team_join(member, &team, id, 0, &patient);
	if (r == 0)
		r = id == 0 ? survivor_goes(stage, production->play) : third_goes(member, stage, production->play);
	/* A survivor that sleeps wakes up when the child has died in the end. */
	if (r < 0 && r != -ERROR_BROKEN)
		fail(stage, id == 0 ? "the survivor" : "the third", r);
	*(id == 0 ? &stage->survivor_ready : &stage->third_ready) = true;
	for (;;)
		(void)pause();
}

static pid_t start_member(struct production *production, uint32_t id)
{
	pid_t parent = getpid(), pid;

	(void)fflush(stdout);
	pid = fork();
	if (pid == 0)
		run_member(production, id, parent);
	return pid;
}

static void end_process(pid_t *pid)
{
	if (*pid <= 0)
		return;
	(void)kill(*pid, SIGKILL);
	(void)waitpid(*pid, NULL, 0);
	*pid = 0;
}

/* ---- the child ---- */

static void child_body(struct control *control, void *argument)
{
	const struct production *production = argument;
	const struct team_case *play = production->play;
	struct team_params params = production->team.layout.params;
	static struct actor actor;
	int r;

	actor.stage = production->stage;
	actor.play = play;
	r = shm_team_map(&actor.team, production->fd, &params);
	if (r == 0 && play->place != NOWHERE && play->place != AT_JOIN) {
		r = shm_team_join(&actor.member, &actor.team, 1, 0, &patient);
		if (play->place == OUTSIDE || play->place == IN_SECTION || play->place == IN_CHUNK)
			wait_for(actor.stage, &actor.stage->survivor_ready);
		if (play->third)
			wait_for(actor.stage, &actor.stage->third_ready);
	}
	if (r == 0 && play->prepare)
		r = play->prepare(&actor);
	if (r < 0 || actor.stage->failed)
		control_fail(control, "%s", error_text(r));
	actor.stage->child_ready = true;
	control_begin(control);
	control_end(control, play->operate(&actor));
}

/* ---- all together ---- */

static bool is_in_place(const struct production *production, const struct team_member *record)
{
	const struct team_header *header = team_header(&production->team);
	uint32_t next = state_epoch(load64_acquire(&header->state.low)) + 1;

	switch (production->play->place) {
	case NOWHERE:
		return true;
	case AT_JOIN:
	case AT_BARRIER:
	case AT_LOOP:
		return load32_acquire(&record->arrived) == next && load32_acquire(&header->sleepers) == next &&
		       (production->play->place != AT_LOOP || load32_acquire(&record->helps) == next);
	case AT_SECTION:
		for (uint32_t i = 0; i < TEAM_SECTIONS; i++)
			if (load64_acquire(&header->sections[i].word) & SECTION_WAITERS)
				return load64_acquire(&record->waits) != 0;
		return false;
	default:
		return production->stage->survivor_ready;
	}
}

static int wait_for_survivor(const struct production *production)
{
	while (!is_in_place(production, team_member(&production->team, 0))) {
		if (production->stage->failed)
			return -1;
		(void)sched_yield();
	}
	return 0;
}

/* From here on only the child changes the team: asleep, the survivor would still look around from time to time, and help. */
static int stop_survivor(const struct production *production)
{
	int status;

	if (production->survivor <= 0)
		return 0;
	if (kill(production->survivor, SIGSTOP) < 0 || waitpid(production->survivor, &status, WUNTRACED) < 0)
		return -1;
	return WIFSTOPPED(status) ? 0 : -1;
}

int actors_start(struct production *production)
{
	const struct team_case *play = production->play;

	if (play->place != NOWHERE)
		production->survivor = start_member(production, 0);
	if (play->third)
		production->third = start_member(production, 2);
	if (production->survivor < 0 || production->third < 0)
		return -1;
	if (play->place == AT_JOIN && wait_for_survivor(production) < 0)
		return -1;
	if (tracee_start(&production->child, child_body, production) < 0 || wait_for_survivor(production) < 0)
		return -1;
	end_process(&production->third);
	if (stop_survivor(production) < 0 || shm_team_recover(&production->team) < 0)
		return -1;
	production->member = production->stage->survivor;
	production->loop = production->stage->loop;
	return 0;
}

void actors_end(struct production *production)
{
	end_process(&production->survivor);
	end_process(&production->third);
	tracee_kill(&production->child);
}
