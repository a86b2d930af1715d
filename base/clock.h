/*
 * clock.h: time that only goes forward, and deadlines on it.
 *
 * A time is nanoseconds of CLOCK_MONOTONIC in a uint64_t (enough for 584 years of uptime). A deadline is
 * the time at which to stop waiting; CLOCK_NEVER is later than any. All sums saturate at CLOCK_NEVER, so
 * that a huge time-out means "never", not "at once". Every function is safe in any thread.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define CLOCK_NEVER UINT64_MAX

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

/* The time now, in ns. Asks the kernel's shared page: no system call on ordinary machines. */
uint64_t clock_now(void);

/* time + duration, both ns; CLOCK_NEVER when either is, or when the sum does not fit. */
uint64_t clock_add(uint64_t time, uint64_t duration);

/* The deadline that is duration ns from now. CLOCK_NEVER gives CLOCK_NEVER. */
uint64_t clock_deadline(uint64_t duration);

/* The ns from now to the deadline: 0 when it is past, CLOCK_NEVER when it never comes. */
uint64_t clock_left(uint64_t deadline);

/* True once the deadline is reached. Never for CLOCK_NEVER, without looking at the clock. */
bool clock_passed(uint64_t deadline);

/* A time or duration as a timespec. CLOCK_NEVER becomes a valid one some 584 years on. */
struct timespec clock_timespec(uint64_t time);

#endif
