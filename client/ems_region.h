/*
 * ems_region.h: named raw memory, and counters in it.
 *
 * A part of <ems.h>, which includes it; what stands there about errors, threads, fork and deadlines holds here.
 */
#ifndef EMS_H
#error "include <ems.h>"
#endif
#ifndef EMS_REGION_H
#define EMS_REGION_H

/* ---- regions: named raw memory ------------------------------------------------------------------ */

/*
 * A region is memory as it is, from its first byte: nothing of the library's is in it. It has a name, an owner and a mode
 * like a heap, and shares its namespace (EMS_EMISMATCH: the name is a heap's). Two processes that write the same bytes at
 * the same time get what the machine makes of it; the counters below are atomic. A process that dies leaves what it
 * wrote.
 */
typedef struct ems_region ems_region_t;

typedef enum ems_pages {
	EMS_PAGES_DEFAULT = 0,
	EMS_PAGES_TRANSPARENT = 1, /* the system makes large pages of small ones, when it can */
	EMS_PAGES_2M =
		2, /* pages that were set aside for this (hugetlb): a region's own, from its creation */
	EMS_PAGES_1G = 3
} ems_pages_t;

/*
 * Zero means the default. size, max_size, pages (but transparent ones), mode, budget, until_detached, idle_seconds and
 * persistent are those of a new region; with EMS_OPEN_OR_CREATE a size or max_size that is stated must be that of
 * the region's creation. The others are of this opening: what is not granted is no error, but told by ems_region_info.
 */
typedef struct ems_region_options {
	uint64_t size;	   /* bytes; required of a new one. Of a file: it is made so long if it is shorter */
	uint64_t max_size; /* up to which it can grow; costs address space only. Default: size */
	uint64_t budget;   /* bytes of memory it may use; default: the daemon's */
	ems_pages_t pages;
	bool read_only;	     /* map for reading only; a store is SIGSEGV */
	bool populate;	     /* have all pages at once, not each at its first use */
	bool interleave;     /* spread pages over the machine's memory nodes */
	uint32_t lock;	     /* percent of it, from the beginning, that are never swapped out (mlock(2)) */
	bool persistent;     /* survives the machine's restart: EMS_EUNSUPPORTED today */
	bool until_detached; /* dropped when the last client detaches */
	uint32_t mode;	     /* like a heap's; default 0600 */
	uint32_t idle_seconds;
} ems_region_options_t;

/* Opens or creates a region by name, as ems_heap_open does a heap. Each opening maps it anew. *region is the caller's,
 * for ems_region_close. */
int ems_region_open(ems_connection_t *connection, const char *name, ems_open_t how,
		    const ems_region_options_t *options, ems_region_t **region);
/*
 * A file as a region: fd is of a regular file that the caller has opened for reading and writing (for reading, with
 * read_only), and stays the caller's. Its bytes are the region's: what is stored is in the file, for everybody who
 * reads it, and on the disk when the system has written it: ems_region_flush waits for that. After a power cut each page
 * of the file is as it was at some moment since the last flush, and not all as of the same moment.
 * Processes that open one file, by whatever path, share one region, which emsd knows by device and inode and which
 * goes with its last client. options (may be NULL): size, max_size, read_only, populate, lock, pages, interleave count.
 * EMS_EINVALID: not a regular file. EMS_EACCESS: not open for that. EMS_ERANGE: empty, and no size is given.
 */
int ems_region_file(ems_connection_t *connection, int fd, const ems_region_options_t *options,
		    ems_region_t **region);
/* Unmaps it. Pointers into it are of no more use. NULL is allowed. */
void ems_region_close(ems_region_t *region);

/*
 * The first byte, and in *size (may be NULL) how many there are now. The address stays, whoever grows it. What others have
 * added becomes accessible with this call. A file that somebody has cut off has fewer: touching what is behind its
 * end is SIGBUS. NULL: a handle from before a fork. View it as what you like:
 *      double *numbers = ems_region_bytes(region, &size);
 */
void *ems_region_bytes(ems_region_t *region, uint64_t *size);

/* Makes it larger, at most max_size (EMS_ERANGE); a smaller size changes nothing. EMS_EBUDGET, EMS_EREADONLY. A file:
 * EMS_ENOSPACE, EMS_EUNSUPPORTED by a file system that cannot set space aside. */
int ems_region_grow(ems_region_t *region, uint64_t size);

