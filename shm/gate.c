/*
 * The gate: a moment at which nobody is inside a step (tests/model/gate.pml).
 *
 *      daemon                               writer
 *      gate = 1                             cur = CUR_NONE
 *      membarrier                           (compiler barrier)
 *      each slot: cur == 0, or dead?        gate == 1? then cur = 0, sleep
 *
 * The membarrier makes every registered processor that runs a writer order its store of cur
 * before its load of the gate: either the daemon sees cur, or the writer sees the gate.
 * A writer stopped inside a step must not hold up the others, so the daemon gives up
 * after a while.
 *
 * The daemon holds lock 0 from before the gate goes up until it is down. So nobody recovers meanwhile (not even
 * one who has no slot to make steps with); and the gate of a daemon that was killed is known by its dead lock:
 * whoever takes that lock lowers the gate, a recoverer at once, a sleeper at the gate when it has slept for a while.
 */
#include <limits.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/macros.h"
#include "shm/futex.h"
#include "shm/slot.h"

#define GATE_PATIENCE (20 * NS_PER_MS)
#define GATE_DOUBT    (50 * NS_PER_MS) /* so long sleeps who then looks whether the daemon lives */

static bool slot_is_out(const struct shm_segment *seg, uint32_t id)
{
	return load64_acquire(&shm_slot(seg, id)->cur) == 0 || shm_robust_is_dead(seg, id);
}

/* Lock 0, which says whose the gate is. */
static int take_gate(struct shm_segment *seg, uint64_t give_up)
{
	struct shm_robust lock;
	int r;

	while ((r = shm_robust_trylock(seg, 0, &lock)) == -ERROR_BUSY && !clock_passed(give_up))
		(void)sched_yield();
	if (r == 0)
		seg->gate_lock = lock; /* only whoever holds it writes this */
	return r;
}

static int wait_for_slots(const struct shm_segment *seg, uint64_t give_up)
{
	/* Only after the membarrier: a slot that was taken until then may be inside a step that began before the gate went
	 * up. */
	uint32_t slots = shm_slots_high(seg);

	/* Steps last well below a microsecond; only a preempted one makes this loop turn. */
	for (uint32_t id = 1; id < slots; id++)
		while (!slot_is_out(seg, id)) {
			if (clock_passed(give_up))
				return -ERROR_BUSY;
			(void)sched_yield();
		}
	return 0;
}

int shm_gate_raise_all(struct shm_segment *const segs[], size_t count)
{
	uint64_t give_up = clock_deadline(GATE_PATIENCE);
	size_t up = 0;
	int r = 0;

	for (; up < count && r == 0; up += r == 0) {
		r = take_gate(segs[up], give_up);
		if (r == 0)
			/* A death from here on: the lock is dead, see shm_gate_settle. */
			store32_release(&shm_header(segs[up])->gate, 1);
	}
	/* One for all of them: who has seen a gate down before this has said so in its slot. */
	if (r == 0 && syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0) < 0)
		r = -ERROR_UNSUPPORTED;
	for (size_t i = 0; i < count && r == 0; i++)
		r = wait_for_slots(segs[i], give_up);
	if (r < 0)
		shm_gate_lower_all(segs, up);
	return r;
}

int shm_gate_raise(struct shm_segment *seg)
{
	return shm_gate_raise_all(&seg, 1);
}

static void open_gate(struct header *header)
{
	store32_release(&header->gate, 0);
	/* A death here: sleepers look again before long. */
	(void)shm_futex_wake(&header->gate, INT_MAX, WAIT_ANY);
}

void shm_gate_lower(struct shm_segment *seg)
{
	open_gate(shm_header(seg));
	shm_robust_unlock(&seg->gate_lock);
}

void shm_gate_lower_all(struct shm_segment *const segs[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		shm_gate_lower(segs[i]);
}

void shm_gate_settle(struct shm_segment *seg)
{
	if (load32_acquire(&shm_header(seg)->gate) != 0)
		open_gate(shm_header(seg));
}

/* Who can take lock 0 knows that nobody has the gate up: its holder is dead, or there was none. */
static void lower_if_abandoned(struct shm_segment *seg)
{
	struct shm_robust lock;

	if (shm_robust_trylock(seg, 0, &lock) < 0)
		return;
	shm_gate_settle(seg);
	shm_robust_unlock(&lock);
}

void shm_gate_wait(struct shm_session *session)
{
	struct header *header = shm_header(session->seg);

	store64_release(&session->slot->cur, 0);
	while (load32_acquire(&header->gate) == 1)
		if (shm_futex_wait(&header->gate, 1, WAIT_ANY, clock_deadline(GATE_DOUBT)) == -ERROR_TIMEOUT)
			lower_if_abandoned(session->seg);
}
