/*
 * request_persist.c: requests that a disk has to answer: making persistent heaps, removing them, files that clients hand over; sync and
 * join.
 *
 * Such a request waits in a struct pending while jobs do what is to be done; its client may be gone by then. A name
 * that somebody waits for is LOADING for everybody else.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "daemon/client.h"
#include "daemon/disk.h"
#include "daemon/dispatch.h"
#include "daemon/kind.h"
#include "daemon/registry.h"
#include "daemon/request_persist.h"

struct pending {
	struct disk_waiter waiter;
	struct list node; /* broker.pending */
	struct broker *broker;
	struct client *client; /* never used before it was found among those that are there */
	uint64_t number, id;   /* of the client, of the request */
	char name[PROTO_NAME_MAX + 1];
	enum proto_access access;
	bool replace;
	struct owner owner; /* of a file */
};

static struct pending *pending_new(struct client *client, uint64_t id, const char *name)
{
	struct pending *pending = calloc(1, sizeof(*pending));

	if (!pending)
		return NULL;
	pending->broker = client->broker;
	pending->client = client;
	pending->number = client->number;
	pending->id = id;
	snprintf(pending->name, sizeof(pending->name), "%s", name);
	list_add(&client->broker->pending, &pending->node);
	return pending;
}

static void pending_free(struct pending *pending)
{
	list_remove(&pending->node);
	free(pending);
}

bool request_is_pending(const struct broker *broker, const char *name)
{
	list_each(struct pending, pending, &broker->pending, node) if (strcmp(pending->name, name) == 0) return true;
	return false;
}

/* The one who asked, or NULL. */
static struct client *asker(const struct pending *pending)
{
	list_each(struct client, client, &pending->broker->clients, node) if (client == pending->client &&
									      client->number == pending->number)
		return client;
	return NULL;
}

static void refuse(const struct pending *pending, int r, const char *message)
{
	struct client *client = asker(pending);

	if (client)
		client_send_error(client, pending->id, r, *message ? message : NULL);
}

/* ---- making ---- */

/* It is on disk. What could have come in between is looked at again. */
static int publish(struct pending *pending, struct heap *heap, char message[static REQUEST_MESSAGE_SIZE])
{
	struct heap *there = registry_find(&pending->broker->registry, pending->name);

	if (there && !pending->replace) {
		snprintf(message, REQUEST_MESSAGE_SIZE, "heap \"%s\" exists already", pending->name);
		return -ERROR_EXISTS;
	}
	if (there && disk_replaceable(there, message))
		return -ERROR_LOADING;
	if (registry_reserve(&pending->broker->registry))
		return -ERROR_NO_MEMORY;
	if (there)
		heap_drop(there, "replaced", heap->owner.uid);
	heap_publish(heap);
	log_info("heap created", LOG_TEXT("heap", heap->name), LOG_UINT("uid", heap->owner.uid),
		 LOG_UINT("elements", heap->elements), LOG_UINT("storage", heap->params.storage),
		 LOG_UINT("committed", heap->budget.used), LOG_TEXT("kind", "persistent heap"));
	broker_tell_status(pending->broker);
	return 0;
}

static void hand_out(const struct pending *pending, struct heap *heap, bool created)
{
	struct client *client = asker(pending);
	struct attachment *attachment;
	int fd = -1, r;

	if (!client) {
		if (heap->lifetime == PROTO_LIFETIME_DETACH)
			heap_drop(heap, "its creator has gone", heap->owner.uid);
		return;
	}
	r = request_open_segment(heap, pending->access, &fd);
	if (!r)
		r = heap_attach(heap, client, pending->access, &attachment);
	if (r) {
		fd_close(fd);
		client_send_error(client, pending->id, r, NULL);
		return;
	}
	request_reply_open(client, pending->id, PROTO_OPEN, attachment, created, fd);
}

