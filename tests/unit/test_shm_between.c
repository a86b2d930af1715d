/*
 * What happens between two lines of an operation: the test gets in where the code makes a system call, or asks
 * for memory, and lets others run there.
 */
#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "shm/atomic.h"
#include "shm/element.h"
#include "shm/recover.h"
#include "shm/robust.h"
#include "shm/transaction.h"
#include "tests/unit/heap.h"
#include "tests/unit/unit.h"

static struct test_heap heap;

/* ---- system calls: this program's syscall() stands before the C library's ---- */

static void (*before_membarrier)(void);
static __thread void (*after_futex)(void);

/* Takes six arguments, given or not, as the C library's does in assembly: not for the address sanitizer. */
__attribute__((no_sanitize("address"))) long syscall(long number, ...)
{
	static long (*real)(long number, ...);
	va_list list;
	long a[6], r;
	int error;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "syscall");
	va_start(list, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	if (number == SYS_membarrier && before_membarrier)
		before_membarrier();
	r = real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	error = errno;
	if (number == SYS_futex && after_futex)
		after_futex();
	errno = error;
	return r;
}

/* ---- waiters ---- */

struct waiter {
	enum shm_op op;
	const struct shm_key *key; /* or NULL: element 0 */
	bool held;		   /* once woken, it stays where it is until `go` */
	bool locks;		   /* instead of op: locks the element by a transaction, and ends with it */
	sem_t woken, go;
	struct shm_session session;
	pthread_t thread;
	int result;
};

static __thread struct waiter *waiter_self;

static void hold(void)
{
	after_futex = NULL;
	ck_assert_int_eq(sem_post(&waiter_self->woken), 0);
	while (sem_wait(&waiter_self->go) < 0)
		continue;
}

static void *wait_for_full(void *arg)
{
	struct waiter *waiter = arg;
	struct shm_value one = {.type = TYPE_INTEGER, .integer = 1};
	struct shm_call call = {.op = waiter->op,
				.target.key = waiter->key,
				.argument = &one,
				.deadline = CLOCK_NEVER};

	waiter_self = waiter;
	waiter->result = shm_session_open(&waiter->session, &heap.seg, 0);
	if (waiter->result < 0)
		return NULL;
	if (waiter->held)
		after_futex = hold;
	if (waiter->locks) {
		struct shm_part part = {.session = &waiter->session};
		struct shm_member member = {.target.index = 0};
		struct shm_transaction transaction = {.parts = &part, .members = &member, .part_count = 1, .count = 1};

		waiter->result = shm_transaction_begin(&transaction, &call);
		return NULL;
	}
	waiter->result = shm_element_apply(&heap.seg, &waiter->session, &call, NULL);
	shm_session_close(&waiter->session);
	return NULL;
}

static bool sleeps(uint32_t tid)
{
	char path[64], state = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%" PRIu32 "/stat", tid);
	file = fopen(path, "r");
	if (!file)
		return false;
	if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		state = 0;
	fclose(file);
	return state == 'S';
}

static void start(struct waiter *waiter, uint32_t id)
{
	const struct slot *slot = shm_slot(&heap.seg, id);

	ck_assert_int_eq(sem_init(&waiter->woken, 0, 0), 0);
	ck_assert_int_eq(sem_init(&waiter->go, 0, 0), 0);
	ck_assert_int_eq(pthread_create(&waiter->thread, NULL, wait_for_full, waiter), 0);
	while (load64_acquire(&slot->wait) == 0 || !sleeps(load32_relaxed(&slot->tid)))
		(void)sched_yield();
}

static void end(struct waiter *waiter)
{
	ck_assert_int_eq(pthread_join(waiter->thread, NULL), 0);
	ck_assert_int_eq(waiter->result, 0);
}

static int apply(struct shm_session *session, enum shm_op op, const struct shm_key *key,
		 const struct shm_value *argument)
{
	struct shm_call call = {.op = op, .target.key = key, .argument = argument};

	return shm_element_apply(&heap.seg, session, &call, NULL);
}

