/* The barrier, and what else all members take part in: see shm/team.h. */
#include "base/error.h"
#include "shm/slot.h"
#include "shm/team_internal.h"

/*
 * One's own word first, then the count: a death in between leaves a member that has arrived and is dead, who is taken out.
 * The last one to come to a whole team that is not elastic arrives and releases in one step, for there the count is exact.
 */
static bool arrive(struct shm_team *team, uint64_t low)
{
	struct pair seen = team_state(team), desired;
	uint32_t epoch = state_epoch(low), arrived, counted;

	do {
		if (team_moved(seen.low, low))
			return false;
		arrived = state_arrived(seen.high) + 1;
		counted = state_counted(seen.high);
		if (arrived >= counted && counted == team->layout.params.size && !team->layout.params.elastic)
			desired = (struct pair){state_low(seen.low, epoch + 1, false), state_high(seen.high, 0, counted)};
		else
			desired = (struct pair){seen.low, state_high(seen.high, arrived, counted)};
	} while (!team_change(team, &seen, desired));
	return arrived >= counted && desired.low == seen.low;
}

/*
 * As if it had not arrived. The version moves on: who has seen this one there, and is about to release, must look again. The
 * phase does not: nobody waits for this. False: the state has moved before.
 */
static bool withdraw(struct shm_teammate *member, uint64_t low)
{
	struct shm_team *team = member->team;
	struct pair seen = team_state(team);
	uint32_t arrived;

	(void)exchange32(&member->record->arrived, state_epoch(low));
	store32_release(&member->record->helps, 0);
	do {
		if (team_moved(seen.low, low))
			return false;
		arrived = state_arrived(seen.high);
	} while (!team_change(team, &seen,
			      (struct pair){seen.low, state_high(seen.high, arrived - (arrived > 0),
								 state_counted(seen.high))}));
	return true;
}

static int sleep_until_moved(struct shm_teammate *member, uint64_t low, bool helps, const struct team_call *call)
{
	struct shm_team *team = member->team;
	const uint64_t *word = &team_header(team)->state.low;
	uint64_t seen;

	team_announce(team, state_epoch(low));
	for (;;) {
		seen = team_low(team);
		if (team_moved(seen, low))
			return 0;
		if (helps && team_has_orphans(team, state_epoch(low)))
			return SHM_AGAIN;
		int r = team_sleep(member, (const uint32_t *)word, (uint32_t)seen, call);
		if (r < 0)
			return r;
	}
}

static int wait(struct shm_teammate *member, uint64_t low, bool helps, const struct team_call *call)
{
	const uint64_t *word = &team_header(member->team)->state.low;
	int r;

	if (call->deadline != 0 && team_spin(member, word, low, ~UINT64_C(0xfffffffe)))
		return 0;
	r = sleep_until_moved(member, low, helps, call);
	shm_cancel_end(call->cancel);
	return r;
}

int team_pass(struct shm_teammate *member, uint64_t low, bool helps, const struct team_call *call)
{
	uint32_t epoch = state_epoch(low);
	int r;

	store32_release(&member->record->helps, helps ? epoch + 1 : 0);
	(void)exchange32(&member->record->arrived, epoch + 1);
	if (arrive(member->team, low))
		team_release(member->team, epoch);
	r = team_moved(team_low(member->team), low) ? 0 : wait(member, low, helps, call);
	return r != 0 && !withdraw(member, low) ? 0 : r;
}

int team_tell(struct shm_teammate *member, uint64_t low)
{
	uint32_t epoch = state_epoch(low);

	if (!state_broken(low) || member->told == epoch + 1)
		return 0;
	member->told = epoch + 1;
	/* Takes effect here; a death before the team is opened again is one of those that its recoverer sees to. */
	(void)exchange32(&member->record->told, epoch + 1);
	team_reopen(member->team, epoch);
	return -ERROR_BROKEN;
}

int team_begin(struct shm_teammate *member, uint64_t *low, const struct team_call *call)
{
	int r;

	for (;;) {
		*low = team_low(member->team);
		if (!state_broken(*low))
			return member->in_loop ? -ERROR_DEADLOCK : 0;
		r = team_tell(member, *low);
		if (r == 0 && state_epoch(*low) == 0)
			r = -ERROR_BROKEN;
		if (r == 0)
			r = wait(member, *low, false, call); /* until the others know as well */
		if (r < 0)
			return r;
	}
}

int shm_team_barrier(struct shm_teammate *member, const struct team_call *call)
{
	uint64_t low, now;
	int r = team_begin(member, &low, call);

	if (r < 0)
		return r;
	r = team_pass(member, low, false, call);
	if (r < 0)
		return r;
	now = team_low(member->team);
	/* Broken, in this epoch: not passed. In a later one: passed, and the next call will tell. */
	return state_epoch(now) == state_epoch(low) ? team_tell(member, now) : 0;
}

int shm_team_single(struct shm_teammate *member, bool *mine, const struct team_call *call)
{
	uint64_t low, *word = &team_header(member->team)->single, seen, next;
	int r = team_begin(member, &low, call);

	if (r < 0)
		return r;
	if (member->single_epoch != state_epoch(low)) {
		member->single_epoch = state_epoch(low);
		member->singles = 0;
	}
	/* The epoch cannot end without this member, so the word is of this epoch or of an earlier one. */
	next = (uint64_t)member->single_epoch << 32 | ++member->singles;
	seen = load64_acquire(word);
	*mine = false;
	while (!*mine && (seen >> 32 != member->single_epoch || seen < next))
		*mine = cas64(word, &seen, next);
	return 0;
}
