/*
 * dispatch.h: from a frame to the function that does what it asks.
 */
#ifndef DAEMON_DISPATCH_H
#define DAEMON_DISPATCH_H

#include "daemon/broker.h"

/* Works on one frame of the client; answers it, or condemns the client. */
void dispatch(struct client *client, const void *data, size_t size);

/*
 * What each request's function gets: its id (0 for trim), and its body. It sends the answer itself, or
 * returns an error, of which message, empty at first, then says more.
 */
#define REQUEST_MESSAGE_SIZE 1024

#define REQUEST_FUNCTION(name, type)                                                       \
	int request_##name(struct client *client, uint64_t id, const struct type *request, \
			   char message[static REQUEST_MESSAGE_SIZE])

REQUEST_FUNCTION(hello, proto_hello); /* request_hello.c */
REQUEST_FUNCTION(ping, proto_empty);
REQUEST_FUNCTION(status, proto_empty);
REQUEST_FUNCTION(open, proto_open); /* request_open.c */
REQUEST_FUNCTION(detach, proto_detach);
REQUEST_FUNCTION(reattach, proto_reattach); /* request_reattach.c */
REQUEST_FUNCTION(list, proto_list); /* request_look.c */
REQUEST_FUNCTION(inspect, proto_inspect);
REQUEST_FUNCTION(drop, proto_drop); /* request_change.c */
REQUEST_FUNCTION(grow, proto_grow);
REQUEST_FUNCTION(chmod, proto_chmod); /* request_owner.c */
REQUEST_FUNCTION(chown, proto_chown);
REQUEST_FUNCTION(rename, proto_rename);
REQUEST_FUNCTION(clients, proto_clients); /* request_users.c */
REQUEST_FUNCTION(kick, proto_kick);
REQUEST_FUNCTION(quota, proto_quota);
REQUEST_FUNCTION(commit_units, proto_commit_units); /* request_memory.c */
REQUEST_FUNCTION(commit_storage, proto_commit_storage);
REQUEST_FUNCTION(prepare_table, proto_prepare_table);
REQUEST_FUNCTION(trim, proto_trim);
REQUEST_FUNCTION(recover, proto_recover);
REQUEST_FUNCTION(open_file, proto_open_file); /* request_region.c */
REQUEST_FUNCTION(grow_region, proto_grow_region);
REQUEST_FUNCTION(sync, proto_sync); /* request_persist.c */
REQUEST_FUNCTION(join, proto_join);
REQUEST_FUNCTION(copy, proto_copy); /* request_copy.c */

/* What several of them need; errors as theirs. */

/* What has the name, of any kind, for this client. noun: what is looked for, for the message. NAME, NOT_FOUND. */
int request_find(struct client *client, const char *name, const char *noun, struct heap **_heap,
		 char message[static REQUEST_MESSAGE_SIZE]);
/* What an attachment's number, or, when that is 0, a name stands for, of any kind. *_attachment: NULL for a name. */
int request_heap(struct client *client, uint32_t number, const char *name, struct heap **_heap,
		 struct attachment **_attachment, char message[static REQUEST_MESSAGE_SIZE]);
/* The attachment of a number, of any kind. NOT_FOUND. */
int request_attachment(struct client *client, uint32_t number, struct attachment **_attachment,
		       char message[static REQUEST_MESSAGE_SIZE]);
/* It must be of that kind. MISMATCH, and the message says of which it is. */
int request_expect_kind(const struct heap *heap, enum proto_named kind,
			char message[static REQUEST_MESSAGE_SIZE]);
/* The attachment of a number, to something of a kind, for writing. MISMATCH, READ_ONLY. */
int request_writer(struct client *client, uint32_t number, enum proto_named kind,
		   struct attachment **_attachment, char message[static REQUEST_MESSAGE_SIZE]);
/* What a client's last copy of a heap has cost goes back to the budgets. */
void request_copy_refund(struct client *client);
/* A descriptor of the memory to hand out, the caller's to close. */
int request_open_segment(const struct heap *heap, enum proto_access access, int *_fd);
/* Attaches, and answers. allowed: the mode of the heap does not count. */
int request_attach_as(struct client *client, uint64_t id, struct heap *heap, enum proto_access access, bool allowed,
		      char message[static REQUEST_MESSAGE_SIZE]);
/* For reattach: of this very memory, for a persistent heap may have been loaded into another since. */
uint64_t request_ticket(const struct client *client, const struct heap *heap, enum proto_access access);
/* The answer to a request that has attached something. fd: taken; -1: none goes with it. */
void request_reply_open(struct client *client, uint64_t id, enum proto_op op,
			const struct attachment *attachment, bool created, int fd);
/* Why access was refused: "heap "x" (owner 0, mode 0600): …" */
int request_no_access(const struct client *client, const struct heap *heap, const char *what,
		      char message[static REQUEST_MESSAGE_SIZE]);

#endif
