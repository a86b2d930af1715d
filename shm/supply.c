/*
 * The daemon's part in giving memory to a segment and taking it back. One caller at a
 * time for each segment; clients run beside it. Each commit bit and chunk word
 * is set after the memory behind it is as it must be; a daemon that dies in between leaves
 * memory that is not committed yet, and the next call does the same again.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>

#include "base/error.h"
#include "base/macros.h"
#include "shm/futex.h"
#include "shm/segment.h"
#include "shm/storage_words.h"

static uint64_t *commit_map(const struct shm_segment *seg)
{
	return shm_area(seg, AREA_COMMIT);
}

static bool unit_is_committed(const struct shm_segment *seg, uint64_t unit)
{
	return shm_committed(seg, unit << UNIT_SHIFT);
}

/* Sets one unit's bit; returns the bytes that this adds. */
static uint64_t commit_unit(struct shm_segment *seg, uint64_t unit)
{
	uint64_t bit = 1ull << unit % 64;

	shm_mark(seg, &commit_map(seg)[unit / 64], sizeof(uint64_t));
	/* Takes effect here: from now on clients may touch the unit, which reads as zero. */
	return or64(&commit_map(seg)[unit / 64], bit) & bit ? 0 : UNIT;
}

/* The dirty marks of a range must be there before the range is written to. */
static uint64_t commit_marks(struct shm_segment *seg, uint64_t offset, uint64_t size)
{
	uint64_t added = 0, start, first, last;

	if (!seg->layout.params.persistent || size == 0)
		return 0;
	start = seg->layout.offset[AREA_MARKS];
	first = (start + (offset >> MARK_PAGE_SHIFT)) >> UNIT_SHIFT;
	last = (start + ((offset + size - 1) >> MARK_PAGE_SHIFT)) >> UNIT_SHIFT;
	for (uint64_t unit = first; unit <= last; unit++)
		added += commit_unit(seg, unit);
	return added;
}

static bool range_is_valid(const struct shm_segment *seg, uint64_t first, uint64_t count)
{
	uint64_t units = seg->layout.segment_size >> UNIT_SHIFT;

	return first < units && count <= units - first;
}

uint64_t shm_commit_units_cost(const struct shm_segment *seg, uint64_t first, uint64_t count)
{
	uint64_t cost = 0;

	if (!range_is_valid(seg, first, count))
		return 0;
	for (uint64_t unit = first; unit < first + count; unit++)
		cost += unit_is_committed(seg, unit) ? 0 : UNIT;
	return cost;
}

int shm_commit_units(struct shm_segment *seg, uint64_t first, uint64_t count, uint64_t *added)
{
	*added = 0;
	if (count == 0)
		return 0;
	if (!range_is_valid(seg, first, count))
		return -ERROR_RANGE;
	*added += commit_marks(seg, first << UNIT_SHIFT, count << UNIT_SHIFT);
	for (uint64_t unit = first; unit < first + count; unit++)
		*added += commit_unit(seg, unit);
	return 0;
}

/*
 * The first of `chunks` neighbours at or after `from` that are all HOLEs; or, when mixed, HOLEs and FREE ones, at
 * least one HOLE among them. layout.chunks when there is no such run.
 */
static uint32_t find_holes(const struct shm_segment *seg, uint32_t chunks, uint32_t from, bool mixed)
{
	const struct chunk *table = shm_area(seg, AREA_CHUNKS);
	uint32_t run = 0, since_hole = UINT32_MAX, high = load32_relaxed(&shm_header(seg)->chunks_high);

	for (uint32_t c = from; c < seg->layout.chunks; c++) {
		/* Above the high mark nothing was ever committed; the table itself may not be, either. */
		enum chunk_state state = c >= high ? CHUNK_HOLE : chunk_state(load64_acquire(&table[c].word));
		bool hole = state == CHUNK_HOLE;

		run = hole || (mixed && state == CHUNK_FREE) ? run + 1 : 0;
		since_hole = hole ? 0 : since_hole + (since_hole < UINT32_MAX);
		if (run >= chunks && since_hole < chunks)
			return c + 1 - chunks;
	}
	return seg->layout.chunks;
}

