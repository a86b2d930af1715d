/*
 * Heaps on disk and power cuts: after each, all heaps are what one and the same checkpoint made them, and it is the last one that was
 * confirmed, or the one in progress.
 *
 * A run does what a daemon does, on a disk that remembers (model.h). Before each barrier the power goes in many ways: with up to 12 things
 * unsure, each subset of them; otherwise a random choice; and torn sectors. What is left is opened and compared with the worlds that
 * may be: `allowed`. Opening may itself be cut off, and so on.
 *
 * That the test sees what it is for is shown by mutants: each barrier left out, and a journal made void too early.
 *
 * EMS_POWERCUT_ALL=1 looks at more of everything (a minute or two).
 */
#include <malloc.h>

#include "base/error.h"
#include "tests/powercut/model.h"
#include "tests/unit/disk_fixture.h"
#include "tests/unit/unit.h"

#define HEAPS	   3u /* two in the store, and one whose file was handed over */
#define GIVEN	   2u
#define GIVEN_NAME "given"
#define WORLDS	   64u
#define TRIES	   8u

/* Pages that are ever stored; the first and the last of groups among them. */
static const uint64_t pages[] = {0, 1, 2, 7, 511, 512, 600, 1023, 1024, 1099};

#define PAGES ARRAY_SIZE(pages)

struct heap_world {
	bool exists;
	uint32_t name;
	uint32_t versions[PAGES];
};

struct world {
	struct heap_world heaps[HEAPS];
};

struct run {
	struct model *model;
	struct shm_disk *disk;
	struct shm_disk_heap *heaps[HEAPS];
	struct world worlds[WORLDS];
	unsigned base, last; /* what is on disk for sure; the newest thought of */
	uint64_t allowed;    /* bit for each world */
	uint64_t also;	     /* what may be there instead of base, after a kill */
	uint32_t version;
	unsigned most;		  /* so many disks for each barrier */
	unsigned calls, barriers; /* the power does not go before these */
	bool ghost[HEAPS]; /* nobody knows: dropped, but the barrier failed, or a kill was in between */
	bool loud;	   /* tells of the first violation what was found */
	bool tolerant;	   /* a heap may be reported damaged, and each is looked at for itself */
	unsigned depth;	   /* of recoveries within recoveries */
	uint64_t random;
	uint64_t disks, recoveries;
	unsigned violations;
	char first[256];
};

static uint8_t *memory;

static void describe(const struct run *run, const struct world *world)
{
	for (unsigned w = 0; w <= run->last + 1; w++) {
		const struct world *one = w <= run->last ? &run->worlds[w] : world;

		if (w <= run->last && !(run->allowed >> w & 1))
			continue;
		printf(w <= run->last ? "allowed:" : "found:");
		for (unsigned h = 0; h < HEAPS; h++) {
			printf(" %s %u [", one->heaps[h].exists ? "name" : "none", one->heaps[h].name);
			for (size_t i = 0; i < PAGES; i++)
				printf(" %u", one->heaps[h].versions[i]);
			printf(" ]");
		}
		printf("\n");
	}
	fflush(stdout);
}

static void complain(struct run *run, const char *what, const struct shm_disk_trouble *trouble)
{
	char text[160] = "";

	if (run->violations++)
		return;
	if (trouble)
		shm_disk_trouble_text(trouble, text, sizeof(text));
	(void)snprintf(run->first, sizeof(run->first), "at barrier %u: %s: %s", model_barriers(run->model),
		       what, text);
}

static struct disk_meta meta_of(unsigned heap, uint32_t name)
{
	char text[DISK_NAME_MAX + 1];
	int n = snprintf(text, sizeof(text), "name-%u ", name);

	/* So long, and so different, that a header is torn. */
	memset(text + n, 'a' + (int)(name % 26), sizeof(text) - 1 - (size_t)n);
	text[sizeof(text) - 1] = '\0';
	return disk_test_meta((uint8_t)(heap + 1), text);
}

/* ---- reading a world from a disk ---- */

