/*
 * test_shm_estimate.c: statistics of the storage from a share of its chunks come near those from all of them.
 */
#include <fcntl.h>

#include "base/fd.h"
#include "shm/segment.h"
#include "shm/storage.h"
#include "shm/storage_words.h"
#include "tests/unit/unit.h"

enum { CHUNKS = 2000 };

static bool is_near(uint64_t a, uint64_t b, uint64_t by)
{
	return a > b ? a - b <= by : b - a <= by;
}

/* Every third chunk a large blob's first, the one behind it its second, the rest free. */
static void furnish(struct shm_segment *segment)
{
	struct chunk *chunks = shm_area(segment, AREA_CHUNKS);
	uint64_t added;

	ck_assert_int_eq(shm_commit_storage(segment, CHUNKS, &added), 0);
	for (uint32_t i = 0; i + 1 < CHUNKS; i += 3) {
		store64_release(&chunks[i].word, chunk_word(CHUNK_LARGE, 0, 0, 1, 2));
		store64_release(&chunks[i + 1].word, chunk_word(CHUNK_CONT, 0, 0, 1, 1));
	}
}

START_TEST(estimate_is_near)
{
	struct heap_params params = {
		.elements = 10, .max_elements = 10, .storage = 2 * CHUNKS * UNIT, .initial_tag = TAG_FULL};
	static const uint8_t id[16];
	struct shm_storage_stats all, some;
	struct shm_segment segment;
	int fd;

	ck_assert_int_eq(shm_segment_create(&segment, &params, NULL, id, &fd), 0);
	shm_storage_estimate(&segment, 1, &some);
	ck_assert_uint_eq(some.committed_chunks, 0);
	furnish(&segment);
	shm_storage_stats(&segment, &all);
	ck_assert_uint_eq(all.committed_chunks, CHUNKS);

	/* Enough: exact. */
	shm_storage_estimate(&segment, CHUNKS + 1, &some);
	ck_assert_mem_eq(&some, &all, sizeof(all));

	for (uint32_t most = 20; most < CHUNKS; most *= 3) {
		/* A stride of 3 meets one kind of chunk only: such heaps are what an estimate is wrong about. */
		if ((CHUNKS / most + 1) % 3 == 0)
			continue;
		shm_storage_estimate(&segment, most, &some);
		ck_assert_uint_eq(some.chunks, 2 * CHUNKS);
		ck_assert(is_near(some.committed_chunks, CHUNKS, 2));
		ck_assert(is_near(some.large_chunks, all.large_chunks, CHUNKS / 10));
		ck_assert(is_near(some.blocks_allocated, all.blocks_allocated, CHUNKS / 10));
		ck_assert(is_near(some.bytes_allocated, all.bytes_allocated, CHUNKS / 10 * UNIT));
	}
	shm_segment_unmap(&segment);
	fd_close(fd);
}
END_TEST

UNIT_MAIN("shm/estimate", estimate_is_near)
