/*
 * Sleeping without the interpreter's lock.
 *
 * A signal ends the sleep of the main thread, which alone runs handlers of signals, and then goes on with it. A
 * signal that comes in the instant before the thread falls asleep is not noticed by the library, so the main thread sleeps
 * in slices. Whoever closes a heap cancels those that sleep in it; who is about to is found by the closer's next look.
 */
#define _GNU_SOURCE
#include "contrib/python/native/native.h"

#include <time.h>
#include <unistd.h>

/* Nanoseconds. The moment at which a signal is missed is at the beginning of each, and most are sent early. */
#define FIRST_SLICE UINT64_C(100000000)
#define SLICE	    UINT64_C(1000000000)
#define LONG_SLICE  UINT64_C(10000000000)

static void begin(struct sleep *sleep)
{
	sleep->started = true;
	sleep->main_thread = gettid() == getpid();
	sleep->sleeper.session = ems_session_self();
	if (sleep->main_thread && sleep->sleeper.session)
		(void)ems_session_interruptible(sleep->sleeper.session, true, &sleep->former);
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
	if (*status == -EMS_EINTERRUPTED || (*status == -EMS_ETIMEOUT && sleep->slice != sleep->until)) {
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
