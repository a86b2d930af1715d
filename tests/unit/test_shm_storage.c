/* Blobs: sizes, contents, exhaustion, generations, many threads, and memory that somebody scribbled on. */
#include "tests/unit/storage_fixture.h"

START_TEST(test_classes)
{
	for (uint64_t bytes = 1; bytes <= BLOCK_MAX; bytes++) {
		uint32_t size_class = size_class_of(bytes);

		must(size_class < SIZE_CLASS_COUNT);
		must(size_classes[size_class].size >= bytes);
		must(size_class == 0 || size_classes[size_class - 1].size < bytes);
	}
	for (uint32_t i = 0; i < SIZE_CLASS_COUNT; i++) {
		must(size_classes[i].size % 16 == 0);
		must(size_classes[i].count == UNIT / size_classes[i].size);
		for (uint32_t inside = 0; inside < UNIT; inside++)
			must(size_class_index(&size_classes[i], inside) == inside / size_classes[i].size);
	}
}
END_TEST

START_TEST(test_words)
{
	uint64_t word = chunk_word(CHUNK_SLAB, 20, 4095, 0xfedcba, CHUNK_COUNT_MAX);
	uint64_t header = block_header(0xfedcba, true, 4095);

	ck_assert_int_eq(chunk_state(word), CHUNK_SLAB);
	ck_assert_uint_eq(chunk_class(word), 20);
	ck_assert_uint_eq(chunk_owner(word), 4095);
	ck_assert_uint_eq(chunk_generation(word), 0xfedcba);
	ck_assert_uint_eq(chunk_count(word), CHUNK_COUNT_MAX);
	ck_assert_uint_eq(chunk_word_plain(word, CHUNK_FREE), chunk_word(CHUNK_FREE, 0, 0, 0xfedcba, 0));
	ck_assert_uint_eq(chunk_owner(chunk_word_owned(word, 7)), 7);
	ck_assert_uint_eq(chunk_word_owned(chunk_word_owned(word, 7), 4095), word);
	ck_assert(block_is_allocated(header));
	ck_assert_uint_eq(block_owner(header), 4095);
	ck_assert_uint_eq(block_generation(header), 0xfedcba);
	ck_assert(!block_is_allocated(block_header(BLOB_GENERATION_MASK + 1, false, 4095)));
	ck_assert_uint_eq(block_header(BLOB_GENERATION_MASK + 1, false, 0), 0);
}
END_TEST