static uint32_t version_of(unsigned heap, uint64_t page)
{
	uint8_t data[DISK_PAGE];
	uint64_t first;
	uint32_t version;

	memcpy(&first, memory + page * DISK_PAGE, sizeof(first));
	version = (uint32_t)(first * UINT64_C(0xf1de83e19937733d)) &
		  0xffffff; /* the inverse of the factor there */
	disk_test_page(data, (uint8_t)(heap + 1), page, version);
	return memcmp(memory + page * DISK_PAGE, data, DISK_PAGE) == 0 ? version : UINT32_MAX;
}

static int read_contents(struct shm_disk_heap *heap, unsigned which, struct heap_world *world,
			 struct shm_disk_trouble *trouble)
{
	int r = shm_disk_load(heap, memory, DISK_TEST_PAGES * DISK_PAGE, NULL, NULL, trouble);
	uint32_t stored = 0;

	world->exists = true;
	world->name = (uint32_t)strtoul(shm_disk_heap_meta(heap)->name + 5, NULL, 10);
	for (size_t i = 0; i < PAGES; i++) {
		world->versions[i] = r == 0 ? version_of(which, pages[i]) : 0;
		stored += world->versions[i] != 0;
		memset(memory + pages[i] * DISK_PAGE, 0, DISK_PAGE);
	}
	return r == 0 && stored != shm_disk_heap_pages(heap) ? -ERROR_CORRUPT : r;
}

static int open_heap(struct shm_disk *disk, struct model *model, unsigned which, struct shm_disk_heap **_heap,
		     struct shm_disk_trouble *trouble)
{
	struct disk_meta meta = meta_of(which, 0);
	const struct shm_disk_io *io = model_io(model);

	if (which != GIVEN)
		return shm_disk_heap_open(disk, meta.heap_id, _heap, trouble);
	return shm_disk_file_adopt_take(io->open(io->context, MODEL_FOLDER, GIVEN_NAME, 0, 0), io, _heap,
					trouble);
}

/* 0, also when there is none. */
static int read_heap(struct shm_disk *disk, struct model *model, unsigned which, struct heap_world *world,
		     struct shm_disk_trouble *trouble)
{
	_cleanup_(shm_disk_heap_closep) struct shm_disk_heap *heap = NULL;
	int r = open_heap(disk, model, which, &heap, trouble);

	memset(world, 0, sizeof(*world));
	if (r == 0)
		return read_contents(heap, which, world, trouble);
	if (which != GIVEN)
		return r == -ERROR_NOT_FOUND ? 0 : r;
	/* A file that was empty, and has become a heap in part. */
	return trouble->what == SHM_DISK_FOREIGN || trouble->what == SHM_DISK_HEADER ||
			       trouble->what == SHM_DISK_TRUNCATED
		       ? 0
		       : r;
}

static bool same(const struct heap_world *a, const struct heap_world *b)
{
	return a->exists == b->exists &&
	       (!a->exists ||
		(a->name == b->name && memcmp(a->versions, b->versions, sizeof(a->versions)) == 0));
}

static bool is_allowed(const struct run *run, const struct world *world)
{
	for (unsigned w = 0; w <= run->last; w++) {
		unsigned right = 0;

		for (unsigned h = 0; h < HEAPS; h++)
			right += run->ghost[h] || same(&run->worlds[w].heaps[h], &world->heaps[h]);
		if (run->allowed >> w & 1 && right == HEAPS)
			return true;
	}
	return false;
}

static bool was_ever(const struct run *run, const struct heap_world *world, unsigned heap)
{
	for (unsigned w = 0; w <= run->last; w++)
		if (same(&run->worlds[w].heaps[heap], world))
			return true;
	return false;
}

static void judge(struct run *run, struct model *left, struct shm_disk *disk)
{
	struct shm_disk_trouble trouble = {0};
	struct world world;

	for (unsigned h = 0; h < HEAPS; h++) {
		int r = read_heap(disk, left, h, &world.heaps[h], &trouble);

		if (r < 0 && !run->tolerant)
			complain(run, "a heap is damaged", &trouble);
		if (r < 0 && !run->tolerant)
			return;
		if (r == 0 && run->tolerant && !was_ever(run, &world.heaps[h], h))
			complain(run, "a heap is what it never was", NULL);
	}
	if (run->tolerant || is_allowed(run, &world))
		return;
	if (run->violations == 0 && run->loud)
		describe(run, &world);
	complain(run, "not what one checkpoint made of all heaps", NULL);
}

static bool thorough(void)
{
	return getenv("EMS_POWERCUT_ALL") != NULL;
}

