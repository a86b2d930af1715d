/* Read locks: counts and limits, who waits, deadlock with oneself; each state that a death can leave, and its repair. */
#include <stdlib.h>

#include "base/clock.h"
#include "shm/check.h"
#include "shm/element.h"
#include "shm/reader.h"
#include "shm/reader_words.h"
#include "shm/recover.h"
#include "tests/unit/heap.h"
#include "tests/unit/unit.h"

#define ELEMENT 3u
#define OTHER	5u

static struct test_heap heap;
static struct shm_session one, two;

static void open_heap(void)
{
	struct heap_params params = test_params(1024, false);

	test_heap_open(&heap, &params);
	ck_assert_int_eq(shm_session_open(&one, &heap.seg, 0), 0);
	ck_assert_int_eq(shm_session_open(&two, &heap.seg, 0), 0);
}

static uint64_t problems(void)
{
	struct shm_check check = {.quiet = true};

	ck_assert_int_eq(shm_check(&heap.seg, &check), 0);
	return check.problems;
}

static void close_heap(void)
{
	shm_session_close(&one);
	shm_session_close(&two);
	ck_assert_uint_eq(problems(), 0);
	test_heap_close(&heap);
}

static int run(struct shm_session *session, enum shm_op op, uint64_t index, struct shm_value *result)
{
	static const struct shm_value number = {.type = TYPE_INTEGER, .integer = 7};
	struct shm_call call = {.op = op,
				.target.index = index,
				.argument = &number,
				.argument2 = &number,
				.tag = TAG_EMPTY,
				.result = result};

	return shm_element_apply(&heap.seg, session, &call, NULL);
}

static int take(struct shm_session *session)
{
	return run(session, OP_READ_RW, ELEMENT, NULL);
}

/* How many are left, or the error. */
static int64_t release(struct shm_session *session, uint64_t index)
{
	uint32_t left = UINT32_MAX;
	struct shm_call call = {.op = OP_RELEASE_RW, .target.index = index, .left = &left, .deadline = CLOCK_NEVER};
	int r = shm_element_apply(&heap.seg, session, &call, NULL);

	return r < 0 ? r : (int64_t)left;
}

static void ck_readers(uint32_t readers)
{
	uint64_t meta = cell_load(shm_cell(&heap.seg, ELEMENT)).meta;

	ck_assert_int_eq(cell_tag(meta), readers ? TAG_READERS : TAG_FULL);
	if (readers)
		ck_assert_uint_eq(cell_own(meta), readers);
	ck_assert_uint_eq(shm_reader_count(&heap.seg, shm_cell(&heap.seg, ELEMENT)), readers);
}

/* What stands in the record and in the cell when a death, or a recount, comes between two steps. */
static uint64_t *entry_of(const struct shm_session *session)
{
	return reader_entries(&heap.seg, session->id);
}

static void put(struct shm_session *session, enum reader_state state, int more)
{
	struct cell *cell = shm_cell(&heap.seg, ELEMENT), seen = cell_load(cell);
	uint32_t readers = cell_tag(seen.meta) == TAG_READERS ? cell_own(seen.meta) : 0;

	*entry_of(session) = reader_word(shm_offset(&heap.seg, cell), state);
	session->slot->reads_high = 1;
	if (more != 0)
		ck_assert(cell_cas(cell, &seen, reader_cell(seen, (uint32_t)((int)readers + more))));
}

static void write_number(int64_t number)
{
	struct shm_value value = {.type = TYPE_INTEGER, .integer = number};
	struct shm_call call = {.op = OP_WRITE_XF, .target.index = ELEMENT, .argument = &value};

	ck_assert_int_eq(shm_element_apply(&heap.seg, &one, &call, NULL), 0);
}

