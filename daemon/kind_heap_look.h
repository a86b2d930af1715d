/*
 * kind_heap_look.h: what inspect tells of a heap's segment.
 */
#ifndef DAEMON_KIND_HEAP_LOOK_H
#define DAEMON_KIND_HEAP_LOOK_H

#include "daemon/broker.h"

/* See struct kind. Bounded, whatever the segment holds. */
uint32_t kind_heap_each_slot(const struct heap *heap, uint32_t most,
			     void (*visit)(void *arg, uint64_t client, bool asleep), void *arg);
void kind_heap_inspect(const struct heap *heap, struct proto_inspect_reply *reply);

#endif
