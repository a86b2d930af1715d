/* Blocks in regions for <ems.h>: opening and making, growing, listing. What keeps them right is in shm/block.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/macros.h"
#include "client/failure.h"
#include "client/region.h"
#include "shm/block.h"

#define LIST_LOOK  65536u		/* blocks that one call looks at */
#define GROWTH_MAX ((uint64_t)64 << 20) /* bytes that a region grows by beyond what is needed */

struct ems_blocks {
	struct shm_blocks blocks;
	struct ems_region *region;
};

/* ---- opening ---- */

/* What a copy of the file, or another region of the name, does not have. */
static int find_era(struct ems_region *region, uint32_t *_era)
{
	struct {
		uint64_t device, inode;
		uint8_t id[16];
	} identity = {0};
	struct stat status;

	if (region->memory.fd >= 0) {
		if (fstat(region->memory.fd, &status) < 0)
			return failure_of(-ERROR_SYSTEM);
		identity.device = status.st_dev;
		identity.inode = status.st_ino;
	} else {
		memcpy(identity.id, region->heap_id, sizeof(identity.id));
	}
	*_era = shm_blocks_era(&identity, sizeof(identity));
	return 0;
}

static int say_foreign(const struct ems_region *region)
{
	return failure_say(
		-ERROR_CORRUPT,
		"region \"%s\": there is something else in it than blocks (discard makes it blocks)",
		region->name);
}

/* The region is long enough for the head and the bits. */
static int reserve(struct ems_region *region, uint64_t size)
{
	return shm_region_size(&region->memory) < size ? ems_region_grow(region, size) : 0;
}

static int plan(struct ems_blocks *self, uint32_t block_size, uint32_t capacity)
{
	if (shm_blocks_plan(&self->blocks, block_size, capacity))
		return 0;
	return failure_say(-ERROR_RANGE,
			   "region \"%s\": %" PRIu32 " blocks of %" PRIu32 " bytes cannot be had",
			   self->region->name, capacity, block_size);
}

/* Makes the blocks, or finds that somebody else has. */
static int make(struct ems_blocks *self, const ems_blocks_options_t *options, uint32_t *block_size,
		uint32_t *capacity)
{
	struct ems_region *region = self->region;
	int r;

	if (!options->block_size)
		return failure_say(-ERROR_INVALID,
				   "region \"%s\": there are no blocks yet, and no block_size is given",
				   region->name);
	if (!region->memory.writable)
		return failure_say(
			-ERROR_READ_ONLY,
			"region \"%s\": there are no blocks yet, and it is mapped for reading only",
			region->name);
	r = plan(self, options->block_size, options->capacity ? options->capacity : BLOCK_DEFAULT);
	if (r == 0)
		r = reserve(region, self->blocks.first);
	if (r < 0)
		return r;
	if (options->discard)
		shm_blocks_discard(&self->blocks);
	shm_blocks_make(&region->memory, self->blocks.block_size, self->blocks.capacity);
	r = shm_blocks_look(&region->memory, block_size, capacity);
	return r < 0 ? say_foreign(region) : 0;
}

static int compare(const struct ems_blocks *self, const ems_blocks_options_t *options)
{
	if (options->block_size && options->block_size != self->blocks.block_size)
		return failure_say(-ERROR_MISMATCH,
				   "region \"%s\" has blocks of %" PRIu32 " bytes, not %" PRIu32,
				   self->region->name, self->blocks.block_size, options->block_size);
	if (options->capacity && options->capacity != self->blocks.capacity)
		return failure_say(-ERROR_MISMATCH,
				   "region \"%s\" has places for %" PRIu32 " blocks, not %" PRIu32,
				   self->region->name, self->blocks.capacity, options->capacity);
	return 0;
}

