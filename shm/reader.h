/*
 * Read locks: who holds them, and how their count is put right after a death. Model: tests/model/reader.pml.
 *
 * An element that readers hold is READERS(n). The count says how many, not who; that stands in the readers' records,
 * a word for each lock:
 *
 *       63                            4 3     0
 *      +-------------------------------+-------+
 *      |  offset of the cell / 16      | state |
 *      +-------------------------------+-------+
 *
 *      NONE ──► TRYING ──CAS of the cell, n + 1──► HELD ──► RELEASING ──CAS of the cell, n − 1──► NONE
 *                 │                                             │
 *                 └──recount──► CANCELLED                       └──recount──► RELEASED
 *
 * Of a dead slot, HELD is in the count, and is given back as its owner would have done. TRYING and RELEASING may be in
 * it or not: then recovery freezes the cell (BUSY, of slot 0), so that no compare-and-swap on it succeeds, and counts the
 * HELD of all records. It does not wait for the living ones that are between the two steps themselves: it tells them
 * that they are not counted, by CANCELLED (begin again) and RELEASED (it is done).
 *
 * Each change of an entry by its owner comes after a look at the cell, and the owner's CAS expects what it saw. So
 * a CAS that succeeds has met no recount in between.
 */
#ifndef EMS_SHM_READER_H
#define EMS_SHM_READER_H

#include "shm/slot.h"

#define READERS_MAX 4095u /* locks on one element; what own of a cell can hold */

/*
 * Takes a read lock on `cell` for the session: FULL → READERS(1), READERS(n) → READERS(n + 1). Inside a step that has named
 * the cell (shm_step_cell). expected: what the cell holds, as it was loaded; meta: what that stands for, tag FULL or
 * READERS (they differ for a pristine cell; shm/element.c). One compare-and-swap of the cell, one of the entry, no
 * system call.
 * 0: held now, at the value in `expected`. SHM_AGAIN: it has moved; look again. SHM_WAIT: READERS_MAX have it.
 * -ERROR_LIMIT: the session holds RECORD_READ_COUNT locks in this heap. A session may hold one cell several times.
 */
int shm_reader_take(struct shm_session *session, struct cell *cell, struct cell expected, uint64_t meta);

/*
 * Gives one of the session's locks on `cell` back, and wakes when it was the last. Inside a step that has named the
 * cell. *left (may be NULL): how many are left. 0; SHM_AGAIN: leave the step, and again; SHM_WAIT: somebody recounts: leave
 * the step, wait behind the cell (shm_wait_cell), and again, for the same cell, or call shm_reader_keep. -ERROR_INVALID: the session holds none there. -ERROR_CORRUPT: the cell knows of no
 * readers; the entry is gone.
 */
int shm_reader_release(struct shm_session *session, struct cell *cell, uint32_t *left);

/*
 * Fairness: does a new reader better let others go first? meta: FULL or READERS, with somebody waiting for the readers'
 * end. Then it sleeps once (shm_wait_turn), before it looks again. That is a courtesy with a bound, never a condition: readers
 * may depend on each other, and a reader that waits for a writer that waits for a reader that waits for that first
 * one would be a deadlock that none of them could see. given: how often this call has done so. A session that holds the
 * cell already, or has given way in vain since the last time that nobody waited there, does not. Inside or outside a step.
 */
bool shm_reader_gives_way(struct shm_session *session, const struct cell *cell, uint64_t meta, uint32_t given);

/* Would it have to ask? The short way does not give way. */
static inline bool shm_reader_is_wanted(uint64_t meta)
{
	return cell_tag(meta) == TAG_READERS ? (meta & CELL_W) != 0 : cell_own(meta) != 0;
}

/*
 * A release that waited, and is not to wait any more (it was cancelled): true when the lock is gone for all that, false
 * when it is held as before. Inside a step.
 */
bool shm_reader_keep(struct shm_session *session);

/* Does the session hold a lock on the cell? It must not wait then for its readers to go. Costs a look at its entries. */
bool shm_reader_holds(const struct shm_session *session, const struct cell *cell);

/* Gives back all that the session holds. Outside any step. -ERROR_BUSY: somebody recounts; some are left, for recovery. */
int shm_reader_leave(struct shm_session *session);

/* How many entries of all slots say that they hold the cell. For the checker. */
uint32_t shm_reader_count(const struct shm_segment *seg, const struct cell *cell);
/* Calls found for each entry of slot id that is not NONE; settled: it is HELD. For the checker. */
void shm_reader_walk(const struct shm_segment *seg, uint32_t id,
		     void (*found)(void *arg, uint64_t offset, bool settled), void *arg);

/* A cell that recovery counts anew. Who finds it waits (shm_wait_cell), which recovers when the recoverer is dead. */
static inline bool shm_reader_is_frozen(uint64_t meta)
{
	return cell_tag(meta) == TAG_BUSY && cell_own(meta) == 0;
}

/*
 * Gives back what a dead slot held. The caller holds lock 0. self: the recoverer's session, not inside a step, or NULL.
 * *recounts: how many cells may still be counted anew in this run, so that no record, however senseless, takes long.
 * 0, or SHM_AGAIN: too many; run recovery again.
 */
int shm_reader_recover(struct shm_session *self, struct shm_segment *seg, struct slot *dead, uint32_t id,
		       uint32_t *recounts);

#endif
