/*
 * kind_region.h: what requests do with regions beyond the table of kinds.
 */
#ifndef DAEMON_KIND_REGION_H
#define DAEMON_KIND_REGION_H

#include "daemon/heap.h"

/* So many bytes from now on, charged; never fewer. At most its max_size, which the caller has checked. */
int region_grow(struct heap *heap, uint64_t size, char message[static HEAP_MESSAGE_SIZE]);

#endif
