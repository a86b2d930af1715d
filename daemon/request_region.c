/*
 * request_region.c: growing regions, and files that clients hand over.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "daemon/client.h"
#include "daemon/dispatch.h"
#include "daemon/kind.h"
#include "daemon/kind_region.h"
#include "daemon/registry.h"

REQUEST_FUNCTION(grow_region, proto_grow_region)
{
	struct proto_grow_region_reply reply;
	struct attachment *attachment;
	struct heap *heap;
	int r;

	r = request_heap(client, request->heap, request->name, &heap, &attachment, message);
	if (!r)
		r = request_expect_kind(heap, PROTO_NAMED_REGION, message);
	if (r)
		return r;
	if (attachment && attachment->access != PROTO_ACCESS_WRITE) {
		snprintf(message, REQUEST_MESSAGE_SIZE, "region \"%s\" is attached read-only", heap->name);
		return -ERROR_READ_ONLY;
	}
	if (!attachment && !access_write(&client->peer, &heap->owner))
		return request_no_access(client, heap, "grow", message);
	if (request->size > heap->region_params.max_size) {
		snprintf(message, REQUEST_MESSAGE_SIZE,
			 "region \"%s\": it was created to grow to at most %" PRIu64 " bytes, not %" PRIu64,
			 heap->name, heap->region_params.max_size, request->size);
		return -ERROR_RANGE;
	}
	r = region_grow(heap, request->size, message);
	if (r)
		return r;
	reply.size = heap->size;
	client_send_reply(client, id, PROTO_GROW_REGION, &reply);
	return 0;
}

/*
 * What the descriptor is of. Without asking a file system's server for news: one in user space could keep
 * the daemon waiting for ever.
 */
static int look_at(int fd, enum proto_access access, struct statx *stat,
		   char message[static REQUEST_MESSAGE_SIZE])
{
	int flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);

	if (flags < 0) {
		snprintf(message, REQUEST_MESSAGE_SIZE, "open_file: no descriptor came with the request");
		return -ERROR_INVALID;
	}
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS, stat) < 0 ||
	    !S_ISREG(stat->stx_mode) || flags & O_PATH) {
		snprintf(message, REQUEST_MESSAGE_SIZE, "open_file: the descriptor is not of a regular file");
		return -ERROR_INVALID;
	}
	if ((flags & O_ACCMODE) == O_WRONLY ||
	    (access == PROTO_ACCESS_WRITE && (flags & O_ACCMODE) != O_RDWR)) {
		snprintf(message, REQUEST_MESSAGE_SIZE, "open_file: the file is not open for that");
		return -ERROR_ACCESS;
	}
	return 0;
}

static int new_file(struct client *client, const char *name, const struct statx *stat, int fd_take,
		    struct heap **_heap, char message[static REQUEST_MESSAGE_SIZE])
{
	_cleanup_(closep) int fd = fd_take;
	struct proto_open open = {.kind = PROTO_NAMED_FILE,
				  .lifetime = PROTO_LIFETIME_DETACH,
				  .mode = stat->stx_mode & 0777,
				  .region = {.size = stat->stx_size, .max_size = stat->stx_size}};
	int r = registry_reserve(&client->broker->registry);

	if (!r)
		r = heap_new(client->broker, &client->peer, name, &open, _heap, message);
	if (r)
		return r;
	/* Who may read the file may see it listed, as in its directory. */
	(*_heap)->owner = (struct owner){.uid = stat->stx_uid, .gid = stat->stx_gid, .mode = open.mode};
	(*_heap)->fd = steal_fd(&fd);
	return 0;
}

REQUEST_FUNCTION(open_file, proto_open_file)
{
	_cleanup_(closep) int fd = proto_reader_steal_fd(&client->reader);
	struct attachment *attachment;
	char name[PROTO_NAME_MAX + 1];
	struct statx stat;
	struct heap *heap;
	bool created;
	int r;

	r = look_at(fd, request->access, &stat, message);
	if (r)
		return r;
	snprintf(name, sizeof(name), "~file/%u:%u/%" PRIu64, stat.stx_dev_major, stat.stx_dev_minor,
		 (uint64_t)stat.stx_ino);
	heap = registry_find(&client->broker->registry, name);
	created = !heap;
	r = heap ? request_expect_kind(heap, PROTO_NAMED_FILE, message)
		 : new_file(client, name, &stat, steal_fd(&fd), &heap, message);
	if (r)
		return r;
	*message = '\0';
	r = heap_attach(heap, client, request->access, &attachment);
	if (r && created)
		heap_free(heap);
	if (r)
		return r;
	if (created)
		heap_publish(heap);
	heap->size = stat.stx_size;
	request_reply_open(client, id, PROTO_OPEN_FILE, attachment, created, -1);
	return 0;
}
