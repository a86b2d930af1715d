/*
 * Checkpoints: how long everybody is held up by one, how fast it is on disk, and what it costs by the share that has changed.
 *
 * All of a heap is written, and a thread goes on adding to an element while another one asks for a checkpoint: the longest that an
 * addition took is the pause. Both are beside what the machine needs for as many bytes: a copy in memory; a file, written and
 * synchronised, in the daemon's own folder.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/bench.h"

#define CELLS_OF_A_PAGE 256u /* 16 bytes each */
#define PAGE		4096u
#define PIECE		(UINT64_C(1) << 20)

struct persist {
	ems_heap_t *heap;
	uint64_t bytes; /* of its cells */
	bool over;	/* atomic */
	double pause;	/* seconds */
};

static ems_heap_t *persistent_heap(struct bench *bench, uint64_t bytes)
{
	ems_value_t zero = ems_value_integer(0);
	uint64_t elements = bytes / PAGE * CELLS_OF_A_PAGE;
	ems_heap_t *heap = new_heap(bench, &(ems_heap_options_t){.elements = elements,
								 .persistent = true,
								 .checkpoint_ms = EMS_CHECKPOINT_NEVER});

	need(ems_fill(heap, 0, elements, &zero, EMS_FULL, NULL));
	need(ems_sync(heap));
	return heap;
}

/* So many pages are changed, spread over the heap. */
static void change(const struct persist *persist, uint64_t pages)
{
	uint64_t all = persist->bytes / PAGE;

	for (uint64_t i = 0; i < pages; i++)
		need(ems_faa_int64(persist->heap, ems_index((int64_t)(i * all / pages * CELLS_OF_A_PAGE + 1)), 1, NULL));
}

static void *go_on(void *context)
{
	struct persist *persist = context;
	double before = wall_seconds(), now;

	while (!__atomic_load_n(&persist->over, __ATOMIC_ACQUIRE)) {
		need(ems_faa_int64(persist->heap, ems_index(0), 1, NULL));
		now = wall_seconds();
		if (now - before > persist->pause)
			persist->pause = now - before;
		before = now;
	}
	return NULL;
}

/* The seconds of a checkpoint with everything changed. What the last one has left to be done is not counted: the next, small one waits for it. */
static double checkpoint_all(struct persist *persist)
{
	double begin;

	change(persist, 1);
	need(ems_sync(persist->heap));
	change(persist, persist->bytes / PAGE);
	begin = wall_seconds();
	need(ems_sync(persist->heap));
	return wall_seconds() - begin;
}

/* The longest that another thread waits meanwhile. */
static double pause_of_checkpoint(struct persist *persist)
{
	pthread_t thread;

	persist->over = false;
	persist->pause = 0;
	need_system(pthread_create(&thread, NULL, go_on, persist) == 0, "a thread");
	(void)checkpoint_all(persist);
	__atomic_store_n(&persist->over, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	return persist->pause;
}

static double copy_in_memory(char *to, const char *from, uint64_t bytes)
{
	double begin = wall_seconds();

	memcpy(to, from, bytes);
	__asm__ volatile("" : : "r"(to) : "memory");
	return wall_seconds() - begin;
}

/* As dd would: a file that was empty. */
static double write_plainly(int fd, const char *from, uint64_t bytes)
{
	double begin;

	need_system(ftruncate(fd, 0) == 0, "a file");
	begin = wall_seconds();
	for (uint64_t done = 0; done < bytes; done += PIECE)
		need_system(pwrite(fd, from, PIECE, (off_t)done) == (ssize_t)PIECE, "a file");
	need_system(fdatasync(fd) == 0, "a file");
	return wall_seconds() - begin;
}

/* A file beside the daemon's. */
static int plain_file(void)
{
	const char *directory = getenv("EMS_DEVENV_DIR");
	char path[4096];
	int fd;

	if (!directory)
		directory = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
	snprintf(path, sizeof(path), "%s/ems-bench.XXXXXX", directory);
	fd = mkstemp(path);
	need_system(fd >= 0 && unlink(path) == 0, path);
	return fd;
}

void row_checkpoint(struct bench *bench)
{
	struct persist persist = {.bytes = (uint64_t)BENCH_PICK(bench, 1, 64, 256) << 20};
	unsigned turns = (unsigned)BENCH_PICK(bench, 1, 5, 9);
	char *from = malloc(persist.bytes), *to = malloc(persist.bytes);
	double pause[9], allowed[9], pauses[9], speed[9], plain[9], speeds[9], mib = (double)(persist.bytes >> 20), time;
	char what[96];
	int fd;

	need_system(from && to, "memory");
	memset(from, 1, persist.bytes);
	memset(to, 2, persist.bytes);
	fd = plain_file();
	persist.heap = persistent_heap(bench, persist.bytes);
	(void)checkpoint_all(&persist);
	for (unsigned i = 0; i < turns; i++) {
		pause[i] = pause_of_checkpoint(&persist) * 1e3;
		time = checkpoint_all(&persist);
		allowed[i] = copy_in_memory(to, from, persist.bytes) * 1e3 + 1;
		pauses[i] = pause[i] / allowed[i];
		speed[i] = mib / time;
		plain[i] = mib / write_plainly(fd, from, persist.bytes);
		speeds[i] = speed[i] / plain[i];
	}
	snprintf(what, sizeof(what), "checkpoint of %.0f changed MiB: the others' pause", mib);
	report_figure(&(struct figure){.what = what, .unit = "ms", .beside = "copying them in memory, and 1 ms",
				       .measured = spread_of(pause, turns), .limit = spread_of(allowed, turns),
				       .ratio = spread_of(pauses, turns), .kind = RATIO_AT_MOST, .target = 1});
	report_figure(&(struct figure){.what = "the same: until it is on disk", .unit = "MiB/s",
				       .beside = "a file, written and synchronised", .measured = spread_of(speed, turns),
				       .limit = spread_of(plain, turns), .ratio = spread_of(speeds, turns),
				       .kind = RATIO_AT_LEAST, .target = 0.7});
	close(fd);
	ems_heap_close(persist.heap);
	free(from);
	free(to);
}

void row_curve_dirty(struct bench *bench)
{
	struct persist persist = {.bytes = (uint64_t)BENCH_PICK(bench, 1, 64, 256) << 20};
	uint64_t pages = persist.bytes / PAGE;
	unsigned turns = (unsigned)BENCH_PICK(bench, 1, 5, 9);
	double samples[9], begin;

	persist.heap = persistent_heap(bench, persist.bytes);
	for (uint64_t changed = 1; changed <= pages; changed *= 4) {
		struct spread spread;

		for (unsigned i = 0; i < turns; i++) {
			change(&persist, changed);
			begin = wall_seconds();
			need(ems_sync(persist.heap));
			samples[i] = (wall_seconds() - begin) * 1e9;
		}
		spread = spread_of(samples, turns);
		report_point("a checkpoint, by the share that has changed", "percent", 100.0 * (double)changed / (double)pages, "ns",
			     &spread);
	}
	ems_heap_close(persist.heap);
}
