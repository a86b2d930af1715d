/*
 * storage_class.h: the block sizes that chunks are cut into.
 *
 * Four sizes to a doubling at most, so that a block is never more than half again as large as what is put in
 * (but for the very small). What is larger than BLOCK_MAX, length included, is an extent of whole chunks.
 */
#ifndef SHM_STORAGE_CLASS_H
#define SHM_STORAGE_CLASS_H

#include <stdint.h>

#define SIZE_CLASS_COUNT 21u
#define BLOCK_MAX	 32768u
#define BLOCK_SMALL	 1024u /* up to here a table finds the class */

struct size_class {
	uint32_t size;	     /* of a block, in bytes; a multiple of 16 */
	uint32_t count;	     /* blocks in a chunk */
	uint64_t reciprocal; /* ceil(2^24 / (size / 16)) */
};

extern const struct size_class size_classes[SIZE_CLASS_COUNT];
extern const uint8_t size_class_small[BLOCK_SMALL / 16 + 1];

/* The smallest class whose blocks hold so many bytes. bytes ≤ BLOCK_MAX. */
static inline uint32_t size_class_of(uint64_t bytes)
{
	uint32_t size_class;

	if (bytes <= BLOCK_SMALL)
		return size_class_small[(bytes + 15) / 16];
	for (size_class = size_class_small[BLOCK_SMALL / 16]; size_classes[size_class].size < bytes;)
		size_class++;
	return size_class;
}

/*
 * Which block holds the byte `inside` of its chunk (< 65536): a division without dividing. Exact, because
 * inside/16 < 2^12 and the error of the reciprocal is below 2^-24, so below 1/(size/16) in all.
 */
static inline uint32_t size_class_index(const struct size_class *size_class, uint32_t inside)
{
	return (uint32_t)((inside / 16 * size_class->reciprocal) >> 24);
}

/* So many free blocks make a slab worth taking: an eighth, at least one. */
static inline uint32_t size_class_worth(const struct size_class *size_class)
{
	return size_class->count >= 16 ? size_class->count / 8 : 1;
}

#endif
