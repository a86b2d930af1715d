/* What the daemon does to a segment, killed at every instruction. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "shm/element.h"
#include "shm/recover.h"
#include "tests/kill/groups.h"
#include "tests/kill/local.h"

static char large[66000];

static int put(struct shm_segment *seg, struct shm_session *session, uint64_t index, size_t size)
{
	struct shm_value value = {.type = TYPE_BYTES, .data = large, .size = size};
	struct shm_call call = {
		.op = OP_WRITE, .target = {.index = index}, .argument = &value, .deadline = UINT64_MAX};

	return shm_element_apply(seg, session, &call, NULL);
}

static int put_some(const struct local *local, struct shm_segment *seg, struct shm_session *session)
{
	int r = 0;

	(void)local;
	for (uint64_t i = 0; i < 4 && r == 0; i++)
		r = put(seg, session, i, i % 2 ? sizeof(large) : 100);
	return r;
}

static int put_and_drop(const struct local *local, struct shm_segment *seg, struct shm_session *session)
{
	int r = put_some(local, seg, session);

	for (uint64_t i = 0; i < 4 && r == 0; i += 3)
		r = put(seg, session, i, 0);
	return r;
}

static int commit_storage(const struct local *local, struct shm_segment *seg, struct shm_session *session)
{
	uint64_t added;

	(void)session;
	return shm_commit_storage(seg, (uint32_t)local->count, &added);
}

static int commit_units(const struct local *local, struct shm_segment *seg, struct shm_session *session)
{
	uint64_t added;

	(void)session;
	return shm_commit_units(seg, seg->layout.offset[AREA_RING] >> UNIT_SHIFT, local->count, &added);
}

static int trim(const struct local *local, struct shm_segment *seg, struct shm_session *session)
{
	(void)session;
	(void)shm_trim(seg, (uint32_t)local->count, UINT32_MAX);
	return 0;
}

static int prepare_table(const struct local *local, struct shm_segment *seg, struct shm_session *session)
{
	uint64_t added;

	(void)session;
	return shm_prepare_table(seg, (uint32_t)local->count, &added);
}

/* A table that was in use, and is not any more, is cleared behind the gate. */
static int use_table(const struct local *local, struct shm_segment *seg, struct shm_session *session)
{
	uint64_t added;
	int r = shm_prepare_table(seg, (uint32_t)local->count, &added);

	(void)session;
	if (r == 0) {
		shm_header(seg)->table_used[local->count] = TABLE_USED;
		memset(shm_at(seg, layout_table_offset(&seg->layout, (uint32_t)local->count)), 0xff, 64);
	}
	return r;
}

static int recover_nothing(const struct local *local, struct shm_segment *seg, struct shm_session *session)
{
	struct shm_recovery recovery;

	(void)local;
	return shm_recover(seg, session, &recovery);
}

static int leave(const struct local *local, struct shm_segment *seg, struct shm_session *session)
{
	(void)local;
	(void)seg;
	shm_session_close(session);
	return 0;
}

void group_supply(void)
{
	const struct heap_params plain = {.elements = 16,
					  .max_elements = 64,
					  .storage = 4 << 20,
					  .seed = 1,
					  .fill_type = TYPE_UNDEFINED,
					  .initial_tag = TAG_FULL};
	struct heap_params map = plain, persistent = plain;
	map.has_map = true;
	persistent.persistent = true;
	const struct local locals[] = {
		{"supply: a chunk", plain, put_some, commit_storage, true, 1, ATOMIC},
		{"supply: five chunks", plain, put_some, commit_storage, true, 5, ATOMIC},
		{"supply: chunks of a persistent heap", persistent, put_some, commit_storage, true, 3,
		 ATOMIC},
		{"supply: units", plain, NULL, commit_units, true, 2, ATOMIC},
		{"supply: units of a persistent heap", persistent, NULL, commit_units, true, 2, ATOMIC},
		{"supply: trim all", plain, put_and_drop, trim, true, 0, ATOMIC},
		{"supply: trim some", persistent, put_and_drop, trim, true, 1, ATOMIC},
		{"supply: a new table", map, NULL, prepare_table, true, 2, ATOMIC},
		{"supply: a used table", map, use_table, prepare_table, true, 2, ATOMIC},
		{"supply: recovery by the daemon", plain, put_some, recover_nothing, true, 0, ATOMIC},
		{"persistent: blobs", persistent, NULL, put_some, false, 0, MIXED},
		{"persistent: leaving", persistent, put_and_drop, leave, false, 0, ATOMIC},
	};

	for (size_t i = 0; i < sizeof(locals) / sizeof(locals[0]); i++)
		(void)local_play(&locals[i]);
}
