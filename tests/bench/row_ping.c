/*
 * Rows 11 and 12: two processes that answer each other through two elements, awake on two processors, and asleep by turns on one.
 */
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shm/atomic.h"
#include "tests/bench/bench.h"

enum work { THROUGH_ELEMENTS, THROUGH_WORDS, THROUGH_FUTEXES };

struct words {
	uint32_t ball[2] __attribute__((aligned(128)));
	uint32_t other __attribute__((aligned(128)));
};

struct game {
	const char *name;
	ems_heap_t *heap;
	struct words *words;
	bool one_processor;
};

static void set_up(void *context, unsigned member)
{
	struct game *game = context;
	ems_connection_t *connection;

	if (game->one_processor)
		(void)measure_pin(0);
	(void)member;
	need(ems_connect(&connection, NULL));
	game->heap = open_heap(connection, game->name);
}

static void through_elements(ems_heap_t *heap, unsigned member, uint64_t count)
{
	ems_value_t value = ems_value_integer(1);

	for (uint64_t i = 0; i < count; i++) {
		if (member == 0)
			need(ems_write_ef(heap, ems_index(0), &value));
		need(ems_read_fe(heap, ems_index(member == 0 ? 64 : 0), &value));
		if (member == 1)
			need(ems_write_ef(heap, ems_index(64), &value));
	}
}

static void spin_until(const uint32_t *word, uint32_t value)
{
	while (load32_acquire(word) != value)
		cpu_relax();
}

static void through_words(struct words *words, unsigned member, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		if (member == 0)
			store32_release(&words->ball[0], 1);
		spin_until(member == 0 ? &words->other : &words->ball[0], 1);
		store32_release(member == 0 ? &words->other : &words->ball[0], 0);
		if (member == 1)
			store32_release(&words->other, 1);
	}
}

static void sleep_until(uint32_t *word, uint32_t value)
{
	while (load32_acquire(word) != value)
		(void)syscall(SYS_futex, word, FUTEX_WAIT, !value, NULL, NULL, 0);
}

static void set_and_wake(uint32_t *word, uint32_t value)
{
	store32_release(word, value);
	(void)syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void through_futexes(struct words *words, unsigned member, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		if (member == 0)
			set_and_wake(&words->ball[0], 1);
		sleep_until(member == 0 ? &words->other : &words->ball[0], 1);
		store32_release(member == 0 ? &words->other : &words->ball[0], 0);
		if (member == 1)
			set_and_wake(&words->other, 1);
	}
}

static void do_work(void *context, unsigned member, unsigned work, uint64_t count)
{
	struct game *game = context;

	if (work == THROUGH_ELEMENTS)
		through_elements(game->heap, member, count);
	else if (work == THROUGH_WORDS)
		through_words(game->words, member, count);
	else
		through_futexes(game->words, member, count);
}

static void play(struct bench *bench, bool one_processor, unsigned limit, struct figure *figure)
{
	double measured[MEASURE_TURNS_MAX], limits[MEASURE_TURNS_MAX], ratios[MEASURE_TURNS_MAX];
	struct game game = {.one_processor = one_processor};
	uint64_t count, limit_count;
	crew_t *crew;

	game.heap = new_heap(bench, &(ems_heap_options_t){.elements = 128, .initial_tag = EMS_EMPTY});
	game.name = ems_heap_name(game.heap);
	game.words = mmap(NULL, sizeof(*game.words), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	need_system(game.words != MAP_FAILED, "memory");
	crew = crew_start(2, &(struct crew_job){set_up, &game, do_work});
	count = crew_calibrate(crew, &bench->measure, 2, THROUGH_ELEMENTS);
	limit_count = crew_calibrate(crew, &bench->measure, 2, limit);
	for (unsigned i = 0; i < bench->measure.turns; i++) {
		limits[i] = crew_run(crew, 2, limit, limit_count) / (double)limit_count;
		measured[i] = crew_run(crew, 2, THROUGH_ELEMENTS, count) / (double)count;
		ratios[i] = measured[i] / limits[i];
	}
	figure->unit = "ns";
	figure->measured = spread_of(measured, bench->measure.turns);
	figure->limit = spread_of(limits, bench->measure.turns);
	figure->ratio = spread_of(ratios, bench->measure.turns);
	report_figure(figure);
	crew_end(crew);
	ems_heap_close(game.heap);
	munmap(game.words, sizeof(*game.words));
}

void row_ping_pong(struct bench *bench)
{
	if (measure_processors() < 2) {
		report_missing("there and back, both awake", "it takes two processors");
		return;
	}
	play(bench, false, THROUGH_WORDS,
	     &(struct figure){.what = "there and back by writeEF, readFE; awake", .beside = "two words, spinning",
			      .kind = RATIO_AT_MOST, .target = 3});
}

void row_ping_pong_sleeping(struct bench *bench)
{
	play(bench, true, THROUGH_FUTEXES,
	     &(struct figure){.what = "there and back by writeEF, readFE; asleep", .beside = "two futexes, one processor",
			      .kind = RATIO_AT_MOST, .target = 1.3});
}
