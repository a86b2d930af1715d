/*
 * store.h: what outlives the daemon: the descriptors of its heaps, and what it knows of them.
 *
 *     service manager (fd store)   where it keeps descriptors for its services
 *     keeper (daemon/keeper.h)     elsewhere; made with the first heap
 *
 * Both hold named descriptors and nothing else. One of them is the catalogue (daemon/catalogue.h), a memory file that the
 * daemon alone has mapped: what it writes there is kept without a word to anybody.
 *
 *     a heap is made    descriptor to the store, record to the catalogue, then the answer to the client
 *     a heap ends       record away, then the descriptor
 *
 * So a descriptor without a record is one that nobody was told of, or that nobody has any more; the next daemon drops
 * it. A message to either store outlives its sender: it lies in a socket's queue, and is read before the sender's end is.
 *
 * Without a store (it cannot be had, or is full) heaps are made all the same; the log says that they will not
 * outlive the daemon.
 */
#ifndef DAEMON_STORE_H
#define DAEMON_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "daemon/keeper.h"

struct broker;

#define STORE_PREFIX	       "ems-" /* of all names */
#define STORE_CATALOGUE_PREFIX "ems-catalogue-"

static inline bool store_is_catalogue(const char *name)
{
	return strncmp(name, STORE_CATALOGUE_PREFIX, strlen(STORE_CATALOGUE_PREFIX)) == 0;
}

struct stored {
	char name[KEEPER_NAME_SIZE];
	int fd;	   /* -1: taken out of the list */
	bool here; /* in the store that is used now; else in one that was used before */
};

/* Descriptors that a former daemon has left. */
struct stored_list {
	struct stored *items;
	size_t count, capacity;
};

/* Takes fd in any case. Names that are too long are none of ours: fd is closed. -ERROR_NO_MEMORY. */
int stored_add_take(struct stored_list *list, const char *name, int fd);
/* For stored_find, when all are there. */
void stored_sort(struct stored_list *list);
/* One of that name, whether its descriptor was taken already or not; NULL: there is none. */
struct stored *stored_find(const struct stored_list *list, const char *name);
void stored_fini(struct stored_list *list);

struct store;

/*
 * Makes the broker's store and yields in *list what former daemons left, both from the service manager (which the list has
 * already) and from a keeper in state_dir. service_room: so many descriptors the service manager keeps for us; 0: none, a keeper is to be used.
 * keep_seconds: how long a keeper waits for the next daemon after an orderly end.
 * -ERROR_NO_MEMORY, -ERROR_SYSTEM.
 */
int store_open(struct broker *broker, const char *state_dir, uint64_t service_room, uint64_t keep_seconds,
	       struct stored_list *list);

/* All that was left has been put again, or is dropped: a keeper that is not needed any more ends. */
void store_settled(struct store *store);

/*
 * Keeps a duplicate of fd under the name. Failure is logged, once for each cause, and only means that it is not
 * kept. -ERROR_LIMIT: the service manager would not take one more.
 */
int store_put(struct store *store, const char *name, int fd);
void store_remove(struct store *store, const char *name);

/* The end of this daemon; what is kept is left to the next one. */
void store_close(struct store *store);

#endif
