/*
 * outgoing.c: frames without a descriptor share a buffer; one with a descriptor begins a new one, because
 * the descriptor has to travel with its first byte.
 */
#include "daemon/outgoing.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/fd.h"
#include "proto/socket.h"

/*
 * Of a buffer of which so much is sent, no more is made: a client that is always a little behind would never let it be freed,
 * and it would grow for ever.
 */
#define SENT_MAX 65536

static struct outgoing *last(struct client *client)
{
	return list_is_empty(&client->queue) ? NULL : list_entry(struct outgoing, client->queue.prev, node);
}

static void drop(struct outgoing *outgoing)
{
	list_remove(&outgoing->node);
	proto_buffer_fini(&outgoing->buffer);
	fd_close(outgoing->fd);
	free(outgoing);
}

struct proto_buffer *outgoing_place(struct client *client, bool with_fd)
{
	struct outgoing *outgoing = last(client);

	if (outgoing && !with_fd && outgoing->fd < 0 && outgoing->sent < SENT_MAX)
		return &outgoing->buffer;
	outgoing = calloc(1, sizeof(*outgoing));
	if (!outgoing)
		return NULL;
	outgoing->fd = -1;
	list_add(&client->queue, &outgoing->node);
	return &outgoing->buffer;
}

void outgoing_commit_take(struct client *client, int fd)
{
	size_t queued = 0;

	if (fd >= 0) {
		last(client)->fd = fd;
		client->queued_fds++;
	}
	list_each(struct outgoing, outgoing, &client->queue, node) queued +=
		outgoing->buffer.size - outgoing->sent;
	client->queued = queued;
}

static int send_one(struct client *client, struct outgoing *outgoing)
{
	size_t done;
	int r;

	while (outgoing->sent < outgoing->buffer.size) {
		r = proto_send(client->fd, outgoing->buffer.data + outgoing->sent,
			       outgoing->buffer.size - outgoing->sent, outgoing->fd, &done);
		if (r)
			return r;
		outgoing->sent += done;
		client->queued -= done;
		if (outgoing->fd >= 0) {
			outgoing->fd = fd_close(outgoing->fd);
			client->queued_fds--;
		}
	}
	return 0;
}

int outgoing_flush(struct client *client)
{
	int r;

	list_each(struct outgoing, outgoing, &client->queue, node)
	{
		r = send_one(client, outgoing);
		if (r)
			return r;
		drop(outgoing);
	}
	return 0;
}

void outgoing_clear(struct client *client)
{
	list_each(struct outgoing, outgoing, &client->queue, node) drop(outgoing);
	client->queued = 0;
	client->queued_fds = 0;
}