static uint64_t commit_chunk(struct shm_segment *seg, uint32_t c)
{
	struct header *header = shm_header(seg);
	struct chunk *chunk = (struct chunk *)shm_area(seg, AREA_CHUNKS) + c;
	uint64_t added = commit_unit(seg, shm_offset(seg, chunk) >> UNIT_SHIFT);
	uint64_t block = seg->layout.offset[AREA_BLOCKS] + (uint64_t)c * BLOCKS_PER_CHUNK * sizeof(uint64_t);

	added += commit_marks(seg, shm_offset(seg, chunk), sizeof(*chunk));
	added += commit_marks(seg, block, BLOCKS_PER_CHUNK * sizeof(uint64_t));
	added += commit_marks(seg, seg->layout.offset[AREA_STORAGE] + ((uint64_t)c << UNIT_SHIFT), UNIT);
	uint64_t word = load64_acquire(&chunk->word);
	/* Even if it is no hole: a mark that somebody scribbled on must not make claims ask in vain for ever. */
	if (c >= load32_relaxed(&header->chunks_high))
		store32_release(&header->chunks_high, c + 1);
	if (chunk_state(word) != CHUNK_HOLE)
		return added;
	shm_mark(seg, chunk, sizeof(*chunk));
	/* Takes effect here: any writer may claim the chunk now. The generation goes on from its former life.
	 */
	if (cas64(&chunk->word, &word, chunk_word(CHUNK_FREE, 0, 0, chunk_generation(word), 0))) {
		add32(&header->chunks_free, 1);
		added += CHUNK_CHARGE;
	}
	return added;
}

int shm_commit_storage(struct shm_segment *seg, uint32_t chunks, uint64_t *added)
{
	*added = 0;
	if (chunks == 0 || chunks > seg->layout.chunks)
		return -ERROR_NO_SPACE;

	uint32_t first = find_holes(seg, chunks, 0, false);
	/* What is free beside a hole makes a longer run with it. (Whether it stays free is the claimant's luck.) */
	if (first == seg->layout.chunks)
		first = find_holes(seg, chunks, 0, true);
	if (first == seg->layout.chunks)
		return -ERROR_NO_SPACE;
	for (uint32_t c = first; c < first + chunks; c++)
		*added += commit_chunk(seg, c);
	/* Claims look here first: without the hint each would search the table from somewhere. */
	store32_relaxed(&shm_header(seg)->chunk_cursor, first);
	return 0;
}

int shm_prepare_table(struct shm_segment *seg, uint32_t id, uint64_t *added)
{
	struct header *header = shm_header(seg);
	int r;

	*added = 0;
	if (id >= seg->layout.tables)
		return -ERROR_RANGE;

	uint64_t offset = layout_table_offset(&seg->layout, id);
	uint64_t bytes = layout_table_slots(&seg->layout, id) * sizeof(uint64_t);
	uint8_t state = load8_relaxed(&header->table_used[id]);
	if (state == TABLE_READY)
		return 0;
	if (state != TABLE_NEVER) {
		/* Behind the gate nobody is inside an operation, so nobody still holds a place in the old
		 * table. */
		r = shm_gate_raise(seg);
		if (r < 0)
			return r;
		uint64_t map = load64_acquire(&header->map);
		uint32_t current = map & 0xffff, next = (map >> 16 & 0xffff) - 1;
		/* Asked for by one who was late: somebody else has begun the growth. */
		if (id == current || id == next) {
			shm_gate_lower(seg);
			return 0;
		}
		if (madvise(shm_at(seg, offset), align_up(bytes, UNIT), MADV_REMOVE) < 0)
			r = error_from_errno(errno);
		if (r == 0) {
			shm_mark(seg, shm_at(seg, offset), bytes);
			store8_relaxed(&header->table_used[id], TABLE_READY);
		}
		shm_gate_lower(seg);
		return r;
	}
	r = shm_commit_units(seg, offset >> UNIT_SHIFT, align_up(bytes, UNIT) >> UNIT_SHIFT, added);
	if (r == 0)
		store8_relaxed(&header->table_used[id], TABLE_READY);
	return r;
}

/* FREE → TRIM, memory back, TRIM → HOLE. A daemon killed in between leaves TRIM, which the next one takes up
 * here. */