static int find_blocks(struct ems_blocks *self, const ems_blocks_options_t *options)
{
	struct ems_region *region = self->region;
	uint32_t block_size = 0, capacity = 0;
	int r = 0;

	if (region->memory.page_size > REGION_PAGE)
		return failure_say(-ERROR_UNSUPPORTED, "region \"%s\": blocks cannot be in pages of hugetlb",
				   region->name);
	if (!options->discard)
		r = shm_blocks_look(&region->memory, &block_size, &capacity) < 0 ? say_foreign(region) : 0;
	if (r == 0 && block_size == 0 && capacity == 0)
		r = make(self, options, &block_size, &capacity);
	if (r < 0)
		return r;
	if (!shm_blocks_plan(&self->blocks, block_size, capacity))
		return say_foreign(region);
	if (self->blocks.first > shm_region_size(&region->memory))
		return failure_say(-ERROR_CORRUPT,
				   "region \"%s\": it was cut off: its blocks begin behind its end",
				   region->name);
	return compare(self, options);
}

int ems_blocks_open(ems_region_t *region, const ems_blocks_options_t *options, ems_blocks_t **blocks)
{
	static const ems_blocks_options_t defaults;
	struct ems_blocks *self;
	int r = region_check(region, "blocks_open");

	if (r == 0 && !blocks)
		r = failure_say(-ERROR_INVALID, "blocks_open: no place for the handle");
	if (r < 0)
		return r;
	self = calloc(1, sizeof(*self));
	if (!self)
		return failure_of(-ERROR_NO_MEMORY);
	self->region = region;
	self->blocks.region = &region->memory;
	r = find_era(region, &self->blocks.era);
	if (r == 0)
		r = find_blocks(self, options ? options : &defaults);
	if (r == 0 && region->memory.writable) {
		r = shm_blocks_recover(&self->blocks);
		if (r < 0)
			r = failure_of(r);
	}
	if (r < 0)
		ems_blocks_close(self);
	else
		*blocks = self;
	return r;
}

void ems_blocks_close(ems_blocks_t *blocks)
{
	if (!blocks)
		return;
	/* In a child of a fork the locks' pages are not there. */
	if (!process_is_another(blocks->region->process))
		shm_blocks_fini(&blocks->blocks);
	free(blocks);
}

/* ---- using ---- */

static int check(const struct ems_blocks *self, const char *operation, bool writes)
{
	int r = region_check(self ? self->region : NULL, operation);

	if (r == 0 && writes && !self->region->memory.writable)
		r = failure_say(-ERROR_READ_ONLY, "%s: region \"%s\" is mapped for reading only", operation,
				self->region->name);
	return r;
}

/* The words for what went wrong with a block. */
static int tell(int r, const struct ems_blocks *self, const char *operation, uint64_t number)
{
	const char *name = self->region->name;

	switch (r) {
	case 0:
		return 0;
	case -ERROR_RANGE:
		return failure_say(
			r, "%s: region \"%s\" has no block %" PRIu64 " (there are places for %" PRIu32 ")",
			operation, name, number, self->blocks.capacity);
	case -ERROR_EMPTY:
		return failure_say(r, "%s: region \"%s\": nothing is stored in block %" PRIu64, operation,
				   name, number);
	case -ERROR_FULL:
		return failure_say(r, "%s: region \"%s\": all blocks are taken", operation, name);
	case -ERROR_BUSY:
		return failure_say(r, "%s: region \"%s\": %u others are changing its blocks", operation, name,
				   BLOCK_WRITERS);
	default:
		return failure_say(r, "%s: region \"%s\": %s", operation, name, error_text(r));
	}
}

/* Makes room for block `number`, and some more; FULL when the region is as large as it can be. */
static int grow(struct ems_blocks *self, uint64_t number)
{
	struct ems_region *region = self->region;
	uint64_t end = shm_blocks_end(&self->blocks, number), size = shm_region_size(&region->memory);
	uint64_t all = shm_blocks_end(&self->blocks, self->blocks.capacity - 1), wish;

	if (end > region->memory.max_size)
		return tell(-ERROR_FULL, self, "block_store", number);
	wish = MIN(MIN(MAX(end, size + MIN(size, GROWTH_MAX)), all), region->memory.max_size);
	return wish > end && ems_region_grow(region, wish) == 0 ? 0 : ems_region_grow(region, end);
}