static void fill_pattern(uint8_t *bytes, uint64_t size, uint64_t seed)
{
	for (uint64_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(seed + i * 7 + (i >> 8));
}

static void write_blob(struct shm_session *session, blob_ref ref, uint64_t size, uint64_t seed)
{
	uint8_t *bytes = malloc(size + 1);

	fill_pattern(bytes, size, seed);
	shm_step_enter(session);
	shm_blob_fill(session, ref, bytes, size);
	shm_blob_mark(session, ref, size);
	shm_step_leave(session);
	free(bytes);
}

static void expect_blob(const struct shm_segment *seg, blob_ref ref, uint64_t size, uint64_t seed)
{
	uint8_t *expected = malloc(size + 1), *got = malloc(size + 1);
	uint64_t found = 0;
	const void *bytes = shm_blob_look(seg, ref, &found);

	must(bytes);
	must(found == size);
	copy_from_shared(got, bytes, size);
	fill_pattern(expected, size, seed);
	must(memcmp(got, expected, size) == 0);
	free(expected);
	free(got);
}

static void check_size(struct shm_session *session, uint64_t size)
{
	struct shm_segment *seg = session->seg;
	blob_ref first, second;

	ck_assert_int_eq(session_claim(session, size, &first), 0);
	ck_assert_int_eq(session_claim(session, size, &second), 0);
	ck_assert_uint_ne(first, second);
	write_blob(session, first, size, 1);
	write_blob(session, second, size, 2);
	expect_blob(seg, first, size, 1);
	expect_blob(seg, second, size, 2);
	ck_assert(shm_blob_is_allocated(seg, first));
	ck_assert(shm_blob_is_claimed_by(seg, first, session->id));
	ck_assert(!shm_blob_is_claimed_by(seg, first, session->id + 1));
	session_release(session, first);
	ck_assert(!shm_blob_is_allocated(seg, first));
	ck_assert(!shm_blob_is_claimed_by(seg, first, session->id));
	expect_blob(seg, second, size, 2);
	session_release(session, second);
}

START_TEST(test_sizes)
{
	struct fixture fixture;
	struct shm_session session;
	static const uint64_t large[] = {
		UNIT - BLOB_HEAD, UNIT - BLOB_HEAD + 1, 2 * UNIT - BLOB_HEAD, 2 * UNIT,
		700000,		  32 * UNIT - BLOB_HEAD};

	fixture_init(&fixture, 128);
	session_init(&session, &fixture, 1);
	for (uint64_t size = 0; size < 100; size++)
		check_size(&session, size);
	for (uint32_t i = 0; i < SIZE_CLASS_COUNT; i++)
		for (uint64_t around = 0; around < 3; around++)
			check_size(&session, size_classes[i].size - BLOB_HEAD - 1 + around);
	for (size_t i = 0; i < ARRAY_SIZE(large); i++)
		check_size(&session, large[i]);
	session_fini(&session);
	expect_all_free(&fixture.seg);
	fixture_fini(&fixture);
}
END_TEST

START_TEST(test_too_large)
{
	struct fixture fixture;
	struct shm_session session;
	blob_ref ref = 1;

	fixture_init(&fixture, 8);
	session_init(&session, &fixture, 1);
	ck_assert_int_eq(session_claim(&session, BLOB_MAX, &ref), -ERROR_RANGE);
	ck_assert_uint_eq(ref, 0);
	ck_assert_int_eq(session_claim(&session, UINT64_MAX, &ref), -ERROR_RANGE);
	ck_assert_int_eq(session_claim(&session, BLOB_MAX - 1, &ref), -ERROR_NO_SPACE);
	ck_assert_int_eq(session_claim(&session, 8 * UNIT - BLOB_HEAD + 1, &ref), -ERROR_NO_SPACE);
	ck_assert_int_eq(session_claim(&session, 8 * UNIT - BLOB_HEAD, &ref), 0);
	session_release(&session, ref);
	session_fini(&session);
	expect_all_free(&fixture.seg);
	fixture_fini(&fixture);
}
END_TEST

static void collect(void *arg, blob_ref ref, uint64_t capacity)
{
	uint64_t *sums = arg;

	sums[0]++;
	sums[1] += capacity;
	sums[2] ^= ref;
}

/* Claims until there is no room, checks the books, releases in another order; returns how many fitted. */
static uint32_t fill_and_empty(struct shm_session *session, struct shm_session *other, uint64_t size)
{
	uint32_t most = session->seg->layout.chunks * BLOCKS_PER_CHUNK, count = 0;
	blob_ref *refs = calloc(most + 1, sizeof(*refs));
	uint64_t sums[3] = {0}, all = 0;
	struct shm_storage_stats stats;
	int r;

	while ((r = session_claim(session, size, &refs[count])) == 0) {
		all ^= refs[count++];
		must(count <= most);
	}
	must(r == -ERROR_NO_SPACE);
	shm_storage_walk(session->seg, collect, sums);
	shm_storage_stats(session->seg, &stats);
	must(sums[0] == count);
	must(sums[2] == all);
	must(stats.blocks_allocated == count);
	must(stats.bytes_allocated == sums[1]);
	must(sums[1] >= count * (size + BLOB_HEAD));
	for (uint32_t i = 0; i < count; i += 2)
		session_release(i % 4 ? other : session, refs[i]);
	for (uint32_t i = 1; i < count; i += 2)
		session_release(i % 4 == 1 ? other : session, refs[i]);
	free(refs);
	return count;
}

START_TEST(test_exhaustion)
{
	struct fixture fixture;
	struct shm_session session, other;
	static const uint64_t large[] = {40000, UNIT, 3 * UNIT};

	fixture_init(&fixture, 9);
	session_init(&session, &fixture, 1);
	session_init(&other, &fixture, 2);
	/* One session: what one size occupied can all be had for another, without anybody leaving. */
	for (uint32_t i = 0; i < SIZE_CLASS_COUNT; i++)
		ck_assert_uint_eq(fill_and_empty(&session, &other, size_classes[i].size - BLOB_HEAD),
				  9 * size_classes[i].count);
	ck_assert_uint_eq(fill_and_empty(&session, &other, large[0]), 9);
	ck_assert_uint_eq(fill_and_empty(&session, &other, large[1]), 4);
	ck_assert_uint_eq(fill_and_empty(&session, &other, large[2]), 2);
	/* A slab that another holds is not for extents, until that one leaves. */
	ck_assert_uint_eq(fill_and_empty(&other, &session, 100), 9 * 512);
	session_fini(&other);
	ck_assert_uint_eq(fill_and_empty(&session, &session, 9 * UNIT - BLOB_HEAD), 1);
	session_fini(&session);
	expect_all_free(&fixture.seg);
	ck_assert_uint_eq(shm_chunks_free(&fixture.seg), 9);
	fixture_fini(&fixture);
}
END_TEST

/* When the storage is full, a block of a larger class is better than none, and one free block is found. */
START_TEST(test_makes_do)
{
	struct fixture fixture;
	struct shm_session session;
	blob_ref refs[64], last;
	uint32_t count = 0;

	fixture_init(&fixture, 1);
	session_init(&session, &fixture, 1);
	while (count < 64 && session_claim(&session, 1024 - BLOB_HEAD, &refs[count]) == 0)
		count++;
	ck_assert_uint_eq(count, 64);
	ck_assert_int_eq(session_claim(&session, 10, &last), -ERROR_NO_SPACE);
	session_release(&session, refs[17]);
	ck_assert_int_eq(session_claim(&session, 10, &last), 0);
	write_blob(&session, last, 10, 3);
	expect_blob(&fixture.seg, last, 10, 3);
	ck_assert_int_eq(session_claim(&session, 10, &refs[17]), -ERROR_NO_SPACE);
	session_release(&session, last);
	ck_assert_int_eq(session_claim(&session, 1024 - BLOB_HEAD, &refs[17]), 0);
	for (uint32_t i = 0; i < count; i++)
		session_release(&session, refs[i]);
	session_fini(&session);
	expect_all_free(&fixture.seg);
	fixture_fini(&fixture);
}
END_TEST

START_TEST(test_generations)
{
	struct fixture fixture;
	struct shm_session session, other;
	static const uint64_t sizes[] = {64, 5000, 100000};
	blob_ref old, new, filler;

	fixture_init(&fixture, 4);
	session_init(&session, &fixture, 1);
	session_init(&other, &fixture, 2);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		ck_assert_int_eq(session_claim(&session, sizes[i], &old), 0);
		session_release(&session, old);
		ck_assert_int_eq(session_claim(&session, sizes[i], &new), 0);
		ck_assert_uint_eq(blob_ref_offset(new), blob_ref_offset(old));
		ck_assert_uint_ne(new, old);
		session_release(&session, old);
		session_release(&other, old);
		ck_assert(shm_blob_is_allocated(&fixture.seg, new));
		ck_assert(!shm_blob_is_allocated(&fixture.seg, old));
		session_release(&other, new);
		session_release(&session, new);
		ck_assert_int_eq(session_claim(&session, sizes[i], &filler), 0);
		session_release(&session, new);
		ck_assert(shm_blob_is_allocated(&fixture.seg, filler));
		session_release(&session, filler);
		/* The chunks go from one use to the next, and an old reference fits none of them. */
		shm_storage_leave(&session);
		expect_all_free(&fixture.seg);
		ck_assert(!shm_blob_is_allocated(&fixture.seg, new));
	}
	session_fini(&session);
	session_fini(&other);
	fixture_fini(&fixture);
}
END_TEST

