/*
 * operation.h: one operation on one element, from the public arguments to shm_element_apply.
 */
#ifndef CLIENT_OPERATION_H
#define CLIENT_OPERATION_H

#include "client/heap.h"
#include "client/value.h"
#include "shm/element.h"

/*
 * Runs call, whose target is filled in from key. Checks the handle, the key and the arguments, takes a slot when one
 * is needed. name: of the operation, for messages. 0, or an error, noted; a key that is not there is -ERROR_NO_KEY.
 */
int operation_run(struct ems_heap *heap, const char *name, const ems_key_t *key, struct shm_call *call,
		  bool *changed);

#endif
