/*
 * bell.h: telling those who do not sleep on a cell that it has changed. Model: tests/model/futex.pml (ASYNC).
 *
 * Who waits from an event loop watches any number of cells and sleeps on one word of the heap, its bell. It sets W in
 * a cell as a sleeper does, so wakers come to where they wake sleepers; there they also ring:
 *
 *      waker                                  listener
 *      CAS of the cell, W was set             set W in the cell, or find it set
 *      wake sleepers                          even bell? make it odd
 *      count of the cell's bucket + 1         counts as they were last? else look at the buckets' cells
 *      odd bell? bell + 1, wake all on it     sleep while the bell is what it was
 *
 * The bell is odd when somebody may be asleep on it. Its last step, adding one and waking, is a single system
 * call (FUTEX_WAKE_OP): so whoever is asleep is asleep on an odd bell, wherever wakers and listeners die or stop. A
 * listener that is dead costs the next waker one needless call, which makes the bell even again.
 *
 * The counts tell which of 63 parts of the watched cells to look at. Order: the cell, the count, the bell.
 *
 * All of this means nothing in an image, so a listener makes it even without a slot, outside of any step.
 */
#ifndef EMS_SHM_BELL_H
#define EMS_SHM_BELL_H

#include "shm/segment.h"

/* The bucket of what is waited on at this offset, below BELL_BUCKETS. */
static inline uint32_t shm_bell_bucket(uint64_t offset)
{
	return (uint32_t)((offset >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 40) % BELL_BUCKETS;
}

/* The waker's part, after the change of the word at offset. One locked add; a system call when somebody listens. */
void shm_bell_ring(struct shm_segment *seg, uint64_t offset);

/* ---- the listener's part ---- */

/* Makes the bell odd; its value, to sleep on. Counts and cells are looked at after this. */
uint32_t shm_bell_listen(struct shm_segment *seg);
static inline uint32_t *shm_bell_word(const struct shm_segment *seg)
{
	return &shm_header(seg)->bell;
}
static inline uint32_t shm_bell_count(const struct shm_segment *seg, uint32_t bucket)
{
	return load32_acquire(&shm_header(seg)->bell_counts[bucket]);
}

#endif
