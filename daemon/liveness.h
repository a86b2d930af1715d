/*
 * liveness.h: clients die, and what their threads had in hand is put in order.
 *
 * The kernel marks the robust lock of each slot whose thread dies; a pidfd says that a process is dead. An
 * end of file alone says neither: a child may hold the socket, and a living process may close it.
 */
#ifndef DAEMON_LIVENESS_H
#define DAEMON_LIVENESS_H

#include "daemon/broker.h"

/* Some thread of the client has a slot, alive or dead, in a heap that it has attached for writing. */
bool liveness_has_slots(const struct client *client);

/* The process is dead: all its slots are, whether or not the kernel could mark them. Recovers them. */
void liveness_died(struct client *client);

/* Recovers what is dead in the heaps that the client has attached for writing. */
void liveness_recover(struct client *client);

#endif
