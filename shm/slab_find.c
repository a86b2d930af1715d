/*
 * slab_find.c: where a slot gets another slab, cheapest first:
 *
 *      1. the slab that the partial hint of the class names
 *      2. one of the next 64 chunks, if it is a slab of the class, nobody's, and an eighth of it is free
 *      3. a FREE chunk, cut into blocks
 *      4. more memory: SHM_NEED
 *      5. when that was refused, a thorough search: any free block of the class anywhere, a chunk that can be
 *         freed, and at last a block of a larger class
 */
#include "shm/storage_internal.h"

#include "base/macros.h"

#define WINDOW	     64u
#define MAKE_TRIES   256 /* FREE chunks that others may snatch away before more memory is asked for */
#define OBTAIN_TRIES 16	 /* slabs that may turn out to be full, their counts having been off */

/* Takes a slab that is nobody's, if at least `least` of its blocks seem to be free. */
static bool adopt(struct shm_session *session, uint32_t chunk, uint32_t size_class, uint32_t least)
{
	struct chunk *slab = shm_chunk(session->seg, chunk);
	uint64_t word = load64_acquire(&slab->word);
	uint32_t used = load32_relaxed(&slab->allocs) - load32_relaxed(&slab->frees);
	uint32_t count = size_classes[size_class].count;
	bool taken;

	if ((word & CHUNK_KIND_MASK) != chunk_word(CHUNK_SLAB, size_class, 0, 0, 0))
		return false;
	if (used <= count && count - used < least)
		return false;
	/* Named first, then taken, then named where it stays: a death finds it in slab_claim or slab[], or
	 * both. */
	store32_release(&session->slot->slab_claim, chunk + 1);
	shm_mark(session->seg, slab, sizeof(*slab));
	taken = cas64(&slab->word, &word, chunk_word_owned(word, session->id));
	if (taken)
		store32_release(&session->slot->slab[size_class], chunk + 1);
	store32_release(&session->slot->slab_claim, 0);
	session->slab_cursor[size_class] = session->slab_hot[size_class] = 0;
	return taken;
}

/* Cuts a FREE chunk into blocks. */
static bool make(struct shm_session *session, uint32_t chunk, uint32_t size_class)
{
	struct shm_segment *seg = session->seg;
	struct chunk *slab = shm_chunk(seg, chunk);
	uint64_t *headers = shm_block_headers(seg, chunk);
	uint64_t word = load64_acquire(&slab->word), init;
	uint32_t generation = chunk_generation(word), count = size_classes[size_class].count;

	if (chunk_state(word) != CHUNK_FREE)
		return false;
	init = chunk_word(CHUNK_INIT, 0, session->id, generation, 0);
	/* Named first. A death before the CAS: the chunk is not ours, recovery leaves it. */
	store32_release(&session->slot->slab_claim, chunk + 1);
	shm_mark(seg, slab, sizeof(*slab));
	if (!cas64(&slab->word, &word, init)) {
		store32_release(&session->slot->slab_claim, 0);
		return false;
	}
	/* Ours. A death up to the next CAS: recovery makes it FREE again; no reference was made. */
	storage_took(seg, 1);
	shm_mark(seg, headers, count * sizeof(*headers));
	for (uint32_t i = 0; i < count; i++)
		store64_relaxed(&headers[i], block_header(generation, false, 0));
	store32_relaxed(&slab->allocs, 0);
	store32_relaxed(&slab->frees, 0);
	/* A slab from here on. A death: recovery finds it in slab_claim or slab[], gives it up, and frees it.
	 */
	if (cas64(&slab->word, &init, chunk_word(CHUNK_SLAB, size_class, session->id, generation, 0)))
		store32_release(&session->slot->slab[size_class], chunk + 1);
	store32_release(&session->slot->slab_claim, 0);
	session->slab_cursor[size_class] = session->slab_hot[size_class] = 0;
	return slab_current(session, size_class) == chunk;
}