/* A wake goes to one that waits for FULL. When that one leaves it FULL, it is the next one's turn. */
START_TEST(test_who_leaves_the_element_full_wakes_the_next)
{
	static const enum shm_op ops[] = {OP_ADD, OP_SWAP, OP_MAX};
	struct shm_value one = {.type = TYPE_INTEGER, .integer = 1};
	struct shm_call read = {.op = OP_READ, .result = &one};

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		struct heap_params params = test_params(4, false);
		struct waiter waiters[3] = {{.op = ops[i]}, {.op = ops[i]}, {.op = ops[i]}};
		struct shm_session session;

		params.initial_tag = TAG_EMPTY;
		test_heap_open(&heap, &params);
		ck_assert_int_eq(shm_session_open(&session, &heap.seg, 0), 0);
		for (uint32_t w = 0; w < ARRAY_SIZE(waiters); w++)
			start(&waiters[w], session.id + 1 + w);
		one.integer = 1;
		ck_assert_int_eq(apply(&session, OP_WRITE_XF, NULL, &one), 0);
		for (uint32_t w = 0; w < ARRAY_SIZE(waiters); w++)
			end(&waiters[w]);
		ck_assert_int_eq(shm_element_apply(&heap.seg, NULL, &read, NULL), 0);
		ck_assert_int_eq(one.integer, ops[i] == OP_ADD ? 4 : 1);
		shm_session_close(&session);
		test_heap_close(&heap);
	}
}
END_TEST

/* Two sleep on a key's element; one is woken, and the key is deleted before it runs, and made anew elsewhere. */
START_TEST(test_a_wake_for_a_key_that_moved_is_passed_on)
{
	struct heap_params params = test_params(64, true);
	struct shm_value one = {.type = TYPE_INTEGER, .integer = 1};
	struct shm_session session, other;
	struct shm_key key;

	params.initial_tag = TAG_EMPTY;
	test_heap_open(&heap, &params);
	key = shm_key_integer(&heap.seg, 7);
	struct waiter first = {.op = OP_READ_FE, .key = &key, .held = true}, second = {.op = OP_READ_FE, .key = &key};
	ck_assert_int_eq(shm_session_open(&session, &heap.seg, 0), 0);
	ck_assert_int_eq(shm_session_open(&other, &heap.seg, 0), 0);
	ck_assert_int_eq(apply(&session, OP_WRITE_XE, &key, &one), 0);
	start(&first, other.id + 1);
	start(&second, other.id + 2);

	ck_assert_int_eq(apply(&session, OP_WRITE_XF, &key, &one), 0); /* wakes the first one */
	while (sem_wait(&first.woken) < 0)
		continue;
	ck_assert_int_eq(apply(&session, OP_DELETE, &key, NULL), 0);
	ck_assert_int_eq(apply(&other, OP_WRITE_XF, &key, &one), 0);
	ck_assert_int_eq(sem_post(&first.go), 0);
	end(&first);
	ck_assert_int_eq(apply(&other, OP_WRITE_XF, &key, &one), 0);
	end(&second);
	shm_session_close(&other);
	shm_session_close(&session);
	test_heap_close(&heap);
}
END_TEST

/* ---- a compare-and-swap that has copied the old text ---- */

static struct shm_session deleter, inserter;

static int storage_after_a_move(void *context, struct shm_segment *seg, uint32_t chunks)
{
	static const struct shm_supply *const local = &shm_local_supply;
	struct shm_key key = shm_key_integer(seg, 7);
	struct shm_value two = {.type = TYPE_STRING, .data = (char[]){"two"}, .size = 3};

	seg->supply = local;
	ck_assert_int_eq(apply(&deleter, OP_DELETE, &key, NULL), 0);
	ck_assert_int_eq(apply(&inserter, OP_WRITE, &key, &two), 0);
	return local->storage(context, seg, chunks);
}

