/*
 * client_blocks.c: blocks in regions and files through libems: growth, listing, what is refused, processes that share them and die.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/client.h"

#define HEAD  UINT64_C(300000) /* more than what lies in front of the blocks */
#define SIZE  100u
#define MANY  3000u
#define KILLS 8

static ems_region_t *make_region(ems_connection_t *connection, const char *name, uint64_t size,
				 uint64_t max_size)
{
	ems_region_options_t options = {.size = size, .max_size = max_size};
	ems_region_t *region = NULL;

	ck_ok(ems_region_open(connection, name, EMS_CREATE, &options, &region));
	return region;
}

static ems_blocks_t *open_blocks(ems_region_t *region, uint32_t size, uint32_t capacity)
{
	ems_blocks_options_t options = {.block_size = size, .capacity = capacity};
	ems_blocks_t *blocks = NULL;

	ck_ok(ems_blocks_open(region, &options, &blocks));
	return blocks;
}

/* An open file without a name. */
static int make_file(const void *bytes, size_t size)
{
	int fd = open(the_daemon.directory, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, size), (ssize_t)size);
	return fd;
}

static void fill(char data[static SIZE], uint64_t number)
{
	memset(data, (int)(number % 251), SIZE);
}

START_TEST(they_grow_and_are_listed)
{
	ems_connection_t *connection = connect_daemon();
	ems_region_t *region = make_region(connection, "b/grow", 1000, 1 << 22);
	ems_blocks_t *blocks = open_blocks(region, SIZE, 0), *same = NULL;
	uint64_t number, numbers[700], below = UINT64_MAX, expected = MANY, at = 0;
	char data[SIZE], copy[SIZE], *all = malloc(700 * SIZE);
	ems_blocks_info_t info;
	size_t count, seen = 0;

	for (uint64_t i = 0; i < MANY; i++) {
		fill(data, i);
		ck_ok(ems_block_store(blocks, data, SIZE, &number));
		ck_assert_uint_eq(number, i);
	}
	ck_ok(ems_blocks_open(region, NULL, &same));
	ck_ok(ems_blocks_info(same, &info));
	ck_assert_uint_eq(info.block_size, SIZE);
	ck_assert_uint_eq(info.capacity, 262144);
	fill(data, 2999);
	ck_assert_mem_eq((char *)ems_region_bytes(region, NULL) + info.first + 2999 * info.distance, data,
			 SIZE);
	for (uint64_t i = 0; i < MANY; i += 3)
		ck_ok(ems_block_free(same, i));
	ck_ems(ems_block_free(same, 0), EMS_EEMPTY);
	ck_ems(ems_block_read(same, 0, copy, SIZE), EMS_EEMPTY);
	ck_ems(ems_block_read(same, 262144, copy, SIZE), EMS_ERANGE);
	ck_ok(ems_block_read(same, 1, NULL, 0));
	while (below > 0) {
		ck_ok(ems_blocks_list(blocks, &below, numbers, all, 700, &count));
		for (size_t i = 0; i < count; i++) {
			ck_assert_uint_lt(numbers[i], expected);
			ck_assert_uint_ne(numbers[i] % 3, 0);
			expected = numbers[i];
			fill(data, expected);
			ck_assert_mem_eq(all + i * SIZE, data, SIZE);
		}
		seen += count;
	}
	ck_assert_uint_eq(seen, MANY / 3 * 2);
	for (uint64_t i = 0; i < MANY; i += 3) {
		ck_ok(ems_block_store(same, data, SIZE, &number));
		ck_assert_uint_eq(number, i);
	}
	while (at < info.capacity) {
		uint64_t mended = 1;

		ck_ok(ems_blocks_repair(blocks, &at, 50000, &mended));
		ck_assert_uint_eq(mended, 0);
	}
	ems_blocks_close(same);
	ems_blocks_close(blocks);
	ems_blocks_close(NULL);
	free(all);
	ck_ok(ems_heap_drop(connection, "b/grow"));
	ems_disconnect(connection);
}
END_TEST

