/*
 * disk.h: heaps on disk. One file for each; checkpoints of several at once, which are there as a whole or not at all.
 *
 * The bytes are drawn in shm/disk_format.h. This is about what happens when.
 *
 * A checkpoint
 *
 *     begin     which heaps. Nothing is written yet, and what a failed one has left is put right first.
 *     add       pages, at any time, as many as one likes: each goes to the journal at once, so memory is bounded.
 *     commit    sums, headers, commit record; one barrier. From here on it is on disk: whoever waits may be told.
 *     settle    the same pages to their places in the files, read back from the journal; a barrier for each file; then
 *               the journal is void. This can be as late as the next begin with one of these heaps, which does it
 *               if need be.
 *     (abort    instead of commit. The files are as they were.)
 *
 * Between two of these calls, or in the middle of any, the power may go. Then shm_disk_open, or shm_disk_file_adopt_take, finds
 * either a journal that is whole, and does what settle would have done, or one that is not, which is nothing. Both may be cut
 * off again and done again.
 *
 * A copy of a heap in one file, for keeping: shm_disk_file_create_take, and one checkpoint with all of its pages. A descriptor that is open
 * for reading only is enough to adopt, verify and load such a file, unless a journal in it has yet to be done.
 *
 * What is stored
 *
 * Pages of 4096 bytes at offsets of the segment, chosen by the caller. A page never added, or added as all zero, is
 * not stored, costs nothing, and is zero when it is loaded (that is: not touched at all). A checkpoint holds what the one before held, but for
 * the pages added. One without pages, and whose heaps' meta are the same, writes nothing at all.
 *
 * Trouble
 *
 * Every call that touches the disk takes a struct shm_disk_trouble, or NULL, that says what exactly was wrong; a code alone
 * cannot. After a failure of begin, add or commit, the files hold the checkpoint before, except that one which failed in commit may
 * nevertheless turn out to be there after a power cut, whole. (The next begin that succeeds makes an end to that.) After a failure of settle the
 * checkpoint stays safe in the journal, and the next begin with one of its heaps tries again, from the journal, all of it: a barrier
 * that failed may have made the kernel forget which pages were not written, so nothing short of writing all of them anew helps.
 * For the caller it is simple: what was added to a checkpoint that did not commit is dirty still, and has to be added to
 * the next one; after commit it is clean, whatever settle said.
 *
 * Threads: one call at a time for a store, the heaps of it and its checkpoints; and for a file that was handed over. But
 * shm_disk_load and shm_disk_verify of one heap may run in other threads meanwhile, as long as that heap is in no
 * checkpoint. Everything may block for as long as the disk does. Nothing here knows of segments: whoever calls brings bytes.
 */
#ifndef EMS_SHM_DISK_H
#define EMS_SHM_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "shm/disk_format.h"
#include "shm/disk_io.h"

struct shm_disk;      /* a store: a folder with the files of heaps, and journals */
struct shm_disk_heap; /* one file, of a store or handed over */
struct shm_disk_checkpoint;

/* What went wrong, and the code that the call returns then. */
#define SHM_DISK_TROUBLE_LIST(X)                                                                           \
	X(NONE, OK, "nothing is wrong")                                                                    \
	X(FOREIGN, MISMATCH, "this is no file of emsd")                                                    \
	X(NEWER, VERSION, "written by a newer emsd, in a version of the format unknown to this one")       \
	X(FEATURE, UNSUPPORTED, "needs a feature that this emsd does not know")                            \
	X(CONTENTS, VERSION, "what its pages hold is of a version that this emsd does not know")           \
	X(HEADER, CORRUPT, "both copies of the header are damaged, or say what cannot be")                 \
	X(TRUNCATED, CORRUPT, "the file is shorter than its header says")                                  \
	X(CHECKSUM, CORRUPT, "a page is not what was written there")                                       \
	X(TOTAL, CORRUPT,                                                                                  \
	  "pages are older or newer than the header: the disk has lost writes that it had confirmed")      \
	X(VANISHED, NOT_FOUND, "the file has been removed")                                                \
	X(REPLACED, CONFLICT, "another file is in its place")                                              \
	X(TAKEN, EXISTS, "there is a file of this heap already")                                           \
	X(LOCKED, BUSY, "another daemon has this file open")                                               \
	X(FULL, NO_SPACE, "the disk, or a quota on it, is full")                                           \
	X(TOO_LARGE, LIMIT, "larger than the file system, or a limit of the process, allows a file to be") \
	X(READ_ONLY, READ_ONLY, "the file system is read-only")                                            \
	X(DENIED, ACCESS, "permission denied")                                                             \
	X(READ, IO, "reading failed")                                                                      \
	X(WRITE, IO, "writing failed")                                                                     \
	X(SYNC, IO, "the disk did not confirm what was written")                                           \
	X(MEMORY, NO_MEMORY, "out of memory")                                                              \
	X(STOPPED, CANCELLED, "stopped by the caller")                                                     \
	X(MISUSED, INVALID, "the caller has it wrong")