START_TEST(test_readers_are_counted)
{
	struct shm_value value = {0};

	open_heap();
	ck_assert_int_eq(take(&one), 0); /* never written: its fill value stays */
	ck_readers(1);
	ck_assert_int_eq(cell_type(cell_load(shm_cell(&heap.seg, ELEMENT)).meta), TYPE_FILL);
	ck_assert_int_eq(release(&one, ELEMENT), 0);
	write_number(41);
	ck_assert_int_eq(run(&one, OP_READ_RW, ELEMENT, &value), 0);
	ck_assert_int_eq(value.integer, 41);
	ck_assert_int_eq(take(&two), 0);
	ck_assert_int_eq(take(&two), 0);
	ck_readers(3);
	ck_assert_uint_eq(problems(), 0);
	ck_assert_int_eq(release(&two, ELEMENT), 2);
	ck_assert_int_eq(release(&two, ELEMENT), 1);
	ck_assert_int_eq(release(&two, ELEMENT), -ERROR_INVALID);
	ck_assert_int_eq(release(&one, OTHER), -ERROR_INVALID);
	ck_readers(1);
	ck_assert_int_eq(release(&one, ELEMENT), 0);
	ck_readers(0);
	close_heap();
}
END_TEST

/* Text: under readers it can be read, and written by the plain write; it outlives them. */
START_TEST(test_text_stays)
{
	struct shm_value text = {.type = TYPE_STRING, .data = (void *)(uintptr_t) "as long as a block", .size = 18},
			 value = {0};
	struct shm_call call = {.op = OP_WRITE, .target.index = ELEMENT, .argument = &text};

	open_heap();
	ck_assert_int_eq(shm_element_apply(&heap.seg, &two, &call, NULL), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(run(&one, OP_READ_RW, ELEMENT, &value), 0);
		ck_assert_uint_eq(value.size, text.size);
		ck_assert_mem_eq(value.data, text.data, text.size);
		text.size--;
		ck_assert_int_eq(shm_element_apply(&heap.seg, &two, &call, NULL), 0);
		ck_readers((uint32_t)i + 1);
	}
	ck_assert_int_eq(release(&one, ELEMENT), 1);
	ck_assert_int_eq(release(&one, ELEMENT), 0);
	ck_assert_int_eq(run(&one, OP_READ_FE, ELEMENT, &value), 0);
	ck_assert_uint_eq(value.size, text.size);
	free(value.data);
	close_heap();
}
END_TEST

/* All that wait for the readers' end: another one is told to wait, a reader that it waits for itself. */
START_TEST(test_who_waits)
{
	static const enum shm_op waiting[] = {OP_READ_FF, OP_READ_FE, OP_WRITE_XF, OP_WRITE_XE, OP_WRITE_EF,
					      OP_SET_TAG, OP_ADD,     OP_CAS,	   OP_SWAP,	OP_MAX,
					      OP_DELETE,  OP_ADD_INT64, OP_COMPARE_DELETE};

	open_heap();
	write_number(1);
	ck_assert_int_eq(take(&one), 0);
	for (size_t i = 0; i < ARRAY_SIZE(waiting); i++) {
		ck_assert_int_eq(run(&two, waiting[i], ELEMENT, NULL), -ERROR_TIMEOUT);
		ck_assert_int_eq(run(&one, waiting[i], ELEMENT, NULL), -ERROR_DEADLOCK);
	}
	ck_assert_int_eq(run(&two, OP_WRITE, ELEMENT, NULL), 0);
	ck_assert_int_eq(run(&one, OP_WRITE, ELEMENT, NULL), 0);
	ck_assert_int_eq(run(&two, OP_READ, ELEMENT, NULL), 0);
	ck_assert_int_eq(run(&one, OP_WRITE_XF, OTHER, NULL), 0);
	ck_readers(1);
	ck_assert_int_eq(release(&one, ELEMENT), 0);
	/* And it waits for FULL. */
	ck_assert_int_eq(run(&one, OP_WRITE_XE, ELEMENT, NULL), 0);
	ck_assert_int_eq(take(&two), -ERROR_TIMEOUT);
	ck_assert_int_eq(release(&two, ELEMENT), -ERROR_INVALID);
	close_heap();
}
END_TEST