/* With sanitizers, of the calls that may fail only each third. */
static unsigned stride(void)
{
	const char *sanitizers = getenv("EMS_SANITIZERS");

	return sanitizers && *sanitizers && !thorough() ? 3 : 1;
}

/* ---- the power goes ---- */

static void lose_power(struct run *run, struct model *model);

struct within {
	struct run *run;
};

static void cut_within(void *arg, struct model *model)
{
	struct run *run = ((struct within *)arg)->run;
	unsigned most = run->most;

	if (run->depth >= 2)
		return;
	run->depth++;
	run->recoveries++;
	run->most = 3;
	lose_power(run, model);
	run->most = most;
	run->depth--;
}

static void boot(struct run *run, struct model *left)
{
	struct shm_disk_trouble trouble = {0};
	struct within within = {run};
	struct shm_disk *disk = NULL;

	run->disks++;
	if (unit_random(&run->random) % (thorough() ? 2 : 16) == 0)
		model_on_cut(left, cut_within, &within);
	if (shm_disk_open(MODEL_FOLDER, model_io(left), &disk, &trouble) < 0)
		complain(run, "the store does not open", &trouble);
	else
		judge(run, left, disk);
	model_on_cut(left, NULL, NULL);
	shm_disk_free(disk);
	model_free(left);
}

static void lose_power(struct run *run, struct model *model)
{
	unsigned unsure = model_unsure(model);
	bool all = unsure <= 12 && 1u << unsure <= run->most;
	unsigned subsets = all ? 1u << unsure : run->most;

	for (unsigned i = 0; i < subsets && !(run->violations && !run->loud); i++)
		boot(run, model_lose(model, all ? i : i == 0 ? UINT64_MAX : unit_random(&run->random), NULL));
	for (unsigned i = 0; unsure && i < MIN(run->most / 4 + 1, 64u); i++)
		boot(run, model_lose(model, i % 2 ? unit_random(&run->random) : UINT64_MAX, &run->random));
}

static void cut(void *arg, struct model *model)
{
	const struct run *run = arg;

	if (model_calls(model) >= run->calls && model_barriers(model) >= run->barriers)
		lose_power(arg, model);
}

/* ---- what a daemon does ---- */

static struct world *think(struct run *run)
{
	ck_assert_uint_lt(run->last + 1, WORLDS);
	run->worlds[++run->last] = run->worlds[run->base];
	run->allowed |= UINT64_C(1) << run->last;
	return &run->worlds[run->last];
}

/* What was thought of last is there to stay. */
static void promise(struct run *run)
{
	run->base = run->last;
	run->allowed = UINT64_C(1) << run->last;
	run->also = 0;
}

struct change {
	unsigned heap;
	unsigned page; /* index in pages; | ZERO: it becomes zero */
};

#define ZERO 0x100u

static int add(struct run *run, struct shm_disk_checkpoint *checkpoint, const unsigned *which,
	       const struct change *change, struct world *world, struct shm_disk_trouble *trouble)
{
	uint32_t version = change->page & ZERO ? 0 : ++run->version;
	unsigned index = change->page & ~ZERO;
	uint8_t data[DISK_PAGE];

	disk_test_page(data, (uint8_t)(change->heap + 1), pages[index], version);
	world->heaps[change->heap].versions[index] = version;
	return shm_disk_add(checkpoint, which[change->heap], pages[index] * DISK_PAGE, data, DISK_PAGE,
			    trouble);
}

/* rename: also the name of each heap changes. */
static int checkpoint(struct run *run, unsigned heaps, const struct change *changes, size_t count,
		      bool rename)
{
	struct shm_disk_heap *members[HEAPS];
	struct shm_disk_trouble trouble = {0};
	struct shm_disk_checkpoint *checkpoint;
	unsigned which[HEAPS] = {0}, n = 0;
	struct world *world;
	int r;

	for (unsigned h = 0; h < HEAPS; h++)
		if (heaps >> h & 1) {
			which[h] = n;
			members[n++] = run->heaps[h];
		}
	r = shm_disk_begin(members, n, &checkpoint, &trouble);
	if (r < 0)
		return r;
	run->allowed = UINT64_C(1) << run->base | run->also; /* what failed before is no more */
	world = think(run);
	for (size_t i = 0; i < count && r == 0; i++)
		r = add(run, checkpoint, which, &changes[i], world, &trouble);
	for (unsigned h = 0; h < HEAPS && rename && r == 0; h++)
		if (heaps >> h & 1) {
			struct disk_meta meta = meta_of(h, ++world->heaps[h].name);

			r = shm_disk_checkpoint_meta(checkpoint, which[h], &meta, &trouble);
		}
	if (r == 0)
		r = shm_disk_commit(checkpoint, &trouble);
	if (r < 0) {
		shm_disk_abort(checkpoint);
		return r;
	}
	promise(run);
	(void)shm_disk_settle(checkpoint, &trouble); /* the next begin will */
	return 0;
}

