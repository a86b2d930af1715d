/*
 * storage_words.h: the words that are the truth about storage, taken apart and put together.
 *
 * A chunk's word:
 *
 *       63          46 45            22 21       10 9     4 3     0
 *      +--------------+----------------+-----------+-------+-------+
 *      |count/distance|  generation 24 | owner 12  | class | state |
 *      +--------------+----------------+-----------+-------+-------+
 *
 * The generation goes along through every state, HOLE included, and never backwards: a reference made for
 * an earlier life of the chunk must not fit a later one. (It wraps after 16 million lives; readers are then
 * still safe, for the cell's version tells them.)
 *
 *      HOLE --commit--> FREE --> INIT --> SLAB --> FREE            daemon; a slot; its owner, or who finds it
 * empty FREE --> TAKEN --> LARGE (first), CONT (the others) --> FREEING (first) --> FREE FREE --> TRIM -->
 * HOLE                                       daemon
 *
 * A block's header, 64 bits outside the chunk. All zero is a free one:
 *
 *       63       40 39            16 15   13 12       1 0
 *      +-----------+----------------+-------+----------+---+
 *      |     0     |  generation 24 |   0   | owner 12 | A |    A: allocated; owner: the slot that claimed it
 *      +-----------+----------------+-------+----------+---+
 *
 * Pure functions of words, and where the words lie. Whoever reads a word from the segment believes nothing
 * in it: class and count are checked before they index anything.
 */
#ifndef SHM_STORAGE_WORDS_H
#define SHM_STORAGE_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/atomic.h"
#include "shm/cell.h"
#include "shm/segment.h"

enum chunk_state {
	CHUNK_HOLE = 0, /* zero, as a new segment is */
	CHUNK_FREE = 1,
	CHUNK_INIT = 2,
	CHUNK_SLAB = 3,
	CHUNK_TAKEN = 4,
	CHUNK_LARGE = 5, /* owner: the slot that claimed the blob */
	CHUNK_CONT = 6,
	CHUNK_FREEING = 7,
	CHUNK_TRIM = 8,
};

#define CHUNK_CLASS_SHIFT      4
#define CHUNK_OWNER_SHIFT      10
#define CHUNK_GENERATION_SHIFT 22
#define CHUNK_COUNT_SHIFT      46
#define CHUNK_COUNT_MAX	       ((1u << 18) - 1)
/* State, class and owner: what tells an owner at one comparison that a slab is its own. */
#define CHUNK_KIND_MASK ((1ull << CHUNK_GENERATION_SHIFT) - 1)

static inline uint64_t chunk_word(enum chunk_state state, uint32_t size_class, uint32_t owner,
				  uint32_t generation, uint32_t count)
{
	return (uint64_t)state | (uint64_t)size_class << CHUNK_CLASS_SHIFT |
	       (uint64_t)owner << CHUNK_OWNER_SHIFT |
	       (uint64_t)(generation & BLOB_GENERATION_MASK) << CHUNK_GENERATION_SHIFT |
	       (uint64_t)count << CHUNK_COUNT_SHIFT;
}

static inline enum chunk_state chunk_state(uint64_t word)
{
	return (enum chunk_state)(word & 0xf);
}

/* 0 … 63, whatever the word says: compare with SIZE_CLASS_COUNT before use. */
static inline uint32_t chunk_class(uint64_t word)
{
	return (uint32_t)(word >> CHUNK_CLASS_SHIFT) & 0x3f;
}

static inline uint32_t chunk_owner(uint64_t word)
{
	return (uint32_t)(word >> CHUNK_OWNER_SHIFT) & 0xfff;
}

static inline uint32_t chunk_generation(uint64_t word)
{
	return (uint32_t)(word >> CHUNK_GENERATION_SHIFT) & BLOB_GENERATION_MASK;
}

/* LARGE, FREEING: chunks of the extent. CONT: distance to its first. */
static inline uint32_t chunk_count(uint64_t word)
{
	return (uint32_t)(word >> CHUNK_COUNT_SHIFT);
}

/* The chunk as nobody's: HOLE, FREE or TRIM, of the generation that `word` has. */
static inline uint64_t chunk_word_plain(uint64_t word, enum chunk_state state)
{
	return chunk_word(state, 0, 0, chunk_generation(word), 0);
}

/* The same word in another slot's hands. */
static inline uint64_t chunk_word_owned(uint64_t word, uint32_t owner)
{
	return (word & ~(0xfffull << CHUNK_OWNER_SHIFT)) | (uint64_t)owner << CHUNK_OWNER_SHIFT;
}

#define BLOCK_ALLOCATED 1ull

static inline uint64_t block_header(uint32_t generation, bool allocated, uint32_t owner)
{
	return (uint64_t)(generation & BLOB_GENERATION_MASK) << 16 | (uint64_t)owner << 1 |
	       (allocated ? BLOCK_ALLOCATED : 0);
}

static inline bool block_is_allocated(uint64_t header)
{
	return header & BLOCK_ALLOCATED;
}

static inline uint32_t block_owner(uint64_t header)
{
	return (uint32_t)(header >> 1) & 0xfff;
}

static inline uint32_t block_generation(uint64_t header)
{
	return (uint32_t)(header >> 16) & BLOB_GENERATION_MASK;
}

/* ---- where they lie; index < layout.chunks ---- */

static inline struct chunk *shm_chunk(const struct shm_segment *seg, uint32_t index)
{
	return (struct chunk *)shm_area(seg, AREA_CHUNKS) + index;
}

/* The BLOCKS_PER_CHUNK headers of a chunk. May be touched while the chunk is not a HOLE. */
static inline uint64_t *shm_block_headers(const struct shm_segment *seg, uint32_t index)
{
	return (uint64_t *)shm_area(seg, AREA_BLOCKS) + (uint64_t)index * BLOCKS_PER_CHUNK;
}

static inline uint64_t shm_chunk_offset(const struct shm_segment *seg, uint32_t index)
{
	return seg->layout.offset[AREA_STORAGE] + ((uint64_t)index << UNIT_SHIFT);
}

/* Chunks at and above were never committed; scans end here. Bounded by the layout. */
static inline uint32_t shm_chunks_high(const struct shm_segment *seg)
{
	uint32_t high = load32_acquire(&shm_header(seg)->chunks_high);

	return high < seg->layout.chunks ? high : seg->layout.chunks;
}

/*
 * header.chunks_free is a hint of how many chunks are FREE; after a death it may be off. It can step below
 * zero for a moment, which reads as none. Who commits chunks adds them, and who trims takes them off, with
 * add32 and sub32; who commits also sets header.chunk_cursor to the first of them, where claims look first.
 */
static inline uint32_t shm_chunks_free(const struct shm_segment *seg)
{
	uint32_t count = load32_relaxed(&shm_header(seg)->chunks_free);

	return count <= seg->layout.chunks ? count : 0;
}

#endif
