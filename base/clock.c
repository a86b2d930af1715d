/*
 * clock.c: reading the monotonic clock, and saturating arithmetic on its times.
 */
#include "base/clock.h"

#include <assert.h>

#include "base/macros.h"

uint64_t clock_now(void)
{
	struct timespec now;
	int failed = clock_gettime(CLOCK_MONOTONIC, &now);

	/* It fails only for a bad clock or pointer. */
	assert(!failed);
	(void)failed;
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t clock_add(uint64_t time, uint64_t duration)
{
	uint64_t sum;

	return ADD_OVERFLOWS(time, duration, &sum) ? CLOCK_NEVER : sum;
}

uint64_t clock_deadline(uint64_t duration)
{
	return duration == CLOCK_NEVER ? CLOCK_NEVER : clock_add(clock_now(), duration);
}

uint64_t clock_left(uint64_t deadline)
{
	uint64_t now;

	if (deadline == CLOCK_NEVER)
		return CLOCK_NEVER;
	now = clock_now();
	return deadline > now ? deadline - now : 0;
}

bool clock_passed(uint64_t deadline)
{
	return deadline != CLOCK_NEVER && clock_now() >= deadline;
}

struct timespec clock_timespec(uint64_t time)
{
	return (struct timespec){
		.tv_sec = (time_t)(time / NS_PER_S),
		.tv_nsec = (long)(time % NS_PER_S),
	};
}
