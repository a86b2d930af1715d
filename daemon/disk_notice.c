/*
 * disk_notice.c: sleeping on many words of many heaps, in threads of their own, so that an idle daemon needs no timer.
 *
 * Each thread takes as many words as the kernel lets it wait for; one of them is its own, which changes when there are more
 * or fewer. A word that has changed is told of once, and not waited for until it is removed and added again.
 */
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/macros.h"
#include "daemon/disk.h"
#include "shm/atomic.h"
#include "shm/futex.h"

#define WATCHES	    (SHM_FUTEX_WORDS - 1)
#define SLEEPERS_MAX 64u

struct sleeper {
	struct notice *notice;
	pthread_t thread;
	uint32_t changed; /* its own word */
	uint32_t count;
	const uint32_t *words[WATCHES];
};

struct notice {
	uv_async_t *async;
	pthread_mutex_t lock; /* of what follows, and of the sleepers' words */
	bool end;
	uint32_t count;
	struct sleeper *sleepers[SLEEPERS_MAX];
};

/* With the lock. */
static void forget(struct sleeper *sleeper, uint32_t i)
{
	sleeper->words[i] = sleeper->words[--sleeper->count];
}

/* What is to be slept on; words that have changed by now are told of. 0: the end. */
static uint32_t prepare(struct sleeper *sleeper, struct shm_futex_word words[SHM_FUTEX_WORDS])
{
	struct notice *notice = sleeper->notice;
	bool tell = false;
	uint32_t count = 1;

	(void)pthread_mutex_lock(&notice->lock);
	words[0] = (struct shm_futex_word){&sleeper->changed, load32_acquire(&sleeper->changed)};
	for (uint32_t i = 0; i < sleeper->count;) {
		if (load32_acquire(sleeper->words[i]) != DIRTY_WATCHED) {
			forget(sleeper, i);
			tell = true;
		} else {
			words[count++] = (struct shm_futex_word){sleeper->words[i++], DIRTY_WATCHED};
		}
	}
	if (notice->end)
		count = 0;
	else if (tell)
		(void)uv_async_send(notice->async);
	(void)pthread_mutex_unlock(&notice->lock);
	return count;
}

static void *sleep_on_words(void *arg)
{
	const struct timespec pause = {.tv_nsec = 10 * NS_PER_MS};
	struct shm_futex_word words[SHM_FUTEX_WORDS];
	uint32_t count;

	while ((count = prepare(arg, words)) > 0) {
		int r = shm_futex_wait_many(words, count, CLOCK_NEVER);

		/* A heap may go between a look and the sleep: then its word is not there, and ours has changed. Where the
		 * call is forbidden, this is how often the words are looked at. */
		if (r < 0 && r != -ERROR_INTERRUPTED)
			(void)nanosleep(&pause, NULL);
	}
	return NULL;
}

static void wake(struct sleeper *sleeper)
{
	add32(&sleeper->changed, 1);
	(void)shm_futex_wake(&sleeper->changed, INT_MAX, WAIT_ANY);
}

static bool start(struct notice *notice, struct sleeper *sleeper)
{
	sigset_t all, before;
	int r;

	sleeper->notice = notice;
	/* Signals are the loop's. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&sleeper->thread, NULL, sleep_on_words, sleeper);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r == 0;
}

struct notice *notice_new(uv_async_t *async)
{
	struct notice *notice = calloc(1, sizeof(*notice));

	if (!notice)
		return NULL;
	notice->async = async;
	(void)pthread_mutex_init(&notice->lock, NULL);
	return notice;
}

void notice_free(struct notice *notice)
{
	if (!notice)
		return;
	(void)pthread_mutex_lock(&notice->lock);
	notice->end = true;
	(void)pthread_mutex_unlock(&notice->lock);
	for (uint32_t i = 0; i < notice->count; i++) {
		wake(notice->sleepers[i]);
		(void)pthread_join(notice->sleepers[i]->thread, NULL);
		free(notice->sleepers[i]);
	}
	(void)pthread_mutex_destroy(&notice->lock);
	free(notice);
}

/* One with room, made if need be. The lock is held. */
static struct sleeper *find_room(struct notice *notice)
{
	struct sleeper *sleeper;

	for (uint32_t i = 0; i < notice->count; i++)
		if (notice->sleepers[i]->count < WATCHES)
			return notice->sleepers[i];
	sleeper = notice->count < SLEEPERS_MAX ? calloc(1, sizeof(*sleeper)) : NULL;
	if (sleeper && !start(notice, sleeper)) {
		free(sleeper);
		return NULL;
	}
	if (sleeper)
		notice->sleepers[notice->count++] = sleeper;
	return sleeper;
}

bool notice_add(struct notice *notice, const uint32_t *word)
{
	struct sleeper *sleeper;

	(void)pthread_mutex_lock(&notice->lock);
	sleeper = find_room(notice);
	if (sleeper)
		sleeper->words[sleeper->count++] = word;
	(void)pthread_mutex_unlock(&notice->lock);
	if (sleeper)
		wake(sleeper);
	return sleeper != NULL;
}

void notice_remove(struct notice *notice, const uint32_t *word)
{
	struct sleeper *found = NULL;

	(void)pthread_mutex_lock(&notice->lock);
	for (uint32_t s = 0; s < notice->count && !found; s++)
		for (uint32_t i = 0; i < notice->sleepers[s]->count && !found; i++)
			if (notice->sleepers[s]->words[i] == word) {
				found = notice->sleepers[s];
				forget(found, i);
			}
	(void)pthread_mutex_unlock(&notice->lock);
	/* Even when it had been told of: it may be about to sleep. */
	if (found)
		wake(found);
}
