/*
 * client.h: one connection, from accept to the end of its process's slots.
 *
 *     connected ──(end of file, error, condemned)──→ lingering ──→ freed
 *                                                      as long as its threads have slots in heaps
 *
 * Sending never frees a client or a heap: a client that has to go is condemned, and disconnected from the
 * loop. So callers may walk lists while they send.
 */
#ifndef DAEMON_CLIENT_H
#define DAEMON_CLIENT_H

#include "daemon/broker.h"

/* Takes the connected socket; on an error it is closed. */
int client_new_take(struct broker *broker, int fd);

/* Each of these queues a frame, and sends what the socket takes. Failure condemns the client. */
void client_send_reply(struct client *client, uint64_t id, enum proto_op op, const void *body);
/* With a descriptor, taken in any case. */
void client_send_reply_take(struct client *client, uint64_t id, enum proto_op op, const void *body, int fd);
void client_send_error(struct client *client, uint64_t id, int code, const char *text);
/* Not before the handshake is done. */
void client_send_event(struct client *client, enum proto_event event, const void *body);

/* Reads no more, and disconnects when all is sent. */
void client_end(struct client *client);

/*
 * A pidfd that the client has sent of itself; fd is taken in any case, and used when the kernel gave us none. One that lies can only
 * have its own slots taken for dead, or for living.
 */
void client_watch_take(struct client *client, int fd);

/* Its process is dead, and its threads' slots are recovered. Frees it, or it is disconnected soon: others stay as they are. */
void client_process_died(struct client *client);

/* Disconnects, soon. why: for the log; NULL: it went by itself. */
void client_condemn(struct client *client, const char *why);

/* Disconnects now. The client may be gone after the call. */
void client_disconnect(struct client *client);

/* A disconnected one: frees it if none of its threads has a slot any more. True: it is gone. */
bool client_settle(struct client *client);

/* Frees it, with its attachments, whatever its state. */
void client_free(struct client *client);

/*
 * The client is the one that had the number before; whoever has it still (its connection is lost, and
 * perhaps we do not know it yet) is left without a connection, until the new one has had time to take over its heaps.
 */
void client_resume(struct client *client, uint64_t number);

/*
 * Disconnects it on somebody's behalf. It is not to come back as the one that it was: the daemon keeps in mind the last
 * so many numbers. by: for the log.
 */
void client_kick(struct client *client, uid_t by);
bool client_was_kicked(const struct broker *broker, uint64_t number);

/* NULL: no such attachment. */
struct attachment *client_attachment(const struct client *client, uint32_t number);

#endif
