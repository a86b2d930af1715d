/*
 * outgoing.h: what waits to be sent to a client: frames in their order, bounded.
 */
#ifndef DAEMON_OUTGOING_H
#define DAEMON_OUTGOING_H

#include "daemon/broker.h"

/* The place to encode the next frame into; with_fd: one of its own. NULL: out of memory. */
struct proto_buffer *outgoing_place(struct client *client, bool with_fd);

/* Counts what was encoded there since, and takes fd along (-1: none). */
void outgoing_commit_take(struct client *client, int fd);

/*
 * Sends what the socket takes. 0: all; -ERROR_BUSY: the rest when the socket is writable; -ERROR_CONNECTION,
 * …: it is broken.
 */
int outgoing_flush(struct client *client);

void outgoing_clear(struct client *client);

#endif