static void on_created(struct disk_waiter *waiter, struct heap *heap, int r, const char *said)
{
	struct pending *pending = (struct pending *)waiter;
	char message[REQUEST_MESSAGE_SIZE];

	snprintf(message, sizeof(message), "%s", said);
	if (!r)
		r = publish(pending, heap, message);
	if (!r) {
		hand_out(pending, heap, true);
	} else {
		refuse(pending, r, message);
		if (heap) {
			(void)disk_drop(heap, NULL);
			heap_free(heap);
		}
	}
	pending_free(pending);
}

int request_create_persistent(struct client *client, uint64_t id, const char *name, const struct proto_open *request,
			      int fd_take, char message[static REQUEST_MESSAGE_SIZE])
{
	_cleanup_(closep) int fd = fd_take;
	struct pending *pending;
	struct heap *heap;
	int r = heap_new(client->broker, &client->peer, name, request, &heap, message);

	if (r)
		return r;
	*message = '\0';
	pending = pending_new(client, id, name);
	if (!pending) {
		heap_free(heap);
		return -ERROR_NO_MEMORY;
	}
	pending->waiter.done = on_created;
	pending->access = request->access;
	pending->replace = request->replace;
	r = disk_create_take(heap, steal_fd(&fd), &pending->waiter, message);
	if (r) {
		pending_free(pending);
		heap_free(heap);
	}
	return r;
}

/* ---- files that clients hand over ---- */

/* Without asking a file system's server for news: one in user space could keep the daemon waiting for ever. */
static int look_at(int fd, struct statx *stat, char message[static REQUEST_MESSAGE_SIZE])
{
	int flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);

	if (flags < 0 || statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS, stat) < 0 ||
	    !S_ISREG(stat->stx_mode)) {
		snprintf(message, REQUEST_MESSAGE_SIZE, "no descriptor of a regular file came with the request");
		return -ERROR_INVALID;
	}
	if ((flags & O_ACCMODE) != O_RDWR || flags & O_PATH) {
		snprintf(message, REQUEST_MESSAGE_SIZE, "the heap's file is not open for reading and writing");
		return -ERROR_ACCESS;
	}
	return 0;
}

static void own(struct heap *heap, const struct owner *owner)
{
	heap->owner = *owner;
	heap->lifetime = PROTO_LIFETIME_DETACH; /* in memory; its file is its user's */
}

static void on_adopted(struct disk_waiter *waiter, struct heap *heap, int r, const char *said)
{
	struct pending *pending = (struct pending *)waiter;
	char message[REQUEST_MESSAGE_SIZE];

	snprintf(message, sizeof(message), "%s", said);
	/* It is being closed, here or in another daemon. */
	if (r == -ERROR_BUSY)
		r = -ERROR_LOADING;
	if (!r)
		own(heap, &pending->owner);
	if (!r)
		r = publish(pending, heap, message);
	if (!r) {
		hand_out(pending, heap, false);
	} else {
		refuse(pending, r, message);
		if (heap)
			heap_free(heap);
	}
	pending_free(pending);
}

static int open_file(struct client *client, uint64_t id, const char *name, const struct proto_open *request,
		     const struct owner *owner, int fd_take, char message[static REQUEST_MESSAGE_SIZE])
{
	_cleanup_(closep) int fd = fd_take;
	struct pending *pending = pending_new(client, id, name);
	int r;

	if (!pending)
		return -ERROR_NO_MEMORY;
	pending->waiter.done = on_adopted;
	pending->access = request->access;
	pending->owner = *owner;
	r = disk_adopt_take(client->broker, client->peer.uid, name, steal_fd(&fd), &pending->waiter);
	if (r) {
		snprintf(message, REQUEST_MESSAGE_SIZE, "the daemon is out of memory");
		pending_free(pending);
	}
	return r;
}

static int create_file(struct client *client, uint64_t id, const char *name, const struct proto_open *request,
		       const struct owner *owner, int fd_take, char message[static REQUEST_MESSAGE_SIZE])
{
	_cleanup_(closep) int fd = fd_take;
	struct proto_open settled = *request;
	int r = kind_heap.settle(&settled, message);

	if (r)
		return r;
	settled.params.persistent = true;
	settled.lifetime = PROTO_LIFETIME_DETACH;
	settled.mode = owner->mode;
	settled.replace = false;
	/* Its clients end its checkpoints, or ask for them. */
	settled.checkpoint_ms = PROTO_CHECKPOINT_NEVER;
	return request_create_persistent(client, id, name, &settled, steal_fd(&fd), message);
}

