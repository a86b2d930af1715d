/* The key map by one thread: keys, insert, look-up, delete, free elements, the key of an element. */
#include <math.h>

#include "tests/unit/map_fixture.h"

static bool same_key(struct shm_key a, struct shm_key b)
{
	return a.kind == b.kind && a.hash == b.hash &&
	       (a.kind == KEY_STRING ? a.size == b.size && memcmp(a.text, b.text, a.size) == 0
				     : a.word == b.word);
}

START_TEST(keys_have_one_form)
{
	struct heap_params params = map_params(16, 16, 42);
	struct map_heap heap;
	const struct shm_segment *seg = &heap.seg;

	map_heap_init(&heap, &params);
	ck_assert(same_key(shm_key_float(seg, 1.0), shm_key_integer(seg, 1)));
	ck_assert(same_key(shm_key_float(seg, -0.0), shm_key_integer(seg, 0)));
	ck_assert(same_key(shm_key_float(seg, -0x1p63), shm_key_integer(seg, INT64_MIN)));
	ck_assert(same_key(shm_key_float(seg, (double)NAN), shm_key_float(seg, -(double)NAN)));
	ck_assert(same_key(shm_key_float(seg, (double)NAN),
			   shm_key_float(seg, (double)INFINITY - (double)INFINITY)));
	ck_assert_int_eq(shm_key_float(seg, 0x1p63).kind, KEY_FLOAT);
	ck_assert_int_eq(shm_key_float(seg, 0.5).kind, KEY_FLOAT);
	ck_assert_int_eq(shm_key_float(seg, (double)INFINITY).kind, KEY_FLOAT);
	ck_assert(!same_key(shm_key_float(seg, (double)INFINITY), shm_key_float(seg, -(double)INFINITY)));
	ck_assert(!same_key(shm_key_boolean(seg, true), shm_key_integer(seg, 1)));
	ck_assert(!same_key(shm_key_boolean(seg, false), shm_key_integer(seg, 0)));
	ck_assert_int_eq(shm_key_string(seg, "", 0).kind, KEY_SHORT);
	ck_assert_int_eq(shm_key_string(seg, NULL, 0).kind, KEY_SHORT);
	ck_assert_int_eq(shm_key_string(seg, "12345678", 8).kind, KEY_SHORT);
	ck_assert_int_eq(shm_key_string(seg, "123456789", 9).kind, KEY_STRING);
	ck_assert_int_eq(shm_key_string(seg, "a\0", 2).kind, KEY_STRING);
	ck_assert_uint_eq(shm_key_string(seg, "ab", 2).word, 'a' | 'b' << 8);
	map_heap_fini(&heap);
}
END_TEST

START_TEST(the_seed_decides_the_hash)
{
	struct heap_params params = map_params(16, 16, 1), other = map_params(16, 16, 2);
	struct map_heap one, two;

	map_heap_init(&one, &params);
	map_heap_init(&two, &other);
	ck_assert_uint_ne(shm_key_integer(&one.seg, 7).hash, shm_key_integer(&two.seg, 7).hash);
	ck_assert_uint_ne(shm_key_string(&one.seg, "a longer key", 12).hash,
			  shm_key_string(&two.seg, "a longer key", 12).hash);
	map_heap_fini(&one);
	map_heap_fini(&two);
}
END_TEST

/* What lies in the segment is hashed in pieces, what the caller has in one: they must agree. */
START_TEST(hashes_in_pieces_agree)
{
	static const uint32_t sizes[] = {9, 16, 17, 128, 129, 240, 241, 511, 512, 513, 1024, 4097, KEY_MAX};
	struct heap_params params = map_params(16, 16, 77);
	uint64_t random = unit_seed();
	struct map_heap heap;
	uint64_t words[KEY_MAX / 8 + 1];

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		words[i] = unit_random(&random);
	map_heap_init(&heap, &params);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		ck_assert_uint_eq(shm_key_string(&heap.seg, words, sizes[i]).hash,
				  shm_key_hash_shared(&heap.seg, words, sizes[i]));
	map_heap_fini(&heap);
}
END_TEST

static char long_text[2][KEY_MAX];

