/*
 * storage_internal.h: what the files of the storage share. Nobody else includes this.
 *
 *      blob.c            claim, fill, release: the way in
 *      slab.c            the slabs a slot has: a block of one, giving one up
 *      slab_find.c       where another slab comes from
 *      slab_retire.c     slabs that are nobody's: worth a hint, or empty and free again
 *      extent.c          blobs of whole chunks
 *      storage_chunks.c  free chunks: finding, counting
 *      storage_recover.c the same for the dead
 *      storage_stats.c   walks
 *
 * Counts. chunk.allocs is written by the slab's owner alone, with plain stores; chunk.frees is added to by
 * those who release blocks of slabs they do not own. used = allocs - frees is a hint, and every repair errs
 * to one side: settled, it is never MORE than the blocks allocated. So an empty slab always looks empty, and
 * what looks empty is verified header by header before anything is done about it; a slab that looks emptier
 * than it is costs a look, after which its count is right.
 */
#ifndef SHM_STORAGE_INTERNAL_H
#define SHM_STORAGE_INTERNAL_H

#include "shm/storage.h"
#include "shm/storage_class.h"
#include "shm/storage_words.h"

/* In whose name chunks are claimed: a session's slot, or a dead slot by its recoverer (one at a time). */
struct storage_actor {
	struct shm_segment *seg;
	struct slot *slot;
	uint32_t id;
};

static inline struct storage_actor storage_actor(const struct shm_session *session)
{
	return (struct storage_actor){session->seg, session->slot, session->id};
}

#define NO_CHUNK UINT32_MAX

/* The chunk that a "chunk + 1" field names; NO_CHUNK for none, or for one that there is not. */
static inline uint32_t storage_named(const struct shm_segment *seg, uint32_t field)
{
	return field - 1 < seg->layout.chunks ? field - 1 : NO_CHUNK;
}

/* The class of a slab's word, NULL when the word makes no sense. */
static inline const struct size_class *storage_class(uint64_t word)
{
	uint32_t size_class = chunk_class(word);

	return size_class < SIZE_CLASS_COUNT ? &size_classes[size_class] : NULL;
}

/* Where a blob lies. */
struct blob_place {
	uint32_t chunk, index; /* index: of the block; 0 for an extent */
	uint64_t word;	       /* of the chunk, as seen */
	uint64_t *header;      /* of the block; NULL for an extent */
	uint64_t offset;       /* of the blob in the segment */
	uint64_t capacity;     /* bytes, length included */
};

/*
 * False when ref cannot be a blob now: outside the storage, not at the start of a block, no slab, or another
 * generation of an extent. True for a block says nothing about its generation. On the readers' hot path.
 */
static inline bool storage_locate(const struct shm_segment *seg, blob_ref ref, struct blob_place *place)
{
	uint64_t offset = blob_ref_offset(ref);
	uint64_t inside = offset - seg->layout.offset[AREA_STORAGE]; /* below it: wraps, and is too large */
	uint64_t chunk = inside >> UNIT_SHIFT, word;
	const struct size_class *size_class;
	uint32_t index;

	if (chunk >= seg->layout.chunks)
		return false;
	word = load64_acquire(&shm_chunk(seg, (uint32_t)chunk)->word);
	inside &= UNIT - 1;
	place->chunk = (uint32_t)chunk;
	place->word = word;
	place->offset = offset;
	if (chunk_state(word) == CHUNK_SLAB) {
		size_class = storage_class(word);
		if (!size_class)
			return false;
		index = size_class_index(size_class, (uint32_t)inside);
		if (index >= size_class->count || index * size_class->size != inside)
			return false;
		place->index = index;
		place->header = shm_block_headers(seg, (uint32_t)chunk) + index;
		place->capacity = size_class->size;
		return true;
	}
	if (chunk_state(word) != CHUNK_LARGE || inside != 0 ||
	    chunk_generation(word) != blob_ref_generation(ref))
		return false;
	if (chunk_count(word) == 0 || chunk_count(word) > seg->layout.chunks - chunk)
		return false;
	place->index = 0;
	place->header = NULL;
	place->capacity = (uint64_t)chunk_count(word) << UNIT_SHIFT;
	return true;
}

/* ---- storage_chunks.c ---- */

/*
 * The first of `count` neighbours that look FREE, searched from chunk `from` on and then from the start, or
 * NO_CHUNK. Gives up at once when the hint says that there are too few, unless thorough. from: NO_CHUNK means
 * where the last were freed or committed.
 */
uint32_t storage_find_free(const struct shm_segment *seg, uint32_t count, uint32_t from, bool thorough);
/* Chunks were taken from, or given to, the free ones. Giving may ask for a trim. Hints. */
void storage_took(const struct shm_segment *seg, uint32_t count);
void storage_gave(struct shm_segment *seg, uint32_t first, uint32_t count);

/* ---- slab.c; all inside a step ---- */

/* The chunk of the slot's slab of a class if it is indeed its own, else NO_CHUNK. */
uint32_t slab_current(const struct shm_session *session, uint32_t size_class);
/* Claims a block of the slot's slab: the one released last, or the next free one up to the end of the chunk.
 */
bool slab_claim_block(struct shm_session *session, uint32_t size_class, blob_ref *name);
/* Sets allocs from the headers; returns how many blocks are free. By the slab's owner (or for a dead one). */
uint32_t slab_recount(struct shm_segment *seg, uint32_t chunk, const struct size_class *size_class);
/* Makes the slab that the slot names for a class nobody's, if it is the slot's own, and forgets it. */
void slab_give_up(const struct storage_actor *actor, uint32_t size_class);

/* ---- slab_find.c; inside a step ---- */

/* Gets a block when the current slab has none. 0, SHM_NEED, or what the supply said when it refused before.
 */
int slab_claim_elsewhere(struct shm_session *session, uint32_t size_class, blob_ref *name);

/* ---- slab_retire.c; inside a step; all use slot.slab_claim ---- */

/* After something happened to a slab that may be nobody's: if it is empty it becomes a FREE chunk, if it has
 * room the partial hint names it. Somebody must call this after each step that can bring a slab there. */
void slab_settle(const struct storage_actor *actor, uint32_t chunk);
/* Settles all slabs; and gives up those of the session that are empty. */
void slab_sweep(struct shm_session *session);

/* A block was released of a slab that the actor does not own: counts it, and settles the slab. */
void slab_count_release(const struct storage_actor *actor, uint32_t chunk);

/* ---- extent.c; inside a step; both use slot.extent_first and extent_count ---- */

/* 0; SHM_NEED; what the supply said when it refused before; -ERROR_NO_SPACE. */
int extent_claim(struct shm_session *session, uint64_t bytes, blob_ref *name);
/* Releases the extent whose head's word was seen. */
void extent_release(const struct storage_actor *actor, uint32_t head, uint64_t word);
/* Finishes or undoes the extent that the slot names. Idempotent. */
void extent_settle(const struct storage_actor *actor);

#endif
