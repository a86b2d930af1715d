/* Raising the number of elements: see segment.h. */
#include "shm/ring.h"
#include "shm/segment.h"
#include "shm/stack.h"

void shm_grow(struct shm_segment *seg, uint64_t elements)
{
	uint64_t old = shm_elements(seg), tail = load64_acquire(&shm_header(seg)->ring_tail);

	shm_mark(seg, &shm_header(seg)->elements, sizeof(uint64_t));
	/* Takes effect here. Elements are there already, pristine; the map grows by itself when it is full. */
	store64_release(&shm_header(seg)->elements, elements);
	fence_full(); /* who does not see it is seen below */
	shm_ring_grown(seg, old, tail);
	shm_stack_grown(seg);
}
