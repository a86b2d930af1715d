/* Sessions that threads pass on, and ending the waits of others. */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/client.h"

static uint32_t slots_of(ems_connection_t *connection, const char *name)
{
	ems_heap_info_t info;

	ck_ok(ems_heap_inspect(connection, name, &info));
	return info.slots;
}

/* ---- passing on ---- */

struct user {
	ems_heap_t *heap;
	ems_session_t *session;
	sem_t using, go;
};

static void *use_until_told(void *arg)
{
	struct user *user = arg;
	ems_session_t *former;

	ck_ok(ems_session_use(user->session, &former));
	ck_assert_ptr_null(former);
	ck_assert_ptr_eq(ems_session_self(), user->session);
	ck_ok(ems_faa_int64(user->heap, ems_index(0), 1, NULL));
	sem_post(&user->using);
	sem_wait(&user->go);
	ck_ok(ems_faa_int64(user->heap, ems_index(0), 1, NULL));
	return NULL; /* without a word: the session stays */
}

START_TEST(test_a_session_outlives_its_users)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap = make_heap(connection, "sessions/pass", &(ems_heap_options_t){.elements = 10});
	struct user user = {.heap = heap};
	ems_session_t *former;
	pthread_t thread;
	int64_t value;

	sem_init(&user.using, 0, 0);
	sem_init(&user.go, 0, 0);
	ck_ok(ems_session_open(&user.session));
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(pthread_create(&thread, NULL, use_until_told, &user), 0);
		sem_wait(&user.using);
		ck_ems(ems_session_use(user.session, &former), EMS_EBUSY);
		ck_ems(ems_session_close(user.session), EMS_EBUSY);
		ck_assert_uint_eq(slots_of(connection, "sessions/pass"), 2); /* the session's and the thread's */
		sem_post(&user.go);
		pthread_join(thread, NULL);
		ck_assert_uint_eq(slots_of(connection, "sessions/pass"), 1);
	}
	ck_ok(ems_session_use(user.session, &former));
	ck_assert_ptr_null(former);
	ck_ok(ems_faa_int64(heap, ems_index(0), 1, NULL));
	ck_ok(ems_session_use(user.session, &former)); /* as it is */
	ck_assert_ptr_eq(former, user.session);
	ck_ok(ems_session_use(NULL, &former));
	ck_assert_ptr_eq(former, user.session);
	ck_ok(ems_read_int64(heap, ems_index(0), &value));
	ck_assert_int_eq(value, 11);
	ck_ok(ems_session_close(user.session));
	ck_assert_uint_eq(slots_of(connection, "sessions/pass"), 1); /* this thread's */
	ems_heap_detach_thread(heap);
	ck_assert_uint_eq(slots_of(connection, "sessions/pass"), 0);
	end_heap(connection, heap);
	ems_disconnect(connection);
}
END_TEST

START_TEST(test_many_sessions_in_one_thread)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap[3];
	ems_session_t *session[20], *former;
	int64_t value;

	for (int i = 0; i < 3; i++) {
		char name[] = "sessions/many0";

		name[13] = (char)('0' + i);
		heap[i] = make_heap(connection, name, &(ems_heap_options_t){.elements = 10});
	}
	for (int i = 0; i < 20; i++)
		ck_ok(ems_session_open(&session[i]));
	for (int i = 0; i < 200; i++) {
		ck_ok(ems_session_use(session[i % 20], &former));
		if (i > 0)
			ck_assert_ptr_eq(former, session[(i - 1) % 20]);
		ck_ok(ems_faa_int64(heap[i % 3], ems_index(1), 1, NULL));
		if (i == 100)
			ems_heap_detach_thread(heap[i % 3]); /* its own slot, not the session's */
		ck_ok(ems_faa_int64(heap[i % 3], ems_index(1), 1, NULL));
	}
	for (int i = 0; i < 3; i++) {
		ck_ok(ems_read_int64(heap[i], ems_index(1), &value));
		ck_assert_int_eq(value, i < 2 ? 134 : 132);
	}
	ck_assert_uint_eq(slots_of(connection, "sessions/many0"), 21);
	/* The last handle: their slots go, though they are not in use; the session that is in use, too. */
	for (int i = 0; i < 3; i++)
		end_heap(connection, heap[i]);
	ck_ok(ems_session_close(session[19])); /* the present one: the thread's own again */
	ck_ok(ems_session_use(NULL, &former));
	ck_assert_ptr_null(former);
	for (int i = 0; i < 19; i++)
		ck_ok(ems_session_close(session[i]));
	ems_disconnect(connection);
}
END_TEST