int request_open_heap_file(struct client *client, uint64_t id, const struct proto_open *request,
			   char message[static REQUEST_MESSAGE_SIZE])
{
	_cleanup_(closep) int fd = proto_reader_steal_fd(&client->reader);
	char name[PROTO_NAME_MAX + 1];
	struct owner owner;
	struct statx stat;
	struct heap *heap;
	int r = look_at(fd, &stat, message);

	if (r)
		return r;
	snprintf(name, sizeof(name), "~heap/%u:%u/%" PRIu64, stat.stx_dev_major, stat.stx_dev_minor,
		 (uint64_t)stat.stx_ino);
	owner = (struct owner){.uid = stat.stx_uid, .gid = stat.stx_gid, .mode = stat.stx_mode & 0777};
	if (request_is_pending(client->broker, name))
		return -ERROR_LOADING;
	heap = registry_find(&client->broker->registry, name);
	if (heap && request->how == PROTO_HOW_CREATE) {
		snprintf(message, REQUEST_MESSAGE_SIZE, "there is a heap in that file already");
		return -ERROR_EXISTS;
	}
	if (heap && !heap->saved->file)
		disk_bring_file_take(heap, steal_fd(&fd));
	/* Whoever has the file open for writing may write. */
	if (heap)
		return request_attach_as(client, id, heap, request->access, true, message);
	return (request->how == PROTO_HOW_OPEN ? open_file : create_file)(client, id, name, request, &owner,
									  steal_fd(&fd), message);
}

/* ---- removing ---- */

static void on_dropped(struct disk_waiter *waiter, struct heap *heap, int r, const char *message)
{
	const struct proto_empty reply = {0};
	struct pending *pending = (struct pending *)waiter;
	struct client *client = asker(pending);

	(void)heap;
	if (r)
		refuse(pending, r, message);
	else if (client)
		client_send_reply(client, pending->id, PROTO_DROP, &reply);
	pending_free(pending);
}

bool request_drop_persistent(struct client *client, uint64_t id, struct heap *heap)
{
	struct pending *pending;

	if (!heap->saved)
		return false;
	pending = pending_new(client, id, "");
	if (!pending)
		return false;
	pending->waiter.done = on_dropped;
	if (disk_drop(heap, &pending->waiter))
		return true;
	pending_free(pending);
	return false;
}

/* ---- sync, join ---- */

REQUEST_FUNCTION(sync, proto_sync)
{
	struct proto_sync_reply reply;
	struct attachment *attachment;
	int r = request_attachment(client, request->heap, &attachment, message);

	if (!r)
		r = request_expect_kind(attachment->heap, PROTO_NAMED_HEAP, message);
	if (!r)
		r = disk_sync(attachment->heap, request->number, &reply, message);
	if (!r)
		client_send_reply(client, id, PROTO_SYNC, &reply);
	return r;
}

static struct heap *find_by_id(const struct broker *broker, const uint8_t id[16])
{
	list_each(struct heap, heap, &broker->heaps, node) if (heap->saved && memcmp(heap->id, id, sizeof(heap->id)) == 0)
		return heap;
	return NULL;
}

REQUEST_FUNCTION(join, proto_join)
{
	const struct proto_empty reply = {0};
	struct attachment *attachment;
	struct heap *heap, *other;
	int r = request_writer(client, request->heap, PROTO_NAMED_HEAP, &attachment, message);

	if (r)
		return r;
	heap = attachment->heap;
	other = find_by_id(client->broker, request->other);
	if (other && !access_write(&client->peer, &other->owner))
		return request_no_access(client, other, "write", message);
	/* A file that a client has handed over is written alone: its journal lies in it. */
	if (other && heap->saved && !heap->saved->handed_over && !other->saved->handed_over)
		disk_join(heap, other);
	client_send_reply(client, id, PROTO_JOIN, &reply);
	return 0;
}
