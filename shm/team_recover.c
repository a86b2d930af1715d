/*
 * Taking the dead out of a team. By whoever finds one, under lock 0, itself killable everywhere: the lock of the dead
 * member stays dead until all is done, and each part can be done again.
 */
#include <linux/futex.h>
#include <limits.h>

#include "base/error.h"
#include "shm/futex.h"
#include "shm/team_internal.h"

bool shm_team_recovery_needed(const struct shm_team *team)
{
	for (uint32_t id = 0; id < team->layout.params.size; id++)
		if (shm_robust_word_is_dead(team_lock(team, id + 1)))
			return true;
	return false;
}

/* Not of those counted, but of those given: a recoverer may have died between giving a number and counting it. */
static uint32_t next_death(const struct shm_team *team)
{
	uint32_t last = 0;

	for (uint32_t id = 0; id < team->layout.params.size; id++)
		last = MAX(last, load32_relaxed(&team_member(team, id)->death));
	return last + 1;
}

/*
 * Which death it is, before the state says that it is one. Done again for one that is DYING already: who began may have died
 * before he counted it.
 */
static void number_death(struct shm_team *team, struct team_member *record)
{
	struct team_header *header = team_header(team);

	if (load32_relaxed(&record->death) == 0)
		store32_release(&record->death, next_death(team));
	(void)exchange32(&record->state, MEMBER_DYING);
	if (load32_relaxed(&header->deaths) < load32_relaxed(&record->death))
		store32_release(&header->deaths, load32_relaxed(&record->death));
}

/* False: it is not done yet. */
static bool take_out(struct shm_team *team, uint32_t id)
{
	struct team_member *record = team_member(team, id);

	switch (load32_acquire(&record->state)) {
	case MEMBER_JOINED:
		team_settle_chunk(team, id);
		/* fall through */
	case MEMBER_DYING:
		number_death(team, record);
		if (!(team->layout.params.elastic ? team_recount(team) : team_break(team)) ||
		    !team_settle_sections(team, id, true))
			return false;
		(void)exchange32(&record->state, MEMBER_DEAD);
		/* fall through */
	case MEMBER_DEAD:
		/* The survivors may have opened the broken team again and all have come to the next barrier, while this one
		 * was DYING and counted. */
		if (!team_release(team, state_epoch(team_low(team))))
			return false;
		break;
	case MEMBER_LEAVING:
		if (!team_recount(team))
			return false;
		(void)exchange32(&record->state, MEMBER_LEFT);
		break;
	case MEMBER_JOINING:
		(void)exchange32(&record->state, MEMBER_ABSENT);
		break;
	default: /* between taking or leaving the lock and the state: nothing depends on it */
		break;
	}
	return true;
}

/* Whoever sleeps may owe that to a wake that the dead one did not come to. */
static void wake_everybody(struct shm_team *team)
{
	(void)shm_futex_wake((uint32_t *)&team_header(team)->state.low, INT_MAX, WAIT_ANY);
	for (uint32_t id = 0; id < team->layout.params.size; id++) {
		struct team_member *record = team_member(team, id);

		if (load64_acquire(&record->waits) == 0)
			continue;
		(void)add32(&record->turn, 1);
		(void)shm_futex_wake(&record->turn, INT_MAX, WAIT_ANY);
	}
}

int shm_team_recover(struct shm_team *team)
{
	struct shm_robust lock;
	int r = shm_robust_trylock_word(team_lock(team, 0), true, &lock);

	if (r < 0)
		return r;
	for (uint32_t id = 0; id < team->layout.params.size; id++) {
		uint32_t *word = team_lock(team, id + 1);

		if (!shm_robust_word_is_dead(word))
			continue;
		if (!take_out(team, id)) {
			r = -ERROR_BUSY; /* who comes next goes on */
			break;
		}
		wake_everybody(team);
		(void)add32(&team_header(team)->recoveries, 1);
		store64_release(&team_member(team, id)->client, 0);
		store32_release(word, 0);
	}
	shm_robust_unlock(&lock);
	return r;
}

uint32_t shm_team_present(const struct shm_team *team)
{
	uint32_t count = 0;

	for (uint32_t id = 0; id < team->layout.params.size; id++)
		count += (load32_acquire(team_lock(team, id + 1)) & (FUTEX_TID_MASK | FUTEX_OWNER_DIED)) != 0;
	return count;
}

uint32_t shm_team_members_of(const struct shm_team *team, uint64_t client)
{
	uint32_t count = 0;

	for (uint32_t id = 0; id < team->layout.params.size; id++)
		count += load64_relaxed(&team_member(team, id)->client) == client &&
			 (load32_acquire(team_lock(team, id + 1)) & (FUTEX_TID_MASK | FUTEX_OWNER_DIED)) != 0;
	return count;
}

uint32_t shm_team_declare_dead(struct shm_team *team, uint64_t client)
{
	uint32_t count = 0;

	for (uint32_t id = 0; id < team->layout.params.size; id++) {
		uint32_t *word = team_lock(team, id + 1), holder = load32_acquire(word);

		/* The lock first: who takes it finds no number of a client before him there. So when the number read after that is
		 * this client's, the holder was of it. */
		if (!(holder & FUTEX_TID_MASK) || (holder & FUTEX_OWNER_DIED) ||
		    load64_acquire(&team_member(team, id)->client) != client)
			continue;
		shm_robust_declare_word_dead(word);
		count++;
	}
	return count;
}
