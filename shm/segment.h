/*
 * A mapped segment, and the daemon's side of it: creation, committing memory,
 * taking memory back. doc/LAYOUT says why each step is safe.
 */
#ifndef EMS_SHM_SEGMENT_H
#define EMS_SHM_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "shm/layout.h"
#include "shm/robust.h"

struct shm_segment;

/*
 * Who gives a writer more memory: the daemon, over the client's connection (or,
 * in tests, shm_local_supply, which does the daemon's part in place). Called
 * outside of any step; may block. Each returns 0 or a negative ERROR_ code
 * (-ERROR_BUDGET when refused).
 */
struct shm_supply {
	int (*units)(void *context, struct shm_segment *seg, uint64_t first, uint64_t count);
	int (*storage)(void *context, struct shm_segment *seg, uint32_t chunks); /* so many in a row */
	int (*table)(void *context, struct shm_segment *seg, uint32_t id);	 /* ready for use, all zero */
	void (*trim)(void *context, struct shm_segment *seg); /* hint: chunks are free; must not block */
};

/*
 * The other segments that this process has: a transaction may span some of them (shm/transaction.h). visit calls look with the one of that
 * heap, which stays for so long, and returns what look does. -ERROR_NOT_FOUND: there is no such heap any more;
 * -ERROR_BUSY: not known here, or not now. Must not block.
 */
typedef int shm_neighbour_look(const struct shm_segment *seg, void *arg);
struct shm_neighbours {
	int (*visit)(void *context, const uint8_t heap_id[16], shm_neighbour_look *look, void *arg);
};

struct shm_segment {
	uint8_t *base;
	struct layout layout; /* computed here, never read from the mapping */
	bool writable;
	bool elements_whole;	  /* the whole elements area is committed: reads skip the commit map */
	uint8_t hash_secret[192]; /* of the key hash, from the heap's seed (shm/map.h) */
	const struct shm_supply *supply;
	void *supply_context;
	const struct shm_neighbours *neighbours; /* NULL: none are known */
	void *neighbours_context;
	struct shm_robust gate_lock; /* while this process holds the gate up */
	uint32_t recover_from;	     /* slot where the next recovery begins; with lock 0 (shm/recover.c) */
};

/*
 * Makes a new segment: a sealed memory file (mode 0600, sparse), its header, the
 * first units. fill: params->fill_size bytes when fill_type is a blob type.
 * heap_id: 16 random bytes. On success *fdp is the caller's to close, and seg is
 * mapped for writing. seg->supply is shm_local_supply until the caller sets another.
 */
int shm_segment_create(struct shm_segment *seg, const struct heap_params *params, const void *fill,
		       const uint8_t heap_id[16], int *fdp);

/*
 * Maps a segment that came from elsewhere. fd is not consumed, and not needed afterwards. Distrusts it: size,
 * seals, magic, version and geometry must be what params say (-ERROR_CORRUPT, -ERROR_VERSION otherwise). The
 * mapping is not inherited by children and not dumped in core files.
 */
int shm_segment_map(struct shm_segment *seg, int fd, const struct heap_params *params, bool writable);
/*
 * The same for the daemon that takes over from one that died, writable. A header that is not what params and
 * heap_id say is -ERROR_CORRUPT like anything else, but then the segment is mapped: its file is ours.
 */
int shm_segment_adopt(struct shm_segment *seg, int fd, const struct heap_params *params,
		      const uint8_t heap_id[16]);
/*
 * Maps one for reading only, to be examined: a header that is not what params say is no error then, for nothing in it is believed.
 */
int shm_segment_examine(struct shm_segment *seg, int fd, const struct heap_params *params);
/* The part of the header that never changes is as it was written. */
bool shm_segment_is_whole(const struct shm_segment *seg, const uint8_t heap_id[16]);
void shm_segment_unmap(struct shm_segment *seg);
/* This process will not look at it for a while: its pages count for those who do. They come back by themselves. */
void shm_segment_rest(struct shm_segment *seg);
static inline void shm_segment_unmapp(struct shm_segment *seg)
{
	shm_segment_unmap(seg);
}

static inline struct header *shm_header(const struct shm_segment *seg)
{
	return (struct header *)seg->base;
}
static inline void *shm_at(const struct shm_segment *seg, uint64_t offset)
{
	return seg->base + offset;
}
static inline void *shm_area(const struct shm_segment *seg, enum area area)
{
	return seg->base + seg->layout.offset[area];
}
static inline uint64_t shm_offset(const struct shm_segment *seg, const void *p)
{
	return (uint64_t)((const uint8_t *)p - seg->base);
}
static inline struct slot *shm_slot(const struct shm_segment *seg, uint32_t id)
{
	return (struct slot *)shm_area(seg, AREA_SLOTS) + id;
}
/* Slots ever used are all below; clamped. */
static inline uint32_t shm_slots_high(const struct shm_segment *seg)
{
	uint32_t high = load32_acquire(&shm_header(seg)->slots_high);

	return high <= SLOT_COUNT ? high : SLOT_COUNT;
}
/* The cell of element index; index < layout.params.max_elements. Its unit may not be committed. */
static inline struct cell *shm_cell(const struct shm_segment *seg, uint64_t index)
{
	return (struct cell *)(seg->base + seg->layout.offset[AREA_ELEMENTS] +
			       (index << seg->layout.element_shift));
}
static inline uint64_t shm_elements(const struct shm_segment *seg)
{
	uint64_t n = load64_acquire(&shm_header(seg)->elements);
	return n <= seg->layout.params.max_elements ? n : seg->layout.params.max_elements;
}

