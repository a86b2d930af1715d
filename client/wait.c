/* Waiting from an event loop: the functions of <ems.h>. See wait.h. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "client/connection.h"
#include "client/failure.h"
#include "client/process.h"
#include "client/service.h"
#include "client/value.h"
#include "client/wait.h"

/* ---- the lock ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t tried = PTHREAD_COND_INITIALIZER; /* a wait that somebody wants to cancel was */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static ems_wait_t last_id;
static int cancel_state; /* of the thread that has the lock, from before */

static void before_fork(void)
{
	(void)pthread_mutex_lock(&lock);
}

static void in_parent(void)
{
	(void)pthread_mutex_unlock(&lock);
}

static void in_child(void)
{
	listener_forget();
	timer_forget();
	(void)pthread_cond_init(&tried, NULL);
	(void)pthread_mutex_unlock(&lock);
}

static void set_up(void)
{
	(void)pthread_atfork(before_fork, in_parent, in_child);
}

/* A thread cancelled in write(2) would leave the lock taken. */
void waits_lock(void)
{
	int state;

	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	(void)pthread_mutex_lock(&lock);
	cancel_state = state;
}

void waits_unlock(void)
{
	int state = cancel_state;

	(void)pthread_mutex_unlock(&lock);
	(void)pthread_setcancelstate(state, NULL);
}

/* ---- the descriptor ---- */

void loop_tell(struct loop *loop)
{
	const uint64_t one = 1;

	if (loop->told)
		return;
	loop->told = true;
	(void)!write(loop->fd, &one, sizeof(one));
}

static void untell(struct loop *loop)
{
	uint64_t count;

	if (loop->told && !loop->done && !loop->moved) {
		loop->told = false;
		(void)!read(loop->fd, &count, sizeof(count));
	}
}

