/*
 * Is the team as it must be after a death? See teams.h. The survivor's handle is driven in this process, without
 * waiting; where its process sleeps in a call, `resume` does what that call does when it looks again.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "shm/team_internal.h"
#include "tests/kill/teams.h"

struct trial {
	const struct production *production;
	struct shm_team *team;
	struct shm_teammate member;
	struct shm_loop loop;
	uint8_t done[ITERATIONS];
	bool in_loop;
	bool in_chunk;	 /* and has not asked for another one yet */
	bool owned;	 /* the dead one owned the section */
	uint32_t broken; /* how often the survivor was told */
	char *problem;
	size_t size;
};

__attribute__((format(printf, 2, 3))) static bool fails(struct trial *trial, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(trial->problem, trial->size, format, arguments);
	va_end(arguments);
	return false;
}

/* ---- the survivor in the replica ---- */

/* Its lock is held by this thread from here on, for real, so that it can leave. */
static bool adopt(struct trial *trial)
{
	const struct production *production = trial->production;
	uint32_t *word = team_lock(trial->team, 1);

	if (production->play->place == NOWHERE)
		return true;
	trial->member = production->member;
	trial->member.team = trial->team;
	trial->member.record = team_member(trial->team, 0);
	trial->loop = production->loop;
	trial->loop.member = &trial->member;
	for (int i = 0; i < ITERATIONS; i++)
		trial->done[i] = production->stage->done[i];
	trial->in_chunk = production->play->place == IN_CHUNK;
	trial->in_loop = trial->in_chunk || production->play->place == AT_LOOP;
	store32_release(word, 0);
	return shm_robust_trylock_word(word, false, &trial->member.lock) == 0 || fails(trial, "the lock of the survivor");
}

static bool mark(struct trial *trial, int64_t first, int64_t last)
{
	if (first < 0 || first >= last || last > ITERATIONS)
		return fails(trial, "the chunk %" PRId64 "..%" PRId64, first, last);
	for (int64_t i = first; i < last; i++) {
		if (trial->done[i] & 2)
			return fails(trial, "iteration %" PRId64 " is given out twice", i);
		trial->done[i] |= 2;
	}
	return true;
}

/* The rest of the loop, as far as it goes: -ERROR_EMPTY, -ERROR_BROKEN, … */
static int drain(struct trial *trial, int most)
{
	int64_t first, last;
	int r = 0;

	for (int i = 0; r == 0 && i < most; i++) {
		r = shm_loop_next(&trial->loop, &first, &last, &at_once);
		if (r == 0 && !mark(trial, first, last))
			return -ERROR_CORRUPT;
	}
	return r;
}

/* What it has is done by asking for more. */
static bool finish_chunk(struct trial *trial)
{
	const struct stage *stage = trial->production->stage;
	bool had = trial->in_chunk;

	trial->in_chunk = false;
	return !had || mark(trial, stage->first, stage->last);
}

static uint32_t section(const struct trial *trial)
{
	uint32_t index = 0;

	return shm_section_find(trial->team, SECTION_NAME, sizeof(SECTION_NAME) - 1, &index) == 0 ? index : 0;
}

static bool do_meanwhile(struct trial *trial)
{
	bool mine;
	int r = 0;

	switch (trial->production->play->meanwhile) {
	case PASSES_BARRIER:
		r = shm_team_barrier(&trial->member, &at_once);
		break;
	case TAKES_CHUNK:
		r = finish_chunk(trial) ? drain(trial, 1) : -ERROR_CORRUPT;
		break;
	case LEAVES_SECTION:
		r = shm_section_leave(&trial->member, section(trial));
		break;
	case TAKES_SINGLE:
		r = shm_team_single(&trial->member, &mine, &at_once);
		break;
	case NOTHING:
		break;
	}
	return r == 0 || r == -ERROR_TIMEOUT || r == -ERROR_EMPTY || fails(trial, "before the death: %s", error_text(r));
}

/* ---- a call that slept goes on ---- */

