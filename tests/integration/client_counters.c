/*
 * client_counters.c: sets of counters in regions and files, with a real emsd and several processes, some of them killed.
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/client.h"

#define CHILDREN 6
#define ROUNDS	 12

static ems_region_t *make_region(ems_connection_t *connection, const char *name, uint64_t size,
				 uint64_t max_size)
{
	ems_region_options_t options = {.size = size, .max_size = max_size};
	ems_region_t *region = NULL;

	ck_ok(ems_region_open(connection, name, EMS_CREATE, &options, &region));
	return region;
}

/* An open file of these bytes, whose name is gone already. */
static int make_file(const void *bytes, size_t size)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/counters", the_daemon.directory);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(write(fd, bytes, size), (ssize_t)size);
	return fd;
}

static ems_region_t *open_file(ems_connection_t *connection, int fd, uint64_t size, uint64_t max_size)
{
	ems_region_options_t options = {.size = size, .max_size = max_size};
	ems_region_t *region = NULL;

	ck_ok(ems_region_file(connection, fd, &options, &region));
	return region;
}

START_TEST(they_count)
{
	ems_connection_t *connection = connect_daemon();
	ems_region_t *region = make_region(connection, "c/one", 100, 4096);
	ems_counters_t *set = NULL, *other = NULL;
	uint64_t count = 0;
	int64_t value = 0;

	ck_ok(ems_counters_open(region, 5, &set));
	ck_ok(ems_counters_count(set, &count));
	ck_assert_uint_eq(count, 5);
	ck_ok(ems_counters_get(set, 4, &value));
	ck_assert_int_eq(value, 0);
	ck_ok(ems_counters_add(set, 4, 7, &value));
	ck_assert_int_eq(value, 0);
	ck_ok(ems_counters_sub(set, 4, 10, &value));
	ck_assert_int_eq(value, 7);
	ck_ok(ems_counters_set(set, 4, INT64_MIN, &value));
	ck_assert_int_eq(value, -3);
	ck_ok(ems_counters_sub(set, 4, 1, NULL));
	ck_ok(ems_counters_get(set, 4, &value));
	ck_assert_int_eq(value, INT64_MAX); /* wraps around */
	ck_ems(ems_counters_add(set, 5, 1, &value), EMS_ERANGE);
	ck_assert_ptr_nonnull(strstr(ems_last_error()->message, "no counter 5 (it has 5)"));
	ck_ems(ems_counters_get(set, UINT64_MAX, &value), EMS_ERANGE);
	ck_assert_int_eq(value, INT64_MAX);

	/* More of them, for everybody; never fewer. */
	ck_ok(ems_counters_open(region, 510, &other));
	ck_ok(ems_counters_add(set, 509, 1, NULL));
	ck_ok(ems_counters_get(other, 509, &value));
	ck_assert_int_eq(value, 1);
	ems_counters_close(other);
	ck_ok(ems_counters_open(region, 0, &other));
	ck_ok(ems_counters_count(other, &count));
	ck_assert_uint_eq(count, 510);
	ems_counters_close(other);
	other = NULL;
	ck_ems(ems_counters_open(region, 511, &other), EMS_ERANGE);
	ck_ems(ems_counters_open(region, UINT64_MAX, &other), EMS_ERANGE);
	ck_ems(ems_counters_open(NULL, 1, &other), EMS_EINVALID);
	ck_ems(ems_counters_open(region, 1, NULL), EMS_EINVALID);
	ck_ems(ems_counters_get(NULL, 1, &value), EMS_EINVALID);
	ck_assert_ptr_null(other);
	ems_counters_close(NULL);
	ems_counters_close(set);
	ck_ok(ems_heap_drop(connection, "c/one"));
	ems_disconnect(connection);
}
END_TEST

