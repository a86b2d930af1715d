/* What the child does in each case: see teams.h. Nothing waits, for it runs under the stepper. */
#include "base/error.h"
#include "base/macros.h"
#include "tests/kill/teams.h"

/* What it may come back with, when another would have to come. */
static int or_timeout(int r)
{
	return r == -ERROR_TIMEOUT ? 0 : r;
}

static int joins(struct actor *child)
{
	return or_timeout(shm_team_join(&child->member, &child->team, 1, 7, &at_once));
}

static int leaves(struct actor *child)
{
	shm_team_leave(&child->member);
	return 0;
}

static int passes_barrier(struct actor *child)
{
	return or_timeout(shm_team_barrier(&child->member, &at_once));
}

static int comes_to_single(struct actor *child)
{
	bool mine;

	return shm_team_single(&child->member, &mine, &at_once);
}

/* ---- sections ---- */

static int enters(struct actor *child)
{
	uint32_t section;
	bool died;
	int r = shm_section_find(&child->team, SECTION_NAME, sizeof(SECTION_NAME) - 1, &section);

	return r < 0 ? r : or_timeout(shm_section_enter(&child->member, section, &died, &at_once));
}

static int goes_out(struct actor *child)
{
	uint32_t section;
	int r = shm_section_find(&child->team, SECTION_NAME, sizeof(SECTION_NAME) - 1, &section);

	return r < 0 ? r : shm_section_leave(&child->member, section);
}

/* ---- loops ---- */

static int begins(struct actor *child)
{
	return shm_loop_begin(&child->loop, &child->member, 0, ITERATIONS, child->play->schedule, CHUNK, &at_once);
}

/* A chunk is done when the next one is asked for, and not before. */
static int goes_on(struct actor *child, int most)
{
	int64_t first = 0, last = 0;
	int r = 0;

	for (int i = 0; r == 0 && i < most; i++) {
		for (int64_t at = first; at < last; at++)
			child->stage->done[at] |= 1;
		r = shm_loop_next(&child->loop, &first, &last, &at_once);
	}
	return r == -ERROR_EMPTY ? 0 : or_timeout(r);
}

static int begins_and_takes(struct actor *child)
{
	int r = begins(child);

	return r < 0 ? r : goes_on(child, 1);
}

static int does_rest(struct actor *child)
{
	const struct team_member *record = child->member.record;
	int r;

	for (int64_t at = record->first; at < record->last; at++)
		child->stage->done[at] |= 1;
	r = goes_on(child, ITERATIONS + 1);
	return r < 0 ? r : or_timeout(shm_loop_end(&child->loop, &at_once));
}

static int does_loop(struct actor *child)
{
	int r = begins(child);

	if (r == 0)
		r = goes_on(child, ITERATIONS + 1);
	return r < 0 ? r : or_timeout(shm_loop_end(&child->loop, &at_once));
}

#define JOIN   "ems_team_join ems_team_from_environment"
#define PASS   "ems_team_barrier ems_team_barrier_until"
#define SINGLE "ems_team_single ems_team_single_until"
#define ENTER  "ems_critical_enter ems_critical_enter_until"
#define LOOP   "ems_loop_begin ems_loop_next ems_loop_end"
#define LEAVE  "ems_team_leave"

#define DYNAMIC .schedule = TEAM_DYNAMIC
#define STATIC	.schedule = TEAM_STATIC

const struct team_case team_cases[] = {
	{"join: the last one", JOIN, NULL, joins, .place = AT_JOIN},
	{"join: alone, in vain", JOIN, NULL, joins, .place = NOWHERE},
	{"leave", LEAVE, NULL, leaves, .place = OUTSIDE},
	{"leave, another passes a barrier", LEAVE, NULL, leaves, .place = OUTSIDE, .meanwhile = PASSES_BARRIER},
	{"leave: another is at the barrier", LEAVE, NULL, leaves, .place = AT_BARRIER},
	{"leave: in a section", LEAVE, enters, leaves, .place = OUTSIDE},
	{"leave: another waits for the section", LEAVE, enters, leaves, .place = AT_SECTION},
	{"leave: others are at the end of a loop", LEAVE, NULL, leaves, .place = AT_LOOP, DYNAMIC},
	{"leave: its share of a static loop is left", LEAVE, NULL, leaves, .place = AT_LOOP, STATIC},
	{"barrier: the first one, in vain", PASS, NULL, passes_barrier, .place = OUTSIDE},
	{"barrier: the first one, another comes", PASS, NULL, passes_barrier, .place = OUTSIDE, .meanwhile = PASSES_BARRIER},
	{"barrier: the last one", PASS, NULL, passes_barrier, .place = AT_BARRIER},
	{"barrier: of three, one has left", PASS, NULL, passes_barrier, .place = AT_BARRIER, .third = THIRD_LEFT},
	{"single", SINGLE, NULL, comes_to_single, .place = OUTSIDE},
	{"single, another comes", SINGLE, NULL, comes_to_single, .place = OUTSIDE, .meanwhile = TAKES_SINGLE},
	{"enter: free", ENTER, NULL, enters, .place = OUTSIDE},
	{"enter: taken, in vain", ENTER, NULL, enters, .place = IN_SECTION},
	{"enter: it is given", ENTER, NULL, enters, .place = IN_SECTION, .meanwhile = LEAVES_SECTION},
	{"leave a section: nobody waits", "ems_critical_leave", enters, goes_out, .place = OUTSIDE},
	{"leave a section: another waits", "ems_critical_leave", enters, goes_out, .place = AT_SECTION},
	{"guided loop: alone", LOOP, NULL, does_loop, .place = OUTSIDE},
	{"dynamic loop: alone", LOOP, NULL, does_loop, .place = OUTSIDE, DYNAMIC},
	{"static loop: alone", LOOP, NULL, does_loop, .place = OUTSIDE, STATIC},
	{"guided loop: another takes as well", LOOP, NULL, does_loop, .place = IN_CHUNK, .meanwhile = TAKES_CHUNK},
	{"dynamic loop: another takes as well", LOOP, NULL, does_loop, .place = IN_CHUNK, .meanwhile = TAKES_CHUNK, DYNAMIC},
	{"static loop: another takes as well", LOOP, NULL, does_loop, .place = IN_CHUNK, .meanwhile = TAKES_CHUNK, STATIC},
	{"guided loop: another is at its end", LOOP, begins_and_takes, does_rest, .place = AT_LOOP},
	{"dynamic loop: another is at its end", LOOP, begins_and_takes, does_rest, .place = AT_LOOP, DYNAMIC},
	{"static loop: another is at its end", LOOP, begins_and_takes, does_rest, .place = AT_LOOP, STATIC},
	{"static loop: another is at its end, nothing is taken", LOOP, NULL, does_loop, .place = AT_LOOP, STATIC},
	{"static loop: the third has left", LOOP, NULL, does_loop, .place = OUTSIDE, .third = THIRD_LEFT, STATIC},
	{"dynamic loop: the third has died in a chunk", LOOP, NULL, does_loop, .place = OUTSIDE, .third = THIRD_DEAD, DYNAMIC},
	{"dynamic loop: the third has died, another takes as well", LOOP, NULL, does_loop, .place = IN_CHUNK,
	 .third = THIRD_DEAD, .meanwhile = TAKES_CHUNK, DYNAMIC},
	{"static loop: the third has died, another takes as well", LOOP, NULL, does_loop, .place = IN_CHUNK,
	 .third = THIRD_DEAD, .meanwhile = TAKES_CHUNK, STATIC},
};
const size_t team_case_count = ARRAY_SIZE(team_cases);
