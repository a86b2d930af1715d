/*
 * request_copy.c: all of a heap at one moment, for a backup.
 *
 * What the client makes of it, and how long its disk takes, is its own business: the daemon copies memory to memory, and
 * writers wait at the gate for so long. The copy is charged to whoever asks for it.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/macros.h"
#include "daemon/client.h"
#include "daemon/dispatch.h"
#include "daemon/heap.h"
#include "shm/checkpoint.h"
#include "shm/memory.h"

#define COPY_LEVELS 2

static void levels_of(struct client *client, char whose[static 32], struct budget_level levels[static COPY_LEVELS])
{
	snprintf(whose, 32, "user %u", (unsigned)client->user->uid);
	levels[0] = (struct budget_level){&client->user->budget, whose};
	levels[1] = (struct budget_level){&client->broker->budget, "all heaps together"};
}

static void refund(struct client *client, uint64_t bytes)
{
	struct budget_level levels[COPY_LEVELS];
	char whose[32];

	levels_of(client, whose, levels);
	budget_refund(levels, COPY_LEVELS, bytes);
	client->copied -= bytes;
}

void request_copy_refund(struct client *client)
{
	if (client->copied)
		refund(client, client->copied);
}

/* What it has now, and what it may get until the gate is up. */
static int charge(struct client *client, const struct heap *heap, char message[static REQUEST_MESSAGE_SIZE])
{
	struct budget_level levels[COPY_LEVELS];
	char whose[32], refusal[BUDGET_MESSAGE_SIZE];
	struct stat st;
	uint64_t bytes;
	int r;

	if (fstat(heap->fd, &st) < 0)
		return -ERROR_SYSTEM;
	bytes = (uint64_t)st.st_blocks * 512;
	bytes = align_up(bytes + bytes / 8 + (1u << 20), CHECKPOINT_PAGE);
	levels_of(client, whose, levels);
	r = budget_charge(levels, COPY_LEVELS, bytes, refusal);
	if (r)
		snprintf(message, REQUEST_MESSAGE_SIZE, "a copy of heap \"%s\": %s", heap->name, refusal);
	else
		client->copied = bytes;
	return r;
}

REQUEST_FUNCTION(copy, proto_copy)
{
	const struct proto_empty reply = {0};
	_cleanup_(closep) int fd = -1;
	struct attachment *attachment;
	struct heap *heap;
	uint64_t pages = 0;
	int r = request_attachment(client, request->heap, &attachment, message);

	if (!r)
		r = request_expect_kind(attachment->heap, PROTO_NAMED_HEAP, message);
	if (r)
		return r;
	heap = attachment->heap;
	if (heap->quarantined)
		return -ERROR_CORRUPT;
	request_copy_refund(client);
	r = charge(client, heap, message);
	if (r)
		return r;
	fd = shm_memory_new("ems-copy", heap->segment.layout.segment_size);
	r = fd < 0 ? fd
		   : shm_checkpoint_copy(&heap->segment, heap->fd, fd, client->copied >> MARK_PAGE_SHIFT, &pages);
	shm_segment_rest(&heap->segment);
	if (r == -ERROR_BUSY)
		snprintf(message, REQUEST_MESSAGE_SIZE, "heap \"%s\": a thread is stopped in the middle of an operation",
			 heap->name);
	if (r) {
		request_copy_refund(client);
		return r;
	}
	refund(client, client->copied - (pages << MARK_PAGE_SHIFT));
	client_send_reply_take(client, id, PROTO_COPY, &reply, steal_fd(&fd));
	return 0;
}
