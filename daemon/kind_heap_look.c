/*
 * kind_heap_look.c: inspecting a heap. Numbers that come from a segment are copied for people, never used.
 */
#include "daemon/kind_heap_look.h"

#include "base/macros.h"
#include "shm/atomic.h"
#include "shm/map_words.h"
#include "shm/ring.h"
#include "shm/stack.h"
#include "shm/storage.h"

/* Slots of a map's table that are looked at; of a larger table the rest is estimated. Hashes spread evenly.
 */
#define TABLE_SAMPLE ((uint64_t)1 << 18)

/* Chunks of the storage that are looked at; of a larger storage the rest is estimated. */
#define CHUNK_SAMPLE 1024u

/* Places of the queue that are looked at while items are leased; what is behind counts as held. */
#define PLACE_SAMPLE 65536u

static void inspect_slots(struct proto_inspect_reply *reply, const struct shm_segment *segment)
{
	uint32_t end = MIN(load32_acquire(&shm_header(segment)->slots_high), SLOT_COUNT);

	for (uint32_t id = 1; id < end; id++) {
		const struct slot *slot = shm_slot(segment, id);

		if (load32_acquire(&slot->state) == SLOT_FREE)
			continue;
		reply->slots++;
		reply->waiters += load64_relaxed(&slot->wait) != 0;
	}
}

uint32_t kind_heap_each_slot(const struct heap *heap, uint32_t most,
			     void (*visit)(void *arg, uint64_t client, bool asleep), void *arg)
{
	const struct shm_segment *segment = &heap->segment;
	uint32_t end = MIN(load32_acquire(&shm_header(segment)->slots_high), SLOT_COUNT);

	end = MIN(end, most);
	for (uint32_t id = 1; id < end; id++) {
		const struct slot *slot = shm_slot(segment, id);

		if (load32_acquire(&slot->state) != SLOT_FREE)
			visit(arg, load64_relaxed(&slot->client), load64_relaxed(&slot->wait) != 0);
	}
	return end;
}

static void inspect_items(struct proto_inspect_reply *reply, const struct shm_segment *segment)
{
	struct shm_ring_count count;

	shm_ring_count(segment, PLACE_SAMPLE, &count);
	reply->queued = count.items;
	reply->leased = count.leased;
	reply->stacked = shm_stack_length(segment);
}

static void inspect_storage(struct proto_storage_stats *reply, const struct shm_segment *segment)
{
	struct shm_storage_stats stats;

	shm_storage_estimate(segment, CHUNK_SAMPLE, &stats);
	*reply = (struct proto_storage_stats){.chunks = stats.chunks,
					      .committed_chunks = stats.committed_chunks,
					      .free_chunks = stats.free_chunks,
					      .slabs = stats.slabs,
					      .large_chunks = stats.large_chunks,
					      .blocks = stats.blocks_allocated,
					      .bytes = stats.bytes_allocated};
}

/*
 * Keys of a table; of a large one by a share of its slots: to look at all would hold up the others. What is not
 * committed is empty, and must not be touched.
 */
static uint64_t estimate_keys(const struct shm_segment *segment, uint32_t table)
{
	uint64_t offset = layout_table_offset(&segment->layout, table), live = 0;
	uint64_t slots = layout_table_slots(&segment->layout, table), looked = MIN(slots, TABLE_SAMPLE);

	for (uint64_t i = 0; i < looked; i++) {
		uint64_t at = offset + i * sizeof(uint64_t), slot;

		if (!shm_committed(segment, at)) {
			i |= UNIT / sizeof(uint64_t) - 1;
			continue;
		}
		slot = load64_relaxed(shm_at(segment, at));
		live += (slot & MAP_STATE_MASK) == MAP_LIVE && !(slot & MAP_MOVED);
	}
	return (uint64_t)((double)live * ((double)slots / (double)looked));
}

static void inspect_map(struct proto_map_stats *reply, const struct shm_segment *segment)
{
	const struct header *header = shm_header(segment);
	uint64_t word = load64_acquire(&header->map);
	uint32_t table = word & 0xffff, next = (uint32_t)(word >> 16) & 0xffff;

	if (table >= segment->layout.tables || next > segment->layout.tables)
		return;
	reply->slots = layout_table_slots(&segment->layout, table);
	reply->entries = load64_relaxed(&header->map_keys);
	reply->growing = next != 0;
	/* Keys that were brought over, but not marked so yet, count twice; shm_map_stats would look each of them up, at a
	 * price that a segment can dictate. */
	reply->keys = estimate_keys(segment, table) + (next ? estimate_keys(segment, next - 1) : 0);
}

void kind_heap_inspect(const struct heap *heap, struct proto_inspect_reply *reply)
{
	const struct shm_segment *segment = &heap->segment;

	reply->segment_size = segment->layout.segment_size;
	reply->recoveries = load32_relaxed(&shm_header(segment)->recoveries);
	inspect_slots(reply, segment);
	inspect_storage(&reply->storage, segment);
	inspect_items(reply, segment);
	if (heap->params.has_map) {
		inspect_map(&reply->map, segment);
		reply->used = MIN(load64_relaxed(&shm_header(segment)->element_next), heap->elements);
	}
}
