/* disk_sum.c: the sums of pages, headers and blocks of journals. */
#include <string.h>

#include <xxhash.h>

#include "shm/disk_format.h"

uint64_t shm_disk_sum(const void *bytes, const uint8_t heap_id[16], uint64_t page)
{
	uint64_t seed, sum;

	memcpy(&seed, heap_id, sizeof(seed));
	sum = XXH3_64bits_withSeed(bytes, DISK_PAGE, seed + page);
	return sum ? sum : 1;
}

uint64_t shm_disk_block_sum(const void *block, size_t sum_at)
{
	uint8_t copy[DISK_PAGE];

	memcpy(copy, block, sizeof(copy));
	memset(copy + sum_at, 0, sizeof(uint64_t));
	return XXH3_64bits(copy, sizeof(copy));
}