/* One thread that replaces a value uses two blocks, however often. */
START_TEST(test_replace_reuses)
{
	struct fixture fixture;
	struct shm_session session;
	blob_ref now, next;
	uint64_t seen[2] = {0};

	fixture_init(&fixture, 4);
	session_init(&session, &fixture, 1);
	must(session_claim(&session, 64, &now) == 0);
	for (uint32_t i = 0; i < 100000; i++) {
		must(session_claim(&session, 64, &next) == 0);
		session_release(&session, now);
		if (i >= 2)
			must(blob_ref_offset(next) == seen[i % 2]);
		seen[i % 2] = blob_ref_offset(next);
		now = next;
	}
	session_release(&session, now);
	session_fini(&session);
	expect_all_free(&fixture.seg);
	fixture_fini(&fixture);
}
END_TEST

static uint32_t trims;

static void count_trim(void *context, struct shm_segment *seg)
{
	(void)context;
	(void)seg;
	trims++;
}

START_TEST(test_trim)
{
	struct fixture fixture;
	struct shm_session session;
	struct shm_supply supply = shm_local_supply;
	blob_ref refs[60], again;

	supply.trim = count_trim;
	fixture_init(&fixture, 64);
	fixture.seg.supply = &supply;
	session_init(&session, &fixture, 1);
	for (size_t i = 0; i < ARRAY_SIZE(refs); i++)
		ck_assert_int_eq(session_claim(&session, UNIT - BLOB_HEAD, &refs[i]), 0);
	for (size_t i = 0; i < 16; i++)
		session_release(&session, refs[i]);
	ck_assert_uint_eq(trims, 0);
	for (size_t i = 16; i < ARRAY_SIZE(refs); i++)
		session_release(&session, refs[i]);
	ck_assert_uint_ge(trims, 1);
	ck_assert_uint_le(trims, 4);
	/* What was given back to the system can be had again, and old references do not come alive. */
	ck_assert_uint_eq(shm_trim(&fixture.seg, 0, 2), 2 * CHUNK_CHARGE); /* no more at a time than is asked for */
	ck_assert_uint_gt(shm_trim(&fixture.seg, 0, UINT32_MAX), 0);
	ck_assert_uint_eq(shm_chunks_free(&fixture.seg), 0);
	ck_assert_int_eq(session_claim(&session, UNIT - BLOB_HEAD, &again), 0);
	for (size_t i = 0; i < ARRAY_SIZE(refs); i++)
		ck_assert(!shm_blob_is_allocated(&fixture.seg, refs[i]));
	session_release(&session, again);
	session_fini(&session);
	expect_all_free(&fixture.seg);
	fixture_fini(&fixture);
}
END_TEST

