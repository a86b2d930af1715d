/*
 * registry.c: a sorted array: names are looked up and listed in order far more often than they come and go.
 */
#include "daemon/registry.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

void registry_fini(struct registry *registry)
{
	free(registry->heaps);
	*registry = (struct registry){0};
}

size_t registry_position(const struct registry *registry, const char *name, bool behind)
{
	size_t low = 0, high = registry->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(registry->heaps[middle]->name, name);

		if (order < 0 || (behind && order == 0))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct heap *registry_find(const struct registry *registry, const char *name)
{
	size_t at = registry_position(registry, name, false);

	return at < registry->count && strcmp(registry->heaps[at]->name, name) == 0 ? registry->heaps[at]
										    : NULL;
}

int registry_reserve(struct registry *registry)
{
	size_t capacity = registry->capacity ? 2 * registry->capacity : 64;
	struct heap **grown;

	if (registry->count < registry->capacity)
		return 0;
	grown = realloc(registry->heaps, capacity * sizeof(*grown));
	if (!grown)
		return -ERROR_NO_MEMORY;
	registry->heaps = grown;
	registry->capacity = capacity;
	return 0;
}

void registry_add(struct registry *registry, struct heap *heap)
{
	size_t at = registry_position(registry, heap->name, false);

	assert(registry->count < registry->capacity);
	memmove(registry->heaps + at + 1, registry->heaps + at,
		(registry->count - at) * sizeof(struct heap *));
	registry->heaps[at] = heap;
	registry->count++;
}

void registry_remove(struct registry *registry, const struct heap *heap)
{
	size_t at = registry_position(registry, heap->name, false);

	assert(at < registry->count && registry->heaps[at] == heap);
	registry->count--;
	memmove(registry->heaps + at, registry->heaps + at + 1,
		(registry->count - at) * sizeof(struct heap *));
}