static int create(struct run *run, unsigned heap)
{
	const struct shm_disk_io *io = model_io(run->model);
	struct disk_meta meta = meta_of(heap, 0);
	struct world *world = think(run);
	struct shm_disk_trouble trouble;
	int r;

	world->heaps[heap] = (struct heap_world){.exists = true};
	if (heap == GIVEN)
		r = shm_disk_file_create_take(io->open(io->context, MODEL_FOLDER, GIVEN_NAME, 0, 0), io,
					      &meta, &run->heaps[heap], &trouble);
	else
		r = shm_disk_heap_create(run->disk, &meta, &run->heaps[heap], &trouble);
	if (r == 0)
		promise(run);
	return r;
}

static int rename_heap(struct run *run, unsigned heap)
{
	struct shm_disk_trouble trouble;
	struct world *world = think(run);
	struct disk_meta meta = meta_of(heap, ++run->version);
	int r;

	world->heaps[heap].name = run->version;
	r = shm_disk_heap_change(run->heaps[heap], &meta, &trouble);
	if (r == 0)
		promise(run);
	return r;
}

static int drop(struct run *run, unsigned heap)
{
	struct shm_disk_trouble trouble;
	struct world *world = think(run);
	int r;

	world->heaps[heap].exists = false;
	r = shm_disk_heap_drop(run->heaps[heap], &trouble);
	run->heaps[heap] = NULL;
	if (r == 0)
		promise(run);
	else if (open_heap(run->disk, run->model, heap, &run->heaps[heap], &trouble) == -ERROR_NOT_FOUND)
		run->ghost[heap] = true;
	return run->ghost[heap] ? 0 : r;
}

#define CHECKPOINT(run, heaps, rename, ...)                          \
	checkpoint(run, heaps, (const struct change[]){__VA_ARGS__}, \
		   sizeof((const struct change[]){__VA_ARGS__}) / sizeof(struct change), rename)

enum { A = 0, B = 1, C = GIVEN };

static int step(struct run *run, unsigned number)
{
	switch (number) {
	case 0:
		return create(run, A);
	case 1:
		return create(run, B);
	case 2:
		return CHECKPOINT(run, 1 << A, false, {A, 0}, {A, 1}, {A, 4}, {A, 5});
	case 3:
		return CHECKPOINT(run, 1 << A | 1 << B, false, {A, 1}, {A, 6}, {B, 0}, {B, 7});
	case 4:
		return rename_heap(run, A);
	case 5: /* growth: a page behind the end of the file, and a new size */
		return CHECKPOINT(run, 1 << A | 1 << B, true, {A, 5 | ZERO}, {B, 0}, {A, 9});
	case 6:
		return create(run, C);
	case 7:
		return CHECKPOINT(run, 1 << C, false, {C, 0}, {C, 3}, {C, 5});
	case 8:
		return CHECKPOINT(run, 1 << C, true, {C, 0}, {C, 8}, {C, 9});
	case 9:
		return CHECKPOINT(run, 1 << A | 1 << B, false, {B, 1}, {A, 0}, {A, 5});
	case 10:
		return rename_heap(run, B);
	case 11:
		return drop(run, B);
	case 12:
		return CHECKPOINT(run, 1 << A, false, {A, 0}, {A, 1 | ZERO}, {A, 2});
	default:
		return 1;
	}
}

/* ---- runs ---- */

static void run_open(struct run *run)
{
	struct shm_disk_trouble trouble;

	ck_assert_int_eq(shm_disk_open(MODEL_FOLDER, model_io(run->model), &run->disk, &trouble), 0);
}

