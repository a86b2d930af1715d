/*
 * fast.h: when an operation may go the shortest way (shm/fast.h): by index, in a heap without map, with a slot already taken.
 * All else goes the long way.
 */
#ifndef CLIENT_FAST_H
#define CLIENT_FAST_H

#include "client/heap.h"
#include "client/thread.h"
#include "shm/fast.h"

static inline bool fast_is_plain(const ems_heap_t *heap, const ems_key_t *key)
{
	return LIKELY(heap && !process_is_another(heap->process)) && !heap->has_map &&
	       key->type == EMS_KEY_INTEGER;
}

/* NULL: the long way. */
static inline struct shm_session *fast_session(const ems_heap_t *heap, const ems_key_t *key)
{
	return fast_is_plain(heap, key) && LIKELY(thread_cache.mapping == heap->mapping) ? thread_cache.session
											 : NULL;
}

/* A value that fits into a cell, as the bits there. */
static inline bool fast_bits(const ems_value_t *value, uint64_t *bits)
{
	if (!value || value->type > EMS_FLOAT)
		return false;
	*bits = value->type > EMS_BOOLEAN ? (uint64_t)value->integer : value->type == EMS_BOOLEAN && value->boolean;
	return true;
}

static inline void fast_result(ems_value_t *value, struct cell seen)
{
	if (!value)
		return;
	value->type = cell_type(seen.meta);
	value->size = 0;
	value->integer = (int64_t)seen.value;
}

#endif
