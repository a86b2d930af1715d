/*
 * segment.c: a heap in which some words were written over, and everything that reads it: validation, recovery, the checker, each
 * operation of a client, the daemon's own work on it.
 *
 * An input is a byte (bit 0: with a map; bit 1: its user died inside an operation's intent) and then patches of 13 bytes: the area,
 * an offset within what may be touched of it, a word, and how it is applied.
 */
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "shm/check.h"
#include "shm/element.h"
#include "shm/map.h"
#include "shm/recover.h"
#include "shm/ring.h"
#include "shm/stack.h"
#include "shm/storage.h"
#include "tests/fuzz/fuzz.h"

#define ELEMENTS 40u
#define PATCH	 13u

static char text[] = "a text that is long enough to need a block of the storage";

struct fuzzed {
	struct shm_segment segment;
	struct shm_session session;
	bool open;
	int fd;
};

/* One operation that does not wait. */
static int apply(struct fuzzed *fuzzed, enum shm_op op, uint64_t index, const struct shm_value *argument,
		 struct shm_value *result)
{
	struct shm_key key = index % 3 ? shm_key_integer(&fuzzed->segment, (int64_t)index)
				       : shm_key_string(&fuzzed->segment, text, (uint32_t)(20 + index % 30));
	struct shm_call call = {.op = op,
				.target = {.index = index},
				.argument = argument,
				.argument2 = argument,
				.tag = TAG_EMPTY,
				.result = result};

	if (fuzzed->segment.layout.params.has_map)
		call.target.key = &key;
	return shm_element_apply(&fuzzed->segment, &fuzzed->session, &call, NULL);
}

static void fill(struct fuzzed *fuzzed)
{
	struct shm_value number = {.type = TYPE_INTEGER, .integer = 7};
	struct shm_value long_text = {.type = TYPE_STRING, .data = text, .size = sizeof(text) - 1};
	struct shm_call put = {.argument = &long_text};

	for (uint64_t i = 0; i < ELEMENTS / 2; i++) {
		FUZZ_MUST(apply(fuzzed, OP_WRITE_XF, i, i % 2 ? &number : &long_text, NULL) == 0);
		FUZZ_MUST(i % 4 || shm_ring_put(&fuzzed->session, &put, NULL) == 0);
		FUZZ_MUST(i % 4 || shm_stack_push(&fuzzed->session, &put, NULL) == 0);
	}
	FUZZ_MUST(apply(fuzzed, OP_READ_RW, 2, NULL, NULL) == 0);
}

static void make(struct fuzzed *fuzzed, bool map)
{
	static const uint8_t id[16] = "fuzzed";
	struct heap_params params = {.elements = ELEMENTS,
				     .max_elements = 2 * ELEMENTS,
				     .storage = 16 * UNIT,
				     .seed = 42,
				     .initial_tag = TAG_FULL,
				     .has_map = map};

	memset(fuzzed, 0, sizeof(*fuzzed));
	FUZZ_MUST(shm_segment_create(&fuzzed->segment, &params, "", id, &fuzzed->fd) == 0);
	FUZZ_MUST(shm_session_open(&fuzzed->session, &fuzzed->segment, 1) == 0);
	fuzzed->open = true;
	fill(fuzzed);
}

/* Bytes of the area that hold something here. */
static uint64_t reach(const struct shm_segment *segment, enum area area)
{
	uint64_t size = segment->layout.size[area];

	if (area == AREA_SLOTS)
		size = 4 * sizeof(struct slot);
	if (area == AREA_HEADER)
		return sizeof(struct header);
	return size < UNIT ? size : UNIT;
}

/* All but the locks: a lock that no thread gives back is one that its writer holds, and others wait for such. */
static void patch(struct shm_segment *segment, const uint8_t *data)
{
	enum area area = (enum area)(data[0] % AREA_COUNT);
	uint64_t offset, word, size;
	uint8_t *place;

	if (area == AREA_LOCKS || area == AREA_MARKS)
		return;
	size = reach(segment, area);
	memcpy(&offset, data + 1, 4);
	offset &= 0xffffffff;
	memcpy(&word, data + 5, 8);
	if (size < 8)
		return;
	offset = offset % (size - 7) & ~UINT64_C(7);
	place = (uint8_t *)shm_area(segment, area) + offset;
	/* A gate that is up is one of a daemon that is at work. */
	if (area == AREA_HEADER && offset == offsetof(struct header, gate))
		return;
	if (data[0] & 0x80) {
		uint64_t before;

		memcpy(&before, place, 8);
		word = before ^ UINT64_C(1) << word % 64;
	}
	memcpy(place, &word, 8);
}

