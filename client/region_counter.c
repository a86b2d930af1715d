/* Counters at offsets of a region, checked; the operations themselves are the inline ones of <ems.h>. */
#include "base/error.h"
#include "client/failure.h"
#include "client/region.h"

/* Yields the counter's address. The bounds are those that this process has seen last, so that it costs one load. */
static int find(struct ems_region *region, uint64_t offset, bool writes, int64_t **_counter)
{
	uint64_t size;
	int r = region_check(region, "region counter");

	if (r < 0)
		return r;
	if (UNLIKELY(offset % sizeof(int64_t) != 0))
		return failure_say(-ERROR_INVALID, "region \"%s\": offset %llu is not a multiple of 8",
				   region->name, (unsigned long long)offset);
	size = load64_relaxed(&region->memory.seen);
	if (UNLIKELY(size < sizeof(int64_t) || offset > size - sizeof(int64_t))) {
		size = shm_region_size(&region->memory); /* it may have grown */
		if (size < sizeof(int64_t) || offset > size - sizeof(int64_t))
			return failure_say(
				-ERROR_RANGE, "region \"%s\": no counter at %llu (it has %llu bytes)",
				region->name, (unsigned long long)offset, (unsigned long long)size);
	}
	if (UNLIKELY(writes && !region->memory.writable))
		return failure_say(-ERROR_READ_ONLY, "region \"%s\": it is mapped for reading only",
				   region->name);
	*_counter = (int64_t *)(void *)(region->memory.base + offset);
	return 0;
}

int ems_region_get(ems_region_t *region, uint64_t offset, int64_t *value)
{
	int64_t *counter;
	int r = find(region, offset, false, &counter);

	if (r == 0 && value)
		*value = ems_counter_get(counter);
	return r;
}

int ems_region_set(ems_region_t *region, uint64_t offset, int64_t value)
{
	int64_t *counter;
	int r = find(region, offset, true, &counter);

	if (r == 0)
		ems_counter_set(counter, value);
	return r;
}

#define MODIFY(name)                                                                                \
	int ems_region_##name(ems_region_t *region, uint64_t offset, int64_t operand, int64_t *old) \
	{                                                                                           \
		int64_t *counter, was;                                                              \
		int r = find(region, offset, true, &counter);                                       \
                                                                                                    \
		if (r < 0)                                                                          \
			return r;                                                                   \
		was = ems_counter_##name(counter, operand);                                         \
		if (old)                                                                            \
			*old = was;                                                                 \
		return 0;                                                                           \
	}

MODIFY(add)
MODIFY(sub)
MODIFY(and)
MODIFY(or)
MODIFY(xor)
MODIFY(exchange)

int ems_region_cas(ems_region_t *region, uint64_t offset, int64_t expected, int64_t desired, int64_t *old,
		   bool *swapped)
{
	int64_t *counter;
	bool done;
	int r = find(region, offset, true, &counter);

	if (r < 0)
		return r;
	done = ems_counter_cas(counter, &expected, desired);
	if (old)
		*old = expected;
	if (swapped)
		*swapped = done;
	return 0;
}
