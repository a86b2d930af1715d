/*
 * bench.h: the harness of `make bench`.
 *
 * A row is one line of the table of targets, and more: a function that measures, and reports one or more figures. A figure
 * says what was measured, what limit it was measured beside, in the same run, and what the target is. No row fails
 * because something is slow, only because something is wrong.
 *
 *     main.c         the command line, and the rows one after the other
 *     report.c       figures as a table, and as JSON
 *     machine.c      on what all this was measured
 *     crew.c         several processes that do the same, at the same time
 *     support.c      what rows have in common
 *     row_*.c        the rows
 *     peer*.c        what others offer, for the same work (`make bench-peers`)
 */
#ifndef TESTS_BENCH_H
#define TESTS_BENCH_H

#include <stdio.h>
#include <sys/types.h>

#include "base/macros.h"
#include "client/ems.h"
#include "client/emsctl/measure.h"

struct bench {
	struct measure measure; /* turns and slices for what one thread does */
	bool quick;		/* all rows in under two minutes */
	bool tiny;		/* nothing but proof that it works: for `make check` */
	ems_connection_t *connection;
};

/* Of quick, tiny and long runs. */
#define BENCH_PICK(bench, tiny_, quick_, full_) ((bench)->tiny ? (tiny_) : (bench)->quick ? (quick_) : (full_))

enum target_kind {
	TARGET_NONE,
	RATIO_AT_MOST,
	RATIO_AT_LEAST,
	VALUE_AT_MOST, /* of what was measured; the limit, if any, is only printed */
	VALUE_AT_LEAST,
};

struct figure {
	const char *what;
	const char *unit;      /* of measured and limit */
	const char *beside;    /* the limit, in words; NULL: none */
	struct spread measured, limit, ratio;
	enum target_kind kind;
	double target;
	const char *missing; /* why it was not measured; NULL: it was */
};

struct row {
	const char *number; /* of the table of targets; others have a name only */
	const char *name;
	void (*run)(struct bench *bench);
	bool is_curve; /* how a cost grows: only when asked for */
	bool is_peer;
};

/* ---- report.c ---- */

/* What was measured on; before all else. */
void report_machine(bool json);
/* What follows is of this row. */
void report_begin(const struct row *row);
void report_figure(const struct figure *figure);
void report_missing(const char *what, const char *why);
/* A point of a curve: what it costs at x. */
void report_point(const char *curve, const char *x_name, double x, const char *unit, const struct spread *y);
void report_end(void);

/* ---- machine.c ---- */

struct machine {
	char processor[96], kernel[96], compiler[64], date[32];
	unsigned processors;
	double memory_gib, load; /* load: of the last minute, when the run began */
};
void machine_look(struct machine *machine);

/* ---- support.c ---- */

/* Ends the program when the library has failed, with its words. */
void need(int r);
void need_system(bool good, const char *what);
/* A new heap that is dropped when the last one closes it. */
ems_heap_t *new_heap(struct bench *bench, const ems_heap_options_t *options);
ems_heap_t *open_heap(ems_connection_t *connection, const char *name);
/* The figure of a comparison of nanoseconds. */
void report_comparison(const char *what, const char *beside, const struct comparison *comparison,
		       enum target_kind kind, double target);
double wall_seconds(void);
/* The process that the library talks to, when $EMS_SOCKET says where; else 0. */
pid_t daemon_pid(struct bench *bench);
/* A generator of numbers that look random; the state is any number. */
static inline uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* ---- crew.c ---- */

#define CREW_MAX 64

typedef struct crew crew_t;

struct crew_job {
	void (*set_up)(void *context, unsigned member); /* in each process, first; may be NULL */
	void *context;					/* as it was at the crew's start */
	/* One kind of work; `work` numbers those that the job knows. */
	void (*work)(void *context, unsigned member, unsigned work, uint64_t count);
};

/* Starts so many processes, each on a processor of its own as far as there are; ends the program when it cannot. */
crew_t *crew_start(unsigned members, const struct crew_job *job);
/*
 * Members [0, active) do the work at the same time, count operations each. Returns the nanoseconds from the first one's
 * beginning to the last one's end.
 */
double crew_run(crew_t *crew, unsigned active, unsigned work, uint64_t count);
/* Operations of each member that make a slice. */
uint64_t crew_calibrate(crew_t *crew, const struct measure *measure, unsigned active, unsigned work);
void crew_end(crew_t *crew);

/* ---- the rows ---- */

extern const struct row rows[];
extern const size_t row_count;

#define ROW_FUNCTIONS(X)                                                                                               \
	X(read) X(faa) X(counter) X(handover) X(string) X(queue) X(map) X(system_calls) X(disjoint) X(one_element)     \
	X(ping_pong) X(ping_pong_sleeping) X(death) X(recovery) X(attach) X(creation) X(checkpoint) X(idle)            \
	X(requests) X(transaction) X(readers) X(bulk) X(stream) X(words) X(tables) X(crowd)                \
	X(curve_elements) X(curve_sizes) X(curve_keys) X(curve_processes) X(curve_clients) X(curve_dirty) \
	X(peers)

#define DECLARE_ROW(name) void row_##name(struct bench *bench);
ROW_FUNCTIONS(DECLARE_ROW)
#undef DECLARE_ROW

#endif
