/* The key map by many threads at once, against sums that must come out. */
#include "tests/unit/map_fixture.h"

enum { THREADS = 4, SHARED_KEYS = 40, STABLE_KEYS = 200, ROUNDS = 20000 };

struct crew {
	struct map_heap heap;
	uint64_t seed;
	int64_t added[SHARED_KEYS], deleted[SHARED_KEYS]; /* atomically */
	uint32_t done;
};

struct worker {
	struct crew *crew;
	pthread_t thread;
	uint32_t number;
};

/* Shared keys are 0 …; some are integers, some short, some long. They come and go. */
static struct shm_key shared_key(const struct shm_segment *seg, uint64_t i, char text[32])
{
	if (i % 3 == 0)
		return shm_key_integer(seg, (int64_t)i);
	(void)snprintf(text, 32, i % 3 == 1 ? "k%u" : "a longer key, number %u", (unsigned)i);
	return shm_key_string(seg, text, (uint32_t)strlen(text));
}

/* Stable keys are put in before, and stay. */
static struct shm_key stable_key(const struct shm_segment *seg, uint64_t i, char text[32])
{
	(void)snprintf(text, 32, "stable key %u", (unsigned)i);
	return shm_key_string(seg, text, (uint32_t)strlen(text));
}

static void count(int64_t *sums, uint64_t i, int64_t n)
{
	(void)add64((uint64_t *)&sums[i], (uint64_t)n);
}

/* A key of this thread alone: what it did is what it finds. */
static void work_alone(struct worker *worker, struct shm_session *session, uint64_t n)
{
	struct shm_key key =
		shm_key_integer(session->seg, (int64_t)(1000000 * worker->number + n % 500 + 1000));
	int64_t value;

	ck_assert_int_eq(map_get(session->seg, &key, NULL), -ERROR_NOT_FOUND);
	ck_assert_int_eq(map_put(session, &key, (int64_t)n, NULL), 0);
	ck_assert_int_eq(map_get(session->seg, &key, &value), 0);
	ck_assert_int_eq(value, (int64_t)n);
	ck_assert_int_eq(map_del(session, &key, &value), 0);
	ck_assert_int_eq(value, (int64_t)n);
	ck_assert_int_eq(map_get(session->seg, &key, NULL), -ERROR_NOT_FOUND);
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct crew *crew = worker->crew;
	struct shm_segment *seg = &crew->heap.seg;
	uint64_t random = crew->seed + worker->number;
	struct shm_session session;
	char text[32];

	ck_assert_int_eq(shm_session_open(&session, seg, 0), 0);
	for (uint64_t n = 0; n < ROUNDS; n++) {
		uint64_t dice = unit_random(&random), i = dice % SHARED_KEYS;
		struct shm_key key = shared_key(seg, i, text);
		int64_t value = 0;
		int r;

		switch (dice >> 32 & 7) {
		case 0:
		case 1:
			r = map_put(&session, &key, 1, NULL);
			ck_assert(r == 0 || r == -ERROR_EXISTS);
			if (r == 0)
				count(crew->added, i, 1);
			break;
		case 2:
			r = map_del(&session, &key, &value);
			ck_assert(r == 0 || r == -ERROR_NOT_FOUND);
			if (r == 0)
				count(crew->deleted, i, value);
			break;
		case 3:
			work_alone(worker, &session, n);
			break;
		case 4:
			key = stable_key(seg, dice % STABLE_KEYS, text);
			ck_assert_int_eq(map_get(seg, &key, &value), 0);
			ck_assert_int_eq(value, (int64_t)(dice % STABLE_KEYS));
			key = shm_key_integer(seg, -1 - (int64_t)i);
			ck_assert_int_eq(map_get(seg, &key, &value), -ERROR_NOT_FOUND);
			break;
		default:
			r = map_add(&session, &key, 3);
			ck_assert(r == 0 || r == -ERROR_NOT_FOUND);
			if (r == 0)
				count(crew->added, i, 3);
		}
	}
	(void)add32(&crew->done, 1);
	shm_session_close(&session);
	return NULL;
}