START_TEST(full_and_mismatched)
{
	ems_connection_t *connection = connect_daemon();
	ems_region_t *region = make_region(connection, "b/full", HEAD, HEAD + 50 * 1000), *small,
		     *only = NULL;
	ems_blocks_options_t options = {.block_size = 2000}, of_none = {.capacity = 5};
	ems_region_options_t read_only = {.read_only = true};
	ems_blocks_t *blocks = open_blocks(region, 1000, 0), *other = NULL;
	char data[1000] = "x";
	uint64_t number, stored = 0;
	int r;

	while ((r = ems_block_store(blocks, data, sizeof(data), &number)) == 0)
		stored++;
	ck_assert_int_eq(r, -EMS_EFULL);
	ck_assert(stored >= 50 && stored < 100);
	ck_ok(ems_block_free(blocks, 7));
	ck_ok(ems_block_store(blocks, data, sizeof(data), &number));
	ck_assert_uint_eq(number, 7);

	ck_ems(ems_block_store(blocks, data, 999, &number), EMS_EINVALID);
	ck_ems(ems_block_store(blocks, NULL, 1000, &number), EMS_EINVALID);
	ck_ems(ems_block_read(blocks, 7, data, 999), EMS_EINVALID);
	ck_ems(ems_block_store(NULL, data, 1000, &number), EMS_EINVALID);
	ck_ems(ems_blocks_open(region, &options, &other), EMS_EMISMATCH);
	ck_assert_ptr_nonnull(strstr(ems_last_error()->message, "blocks of 1000 bytes, not 2000"));
	options = (ems_blocks_options_t){.block_size = 1000, .capacity = 5};
	ck_ems(ems_blocks_open(region, &options, &other), EMS_EMISMATCH);
	ck_ok(ems_region_open(connection, "b/full", EMS_OPEN_EXISTING, &read_only, &only));
	ck_ok(ems_blocks_open(only, NULL, &other));
	ck_ok(ems_block_read(other, 7, data, 1000));
	ck_ems(ems_block_store(other, data, 1000, &number), EMS_EREADONLY);
	ck_ems(ems_block_free(other, 7), EMS_EREADONLY);
	ems_blocks_close(other);
	other = NULL;

	/* Too small, no size, nonsense. */
	small = make_region(connection, "b/small", 4096, 8192);
	options = (ems_blocks_options_t){.block_size = 10};
	ck_ems(ems_blocks_open(small, NULL, &other), EMS_EINVALID);
	ck_ems(ems_blocks_open(small, &of_none, &other), EMS_EINVALID);
	ck_ems(ems_blocks_open(small, &options, &other), EMS_ERANGE);
	options = (ems_blocks_options_t){.block_size = UINT32_MAX, .capacity = UINT32_MAX};
	ck_ems(ems_blocks_open(small, &options, &other), EMS_ERANGE);
	ck_assert_ptr_null(other);

	/* Discarding makes others of them. */
	ems_blocks_close(blocks);
	options = (ems_blocks_options_t){.block_size = 500, .capacity = 20, .discard = true};
	ck_ok(ems_blocks_open(region, &options, &other));
	ck_ems(ems_block_read(other, 0, NULL, 0), EMS_EEMPTY);
	for (uint64_t i = 0; i < 20; i++) {
		ck_ok(ems_block_store(other, data, 500, &number));
		ck_assert_uint_eq(number, i);
	}
	ck_ems(ems_block_store(other, data, 500, &number), EMS_EFULL);
	ems_blocks_close(other);
	ck_ok(ems_heap_drop(connection, "b/full"));
	ck_ok(ems_heap_drop(connection, "b/small"));
	ems_disconnect(connection);
}
END_TEST

