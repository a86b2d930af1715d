/*
 * The shortest way through the commonest operations: numbers in a heap without map, nobody waiting for anything.
 *
 * Inline, so that a call of the library is little more than its compare-and-swap. Each function does its
 * whole operation, or nothing, and says which; what it does not do is for shm_element_apply. The steps, marks and
 * places of death are those of the long way (but that the step begins with its cell, which is known): a number has no blob, so no intent is named, and an operation that
 * leaves the tag as it was wakes nobody.
 */
#ifndef EMS_SHM_FAST_H
#define EMS_SHM_FAST_H

#include "base/macros.h"
#include "shm/slot.h"

/* How often a lost compare-and-swap is tried again inside one step, which holds up a checkpoint. */
#define FAST_TRIES 64

/* The cell of an element that is there and may be touched, else NULL. */
static inline struct cell *shm_fast_cell(const struct shm_segment *seg, uint64_t index)
{
	struct cell *cell;

	if (UNLIKELY(index >= shm_elements(seg)))
		return NULL;
	cell = shm_cell(seg, index);
	if (!seg->elements_whole && UNLIKELY(!shm_committed(seg, shm_offset(seg, cell))))
		return NULL;
	return cell;
}

/* Begins a step on the cell, whose page is marked. Calls nothing, so that registers need not be saved for a call. */
static inline bool shm_fast_begin(const struct shm_segment *seg, struct shm_session *session, const struct cell *cell)
{
	if (UNLIKELY(!shm_step_try(seg, session, cell)))
		return false;
	if (LIKELY(shm_is_marked(seg, cell)))
		return true;
	shm_step_leave(session);
	return false;
}

/* Reads an element that holds a number (of `type`, INTEGER or FLOAT). Stores nothing, takes no slot. */
static inline bool shm_fast_read(const struct shm_segment *seg, uint64_t index, enum cell_type type,
				 uint64_t *bits)
{
	const struct cell *cell = shm_fast_cell(seg, index);
	struct cell seen;

	if (UNLIKELY(!cell))
		return false;
	seen = cell_load(cell);
	*bits = seen.value;
	/* Of a BUSY element the owner reads what its transaction holds: the long way. */
	return LIKELY(cell_type(seen.meta) == type && cell_tag(seen.meta) != TAG_NONE && cell_tag(seen.meta) != TAG_BUSY);
}

/* The same tag, another number. W stays, since the tag does. Inside a step. */
static inline bool shm_fast_swap(struct cell *cell, struct cell *seen, enum cell_type type, uint64_t bits)
{
	struct cell desired = {cell_next(seen->meta, cell_tag(seen->meta), type, 0) | (seen->meta & CELL_W),
			       bits};

	/* Takes effect here. A death before it changes nothing; one after it has left nothing undone. */
	return cell_cas(cell, seen, desired);
}

/* Adds to an integer that is FULL, unless the sum does not fit. */
static inline bool shm_fast_add(struct shm_segment *seg, struct shm_session *session, uint64_t index, int64_t addend, int64_t *old)
{
	struct cell *cell = shm_fast_cell(seg, index);
	bool done = false;
	struct cell seen;
	int64_t sum;

	if (UNLIKELY(!cell || !shm_fast_begin(seg, session, cell)))
		return false;
	seen = cell_load(cell);
	for (int tries = 0; !done && tries < FAST_TRIES; tries++) {
		if (UNLIKELY(cell_tag(seen.meta) != TAG_FULL || cell_type(seen.meta) != TYPE_INTEGER ||
			     ADD_OVERFLOWS((int64_t)seen.value, addend, &sum)))
			break;
		*old = (int64_t)seen.value;
		done = shm_fast_swap(cell, &seen, TYPE_INTEGER, (uint64_t)sum);
	}
	shm_step_leave(session);
	return done;
}