/* ---- threads: blobs change hands through a table, so most are released by another than claimed them ---- */

#define THREADS	     4
#define TABLE	     256
#define THREAD_STEPS 30000

struct entry {
	blob_ref ref;
	uint64_t size, seed;
};

struct crowd {
	struct fixture fixture;
	pthread_mutex_t lock;
	struct entry table[TABLE];
	uint64_t seed;
};

struct member {
	struct crowd *crowd;
	uint32_t id;
};

static struct entry swap_entry(struct crowd *crowd, uint32_t place, struct entry entry)
{
	struct entry old;

	pthread_mutex_lock(&crowd->lock);
	old = crowd->table[place];
	crowd->table[place] = entry;
	pthread_mutex_unlock(&crowd->lock);
	return old;
}

static uint64_t random_size(uint64_t *random)
{
	switch (unit_random(random) % 16) {
	case 0:
		return unit_random(random) % 200000; /* extents, too */
	case 1:
	case 2:
		return unit_random(random) % 5000;
	default:
		return unit_random(random) % 200;
	}
}

static void *member_run(void *arg)
{
	struct member *member = arg;
	struct crowd *crowd = member->crowd;
	uint64_t random = crowd->seed + member->id;
	struct shm_session session;

	session_init(&session, &crowd->fixture, member->id);
	for (uint32_t i = 0; i < THREAD_STEPS; i++) {
		struct entry entry = {0, random_size(&random), i}, old;
		int r = 0;

		if (unit_random(&random) % 3)
			r = session_claim(&session, entry.size, &entry.ref);
		must(r == 0 || r == -ERROR_NO_SPACE);
		if (entry.ref)
			write_blob(&session, entry.ref, entry.size, entry.seed);
		old = swap_entry(crowd, (uint32_t)(unit_random(&random) % TABLE), entry);
		if (old.ref) {
			expect_blob(&crowd->fixture.seg, old.ref, old.size, old.seed);
			session_release(&session, old.ref);
		}
		if (unit_random(&random) % 4096 == 0)
			shm_storage_leave(&session);
	}
	session_fini(&session);
	return NULL;
}

