/*
 * heap.h: a segment for tests, without a daemon: its part is done in place (shm_local_supply).
 */
#ifndef TESTS_UNIT_HEAP_H
#define TESTS_UNIT_HEAP_H

#include <check.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/macros.h"
#include "shm/segment.h"
#include "shm/slot.h"

struct test_heap {
	struct shm_segment seg;
	int fd;
};

static inline struct heap_params test_params(uint64_t elements, bool map)
{
	return (struct heap_params){.elements = elements,
				    .max_elements = elements * 4,
				    .storage = 256 * UNIT,
				    .seed = 42,
				    .initial_tag = TAG_FULL,
				    .has_map = map};
}

static inline void test_heap_open(struct test_heap *heap, const struct heap_params *params)
{
	static const uint8_t id[16] = "unit test";

	ck_assert_int_eq(shm_segment_create(&heap->seg, params, "", id, &heap->fd), 0);
}

static inline void test_heap_close(struct test_heap *heap)
{
	shm_segment_unmap(&heap->seg);
	close(heap->fd);
}

/*
 * Runs work(seg) in a child process that maps the segment itself (the parent's mapping is not inherited)
 * and never returns from work alive: it must end by kill, exec or _exit. Returns the wait status.
 */
static inline int test_in_child(struct test_heap *heap, void (*work)(struct shm_segment *seg))
{
	struct heap_params params = heap->seg.layout.params;
	int status;
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		struct shm_segment seg;

		if (shm_segment_map(&seg, heap->fd, &params, true) == 0)
			work(&seg);
		_exit(99);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	return status;
}

#endif
