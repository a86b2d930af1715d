/*
 * bulk.h: many numbers at once: the plain cases in a tight loop, up to the first that is none.
 *
 * What stops it (a text, a fill value, a lease, a cell nobody has written, memory that is not there) is the caller's, element by
 * element, by the long way; then it goes on here. Each element is read or written atomically, as by shm/fast.h.
 */
#ifndef EMS_SHM_BULK_H
#define EMS_SHM_BULK_H

#include "shm/slot.h"

/*
 * Reads elements first, first + 1, … that hold a number of `type` (INTEGER or FLOAT) and have a tag. How many, at most count.
 * The range must be one of elements.
 */
uint64_t shm_bulk_read(const struct shm_segment *seg, uint64_t first, uint64_t count, enum cell_type type,
		       uint64_t *bits);

/*
 * Writes numbers over values that have no blob, in elements that are FULL or EMPTY or were never written, of a heap without
 * map. bits: `count` of them, or one for all, if `same`. tag: what the element gets, or TAG_NONE: keeps. Where the tag may
 * change and somebody may be asleep it stops. How many were written.
 */
uint64_t shm_bulk_write(struct shm_session *session, uint64_t first, uint64_t count, enum cell_type type,
			const uint64_t *bits, bool same, enum tag tag);

#endif
