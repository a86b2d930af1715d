/*
 * slab_retire.c: slabs that are nobody's.
 *
 * A slab is looked at when it may have become empty or worth taking while it is nobody's: by who releases a
 * block of it, after having counted that; and by who makes it nobody's, after having said that. Both first
 * speak, then look, with a full fence between: so at least one of them sees what the other did, and an
 * empty slab cannot be overlooked.
 */
#include "shm/storage_internal.h"

/* How often a slab may come out not empty after all; each time others released blocks of it meanwhile. */
#define SETTLE_TRIES 64

/* All blocks are free; *generation is then one that no reference into the chunk was ever made with. */
static bool all_free(const struct shm_segment *seg, uint32_t chunk, uint64_t word, uint32_t *generation)
{
	const uint64_t *headers = shm_block_headers(seg, chunk);
	uint32_t base = chunk_generation(word), most = 0;

	for (uint32_t i = 0; i < storage_class(word)->count; i++) {
		uint64_t header = load64_acquire(&headers[i]);
		/* They began at base and go up, perhaps past the wrap: compare how far they have come. */
		uint32_t distance = (block_generation(header) - base) & BLOB_GENERATION_MASK;

		if (block_is_allocated(header))
			return false;
		if (distance > most)
			most = distance;
	}
	*generation = base + most + 1;
	return true;
}

/*
 * Makes an unowned slab that looks empty a FREE chunk. True: done, or somebody else has taken the slab, who
 * will settle it in turn. False: blocks are allocated; the count is right now, look again.
 */
static bool retire(const struct storage_actor *actor, uint32_t chunk, uint64_t word)
{
	struct shm_segment *seg = actor->seg;
	struct chunk *slab = shm_chunk(seg, chunk);
	uint64_t mine = chunk_word_owned(word, actor->id), expected = mine;
	uint32_t generation;
	bool empty;

	/* Named first. A death here: recovery finds a slab that is not this slot's, and settles it. */
	store32_release(&actor->slot->slab_claim, chunk + 1);
	shm_mark(seg, slab, sizeof(*slab));
	if (!cas64(&slab->word, &word, mine)) {
		store32_release(&actor->slot->slab_claim, 0);
		return true;
	}
	/* It is ours: nobody claims blocks of it now. A death: recovery counts, gives it back and settles it.
	 */
	empty = all_free(seg, chunk, mine, &generation);
	if (empty) {
		/* Takes effect here. A death before the hint is corrected: recovery finds the chunk FREE, and
		 * adds. */
		if (cas64(&slab->word, &expected, chunk_word(CHUNK_FREE, 0, 0, generation, 0)))
			storage_gave(seg, chunk, 1);
	} else {
		(void)slab_recount(seg, chunk, storage_class(mine));
		(void)cas64(&slab->word, &expected, chunk_word_owned(mine, 0));
	}
	store32_release(&actor->slot->slab_claim, 0);
	return empty;
}

void slab_settle(const struct storage_actor *actor, uint32_t chunk)
{
	struct chunk *slab = shm_chunk(actor->seg, chunk);

	for (int tries = 0; tries < SETTLE_TRIES; tries++) {
		const struct size_class *size_class;
		uint32_t *partial, used;
		uint64_t word;

		fence_after_cas();
		word = load64_acquire(&slab->word);
		size_class = storage_class(word);
		if (chunk_state(word) != CHUNK_SLAB || chunk_owner(word) != 0 || !size_class)
			return;
		used = load32_relaxed(&slab->allocs) - load32_relaxed(&slab->frees);
		if (used > 0 && used <= size_class->count) {
			partial = &shm_header(actor->seg)->partial[chunk_class(word)];
			if (size_class->count - used >= size_class_worth(size_class) &&
			    load32_relaxed(partial) == 0)
				store32_relaxed(partial, chunk + 1);
			return;
		}
		/* None, or less than none, or more than there are: in any case the headers are asked. */
		if (retire(actor, chunk, word))
			return;
	}
}

void slab_count_release(const struct storage_actor *actor, uint32_t chunk)
{
	shm_mark(actor->seg, shm_chunk(actor->seg, chunk), sizeof(struct chunk));
	add32(&shm_chunk(actor->seg, chunk)->frees, 1);
	slab_settle(actor, chunk);
}

void slab_sweep(struct shm_session *session)
{
	struct storage_actor actor = storage_actor(session);
	uint32_t high = shm_chunks_high(session->seg);

	for (uint32_t i = 0; i < SIZE_CLASS_COUNT; i++) {
		uint32_t chunk = slab_current(session, i);

		if (chunk != NO_CHUNK &&
		    slab_recount(session->seg, chunk, &size_classes[i]) == size_classes[i].count)
			slab_give_up(&actor, i);
	}
	for (uint32_t i = 0; i < high; i++)
		slab_settle(&actor, i);
}
