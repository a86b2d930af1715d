/* The only file that makes futex calls. */
#include "shm/futex.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/macros.h"
#include "shm/atomic.h"

#define POLL_NS (10 * NS_PER_MS) /* without futex_waitv: how long a waiter behind an owner sleeps at most */

static struct timespec *deadline_timespec(uint64_t deadline, struct timespec *ts)
{
	if (deadline == CLOCK_NEVER)
		return NULL;
	*ts = clock_timespec(deadline);
	return ts;
}

static int wait_result(long r)
{
	if (r >= 0 || errno == EAGAIN)
		return 0;
	return error_from_errno(errno); /* ETIMEDOUT, EINTR */
}

int shm_futex_wait(const uint32_t *word, uint32_t expected, uint32_t kinds, uint64_t deadline)
{
	struct timespec ts;

	/* The bitset form takes an absolute CLOCK_MONOTONIC time. */
	return wait_result(syscall(SYS_futex, word, FUTEX_WAIT_BITSET, expected,
				   deadline_timespec(deadline, &ts), NULL, kinds));
}

int shm_futex_wake(uint32_t *word, int count, uint32_t kinds)
{
	long r = syscall(SYS_futex, word, FUTEX_WAKE_BITSET, count, NULL, NULL, kinds);

	return r < 0 ? 0 : (int)r;
}

void shm_futex_add_and_wake(uint32_t *word)
{
	/* The comparison decides on a second wake, of nobody. */
	(void)syscall(SYS_futex, word, FUTEX_WAKE_OP, INT_MAX, 0L, word,
		      FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_LT, 0));
}

int shm_futex_wait_many(const struct shm_futex_word *words, uint32_t count, uint64_t deadline)
{
	struct timespec ts;
#ifdef SYS_futex_waitv
	struct futex_waitv vector[SHM_FUTEX_WORDS];

	for (uint32_t i = 0; i < count; i++)
		vector[i] = (struct futex_waitv){
			.val = words[i].expected, .uaddr = (uintptr_t)words[i].word, .flags = FUTEX_32};
	long r = syscall(SYS_futex_waitv, vector, count, 0, deadline_timespec(deadline, &ts), CLOCK_MONOTONIC);

	if (r >= 0 || errno != ENOSYS)
		return wait_result(r);
#endif
	for (uint32_t i = 1; i < count; i++)
		if (load32_acquire(words[i].word) != words[i].expected)
			return 0;
	uint64_t bound = clock_deadline(POLL_NS);
	int waited = shm_futex_wait(words[0].word, words[0].expected, WAIT_ANY, MIN(bound, deadline));

	return waited == -ERROR_TIMEOUT && deadline > bound ? 0 : waited;
}

int shm_futex_wait_owners(const uint32_t *const words[], const uint32_t expected[], uint32_t count,
			  uint64_t deadline)
{
	struct shm_futex_word pairs[FUTEX_WORDS];

	for (uint32_t i = 0; i < count; i++)
		pairs[i] = (struct shm_futex_word){words[i], expected[i]};
	return shm_futex_wait_many(pairs, count, deadline);
}

int shm_futex_wait_owner(const uint32_t *word, uint32_t expected, const uint32_t *lock,
			 uint32_t lock_expected, uint64_t deadline)
{
	const struct shm_futex_word words[] = {{word, expected}, {lock, lock_expected}};

	return shm_futex_wait_many(words, 2, deadline);
}
