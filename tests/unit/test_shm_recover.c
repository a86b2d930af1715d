/* Recovery: what each intent leaves, who is woken, and that a killed recoverer's work is taken up. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>

#include "base/clock.h"
#include "shm/atomic.h"
#include "shm/check.h"
#include "shm/element.h"
#include "shm/futex.h"
#include "shm/recover.h"
#include "shm/storage.h"
#include "shm/transaction_record.h"
#include "shm/wait.h"
#include "tests/unit/heap.h"
#include "tests/unit/unit.h"

static struct test_heap heap;
static struct shm_session session; /* the one that will be dead */

static void open_heap(void)
{
	struct heap_params params = test_params(64, false);

	test_heap_open(&heap, &params);
	ck_assert_int_eq(shm_session_open(&session, &heap.seg, 0), 0);
}

static void print_problem(void *arg, const char *text)
{
	(void)arg;
	fprintf(stderr, "check: %s\n", text);
}

static uint64_t problems(uint64_t *blobs)
{
	struct shm_check check = {.quiet = true, .problem = print_problem};

	ck_assert_int_eq(shm_check(&heap.seg, &check), 0);
	if (blobs)
		*blobs = check.blobs_allocated;
	return check.problems;
}

static void die_and_recover(uint32_t expected)
{
	struct shm_recovery recovery;
	uint64_t blobs;

	shm_robust_declare_dead(&heap.seg, session.id);
	ck_assert(shm_recovery_needed(&heap.seg));
	ck_assert_int_eq(shm_recover(&heap.seg, NULL, &recovery), 0);
	ck_assert_uint_eq(recovery.recovered, expected);
	ck_assert_uint_eq(recovery.corrupt, 0);
	ck_assert(!shm_recovery_needed(&heap.seg));
	ck_assert_uint_eq(problems(&blobs), 0);
}

static void write_text(uint64_t index, const char *text)
{
	struct shm_value value = {.type = TYPE_STRING, .data = (void *)(uintptr_t)text, .size = strlen(text)};
	struct shm_call call = {.op = OP_WRITE, .target.index = index, .argument = &value};

	ck_assert_int_eq(shm_element_apply(&heap.seg, &session, &call, NULL), 0);
}

static blob_ref claim(const char *text)
{
	shm_step_enter(&session);
	store64_release(&session.slot->intent, INTENT_CLAIM);
	int r = shm_blob_claim(&session, strlen(text), &session.slot->intent_new);
	if (r == SHM_NEED) {
		shm_step_leave(&session);
		ck_assert_int_eq(shm_session_supply(&session, &(uint32_t){0}), 0);
		return claim(text);
	}
	ck_assert_int_eq(r, 0);
	shm_blob_fill(&session, session.slot->intent_new, text, strlen(text));
	return session.slot->intent_new;
}

START_TEST(test_a_claimed_blob_is_released)
{
	uint64_t blobs;

	open_heap();
	(void)claim("nobody ever saw this");
	die_and_recover(1);
	ck_assert_uint_eq(problems(&blobs), 0);
	ck_assert_uint_eq(blobs, 0);
	test_heap_close(&heap);
}
END_TEST

/* Death before and after the CAS that replaces a blob: one of the two stays, and it is the right one. */
START_TEST(test_a_replacement_is_settled_by_the_cell)
{
	for (int published = 0; published < 2; published++) {
		struct cell seen, desired;
		struct cell *cell;
		uint64_t blobs;

		open_heap();
		write_text(3, "the old text, in a block");
		cell = shm_cell(&heap.seg, 3);
		seen = cell_load(cell);
		desired = (struct cell){cell_next(seen.meta, TAG_FULL, TYPE_STRING, 0), claim("the new text, in another")};
		session.slot->intent_old = seen.value;
		session.slot->intent_cell = shm_offset(&heap.seg, cell);
		session.slot->intent = INTENT_REPLACE;
		if (published)
			ck_assert(cell_cas(cell, &seen, desired));
		die_and_recover(1);
		ck_assert_uint_eq(problems(&blobs), 0);
		ck_assert_uint_eq(blobs, 1);
		ck_assert_uint_eq(cell_load(cell).value, published ? desired.value : seen.value);
		test_heap_close(&heap);
	}
}
END_TEST

