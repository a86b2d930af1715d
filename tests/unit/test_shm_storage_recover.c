/*
 * What a death leaves, set up by hand, and recovered twice: a slot's fields and chunk words as they are between
 * two stores of an operation. (Kill images do the same at every instruction; these say what each state is.)
 */
#include "tests/unit/storage_fixture.h"

#define DEAD 5u

/* A session that dies, one that lives, and some chunks that are free to begin with. */
struct scene {
	struct fixture fixture;
	struct shm_session dead, alive;
	struct shm_segment *seg;
	struct slot *slot;
};

static void scene_init(struct scene *scene)
{
	blob_ref ref;

	fixture_init(&scene->fixture, 16);
	scene->seg = &scene->fixture.seg;
	session_init(&scene->dead, &scene->fixture, DEAD);
	session_init(&scene->alive, &scene->fixture, 1);
	scene->slot = scene->dead.slot;
	ck_assert_int_eq(session_claim(&scene->alive, 8 * UNIT - BLOB_HEAD, &ref), 0);
	session_release(&scene->alive, ref);
	ck_assert_uint_eq(shm_chunks_free(scene->seg), 8);
}

/* What shm_recover does for the storage. by: whose steps, or NULL for the daemon. */
static void recover(struct scene *scene, struct shm_session *by)
{
	struct slot *slot = scene->slot;

	ck_assert(shm_robust_is_dead(scene->seg, DEAD));
	if (slot->intent == INTENT_CLAIM && shm_blob_is_claimed_by(scene->seg, slot->intent_new, DEAD))
		shm_blob_release_for(by, scene->seg, slot, DEAD, slot->intent_new);
	if (slot->intent == INTENT_REPLACE && shm_blob_is_allocated(scene->seg, slot->intent_old))
		shm_blob_release_for(by, scene->seg, slot, DEAD, slot->intent_old);
	shm_storage_recover(by, scene->seg, slot, DEAD);
}

static void expect_recovered(struct scene *scene, uint64_t allocated)
{
	struct shm_storage_stats stats;

	ck_assert_uint_eq(scene->slot->extent_count, 0);
	ck_assert_uint_eq(scene->slot->slab_claim, 0);
	for (uint32_t i = 0; i < SIZE_CLASSES; i++)
		ck_assert_uint_eq(scene->slot->slab[i], 0);
	ck_assert_uint_eq(shm_storage_unsettled(scene->seg), 0);
	shm_storage_stats(scene->seg, &stats);
	ck_assert_uint_eq(stats.blocks_allocated, allocated);
	ck_assert_uint_ge(shm_chunks_free(scene->seg), stats.free_chunks);
}

/* The slot's thread dies here; afterwards `allocated` blobs are left, and the storage is as good as new. */
static void die_and_recover(struct scene *scene, uint64_t allocated)
{
	struct slot *slot = scene->slot;

	store64_release(&slot->cur, CUR_NONE);
	shm_robust_declare_dead(scene->seg, DEAD);
	recover(scene, &scene->alive);
	expect_recovered(scene, allocated);
	recover(scene, NULL);
	expect_recovered(scene, allocated);
	slot->intent = slot->intent_new = slot->intent_old = slot->cur = 0;
}

static void release_one(void *arg, blob_ref ref, uint64_t capacity)
{
	(void)capacity;
	session_release(arg, ref);
}

/* What is left can be released, and then all chunks are free, for one extent of all of them. */
static void scene_fini(struct scene *scene)
{
	blob_ref all;

	shm_storage_walk(scene->seg, release_one, &scene->alive);
	shm_storage_leave(&scene->alive);
	expect_all_free(scene->seg);
	ck_assert_int_eq(session_claim(&scene->alive, 16 * UNIT - BLOB_HEAD, &all), 0);
	session_release(&scene->alive, all);
	session_fini(&scene->alive);
	shm_robust_unlock(&scene->dead.lock);
	fixture_fini(&scene->fixture);
}

/* The dead one's slab of 64-byte blocks with some of them allocated. */
static uint32_t give_slab(struct scene *scene, uint32_t blocks, blob_ref *last)
{
	for (uint32_t i = 0; i < blocks; i++)
		ck_assert_int_eq(session_claim(&scene->dead, 56, last), 0);
	return scene->slot->slab[size_class_of(64)] - 1;
}

static uint64_t *word_of(struct scene *scene, uint32_t chunk)
{
	return &shm_chunk(scene->seg, chunk)->word;
}

static uint32_t any_free(struct scene *scene, uint32_t count)
{
	uint32_t run = 0, chunk = 0;

	for (; run < count; chunk++) {
		ck_assert_uint_lt(chunk, shm_chunks_high(scene->seg));
		run = chunk_state(*word_of(scene, chunk)) == CHUNK_FREE ? run + 1 : 0;
	}
	return chunk - count;
}