enum shm_disk_what {
#define SHM_DISK_ENUM_(name, code, text) SHM_DISK_##name,
	SHM_DISK_TROUBLE_LIST(SHM_DISK_ENUM_)
#undef SHM_DISK_ENUM_
		SHM_DISK_TROUBLE_COUNT
};

struct shm_disk_trouble {
	enum shm_disk_what what;
	int number;	     /* errno, when a system call said so; else 0 */
	uint8_t heap_id[16]; /* whose file; zero: a journal, the folder, or not known */
	uint64_t offset;     /* in the segment, of a CHECKSUM; in the file, of READ and WRITE; else 0 */
};

/* One line of English, at most size - 1 bytes: "checksum of the page at segment offset 0x3000: a page is not …". */
void shm_disk_trouble_text(const struct shm_disk_trouble *trouble, char *text, size_t size);

/* ---- the store ---- */

/*
 * Opens the folder, which exists, as a store: takes away what creations left half done, and does what whole journals
 * say. io: NULL for the system's; it must outlive the store. folder is borrowed (duplicated by the system's
 * io). One daemon has a store at a time, which is the caller's to see to. Heaps whose journal could not be done are
 * told of by shm_disk_heap_open. -ERROR_…: as for every call below, what `trouble` says.
 */
int shm_disk_open(int folder, const struct shm_disk_io *io, struct shm_disk **_disk,
		  struct shm_disk_trouble *trouble);
/* All heaps of the store are closed before. NULL is allowed. */
void shm_disk_free(struct shm_disk *disk);
DEFINE_FREEP(struct shm_disk, shm_disk_free);

/* Calls visit with the id of each heap that the store has a file of; whether that can be opened is another matter. */
typedef int shm_disk_visit(void *arg, const uint8_t heap_id[16]);
int shm_disk_list(struct shm_disk *disk, shm_disk_visit *visit, void *arg, struct shm_disk_trouble *trouble);

/* ---- one heap ---- */

/*
 * A new file in the store, ID.ems, without pages: checkpoint 0. meta is copied. On disk, with its name, on return; after
 * a power cut it is there or not. TAKEN: there is one of that id.
 */
int shm_disk_heap_create(struct shm_disk *disk, const struct disk_meta *meta, struct shm_disk_heap **_heap,
			 struct shm_disk_trouble *trouble);
/* Opens one of the store: header, length and journal are looked at, pages are not (shm_disk_load does). */
int shm_disk_heap_open(struct shm_disk *disk, const uint8_t heap_id[16], struct shm_disk_heap **_heap,
		       struct shm_disk_trouble *trouble);
/*
 * A file that a client handed over, open for reading and writing. Its journal lives in it, and nothing but the descriptor is
 * ever used. io as above. fd is taken in any case. It is locked against other daemons (F_OFD_SETLK).
 *   create: the file is empty, or its contents are to go; meta is what it becomes. On disk on return, but for its
 *   name, of which this descriptor knows nothing. A power cut in the middle may leave a file that is FOREIGN, TRUNCATED, or HEADER.
 *   adopt: opens what such a file holds, and does what its journal says.
 */
int shm_disk_file_create_take(int fd, const struct shm_disk_io *io, const struct disk_meta *meta,
			      struct shm_disk_heap **_heap, struct shm_disk_trouble *trouble);
int shm_disk_file_adopt_take(int fd, const struct shm_disk_io *io, struct shm_disk_heap **_heap,
			     struct shm_disk_trouble *trouble);
/* In no checkpoint. Writes nothing; what was committed and is not settled stays in the journal. NULL is allowed. */
void shm_disk_heap_close(struct shm_disk_heap *heap);
DEFINE_FREEP(struct shm_disk_heap, shm_disk_heap_close);