/* All different. */
static size_t many_keys(const struct shm_segment *seg, struct shm_key *keys)
{
	size_t n = 0;

	memset(long_text, 'x', sizeof(long_text));
	long_text[1][KEY_MAX - 1] = 'y';
	keys[n++] = shm_key_integer(seg, 0);
	keys[n++] = shm_key_integer(seg, 1);
	keys[n++] = shm_key_integer(seg, INT64_MIN);
	keys[n++] = shm_key_integer(seg, 'a' | 'b' << 8);
	keys[n++] = shm_key_boolean(seg, false);
	keys[n++] = shm_key_boolean(seg, true);
	keys[n++] = shm_key_float(seg, 0.5);
	keys[n++] = shm_key_float(seg, (double)NAN);
	keys[n++] = shm_key_float(seg, (double)INFINITY);
	keys[n++] = shm_key_string(seg, "", 0);
	keys[n++] = shm_key_string(seg, "\0", 1);
	keys[n++] = shm_key_string(seg, "\0\0", 2);
	keys[n++] = shm_key_string(seg, "ab", 2);
	keys[n++] = shm_key_string(seg, "ab\0", 3);
	keys[n++] = shm_key_string(seg, "12345678", 8);
	keys[n++] = shm_key_string(seg, "123456789", 9);
	keys[n++] = shm_key_string(seg, "1234567890123456", 16);
	keys[n++] = shm_key_string(seg, "123456789012345", 15);
	keys[n++] = shm_key_string(seg, long_text[0], KEY_MAX);
	keys[n++] = shm_key_string(seg, long_text[1], KEY_MAX);
	keys[n++] = shm_key_string(seg, long_text[0], KEY_MAX - 1);
	return n;
}

START_TEST(all_kinds_come_and_go)
{
	struct heap_params params = map_params(64, 64, 42);
	static char text[KEY_MAX];
	struct shm_session session;
	struct shm_key keys[32], got;
	struct shm_binding binding;
	struct map_heap heap;
	struct cell seen;
	uint64_t size;
	int64_t value;
	size_t n;

	map_heap_init(&heap, &params);
	ck_assert_int_eq(shm_session_open(&session, &heap.seg, 0), 0);
	n = many_keys(&heap.seg, keys);
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < n; i++) {
			ck_assert_int_eq(map_get(&heap.seg, &keys[i], NULL), -ERROR_NOT_FOUND);
			ck_assert_int_eq(map_put(&session, &keys[i], (int64_t)i, &binding), 0);
			ck_assert_int_eq(cell_tag(binding.seen.meta), TAG_FULL);
			ck_assert_int_eq(map_put(&session, &keys[i], 99, &binding), -ERROR_EXISTS);
			ck_assert_uint_eq(session.slot->intent, INTENT_NONE);
			ck_assert_int_eq(
				shm_map_key_of(&heap.seg, binding.element, &got, text, KEY_MAX, &size, &seen),
				0);
			ck_assert(same_key(got, keys[i]));
			if (got.kind == KEY_STRING) {
				ck_assert_uint_eq(size, keys[i].size);
				ck_assert_int_eq(shm_map_key_of(&heap.seg, binding.element, &got, text, 3,
								&size, &seen),
						 0);
				ck_assert_uint_eq(size, keys[i].size);
			}
		}
		ck_assert_uint_eq(map_expect_sound(&heap.seg), n);
		for (size_t i = 0; i < n; i++) {
			ck_assert_int_eq(map_get(&heap.seg, &keys[i], &value), 0);
			ck_assert_int_eq(value, (int64_t)i);
			ck_assert_int_eq(map_add(&session, &keys[i], 5), 0);
			ck_assert_int_eq(map_del(&session, &keys[i], &value), 0);
			ck_assert_int_eq(value, (int64_t)i + 5);
			ck_assert_int_eq(map_del(&session, &keys[i], NULL), -ERROR_NOT_FOUND);
			ck_assert_int_eq(map_add(&session, &keys[i], 1), -ERROR_NOT_FOUND);
		}
		ck_assert_uint_eq(map_expect_sound(&heap.seg), 0);
	}
	shm_session_close(&session);
	map_heap_fini(&heap);
}
END_TEST