START_TEST(test_claim)
{
	struct scene scene;
	blob_ref ref = 0;
	uint32_t slab;

	scene_init(&scene);
	slab = give_slab(&scene, 3, &ref);
	scene.slot->intent = INTENT_CLAIM;
	switch (_i) {
	case 0: /* named, not claimed */
		scene.slot->intent_new = ref + (64ull / 16 << BLOB_GENERATION_BITS);
		die_and_recover(&scene, 3);
		break;
	case 1: /* claimed, not counted */
		shm_chunk(scene.seg, slab)->allocs--;
		scene.slot->intent_new = ref;
		die_and_recover(&scene, 2);
		break;
	case 2: /* claimed and counted */
		scene.slot->intent_new = ref;
		die_and_recover(&scene, 2);
		break;
	default: /* all of them published */
		scene.slot->intent = INTENT_NONE;
		die_and_recover(&scene, 3);
	}
	scene_fini(&scene);
}
END_TEST

START_TEST(test_release)
{
	struct scene scene;
	blob_ref ref = 0;
	uint32_t slab;

	scene_init(&scene);
	/* Of its own slab (even), or of another's (odd), which is then given up with that block alone in it. */
	if (_i % 2 == 0) {
		slab = give_slab(&scene, 1, &ref);
	} else {
		ck_assert_int_eq(session_claim(&scene.alive, 56, &ref), 0);
		slab = scene.alive.slot->slab[size_class_of(64)] - 1;
		shm_storage_leave(&scene.alive);
	}
	scene.slot->intent = INTENT_REPLACE;
	scene.slot->intent_old = ref;
	if (_i / 2 == 1) /* released, but not counted */
		shm_block_headers(scene.seg, slab)[0] = block_header(blob_ref_generation(ref) + 1, false, 0);
	die_and_recover(&scene, 0);
	ck_assert_int_eq(chunk_state(*word_of(&scene, slab)), CHUNK_FREE);
	scene_fini(&scene);
}
END_TEST

START_TEST(test_slab)
{
	const uint32_t size_class = size_class_of(64);
	struct scene scene;
	uint32_t chunk, generation, blocks = _i % 2;
	blob_ref ref;

	scene_init(&scene);
	switch (_i / 2) {
	case 0: /* named a free chunk */
		scene.slot->slab_claim = any_free(&scene, 1) + 1;
		blocks = 0;
		break;
	case 1: /* INIT, headers half done */
		chunk = any_free(&scene, 1);
		generation = chunk_generation(*word_of(&scene, chunk));
		scene.slot->slab_claim = chunk + 1;
		*word_of(&scene, chunk) = chunk_word(CHUNK_INIT, 0, DEAD, generation, 0);
		shm_header(scene.seg)->chunks_free--;
		shm_block_headers(scene.seg, chunk)[0] = block_header(generation, false, 0);
		blocks = 0;
		break;
	case 2: /* a slab of its own, but only in slab_claim */
		chunk = give_slab(&scene, 1, &ref);
		if (!blocks)
			session_release(&scene.dead, ref);
		scene.slot->slab_claim = chunk + 1;
		scene.slot->slab[size_class] = 0;
		break;
	case 3: /* in both */
		chunk = give_slab(&scene, 1, &ref);
		if (!blocks)
			session_release(&scene.dead, ref);
		scene.slot->slab_claim = chunk + 1;
		break;
	case 4: /* given up, not yet forgotten nor settled */
		chunk = give_slab(&scene, 1, &ref);
		if (!blocks)
			session_release(&scene.dead, ref);
		*word_of(&scene, chunk) = chunk_word_owned(*word_of(&scene, chunk), 0);
		break;
	default: /* retired, not yet counted among the free */
		chunk = any_free(&scene, 1);
		scene.slot->slab_claim = chunk + 1;
		shm_header(scene.seg)->chunks_free--;
		blocks = 0;
	}
	die_and_recover(&scene, blocks);
	scene_fini(&scene);
}
END_TEST

