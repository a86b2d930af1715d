/*
 * Sleeping on a word of shared memory. The only file pair that makes futex calls.
 * All words are in shared mappings; none of these is private to the process.
 */
#ifndef EMS_SHM_FUTEX_H
#define EMS_SHM_FUTEX_H

#include <stdint.h>

/* Who sleeps: those that wait for FULL and take, wait for FULL and look, wait for EMPTY, wait for anything
 * else. */
enum wait_kind {
	WAIT_FULL_TAKE = 1u << 0,
	WAIT_FULL_LOOK = 1u << 1,
	WAIT_EMPTY = 1u << 2,
	WAIT_OTHER = 1u << 3,
	WAIT_TURN = 1u << 4, /* a reader that lets others go first: for a short time, woken or not */
	WAIT_ANY = ~0u,
};

/*
 * Sleeps while *word == expected, until deadline (base/clock.h; CLOCK_NEVER). 0: woken, or the word was
 * different (look again). -ERROR_TIMEOUT: the deadline came. -ERROR_INTERRUPTED: a signal handler ran
 * (callers resume unless asked not to).
 */
int shm_futex_wait(const uint32_t *word, uint32_t expected, uint32_t kinds, uint64_t deadline);
/* Wakes up to `count` sleepers of one of the kinds; returns how many. */
int shm_futex_wake(uint32_t *word, int count, uint32_t kinds);
/*
 * Sleeps while *word == expected and *lock == lock_expected: on a cell and on its owner's robust lock, whose
 * word the kernel changes when the owner dies. Falls back to bounded waits of 10 ms where futex_waitv is
 * absent.
 */
int shm_futex_wait_owner(const uint32_t *word, uint32_t expected, const uint32_t *lock,
			 uint32_t lock_expected, uint64_t deadline);

/* Adds one to the word and wakes all its sleepers, as one step: nobody falls asleep, or dies, in between. */
void shm_futex_add_and_wake(uint32_t *word);

/* One of several words that a thread sleeps on. */
struct shm_futex_word {
	const uint32_t *word;
	uint32_t expected;
};
#define SHM_FUTEX_WORDS 128u /* the kernel's limit */

/*
 * Sleeps while each of the words has its expected value; 1 <= count <= SHM_FUTEX_WORDS. Where futex_waitv is absent,
 * sleeps on the first one, for 10 ms at most. Results as of shm_futex_wait.
 */
int shm_futex_wait_many(const struct shm_futex_word *words, uint32_t count, uint64_t deadline);

/*
 * The same for a cell's word, words[0], and the locks of several owners: sleeps while each of the `count` words is as
 * expected. 1 <= count <= FUTEX_WORDS.
 */
#define FUTEX_WORDS 65u
int shm_futex_wait_owners(const uint32_t *const words[], const uint32_t expected[], uint32_t count,
			  uint64_t deadline);

#endif
