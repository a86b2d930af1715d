/*
 * The queue and the stack of a heap: see shm/ring.h and shm/stack.h. Here is who may.
 */
#include "base/error.h"
#include "client/failure.h"
#include "client/heap.h"
#include "client/session.h"
#include "client/value.h"
#include "shm/ring.h"
#include "shm/stack.h"

typedef int put_function(struct shm_session *session, const struct shm_call *call, uint64_t *count);
typedef int take_function(struct shm_session *session, const struct shm_call *call);

static int find_session(ems_heap_t *heap, struct shm_session **_session)
{
	return heap->writable ? session_get(heap, _session) : -ERROR_READ_ONLY;
}

static int put(put_function *function, const char *name, ems_heap_t *heap, const ems_value_t *value,
	       uint64_t *count, ems_deadline_t deadline)
{
	struct shm_call call = {.argument = value_in(value), .deadline = deadline};
	struct shm_session *session;
	int r = heap_check(heap, name);

	if (r < 0)
		return r;
	r = value_check(value);
	if (r == 0)
		r = find_session(heap, &session);
	if (r == 0)
		r = function(session, &call, count);
	return r < 0 ? failure_at(r, heap, name, NULL) : 0;
}

static int take(take_function *function, const char *name, ems_heap_t *heap, ems_value_t *value,
		ems_deadline_t deadline)
{
	struct shm_call call = {.result = value_out(value), .deadline = deadline};
	struct shm_session *session;
	int r = heap_check(heap, name);

	if (r < 0)
		return r;
	r = find_session(heap, &session);
	if (r == 0)
		r = function(session, &call);
	return r < 0 ? failure_at(r, heap, name, NULL) : 0;
}

static int look(int (*function)(const struct shm_segment *seg, struct shm_value *value), const char *name,
		ems_heap_t *heap, ems_value_t *value)
{
	int r = heap_check(heap, name);

	if (r < 0)
		return r;
	r = function(heap_segment(heap), value_out(value));
	return r < 0 ? failure_at(r, heap, name, NULL) : 0;
}

static int count_items(uint64_t (*function)(const struct shm_segment *seg), const char *name,
		       ems_heap_t *heap, uint64_t *length)
{
	int r = heap_check(heap, name);

	if (r == 0 && length)
		*length = function(heap_segment(heap));
	return r;
}

/* ---- the queue ---- */

int ems_enqueue_until(ems_heap_t *heap, const ems_value_t *value, uint64_t *count, ems_deadline_t deadline)
{
	return put(shm_ring_put, "enqueue", heap, value, count, deadline);
}

int ems_enqueue(ems_heap_t *heap, const ems_value_t *value, uint64_t *count)
{
	return ems_enqueue_until(heap, value, count, EMS_NOW);
}

int ems_dequeue_until(ems_heap_t *heap, ems_value_t *value, ems_deadline_t deadline)
{
	return take(shm_ring_take, "dequeue", heap, value, deadline);
}

int ems_dequeue(ems_heap_t *heap, ems_value_t *value)
{
	return ems_dequeue_until(heap, value, EMS_NOW);
}

int ems_queue_peek(ems_heap_t *heap, ems_value_t *value)
{
	return look(shm_ring_peek, "queue_peek", heap, value);
}

int ems_queue_length(ems_heap_t *heap, uint64_t *length)
{
	return count_items(shm_ring_length, "queue_length", heap, length);
}

static uint64_t count_leased(const struct shm_segment *seg)
{
	struct shm_ring_count count;

	shm_ring_count(seg, UINT64_MAX, &count);
	return count.leased;
}

int ems_queue_leased(ems_heap_t *heap, uint64_t *leased)
{
	return count_items(count_leased, "queue_leased", heap, leased);
}

int ems_queue_look(ems_heap_t *heap, uint64_t *position, ems_value_t *value)
{
	int r = heap_check(heap, "queue_look");

	if (r == 0 && !position)
		r = failure_say(-ERROR_INVALID, "queue_look: no position is given");
	if (r < 0)
		return r;
	r = shm_ring_look(heap_segment(heap), position, value_out(value));
	return r < 0 ? failure_at(r, heap, "queue_look", NULL) : 0;
}

/* ---- the stack ---- */

int ems_push_until(ems_heap_t *heap, const ems_value_t *value, uint64_t *count, ems_deadline_t deadline)
{
	return put(shm_stack_push, "push", heap, value, count, deadline);
}

int ems_push(ems_heap_t *heap, const ems_value_t *value, uint64_t *count)
{
	return ems_push_until(heap, value, count, EMS_NOW);
}

int ems_pop_until(ems_heap_t *heap, ems_value_t *value, ems_deadline_t deadline)
{
	return take(shm_stack_pop, "pop", heap, value, deadline);
}

int ems_pop(ems_heap_t *heap, ems_value_t *value)
{
	return ems_pop_until(heap, value, EMS_NOW);
}

int ems_stack_peek(ems_heap_t *heap, ems_value_t *value)
{
	return look(shm_stack_peek, "stack_peek", heap, value);
}

int ems_stack_length(ems_heap_t *heap, uint64_t *length)
{
	return count_items(shm_stack_length, "stack_length", heap, length);
}

int ems_stack_look(ems_heap_t *heap, uint64_t index, ems_value_t *value)
{
	int r = heap_check(heap, "stack_look");

	if (r < 0)
		return r;
	r = shm_stack_look(heap_segment(heap), index, value_out(value));
	return r < 0 ? failure_at(r, heap, "stack_look", NULL) : 0;
}
