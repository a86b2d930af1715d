/*
 * mapping.h: a heap's memory in this process.
 *
 * However often a heap is opened through one connection, it is mapped once for writing and once for
 * reading. A mapping lives as long as anybody needs it: its handles (one reference together), and each
 * thread that has a slot in it, for a slot can only be given back by its own thread.
 *
 *     opened first      mapping_new: attachment at the daemon, memory mapped
 *     last handle gone  mapping_detach: the daemon is told; threads with slots may still be there
 *     last reference    unmapped, freed
 */
#ifndef CLIENT_MAPPING_H
#define CLIENT_MAPPING_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/message.h"
#include "shm/segment.h"

struct ems_connection;

struct mapping {
	struct shm_segment segment;
	struct ems_connection *connection; /* a reference */
	uint32_t references;		   /* atomic */
	uint32_t abandoned; /* atomic; 1: no handle is left, threads should give their slots back */
	uint64_t client;    /* atomic; the daemon's number of this client, for slots */
	uint8_t heap_id[16];
	uint64_t memory; /* inode of the memory: a persistent heap may be in another by the time we come back */
	char name[PROTO_NAME_MAX + 1]; /* when it was opened */
	uint64_t ticket;	       /* for reattach; 0: none */
	struct listener *listener; /* client/wait.h, with that lock; NULL when nobody waits from an event loop */

	/* with the connection locked: */
	struct mapping *next; /* of the connection's mappings that have handles */
	uint32_t handles;
	uint32_t attachment; /* the daemon's number; 0: detached */
	uint32_t epoch;	     /* of the connection's link on which that number counts */
	int lost;	     /* why a new link could not attach it again; 0 */
};

/*
 * Maps what the daemon has sent, with one handle and one reference; the connection is locked. fd is borrowed.
 * -ERROR_CORRUPT, -ERROR_VERSION, -ERROR_NO_MEMORY, -ERROR_SYSTEM, -ERROR_UNSUPPORTED.
 */
int mapping_new(struct mapping **_mapping, struct ems_connection *connection,
		const struct proto_open_reply *reply, int fd);

/* A heap's geometry, from the daemon's words. */
struct heap_params;
void mapping_params(struct heap_params *params, const struct proto_params *from);

/* The connection's mapping of this heap and access, or NULL; the connection is locked. */
struct mapping *mapping_find(struct ems_connection *connection, const uint8_t heap_id[16], bool writable);

/* The same, if it is of the memory that fd is of. */
struct mapping *mapping_find_memory(struct ems_connection *connection, const uint8_t heap_id[16], int fd, bool writable);

/*
 * One handle less; true when it was the last: the daemon is told, the mapping is off the connection's list, and the
 * handles' reference is the caller's to give up, after unlocking. The connection is locked.
 */
bool mapping_release_handle(struct mapping *mapping);
/* Takes it off the connection's list. */
void mapping_unlist(struct mapping *mapping);

/*
 * After a new link was made: each mapping of the connection is attached again, by its id. What cannot be (it
 * was dropped meanwhile) is used on without the daemon; mapping->lost says why. The connection is
 * locked. -ERROR_CONNECTION, -ERROR_TIMEOUT: the link broke again.
 */
int mapping_reattach_all(struct ems_connection *connection, uint64_t deadline);

struct mapping *mapping_ref(struct mapping *mapping);
/* Not with the connection locked. In a child nothing is unmapped: the memory is not there. */
void mapping_unref(struct mapping *mapping);

/* How mappings ask for memory; the context is the mapping. */
extern const struct shm_supply mapping_supply;
/* The other heaps of its connection that are mapped for writing; the context is the mapping. */
extern const struct shm_neighbours mapping_neighbours;

#endif