static void run_init(struct run *run, unsigned most, uint64_t seed)
{
	memset(run, 0, sizeof(*run));
	run->model = model_new();
	run->allowed = 1;
	run->most = most;
	run->random = seed;
	run->loud = true;
	model_give(run->model, GIVEN_NAME);
	run_open(run);
	model_on_cut(run->model, cut, run);
}

static void run_close(struct run *run)
{
	for (unsigned h = 0; h < HEAPS; h++)
		shm_disk_heap_close(run->heaps[h]);
	memset(run->heaps, 0, sizeof(run->heaps));
	shm_disk_free(run->disk);
	run->disk = NULL;
}

static void run_fini(struct run *run)
{
	run_close(run);
	model_free(run->model);
}

/* Each step until it works. Returns how many did not at first. */
static unsigned run_steps(struct run *run, unsigned from)
{
	unsigned failed = 0;

	for (unsigned number = from;; number++) {
		int r = step(run, number);

		for (unsigned i = 0; r < 0 && i < TRIES; i++, failed++)
			r = step(run, number);
		ck_assert_msg(r >= 0, "step %u: %s", number, error_text(r));
		if (r > 0)
			break;
	}
	lose_power(run, run->model);
	return failed;
}

static void setup(void)
{
	memory = calloc(DISK_TEST_PAGES, DISK_PAGE);
	ck_assert_ptr_nonnull(memory);
}

static void teardown(void)
{
	free(memory);
}

START_TEST(test_each_cut)
{
	struct run run;

	run_init(&run, 4096, unit_seed());
	ck_assert_uint_eq(run_steps(&run, 0), 0);
	printf("%llu disks, %llu cuts of recoveries, %u barriers\n", (unsigned long long)run.disks,
	       (unsigned long long)run.recoveries, model_barriers(run.model));
	ck_assert_msg(run.violations == 0, "%u violations; %s", run.violations, run.first);
	run_fini(&run);
}
END_TEST

static unsigned barriers_of_a_run(void)
{
	struct run run;
	unsigned barriers;

	run_init(&run, 1, 1);
	model_on_cut(run.model, NULL, NULL);
	model_set(run.model, &(struct model_plan){0});
	run_steps(&run, 0);
	barriers = model_barriers(run.model);
	run_fini(&run);
	return barriers;
}

/* What is chosen at random may miss a thing: a mutant has several chances to be seen. */
#define CHANCES 8u

static unsigned violations_of_mutant(unsigned barrier, uint64_t seed)
{
	struct run run;
	unsigned violations;

	run_init(&run, 64, seed);
	run.loud = false;
	model_set(run.model, &(struct model_plan){.lie_at = barrier, .early = barrier == 0});
	run.barriers = barrier;
	run_steps(&run, 0);
	violations = run.violations;
	run_fini(&run);
	return violations;
}

START_TEST(test_mutants_are_seen)
{
	uint64_t seed = unit_seed();
	unsigned barriers = barriers_of_a_run();

	for (unsigned n = 0; n <= barriers; n++) {
		unsigned seen = 0;

		for (unsigned i = 0; i < CHANCES && !seen; i++)
			seen = violations_of_mutant(n, seed + n * CHANCES + i);
		ck_assert_msg(seen > 0, "without barrier %u (0: journals void too early) all is well", n);
	}
}
END_TEST

/* A disk that confirms one barrier and does nothing: a heap is what it was at some checkpoint, or it is reported. */
START_TEST(test_a_lie_is_reported)
{
	uint64_t seed = unit_seed();
	unsigned barriers = barriers_of_a_run();

	for (unsigned n = 1; n <= barriers; n++) {
		struct run run;

		run_init(&run, 64, seed + n);
		run.tolerant = true;
		run.barriers = n;
		model_set(run.model, &(struct model_plan){.lie_at = n});
		run_steps(&run, 0);
		ck_assert_msg(run.violations == 0, "barrier %u: %s", n, run.first);
		run_fini(&run);
	}
}
END_TEST

