/*
 * region.h: raw memory with a name, or a file as such.
 *
 *     memory file of a region
 *     0 ┌──────────────────────────┐
 *       │ the caller's bytes       │  usable: [0, size)
 *  size ├──────────────────────────┤
 *       │ may become usable        │  no access from here on, in each process that does not know better
 *  max  ├──────────────────────────┤
 *       │ (rounding)               │
 *       ├──────────────────────────┤
 *       │ struct region_control    │  the last bytes: written by the daemon, read by all
 *       └──────────────────────────┘
 *
 * The bytes are the callers': nothing of ours is among them. A file that a client hands over is the same without the
 * control page: its length is its size, and it is nobody's but the file's. Every process maps the whole of it once, so
 * that addresses stay when it grows, and opens access to what it has learnt to be there.
 *
 * Nothing here waits; each call may be made by any thread, but for create, map and unmap.
 */
#ifndef EMS_SHM_REGION_H
#define EMS_SHM_REGION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"

#define REGION_MAGIC	UINT64_C(0x314e474552534d45) /* "EMSREGN1" */
#define REGION_VERSION	1u
#define REGION_PAGE	((uint64_t)65536)   /* of the usual memory: a multiple of every machine's page */
#define REGION_PAGE_2M	((uint64_t)2 << 20) /* of hugetlb's */
#define REGION_PAGE_1G	((uint64_t)1 << 30)
#define REGION_CONTROL	REGION_PAGE	    /* bytes at the end that are not the callers' */
#define REGION_SIZE_MAX ((uint64_t)1 << 46) /* bytes: half of what a process can address on x86-64 */

/* Readers believe no more of it than that size may have grown: up to max_size, of which they have been told. */
struct region_control {
	uint64_t magic;
	uint32_t version;
	uint32_t header_size;
	uint64_t max_size;
	uint8_t id[16];
	uint64_t size;	  /* bytes that may be used; only grows */
	uint32_t changes; /* of size and dropped; futex word */
	uint32_t dropped; /* 1: the name is gone */
};
ASSERT_SIZE(struct region_control, 56);

struct shm_region {
	uint8_t *base;	   /* NULL: only the control page is mapped (the daemon's) */
	uint64_t map_size; /* bytes of address space at base */
	uint64_t max_size;
	uint64_t page_size;  /* of its memory: REGION_PAGE, REGION_PAGE_2M, REGION_PAGE_1G */
	uint64_t accessible; /* atomic: bytes that this process may touch; a multiple of page_size */
	uint64_t seen;	     /* atomic: what shm_region_size has found last */
	bool writable;
	int fd;				/* of a file, the region's to close; -1 otherwise */
	struct region_control *control; /* NULL for a file */
	void *control_page;
	uint64_t control_size; /* bytes mapped there */
};

/* What a region's memory costs, in bytes: its pages, the control page's among them. */
uint64_t shm_region_cost(uint64_t size, uint64_t page_size);

/*
 * The daemon's: makes the memory file, with `size` usable bytes of at most max_size. page_size: with larger pages than
 * REGION_PAGE the memory is taken at once; -ERROR_NO_MEMORY, -ERROR_UNSUPPORTED: there are not so many such pages.
 * *_fd is the caller's to close. 1 <= size <= max_size <= REGION_SIZE_MAX.
 */
int shm_region_create(struct shm_region *region, uint64_t size, uint64_t max_size, uint64_t page_size,
		      const uint8_t id[16], int *_fd);
/*
 * For the daemon that comes after the one which made it: maps the control page and writes it anew, for its clients may
 * have scribbled there. fd is borrowed. -ERROR_SYSTEM: that is no memory file of such a region.
 */
int shm_region_adopt(struct shm_region *region, int fd, uint64_t size, uint64_t max_size, uint64_t page_size,
		     const uint8_t id[16], bool dropped);
/* More of it may be used, and everybody is told; less changes nothing. fd: as yielded. As above. */
int shm_region_grow(struct shm_region *region, int fd, uint64_t size);
/* Wakes who sleeps on `changes`. */
void shm_region_tell(struct shm_region *region);
/* Tells everybody that the name is gone. */
void shm_region_drop(struct shm_region *region);

/*
 * A client's: maps what the daemon has sent. fd is borrowed. Distrusts it: -ERROR_CORRUPT, -ERROR_VERSION when length,
 * seals or control page are not what max_size and page_size say.
 */
int shm_region_map(struct shm_region *region, int fd, uint64_t max_size, uint64_t page_size, bool writable);
/* Maps a regular file, of which up to max_size bytes (0: its length) will be looked at. fd is taken in any case. */
int shm_region_map_file_take(struct shm_region *region, int fd, uint64_t max_size, bool writable);

void shm_region_unmap(struct shm_region *region);

/*
 * How many bytes there are now: never more than max_size; and what has been added since is made accessible.
 * A file may have become shorter: touching what is no longer there is SIGBUS, as with mmap(2).
 */
uint64_t shm_region_size(struct shm_region *region);
/* Makes a file longer, never shorter. -ERROR_NO_SPACE, -ERROR_UNSUPPORTED (a file system without fallocate), -ERROR_IO. */
int shm_region_grow_file(struct shm_region *region, uint64_t size);
/* Writes a file's pages to its disk; with `wait`, until they are there. Of memory there is nothing to write. */
int shm_region_flush(const struct shm_region *region, uint64_t offset, uint64_t size, bool wait);

#endif