/* The same meta, but another element, and another text. */
START_TEST(test_a_text_is_compared_with_that_of_the_element_there_now)
{
	static const struct shm_supply supply = {.storage = storage_after_a_move};
	static char large[40000];
	struct heap_params params = test_params(64, true);
	struct shm_value one = {.type = TYPE_STRING, .data = (char[]){"one"}, .size = 3}, seen = {0},
			 desired = {.type = TYPE_STRING, .data = large, .size = sizeof(large)};
	struct shm_session session;
	struct shm_key key;
	struct shm_call cas = {.op = OP_CAS, .target.key = &key, .argument = &one, .argument2 = &desired},
			read = {.op = OP_READ, .target.key = &key, .result = &seen};
	bool changed = true;

	test_heap_open(&heap, &params);
	key = shm_key_integer(&heap.seg, 7);
	ck_assert_int_eq(shm_session_open(&session, &heap.seg, 0), 0);
	ck_assert_int_eq(shm_session_open(&deleter, &heap.seg, 0), 0);
	ck_assert_int_eq(shm_session_open(&inserter, &heap.seg, 0), 0);
	/* All have elements and a slab, so that the next thing asked for is room for the large text. */
	for (int64_t i = 0; i < 2; i++) {
		struct shm_key others = shm_key_integer(&heap.seg, 100 + i);

		ck_assert_int_eq(apply(i ? &deleter : &inserter, OP_WRITE, &others, &one), 0);
	}
	ck_assert_int_eq(apply(&session, OP_WRITE, &key, &one), 0);
	heap.seg.supply = &supply;
	ck_assert_int_eq(shm_element_apply(&heap.seg, &session, &cas, &changed), 0);
	ck_assert_ptr_eq(heap.seg.supply, &shm_local_supply);
	ck_assert(!changed);
	ck_assert_int_eq(shm_element_apply(&heap.seg, NULL, &read, NULL), 0);
	ck_assert_uint_eq(seen.size, 3);
	ck_assert_mem_eq(seen.data, "two", 3);
	free(seen.data);
	shm_session_close(&inserter);
	shm_session_close(&deleter);
	shm_session_close(&session);
	test_heap_close(&heap);
}
END_TEST

/* ---- the gate ---- */

static struct shm_session newcomer;

/* It has seen the gate down before that went up. */
static void come_in(void)
{
	before_membarrier = NULL;
	ck_assert_int_eq(shm_session_open(&newcomer, &heap.seg, 0), 0);
	store64_relaxed(&newcomer.slot->cur, CUR_NONE);
}

START_TEST(test_the_gate_knows_of_a_slot_taken_while_it_went_up)
{
	struct heap_params params = test_params(64, false);

	test_heap_open(&heap, &params);
	before_membarrier = come_in;
	ck_assert_int_eq(shm_gate_raise(&heap.seg), -ERROR_BUSY);
	shm_step_leave(&newcomer);
	ck_assert_int_eq(shm_gate_raise(&heap.seg), 0);
	shm_gate_lower(&heap.seg);
	shm_session_close(&newcomer);
	test_heap_close(&heap);
}
END_TEST

static void raise_and_die(struct shm_segment *seg)
{
	if (shm_gate_raise(seg) == 0)
		(void)raise(SIGKILL);
}

/* Its next operation, or recovery, goes on; and the gate can be raised again. */
START_TEST(test_the_gate_of_a_dead_daemon_is_lowered)
{
	struct heap_params params = test_params(64, false);
	struct shm_recovery recovery;
	struct shm_session session;

	test_heap_open(&heap, &params);
	ck_assert_int_eq(shm_session_open(&session, &heap.seg, 0), 0);
	for (int recovers = 0; recovers < 2; recovers++) {
		int status = test_in_child(&heap, raise_and_die);

		ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		ck_assert_uint_eq(shm_header(&heap.seg)->gate, 1);
		if (recovers) {
			ck_assert_int_eq(shm_recover(&heap.seg, &session, &recovery), 0);
			ck_assert_uint_eq(shm_header(&heap.seg)->gate, 0);
		}
		shm_step_enter(&session);
		shm_step_leave(&session);
		ck_assert_int_eq(shm_gate_raise(&heap.seg), 0);
		shm_gate_lower(&heap.seg);
	}
	shm_session_close(&session);
	test_heap_close(&heap);
}
END_TEST

/* One without a slot recovers without steps: so not while the gate is up. */
START_TEST(test_nobody_recovers_behind_the_gate)
{
	struct heap_params params = test_params(64, false);
	struct shm_recovery recovery;

	test_heap_open(&heap, &params);
	ck_assert_int_eq(shm_gate_raise(&heap.seg), 0);
	ck_assert_int_eq(shm_recover(&heap.seg, NULL, &recovery), -ERROR_BUSY);
	shm_gate_lower(&heap.seg);
	ck_assert_int_eq(shm_recover(&heap.seg, NULL, &recovery), 0);
	test_heap_close(&heap);
}
END_TEST

