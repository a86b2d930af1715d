/*
 * The segment of a heap: what lies where. doc/LAYOUT has the drawings and reasons.
 *
 * A segment is one sparse memory file as large as the heap may ever become. It
 * is cut into areas; where they lie follows from the parameters alone
 * (layout_compute), so the daemon and each client compute it for themselves and
 * believe no offset that stands in the mapping.
 *
 *      +---------+------+--------+-------+-------+---------+-------+----------+---
 *      | header  | fill | commit | slots | locks | records | marks | elements | ...
 *      +---------+------+--------+-------+-------+---------+-------+----------+---
 *      ---+--------+--------------------+------+-------+--------+--------+---------+
 *         | groups | map tables 0..2k+1 | ring | stack | chunks | blocks | storage |
 *      ---+--------+--------------------+------+-------+--------+--------+---------+
 *
 * Areas start at multiples of UNIT (64 KiB), the granularity in which the daemon
 * commits memory: a page whose unit's commit bit is clear must not be touched, for
 * the first access, even a read, would allocate it unaccounted. Outside this rule are
 * slots, locks and records, which cost memory by the slot in use, and the blocks and
 * storage areas, whose memory comes with the chunk (shm/storage.h).
 */
#ifndef EMS_SHM_LAYOUT_H
#define EMS_SHM_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/cell.h"

#define SEGMENT_MAGIC	0x31307065684d4521ull /* "!EMhep01" */
#define SEGMENT_VERSION 1u

#define UNIT_SHIFT	16
#define UNIT		((uint64_t)1 << UNIT_SHIFT)
#define MARK_PAGE_SHIFT 12 /* one dirty mark for each 4096 bytes, whatever the machine's page is */

#define SLOT_COUNT	 4096u /* slot 0 is nobody; lock 0 is the recovery lock */
#define MAX_ELEMENTS	 ((uint64_t)1 << 36)
#define MAX_MAP_ELEMENTS ((uint64_t)1 << 32) /* a map slot has 32 bits for the element */
#define MAX_STORAGE	 ((uint64_t)1 << 40)
#define MAX_TABLES	 64u
#define MAX_FILL	 65536u /* bytes of a string, JSON or bytes fill value */

/* What a heap was created with. Immutable, but for elements, which may grow up to max_elements. */
struct heap_params {
	uint64_t elements;     /* 1 … max_elements */
	uint64_t max_elements; /* ≤ MAX_ELEMENTS, with a map ≤ MAX_MAP_ELEMENTS */
	uint64_t storage;      /* address space for blobs; a multiple of UNIT, ≤ MAX_STORAGE */
	uint64_t seed;	       /* of the key hash */
	uint64_t fill_value;   /* when fill_type is not a blob type */
	uint32_t fill_size;    /* when it is: bytes in the fill area */
	uint8_t fill_type;     /* enum cell_type, not TYPE_FILL */
	uint8_t initial_tag;   /* TAG_FULL or TAG_EMPTY */
	bool has_map;
	bool persistent; /* writers keep dirty marks */
};
_Static_assert(sizeof(struct heap_params) == 48, "compared byte by byte: no padding");

enum area {
	AREA_HEADER,
	AREA_FILL,
	AREA_COMMIT,   /* one bit for each UNIT of the segment; written by the daemon only */
	AREA_SLOTS,    /* struct slot [SLOT_COUNT] */
	AREA_LOCKS,    /* one UNIT each; the lock word 16 bytes before its end (shm/robust.h) */
	AREA_RECORDS,  /* one UNIT for each slot: transactions, read locks, leases */
	AREA_MARKS,    /* one byte for each 4096 bytes of the segment; empty unless persistent */
	AREA_ELEMENTS, /* struct cell, or with a map struct element, [max_elements] */
	AREA_GROUPS,   /* map: one bit for each 512 elements, "may hold a free one that was used before" */
	AREA_TABLES,   /* map: two tables for each size, doubling; see layout_table */
	AREA_RING,     /* the queue: struct cell [max_elements]; shm/ring.h */
	AREA_STACK,    /* struct cell [max_elements]; shm/stack.h */
	AREA_CHUNKS,   /* struct chunk [storage / UNIT] */
	AREA_BLOCKS,   /* block headers: uint64_t [BLOCKS_PER_CHUNK] for each chunk */
	AREA_STORAGE,  /* the chunks themselves */
	AREA_COUNT
};

struct layout {
	struct heap_params params;
	uint64_t offset[AREA_COUNT], size[AREA_COUNT]; /* size: bytes that have a meaning, not rounded */
	uint64_t segment_size;
	uint32_t element_shift; /* 4, with a map 5 */
	uint32_t chunks;
	uint32_t tables;	   /* number of table ids, 2 × sizes; 0 without map */
	uint32_t table_slots_log2; /* of the smallest table; id i has 2^(this + i/2) slots */
	uint64_t table_offset[MAX_TABLES];
};

