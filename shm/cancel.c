/* Ending another thread's wait: see cancel.h. */
#include "shm/cancel.h"

#include <limits.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/macros.h"
#include "shm/atomic.h"
#include "shm/futex.h"

enum state { STATE_IDLE = 0, STATE_WAITING = 1, STATE_ASKED = 2, STATE_ENDED = 3 };

#define STATE_MASK 3u
#define TURN_ONE   4u

/* How long shm_cancel waits before it wakes again, see there. */
#define AGAIN_FIRST (100 * NS_PER_US)
#define AGAIN_MOST  (10 * NS_PER_MS)

static enum state state_of(uint32_t word)
{
	return (enum state)(word & STATE_MASK);
}

static void tell(struct shm_cancel *cancel, uint32_t word)
{
	store32_release(&cancel->word, word);
	(void)shm_futex_wake(&cancel->word, INT_MAX, WAIT_ANY);
}

bool shm_cancel_woken(struct shm_cancel *cancel)
{
	uint32_t seen = cancel ? load32_acquire(&cancel->word) : STATE_IDLE;

	if (state_of(seen) != STATE_ASKED)
		return false;
	store32_relaxed(&cancel->ended, seen & ~STATE_MASK);
	tell(cancel, (seen & ~STATE_MASK) | STATE_ENDED);
	return true;
}

bool shm_cancel_enter(struct shm_cancel *cancel, const uint32_t *word)
{
	uint32_t seen;

	if (!cancel)
		return false;
	/* Before the look at the state: who asks after that look finds this word to wake. */
	(void)exchange64(&cancel->sleeps_on, (uintptr_t)word);
	seen = load32_acquire(&cancel->word);
	if (state_of(seen) == STATE_IDLE || state_of(seen) == STATE_ENDED) {
		store32_release(&cancel->word, ((seen & ~STATE_MASK) + TURN_ONE) | STATE_WAITING);
		return false;
	}
	return shm_cancel_woken(cancel);
}

void shm_cancel_end(struct shm_cancel *cancel)
{
	uint32_t seen = cancel ? load32_acquire(&cancel->word) : STATE_IDLE;

	if (state_of(seen) == STATE_WAITING &&
	    cas32(&cancel->word, &seen, (seen & ~STATE_MASK) | STATE_IDLE))
		return;
	if (state_of(seen) == STATE_ASKED) /* too late: the call has its result */
		tell(cancel, (seen & ~STATE_MASK) | STATE_IDLE);
}

int shm_cancel(struct shm_cancel *cancel)
{
	uint32_t seen = load32_acquire(&cancel->word), turn = seen & ~STATE_MASK, asked = turn | STATE_ASKED;
	uint64_t patience = AGAIN_FIRST;

	if (state_of(seen) != STATE_WAITING || !cas32(&cancel->word, &seen, asked))
		return -ERROR_EMPTY;
	/*
	 * The other may have looked at its word already and not be asleep yet: then this wake finds nobody. It is
	 * on the processor or waiting for one in that case, so a second wake finds it asleep, or gone.
	 */
	while (load32_acquire(&cancel->word) == asked) {
		(void)shm_futex_wake((uint32_t *)(uintptr_t)load64_acquire(&cancel->sleeps_on), INT_MAX, WAIT_ANY);
		(void)shm_futex_wait(&cancel->word, asked, WAIT_ANY, clock_deadline(patience));
		patience = MIN(2 * patience, AGAIN_MOST);
	}
	return load32_acquire(&cancel->ended) == turn ? 0 : -ERROR_EMPTY;
}