static bool make_any(struct shm_session *session, uint32_t size_class, bool thorough)
{
	uint32_t from = NO_CHUNK;

	for (int tries = 0; tries < MAKE_TRIES; tries++) {
		uint32_t chunk = storage_find_free(session->seg, 1, from, thorough);

		if (chunk == NO_CHUNK)
			return false;
		/* The next search starts behind, whether this one was got or not. */
		store32_relaxed(&shm_header(session->seg)->chunk_cursor, chunk + 1);
		if (make(session, chunk, size_class))
			return true;
		from = chunk + 1;
	}
	return false;
}

static bool adopt_in_window(struct shm_session *session, uint32_t size_class)
{
	uint32_t high = shm_chunks_high(session->seg), least = size_class_worth(&size_classes[size_class]);

	if (high == 0)
		return false;
	for (uint32_t i = 0; i < MIN(WINDOW, high); i++) {
		/* Sessions start apart from each other. */
		uint32_t chunk = (session->slab_window++ + session->id * WINDOW) % high;

		if (adopt(session, chunk, size_class, least))
			return true;
	}
	return false;
}

static bool obtain(struct shm_session *session, uint32_t size_class)
{
	uint32_t *partial = &shm_header(session->seg)->partial[size_class];
	uint32_t chunk;

	if (load32_relaxed(partial) != 0) {
		chunk = storage_named(session->seg, exchange32(partial, 0));
		if (chunk != NO_CHUNK && adopt(session, chunk, size_class, 1))
			return true;
	}
	return adopt_in_window(session, size_class) || make_any(session, size_class, false);
}

/*
 * The pass over the current slab is at its end. Another pass when it is worth it, or when another slab cannot
 * be had without emptying this one; else it is given up.
 */
static bool claim_in_next_pass(struct shm_session *session, uint32_t size_class, blob_ref *name)
{
	const struct size_class *class_ = &size_classes[size_class];
	struct storage_actor actor = storage_actor(session);
	uint32_t chunk = slab_current(session, size_class), blocks;
	bool growable;

	if (chunk != NO_CHUNK) {
		blocks = slab_recount(session->seg, chunk, class_);
		growable = shm_chunks_high(session->seg) < session->seg->layout.chunks ||
			   shm_chunks_free(session->seg) > 0;
		session->slab_cursor[size_class] = 0;
		if ((blocks >= size_class_worth(class_) || (blocks > 0 && !growable)) &&
		    slab_claim_block(session, size_class, name))
			return true;
	}
	slab_give_up(&actor, size_class);
	return false;
}

/* Any slab of the class, nobody's, with a free block. */
static bool claim_anywhere(struct shm_session *session, uint32_t size_class, blob_ref *name)
{
	uint32_t high = shm_chunks_high(session->seg);

	for (uint32_t i = 0; i < high; i++) {
		if (!adopt(session, i, size_class, 1))
			continue;
		if (slab_claim_block(session, size_class, name) ||
		    claim_in_next_pass(session, size_class, name))
			return true;
	}
	return false;
}

/* Step 5. Each part is bounded by the number of chunks. */
static bool claim_thoroughly(struct shm_session *session, uint32_t size_class, blob_ref *name)
{
	slab_sweep(session);
	if (claim_anywhere(session, size_class, name))
		return true;
	if (make_any(session, size_class, true) && slab_claim_block(session, size_class, name))
		return true;
	for (uint32_t larger = size_class + 1; larger < SIZE_CLASS_COUNT; larger++) {
		if (slab_claim_block(session, larger, name) || claim_in_next_pass(session, larger, name) ||
		    claim_anywhere(session, larger, name))
			return true;
	}
	return false;
}

int slab_claim_elsewhere(struct shm_session *session, uint32_t size_class, blob_ref *name)
{
	int refused = session->storage_refused;

	session->storage_refused = 0;
	for (int tries = 0; tries < OBTAIN_TRIES; tries++) {
		if (claim_in_next_pass(session, size_class, name))
			return 0;
		if (!obtain(session, size_class))
			break;
		if (slab_claim_block(session, size_class, name))
			return 0;
	}
	if (refused && claim_thoroughly(session, size_class, name))
		return 0;
	store64_release(name, 0);
	if (refused)
		return refused;
	session->need = (struct shm_need){NEED_STORAGE, 0, 1};
	return SHM_NEED;
}
