/*
 * sweep.h: what happens because time has passed: idle heaps are dropped, clients that closed their connection
 * with slots in hand are looked at again, an idle daemon ends. While nothing of that is to come, no timer
 * runs.
 */
#ifndef DAEMON_SWEEP_H
#define DAEMON_SWEEP_H

#include "base/clock.h"
#include "daemon/broker.h"

/* How often disconnected clients with slots are looked at. */
#define SWEEP_LINGER NS_PER_S
/* How often heaps are that wait for clients of a former daemon (adopt.h). */
#define SWEEP_AWAIT (60 * NS_PER_S)

/* Sees to it that a sweep happens at `time` (clock.h) at the latest. */
void sweep_before(struct broker *broker, uint64_t time);

/* If the daemon is idle now, and ends when idle, sees to that. */
void sweep_idle(struct broker *broker);

#endif
