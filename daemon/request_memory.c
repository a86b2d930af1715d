/*
 * request_memory.c: memory for a segment, on its writers' request, within the budgets; recovery on request.
 *
 * A budget is charged before the memory can be used, and corrected after by what it really was. What is
 * already committed costs nothing, so that two clients may ask for the same.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "base/macros.h"
#include "daemon/client.h"
#include "daemon/dispatch.h"
#include "daemon/heap.h"
#include "daemon/recovery.h"
#include "daemon/sweep.h"
#include "shm/atomic.h"

#define UNITS_MAX 65536u

/* Chunks that are committed beyond what was asked for, at most: 4 MiB. */
#define CHUNKS_AHEAD 64u

/* Locks are paid for by slots, block headers and storage by chunks. */
static bool may_ask_for(const struct layout *layout, uint64_t first, uint64_t count)
{
	uint64_t end = layout->offset[AREA_BLOCKS] >> UNIT_SHIFT;
	uint64_t locks = layout->offset[AREA_LOCKS] >> UNIT_SHIFT, locks_end = locks + SLOT_COUNT;

	if (count == 0 || count > UNITS_MAX || first >= end || count > end - first)
		return false;
	return first + count <= locks || first >= locks_end;
}

/* The charge was `expected`; it came to `added`. */
static void settle(struct heap *heap, uint64_t expected, uint64_t added)
{
	char message[HEAP_MESSAGE_SIZE];

	if (added < expected)
		heap_refund(heap, expected - added);
	else if (added > expected && heap_charge(heap, added - expected, message))
		log_warning("memory committed beyond a budget", LOG_TEXT("heap", heap->name),
			    LOG_UINT("bytes", added - expected), LOG_TEXT("why", message));
}

REQUEST_FUNCTION(commit_units, proto_commit_units)
{
	const struct proto_empty reply = {0};
	struct attachment *attachment;
	uint64_t cost, added = 0;
	struct heap *heap;
	int r;

	r = request_writer(client, request->heap, PROTO_NAMED_HEAP, &attachment, message);
	if (r)
		return r;
	heap = attachment->heap;
	if (!may_ask_for(&heap->segment.layout, request->first, request->count)) {
		snprintf(message, REQUEST_MESSAGE_SIZE,
			 "heap \"%s\": units %" PRIu64 ", %" PRIu64 " of them, are not to be had so",
			 heap->name, request->first, request->count);
		return -ERROR_RANGE;
	}
	cost = shm_commit_units_cost(&heap->segment, request->first, request->count);
	r = heap_charge(heap, cost, message);
	if (r)
		return r;
	r = shm_commit_units(&heap->segment, request->first, request->count, &added);
	settle(heap, cost, added);
	if (r)
		return r;
	client_send_reply(client, id, PROTO_COMMIT_UNITS, &reply);
	return 0;
}

/*
 * Who asks for one chunk will ask for the next: the storage grows by an eighth at a time, as far as the
 * budgets go, so that a heap that fills does not cost a request for each 64 KiB.
 */
static void commit_ahead(struct heap *heap)
{
	uint32_t ahead = MIN(load32_relaxed(&shm_header(&heap->segment)->chunks_high) / 8, CHUNKS_AHEAD);
	char message[HEAP_MESSAGE_SIZE];
	uint64_t added = 0;

	if (ahead == 0 || heap_charge(heap, ahead * CHUNK_CHARGE, message))
		return;
	(void)shm_commit_storage(&heap->segment, ahead, &added);
	settle(heap, ahead * CHUNK_CHARGE, added);
}

REQUEST_FUNCTION(commit_storage, proto_commit_storage)
{
	const struct proto_empty reply = {0};
	struct attachment *attachment;
	uint64_t cost, added = 0;
	struct heap *heap;
	int r;

	r = request_writer(client, request->heap, PROTO_NAMED_HEAP, &attachment, message);
	if (r)
		return r;
	heap = attachment->heap;
	if (request->chunks == 0 || request->chunks > heap->segment.layout.chunks) {
		snprintf(message, REQUEST_MESSAGE_SIZE,
			 "heap \"%s\": its storage has %" PRIu32 " chunks, not %" PRIu32, heap->name,
			 heap->segment.layout.chunks, request->chunks);
		return -ERROR_NO_SPACE;
	}
	cost = request->chunks * CHUNK_CHARGE;
	r = heap_charge(heap, cost, message);
	if (r)
		return r;
	r = shm_commit_storage(&heap->segment, request->chunks, &added);
	settle(heap, cost, added);
	if (r) {
		snprintf(message, REQUEST_MESSAGE_SIZE,
			 "heap \"%s\": no %" PRIu32 " neighbouring chunks are left of %" PRIu32, heap->name,
			 request->chunks, heap->segment.layout.chunks);
		return r;
	}
	if (request->chunks == 1)
		commit_ahead(heap);
	client_send_reply(client, id, PROTO_COMMIT_STORAGE, &reply);
	return 0;
}

REQUEST_FUNCTION(prepare_table, proto_prepare_table)
{
	const struct proto_empty reply = {0};
	struct attachment *attachment;
	const struct layout *layout;
	uint64_t cost, added = 0, units;
	struct heap *heap;
	int r;

	r = request_writer(client, request->heap, PROTO_NAMED_HEAP, &attachment, message);
	if (r)
		return r;
	heap = attachment->heap;
	layout = &heap->segment.layout;
	if (request->table >= layout->tables) {
		snprintf(message, REQUEST_MESSAGE_SIZE, "heap \"%s\": its map has %" PRIu32 " tables",
			 heap->name, layout->tables);
		return -ERROR_RANGE;
	}
	units = align_up(layout_table_slots(layout, request->table) * sizeof(uint64_t), UNIT) >> UNIT_SHIFT;
	cost = shm_commit_units_cost(&heap->segment,
				     layout_table_offset(layout, request->table) >> UNIT_SHIFT, units);
	r = heap_charge(heap, cost, message);
	if (r)
		return r;
	r = shm_prepare_table(&heap->segment, request->table, &added);
	settle(heap, cost, added);
	if (r)
		return r;
	client_send_reply(client, id, PROTO_PREPARE_TABLE, &reply);
	return 0;
}

REQUEST_FUNCTION(trim, proto_trim)
{
	struct attachment *attachment;
	int r;

	(void)id;
	r = request_writer(client, request->heap, PROTO_NAMED_HEAP, &attachment, message);
	if (r)
		return r;
	if (heap_trim(attachment->heap))
		sweep_before(client->broker, 0);
	return 0;
}

REQUEST_FUNCTION(recover, proto_recover)
{
	struct proto_recover_reply reply;
	struct shm_recovery recovery;
	struct attachment *attachment;
	int r;

	r = request_attachment(client, request->heap, &attachment, message);
	if (!r)
		r = request_expect_kind(attachment->heap, PROTO_NAMED_HEAP, message);
	if (r)
		return r;
	if (attachment->heap->quarantined)
		return -ERROR_CORRUPT;
	r = recovery_run(attachment->heap, &recovery);
	if (r)
		return r;
	reply = (struct proto_recover_reply){
		.recovered = recovery.recovered, .deferred = recovery.deferred, .corrupt = recovery.corrupt};
	client_send_reply(client, id, PROTO_RECOVER, &reply);
	return 0;
}
