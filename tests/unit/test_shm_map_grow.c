/* Growth of the key map: through several sizes, sweeping tombstones out, with others at work, and half done. */
#include "tests/unit/map_fixture.h"

static void put_many(struct shm_session *session, int64_t from, int64_t to)
{
	for (int64_t i = from; i < to; i++) {
		struct shm_key key = shm_key_integer(session->seg, i);

		ck_assert_int_eq(map_put(session, &key, i, NULL), 0);
	}
}

static void expect_many(const struct shm_segment *seg, int64_t from, int64_t to)
{
	int64_t value;

	for (int64_t i = from; i < to; i++) {
		struct shm_key key = shm_key_integer(seg, i);

		ck_assert_int_eq(map_get(seg, &key, &value), 0);
		ck_assert_int_eq(value, i);
	}
}

/* Runs the growth that is under way, if any, to its end. */
static void finish_growth(struct shm_session *session)
{
	struct shm_map_stats stats;

	do {
		shm_step_enter(session);
		ck_assert_int_eq(shm_map_migrate_some(session), 0);
		shm_step_leave(session);
		shm_map_stats(session->seg, &stats);
	} while (stats.growing);
}

static void start_growth(struct shm_session *session)
{
	int r;

	do {
		shm_step_enter(session);
		r = shm_map_grow(session);
		shm_step_leave(session);
		if (r == SHM_NEED)
			ck_assert_int_eq(shm_session_supply(session, &(uint32_t){0}), 0);
	} while (r == SHM_NEED);
	ck_assert_int_eq(r, 0);
}

START_TEST(through_several_sizes)
{
	struct heap_params params = map_params(16, 100000, 42);
	struct shm_map_stats stats;
	struct shm_session session;
	struct map_heap heap;

	map_heap_init(&heap, &params);
	shm_header(&heap.seg)->elements = 100000; /* as when the daemon lets a heap grow */
	ck_assert_int_eq(shm_session_open(&session, &heap.seg, 0), 0);
	shm_map_stats(&heap.seg, &stats);
	ck_assert_uint_eq(stats.table_slots, 64);
	for (int64_t n = 1; n < 65536; n *= 2) {
		put_many(&session, n - 1, 2 * n - 1);
		expect_many(&heap.seg, 0, 2 * n - 1);
	}
	finish_growth(&session);
	shm_map_stats(&heap.seg, &stats);
	ck_assert_uint_eq(stats.keys, 65535);
	ck_assert_uint_ge(stats.table_slots, 131072);
	ck_assert_uint_le(stats.table_slots, 262144);
	ck_assert_uint_eq(map_expect_sound(&heap.seg), 65535);
	shm_session_close(&session);
	map_heap_fini(&heap);
}
END_TEST

/* Few keys live, but many come and go: the tables stay small, and tombstones are swept out. */
START_TEST(churn_sweeps_tombstones)
{
	struct heap_params params = map_params(100, 100, 42);
	struct shm_map_stats stats;
	struct shm_session session;
	struct map_heap heap;
	struct shm_key key;

	map_heap_init(&heap, &params);
	ck_assert_int_eq(shm_session_open(&session, &heap.seg, 0), 0);
	put_many(&session, 0, 10);
	for (int64_t i = 10; i < 20000; i++) {
		put_many(&session, i, i + 1);
		key = shm_key_integer(&heap.seg, i - 10);
		ck_assert_int_eq(map_del(&session, &key, NULL), 0);
		expect_many(&heap.seg, i - 9, i + 1);
	}
	finish_growth(&session);
	shm_map_stats(&heap.seg, &stats);
	ck_assert_uint_eq(stats.keys, 10);
	ck_assert_uint_eq(stats.table_slots, 256);
	ck_assert_uint_ne(map_word_sequence(shm_header(&heap.seg)->map), 0);
	ck_assert_uint_eq(map_expect_sound(&heap.seg), 10);
	shm_session_close(&session);
	map_heap_fini(&heap);
}
END_TEST

/* One key that comes and goes leaves its tombstones in one row: that must not become long. */
START_TEST(one_key_again_and_again)
{
	struct heap_params params = map_params(16384, 16384, 42);
	struct shm_map_stats stats;
	struct shm_session session;
	struct map_heap heap;
	struct shm_key key;

	map_heap_init(&heap, &params);
	ck_assert_int_eq(shm_session_open(&session, &heap.seg, 0), 0);
	key = shm_key_integer(&heap.seg, 7);
	for (int64_t i = 0; i < 6000; i++) {
		ck_assert_int_eq(map_put(&session, &key, i, NULL), 0);
		ck_assert_int_eq(map_del(&session, &key, NULL), 0);
		if (i % 500)
			continue;
		shm_map_stats(&heap.seg, &stats);
		ck_assert_uint_le(stats.tombstones, 2500);
	}
	ck_assert_uint_eq(shm_map_element_limit(&heap.seg), 16);
	ck_assert_uint_eq(map_expect_sound(&heap.seg), 0);
	shm_session_close(&session);
	map_heap_fini(&heap);
}
END_TEST