static void *own_session(void *arg)
{
	*(ems_session_t **)arg = ems_session_self();
	return NULL;
}

START_TEST(test_wrong_use)
{
	ems_session_t *session;
	pthread_t thread;

	ck_ems(ems_session_open(NULL), EMS_EINVALID);
	ck_ok(ems_session_close(NULL));
	ck_ems(ems_session_close(ems_session_self()), EMS_EINVALID);
	ck_ok(ems_session_use(ems_session_self(), NULL));
	ck_ems(ems_cancel(NULL), EMS_EINVALID);
	ck_ems(ems_cancel(ems_session_self()), EMS_EEMPTY);
	ck_ems(ems_session_interruptible(NULL, true, NULL), EMS_EINVALID);
	ck_assert_int_eq(pthread_create(&thread, NULL, own_session, &session), 0);
	pthread_join(thread, NULL);
	ck_assert_ptr_ne(session, ems_session_self());
}
END_TEST

/* ---- processes ---- */

static void die_with_sessions(void)
{
	ems_connection_t *connection = connect_daemon();
	ems_value_t text = text_value("left by the dead");
	ems_heap_t *heap;
	ems_session_t *session;

	ck_ok(ems_heap_open(connection, "sessions/die", EMS_OPEN_EXISTING, NULL, &heap));
	for (int i = 0; i < 10; i++) {
		ck_ok(ems_session_open(&session));
		ck_ok(ems_session_use(session, NULL));
		ck_ok(ems_write(heap, ems_index(i), &text));
	}
	raise(SIGKILL);
}

START_TEST(test_sessions_die_with_their_process)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap = make_heap(connection, "sessions/die", &(ems_heap_options_t){.elements = 10});
	ems_value_t text = text_value("left by the dead");
	pid_t pid = fork();
	int status;

	if (pid == 0)
		die_with_sessions();
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	while (slots_of(connection, "sessions/die") > 0) /* the daemon sees to it */
		sched_yield();
	ck_reads(heap, ems_index(9), &text);
	end_heap(connection, heap);
	ems_disconnect(connection);
}
END_TEST

static void use_in_child(ems_session_t *session, ems_session_t *present)
{
	ems_connection_t *own;
	ems_session_t *mine;
	ems_heap_t *heap;

	ck_ems(ems_session_use(session, NULL), EMS_EFORKED);
	ck_ems(ems_cancel(session), EMS_EFORKED);
	ck_assert_ptr_ne(ems_session_self(), present);
	ck_ok(ems_session_close(session)); /* memory only */
	own = connect_daemon();
	ck_ok(ems_heap_open(own, "sessions/fork", EMS_OPEN_EXISTING, NULL, &heap));
	ck_ok(ems_session_open(&mine));
	ck_ok(ems_session_use(mine, NULL));
	ck_ok(ems_faa_int64(heap, ems_index(0), 1, NULL));
	ck_ok(ems_session_close(mine));
	ems_heap_close(heap);
	ems_disconnect(own);
	_exit(0);
}

START_TEST(test_fork)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap = make_heap(connection, "sessions/fork", &(ems_heap_options_t){.elements = 10});
	ems_session_t *idle, *present;
	int64_t value;

	ck_ok(ems_session_open(&idle));
	ck_ok(ems_session_open(&present));
	ck_ok(ems_session_use(idle, NULL));
	ck_ok(ems_faa_int64(heap, ems_index(0), 1, NULL));
	ck_ok(ems_session_use(present, NULL));
	for (int i = 0; i < 4; i++) {
		pid_t pid;
		int status;

		ck_ok(ems_faa_int64(heap, ems_index(0), 1, NULL));
		pid = fork();
		if (pid == 0)
			use_in_child(idle, present);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_int_eq(status, 0);
	}
	ck_assert_ptr_eq(ems_session_self(), present);
	ck_ok(ems_faa_int64(heap, ems_index(0), 1, NULL));
	ck_ok(ems_read_int64(heap, ems_index(0), &value));
	ck_assert_int_eq(value, 10);
	ck_ok(ems_session_close(present));
	ck_ok(ems_session_close(idle));
	end_heap(connection, heap);
	ems_disconnect(connection);
}
END_TEST

