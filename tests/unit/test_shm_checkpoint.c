/*
 * Checkpoints: an image that is made of marked pages only is the memory, whatever was done to it; no store is without a mark.
 *
 * After random operations, deaths and recoveries, growth and trimming, what was marked is copied over the image before.
 * Then image and memory are compared byte by byte. A store without a mark, made on purpose, is found.
 */
#include <stdio.h>
#include <stdlib.h>

#include "shm/check.h"
#include "shm/checkpoint.h"
#include "shm/element.h"
#include "shm/map.h"
#include "shm/recover.h"
#include "shm/ring.h"
#include "shm/stack.h"
#include "tests/unit/heap.h"
#include "tests/unit/unit.h"

#define ELEMENTS 3000u

static struct test_heap heap;
static struct shm_segment image;
static int image_fd;
static uint64_t state;

static void take(bool written)
{
	struct shm_checkpoint checkpoint = {.seg = &heap.seg, .fd = heap.fd, .most = 1 << 20};
	int r;

	while ((r = shm_checkpoint_take(&checkpoint, 1)) == -ERROR_BUSY)
		continue;
	ck_assert_int_eq(r, 0);
	for (size_t i = 0; i < checkpoint.count && written; i++) {
		ck_assert(i == 0 || checkpoint.pages[i] > checkpoint.pages[i - 1]);
		ck_assert(shm_checkpoint_has(&image.layout, checkpoint.pages[i]));
		memcpy(image.base + checkpoint.pages[i] * CHECKPOINT_PAGE, checkpoint.bytes + i * CHECKPOINT_PAGE,
		       CHECKPOINT_PAGE);
	}
	if (written)
		shm_checkpoint_done(&checkpoint);
	else
		shm_checkpoint_failed(&checkpoint);
	shm_checkpoint_free(&checkpoint);
}

/* Pages that differ, but for what belongs to the moment; holes of both are not looked at, which would fill them. */
static uint64_t differences(void)
{
	static uint8_t ours[CHECKPOINT_PAGE], theirs[CHECKPOINT_PAGE];
	uint64_t pages = heap.seg.layout.segment_size / CHECKPOINT_PAGE, count = 0;
	off_t data = 0;

	while ((data = lseek(heap.fd, data, SEEK_DATA)) >= 0) {
		uint64_t page = (uint64_t)data / CHECKPOINT_PAGE;

		data += (off_t)CHECKPOINT_PAGE;
		if (page >= pages || !shm_checkpoint_has(&heap.seg.layout, page))
			continue;
		ck_assert_int_eq(pread(heap.fd, ours, sizeof(ours), (off_t)(page * CHECKPOINT_PAGE)), sizeof(ours));
		ck_assert_int_eq(pread(image_fd, theirs, sizeof(theirs), (off_t)(page * CHECKPOINT_PAGE)),
				 sizeof(theirs));
		if (page == 1) {
			memset(ours, 0, offsetof(struct header, dropped) - 4096);
			memset(theirs, 0, offsetof(struct header, dropped) - 4096);
		}
		if (memcmp(ours, theirs, sizeof(ours)) != 0) {
			for (int area = 0; area < AREA_COUNT; area++)
				if (page * CHECKPOINT_PAGE >= heap.seg.layout.offset[area] &&
				    page * CHECKPOINT_PAGE < heap.seg.layout.offset[area] + heap.seg.layout.size[area])
					printf("page %llu, of area %d, differs\n", (unsigned long long)page, area);
			count++;
		}
	}
	return count;
}

static void open_heap(bool map)
{
	struct heap_params params = test_params(ELEMENTS, map);

	params.persistent = true;
	params.fill_type = TYPE_STRING;
	params.fill_size = 0;
	test_heap_open(&heap, &params);
	ck_assert_int_eq(shm_segment_empty(&image, &params, &image_fd), 0);
}

/* ---- random work ---- */

static char bytes[200000];

static struct shm_value random_value(void)
{
	uint64_t r = unit_random(&state);
	struct shm_value value = {.type = TYPE_INTEGER, .integer = (int64_t)r};

	if (r % 3 == 0) {
		value.type = TYPE_STRING;
		value.data = bytes;
		value.size = r % 64 == 0 ? 150000 : r / 64 % 300;
	}
	return value;
}

