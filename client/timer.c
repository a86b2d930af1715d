/* The deadlines of waits, as a binary heap: see wait.h. With the lock. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/macros.h"
#include "client/wait.h"

#define FIRST_ROOM 64u

static struct {
	struct wait **waits; /* [0] has the earliest; the parent of i is (i - 1) / 2 */
	uint32_t count, room;
} timers;

static void put(uint32_t place, struct wait *wait)
{
	timers.waits[place] = wait;
	wait->timer = place + 1;
}

static void rise(uint32_t place, struct wait *wait)
{
	for (; place > 0; place = (place - 1) / 2) {
		struct wait *parent = timers.waits[(place - 1) / 2];

		if (parent->deadline <= wait->deadline)
			break;
		put(place, parent);
	}
	put(place, wait);
}

static void sink(uint32_t place, struct wait *wait)
{
	for (;;) {
		uint32_t child = 2 * place + 1;

		if (child + 1 < timers.count && timers.waits[child + 1]->deadline < timers.waits[child]->deadline)
			child++;
		if (child >= timers.count || timers.waits[child]->deadline >= wait->deadline)
			break;
		put(place, timers.waits[child]);
		place = child;
	}
	put(place, wait);
}

int timer_add(struct wait *wait)
{
	if (wait->deadline == CLOCK_NEVER)
		return 0;
	if (timers.count == timers.room) {
		uint32_t room = MAX(2 * timers.room, FIRST_ROOM);
		struct wait **waits = realloc(timers.waits, room * sizeof(struct wait *));

		if (!waits)
			return -ERROR_NO_MEMORY;
		timers.waits = waits;
		timers.room = room;
	}
	rise(timers.count++, wait);
	listener_until(wait->deadline);
	return 0;
}

void timer_remove(struct wait *wait)
{
	uint32_t place = wait->timer - 1;
	struct wait *last;

	if (wait->timer == 0)
		return;
	wait->timer = 0;
	last = timers.waits[--timers.count];
	if (last == wait)
		return;
	/* The last one takes its place, and goes to where it belongs from there. */
	sink(place, last);
	rise(last->timer - 1, last);
}

struct wait *timer_due(void)
{
	struct wait *wait = timers.count ? timers.waits[0] : NULL;

	if (!wait || !clock_passed(wait->deadline))
		return NULL;
	timer_remove(wait);
	return wait;
}

uint64_t timer_next(void)
{
	return timers.count ? timers.waits[0]->deadline : CLOCK_NEVER;
}

void timer_forget(void)
{
	free(timers.waits);
	timers.waits = NULL;
	timers.count = timers.room = 0;
}
