/* Measuring by turns: see measure.h. */
#include "client/emsctl/measure.h"

#include <sched.h>
#include <stdlib.h>
#include <time.h>

static int compare_numbers(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return left < right ? -1 : left > right;
}

/* Of sorted numbers, between the two that the part falls between. */
static double quantile(const double *sorted, size_t count, double part)
{
	double place = part * (double)(count - 1);
	size_t below = (size_t)place;
	size_t above = below + 1 < count ? below + 1 : below;

	return sorted[below] + (place - (double)below) * (sorted[above] - sorted[below]);
}

struct spread spread_of(const double *samples, size_t count)
{
	double sorted[MEASURE_TURNS_MAX] = {0};

	if (count == 0)
		return (struct spread){0};
	if (count > MEASURE_TURNS_MAX)
		count = MEASURE_TURNS_MAX;
	for (size_t i = 0; i < count; i++)
		sorted[i] = samples[i];
	qsort(sorted, count, sizeof(*sorted), compare_numbers);
	return (struct spread){.median = quantile(sorted, count, 0.5),
			       .low = quantile(sorted, count, 0.25),
			       .high = quantile(sorted, count, 0.75),
			       .least = sorted[0],
			       .most = sorted[count - 1]};
}

/* ---- processors ---- */

static const cpu_set_t *processors(void)
{
	static cpu_set_t allowed;
	static bool known;

	if (!known) {
		CPU_ZERO(&allowed);
		if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
			CPU_SET(0, &allowed);
		known = true;
	}
	return &allowed;
}

unsigned measure_processors(void)
{
	return (unsigned)CPU_COUNT(processors());
}

bool measure_pin(unsigned n)
{
	const cpu_set_t *allowed = processors();
	unsigned left = n % measure_processors();
	cpu_set_t one;

	CPU_ZERO(&one);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, allowed) || left-- > 0)
			continue;
		CPU_SET(cpu, &one);
		break;
	}
	return sched_setaffinity(0, sizeof(one), &one) == 0;
}

/* ---- times ---- */

static double now(const struct measure *measure)
{
	struct timespec time;

	clock_gettime(measure->wall_clock ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID, &time);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

double measure_time(const struct measure *measure, measure_work_t *work, void *context, uint64_t count)
{
	double begin = now(measure);

	work(context, count);
	return now(measure) - begin;
}

uint64_t measure_calibrate(const struct measure *measure, measure_work_t *work, void *context)
{
	uint64_t count = 1;
	double took;

	for (;;) {
		took = measure_time(measure, work, context, count);
		if (took >= (double)measure->slice / 4 || count > UINT64_MAX / 8)
			break;
		count *= took < (double)measure->slice / 64 ? 8 : 2;
	}
	count = (uint64_t)((double)count * (double)measure->slice / (took > 1 ? took : 1));
	return count > 0 ? count : 1;
}

struct spread measure_alone(const struct measure *measure, measure_work_t *work, void *context)
{
	uint64_t count = measure_calibrate(measure, work, context);
	double samples[MEASURE_TURNS_MAX];

	for (unsigned i = 0; i < measure->turns; i++)
		samples[i] = measure_time(measure, work, context, count) / (double)count;
	return spread_of(samples, measure->turns);
}

struct comparison measure_compare(const struct measure *measure, measure_work_t *work, measure_work_t *limit,
				  void *context)
{
	uint64_t work_count = measure_calibrate(measure, work, context);
	uint64_t limit_count = measure_calibrate(measure, limit, context);
	double measured[MEASURE_TURNS_MAX], limits[MEASURE_TURNS_MAX], ratios[MEASURE_TURNS_MAX];

	for (unsigned i = 0; i < measure->turns; i++) {
		limits[i] = measure_time(measure, limit, context, limit_count) / (double)limit_count;
		measured[i] = measure_time(measure, work, context, work_count) / (double)work_count;
		ratios[i] = measured[i] / limits[i];
	}
	return (struct comparison){spread_of(measured, measure->turns), spread_of(limits, measure->turns),
				   spread_of(ratios, measure->turns)};
}