/* The arrival is withdrawn, as by a wait that finds work. */
static void come_back(struct trial *trial)
{
	struct pair *state = &team_header(trial->team)->state;

	trial->member.record->arrived--;
	trial->member.record->helps = 0;
	*state = (struct pair){state->low, state_high(state->high, state_arrived(state->high) - 1,
						      state_counted(state->high))};
}

static int resume_wait(struct trial *trial)
{
	uint32_t epoch = trial->member.record->arrived - 1;
	uint64_t now = team_low(trial->team);
	bool helps = trial->production->play->place == AT_LOOP;

	if (!team_moved(now, (uint64_t)epoch << 32)) {
		if (!helps || !team_has_orphans(trial->team, epoch))
			return -ERROR_TIMEOUT;
		come_back(trial);
	}
	if (helps)
		return 0; /* the loop's next sees it */
	return state_epoch(now) == epoch ? team_tell(&trial->member, now) : 0;
}

static int resume_section(struct trial *trial)
{
	uint64_t word = team_header(trial->team)->sections[section(trial)].word;

	(void)exchange64(&trial->member.record->waits, 0);
	return section_owner(word) == 0 || section_owner(word) == 1 ? 0 : -ERROR_TIMEOUT;
}

/* -ERROR_TIMEOUT: it would sleep on, and nobody is left to wake it. */
static int resume(struct trial *trial)
{
	switch (trial->production->play->place) {
	case AT_JOIN:
	case AT_BARRIER:
	case AT_LOOP:
		return resume_wait(trial);
	case AT_SECTION:
		return resume_section(trial);
	default:
		return 0;
	}
}

/* ---- what must hold ---- */

static enum team_member_state fate(const struct trial *trial)
{
	return (enum team_member_state)load32_acquire(&team_member(trial->team, 1)->state);
}

static bool is_settled(struct trial *trial)
{
	const struct team_member *record = team_member(trial->team, 1);
	const struct team_header *header = team_header(trial->team);
	enum team_member_state state = fate(trial);

	if (shm_team_recovery_needed(trial->team) || *team_lock(trial->team, 0) || *team_lock(trial->team, 2))
		return fails(trial, "a lock is not free after recovery");
	if (state != MEMBER_DEAD && state != MEMBER_LEFT && state != MEMBER_ABSENT)
		return fails(trial, "the dead member's state is %d", (int)state);
	if (state == MEMBER_ABSENT && state_epoch(header->state.low) != 0)
		return fails(trial, "the place of a member of a team that has formed is free");
	if (record->client || (state == MEMBER_DEAD && record->waits))
		return fails(trial, "the dead member's record is not clean");
	for (uint32_t i = 0; i < TEAM_SECTIONS; i++)
		if (section_owner(header->sections[i].word) == 2)
			return fails(trial, "the dead member is in section %u", i);
	return true;
}

static bool is_told(struct trial *trial)
{
	bool due = fate(trial) == MEMBER_DEAD && !trial->production->elastic;
	struct team_loss loss;

	if (trial->broken != due)
		return fails(trial, "it is told of %u deaths, not of %d", trial->broken, due);
	if (fate(trial) != MEMBER_DEAD)
		return true;
	if (shm_team_loss(trial->team, 0, &loss) < 0 || loss.id != 1 ||
	    loss.pid != (uint32_t)trial->production->child.pid)
		return fails(trial, "another death is reported");
	return true;
}

/* The chunk that the dead one held is reported, and is none that another has done. */
static bool note_loss(struct trial *trial, uint64_t taken)
{
	bool is_static = trial->production->play->schedule == TEAM_STATIC;
	struct team_loss loss;

	if (shm_team_loss(trial->team, 0, &loss) < 0)
		return fails(trial, "the death is not reported");
	for (int64_t i = loss.first; i < loss.last; i++) {
		if (i < 0 || i >= ITERATIONS || (trial->done[i] & 2) || (!is_static && (uint64_t)i >= taken))
			return fails(trial, "%" PRId64 " is reported as lost, which was not the dead one's", i);
		trial->done[i] |= 4;
	}
	return true;
}