START_TEST(test_a_blob_that_a_live_slot_names_is_left_for_later)
{
	struct shm_session other;
	struct shm_recovery recovery;

	open_heap();
	ck_assert_int_eq(shm_session_open(&other, &heap.seg, 0), 0);
	blob_ref ref = claim("published by the dead one, taken out by a live one");
	session.slot->intent_cell = shm_offset(&heap.seg, shm_cell(&heap.seg, 3));
	session.slot->intent = INTENT_REPLACE;
	other.slot->intent_old = ref;
	other.slot->intent = INTENT_REPLACE;
	shm_robust_declare_dead(&heap.seg, session.id);
	ck_assert_int_eq(shm_recover(&heap.seg, NULL, &recovery), 0);
	ck_assert_uint_eq(recovery.deferred, 1);
	ck_assert_uint_eq(recovery.recovered, 0);
	ck_assert(shm_blob_is_allocated(&heap.seg, ref));
	other.slot->intent = INTENT_NONE;
	ck_assert_int_eq(shm_recover(&heap.seg, NULL, &recovery), 0);
	ck_assert_uint_eq(recovery.recovered, 1);
	ck_assert(!shm_blob_is_allocated(&heap.seg, ref));
	shm_session_close(&other);
	test_heap_close(&heap);
}
END_TEST

/* A record full of nonsense is freed, and nothing that it names is touched. */
START_TEST(test_a_scribbled_slot)
{
	uint64_t state = unit_seed();

	for (int round = 0; round < 300; round++) {
		struct shm_recovery recovery;

		open_heap();
		write_text(3, "a text");
		for (uint64_t *word = (uint64_t *)session.slot; word < (uint64_t *)(session.slot + 1); word++)
			*word = unit_random(&state) >> unit_random(&state) % 64;
		session.slot->intent = unit_random(&state) % 8;
		shm_robust_declare_dead(&heap.seg, session.id);
		ck_assert_int_eq(shm_recover(&heap.seg, NULL, &recovery), 0);
		test_heap_close(&heap);
	}
}
END_TEST

static void recover_and_die(struct shm_segment *seg)
{
	struct shm_robust lock;

	if (shm_robust_trylock(seg, 0, &lock) == 0)
		(void)raise(SIGKILL);
}

START_TEST(test_a_dead_recoverer_is_followed_by_another)
{
	open_heap();
	(void)claim("left behind");
	(void)test_in_child(&heap, recover_and_die);
	ck_assert(shm_robust_is_dead(&heap.seg, 0));
	die_and_recover(1);
	test_heap_close(&heap);
}
END_TEST

static void *wait_for_full(void *arg)
{
	struct shm_session mine;
	struct shm_call call = {.op = OP_READ_FF, .deadline = CLOCK_NEVER};
	int r;

	r = shm_session_open(&mine, &heap.seg, 0);
	call.target.index = 5;
	if (r == 0)
		r = shm_element_apply(&heap.seg, &mine, &call, NULL);
	if (r == 0)
		shm_session_close(&mine);
	*(int *)arg = r;
	return NULL;
}

/* A writer dies between its CAS and its wake: recovery wakes the sleeper. */
START_TEST(test_sleepers_on_a_dead_wakers_cell_are_woken)
{
	struct shm_call empty = {.op = OP_SET_TAG, .target.index = 5, .tag = TAG_EMPTY};
	struct cell *cell, seen;
	struct shm_recovery recovery;
	pthread_t thread;
	int result = 1;

	open_heap();
	ck_assert_int_eq(shm_element_apply(&heap.seg, &session, &empty, NULL), 0);
	cell = shm_cell(&heap.seg, 5);
	ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_full, &result), 0);
	while (!(load64_acquire(&cell->meta) & CELL_W))
		sched_yield();
	shm_step_enter(&session);
	shm_step_cell(&session, cell);
	seen = cell_load(cell);
	ck_assert(cell_cas(cell, &seen, (struct cell){cell_next(seen.meta, TAG_FULL, TYPE_FILL, 0), 0}));
	shm_robust_declare_dead(&heap.seg, session.id);
	ck_assert_int_eq(shm_recover(&heap.seg, NULL, &recovery), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0); /* hangs, and fails by time-out, when nobody wakes it */
	ck_assert_int_eq(result, 0);
	test_heap_close(&heap);
}
END_TEST