/* A reader that finds somebody waiting for the readers' end lets him go first, for a while, but does not depend on it. */
START_TEST(test_giving_way)
{
	struct cell *cell;
	struct shm_value value = {0};
	struct shm_call call = {
		.op = OP_READ_RW, .target.index = ELEMENT, .result = &value, .deadline = CLOCK_NEVER};

	open_heap();
	write_number(1);
	cell = shm_cell(&heap.seg, ELEMENT);
	ck_assert_int_eq(take(&one), 0);
	ck_assert(!shm_reader_gives_way(&two, cell, cell_load(cell).meta, 0));
	(void)or64(&cell->meta, CELL_W);
	ck_assert(shm_reader_gives_way(&two, cell, cell_load(cell).meta, 0));
	ck_assert(!shm_reader_gives_way(&one, cell, cell_load(cell).meta, 0)); /* has it already */
	ck_assert_int_eq(take(&two), 0);				       /* does not wait at all */
	ck_assert_int_eq(release(&two, ELEMENT), 1);
	ck_assert_int_eq(shm_element_apply(&heap.seg, &two, &call, NULL), 0); /* nobody went */
	ck_assert_int_eq(release(&two, ELEMENT), 1);
	ck_assert(!shm_reader_gives_way(&two, cell, cell_load(cell).meta, 0)); /* not again in vain */
	ck_assert_int_eq(release(&one, ELEMENT), 0);
	ck_assert_int_eq(cell_tag(cell_load(cell).meta), TAG_FULL);
	ck_assert(shm_reader_is_wanted(cell_load(cell).meta));
	ck_assert_int_eq(run(&one, OP_ADD, ELEMENT, NULL), 0); /* the turn of the one who waited */
	ck_assert(!shm_reader_is_wanted(cell_load(cell).meta));
	ck_assert(!shm_reader_gives_way(&two, cell, cell_load(cell).meta, 0));
	ck_assert_int_eq(shm_element_apply(&heap.seg, &two, &call, NULL), 0);
	ck_assert_int_eq(release(&two, ELEMENT), 0);
	close_heap();
}
END_TEST

/* A release that waits for a recount, and is given up: the lock is there as before, or gone when it was not counted. */
START_TEST(test_a_release_given_up)
{
	static const struct {
		enum reader_state state, after;
		bool gone;
	} moments[] = {{READER_HELD, READER_HELD, false},
		       {READER_RELEASING, READER_HELD, false},
		       {READER_RELEASED, READER_NONE, true}};

	for (size_t i = 0; i < ARRAY_SIZE(moments); i++) {
		open_heap();
		put(&one, moments[i].state, 0);
		one.read_releasing = 1;
		ck_assert_int_eq(shm_reader_keep(&one), moments[i].gone);
		ck_assert_uint_eq(one.read_releasing, 0);
		ck_assert_int_eq(reader_state(*entry_of(&one)), moments[i].after);
		*entry_of(&one) = READER_NONE;
		close_heap();
	}
}
END_TEST

START_TEST(test_limits)
{
	struct shm_session more[8];
	uint32_t taken = 0;

	open_heap();
	for (uint64_t index = 0; index < RECORD_READ_COUNT; index++)
		ck_assert_int_eq(run(&one, OP_READ_RW, index, NULL), 0);
	ck_assert_int_eq(take(&one), -ERROR_LIMIT);
	ck_assert_int_eq(release(&one, 17), 0);
	ck_assert_int_eq(run(&one, OP_READ_RW, 600, NULL), 0);
	ck_assert_int_eq(run(&one, OP_READ_RW, 601, NULL), -ERROR_LIMIT);
	ck_assert_uint_eq(problems(), 0);
	for (size_t i = 0; i < ARRAY_SIZE(more); i++) {
		ck_assert_int_eq(shm_session_open(&more[i], &heap.seg, 0), 0);
		while (taken < READERS_MAX - 1 && take(&more[i]) == 0)
			taken++;
	}
	ck_assert_uint_eq(taken, READERS_MAX - 1);
	ck_readers(READERS_MAX);
	ck_assert_int_eq(take(&two), -ERROR_TIMEOUT);
	ck_assert_int_eq(release(&one, ELEMENT), READERS_MAX - 1);
	ck_assert_int_eq(take(&two), 0);
	ck_readers(READERS_MAX);
	ck_assert_uint_eq(problems(), 0);
	shm_session_close(&two);
	for (size_t i = 0; i < ARRAY_SIZE(more); i++)
		shm_session_close(&more[i]); /* gives all of them back */
	ck_readers(0);
	close_heap();
}
END_TEST

