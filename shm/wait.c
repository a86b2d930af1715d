/* Waiting on a cell, and waking: see wait.h. */
#include "shm/wait.h"

#include <limits.h>
#include <linux/futex.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/macros.h"
#include "shm/bell.h"
#include "shm/reader.h"
#include "shm/recover.h"
#include "shm/watch.h"

#define SPIN_MIN 16u
#define SPIN_MAX 2048u

/* How long to sleep at most behind readers, of whom one may die, and behind a recount. */
#define READERS_NS (100 * NS_PER_MS)
#define RECOUNT_NS (10 * NS_PER_MS)
/* … and behind an owner that is dead, and was not recovered. */
#define RECOVERY_NS (10 * NS_PER_MS)
/* … and behind one that lives: the kernel tells one sleeper of its death, who may die, or be stopped, before he has done
 * anything about it. */
#define OWNER_NS (100 * NS_PER_MS)
/* How long a new reader lets others go first: until the readers are gone, and until those who were woken then have run. */
#define TURN_NS	 (10 * NS_PER_MS)
#define WOKEN_NS NS_PER_MS

uint64_t shm_wait_look = SHM_WAIT_LOOK;

uint64_t shm_wait_bit(uint64_t seen, enum tag tag, bool slept)
{
	if (cell_tag(seen) == tag)
		return seen & CELL_W;
	return slept ? CELL_W : 0;
}

void shm_wait_wake(struct shm_segment *seg, struct cell *cell, uint64_t seen, enum tag tag)
{
	enum tag old = cell_tag(seen);

	if (!(seen & CELL_W) || old == tag)
		return;
	if (old == TAG_BUSY || old == TAG_READERS) {
		(void)shm_futex_wake(cell_futex(cell), INT_MAX, WAIT_ANY);
	} else if (tag == TAG_FULL) {
		(void)shm_futex_wake(cell_futex(cell), INT_MAX, WAIT_FULL_LOOK);
		(void)shm_futex_wake(cell_futex(cell), 1, WAIT_FULL_TAKE);
	} else if (tag == TAG_EMPTY) {
		(void)shm_futex_wake(cell_futex(cell), 1, WAIT_EMPTY);
	} else {
		(void)shm_futex_wake(cell_futex(cell), INT_MAX, WAIT_ANY);
	}
	/* Besides, not instead: who listens takes nobody's wake. */
	shm_bell_ring(seg, shm_offset(seg, cell));
}

void shm_wait_wake_everybody(struct shm_segment *seg, struct cell *cell)
{
	(void)shm_futex_wake(cell_futex(cell), INT_MAX, WAIT_ANY);
	shm_bell_ring(seg, shm_offset(seg, cell));
}

void shm_wait_wake_all(struct shm_segment *seg, struct cell *cell, uint64_t seen)
{
	if (seen & CELL_W)
		shm_wait_wake_everybody(seg, cell);
}

/* With one processor the other side cannot move while this one spins. */
static bool spinning_pays(void)
{
	static uint32_t processors; /* a constant once known; whoever comes writes the same */
	uint32_t known = load32_relaxed(&processors);

	if (known == 0) {
		known = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
		store32_relaxed(&processors, known);
	}
	return known > 1;
}

/*
 * A handover between running threads takes a fraction of a microsecond, one through the kernel a hundred
 * times that. How long to spin follows success: it doubles when the cell moved in time and halves when not.
 */
static bool spin(struct shm_session *session, const struct cell *cell, uint64_t seen)
{
	uint32_t turns = MAX(session->spin, SPIN_MIN);

	if (!spinning_pays())
		return false;
	for (uint32_t i = 0; i < turns; i++) {
		if ((load64_relaxed(&cell->meta) ^ seen) & ~CELL_W) {
			session->spin = MIN(turns * 2, SPIN_MAX);
			return true;
		}
		cpu_relax();
	}
	session->spin = turns / 2;
	return false;
}