/* Was it taken by somebody? When the loop broke, what was not is nobody's. */
static bool was_taken(const struct trial *trial, uint64_t i)
{
	struct pair loop = team_header(trial->team)->loop;
	uint32_t share = ITERATIONS / trial->team->layout.params.size;

	if (!trial->broken)
		return true;
	if (trial->production->play->schedule != TEAM_STATIC)
		return i < loop.low;
	return team_member(trial->team, (uint32_t)i / share)->block == block_word(loop_epoch(loop.high), 1);
}

/* Every iteration is done, or with the survivor who does it, or reported. */
static bool is_accounted(struct trial *trial)
{
	if (trial->broken && !note_loss(trial, team_header(trial->team)->loop.low))
		return false;
	for (uint64_t i = 0; i < ITERATIONS; i++)
		if (!trial->done[i] && was_taken(trial, i))
			return fails(trial, "iteration %" PRIu64 " is neither done nor reported", i);
	return true;
}

static bool ends_loop(struct trial *trial)
{
	bool is_loop = strncmp(trial->production->play->functions, "ems_loop", 8) == 0 || trial->in_loop;
	int r;

	if (!is_loop)
		return true;
	if (!trial->in_loop) { /* it comes to the loop only now */
		r = shm_loop_begin(&trial->loop, &trial->member, 0, ITERATIONS, trial->production->play->schedule,
				   CHUNK, &at_once);
		trial->broken += r == -ERROR_BROKEN;
		if (r == -ERROR_BROKEN)
			return is_accounted(trial);
		if (r < 0)
			return fails(trial, "a loop cannot begin: %s", error_text(r));
	}
	if (!finish_chunk(trial))
		return false;
	r = drain(trial, ITERATIONS + 1);
	trial->broken += r == -ERROR_BROKEN;
	if (trial->problem[0])
		return false;
	if (r != -ERROR_EMPTY && r != -ERROR_BROKEN)
		return fails(trial, "the loop does not end: %s", error_text(r));
	r = shm_loop_end(&trial->loop, &at_once);
	if (r < 0)
		return fails(trial, "the end of the loop: %s", error_text(r));
	return is_accounted(trial);
}

static bool passes_barriers(struct trial *trial)
{
	for (int i = 0; i < 3; i++) {
		int r = shm_team_barrier(&trial->member, &at_once);

		trial->broken += r == -ERROR_BROKEN;
		if (r < 0 && r != -ERROR_BROKEN)
			return fails(trial, "a barrier alone: %s", error_text(r));
	}
	return shm_team_counted(trial->team) == 1 || fails(trial, "%u are counted", shm_team_counted(trial->team));
}

static bool uses_section(struct trial *trial)
{
	uint32_t index = section(trial);
	uint64_t word = team_header(trial->team)->sections[index].word;
	bool died = section_owner(word) == 1 && (word & SECTION_DIED); /* it was given */
	int r = shm_section_enter(&trial->member, index, &died, &at_once);
	bool due = trial->owned && fate(trial) == MEMBER_DEAD;

	if (r < 0 && !(r == -ERROR_DEADLOCK && section_owner(word) == 1))
		return fails(trial, "the section is not free: %s", error_text(r));
	if (died != due)
		return fails(trial, "it is told that the owner %s", died ? "died" : "lives");
	r = shm_section_leave(&trial->member, index);
	return r == 0 || fails(trial, "the section cannot be left: %s", error_text(r));
}

/* Everything anew, alone. */
static bool works_on(struct trial *trial)
{
	bool mine = false;

	for (int schedule = TEAM_GUIDED; schedule <= TEAM_STATIC; schedule++) {
		memset(trial->done, 0, sizeof(trial->done));
		if (shm_loop_begin(&trial->loop, &trial->member, 0, ITERATIONS, (enum team_schedule)schedule, CHUNK,
				   &at_once) < 0 ||
		    drain(trial, ITERATIONS + 1) != -ERROR_EMPTY || shm_loop_end(&trial->loop, &at_once) < 0 ||
		    memchr(trial->done, 0, sizeof(trial->done)))
			return fails(trial, "a loop afterwards, of kind %d", schedule);
	}
	if (shm_team_single(&trial->member, &mine, &at_once) < 0 || !mine)
		return fails(trial, "a single afterwards");
	return true;
}

