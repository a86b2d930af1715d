/*
 * checkpoint.h: the pages of heaps at one moment, and what becomes of their marks.
 *
 *      take     gates of all up; each page that is marked: DIRTY → IN_FLIGHT, copied; gates down
 *      done     the copies are on disk: IN_FLIGHT → CLEAN, by compare-and-swap, for who wrote meanwhile has made it DIRTY again
 *      failed   they are not: IN_FLIGHT → DIRTY
 *
 * IN_FLIGHT at the next take is what a daemon that died has left, and counts as DIRTY (tests/model/gate.pml).
 *
 * A checkpoint is the memory at a moment at which nobody was inside a step, so one that a death of everybody could have
 * left: whoever loads it finds all slots dead, and recovery leads back from there. Without marks, and always in it:
 * the second page of the header, and the slots that were ever used. Never in it: locks, which tell who is alive, and
 * the marks themselves. The first checkpoint of a heap has everything, since creating it marks all that it writes.
 *
 * By the daemon; one caller at a time for each segment.
 */
#ifndef EMS_SHM_CHECKPOINT_H
#define EMS_SHM_CHECKPOINT_H

#include <stddef.h>

#include "shm/segment.h"

#define CHECKPOINT_PAGE ((uint64_t)1 << MARK_PAGE_SHIFT)

struct shm_checkpoint {
	struct shm_segment *seg;
	int fd;	       /* of the segment: what is a hole is not allocated by being looked at */
	uint64_t most; /* pages that there can be, by the accounts of the daemon: a writer's marks are not believed */
	/* by take: */
	uint64_t *pages; /* numbers, ascending */
	uint8_t *bytes;	 /* CHECKPOINT_PAGE for each */
	size_t count, room;
};

/*
 * Copies what is marked in all of them at one moment. seg, fd and most are filled in, all else is zero.
 * -ERROR_BUSY: a client is stopped inside a step, or somebody recovers for long: later. -ERROR_CORRUPT: more is marked than there
 * can be. -ERROR_NO_MEMORY, -ERROR_SYSTEM. After an error all marks are as before, and there is nothing to be freed.
 */
int shm_checkpoint_take(struct shm_checkpoint checkpoints[], size_t count);

/* What was taken is on disk; or is not, and remains to be written. */
void shm_checkpoint_done(struct shm_checkpoint *checkpoint);
void shm_checkpoint_failed(struct shm_checkpoint *checkpoint);
void shm_checkpoint_free(struct shm_checkpoint *checkpoint);

/*
 * The same moment, without regard to marks: everything that is not zero and that a checkpoint may have goes to the same places of
 * `to`, an empty memory file of that size (shm/memory.h); at most so many pages, and *_pages says how many. For heaps of both kinds; no mark changes.
 * -ERROR_BUSY: as above; or it has grown meanwhile beyond `most`. -ERROR_NO_MEMORY, -ERROR_SYSTEM.
 */
int shm_checkpoint_copy(struct shm_segment *seg, int fd, int to, uint64_t most, uint64_t *_pages);

/* About how many pages are marked now. */
uint64_t shm_dirty_pages(const struct shm_segment *seg);

/* May a checkpoint have that page? */
bool shm_checkpoint_has(const struct layout *layout, uint64_t page);

/*
 * An empty segment, into which the pages of checkpoints are to be written; then, when all are there, what belongs to the moment of the
 * checkpoint only is put right: whoever had a slot is dead. Recovery comes next.
 * restored: -ERROR_CORRUPT, -ERROR_VERSION: the header is not what params and heap_id say.
 */
int shm_segment_empty(struct shm_segment *seg, const struct heap_params *params, int *fdp);
int shm_segment_restored(struct shm_segment *seg, const uint8_t heap_id[16]);

#endif
