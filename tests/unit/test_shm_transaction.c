/* Transactions: the set and its end, and what a death leaves, in one heap and in two. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/clock.h"
#include "shm/atomic.h"
#include "shm/check.h"
#include "shm/recover.h"
#include "shm/transaction.h"
#include "shm/transaction_record.h"
#include "tests/unit/heap.h"
#include "tests/unit/unit.h"

#define HEAPS 2

static struct test_heap heaps[HEAPS];
static struct shm_session sessions[HEAPS]; /* those that will be dead */
static struct shm_session other;	   /* somebody else, in heap 0 */
static struct shm_part parts[HEAPS];
static struct shm_member members[8];
static struct shm_transaction transaction;
static bool gone[HEAPS];

/* ---- the heaps know each other ---- */

static int visit(void *context, const uint8_t heap_id[16], shm_neighbour_look *look, void *arg)
{
	(void)context;
	for (int i = 0; i < HEAPS; i++)
		if (memcmp(heap_id, parts[i].heap_id, 16) == 0 && !gone[i])
			return look(&heaps[i].seg, arg);
	return -ERROR_NOT_FOUND;
}

static const struct shm_neighbours neighbours = {.visit = visit};

static void open_heaps(void)
{
	for (int i = 0; i < HEAPS; i++) {
		struct heap_params params = test_params(64, false);

		test_heap_open(&heaps[i], &params);
		ck_assert_int_eq(shm_session_open(&sessions[i], &heaps[i].seg, 0), 0);
		parts[i] = (struct shm_part){.session = &sessions[i], .heap_id = "A"};
		parts[i].heap_id[0] = (uint8_t)('A' + i);
		heaps[i].seg.neighbours = &neighbours;
		gone[i] = false;
	}
	ck_assert_int_eq(shm_session_open(&other, &heaps[0].seg, 0), 0);
}

static void close_heaps(void)
{
	shm_session_close(&other);
	for (int i = 0; i < HEAPS; i++)
		test_heap_close(&heaps[i]);
}

/* ---- values ---- */

static struct shm_value text(const char *what)
{
	return (struct shm_value){.type = TYPE_STRING, .data = (void *)(uintptr_t)what, .size = strlen(what)};
}

static struct shm_value number(int64_t what)
{
	return (struct shm_value){.type = TYPE_INTEGER, .integer = what};
}

static int apply(struct shm_session *session, enum shm_op op, uint64_t index, const struct shm_value *argument,
		 struct shm_value *result)
{
	struct shm_call call = {.op = op, .target.index = index, .argument = argument, .result = result};

	return shm_element_apply(session->seg, session, &call, NULL);
}

static void set_text(int heap, uint64_t index, const char *what)
{
	struct shm_value value = text(what);

	ck_assert_int_eq(apply(&sessions[heap], OP_WRITE_XF, index, &value, NULL), 0);
}

static void set_number(int heap, uint64_t index, int64_t what)
{
	struct shm_value value = number(what);

	ck_assert_int_eq(apply(&sessions[heap], OP_WRITE_XF, index, &value, NULL), 0);
}

/* As anybody reads it. */
static void expect_text(int heap, uint64_t index, const char *what)
{
	struct shm_value value = {0};
	struct shm_call call = {.op = OP_READ, .target.index = index, .result = &value};

	ck_assert_int_eq(shm_element_apply(&heaps[heap].seg, NULL, &call, NULL), 0);
	ck_assert_uint_eq(value.type, TYPE_STRING);
	ck_assert_str_eq(value.data, what);
	free(value.data);
}

static void expect_number(int heap, uint64_t index, int64_t what)
{
	struct shm_value value = {0};
	struct shm_call call = {.op = OP_READ, .target.index = index, .result = &value};

	ck_assert_int_eq(shm_element_apply(&heaps[heap].seg, NULL, &call, NULL), 0);
	ck_assert_uint_eq(value.type, TYPE_INTEGER);
	ck_assert_int_eq(value.integer, what);
}

static enum tag tag_of(int heap, uint64_t index)
{
	return cell_tag(cell_load(shm_cell(&heaps[heap].seg, index)).meta);
}

static void print_problem(void *arg, const char *what)
{
	(void)arg;
	fprintf(stderr, "check: %s\n", what);
}