/* Has a file's bytes [offset, offset + size) written to its disk; with wait, returns when they are there. size 0: up to the
 * end. Of other regions there is nothing to write. EMS_ERANGE, EMS_EIO. */
int ems_region_flush(ems_region_t *region, uint64_t offset, uint64_t size, bool wait);

/* A wish, and what came of it. */
typedef struct ems_grant {
	uint64_t asked, granted;
	const char *why; /* of less than was asked, in words; else "" */
} ems_grant_t;

typedef struct ems_region_info {
	char name[256];
	uint64_t size, max_size;
	bool read_only, file, dropped; /* of a file dropped is never seen */
	ems_grant_t pages;	       /* bytes of a large page */
	ems_grant_t populated;	       /* bytes */
	ems_grant_t locked;	       /* bytes */
	ems_grant_t interleaved;       /* memory nodes */
} ems_region_info_t;

int ems_region_info(ems_region_t *region, ems_region_info_t *info);

/* ---- counters ------------------------------------------------------------------------------------ */

/*
 * 64-bit integers in memory that is shared: each function is one atomic instruction of the machine where it has one, sequentially
 * consistent, and returns the old value. For any int64_t that is 8-byte aligned, in a region or elsewhere; sums
 * wrap around. An unsigned counter is the same 64 bits: cast its pointer. Not for read-only memory, but for get.
 */
