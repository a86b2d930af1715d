/*
 * Sets of counters: a head of two words in front of 64-bit counters, in a region.
 *
 *      0   "EMMAP01\n"
 *      8   how many there are, little-endian
 *     16   the counters
 *
 * Each step is one word, and leaves a set: the magic makes one of no counters out of zeros; the count, which only grows,
 * adds counters whose bytes are there already. So nobody's death leaves anything to be repaired, and who comes second
 * finds what the first has done, or does it.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/error.h"
#include "client/failure.h"
#include "client/region.h"
#include "shm/atomic.h"

#define HEAD	  16u
#define MAGIC	  UINT64_C(0x0a313050414d4d45) /* "EMMAP01\n" */
#define COUNT_MAX ((REGION_SIZE_MAX - HEAD) / sizeof(int64_t))

struct ems_counters {
	struct ems_region *region;
	uint64_t known; /* atomic: so many are there; more may have come since */
};

static uint64_t *head_word(const struct ems_region *region, unsigned i)
{
	return (uint64_t *)(void *)region->memory.base + i;
}

static uint64_t bytes_of(uint64_t count)
{
	return HEAD + count * sizeof(int64_t);
}

/* Makes a set of no counters where there are only zeros. */
static int make_head(struct ems_region *region)
{
	uint64_t magic = load64_acquire(head_word(region, 0));

	if (magic == 0 && load64_acquire(head_word(region, 1)) != 0)
		magic = load64_acquire(
			head_word(region, 0)); /* somebody may have been faster; else it is a stranger's */
	else if (magic == 0 && !region->memory.writable)
		return failure_say(-ERROR_READ_ONLY,
				   "region \"%s\": it has no counters yet, and is mapped for reading only",
				   region->name);
	else if (magic == 0 && cas64(head_word(region, 0), &magic, MAGIC))
		magic = MAGIC;
	if (magic != MAGIC)
		return failure_say(-ERROR_CORRUPT,
				   "region \"%s\": these are no counters: it begins with %016" PRIx64
				   ", not \"EMMAP01\\n\"",
				   region->name, magic);
	return 0;
}

/* How many there are, none of which lies behind the region's end. */
static int look(struct ems_region *region, uint64_t *_count)
{
	uint64_t count = load64_acquire(head_word(region, 1)), size = shm_region_size(&region->memory);

	if (count > COUNT_MAX || bytes_of(count) > size)
		return failure_say(-ERROR_CORRUPT,
				   "region \"%s\": %" PRIu64 " counters do not fit its %" PRIu64
				   " bytes: it was cut off, or somebody scribbled over it",
				   region->name, count, size);
	*_count = count;
	return 0;
}

/* Adds counters until there are `count`; their bytes are zeros that were there already. */
static int raise_count(struct ems_region *region, uint64_t count)
{
	uint64_t *word = head_word(region, 1), seen;
	int r = look(region, &seen);

	if (r < 0 || seen >= count)
		return r;
	if (!region->memory.writable)
		return failure_say(-ERROR_READ_ONLY,
				   "region \"%s\": it has %" PRIu64
				   " counters, and is mapped for reading only",
				   region->name, seen);
	r = ems_region_grow(region, bytes_of(count));
	/* Takes effect here: the counters exist. */
	while (r == 0 && seen < count && !cas64(word, &seen, count))
		;
	return r;
}

int ems_counters_open(ems_region_t *region, uint64_t count, ems_counters_t **counters)
{
	struct ems_counters *set;
	int r = region_check(region, "counters_open");

	if (r < 0)
		return r;
	if (!counters)
		return failure_say(-ERROR_INVALID, "counters_open: no place for the handle");
	if (count > COUNT_MAX)
		return failure_say(-ERROR_RANGE, "region \"%s\": at most %" PRIu64 " counters", region->name,
				   (uint64_t)COUNT_MAX);
	/* A read-only region cannot grow; a file may be as short as it likes. */
	r = shm_region_size(&region->memory) < HEAD ? ems_region_grow(region, HEAD) : 0;
	if (r == 0)
		r = make_head(region);
	if (r == 0)
		r = raise_count(region, count);
	if (r == 0)
		r = look(region, &count);
	if (r < 0)
		return r;
	set = malloc(sizeof(*set));
	if (!set)
		return failure_of(-ERROR_NO_MEMORY);
	*set = (struct ems_counters){.region = region, .known = count};
	*counters = set;
	return 0;
}

void ems_counters_close(ems_counters_t *counters)
{
	free(counters);
}

/* Looks how many there are now. */
static int refresh(struct ems_counters *set)
{
	uint64_t count;
	int r = look(set->region, &count);

	if (r == 0)
		store64_relaxed(&set->known, count);
	return r;
}

int ems_counters_count(ems_counters_t *counters, uint64_t *count)
{
	int r = region_check(counters ? counters->region : NULL, "counters_count");

	if (r == 0)
		r = refresh(counters);
	if (r == 0 && count)
		*count = load64_relaxed(&counters->known);
	return r;
}

static int find(struct ems_counters *set, uint64_t number, bool writes, int64_t **_counter)
{
	int r = region_check(set ? set->region : NULL, "counters");

	if (r < 0)
		return r;
	if (UNLIKELY(number >= load64_relaxed(&set->known))) {
		r = refresh(set);
		if (r < 0)
			return r;
		if (number >= load64_relaxed(&set->known))
			return failure_say(-ERROR_RANGE,
					   "region \"%s\": no counter %" PRIu64 " (it has %" PRIu64 ")",
					   set->region->name, number, load64_relaxed(&set->known));
	}
	if (UNLIKELY(writes && !set->region->memory.writable))
		return failure_say(-ERROR_READ_ONLY, "region \"%s\": it is mapped for reading only",
				   set->region->name);
	*_counter = (int64_t *)(void *)(set->region->memory.base + bytes_of(number));
	return 0;
}

int ems_counters_get(ems_counters_t *counters, uint64_t number, int64_t *value)
{
	int64_t *counter;
	int r = find(counters, number, false, &counter);

	if (r == 0 && value)
		*value = ems_counter_get(counter);
	return r;
}

static int set_old(int64_t *old, int64_t was)
{
	if (old)
		*old = was;
	return 0;
}

int ems_counters_set(ems_counters_t *counters, uint64_t number, int64_t value, int64_t *old)
{
	int64_t *counter;
	int r = find(counters, number, true, &counter);

	return r < 0 ? r : set_old(old, ems_counter_exchange(counter, value));
}

int ems_counters_add(ems_counters_t *counters, uint64_t number, int64_t amount, int64_t *old)
{
	int64_t *counter;
	int r = find(counters, number, true, &counter);

	return r < 0 ? r : set_old(old, ems_counter_add(counter, amount));
}

int ems_counters_sub(ems_counters_t *counters, uint64_t number, int64_t amount, int64_t *old)
{
	int64_t *counter;
	int r = find(counters, number, true, &counter);

	return r < 0 ? r : set_old(old, ems_counter_sub(counter, amount));
}
