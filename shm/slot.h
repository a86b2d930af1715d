/*
 * Sessions, steps and the gate.
 *
 * A session is one thread's use of one heap: it owns a slot (taken at the first
 * operation that writes, not at attach). A step is a stretch of an operation that stores to the
 * segment. Every store to shared memory happens inside a step, but for the
 * filling of a large blob, which nobody refers to yet and whose pages are marked
 * again by the step that publishes it; and for `wait`, which means nothing in an image.
 *
 *      shm_step_enter      slot.cur = CUR_NONE; gate raised? then out, wait, again
 *      shm_step_cell       slot.cur = the cell: from here on a death wakes its waiters
 *      …                   mark dirty, name intents, store, compare-and-swap, wake
 *      shm_step_leave      slot.cur = 0
 *
 * Store of cur and load of the gate are not ordered by the processor; the daemon's
 * membarrier between its store of the gate and its look at the slots does that for
 * both (tests/model/gate.pml). A death inside a step leaves cur set and the lock word dead:
 * the daemon does not wait for it, and recovery wakes the sleepers on that cell.
 */
#ifndef EMS_SHM_SLOT_H
#define EMS_SHM_SLOT_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/atomic.h"
#include "shm/cancel.h"
#include "shm/robust.h"
#include "shm/segment.h"

/* Besides 0 and negative ERROR_ codes, what functions inside a step tell the loop around it. */
enum {
	SHM_AGAIN = 1, /* something moved: leave the step, or not, and start over */
	SHM_WAIT = 2,  /* the cell is not in the state asked for */
	SHM_NEED = 3,  /* session->need says what memory must be supplied, outside the step */
};

struct shm_need {
	enum { NEED_NOTHING, NEED_UNITS, NEED_STORAGE, NEED_TABLE } kind;
	uint64_t first, count; /* units; or count chunks in a row; or table id `first` */
};

#define FREE_STACK 64u

struct shm_session {
	struct shm_segment *seg;
	struct slot *slot;
	uint32_t id;
	struct shm_robust lock;
	struct shm_need need;
	struct shm_cancel *cancel; /* how others end its waits (shm/cancel.h); may be NULL */
	int storage_refused; /* what the supply said to NEED_STORAGE: the next claim makes do, or returns this
			      */
	/* hints, private to this thread */
	uint32_t slab_cursor[SIZE_CLASSES]; /* next block to look at in the slot's slab */
	uint32_t slab_hot[SIZE_CLASSES]; /* block + 1 that this thread released last there: taken again first
					  */
	uint32_t slab_window;		 /* where the search for partly free slabs goes on */
	uint64_t free_elements[FREE_STACK]; /* elements this thread freed lately */
	uint32_t free_elements_count;
	uint32_t read_free;	 /* entries of the record of read locks below are in use */
	uint32_t read_releasing; /* index + 1 of the one that is being given back */
	uint32_t transaction_count; /* entries of the open transaction's set, all locked (shm/transaction.h) */
	bool in_transaction;	    /* operations look there first */
	uint64_t read_in_vain;	 /* cell on which it let others go first, and none went */
	uint32_t spin; /* how long spinning paid lately, see shm/wait.c */
	uint64_t map_checked_word; /* the growth of which … */
	uint64_t map_checked;	   /* … this thread has seen so many blocks done */
	uint64_t leases[2];	   /* entries of the record that this thread uses (shm/lease.c) */
	const struct shm_watch *watch; /* while it waits: whose deaths must end the sleep, too (shm/watch.h) */
};

/*
 * Takes a slot. Dead slots that it meets are recovered on the way.
 * client: the daemon's number of this client, or 0.
 * -ERROR_LIMIT: all slots are taken by living threads.
 * The calling thread must be the one that closes the session; its death makes the slot dead.
 */
int shm_session_open(struct shm_session *session, struct shm_segment *seg, uint64_t client);
/* Gives slabs, ranges and the slot back. Inside an operation, which will not go on then, leaves it to recovery. */
void shm_session_close(struct shm_session *session);

/*
 * A session that threads pass on: its slot belongs to one thread (a service thread of the process), and another one,
 * `user`, is about to work with it. `user` is that thread's own session in the same segment, or NULL when it
 * has done. A dead slot that has a user is not touched before that one is dead, too: when a process is killed, the
 * owner may be gone an instant before the user's last instruction.
 */
void shm_session_lend(struct shm_session *session, const struct shm_session *user);
/* A living thread uses slot id, whose owner may be dead. */
bool shm_slot_has_user(const struct shm_segment *seg, uint32_t id);

void shm_gate_wait(struct shm_session *session); /* out of the step until the gate is down */

static inline void shm_step_enter(struct shm_session *session)
{
	for (;;) {
		store64_relaxed(&session->slot->cur, CUR_NONE);
		compiler_barrier();
		/* Anything but 1 is no gate: a word that was written over stops nobody. */
		if (__builtin_expect(load32_acquire(&shm_header(session->seg)->gate) != 1, 1))
			return;
		shm_gate_wait(session);
	}
}
static inline void shm_step_cell(struct shm_session *session, const struct cell *cell)
{
	store64_release(&session->slot->cur, shm_offset(session->seg, cell));
}
static inline void shm_step_leave(struct shm_session *session)
{
	store64_release(&session->slot->cur, 0);
}
/*
 * Both at once, for who knows the cell before he begins; seg is the session's, which he has at hand. False: the gate is up, and
 * the caller is not in a step.
 */
static inline bool shm_step_try(const struct shm_segment *seg, struct shm_session *session, const struct cell *cell)
{
	store64_release(&session->slot->cur, shm_offset(seg, cell));
	compiler_barrier();
	if (__builtin_expect(load32_acquire(&shm_header(seg)->gate) == 0, 1))
		return true;
	shm_step_leave(session);
	return false;
}

/*
 * An operation begins anew, since something has moved: *attempts counts that, from 0. When it has begun so often that others' progress
 * does not explain it, the heap makes no sense: -ERROR_CORRUPT; -ERROR_TIMEOUT when the deadline has passed; else 0.
 */
int shm_session_doubt(const struct shm_session *session, uint64_t attempts, uint64_t deadline);
static inline int shm_session_again(const struct shm_session *session, uint64_t *attempts, uint64_t deadline)
{
	return ++*attempts % 65536 ? 0 : shm_session_doubt(session, *attempts, deadline);
}

/*
 * Asks the supply for session->need. Not inside a step. 0: try the operation again; or why it was refused.
 * A refusal of storage (NO_SPACE, BUDGET) is kept in session->storage_refused, and 0 returned: there may be
 * room in slabs that only a thorough search finds. The next shm_blob_claim searches so, and returns the
 * refusal if in vain.
 * *times: how often the operation has asked so far, 0 at first. Others may use up what it has asked for; but who asks for
 * ever is in a heap that makes no sense: -ERROR_CORRUPT.
 */
int shm_session_supply(struct shm_session *session, uint32_t *times);

#endif