static inline int64_t ems_counter_get(const int64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_SEQ_CST);
}
static inline void ems_counter_set(int64_t *counter, int64_t value)
{
	__atomic_store_n(counter, value, __ATOMIC_SEQ_CST);
}
static inline int64_t ems_counter_add(int64_t *counter, int64_t number)
{
	return __atomic_fetch_add(counter, number, __ATOMIC_SEQ_CST);
}
static inline int64_t ems_counter_sub(int64_t *counter, int64_t number)
{
	return __atomic_fetch_sub(counter, number, __ATOMIC_SEQ_CST);
}
static inline int64_t ems_counter_and(int64_t *counter, int64_t mask)
{
	return __atomic_fetch_and(counter, mask, __ATOMIC_SEQ_CST);
}
static inline int64_t ems_counter_or(int64_t *counter, int64_t mask)
{
	return __atomic_fetch_or(counter, mask, __ATOMIC_SEQ_CST);
}
static inline int64_t ems_counter_xor(int64_t *counter, int64_t mask)
{
	return __atomic_fetch_xor(counter, mask, __ATOMIC_SEQ_CST);
}
static inline int64_t ems_counter_exchange(int64_t *counter, int64_t value)
{
	return __atomic_exchange_n(counter, value, __ATOMIC_SEQ_CST);
}
/* Stores desired if it is *expected; else *expected becomes what it is. True: stored. */
static inline bool ems_counter_cas(int64_t *counter, int64_t *expected, int64_t desired)
{
	return __atomic_compare_exchange_n(counter, expected, desired, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

/*
 * The same at an offset of a region, checked: EMS_ERANGE (behind its end), EMS_EINVALID (not a multiple of 8),
 * EMS_EREADONLY. old may be NULL.
 */
int ems_region_get(ems_region_t *region, uint64_t offset, int64_t *value);
int ems_region_set(ems_region_t *region, uint64_t offset, int64_t value);
int ems_region_add(ems_region_t *region, uint64_t offset, int64_t number, int64_t *old);
int ems_region_sub(ems_region_t *region, uint64_t offset, int64_t number, int64_t *old);
int ems_region_and(ems_region_t *region, uint64_t offset, int64_t mask, int64_t *old);
int ems_region_or(ems_region_t *region, uint64_t offset, int64_t mask, int64_t *old);
int ems_region_xor(ems_region_t *region, uint64_t offset, int64_t mask, int64_t *old);
int ems_region_exchange(ems_region_t *region, uint64_t offset, int64_t value, int64_t *old);
int ems_region_cas(ems_region_t *region, uint64_t offset, int64_t expected, int64_t desired, int64_t *old,
		   bool *swapped);

/* ---- sets of counters ---------------------------------------------------------------------------- */

/*
 * Numbered counters in a region, with a head of 16 bytes that says how many there are: "EMMAP01\n", the number,
 * and the counters, each 64 bits, little-endian. Over a file it is the file of emmap's counters, of this or another program.
 */
typedef struct ems_counters ems_counters_t;

/*
 * The counters of a region: those that are there, and more until there are `count`, which begin at 0 and for which the region
 * grows (EMS_ERANGE: beyond its max_size). In a region of zeros a set is made. Any number of processes may do so at the
 * same time. The region must stay open. EMS_ECORRUPT: something else is in the region, or it was cut off. EMS_EREADONLY:
 * there are not so many. *counters is the caller's, for ems_counters_close.
 */
int ems_counters_open(ems_region_t *region, uint64_t count, ems_counters_t **counters);
/* Forgets the handle; the counters stay. NULL is allowed. */
void ems_counters_close(ems_counters_t *counters);
/* How many there are now. */
int ems_counters_count(ems_counters_t *counters, uint64_t *count);
/* Each is one atomic step. *old (may be NULL): the value before. EMS_ERANGE: no such counter. EMS_EREADONLY. */
int ems_counters_get(ems_counters_t *counters, uint64_t number, int64_t *value);
int ems_counters_set(ems_counters_t *counters, uint64_t number, int64_t value, int64_t *old);
int ems_counters_add(ems_counters_t *counters, uint64_t number, int64_t amount, int64_t *old);
int ems_counters_sub(ems_counters_t *counters, uint64_t number, int64_t amount, int64_t *old);

/* ---- blocks ------------------------------------------------------------------------------------- */

/*
 * Blocks of one size in a region, numbered from 0: storing takes the lowest that is free. Any number of processes store, read
 * and free at the same time, and may be killed at any instruction: a block is stored wholly or not at all, and none is lost.
 * EMS_EBUSY: 64 others are at it, and have been stopped. EMS_EREADONLY.
 */
typedef struct ems_blocks ems_blocks_t;

typedef struct ems_blocks_options {
	uint32_t block_size; /* bytes; required when there are no blocks yet, else they must have it (EMS_EMISMATCH) */
	uint32_t capacity;   /* how many there can be; default 262144, or as many as there are */
	bool discard;	     /* throw away what is in the region; nobody else may use it meanwhile */
} ems_blocks_options_t;

/*
 * The blocks of a region, which are made if the region is all zeros at its beginning. The region must stay open; it grows by itself
 * with the blocks, up to its max_size. options may be NULL. EMS_ECORRUPT: something else is in it. *blocks is the
 * caller's, for ems_blocks_close.
 */
int ems_blocks_open(ems_region_t *region, const ems_blocks_options_t *options, ems_blocks_t **blocks);
/* Forgets the handle; the blocks stay. NULL is allowed. */
void ems_blocks_close(ems_blocks_t *blocks);

/* size must be the block size (EMS_EINVALID). *number (may be NULL): where it is. EMS_EFULL; what ems_region_grow says. */
int ems_block_store(ems_blocks_t *blocks, const void *data, size_t size, uint64_t *number);
/* A copy of it, as one store has left it. data may be NULL: is it there? EMS_EEMPTY: nothing is stored there. EMS_ERANGE. */
int ems_block_read(ems_blocks_t *blocks, uint64_t number, void *data, size_t size);
/* Another store may have its place. EMS_EEMPTY: nothing is stored there. */
int ems_block_free(ems_blocks_t *blocks, uint64_t number);

/*
 * The stored blocks, highest first, in pieces: begin with *below UINT64_MAX, and call until it is 0. Each call looks at
 * 65,536 blocks at most, and yields at most room of them: numbers [room], and, if data is not NULL, what they hold, one
 * behind the other. *count: how many it has found; 0 is not the end.
 */
int ems_blocks_list(ems_blocks_t *blocks, uint64_t *below, uint64_t *numbers, void *data, size_t room, size_t *count);
/*
 * After somebody has scribbled, or a power cut has mixed the pages of a file: makes good what does not fit together in blocks
 * [*from, *from + count), and moves *from behind them; at the end it is the capacity. In pieces is as at once, and others may go on
 * meanwhile. *mended (may be NULL): how many blocks. What has been stored stays, if it can be told.
 */
int ems_blocks_repair(ems_blocks_t *blocks, uint64_t *from, uint64_t count, uint64_t *mended);

typedef struct ems_blocks_info {
	uint32_t block_size, capacity;
	uint64_t first, distance; /* bytes: block n's data is at first + n * distance of the region */
} ems_blocks_info_t;

int ems_blocks_info(ems_blocks_t *blocks, ems_blocks_info_t *info);

#endif
