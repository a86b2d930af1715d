/*
 * client.c: the life of a connection.
 */
#include "daemon/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "daemon/credentials.h"
#include "daemon/dispatch.h"
#include "daemon/heap.h"
#include "daemon/liveness.h"
#include "daemon/outgoing.h"
#include "daemon/process.h"
#include "daemon/sweep.h"
#include "daemon/user.h"

/* What one client may take, in frames and in time, before the others have their turn. */
#define FRAMES_PER_TURN 64
#define TIME_PER_TURN	(2 * NS_PER_MS)

/* How long what a client had stays attached for its next connection. */
#define SUPERSEDED_FOR (5 * NS_PER_S)

/* Connections of a user beyond its limit that are kept just to be told so. */
#define REFUSED_MAX 16u

static void on_ready(uv_poll_t *poll, int status, int events);

static void free_at_last(struct client *client)
{
	if (client->abandoned && !client->polled) {
		credentials_fini(&client->peer);
		free(client);
	}
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct client *client = handle->data;

	client->polled = false;
	free_at_last(client);
}

/*
 * The handle before the descriptor: libuv takes the number out of its epoll set when the handle is closed,
 * and by then it must not be another connection's.
 */
static void close_socket(struct client *client)
{
	if (client->fd < 0)
		return;
	if (client->polled)
		uv_close((uv_handle_t *)&client->poll, on_handle_closed);
	client->fd = fd_close(client->fd);
}

static void poll_for(struct client *client, int events)
{
	(void)uv_poll_start(&client->poll, events, on_ready);
	client->polling_write = events & UV_WRITABLE;
}

/* All that may be left is the handle, which closes from the loop. */
static void abandon(struct client *client)
{
	close_socket(client);
	process_leave(client);
	outgoing_clear(client);
	proto_reader_fini(&client->reader);
	user_unref(client->user);
	client->abandoned = true;
	free_at_last(client);
}

void client_free(struct client *client)
{
	struct broker *broker = client->broker;

	list_each(struct attachment, attachment, &client->attachments, client_node) heap_detach(attachment);
	request_copy_refund(client);
	list_remove(&client->node);
	list_remove(&client->condemned_node);
	client->user->clients--;
	broker->client_count--;
	abandon(client);
	if (broker->client_count == 0) {
		broker->idle_since = clock_now();
		sweep_idle(broker);
	}
	broker_tell_status(broker);
}

void client_resume(struct client *client, uint64_t number)
{
	struct broker *broker = client->broker;

	list_each(struct client, former, &broker->clients, node)
	{
		if (former == client || former->number != number)
			continue;
		list_remove(&former->condemned_node);
		former->condemned = true;
		close_socket(former);
		outgoing_clear(former);
		former->superseded = clock_deadline(SUPERSEDED_FOR);
		sweep_before(broker, former->superseded);
	}
	client->number = number;
}

bool client_settle(struct client *client)
{
	if (client->superseded) {
		if (!clock_passed(client->superseded))
			return false;
		client_free(client);
		return true;
	}
	/* Of a dead process the heaps know: they recover its slots when they can. */
	if (!client->dead && liveness_has_slots(client))
		return false;
	client_free(client);
	return true;
}

void client_disconnect(struct client *client)
{
	list_remove(&client->condemned_node);
	if (client->fd < 0)
		return;
	log_debug("client disconnected", LOG_UINT("client", client->number),
		  LOG_INT("pid", client->peer.pid));
	close_socket(client);
	outgoing_clear(client);
	/* Threads that died have their slots recovered here; a death is often seen as an end of file first.
	 */
	liveness_recover(client);
	if (!client_settle(client))
		sweep_before(client->broker, clock_deadline(SWEEP_LINGER));
}

static void on_reap(uv_idle_t *reaper)
{
	struct broker *broker = reaper->data;

	(void)uv_idle_stop(reaper);
	list_each(struct client, client, &broker->condemned, condemned_node) client_disconnect(client);
}