/* Sets W in the cell as it was seen. A death right after leaves a W too much: one needless wake. */
static bool announce(struct shm_session *session, struct cell *cell, struct cell *seen)
{
	struct cell desired = {seen->meta | CELL_W, seen->value};
	bool done = true;

	if (!(seen->meta & CELL_W)) {
		shm_step_enter(session);
		shm_step_cell(session, cell);
		shm_mark(session->seg, cell, sizeof(*cell));
		done = cell_cas(cell, seen, desired);
		shm_step_leave(session);
	}
	*seen = desired;
	return done;
}

/* At most for `most` nanoseconds, after which the caller looks again. */
static int sleep_for(struct cell *cell, struct cell seen, enum wait_kind kind, uint64_t most, uint64_t deadline)
{
	uint64_t bound = clock_deadline(most);
	int r = shm_futex_wait(cell_futex(cell), (uint32_t)seen.meta, kind, MIN(bound, deadline));

	return r == -ERROR_TIMEOUT && deadline > bound ? 0 : r;
}

/*
 * Behind a BUSY cell: sleeps on the cell and on the owner's robust lock, whose word the kernel changes
 * (and wakes one sleeper) when the owner dies. That one recovers, which wakes the others; should it come to nothing, each
 * looks for itself after a while.
 */
static int sleep_behind_owner(struct shm_session *session, struct cell *cell, struct cell seen,
			      uint64_t deadline)
{
	struct shm_recovery recovery;
	uint32_t owner = cell_own(seen.meta), *lock = shm_robust_word(session->seg, owner);
	uint32_t holder = load32_acquire(lock);
	uint64_t bound = clock_deadline(OWNER_NS);
	int r;

	if (owner == session->id)
		return -ERROR_DEADLOCK;
	if (holder & FUTEX_OWNER_DIED) {
		(void)shm_recover(session->seg, session, &recovery);
		/* It may have had to be left: another is at it, or its transaction spans a heap that is not here. */
		return sleep_for(cell, seen, WAIT_ANY, RECOVERY_NS, deadline);
	}
	if (!(holder & FUTEX_TID_MASK)) /* of nobody: the cell has moved, or was scribbled over */
		return sleep_for(cell, seen, WAIT_ANY, RECOVERY_NS, deadline);
	if (!(holder & FUTEX_WAITERS) && !cas32(lock, &holder, holder | FUTEX_WAITERS))
		return 0;
	r = shm_futex_wait_owner(cell_futex(cell), (uint32_t)seen.meta, lock, holder | FUTEX_WAITERS,
				 MIN(bound, deadline));
	return r == -ERROR_TIMEOUT && deadline > bound ? 0 : r;
}

/* For who does not wait: the owner is dead, or some reader may be, and what it held is free now. */
static bool recovers_owner(struct shm_session *session, struct cell seen)
{
	bool by_readers = cell_tag(seen.meta) == TAG_READERS || shm_reader_is_frozen(seen.meta);
	struct shm_recovery recovery;

	return (by_readers ? shm_recovery_needed(session->seg)
			   : cell_tag(seen.meta) == TAG_BUSY && shm_robust_is_dead(session->seg, cell_own(seen.meta))) &&
	       shm_recover(session->seg, session, &recovery) == 0 && recovery.recovered > 0;
}

/*
 * Behind readers: they are many, and no one word tells of the death of any. Nor does one tell of a recoverer that died
 * while it counted them. So this one looks for the dead before it sleeps, and from time to time.
 */
static int sleep_behind_readers(struct shm_session *session, struct cell *cell, struct cell seen,
				enum wait_kind kind, uint64_t deadline)
{
	struct shm_recovery recovery;

	if (shm_recovery_needed(session->seg))
		(void)shm_recover(session->seg, session, &recovery);
	return sleep_for(cell, seen, kind, shm_reader_is_frozen(seen.meta) ? RECOUNT_NS : READERS_NS, deadline);
}