/* Writes a number over a value that has no blob, keeping the tag: EMPTY or FULL. */
static inline bool shm_fast_write(struct shm_segment *seg, struct shm_session *session, uint64_t index, enum cell_type type,
				  uint64_t bits)
{
	struct cell *cell = shm_fast_cell(seg, index);
	bool done = false;
	struct cell seen;

	if (UNLIKELY(!cell || !shm_fast_begin(seg, session, cell)))
		return false;
	seen = cell_load(cell);
	for (int tries = 0; !done && tries < FAST_TRIES; tries++) {
		if (UNLIKELY((cell_tag(seen.meta) != TAG_FULL && cell_tag(seen.meta) != TAG_EMPTY) ||
			     cell_has_blob(seen.meta)))
			break;
		done = shm_fast_swap(cell, &seen, type, bits);
	}
	shm_step_leave(session);
	return done;
}

/*
 * Writes an immediate (at most FLOAT) over a value that has no blob where the tag is among `admits` (of EMPTY and FULL) and
 * leaves `tag`, or the same one (TAG_NONE), unless somebody may be asleep who is to learn of a new tag. *old, if it is not
 * NULL, is what it was: an immediate as well, else nothing is done.
 */
static inline bool shm_fast_store(struct shm_segment *seg, struct shm_session *session, uint64_t index, uint32_t admits, enum tag tag,
				  enum cell_type type, uint64_t bits, struct cell *old)
{
	struct cell *cell = shm_fast_cell(seg, index);
	struct cell seen, desired;
	bool done = false;

	if (UNLIKELY(!cell || !shm_fast_begin(seg, session, cell)))
		return false;
	seen = cell_load(cell);
	for (int tries = 0; !done && tries < FAST_TRIES; tries++) {
		enum tag now = cell_tag(seen.meta), next = tag == TAG_NONE ? now : tag;

		if (UNLIKELY(!(admits >> now & 1) || cell_has_blob(seen.meta) ||
			     (old && cell_type(seen.meta) > TYPE_FLOAT) || (next != now && (seen.meta & CELL_W))))
			break;
		desired = (struct cell){cell_next(seen.meta, next, type, 0) | (seen.meta & CELL_W), bits};
		if (old)
			*old = seen;
		/* Takes effect here. A death before it changes nothing; one after it has left nothing undone: W was clear, or
		 * the tag is as it was. */
		done = cell_cas(cell, &seen, desired);
	}
	shm_step_leave(session);
	return done;
}

/* Takes an immediate that is FULL, and leaves it EMPTY, unless somebody may be asleep. */
static inline bool shm_fast_take(struct shm_segment *seg, struct shm_session *session, uint64_t index, struct cell *old)
{
	struct cell *cell = shm_fast_cell(seg, index);
	bool done = false;

	if (UNLIKELY(!cell || !shm_fast_begin(seg, session, cell)))
		return false;
	*old = cell_load(cell);
	for (int tries = 0; !done && tries < FAST_TRIES; tries++) {
		struct cell seen = *old;

		if (UNLIKELY(cell_tag(seen.meta) != TAG_FULL || cell_type(seen.meta) > TYPE_FLOAT || (seen.meta & CELL_W)))
			break;
		/* Takes effect here; see above. */
		done = cell_cas(cell, &seen,
				(struct cell){cell_next(seen.meta, TAG_EMPTY, cell_type(seen.meta), 0), seen.value});
		if (!done)
			*old = seen;
	}
	shm_step_leave(session);
	return done;
}

/* Looks at an element that holds an immediate. Stores nothing, takes no slot. */
static inline bool shm_fast_look(const struct shm_segment *seg, uint64_t index, struct cell *seen)
{
	const struct cell *cell = shm_fast_cell(seg, index);

	if (UNLIKELY(!cell))
		return false;
	*seen = cell_load(cell);
	return LIKELY(cell_type(seen->meta) <= TYPE_FLOAT && cell_tag(seen->meta) != TAG_NONE &&
		      cell_tag(seen->meta) != TAG_BUSY);
}

#endif
