/*
 * watch.h: sleeping on a cell while the deaths of several others have to end the sleep, too.
 *
 * Who waits for an item of the queue sleeps on the place where the next one will be put. But an item also comes back when
 * one who has a lease dies. The daemon sees that; so that it is seen without one, the sleeper watches the
 * robust locks of those who have leases: the kernel changes the lock's word and wakes one sleeper, who recovers.
 */
#ifndef EMS_SHM_WATCH_H
#define EMS_SHM_WATCH_H

#include "shm/futex.h"
#include "shm/slot.h"

#define WATCH_MAX (FUTEX_WORDS - 1) /* of more only the first are watched; the others are looked at from time to time */

struct shm_watch {
	uint32_t count, slots[WATCH_MAX];
};

/* One more, unless it is there or there is no room. */
void shm_watch_add(struct shm_watch *watch, uint32_t slot);
/* One of them is dead, or, when there may be more than were added, anybody. */
bool shm_watch_has_dead(const struct shm_watch *watch, const struct shm_segment *seg);
/*
 * Sleeps while the cell is as seen and all in session->watch live. Outside any step. 0: look again (a dead one was
 * recovered, or will be by whoever is at it); -ERROR_TIMEOUT, -ERROR_INTERRUPTED.
 */
int shm_watch_sleep(struct shm_session *session, struct cell *cell, struct cell seen, uint64_t deadline);

#endif