static void recover(uint32_t expected)
{
	struct shm_recovery recovery;

	ck_assert_int_eq(shm_recover(&heap.seg, NULL, &recovery), 0);
	ck_assert_uint_eq(recovery.recovered, expected);
	ck_assert_uint_eq(recovery.corrupt, 0);
}

START_TEST(test_the_dead_hold_nothing)
{
	open_heap();
	ck_assert_int_eq(take(&one), 0);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(take(&two), 0);
	ck_assert_int_eq(run(&two, OP_READ_RW, OTHER, NULL), 0);
	ck_readers(6);
	shm_robust_declare_dead(&heap.seg, two.id);
	recover(1);
	ck_readers(1);
	ck_assert_uint_eq(problems(), 0);
	ck_assert_int_eq(run(&one, OP_WRITE_XF, OTHER, NULL), 0);
	ck_assert_int_eq(release(&one, ELEMENT), 0);
	close_heap();
}
END_TEST

/* The dead one stood between two steps, and so does a living one: both are recounted away, and a third one stays. */
START_TEST(test_between_two_steps)
{
	static const struct {
		enum reader_state state;
		int more; /* has its count changed? */
	} moments[] = {{READER_TRYING, 0}, {READER_TRYING, 1}, {READER_RELEASING, 1}, {READER_RELEASING, 0}};

	for (size_t dead = 0; dead < ARRAY_SIZE(moments); dead++)
		for (size_t living = 0; living < ARRAY_SIZE(moments); living++) {
			struct shm_session three;

			open_heap();
			write_number(1);
			ck_assert_int_eq(shm_session_open(&three, &heap.seg, 0), 0);
			ck_assert_int_eq(take(&three), 0);
			put(&one, moments[living].state, moments[living].more);
			put(&two, moments[dead].state, moments[dead].more);
			shm_robust_declare_dead(&heap.seg, two.id);
			recover(1);
			ck_readers(1);
			ck_assert_int_eq(reader_state(*entry_of(&one)),
					 moments[living].state == READER_TRYING ? READER_CANCELLED : READER_RELEASED);
			/* Going on, it finds that out. */
			if (moments[living].state == READER_RELEASING) {
				one.read_releasing = 1;
				ck_assert_int_eq(release(&one, ELEMENT), 1);
			} else {
				*entry_of(&one) = READER_NONE;
			}
			ck_assert_int_eq(release(&three, ELEMENT), 0);
			shm_session_close(&three);
			close_heap();
		}
}
END_TEST

static void freeze(void)
{
	struct cell *cell = shm_cell(&heap.seg, ELEMENT), seen = cell_load(cell);
	struct cell frozen = {cell_next(seen.meta, TAG_BUSY, cell_type(seen.meta), 0), seen.value};

	ck_assert(cell_cas(cell, &seen, frozen));
}

