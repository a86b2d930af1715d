/*
 * connection.h: a connection, and who may use its link when.
 *
 * Control calls are serialised by a lock; the link (client/link.h) is used with it held. A link that broke, because the
 * daemon died or was replaced, is made anew at the next control call, or when a thread takes a slot; the heaps that are
 * open are attached again through it, and the call is made once more if its answer was lost. Who called notices
 * nothing but the time it takes. While there is no daemon, heaps are used on without.
 *
 * The public handle is one reference; each mapping holds another, since threads may give slots back after ems_disconnect.
 */
#ifndef CLIENT_CONNECTION_H
#define CLIENT_CONNECTION_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "client/ems.h"
#include "client/link.h"
#include "proto/paths.h"

/* How long a control call waits for the daemon: it answers in microseconds unless it is stopped or the machine is stuck. */
#define CONNECTION_PATIENCE (30 * NS_PER_S)

/*
 * How long calls wait, from the loss of a link on, for a daemon to come back. When it is over each call tries once. (A service
 * manager needs a second for a restart, people a little longer for an upgrade.)
 */
#define CONNECTION_OUTAGE (20 * NS_PER_S)

struct mapping;

struct ems_connection {
	uint32_t process;    /* client/process.h */
	uint32_t references; /* atomic */
	pthread_mutex_t lock;

	/* with the lock held: */
	int cancel_state; /* of the thread that holds the lock, from before */
	bool closed;
	struct link link;
	uint64_t outage; /* until when calls wait for a daemon; 0: the link is not known to be lost */
	uint64_t next_look; /* of connection_look */
	struct mapping *mappings;
	struct ems_heap *heaps;
	struct ems_region *regions;

	struct loop *loop; /* client/wait.h, with that lock */

	/* constant */
	bool autostart;
	char path[PROTO_SOCKET_PATH_SIZE];
	char daemon_version[PROTO_TEXT_MAX + 1]; /* of the first link */
};

/*
 * Takes the lock; with `connected` also sees to it that there is a link. What a call on a connection begins with: failures are
 * noted. Thread cancellation is off while the lock is held.
 * -ERROR_INVALID (NULL), -ERROR_FORKED, -ERROR_TIMEOUT, -ERROR_NO_DAEMON …: the lock is not held then.
 */
int connection_lock(struct ems_connection *connection, bool connected);
/* What every call on a connection begins with: 0, -ERROR_INVALID (NULL), -ERROR_FORKED; noted. */
int connection_check(const struct ems_connection *connection);
void connection_unlock(struct ems_connection *connection);
/* The lock alone, without looks or failures. */
void connection_take(struct ems_connection *connection);
/* For who must not wait: false when somebody else holds the lock. */
bool connection_trylock(struct ems_connection *connection);

/*
 * With the lock held: a request as by link_call; when the link is lost, a new one is made and the request is sent again, until
 * the deadline. An op that was carried out before its answer was lost is not carried out twice, or makes no difference by that:
 * creations have a name of their own (proto_open.creation), and to drop what is gone is no error then.
 */
int connection_request(struct ems_connection *connection, enum proto_op op, const void *body, void *reply,
		       int *_fd, uint64_t deadline);
/* The same for a request about a mapping; *heap, in body, gets the number of its attachment. -ERROR_DROPPED, …: it is lost. */
int connection_request_for(struct ems_connection *connection, struct mapping *mapping, enum proto_op op,
			   const void *body, uint32_t *heap, void *reply);

/*
 * Makes a lost link anew if that is a matter of a moment: so that a daemon knows of clients that only compute. Without the
 * lock; never waits for it, nor reports anything.
 */
void connection_look(struct ems_connection *connection);

/* One request in a row of its own. As connection_request. */
int connection_call(struct ems_connection *connection, enum proto_op op, const void *body, void *reply,
		    uint64_t deadline);

struct ems_connection *connection_ref(struct ems_connection *connection);
void connection_unref(struct ems_connection *connection);

#endif