static void use(struct fuzzed *fuzzed)
{
	struct shm_value result = {0}, number = {.type = TYPE_INTEGER, .integer = 3};
	struct shm_value long_text = {.type = TYPE_STRING, .data = text, .size = sizeof(text) - 1};
	struct shm_call take = {.result = &result}, put = {.argument = &long_text};

	for (uint64_t i = 0; i < ELEMENTS; i++) {
		(void)apply(fuzzed, OP_READ, i, NULL, &result);
		(void)apply(fuzzed, (enum shm_op)(i % OP_LEASE), i, i % 2 ? &number : &long_text, &result);
	}
	(void)apply(fuzzed, OP_READ_RW, 5, NULL, &result);
	(void)apply(fuzzed, OP_RELEASE_RW, 5, NULL, NULL);
	for (int i = 0; i < 8; i++) {
		(void)shm_ring_put(&fuzzed->session, &put, NULL);
		(void)shm_ring_take(&fuzzed->session, &take);
		(void)shm_ring_peek(&fuzzed->segment, &result);
		(void)shm_stack_push(&fuzzed->session, &put, NULL);
		(void)shm_stack_pop(&fuzzed->session, &take);
		(void)shm_stack_peek(&fuzzed->segment, &result);
	}
	free(result.data);
}

static void look(const struct shm_segment *segment)
{
	struct shm_check check = {.quiet = true, .elements = ELEMENTS};
	struct shm_check live = {0};
	struct shm_storage_stats stats;

	(void)shm_check(segment, &check);
	(void)shm_check(segment, &live);
	shm_storage_estimate(segment, 64, &stats);
	(void)shm_segment_is_whole(segment, shm_header(segment)->heap_id);
	(void)shm_committed_bytes(segment);
}

static void as_daemon(struct fuzzed *fuzzed)
{
	struct shm_segment *segment = &fuzzed->segment, other;
	struct shm_recovery recovery = {0};
	uint64_t added;

	(void)shm_recover(segment, NULL, &recovery);
	(void)shm_commit_storage(segment, 1, &added);
	(void)shm_commit_units(segment, 0, 3, &added);
	(void)shm_trim(segment, 1, 16);
	if (segment->layout.tables)
		(void)shm_prepare_table(segment, segment->layout.tables - 1, &added);
	if (shm_segment_map(&other, fuzzed->fd, &segment->layout.params, true) == 0)
		shm_segment_unmap(&other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzzed fuzzed;

	if (size == 0)
		return 0;
	make(&fuzzed, data[0] & 1);
	/* A slot that died, and that recovery has to deal with. */
	if (data[0] & 2)
		shm_robust_declare_dead(&fuzzed.segment, fuzzed.session.id);
	for (size_t at = 1, n = 0; at + PATCH <= size && n < 64; at += PATCH, n++)
		patch(&fuzzed.segment, data + at);
	look(&fuzzed.segment);
	if (data[0] & 2)
		as_daemon(&fuzzed);
	else
		use(&fuzzed);
	look(&fuzzed.segment);
	if (!(data[0] & 2))
		as_daemon(&fuzzed);
	shm_session_close(&fuzzed.session);
	shm_segment_unmap(&fuzzed.segment);
	close(fuzzed.fd);
	return 0;
}

/* Patches of each area, of both kinds of heaps, with a dead user and without. */
size_t fuzz_example(unsigned index, uint8_t *data, size_t room)
{
	size_t size = 1 + (size_t)PATCH * AREA_COUNT;

	if (index >= 12 || room < size)
		return 0;
	data[0] = (uint8_t)(index & 3);
	for (unsigned area = 0; area < AREA_COUNT; area++) {
		uint8_t *patch_data = data + 1 + (size_t)PATCH * area;
		uint32_t offset = index * 1664525u + area * 1013904223u;
		uint64_t word = index < 4 ? UINT64_MAX : (uint64_t)offset * offset;

		patch_data[0] = (uint8_t)(area | (index >= 8 ? 0x80 : 0));
		memcpy(patch_data + 1, &offset, 4);
		memcpy(patch_data + 5, &word, 8);
	}
	return size;
}