static void check_heap(int heap, bool quiet, uint64_t blobs)
{
	struct shm_check check = {.quiet = quiet, .problem = print_problem};

	ck_assert_int_eq(shm_check(&heaps[heap].seg, &check), 0);
	ck_assert_uint_eq(check.problems, 0);
	if (quiet)
		ck_assert_uint_eq(check.blobs_allocated, blobs);
}

/* ---- the set ---- */

static void add(uint32_t part, uint64_t index, bool read_only)
{
	members[transaction.count] = (struct shm_member){
		.part = part, .target.index = index, .read_only = read_only, .which = transaction.count};
	transaction.count++;
}

static void begin_set(uint32_t part_count)
{
	transaction = (struct shm_transaction){.parts = parts, .members = members, .part_count = part_count};
}

static const struct shm_member *member(uint32_t which)
{
	for (uint32_t i = 0; i < transaction.count; i++)
		if (members[i].which == which)
			return &members[i];
	abort();
}

static int begin_until(uint64_t deadline)
{
	return shm_transaction_begin(&transaction, &(struct shm_call){.deadline = deadline});
}

static void write_member(uint32_t which, struct shm_value value)
{
	ck_assert_int_eq(shm_transaction_write(&transaction, member(which), &value), 0);
}

/* Elements 5 (text), 3 (number) and, with two heaps, 4 of the other (text): locked and written. */
static void begin_usual(uint32_t part_count)
{
	set_text(0, 5, "the old text, in a block");
	set_number(0, 3, 30);
	set_text(1, 4, "the other heap's old text");
	begin_set(part_count);
	add(0, 5, false);
	add(0, 3, false);
	if (part_count > 1)
		add(1, 4, false);
	ck_assert_int_eq(begin_until(CLOCK_NEVER), 0);
	write_member(0, text("a first text, which is replaced"));
	write_member(0, text("the new text, in another block"));
	write_member(1, text("the number becomes a text"));
	if (part_count > 1)
		write_member(2, number(40));
}

static void expect_usual(uint32_t part_count, bool committed)
{
	if (committed) {
		expect_text(0, 5, "the new text, in another block");
		expect_text(0, 3, "the number becomes a text");
	} else {
		expect_text(0, 5, "the old text, in a block");
		expect_number(0, 3, 30);
	}
	if (part_count > 1 && committed)
		expect_number(1, 4, 40);
	else
		expect_text(1, 4, "the other heap's old text");
	ck_assert_int_eq(tag_of(0, 5), TAG_FULL);
	ck_assert_int_eq(tag_of(0, 3), TAG_FULL);
	ck_assert_int_eq(tag_of(1, 4), TAG_FULL);
	check_heap(0, true, committed ? 2 : 1);
	check_heap(1, true, part_count > 1 && committed ? 0 : 1);
}

START_TEST(test_commit_and_abort)
{
	for (uint32_t part_count = 1; part_count <= HEAPS; part_count++)
		for (int commit = 0; commit < 2; commit++) {
			open_heaps();
			begin_usual(part_count);
			check_heap(0, false, 0);
			if (commit)
				shm_transaction_commit(&transaction);
			else
				shm_transaction_abort(&transaction);
			expect_usual(part_count, commit);
			close_heaps();
		}
}
END_TEST

START_TEST(test_others_see_the_old_values_and_wait)
{
	struct shm_value value = number(1), found = {0};

	open_heaps();
	begin_usual(1);
	expect_text(0, 5, "the old text, in a block");
	expect_number(0, 3, 30);
	ck_assert_int_eq(tag_of(0, 3), TAG_BUSY);
	ck_assert_int_eq(apply(&other, OP_WRITE, 3, &value, NULL), -ERROR_TIMEOUT);
	ck_assert_int_eq(apply(&other, OP_READ_FE, 3, NULL, &found), -ERROR_TIMEOUT);
	ck_assert_int_eq(apply(&other, OP_ADD, 3, &value, &found), -ERROR_TIMEOUT);
	ck_assert_int_eq(shm_transaction_read(&transaction, member(1), &found), 0);
	ck_assert_str_eq(found.data, "the number becomes a text");
	free(found.data);
	shm_transaction_abort(&transaction);
	ck_assert_int_eq(apply(&other, OP_ADD, 3, &value, NULL), 0);
	expect_number(0, 3, 31);
	close_heaps();
}
END_TEST