/* tight: most of the time there is no room; roomy: there always is. */
static void run_crowd(uint32_t chunks)
{
	static struct crowd crowd = {.lock = PTHREAD_MUTEX_INITIALIZER};
	struct member members[THREADS];
	pthread_t threads[THREADS];
	struct shm_session session;

	crowd.seed = unit_seed();
	fixture_init(&crowd.fixture, chunks);
	for (uint32_t i = 0; i < THREADS; i++) {
		members[i] = (struct member){&crowd, i + 1};
		ck_assert_int_eq(pthread_create(&threads[i], NULL, member_run, &members[i]), 0);
	}
	for (uint32_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	session_init(&session, &crowd.fixture, 1);
	for (uint32_t i = 0; i < TABLE; i++)
		if (crowd.table[i].ref) {
			expect_blob(&crowd.fixture.seg, crowd.table[i].ref, crowd.table[i].size,
				    crowd.table[i].seed);
			session_release(&session, crowd.table[i].ref);
		}
	session_fini(&session);
	expect_all_free(&crowd.fixture.seg);
	fixture_fini(&crowd.fixture);
}

START_TEST(test_threads_tight)
{
	run_crowd(24);
}
END_TEST

START_TEST(test_threads_roomy)
{
	run_crowd(1024);
}
END_TEST

/* ---- distrust ---- */

static void scribble(struct shm_segment *seg, struct slot *slot, uint64_t *random)
{
	struct header *header = shm_header(seg);
	uint32_t chunk = (uint32_t)(unit_random(random) % seg->layout.chunks);
	uint64_t noise = unit_random(random);

	switch (unit_random(random) % 12) {
	case 0:
		shm_chunk(seg, chunk)->word = noise;
		break;
	case 1: /* a state that means something, everything else noise */
		shm_chunk(seg, chunk)->word = (noise & ~0xfull) | noise % 9;
		break;
	case 2: /* one of the session's own */
		shm_chunk(seg, chunk)->word = chunk_word(CHUNK_SLAB, noise % 64, noise % 3, 1, 0);
		break;
	case 3:
		shm_block_headers(seg, chunk)[noise % BLOCKS_PER_CHUNK] = unit_random(random);
		break;
	case 4:
		shm_chunk(seg, chunk)->allocs = (uint32_t)noise;
		break;
	case 5:
		shm_chunk(seg, chunk)->frees = (uint32_t)noise;
		break;
	case 6:
		slot->slab[noise % SIZE_CLASSES] = noise & 1 ? chunk + 1 : (uint32_t)(noise >> 32);
		break;
	case 7:
		header->partial[noise % SIZE_CLASSES] = noise & 1 ? chunk + 1 : (uint32_t)(noise >> 32);
		break;
	case 8:
		header->chunks_high = header->chunk_cursor = (uint32_t)noise;
		break;
	case 9:
		header->chunks_free = (uint32_t)noise;
		break;
	case 10:
		slot->extent_first = noise & 1 ? chunk : (uint32_t)(noise >> 32);
		slot->extent_count = noise & 2 ? 3 : (uint32_t)(noise >> 16);
		break;
	default:
		slot->slab_claim = noise & 1 ? chunk + 1 : (uint32_t)(noise >> 32);
	}
}

START_TEST(test_scribbled)
{
	uint64_t random = unit_seed();
	struct fixture fixture;
	struct shm_session session;
	blob_ref refs[64] = {0};

	fixture_init(&fixture, 16);
	session_init(&session, &fixture, 1);
	for (uint32_t i = 0; i < 100000; i++) {
		blob_ref *ref = &refs[unit_random(&random) % ARRAY_SIZE(refs)], next;
		struct shm_storage_stats stats;
		const uint8_t *bytes;
		uint64_t size, sums[3];

		if (i % 4 == 0)
			scribble(&fixture.seg, session.slot, &random);
		if (i % 7 == 0) /* a reference that is nonsense, but near the truth */
			*ref ^= 1ull << unit_random(&random) % 64;
		bytes = shm_blob_look(&fixture.seg, *ref, &size);
		if (bytes) {
			must(shm_offset(&fixture.seg, bytes) + size <= fixture.seg.layout.segment_size);
			must(shm_offset(&fixture.seg, bytes) >= fixture.seg.layout.offset[AREA_STORAGE]);
		}
		session_release(&session, *ref);
		/* Only that it comes back. What it answers is anybody's guess. */
		if (session_claim(&session, random_size(&random), &next) == 0) {
			shm_blob_fill(&session, next, "scribbled", 9);
			(void)shm_blob_bytes(&session, next);
		}
		*ref = next;
		if (i % 64 == 0) {
			shm_storage_stats(&fixture.seg, &stats);
			shm_storage_walk(&fixture.seg, collect, sums);
			(void)shm_storage_unsettled(&fixture.seg);
		}
		if (i % 128 == 0)
			shm_storage_recover(NULL, &fixture.seg, session.slot, session.id);
		if (i % 1024 == 0) /* start over from something sensible */
			memset(shm_chunk(&fixture.seg, 0), 0, 16 * sizeof(struct chunk));
	}
	session_fini(&session);
	fixture_fini(&fixture);
}
END_TEST

UNIT_MAIN("shm/storage", test_classes, test_words, test_sizes, test_too_large, test_exhaustion, test_makes_do,
	  test_generations, test_replace_reuses, test_trim, test_threads_tight, test_threads_roomy,
	  test_scribbled)
