/*
 * storage_stats.c: walks over the whole storage, for inspect and check. Each looks at every chunk once;
 * beside working clients the numbers are those of no single moment.
 */
#include "shm/storage_internal.h"

#include <string.h>

/* The chunks of an extent that begins at `index`, as far as there are. */
static uint32_t extent_chunks(const struct shm_segment *seg, uint32_t index, uint64_t word)
{
	uint32_t count = chunk_count(word), left = seg->layout.chunks - index;

	return count < left ? count : left;
}

static void walk_slab(const struct shm_segment *seg, uint32_t index, const struct size_class *size_class,
		      void (*found)(void *arg, blob_ref ref, uint64_t capacity), void *arg)
{
	const uint64_t *headers = shm_block_headers(seg, index);

	for (uint32_t i = 0; i < size_class->count; i++) {
		uint64_t header = load64_acquire(&headers[i]);
		uint64_t offset = shm_chunk_offset(seg, index) + (uint64_t)i * size_class->size;

		if (block_is_allocated(header))
			found(arg, blob_ref_make(offset, block_generation(header)), size_class->size);
	}
}

void shm_storage_walk(const struct shm_segment *seg,
		      void (*found)(void *arg, blob_ref ref, uint64_t capacity), void *arg)
{
	uint32_t high = shm_chunks_high(seg);

	for (uint32_t i = 0; i < high; i++) {
		uint64_t word = load64_acquire(&shm_chunk(seg, i)->word);

		if (chunk_state(word) == CHUNK_SLAB && storage_class(word))
			walk_slab(seg, i, storage_class(word), found, arg);
		else if (chunk_state(word) == CHUNK_LARGE)
			found(arg, blob_ref_make(shm_chunk_offset(seg, i), chunk_generation(word)),
			      (uint64_t)extent_chunks(seg, i, word) << UNIT_SHIFT);
	}
}

static void count_blob(void *arg, blob_ref ref, uint64_t capacity)
{
	struct shm_storage_stats *stats = arg;

	(void)ref;
	stats->blocks_allocated++;
	stats->bytes_allocated += capacity;
}

void shm_storage_stats(const struct shm_segment *seg, struct shm_storage_stats *stats)
{
	uint32_t high = shm_chunks_high(seg);

	memset(stats, 0, sizeof(*stats));
	stats->chunks = seg->layout.chunks;
	for (uint32_t i = 0; i < high; i++) {
		enum chunk_state state = chunk_state(load64_acquire(&shm_chunk(seg, i)->word));

		stats->committed_chunks += state != CHUNK_HOLE;
		stats->free_chunks += state == CHUNK_FREE;
		stats->slabs += state == CHUNK_SLAB;
		stats->large_chunks += state == CHUNK_LARGE || state == CHUNK_CONT;
	}
	shm_storage_walk(seg, count_blob, stats);
}

/* What one chunk adds; a large blob's bytes are counted chunk by chunk. */
static void count_chunk(const struct shm_segment *seg, uint32_t index, struct shm_storage_stats *stats)
{
	uint64_t word = load64_acquire(&shm_chunk(seg, index)->word);
	enum chunk_state state = chunk_state(word);

	stats->committed_chunks += state != CHUNK_HOLE;
	stats->free_chunks += state == CHUNK_FREE;
	stats->slabs += state == CHUNK_SLAB;
	stats->blocks_allocated += state == CHUNK_LARGE;
	if (state == CHUNK_LARGE || state == CHUNK_CONT) {
		stats->large_chunks++;
		stats->bytes_allocated += UNIT;
	} else if (state == CHUNK_SLAB && storage_class(word)) {
		walk_slab(seg, index, storage_class(word), count_blob, stats);
	}
}

void shm_storage_estimate(const struct shm_segment *seg, uint32_t most, struct shm_storage_stats *stats)
{
	uint32_t high = shm_chunks_high(seg), looked = 0, stride = high / most + 1;
	double scale;

	memset(stats, 0, sizeof(*stats));
	for (uint64_t i = 0; i < high; i += stride, looked++)
		count_chunk(seg, (uint32_t)i, stats);
	stats->chunks = seg->layout.chunks;
	if (stride == 1)
		return;
	scale = (double)high / (double)looked;
	stats->committed_chunks = (uint64_t)((double)stats->committed_chunks * scale);
	stats->free_chunks = (uint64_t)((double)stats->free_chunks * scale);
	stats->slabs = (uint64_t)((double)stats->slabs * scale);
	stats->large_chunks = (uint64_t)((double)stats->large_chunks * scale);
	stats->blocks_allocated = (uint64_t)((double)stats->blocks_allocated * scale);
	stats->bytes_allocated = (uint64_t)((double)stats->bytes_allocated * scale);
}

/* CONT, and the chunk that it says is its first is one, and reaches so far. */
static bool has_first(const struct shm_segment *seg, uint32_t index, uint64_t word)
{
	uint32_t distance = chunk_count(word);
	uint64_t first;

	if (distance == 0 || distance > index)
		return false;
	first = load64_acquire(&shm_chunk(seg, index - distance)->word);
	return chunk_state(first) == CHUNK_LARGE && chunk_count(first) > distance;
}

/* LARGE, and all that it counts are its own. */
static bool is_whole(const struct shm_segment *seg, uint32_t index, uint64_t word)
{
	uint32_t count = extent_chunks(seg, index, word);

	if (count == 0 || count != chunk_count(word))
		return false;
	for (uint32_t i = 1; i < count; i++) {
		uint64_t other = load64_acquire(&shm_chunk(seg, index + i)->word);

		if (chunk_state(other) != CHUNK_CONT || chunk_count(other) != i)
			return false;
	}
	return true;
}

static bool is_settled(const struct shm_segment *seg, uint32_t index)
{
	uint64_t word = load64_acquire(&shm_chunk(seg, index)->word);

	switch (chunk_state(word)) {
	case CHUNK_HOLE:
	case CHUNK_FREE:
		return true;
	case CHUNK_SLAB:
		return storage_class(word) &&
		       (chunk_owner(word) == 0 ||
			load32_acquire(&shm_slot(seg, chunk_owner(word))->state) == SLOT_TAKEN);
	case CHUNK_CONT:
		return has_first(seg, index, word);
	case CHUNK_LARGE:
		return is_whole(seg, index, word);
	default: /* INIT, TAKEN, FREEING, TRIM, and what is none */
		return false;
	}
}

uint64_t shm_storage_unsettled(const struct shm_segment *seg)
{
	uint32_t high = shm_chunks_high(seg);
	uint64_t unsettled = 0;

	for (uint32_t i = 0; i < high; i++)
		unsettled += !is_settled(seg, i);
	return unsettled;
}