/* Every operation, while each part of the table is in turn the one not brought over yet. */
START_TEST(operations_while_growing)
{
	enum { KEYS = 300 };
	struct heap_params params = map_params(512, 4096, 42);
	struct shm_session session, other;
	struct map_heap heap;
	int64_t value;

	for (int blocks = 0; blocks <= 16; blocks++) {
		map_heap_init(&heap, &params);
		ck_assert_int_eq(shm_session_open(&session, &heap.seg, 0), 0);
		ck_assert_int_eq(shm_session_open(&other, &heap.seg, 0), 0);
		put_many(&session, 0, KEYS);
		start_growth(&session);
		for (int i = 0; i < blocks; i++) {
			shm_step_enter(&other);
			ck_assert_int_eq(shm_map_migrate_some(&other), 0);
			shm_step_leave(&other);
		}
		for (int64_t i = 0; i < KEYS; i++) {
			struct shm_key key = shm_key_integer(&heap.seg, i),
				       fresh = shm_key_integer(&heap.seg, i + KEYS);

			ck_assert_int_eq(map_get(&heap.seg, &key, &value), 0);
			ck_assert_int_eq(map_get(&heap.seg, &fresh, &value), -ERROR_NOT_FOUND);
			ck_assert_int_eq(map_put(&session, &key, 0, NULL), -ERROR_EXISTS);
			switch (i % 3) {
			case 0:
				ck_assert_int_eq(map_del(&session, &key, &value), 0);
				ck_assert_int_eq(map_get(&heap.seg, &key, &value), -ERROR_NOT_FOUND);
				ck_assert_int_eq(map_put(&session, &key, i, NULL), 0);
				break;
			case 1:
				ck_assert_int_eq(map_add(&session, &key, 1), 0);
				ck_assert_int_eq(map_add(&session, &key, -1), 0);
				break;
			default:
				ck_assert_int_eq(map_put(&session, &fresh, i, NULL), 0);
				ck_assert_int_eq(map_del(&session, &fresh, &value), 0);
			}
		}
		expect_many(&heap.seg, 0, KEYS);
		finish_growth(&session);
		expect_many(&heap.seg, 0, KEYS);
		ck_assert_uint_eq(map_expect_sound(&heap.seg), KEYS);
		shm_session_close(&other);
		shm_session_close(&session);
		map_heap_fini(&heap);
	}
}
END_TEST

/* Who began the growth, or a block of it, died: others do the rest. */
START_TEST(unfinished_blocks_are_found)
{
	enum { KEYS = 1000 };
	struct heap_params params = map_params(2048, 4096, 42);
	struct shm_session session;
	struct map_heap heap;
	uint64_t word;

	map_heap_init(&heap, &params);
	ck_assert_int_eq(shm_session_open(&session, &heap.seg, 0), 0);
	put_many(&session, 0, KEYS);
	start_growth(&session);
	/* As if every block had been taken by one who died in it. */
	word = shm_header(&heap.seg)->map;
	shm_header(&heap.seg)->map_cursor = (uint64_t)map_word_sequence(word) << 32 | 1000;
	finish_growth(&session);
	expect_many(&heap.seg, 0, KEYS);
	ck_assert_uint_ne(map_word_current(shm_header(&heap.seg)->map), map_word_current(word));
	ck_assert_uint_eq(map_expect_sound(&heap.seg), KEYS);
	shm_session_close(&session);
	map_heap_fini(&heap);
}
END_TEST

/* A table that was prepared, then used, is not published a second time without having been cleared. */
START_TEST(a_used_table_is_cleared_first)
{
	struct heap_params params = map_params(16, 16, 42);
	struct shm_session session, late;
	struct map_heap heap;

	map_heap_init(&heap, &params);
	ck_assert_int_eq(shm_session_open(&session, &heap.seg, 0), 0);
	ck_assert_int_eq(shm_session_open(&late, &heap.seg, 0), 0);
	put_many(&session, 0, 8);
	shm_step_enter(&late);
	ck_assert_int_eq(shm_map_grow(&late), SHM_NEED);
	shm_step_leave(&late);
	ck_assert_int_eq(late.need.kind, NEED_TABLE);
	/* Meanwhile others go through that table and back. */
	for (int round = 0; round < 2; round++) {
		start_growth(&session);
		finish_growth(&session);
	}
	ck_assert_int_eq(shm_session_supply(&late, &(uint32_t){0}), 0);
	for (int round = 0; round < 4; round++) {
		start_growth(&late);
		finish_growth(&late);
		expect_many(&heap.seg, 0, 8);
		ck_assert_uint_eq(map_expect_sound(&heap.seg), 8);
	}
	/* One who asks for the table that is in use now gets no other answer, and does no harm. */
	late.need =
		(struct shm_need){.kind = NEED_TABLE, .first = map_word_current(shm_header(&heap.seg)->map)};
	ck_assert_int_eq(shm_session_supply(&late, &(uint32_t){0}), 0);
	expect_many(&heap.seg, 0, 8);
	shm_session_close(&late);
	shm_session_close(&session);
	map_heap_fini(&heap);
}
END_TEST

UNIT_MAIN("shm/map growth", through_several_sizes, churn_sweeps_tombstones, one_key_again_and_again,
	  operations_while_growing, unfinished_blocks_are_found, a_used_table_is_cleared_first)
