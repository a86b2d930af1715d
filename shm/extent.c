/*
 * extent.c: blobs of whole chunks.
 *
 * The slot names the chunks before it touches the first, and until it is done with the last. Between, the
 * first chunk's word says how far it is:
 *
 *      FREE        nothing was done
 *      TAKEN(me)   claiming: others are FREE, TAKEN(me), or CONT; undone by returning them, the first last
 *      LARGE       claimed: whether it stays is a matter of the intent that names the blob
 *      FREEING(me) released: completed by returning them, the first last
 *
 * "Returning" is one function for undoing, releasing and recovery. It cannot mistake another's chunk for one
 * of these: CONT tells its distance to its first, and that one is in our hands.
 */
#include "shm/storage_internal.h"

#include "base/error.h"

#define EXTENT_TRIES 4096 /* runs that others may break before more memory is asked for */
#define FIRST_FIT    4096 /* chunks up to which the lowest run is searched: fragments least, costs microseconds */

static void name_extent(const struct storage_actor *actor, uint32_t first, uint32_t count)
{
	/* A count of 0 is no name, so the first chunk is not taken for part of another extent. */
	store32_release(&actor->slot->extent_count, 0);
	store32_release(&actor->slot->extent_first, first);
	store32_release(&actor->slot->extent_count, count);
}

/* Gives back the chunks of an extent whose first is TAKEN or FREEING by the actor. Idempotent. */
static void return_chunks(const struct storage_actor *actor, uint32_t first, uint32_t count)
{
	struct shm_segment *seg = actor->seg;
	struct chunk *head = shm_chunk(seg, first);
	uint64_t head_word = load64_acquire(&head->word);
	bool freeing = chunk_state(head_word) == CHUNK_FREEING;

	if (chunk_owner(head_word) != actor->id || (!freeing && chunk_state(head_word) != CHUNK_TAKEN))
		return;
	shm_mark(seg, head, count * sizeof(*head));
	for (uint32_t i = count - 1; i > 0; i--) {
		struct chunk *chunk = shm_chunk(seg, first + i);
		uint64_t word = load64_acquire(&chunk->word);
		bool taken = chunk_state(word) == CHUNK_TAKEN && chunk_owner(word) == actor->id;
		bool follows = chunk_state(word) == CHUNK_CONT && chunk_count(word) == i;

		/* Each is free at once. A death: the next run skips those, for they are no longer TAKEN or
		 * CONT. */
		if (taken || follows)
			(void)cas64(&chunk->word, &word, chunk_word_plain(word, CHUNK_FREE));
	}
	/*
	 * After this the extent is no more, and its name means nothing. A reference may have been named for
	 * it before it was claimed: the generation moves on, so that the reference stays without a blob.
	 */
	if (cas64(&head->word, &head_word,
		  chunk_word(CHUNK_FREE, 0, 0, chunk_generation(head_word) + !freeing, 0)) &&
	    freeing)
		storage_gave(seg, first, count);
}

/* Takes `count` FREE chunks and joins them. 0, or where it failed + 1; then nothing is held. */
static uint32_t take_chunks(const struct storage_actor *actor, uint32_t first, uint32_t count)
{
	struct shm_segment *seg = actor->seg;
	uint32_t failed = 0;

	name_extent(actor, first, count);
	shm_mark(seg, shm_chunk(seg, first), count * sizeof(struct chunk));
	for (uint32_t i = 0; i < count && !failed; i++) {
		struct chunk *chunk = shm_chunk(seg, first + i);
		uint64_t word = load64_acquire(&chunk->word);
		uint64_t taken = chunk_word(CHUNK_TAKEN, 0, actor->id, chunk_generation(word), 0);

		/* Ours one by one. A death: the first is TAKEN, so recovery returns those that are. */
		if (chunk_state(word) != CHUNK_FREE || !cas64(&chunk->word, &word, taken))
			failed = first + i + 1;
	}
	for (uint32_t i = 1; i < count && !failed; i++) {
		struct chunk *chunk = shm_chunk(seg, first + i);
		uint64_t word = load64_acquire(&chunk->word);

		/* Nobody but a scribbler changes a chunk that we have taken. */
		if (chunk_state(word) != CHUNK_TAKEN || chunk_owner(word) != actor->id ||
		    !cas64(&chunk->word, &word, chunk_word(CHUNK_CONT, 0, 0, chunk_generation(word), i)))
			failed = first + i + 1;
	}
	if (failed) {
		return_chunks(actor, first, count);
		store32_release(&actor->slot->extent_count, 0);
	}
	return failed;
}

