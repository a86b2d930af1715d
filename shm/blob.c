/*
 * blob.c: claiming, filling and releasing blobs.
 *
 * The common case, a thread that replaces a value over and over, is two compare-and-swaps: it claims the
 * block that it released last, of a slab that it owns, and releases the one before.
 */
#include "shm/storage_internal.h"

#include "base/error.h"
#include "base/macros.h"

int shm_blob_claim(struct shm_session *session, uint64_t size, blob_ref *name)
{
	uint32_t size_class;

	if (size >= BLOB_MAX) {
		store64_release(name, 0);
		return -ERROR_RANGE;
	}
	if (UNLIKELY(size + BLOB_HEAD > BLOCK_MAX))
		return extent_claim(session, size + BLOB_HEAD, name);
	size_class = size_class_of(size + BLOB_HEAD);
	if (LIKELY(slab_claim_block(session, size_class, name)))
		return 0;
	return slab_claim_elsewhere(session, size_class, name);
}

void shm_blob_fill(struct shm_session *session, blob_ref ref, const void *data, uint64_t size)
{
	struct blob_place place;
	uint8_t *blob;

	/* Fails only when the heap is corrupt: then nothing may be written where the reference leads. */
	if (!storage_locate(session->seg, ref, &place) || size > place.capacity - BLOB_HEAD)
		return;
	blob = shm_at(session->seg, place.offset);
	shm_mark(session->seg, blob, data ? BLOB_HEAD + size : BLOB_HEAD);
	store64_relaxed((uint64_t *)(void *)blob, size);
	if (data)
		copy_to_shared(blob + BLOB_HEAD, data, size);
}

void *shm_blob_bytes(const struct shm_session *session, blob_ref ref)
{
	struct blob_place place;

	if (!storage_locate(session->seg, ref, &place))
		return NULL;
	return (uint8_t *)shm_at(session->seg, place.offset) + BLOB_HEAD;
}

void shm_blob_mark(struct shm_session *session, blob_ref ref, uint64_t size)
{
	struct blob_place place;

	if (storage_locate(session->seg, ref, &place) && size <= place.capacity - BLOB_HEAD)
		shm_mark(session->seg, shm_at(session->seg, place.offset), BLOB_HEAD + size);
}

/* Frees the block if it is of that generation still. */
static bool release_block(struct shm_segment *seg, const struct blob_place *place, blob_ref ref)
{
	uint32_t generation = blob_ref_generation(ref);
	uint64_t seen = load64_acquire(place->header);

	if (!block_is_allocated(seen) || block_generation(seen) != generation)
		return false;
	shm_mark(seg, place->header, sizeof(*place->header));
	/*
	 * The release takes effect here, once for each generation: when it fails, another has done it. A
	 * death before it is counted: the intent names the block still, and recovery counts in any case.
	 */
	return cas64(place->header, &seen, block_header(generation + 1, false, 0));
}

void shm_blob_release(struct shm_session *session, blob_ref ref)
{
	struct storage_actor actor = storage_actor(session);
	struct blob_place place;
	struct chunk *slab;

	if (!storage_locate(session->seg, ref, &place))
		return;
	if (!place.header) {
		extent_release(&actor, place.chunk, place.word);
		return;
	}
	if (!release_block(session->seg, &place, ref))
		return;
	if (chunk_owner(place.word) != session->id) {
		slab_count_release(&actor, place.chunk);
		return;
	}
	/* Ours before, hence now: only the owner gives a slab up. */
	slab = shm_chunk(session->seg, place.chunk);
	shm_mark(session->seg, slab, sizeof(*slab));
	store32_relaxed(&slab->allocs, load32_relaxed(&slab->allocs) - 1);
	session->slab_hot[chunk_class(place.word)] = place.index + 1;
}

void shm_blob_release_for(struct shm_session *recoverer, struct shm_segment *seg, struct slot *dead,
			  uint32_t dead_id, blob_ref ref)
{
	struct storage_actor actor = {seg, dead, dead_id};
	struct blob_place place;

	if (recoverer)
		shm_step_enter(recoverer);
	/* The dead slot's name for an extent is needed below: first what it names now. */
	extent_settle(&actor);
	if (storage_locate(seg, ref, &place)) {
		if (place.header) {
			if (release_block(seg, &place, ref))
				slab_count_release(&actor, place.chunk);
		} else {
			extent_release(&actor, place.chunk, place.word);
		}
	}
	if (recoverer)
		shm_step_leave(recoverer);
}
