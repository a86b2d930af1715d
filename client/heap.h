/*
 * heap.h: a handle of a heap.
 */
#ifndef CLIENT_HEAP_H
#define CLIENT_HEAP_H

#include <stdbool.h>
#include <stdint.h>

#include "client/ems.h"
#include "client/mapping.h"
#include "client/process.h"

struct ems_heap {
	uint32_t process; /* client/process.h */
	bool has_map;
	bool writable;
	struct mapping *mapping; /* a handle of it */
	struct ems_connection *connection;
	struct ems_heap *next, **link; /* of the connection's handles; with it locked */
	struct wait *waits; /* client/wait.h */
	int file; /* while it is being opened: of the file that is handed over; -1: none */
	char name[PROTO_NAME_MAX + 1];
};

static inline struct shm_segment *heap_segment(const struct ems_heap *heap)
{
	return &heap->mapping->segment;
}

/* What every call on a heap begins with: 0, -ERROR_INVALID (NULL), -ERROR_FORKED; noted as the last error. */
int heap_check_slow(const struct ems_heap *heap, const char *operation) __attribute__((cold));
static inline int heap_check(const struct ems_heap *heap, const char *operation)
{
	if (LIKELY(heap && !process_is_another(heap->process)))
		return 0;
	return heap_check_slow(heap, operation);
}

/* 0, or -ERROR_NAME (also for NULL), noted. */
int heap_check_name(const char *name);

/* Frees the handle and what it holds. In the parent's process only; the connection is not locked. */
void heap_free(struct ems_heap *heap);

#endif
