/*
 * test_shm_block.c: blocks in one process: the lowest free one, bits that are wrong, garbage, writers that died.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "shm/block_parts.h"
#include "tests/unit/unit.h"

#define SIZE 24u

struct fixture {
	int fd;
	struct shm_region region;
	struct shm_blocks blocks;
};

/* A view of its own, for a child of a fork, which has nothing mapped. */
static void map_again(struct fixture *fixture)
{
	int fd = dup(fixture->fd);

	memset(fixture->blocks.mapped, 0, sizeof(fixture->blocks.mapped));
	memset(&fixture->region, 0, sizeof(fixture->region));
	if (fd < 0 || shm_region_map_file_take(&fixture->region, fd, 0, true) < 0)
		_exit(4);
}

/* `there` blocks have memory, of `capacity`. */
static void set_up(struct fixture *fixture, uint32_t capacity, uint64_t there)
{
	int fd = memfd_create("blocks", MFD_CLOEXEC);
	struct shm_blocks *blocks = &fixture->blocks;

	memset(fixture, 0, sizeof(*fixture));
	ck_assert_int_ge(fd, 0);
	blocks->region = &fixture->region;
	ck_assert(shm_blocks_plan(blocks, SIZE, capacity));
	ck_assert_int_eq(ftruncate(fd, (off_t)shm_blocks_end(blocks, there - 1)), 0);
	fixture->fd = fd;
	map_again(fixture);
	blocks->era = shm_blocks_era("x", 1);
	shm_blocks_make(&fixture->region, SIZE, capacity);
}

static void tear_down(struct fixture *fixture)
{
	shm_blocks_fini(&fixture->blocks);
	shm_region_unmap(&fixture->region);
	close(fixture->fd);
}

static int store(struct fixture *fixture, uint64_t mark, uint64_t *number)
{
	uint64_t data[SIZE / 8] = {mark, ~mark, mark};

	return shm_block_store(&fixture->blocks, data, number);
}

static void ck_stored(struct fixture *fixture, uint64_t number, uint64_t mark)
{
	uint64_t data[SIZE / 8];

	ck_assert_int_eq(shm_block_read(&fixture->blocks, number, data), 0);
	ck_assert_uint_eq(data[0], mark);
	ck_assert_uint_eq(data[1], ~mark);
	ck_assert_uint_eq(data[2], mark);
}

/* No writer is left. Nothing free is hidden by a bit; `exactly`: nor is anything taken that a bit says is free. */
static void ck_bits(const struct shm_blocks *blocks, bool exactly)
{
	uint64_t index, count = blocks->capacity;

	for (uint32_t which = 0; which < BLOCK_WRITERS; which++) {
		ck_assert_uint_eq(block_writer(blocks, which)->lock, 0);
		ck_assert_uint_eq(block_writer(blocks, which)->intent, 0);
	}
	for (uint32_t level = 0; level < blocks->levels; level++) {
		const uint64_t *bits = block_at(blocks, blocks->level[level]);

		for (index = 0; index < count; index++) {
			bool taken = level ? ((const uint64_t *)block_at(
						     blocks, blocks->level[level - 1]))[index] == UINT64_MAX
					   : block_who(block_load(blocks, index)) != BLOCK_FREE;
			bool bit = bits[index / 64] >> index % 64 & 1;

			ck_assert_msg(bit == taken || (taken && !exactly), "level %u, %lu: bit %d, taken %d", level,
				      (unsigned long)index, bit, taken);
		}
		count = blocks->words[level];
	}
}

/*
 * Bits and states say the same: of one thread's doing, at once; of several (who clears a bit may be overtaken by one who sets
 * it for what was taken meanwhile), after a repair, which has nothing to report.
 */
static void ck_quiet(struct fixture *fixture, bool alone)
{
	uint64_t mended = 0;

	ck_bits(&fixture->blocks, alone);
	ck_assert_int_eq(shm_blocks_repair(&fixture->blocks, 0, UINT64_MAX, &mended), 0);
	ck_assert_uint_eq(mended, 0);
	ck_bits(&fixture->blocks, true);
}

