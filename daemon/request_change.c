/*
 * request_change.c: drop and grow.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "daemon/client.h"
#include "daemon/disk.h"
#include "daemon/dispatch.h"
#include "daemon/kind.h"
#include "daemon/request_persist.h"

REQUEST_FUNCTION(drop, proto_drop)
{
	const struct proto_empty reply = {0};
	struct attachment *attachment;
	struct heap *heap;
	bool later;
	int r;

	r = request_heap(client, request->heap, request->name, &heap, &attachment, message);
	if (r)
		return r;
	if (!access_change(&client->peer, &heap->owner))
		return request_no_access(client, heap, "drop", message);
	if (heap->dropped) {
		snprintf(message, REQUEST_MESSAGE_SIZE, "%s \"%s\" was dropped before", heap->kind->noun,
			 heap->name);
		return -ERROR_DROPPED;
	}
	r = disk_replaceable(heap, message);
	if (r)
		return r;
	later = request_drop_persistent(client, id, heap);
	heap_drop(heap, "asked for", client->peer.uid);
	broker_tell_status(client->broker);
	if (!later)
		client_send_reply(client, id, PROTO_DROP, &reply);
	return 0;
}

REQUEST_FUNCTION(grow, proto_grow)
{
	struct proto_grow_reply reply;
	struct attachment *attachment;
	struct heap *heap;
	int r;

	r = request_heap(client, request->heap, request->name, &heap, &attachment, message);
	if (!r)
		r = request_expect_kind(heap, PROTO_NAMED_HEAP, message);
	if (r)
		return r;
	if (attachment && attachment->access != PROTO_ACCESS_WRITE) {
		snprintf(message, REQUEST_MESSAGE_SIZE, "heap \"%s\" is attached read-only", heap->name);
		return -ERROR_READ_ONLY;
	}
	if (!attachment && !access_write(&client->peer, &heap->owner))
		return request_no_access(client, heap, "grow", message);
	if (request->elements > heap->params.max_elements) {
		snprintf(message, REQUEST_MESSAGE_SIZE,
			 "heap \"%s\": it was created to grow to at most %" PRIu64 " elements, not %" PRIu64,
			 heap->name, heap->params.max_elements, request->elements);
		return -ERROR_RANGE;
	}
	heap_grow(heap, request->elements, client);
	reply.elements = heap->elements;
	client_send_reply(client, id, PROTO_GROW, &reply);
	return 0;
}
