/*
 * Sleeping without the interpreter's lock.
 *
 * A signal ends the sleep of the main thread, which alone runs handlers of signals, and then goes on with it. A
 * signal that comes in the instant before the thread falls asleep is not noticed by the library, so the main thread sleeps
 * in slices. Where the call's deadline is not ours to cut, a thread cancels the sleep after as long, and it is begun anew.
 * Whoever closes a heap cancels those that sleep in it; who is about to is found by the closer's next look.
 */
#define _GNU_SOURCE
#include "contrib/python/native/native.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

/* Nanoseconds. The moment at which a signal is missed is at the beginning of each, and most are sent early. */
#define FIRST_SLICE UINT64_C(100000000)
#define SLICE	    UINT64_C(1000000000)
#define LONG_SLICE  UINT64_C(10000000000)

/* ---- cancelling what cannot be cut ---- */

/*
 * A thread that is there from the first such sleep on. It works on the session that is in `asleep`, and only while that is there, so
 * it cancels no other call. `sleeps` tells one sleep from the next. A child of a fork makes its own.
 */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t change;
	ems_session_t *asleep; /* NULL: the main thread is not in such a sleep */
	uint64_t sleeps;
	uint32_t process;
	bool running, idle;
} waker = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* With the lock, which is free meanwhile. */
static void pause_for(uint64_t nanoseconds, uint64_t sleep)
{
	ems_deadline_t end = ems_deadline_in(nanoseconds);
	struct timespec until = {.tv_sec = (time_t)(end / 1000000000), .tv_nsec = (long)(end % 1000000000)};

	while (waker.asleep && waker.sleeps == sleep && ems_deadline_in(0) < end)
		(void)pthread_cond_timedwait(&waker.change, &waker.lock, &until);
}

static void *wake(void *unused)
{
	(void)pthread_mutex_lock(&waker.lock);
	for (;;) {
		uint64_t sleep = waker.sleeps, length = SLICE;

		while (waker.asleep && waker.sleeps == sleep) {
			pause_for(length, sleep);
			if (waker.asleep && waker.sleeps == sleep)
				(void)ems_cancel(waker.asleep);
			length = LONG_SLICE;
		}
		waker.idle = !waker.asleep;
		if (waker.idle)
			(void)pthread_cond_wait(&waker.change, &waker.lock);
	}
	return unused;
}

/* Without a thread signals are noticed as they would be without this. */
static void start_waker(void)
{
	pthread_condattr_t clock;
	sigset_t all, former;
	pthread_t thread;

	if (waker.process != fork_count)
		(void)pthread_mutex_init(&waker.lock, NULL);
	waker.process = fork_count;
	waker.idle = waker.running = false;
	if (pthread_condattr_init(&clock) != 0)
		return;
	(void)pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&waker.change, &clock);
	(void)pthread_condattr_destroy(&clock);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &former);
	waker.running = pthread_create(&thread, NULL, wake, NULL) == 0;
	(void)pthread_sigmask(SIG_SETMASK, &former, NULL);
	if (waker.running)
		(void)pthread_detach(thread);
}

/* The main thread, with the interpreter's lock: it is about to sleep in that session; NULL: it has done so. */
static void tell_waker(ems_session_t *session)
{
	if (!waker.running || waker.process != fork_count)
		start_waker();
	(void)pthread_mutex_lock(&waker.lock);
	waker.asleep = session;
	waker.sleeps += session != NULL;
	if (session && waker.idle)
		(void)pthread_cond_signal(&waker.change);
	(void)pthread_mutex_unlock(&waker.lock);
}

/* ---- sleeping ---- */

static void begin(struct sleep *sleep)
{
	sleep->started = true;
	sleep->main_thread = gettid() == getpid();
	sleep->sleeper.session = ems_session_self();
	if (sleep->main_thread && sleep->sleeper.session)
		(void)ems_session_interruptible(sleep->sleeper.session, true, &sleep->former);
	if (sleep->main_thread && sleep->sleeper.session && sleep->pieces == WHOLE)
		tell_waker(sleep->sleeper.session);
	if (!sleep->heap)
		return;
	(void)REF(sleep->heap);
	sleep->heap->busy++;
	sleep->sleeper.next = sleep->heap->sleepers;
	sleep->sleeper.link = &sleep->heap->sleepers;
	if (sleep->sleeper.next)
		sleep->sleeper.next->link = &sleep->sleeper.next;
	sleep->heap->sleepers = &sleep->sleeper;
}

static void end(struct sleep *sleep)
{
	if (sleep->main_thread && sleep->sleeper.session && sleep->pieces == WHOLE)
		tell_waker(NULL);
	if (sleep->main_thread && sleep->sleeper.session)
		(void)ems_session_interruptible(sleep->sleeper.session, sleep->former, NULL);
	if (!sleep->heap)
		return;
	*sleep->sleeper.link = sleep->sleeper.next;
	if (sleep->sleeper.next)
		sleep->sleeper.next->link = sleep->sleeper.link;
	sleep->heap->busy--;
	UNREF(sleep->heap);
}

/* What the last slice has brought: does it go on? */
static bool goes_on(struct sleep *sleep, int *status)
{
	bool cancelled = *status == -EMS_ECANCELLED && sleep->main_thread && sleep->pieces == WHOLE;

	if (*status == -EMS_EINTERRUPTED || cancelled || (*status == -EMS_ETIMEOUT && sleep->slice != sleep->until)) {
		if (sleep->main_thread && PyErr_CheckSignals() < 0) {
			sleep->raised = true;
			return false;
		}
		if (sleep->heap && sleep->heap->closed) {
			*status = -EMS_ECANCELLED;
			return false;
		}
		return true;
	}
	return false;
}

bool sleep_again(struct sleep *sleep, int *status)
{
	if (!sleep->started) {
		begin(sleep);
		if (sleep->main_thread && PyErr_CheckSignals() < 0) {
			sleep->raised = true;
			end(sleep);
			return false;
		}
	} else if (!goes_on(sleep, status)) {
		end(sleep);
		return false;
	}
	sleep->slice = sleep->until;
	if (sleep->main_thread && sleep->pieces != WHOLE) {
		ems_deadline_t soon = ems_deadline_in(sleep->slices++ == 0	      ? FIRST_SLICE
						      : sleep->pieces == LONG_SLICES ? LONG_SLICE
										      : SLICE);

		sleep->slice = soon < sleep->until ? soon : sleep->until;
	}
	sleep->state = PyEval_SaveThread();
	return true;
}

void sleep_over(struct sleep *sleep)
{
	PyEval_RestoreThread(sleep->state);
}
