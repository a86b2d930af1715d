/*
 * link.h: one conversation with the daemon, from hello until the socket breaks.
 *
 * Requests go out one at a time, each with an id of its own; the reply is the frame with that id. Events and
 * late replies to requests that were given up come in between and are passed over: everything an event could
 * tell stands in the segment as well. Not thread-safe; who uses it holds the connection's lock.
 */
#ifndef CLIENT_LINK_H
#define CLIENT_LINK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/codec.h"
#include "proto/reader.h"

struct link {
	int socket; /* -1: there is none */
	ino_t inode; /* of the socket, by which a child knows whether the descriptor is still the one it inherited */
	uint64_t last_id;
	uint32_t epoch; /* counts links, so that numbers given on an earlier one are not used on this */
	struct proto_reader reader;
	struct proto_hello_reply daemon; /* the last one that answered, also after the link broke */
};

void link_init(struct link *link);

/*
 * Takes the socket over and says hello. On failure the link is closed, the failure noted.
 * -ERROR_VERSION, -ERROR_PROTOCOL, -ERROR_CONNECTION, -ERROR_TIMEOUT, or what the daemon answers.
 */
int link_open(struct link *link, int socket_take, uint64_t deadline);

/* Closes it; the daemon takes the client for gone. */
void link_close(struct link *link);

/* In a child: closes the descriptor if it is still there, and nothing else. */
void link_close_inherited(struct link *link);

/*
 * Sends a request and waits for its reply. reply: the op's struct, or NULL. _fd: takes the descriptor that comes with it, the
 * caller's to close; NULL: none is wanted. What the reply points to stays until the next call. Failures are noted, with the daemon's words.
 * After -ERROR_CONNECTION and -ERROR_PROTOCOL, and after -ERROR_TIMEOUT of an op whose late reply would matter (all but ping and detach), the link is closed.
 */
int link_call(struct link *link, enum proto_op op, const void *body, void *reply, int *_fd,
	      uint64_t deadline);

/* The same; the descriptor `enclosed`, borrowed, goes with the request. */
int link_call_with(struct link *link, enum proto_op op, const void *body, int enclosed, void *reply, int *_fd,
		   uint64_t deadline);

/* Sends a request that has no reply, if the socket takes it at once. */
void link_post(struct link *link, enum proto_op op, const void *body);

/* Reads what has come meanwhile. Closes the link if it has ended. */
void link_drain(struct link *link);

#endif
