/* How members of a team wait: spinning a little, then asleep on a word and on the life of everybody else. */
#include <linux/futex.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "shm/futex.h"
#include "shm/team_internal.h"

#define SPIN_MIN 16u
#define SPIN_MAX 2048u
/* With more members than a thread can sleep on, each sleeps on those that come next, and looks at all so often. */
#define LOOK_NS (20 * NS_PER_MS)
/* Otherwise so often, in case a death was told to nobody who could act on it. */
#define LOOK_RARELY_NS (100 * NS_PER_MS)
/* Besides the members' locks: the word itself, the recovery lock. */
#define WORDS_BESIDE  2u
#define WATCHED_MOST (SHM_FUTEX_WORDS - WORDS_BESIDE)

/* When members have to share processors, one that spins keeps another from coming. */
static uint32_t spin_most(const struct shm_team *team)
{
	static uint32_t processors; /* a constant once known; whoever comes writes the same */
	uint32_t known = load32_relaxed(&processors);

	if (known == 0) {
		known = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
		store32_relaxed(&processors, known);
	}
	return known == 1 ? 0 : shm_team_counted(team) > known ? SPIN_MIN : SPIN_MAX;
}

bool team_spin(struct shm_teammate *member, const uint64_t *word, uint64_t value, uint64_t mask)
{
	uint32_t most = spin_most(member->team), turns = MIN(MAX(member->spin, SPIN_MIN), most);

	for (uint32_t i = 0; i < turns; i++) {
		if ((load64_relaxed(word) ^ value) & mask) {
			member->spin = MIN(turns * 2, SPIN_MAX);
			return true;
		}
		cpu_relax();
	}
	member->spin = turns / 2;
	return false;
}

struct watch {
	struct shm_futex_word words[SHM_FUTEX_WORDS];
	uint32_t count;
	bool partial; /* not everybody is among them */
	bool dead;    /* somebody is, and has not been taken out */
};

static void watch_word(struct watch *watch, const uint32_t *word, uint32_t expected)
{
	watch->words[watch->count++] = (struct shm_futex_word){word, expected};
}

/*
 * All who take part, in a ring from the watcher on. Whose death the kernel reports to a sleeper that dies itself is not lost:
 * the other sleepers are on the lock of that one.
 */
static void watch_members(struct watch *watch, const struct shm_teammate *member)
{
	const struct shm_team *team = member->team;
	uint32_t size = team->layout.params.size, watched = 0;

	for (uint32_t i = 1; i < size; i++) {
		uint32_t *lock = team_lock(team, (member->id + i) % size + 1);
		uint32_t holder = load32_acquire(lock);

		if ((holder & FUTEX_TID_MASK) && !(holder & (FUTEX_WAITERS | FUTEX_OWNER_DIED)))
			holder = or32(lock, FUTEX_WAITERS) | FUTEX_WAITERS; /* or the kernel wakes nobody */
		if (holder & FUTEX_OWNER_DIED) /* perhaps just now */
			watch->dead = true;
		if (!(holder & FUTEX_TID_MASK))
			continue;
		if (watched++ < WATCHED_MOST)
			watch_word(watch, lock, holder);
		else
			watch->partial = true;
	}
}

/* Somebody else is taking the dead out, and wakes everybody afterwards, unless he dies. */
static bool watch_recoverer(struct watch *watch, const struct shm_team *team)
{
	uint32_t *lock = team_lock(team, 0), holder = load32_acquire(lock);

	if (!(holder & FUTEX_TID_MASK) || (holder & FUTEX_OWNER_DIED))
		return false;
	holder = or32(lock, FUTEX_WAITERS) | FUTEX_WAITERS;
	watch_word(watch, lock, holder);
	return !(holder & FUTEX_OWNER_DIED);
}

static bool is_interruptible(const struct team_call *call)
{
	return call->cancel && load32_relaxed(&call->cancel->interruptible) != 0;
}

int team_sleep(struct shm_teammate *member, const uint32_t *word, uint32_t expected, const struct team_call *call)
{
	struct watch watch = {.count = 0};
	uint64_t bound;
	int r;

	watch_word(&watch, word, expected);
	watch_members(&watch, member);
	if (watch.dead) {
		r = shm_team_recover(member->team);
		if (r != -ERROR_BUSY)
			return r;
		if (!watch_recoverer(&watch, member->team))
			return 0;
	}
	if (call->deadline == 0 || clock_passed(call->deadline))
		return -ERROR_TIMEOUT;
	if (shm_cancel_enter(call->cancel, word))
		return -ERROR_CANCELLED;
	bound = clock_deadline(watch.partial ? LOOK_NS : LOOK_RARELY_NS);
	r = shm_futex_wait_many(watch.words, watch.count, MIN(bound, call->deadline));
	/* The kernel may have woken this thread, and no other, for a death. */
	if (shm_team_recovery_needed(member->team))
		(void)shm_team_recover(member->team);
	if (shm_cancel_woken(call->cancel))
		return -ERROR_CANCELLED;
	if (r == -ERROR_TIMEOUT && bound < call->deadline)
		return 0;
	return r == -ERROR_INTERRUPTED && !is_interruptible(call) ? 0 : r;
}
