/*
 * Files of version 1 open for ever: a heap with a checkpoint in place and one
 * in a journal, and a file that was handed over.
 *
 *     EMS_RECORD=FOLDER tests/unit/test_shm_disk_golden
 *
 * writes such files as this version makes them. Those in tests/unit/golden/1
 * are never changed.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "tests/unit/disk_fixture.h"
#include "tests/unit/unit.h"

#define GIVEN "given.ems"
#define PAGES 16u

static struct shm_disk_trouble trouble;

static struct disk_meta golden_meta(uint8_t which, const char *name)
{
	struct disk_meta meta = disk_test_meta(which, name);

	meta.segment_size = PAGES * DISK_PAGE;
	meta.period = 1000000000;
	meta.budget = 1 << 20;
	meta.idle_seconds = 60;
	meta.created = UINT64_C(1700000000000000000);
	meta.creation[0] = 1;
	meta.uid = 1000;
	meta.gid = 1001;
	meta.mode = 0640;
	meta.creator = 1002;
	meta.lifetime = 1;
	return meta;
}

static void add(struct shm_disk_checkpoint *checkpoint, uint8_t which, uint64_t page, uint32_t version)
{
	uint8_t data[DISK_PAGE];

	disk_test_page(data, which, page, version);
	ck_assert_int_eq(shm_disk_add(checkpoint, 0, page * DISK_PAGE, data, DISK_PAGE, &trouble), 0);
}

/* Checkpoint 1: pages 0, 1, 3. Checkpoint 2: page 1 anew, 2 is there, 3 is not;
 * another name. */
static void fill(struct shm_disk_heap *heap, uint8_t which, bool settled)
{
	struct disk_meta meta = golden_meta(which, "second");
	struct shm_disk_checkpoint *checkpoint;

	ck_assert_int_eq(shm_disk_begin(&heap, 1, &checkpoint, &trouble), 0);
	add(checkpoint, which, 0, 1);
	add(checkpoint, which, 1, 1);
	add(checkpoint, which, 3, 1);
	ck_assert_int_eq(shm_disk_commit(checkpoint, &trouble), 0);
	ck_assert_int_eq(shm_disk_settle(checkpoint, &trouble), 0);
	ck_assert_int_eq(shm_disk_begin(&heap, 1, &checkpoint, &trouble), 0);
	add(checkpoint, which, 1, 2);
	add(checkpoint, which, 2, 2);
	add(checkpoint, which, 3, 0);
	ck_assert_int_eq(shm_disk_checkpoint_meta(checkpoint, 0, &meta, &trouble), 0);
	ck_assert_int_eq(shm_disk_commit(checkpoint, &trouble), 0);
	if (settled)
		ck_assert_int_eq(shm_disk_settle(checkpoint, &trouble), 0);
	else
		shm_disk_abort(checkpoint);
}

static void record(int folder)
{
	struct disk_meta meta = golden_meta(1, "first"), given = golden_meta(2, "first");
	struct shm_disk_heap *heap;
	struct shm_disk *disk;

	ck_assert_int_eq(shm_disk_open(folder, NULL, &disk, &trouble), 0);
	ck_assert_int_eq(shm_disk_heap_create(disk, &meta, &heap, &trouble), 0);
	fill(heap, 1, false);
	shm_disk_heap_close(heap);
	ck_assert_int_eq(shm_disk_file_create_take(openat(folder, GIVEN, O_RDWR | O_CREAT | O_CLOEXEC, 0600),
						   NULL, &given, &heap, &trouble),
			 0);
	fill(heap, 2, true);
	shm_disk_heap_close(heap);
	shm_disk_free(disk);
}

static void check(struct shm_disk_heap *heap, uint8_t which)
{
	static const uint32_t versions[PAGES] = {1, 2, 2, 0};
	static uint8_t memory[PAGES * DISK_PAGE];
	struct disk_meta meta = golden_meta(which, "second");
	uint8_t data[DISK_PAGE];

	memset(memory, 0, sizeof(memory));
	ck_assert_int_eq(memcmp(shm_disk_heap_meta(heap), &meta, sizeof(meta)), 0);
	ck_assert_uint_eq(shm_disk_heap_checkpoint(heap), 2);
	ck_assert_uint_eq(shm_disk_heap_pages(heap), 3);
	ck_assert_uint_gt(shm_disk_heap_time(heap), meta.created);
	ck_assert_int_eq(shm_disk_load(heap, memory, sizeof(memory), NULL, NULL, &trouble), 0);
	for (uint64_t page = 0; page < PAGES; page++) {
		disk_test_page(data, which, page, versions[page]);
		ck_assert_int_eq(memcmp(memory + page * DISK_PAGE, data, DISK_PAGE), 0);
	}
}

static void copy(int from, int to, const char *name)
{
	_cleanup_(closep) int in = openat(from, name, O_RDONLY | O_CLOEXEC);
	_cleanup_(closep) int out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	static uint8_t data[1 << 20];
	size_t size;

	ck_assert_msg(in >= 0 && out >= 0, "%s", name);
	ck_assert_int_eq(fd_read_all(in, data, sizeof(data), &size), 0);
	ck_assert_int_eq(fd_write_all(out, data, size), 0);
}

static int remove_one(void *arg, const char *name)
{
	return unlinkat(*(int *)arg, name, 0);
}

static const char heap_name[] = "015eed01090807060504030201000101.ems";

static void open_golden(int folder)
{
	struct disk_meta meta = golden_meta(1, "");
	struct shm_disk_heap *heap;
	struct shm_disk *disk;

	ck_assert_int_eq(shm_disk_open(folder, NULL, &disk, &trouble), 0);
	ck_assert_int_eq(shm_disk_heap_open(disk, meta.heap_id, &heap, &trouble), 0);
	check(heap, 1);
	shm_disk_heap_close(heap);
	ck_assert_int_eq(
		shm_disk_file_adopt_take(openat(folder, GIVEN, O_RDWR | O_CLOEXEC), NULL, &heap, &trouble),
		0);
	check(heap, 2);
	shm_disk_heap_close(heap);
	shm_disk_free(disk);
}

START_TEST(test_golden)
{
	const char *given = getenv("EMS_RECORD"), *top = getenv("top_srcdir"), *tmp = getenv("TMPDIR");
	_cleanup_(closep) int folder = -1, golden = -1;
	char name[64], path[512];

	if (given) {
		folder = open(given, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		ck_assert_int_ge(folder, 0);
		record(folder);
		return;
	}
	(void)snprintf(path, sizeof(path), "%s/tests/unit/golden/1", top ? top : "..");
	golden = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_msg(golden >= 0, "%s", path);
	(void)snprintf(name, sizeof(name), "%.40s/ems-golden.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(name));
	folder = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	copy(golden, folder, heap_name);
	copy(golden, folder, "journal-0");
	copy(golden, folder, GIVEN);
	open_golden(folder);
	open_golden(folder); /* what the journal said has been done */
	(void)shm_disk_io_system.list(NULL, folder, remove_one, &folder);
	(void)rmdir(name);
}
END_TEST

UNIT_MAIN("shm/disk: golden files", test_golden)
