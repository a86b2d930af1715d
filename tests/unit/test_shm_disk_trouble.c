/*
 * Files of heaps that are not what they should be: each trouble has its name,
 * nothing crashes, and what is loaded is what was stored.
 *
 * The file is one in a store, on a real file system; garbage goes into memory
 * files, as files that were handed over.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/fd.h"
#include "tests/unit/disk_fixture.h"
#include "tests/unit/unit.h"

#define SEGMENT (DISK_TEST_PAGES * DISK_PAGE)
#define IMAGE	(2 * DISK_PAGE + 4 * DISK_PAGE) /* of a file with the first three pages */
#define ID_NAME "015eed01090807060504030201000101.ems"

static char folder_name[64];
static int folder = -1;
static struct shm_disk *disk;
static struct shm_disk_trouble trouble;
static struct disk_meta meta;
static uint8_t *memory;

static int remove_one(void *arg, const char *name)
{
	(void)arg;
	(void)unlinkat(folder, name, 0);
	(void)unlinkat(folder, name, AT_REMOVEDIR);
	return 0;
}

static void store(struct shm_disk_heap *heap, uint32_t version, bool settled)
{
	struct shm_disk_checkpoint *checkpoint;
	uint8_t data[3 * DISK_PAGE];

	for (uint64_t page = 0; page < 3; page++)
		disk_test_page(data + page * DISK_PAGE, 1, page, version);
	ck_assert_int_eq(shm_disk_begin(&heap, 1, &checkpoint, &trouble), 0);
	ck_assert_int_eq(shm_disk_add(checkpoint, 0, 0, data, sizeof(data), &trouble), 0);
	ck_assert_int_eq(shm_disk_commit(checkpoint, &trouble), 0);
	if (settled)
		ck_assert_int_eq(shm_disk_settle(checkpoint, &trouble), 0);
	else
		shm_disk_abort(checkpoint);
}