static void work_once(struct shm_segment *seg, struct shm_session *session, bool map)
{
	struct shm_value value = random_value();
	uint64_t r = unit_random(&state);
	struct shm_key key;
	struct shm_call call = {.argument = &value, .target.index = r % ELEMENTS};
	char text[64];

	snprintf(text, sizeof(text), "a key that is long enough, %u", (unsigned)(r % ELEMENTS));
	if (map) {
		key = shm_key_string(seg, text, (uint32_t)strlen(text));
		call.target.key = &key;
	}
	switch (r / ELEMENTS % 8) {
	case 0:
		call.op = OP_DELETE;
		(void)shm_element_apply(seg, session, &call, NULL);
		break;
	case 1:
		(void)shm_ring_put(session, &call, NULL);
		break;
	case 2:
		call.argument = NULL;
		(void)shm_ring_take(session, &call);
		break;
	case 3:
		(void)shm_stack_push(session, &call, NULL);
		break;
	case 4:
		call.argument = NULL;
		(void)shm_stack_pop(session, &call);
		break;
	case 5:
		call.op = OP_READ_RW;
		if (shm_element_apply(seg, session, &call, NULL) == 0) {
			call.op = OP_RELEASE_RW;
			(void)shm_element_apply(seg, session, &call, NULL);
		}
		break;
	default:
		call.op = OP_WRITE;
		(void)shm_element_apply(seg, session, &call, NULL);
		break;
	}
}

static void work(struct shm_segment *seg, bool map, unsigned times)
{
	struct shm_session session;

	if (shm_session_open(&session, seg, 1) < 0)
		_exit(98);
	for (unsigned i = 0; i < times; i++)
		work_once(seg, &session, map);
	if (times % 2)
		shm_session_close(&session);
	else
		shm_robust_abandon(&session.lock); /* dies */
}

static void run(bool map)
{
	struct shm_recovery recovery;

	state = unit_seed();
	open_heap(map);
	take(true);
	ck_assert_uint_eq(differences(), 0);
	for (unsigned round = 0; round < 40; round++) {
		work(&heap.seg, map, 50 + unit_random(&state) % 200);
		if (round % 3 == 0)
			ck_assert_int_eq(shm_recover(&heap.seg, NULL, &recovery), 0);
		if (round % 7 == 3)
			(void)shm_trim(&heap.seg, 0, 100);
		if (round == 20)
			shm_grow(&heap.seg, ELEMENTS * 2);
		if (round % 5 == 4)
			take(false); /* a disk that fails: nothing is forgotten */
		take(true);
		ck_assert_msg(differences() == 0, "a store without a mark, in round %u", round);
	}
}

static void check_image(void)
{
	static const uint8_t id[16] = "unit test";
	struct shm_check check = {.quiet = true};
	struct shm_recovery recovery;

	ck_assert_int_eq(shm_segment_restored(&image, id), 0);
	ck_assert_int_eq(shm_recover(&image, NULL, &recovery), 0);
	ck_assert_int_eq(shm_check(&image, &check), 0);
	ck_assert_uint_eq(check.problems, 0);
}

START_TEST(test_marked_pages_are_the_memory)
{
	run(false);
	check_image();
}
END_TEST

START_TEST(test_with_a_map)
{
	run(true);
	check_image();
}
END_TEST

START_TEST(test_a_store_without_a_mark_is_found)
{
	state = unit_seed();
	open_heap(false);
	work(&heap.seg, false, 51);
	take(true);
	ck_assert_uint_eq(differences(), 0);
	store64_relaxed(&shm_cell(&heap.seg, 700)->value, UINT64_C(0x123456789));
	take(true);
	ck_assert_uint_eq(differences(), 1);
}
END_TEST

START_TEST(test_marks)
{
	struct shm_checkpoint checkpoint = {.fd = -1};
	const uint32_t *dirty;
	uint8_t *marks;
	uint64_t page;

	open_heap(false);
	take(true);
	dirty = &shm_header(&heap.seg)->dirty;
	ck_assert_uint_eq(*dirty, DIRTY_NO);
	ck_assert_uint_le(shm_dirty_pages(&heap.seg), 2); /* the header's, and a slot's */
	marks = shm_area(&heap.seg, AREA_MARKS);
	page = shm_offset(&heap.seg, shm_cell(&heap.seg, 5)) / CHECKPOINT_PAGE;
	shm_mark(&heap.seg, shm_cell(&heap.seg, 5), 16);
	ck_assert_uint_eq(*dirty, DIRTY_YES);
	checkpoint.seg = &heap.seg;
	checkpoint.fd = heap.fd;
	/* A writer's marks are bounded by the daemon's accounts. */
	ck_assert_int_eq(shm_checkpoint_take(&checkpoint, 1), -ERROR_CORRUPT);
	ck_assert_uint_eq(marks[page], MARK_DIRTY);
	checkpoint.most = 100;
	ck_assert_int_eq(shm_checkpoint_take(&checkpoint, 1), 0);
	ck_assert_uint_eq(marks[page], MARK_IN_FLIGHT);
	shm_mark(&heap.seg, shm_cell(&heap.seg, 5), 16);
	shm_checkpoint_done(&checkpoint);
	ck_assert_uint_eq(marks[page], MARK_DIRTY); /* written to meanwhile */
	ck_assert_uint_eq(*dirty, DIRTY_YES);
	shm_checkpoint_free(&checkpoint);
}
END_TEST

UNIT_MAIN("shm/checkpoint", test_marked_pages_are_the_memory, test_with_a_map, test_a_store_without_a_mark_is_found,
	  test_marks)
