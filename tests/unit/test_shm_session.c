/* Sessions that threads pass on, and waits that others end. */
#include <pthread.h>
#include <sched.h>

#include "shm/element.h"
#include "shm/futex.h"
#include "shm/recover.h"
#include "shm/ring.h"
#include "tests/unit/heap.h"
#include "tests/unit/unit.h"

#define ROUNDS 300

static struct test_heap heap;

static void open_heap(enum tag tag)
{
	struct heap_params params = test_params(64, false);

	params.initial_tag = (uint8_t)tag;
	test_heap_open(&heap, &params);
}

/* A dead slot is left alone while a living one works with it. */
START_TEST(test_the_user_of_a_dead_slot_lives)
{
	struct shm_session lent, user;
	struct shm_recovery recovery;

	open_heap(TAG_FULL);
	ck_assert_int_eq(shm_session_open(&lent, &heap.seg, 0), 0);
	ck_assert_int_eq(shm_session_open(&user, &heap.seg, 0), 0);
	ck_assert(!shm_slot_has_user(&heap.seg, lent.id));
	shm_session_lend(&lent, &user);
	ck_assert(shm_slot_has_user(&heap.seg, lent.id));
	shm_robust_declare_dead(&heap.seg, lent.id);
	ck_assert_int_eq(shm_recover(&heap.seg, NULL, &recovery), 0);
	ck_assert_uint_eq(recovery.recovered, 0);
	ck_assert_uint_eq(recovery.deferred, 1);
	ck_assert(shm_robust_is_dead(&heap.seg, lent.id));

	shm_robust_declare_dead(&heap.seg, user.id);
	while (shm_recovery_needed(&heap.seg))
		ck_assert_int_eq(shm_recover(&heap.seg, NULL, &recovery), 0);
	ck_assert(!shm_robust_is_dead(&heap.seg, lent.id) && !shm_robust_is_held(&heap.seg, lent.id));
	ck_assert_uint_eq(shm_slot(&heap.seg, lent.id)->user, 0);
	test_heap_close(&heap);
}
END_TEST

/* Who has the user's slot by now is somebody else. */
START_TEST(test_a_later_owner_of_the_users_slot)
{
	struct shm_session lent, user, later;
	struct shm_recovery recovery;

	open_heap(TAG_FULL);
	ck_assert_int_eq(shm_session_open(&lent, &heap.seg, 0), 0);
	ck_assert_int_eq(shm_session_open(&user, &heap.seg, 0), 0);
	shm_session_lend(&lent, &user);
	shm_session_close(&user);
	ck_assert(!shm_slot_has_user(&heap.seg, lent.id));
	ck_assert_int_eq(shm_session_open(&later, &heap.seg, 0), 0);
	ck_assert_uint_eq(later.id, user.id);
	ck_assert(!shm_slot_has_user(&heap.seg, lent.id));
	/* Nonsense from another process leads nowhere. */
	store64_release(&lent.slot->user, UINT64_MAX);
	ck_assert(!shm_slot_has_user(&heap.seg, lent.id));
	store64_release(&lent.slot->user, lent.id | (uint64_t)lent.slot->generation << 32);
	ck_assert(!shm_slot_has_user(&heap.seg, lent.id));
	shm_robust_declare_dead(&heap.seg, lent.id);
	ck_assert_int_eq(shm_recover(&heap.seg, NULL, &recovery), 0);
	ck_assert_uint_eq(recovery.recovered, 1);
	shm_session_close(&later);
	test_heap_close(&heap);
}
END_TEST

/* ---- cancelling ---- */

START_TEST(test_nothing_to_cancel)
{
	struct shm_cancel cancel = {0};
	uint32_t word = 0;

	ck_assert_int_eq(shm_cancel(&cancel), -ERROR_EMPTY);
	ck_assert(!shm_cancel_woken(&cancel));
	shm_cancel_end(&cancel);
	ck_assert(!shm_cancel_enter(&cancel, &word));
	shm_cancel_end(&cancel);
	ck_assert_int_eq(shm_cancel(&cancel), -ERROR_EMPTY);
	/* Where there is no canceller. */
	ck_assert(!shm_cancel_enter(NULL, &word) && !shm_cancel_woken(NULL));
	shm_cancel_end(NULL);
}
END_TEST