/* Each call fails once; what failed is done again by the caller. */
START_TEST(test_each_failure)
{
	static const int numbers[] = {EIO, ENOSPC};
	uint64_t seed = unit_seed();

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		for (unsigned n = 1, calls = 1; n <= calls; n += stride()) {
			struct run run;

			run_init(&run, thorough() ? 256 : 4, seed + n);
			run.calls = n;
			model_set(run.model, &(struct model_plan){.fail_at = n, .fail_number = numbers[i]});
			run_steps(&run, 0);
			calls = model_calls(run.model);
			ck_assert_msg(run.violations == 0, "call %u fails with %s: %s", n,
				      strerror(numbers[i]), run.first);
			run_fini(&run);
		}
}
END_TEST

/* After a kill the next daemon sees what the kernel has, of which nobody knows what is on the disk. */
static void go_on(struct run *run, const struct model_plan *plan)
{
	struct shm_disk_trouble trouble;
	struct world *world;

	model_set(run->model, plan);
	run->calls = 0;
	run_open(run);
	judge(run, run->model, run->disk);
	run->also = run->allowed;
	run->ghost[C] = true; /* until it has had a barrier of its own */
	world = think(run);
	for (unsigned h = 0; h < HEAPS; h++)
		ck_assert_int_eq(read_heap(run->disk, run->model, h, &world->heaps[h], &trouble), 0);
	run->base = run->last;
	for (unsigned h = 0; h < HEAPS; h++)
		(void)open_heap(run->disk, run->model, h, &run->heaps[h], &trouble);
}

static void finish_after_kill(struct run *run, bool group)
{
	if (run->heaps[A] && run->heaps[B] && group)
		ck_assert_int_eq(CHECKPOINT(run, 1 << A | 1 << B, true, {A, 1}, {B, 1}), 0);
	else if (run->heaps[A])
		ck_assert_int_eq(rename_heap(run, A), 0);
	if (run->heaps[C])
		ck_assert_int_eq(CHECKPOINT(run, 1 << C, false, {C, 3}), 0);
	run->ghost[C] = run->ghost[C] && !run->heaps[C];
	lose_power(run, run->model);
}

START_TEST(test_each_kill)
{
	uint64_t seed = unit_seed();

	for (unsigned n = 1, calls = 1; n <= calls; n += stride()) {
		struct run run;
		int r = 0;

		run_init(&run, thorough() ? 256 : 8, seed + n);
		run.calls = UINT32_MAX;
		model_set(run.model, &(struct model_plan){.die_at = n});
		for (unsigned number = 0; r == 0; number++)
			r = step(&run, number);
		calls = r > 0 ? n : n + 1;
		run_close(&run);
		go_on(&run, &(struct model_plan){0});
		finish_after_kill(&run, true);
		ck_assert_msg(run.violations == 0, "killed at call %u: %s", n, run.first);
		run_fini(&run);
	}
}
END_TEST

/* ---- barriers that matter only after a failure or a kill ---- */

/* The first barrier of a step. */
static unsigned barrier_of(unsigned number)
{
	struct run run;
	unsigned barriers;

	run_init(&run, 1, 1);
	model_on_cut(run.model, NULL, NULL);
	model_set(run.model, &(struct model_plan){0});
	for (unsigned i = 0; i < number; i++)
		ck_assert_int_eq(step(&run, i), 0);
	barriers = model_barriers(run.model);
	run_fini(&run);
	return barriers + 1;
}

/* Killed at that barrier of a step, from 0; then the next daemon, to which a barrier lies (0: none). */
static unsigned kill_and_lie(unsigned number, unsigned barrier, unsigned lie, uint64_t seed)
{
	struct run run;
	unsigned violations;
	int r = 0;

	run_init(&run, 256, seed);
	run.loud = lie == 0;
	run.calls = UINT32_MAX;
	model_set(run.model, &(struct model_plan){.die_barrier = barrier_of(number) + barrier});
	for (unsigned i = 0; r == 0; i++)
		r = step(&run, i);
	run_close(&run);
	go_on(&run, &(struct model_plan){.lie_at = lie});
	finish_after_kill(&run, number != 4);
	violations = run.violations;
	run_fini(&run);
	return violations;
}