/* ---- cancelling ---- */

enum wait { WAIT_FE, WAIT_FF, WAIT_EF, WAIT_DEQUEUE, WAIT_POP, WAIT_ENQUEUE, WAIT_PUSH, WAITS };

struct waiter {
	ems_heap_t *heap;
	enum wait wait;
	ems_session_t *session; /* that it uses: given, or its own */
	sem_t ready, go;
	bool interruptible;
	int result;
};

static int wait_for(struct waiter *waiter)
{
	ems_value_t value = ems_value_integer(1);
	ems_heap_t *heap = waiter->heap;

	switch (waiter->wait) {
	case WAIT_FE:
		return ems_read_fe(heap, ems_index(0), NULL);
	case WAIT_FF:
		return ems_read_ff(heap, ems_index(0), NULL);
	case WAIT_EF:
		return ems_write_ef(heap, ems_index(1), &value);
	case WAIT_DEQUEUE:
		return ems_dequeue_until(heap, NULL, EMS_FOREVER);
	case WAIT_POP:
		return ems_pop_until(heap, NULL, EMS_FOREVER);
	case WAIT_ENQUEUE:
		return ems_enqueue_until(heap, &value, NULL, EMS_FOREVER);
	default:
		return ems_push_until(heap, &value, NULL, EMS_FOREVER);
	}
}

static void *wait_long(void *arg)
{
	struct waiter *waiter = arg;

	if (waiter->session)
		ck_ok(ems_session_use(waiter->session, NULL));
	waiter->session = ems_session_self();
	ck_ok(ems_session_interruptible(waiter->session, waiter->interruptible, NULL));
	sem_post(&waiter->ready);
	waiter->result = wait_for(waiter);
	sem_wait(&waiter->go); /* its session is asked for until then */
	return NULL;
}

static void start_waiter(struct waiter *waiter, pthread_t *thread)
{
	sem_init(&waiter->ready, 0, 0);
	sem_init(&waiter->go, 0, 0);
	ck_assert_int_eq(pthread_create(thread, NULL, wait_long, waiter), 0);
	sem_wait(&waiter->ready);
}

static void end_waiter(struct waiter *waiter, pthread_t thread)
{
	sem_post(&waiter->go);
	pthread_join(thread, NULL);
	sem_destroy(&waiter->ready);
	sem_destroy(&waiter->go);
}

static void fill_queue_and_stack(ems_heap_t *heap)
{
	ems_value_t value = ems_value_integer(7);

	while (ems_enqueue(heap, &value, NULL) == 0)
		continue;
	while (ems_push(heap, &value, NULL) == 0)
		continue;
}

START_TEST(test_every_wait_can_be_cancelled)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap = make_heap(connection, "sessions/cancel", &(ems_heap_options_t){.elements = 4});
	ems_session_t *session;
	uint64_t length;

	ck_ok(ems_session_open(&session));
	ck_ok(ems_set_tag(heap, ems_index(0), EMS_EMPTY));
	for (int i = 0; i < 2 * WAITS; i++) {
		struct waiter waiter = {.heap = heap, .wait = (enum wait)(i % WAITS)};
		pthread_t thread;
		int r;

		if (waiter.wait == WAIT_ENQUEUE)
			fill_queue_and_stack(heap);
		if (i >= WAITS)
			waiter.session = session;
		start_waiter(&waiter, &thread);
		while ((r = ems_cancel(waiter.session)) != 0) /* it does not wait yet */
			ck_ems(r, EMS_EEMPTY);
		end_waiter(&waiter, thread);
		ck_assert_int_eq(waiter.result, -EMS_ECANCELLED);
		if (waiter.wait == WAIT_PUSH) {
			ck_ok(ems_queue_length(heap, &length));
			ck_assert_uint_eq(length, 4);
			ck_ok(ems_stack_length(heap, &length));
			ck_assert_uint_eq(length, 4);
			while (ems_dequeue(heap, NULL) == 0 && ems_pop(heap, NULL) == 0)
				continue;
		}
	}
	ck_ems(ems_cancel(session), EMS_EEMPTY);
	/* What was cancelled has left nothing behind: the next one is served. */
	ck_ok(ems_set_tag(heap, ems_index(0), EMS_FULL));
	ck_ok(ems_read_fe(heap, ems_index(0), NULL));
	ck_ok(ems_session_close(session));
	end_heap(connection, heap);
	ems_disconnect(connection);
}
END_TEST