struct taker {
	struct shm_cancel cancel;
	bool is_queue;
	int result;
	struct shm_value value;
};

static void *take(void *arg)
{
	struct taker *taker = arg;
	struct shm_call call = {.op = OP_READ_FE, .result = &taker->value, .deadline = CLOCK_NEVER};
	struct shm_session session;

	taker->result = shm_session_open(&session, &heap.seg, 0);
	if (taker->result < 0)
		return NULL;
	session.cancel = &taker->cancel;
	taker->result = taker->is_queue ? shm_ring_take(&session, &call)
					: shm_element_apply(&heap.seg, &session, &call, NULL);
	ck_assert_uint_eq(session.slot->wait, 0);
	shm_session_close(&session);
	return NULL;
}

struct giver {
	bool is_queue;
	uint32_t *go;
};

static void *give(void *arg)
{
	struct giver *giver = arg;
	struct shm_value one = {.type = TYPE_INTEGER, .integer = 1};
	struct shm_call call = {.op = OP_WRITE_EF, .argument = &one, .deadline = CLOCK_NEVER};
	struct shm_session session;

	ck_assert_int_eq(shm_session_open(&session, &heap.seg, 0), 0);
	while (!load32_acquire(giver->go))
		cpu_relax();
	ck_assert_int_eq(giver->is_queue ? shm_ring_put(&session, &call, NULL)
					 : shm_element_apply(&heap.seg, &session, &call, NULL),
			 0);
	shm_session_close(&session);
	return NULL;
}

/* What is given at the same moment is taken, or is still there: and the canceller and the taker agree on which. */
static bool race(bool is_queue, uint64_t random)
{
	struct taker taker = {.is_queue = is_queue, .result = 1};
	uint32_t go = 0;
	struct giver giver = {is_queue, &go};
	pthread_t taking, giving;
	struct shm_session session;
	struct shm_value left;
	struct shm_call look = {.op = OP_READ_FE, .result = &left};
	int cancelled = -ERROR_EMPTY, found;

	memset(&left, 0, sizeof(left));
	ck_assert_int_eq(pthread_create(&taking, NULL, take, &taker), 0);
	ck_assert_int_eq(pthread_create(&giving, NULL, give, &giver), 0);
	while ((load32_acquire(&taker.cancel.word) & 3) == 0) /* until it waits */
		sched_yield();
	store32_release(&go, 1);
	for (uint64_t i = unit_random(&random) % 2000; i > 0; i--)
		cpu_relax();
	cancelled = shm_cancel(&taker.cancel);
	ck_assert_int_eq(pthread_join(giving, NULL), 0);
	ck_assert_int_eq(pthread_join(taking, NULL), 0);

	ck_assert_int_eq(shm_session_open(&session, &heap.seg, 0), 0);
	found = is_queue ? shm_ring_take(&session, &look) : shm_element_apply(&heap.seg, &session, &look, NULL);
	if (cancelled == 0) {
		ck_assert_int_eq(taker.result, -ERROR_CANCELLED);
		ck_assert_int_eq(found, 0);
	} else {
		ck_assert_int_eq(cancelled, -ERROR_EMPTY);
		ck_assert_int_eq(taker.result, 0);
		ck_assert_int_eq(taker.value.integer, 1);
		ck_assert_int_eq(found, is_queue ? -ERROR_EMPTY : -ERROR_TIMEOUT);
	}
	shm_session_close(&session);
	return cancelled == 0;
}

START_TEST(test_cancelled_or_done)
{
	uint64_t random = unit_seed();
	int cancelled[2] = {0, 0};

	open_heap(TAG_EMPTY);
	for (int i = 0; i < ROUNDS; i++)
		cancelled[i % 2] += race(i % 2, unit_random(&random));
	printf("%d of %d cancelled at an element, %d at the queue\n", cancelled[0], ROUNDS / 2, cancelled[1]);
	test_heap_close(&heap);
}
END_TEST

UNIT_MAIN("shm/session", test_the_user_of_a_dead_slot_lives, test_a_later_owner_of_the_users_slot,
	  test_nothing_to_cancel, test_cancelled_or_done)
