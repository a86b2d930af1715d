/*
 * storage_chunks.c: free chunks. Nothing here is truth: the chunk words are, and whoever wants a
 * chunk takes it by a compare-and-swap on its word.
 */
#include "shm/storage_internal.h"

#include "base/macros.h"

/* The first of `count` FREE neighbours in [from, to), or NO_CHUNK; *seen counts the FREE ones. */
static uint32_t find_run(const struct shm_segment *seg, uint32_t from, uint32_t to, uint32_t count,
			 uint32_t *seen)
{
	uint32_t run = 0;

	for (uint32_t i = from; i < to; i++) {
		if (chunk_state(load64_relaxed(&shm_chunk(seg, i)->word)) != CHUNK_FREE) {
			run = 0;
			continue;
		}
		(*seen)++;
		if (++run == count)
			return i + 1 - count;
	}
	return NO_CHUNK;
}

uint32_t storage_find_free(const struct shm_segment *seg, uint32_t count, uint32_t from, bool thorough)
{
	struct header *header = shm_header(seg);
	uint32_t high = shm_chunks_high(seg), seen = 0, first;
	uint32_t hint = load32_relaxed(&header->chunks_free);

	if (count > high || (!thorough && shm_chunks_free(seg) < count))
		return NO_CHUNK;
	if (from == NO_CHUNK)
		from = load32_relaxed(&header->chunk_cursor);
	if (from >= high)
		from = 0;
	first = find_run(seg, from, high, count, &seen);
	if (first == NO_CHUNK && from > 0) {
		seen = 0;
		first = find_run(seg, 0, high, count, &seen);
	}
	/* All were looked at in vain. If nobody touched the hint meanwhile, it was wrong, as after a death.
	 */
	if (first == NO_CHUNK && hint != seen)
		(void)cas32(&header->chunks_free, &hint, seen);
	return first;
}

void storage_took(const struct shm_segment *seg, uint32_t count)
{
	sub32(&shm_header(seg)->chunks_free, count);
}

void storage_gave(struct shm_segment *seg, uint32_t first, uint32_t count)
{
	struct header *header = shm_header(seg);
	uint32_t plenty = MAX(16u, shm_chunks_high(seg) / 4);
	uint32_t before = add32(&header->chunks_free, count), after = before + count;

	store32_relaxed(&header->chunk_cursor, first);
	/* The daemon is asked when the line is crossed, and again now and then in case it could not then. */
	if (after <= plenty || after > seg->layout.chunks || (before > plenty && before / 16 == after / 16))
		return;
	if (seg->supply && seg->supply->trim)
		seg->supply->trim(seg->supply_context, seg);
}
