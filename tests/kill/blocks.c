/*
 * blocks: kill images of blocks in a region (shm/block.h).
 *
 * Each operation is single-stepped in a child; whenever the region's memory has changed, a copy of it is taken for what a kill
 * there would leave, the child's locks being marked as the kernel marks them. Of each copy: repairing it gives blocks in which
 * bits and states agree, all that was stored before is there, and the operation has happened or not. The same with no
 * repair but what storing does by itself. The repair is stepped, too, of some images, and killed at each of its own.
 *
 *     blocks          plays all cases
 *     blocks --list   prints the exported functions that have cases
 *
 * EMS_KILL_ONLY=TEXT, EMS_KILL_ALL=1, EMS_TEST_SEED as with the others.
 */
#include <inttypes.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "shm/block_parts.h"
#include "tests/kill/tracee.h"

#define SIZE	       16u
#define CAPACITY       68u /* two levels, the first word can be full */
#define STEPS_MOST     400000u
#define FAILURES_SHOWN 5u
#define ONE_OF	       8u /* images whose repair is stepped */
#define DEAD_WRITER    40u

enum act { STORE, FREE, REPAIR };

/* Before the operation, blocks [0, stored) are stored but for `hole`. */
struct play {
	const char *name, *function;
	enum act act;
	uint64_t stored, hole; /* hole: CAPACITY, none */
	uint64_t number;       /* what FREE frees */
	enum { NOTHING, BITS_ZERO, BITS_ONES, GARBAGE, DEAD } spoilt;
};

static const struct play plays[] = {
	{"store: the first", "ems_block_store", STORE, 0, CAPACITY, 0, NOTHING},
	{"store: into a hole that fills a word", "ems_block_store", STORE, 64, 9, 0, NOTHING},
	{"store: behind a full word", "ems_block_store", STORE, 64, CAPACITY, 0, NOTHING},
	{"store: the last", "ems_block_store", STORE, CAPACITY, 67, 0, NOTHING},
	{"store: full", "ems_block_store", STORE, CAPACITY, CAPACITY, 0, NOTHING},
	{"store: bits that say nothing is taken", "ems_block_store", STORE, 3, CAPACITY, 0, BITS_ZERO},
	{"store: behind one who died", "ems_block_store", STORE, 10, 4, 0, DEAD},
	{"free: the only one", "ems_block_free", FREE, 1, CAPACITY, 0, NOTHING},
	{"free: in a full word", "ems_block_free", FREE, CAPACITY, CAPACITY, 63, NOTHING},
	{"free: nothing there", "ems_block_free", FREE, 10, 5, 5, NOTHING},
	{"repair: bits that hide all", "ems_blocks_repair", REPAIR, 5, CAPACITY, 0, BITS_ONES},
	{"repair: a claim of nobody", "ems_blocks_repair", REPAIR, 5, 3, 0, GARBAGE},
};

struct scene {
	int fd;
	struct shm_region region;
	struct shm_blocks blocks;
};

static struct {
	const struct play *play;
	struct scene scene, replica, second;
	struct tracee child;
	uint64_t images, repair_images, failures;
} now;
static uint64_t seed, size, failures, images, repair_images;

static uint64_t choose(uint64_t n)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (seed >> 33) % n;
}

static void report(const struct tracee *tracee, const char *problem)
{
	char place[128];

	if (++now.failures > FAILURES_SHOWN)
		return;
	tracee_describe(tracee, tracee_address(tracee), place, sizeof(place));
	printf("FAIL %s: image %" PRIu64 ", step %" PRIu64 "%s, before %s: %s\n", now.play->name, now.images,
	       tracee->steps, tracee == &now.child ? "" : " of its repair", place, problem);
}

/* ---- scenes ---- */

/* Also for a child of a fork, which has nothing mapped. */
static void map_scene(struct scene *scene)
{
	int fd = dup(scene->fd);

	memset(scene->blocks.mapped, 0, sizeof(scene->blocks.mapped));
	memset(&scene->region, 0, sizeof(scene->region));
	if (fd < 0 || shm_region_map_file_take(&scene->region, fd, 0, true) < 0)
		abort();
}

static void scene_init(struct scene *scene)
{
	int fd = memfd_create("blocks", MFD_CLOEXEC);

	memset(scene, 0, sizeof(*scene));
	scene->blocks.region = &scene->region;
	if (fd < 0 || !shm_blocks_plan(&scene->blocks, SIZE, CAPACITY))
		abort();
	size = shm_blocks_end(&scene->blocks, CAPACITY - 1);
	if (ftruncate(fd, (off_t)size) < 0)
		abort();
	scene->fd = fd;
	map_scene(scene);
	scene->blocks.era = shm_blocks_era("kill", 4);
	shm_blocks_make(&scene->region, SIZE, CAPACITY);
}

static void scene_fini(struct scene *scene)
{
	shm_blocks_fini(&scene->blocks);
	shm_region_unmap(&scene->region);
	close(scene->fd);
}

static void fill(uint64_t data[2], uint64_t number)
{
	data[0] = number + 1000;
	data[1] = ~data[0];
}