START_TEST(read_only_counters_are_read)
{
	ems_connection_t *connection = connect_daemon();
	ems_region_t *region = make_region(connection, "c/only", 4096, 0), *only = NULL;
	ems_region_options_t options = {.read_only = true};
	ems_counters_t *set = NULL, *seen = NULL;
	int64_t value;

	ck_ok(ems_region_open(connection, "c/only", EMS_OPEN_EXISTING, &options, &only));
	ck_ems(ems_counters_open(only, 0, &seen), EMS_EREADONLY);
	ck_ok(ems_counters_open(region, 3, &set));
	ck_ems(ems_counters_open(only, 4, &seen), EMS_EREADONLY);
	ck_ok(ems_counters_open(only, 3, &seen));
	ck_ok(ems_counters_set(set, 2, 42, NULL));
	ck_ok(ems_counters_get(seen, 2, &value));
	ck_assert_int_eq(value, 42);
	ck_ems(ems_counters_add(seen, 2, 1, &value), EMS_EREADONLY);
	ck_ems(ems_counters_set(seen, 2, 1, NULL), EMS_EREADONLY);
	ems_counters_close(seen);
	ems_counters_close(set);
	ck_ok(ems_heap_drop(connection, "c/only"));
	ems_disconnect(connection);
}
END_TEST

START_TEST(the_file_is_as_documented)
{
	static const unsigned char expected[40] = {'E',	 'M',  'M',	 'A',  'P',	    '0',  '1',
						   '\n', 3,    [16] = 1, 2,    [32] = 0xff, 0xff, 0xff,
						   0xff, 0xff, 0xff,	 0xff, 0xff};
	unsigned char bytes[64];
	ems_connection_t *connection = connect_daemon();
	ems_counters_t *set = NULL;
	ems_region_t *region;
	int64_t value = 0;
	int fd = make_file("", 0);

	region = open_file(connection, fd, 16, 4096);
	ck_ok(ems_counters_open(region, 3, &set));
	ck_ok(ems_counters_add(set, 0, 0x201, NULL));
	ck_ok(ems_counters_sub(set, 2, 1, NULL));
	ems_counters_close(set);
	ems_region_close(region);
	ck_assert_int_eq(pread(fd, bytes, sizeof(bytes), 0), 40);
	ck_assert_mem_eq(bytes, expected, sizeof(expected));
	close(fd);

	/* And back: a file that another program has made. */
	fd = make_file(bytes, 40);
	region = open_file(connection, fd, 0, 0);
	ck_ok(ems_counters_open(region, 2, &set));
	ck_ok(ems_counters_get(set, 2, &value));
	ck_assert_int_eq(value, -1);
	ck_ok(ems_counters_get(set, 0, &value));
	ck_assert_int_eq(value, 0x201);
	ems_counters_close(set);
	ems_region_close(region);
	close(fd);
	ems_disconnect(connection);
}
END_TEST

/* What is wrong with these bytes as a file of counters; the file is as before. */
static int refused(const void *bytes, size_t size)
{
	ems_connection_t *connection = connect_daemon();
	int fd = make_file(bytes, size), r;
	ems_region_t *region = open_file(connection, fd, 0, 4096);
	ems_counters_t *set = NULL;
	char after[64];

	r = ems_counters_open(region, 1, &set);
	ck_assert_int_lt(r, 0);
	ck_assert_ptr_null(set);
	ck_assert_int_eq(pread(fd, after, sizeof(after), 0), (ssize_t)size);
	ck_assert_mem_eq(after, bytes, size);
	ems_disconnect(connection);
	close(fd);
	return -r;
}

START_TEST(foreign_and_broken_files_are_refused)
{
	ck_assert_int_eq(refused("EMMAP02\n\1\0\0\0\0\0\0\0........", 24), EMS_ECORRUPT);
	ck_assert_int_eq(refused("Dear reader, these are no counters.", 35), EMS_ECORRUPT);
	ck_assert_int_eq(refused("\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0........", 24), EMS_ECORRUPT);
	/* cut off: two counters were there */
	ck_assert_int_eq(refused("EMMAP01\n\2\0\0\0\0\0\0\0........", 24), EMS_ECORRUPT);
	ck_assert_int_eq(refused("EMMAP01\n\2\0\0\0\0\0\0\0........\0\0\0\0\0\0\0", 31), EMS_ECORRUPT);
	ck_assert_int_eq(refused("EMMAP01\n\377\377\377\377\377\377\377\377........", 24), EMS_ECORRUPT);
	ck_assert_int_eq(refused("EMMAP01\n\0\0\0\0\0\0\0\040........", 24), EMS_ECORRUPT);
}
END_TEST