static void sleeper_looks(bool at_its_cell)
{
	struct shm_call empty = {.op = OP_SET_TAG, .target.index = 5, .tag = TAG_EMPTY};
	struct cell *cell, seen;
	pthread_t thread;
	int result = 1;

	shm_wait_look = 50 * NS_PER_MS;
	open_heap();
	ck_assert_int_eq(shm_element_apply(&heap.seg, &session, &empty, NULL), 0);
	cell = shm_cell(&heap.seg, 5);
	ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_full, &result), 0);
	while (!(load64_acquire(&cell->meta) & CELL_W))
		sched_yield();
	if (at_its_cell) {
		shm_step_enter(&session);
		shm_step_cell(&session, cell);
		seen = cell_load(cell);
		ck_assert(cell_cas(cell, &seen, (struct cell){cell_next(seen.meta, TAG_FULL, TYPE_FILL, 0), 0}));
		shm_robust_declare_dead(&heap.seg, session.id);
	} else {
		struct shm_session waker;
		struct shm_call full = {.op = OP_SET_TAG, .target.index = 5, .tag = TAG_FULL};

		shm_step_enter(&session);
		shm_robust_declare_dead(&heap.seg, session.id);
		/* hangs, and fails by time-out, when the sleeper does not recover the dead */
		while (shm_recovery_needed(&heap.seg))
			sched_yield();
		ck_assert_int_eq(shm_session_open(&waker, &heap.seg, 0), 0);
		ck_assert_int_eq(shm_element_apply(&heap.seg, &waker, &full, NULL), 0);
		shm_session_close(&waker);
	}
	ck_assert_int_eq(pthread_join(thread, NULL), 0); /* hangs likewise */
	ck_assert_int_eq(result, 0);
	test_heap_close(&heap);
}

/* The same, and nobody recovers: the sleeper looks for itself, … */
START_TEST(test_a_sleeper_looks_at_its_cell)
{
	sleeper_looks(true);
}
END_TEST

/* … also for dead ones who have nothing to do with its cell. */
START_TEST(test_a_sleeper_looks_for_the_dead)
{
	sleeper_looks(false);
}
END_TEST

/* The same, and a live slot names a blob of the dead one, so that recovery is put off: the wake is not. */
START_TEST(test_sleepers_are_woken_though_recovery_is_put_off)
{
	struct shm_call empty = {.op = OP_SET_TAG, .target.index = 5, .tag = TAG_EMPTY};
	struct shm_session other;
	struct shm_recovery recovery;
	struct cell *cell, seen;
	pthread_t thread;
	int result = 1;

	open_heap();
	ck_assert_int_eq(shm_session_open(&other, &heap.seg, 0), 0);
	ck_assert_int_eq(shm_element_apply(&heap.seg, &session, &empty, NULL), 0);
	cell = shm_cell(&heap.seg, 5);
	ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_full, &result), 0);
	while (!(load64_acquire(&cell->meta) & CELL_W))
		sched_yield();
	session.slot->intent_old = claim("was in the cell");
	session.slot->intent_cell = shm_offset(&heap.seg, cell);
	session.slot->intent = INTENT_REPLACE;
	other.slot->intent_old = session.slot->intent_old;
	other.slot->intent = INTENT_REPLACE;
	shm_step_enter(&session);
	shm_step_cell(&session, cell);
	seen = cell_load(cell);
	ck_assert(cell_cas(cell, &seen, (struct cell){cell_next(seen.meta, TAG_FULL, TYPE_FILL, 0), 0}));
	shm_robust_declare_dead(&heap.seg, session.id);
	ck_assert_int_eq(shm_recover(&heap.seg, NULL, &recovery), 0);
	ck_assert_uint_eq(recovery.deferred, 1);
	ck_assert_int_eq(pthread_join(thread, NULL), 0); /* hangs, and fails by time-out, when nobody wakes it */
	ck_assert_int_eq(result, 0);
	other.slot->intent = INTENT_NONE;
	ck_assert_int_eq(shm_recover(&heap.seg, NULL, &recovery), 0);
	ck_assert_uint_eq(recovery.recovered, 1);
	shm_session_close(&other);
	test_heap_close(&heap);
}
END_TEST