/* The value's blob is the caller's until the insert has taken effect, and the element's afterwards. */
START_TEST(a_value_with_a_blob)
{
	struct heap_params params = map_params(64, 64, 42);
	struct shm_storage_stats stats;
	struct shm_session session;
	struct shm_binding binding;
	struct map_heap heap;
	struct shm_key key;
	blob_ref ref;

	map_heap_init(&heap, &params);
	ck_assert_int_eq(shm_session_open(&session, &heap.seg, 0), 0);
	key = shm_key_string(&heap.seg, "a key that is long", 18);
	for (int round = 0; round < 2; round++) {
		int r;

		do {
			shm_step_enter(&session);
			store64_release(&session.slot->intent, INTENT_CLAIM);
			r = shm_blob_claim(&session, 100, &session.slot->intent_new);
			shm_step_leave(&session);
			if (r == SHM_NEED)
				ck_assert_int_eq(shm_session_supply(&session, &(uint32_t){0}), 0);
		} while (r == SHM_NEED);
		ck_assert_int_eq(r, 0);
		ref = session.slot->intent_new;
		do {
			shm_step_enter(&session);
			r = shm_map_insert(&session, &key, TAG_EMPTY, TYPE_BYTES, ref, &binding);
			shm_step_leave(&session);
			if (r == SHM_NEED)
				ck_assert_int_eq(shm_session_supply(&session, &(uint32_t){0}), 0);
		} while (r == SHM_NEED);
		if (round == 0) {
			ck_assert_int_eq(r, 0);
			ck_assert_uint_eq(session.slot->intent, INTENT_NONE);
			ck_assert_uint_eq(session.slot->intent_new, 0);
			ck_assert_int_eq(cell_tag(binding.seen.meta), TAG_EMPTY);
			ck_assert_uint_eq(binding.seen.value, ref);
			continue;
		}
		ck_assert_int_eq(r, -ERROR_EXISTS);
		ck_assert_uint_eq(session.slot->intent, INTENT_CLAIM);
		ck_assert_uint_eq(session.slot->intent_new, ref);
		ck_assert_uint_eq(session.slot->intent_key, 0);
		shm_step_enter(&session);
		shm_blob_release(&session, ref);
		store64_release(&session.slot->intent, INTENT_NONE);
		store64_release(&session.slot->intent_new, 0);
		shm_step_leave(&session);
	}
	shm_storage_stats(&heap.seg, &stats);
	ck_assert_uint_eq(stats.blocks_allocated, 2);
	ck_assert_int_eq(map_del(&session, &key, NULL), 0);
	shm_storage_stats(&heap.seg, &stats);
	ck_assert_uint_eq(stats.blocks_allocated, 0);
	shm_session_close(&session);
	map_heap_fini(&heap);
}
END_TEST

START_TEST(full_and_room_again)
{
	enum { ELEMENTS = 1000 };
	struct heap_params params = map_params(ELEMENTS, ELEMENTS, 42);
	struct shm_session session, other;
	struct map_heap heap;
	struct shm_key key;

	map_heap_init(&heap, &params);
	ck_assert_int_eq(shm_session_open(&session, &heap.seg, 0), 0);
	ck_assert_int_eq(shm_session_open(&other, &heap.seg, 0), 0);
	for (int64_t i = 0; i < ELEMENTS; i++) {
		key = shm_key_integer(&heap.seg, i);
		ck_assert_int_eq(map_put(&session, &key, i, NULL), 0);
	}
	key = shm_key_string(&heap.seg, "one key too many", 16);
	ck_assert_int_eq(map_put(&session, &key, 0, NULL), -ERROR_FULL);
	ck_assert_int_eq(map_put(&other, &key, 0, NULL), -ERROR_FULL);
	ck_assert_uint_eq(session.slot->intent, INTENT_NONE);
	ck_assert_uint_eq(map_expect_sound(&heap.seg), ELEMENTS);
	/* What one thread frees, another may use, all of it. */
	for (int64_t i = 0; i < ELEMENTS; i++) {
		key = shm_key_integer(&heap.seg, i);
		ck_assert_int_eq(map_del(&session, &key, NULL), 0);
	}
	for (int64_t i = ELEMENTS; i < 2 * ELEMENTS; i++) {
		key = shm_key_integer(&heap.seg, i);
		ck_assert_int_eq(map_put(&other, &key, i, NULL), 0);
	}
	ck_assert_int_eq(map_put(&session, &key, 0, NULL), -ERROR_EXISTS);
	key = shm_key_integer(&heap.seg, -1);
	ck_assert_int_eq(map_put(&session, &key, 0, NULL), -ERROR_FULL);
	ck_assert_uint_eq(map_expect_sound(&heap.seg), ELEMENTS);
	shm_session_close(&other);
	shm_session_close(&session);
	map_heap_fini(&heap);
}
END_TEST