START_TEST(test_an_element_twice_is_locked_once)
{
	struct shm_value value = number(8);

	open_heaps();
	set_number(0, 3, 7);
	begin_set(1);
	add(0, 3, true);
	add(0, 9, true);
	add(0, 3, false);
	add(0, 3, true);
	ck_assert_int_eq(begin_until(CLOCK_NEVER), 0);
	ck_assert_uint_eq(sessions[0].transaction_count, 1);
	ck_assert_int_eq(tag_of(0, 9), TAG_READERS);
	ck_assert_int_eq(apply(&sessions[0], OP_WRITE, 9, &value, NULL), -ERROR_READ_ONLY);
	ck_assert_int_eq(shm_transaction_write(&transaction, member(0), &value), 0);
	ck_assert_int_eq(shm_transaction_write(&transaction, member(1), &value), -ERROR_READ_ONLY);
	shm_transaction_commit(&transaction);
	expect_number(0, 3, 8);
	ck_assert_int_eq(tag_of(0, 9), TAG_FULL);
	check_heap(0, true, 0);
	close_heaps();
}
END_TEST

START_TEST(test_plain_operations_of_the_owner)
{
	struct shm_value one = number(1), found = {0}, tail = text(" and more");

	open_heaps();
	set_number(0, 3, 7);
	set_text(0, 5, "some");
	begin_set(1);
	add(0, 3, false);
	add(0, 5, false);
	ck_assert_int_eq(begin_until(CLOCK_NEVER), 0);
	ck_assert_int_eq(apply(&sessions[0], OP_ADD, 3, &one, &found), 0);
	ck_assert_int_eq(found.integer, 7);
	ck_assert_int_eq(apply(&sessions[0], OP_ADD_INT64, 3, &one, &found), 0);
	ck_assert_int_eq(found.integer, 8);
	ck_assert_int_eq(apply(&sessions[0], OP_ADD, 5, &tail, NULL), 0);
	ck_assert_int_eq(apply(&sessions[0], OP_READ, 5, NULL, &found), 0);
	ck_assert_str_eq(found.data, "some and more");
	expect_number(0, 3, 7);
	expect_text(0, 5, "some");
	ck_assert_int_eq(apply(&sessions[0], OP_READ_FE, 3, NULL, &found), 0);
	ck_assert_int_eq(found.integer, 9);
	ck_assert_int_eq(apply(&sessions[0], OP_READ_FE, 3, NULL, &found), -ERROR_DEADLOCK);
	/* A read lock beside its own lock would not be one, after the commit. */
	ck_assert_int_eq(apply(&sessions[0], OP_READ_RW, 5, NULL, &found), -ERROR_DEADLOCK);
	ck_assert_int_eq(apply(&sessions[0], OP_RELEASE_RW, 5, NULL, NULL), -ERROR_INVALID);
	ck_assert_int_eq(apply(&sessions[0], OP_WRITE, 20, &one, NULL), 0); /* not of the set */
	expect_number(0, 20, 1);
	shm_transaction_commit(&transaction);
	expect_number(0, 3, 9);
	expect_text(0, 5, "some and more");
	ck_assert_int_eq(tag_of(0, 3), TAG_EMPTY);
	check_heap(0, true, 1);
	free(found.data);
	close_heaps();
}
END_TEST

START_TEST(test_begin_waits_until_full)
{
	struct shm_call empty = {.op = OP_SET_TAG, .target.index = 3, .tag = TAG_EMPTY};

	open_heaps();
	set_number(0, 2, 20);
	set_number(0, 3, 30);
	ck_assert_int_eq(shm_element_apply(&heaps[0].seg, &other, &empty, NULL), 0);
	begin_set(1);
	add(0, 3, false);
	add(0, 2, false);
	ck_assert_int_eq(begin_until(0), -ERROR_TIMEOUT);
	ck_assert_uint_eq(transaction.failed, 0);
	ck_assert_int_eq(tag_of(0, 2), TAG_FULL);
	check_heap(0, true, 0);
	transaction.any_tag = true;
	ck_assert_int_eq(begin_until(0), 0);
	shm_transaction_abort(&transaction);
	ck_assert_int_eq(tag_of(0, 3), TAG_EMPTY);
	close_heaps();
}
END_TEST

START_TEST(test_pristine_elements_become_so_again)
{
	open_heaps();
	begin_set(1);
	add(0, 7, false);
	ck_assert_int_eq(begin_until(CLOCK_NEVER), 0);
	write_member(0, text("for nothing"));
	shm_transaction_abort(&transaction);
	ck_assert_int_eq(tag_of(0, 7), TAG_NONE);
	check_heap(0, true, 0);
	close_heaps();
}
END_TEST

