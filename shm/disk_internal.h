/*
 * disk_internal.h: what the files shm/disk*.c share.
 *
 *     disk_trouble, disk_sum, disk_system    errors in words; checksums; the system's calls
 *     disk_header                            choosing, checking and writing copies of a header
 *     disk_heap                              opening, creating, changing, dropping one file
 *     disk_store                             the folder: what is in it, and what is left in it by a power cut
 *     disk_journal, disk_scan, disk_apply    writing one; is one whole; doing what one says
 *     disk_checkpoint                        from begin to settle
 *     disk_load                              reading
 *
 * What a failed barrier means here: the kernel has told of it once, may have marked the pages as clean, and shows
 * their new contents to whoever reads. So (1) who retries writes everything again; (2) of the two copies of a header, the one that
 * a barrier has confirmed is never overwritten; (3) who opens a file cannot know whether what it reads is on the disk, as
 * a daemon before may have had such a failure: before it overwrites something because something else is there, it
 * writes that something else once more.
 */
#ifndef EMS_SHM_DISK_INTERNAL_H
#define EMS_SHM_DISK_INTERNAL_H

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "shm/disk.h"

#define DISK_NAME_SIZE	    40 /* of a file in the store */
#define DISK_SUFFIX	    ".ems"
#define DISK_SUFFIX_NEW	    ".new"
#define DISK_JOURNAL_PREFIX "journal-"

/* A journal keeps this much of its file when it is void: blocks that are there already are faster. */
#define DISK_JOURNAL_KEEP ((uint64_t)1 << 20)
#define DISK_BATCH_BYTES  ((1 + JOURNAL_ENTRIES) * DISK_PAGE)

enum journal_state {
	JOURNAL_VOID,	 /* says nothing that has not been done */
	JOURNAL_WRITING, /* a checkpoint is being written there, without its commit record */
	JOURNAL_SUSPECT, /* the commit record may be on the disk or not: to be made void before its heaps change */
	JOURNAL_COMMITTED, /* to be done */
};

struct disk_part {
	struct disk_header header; /* what the heap's will be */
	bool overtaken;		   /* another journal has a newer one */
};

struct disk_journal {
	const struct shm_disk_io *io;
	int fd;		 /* of a handed-over file: borrowed from the heap */
	uint64_t at;	 /* where it begins there */
	uint32_t number; /* of a store's: its name */
	enum journal_state state;
	bool confirmed; /* a committed one: on the disk for sure */
	uint8_t id[16];
	uint64_t batches;
	uint64_t end;	   /* bytes written, from `at` */
	uint64_t reserved; /* bytes, from `at` */
	struct disk_part *parts;
	size_t count;
	struct disk_journal *next; /* of the store */
};

struct shm_disk {
	const struct shm_disk_io *io;
	int folder;
	struct disk_journal *journals;
	struct shm_disk_heap *heaps; /* open */
};

struct shm_disk_heap {
	const struct shm_disk_io *io;
	struct shm_disk *disk;	    /* NULL: handed over */
	struct shm_disk_heap *next; /* of the store */
	int fd;
	int read_only;		       /* errno that says why it cannot be written; 0: it can */
	struct shm_disk_status status; /* when it was opened */
	struct disk_header header;     /* of the last checkpoint committed */
	uint64_t sequence;	 /* the highest ever given to a header of it, whether that got there or not */
	unsigned copy;		 /* of the header: the one not to be overwritten */
	bool confirmed;		 /* that one is on the disk for sure */
	bool busy;		 /* in a checkpoint */
	bool pending;		 /* header is that of a checkpoint that is in a journal still */
	struct disk_journal own; /* of a handed-over one */
};

/* Fills in *trouble, unless NULL; returns the negated code that belongs to it. heap_id may be NULL. */
int shm_disk_fail(struct shm_disk_trouble *trouble, enum shm_disk_what what, int number,
		  const uint8_t *heap_id, uint64_t offset);
/* The same for r, a negated errno from the table of calls; `otherwise` when the errno says no more than that. */
int shm_disk_fail_errno(struct shm_disk_trouble *trouble, enum shm_disk_what otherwise, int r,
			const uint8_t *heap_id, uint64_t offset);

/* ---- disk_header ---- */

