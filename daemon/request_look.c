/*
 * request_look.c: list and inspect.
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/macros.h"
#include "daemon/client.h"
#include "daemon/disk.h"
#include "daemon/dispatch.h"
#include "daemon/kind.h"
#include "daemon/registry.h"

/* A name, or the beginning of one, in the daemon's form. */
static int resolve_part(struct client *client, const char *part, char resolved[static PROTO_NAME_MAX + 1],
			char message[static REQUEST_MESSAGE_SIZE])
{
	int r = access_resolve_name(&client->peer, part, resolved);

	if (r)
		snprintf(message, REQUEST_MESSAGE_SIZE, "\"%s\" is too long when '~' is written out", part);
	return r;
}

static void fill_entry(struct proto_list_entry *entry, const struct client *client, const struct heap *heap)
{
	*entry = (struct proto_list_entry){.kind = heap->kind_number,
					   .size = heap->size,
					   .uid = heap->owner.uid,
					   .gid = heap->owner.gid,
					   .mode = heap->owner.mode,
					   .elements = heap->elements,
					   .has_map = heap->params.has_map,
					   .persistent =
						   heap->params.persistent || heap->region_params.persistent,
					   .storage = heap->params.storage,
					   .committed = heap->budget.used,
					   .clients = heap->attachment_count,
					   .lifetime = heap->lifetime,
					   .created = heap->created,
					   .last_used = heap->last_used,
					   .quarantined = heap->quarantined};
	disk_describe_shortly(heap, &entry->loading, &entry->disk_error);
	memcpy(entry->heap_id, heap->id, sizeof(entry->heap_id));
	access_show_name(&client->peer, heap->name, entry->name);
}

REQUEST_FUNCTION(list, proto_list)
{
	static struct proto_list_reply reply; /* large, and used by one at a time */
	const struct registry *registry = &client->broker->registry;
	uint32_t limit = request->limit && request->limit < PROTO_LIST_MAX ? request->limit : PROTO_LIST_MAX;
	char prefix[PROTO_NAME_MAX + 1], after[PROTO_NAME_MAX + 1];
	size_t at;
	int r;

	r = resolve_part(client, request->prefix, prefix, message);
	if (!r)
		r = resolve_part(client, request->after, after, message);
	if (r)
		return r;
	reply.count = 0;
	reply.more = false;
	at = MAX(registry_position(registry, prefix, false),
		 *after ? registry_position(registry, after, true) : 0);
	for (; at < registry->count && strncmp(registry->heaps[at]->name, prefix, strlen(prefix)) == 0;
	     at++) {
		const struct heap *heap = registry->heaps[at];

		if (!access_read(&client->peer, &heap->owner) && !access_change(&client->peer, &heap->owner))
			continue;
		if (reply.count == limit) {
			reply.more = true;
			break;
		}
		fill_entry(&reply.heaps[reply.count++], client, heap);
	}
	client_send_reply(client, id, PROTO_LIST, &reply);
	return 0;
}

REQUEST_FUNCTION(inspect, proto_inspect)
{
	struct proto_inspect_reply reply = {0};
	struct attachment *attachment;
	struct heap *heap;
	int r;

	r = request_heap(client, request->heap, request->name, &heap, &attachment, message);
	if (r)
		return r;
	if (!attachment && !access_read(&client->peer, &heap->owner) &&
	    !access_change(&client->peer, &heap->owner))
		return request_no_access(client, heap, "read", message);
	reply = (struct proto_inspect_reply){.kind = heap->kind_number,
					     .params = heap->params,
					     .region = heap->region_params,
					     .team = heap->team_params,
					     .size = heap->size,
					     .elements = heap->elements,
					     .uid = heap->owner.uid,
					     .gid = heap->owner.gid,
					     .mode = heap->owner.mode,
					     .lifetime = heap->lifetime,
					     .idle_seconds = heap->idle_seconds,
					     .budget = heap->budget.limit,
					     .committed = heap->budget.used,
					     .clients = heap->attachment_count,
					     .writers = heap->writer_count,
					     .recovering = heap->recovering,
					     .quarantined = heap->quarantined,
					     .dropped = heap->dropped,
					     .created = heap->created,
					     .last_used = heap->last_used};
	access_show_name(&client->peer, heap->name, reply.name);
	memcpy(reply.heap_id, heap->id, sizeof(reply.heap_id));
	disk_describe(heap, &reply.disk);
	if (heap->kind->inspect && !disk_is_loading(heap))
		heap->kind->inspect(heap, &reply);
	client_send_reply(client, id, PROTO_INSPECT, &reply);
	return 0;
}