void client_condemn(struct client *client, const char *why)
{
	struct broker *broker = client->broker;

	if (client->condemned || client->fd < 0)
		return;
	client->condemned = true;
	(void)uv_poll_stop(&client->poll);
	if (why)
		log_warning("client dropped", LOG_UINT("client", client->number),
			    LOG_INT("pid", client->peer.pid), LOG_UINT("uid", client->peer.uid),
			    LOG_TEXT("software", client->software), LOG_TEXT("why", why));
	list_add(&broker->condemned, &client->condemned_node);
	(void)uv_idle_start(&broker->reaper, on_reap);
}

void client_kick(struct client *client, uid_t by)
{
	struct broker *broker = client->broker;
	char why[64];

	broker->kicked[broker->next_kicked++ % CLIENT_KICKED_MAX] = client->number;
	snprintf(why, sizeof(why), "kicked by user %u", (unsigned)by);
	client_condemn(client, why);
}

bool client_was_kicked(const struct broker *broker, uint64_t number)
{
	for (size_t i = 0; i < CLIENT_KICKED_MAX; i++)
		if (broker->kicked[i] == number)
			return true;
	return false;
}

void client_end(struct client *client)
{
	client->ending = true;
	if (list_is_empty(&client->queue))
		client_condemn(client, NULL);
	else if (!client->condemned)
		poll_for(client, UV_WRITABLE);
}

static void flush(struct client *client)
{
	int r = outgoing_flush(client);

	if (r == -ERROR_BUSY) {
		if (!client->polling_write)
			poll_for(client, (client->ending ? 0 : UV_READABLE) | UV_WRITABLE);
	} else if (r) {
		client_condemn(client, NULL);
	} else if (client->ending) {
		client_condemn(client, NULL);
	} else if (client->polling_write) {
		poll_for(client, UV_READABLE);
	}
}

/* After a frame was encoded, or could not be. */
static void sent(struct client *client, int r, int fd)
{
	if (r) {
		fd_close(fd);
		client_condemn(client, "its answer could not be encoded");
		return;
	}
	outgoing_commit_take(client, fd);
	flush(client);
	if (client->queued > client->broker->config.queue_bytes && client->broker->config.queue_bytes)
		client_condemn(client, "it does not read: its queue is full");
	else if (client->queued_fds > CLIENT_QUEUED_FDS_MAX)
		client_condemn(client, "it does not read: too many descriptors wait for it");
}

static bool is_deaf(const struct client *client)
{
	return client->fd < 0 || client->condemned;
}

void client_send_reply_take(struct client *client, uint64_t id, enum proto_op op, const void *body, int fd)
{
	struct proto_buffer *buffer = is_deaf(client) ? NULL : outgoing_place(client, fd >= 0);

	if (!buffer) {
		fd_close(fd);
		client_condemn(client, "out of memory");
		return;
	}
	sent(client, proto_encode_reply(buffer, id, op, body), fd);
}

void client_send_reply(struct client *client, uint64_t id, enum proto_op op, const void *body)
{
	client_send_reply_take(client, id, op, body, -1);
}

void client_send_error(struct client *client, uint64_t id, int code, const char *text)
{
	struct proto_buffer *buffer = is_deaf(client) ? NULL : outgoing_place(client, false);

	log_debug("request refused", LOG_UINT("client", client->number), LOG_CODE("code", code),
		  LOG_TEXT("message", text ? text : error_text(code)));
	if (buffer)
		sent(client, proto_encode_error(buffer, id, code, text), -1);
	else
		client_condemn(client, "out of memory");
}

void client_send_event(struct client *client, enum proto_event event, const void *body)
{
	struct proto_buffer *buffer;

	if (is_deaf(client) || client->ending || !client->greeted)
		return;
	buffer = outgoing_place(client, false);
	if (buffer)
		sent(client, proto_encode_event(buffer, event, body), -1);
	else
		client_condemn(client, "out of memory");
}

