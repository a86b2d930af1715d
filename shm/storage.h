/*
 * Storage for strings, JSON, bytes and long keys: blobs.
 *
 * The storage area is cut into chunks of 64 KiB. A chunk's truth is one word in
 * AREA_CHUNKS, changed by compare-and-swap:
 *
 *       63          46 45            22 21       10 9     4 3     0
 *      +--------------+----------------+-----------+-------+-------+
 *      |count/distance|  generation 24 | owner 12  | class | state |
 *      +--------------+----------------+-----------+-------+-------+
 *
 *      HOLE     never committed, or given back to the system
 *      FREE     committed, nobody's
 *      INIT     (owner) its block headers are being set for a size class
 *      SLAB     (class, owner or 0) cut into blocks of one size; only the owner allocates from it
 *      TAKEN    (owner) being claimed as part of an extent
 *      LARGE    (count) first chunk of a blob of `count` chunks; generation is the blob's
 *      CONT     (distance) a later chunk of one
 *      FREEING  (owner, count) first chunk of one that is being given back
 *      TRIM     the daemon gives it back to the system
 *
 * A block's truth is one 64-bit header outside the chunk, BLOCKS[chunk][index]
 * {generation, state FREE/ALLOCATED, owner}: one compare-and-swap claims it, one
 * releases it and moves the generation on. Everything else (counts, cursors, partial
 * hints) is a hint that recovery and check can rebuild.
 *
 * A blob begins with its length (8 bytes, little-endian), then the bytes.
 * Readers take no registration: they look, copy, and look again whether the cell moved.
 *
 * Kill safety. Whoever claims a block or an extent has named it in the slot's intent
 * (intent_new or intent_key: the blob; extent_first/extent_count: the chunks;
 * slab_claim: the slab) before, and clears the name after it has become
 * reachable, or was released. Recovery does the rest (shm/recover.h).
 */
#ifndef EMS_SHM_STORAGE_H
#define EMS_SHM_STORAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/slot.h"

#define BLOB_MAX  ((uint64_t)1 << 32) /* bytes of one value, exclusive */
#define BLOB_HEAD 8u

/*
 * Claims room for a blob of `size` bytes. Inside a step. *name is &slot->intent_new or &slot->intent_key:
 * the reference is stored there before the claim takes effect, with slot->intent at least INTENT_CLAIM
 * already (the caller sets it), and stays there for the caller to clear. The generation in it is that of the
 * claim. 0; else nothing is held and *name is 0: SHM_NEED: supply outside the step and call again;
 * -ERROR_NO_SPACE: larger than the whole storage; -ERROR_NO_SPACE or -ERROR_BUDGET: what the supply said (see
 * shm_session_supply), and a thorough search was in vain; -ERROR_RANGE: size too large.
 */
int shm_blob_claim(struct shm_session *session, uint64_t size, blob_ref *name);

/* Writes length and bytes into a claimed blob (in a step, or outside: then the publishing step calls
 * shm_blob_mark). */
void shm_blob_fill(struct shm_session *session, blob_ref ref, const void *data, uint64_t size);
/* The claimed blob's bytes, for filling in pieces; shm_blob_fill(…, NULL, size) sets the length only. */
void *shm_blob_bytes(const struct shm_session *session, blob_ref ref);
/* Marks the blob's pages dirty again. Inside the publishing step, before the publishing store. */
void shm_blob_mark(struct shm_session *session, blob_ref ref, uint64_t size);

/* Releases a blob. Inside a step; ref is named in the slot's intent (new, old or key) until after the call. A
 * second release of the same generation does nothing. May ask the supply to trim (hint). */
void shm_blob_release(struct shm_session *session, blob_ref ref);

/*
 * Where a blob's bytes are, for a reader: checks ref against the geometry and the chunk's
 * state, and clamps *size to what the block can hold. Nothing is promised: look at the cell again after
 * copying. NULL: not a blob that exists now (stale reference, or a corrupt heap when the cell has not moved).
 */
const void *shm_blob_look(const struct shm_segment *seg, blob_ref ref, uint64_t *size);

/* Gives the session's slabs back (some empty chunks become FREE). Not inside a step. */
void shm_storage_leave(struct shm_session *session);

/* ---- recovery and check (see shm/recover.h, shm/check.h) ---- */

/* Is this very generation of the block or extent allocated? */
bool shm_blob_is_allocated(const struct shm_segment *seg, blob_ref ref);
/* Was it claimed by slot `owner`? (To tell "named, never claimed" from "claimed": a blob keeps its claimer's
 * number.) */
bool shm_blob_is_claimed_by(const struct shm_segment *seg, blob_ref ref, uint32_t owner);
/*
 * Releases on behalf of a dead slot, if that generation is allocated still; idempotent: the recoverer may die
 * anywhere and another does it again. Not inside a step: recoverer is a session to make steps with, or NULL for
 * the daemon. The dead slot's own extent fields name the extent while it is released.
 */
void shm_blob_release_for(struct shm_session *recoverer, struct shm_segment *seg, struct slot *dead,
			  uint32_t dead_id, blob_ref ref);
/*
 * Finishes or undoes what the dead slot's slab_claim and extent name, then makes its slabs nobody's. Idempotent.
 * Not inside a step. To be called after the blobs of the slot's intent were dealt with, and before their names
 * are cleared: a death just after a block was released leaves that uncounted, and this counts it.
 */
void shm_storage_recover(struct shm_session *recoverer, struct shm_segment *seg, struct slot *dead,
			 uint32_t dead_id);

/*
 * A blob that the dead slot had named elsewhere than in its intent, and that was released, by it or for it: sees to its being counted
 * in its slab. Once too often does no harm. Not inside a step.
 */
void shm_blob_count_for(struct shm_session *recoverer, struct shm_segment *seg, struct slot *dead, uint32_t dead_id,
			blob_ref ref);

struct shm_storage_stats {
	uint64_t chunks, committed_chunks, free_chunks, slabs, large_chunks;
	uint64_t blocks_allocated, bytes_allocated; /* capacity of the allocated blocks and extents */
};
/* Walks the chunk table; bounded; safe on a live or corrupt segment (numbers are then only near the truth).
 */
void shm_storage_stats(const struct shm_segment *seg, struct shm_storage_stats *stats);
/* The same from about `most` chunks, evenly spread, for who must not take long; exact up to that many. most >= 1. */
void shm_storage_estimate(const struct shm_segment *seg, uint32_t most, struct shm_storage_stats *stats);

/* Calls found(arg, ref, capacity) for each allocated block and extent. Bounded; for check. */
void shm_storage_walk(const struct shm_segment *seg,
		      void (*found)(void *arg, blob_ref ref, uint64_t capacity), void *arg);

/* Counts chunks in a state that only a dead or working owner explains (INIT, TAKEN, FREEING, TRIM, orphan
 * CONT), and slabs owned by slots that are not taken; for check on a quiet heap the result is 0. */
uint64_t shm_storage_unsettled(const struct shm_segment *seg);

#endif