/* One of two who wait for the same is cancelled: the other still gets it. */
START_TEST(test_a_cancelled_waiter_takes_no_wake_with_it)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap = make_heap(connection, "sessions/two",
				     &(ems_heap_options_t){.elements = 4, .initial_tag = EMS_EMPTY});

	for (int i = 0; i < 200; i++) {
		struct waiter waiter[2] = {{.heap = heap}, {.heap = heap}};
		pthread_t thread[2];
		int cancelled;

		start_waiter(&waiter[0], &thread[0]);
		start_waiter(&waiter[1], &thread[1]);
		ck_ok(ems_write_int64(heap, ems_index(0), i));
		ck_ok(ems_set_tag(heap, ems_index(0), EMS_FULL));
		cancelled = ems_cancel(waiter[i % 2].session);
		if (cancelled != 0) { /* it was not waiting, or has taken it: one still wants some */
			ck_ems(cancelled, EMS_EEMPTY);
			ck_ok(ems_write_ef(heap, ems_index(0), &(ems_value_t){.type = EMS_INTEGER}));
		}
		end_waiter(&waiter[0], thread[0]);
		end_waiter(&waiter[1], thread[1]);
		ck_assert_int_eq(waiter[i % 2].result, cancelled == 0 ? -EMS_ECANCELLED : 0);
		ck_assert_int_eq(waiter[(i + 1) % 2].result, 0);
	}
	end_heap(connection, heap);
	ems_disconnect(connection);
}
END_TEST

/* ---- signals ---- */

static int handled;

static void handle(int number)
{
	(void)number;
	__atomic_add_fetch(&handled, 1, __ATOMIC_RELEASE);
}

START_TEST(test_signal_handlers_that_return)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap = make_heap(connection, "sessions/signals",
				     &(ems_heap_options_t){.elements = 4, .initial_tag = EMS_EMPTY});
	struct sigaction action = {.sa_handler = handle};
	struct waiter waiter = {.heap = heap};
	pthread_t thread;
	int r;

#ifdef __SANITIZE_THREAD__
	puts("NOT TESTED: signals (the thread sanitizer puts handlers off while a thread is in a system call it does not know)");
	end_heap(connection, heap);
	ems_disconnect(connection);
	return;
#endif
	sigaction(SIGUSR1, &action, NULL);
	start_waiter(&waiter, &thread);
	for (int i = 0; i < 20; i++) {
		int before = __atomic_load_n(&handled, __ATOMIC_ACQUIRE);

		pthread_kill(thread, SIGUSR1);
		while (__atomic_load_n(&handled, __ATOMIC_ACQUIRE) == before)
			sched_yield();
	}
	while ((r = ems_cancel(waiter.session)) != 0) /* so it waits on */
		ck_ems(r, EMS_EEMPTY);
	end_waiter(&waiter, thread);
	ck_assert_int_eq(waiter.result, -EMS_ECANCELLED);

	/* The time goes on. */
	ck_ems(ems_read_fe_until(heap, ems_index(0), NULL, ems_deadline_in(MS)), EMS_ETIMEOUT);

	waiter = (struct waiter){.heap = heap, .interruptible = true, .result = 1};
	start_waiter(&waiter, &thread);
	while (__atomic_load_n(&waiter.result, __ATOMIC_ACQUIRE) == 1) {
		pthread_kill(thread, SIGUSR1); /* one that comes too early is not noticed */
		sched_yield();
	}
	end_waiter(&waiter, thread);
	ck_assert_int_eq(waiter.result, -EMS_EINTERRUPTED);
	end_heap(connection, heap);
	ems_disconnect(connection);
}
END_TEST

INTEGRATION_MAIN("client/sessions", test_a_session_outlives_its_users, test_many_sessions_in_one_thread,
		 test_wrong_use, test_sessions_die_with_their_process, test_fork, test_every_wait_can_be_cancelled,
		 test_a_cancelled_waiter_takes_no_wake_with_it, test_signal_handlers_that_return)