void shm_wait_turn(struct cell *cell, struct cell seen, uint64_t deadline)
{
	(void)sleep_for(cell, seen, WAIT_TURN, cell_tag(seen.meta) == TAG_READERS ? TURN_NS : WOKEN_NS, deadline);
}

/*
 * Until another wakes us. That one may be killed between its change and the wake, which is the daemon's to make up for; should
 * there be no daemon just then, it is ours.
 */
static int sleep_until_woken(struct shm_session *session, struct cell *cell, struct cell seen, enum wait_kind kind,
			     uint64_t deadline)
{
	uint64_t bound = clock_deadline(shm_wait_look);
	struct shm_recovery recovery;
	int r = shm_futex_wait(cell_futex(cell), (uint32_t)seen.meta, kind, MIN(bound, deadline));

	if (r != -ERROR_TIMEOUT || deadline <= bound)
		return r;
	if (shm_recovery_needed(session->seg))
		(void)shm_recover(session->seg, session, &recovery);
	return 0;
}

static int sleep_on(struct shm_session *session, struct cell *cell, struct cell seen, enum wait_kind kind,
		    uint64_t deadline)
{
	if (session->watch)
		return shm_watch_sleep(session, cell, seen, deadline);
	if (cell_tag(seen.meta) == TAG_READERS || shm_reader_is_frozen(seen.meta))
		return sleep_behind_readers(session, cell, seen, kind, deadline);
	if (cell_tag(seen.meta) == TAG_BUSY)
		return sleep_behind_owner(session, cell, seen, deadline);
	return sleep_until_woken(session, cell, seen, kind, deadline);
}

/* Did the caller ask to be told of signals? */
static bool is_interruptible(const struct shm_session *session)
{
	return session->cancel && load32_relaxed(&session->cancel->interruptible) != 0;
}

/*
 * Who is to be noticed does not sleep: with W set, the cell's next change rings the bell. No sleeper's wake is spent
 * on it, so none is to be passed on, and it counts as one who never slept.
 */
static int notice(struct shm_session *session, struct cell *cell, struct cell seen, const struct shm_call *call)
{
	if (cell_tag(seen.meta) == TAG_BUSY && cell_own(seen.meta) == session->id)
		return -ERROR_DEADLOCK;
	if (recovers_owner(session, seen) || !announce(session, cell, &seen))
		return 0;
	call->notice->cell = cell;
	call->notice->meta = seen.meta;
	return -ERROR_TIMEOUT;
}

int shm_wait_cell(struct shm_session *session, struct cell *cell, struct cell seen, enum wait_kind kind,
		  const struct shm_call *call, bool *slept)
{
	int r;

	if (cell_tag(seen.meta) == TAG_READERS && call->op != OP_READ_RW && shm_reader_holds(session, cell))
		return -ERROR_DEADLOCK;
	if (call->deadline == 0)
		return recovers_owner(session, seen) ? 0 : -ERROR_TIMEOUT;
	if (call->notice)
		return notice(session, cell, seen, call);
	if (cell_tag(seen.meta) != TAG_BUSY && spin(session, cell, seen.meta))
		return 0;
	/* Named before the first sleep: if this thread is woken and dies, recovery wakes another. */
	store64_release(&session->slot->wait, shm_offset(session->seg, cell));
	if (!announce(session, cell, &seen))
		return 0;
	if (shm_cancel_enter(session->cancel, cell_futex(cell)))
		return -ERROR_CANCELLED;
	*slept = true;
	r = sleep_on(session, cell, seen, kind, call->deadline);
	if (shm_cancel_woken(session->cancel))
		return -ERROR_CANCELLED;
	if (r == -ERROR_INTERRUPTED && !is_interruptible(session))
		return 0; /* look again, and sleep on: the deadline is absolute */
	return r;
}

void shm_wait_done(struct shm_session *session, struct cell *cell, enum wait_kind kind, bool pass)
{
	if (pass)
		(void)shm_futex_wake(cell_futex(cell), 1, kind);
	store64_release(&session->slot->wait, 0);
	shm_cancel_end(session->cancel);
}
