/*
 * Rows of several processes: elements of their own, one element for all, and more processes than processors.
 */
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "client/emsctl/limit.h"
#include "tests/bench/bench.h"

enum work { OWN_ELEMENT, ONE_ELEMENT, ONE_PAIR, QUEUE, SECTION };

#define APART 64 /* elements between those of two members: other cache lines, other pages of the book-keeping */

struct team {
	const char *name;
	ems_heap_t *heap;
	struct limit *limit; /* shared */
};

static void set_up(void *context, unsigned member)
{
	struct team *team = context;
	ems_connection_t *connection;

	(void)member;
	need(ems_connect(&connection, NULL));
	team->heap = open_heap(connection, team->name);
}

/* Takes an element, as a lock, and gives it back. */
static void pass_through(ems_heap_t *heap, uint64_t count)
{
	ems_value_t value = EMS_VALUE_INIT;

	for (uint64_t i = 0; i < count; i++) {
		need(ems_read_fe(heap, ems_index(1), &value));
		value.integer++;
		need(ems_write_ef(heap, ems_index(1), &value));
	}
}

static void through_queue(ems_heap_t *heap, uint64_t count)
{
	ems_value_t value = ems_value_integer(1);

	for (uint64_t i = 0; i < count; i++) {
		need(ems_enqueue(heap, &value, NULL));
		need(ems_dequeue_until(heap, &value, EMS_FOREVER));
	}
}

static void do_work(void *context, unsigned member, unsigned work, uint64_t count)
{
	struct team *team = context;
	int64_t element = work == OWN_ELEMENT ? APART * (member + 1) : 0;

	if (work == ONE_PAIR)
		limit_cas(team->limit, count);
	else if (work == SECTION)
		pass_through(team->heap, count);
	else if (work == QUEUE)
		through_queue(team->heap, count);
	else
		for (uint64_t i = 0; i < count; i++)
			need(ems_faa_int64(team->heap, ems_index(element), 1, NULL));
}

static void begin(struct bench *bench, struct team *team)
{
	ems_value_t zero = ems_value_integer(0);

	team->heap = new_heap(bench, &(ems_heap_options_t){.elements = 8192});
	need(ems_fill(team->heap, 0, 8192, &zero, EMS_FULL, NULL));
	team->name = ems_heap_name(team->heap);
	team->limit = mmap(NULL, sizeof(*team->limit), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	need_system(team->limit != MAP_FAILED, "memory");
}

static void finish(struct team *team, crew_t *crew)
{
	crew_end(crew);
	ems_heap_close(team->heap);
	munmap(team->limit, sizeof(*team->limit));
}

/* So many members at one work beside so many at another, by turns. Rates in millions a second, of all together. */
struct side {
	unsigned members;
	enum work work;
};

static void compare(struct bench *bench, crew_t *crew, struct side measured, struct side limit, double limit_times,
		    struct figure *figure)
{
	double rates[MEASURE_TURNS_MAX], limits[MEASURE_TURNS_MAX], ratios[MEASURE_TURNS_MAX];
	uint64_t count = crew_calibrate(crew, &bench->measure, measured.members, measured.work);
	uint64_t limit_count = crew_calibrate(crew, &bench->measure, limit.members, limit.work);

	for (unsigned i = 0; i < bench->measure.turns; i++) {
		limits[i] = limit_times * 1e3 * (double)limit_count * limit.members /
			    crew_run(crew, limit.members, limit.work, limit_count);
		rates[i] = 1e3 * (double)count * measured.members /
			   crew_run(crew, measured.members, measured.work, count);
		ratios[i] = rates[i] / limits[i];
	}
	figure->unit = "M/s";
	figure->measured = spread_of(rates, bench->measure.turns);
	figure->limit = spread_of(limits, bench->measure.turns);
	figure->ratio = spread_of(ratios, bench->measure.turns);
	report_figure(figure);
}

static bool has_two(const char *what)
{
	if (measure_processors() >= 2)
		return true;
	report_missing(what, "it takes two processors");
	return false;
}

void row_disjoint(struct bench *bench)
{
	struct team team = {0};
	crew_t *crew;

	if (!has_two("two processes, an element each"))
		return;
	begin(bench, &team);
	crew = crew_start(2, &(struct crew_job){set_up, &team, do_work});
	compare(bench, crew, (struct side){2, OWN_ELEMENT}, (struct side){1, OWN_ELEMENT}, 2,
		&(struct figure){.what = "faa by two processes, an element each", .beside = "twice one process",
				 .kind = RATIO_AT_LEAST, .target = 0.9});
	finish(&team, crew);
}

void row_one_element(struct bench *bench)
{
	struct team team = {0};
	crew_t *crew;

	if (!has_two("two processes, one element"))
		return;
	begin(bench, &team);
	crew = crew_start(2, &(struct crew_job){set_up, &team, do_work});
	compare(bench, crew, (struct side){2, ONE_ELEMENT}, (struct side){2, ONE_PAIR}, 1,
		&(struct figure){.what = "faa by two processes, one element", .beside = "faa by a 16-byte CAS, by two",
				 .kind = RATIO_AT_LEAST, .target = 0.8});
	finish(&team, crew);
}

/* More processes than processors: who is not running must not keep the others from it. */
void row_crowd(struct bench *bench)
{
	enum { CROWD = 16 };
	struct team team = {0};
	crew_t *crew;

	begin(bench, &team);
	crew = crew_start(CROWD, &(struct crew_job){set_up, &team, do_work});
	compare(bench, crew, (struct side){CROWD, ONE_ELEMENT}, (struct side){2, ONE_ELEMENT}, 1,
		&(struct figure){.what = "faa of one element, by 16 processes", .beside = "by two",
				 .kind = RATIO_AT_LEAST, .target = 0.7});
	compare(bench, crew, (struct side){CROWD, QUEUE}, (struct side){2, QUEUE}, 1,
		&(struct figure){.what = "enqueue and dequeue, by 16 processes", .beside = "by two",
				 .kind = RATIO_AT_LEAST, .target = 0.7});
	compare(bench, crew, (struct side){CROWD, SECTION}, (struct side){2, SECTION}, 1,
		&(struct figure){.what = "readFE and writeEF of one, by 16 processes", .beside = "by two",
				 .kind = RATIO_AT_LEAST, .target = 0.7});
	finish(&team, crew);
}
