/* disk_fixture.h: what tests of heaps on disk share: small heaps with contents that say where they belong. */
#ifndef TESTS_DISK_FIXTURE_H
#define TESTS_DISK_FIXTURE_H

#include <string.h>

#include "shm/disk.h"

#define DISK_TEST_PAGES 1100u /* of a segment: three groups */

static inline struct disk_meta disk_test_meta(uint8_t which, const char *name)
{
	struct disk_meta meta = {
		.heap_id = {which, 0x5e, 0xed, which, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 1, which},
		.kind = DISK_HEAP,
		.segment_version = SEGMENT_VERSION,
		.segment_size = DISK_TEST_PAGES * DISK_PAGE,
		.params = {.elements = 10, .max_elements = 10, .storage = UNIT, .persistent = true},
		.size = 10,
		.mode = 0600,
		.name_size = (uint32_t)strlen(name),
	};

	memcpy(meta.name, name, meta.name_size);
	return meta;
}

/* What page `page` of heap `which` holds in its version: never two the same; version 0 is zeros. */
static inline void disk_test_page(uint8_t data[DISK_PAGE], uint8_t which, uint64_t page, uint32_t version)
{
	uint64_t words[DISK_PAGE / 8];

	memset(data, 0, DISK_PAGE);
	if (version == 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		words[i] = ((uint64_t)which << 56 | page << 24 | version) * UINT64_C(0x9e3779b97f4a7c15) + i;
	memcpy(data, words, DISK_PAGE);
}

#endif
