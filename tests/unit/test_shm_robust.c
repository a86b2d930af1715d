/* Locks that the kernel marks when their holder dies: by kill, by thread exit, by exec, beside the C library's own. */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#include "shm/atomic.h"
#include "shm/futex.h"
#include "shm/robust.h"
#include "tests/unit/heap.h"
#include "tests/unit/unit.h"

static struct test_heap heap;

static void open_heap(void)
{
	struct heap_params params = test_params(10, false);

	test_heap_open(&heap, &params);
}

static void lock_and_die(struct shm_segment *seg)
{
	struct shm_robust lock;

	if (shm_robust_trylock(seg, 5, &lock) == 0)
		(void)raise(SIGKILL);
}

START_TEST(test_a_killed_holder_is_found_dead)
{
	struct shm_robust lock;

	open_heap();
	ck_assert(!shm_robust_is_dead(&heap.seg, 5));
	ck_assert(WIFSIGNALED(test_in_child(&heap, lock_and_die)));
	ck_assert(shm_robust_is_dead(&heap.seg, 5));
	ck_assert(!shm_robust_is_dead(&heap.seg, 4) && !shm_robust_is_dead(&heap.seg, 6));
	ck_assert_int_eq(shm_robust_trylock(&heap.seg, 5, &lock), -ERROR_BROKEN);
	shm_robust_clear(&heap.seg, 5);
	ck_assert_int_eq(shm_robust_trylock(&heap.seg, 5, &lock), 0);
	shm_robust_unlock(&lock);
	ck_assert_uint_eq(*shm_robust_word(&heap.seg, 5), 0);
	test_heap_close(&heap);
}
END_TEST

static void lock_and_exec(struct shm_segment *seg)
{
	struct shm_robust lock;

	if (shm_robust_trylock(seg, 5, &lock) == 0)
		(void)execl("/bin/true", "true", NULL);
}

START_TEST(test_exec_counts_as_death)
{
	open_heap();
	ck_assert_int_eq(WEXITSTATUS(test_in_child(&heap, lock_and_exec)), 0);
	ck_assert(shm_robust_is_dead(&heap.seg, 5));
	test_heap_close(&heap);
}
END_TEST

static void *lock_and_return(void *arg)
{
	struct shm_robust *lock = arg;

	ck_assert_int_eq(shm_robust_trylock(&heap.seg, 7, lock), 0);
	return NULL;
}

START_TEST(test_a_thread_that_ends_counts_as_dead)
{
	struct shm_robust lock;
	pthread_t thread;

	open_heap();
	ck_assert_int_eq(pthread_create(&thread, NULL, lock_and_return, &lock), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert(shm_robust_is_dead(&heap.seg, 7));
	test_heap_close(&heap);
}
END_TEST

START_TEST(test_a_held_lock_is_busy_and_the_recovery_lock_is_inherited)
{
	struct shm_robust lock, other;

	open_heap();
	ck_assert_int_eq(shm_robust_trylock(&heap.seg, 0, &lock), 0);
	ck_assert_int_eq(shm_robust_trylock(&heap.seg, 0, &other), -ERROR_BUSY);
	shm_robust_declare_dead(&heap.seg, 0);
	ck_assert_int_eq(shm_robust_trylock(&heap.seg, 0, &other), 0);
	ck_assert(!shm_robust_is_dead(&heap.seg, 0));
	shm_robust_unlock(&other);
	test_heap_close(&heap);
}
END_TEST

#define MIXED 24

static pthread_mutex_t *shared_mutexes(void)
{
	pthread_mutex_t *mutexes = mmap(NULL, MIXED * sizeof(*mutexes), PROT_READ | PROT_WRITE,
					MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t attributes;

	ck_assert_ptr_ne(mutexes, MAP_FAILED);
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	for (int i = 0; i < MIXED; i++)
		ck_assert_int_eq(pthread_mutex_init(&mutexes[i], &attributes), 0);
	pthread_mutexattr_destroy(&attributes);
	return mutexes;
}

static pthread_mutex_t *mutexes;
static uint64_t seed;
static bool left_locked[2][MIXED]; /* by the last run, known from the same random sequence */

/* Locks and unlocks ours and the C library's at random, so that both are each other's neighbours in the list. */
static void mix(struct shm_segment *seg, bool held[2][MIXED])
{
	struct shm_robust locks[MIXED];
	uint64_t state = seed;

	memset(held, 0, 2 * MIXED * sizeof(bool));
	for (int turn = 0; turn < 400; turn++) {
		uint64_t random = unit_random(&state);
		int i = (int)(random >> 8) % MIXED, ours = random & 1;

		if (i < 0)
			i = -i;
		if (ours && seg)
			held[1][i] ? shm_robust_unlock(&locks[i]) : (void)shm_robust_trylock(seg, 1 + (uint32_t)i, &locks[i]);
		else if (!ours && seg)
			held[0][i] ? (void)pthread_mutex_unlock(&mutexes[i]) : (void)pthread_mutex_lock(&mutexes[i]);
		held[ours][i] = !held[ours][i];
	}
}

static void mix_and_die(struct shm_segment *seg)
{
	bool held[2][MIXED];

	mix(seg, held);
	(void)raise(SIGKILL);
}

START_TEST(test_beside_the_c_librarys_robust_mutexes)
{
	seed = unit_seed();
	open_heap();
	mutexes = shared_mutexes();
	for (int round = 0; round < 20; round++, seed++) {
		ck_assert(WIFSIGNALED(test_in_child(&heap, mix_and_die)));
		mix(NULL, left_locked);
		for (int i = 0; i < MIXED; i++) {
			int r = pthread_mutex_trylock(&mutexes[i]);

			ck_assert_int_eq(r, left_locked[0][i] ? EOWNERDEAD : 0);
			if (r == EOWNERDEAD)
				pthread_mutex_consistent(&mutexes[i]);
			pthread_mutex_unlock(&mutexes[i]);
			ck_assert_int_eq(shm_robust_is_dead(&heap.seg, 1 + (uint32_t)i), left_locked[1][i]);
			shm_robust_clear(&heap.seg, 1 + (uint32_t)i);
		}
	}
	munmap(mutexes, MIXED * sizeof(*mutexes));
	test_heap_close(&heap);
}
END_TEST

static void *wait_for_death(void *arg)
{
	uint32_t *word = shm_robust_word(&heap.seg, 5), cell = 0, seen;

	(void)arg;
	while (!((seen = load32_acquire(word)) & FUTEX_OWNER_DIED)) {
		if (!(seen & FUTEX_TID_MASK))
			continue;
		(void)cas32(word, &seen, seen | FUTEX_WAITERS);
		(void)shm_futex_wait_owner(&cell, 0, word, seen | FUTEX_WAITERS, CLOCK_NEVER);
	}
	return NULL;
}

START_TEST(test_the_kernel_wakes_who_waits_for_a_death)
{
	pthread_t thread;

	open_heap();
	ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_death, NULL), 0);
	(void)test_in_child(&heap, lock_and_die);
	ck_assert_int_eq(pthread_join(thread, NULL), 0); /* hangs, and fails by time-out, when the wake is missing */
	test_heap_close(&heap);
}
END_TEST

UNIT_MAIN("shm/robust", test_a_killed_holder_is_found_dead, test_exec_counts_as_death,
	  test_a_thread_that_ends_counts_as_dead, test_a_held_lock_is_busy_and_the_recovery_lock_is_inherited,
	  test_beside_the_c_librarys_robust_mutexes, test_the_kernel_wakes_who_waits_for_a_death)