/* ---- deaths ---- */

static void recover(int heap, uint32_t recovered, uint32_t deferred)
{
	struct shm_recovery recovery;

	ck_assert_int_eq(shm_recover(&heaps[heap].seg, NULL, &recovery), 0);
	ck_assert_uint_eq(recovery.recovered, recovered);
	ck_assert_uint_eq(recovery.deferred, deferred);
	ck_assert_uint_eq(recovery.corrupt, 0);
}

static void die(void)
{
	for (int i = 0; i < HEAPS; i++)
		shm_robust_declare_dead(&heaps[i].seg, sessions[i].id);
}

/* Dead with so many entries settled: in the order in which commit and abort go. */
static void settle_some(bool forward, uint32_t settled)
{
	if (forward)
		store64_release(&sessions[0].slot->transaction,
				transaction_word(parts[0].number, TRANSACTION_COMMITTED));
	for (uint32_t i = 0; i < settled; i++)
		transaction_settle(&sessions[i < 2 ? 0 : 1], i < 2 ? i : 0, forward);
}

START_TEST(test_death_in_one_heap)
{
	for (int forward = 0; forward < 2; forward++)
		for (uint32_t settled = 0; settled <= 2; settled++) {
			open_heaps();
			begin_usual(1);
			settle_some(forward, settled);
			die();
			recover(0, 1, 0);
			recover(1, 1, 0);
			expect_usual(1, forward);
			close_heaps();
		}
}
END_TEST

/* Whichever heap is recovered first, both end alike; a committed home waits for the other. */
START_TEST(test_death_in_two_heaps)
{
	for (int forward = 0; forward < 2; forward++)
		for (uint32_t settled = 0; settled <= 3; settled++)
			for (int home_first = 0; home_first < 2; home_first++) {
				open_heaps();
				begin_usual(2);
				settle_some(forward, settled);
				die();
				if (home_first && forward) {
					recover(0, 0, 1);
					recover(1, 1, 0);
					recover(0, 1, 0);
				} else {
					recover(home_first ? 0 : 1, 1, 0);
					recover(home_first ? 1 : 0, 1, 0);
				}
				expect_usual(2, forward);
				close_heaps();
			}
}
END_TEST

/* Who does not know the home leaves the slot to others. */
START_TEST(test_a_home_that_cannot_be_asked)
{
	open_heaps();
	begin_usual(2);
	settle_some(true, 0);
	die();
	heaps[1].seg.neighbours = NULL;
	recover(1, 0, 1);
	ck_assert_int_eq(tag_of(1, 4), TAG_BUSY);
	recover(0, 0, 1);
	heaps[1].seg.neighbours = &neighbours;
	recover(1, 1, 0);
	recover(0, 1, 0);
	expect_usual(2, true);
	close_heaps();
}
END_TEST

/* The home's slot has gone on to another transaction, which is committed: that says nothing about this one. */
START_TEST(test_a_home_that_has_gone_on)
{
	open_heaps();
	begin_usual(2);
	die();
	recover(0, 1, 0);
	ck_assert_int_eq(shm_session_open(&sessions[0], &heaps[0].seg, 0), 0);
	store64_release(&sessions[0].slot->transaction,
			transaction_word(parts[0].number + 1, TRANSACTION_COMMITTED));
	recover(1, 1, 0);
	store64_release(&sessions[0].slot->transaction, transaction_word(parts[0].number + 1, TRANSACTION_IDLE));
	shm_session_close(&sessions[0]);
	expect_usual(2, false);
	close_heaps();
}
END_TEST

/* The home ends before the other was recovered, which has learnt what it needs. */
START_TEST(test_farewell)
{
	for (int forward = 0; forward < 2; forward++) {
		open_heaps();
		begin_usual(2);
		settle_some(forward, 0);
		die();
		shm_transaction_farewell(&heaps[1].seg, &heaps[0].seg, parts[0].heap_id);
		gone[0] = true;
		recover(1, 1, 0);
		if (forward)
			expect_number(1, 4, 40);
		else
			expect_text(1, 4, "the other heap's old text");
		recover(0, 1, 0);
		expect_usual(2, forward);
		close_heaps();
	}
}
END_TEST