START_TEST(files_keep_them)
{
	static const char foreign[] = "This is a letter, and nobody shall write blocks into it.";
	ems_connection_t *connection = connect_daemon();
	ems_region_options_t options = {.size = 4096, .max_size = 1 << 21};
	ems_blocks_options_t small = {.block_size = SIZE};
	int fd = make_file("", 0);
	ems_region_t *region;
	ems_blocks_t *blocks = NULL;
	uint64_t number;
	char data[SIZE], copy[SIZE];
	struct stat status;

	ck_ok(ems_region_file(connection, fd, &options, &region));
	blocks = open_blocks(region, SIZE, 0);
	for (uint64_t i = 0; i < 100; i++) {
		fill(data, i);
		ck_ok(ems_block_store(blocks, data, SIZE, &number));
	}
	ems_blocks_close(blocks);
	ems_region_close(region);
	ck_ok(ems_region_file(connection, fd, NULL, &region));
	ck_ok(ems_blocks_open(region, NULL, &blocks));
	for (uint64_t i = 0; i < 100; i++) {
		fill(data, i);
		ck_ok(ems_block_read(blocks, i, copy, SIZE));
		ck_assert_mem_eq(data, copy, SIZE);
	}
	ems_blocks_close(blocks);
	ems_region_close(region);
	/* Cut off behind its head. */
	ck_assert_int_eq(ftruncate(fd, 270000), 0);
	ck_ok(ems_region_file(connection, fd, NULL, &region));
	ck_ems(ems_blocks_open(region, NULL, &blocks), EMS_ECORRUPT);
	ems_region_close(region);
	close(fd);
	/* A stranger's file stays as it is. */
	fd = make_file(foreign, sizeof(foreign));
	options.size = 0;
	ck_ok(ems_region_file(connection, fd, &options, &region));
	ck_ems(ems_blocks_open(region, &small, &blocks), EMS_ECORRUPT);
	ems_region_close(region);
	ck_assert_int_eq(fstat(fd, &status), 0);
	ck_assert_int_eq(status.st_size, sizeof(foreign));
	close(fd);
	ems_disconnect(connection);
}
END_TEST

/* Stores and frees its own, in one region with others. */
static void child(uint64_t random)
{
	ems_connection_t *connection;
	ems_region_t *region;
	ems_blocks_t *blocks;
	uint64_t mine[50], count = 0;
	char data[SIZE], copy[SIZE];

	child_ok(ems_connect(&connection, NULL));
	child_ok(ems_region_open(connection, "b/kill", EMS_OPEN_EXISTING, NULL, &region));
	child_ok(ems_blocks_open(region, &(ems_blocks_options_t){.block_size = SIZE, .capacity = 500},
				 &blocks));
	for (;;) {
		if (count < 50 && unit_random(&random) % 2) {
			fill(data, unit_random(&random));
			child_ok(ems_block_store(blocks, data, SIZE, &mine[count]));
			count++;
		} else if (count > 0) {
			uint64_t which = unit_random(&random) % count;

			child_ok(ems_block_read(blocks, mine[which], copy, SIZE));
			child_assert(memcmp(copy, copy + 1, SIZE - 1) == 0);
			child_ok(ems_block_free(blocks, mine[which])); /* nobody else's */
			mine[which] = mine[--count];
		}
	}
}

START_TEST(killed_while_at_it)
{
	uint64_t random = unit_seed(), number, at = 0, mended = 0;
	ems_connection_t *connection = connect_daemon();
	ems_region_t *region = make_region(connection, "b/kill", 4096, 1 << 22);
	ems_blocks_t *blocks;
	char data[SIZE];

	for (int round = 0; round < KILLS; round++) {
		pid_t children[4];
		int r;

		fflush(NULL);
		for (int i = 0; i < 4; i++) {
			children[i] = fork();
			ck_assert_int_ge(children[i], 0);
			if (children[i] == 0)
				child(random + (uint64_t)i);
		}
		blocks = open_blocks(region, SIZE, 500);
		for (uint64_t i = unit_random(&random) % 3000; i > 0; i--) {
			fill(data, i);
			ck_ok(ems_block_store(blocks, data, SIZE, &number));
			ck_ok(ems_block_free(blocks, number));
		}
		for (int i = 0; i < 4; i++)
			kill_child(children[i]);
		/* Free what they had; then all can be had. */
		for (uint64_t i = 0; i < 500; i++) {
			r = ems_block_free(blocks, i);
			ck_assert(r == 0 || r == -EMS_EEMPTY);
		}
		for (uint64_t i = 0; i < 500; i++)
			ck_ok(ems_block_store(blocks, data, SIZE, &number));
		ck_ems(ems_block_store(blocks, data, SIZE, &number), EMS_EFULL);
		at = 0;
		ck_ok(ems_blocks_repair(blocks, &at, 500, &mended));
		ck_assert_uint_eq(mended, 0);
		ck_assert_uint_eq(at, 500);
		for (uint64_t i = 0; i < 500; i++)
			ck_ok(ems_block_free(blocks, i));
		ems_blocks_close(blocks);
	}
	ck_ok(ems_heap_drop(connection, "b/kill"));
	ems_disconnect(connection);
}
END_TEST

INTEGRATION_MAIN("client/blocks", they_grow_and_are_listed, full_and_mismatched, files_keep_them,
		 killed_while_at_it)
