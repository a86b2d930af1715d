/* The state of a team: its changes. Each is one compare-and-swap of the 16 bytes; see shm/team.h and tests/model/barrier.pml. */
#include <limits.h>

#include "shm/futex.h"
#include "shm/team_internal.h"

/*
 * Phase is the word that is slept on. sleepers was set before the sleeper looked at the state for the last time, and
 * is looked at here after the state has changed: one of the two sees the other. A death between the change and the wake is
 * seen by a sleeper on this one's lock, and recovery wakes everybody.
 */
static void wake(struct shm_team *team, uint64_t before)
{
	struct team_header *header = team_header(team);

	fence_after_cas();
	if (load32_acquire(&header->sleepers) == state_epoch(before) + 1)
		(void)shm_futex_wake((uint32_t *)&header->state.low, INT_MAX, WAIT_ANY);
}

bool team_change(struct shm_team *team, struct pair *seen, struct pair desired)
{
	if (!cas_pair(&team_header(team)->state, seen, desired))
		return false;
	if ((uint32_t)seen->low != (uint32_t)desired.low)
		wake(team, seen->low);
	return true;
}

void team_announce(struct shm_team *team, uint32_t epoch)
{
	uint32_t *sleepers = &team_header(team)->sleepers, seen = load32_relaxed(sleepers);

	/* Only forward: one that was slow to come here must not hide those who sleep in the next epoch. */
	while ((int32_t)(epoch + 1 - seen) > 0 && !cas32(sleepers, &seen, epoch + 1))
		continue;
	fence_full();
}

/* Looked at once; the version tells whether it still holds. */
static bool all_have_arrived(const struct shm_team *team, uint32_t epoch, bool *helped)
{
	uint32_t live = 0;

	*helped = false;
	for (uint32_t id = 0; id < team->layout.params.size; id++) {
		const struct team_member *record = team_member(team, id);

		if (!team_counts(team, load32_acquire(&record->state)))
			continue;
		if (load32_acquire(&record->arrived) != epoch + 1)
			return false;
		*helped |= load32_acquire(&record->helps) == epoch + 1;
		live++;
	}
	return live > 0;
}

bool team_release(struct shm_team *team, uint32_t epoch)
{
	bool helped;

	for (int tries = 0; tries < TEAM_TRIES; tries++) {
		struct pair seen = team_state(team);

		if (state_broken(seen.low) || state_epoch(seen.low) != epoch)
			return true;
		/* Somebody who waits inside the loop will do what is left of it first; nobody else can. */
		if (!all_have_arrived(team, epoch, &helped) || (helped && team_has_orphans(team, epoch)))
			return true;
		if (team_change(team, &seen,
				(struct pair){state_low(seen.low, epoch + 1, false),
					      state_high(seen.high, 0, state_counted(seen.high))}))
			return true; /* the barrier is passed by that */
	}
	return false;
}

bool team_reopen(struct shm_team *team, uint32_t epoch)
{
	for (int tries = 0; tries < TEAM_TRIES; tries++) {
		struct pair seen = team_state(team);
		uint32_t live = 0, id;

		/* One that broke before it formed stays so: those who never came could not be told. */
		if (!state_broken(seen.low) || state_epoch(seen.low) != epoch || epoch == 0)
			return true;
		for (id = 0; id < team->layout.params.size; id++) {
			const struct team_member *record = team_member(team, id);

			if (load32_acquire(&record->state) != MEMBER_JOINED)
				continue;
			if (load32_acquire(&record->told) != epoch + 1)
				return true;
			live++;
		}
		if (live == 0 || team_change(team, &seen,
					     (struct pair){state_low(seen.low, epoch + 1, false),
							   state_high(seen.high, 0, live)}))
			return true;
	}
	return false;
}

bool team_recount(struct shm_team *team)
{
	struct pair seen = team_state(team);

	for (int tries = 0; !state_broken(seen.low); tries++) {
		uint32_t counted = 0;

		if (tries == TEAM_TRIES)
			return false;
		for (uint32_t id = 0; id < team->layout.params.size; id++)
			counted += team_counts(team, load32_acquire(&team_member(team, id)->state));
		/* The phase moves, too: those who wait inside a loop look for what the gone one has left. */
		if (team_change(team, &seen,
				(struct pair){state_low(seen.low, state_epoch(seen.low), false),
					      state_high(seen.high, state_arrived(seen.high), counted)}))
			break;
	}
	return state_broken(seen.low) ? team_reopen(team, state_epoch(seen.low))
				      : team_release(team, state_epoch(seen.low));
}

bool team_break(struct shm_team *team)
{
	struct pair seen = team_state(team);

	for (int tries = 0; tries < TEAM_TRIES; tries++) {
		bool was_broken = state_broken(seen.low);
		uint32_t epoch = state_epoch(seen.low);

		/* When it is broken already, the version moves on at least: who is about to open it has counted the dead one. */
		if (team_change(team, &seen,
				(struct pair){state_low(seen.low, epoch, true),
					      state_high(seen.high, state_arrived(seen.high), state_counted(seen.high))}))
			return !was_broken || team_reopen(team, epoch);
	}
	return false;
}
