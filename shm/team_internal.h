/* What the parts of teams have in common: shm/team.c, team_barrier.c, team_wait.c, team_recover.c, team_loop.c, team_section.c. */
#ifndef SHM_TEAM_INTERNAL_H
#define SHM_TEAM_INTERNAL_H

#include "shm/team.h"

/* The state, for a compare-and-swap that will fail if it was torn. */
static inline struct pair team_state(const struct shm_team *team)
{
	const struct pair *state = &team_header(team)->state;
	uint64_t high = load64_acquire(&state->high);

	return (struct pair){load64_acquire(&state->low), high};
}
/* Epoch and broken, as of one moment. */
static inline uint64_t team_low(const struct shm_team *team)
{
	return load64_acquire(&team_header(team)->state.low);
}
/* The epoch or broken has changed since `seen`. */
static inline bool team_moved(uint64_t low, uint64_t seen)
{
	return (low ^ seen) & ~UINT64_C(0xfffffffe);
}

static inline bool team_is_whole_state(uint32_t state)
{
	return state == MEMBER_ABSENT || state == MEMBER_JOINING || state == MEMBER_JOINED;
}
/* Must it arrive? A team that is not elastic waits for its dead until it is broken. */
static inline bool team_counts(const struct shm_team *team, uint32_t state)
{
	return team_is_whole_state(state) || (state == MEMBER_DYING && !team->layout.params.elastic);
}
/* Whose share of a loop others do. */
static inline bool team_is_gone(const struct shm_team *team, uint32_t state)
{
	return state != MEMBER_ABSENT && !team_counts(team, state) && state <= MEMBER_LEFT;
}

/* Changes the state from *seen; wakes everybody at the barrier when the phase has changed. False: *seen is what is there. */
bool team_change(struct shm_team *team, struct pair *seen, struct pair desired);
/*
 * The next four look at all members and change the state by that. False: it has moved TEAM_TRIES times meanwhile, and they
 * have given up, for a member that moves it for ever must not hang the daemon. After one that has moved it, nothing is lost by
 * that: whoever moves it looks for himself. A death is seen to once more.
 */
#define TEAM_TRIES 10000
/* Releases the barrier of `epoch` if all who count have arrived and no work of its loop is left. */
bool team_release(struct shm_team *team, uint32_t epoch);
/* Opens a broken team again if all who are left know. */
bool team_reopen(struct shm_team *team, uint32_t epoch);
/* After a member has become LEAVING, or DYING in an elastic team: counts anew, and does what may be due now. */
bool team_recount(struct shm_team *team);
/* After a member has become DYING in another team. */
bool team_break(struct shm_team *team);

/*
 * Arrives at the barrier of the epoch in `seen` and waits until it has passed or broken: 0. helps: also until there is work
 * of gone members: SHM_AGAIN, and the arrival is withdrawn, as with errors.
 */
int team_pass(struct shm_teammate *member, uint64_t seen, bool helps, const struct team_call *call);
/* Before anything that all take part in. 0: *low is an open state. -ERROR_BROKEN: it broke, and the member is told by that. */
int team_begin(struct shm_teammate *member, uint64_t *low, const struct team_call *call);
/* The team is broken and the member was not told: it is now, by -ERROR_BROKEN. Else 0. */
int team_tell(struct shm_teammate *member, uint64_t low);

/* Spins until `word` differs from `value` under mask. False: it does not in time. */
bool team_spin(struct shm_teammate *member, const uint64_t *word, uint64_t value, uint64_t mask);
/*
 * Sleeps once while *word == expected and everybody else lives; takes out the dead. 0: look again. -ERROR_TIMEOUT,
 * -ERROR_CANCELLED, -ERROR_INTERRUPTED (only when asked for). When no more is to be slept: shm_cancel_end.
 */
int team_sleep(struct shm_teammate *member, const uint32_t *word, uint32_t expected, const struct team_call *call);
/* Says that somebody may sleep at the barrier of this epoch. */
void team_announce(struct shm_team *team, uint32_t epoch);

/* The loop's side. Is there work of gone members in the loop of this epoch? */
bool team_has_orphans(const struct shm_team *team, uint32_t epoch);
/* The dead member's chunk becomes held or none, whichever is true. */
void team_settle_chunk(struct shm_team *team, uint32_t id);
/* The section's side. The dead (or leaving) member waits for none and owns none. died: the next owners are told.
 * False: TEAM_TRIES, as above. */
bool team_settle_sections(struct shm_team *team, uint32_t id, bool died);

#endif
