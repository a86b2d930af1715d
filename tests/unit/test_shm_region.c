/*
 * test_shm_region.c: a region's memory without a daemon: what is mapped, what is believed, what is refused.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "shm/atomic.h"
#include "shm/region.h"
#include "shm/region_wish.h"
#include "tests/unit/unit.h"

static const uint8_t id[16] = "region of a test";

struct both {
	struct shm_region daemon, client;
	int fd;
};

static void make(struct both *pair, uint64_t size, uint64_t max_size, bool writable)
{
	ck_assert_int_eq(shm_region_create(&pair->daemon, size, max_size, REGION_PAGE, id, &pair->fd), 0);
	ck_assert_int_eq(shm_region_map(&pair->client, pair->fd, max_size, REGION_PAGE, writable), 0);
}

static void end(struct both *pair)
{
	shm_region_unmap(&pair->client);
	shm_region_unmap(&pair->daemon);
	close(pair->fd);
}

START_TEST(bytes_begin_at_the_beginning)
{
	struct both pair;
	uint64_t word = 0;

	make(&pair, 3, 100000, true);
	ck_assert_uint_eq(shm_region_size(&pair.client), 3);
	pair.client.base[0] = 'a';
	pair.client.base[2] = 'c';
	ck_assert_int_eq(pread(pair.fd, &word, 3, 0), 3);
	ck_assert_int_eq(memcmp(&word, "a\0c", 3), 0);
	ck_assert_uint_eq(pair.client.accessible, REGION_PAGE);
	end(&pair);
}
END_TEST

START_TEST(growth_opens_access)
{
	struct both pair;
	uint8_t *base;
	uint32_t changes;

	make(&pair, REGION_PAGE, 10 * REGION_PAGE, true);
	base = pair.client.base;
	changes = load32_relaxed(&pair.client.control->changes);
	ck_assert_int_eq(shm_region_grow(&pair.daemon, pair.fd, 5 * REGION_PAGE + 1), 0);
	ck_assert_uint_ne(load32_relaxed(&pair.client.control->changes), changes);
	ck_assert_uint_eq(pair.client.accessible, REGION_PAGE);
	ck_assert_uint_eq(shm_region_size(&pair.client), 5 * REGION_PAGE + 1);
	ck_assert_ptr_eq(pair.client.base, base);
	ck_assert_uint_eq(pair.client.accessible, 6 * REGION_PAGE);
	base[5 * REGION_PAGE] = 1;
	/* Never back. */
	ck_assert_int_eq(shm_region_grow(&pair.daemon, pair.fd, 2), 0);
	ck_assert_uint_eq(shm_region_size(&pair.client), 5 * REGION_PAGE + 1);
	ck_assert_uint_eq(load32_relaxed(&pair.client.control->dropped), 0);
	shm_region_drop(&pair.daemon);
	ck_assert_uint_eq(load32_relaxed(&pair.client.control->dropped), 1);
	end(&pair);
}
END_TEST