START_TEST(the_lowest_is_taken)
{
	uint64_t random = unit_seed(), number, lowest;
	static bool taken[5000];
	struct fixture fixture;

	memset(taken, 0, sizeof(taken));
	set_up(&fixture, 5000, 5000); /* three levels */
	ck_assert_uint_eq(fixture.blocks.levels, 3);
	for (uint64_t i = 0; i < 5000; i++) {
		ck_assert_int_eq(store(&fixture, i, &number), 0);
		ck_assert_uint_eq(number, i);
		taken[i] = true;
	}
	ck_assert_int_eq(store(&fixture, 1, &number), -ERROR_FULL);
	for (int round = 0; round < 3000; round++) {
		uint64_t which = unit_random(&random) % 5000;

		ck_assert_int_eq(shm_block_free(&fixture.blocks, which), taken[which] ? 0 : -ERROR_EMPTY);
		ck_assert_int_eq(shm_block_read(&fixture.blocks, which, NULL), -ERROR_EMPTY);
		taken[which] = false;
		if (unit_random(&random) % 3 == 0)
			continue;
		for (lowest = 0; taken[lowest]; lowest++)
			;
		ck_assert_int_eq(store(&fixture, 7000 + lowest, &number), 0);
		ck_assert_uint_eq(number, lowest);
		ck_stored(&fixture, number, 7000 + lowest);
		taken[number] = true;
	}
	ck_assert_int_eq(shm_block_read(&fixture.blocks, 5000, NULL), -ERROR_RANGE);
	ck_assert_int_eq(shm_block_free(&fixture.blocks, UINT64_MAX), -ERROR_RANGE);
	ck_quiet(&fixture, true);
	tear_down(&fixture);
}
END_TEST

START_TEST(what_is_not_there_is_asked_for)
{
	struct fixture fixture;
	uint64_t number;

	set_up(&fixture, 200, 2);
	ck_assert_int_eq(store(&fixture, 1, &number), 0);
	ck_assert_int_eq(store(&fixture, 2, &number), 0);
	ck_assert_int_eq(store(&fixture, 3, &number), -ERROR_NO_SPACE);
	ck_assert_uint_eq(number, 2);
	ck_assert_int_eq(shm_block_read(&fixture.blocks, 2, NULL), -ERROR_EMPTY);
	ck_assert_int_eq(shm_block_free(&fixture.blocks, 199), -ERROR_EMPTY);
	ck_quiet(&fixture, true);
	tear_down(&fixture);
}
END_TEST

/* Bits that say free where nothing is: found by who searches. */
START_TEST(bits_may_be_wrong)
{
	struct fixture fixture;
	uint64_t number;

	set_up(&fixture, 300, 300);
	for (uint64_t i = 0; i < 299; i++)
		ck_assert_int_eq(store(&fixture, i, &number), 0);
	memset(block_at(&fixture.blocks, BLOCK_BITS), 0, fixture.blocks.first - BLOCK_BITS);
	ck_assert_int_eq(store(&fixture, 5, &number), 0);
	ck_assert_uint_eq(number, 299);
	ck_assert_int_eq(store(&fixture, 5, &number), -ERROR_FULL);
	for (uint64_t i = 0; i < 299; i++)
		ck_stored(&fixture, i, i);
	ck_quiet(&fixture, true);
	tear_down(&fixture);
}
END_TEST

/* Garbage in bits, states and writers; repaired in pieces of any size, at once, or in any order of pieces. */
START_TEST(garbage)
{
	uint64_t random = unit_seed(), number, mended;

	for (int round = 0; round < 60; round++) {
		static bool stored[300];
		struct fixture fixture;
		struct shm_blocks *blocks = &fixture.blocks;
		uint64_t pieces = 1 + unit_random(&random) % 400;
		uint8_t *bytes;

		set_up(&fixture, 300, 280);
		for (uint64_t i = 0; i < 100; i++)
			ck_assert_int_eq(store(&fixture, i, &number), 0);
		bytes = fixture.region.base;
		for (uint64_t i = 0; i < 400; i++)
			bytes[BLOCK_BITS + unit_random(&random) % (blocks->first - BLOCK_BITS)] =
				(uint8_t)unit_random(&random);
		for (uint64_t i = 0; i < 150; i++)
			*block_state(blocks, unit_random(&random) % 280) =
				unit_random(&random) % 2 ? unit_random(&random) : unit_random(&random) % 70;
		for (uint64_t i = 0; i < 20; i++)
			block_writer(blocks, (uint32_t)(unit_random(&random) % 64))->intent =
				unit_random(&random) % 400;
		/* A lock of this era looks like a living one's, and its place is lost until the next. */
		for (uint64_t i = 0; i < 20; i++)
			*block_writer(blocks, (uint32_t)(unit_random(&random) % 64)) =
				(struct block_writer){.lock = (uint32_t)unit_random(&random),
						      .era = (uint32_t)i,
						      .intent = unit_random(&random) % 400};
		/* Whatever it says, it ends. */
		for (int i = 0; i < 50; i++) {
			int r = store(&fixture, 1, &number);

			ck_assert(r == 0 || r == -ERROR_FULL || r == -ERROR_NO_SPACE);
			(void)shm_block_read(blocks, unit_random(&random) % 310, NULL);
			(void)shm_block_free(blocks, unit_random(&random) % 310);
		}
		for (uint64_t i = 0; i < 280; i++)
			stored[i] = shm_block_read(blocks, i, NULL) == 0;
		for (uint64_t from = 0; from < 300; from += pieces) {
			mended = 0;
			ck_assert_int_eq(shm_blocks_repair(blocks, from, pieces, &mended), 0);
		}
		for (uint64_t i = 0; i < 280; i++)
			ck_assert_int_eq(shm_block_read(blocks, i, NULL) == 0, stored[i]);
		for (uint32_t which = 0; which < BLOCK_WRITERS; which++) {
			/* the bits of intents that nobody had */
			if (block_writer(blocks, which)->lock == 0)
				block_writer(blocks, which)->intent = 0;
		}
		/* bits that stand for nothing are as they were: they are behind the last block */
		for (uint64_t i = 300; i < 320; i++)
			((uint64_t *)block_at(blocks, BLOCK_BITS))[i / 64] &= ~(UINT64_C(1) << i % 64);
		ck_quiet(&fixture, true);
		tear_down(&fixture);
	}
}
END_TEST

