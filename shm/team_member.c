/* Joining a team, and leaving it. */
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "shm/futex.h"
#include "shm/team_internal.h"

static uint64_t boot_time(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void fill_record(struct team_member *record, uint64_t client)
{
	store64_relaxed(&record->client, client);
	store64_relaxed(&record->since, boot_time());
	store32_relaxed(&record->pid, (uint32_t)getpid());
	store32_relaxed(&record->tid, (uint32_t)syscall(SYS_gettid));
	store32_relaxed(&record->arrived, 0);
	store32_relaxed(&record->helps, 0);
}

/*
 * JOINING until it is certain that the team is still forming: a death until then leaves the place as free as it was. The state's
 * phase moves on, so that those who wait already see the new lock, and sleep on it, too.
 */
static int enter(struct shm_teammate *member, uint64_t client)
{
	struct shm_team *team = member->team;
	struct pair seen = team_state(team);

	fill_record(member->record, client);
	(void)or32(team_lock(team, member->id + 1), FUTEX_WAITERS); /* the kernel shall wake who sleeps on it */
	(void)exchange32(&member->record->state, MEMBER_JOINING);
	do {
		if (state_broken(seen.low) || state_epoch(seen.low) != 0) {
			(void)exchange32(&member->record->state, MEMBER_ABSENT);
			return -ERROR_DROPPED;
		}
	} while (!team_change(team, &seen,
			      (struct pair){state_low(seen.low, 0, false),
					    state_high(seen.high, state_arrived(seen.high), state_counted(seen.high))}));
	(void)exchange32(&member->record->state, MEMBER_JOINED);
	return 0;
}

/* The client's number goes first: with it, the next holder's lock would pass for this client's when that one dies. */
static void give_place(struct shm_teammate *member)
{
	store64_release(&member->record->client, 0);
	shm_robust_unlock(&member->lock);
	member->record = NULL;
}

static int take_place(struct shm_teammate *member, uint32_t id, uint64_t client)
{
	int r;

	member->record = team_member(member->team, id);
	member->id = id;
	if (load32_acquire(&member->record->state) != MEMBER_ABSENT)
		return -ERROR_BUSY;
	r = shm_robust_trylock_word(team_lock(member->team, id + 1), false, &member->lock);
	if (r < 0)
		return r;
	r = -ERROR_BUSY;
	if (load32_acquire(&member->record->state) == MEMBER_ABSENT)
		r = enter(member, client);
	if (r < 0)
		give_place(member);
	return r;
}

static int find_place(struct shm_teammate *member, uint64_t client)
{
	int r = -ERROR_BUSY;

	for (uint32_t id = 0; r == -ERROR_BUSY && id < member->team->layout.params.size; id++)
		r = take_place(member, id, client);
	return r;
}

bool shm_team_is_over(const struct shm_team *team)
{
	uint64_t low = team_low(team);
	bool lost = state_broken(low);

	if (state_epoch(low) == 0)
		return lost;
	for (uint32_t id = 0; !lost && id < team->layout.params.size; id++)
		lost = load32_acquire(&team_member(team, id)->state) >= MEMBER_DYING ||
		       shm_robust_word_is_dead(team_lock(team, id + 1));
	return lost;
}

/* No place is left: is the team whole, or is a new one wanted? */
static int refusal(const struct shm_team *team, uint32_t wanted)
{
	if (shm_team_is_over(team))
		return -ERROR_DROPPED;
	return wanted == TEAM_ANY ? -ERROR_FULL : -ERROR_BUSY;
}

/* A dead one has the place: out with it. Or somebody else is at that, and is waited for. */
static int make_room(struct shm_team *team, const struct team_call *call)
{
	uint32_t *lock = team_lock(team, 0), holder;
	int r = shm_team_recover(team);

	if (r != -ERROR_BUSY)
		return r;
	holder = load32_acquire(lock);
	if (!(holder & FUTEX_TID_MASK))
		return 0;
	holder = or32(lock, FUTEX_WAITERS) | FUTEX_WAITERS;
	return shm_futex_wait(lock, holder, WAIT_ANY, call->deadline);
}

static int take_any_place(struct shm_teammate *member, uint32_t id, uint64_t client, const struct team_call *call)
{
	int r;

	for (;;) {
		if (team_low(member->team) & ~UINT64_C(0xfffffffe))
			return refusal(member->team, id); /* it has formed, or broken */
		r = id == TEAM_ANY ? find_place(member, client) : take_place(member, id, client);
		if (r == -ERROR_BUSY)
			return refusal(member->team, id);
		if (r != -ERROR_BROKEN)
			return r;
		r = make_room(member->team, call);
		if (r < 0 && r != -ERROR_INTERRUPTED)
			return r;
	}
}

int shm_team_join(struct shm_teammate *member, struct shm_team *team, uint32_t id, uint64_t client,
		  const struct team_call *call)
{
	int r;

	memset(member, 0, sizeof(*member));
	if (id != TEAM_ANY && id >= team->layout.params.size)
		return -ERROR_RANGE;
	member->team = team;
	r = take_any_place(member, id, client, call);
	if (r < 0)
		return r;
	r = shm_team_barrier(member, call);
	if (r == 0)
		return 0;
	/* Not yet there when others still come: the place is free again. The arrival was withdrawn. */
	(void)exchange32(&member->record->state, MEMBER_ABSENT);
	give_place(member);
	return r;
}

void shm_team_leave(struct shm_teammate *member)
{
	struct team_member *record = member->record;

	store64_release(&record->chunk, chunk_word(CHUNK_NONE, 0, ++member->try));
	while (!team_settle_sections(member->team, member->id, false))
		continue;
	/* A death from here on is completed as leaving, not as a death. */
	(void)exchange32(&record->state, MEMBER_LEAVING);
	while (!team_recount(member->team))
		continue;
	(void)exchange32(&record->state, MEMBER_LEFT);
	give_place(member);
}
