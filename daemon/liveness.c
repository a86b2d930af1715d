/*
 * liveness.c: from clients to what they have attached.
 */
#include "daemon/liveness.h"

#include "daemon/disk.h"
#include "daemon/kind.h"

bool liveness_has_slots(const struct client *client)
{
	list_each(struct attachment, attachment, &client->attachments, client_node)
	{
		const struct heap *heap = attachment->heap;

		if (attachment->access == PROTO_ACCESS_WRITE && heap->kind->holds &&
		    heap->kind->holds(heap, client->number))
			return true;
	}
	return false;
}

void liveness_recover(struct client *client)
{
	list_each(struct attachment, attachment, &client->attachments, client_node)
	{
		struct heap *heap = attachment->heap;

		if (attachment->access == PROTO_ACCESS_WRITE && heap->kind->recover)
			heap->kind->recover(heap);
	}
}

void liveness_died(struct client *client)
{
	client->dead = true;
	list_each(struct attachment, attachment, &client->attachments, client_node)
	{
		struct heap *heap = attachment->heap;

		disk_look(heap);
		if (attachment->access == PROTO_ACCESS_WRITE && heap->kind->client_died)
			heap->kind->client_died(heap, client->number);
	}
	liveness_recover(client);
}
