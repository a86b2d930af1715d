/*
 * The cell: 16 bytes that hold one element's value, type and synchronisation
 * state, and change only as a whole.
 *
 *      meta  63                      32 31        20 19       8  7  6   5   3 2   0
 *           +--------------------------+------------+----------+--+---+------+-----+
 *           |  version, high 32 bits   | version 12 |  own 12  |W |ttl| type | tag |
 *           +--------------------------+------------+----------+--+---+------+-----+
 *                                       \________ futex word (low 32 bits) ________/
 *      value 63                   24 23           0
 *           +-------------------------+-----------+
 *           | integer, double, bool; or blob {offset/16: 40, generation: 24}
 *           +-------------------------+-----------+
 *
 * own is the slot of the owner (BUSY, RESERVED_*, DELETED) or the number of
 * readers (READERS); BUSY of slot 0 is a count of readers under repair, and 1 in a FULL cell a hint to readers (shm/reader.h). W says that somebody may be asleep on the futex word. Every
 * change but setting W moves the 44-bit version on, so a compare-and-swap that
 * carries the old meta cannot be fooled by a value that came back, and a reader
 * that finds meta unmoved around its copy knows the copy is whole.
 *
 * All zero is the pristine cell: no tag; it reads as the heap's fill value with
 * the heap's initial tag. In a heap with a key map a cell without a tag is a
 * free element (its version may be anything).
 */
#ifndef EMS_SHM_CELL_H
#define EMS_SHM_CELL_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/atomic.h"

enum tag {
	TAG_NONE = 0, /* pristine, or (key map) a free element */
	TAG_EMPTY = 1,
	TAG_FULL = 2,
	TAG_READERS = 3,	/* own: how many readers */
	TAG_BUSY = 4,		/* own: the slot that has a lease or a transaction on it */
	TAG_RESERVED_EMPTY = 5, /* own: the inserting slot; becomes EMPTY when the key is in the map */
	TAG_RESERVED_FULL = 6,	/* own: the inserting slot; becomes FULL */
	TAG_DELETED = 7,	/* own: the deleting slot; becomes NONE when the key is out of the map */
};

enum cell_type {
	TYPE_UNDEFINED = 0,
	TYPE_BOOLEAN = 1,
	TYPE_INTEGER = 2,
	TYPE_FLOAT = 3,
	TYPE_STRING = 4, /* this and the next two: value is a blob reference */
	TYPE_JSON = 5,
	TYPE_BYTES = 6,
	TYPE_FILL = 7, /* the heap's fill value, whatever its type; owns no blob */
};

struct cell {
	uint64_t meta, value;
} __attribute__((aligned(16)));

_Static_assert(sizeof(struct cell) == 16 && sizeof(struct pair) == 16, "a cell is one 16-byte pair");

#define CELL_TAG_MASK	   0x7ull
#define CELL_TYPE_SHIFT	   3
#define CELL_TTL	   (1ull << 6) /* the element has an expiry; see struct element_key */
#define CELL_W		   (1ull << 7)
#define CELL_OWN_SHIFT	   8
#define CELL_OWN_MASK	   (0xfffull << CELL_OWN_SHIFT)
#define CELL_VERSION_SHIFT 20
#define CELL_VERSION_ONE   (1ull << CELL_VERSION_SHIFT)
#define CELL_VERSION_MASK  (~0ull << CELL_VERSION_SHIFT)

static inline enum tag cell_tag(uint64_t meta)
{
	return (enum tag)(meta & CELL_TAG_MASK);
}
static inline enum cell_type cell_type(uint64_t meta)
{
	return (enum cell_type)(meta >> CELL_TYPE_SHIFT & 7);
}
static inline uint32_t cell_own(uint64_t meta)
{
	return (uint32_t)(meta >> CELL_OWN_SHIFT) & 0xfff;
}
static inline uint64_t cell_version(uint64_t meta)
{
	return meta >> CELL_VERSION_SHIFT;
}

static inline bool type_has_blob(enum cell_type type)
{
	return type == TYPE_STRING || type == TYPE_JSON || type == TYPE_BYTES;
}
static inline bool cell_has_blob(uint64_t meta)
{
	return type_has_blob(cell_type(meta));
}

/* A live element: one that has a value now (pristine ones of a heap without map are handled before). */
static inline bool tag_is_live(enum tag tag)
{
	return tag >= TAG_EMPTY && tag <= TAG_BUSY;
}
static inline bool tag_is_reserved(enum tag tag)
{
	return tag == TAG_RESERVED_EMPTY || tag == TAG_RESERVED_FULL;
}

/* The meta that follows `meta`: next version, W cleared, the rest as given. ttl is kept by the caller's
 * choice. */
static inline uint64_t cell_next(uint64_t meta, enum tag tag, enum cell_type type, uint32_t own)
{
	return ((meta & CELL_VERSION_MASK) + CELL_VERSION_ONE) | (uint64_t)tag |
	       (uint64_t)type << CELL_TYPE_SHIFT | (uint64_t)own << CELL_OWN_SHIFT;
}

/*
 * One consistent view of a cell: meta, value, meta again until it has not moved.
 * Two loads cannot be torn apart unnoticed, because every change of value moves
 * the version. Works on read-only mappings, where a compare-and-swap would fault.
 */
static inline struct cell cell_load(const struct cell *cell)
{
	struct cell seen;
	uint64_t again = load64_acquire(&cell->meta);
	do {
		seen.meta = again;
		seen.value = load64_acquire(&cell->value);
		again = load64_relaxed(&cell->meta);
	} while (__builtin_expect(again != seen.meta, 0));
	return seen;
}

/* Takes effect here or not at all; on failure *expected is what the cell holds now. */
static inline bool cell_cas(struct cell *cell, struct cell *expected, struct cell desired)
{
	struct pair seen = {expected->meta, expected->value};
	bool done = cas_pair((struct pair *)cell, &seen, (struct pair){desired.meta, desired.value});
	expected->meta = seen.low;
	expected->value = seen.high;
	return done;
}

/* The futex word: the low half of meta (little-endian machines only, which both supported ones are). */
static inline uint32_t *cell_futex(struct cell *cell)
{
	return (uint32_t *)&cell->meta;
}

/* A blob reference: where (in units of 16 bytes from the segment's start) and which generation. 0 is none. */
typedef uint64_t blob_ref;
#define BLOB_GENERATION_BITS 24
#define BLOB_GENERATION_MASK ((1u << BLOB_GENERATION_BITS) - 1)

static inline blob_ref blob_ref_make(uint64_t offset, uint32_t generation)
{
	return offset / 16 << BLOB_GENERATION_BITS | (generation & BLOB_GENERATION_MASK);
}
static inline uint64_t blob_ref_offset(blob_ref ref)
{
	return (ref >> BLOB_GENERATION_BITS) * 16;
}
static inline uint32_t blob_ref_generation(blob_ref ref)
{
	return (uint32_t)ref & BLOB_GENERATION_MASK;
}

#endif
