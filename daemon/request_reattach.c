/*
 * request_reattach.c: a client that lost its connection, or its daemon, has its heaps mapped still, and wants its
 * attachments again.
 *
 * The ticket says that it had them, as an open file says it: a mode that was changed since, a new name, or
 * none, does not matter. So the client goes on as if nothing had happened.
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "daemon/adopt.h"
#include "daemon/client.h"
#include "daemon/dispatch.h"
#include "daemon/kind.h"

static struct heap *find(const struct broker *broker, const uint8_t id[16])
{
	list_each(struct heap, heap, &broker->heaps, node) if (memcmp(heap->id, id, sizeof(heap->id)) == 0)
		return heap;
	return NULL;
}

REQUEST_FUNCTION(reattach, proto_reattach)
{
	struct broker *broker = client->broker;
	struct proto_reattach_reply reply = {0};
	struct attachment *attachment;
	struct heap *heap;
	int r;

	heap = find(broker, request->heap_id);
	if (!heap) {
		snprintf(message, REQUEST_MESSAGE_SIZE, "that heap was dropped meanwhile");
		return -ERROR_DROPPED;
	}
	if (request->ticket != request_ticket(client, heap, request->access)) {
		snprintf(message, REQUEST_MESSAGE_SIZE, "that ticket is not for this client, heap and access");
		return -ERROR_ACCESS;
	}
	adopt_came_back(heap, client->number);
	r = heap_attach(heap, client, request->access, &attachment);
	if (r)
		return r;
	reply.heap = attachment->number;
	reply.elements = heap->elements;
	reply.dropped = heap->dropped;
	access_show_name(&client->peer, heap->name, reply.name);
	client_send_reply(client, id, PROTO_REATTACH, &reply);
	/* Whoever died beside it while no daemon was there. */
	if (request->access == PROTO_ACCESS_WRITE && !heap->quarantined && heap->kind->recover)
		heap->kind->recover(heap);
	return 0;
}
