/* The bell: see bell.h. */
#include "shm/bell.h"

#include "shm/atomic.h"
#include "shm/futex.h"

void shm_bell_ring(struct shm_segment *seg, uint64_t offset)
{
	struct header *header = shm_header(seg);

	/* A death before this, or before the ring: slot.cur is set still, and recovery rings. */
	(void)add32(&header->bell_counts[shm_bell_bucket(offset)], 1);
	fence_after_cas();
	if (load32_relaxed(&header->bell) & 1)
		shm_futex_add_and_wake(&header->bell);
}

uint32_t shm_bell_listen(struct shm_segment *seg)
{
	uint32_t *bell = shm_bell_word(seg), seen = load32_acquire(bell);

	while (!(seen & 1))
		if (cas32(bell, &seen, seen + 1))
			seen++;
	fence_after_cas();
	return seen;
}