static bool trim_chunk(struct shm_segment *seg, uint32_t c)
{
	struct chunk *chunk = (struct chunk *)shm_area(seg, AREA_CHUNKS) + c;
	uint64_t word = load64_acquire(&chunk->word), generation = chunk_generation(word);
	uint64_t block = seg->layout.offset[AREA_BLOCKS] + (uint64_t)c * BLOCKS_PER_CHUNK * sizeof(uint64_t);
	uint64_t bytes = seg->layout.offset[AREA_STORAGE] + ((uint64_t)c << UNIT_SHIFT);

	if (chunk_state(word) == CHUNK_FREE) {
		shm_mark(seg, chunk, sizeof(*chunk));
		/* Takes effect here: nobody else can claim it any more. */
		if (!cas64(&chunk->word, &word, chunk_word(CHUNK_TRIM, 0, 0, (uint32_t)generation, 0)))
			return false;
		sub32(&shm_header(seg)->chunks_free, 1);
	} else if (chunk_state(word) != CHUNK_TRIM) {
		return false;
	}
	/* On disk it shall take up no room either. */
	shm_mark(seg, chunk, sizeof(*chunk));
	shm_mark(seg, shm_at(seg, bytes), UNIT);
	shm_mark(seg, shm_at(seg, block), BLOCKS_PER_CHUNK * sizeof(uint64_t));
	if (madvise(shm_at(seg, bytes), UNIT, MADV_REMOVE) < 0 ||
	    madvise(shm_at(seg, block), BLOCKS_PER_CHUNK * sizeof(uint64_t), MADV_REMOVE) < 0) {
		store64_release(&chunk->word, chunk_word(CHUNK_FREE, 0, 0, (uint32_t)generation, 0));
		add32(&shm_header(seg)->chunks_free, 1);
		return false;
	}
	store64_release(&chunk->word, chunk_word(CHUNK_HOLE, 0, 0, (uint32_t)generation, 0));
	return true;
}

uint64_t shm_trim(struct shm_segment *seg, uint32_t keep, uint32_t most)
{
	const struct chunk *table = shm_area(seg, AREA_CHUNKS);
	uint32_t high = MIN(load32_relaxed(&shm_header(seg)->chunks_high), seg->layout.chunks);
	uint32_t free_chunks = 0, trimmed = 0;

	for (uint32_t c = 0; c < high && trimmed < most; c++) {
		enum chunk_state state = chunk_state(load64_acquire(&table[c].word));

		if (state == CHUNK_TRIM || (state == CHUNK_FREE && ++free_chunks > keep))
			trimmed += trim_chunk(seg, c);
	}
	return trimmed * CHUNK_CHARGE;
}

uint64_t shm_committed_bytes(const struct shm_segment *seg)
{
	const uint64_t *map = commit_map(seg);
	const struct chunk *table = shm_area(seg, AREA_CHUNKS);
	uint32_t high = MIN(load32_relaxed(&shm_header(seg)->chunks_high), seg->layout.chunks);
	uint64_t bytes = 0;

	for (uint64_t i = 0; i < seg->layout.size[AREA_COMMIT] / sizeof(uint64_t); i++)
		bytes += (uint64_t)__builtin_popcountll(load64_relaxed(&map[i])) * UNIT;
	for (uint32_t c = 0; c < high; c++)
		bytes += chunk_state(load64_relaxed(&table[c].word)) == CHUNK_HOLE ? 0 : CHUNK_CHARGE;
	return bytes;
}

void shm_mark_slow(struct shm_segment *seg, uint64_t offset, uint64_t size)
{
	uint8_t *marks = shm_area(seg, AREA_MARKS);
	struct header *header = shm_header(seg);
	uint64_t last = (offset + MAX(size, (uint64_t)1) - 1) >> MARK_PAGE_SHIFT;

	for (uint64_t page = offset >> MARK_PAGE_SHIFT; page <= last; page++)
		if (load8_relaxed(&marks[page]) != MARK_DIRTY)
			store8_relaxed(&marks[page], MARK_DIRTY);
	/* A death between the two: the daemon looks at the heaps of clients that die. */
	if (load32_relaxed(&header->dirty) != DIRTY_YES && exchange32(&header->dirty, DIRTY_YES) == DIRTY_WATCHED)
		(void)shm_futex_wake(&header->dirty, INT_MAX, WAIT_ANY);
}

/* ---- the daemon's part, done in place ---- */

static int local_units(void *context, struct shm_segment *seg, uint64_t first, uint64_t count)
{
	uint64_t added;

	(void)context;
	return shm_commit_units(seg, first, count, &added);
}

static int local_storage(void *context, struct shm_segment *seg, uint32_t chunks)
{
	uint64_t added;

	(void)context;
	return shm_commit_storage(seg, chunks, &added);
}

static int local_table(void *context, struct shm_segment *seg, uint32_t id)
{
	uint64_t added;

	(void)context;
	return shm_prepare_table(seg, id, &added);
}

static void local_trim(void *context, struct shm_segment *seg)
{
	(void)context;
	(void)seg;
}

const struct shm_supply shm_local_supply = {local_units, local_storage, local_table, local_trim};