/* The last step of a claim: the first chunk becomes the blob. */
static bool publish(const struct storage_actor *actor, uint32_t first, uint32_t count, blob_ref *name)
{
	struct shm_segment *seg = actor->seg;
	struct chunk *head = shm_chunk(seg, first);
	uint64_t word = load64_acquire(&head->word);
	uint32_t generation = chunk_generation(word);
	bool done = false;

	/* Named first. A death here names a blob that there is not; the extent's name undoes the chunks. */
	store64_release(name, blob_ref_make(shm_chunk_offset(seg, first), generation));
	/* The claim takes effect here. A death from now on: the intent names the blob, recovery releases it.
	 */
	if (chunk_state(word) == CHUNK_TAKEN && chunk_owner(word) == actor->id)
		done = cas64(&head->word, &word, chunk_word(CHUNK_LARGE, 0, actor->id, generation, count));
	if (done)
		storage_took(seg, count);
	else
		return_chunks(actor, first, count);
	store32_release(&actor->slot->extent_count, 0);
	return done;
}

static bool claim_run(struct shm_session *session, uint32_t count, bool thorough, blob_ref *name)
{
	struct storage_actor actor = storage_actor(session);
	uint32_t first, failed, from = shm_chunks_high(session->seg) <= FIRST_FIT ? 0 : NO_CHUNK;

	for (int tries = 0; tries < EXTENT_TRIES; tries++) {
		first = storage_find_free(session->seg, count, from, thorough);
		if (first == NO_CHUNK)
			return false;
		failed = take_chunks(&actor, first, count);
		if (!failed && publish(&actor, first, count, name))
			return true;
		from = failed;
	}
	return false;
}

int extent_claim(struct shm_session *session, uint64_t bytes, blob_ref *name)
{
	uint64_t count = (bytes + UNIT - 1) >> UNIT_SHIFT;
	int refused = session->storage_refused;

	session->storage_refused = 0;
	store64_release(name, 0);
	if (count > session->seg->layout.chunks)
		return -ERROR_NO_SPACE;
	if (claim_run(session, (uint32_t)count, false, name))
		return 0;
	if (refused) {
		slab_sweep(session);
		if (claim_run(session, (uint32_t)count, true, name))
			return 0;
	}
	store64_release(name, 0);
	if (refused)
		return refused;
	session->need = (struct shm_need){NEED_STORAGE, 0, count};
	return SHM_NEED;
}

void extent_release(const struct storage_actor *actor, uint32_t head, uint64_t word)
{
	struct chunk *chunk = shm_chunk(actor->seg, head);
	uint32_t count = chunk_count(word);
	uint64_t freeing = chunk_word(CHUNK_FREEING, 0, actor->id, chunk_generation(word) + 1, count);

	/* Named first. A death here: the first chunk is LARGE still, so the name means nothing. */
	name_extent(actor, head, count);
	shm_mark(actor->seg, chunk, sizeof(*chunk));
	/* The release takes effect here, once for each generation. A death: recovery returns the chunks. */
	if (cas64(&chunk->word, &word, freeing))
		return_chunks(actor, head, count);
	store32_release(&actor->slot->extent_count, 0);
}

void extent_settle(const struct storage_actor *actor)
{
	uint32_t first = load32_acquire(&actor->slot->extent_first);
	uint32_t count = load32_acquire(&actor->slot->extent_count), chunks = actor->seg->layout.chunks;

	if (count == 0)
		return;
	if (first < chunks && count <= chunks - first)
		return_chunks(actor, first, count);
	store32_release(&actor->slot->extent_count, 0);
}