/* Fills in what the sum is over, and the sum. */
void shm_disk_header_seal(struct disk_header *header);
/* What is wrong with this copy, by itself; SHM_DISK_NONE. */
enum shm_disk_what shm_disk_header_check(const struct disk_header *header);
/* Is this what a heap can be? */
bool shm_disk_meta_valid(const struct disk_meta *meta);
/* May a heap that is `old` become `meta`: is all that is constant the same? */
bool shm_disk_meta_may_become(const struct disk_meta *old, const struct disk_meta *meta);
/* The bytes that a file has at least with this header; where its journal would be in a handed-over one. */
uint64_t shm_disk_file_end(const struct disk_header *header);
uint64_t shm_disk_journal_at(const struct disk_meta *meta);
/* Reads both copies; which counts, *_copy. */
int shm_disk_header_read(const struct shm_disk_io *io, int fd, const uint8_t *heap_id,
			 struct disk_header *header, unsigned *_copy, struct shm_disk_trouble *trouble);
/* The copy that is not to be overwritten is on the disk for sure, after this. */
int shm_disk_header_confirm(struct shm_disk_heap *heap, struct shm_disk_trouble *trouble);
/*
 * Writes the header, not to where it would be missed. After a barrier, shm_disk_header_written. sequence of
 * header: higher than that of the one there, or the same: then it is written to the same place again.
 */
int shm_disk_header_write(struct shm_disk_heap *heap, const struct disk_header *header, unsigned *_copy,
			  struct shm_disk_trouble *trouble);
void shm_disk_header_written(struct shm_disk_heap *heap, const struct disk_header *header, unsigned copy);

/* ---- disk_heap ---- */

void shm_disk_name(const uint8_t heap_id[16], const char *suffix, char name[static DISK_NAME_SIZE]);
/* The file of a store's heap, without a look at journals. */
int shm_disk_heap_open_raw(struct shm_disk *disk, const uint8_t heap_id[16], struct shm_disk_heap **_heap,
			   struct shm_disk_trouble *trouble);
/* May it be changed? Does what a committed journal says of it, makes void what a failed one may say. */
int shm_disk_heap_settle(struct shm_disk_heap *heap, struct shm_disk_trouble *trouble);
int shm_disk_heap_sync(struct shm_disk_heap *heap, struct shm_disk_trouble *trouble);

/* ---- journals ---- */

static inline bool shm_disk_journal_has(const struct disk_journal *journal, const uint8_t heap_id[16])
{
	for (size_t i = 0; i < journal->count; i++)
		if (memcmp(journal->parts[i].header.meta.heap_id, heap_id, 16) == 0)
			return true;
	return false;
}
/* Adds the store's journal of that number to its list; makes its file with `create`. */
int shm_disk_journal_open(struct shm_disk *disk, uint32_t number, bool create, struct disk_journal **_journal,
			  struct shm_disk_trouble *trouble);
/* A void one of the store, made if need be. */
int shm_disk_journal_get(struct shm_disk *disk, struct disk_journal **_journal,
			 struct shm_disk_trouble *trouble);
/* Forgets its parts. */
void shm_disk_journal_reset(struct disk_journal *journal);
/* It has been done: it may be written over. No barrier is needed, for doing it again harms nothing. */
void shm_disk_journal_retire(struct disk_journal *journal, uint64_t file_end);
/* Makes sure that it is nothing, whatever became of its commit record. */
int shm_disk_journal_void(struct disk_journal *journal, struct shm_disk_trouble *trouble);
/*
 * Looks whether it is whole; then it is JOURNAL_COMMITTED with its parts, otherwise JOURNAL_VOID. A failure is one of reading, or of
 * a newer version.
 */
int shm_disk_journal_scan(struct disk_journal *journal, struct shm_disk_trouble *trouble);
/* Writes what a scan has found once more: see above, (3). */
int shm_disk_journal_confirm(struct disk_journal *journal, struct shm_disk_trouble *trouble);
/*
 * Does what a committed one says; then it is void. disk: where the heaps' files are; NULL: all of it is `only`'s.
 */
int shm_disk_journal_apply(struct disk_journal *journal, struct shm_disk *disk, struct shm_disk_heap *only,
			   struct shm_disk_trouble *trouble);

/* The sums of one group at a time of a file. */
struct disk_sums {
	uint64_t group; /* UINT64_MAX: none */
	uint64_t sums[DISK_GROUP];
	bool changed;
};
/* Has the sums of the group of `page` in memory; those in memory before are written when they have changed. */
int shm_disk_sums_turn(struct disk_sums *sums, struct shm_disk_heap *heap, uint64_t page,
		       struct shm_disk_trouble *trouble);
int shm_disk_sums_flush(struct disk_sums *sums, struct shm_disk_heap *heap, struct shm_disk_trouble *trouble);

#endif
