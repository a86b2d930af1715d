/*
 * storage_recover.c: giving a slot's slabs and chunks back: by its owner who leaves, or for a dead one.
 *
 * The recoverer acts in the dead slot's name, with its number in the chunk words and its fields as names. So
 * when the recoverer dies too, the next one finds the slot as if it had died there itself.
 */
#include "shm/storage_internal.h"

void shm_storage_leave(struct shm_session *session)
{
	struct storage_actor actor = storage_actor(session);

	for (uint32_t i = 0; i < SIZE_CLASSES; i++) {
		if (load32_relaxed(&session->slot->slab[i]) == 0)
			continue;
		/* One step for each: emptying a chunk takes a while, and a checkpoint may be waiting. */
		shm_step_enter(session);
		slab_give_up(&actor, i);
		shm_step_leave(session);
	}
}

/* The dead slot's counts may lack what it did last: they are made anew before the slab is anybody's. */
static void recount_if_owned(const struct storage_actor *actor, uint32_t chunk)
{
	uint64_t word = load64_acquire(&shm_chunk(actor->seg, chunk)->word);
	const struct size_class *size_class = storage_class(word);

	if (chunk_state(word) == CHUNK_SLAB && chunk_owner(word) == actor->id && size_class)
		(void)slab_recount(actor->seg, chunk, size_class);
}

/*
 * The blob that the slot names is a block, and not allocated: perhaps it was released, by the dead one or for
 * it, and a death came before the count. One too many is found out, one too few would strand the chunk.
 */
static void count_named(const struct storage_actor *actor, blob_ref ref)
{
	struct blob_place place;

	if (ref && storage_locate(actor->seg, ref, &place) && place.header &&
	    !shm_blob_is_allocated(actor->seg, ref))
		slab_count_release(actor, place.chunk);
}

void shm_blob_count_for(struct shm_session *recoverer, struct shm_segment *seg, struct slot *dead, uint32_t dead_id,
			blob_ref ref)
{
	struct storage_actor actor = {seg, dead, dead_id};

	if (recoverer)
		shm_step_enter(recoverer);
	count_named(&actor, ref);
	if (recoverer)
		shm_step_leave(recoverer);
}

/* Whatever the slot did with the chunk in slab_claim. */
static void settle_claim(const struct storage_actor *actor, uint32_t index)
{
	struct chunk *chunk = shm_chunk(actor->seg, index);
	uint64_t word = load64_acquire(&chunk->word);
	bool owned = chunk_owner(word) == actor->id;

	shm_mark(actor->seg, chunk, sizeof(*chunk));
	if (chunk_state(word) == CHUNK_INIT && owned) {
		/* No reference into it was made: free again, of the same generation. */
		if (cas64(&chunk->word, &word, chunk_word_plain(word, CHUNK_FREE)))
			storage_gave(actor->seg, index, 1);
	} else if (chunk_state(word) == CHUNK_FREE) {
		/* Perhaps it had just become so, and was not counted. Too high a count is found out by a
		 * search. */
		storage_gave(actor->seg, index, 1);
	} else if (chunk_state(word) == CHUNK_SLAB) {
		recount_if_owned(actor, index);
		if (owned)
			(void)cas64(&chunk->word, &word, chunk_word_owned(word, 0));
		slab_settle(actor, index);
	}
}

static void settle_slab(const struct storage_actor *actor, uint32_t size_class)
{
	uint32_t chunk = storage_named(actor->seg, load32_acquire(&actor->slot->slab[size_class]));

	if (chunk != NO_CHUNK)
		recount_if_owned(actor, chunk);
	slab_give_up(actor, size_class);
}

void shm_storage_recover(struct shm_session *recoverer, struct shm_segment *seg, struct slot *dead,
			 uint32_t dead_id)
{
	struct storage_actor actor = {seg, dead, dead_id};
	uint32_t chunk;

	if (recoverer)
		shm_step_enter(recoverer);
	extent_settle(&actor);
	chunk = storage_named(seg, load32_acquire(&dead->slab_claim));
	if (chunk != NO_CHUNK)
		settle_claim(&actor, chunk);
	/* Last, so that a recoverer's death before this makes the next one do it again. */
	store32_release(&dead->slab_claim, 0);
	count_named(&actor, load64_acquire(&dead->intent_new));
	count_named(&actor, load64_acquire(&dead->intent_old));
	count_named(&actor, load64_acquire(&dead->intent_key));
	if (recoverer)
		shm_step_leave(recoverer);

	for (uint32_t i = 0; i < SIZE_CLASSES; i++) {
		if (load32_acquire(&dead->slab[i]) == 0)
			continue;
		if (recoverer)
			shm_step_enter(recoverer);
		settle_slab(&actor, i);
		if (recoverer)
			shm_step_leave(recoverer);
	}
}