/* May the bytes at offset be touched? (Not for AREA_LOCKS and the storage area, which have rules of their
 * own.) */
static inline bool shm_committed(const struct shm_segment *seg, uint64_t offset)
{
	const uint64_t *map = shm_area(seg, AREA_COMMIT);
	uint64_t unit = offset >> UNIT_SHIFT;
	return load64_acquire(&map[unit / 64]) >> (unit % 64) & 1;
}

/*
 * Dirty marks: called inside a step and before the store (shm/slot.h). One byte
 * for each 4096 bytes: clean, dirty, or in flight (copied by a checkpoint that is
 * not on disk yet). A volatile heap keeps none.
 */
enum { MARK_CLEAN = 0, MARK_DIRTY = 1, MARK_IN_FLIGHT = 2 };
/* header.dirty. Who marks the first page of a heap that is watched wakes the daemon, with one system call. */
enum { DIRTY_NO = 0, DIRTY_YES = 1, DIRTY_WATCHED = 2 };
void shm_mark_slow(struct shm_segment *seg, uint64_t offset, uint64_t size);
static inline void shm_mark(struct shm_segment *seg, const void *p, uint64_t size)
{
	if (seg->layout.params.persistent)
		shm_mark_slow(seg, shm_offset(seg, p), size);
}

/* A store to p needs no mark, or has it already. Inside a step. */
static inline bool shm_is_marked(const struct shm_segment *seg, const void *p)
{
	const uint8_t *marks;

	if (!seg->layout.params.persistent)
		return true;
	marks = shm_area(seg, AREA_MARKS);
	return load8_relaxed(&marks[shm_offset(seg, p) >> MARK_PAGE_SHIFT]) == MARK_DIRTY &&
	       load32_relaxed(&shm_header(seg)->dirty) == DIRTY_YES;
}

/* ---- the daemon's side; one caller at a time for each segment ---- */

/* Lets units [first, first+count) be touched. Idempotent. *added: how many were not committed before. */
int shm_commit_units(struct shm_segment *seg, uint64_t first, uint64_t count, uint64_t *added);
/* How many bytes that call would add to what the heap is charged. */
uint64_t shm_commit_units_cost(const struct shm_segment *seg, uint64_t first, uint64_t count);
/* Turns `chunks` neighbouring HOLE chunks into FREE ones (some may be FREE already). -ERROR_NO_SPACE: no such
 * run is left. *added: bytes. */
int shm_commit_storage(struct shm_segment *seg, uint32_t chunks, uint64_t *added);
/* Makes map table id ready: committed and all zero. A used one is cleared behind the gate: -ERROR_BUSY when
 * a stopped client inside a step prevents it now. */
int shm_prepare_table(struct shm_segment *seg, uint32_t id, uint64_t *added);
/* More elements (at most max_elements): everybody may use them from now on, and those who wait for room in the queue
 * or the stack are woken. */
void shm_grow(struct shm_segment *seg, uint64_t elements);
/* What a committed chunk of storage is charged: itself and its block headers. */
#define CHUNK_CHARGE (UNIT + BLOCKS_PER_CHUNK * sizeof(uint64_t))
/*
 * Gives whole free chunks, beyond `keep`, back to the system, `most` of them at a time, for each takes a while. Returns the
 * bytes by which the charge sinks: when that is most × CHUNK_CHARGE, there may be more to give.
 */
uint64_t shm_trim(struct shm_segment *seg, uint32_t keep, uint32_t most);
/* Bytes the heap is charged: committed units and chunks. Walks the commit map and the chunk table. */
uint64_t shm_committed_bytes(const struct shm_segment *seg);

/* Raises the gate and waits until every slot is out of its step or dead; -ERROR_BUSY (gate lowered again)
 * after 20 ms, also when somebody is recovering for so long. While it is up nobody changes the segment but the
 * caller. */
int shm_gate_raise(struct shm_segment *seg);
void shm_gate_lower(struct shm_segment *seg);
/* The same for several at once: there is a moment at which nobody is inside a step in any of them. All or none. */
int shm_gate_raise_all(struct shm_segment *const segs[], size_t count);
void shm_gate_lower_all(struct shm_segment *const segs[], size_t count);
/* For who holds lock 0: a gate that is up now is that of a dead daemon, and is lowered. */
void shm_gate_settle(struct shm_segment *seg);

/* Does the daemon's part in place, for tests and offline tools; no context. */
extern const struct shm_supply shm_local_supply;

#endif
