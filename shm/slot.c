/* Taking and giving back slots. */
#include "shm/slot.h"

#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/macros.h"
#include "shm/lease.h"
#include "shm/map.h"
#include "shm/reader.h"
#include "shm/recover.h"
#include "shm/storage.h"
#include "shm/transaction.h"

#define TABLE_TRIES 50
#define SUPPLIES_MOST 1000u /* of one operation */

static uint64_t boot_time(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void raise_high_mark(struct header *header, uint32_t id)
{
	uint32_t high = load32_acquire(&header->slots_high);

	while (high <= id && !cas32(&header->slots_high, &high, id + 1))
		continue;
}

/*
 * The lock is the ownership, so a death anywhere here leaves a dead lock and a slot whose
 * record is either free (nothing to recover) or taken with nothing named.
 * The high mark goes up first: whoever looks for dead slots must find this one.
 */
static int take_slot(struct shm_session *session, struct shm_segment *seg, uint32_t id, uint64_t client)
{
	struct slot *slot = shm_slot(seg, id);
	int r;

	raise_high_mark(shm_header(seg), id);
	r = shm_robust_trylock(seg, id, &session->lock);
	if (r < 0)
		return r;
	store64_relaxed(&slot->client, client);
	store32_relaxed(&slot->pid, (uint32_t)getpid());
	store32_relaxed(&slot->tid, (uint32_t)syscall(SYS_gettid));
	store64_relaxed(&slot->since, boot_time());
	store32_relaxed(&slot->generation, load32_relaxed(&slot->generation) + 1);
	store32_release(&slot->state, SLOT_TAKEN);
	session->seg = seg;
	session->slot = slot;
	session->id = id;
	return 0;
}

/* One pass over the slots. *dead: a dead one was met, so it is worth recovering and trying once more. */
static int find_slot(struct shm_session *session, struct shm_segment *seg, uint64_t client, bool *dead)
{
	for (uint32_t id = 1; id < SLOT_COUNT; id++) {
		int r = take_slot(session, seg, id, client);

		if (r == -ERROR_BROKEN)
			*dead = true;
		else if (r != -ERROR_BUSY)
			return r;
	}
	return -ERROR_LIMIT;
}

int shm_session_open(struct shm_session *session, struct shm_segment *seg, uint64_t client)
{
	struct shm_recovery recovery;
	bool dead = false;
	int r;

	memset(session, 0, sizeof(*session));
	if (!seg->writable)
		return -ERROR_READ_ONLY;
	r = find_slot(session, seg, client, &dead);
	if (!dead)
		return r;
	/* With a slot of our own, recover those that died: nobody else may come along to do it. */
	(void)shm_recover(seg, r == 0 ? session : NULL, &recovery);
	return r == -ERROR_LIMIT ? find_slot(session, seg, client, &dead) : r;
}

/* In a step, with something named, or on the way out of a sleep, perhaps with a wake that is owed to others. */
static bool is_at_work(const struct slot *slot)
{
	return load64_relaxed(&slot->cur) || load64_relaxed(&slot->intent) || load64_relaxed(&slot->wait);
}

void shm_session_close(struct shm_session *session)
{
	if (!session->slot)
		return;
	/* An operation that nobody will end: exit() in a signal handler, a thread cancelled while it asked for
	 * memory. That is a death, and recovery knows what to do. */
	if (is_at_work(session->slot) || shm_transaction_is_open(session->seg, session->id)) {
		shm_robust_abandon(&session->lock);
		session->slot = NULL;
		return;
	}
	/* A death from here on is repaired like any other: the lock is still held. */
	if (shm_reader_leave(session) < 0) {
		shm_robust_abandon(&session->lock);
		session->slot = NULL;
		return;
	}
	store32_release(&session->slot->state, SLOT_LEAVING);
	shm_lease_leave(session);
	if (session->seg->layout.params.has_map)
		shm_map_leave(session);
	shm_storage_leave(session);
	store32_release(&session->slot->state, SLOT_FREE);
	shm_robust_unlock(&session->lock); /* takes effect here: others may take the slot */
	session->slot = NULL;
}

/* Not inside a step: like `wait`, it means nothing in an image. */
void shm_session_lend(struct shm_session *session, const struct shm_session *user)
{
	uint64_t word = 0;

	if (user)
		word = (uint64_t)load32_relaxed(&user->slot->generation) << 32 | user->id;
	store64_release(&session->slot->user, word);
}

bool shm_slot_has_user(const struct shm_segment *seg, uint32_t id)
{
	uint64_t word = load64_acquire(&shm_slot(seg, id)->user);
	uint32_t user = (uint32_t)word;

	if (user == 0 || user >= SLOT_COUNT || user == id)
		return false;
	return shm_robust_is_held(seg, user) &&
	       load32_acquire(&shm_slot(seg, user)->generation) == (uint32_t)(word >> 32);
}

/*
 * The daemon clears a used table behind the gate, and gives up after 20 ms when somebody stays inside a step. That one is
 * preempted, most likely, and soon out; or it is stopped, and then this ends with -ERROR_BUSY.
 */
static int supply_table(struct shm_session *session, uint32_t id)
{
	const struct shm_supply *supply = session->seg->supply;
	int r = -ERROR_BUSY;

	for (int tries = 0; tries < TABLE_TRIES && r == -ERROR_BUSY; tries++)
		r = supply->table(session->seg->supply_context, session->seg, id);
	return r;
}

/* A taker may have to pass as many places of the queue as there are, many at an attempt; others' successes are few in comparison. */
int shm_session_doubt(const struct shm_session *session, uint64_t attempts, uint64_t deadline)
{
	if (deadline && clock_passed(deadline))
		return -ERROR_TIMEOUT;
	return attempts > session->seg->layout.params.max_elements / 16 + (UINT64_C(1) << 18) ? -ERROR_CORRUPT : 0;
}

int shm_session_supply(struct shm_session *session, uint32_t *times)
{
	const struct shm_supply *supply = session->seg->supply;
	struct shm_need need = session->need;
	int r;

	session->need.kind = NEED_NOTHING;
	if (++*times > SUPPLIES_MOST)
		return -ERROR_CORRUPT;
	switch (need.kind) {
	case NEED_UNITS:
		return supply->units(session->seg->supply_context, session->seg, need.first, need.count);
	case NEED_STORAGE:
		r = supply->storage(session->seg->supply_context, session->seg, (uint32_t)need.count);
		if (r != -ERROR_NO_SPACE && r != -ERROR_BUDGET)
			return r;
		session->storage_refused = r;
		return 0;
	case NEED_TABLE:
		return supply_table(session, (uint32_t)need.first);
	case NEED_NOTHING:
		break;
	}
	return 0;
}
