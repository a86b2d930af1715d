/*
 * request_users.c: who is connected, what each user has and may have, and ending somebody's connection.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/macros.h"
#include "daemon/census.h"
#include "daemon/client.h"
#include "daemon/dispatch.h"
#include "daemon/kind.h"

/* Whose business everybody's clients are: who could as well look into the daemon itself. */
static bool sees_all(const struct client *client)
{
	return client->peer.uid == 0 || client->peer.uid == geteuid();
}

static uint32_t page_size(uint32_t limit)
{
	return limit && limit < PROTO_LIST_MAX ? limit : PROTO_LIST_MAX;
}

/*
 * The least so many numbers, in ascending order: a page of a list that is in no order. True: it is among them, at *at, and what
 * stood there has moved on; the last one may have fallen out, and *more says so.
 */
static bool page_insert(uint64_t *keys, uint32_t *count, uint32_t size, uint64_t key, uint32_t *at, bool *more)
{
	uint32_t i = *count;

	while (i > 0 && keys[i - 1] > key)
		i--;
	*more |= *count == size;
	if (i == size)
		return false;
	if (*count == size)
		(*count)--;
	memmove(&keys[i + 1], &keys[i], (*count - i) * sizeof(*keys));
	keys[i] = key;
	(*count)++;
	*at = i;
	return true;
}

/* ---- clients ---- */

static const struct attachment *attachment_to(const struct client *client, const struct heap *heap)
{
	const struct attachment *found = NULL;

	list_each(struct attachment, attachment, &client->attachments, client_node)
	{
		if (attachment->heap != heap)
			continue;
		if (attachment->access == PROTO_ACCESS_WRITE)
			return attachment;
		found = attachment;
	}
	return found;
}

static void fill_client(struct proto_client_entry *entry, const struct client *client,
			const struct attachment *attachment)
{
	*entry = (struct proto_client_entry){.client = client->number,
					     .pid = (uint32_t)client->peer.pid,
					     .uid = client->peer.uid,
					     .gid = client->peer.gid,
					     .heaps = client->attachment_count,
					     .queued = client->queued,
					     .since = client->since,
					     .lost = client->fd < 0,
					     .writes = attachment && attachment->access == PROTO_ACCESS_WRITE};
	snprintf(entry->software, sizeof(entry->software), "%s", client->software);
}

static void count_slots(const struct broker *broker, struct proto_clients_reply *reply)
{
	struct census census[PROTO_LIST_MAX];

	for (uint32_t i = 0; i < reply->count; i++)
		census[i] = (struct census){.client = reply->clients[i].client};
	census_take(broker, census, reply->count);
	for (uint32_t i = 0; i < reply->count; i++) {
		reply->clients[i].slots = census[i].slots;
		reply->clients[i].waiters = census[i].waiters;
	}
}

REQUEST_FUNCTION(clients, proto_clients)
{
	static struct proto_clients_reply reply; /* large, and used by one at a time */
	uint64_t numbers[PROTO_LIST_MAX];
	uint32_t size = page_size(request->limit), at, count = 0;
	bool all = sees_all(client);
	struct heap *heap = NULL;
	int r = *request->name ? request_find(client, request->name, "heap", &heap, message) : 0;

	if (r)
		return r;
	if (heap && !access_read(&client->peer, &heap->owner) && !access_change(&client->peer, &heap->owner))
		return request_no_access(client, heap, "look at", message);
	all |= heap && access_change(&client->peer, &heap->owner);
	reply.more = false;
	list_each(struct client, other, &client->broker->clients, node)
	{
		const struct attachment *attachment = heap ? attachment_to(other, heap) : NULL;

		if (other->number <= request->after || other->superseded || !other->greeted ||
		    (heap && !attachment) || (!all && other->peer.uid != client->peer.uid))
			continue;
		if (!page_insert(numbers, &count, size, other->number, &at, &reply.more))
			continue;
		memmove(&reply.clients[at + 1], &reply.clients[at], (count - 1 - at) * sizeof(reply.clients[0]));
		fill_client(&reply.clients[at], other, attachment);
	}
	reply.count = count;
	count_slots(client->broker, &reply);
	client_send_reply(client, id, PROTO_CLIENTS, &reply);
	return 0;
}

REQUEST_FUNCTION(kick, proto_kick)
{
	const struct proto_empty reply = {0};

	list_each(struct client, other, &client->broker->clients, node)
	{
		if (other->number != request->client || other->superseded ||
		    (other->peer.uid != client->peer.uid && !sees_all(client)))
			continue;
		if (other == client) {
			snprintf(message, REQUEST_MESSAGE_SIZE, "client %" PRIu64 " is the one that asks",
				 request->client);
			return -ERROR_INVALID;
		}
		client_kick(other, client->peer.uid);
		client_send_reply(client, id, PROTO_KICK, &reply);
		return 0;
	}
	snprintf(message, REQUEST_MESSAGE_SIZE, "user %u has no client %" PRIu64, (unsigned)client->peer.uid,
		 request->client);
	return -ERROR_NOT_FOUND;
}

/* ---- quota ---- */

static void fill_user(struct proto_quota_entry *entry, const struct user *user, uint32_t slots)
{
	*entry = (struct proto_quota_entry){.uid = user->uid,
					    .clients = user->clients,
					    .clients_limit = user->limits->clients,
					    .heaps = user->heaps,
					    .heaps_limit = user->limits->heaps,
					    .slots = slots,
					    .slots_limit = user->limits->slots,
					    .bytes = user->budget.used,
					    .bytes_limit = user->budget.limit};
}

REQUEST_FUNCTION(quota, proto_quota)
{
	static struct proto_quota_reply reply; /* large, and used by one at a time */
	const struct user *users[PROTO_LIST_MAX];
	uint64_t uids[PROTO_LIST_MAX];
	uint32_t size = page_size(request->limit), at, count = 0, slots[PROTO_LIST_MAX];
	bool all = sees_all(client);

	(void)message;
	reply.more = false;
	list_each(struct user, user, &client->broker->users, node)
	{
		if ((request->after && user->uid <= request->after) ||
		    (!all && user->uid != client->peer.uid) ||
		    !page_insert(uids, &count, size, user->uid, &at, &reply.more))
			continue;
		memmove(&users[at + 1], &users[at], (count - 1 - at) * sizeof(users[0]));
		users[at] = user;
	}
	census_of_users(client->broker, users, count, slots);
	for (uint32_t i = 0; i < count; i++)
		fill_user(&reply.users[i], users[i], slots[i]);
	reply.count = count;
	client_send_reply(client, id, PROTO_QUOTA, &reply);
	return 0;
}
