/*
 * census.h: how many threads of which client are at work in heaps.
 *
 * They take their slots in shared memory, without a word to the daemon; so they are counted when somebody wants to know. A heap's
 * writers may write there what they like: the numbers are for people, and for a limit that keeps the well-behaved apart.
 */
#ifndef DAEMON_CENSUS_H
#define DAEMON_CENSUS_H

#include "daemon/broker.h"

struct census {
	uint64_t client; /* number */
	uint32_t slots, waiters;
};

/* Counts for count clients, whose numbers are in ascending order. Of more than 2^20 slots it looks at so many. */
void census_take(const struct broker *broker, struct census *clients, size_t count);

/* The slots of all clients of each of count users. */
void census_of_users(const struct broker *broker, const struct user *const *users, size_t count, uint32_t *slots);

#endif
