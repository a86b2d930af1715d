/*
 * adopt.h: a new daemon takes over what former ones left.
 *
 * From catalogues come the facts; from segments, which their writers may have scribbled on, nothing but what
 * cannot be wrong without harming them alone. A segment whose header contradicts the catalogue is quarantined: listed, not
 * handed out any more, and can be dropped. Then, heap by heap: the gate is settled, the dead are recovered, memory
 * that was on its way back to the system gets there, and the charge is set right.
 *
 * Clients come back by themselves (request_reattach.c). What would end without clients (dropped heaps, those that
 * end with their last client) is left to them for a while, and as long as threads are alive in them.
 */
#ifndef DAEMON_ADOPT_H
#define DAEMON_ADOPT_H

#include "daemon/broker.h"
#include "daemon/store.h"

/*
 * Everything in the list becomes the broker's, or is dropped; the list is empty then. To be called once, before clients are
 * served. -ERROR_VERSION: a catalogue of another version: nothing was touched, and the daemon should not run.
 * -ERROR_NO_MEMORY, -ERROR_SYSTEM.
 */
int adopt(struct broker *broker, struct stored_list *list);

/* Nobody has it attached, but clients of a former daemon may still come back: it must not end now. */
bool adopt_is_awaited(struct heap *heap, uint64_t now);

/* A client of a former daemon is about to attach it again. */
void adopt_came_back(struct heap *heap, uint64_t client);

#endif