/* Chunks of an extent of four as they are at each step of a claim. */
static void claim_extent_until(struct scene *scene, uint32_t first, uint32_t step)
{
	uint64_t word;

	scene->slot->intent = INTENT_CLAIM;
	scene->slot->extent_first = first;
	scene->slot->extent_count = 4;
	for (uint32_t i = 0; i < 4 && step > 0; i++, step--) {
		word = *word_of(scene, first + i);
		*word_of(scene, first + i) = chunk_word(CHUNK_TAKEN, 0, DEAD, chunk_generation(word), 0);
	}
	for (uint32_t i = 1; i < 4 && step > 0; i++, step--) {
		word = *word_of(scene, first + i);
		*word_of(scene, first + i) = chunk_word(CHUNK_CONT, 0, 0, chunk_generation(word), i);
	}
	if (step == 0)
		return;
	word = *word_of(scene, first);
	scene->slot->intent_new = blob_ref_make(shm_chunk_offset(scene->seg, first), chunk_generation(word));
	if (step == 1)
		return;
	*word_of(scene, first) = chunk_word(CHUNK_LARGE, 0, DEAD, chunk_generation(word), 4);
}

START_TEST(test_extent_claim)
{
	struct scene scene;

	scene_init(&scene);
	/* 0: named; 1 … 4: taken; 5 … 7: joined; 8: the blob is named; 9: it is claimed. Undone every time. */
	claim_extent_until(&scene, any_free(&scene, 4), (uint32_t)_i);
	die_and_recover(&scene, 0);
	scene_fini(&scene);
}
END_TEST

/* Another holds the third chunk, so the claim had to stop there: that one stays. */
START_TEST(test_extent_conflict)
{
	struct scene scene;
	uint32_t first;
	blob_ref other;

	scene_init(&scene);
	first = any_free(&scene, 4);
	scene.slot->extent_first = first;
	scene.slot->extent_count = 4;
	for (uint32_t i = 0; i < 2; i++)
		*word_of(&scene, first + i) =
			chunk_word(CHUNK_TAKEN, 0, DEAD, chunk_generation(*word_of(&scene, first + i)), 0);
	ck_assert_int_eq(session_claim(&scene.alive, 2 * UNIT - BLOB_HEAD, &other), 0);
	ck_assert_uint_eq(blob_ref_offset(other), shm_chunk_offset(scene.seg, first + 2));
	die_and_recover(&scene, 1);
	ck_assert(shm_blob_is_allocated(scene.seg, other));
	scene_fini(&scene);
}
END_TEST

START_TEST(test_extent_release)
{
	struct scene scene;
	uint64_t word;
	uint32_t first;
	blob_ref ref;

	scene_init(&scene);
	ck_assert_int_eq(session_claim(&scene.dead, 4 * UNIT - BLOB_HEAD, &ref), 0);
	first = (uint32_t)((blob_ref_offset(ref) - shm_chunk_offset(scene.seg, 0)) >> UNIT_SHIFT);
	word = *word_of(&scene, first);
	scene.slot->intent = INTENT_REPLACE;
	scene.slot->intent_old = ref;
	/* 0: nothing done; 1: the extent is named; 2: FREEING; 3 … 5: followers are free; 6: all are. */
	if (_i >= 1) {
		scene.slot->extent_first = first;
		scene.slot->extent_count = 4;
	}
	if (_i >= 2)
		*word_of(&scene, first) = chunk_word(CHUNK_FREEING, 0, DEAD, chunk_generation(word) + 1, 4);
	for (int i = 3; i <= 5 && i <= _i; i++)
		*word_of(&scene, first + 6 - (uint32_t)i) =
			chunk_word_plain(*word_of(&scene, first + 6 - (uint32_t)i), CHUNK_FREE);
	if (_i >= 6) {
		*word_of(&scene, first) = chunk_word_plain(*word_of(&scene, first), CHUNK_FREE);
		shm_header(scene.seg)->chunks_free += 4;
	}
	die_and_recover(&scene, 0);
	ck_assert(!shm_blob_is_allocated(scene.seg, ref));
	scene_fini(&scene);
}
END_TEST

/* A recoverer that died in the middle of releasing an extent for the dead one, which was claiming another. */
START_TEST(test_second_recoverer)
{
	struct scene scene;
	uint32_t first;
	blob_ref ref;

	scene_init(&scene);
	ck_assert_int_eq(session_claim(&scene.dead, 2 * UNIT - BLOB_HEAD, &ref), 0);
	first = any_free(&scene, 4);
	claim_extent_until(&scene, first, 6);
	scene.slot->intent = INTENT_REPLACE;
	scene.slot->intent_old = ref;
	die_and_recover(&scene, 0);
	scene_fini(&scene);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("shm/storage recovery");
	TCase *tcase = tcase_create("recovery");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_loop_test(tcase, test_claim, 0, 4);
	tcase_add_loop_test(tcase, test_release, 0, 4);
	tcase_add_loop_test(tcase, test_slab, 0, 12);
	tcase_add_loop_test(tcase, test_extent_claim, 0, 10);
	tcase_add_test(tcase, test_extent_conflict);
	tcase_add_loop_test(tcase, test_extent_release, 0, 7);
	tcase_add_test(tcase, test_second_recoverer);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