static bool is_before(const struct play *play, uint64_t number)
{
	return number < play->stored && number != play->hole;
}

static void spoil(struct shm_blocks *blocks, const struct play *play)
{
	struct block_writer *writer = block_writer(blocks, DEAD_WRITER);

	if (play->spoilt == BITS_ZERO || play->spoilt == BITS_ONES)
		memset(block_at(blocks, BLOCK_BITS), play->spoilt == BITS_ONES ? 0xff : 0,
		       blocks->first - BLOCK_BITS);
	if (play->spoilt == GARBAGE || play->spoilt == DEAD)
		*block_state(blocks, play->hole) =
			block_next(*block_state(blocks, play->hole), BLOCK_CLAIM + DEAD_WRITER);
	if (play->spoilt == DEAD)
		*writer = (struct block_writer){
			.lock = FUTEX_OWNER_DIED, .era = blocks->era, .intent = play->hole + 1};
}

static void scene_set(struct scene *scene, const struct play *play)
{
	uint64_t data[2], number;

	for (uint64_t i = 0; i < play->stored; i++) {
		fill(data, i);
		if (shm_block_store(&scene->blocks, data, &number) < 0 || number != i)
			abort();
	}
	if (play->hole < play->stored && shm_block_free(&scene->blocks, play->hole) < 0)
		abort();
	spoil(&scene->blocks, play);
}

/* As it is when that thread has been killed: the kernel walks its list of locks. */
static int bury(struct scene *scene, pid_t tid)
{
	int held = 0;

	for (uint32_t which = 0; which < BLOCK_WRITERS; which++) {
		uint32_t *lock = &block_writer(&scene->blocks, which)->lock;

		if ((*lock & FUTEX_TID_MASK) == (uint32_t)tid) {
			*lock = FUTEX_OWNER_DIED;
			held++;
		}
	}
	return held;
}

/* ---- judging ---- */

/* Bits that hide something, or are wrong altogether when exact; NULL: good. */
static const char *judge_bits(const struct shm_blocks *blocks)
{
	const uint64_t *bits = block_at(blocks, blocks->level[0]),
		       *above = block_at(blocks, blocks->level[1]);

	for (uint64_t i = 0; i < CAPACITY; i++)
		if ((bits[i / 64] >> i % 64 & 1) && block_who(*block_state(blocks, i)) == BLOCK_FREE)
			return "a bit hides a free block";
	for (uint64_t i = 0; i < 2; i++)
		if ((above[0] >> i & 1) && bits[i] != UINT64_MAX)
			return "a bit hides a word";
	return NULL;
}

/* *stored: how many there are. NULL: what was there is there, and at most the operation has happened. */
static const char *judge_contents(struct shm_blocks *blocks, uint64_t *stored)
{
	*stored = 0;
	for (uint64_t i = 0; i < CAPACITY; i++) {
		uint64_t data[2];
		bool before = is_before(now.play, i), there = shm_block_read(blocks, i, data) == 0;

		*stored += there;
		if (!there && before && !(now.play->act == FREE && i == now.play->number))
			return "a block is gone";
		if (there && !before && now.play->act != STORE)
			return "a block has come";
		if (there &&
		    (data[0] != ~data[1] || (before && data[0] != i + 1000) || (!before && data[0] != 5000)))
			return "a block is not whole";
		if (!there && block_who(*block_state(blocks, i)) != BLOCK_FREE &&
		    (now.play->spoilt != GARBAGE || i != now.play->hole))
			return "a block belongs to nobody";
	}
	return NULL;
}

static const char *judge(struct scene *scene, bool repair)
{
	uint64_t before = 0, stored, number, data[2] = {5000, ~UINT64_C(5000)};
	const char *problem = NULL;
	int r;

	for (uint64_t i = 0; i < CAPACITY; i++)
		before += is_before(now.play, i);
	if (repair) {
		if (shm_blocks_recover(&scene->blocks) < 0)
			return "it cannot be repaired";
		if (now.play->act != REPAIR)
			problem = judge_bits(&scene->blocks);
		if (!problem)
			problem = judge_contents(&scene->blocks, &stored);
		if (!problem &&
		    (stored > before + (now.play->act == STORE) || stored + (now.play->act == FREE) < before))
			problem = "there are too many, or too few";
		if (problem)
			return problem;
	}
	if (now.play->act == REPAIR && shm_blocks_repair(&scene->blocks, 0, UINT64_MAX, &number) < 0)
		return "it cannot be repaired";
	/* All that is free can be had. */
	while ((r = shm_block_store(&scene->blocks, data, &number)) == 0)
		if (number >= CAPACITY)
			return "there is no such block";
	if (r != -ERROR_FULL)
		return error_text(r);
	for (uint64_t i = 0; i < CAPACITY; i++)
		if (shm_block_read(&scene->blocks, i, NULL) < 0)
			return "free, and cannot be had";
	return NULL;
}

static void load(struct scene *scene, const uint8_t *image)
{
	memcpy(scene->region.base, image, size);
}

