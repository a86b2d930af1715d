/* The entries of a record of read locks: for shm/reader*.c only. See shm/reader.h. */
#ifndef SHM_READER_WORDS_H
#define SHM_READER_WORDS_H

#include "shm/reader.h"
#include "shm/record.h"

enum reader_state {
	READER_NONE = 0,
	READER_TRYING = 1,
	READER_HELD = 2,
	READER_RELEASING = 3,
	READER_CANCELLED = 4, /* was TRYING when the cell was counted anew: it is not in the count */
	READER_RELEASED = 5,  /* was RELEASING then: no longer in the count */
};

#define READER_STATE_MASK 15ull

static inline uint64_t reader_word(uint64_t offset, enum reader_state state)
{
	return offset | state;
}
static inline enum reader_state reader_state(uint64_t word)
{
	return (enum reader_state)(word & READER_STATE_MASK);
}
static inline uint64_t reader_offset(uint64_t word)
{
	return word & ~READER_STATE_MASK;
}

static inline uint64_t *reader_entries(const struct shm_segment *seg, uint32_t id)
{
	return shm_record(seg, id, RECORD_READS);
}

/* Entries ever used since the slot was taken are all below; clamped. */
static inline uint32_t reader_high(const struct slot *slot)
{
	uint32_t high = load32_acquire(&slot->reads_high);

	return high <= RECORD_READ_COUNT ? high : RECORD_READ_COUNT;
}

/*
 * The cell with `readers` of them: FULL when there is none. Type and value stay, and so does W as long as there are
 * some: nobody waits for them to come, so nobody is woken. FULL after somebody has waited is marked so (shm_reader_gives_way):
 * own is 1, which means nothing to anybody else, and whatever is done to the element next makes it 0.
 */
static inline struct cell reader_cell(struct cell seen, uint32_t readers)
{
	enum tag tag = readers ? TAG_READERS : TAG_FULL;
	uint32_t own = readers ? readers : (seen.meta & CELL_W) != 0;

	return (struct cell){cell_next(seen.meta, tag, cell_type(seen.meta), own) |
				     (seen.meta & (readers ? CELL_TTL | CELL_W : CELL_TTL)),
			     seen.value};
}

/* Can an entry name it: a cell of an element, in memory that may be touched? */
bool reader_is_element(const struct shm_segment *seg, uint64_t offset);

#endif