static void *wait_behind_busy(void *arg)
{
	struct shm_value one = {.type = TYPE_INTEGER, .integer = 1};
	struct shm_call call = {.op = OP_WRITE, .target.index = 5, .argument = &one, .deadline = CLOCK_NEVER};
	struct shm_session mine;
	int r = shm_session_open(&mine, &heap.seg, 0);

	if (r == 0)
		r = shm_element_apply(&heap.seg, &mine, &call, NULL);
	*(int *)arg = r;
	return NULL;
}

/* Behind a cell that is BUSY by a living owner: its release wakes; and oneself is a deadlock, not a hang. */
START_TEST(test_waiting_behind_an_owner)
{
	struct shm_value one = {.type = TYPE_INTEGER, .integer = 1};
	struct shm_call mine = {.op = OP_WRITE, .target.index = 5, .argument = &one, .deadline = CLOCK_NEVER};
	struct cell *cell, seen = {0, 0};
	pthread_t thread;
	int result = 1;

	open_heap();
	cell = shm_cell(&heap.seg, 5);
	ck_assert(cell_cas(cell, &seen, (struct cell){cell_next(0, TAG_BUSY, TYPE_FILL, session.id), 0}));
	ck_assert_int_eq(shm_element_apply(&heap.seg, &session, &mine, NULL), -ERROR_DEADLOCK);
	ck_assert_int_eq(pthread_create(&thread, NULL, wait_behind_busy, &result), 0);
	while (!((seen = cell_load(cell)).meta & CELL_W))
		sched_yield();
	ck_assert(cell_cas(cell, &seen, (struct cell){cell_next(seen.meta, TAG_FULL, TYPE_FILL, 0), 0}));
	shm_futex_wake(cell_futex(cell), 1000, WAIT_ANY);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(result, 0);
	shm_session_close(&session);
	test_heap_close(&heap);
}
END_TEST

/* Records that are full of nonsense hold nobody up for long: a run does so much of them, and the next one goes on behind. */
START_TEST(test_much_work_is_done_in_parts)
{
	enum { DEAD = 60 };
	struct shm_session dead[DEAD];
	struct shm_recovery recovery;
	uint32_t recovered = 0, runs = 0;

	open_heap();
	for (int i = 0; i < DEAD; i++)
		ck_assert_int_eq(shm_session_open(&dead[i], &heap.seg, 0), 0);
	for (int i = 0; i < DEAD; i++) {
		store32_release(&transaction_record(&heap.seg, dead[i].id)->count, UINT32_MAX);
		store64_release(&dead[i].slot->transaction, transaction_word(1, TRANSACTION_OPEN));
		shm_robust_declare_dead(&heap.seg, dead[i].id);
	}
	do {
		ck_assert_int_eq(shm_recover(&heap.seg, NULL, &recovery), 0);
		ck_assert_uint_gt(recovery.recovered, 0);
		ck_assert_uint_lt(recovery.recovered, DEAD);
		ck_assert_uint_eq(recovery.corrupt, 0);
		recovered += recovery.recovered;
		runs++;
	} while (recovery.deferred);
	ck_assert_uint_eq(recovered, DEAD);
	ck_assert_uint_gt(runs, 2);
	ck_assert(!shm_recovery_needed(&heap.seg));
	shm_session_close(&session);
	test_heap_close(&heap);
}
END_TEST

UNIT_MAIN("shm/recover", test_a_claimed_blob_is_released, test_a_replacement_is_settled_by_the_cell,
	  test_a_blob_that_a_live_slot_names_is_left_for_later, test_a_scribbled_slot,
	  test_a_dead_recoverer_is_followed_by_another, test_sleepers_on_a_dead_wakers_cell_are_woken,
	  test_a_sleeper_looks_at_its_cell, test_a_sleeper_looks_for_the_dead,
	  test_sleepers_are_woken_though_recovery_is_put_off, test_waiting_behind_an_owner,
	  test_much_work_is_done_in_parts)