static void setup(void)
{
	const char *tmp = getenv("TMPDIR");
	struct shm_disk_heap *heap;

	(void)snprintf(folder_name, sizeof(folder_name), "%.40s/ems-disk.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(folder_name));
	folder = open(folder_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(folder, 0);
	memory = mmap(NULL, SEGMENT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert(memory != MAP_FAILED);
	ck_assert_int_eq(shm_disk_open(folder, NULL, &disk, &trouble), 0);
	meta = disk_test_meta(1, "name");
	ck_assert_int_eq(shm_disk_heap_create(disk, &meta, &heap, &trouble), 0);
	store(heap, 1, true);
	shm_disk_heap_close(heap);
}

static void teardown(void)
{
	shm_disk_free(disk);
	(void)shm_disk_io_system.list(NULL, folder, remove_one, NULL);
	(void)close(folder);
	(void)rmdir(folder_name);
	(void)munmap(memory, SEGMENT);
}

/* ---- changing the file ---- */

static void change(uint64_t offset, const void *data, size_t size)
{
	int fd = openat(folder, ID_NAME, O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, data, size, (off_t)offset), (ssize_t)size);
	(void)close(fd);
}

static struct disk_header header(void)
{
	struct disk_header header;
	int fd = openat(folder, ID_NAME, O_RDONLY | O_CLOEXEC);

	ck_assert_int_eq(pread(fd, &header, sizeof(header), 0), (ssize_t)sizeof(header));
	(void)close(fd);
	return header;
}

static void change_headers(struct disk_header *header)
{
	header->sum = shm_disk_block_sum(header, offsetof(struct disk_header, sum));
	change(0, header, sizeof(*header));
	change(DISK_PAGE, header, sizeof(*header));
}

static void opens_as(enum shm_disk_what what, int code)
{
	struct shm_disk_heap *heap = NULL;
	int r = shm_disk_heap_open(disk, meta.heap_id, &heap, &trouble);
	char text[256];

	ck_assert_int_eq(r, -code);
	if (r < 0) {
		ck_assert_int_eq(trouble.what, what);
		shm_disk_trouble_text(&trouble, text, sizeof(text));
		ck_assert_uint_gt(strlen(text), 10);
	}
	shm_disk_heap_close(heap);
}

static void loads_as(enum shm_disk_what what, int code)
{
	struct shm_disk_heap *heap = NULL;

	ck_assert_int_eq(shm_disk_heap_open(disk, meta.heap_id, &heap, &trouble), 0);
	ck_assert_int_eq(shm_disk_verify(heap, NULL, NULL, &trouble), -code);
	if (code)
		ck_assert_int_eq(trouble.what, what);
	ck_assert_int_eq(shm_disk_load(heap, memory, SEGMENT, NULL, NULL, &trouble), -code);
	shm_disk_heap_close(heap);
}

START_TEST(test_headers)
{
	static const char text[] = "#!/bin/sh\necho this is a script\n";
	struct disk_header good = header(), other = good;

	opens_as(SHM_DISK_NONE, ERROR_OK);
	other.version = DISK_VERSION + 1;
	change_headers(&other);
	opens_as(SHM_DISK_NEWER, ERROR_VERSION);
	other = good;
	other.features_required = UINT64_C(1) << 63;
	change_headers(&other);
	opens_as(SHM_DISK_FEATURE, ERROR_UNSUPPORTED);
	other = good;
	other.features_optional = UINT64_C(1) << 63;
	change_headers(&other);
	opens_as(SHM_DISK_NONE, ERROR_OK);
	other = good;
	other.meta.segment_version++;
	change_headers(&other);
	opens_as(SHM_DISK_CONTENTS, ERROR_VERSION);
	other = good;
	other.meta.heap_id[3]++;
	change_headers(&other);
	opens_as(SHM_DISK_REPLACED, ERROR_CONFLICT);
	change_headers(&good);
	change(100, "x", 1); /* one copy is enough */
	loads_as(SHM_DISK_NONE, ERROR_OK);
	change(DISK_PAGE + 100, "x", 1);
	opens_as(SHM_DISK_HEADER, ERROR_CORRUPT);
	change(0, text, sizeof(text));
	change(DISK_PAGE, text, sizeof(text));
	opens_as(SHM_DISK_FOREIGN, ERROR_MISMATCH);
}
END_TEST

START_TEST(test_lengths)
{
	char name[128];

	(void)snprintf(name, sizeof(name), "%s/%s", folder_name, ID_NAME);
	ck_assert_int_eq(truncate(name, IMAGE - 1), 0);
	opens_as(SHM_DISK_TRUNCATED, ERROR_CORRUPT);
	ck_assert_int_eq(truncate(name, 100), 0);
	opens_as(SHM_DISK_TRUNCATED, ERROR_CORRUPT);
	ck_assert_int_eq(truncate(name, 0), 0);
	opens_as(SHM_DISK_FOREIGN, ERROR_MISMATCH);
}
END_TEST

START_TEST(test_pages)
{
	uint8_t data[DISK_PAGE], zeros[8] = {0};
	uint64_t sum;

	disk_test_page(data, 1, 1, 1);
	change(shm_disk_page_at(1) + 77, "!", 1);
	loads_as(SHM_DISK_CHECKSUM, ERROR_CORRUPT);
	ck_assert_uint_eq(trouble.offset, DISK_PAGE);
	/* A page in another's place. */
	change(shm_disk_page_at(1), data, sizeof(data));
	change(shm_disk_page_at(2), data, sizeof(data));
	loads_as(SHM_DISK_CHECKSUM, ERROR_CORRUPT);
	/* A page and its sum of another time: only all sums together tell. */
	disk_test_page(data, 1, 2, 7);
	sum = shm_disk_sum(data, meta.heap_id, 2);
	change(shm_disk_page_at(2), data, sizeof(data));
	change(shm_disk_sums_at(2) + 2 * sizeof(sum), &sum, sizeof(sum));
	loads_as(SHM_DISK_TOTAL, ERROR_CORRUPT);
	change(shm_disk_sums_at(2) + 2 * sizeof(sum), zeros, sizeof(zeros));
	loads_as(SHM_DISK_TOTAL, ERROR_CORRUPT);
	disk_test_page(data, 1, 2, 1);
	sum = shm_disk_sum(data, meta.heap_id, 2);
	change(shm_disk_page_at(2), data, sizeof(data));
	change(shm_disk_sums_at(2) + 2 * sizeof(sum), &sum, sizeof(sum));
	loads_as(SHM_DISK_NONE, ERROR_OK);
}
END_TEST

START_TEST(test_files_that_go)
{
	struct shm_disk_heap *heap;
	struct shm_disk_checkpoint *checkpoint;

	ck_assert_int_eq(shm_disk_heap_open(disk, meta.heap_id, &heap, &trouble), 0);
	ck_assert_int_eq(renameat(folder, ID_NAME, folder, "elsewhere"), 0);
	ck_assert_int_eq(shm_disk_begin(&heap, 1, &checkpoint, &trouble), -ERROR_NOT_FOUND);
	ck_assert_int_eq(trouble.what, SHM_DISK_VANISHED);
	(void)close(openat(folder, ID_NAME, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	ck_assert_int_eq(shm_disk_begin(&heap, 1, &checkpoint, &trouble), -ERROR_CONFLICT);
	ck_assert_int_eq(trouble.what, SHM_DISK_REPLACED);
	/* It heals, and a drop does not take away another's file. */
	ck_assert_int_eq(renameat(folder, "elsewhere", folder, ID_NAME), 0);
	store(heap, 2, true);
	ck_assert_int_eq(renameat(folder, ID_NAME, folder, "elsewhere"), 0);
	ck_assert_int_eq(symlinkat("elsewhere", folder, ID_NAME), 0);
	ck_assert_int_eq(shm_disk_heap_drop(heap, &trouble), 0);
	opens_as(SHM_DISK_FOREIGN, ERROR_MISMATCH);
	ck_assert_int_eq(unlinkat(folder, ID_NAME, 0), 0);
	opens_as(SHM_DISK_VANISHED, ERROR_NOT_FOUND);
	ck_assert_int_eq(mkdirat(folder, ID_NAME, 0700), 0);
	opens_as(SHM_DISK_FOREIGN, ERROR_MISMATCH);
}
END_TEST

START_TEST(test_limits_and_rights)
{
	struct rlimit limit = {.rlim_cur = IMAGE + 100, .rlim_max = RLIM_INFINITY};
	struct shm_disk_heap *heap;
	struct shm_disk_checkpoint *checkpoint;
	uint8_t data[DISK_PAGE];
	int fd;

	/* A file that may not grow: the checkpoint waits in the journal, until the
   * limit is another. */
	ck_assert_int_eq(shm_disk_heap_open(disk, meta.heap_id, &heap, &trouble), 0);
	ck_assert_int_eq(shm_disk_begin(&heap, 1, &checkpoint, &trouble), 0);
	disk_test_page(data, 1, 600, 1);
	ck_assert(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_int_eq(shm_disk_add(checkpoint, 0, 600 * DISK_PAGE, data, DISK_PAGE, &trouble), 0);
	ck_assert_int_eq(shm_disk_commit(checkpoint, &trouble), 0);
	ck_assert_int_eq(shm_disk_settle(checkpoint, &trouble), -ERROR_LIMIT);
	ck_assert_int_eq(trouble.what, SHM_DISK_TOO_LARGE);
	ck_assert_int_eq(shm_disk_begin(&heap, 1, &checkpoint, &trouble), -ERROR_LIMIT);
	limit.rlim_cur = RLIM_INFINITY;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	store(heap, 3, true);
	ck_assert_uint_eq(shm_disk_heap_pages(heap), 4);
	ck_assert_int_eq(shm_disk_verify(heap, NULL, NULL, &trouble), 0);
	/* Wrong calls. */
	ck_assert_int_eq(shm_disk_begin(&heap, 1, &checkpoint, &trouble), 0);
	ck_assert_int_eq(shm_disk_add(checkpoint, 0, DISK_PAGE, data, DISK_PAGE, &trouble), 0);
	ck_assert_int_eq(shm_disk_add(checkpoint, 0, DISK_PAGE, data, DISK_PAGE, &trouble), -ERROR_INVALID);
	ck_assert_int_eq(shm_disk_commit(checkpoint, &trouble), -ERROR_INVALID);
	shm_disk_abort(checkpoint);
	ck_assert_int_eq(shm_disk_begin(&heap, 1, &checkpoint, &trouble), 0);
	ck_assert_int_eq(shm_disk_add(checkpoint, 0, SEGMENT, data, DISK_PAGE, &trouble), -ERROR_INVALID);
	shm_disk_abort(checkpoint);
	shm_disk_heap_close(heap);

	/* Handed over to be read only: it is read, and not written. */
	fd = memfd_create("given", MFD_CLOEXEC);
	ck_assert_int_eq(shm_disk_file_create_take(fd, NULL, &meta, &heap, &trouble), 0);
	store(heap, 1, true);
	(void)snprintf((char *)data, sizeof(data), "/proc/self/fd/%d", fd);
	fd = open((char *)data, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	shm_disk_heap_close(heap);
	ck_assert_int_eq(shm_disk_file_adopt_take(fd, NULL, &heap, &trouble), 0);
	ck_assert_int_eq(shm_disk_load(heap, memory, SEGMENT, NULL, NULL, &trouble), 0);
	ck_assert_int_eq(shm_disk_begin(&heap, 1, &checkpoint, &trouble), -ERROR_READ_ONLY);
	shm_disk_heap_close(heap);
}
END_TEST

START_TEST(test_one_daemon_for_a_file)
{
	struct shm_disk_heap *heap, *other;
	char name[64];
	int fd = memfd_create("given", MFD_CLOEXEC);

	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	ck_assert_int_eq(shm_disk_file_create_take(fd, NULL, &meta, &heap, &trouble), 0);
	ck_assert_int_eq(shm_disk_file_adopt_take(open(name, O_RDWR | O_CLOEXEC), NULL, &other, &trouble),
			 -ERROR_BUSY);
	ck_assert_int_eq(trouble.what, SHM_DISK_LOCKED);
	shm_disk_heap_close(heap);
}
END_TEST

/* Memory does not grow with the checkpoint, nor does the file with what is not
 * stored. */
START_TEST(test_room)
{
	struct shm_disk_checkpoint *checkpoint;
	struct shm_disk_heap *heap;
	struct stat st;
	uint8_t data[DISK_PAGE];

	ck_assert_int_eq(shm_disk_heap_open(disk, meta.heap_id, &heap, &trouble), 0);
	ck_assert_int_eq(shm_disk_begin(&heap, 1, &checkpoint, &trouble), 0);
	for (uint64_t page = 0; page < DISK_TEST_PAGES; page++) {
		disk_test_page(data, 1, page, 2);
		ck_assert_int_eq(shm_disk_add(checkpoint, 0, page * DISK_PAGE, data, DISK_PAGE, &trouble), 0);
	}
	ck_assert_int_eq(shm_disk_commit(checkpoint, &trouble), 0);
	ck_assert_int_eq(shm_disk_settle(checkpoint, &trouble), 0);
	ck_assert_int_eq(fstatat(folder, "journal-0", &st, 0), 0);
	ck_assert_uint_le((uint64_t)st.st_size, UINT64_C(1) << 20);
	ck_assert_int_eq(shm_disk_load(heap, memory, SEGMENT, NULL, NULL, &trouble), 0);
	for (uint64_t page = 0; page < DISK_TEST_PAGES; page++) {
		disk_test_page(data, 1, page, 2);
		ck_assert(memcmp(memory + page * DISK_PAGE, data, DISK_PAGE) == 0);
	}
	/* Nothing dirty, nothing written. */
	ck_assert_int_eq(fstatat(folder, ID_NAME, &st, 0), 0);
	ck_assert_int_eq(shm_disk_begin(&heap, 1, &checkpoint, &trouble), 0);
	ck_assert_int_eq(shm_disk_commit(checkpoint, &trouble), 0);
	ck_assert_int_eq(shm_disk_settle(checkpoint, &trouble), 0);
	ck_assert_uint_eq(shm_disk_heap_checkpoint(heap), 2);
	/* Given back. */
	ck_assert_int_eq(shm_disk_begin(&heap, 1, &checkpoint, &trouble), 0);
	ck_assert_int_eq(shm_disk_add_zero(checkpoint, 0, DISK_PAGE, SEGMENT - DISK_PAGE, &trouble), 0);
	ck_assert_int_eq(shm_disk_commit(checkpoint, &trouble), 0);
	ck_assert_int_eq(shm_disk_settle(checkpoint, &trouble), 0);
	ck_assert_uint_eq(shm_disk_heap_pages(heap), 1);
	ck_assert_int_eq(shm_disk_verify(heap, NULL, NULL, &trouble), 0);
	shm_disk_heap_close(heap);
}
END_TEST

/* ---- garbage ---- */

#define SMALL	      16u /* pages of the segment of a file that is garbled */
#define JOURNAL	      (2 * DISK_PAGE + DISK_GROUP_BYTES)
#define JOURNAL_PAGES 8u

struct garbled {
	_Alignas(8) uint8_t front[IMAGE];
	_Alignas(8) uint8_t journal[JOURNAL_PAGES * DISK_PAGE];
	size_t journal_size;
};

static void read_whole(struct garbled *garbled, int fd)
{
	ssize_t n;

	ck_assert_int_eq(pread(fd, garbled->front, sizeof(garbled->front), 0),
			 (ssize_t)sizeof(garbled->front));
	n = pread(fd, garbled->journal, sizeof(garbled->journal), JOURNAL);
	ck_assert_int_gt(n, 0);
	garbled->journal_size = (size_t)n;
}

/* A file with checkpoint 1 in place, and 2 in its journal. */
static void make_whole(struct garbled *garbled)
{
	struct disk_meta small = meta;
	struct shm_disk_heap *heap;
	int fd = memfd_create("whole", MFD_CLOEXEC), copy;

	small.segment_size = SMALL * DISK_PAGE;
	ck_assert_int_eq(fd_dup(fd, &copy), 0);
	ck_assert_int_eq(shm_disk_file_create_take(fd, NULL, &small, &heap, &trouble), 0);
	store(heap, 1, true);
	store(heap, 2, false);
	shm_disk_heap_close(heap);
	read_whole(garbled, copy);
	(void)close(copy);
}

/* Puts the sum right again behind a change, so that it is the checks behind the
 * sums that are met. */
static void reseal(uint8_t *block)
{
	struct journal_block *as_block = (struct journal_block *)block;
	struct disk_header *as_header = (struct disk_header *)block;

	if (as_block->magic == JOURNAL_MAGIC)
		as_block->sum = shm_disk_block_sum(block, offsetof(struct journal_block, sum));
	else
		as_header->sum = shm_disk_block_sum(block, offsetof(struct disk_header, sum));
}

static void garble(uint8_t *data, size_t size, uint64_t *random, bool sealed)
{
	size_t at = unit_random(random) % size;

	/* Most fields are at the beginning of a block. */
	if (unit_random(random) % 2)
		at = align_down(at, DISK_PAGE) + unit_random(random) % 600;
	if (unit_random(random) % 2)
		data[at] ^= (uint8_t)(1u << unit_random(random) % 8);
	else
		for (size_t i = at; i < MIN(at + 1 + unit_random(random) % 16, size); i++)
			data[i] = (uint8_t)(unit_random(random) % 3 ? unit_random(random) : 0xff);
	if (sealed)
		reseal(data + align_down(at, DISK_PAGE));
}

static int open_garbled(const struct garbled *garbled, size_t length, struct shm_disk_heap **_heap)
{
	int fd = memfd_create("garbled", MFD_CLOEXEC);

	ck_assert_int_eq(pwrite(fd, garbled->front, sizeof(garbled->front), 0),
			 (ssize_t)sizeof(garbled->front));
	ck_assert_int_eq(pwrite(fd, garbled->journal, garbled->journal_size, JOURNAL),
			 (ssize_t)garbled->journal_size);
	if (length)
		ck_assert_int_eq(ftruncate(fd, (off_t)length), 0);
	return shm_disk_file_adopt_take(fd, NULL, _heap, &trouble);
}

/* All pages of one version, and which. */
static uint32_t loaded_version(void)
{
	uint8_t data[DISK_PAGE];

	for (uint32_t version = 1; version <= 2; version++) {
		unsigned right = 0;

		for (uint64_t page = 0; page < 3; page++) {
			disk_test_page(data, 1, page, version);
			right += memcmp(memory + page * DISK_PAGE, data, DISK_PAGE) == 0;
		}
		if (right == 3)
			return version;
	}
	return 0;
}

START_TEST(test_garbage)
{
	uint64_t random = unit_seed();
	struct garbled whole, garbled;
	unsigned opened = 0, loaded = 0, rounds = getenv("EMS_POWERCUT_ALL") ? 200000 : 4000;

	make_whole(&whole);
	for (unsigned i = 0; i < rounds; i++) {
		bool sealed = unit_random(&random) % 2;
		struct shm_disk_heap *heap = NULL;

		garbled = whole;
		for (unsigned k = 1 + unit_random(&random) % 3; k > 0; k--) {
			if (unit_random(&random) % 2)
				garble(garbled.front, sizeof(garbled.front), &random, sealed);
			else
				garble(garbled.journal, garbled.journal_size, &random, sealed);
		}
		if (open_garbled(&garbled,
				 unit_random(&random) % 8 ? 0 : 1 + unit_random(&random) % (JOURNAL + 9999),
				 &heap) < 0)
			continue;
		opened++;
		if (shm_disk_load(heap, memory, SMALL * DISK_PAGE, NULL, NULL, &trouble) == 0) {
			loaded++;
			/* What has its sum for itself is found out, whatever it was. */
			ck_assert(sealed || loaded_version() > 0);
		}
		shm_disk_heap_close(heap);
	}
	printf("%u of %u opened, %u loaded\n", opened, rounds, loaded);
	ck_assert_uint_gt(opened, 0);
	ck_assert_uint_lt(loaded, opened);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {test_headers,
				      test_lengths,
				      test_pages,
				      test_files_that_go,
				      test_limits_and_rights,
				      test_one_daemon_for_a_file,
				      test_room,
				      test_garbage};
	Suite *suite = suite_create("shm/disk: trouble");
	TCase *tcase = tcase_create("trouble");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