static void crew_init(struct crew *crew, uint64_t elements)
{
	struct heap_params params = map_params(elements, 65536, 42);
	struct shm_session session;
	char text[32];

	memset(crew, 0, sizeof(*crew));
	crew->seed = unit_seed();
	map_heap_init(&crew->heap, &params);
	ck_assert_int_eq(shm_session_open(&session, &crew->heap.seg, 0), 0);
	for (uint64_t i = 0; i < STABLE_KEYS; i++) {
		struct shm_key key = stable_key(&crew->heap.seg, i, text);

		ck_assert_int_eq(map_put(&session, &key, (int64_t)i, NULL), 0);
	}
	shm_session_close(&session);
}

static void crew_start(struct crew *crew, struct worker workers[THREADS])
{
	for (uint32_t i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.crew = crew, .number = i + 1};
		ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
}

static void crew_finish(struct crew *crew, struct worker workers[THREADS])
{
	char text[32];

	for (uint32_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_join(workers[i].thread, NULL), 0);
	for (uint64_t i = 0; i < SHARED_KEYS; i++) {
		struct shm_key key = shared_key(&crew->heap.seg, i, text);
		int64_t value = 0;

		(void)map_get(&crew->heap.seg, &key, &value);
		ck_assert_int_eq(crew->added[i], crew->deleted[i] + value);
	}
	ck_assert_uint_ge(map_expect_sound(&crew->heap.seg), STABLE_KEYS);
	map_heap_fini(&crew->heap);
}

/* Few elements, so that they are used again at once, and a small table, so that it is replaced often. */
START_TEST(sums_come_out)
{
	struct worker workers[THREADS];
	static struct crew crew;

	crew_init(&crew, 300);
	crew_start(&crew, workers);
	crew_finish(&crew, workers);
}
END_TEST

/* Growth all the time, whether there is need or not. */
START_TEST(sums_come_out_while_growing)
{
	struct worker workers[THREADS];
	struct shm_session session;
	static struct crew crew;
	uint64_t growths = 0;

	crew_init(&crew, 300);
	ck_assert_int_eq(shm_session_open(&session, &crew.heap.seg, 0), 0);
	crew_start(&crew, workers);
	while (load32_acquire(&crew.done) < THREADS) {
		shm_step_enter(&session);
		int r = shm_map_grow(&session);

		growths += r == 0;
		if (r == SHM_AGAIN)
			r = shm_map_migrate_some(&session);
		shm_step_leave(&session);
		ck_assert_int_ge(r, 0);
		if (r == SHM_NEED)
			ck_assert_int_eq(shm_session_supply(&session, &(uint32_t){0}), 0);
	}
	shm_session_close(&session);
	crew_finish(&crew, workers);
	ck_assert_uint_gt(growths, 0);
}
END_TEST

/* Who walks the elements while others insert and delete sees every key that was there all the time exactly once. */
START_TEST(iteration_sees_what_stays_once)
{
	struct worker workers[THREADS];
	static struct crew crew;
	uint64_t walks = 0;

	crew_init(&crew, 300);
	crew_start(&crew, workers);
	do {
		uint32_t seen[STABLE_KEYS] = {0};
		struct shm_segment *seg = &crew.heap.seg;

		for (uint64_t e = 0; e < shm_map_element_limit(seg); e++) {
			char text[64] = {0};
			struct shm_key key;
			struct cell cell;
			uint64_t size;
			unsigned i;
			int r = shm_map_key_of(seg, e, &key, text, sizeof(text) - 1, &size, &cell);

			ck_assert(r == 0 || r == -ERROR_NOT_FOUND);
			if (r == 0 && key.kind == KEY_STRING && sscanf(text, "stable key %u", &i) == 1)
				seen[i]++;
		}
		for (uint32_t i = 0; i < STABLE_KEYS; i++)
			ck_assert_uint_eq(seen[i], 1);
		walks++;
	} while (load32_acquire(&crew.done) < THREADS);
	crew_finish(&crew, workers);
	ck_assert_uint_gt(walks, 1);
}
END_TEST

UNIT_MAIN("shm/map threads", sums_come_out, sums_come_out_while_growing, iteration_sees_what_stays_once)