/* ---- the end of a thread inside an operation ---- */

START_TEST(test_a_session_closed_inside_an_operation_is_recovered)
{
	struct heap_params params = test_params(64, false);
	struct shm_recovery recovery;
	struct shm_session session;
	struct slot *slot;

	for (int part = 0; part < 3; part++) {
		test_heap_open(&heap, &params);
		ck_assert_int_eq(shm_session_open(&session, &heap.seg, 0), 0);
		slot = session.slot;
		if (part == 0)
			shm_step_enter(&session);
		else if (part == 1)
			store64_release(&slot->intent, INTENT_CLAIM);
		else
			store64_release(&slot->wait, shm_offset(&heap.seg, shm_cell(&heap.seg, 0)));
		shm_session_close(&session);
		ck_assert(shm_robust_is_dead(&heap.seg, 1));
		ck_assert_int_eq(shm_recover(&heap.seg, NULL, &recovery), 0);
		ck_assert_uint_eq(recovery.recovered, 1);
		ck_assert_uint_eq(slot->cur | slot->intent | slot->wait | slot->state, 0);
		ck_assert_int_eq(shm_session_open(&session, &heap.seg, 0), 0);
		ck_assert_uint_eq(session.id, 1);
		shm_session_close(&session);
		test_heap_close(&heap);
	}
}
END_TEST

/*
 * A wake goes to a transaction, which locks the element and dies. Who still sleeps for FULL must have been told by then,
 * or nobody would see the death.
 */
START_TEST(test_who_locks_tells_those_who_sleep_on)
{
	struct shm_value one = {.type = TYPE_INTEGER, .integer = 1};
	struct waiter locker = {.locks = true}, taker = {.op = OP_READ_FE};
	struct heap_params params = test_params(4, false);
	struct shm_session session;

	test_heap_open(&heap, &params);
	ck_assert_int_eq(shm_session_open(&session, &heap.seg, 0), 0);
	ck_assert_int_eq(apply(&session, OP_WRITE_XE, NULL, &one), 0);
	start(&locker, 2);
	start(&taker, 3);
	ck_assert_int_eq(apply(&session, OP_WRITE_XF, NULL, &one), 0);
	end(&locker);
	end(&taker); /* hangs, and fails by time-out, when it does not hear of it */
	shm_session_close(&session);
	test_heap_close(&heap);
}
END_TEST

/* The kernel tells of an owner's death to one sleeper only, and that one may be on the way out itself. */
START_TEST(test_an_owner_whose_death_nobody_heard_of)
{
	struct shm_value one = {.type = TYPE_INTEGER, .integer = 1};
	struct waiter taker = {.op = OP_READ_FE};
	struct heap_params params = test_params(4, false);
	struct shm_session owner;
	struct shm_part part = {.session = &owner};
	struct shm_member member = {.target.index = 0};
	struct shm_transaction transaction = {.parts = &part, .members = &member, .part_count = 1, .count = 1};

	test_heap_open(&heap, &params);
	ck_assert_int_eq(shm_session_open(&owner, &heap.seg, 0), 0);
	ck_assert_int_eq(apply(&owner, OP_WRITE_XF, NULL, &one), 0);
	ck_assert_int_eq(shm_transaction_begin(&transaction, &(struct shm_call){.deadline = 0}), 0);
	start(&taker, 2);
	(void)or32(shm_robust_word(&heap.seg, owner.id), FUTEX_OWNER_DIED); /* and no wake */
	end(&taker);
	test_heap_close(&heap);
}
END_TEST

UNIT_MAIN("shm/between", test_who_leaves_the_element_full_wakes_the_next,
	  test_a_wake_for_a_key_that_moved_is_passed_on,
	  test_a_text_is_compared_with_that_of_the_element_there_now,
	  test_the_gate_knows_of_a_slot_taken_while_it_went_up, test_the_gate_of_a_dead_daemon_is_lowered,
	  test_nobody_recovers_behind_the_gate,
	  test_a_session_closed_inside_an_operation_is_recovered,
	  test_who_locks_tells_those_who_sleep_on, test_an_owner_whose_death_nobody_heard_of)