static void read_frames(struct client *client)
{
	uint64_t end = clock_deadline(TIME_PER_TURN);
	const void *data;
	size_t size;
	int r;

	for (int i = 0; i < FRAMES_PER_TURN && !client->ending && !is_deaf(client) && !clock_passed(end);
	     i++) {
		r = proto_reader_next(&client->reader, client->fd, &data, &size);
		if (r == -ERROR_BUSY)
			return;
		if (r == -ERROR_CONNECTION) {
			client_condemn(client, NULL);
			return;
		}
		if (r) {
			client_send_error(client, 0, r,
					  "malformed frame, half a frame, or more descriptors than one");
			client_condemn(client, r == -ERROR_PROTOCOL ? "malformed frame" : error_text(r));
			return;
		}
		dispatch(client, data, size);
		/* What the request has not taken is not kept open. */
		fd_close(proto_reader_steal_fd(&client->reader));
	}
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct client *client = poll->data;

	if (status < 0) {
		client_condemn(client, NULL);
		return;
	}
	if (events & UV_WRITABLE)
		flush(client);
	if (events & UV_READABLE)
		read_frames(client);
}

void client_process_died(struct client *client)
{
	liveness_died(client);
	if (client->fd < 0)
		client_free(client);
	else
		client_condemn(client, NULL);
}

static int start_polling(struct client *client)
{
	if (uv_poll_init(&client->broker->loop, &client->poll, client->fd))
		return -ERROR_SYSTEM;
	client->poll.data = client;
	client->polled = true;
	poll_for(client, UV_READABLE);
	/* Without a pidfd its robust locks tell of its threads' deaths; sweeps look at them. */
	(void)process_watch(client);
	return 0;
}

void client_watch_take(struct client *client, int fd)
{
	if (client->process || !credentials_is_pidfd(fd))
		fd_close(fd);
	else
		(void)process_watch_take(client, fd);
}

/* Over a limit a client is kept to be told so at its hello; over that as well, it is not even kept. */
static int check_limits(struct client *client)
{
	const struct broker *broker = client->broker;
	const struct user *user = client->user;
	uint32_t all = broker->config.clients, limit = user->limits->clients;

	client->refused = (all && broker->client_count >= all) || (limit && user->clients >= limit);
	if ((all && broker->client_count >= all + REFUSED_MAX) ||
	    (limit && user->clients >= limit + REFUSED_MAX))
		return -ERROR_LIMIT;
	return 0;
}

int client_new_take(struct broker *broker, int fd)
{
	struct client *client = calloc(1, sizeof(*client));
	int r;

	if (!client) {
		fd_close(fd);
		return -ERROR_NO_MEMORY;
	}
	client->broker = broker;
	client->fd = fd;
	client->number = broker->next_client++;
	client->since = (uint64_t)time(NULL);
	strcpy(client->software, "?");
	list_init(&client->node);
	list_init(&client->condemned_node);
	list_init(&client->process_node);
	list_init(&client->queue);
	list_init(&client->attachments);
	proto_reader_init(&client->reader, PROTO_FRAME_MAX);
	r = credentials_of_peer(fd, &client->peer);
	if (!r) {
		client->user = user_ref(broker, client->peer.uid);
		r = client->user ? 0 : -ERROR_NO_MEMORY;
	}
	if (r) {
		fd_close(fd);
		proto_reader_fini(&client->reader);
		credentials_fini(&client->peer);
		free(client);
		return r;
	}
	r = check_limits(client);
	if (!r)
		r = start_polling(client);
	if (r) {
		abandon(client);
		return r;
	}
	list_add(&broker->clients, &client->node);
	broker->client_count++;
	client->user->clients++;
	return 0;
}

struct attachment *client_attachment(const struct client *client, uint32_t number)
{
	list_each(struct attachment, attachment, &client->attachments,
		  client_node) if (attachment->number == number) return attachment;
	return NULL;
}
