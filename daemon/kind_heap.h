/*
 * kind_heap.h: heaps whose memory comes from a file (daemon/disk_load.c).
 */
#ifndef DAEMON_KIND_HEAP_H
#define DAEMON_KIND_HEAP_H

#include "daemon/heap.h"

/* Memory of that geometry with nothing in it, where what is on disk is to go. heap->id is set. */
int kind_heap_empty(struct heap *heap, const struct heap_params *params);
/* Takes memory that was loaded already; *segment is empty then. */
void kind_heap_take(struct heap *heap, struct shm_segment *segment);
/* It is there: what of the geometry stands in the memory only, the fill value's text, is taken from it. */
int kind_heap_loaded(struct heap *heap);

#endif
