/*
 * A lock that the kernel marks when its holder dies.
 *
 * Lock i is a 32-bit futex word in the segment, 16 bytes before the end of
 * unit i of the locks area: 0 free, else the holder's thread id as it sees itself, with
 * FUTEX_WAITERS, or FUTEX_OWNER_DIED once the kernel has found the holder dead
 * (killed, exited or in exec, in any pid namespace, daemon or no daemon).
 *
 * Lock 0 is the recovery lock, which the daemon also holds while the gate is up; lock i is held for as long as a thread owns
 * slot i: the lock is the ownership of the slot.
 *
 * Why not a pthread mutex: its list links would lie in memory that other clients
 * can write, and C libraries follow those links. The kernel only wants
 * the link at a fixed distance from the word (get_robust_list(2): futex_offset),
 * so the word's page is mapped once more, with a private page right behind it for the link:
 *
 *          shared page (of the segment)        private page
 *      ...-------------------------+------+-+---------------+-----------
 *                                  | word | | prev |  next  |
 *      ...-------------------------+------+-+---------------+-----------
 *                                  <-- -futex_offset ->
 *
 * The list head is the C library's own (one a thread); prev lies 8 bytes before
 * next, as glibc and musl have it. Each lock in use costs two mappings.
 */
#ifndef EMS_SHM_ROBUST_H
#define EMS_SHM_ROBUST_H

#include <stdbool.h>
#include <stdint.h>

struct shm_segment;

struct shm_robust {
	uint8_t *pages; /* the pair of mappings, NULL when not held */
	uint32_t *word;
};

/*
 * Tries to take lock `index`. 0: held now. -ERROR_BUSY: somebody holds it. -ERROR_BROKEN: its holder died;
 * the lock is NOT taken (lock 0 is: the next recoverer goes on where the dead one was). -ERROR_SYSTEM,
 * -ERROR_NO_MEMORY. The thread that takes it must be the one that releases it.
 */
int shm_robust_trylock(struct shm_segment *seg, uint32_t index, struct shm_robust *lock);
void shm_robust_unlock(struct shm_robust *lock);
/* Leaves the lock as if its holder, the calling thread, had died: for recovery. */
void shm_robust_abandon(struct shm_robust *lock);

/* Is the holder of lock index dead? (False for a free one.) */
bool shm_robust_is_dead(const struct shm_segment *seg, uint32_t index);
/* Does a living thread hold it? */
bool shm_robust_is_held(const struct shm_segment *seg, uint32_t index);
/* The word through the segment's own mapping. */
uint32_t *shm_robust_word(const struct shm_segment *seg, uint32_t index);
/* Recovery is done: makes a dead lock free again. The caller holds lock 0. */
void shm_robust_clear(struct shm_segment *seg, uint32_t index);
/* For the daemon, which knows by pidfd: marks lock index as its dead holder's kernel would have. */
void shm_robust_declare_dead(struct shm_segment *seg, uint32_t index);
/* In a segment that was restored from a disk, which nobody has yet: whoever held it is dead. */
void shm_robust_bury(struct shm_segment *seg, uint32_t index);

/*
 * The same on a lock word that lies elsewhere, 16 bytes before the end of a page of a shared mapping (teams have
 * theirs so). take_dead: a lock whose holder died is taken, as lock 0 is above.
 */
int shm_robust_trylock_word(uint32_t *word, bool take_dead, struct shm_robust *lock);
/*
 * The same for locks that are taken often: the pages are mapped once (take and leave in the same thread; threads of one process
 * may use one mapping by turns). Behind the word lies an era, which goes with each take: a holder of another era is dead
 * whatever the kernel has done. take: 0: was free; 1: was a dead one's; -ERROR_BUSY.
 */
int shm_robust_map(uint32_t *word, struct shm_robust *lock);
void shm_robust_unmap(struct shm_robust *lock);
int shm_robust_take(struct shm_robust *lock, uint32_t era);
void shm_robust_leave(struct shm_robust *lock);
bool shm_robust_is_dead_of(const uint32_t *word, uint32_t era);
bool shm_robust_word_is_dead(const uint32_t *word);
void shm_robust_declare_word_dead(uint32_t *word);

#endif