/* A lock by an entry of another transaction is not this one's to undo: an entry names its lock by version. */
START_TEST(test_an_entry_of_old_is_no_lock)
{
	struct cell *cell, seen;

	open_heaps();
	begin_usual(1);
	shm_transaction_abort(&transaction);
	begin_set(1);
	add(0, 9, false);
	ck_assert_int_eq(begin_until(CLOCK_NEVER), 0);
	/* Busy by the same slot, for another reason. */
	cell = shm_cell(&heaps[0].seg, 5);
	seen = cell_load(cell);
	ck_assert(cell_cas(cell, &seen,
			   (struct cell){cell_next(seen.meta, TAG_BUSY, cell_type(seen.meta), sessions[0].id), seen.value}));
	store32_release(&transaction_record(&heaps[0].seg, sessions[0].id)->count, 2);
	die();
	recover(0, 1, 0);
	ck_assert_int_eq(tag_of(0, 9), TAG_NONE);
	ck_assert_int_eq(tag_of(0, 5), TAG_BUSY);
	close_heaps();
}
END_TEST

/* Nonsense in the record is survived, and the slot is free afterwards. */
START_TEST(test_a_scribbled_record)
{
	uint64_t state = unit_seed();

	for (int round = 0; round < 200; round++) {
		struct shm_recovery recovery;

		open_heaps();
		begin_usual(2);
		for (int i = 0; i < HEAPS; i++) {
			uint64_t *words = (uint64_t *)transaction_entries(&heaps[i].seg, sessions[i].id);

			for (int k = 0; k < 6; k++)
				words[unit_random(&state) % 16] = unit_random(&state) >> unit_random(&state) % 64;
			words = (uint64_t *)transaction_record(&heaps[i].seg, sessions[i].id);
			words[unit_random(&state) % 16] = unit_random(&state) >> unit_random(&state) % 64;
			sessions[i].slot->transaction = unit_random(&state) % 16;
		}
		die();
		for (int i = 0; i < 2 * HEAPS; i++)
			ck_assert_int_eq(shm_recover(&heaps[i % HEAPS].seg, NULL, &recovery), 0);
		close_heaps();
	}
}
END_TEST

static void *wait_to_write(void *arg)
{
	struct shm_session mine;
	struct shm_value value = number(99);
	struct shm_call call = {.op = OP_WRITE, .target.index = 3, .argument = &value, .deadline = CLOCK_NEVER};
	int r = shm_session_open(&mine, &heaps[0].seg, 0);

	if (r == 0)
		r = shm_element_apply(&heaps[0].seg, &mine, &call, NULL);
	if (r == 0)
		shm_session_close(&mine);
	*(int *)arg = r;
	return NULL;
}

static void begin_and_end(struct shm_segment *seg)
{
	struct shm_session mine;
	struct shm_part part = {.session = &mine};
	struct shm_member one = {.target.index = 3};
	struct shm_transaction its = {.parts = &part, .members = &one, .part_count = 1, .count = 1};

	if (shm_session_open(&mine, seg, 0) == 0 &&
	    shm_transaction_begin(&its, &(struct shm_call){.deadline = CLOCK_NEVER}) == 0)
		(void)raise(SIGKILL);
}

/* Nobody but the waiter is there to repair. */
START_TEST(test_a_waiter_gets_on_when_the_owner_dies)
{
	pthread_t thread;
	int result = 1, status;

	open_heaps();
	set_number(0, 3, 30);
	status = test_in_child(&heaps[0], begin_and_end);
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(tag_of(0, 3), TAG_BUSY);
	ck_assert_int_eq(pthread_create(&thread, NULL, wait_to_write, &result), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0); /* hangs, and fails by time-out, when it does not */
	ck_assert_int_eq(result, 0);
	expect_number(0, 3, 99);
	close_heaps();
}
END_TEST

UNIT_MAIN("shm/transaction", test_commit_and_abort, test_others_see_the_old_values_and_wait,
	  test_an_element_twice_is_locked_once, test_plain_operations_of_the_owner, test_begin_waits_until_full,
	  test_pristine_elements_become_so_again, test_death_in_one_heap, test_death_in_two_heaps,
	  test_a_home_that_cannot_be_asked, test_a_home_that_has_gone_on, test_farewell,
	  test_an_entry_of_old_is_no_lock, test_a_scribbled_record, test_a_waiter_gets_on_when_the_owner_dies)