/* The connection's; made if need be. Without the lock. */
static int get_loop(struct ems_connection *connection, struct loop **_loop)
{
	struct loop *loop;
	int r = service_hold();

	if (r < 0)
		return r;
	(void)pthread_once(&once, set_up);
	waits_lock();
	loop = connection->loop;
	if (!loop) {
		loop = calloc(1, sizeof(*loop));
		if (loop && (loop->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0) {
			r = error_from_errno(errno);
			free(loop);
			loop = NULL;
		} else if (!loop) {
			r = -ERROR_NO_MEMORY;
		}
		connection->loop = loop;
	} else {
		r = 1; /* the service is held already */
	}
	waits_unlock();
	if (r != 0)
		service_release();
	*_loop = loop;
	return r < 0 ? r : 0;
}

/* ---- from begun to done ---- */

static void list_wait(struct wait *wait)
{
	struct wait **chain;

	wait->id = ++last_id;
	chain = &wait->loop->waits[wait->id % LOOP_CHAINS];
	wait->id_next = *chain;
	wait->id_link = chain;
	if (wait->id_next)
		wait->id_next->id_link = &wait->id_next;
	*chain = wait;
	wait->heap_next = wait->heap->waits;
	wait->heap_link = &wait->heap->waits;
	if (wait->heap_next)
		wait->heap_next->heap_link = &wait->heap_next;
	wait->heap->waits = wait;
}

static void leave_heap(struct wait *wait)
{
	if (!wait->heap)
		return;
	*wait->heap_link = wait->heap_next;
	if (wait->heap_next)
		wait->heap_next->heap_link = wait->heap_link;
	wait->heap = NULL;
}

/* Its result is in it. */
static void done(struct wait *wait)
{
	struct loop *loop = wait->loop;

	timer_remove(wait);
	wait->state = WAIT_DONE;
	wait->next = NULL;
	wait->prev = loop->done_last;
	*(loop->done_last ? &loop->done_last->next : &loop->done) = wait;
	loop->done_last = wait;
	loop_tell(loop);
}

/* A pending one ends without having been done. */
static void end(struct wait *wait, int result)
{
	group_remove(wait);
	wait->result = result;
	done(wait);
}

void loop_expired(struct wait *wait)
{
	if (wait->state == WAIT_PENDING)
		end(wait, -ERROR_TIMEOUT);
	else
		wait->expired = true;
}

/* It was tried, and is done or cannot go on. True: done; it is on no list. */
static bool settle(struct wait *wait, const struct shm_notice *notice, bool first)
{
	if (notice->cell) {
		if (wait->cancelled)
			wait->result = -ERROR_CANCELLED;
		else if (wait->expired || clock_passed(wait->deadline))
			wait->result = -ERROR_TIMEOUT;
		else
			wait->result = group_add(wait, notice, first);
	}
	if (wait->cancelled) {
		*wait->cancelled = notice->cell ? 1 : -1;
		(void)pthread_cond_broadcast(&tried);
	}
	if (wait->state == WAIT_PENDING)
		return false;
	wait->state = WAIT_DONE;
	timer_remove(wait);
	return true;
}

static int refuse(int r, struct ems_heap *heap, const ems_operation_t *operation)
{
	if (r == -ERROR_INVALID)
		return failure_say(r, "ems_wait_begin: heap \"%s\": no such operation, or its key or value is not valid",
				   heap->name);
	return failure_at(r, heap, "wait_begin",
			  operation && wait_code_is_of_element(operation->code) ? &operation->key : NULL);
}

int ems_wait_begin(ems_heap_t *heap, const ems_operation_t *operation, ems_deadline_t deadline, void *user,
		   ems_wait_t *_wait)
{
	struct shm_notice notice;
	struct wait *wait = NULL;
	int r = heap_check(heap, "wait_begin");

	if (r < 0)
		return r;
	r = wait_new(&wait, heap, operation);
	if (r < 0)
		return refuse(r, heap, operation);
	wait->user = user;
	wait->deadline = deadline;
	r = get_loop(heap->connection, &wait->loop);
	if (r < 0) {
		wait_free(wait);
		return failure_of(r);
	}
	wait->state = WAIT_TRIED;
	(void)wait_try(wait, &notice);
	waits_lock();
	list_wait(wait);
	if (_wait)
		*_wait = wait->id;
	r = notice.cell ? timer_add(wait) : 0;
	if (r < 0) {
		notice.cell = NULL;
		wait->result = r;
	}
	if (settle(wait, &notice, false))
		done(wait);
	waits_unlock();
	return 0;
}

/* ---- handing out ---- */

static void hand_out(struct wait *wait, ems_wait_result_t *result)
{
	ems_heap_t *lease_heap = wait->heap;

	if (wait->result < 0 && wait->heap)
		(void)failure_at(wait->result, wait->heap, wait_name(wait),
				 wait_is_of_element(wait) ? &wait->from : NULL);
	else if (wait->result < 0)
		(void)failure_of(wait->result);
	*wait->id_link = wait->id_next;
	if (wait->id_next)
		wait->id_next->id_link = wait->id_link;
	leave_heap(wait);
	*result = (ems_wait_result_t){.wait = wait->id,
				      .user = wait->user,
				      .result = wait->result,
				      .changed = wait->changed,
				      .count = wait->count,
				      .value = wait->value,
				      .lease = {wait->result == 0 && wait_takes_lease(wait) ? lease_heap : NULL,
						wait->ticket}};
	wait->value = (ems_value_t)EMS_VALUE_INIT;
	if (result->result < 0)
		ems_value_clear(&result->value);
	wait_free(wait);
}

static struct wait *take_done(struct loop *loop)
{
	struct wait *wait = loop->done;

	loop->done = wait->next;
	*(loop->done ? &loop->done->prev : &loop->done_last) = NULL;
	return wait;
}

/* Tries what may go on until one is done: that one; or none is left: NULL. */
static struct wait *try_moved(struct loop *loop)
{
	while (loop->moved) {
		struct wait *wait = loop->moved->first;
		struct shm_notice notice;

		group_remove(wait);
		wait->state = WAIT_TRIED;
		waits_unlock();
		(void)wait_try(wait, &notice);
		waits_lock();
		if (settle(wait, &notice, true))
			return wait;
	}
	return NULL;
}

int ems_wait_next(ems_connection_t *connection, ems_wait_result_t *result)
{
	struct wait *wait = NULL;
	struct loop *loop;
	int r = connection_check(connection);

	if (r < 0)
		return r;
	if (!result)
		return failure_say(-ERROR_INVALID, "ems_wait_next: no place for the result");
	waits_lock();
	loop = connection->loop;
	if (loop) {
		wait = loop->done ? take_done(loop) : try_moved(loop);
		untell(loop);
	}
	if (wait)
		hand_out(wait, result);
	waits_unlock();
	return wait ? 0 : failure_say(-ERROR_EMPTY, "ems_wait_next: nothing to hand out");
}

int ems_wait_fd(ems_connection_t *connection)
{
	struct loop *loop;
	int r = connection_check(connection);

	if (r < 0)
		return r;
	r = get_loop(connection, &loop);
	return r < 0 ? failure_of(r) : loop->fd;
}

/* ---- ending ---- */

static struct wait *find(const struct loop *loop, ems_wait_t id)
{
	struct wait *wait = loop ? loop->waits[id % LOOP_CHAINS] : NULL;

	while (wait && wait->id != id)
		wait = wait->id_next;
	return wait;
}

/* Another thread is at it: what comes of that? The wait itself may be gone then. */
static int cancel_tried(struct wait *wait)
{
	int outcome = 0, state = cancel_state;

	if (wait->cancelled)
		return -ERROR_EMPTY; /* by another one already */
	wait->cancelled = &outcome; /* cppcheck-suppress autoVariables; settle() writes it once, before we return */
	while (outcome == 0)
		(void)pthread_cond_wait(&tried, &lock);
	cancel_state = state;
	return outcome > 0 ? 0 : -ERROR_EMPTY;
}

int ems_wait_cancel(ems_connection_t *connection, ems_wait_t id)
{
	struct wait *wait;
	int r = connection_check(connection);

	if (r < 0)
		return r;
	waits_lock();
	wait = find(connection->loop, id);
	r = -ERROR_EMPTY;
	if (wait && wait->state == WAIT_PENDING) {
		end(wait, -ERROR_CANCELLED);
		r = 0;
	} else if (wait && wait->state == WAIT_TRIED) {
		r = cancel_tried(wait);
	}
	waits_unlock();
	return r < 0 ? failure_say(r, "ems_wait_cancel: it has its result already") : 0;
}

void loop_close_heap(struct ems_heap *heap)
{
	waits_lock();
	while (heap->waits) {
		struct wait *wait = heap->waits;

		if (wait->state == WAIT_PENDING)
			end(wait, -ERROR_CANCELLED);
		leave_heap(wait);
	}
	waits_unlock();
}

void loop_close_mapping(struct mapping *mapping)
{
	waits_lock();
	listener_free(mapping);
	waits_unlock();
}

void loop_free(struct ems_connection *connection)
{
	struct loop *loop = connection->loop;

	if (!loop)
		return;
	connection->loop = NULL;
	for (uint32_t i = 0; i < LOOP_CHAINS; i++)
		while (loop->waits[i]) {
			struct wait *wait = loop->waits[i];

			loop->waits[i] = wait->id_next;
			wait_free(wait);
		}
	(void)close(loop->fd);
	free(loop);
	if (!process_is_another(connection->process))
		service_release();
}