/* With a map an element is 32 bytes: the cell and its key share a cache line. */
struct element_key {
	uint64_t word; /* the key itself when it fits, else a blob reference */
	uint64_t info; /* expiry 40 | binding 20 | kind 4 */
};
struct element {
	struct cell cell;
	struct element_key key;
};
_Static_assert(sizeof(struct element) == 32, "element");

#define GROUP_SHIFT 9 /* elements for each bit of AREA_GROUPS */

/* A block is found by its chunk; its header {generation, state, owner} is its truth. See shm/storage.h. */
#define BLOCKS_PER_CHUNK 2048u /* UNIT / 32, the smallest block */
struct chunk {
	uint64_t word;		/* state, class, owner, generation, count */
	uint32_t allocs, frees; /* hints: blocks taken by the owner; given back by others */
};
_Static_assert(sizeof(struct chunk) == 16, "chunk");

#define BELL_BUCKETS 63u

#define SIZE_CLASSES 32u /* at most; shm/storage.h says which are used */

/*
 * A client thread's record in the heap. Its first line is written on every
 * operation, by its owner only; everybody may read it. 512 bytes:
 *
 *      0    cur | intent state, cell, new, old, key, version | wait
 *      64   identity
 *      128  slabs it allocates from, 32 × 4
 *      256  chunk claims, element range, item to be pushed
 *      320  entries of the records in use: leases, read locks; its transaction; reserved
 */
enum intent {
	INTENT_NONE = 0,
	INTENT_CLAIM = 1,   /* blobs new and key are being claimed or filled; nothing refers to them yet */
	INTENT_REPLACE = 2, /* about to swap cell's blob old for new (either may be none); of the queue: a place
			       gets new, or gives old away */
	INTENT_RESERVE = 3, /* about to reserve free element cell, whose version becomes `version` */
	INTENT_PUBLISH = 4, /* cell is reserved at `version`; about to put it into the map */
	INTENT_DELETE = 5,  /* about to mark cell deleted, whose version becomes `version`; key and old are to
			       be released */
	INTENT_PUSH = 6,    /* about to push blob new: the stack's top is to lead to cell */
	INTENT_POP = 7,	    /* about to pop blob old, which cell of the stack holds */
};

#define CUR_NONE 1u /* in a step, no cell yet; cell offsets are multiples of 16 */

struct slot {
	uint64_t cur; /* 0: out of any step; else offset of the cell of the step, or CUR_NONE */
	uint64_t intent;
	uint64_t intent_cell; /* offset */
	blob_ref intent_new, intent_old, intent_key;
	uint64_t intent_version; /* cell_version() that identifies the reservation or deletion as this slot's
				  */
	uint64_t wait;		 /* offset of the cell it sleeps on, 0 none */

	uint32_t state; /* enum slot_state */
	uint32_t generation;
	uint64_t client;   /* the daemon's number of the client */
	uint32_t pid, tid; /* as the owner sees itself; for people */
	uint64_t since;	   /* CLOCK_BOOTTIME nanoseconds */
	uint64_t user;	   /* of a session that threads pass on: the user's slot and its generation << 32; or 0 */
	uint64_t reserved1[3];

	uint32_t slab[SIZE_CLASSES]; /* chunk + 1 that this slot allocates from, for each size class */

	uint32_t slab_claim; /* chunk + 1 being turned into a slab, or back */
	uint32_t extent_first,
		extent_count;		/* chunks being claimed or released for a large blob; count 0: none */
	uint32_t group_claim;		/* group + 1 whose hint bit this slot may have cleared in error */
	uint64_t range_next, range_end; /* never-used elements that this slot has set apart */
	uint64_t push_type, push_value; /* what it pushes, while the stack's top names this slot (shm/stack.h) */
	uint64_t reserved2[2];

	uint64_t lease_high; /* entries of the record from here on were never leases (shm/lease.h) */
	uint32_t reads_high; /* entries of the record of read locks in use are all below (shm/reader.h) */
	uint32_t pad_reads;
	uint64_t transaction; /* number and state of its transaction (shm/transaction_record.h) */
	uint64_t reserved3[21];
};

enum slot_state {
	SLOT_FREE = 0,
	SLOT_TAKEN = 1,
	SLOT_LEAVING = 2, /* the owner, or a recoverer, is giving its resources back */
};

enum table_state {
	TABLE_NEVER = 0, /* not committed */
	TABLE_USED = 1,	 /* in use, or was: to be cleared before it is used again */
	TABLE_READY = 2, /* committed and all zero */
};

/*
 * The header. The first page is written once, at creation. The second holds
 * the words that change, each hot one on a cache line of its own.
 */
