/*
 * slab.c: the slabs that a slot has, one of each size class at most.
 *
 * Only the owner of a slab (the slot in its chunk's word) claims blocks of it, so claiming is one
 * compare-and-swap on a header that nobody contends for; anybody releases blocks of it. A pass looks at the
 * headers once from first to last; at its end the slab is given up for another unless an eighth of it is
 * free: so a claim looks at eight headers on average, one cache line, however full the heap is.
 */
#include "shm/storage_internal.h"

uint32_t slab_current(const struct shm_session *session, uint32_t size_class)
{
	uint32_t chunk = storage_named(session->seg, load32_relaxed(&session->slot->slab[size_class]));
	uint64_t mine = chunk_word(CHUNK_SLAB, size_class, session->id, 0, 0);

	/* The slot's record is in memory that others may scribble on; the chunk's word decides. */
	if (chunk == NO_CHUNK ||
	    (load64_relaxed(&shm_chunk(session->seg, chunk)->word) & CHUNK_KIND_MASK) != mine)
		return NO_CHUNK;
	return chunk;
}

static bool claim_block(const struct shm_session *session, uint32_t chunk, uint32_t size_class,
			uint32_t index, blob_ref *name)
{
	struct shm_segment *seg = session->seg;
	uint64_t *header = shm_block_headers(seg, chunk) + index;
	uint64_t seen = load64_relaxed(header);
	uint32_t generation = block_generation(seen);
	struct chunk *slab = shm_chunk(seg, chunk);
	uint64_t inside = (uint64_t)index * size_classes[size_class].size;

	if (block_is_allocated(seen))
		return false;
	/* Named first. A death here names a block that this slot has not claimed: recovery leaves it alone.
	 */
	store64_release(name, blob_ref_make(shm_chunk_offset(seg, chunk) + inside, generation));
	shm_mark(seg, header, sizeof(*header));
	shm_mark(seg, slab, sizeof(*slab));
	/* The claim takes effect here. A death from now on: the intent names the block, recovery releases it.
	 */
	if (!cas64(header, &seen, block_header(generation, true, session->id)))
		return false;
	/* Lost with a death before it: the count is too low, and recovery counts a dead owner's slabs again.
	 */
	store32_relaxed(&slab->allocs, load32_relaxed(&slab->allocs) + 1);
	return true;
}

bool slab_claim_block(struct shm_session *session, uint32_t size_class, blob_ref *name)
{
	uint32_t chunk = slab_current(session, size_class), count = size_classes[size_class].count;
	uint32_t hot = session->slab_hot[size_class];

	if (chunk == NO_CHUNK)
		return false;
	if (hot != 0) {
		session->slab_hot[size_class] = 0;
		if (hot <= count && claim_block(session, chunk, size_class, hot - 1, name))
			return true;
	}
	for (uint32_t i = session->slab_cursor[size_class]; i < count; i++) {
		if (!claim_block(session, chunk, size_class, i, name))
			continue;
		session->slab_cursor[size_class] = i + 1;
		return true;
	}
	session->slab_cursor[size_class] = count;
	return false;
}

uint32_t slab_recount(struct shm_segment *seg, uint32_t chunk, const struct size_class *size_class)
{
	struct chunk *slab = shm_chunk(seg, chunk);
	const uint64_t *headers = shm_block_headers(seg, chunk);
	/* Read before the headers: a block released meanwhile is then perhaps deducted twice, never missed.
	 */
	uint32_t frees = load32_acquire(&slab->frees), allocated = 0;

	for (uint32_t i = 0; i < size_class->count; i++)
		allocated += block_is_allocated(load64_relaxed(&headers[i]));
	shm_mark(seg, slab, sizeof(*slab));
	store32_relaxed(&slab->allocs, allocated + frees);
	return size_class->count - allocated;
}

void slab_give_up(const struct storage_actor *actor, uint32_t size_class)
{
	uint32_t *field = &actor->slot->slab[size_class];
	uint32_t chunk = storage_named(actor->seg, load32_relaxed(field));
	struct chunk *slab;
	uint64_t word;

	if (chunk != NO_CHUNK) {
		slab = shm_chunk(actor->seg, chunk);
		word = load64_acquire(&slab->word);
		if (chunk_state(word) == CHUNK_SLAB && chunk_owner(word) == actor->id) {
			shm_mark(actor->seg, slab, sizeof(*slab));
			/* Nobody's from here on. It fails only if somebody scribbled. */
			(void)cas64(&slab->word, &word, chunk_word_owned(word, 0));
		}
		/* A death before this: slot.slab still names the chunk, and recovery settles it. */
		slab_settle(actor, chunk);
	}
	store32_release(field, 0);
}