START_TEST(cut_off_while_open)
{
	ems_connection_t *connection = connect_daemon();
	int fd = make_file("", 0);
	ems_region_t *region = open_file(connection, fd, 16, 65536);
	ems_counters_t *set = NULL;
	uint64_t count;

	ck_ok(ems_counters_open(region, 1000, &set));
	ck_assert_int_eq(ftruncate(fd, 24), 0);
	ck_ems(ems_counters_count(set, &count), EMS_ECORRUPT);
	ck_assert_ptr_nonnull(strstr(ems_last_error()->message, "cut off"));
	ck_ems(ems_counters_get(set, 1000, NULL), EMS_ECORRUPT);
	ems_counters_close(set);
	ems_disconnect(connection);
	close(fd);
}
END_TEST

/* Enlarges the set, and counts in counter `number`; progress says how far, for a parent that kills it. */
static void child_counts(uint64_t number, uint64_t count, volatile int64_t *progress)
{
	ems_connection_t *connection;
	ems_counters_t *set;
	ems_region_t *region;

	child_ok(ems_connect(&connection, NULL));
	child_ok(ems_region_open(connection, "c/killed", EMS_OPEN_EXISTING, NULL, &region));
	for (uint64_t more = number + 1;; more = more < count ? more + 1 : more) {
		child_ok(ems_counters_open(region, more, &set));
		child_ok(ems_counters_add(set, number, 1, NULL));
		++*progress;
		ems_counters_close(set);
	}
}

START_TEST(killed_while_they_open_and_count)
{
	unsigned random = (unsigned)unit_seed();
	volatile int64_t *progress =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ems_connection_t *connection = connect_daemon();

	ck_assert_ptr_ne((void *)progress, MAP_FAILED);
	for (int round = 0; round < ROUNDS; round++) {
		ems_region_t *region = make_region(connection, "c/killed", 16, 1 << 20);
		uint64_t most = CHILDREN + 2000, count;
		ems_counters_t *set;
		pid_t children[CHILDREN];

		memset((void *)(uintptr_t)progress, 0, CHILDREN * sizeof(*progress));
		fflush(NULL);
		for (uint64_t i = 0; i < CHILDREN; i++) {
			children[i] = fork();
			ck_assert_int_ge(children[i], 0);
			if (children[i] == 0)
				child_counts(i, most, &progress[i]);
		}
		while (progress[rand_r(&random) % CHILDREN] < rand_r(&random) % 300)
			sched_yield();
		for (int i = 0; i < CHILDREN; i++)
			kill_child(children[i]);
		ck_ok(ems_counters_open(region, 0, &set));
		ck_ok(ems_counters_count(set, &count));
		ck_assert_uint_le(count, most);
		for (uint64_t i = 0; i < count; i++) {
			int64_t value, said = i < CHILDREN ? progress[i] : 0;

			ck_ok(ems_counters_get(set, i, &value));
			/* Killed between the counter and the progress, or not. */
			ck_assert(value == said || (i < CHILDREN && value == said + 1));
		}
		ems_counters_close(set);
		ems_region_close(region);
		ck_ok(ems_heap_drop(connection, "c/killed"));
	}
	ems_disconnect(connection);
	munmap((void *)(uintptr_t)progress, 4096);
}
END_TEST

INTEGRATION_MAIN("client/counters", they_count, read_only_counters_are_read, the_file_is_as_documented,
		 foreign_and_broken_files_are_refused, cut_off_while_open, killed_while_they_open_and_count)