START_TEST(test_what_is_found_is_made_sure)
{
	uint64_t seed = unit_seed();
	/* A name in the folder; the header that a change wrote; a journal that is whole. */
	static const struct {
		unsigned step, barrier, lie;
	} mutants[] = {{0, 1, 1}, {4, 0, 2}, {3, 0, 2}};

	for (size_t i = 0; i < ARRAY_SIZE(mutants); i++) {
		unsigned number = mutants[i].step, barrier = mutants[i].barrier, seen = 0;

		ck_assert_uint_eq(kill_and_lie(number, barrier, 0, seed), 0);
		for (unsigned k = 0; k < CHANCES && !seen; k++)
			seen = kill_and_lie(number, barrier, mutants[i].lie, seed + k);
		ck_assert_msg(seen > 0, "killed in step %u, then without barrier %u: all is well", number,
			      mutants[i].lie);
	}
}
END_TEST

/* A commit of two heaps fails, and may be there all the same. Then one of them changes for itself. */
static unsigned fail_and_lie(unsigned lie, uint64_t seed)
{
	struct run run;
	unsigned first = barrier_of(3), violations;

	run_init(&run, 256, seed);
	run.loud = lie == 0;
	model_set(run.model, &(struct model_plan){.fail_barrier = first, .lie_at = lie ? first + lie : 0});
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(step(&run, i), 0);
	ck_assert_int_lt(step(&run, 3), 0);
	ck_assert_int_eq(rename_heap(&run, A), 0);
	lose_power(&run, run.model);
	violations = run.violations;
	run_fini(&run);
	return violations;
}

START_TEST(test_what_failed_is_made_void)
{
	uint64_t seed = unit_seed();
	unsigned seen = 0;

	ck_assert_uint_eq(fail_and_lie(0, seed), 0);
	for (unsigned k = 0; k < CHANCES && !seen; k++)
		seen = fail_and_lie(1, seed + k);
	ck_assert_uint_gt(seen, 0);
}
END_TEST

/* Killed when a group's checkpoint was committed and half in place; then each call of the next daemon's repair fails once. */
static unsigned fail_in_repair(unsigned call, struct run *run)
{
	struct shm_disk_trouble trouble;
	struct shm_disk_heap *heap;
	int r = 0;

	run->calls = UINT32_MAX;
	model_set(run->model, &(struct model_plan){.die_barrier = barrier_of(3) + 1});
	for (unsigned i = 0; r == 0; i++)
		r = step(run, i);
	run_close(run);
	run->calls = 0;
	model_set(run->model, &(struct model_plan){.fail_at = call, .fail_number = EIO});
	r = shm_disk_open(MODEL_FOLDER, model_io(run->model), &run->disk, &trouble);
	if (r < 0)
		run_open(run);
	for (unsigned h = A; h <= B; h++) {
		r = open_heap(run->disk, run->model, h, &heap, &trouble);
		if (r < 0)
			r = open_heap(run->disk, run->model, h, &heap, &trouble);
		ck_assert_int_eq(r, 0);
		shm_disk_heap_close(heap);
	}
	judge(run, run->model, run->disk);
	lose_power(run, run->model);
	return model_calls(run->model);
}

START_TEST(test_repairs_that_fail)
{
	uint64_t seed = unit_seed();

	for (unsigned n = 1, calls = 1; n <= calls; n++) {
		struct run run;

		run_init(&run, 64, seed + n);
		calls = fail_in_repair(n, &run);
		ck_assert_msg(run.violations == 0, "call %u of the repair fails: %s", n, run.first);
		run_fini(&run);
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {test_each_cut,
				      test_mutants_are_seen,
				      test_a_lie_is_reported,
				      test_each_failure,
				      test_each_kill,
				      test_what_is_found_is_made_sure,
				      test_what_failed_is_made_void,
				      test_repairs_that_fail};
	static const char *const names[] = {"cuts",  "mutants", "lies", "failures",
					    "kills", "found",	"void", "repairs"};
	Suite *suite = suite_create("power cuts");
	SRunner *runner = srunner_create(suite);
	int failed;

	/* The code under test takes and frees buffers of a megabyte, a million times. */
	(void)mallopt(M_MMAP_THRESHOLD, 1 << 30);
	(void)mallopt(M_TRIM_THRESHOLD, 1 << 30);
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		TCase *tcase = tcase_create(names[i]); /* for CK_RUN_CASE */

		tcase_add_checked_fixture(tcase, setup, teardown);
		tcase_add_test(tcase, tests[i]);
		suite_add_tcase(suite, tcase);
	}
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
