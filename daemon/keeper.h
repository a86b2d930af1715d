/*
 * keeper.h: a process that holds descriptors for a daemon that may die, and does nothing else.
 *
 * It is used where no service manager keeps descriptors. It knows nothing of heaps: what it has is named
 * descriptors, and in a memory file among them (daemon/catalogue.h) the daemon has written what they are.
 *
 *     daemon ──(socket pair, given at its start)──→ keeper ←──(STATE/keeper, a socket)── the next daemon
 *
 * Packets of one struct keeper_packet, each with at most one descriptor. Only a process of the same user, or root, may
 * talk to it; a new connection replaces the former one: the lock on the state directory sees to it that there is one daemon.
 *
 * It ends
 *   - when the connection closes and nothing but catalogues is kept;
 *   - after a LEAVE and the end of the connection: when so many seconds have passed and no daemon came;
 *   - when its socket is no longer in the state directory (removed, or another keeper's), as nobody could reach it.
 * After a crash of the daemon it waits without an end.
 */
#ifndef DAEMON_KEEPER_H
#define DAEMON_KEEPER_H

#include <stdint.h>
#include <sys/types.h>

#define KEEPER_SOCKET_NAME "keeper"
#define KEEPER_NAME_SIZE   64 /* of a descriptor's name, with the NUL */

/* A keeper may be older than the daemon that finds it: these never change; new ones may be added. */
#define KEEPER_MAGIC   0x4b534d45u /* "EMSK" */
#define KEEPER_VERSION 1u

enum keeper_op {
	KEEPER_PUT = 1,	   /* daemon: keep this descriptor under this name, in place of one of that name */
	KEEPER_REMOVE = 2, /* daemon: close the one of this name */
	KEEPER_TAKE = 3,   /* daemon: give me everything (and keep it) */
	KEEPER_GIVE = 4,   /* keeper: one of them, with its descriptor */
	KEEPER_GIVEN = 5,  /* keeper: that was all; number: how many */
	KEEPER_LEAVE = 6,  /* daemon: an orderly end; number: seconds to wait for the next daemon */
};

struct keeper_packet {
	uint32_t magic;
	uint16_t version, op;
	uint64_t number;
	char name[KEEPER_NAME_SIZE];
};
_Static_assert(sizeof(struct keeper_packet) == 80, "keepers and daemons of all versions agree on this");

/* Descriptors that a keeper finds open when it begins. */
#define KEEPER_LISTENER_FD   3
#define KEEPER_CONNECTION_FD 4
#define KEEPER_DIRECTORY_FD  5

/* The keeper itself. socket: the inode of its socket in the directory. Returns the exit status. */
int keeper_run(ino_t socket);

/*
 * Starts one: a process of its own session that is nobody's child, with its socket in the state directory.
 * directory: a descriptor of that. Yields the connection. -ERROR_SYSTEM, …
 */
int keeper_start(int directory, int *_connection);

/* Connects to the one that is there. -ERROR_NOT_FOUND: there is none. */
int keeper_connect(int directory, int *_connection);

#endif
