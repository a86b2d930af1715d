/* Keys: see key.h. */
#include "client/key.h"

#include "base/error.h"

static_assert(KEY_MAX < UINT32_MAX, "ems_key_bytes makes UINT32_MAX of a size that is too long");

static int resolve_index(const struct ems_heap *heap, const ems_key_t *from, struct shm_target *target)
{
	if (from->type != EMS_KEY_INTEGER)
		return -ERROR_INVALID;
	if ((uint64_t)from->integer >= shm_elements(heap_segment(heap))) /* also what is negative */
		return -ERROR_RANGE;
	target->key = NULL;
	target->index = (uint64_t)from->integer;
	return 0;
}

int key_resolve(const struct ems_heap *heap, const ems_key_t *from, struct shm_key *key,
		struct shm_target *target)
{
	const struct shm_segment *segment = heap_segment(heap);

	if (!heap->has_map)
		return resolve_index(heap, from, target);
	switch (from->type) {
	case EMS_KEY_STRING:
		if (from->size > KEY_MAX)
			return -ERROR_RANGE;
		if (!from->text && from->size > 0)
			return -ERROR_INVALID;
		*key = shm_key_string(segment, from->text ? from->text : "", from->size);
		break;
	case EMS_KEY_INTEGER:
		*key = shm_key_integer(segment, from->integer);
		break;
	case EMS_KEY_FLOAT:
		*key = shm_key_float(segment, from->number);
		break;
	case EMS_KEY_BOOLEAN:
		*key = shm_key_boolean(segment, from->boolean);
		break;
	default:
		return -ERROR_INVALID;
	}
	target->key = key;
	target->index = 0;
	return 0;
}
