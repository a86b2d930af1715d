/*
 * Waiting on a cell, and waking. Model: tests/model/futex.pml.
 *
 * A waiter sets W in the cell, then sleeps on its futex word. W promises: whoever changes the tag wakes.
 *   - A change that leaves the tag as it was keeps W and wakes nobody.
 *   - A change to FULL wakes all that only look and one that takes; to EMPTY, one that waits for EMPTY; and
 * from BUSY or READERS, everybody. It clears W, unless the changer itself has slept: then others may be
 * asleep whose W was cleared by its own waking, and it sets W again.
 *   - A waiter that was woken and leaves without taking passes the wake on.
 * Deaths: slot.cur (before the CAS, until after the wake) and slot.wait (before the first sleep, until after
 * the operation) name the cells on which recovery wakes everybody.
 */
#ifndef SHM_WAIT_H
#define SHM_WAIT_H

#include "base/clock.h"
#include "shm/element.h"
#include "shm/futex.h"

/* The W bit that the successor of `seen` carries when the tag becomes `tag`. */
uint64_t shm_wait_bit(uint64_t seen, enum tag tag, bool slept);

/* After the CAS from seen to a cell with `tag`: wakes whom that concerns. No system call when W was clear. */
void shm_wait_wake(struct shm_segment *seg, struct cell *cell, uint64_t seen, enum tag tag);

/*
 * The same for the queue's places and the stack's top, after any change of state: wakes everybody, for who sleeps
 * there looks elsewhere when he is woken, and would not meet the next change. W was for all of them, and is cleared.
 */
void shm_wait_wake_all(struct shm_segment *seg, struct cell *cell, uint64_t seen);

/* Wakes everybody on a cell, whatever it says: for recovery, and for what changes without the cell. */
void shm_wait_wake_everybody(struct shm_segment *seg, struct cell *cell);

/*
 * Waits until the cell may have changed from `seen`: spins a little, then sleeps. Outside any step.
 * *slept becomes true when it slept (wakes then pass through this thread).
 * 0: look again. -ERROR_TIMEOUT, -ERROR_CANCELLED, -ERROR_INTERRUPTED, -ERROR_DEADLOCK (seen is BUSY and the
 * owner is this session; or READERS, this session is one of them, and the operation waits for them to go). Behind a
 * BUSY cell whose owner is dead, and behind READERS when anybody is, it runs recovery.
 */
int shm_wait_cell(struct shm_session *session, struct cell *cell, struct cell seen, enum wait_kind kind,
		  const struct shm_call *call, bool *slept);

/*
 * Lets others go first, who wait for the readers' end (shm_reader_gives_way): sleeps for a few milliseconds at most, less when
 * there are no readers any more. Owes nothing and is owed nothing: no wake is lost on it. Outside any step.
 */
void shm_wait_turn(struct cell *cell, struct cell seen, uint64_t deadline);

/*
 * How long a waiter sleeps at most before it looks again, by itself, at its cell and for the dead: so that one whose waker died
 * right before the wake does not sleep for ever while there is no daemon either. Changed by tests only, before there are threads.
 */
#define SHM_WAIT_LOOK (10 * NS_PER_S)
extern uint64_t shm_wait_look;

/* The wait on this cell is over. pass: it has not changed the cell's tag, so the wake that it may have been
 * given is another's. */
void shm_wait_done(struct shm_session *session, struct cell *cell, enum wait_kind kind, bool pass);

#endif
