/* Putting the readers' counts right after a death, and checking them: see reader.h. */

#include "base/error.h"
#include "shm/reader_words.h"
#include "shm/wait.h"

/* An entry changes at most twice while its cell is frozen; a cell, as often as others get on. More is not believed. */
#define ENTRY_TRIES 8
#define CELL_TRIES  1000

bool reader_is_element(const struct shm_segment *seg, uint64_t offset)
{
	uint64_t start = seg->layout.offset[AREA_ELEMENTS];

	return offset >= start && offset - start < seg->layout.size[AREA_ELEMENTS] &&
	       layout_is_cell(&seg->layout, offset) && shm_committed(seg, offset);
}

/* ---- the recount ---- */

/* One entry of a recount: TRYING and RELEASING are told that they do not count. True: it does. */
static bool settle_entry(struct shm_segment *seg, uint64_t *entry, uint64_t offset)
{
	uint64_t word = load64_acquire(entry);

	for (int tries = 0; tries < ENTRY_TRIES && reader_offset(word) == offset; tries++) {
		enum reader_state state = reader_state(word);

		if (state != READER_TRYING && state != READER_RELEASING)
			return state == READER_HELD;
		shm_mark(seg, entry, sizeof(*entry));
		if (cas64(entry, &word,
			  reader_word(offset, state == READER_TRYING ? READER_CANCELLED : READER_RELEASED)))
			return false;
	}
	return false;
}

/*
 * The cell is frozen; its readers are counted, and it is what they make it. Right whoever asks for it: entries of
 * other dead slots that are HELD count until those slots are recovered.
 * A death in the middle: the entry for which the cell was frozen is still there, and whoever recovers its slot
 * finds the cell frozen, and begins again.
 */
static void recount(struct shm_segment *seg, struct cell *cell, struct cell frozen)
{
	uint64_t offset = shm_offset(seg, cell);
	uint32_t readers = 0, slots = shm_slots_high(seg);

	for (uint32_t id = 1; id < slots; id++) {
		uint32_t high = reader_high(shm_slot(seg, id));
		uint64_t *entries = reader_entries(seg, id);

		for (uint32_t index = 0; index < high; index++)
			readers += settle_entry(seg, &entries[index], offset);
	}
	if (readers > READERS_MAX)
		readers = READERS_MAX;
	/* Fails when W was set meanwhile; then the caller finds the cell frozen still. */
	(void)cell_cas(cell, &frozen, reader_cell(frozen, readers));
}

static bool freeze(struct cell *cell, struct cell seen)
{
	struct cell frozen = {cell_next(seen.meta, TAG_BUSY, cell_type(seen.meta), 0) |
				      (seen.meta & (CELL_W | CELL_TTL)),
			      seen.value};

	return cell_cas(cell, &seen, frozen);
}

/* ---- one entry of a dead slot ---- */

/*
 * HELD: out of the count, as its owner would have done it. Only `write` and readers move the cell meanwhile; nobody but
 * the caller can freeze it.
 */
static bool give_back(struct cell *cell, uint64_t *entry, struct cell seen)
{
	/* A death from here on: the next recoverer counts anew. */
	store64_release(entry, reader_word(reader_offset(load64_relaxed(entry)), READER_RELEASING));
	for (int tries = 0; tries < CELL_TRIES && cell_tag(seen.meta) == TAG_READERS; tries++) {
		uint32_t readers = cell_own(seen.meta);

		if (cell_cas(cell, &seen, reader_cell(seen, readers ? readers - 1 : 0)))
			return true;
	}
	return false;
}

/* True: the count of the entry's cell is right without it. */
static bool settle_count(struct shm_segment *seg, struct cell *cell, uint64_t *entry, uint32_t *recounts)
{
	for (int tries = 0; tries < CELL_TRIES; tries++) {
		struct cell seen = cell_load(cell);
		enum reader_state state = reader_state(load64_acquire(entry));

		if (shm_reader_is_frozen(seen.meta)) {
			if (*recounts == 0)
				return false;
			--*recounts;
			recount(seg, cell, seen);
		} else if (cell_tag(seen.meta) != TAG_READERS) {
			return true;
		} else if (state == READER_HELD) {
			return give_back(cell, entry, seen);
		} else if (state == READER_TRYING || state == READER_RELEASING) {
			if (*recounts == 0)
				return false;
			(void)freeze(cell, seen);
		} else {
			return true;
		}
	}
	return false;
}

static bool settle(struct shm_session *self, struct shm_segment *seg, uint64_t *entry, uint32_t *recounts)
{
	uint64_t offset = reader_offset(load64_acquire(entry));

	shm_mark(seg, entry, sizeof(*entry));
	if (reader_is_element(seg, offset)) {
		struct cell *cell = shm_at(seg, offset);

		if (self)
			shm_step_cell(self, cell);
		shm_mark(seg, cell, sizeof(*cell));
		if (!settle_count(seg, cell, entry, recounts))
			return false;
		/* Always: whoever came as far before, the dead one or a recoverer of it, may not have come to it. */
		shm_wait_wake_everybody(seg, cell);
	}
	store64_release(entry, READER_NONE);
	return true;
}

int shm_reader_recover(struct shm_session *self, struct shm_segment *seg, struct slot *dead, uint32_t id,
		       uint32_t *recounts)
{
	uint32_t high = reader_high(dead);
	uint64_t *entries = high ? reader_entries(seg, id) : NULL;

	for (uint32_t index = 0; index < high; index++) {
		bool settled = true;

		if (load64_acquire(&entries[index]) == READER_NONE)
			continue;
		if (self)
			shm_step_enter(self);
		settled = settle(self, seg, &entries[index], recounts);
		if (self)
			shm_step_leave(self);
		if (!settled)
			return SHM_AGAIN;
	}
	return 0;
}

/* ---- the checker's ---- */

void shm_reader_walk(const struct shm_segment *seg, uint32_t id,
		     void (*found)(void *arg, uint64_t offset, bool settled), void *arg)
{
	uint32_t high = reader_high(shm_slot(seg, id));
	const uint64_t *entries = high ? reader_entries(seg, id) : NULL;

	for (uint32_t index = 0; index < high; index++) {
		uint64_t word = load64_acquire(&entries[index]);

		if (word != READER_NONE)
			found(arg, reader_offset(word), reader_state(word) == READER_HELD);
	}
}

struct counting {
	uint64_t offset;
	uint32_t readers;
};

static void count_one(void *arg, uint64_t offset, bool settled)
{
	struct counting *counting = arg;

	counting->readers += settled && offset == counting->offset;
}

uint32_t shm_reader_count(const struct shm_segment *seg, const struct cell *cell)
{
	struct counting counting = {shm_offset(seg, cell), 0};

	for (uint32_t id = 1; id < shm_slots_high(seg); id++)
		shm_reader_walk(seg, id, count_one, &counting);
	return counting.readers;
}
