/* What rows have in common: see bench.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/bench.h"

void need(int r)
{
	if (r >= 0)
		return;
	fprintf(stderr, "bench: %s\n", ems_last_error()->message);
	exit(1);
}

void need_system(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

ems_heap_t *new_heap(struct bench *bench, const ems_heap_options_t *options)
{
	ems_heap_options_t wish = *options;
	static unsigned number;
	ems_heap_t *heap;
	char name[64];

	snprintf(name, sizeof(name), "bench/%ld-%u", (long)getpid(), number++);
	wish.until_detached = true;
	need(ems_heap_open(bench->connection, name, EMS_CREATE, &wish, &heap));
	return heap;
}

ems_heap_t *open_heap(ems_connection_t *connection, const char *name)
{
	ems_heap_t *heap;

	need(ems_heap_open(connection, name, EMS_OPEN_EXISTING, NULL, &heap));
	return heap;
}

void report_comparison(const char *what, const char *beside, const struct comparison *comparison,
		       enum target_kind kind, double target)
{
	report_figure(&(struct figure){.what = what,
				       .unit = "ns",
				       .beside = beside,
				       .measured = comparison->measured,
				       .limit = comparison->limit,
				       .ratio = comparison->ratio,
				       .kind = kind,
				       .target = target});
}

double wall_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}
