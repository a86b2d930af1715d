/*
 * cancel.h: ending another thread's wait. Model: tests/model/cancel.pml.
 *
 * Private memory of the process, one for each session. A call that waits says so here, and on which word it
 * sleeps; who wants it ended asks for that, wakes the word, and sees what came of it: the call ended for being
 * asked, or it had come to its end by itself. Never both.
 *
 *      word    turn, counting the calls that waited, and a state:
 *
 *              IDLE ──enter──> WAITING ──shm_cancel──> ASKED ──the sleeper sees it──> ENDED
 *                ^                │                      │                              │
 *                └─────end────────┴────────end───────────┘        enter, of the next ───┘
 *
 * Why the sleeper does not simply sleep on two words: futex_waitv has no kinds (shm/futex.h), so that a wake meant
 * for one that waits for FULL could be spent on one that waits for EMPTY.
 */
#ifndef EMS_SHM_CANCEL_H
#define EMS_SHM_CANCEL_H

#include <stdbool.h>
#include <stdint.h>

/* All zero to begin with. */
struct shm_cancel {
	uint32_t word;
	uint32_t ended;	    /* the turn that was ended last for being asked */
	uint64_t sleeps_on; /* address of the futex word, while WAITING or ASKED */
	uint32_t interruptible; /* a signal handler that returns ends waits with -ERROR_INTERRUPTED */
};

/* ---- the thread that waits; cancel may be NULL in all three ---- */

/*
 * Before each sleep of a call, on `word`; the first one makes the call one that can be cancelled. True: it is to
 * end with -ERROR_CANCELLED. No store to the shared memory; costs a locked instruction of private memory.
 */
bool shm_cancel_enter(struct shm_cancel *cancel, const uint32_t *word);
/* After each sleep. True: the same. */
bool shm_cancel_woken(struct shm_cancel *cancel);
/* The call waits no more, whatever came of it. Must follow each first shm_cancel_enter. */
void shm_cancel_end(struct shm_cancel *cancel);

/* ---- another one; one at a time ---- */

/*
 * 0: a call was waiting, and ends with -ERROR_CANCELLED. -ERROR_EMPTY: none was waiting, or it ended by itself.
 * Returns when that is decided: as soon as the other thread has run, which it does when it is woken.
 */
int shm_cancel(struct shm_cancel *cancel);

#endif
