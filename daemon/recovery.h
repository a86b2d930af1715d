/*
 * recovery.h: putting dead slots in order, again and again until none is left.
 */
#ifndef DAEMON_RECOVERY_H
#define DAEMON_RECOVERY_H

#include "daemon/broker.h"
#include "shm/recover.h"

/* Recovers the heap's dead slots, if there are any, now; what has to wait is tried again by a timer. */
void recovery_look(struct heap *heap);

/* The same, whether there seem to be any or not; yields what was done. -ERROR_BUSY: another recoverer is at
 * it. */
int recovery_run(struct heap *heap, struct shm_recovery *recovery);

/* How a heap's recovery asks the others; the context is the broker. */
extern const struct shm_neighbours recovery_neighbours;
/* The heap is about to end: the others ask it now what they may still need to know. */
void recovery_farewell(struct heap *gone);

/* The timer's callback. */
/* Somebody else is at it, or something is in the way: the timer comes back. */
void recovery_try_later(struct heap *heap);
void recovery_on_timer(uv_timer_t *timer);

/* Nobody gets the heap any more; those who have it are left with it. why: for the log. */
void recovery_quarantine(struct heap *heap, const char *why);

#endif
