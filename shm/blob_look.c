/*
 * blob_look.c: looking at blobs: what readers, recovery and check ask. Stores nothing.
 */
#include "shm/storage_internal.h"

#include "base/macros.h"

const void *shm_blob_look(const struct shm_segment *seg, blob_ref ref, uint64_t *size)
{
	struct blob_place place;
	const uint8_t *blob;
	uint64_t length;

	if (UNLIKELY(!storage_locate(seg, ref, &place)))
		return NULL;
	blob = shm_at(seg, place.offset);
	length = load64_relaxed((const uint64_t *)(const void *)blob);
	/* The length may be another blob's, or anything: never beyond the block. */
	*size = MIN(length, place.capacity - BLOB_HEAD);
	return blob + BLOB_HEAD;
}

bool shm_blob_is_allocated(const struct shm_segment *seg, blob_ref ref)
{
	struct blob_place place;
	uint64_t header;

	if (!storage_locate(seg, ref, &place))
		return false;
	if (!place.header)
		return true;
	header = load64_acquire(place.header);
	return block_is_allocated(header) && block_generation(header) == blob_ref_generation(ref);
}

bool shm_blob_is_claimed_by(const struct shm_segment *seg, blob_ref ref, uint32_t owner)
{
	struct blob_place place;
	uint64_t header;

	if (!storage_locate(seg, ref, &place))
		return false;
	if (!place.header)
		return chunk_owner(place.word) == owner;
	header = load64_acquire(place.header);
	return block_is_allocated(header) && block_generation(header) == blob_ref_generation(ref) &&
	       block_owner(header) == owner;
}