/* Elements are set apart in numbers; yet a heap is full only when all of them have keys. */
START_TEST(a_small_heap_is_used_up)
{
	enum { ELEMENTS = 9 };
	struct heap_params params = map_params(ELEMENTS, ELEMENTS, 42);
	struct shm_session session, other;
	struct map_heap heap;
	struct shm_key key;

	map_heap_init(&heap, &params);
	ck_assert_int_eq(shm_session_open(&session, &heap.seg, 0), 0);
	ck_assert_int_eq(shm_session_open(&other, &heap.seg, 0), 0);
	for (int64_t i = 0; i < ELEMENTS; i++) {
		key = shm_key_integer(&heap.seg, i);
		ck_assert_int_eq(map_put(i == 0 || i == 5 ? &session : &other, &key, i, NULL), 0);
	}
	key = shm_key_integer(&heap.seg, ELEMENTS);
	ck_assert_int_eq(map_put(&session, &key, 0, NULL), -ERROR_FULL);
	ck_assert_int_eq(map_put(&other, &key, 0, NULL), -ERROR_FULL);
	ck_assert_uint_eq(map_expect_sound(&heap.seg), ELEMENTS);
	shm_session_close(&other);
	shm_session_close(&session);
	map_heap_fini(&heap);
}
END_TEST

/* Elements that a thread has set apart are there for others when it leaves. */
START_TEST(a_leaving_thread_keeps_nothing)
{
	enum { ELEMENTS = 64 };
	struct heap_params params = map_params(ELEMENTS, ELEMENTS, 42);
	struct shm_session session;
	struct map_heap heap;
	struct shm_key key;

	map_heap_init(&heap, &params);
	for (int64_t i = 0; i < ELEMENTS; i++) {
		ck_assert_int_eq(shm_session_open(&session, &heap.seg, 0), 0);
		key = shm_key_integer(&heap.seg, i);
		ck_assert_int_eq(map_put(&session, &key, i, NULL), 0);
		shm_session_close(&session);
	}
	ck_assert_uint_eq(map_expect_sound(&heap.seg), ELEMENTS);
	map_heap_fini(&heap);
}
END_TEST

/* A look-up needs neither a slot nor a writable mapping; a heap of a hundred million elements commits what it needs. */
START_TEST(large_sparse_and_read_only)
{
	struct heap_params params = map_params(100000000, 100000000, 42);
	struct shm_segment reader;
	struct shm_session session;
	struct map_heap heap;
	struct shm_key key;
	int64_t value;

	map_heap_init(&heap, &params);
	ck_assert_int_eq(shm_session_open(&session, &heap.seg, 0), 0);
	ck_assert_int_eq(shm_segment_map(&reader, heap.fd, &params, false), 0);
	key = shm_key_integer(&reader, 5);
	ck_assert_int_eq(map_get(&reader, &key, &value), -ERROR_NOT_FOUND);
	for (int64_t i = 0; i < 100000; i++) {
		key = shm_key_integer(&heap.seg, i);
		ck_assert_int_eq(map_put(&session, &key, i, NULL), 0);
	}
	for (int64_t i = 0; i < 100000; i++) {
		key = shm_key_integer(&reader, i);
		ck_assert_int_eq(map_get(&reader, &key, &value), 0);
		ck_assert_int_eq(value, i);
	}
	ck_assert_uint_lt(shm_committed_bytes(&heap.seg), 24 << 20);
	shm_segment_unmap(&reader);
	shm_session_close(&session);
	map_heap_fini(&heap);
}
END_TEST

UNIT_MAIN("shm/map", keys_have_one_form, the_seed_decides_the_hash, hashes_in_pieces_agree,
	  all_kinds_come_and_go, a_value_with_a_blob, full_and_room_again, a_small_heap_is_used_up,
	  a_leaving_thread_keeps_nothing,
	  large_sparse_and_read_only)