static void judge_image(const struct tracee *tracee, const uint8_t *image)
{
	for (int repair = 0; repair < 2; repair++) {
		const char *problem;

		load(&now.replica, image);
		(void)bury(&now.replica, now.child.pid);
		(void)bury(&now.replica, tracee->pid);
		problem = judge(&now.replica, repair);
		if (problem)
			report(tracee, problem);
	}
}

/* ---- stepping ---- */

static void step_repair(const uint8_t *image);

/* To the end, with a look at each state of the scene's memory. */
static void step_through(struct tracee *tracee, struct scene *scene)
{
	uint8_t *image = malloc(size);
	int r = 1;

	if (!image)
		abort();
	memcpy(image, scene->region.base, size);
	for (bool first = true; r > 0 || first; first = false) {
		if (first || memcmp(image, scene->region.base, size) != 0) {
			int held;

			memcpy(image, scene->region.base, size);
			load(&now.replica, image);
			held = bury(&now.replica, tracee->pid);
			if (r > 0 && held && tracee_robust_words(tracee) < held)
				report(tracee, "a lock is held that the kernel would not find");
			*(tracee == &now.child ? &now.images : &now.repair_images) += 1;
			judge_image(tracee, image);
			if (tracee == &now.child && (getenv("EMS_KILL_ALL") || choose(ONE_OF) == 0))
				step_repair(image);
		}
		if (r > 0)
			r = tracee->steps > STEPS_MOST ? -1 : tracee_step(tracee);
	}
	if (r < 0)
		report(tracee, "it does not end, or died by itself");
	else if (tracee->control->result < 0)
		report(tracee, error_text(tracee->control->result));
	free(image);
}

static void repairer(struct control *control, void *argument)
{
	(void)argument;
	map_scene(&now.second);
	control_begin(control);
	control_end(control, shm_blocks_recover(&now.second.blocks));
}

static void step_repair(const uint8_t *image)
{
	struct tracee tracee;

	load(&now.second, image);
	(void)bury(&now.second, now.child.pid);
	if (tracee_start(&tracee, repairer, NULL) < 0)
		now.failures++;
	else
		step_through(&tracee, &now.second);
	tracee_kill(&tracee);
}

static void actor(struct control *control, void *argument)
{
	const struct play *play = argument;
	uint64_t number = 0, mended = 0, data[2] = {5000, ~UINT64_C(5000)};
	struct shm_blocks *blocks = &now.scene.blocks;
	int r;

	map_scene(&now.scene);
	control_begin(control);
	switch (play->act) {
	case STORE:
		r = shm_block_store(blocks, data, &number);
		break;
	case FREE:
		r = shm_block_free(blocks, play->number);
		break;
	default:
		r = shm_blocks_repair(blocks, 0, 8, &mended);
	}
	control_end(control, r == -ERROR_FULL || r == -ERROR_EMPTY ? 0 : r);
}

static void play_one(const struct play *play)
{
	memset(&now, 0, sizeof(now));
	now.play = play;
	scene_init(&now.scene);
	scene_init(&now.replica);
	scene_init(&now.second);
	scene_set(&now.scene, play);
	if (tracee_start(&now.child, actor, (void *)(uintptr_t)play) < 0)
		now.failures++;
	else
		step_through(&now.child, &now.scene);
	tracee_kill(&now.child);
	printf("%s: %" PRIu64 " images, %" PRIu64 " of repair%s\n", play->name, now.images, now.repair_images,
	       now.failures ? ": FAILED" : "");
	failures += now.failures;
	images += now.images;
	repair_images += now.repair_images;
	scene_fini(&now.scene);
	scene_fini(&now.replica);
	scene_fini(&now.second);
}

static void nothing(struct control *control, void *argument)
{
	(void)argument;
	control_begin(control);
	control_end(control, 0);
}

/* Containers may forbid it. */
static bool can_trace(void)
{
	struct tracee tracee;
	bool can = tracee_start(&tracee, nothing, NULL) == 0;

	while (can && tracee_step(&tracee) > 0)
		continue;
	can = can && tracee.control->phase == 2;
	tracee_kill(&tracee);
	return can;
}

int main(int argc, char **argv)
{
	const char *given = getenv("EMS_TEST_SEED"), *only = getenv("EMS_KILL_ONLY");
	bool list = argc == 2 && strcmp(argv[1], "--list") == 0;

	if (!list && !can_trace())
		return puts("skipped: processes may not be traced here"), 77;
	seed = given ? strtoull(given, NULL, 0) : clock_now() ^ (uint64_t)getpid() << 40;
	if (!list)
		printf("EMS_TEST_SEED=%" PRIu64 "\n", seed);
	for (size_t i = 0; i < sizeof(plays) / sizeof(plays[0]); i++) {
		if (list)
			puts(plays[i].function);
		else if (!only || strstr(plays[i].name, only))
			play_one(&plays[i]);
	}
	if (!list)
		printf("%" PRIu64 " images, %" PRIu64 " of repair; %" PRIu64 " failures\n", images,
		       repair_images, failures);
	return failures != 0 || (!list && images == 0);
}