int ems_block_store(ems_blocks_t *blocks, const void *data, size_t size, uint64_t *number)
{
	uint64_t stored = 0;
	int r = check(blocks, "block_store", true);

	if (r < 0)
		return r;
	if (!data || size != blocks->blocks.block_size)
		return failure_say(-ERROR_INVALID,
				   "block_store: region \"%s\" has blocks of %" PRIu32 " bytes, not %zu",
				   blocks->region->name, blocks->blocks.block_size, data ? size : (size_t)0);
	while ((r = shm_block_store(&blocks->blocks, data, &stored)) == -ERROR_NO_SPACE) {
		r = grow(blocks, stored);
		if (r < 0)
			return r;
	}
	if (r == 0 && number)
		*number = stored;
	return tell(r, blocks, "block_store", stored);
}

int ems_block_read(ems_blocks_t *blocks, uint64_t number, void *data, size_t size)
{
	int r = check(blocks, "block_read", false);

	if (r < 0)
		return r;
	if (data && size != blocks->blocks.block_size)
		return failure_say(-ERROR_INVALID,
				   "block_read: region \"%s\" has blocks of %" PRIu32 " bytes, not %zu",
				   blocks->region->name, blocks->blocks.block_size, size);
	return tell(shm_block_read(&blocks->blocks, number, data), blocks, "block_read", number);
}

int ems_block_free(ems_blocks_t *blocks, uint64_t number)
{
	int r = check(blocks, "block_free", true);

	return r < 0 ? r : tell(shm_block_free(&blocks->blocks, number), blocks, "block_free", number);
}

int ems_blocks_list(ems_blocks_t *blocks, uint64_t *below, uint64_t *numbers, void *data, size_t room,
		    size_t *count)
{
	size_t found = 0, size;
	int r = check(blocks, "blocks_list", false);

	if (r < 0)
		return r;
	if (!below || !count || (room && !numbers))
		return failure_say(-ERROR_INVALID, "blocks_list: below, numbers and count are needed");
	size = blocks->blocks.block_size;
	*below = MIN(*below, (uint64_t)blocks->blocks.capacity);
	for (uint32_t looked = 0; *below > 0 && found < room && looked < LIST_LOOK; looked++) {
		void *to = data ? (char *)data + found * size : NULL;

		if (shm_block_read(&blocks->blocks, --*below, to) == 0)
			numbers[found++] = *below;
	}
	*count = found;
	return 0;
}

int ems_blocks_repair(ems_blocks_t *blocks, uint64_t *from, uint64_t count, uint64_t *mended)
{
	uint64_t bad = 0;
	int r = check(blocks, "blocks_repair", true);

	if (r == 0 && !from)
		r = failure_say(-ERROR_INVALID, "blocks_repair: no place to go on from");
	if (r < 0)
		return r;
	*from = MIN(*from, (uint64_t)blocks->blocks.capacity);
	r = shm_blocks_repair(&blocks->blocks, *from, count, &bad);
	if (r < 0)
		return tell(r, blocks, "blocks_repair", *from);
	*from += MIN(count, blocks->blocks.capacity - *from);
	if (mended)
		*mended = bad;
	return 0;
}

int ems_blocks_info(ems_blocks_t *blocks, ems_blocks_info_t *info)
{
	int r = check(blocks, "blocks_info", false);

	if (r == 0 && !info)
		r = failure_say(-ERROR_INVALID, "blocks_info: no place for the answer");
	if (r < 0)
		return r;
	*info = (ems_blocks_info_t){.block_size = blocks->blocks.block_size,
				    .capacity = blocks->blocks.capacity,
				    .first = blocks->blocks.first + sizeof(uint64_t),
				    .distance = blocks->blocks.stride};
	return 0;
}
