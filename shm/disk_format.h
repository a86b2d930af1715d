/*
 * disk_format.h: the bytes of a heap's file and of a journal. doc/FORMAT.md tells the same to strangers.
 *
 * All numbers are little-endian. PAGE is 4096 bytes. A file:
 *
 *     0        ┌────────────────────────────┐
 *              │ header, copy 0             │  struct disk_header
 *     4096     ├────────────────────────────┤
 *              │ header, copy 1             │  the valid one with the higher sequence counts; the other is older, or torn
 *     8192     ├────────────────────────────┤
 *              │ group 0: sums of its pages │  uint64_t [512], 0: this page is not stored, that is, zero
 *              │ group 0: pages 0 … 511     │  as in the segment; what is not stored is a hole
 *     +513 × 4096 ─────────────────────────┤
 *              │ group 1: …                 │  and so on: where a page lies follows from its number alone
 *              ├────────────────────────────┤
 *              │ journal                    │  only in a file that a client handed over, while a checkpoint is written
 *              └────────────────────────────┘
 *
 * The file ends behind the last page stored. A sum is that of the page's bytes, and of where it belongs (shm_disk_sum), so
 * that a page that was written to another's place is found out, too. The header has the number of pages stored and the total of
 * all sums modulo 2^64: who has read all pages knows that none of them, and no page of sums, is older than the header.
 *
 * A journal, a file in the state directory or the end of a file that was handed over:
 *
 *     0        ┌────────────────────────────┐
 *              │ head                       │  struct journal_block, JOURNAL_HEAD; its id is random
 *     4096     ├────────────────────────────┤
 *              │ batch: which pages         │  JOURNAL_BATCH, up to 251 entries of one heap
 *              │ batch: the pages           │  those with a sum other than 0, in the order of the entries
 *              ├ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─┤
 *              │ …                          │
 *              ├────────────────────────────┤
 *              │ headers, one of each heap  │  struct disk_header: what its header will be
 *              ├────────────────────────────┤
 *              │ commit                     │  JOURNAL_COMMIT: the sum of all blocks in front but pages, which batches have sums of
 *              └────────────────────────────┘
 *
 * It counts when everything in it is what the sums say, to the commit; otherwise it is nothing. A heap's part of it is to be done unless
 * the heap's file is gone or another one (`file`), or its header has a higher sequence than the one in the journal.
 */
#ifndef EMS_SHM_DISK_FORMAT_H
#define EMS_SHM_DISK_FORMAT_H

#include <stdint.h>

#include "base/macros.h"
#include "shm/layout.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "structs are the bytes on disk");

#define DISK_PAGE_SHIFT	 12
#define DISK_PAGE	 ((uint64_t)1 << DISK_PAGE_SHIFT)
#define DISK_GROUP_SHIFT 9 /* pages for each page of sums */
#define DISK_GROUP	 ((uint64_t)1 << DISK_GROUP_SHIFT)
#define DISK_GROUP_BYTES ((DISK_GROUP + 1) * DISK_PAGE)
#define DISK_GROUPS_AT	 (2 * DISK_PAGE)
#define DISK_SEGMENT_MAX \
	((uint64_t)1 << 46) /* bytes of a segment: REGION_SIZE_MAX, and more than any heap has */
#define DISK_PAGES_MAX (DISK_SEGMENT_MAX >> DISK_PAGE_SHIFT)

/* Not text, and not to be taken for it: an editor, or a transfer that changes ends of lines, spoils the first bytes. */
#define DISK_MAGIC                                          \
	{                                                   \
		0x89, 'E', 'M', 'S', '\r', '\n', 0x1a, '\n' \
	}
#define DISK_VERSION	    1u
#define DISK_FEATURES_KNOWN UINT64_C(0) /* bits of features_required that this program understands */
#define DISK_NAME_MAX	    255u

enum disk_kind {
	DISK_HEAP = 1,
	DISK_REGION = 2,
};

/* What a heap is, as its file says; also what callers give and get (shm/disk.h). */
struct disk_meta {
	uint8_t heap_id[16];	      /* random, never all zero; constant */
	uint32_t kind;		      /* enum disk_kind; constant */
	uint32_t segment_version;     /* of what the pages hold: SEGMENT_VERSION; of a region 0. Constant */
	uint64_t segment_size;	      /* bytes it may ever have, a multiple of DISK_PAGE; constant */
	struct heap_params params;    /* of a heap, as created; otherwise 0. Constant */
	uint64_t size;		      /* elements, or bytes of a region, now */
	uint64_t period;	      /* nanoseconds between checkpoints; 0: on demand only */
	uint64_t budget;	      /* most bytes of memory; 0: what the settings allow */
	uint64_t idle_seconds;	      /* dropped after so long without a client; 0: never */
	uint64_t created;	      /* CLOCK_REALTIME, nanoseconds; for people */
	uint8_t creation[16];	      /* how its creator named the request; may be zero */
	uint32_t uid, gid, mode;      /* mode: 0 … 0777 */
	uint32_t creator;	      /* uid: whose budget it is in */
	uint32_t lifetime;	      /* the caller's number */
	uint32_t name_size;	      /* bytes of name, at most DISK_NAME_MAX */
	char name[DISK_NAME_MAX + 1]; /* the rest is zero */
	uint8_t reserved[72];	      /* zero */
};
ASSERT_OFFSET(struct disk_meta, kind, 16);
ASSERT_OFFSET(struct disk_meta, segment_size, 24);
ASSERT_OFFSET(struct disk_meta, params, 32);
ASSERT_OFFSET(struct disk_meta, size, 80);
ASSERT_OFFSET(struct disk_meta, creation, 120);
ASSERT_OFFSET(struct disk_meta, uid, 136);
ASSERT_OFFSET(struct disk_meta, name_size, 156);
ASSERT_OFFSET(struct disk_meta, name, 160);
ASSERT_OFFSET(struct disk_meta, reserved, 416);
ASSERT_SIZE(struct disk_meta, 488);