/* A recoverer died with the cell frozen; whatever it has come to with the entry. Who waits there finds that out. */
START_TEST(test_a_frozen_cell_is_thawed)
{
	static const enum reader_state states[] = {READER_TRYING, READER_RELEASING, READER_CANCELLED, READER_RELEASED,
						   READER_HELD};

	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		struct shm_value value = {.type = TYPE_INTEGER, .integer = 9};
		struct shm_call call = {
			.op = OP_WRITE_XF, .target.index = ELEMENT, .argument = &value, .deadline = CLOCK_NEVER};

		open_heap();
		write_number(1);
		ck_assert_int_eq(take(&one), 0);
		put(&two, states[i], 1);
		freeze();
		ck_assert_int_eq(run(&one, OP_READ, ELEMENT, NULL), 0); /* can still be read */
		shm_robust_declare_dead(&heap.seg, two.id);
		ck_assert_int_eq(release(&one, ELEMENT), 0); /* waits behind it, which recovers */
		ck_readers(0);
		ck_assert_int_eq(shm_element_apply(&heap.seg, &one, &call, NULL), 0);
		close_heap();
	}
}
END_TEST

/* Nobody tells a writer that a reader has died, when there is no daemon: it looks. */
START_TEST(test_a_writer_finds_the_dead)
{
	struct shm_value value = {.type = TYPE_INTEGER, .integer = 9};
	struct shm_call call = {
		.op = OP_WRITE_XE, .target.index = ELEMENT, .argument = &value, .deadline = CLOCK_NEVER};

	open_heap();
	ck_assert_int_eq(take(&two), 0);
	shm_robust_declare_dead(&heap.seg, two.id);
	ck_assert_int_eq(shm_element_apply(&heap.seg, &one, &call, NULL), 0);
	ck_assert_int_eq(cell_tag(cell_load(shm_cell(&heap.seg, ELEMENT)).meta), TAG_EMPTY);
	close_heap();
}
END_TEST

/* A record of nonsense is not believed, and costs no more time than a real one. */
START_TEST(test_scribbled_records)
{
	struct shm_recovery recovery;
	uint64_t seed = unit_seed();
	uint32_t runs = 0;

	open_heap();
	two.slot->reads_high = UINT32_MAX;
	for (uint32_t i = 0; i < RECORD_READ_COUNT; i++) {
		uint64_t offset = shm_offset(&heap.seg, shm_cell(&heap.seg, i));

		entry_of(&two)[i] = i % 3 == 0 ? unit_random(&seed) : i % 3 == 1 ? reader_word(offset, READER_TRYING) : offset | 15;
	}
	for (uint64_t index = 0; index < RECORD_READ_COUNT; index++)
		ck_assert_int_eq(run(&one, OP_READ_RW, index, NULL), 0);
	shm_robust_declare_dead(&heap.seg, two.id);
	do {
		ck_assert_int_eq(shm_recover(&heap.seg, NULL, &recovery), 0);
		runs++;
	} while (recovery.deferred);
	ck_assert_uint_eq(recovery.recovered, 1);
	ck_assert_uint_gt(runs, 1);
	for (uint64_t index = 0; index < RECORD_READ_COUNT; index++)
		ck_assert_int_eq(release(&one, index), 0);
	close_heap();
}
END_TEST

/* The checker sees what does not fit together. */
START_TEST(test_the_checker_sees_it)
{
	open_heap();
	ck_assert_int_eq(take(&one), 0);
	ck_assert_uint_eq(problems(), 0);
	put(&two, READER_HELD, 0);
	ck_assert_uint_eq(problems(), 1); /* two hold, one is counted */
	put(&two, READER_NONE, 0);
	*entry_of(&two) = READER_NONE;
	put(&two, READER_TRYING, 0);
	ck_assert_uint_eq(problems(), 1);
	*entry_of(&two) = reader_word(shm_offset(&heap.seg, shm_cell(&heap.seg, OTHER)), READER_HELD);
	ck_assert_uint_eq(problems(), 1);
	*entry_of(&two) = READER_NONE;
	freeze();
	ck_assert_uint_eq(problems(), 2);
	test_heap_close(&heap);
}
END_TEST

UNIT_MAIN("shm/reader", test_readers_are_counted, test_text_stays, test_who_waits, test_giving_way, test_a_release_given_up,
	  test_limits,
	  test_the_dead_hold_nothing, test_between_two_steps, test_a_frozen_cell_is_thawed,
	  test_a_writer_finds_the_dead, test_scribbled_records, test_the_checker_sees_it)