START_TEST(nobody_can_shrink_it)
{
	struct both pair;
	struct stat stat;

	make(&pair, REGION_PAGE, 4 * REGION_PAGE, true);
	ck_assert_int_eq(fstat(pair.fd, &stat), 0);
	ck_assert_int_eq(stat.st_mode & 0777, 0600);
	ck_assert_int_lt(ftruncate(pair.fd, 0), 0);
	ck_assert_int_lt(ftruncate(pair.fd, stat.st_size + 1), 0);
	ck_assert_int_lt(fcntl(pair.fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	end(&pair);
}
END_TEST

START_TEST(a_liar_is_not_believed)
{
	struct shm_region other;
	struct both pair;

	make(&pair, REGION_PAGE, 4 * REGION_PAGE, true);
	/* Sizes that cannot be: clamped, and access is not taken back. */
	store64_release(&pair.daemon.control->size, UINT64_MAX);
	ck_assert_uint_eq(shm_region_size(&pair.client), 4 * REGION_PAGE);
	ck_assert_uint_eq(pair.client.accessible, 4 * REGION_PAGE);
	store64_release(&pair.daemon.control->size, 0);
	ck_assert_uint_eq(shm_region_size(&pair.client), 0);
	ck_assert_uint_eq(pair.client.accessible, 4 * REGION_PAGE);
	/* Another geometry, another version, another file. */
	ck_assert_int_eq(shm_region_map(&other, pair.fd, 5 * REGION_PAGE, REGION_PAGE, false),
			 -ERROR_CORRUPT);
	ck_assert_int_eq(shm_region_map(&other, pair.fd, 4 * REGION_PAGE, REGION_PAGE_2M, false),
			 -ERROR_CORRUPT);
	ck_assert_int_eq(shm_region_map(&other, pair.fd, 4 * REGION_PAGE, 4096, false), -ERROR_CORRUPT);
	ck_assert_int_eq(shm_region_map(&other, pair.fd, UINT64_MAX, REGION_PAGE, false), -ERROR_CORRUPT);
	ck_assert_int_eq(shm_region_map(&other, pair.fd, 0, REGION_PAGE, false), -ERROR_CORRUPT);
	pair.daemon.control->version++;
	ck_assert_int_eq(shm_region_map(&other, pair.fd, 4 * REGION_PAGE, REGION_PAGE, false),
			 -ERROR_VERSION);
	pair.daemon.control->version--;
	pair.daemon.control->max_size--;
	ck_assert_int_eq(shm_region_map(&other, pair.fd, 4 * REGION_PAGE, REGION_PAGE, false),
			 -ERROR_CORRUPT);
	pair.daemon.control->magic = 0;
	ck_assert_int_eq(shm_region_map(&other, pair.fd, 4 * REGION_PAGE, REGION_PAGE, false),
			 -ERROR_CORRUPT);
	end(&pair);
}
END_TEST

START_TEST(unsealed_memory_is_refused)
{
	_cleanup_(closep) int fd = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct shm_region region;
	struct both pair;
	uint8_t page[4096];
	struct stat stat;

	make(&pair, REGION_PAGE, REGION_PAGE, true);
	ck_assert_int_eq(fstat(pair.fd, &stat), 0);
	ck_assert_int_eq(ftruncate(fd, stat.st_size), 0);
	ck_assert_int_eq(pread(pair.fd, page, sizeof(page), stat.st_size - 4096), sizeof(page));
	ck_assert_int_eq(pwrite(fd, page, sizeof(page), stat.st_size - 4096), sizeof(page));
	ck_assert_int_eq(shm_region_map(&region, fd, REGION_PAGE, REGION_PAGE, true), -ERROR_CORRUPT);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
	ck_assert_int_eq(shm_region_map(&region, fd, REGION_PAGE, REGION_PAGE, true), 0);
	shm_region_unmap(&region);
	end(&pair);
}
END_TEST

START_TEST(files_grow_and_never_shrink)
{
	char path[] = "/tmp/ems-test-region.XXXXXX";
	int fd = mkstemp(path), other;
	struct shm_region one, two;

	ck_assert_int_ge(fd, 0);
	unlink(path);
	ck_assert_int_eq(ftruncate(fd, 10), 0);
	other = dup(fd);
	ck_assert_int_eq(shm_region_map_file_take(&one, fd, 4 * REGION_PAGE, true), 0);
	ck_assert_int_eq(shm_region_map_file_take(&two, other, 4 * REGION_PAGE, false), 0);
	ck_assert_uint_eq(shm_region_size(&one), 10);
	ck_assert_int_eq(shm_region_grow_file(&one, 3 * REGION_PAGE), 0);
	/* The slower of two growers, with less in mind. */
	ck_assert_int_eq(shm_region_grow_file(&two, 2 * REGION_PAGE), 0);
	ck_assert_uint_eq(shm_region_size(&two), 3 * REGION_PAGE);
	ck_assert_uint_eq(shm_region_size(&one), 3 * REGION_PAGE);
	one.base[3 * REGION_PAGE - 1] = 'x';
	ck_assert_int_eq(two.base[3 * REGION_PAGE - 1], 'x');
	ck_assert_int_eq(shm_region_flush(&one, 5, 3 * REGION_PAGE - 5, true), 0);
	shm_region_unmap(&one);
	shm_region_unmap(&two);
	ck_assert_int_eq(fcntl(other, F_GETFD), -1);

	fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(shm_region_map_file_take(&one, fd, 0, false), -ERROR_RANGE);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1); /* taken in any case */
}
END_TEST

START_TEST(costs_are_whole_pages)
{
	ck_assert_uint_eq(shm_region_cost(1, REGION_PAGE), 2 * REGION_PAGE);
	ck_assert_uint_eq(shm_region_cost(REGION_PAGE, REGION_PAGE), 2 * REGION_PAGE);
	ck_assert_uint_eq(shm_region_cost(REGION_PAGE + 1, REGION_PAGE_2M), 2 * REGION_PAGE_2M);
}
END_TEST

START_TEST(wishes_of_a_file)
{
	char path[] = "/tmp/ems-test-region.XXXXXX";
	int fd = mkstemp(path);
	struct shm_wishes wishes = {.transparent = true, .interleave = true, .populate = true};
	struct shm_region region;

	ck_assert_int_ge(fd, 0);
	unlink(path);
	ck_assert_int_eq(ftruncate(fd, (off_t)REGION_PAGE), 0);
	ck_assert_int_eq(shm_region_map_file_take(&region, fd, 0, true), 0);
	shm_region_grant(&region, &wishes, 0, REGION_PAGE);
	ck_assert_uint_eq(wishes.huge.granted, 0);
	ck_assert_ptr_nonnull(wishes.huge.why);
	ck_assert_uint_eq(wishes.interleaved.granted, 0);
	ck_assert_ptr_nonnull(wishes.interleaved.why);
	ck_assert_uint_eq(wishes.populated.asked, REGION_PAGE);
	ck_assert_uint_eq(wishes.locked.asked, 0);
	shm_region_unmap(&region);
}
END_TEST

UNIT_MAIN("shm/region", bytes_begin_at_the_beginning, growth_opens_access, nobody_can_shrink_it,
	  a_liar_is_not_believed, unsealed_memory_is_refused, files_grow_and_never_shrink,
	  costs_are_whole_pages, wishes_of_a_file)
