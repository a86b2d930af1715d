/*
 * key.h: from a key as the caller gives it to the target of an operation.
 */
#ifndef CLIENT_KEY_H
#define CLIENT_KEY_H

#include "client/heap.h"
#include "shm/element.h"

/*
 * Without map: the index goes to target->index. With one: the normalised key goes to *key and target->key.
 * -ERROR_INVALID: a type that does not go with the heap, or is none; text missing. -ERROR_RANGE: an index that is out
 * of range, a text that is too long. Not noted.
 */
int key_resolve(const struct ems_heap *heap, const ems_key_t *from, struct shm_key *key,
		struct shm_target *target);

/*
 * The key of an element of a segment with a map, its text in buffer; *_seen: its cell at that moment. (client/iterate.c)
 * -ERROR_NOT_FOUND: it has none; -ERROR_CORRUPT, -ERROR_NO_MEMORY. Not noted.
 */
int key_of_element(const struct shm_segment *segment, uint64_t index, ems_key_t *key, ems_value_t *buffer,
		   struct cell *_seen);

#endif