/* A stranger comes to it: into a team that has formed he cannot come, and is sent to a new one. */
static bool receives(struct trial *trial, int expected)
{
	struct shm_teammate stranger;
	int r = shm_team_join(&stranger, trial->team, TEAM_ANY, 0, &at_once);

	if (r == 0)
		shm_team_leave(&stranger);
	return r == expected || fails(trial, "who joins now gets: %s", r ? error_text(r) : "in");
}

static bool goes_home(struct trial *trial)
{
	shm_team_leave(&trial->member);
	return (shm_team_present(trial->team) == 0 && shm_team_recover(trial->team) == 0) ||
	       fails(trial, "somebody is left in the team");
}

/* Nobody else has come yet. */
static bool judge_nobody(struct trial *trial)
{
	enum team_member_state state = fate(trial);

	return is_settled(trial) &&
	       receives(trial, state == MEMBER_ABSENT ? -ERROR_TIMEOUT : trial->production->elastic ? 0 : -ERROR_DROPPED);
}

/* A death before it has formed: nothing, when the member was not in yet; else who waits gives up as well. */
static bool judge_forming(struct trial *trial)
{
	int r;

	if (fate(trial) == MEMBER_ABSENT) {
		if (!receives(trial, 0))
			return false;
		r = resume(trial);
		return r == 0 || fails(trial, "the place was taken anew, and join gives: %s", error_text(r));
	}
	r = resume(trial);
	(void)exchange32(&trial->member.record->state, MEMBER_ABSENT);
	return r == -ERROR_BROKEN ? receives(trial, -ERROR_DROPPED) : fails(trial, "join: %s", error_text(r));
}

static bool judge_formed(struct trial *trial)
{
	int r = resume(trial);

	trial->broken += r == -ERROR_BROKEN;
	if (r < 0 && r != -ERROR_BROKEN)
		return fails(trial, "it sleeps on: %s", error_text(r));
	return ends_loop(trial) && passes_barriers(trial) && is_told(trial) && uses_section(trial) &&
	       works_on(trial) && receives(trial, -ERROR_DROPPED) && goes_home(trial);
}

static bool judge(struct trial *trial)
{
	if (trial->production->play->place == NOWHERE)
		return judge_nobody(trial);
	if (!is_settled(trial))
		return false;
	return state_epoch(team_low(trial->team)) == 0 ? judge_forming(trial) : judge_formed(trial);
}

bool team_judge_all(const struct production *production, struct shm_team *team, pid_t also_dead, char *problem,
		    size_t size)
{
	struct trial trial = {.production = production, .team = team, .problem = problem, .size = size};
	struct team_loss loss, other;

	problem[0] = '\0';
	team_bury(team, production->child.pid);
	team_bury(team, production->survivor);
	team_bury(team, also_dead);
	if (shm_team_recover(team) < 0 || shm_team_recovery_needed(team) || shm_team_present(team) != 0)
		return fails(&trial, "all have died, and not all are out");
	if (fate(&trial) != MEMBER_DEAD || load32_acquire(&team_member(team, 0)->state) != MEMBER_DEAD)
		return true;
	return (shm_team_loss(team, 0, &loss) == 0 && shm_team_loss(team, 1, &other) == 0 && loss.id != other.id) ||
	       fails(&trial, "all have died, and not all are reported");
}

bool team_judge(const struct production *production, struct shm_team *team, pid_t also_dead, bool meanwhile,
		char *problem, size_t size)
{
	struct trial trial = {.production = production, .team = team, .problem = problem, .size = size};
	uint64_t word;
	bool good;
	int r;

	problem[0] = '\0';
	good = adopt(&trial) && (!meanwhile || do_meanwhile(&trial));
	if (good) {
		word = team_header(team)->sections[section(&trial)].word;
		trial.owned = section_owner(word) == 2 || (word & SECTION_DIED);
		team_bury(team, production->child.pid);
		team_bury(team, also_dead);
		r = shm_team_recover(team);
		good = r == 0 ? judge(&trial) : fails(&trial, "recovery: %s", error_text(r));
	}
	if (trial.member.lock.pages)
		shm_robust_unlock(&trial.member.lock);
	return good;
}
