/* Listening to the bells of heaps, for those who wait from an event loop: see wait.h. With the lock. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "client/service.h"
#include "client/wait.h"
#include "shm/atomic.h"

/* Those with waits. */
static struct {
	struct listener *first;
	uint32_t count;
	uint32_t round;	      /* of the service thread's sleeps */
	uint64_t sleeps_until; /* the deadline of the present one */
} listening;

struct listener *listener_get(struct mapping *mapping, struct loop *loop)
{
	struct listener *listener = mapping->listener;

	if (listener)
		return listener;
	listener = calloc(1, sizeof(*listener));
	if (!listener)
		return NULL;
	listener->round = listening.round - 1; /* not in this one */
	listener->mapping = mapping;
	listener->loop = loop;
	mapping->listener = listener;
	return listener;
}

void listener_free(struct mapping *mapping)
{
	/* Its waits have ended, so it is on no list. The service thread may be asleep on the bell, which does no harm. */
	free(mapping->listener);
	mapping->listener = NULL;
}

struct group **listener_chain(struct listener *listener, const struct cell *cell)
{
	uint64_t offset = shm_offset(&listener->mapping->segment, cell);

	return &listener->chains[shm_bell_bucket(offset)][(offset >> 4) % LISTENER_CHAINS];
}

int listener_hold(struct listener *listener)
{
	if (listener->waits++ > 0)
		return 0;
	if (listening.count == SHM_FUTEX_WORDS - 1) {
		listener->waits = 0;
		return -ERROR_LIMIT;
	}
	/* What moves from here on changes a count, after the cell; the caller looks at its cell once more. */
	for (uint32_t i = 0; i < BELL_BUCKETS; i++)
		listener->counts[i] = shm_bell_count(&listener->mapping->segment, i);
	listener->next = listening.first;
	listener->link = &listening.first;
	if (listener->next)
		listener->next->link = &listener->next;
	listening.first = listener;
	listening.count++;
	if (listener->round != listening.round)
		service_call(); /* it sleeps, without this bell */
	return 0;
}

void listener_release(struct listener *listener)
{
	if (--listener->waits > 0)
		return;
	*listener->link = listener->next;
	if (listener->next)
		listener->next->link = listener->link;
	listening.count--;
}

void listener_until(uint64_t deadline)
{
	if (deadline < listening.sleeps_until)
		service_call();
}

void listener_forget(void)
{
	listening.first = NULL;
	listening.count = 0;
}

/* ---- the service thread's part ---- */

static void look(struct group *group)
{
	if (!group->moved && load64_acquire(&group->cell->meta) != group->meta)
		group_moved(group);
}

static void look_at_all(struct group *group)
{
	for (; group; group = group->next)
		look(group);
}

static void look_at_moved(struct listener *listener)
{
	look_at_all(listener->objects);
	for (uint32_t i = 0; i < BELL_BUCKETS; i++) {
		uint32_t count = shm_bell_count(&listener->mapping->segment, i);

		if (count == listener->counts[i])
			continue;
		listener->counts[i] = count; /* before the look at the cells: what comes later counts anew */
		for (uint32_t j = 0; j < LISTENER_CHAINS; j++)
			look_at_all(listener->chains[i][j]);
	}
}

uint32_t listener_prepare(struct shm_futex_word *words, uint64_t *deadline)
{
	uint32_t count = 0;
	struct wait *wait;

	waits_lock();
	listening.round++;
	while ((wait = timer_due()))
		loop_expired(wait);
	for (struct listener *listener = listening.first; listener; listener = listener->next) {
		struct shm_segment *segment = &listener->mapping->segment;

		listener->round = listening.round;
		words[count++] = (struct shm_futex_word){shm_bell_word(segment), shm_bell_listen(segment)};
		look_at_moved(listener);
	}
	*deadline = listening.sleeps_until = timer_next();
	waits_unlock();
	return count;
}