struct disk_header {
	uint8_t magic[8];
	uint32_t version; /* of the format of the file; these first 16 bytes are the same in every version */
	uint32_t header_size;	    /* DISK_PAGE */
	uint64_t features_required; /* who does not know one of these bits must not open the file */
	uint64_t features_optional; /* who does not may open it */
	uint64_t sum;		    /* XXH3 of this struct, with 0 here */
	uint64_t sequence;   /* of the writings of the header: of two valid copies the higher one counts */
	uint64_t checkpoint; /* 0: nothing was stored yet */
	uint64_t checkpoint_time; /* CLOCK_REALTIME, nanoseconds; for people */
	uint64_t pages;		  /* stored */
	uint64_t total;		  /* of their sums, modulo 2^64 */
	uint64_t pages_end;	  /* number of the last page stored ever, + 1: how far the file must reach */
	uint64_t journal_at;	  /* where in this file its journal is; 0: its journal is a file of its own */
	uint64_t file; /* random, never 0: tells this file from another one of the same heap; constant */
	struct disk_meta meta;
	uint8_t reserved[4096 - 104 - sizeof(struct disk_meta)]; /* zero */
};
ASSERT_OFFSET(struct disk_header, version, 8);
ASSERT_OFFSET(struct disk_header, features_required, 16);
ASSERT_OFFSET(struct disk_header, sum, 32);
ASSERT_OFFSET(struct disk_header, pages, 64);
ASSERT_OFFSET(struct disk_header, meta, 104);
ASSERT_SIZE(struct disk_header, 4096);

#define JOURNAL_MAGIC UINT64_C(0x0a1a0a4c4e524a45) /* "EJRNL\n\x1a\n" */

enum journal_kind {
	JOURNAL_HEAD = 1,
	JOURNAL_BATCH = 2,
	JOURNAL_COMMIT = 3,
};

struct journal_entry {
	uint64_t page;
	uint64_t sum; /* 0: the page is no longer stored, and none is behind the block */
};

#define JOURNAL_ENTRIES 251u /* of a batch */

struct journal_block {
	uint64_t magic;
	uint32_t version; /* DISK_VERSION */
	uint32_t kind;
	uint64_t sum;	     /* XXH3 of this block, with 0 here */
	uint8_t id[16];	     /* of this journal */
	uint64_t number;     /* of batches in front of this block */
	uint32_t heap;	     /* of a batch: its number among the headers */
	uint32_t count;	     /* of a batch: its entries; of a commit: headers in front of it */
	uint64_t digest;     /* of a commit: XXH3 of all blocks and headers in front of it */
	uint8_t heap_id[16]; /* of a batch */
	struct journal_entry entries[JOURNAL_ENTRIES];
};
ASSERT_OFFSET(struct journal_block, sum, 16);
ASSERT_OFFSET(struct journal_block, id, 24);
ASSERT_OFFSET(struct journal_block, number, 40);
ASSERT_OFFSET(struct journal_block, digest, 56);
ASSERT_OFFSET(struct journal_block, heap_id, 64);
ASSERT_OFFSET(struct journal_block, entries, 80);
ASSERT_SIZE(struct journal_block, 4096);

/* Where a page lies in a file, and where the sums of its group do. page < DISK_PAGES_MAX. */
static inline uint64_t shm_disk_sums_at(uint64_t page)
{
	return DISK_GROUPS_AT + (page >> DISK_GROUP_SHIFT) * DISK_GROUP_BYTES;
}
static inline uint64_t shm_disk_page_at(uint64_t page)
{
	return shm_disk_sums_at(page) + (1 + page % DISK_GROUP) * DISK_PAGE;
}

/*
 * The sum of a page: XXH3_64bits_withSeed of its 4096 bytes, the seed being the first eight bytes of the heap's id plus
 * the page's number, modulo 2^64; 1 when that is 0.
 */
uint64_t shm_disk_sum(const void *bytes, const uint8_t heap_id[16], uint64_t page);
/* XXH3_64bits of DISK_PAGE bytes in which the eight at sum_at count as zero: of headers and blocks of a journal. */
uint64_t shm_disk_block_sum(const void *block, size_t sum_at);

#endif