/* What the file says of it: valid until the next call with this heap. */
const struct disk_meta *shm_disk_heap_meta(const struct shm_disk_heap *heap);
uint64_t shm_disk_heap_checkpoint(
	const struct shm_disk_heap *heap); /* number of the last one committed; 0: none yet */
uint64_t shm_disk_heap_pages(const struct shm_disk_heap *heap); /* stored, of DISK_PAGE bytes */
uint64_t
shm_disk_heap_time(const struct shm_disk_heap *heap); /* of the last one; CLOCK_REALTIME, ns; 0: none */

/*
 * Changes what is not constant: name, mode, owner, size, period, …. By itself, as a whole, and on disk on return. For a change that belongs to
 * a state of the pages (growth), shm_disk_checkpoint_meta. After a failure of the barrier, it may be there or not.
 */
int shm_disk_heap_change(struct shm_disk_heap *heap, const struct disk_meta *meta,
			 struct shm_disk_trouble *trouble);

/*
 * Removes a heap of the store: the file is gone, for good, on return. Closes it in any case. (A handed-over one is
 * closed, and its user unlinks it.)
 */
int shm_disk_heap_drop(struct shm_disk_heap *heap, struct shm_disk_trouble *trouble);

/*
 * Is the file still where it was, as long as it has to be, and the one we opened? VANISHED, REPLACED, TRUNCATED. begin asks
 * as well. A handed-over file has no name that we know of, so only its length is looked at.
 */
int shm_disk_heap_look(struct shm_disk_heap *heap, struct shm_disk_trouble *trouble);

/* ---- reading ---- */

/* Told now and then; anything but 0 stops it (STOPPED). done, all: pages. */
typedef int shm_disk_progress(void *arg, uint64_t done, uint64_t all);

/*
 * Reads all stored pages, in order, to base + their offset; touches nothing else there. base has size bytes, which
 * are zero before; size >= segment_size of the meta, or where stored pages end, whichever is less. Each page is checked, and at the end that none is missing. On a failure
 * what is at base is worth nothing.
 */
int shm_disk_load(struct shm_disk_heap *heap, void *base, uint64_t size, shm_disk_progress *progress,
		  void *arg, struct shm_disk_trouble *trouble);
/* The same, keeping nothing. */
int shm_disk_verify(struct shm_disk_heap *heap, shm_disk_progress *progress, void *arg,
		    struct shm_disk_trouble *trouble);

/* ---- checkpoints ---- */

/*
 * count >= 1 heaps of one store, each once and in no other checkpoint now; or a single one handed over. heaps is copied. What
 * a failed settle left is done first; what a failed commit left is made void. Each file is looked at.
 */
int shm_disk_begin(struct shm_disk_heap *const *heaps, size_t count, struct shm_disk_checkpoint **_checkpoint,
		   struct shm_disk_trouble *trouble);

/*
 * Adds the pages at [offset, offset + size) of heaps[which]: both multiples of DISK_PAGE, in the segment. Of one heap, offsets only go up.
 * data is copied. After a failure the checkpoint can only be aborted (and commit fails).
 */
int shm_disk_add(struct shm_disk_checkpoint *checkpoint, size_t which, uint64_t offset, const void *data,
		 uint64_t size, struct shm_disk_trouble *trouble);
/* The same with zeros, which need not be anywhere: for memory that was given back. */
int shm_disk_add_zero(struct shm_disk_checkpoint *checkpoint, size_t which, uint64_t offset, uint64_t size,
		      struct shm_disk_trouble *trouble);
/* heaps[which] shall have this meta from this checkpoint on. As shm_disk_heap_change. */
int shm_disk_checkpoint_meta(struct shm_disk_checkpoint *checkpoint, size_t which,
			     const struct disk_meta *meta, struct shm_disk_trouble *trouble);

/* 0: it is on disk. On a failure the checkpoint is over, too: abort is all that is left, settle does the same. */
int shm_disk_commit(struct shm_disk_checkpoint *checkpoint, struct shm_disk_trouble *trouble);
/* After commit: puts everything in place, and frees the checkpoint in any case; see above for what a failure means. */
int shm_disk_settle(struct shm_disk_checkpoint *checkpoint, struct shm_disk_trouble *trouble);
/* Frees the checkpoint without settling it. Before commit: as if it had never been. After it: the next begin will settle. */
void shm_disk_abort(struct shm_disk_checkpoint *checkpoint);
DEFINE_FREEP(struct shm_disk_checkpoint, shm_disk_abort);

#endif
