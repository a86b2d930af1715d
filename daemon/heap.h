/*
 * heap.h: making, attaching, dropping and ending heaps, and what else has a name.
 */
#ifndef DAEMON_HEAP_H
#define DAEMON_HEAP_H

#include "daemon/broker.h"

#define HEAP_MESSAGE_SIZE 1024

/*
 * What a request's params of a heap come to: defaults filled in, sizes rounded up. seed is left alone.
 * -ERROR_RANGE, -ERROR_UNSUPPORTED: message says why not.
 */
int heap_settle_params(struct proto_params *params, char message[static HEAP_MESSAGE_SIZE]);

/* NULL when a and b, both settled, are the same geometry; else the name of a field in which they differ. */
const char *heap_params_difference(const struct proto_params *a, const struct proto_params *b);

/*
 * Makes the heap that the request asks for, charged to the peer, without a name yet; `name` is the resolved
 * one that it will have. The request's kind is one that this daemon has, and settled. -ERROR_BUDGET, -ERROR_LIMIT, -ERROR_RANGE,
 * -ERROR_NO_MEMORY, …: message says why.
 */
int heap_new(struct broker *broker, const struct credentials *peer, const char *name,
	     const struct proto_open *request, struct heap **_heap, char message[static HEAP_MESSAGE_SIZE]);

/*
 * One that a former daemon made, of a kind that this one has: counted, in the broker's list, without a name, params and memory.
 * creator: whose budget it is in. NULL: out of memory; fd is taken in any case.
 */
struct heap *heap_new_adopted_take(struct broker *broker, enum proto_named kind, uid_t creator, int fd);

/* Gives it its name; room was reserved, and nobody has the name. */
void heap_publish(struct heap *heap);

/*
 * Takes the name away: those attached are told, and it ends when none is. The heap may be gone after the
 * call. why, by: for the log.
 */
void heap_drop(struct heap *heap, const char *why, uid_t by);

/* Ends one that was never published, or at the daemon's end. It has no attachments. */
void heap_free(struct heap *heap);

/* Attaches; 0 and *_attachment, or -ERROR_NO_MEMORY, -ERROR_LIMIT. */
int heap_attach(struct heap *heap, struct client *client, enum proto_access access,
		struct attachment **_attachment);
/* Ends an attachment. The heap may be gone after the call. */
void heap_detach(struct attachment *attachment);

/* From now on it has that mode; that owner and group, whose memory it then is (-ERROR_BUDGET, -ERROR_LIMIT: message says why not). */
void heap_chmod(struct heap *heap, uint32_t mode);
int heap_chown(struct heap *heap, uid_t uid, gid_t gid, char message[static HEAP_MESSAGE_SIZE]);
/* Its name is another one, which is resolved and nobody's. */
void heap_rename(struct heap *heap, const char *name);

/* The number of elements from now on; tells those attached but `except`. */
void heap_grow(struct heap *heap, uint64_t elements, const struct client *except);

/* Charges the heap, its user and the whole. */
int heap_charge(struct heap *heap, uint64_t bytes, char message[static HEAP_MESSAGE_SIZE]);
void heap_refund(struct heap *heap, uint64_t bytes);

/* Gives some of the free chunks back to the system. True: there may be more, which sweep.c comes back for. */
bool heap_trim(struct heap *heap);

#endif