struct header {
	uint64_t magic;
	uint32_t version, header_size;
	uint64_t segment_size;
	struct heap_params params;
	uint8_t heap_id[16]; /* random; tells a heap from a later one of the same name */
	uint8_t reserved0[4096 - 24 - sizeof(struct heap_params) - 16];

	/* 4096 */
	uint32_t gate; /* 1: the daemon takes a checkpoint; new steps wait (futex) */
	uint32_t pad_gate[15];
	uint32_t dirty; /* persistent: was something written since the last checkpoint? (shm/segment.h; futex) */
	uint32_t checkpoints; /* of attempts that have ended; written by the daemon (futex) */
	uint64_t group; /* heaps with the same one, not 0, are checkpointed at one moment; by the daemon, which does not believe it */
	uint32_t pad_dirty[12];
	uint32_t dropped; /* 1: the name is gone; those attached go on (futex) */
	uint32_t quarantined;
	uint64_t elements; /* now */
	uint64_t pad_life[6];
	uint64_t map;	     /* sequence 32 | next table id + 1: 16 | current table id 16 */
	uint64_t map_cursor; /* next block of slots to bring over, while there is a next table */
	uint64_t map_keys;   /* hint: entries made in the current table, tombstones included */
	uint64_t pad_map[5];
	uint64_t element_next; /* elements from here on were never set apart for anybody */
	uint64_t pad_element[7];
	uint64_t group_cursor;
	uint64_t pad_group[7];
	uint32_t chunks_free; /* hint */
	uint32_t chunks_high; /* committed chunks are all below; written by the daemon */
	uint32_t chunk_cursor;
	uint32_t pad_chunk[13];
	uint32_t partial[SIZE_CLASSES]; /* hint: chunk + 1 with free blocks and no owner */
	uint64_t ring_head;	/* positions that follow what the cells say; see shm/ring.h */
	uint64_t ring_passed;	/* no place from here on was ever leased, or taken before one in front of it */
	uint64_t ring_search[2]; /* position, generation: a hint where the first item behind leased ones is */
	uint64_t pad_head[4];
	uint64_t ring_tail, pad_tail[7];
	struct cell stack_top; /* value: how many items; own: the slot whose push is not in its cell yet */
	uint64_t pad_top[6];
	uint32_t slots_high; /* slots ever used are all below */
	uint32_t recoveries; /* how many slots were recovered; for people */
	uint32_t pad_slots[14];
	uint32_t bell, bell_counts[BELL_BUCKETS]; /* for those who wait from an event loop: shm/bell.h */
	uint8_t table_used[MAX_TABLES]; /* enum table_state; see shm/map_grow.c */
};
_Static_assert(sizeof(struct slot) == 512, "slot");
_Static_assert(offsetof(struct slot, state) == 64 && offsetof(struct slot, slab) == 128, "slot lines");
_Static_assert(offsetof(struct slot, slab_claim) == 256 && offsetof(struct slot, lease_high) == 320,
	       "slot lines");
_Static_assert(offsetof(struct header, gate) == 4096, "mutable part starts a page");
_Static_assert(offsetof(struct header, dirty) == 4096 + 64 &&
		       offsetof(struct header, dropped) == 4096 + 128 &&
		       offsetof(struct header, map) == 4096 + 192 &&
		       offsetof(struct header, element_next) == 4096 + 256 &&
		       offsetof(struct header, group_cursor) == 4096 + 320 &&
		       offsetof(struct header, chunks_free) == 4096 + 384 &&
		       offsetof(struct header, partial) == 4096 + 448 &&
		       offsetof(struct header, ring_head) == 4096 + 576 &&
		       offsetof(struct header, ring_search) % sizeof(struct pair) == 0 &&
		       offsetof(struct header, ring_tail) == 4096 + 640 &&
		       offsetof(struct header, stack_top) == 4096 + 704 &&
		       offsetof(struct header, slots_high) == 4096 + 768 &&
		       offsetof(struct header, bell) == 4096 + 832,
	       "hot words have lines of their own");
_Static_assert(sizeof(struct header) <= 8192, "header");

/*
 * Checks params and computes the layout. Pure.
 * -ERROR_RANGE: a number is zero, too large, or contradicts another.
 */
int layout_compute(struct layout *layout, const struct heap_params *params);

/* Where map table `id` lies and how many slots (8 bytes each) it has. id < layout->tables. */
static inline uint64_t layout_table_offset(const struct layout *layout, uint32_t id)
{
	return layout->table_offset[id];
}
static inline uint64_t layout_table_slots(const struct layout *layout, uint32_t id)
{
	return (uint64_t)1 << (layout->table_slots_log2 + id / 2);
}

/* True when offset is that of a cell: an element, or a place of the queue or stack. */
bool layout_is_cell(const struct layout *layout, uint64_t offset);
/* … or what else threads sleep on as if it were one: the stack's top. */
bool layout_is_waited_on(const struct layout *layout, uint64_t offset);

#endif
