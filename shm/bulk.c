/* Many numbers at once: see bulk.h. */
#include "shm/bulk.h"

#include "base/macros.h"

#define STEP_CELLS 256 /* written in one step, which holds up a checkpoint for so long: some microseconds */
#define TRIES	   16  /* of a compare-and-swap that others win */

/* Of a run that begins with element `first`: how many stand in the same unit of memory. 0: it is not there. */
static uint64_t run_in_unit(const struct shm_segment *seg, uint64_t first, uint64_t count)
{
	uint64_t offset = shm_offset(seg, shm_cell(seg, first)), left;

	if (seg->elements_whole)
		return count;
	if (!shm_committed(seg, offset))
		return 0;
	left = (UNIT - (offset & (UNIT - 1))) >> seg->layout.element_shift;
	return MIN(count, left);
}

/* ---- reading ---- */

/* By tag and type, the low six bits of meta: those that read as they stand. Of a reserved or deleted element the key is not there. */
static uint64_t plain_states(enum cell_type type)
{
	uint64_t states = 0;

	for (unsigned tag = TAG_EMPTY; tag <= TAG_BUSY; tag++)
		states |= UINT64_C(1) << (tag | (unsigned)type << CELL_TYPE_SHIFT);
	return states;
}

static uint64_t read_run(const uint8_t *at, unsigned shift, uint64_t count, uint64_t states, uint64_t *bits)
{
	uint64_t i;

	for (i = 0; i < count; i++, at += UINT64_C(1) << shift) {
		struct cell seen = cell_load((const struct cell *)(const void *)at);

		if (UNLIKELY(!(states >> (seen.meta & 63) & 1)))
			break;
		bits[i] = seen.value;
	}
	return i;
}

uint64_t shm_bulk_read(const struct shm_segment *seg, uint64_t first, uint64_t count, enum cell_type type,
		       uint64_t *bits)
{
	uint64_t states = plain_states(type), done = 0, run, got;

	do {
		run = run_in_unit(seg, first + done, count - done);
		/* Each shift by itself, so that the loop has it as a constant. */
		if (seg->layout.element_shift == 4)
			got = read_run((const uint8_t *)shm_cell(seg, first + done), 4, run, states, bits + done);
		else
			got = read_run((const uint8_t *)shm_cell(seg, first + done), seg->layout.element_shift, run, states,
				       bits + done);
		done += got;
	} while (got == run && run > 0 && done < count);
	return done;
}

/* ---- writing ---- */

/* Inside a step, its page marked. A death before the swap changes nothing; after it nothing is left undone: nobody is woken. */
static bool write_one(struct cell *cell, const struct cell *pristine, enum cell_type type, uint64_t bits, enum tag tag)
{
	struct cell seen = cell_load(cell);

	for (int tries = 0; tries < TRIES; tries++) {
		enum tag before = cell_tag(seen.meta != 0 ? seen.meta : pristine->meta);
		enum tag after = tag == TAG_NONE ? before : tag;
		struct cell desired = {cell_next(seen.meta, after, type, 0) | (seen.meta & CELL_W), bits};

		if (UNLIKELY((before != TAG_FULL && before != TAG_EMPTY) || cell_has_blob(seen.meta) ||
			     (tag != TAG_NONE && (seen.meta & CELL_W))))
			return false;
		if (LIKELY(cell_cas(cell, &seen, desired)))
			return true;
	}
	return false;
}

static uint64_t write_step(struct shm_session *session, uint64_t first, uint64_t count, enum cell_type type,
			   const uint64_t *bits, bool same, enum tag tag)
{
	struct shm_segment *seg = session->seg;
	struct cell *cell = shm_cell(seg, first), pristine = {seg->layout.params.initial_tag, 0};
	uint64_t i;

	shm_step_enter(session);
	shm_mark(seg, cell, count * sizeof(*cell));
	for (i = 0; i < count; i++)
		if (!write_one(cell + i, &pristine, type, bits[same ? 0 : i], tag))
			break;
	shm_step_leave(session);
	return i;
}

uint64_t shm_bulk_write(struct shm_session *session, uint64_t first, uint64_t count, enum cell_type type,
			const uint64_t *bits, bool same, enum tag tag)
{
	uint64_t done = 0, run, got;

	if (session->seg->layout.element_shift != 4)
		return 0;
	do {
		run = MIN(run_in_unit(session->seg, first + done, count - done), (uint64_t)STEP_CELLS);
		got = run ? write_step(session, first + done, run, type, bits + (same ? 0 : done), same, tag) : 0;
		done += got;
	} while (got == run && run > 0 && done < count);
	return done;
}
