/* Heaps on disk, on a real file system: what is stored is loaded; each trouble has its name. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/error.h"
#include "shm/disk.h"
#include "tests/unit/disk_fixture.h"
#include "tests/unit/unit.h"

static char folder_name[64];
static int folder = -1;
static struct shm_disk *disk;
static struct shm_disk_trouble trouble;
static uint8_t *memory;

#define SEGMENT (DISK_TEST_PAGES * DISK_PAGE)

static int remove_one(void *arg, const char *name)
{
	(void)arg;
	return unlinkat(folder, name, 0);
}

static void setup(void)
{
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(folder_name, sizeof(folder_name), "%.40s/ems-disk.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(folder_name));
	folder = open(folder_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(folder, 0);
	memory = mmap(NULL, SEGMENT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert(memory != MAP_FAILED);
	ck_assert_int_eq(shm_disk_open(folder, NULL, &disk, &trouble), 0);
}

static void teardown(void)
{
	shm_disk_free(disk);
	(void)shm_disk_io_system.list(NULL, folder, remove_one, NULL);
	(void)close(folder);
	(void)rmdir(folder_name);
	(void)munmap(memory, SEGMENT);
}

static void reopen(void)
{
	shm_disk_free(disk);
	disk = NULL;
	ck_assert_int_eq(shm_disk_open(folder, NULL, &disk, &trouble), 0);
}

static void put(struct shm_disk_checkpoint *checkpoint, size_t which, uint8_t heap, uint64_t page,
		uint32_t version)
{
	uint8_t data[DISK_PAGE];

	disk_test_page(data, heap, page, version);
	ck_assert_int_eq(shm_disk_add(checkpoint, which, page * DISK_PAGE, data, DISK_PAGE, &trouble), 0);
}

static void finish(struct shm_disk_checkpoint *checkpoint)
{
	ck_assert_int_eq(shm_disk_commit(checkpoint, &trouble), 0);
	ck_assert_int_eq(shm_disk_settle(checkpoint, &trouble), 0);
}

static void load(struct shm_disk_heap *heap)
{
	int r;

	ck_assert_int_eq(madvise(memory, SEGMENT, MADV_DONTNEED), 0);
	r = shm_disk_load(heap, memory, SEGMENT, NULL, NULL, &trouble);
	ck_assert_msg(r == 0, "load: %s", error_text(r));
}

static void holds(uint8_t heap, uint64_t page, uint32_t version)
{
	uint8_t data[DISK_PAGE];

	disk_test_page(data, heap, page, version);
	ck_assert_msg(memcmp(memory + page * DISK_PAGE, data, DISK_PAGE) == 0, "page %llu is not version %u",
		      (unsigned long long)page, version);
}

START_TEST(test_stored_is_loaded)
{
	struct disk_meta meta = disk_test_meta(1, "first");
	struct shm_disk_heap *heap;
	struct shm_disk_checkpoint *checkpoint;

	ck_assert_int_eq(shm_disk_heap_create(disk, &meta, &heap, &trouble), 0);
	ck_assert_uint_eq(shm_disk_heap_checkpoint(heap), 0);
	load(heap);
	ck_assert_int_eq(shm_disk_begin(&heap, 1, &checkpoint, &trouble), 0);
	put(checkpoint, 0, 1, 0, 1);
	put(checkpoint, 0, 1, 1, 1);
	put(checkpoint, 0, 1, 511, 1);
	put(checkpoint, 0, 1, 512, 1);
	put(checkpoint, 0, 1, 1099, 1);
	finish(checkpoint);
	ck_assert_uint_eq(shm_disk_heap_checkpoint(heap), 1);
	ck_assert_uint_eq(shm_disk_heap_pages(heap), 5);
	load(heap);
	holds(1, 1099, 1);

	ck_assert_int_eq(shm_disk_begin(&heap, 1, &checkpoint, &trouble), 0);
	put(checkpoint, 0, 1, 1, 2);
	put(checkpoint, 0, 1, 512, 0);
	put(checkpoint, 0, 1, 513, 0);
	put(checkpoint, 0, 1, 700, 2);
	finish(checkpoint);
	shm_disk_heap_close(heap);
	reopen();
	ck_assert_int_eq(shm_disk_heap_open(disk, meta.heap_id, &heap, &trouble), 0);
	ck_assert_uint_eq(shm_disk_heap_checkpoint(heap), 2);
	ck_assert_uint_eq(shm_disk_heap_pages(heap), 5);
	ck_assert(memcmp(shm_disk_heap_meta(heap), &meta, sizeof(meta)) == 0);
	load(heap);
	holds(1, 0, 1);
	holds(1, 1, 2);
	holds(1, 2, 0);
	holds(1, 511, 1);
	holds(1, 512, 0);
	holds(1, 700, 2);
	holds(1, 1099, 1);
	ck_assert_int_eq(shm_disk_verify(heap, NULL, NULL, &trouble), 0);
	shm_disk_heap_close(heap);
}
END_TEST

START_TEST(test_names)
{
	struct disk_meta meta = disk_test_meta(2, "x");
	struct shm_disk_heap *heap, *other;

	ck_assert_int_eq(shm_disk_heap_create(disk, &meta, &heap, &trouble), 0);
	ck_assert_int_eq(shm_disk_heap_create(disk, &meta, &other, &trouble), -ERROR_EXISTS);
	ck_assert_int_eq(trouble.what, SHM_DISK_TAKEN);
	ck_assert_int_eq(shm_disk_heap_drop(heap, &trouble), 0);
	ck_assert_int_eq(shm_disk_heap_open(disk, meta.heap_id, &heap, &trouble), -ERROR_NOT_FOUND);
	ck_assert_int_eq(trouble.what, SHM_DISK_VANISHED);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("shm/disk");
	TCase *tcase = tcase_create("shm/disk");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_stored_is_loaded);
	tcase_add_test(tcase, test_names);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