/* A writer of another boot, or of the file that this one was copied from, whatever its lock says. */
START_TEST(another_era)
{
	struct fixture fixture;
	struct shm_blocks *blocks = &fixture.blocks;
	struct block_writer *writer;
	uint64_t number;

	set_up(&fixture, 100, 100);
	ck_assert_int_eq(store(&fixture, 1, &number), 0);
	writer = block_writer(blocks, 9);
	writer->lock = (uint32_t)getppid();
	writer->era = blocks->era;
	writer->intent = 2;
	*block_state(blocks, 1) = block_next(0, BLOCK_CLAIM + 9);
	ck_assert_int_eq(shm_blocks_recover(blocks), 0);
	ck_assert_uint_eq(writer->intent, 2); /* it lives */
	ck_assert_int_eq(store(&fixture, 2, &number), 0);
	ck_assert_uint_eq(number, 2);
	writer->era ^= 0x100;
	ck_assert_int_eq(shm_blocks_recover(blocks), 0);
	ck_assert_int_eq(store(&fixture, 3, &number), 0);
	ck_assert_uint_eq(number, 1);
	ck_quiet(&fixture, true);
	ck_assert_uint_ne(shm_blocks_era("x", 1), shm_blocks_era("y", 1));
	tear_down(&fixture);
}
END_TEST

/* Children that store and free, killed at any moment: each block is whole, all are accounted for, nothing leaks. */
static void child(struct fixture *fixture, uint64_t random)
{
	struct shm_blocks *blocks = &fixture->blocks;

	map_again(fixture);
	for (;;) {
		uint64_t number, data[SIZE / 8];

		if (unit_random(&random) % 2) {
			int r = store(fixture, unit_random(&random), &number);

			if (r < 0 && r != -ERROR_FULL)
				_exit(2);
			continue;
		}
		number = unit_random(&random) % blocks->capacity;
		if (shm_block_read(blocks, number, data) == 0 && (data[0] != ~data[1] || data[0] != data[2]))
			_exit(3);
		(void)shm_block_free(blocks, number);
	}
}

START_TEST(killed)
{
	const char *many = getenv("EMS_BLOCK_ROUNDS");
	uint64_t random = unit_seed(), number, data[SIZE / 8];
	struct fixture fixture;
	struct shm_blocks *blocks = &fixture.blocks;

	set_up(&fixture, 70, 70); /* two levels, and often full */
	for (long round = many ? atol(many) : 60; round > 0; round--) {
		pid_t children[4];

		for (int i = 0; i < 4; i++) {
			children[i] = fork();
			ck_assert_int_ge(children[i], 0);
			if (children[i] == 0)
				child(&fixture, random + (uint64_t)i);
		}
		for (uint64_t i = unit_random(&random) % 3000; i > 0; i--) {
			int r = store(&fixture, i, &number);

			ck_assert(r == 0 || r == -ERROR_FULL);
			if (r == 0)
				(void)shm_block_free(blocks, number);
		}
		for (int i = 0; i < 4; i++) {
			int status;

			kill(children[i], SIGKILL);
			ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
			ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
				      "a child ended by itself: %x", status);
		}
		ck_assert_int_eq(shm_blocks_recover(blocks), 0);
		ck_quiet(&fixture, false);
		for (number = 0; number < 70; number++) {
			int r = shm_block_read(blocks, number, data);

			ck_assert(r == -ERROR_EMPTY || (data[0] == ~data[1] && data[0] == data[2]));
		}
		/* All that is free can be had, without looking for the dead. */
		for (uint64_t before = 0; store(&fixture, 9, &number) == 0; before = number + 1)
			ck_assert_uint_ge(number, before);
		for (number = 0; number < 70; number++) {
			ck_assert_int_eq(shm_block_read(blocks, number, NULL), 0);
			if (unit_random(&random) % 2)
				ck_assert_int_eq(shm_block_free(blocks, number), 0);
		}
	}
	tear_down(&fixture);
}
END_TEST

UNIT_MAIN("shm/block", the_lowest_is_taken, what_is_not_there_is_asked_for, bits_may_be_wrong, garbage,
	  another_era, killed)
