/*
 * measure.h: how long something takes, beside something else that it is compared with.
 *
 * The model. What is measured and its limit take turns in short slices of time, in one thread, on one processor: what
 * disturbs the machine disturbs both. Each turn gives a time for one operation of each, and a ratio; medians of many turns
 * are what counts, and how far the middle half of them spreads says how much to believe them. The time is that of the
 * thread's processor, so that other programs' turns are not in it; what they do to caches is.
 *
 * `emsctl bench` and tests/bench are made of this.
 */
#ifndef CLIENT_EMSCTL_MEASURE_H
#define CLIENT_EMSCTL_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEASURE_TURNS_MAX 101

/* Of several measurements: the middle one, those a quarter from each end, the extremes. */
struct spread {
	double median, low, high, least, most;
};
struct spread spread_of(const double *samples, size_t count); /* at least one, at most MEASURE_TURNS_MAX */

struct measure {
	unsigned turns;	  /* at most MEASURE_TURNS_MAX */
	uint64_t slice;	  /* nanoseconds of each turn */
	bool wall_clock;  /* time on the wall: for what sleeps */
};

/* Does `count` operations. */
typedef void measure_work_t(void *context, uint64_t count);

struct comparison {
	struct spread measured, limit; /* nanoseconds for an operation */
	struct spread ratio;	       /* measured to limit */
};

/* Puts the calling thread on the n-th processor that it may use (modulo their number). False: it may not. */
bool measure_pin(unsigned n);
/* How many processors the process might use when it was first asked. */
unsigned measure_processors(void);

/* Nanoseconds that `count` operations take. */
double measure_time(const struct measure *measure, measure_work_t *work, void *context, uint64_t count);
/* How many operations make a slice; warms up on the way. At least 1. */
uint64_t measure_calibrate(const struct measure *measure, measure_work_t *work, void *context);
struct spread measure_alone(const struct measure *measure, measure_work_t *work, void *context);
struct comparison measure_compare(const struct measure *measure, measure_work_t *work, measure_work_t *limit,
				  void *context);

#endif
