/* Sleeping on a cell, and on the locks of several others: see watch.h. */
#include "shm/watch.h"

#include <linux/futex.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/macros.h"
#include "shm/recover.h"

/* How long to sleep at most: the kernel tells one sleeper of a death, who may die himself before he has done anything. */
#define LOOK_NS (100 * NS_PER_MS)
#define RECOVERY_NS (10 * NS_PER_MS) /* how long to sleep at most when a dead one could not be recovered */

struct words {
	const uint32_t *words[FUTEX_WORDS];
	uint32_t expected[FUTEX_WORDS], count;
};

void shm_watch_add(struct shm_watch *watch, uint32_t slot)
{
	for (uint32_t i = 0; i < watch->count; i++)
		if (watch->slots[i] == slot)
			return;
	if (watch->count < WATCH_MAX)
		watch->slots[watch->count++] = slot;
}

bool shm_watch_has_dead(const struct shm_watch *watch, const struct shm_segment *seg)
{
	if (watch->count == WATCH_MAX) /* there may be more */
		return shm_recovery_needed(seg);
	for (uint32_t i = 0; i < watch->count; i++)
		if (shm_robust_is_dead(seg, watch->slots[i]))
			return true;
	return false;
}

/* Adds a lock, whose holder's death the kernel tells only when WAITERS is set. False: it changes right now. */
static bool add_lock(struct words *words, uint32_t *lock, uint32_t holder)
{
	if ((holder & FUTEX_TID_MASK) && !(holder & FUTEX_WAITERS)) {
		if (!cas32(lock, &holder, holder | FUTEX_WAITERS))
			return false;
		holder |= FUTEX_WAITERS;
	}
	words->words[words->count] = lock;
	words->expected[words->count++] = holder;
	return true;
}

int shm_watch_sleep(struct shm_session *session, struct cell *cell, struct cell seen, uint64_t deadline)
{
	const struct shm_watch *watch = session->watch;
	struct words words = {.words = {cell_futex(cell)}, .expected = {(uint32_t)seen.meta}, .count = 1};
	uint64_t bound = clock_deadline(LOOK_NS);
	struct shm_recovery recovery;
	bool dead = false;
	int r;

	for (uint32_t i = 0; i < watch->count; i++) {
		uint32_t *lock = shm_robust_word(session->seg, watch->slots[i]), holder = load32_acquire(lock);

		if (watch->slots[i] == session->id)
			continue;
		if (holder & FUTEX_OWNER_DIED)
			dead = true;
		else if (!add_lock(&words, lock, holder))
			return 0;
	}
	if (dead) {
		if (shm_recover(session->seg, session, &recovery) == 0 && recovery.recovered > 0)
			return 0;
		/* Another is at it, and may die, too. */
		bound = clock_deadline(RECOVERY_NS);
	}
	r = shm_futex_wait_owners(words.words, words.expected, words.count, MIN(bound, deadline));
	return r == -ERROR_TIMEOUT && deadline > bound ? 0 : r;
}
