/* The gate: nobody is inside a step while it is up; the dead are excused, the stopped end the attempt. */
#include <pthread.h>

#include "shm/atomic.h"
#include "shm/element.h"
#include "shm/recover.h"
#include "tests/unit/heap.h"
#include "tests/unit/unit.h"

static struct test_heap heap;

static void open_heap(void)
{
	struct heap_params params = test_params(64, false);

	test_heap_open(&heap, &params);
}

START_TEST(test_a_step_holds_the_gate_up_and_death_does_not)
{
	struct shm_session session;
	struct shm_recovery recovery;

	open_heap();
	ck_assert_int_eq(shm_session_open(&session, &heap.seg, 0), 0);
	ck_assert_int_eq(shm_gate_raise(&heap.seg), 0);
	shm_gate_lower(&heap.seg);

	shm_step_enter(&session);
	ck_assert_int_eq(shm_gate_raise(&heap.seg), -ERROR_BUSY);
	ck_assert_uint_eq(shm_header(&heap.seg)->gate, 0); /* given up, so lowered again */

	shm_robust_declare_dead(&heap.seg, session.id);
	ck_assert_int_eq(shm_gate_raise(&heap.seg), 0);
	shm_gate_lower(&heap.seg);
	ck_assert_int_eq(shm_recover(&heap.seg, NULL, &recovery), 0);
	ck_assert_uint_eq(recovery.recovered, 1);
	ck_assert_uint_eq(session.slot->cur, 0);
	test_heap_close(&heap);
}
END_TEST

static uint32_t stop;

/* Keeps two elements equal but for the moment inside its own step. */
static void *keep_equal(void *arg)
{
	struct shm_session session;
	struct cell *cells = shm_cell(&heap.seg, 0);

	(void)arg;
	if (shm_session_open(&session, &heap.seg, 0) < 0)
		return "no session";
	for (uint64_t n = 1; load32_acquire(&stop) == 0; n++) {
		shm_step_enter(&session);
		store64_relaxed(&cells[session.id * 2].value, n);
		store64_relaxed(&cells[session.id * 2 + 1].value, n);
		shm_step_leave(&session);
	}
	shm_session_close(&session);
	return NULL;
}

START_TEST(test_behind_the_gate_nothing_is_half_done)
{
	struct cell *cells;
	pthread_t threads[2];
	void *failure;
	int raised = 0;

	open_heap();
	cells = shm_cell(&heap.seg, 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, keep_equal, NULL), 0);
	while (raised < 2000) {
		int r = shm_gate_raise(&heap.seg);

		ck_assert(r == 0 || r == -ERROR_BUSY); /* busy: a writer was preempted for long */
		if (r < 0)
			continue;
		for (int i = 1; i <= 2; i++)
			ck_assert_uint_eq(load64_relaxed(&cells[i * 2].value), load64_relaxed(&cells[i * 2 + 1].value));
		shm_gate_lower(&heap.seg);
		raised++;
	}
	store32_release(&stop, 1);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(pthread_join(threads[i], &failure), 0);
		ck_assert_ptr_null(failure);
	}
	test_heap_close(&heap);
}
END_TEST

START_TEST(test_writers_mark_what_they_change)
{
	struct heap_params params = test_params(100000, false);
	char text[] = "a text that takes a block of its own";
	struct shm_value value = {.type = TYPE_BYTES, .data = text, .size = sizeof(text)};
	struct shm_call call = {.op = OP_WRITE, .target.index = 50000, .argument = &value};
	struct shm_session session;
	uint8_t *marks;
	uint64_t cell_page;

	params.persistent = true;
	test_heap_open(&heap, &params);
	marks = shm_area(&heap.seg, AREA_MARKS);
	ck_assert_int_eq(shm_session_open(&session, &heap.seg, 0), 0);
	cell_page = shm_offset(&heap.seg, shm_cell(&heap.seg, 50000)) >> MARK_PAGE_SHIFT;
	ck_assert_uint_eq(marks[cell_page], MARK_CLEAN);
	ck_assert_int_eq(shm_element_apply(&heap.seg, &session, &call, NULL), 0);
	ck_assert_uint_eq(marks[cell_page], MARK_DIRTY);
	ck_assert_uint_eq(marks[cell_page - 1], MARK_CLEAN);
	ck_assert_uint_eq(shm_header(&heap.seg)->dirty, 1);
	/* the blob's page, too */
	ck_assert_uint_eq(marks[blob_ref_offset(shm_cell(&heap.seg, 50000)->value) >> MARK_PAGE_SHIFT], MARK_DIRTY);
	shm_session_close(&session);
	test_heap_close(&heap);
}
END_TEST

UNIT_MAIN("shm/gate", test_a_step_holds_the_gate_up_and_death_does_not, test_behind_the_gate_nothing_is_half_done,
	  test_writers_mark_what_they_change)
