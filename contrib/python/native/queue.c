/* The queue and the stack of a heap. */
#include "contrib/python/native/native.h"

typedef int put_until_t(ems_heap_t *, const ems_value_t *, uint64_t *, ems_deadline_t);
typedef int take_until_t(ems_heap_t *, ems_value_t *, ems_deadline_t);

/* Without a timeout it does not wait. */
static PyObject *put(const char *name, put_until_t *function, heap_t *heap, PyObject *const *args, Py_ssize_t nargs,
		     PyObject *kwnames)
{
	static const char *const names[] = {"value", "timeout", NULL};
	struct keeper keeper;
	ems_deadline_t until;
	ems_value_t value;
	PyObject *given[2];
	uint64_t count;
	bool raised;
	int status;

	if (!take_arguments(name, args, nargs, kwnames, names, 1, given) || !take_timeout(given[1], EMS_NOW, &until) ||
	    !value_from(given[0], &value, &keeper))
		return NULL;
	if (!heap_ready(heap)) {
		keeper_release(&keeper);
		return NULL;
	}
	status = function(heap->handle, &value, &count, EMS_NOW);
	raised = false;
	if (status == -EMS_EFULL && until != EMS_NOW)
		WAIT_FOR(status, raised, heap, until, deadline == EMS_NOW ? -EMS_ETIMEOUT : function(heap->handle, &value, &count, deadline));
	if (status < 0 && !raised)
		failed(status);
	keeper_release(&keeper);
	return status < 0 ? NULL : PyLong_FromUnsignedLongLong(count);
}

static PyObject *take(const char *name, take_until_t *function, heap_t *heap, PyObject *const *args, Py_ssize_t nargs,
		      PyObject *kwnames)
{
	static const char *const names[] = {"timeout", NULL};
	ems_value_t value = EMS_VALUE_INIT;
	ems_deadline_t until = EMS_NOW;
	bool raised = false;
	PyObject *timeout;
	int status;

	if ((nargs > 0 || kwnames) && (!take_arguments(name, args, nargs, kwnames, names, 0, &timeout) ||
				       !take_timeout(timeout, EMS_NOW, &until)))
		return NULL;
	if (!heap_ready(heap))
		return NULL;
	status = function(heap->handle, &value, EMS_NOW);
	if (status == -EMS_EEMPTY && until != EMS_NOW)
		WAIT_FOR(status, raised, heap, until, deadline == EMS_NOW ? -EMS_ETIMEOUT : function(heap->handle, &value, deadline));
	if (status == 0)
		return value_to(&value);
	ems_value_clear(&value);
	return raised ? NULL : failed(status);
}

#define PUT(name)                                                                                              \
	static PyObject *heap_##name(heap_t *heap, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) \
	{                                                                                                      \
		return put(#name, ems_##name##_until, heap, args, nargs, kwnames);                             \
	}
#define TAKE(name)                                                                                             \
	static PyObject *heap_##name(heap_t *heap, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) \
	{                                                                                                      \
		return take(#name, ems_##name##_until, heap, args, nargs, kwnames);                            \
	}
PUT(enqueue)
PUT(push)
TAKE(dequeue)
TAKE(pop)

static int dequeue_lease(ems_heap_t *heap, ems_value_t *value, ems_lease_t *lease, ems_deadline_t until,
			 heap_t *object, bool *raised)
{
	int status = ems_dequeue_lease(heap, value, lease);

	*raised = false;
	if (status == -EMS_EEMPTY && until != EMS_NOW)
		WAIT_FOR(status, *raised, object, until,
			 deadline == EMS_NOW ? -EMS_ETIMEOUT
					     : ems_dequeue_lease_until(object->handle, value, lease, deadline));
	return status;
}

static PyObject *heap_dequeue_lease(heap_t *heap, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	static const char *const names[] = {"timeout", NULL};
	ems_value_t value = EMS_VALUE_INIT;
	PyObject *timeout, *object;
	ems_deadline_t until;
	ems_lease_t lease;
	bool raised;
	int status;

	if (!take_arguments("dequeue_lease", args, nargs, kwnames, names, 0, &timeout) ||
	    !take_timeout(timeout, EMS_NOW, &until) || !heap_ready(heap))
		return NULL;
	status = dequeue_lease(heap->handle, &value, &lease, until, heap, &raised);
	if (status < 0) {
		ems_value_clear(&value);
		return raised ? NULL : failed(status);
	}
	object = value_to(&value);
	if (object)
		return lease_new(heap, &lease, object, true);
	(void)ems_lease_end(&lease);
	return NULL;
}

static PyObject *peek(int (*function)(ems_heap_t *, ems_value_t *), heap_t *heap)
{
	ems_value_t value = EMS_VALUE_INIT;
	int status;

	if (!heap_ready(heap))
		return NULL;
	status = function(heap->handle, &value);
	if (status == 0)
		return value_to(&value);
	ems_value_clear(&value);
	return failed(status);
}

static PyObject *length(int (*function)(ems_heap_t *, uint64_t *), heap_t *heap)
{
	uint64_t count;
	int status;

	if (!heap_ready(heap))
		return NULL;
	status = function(heap->handle, &count);
	return status < 0 ? failed(status) : PyLong_FromUnsignedLongLong(count);
}

#define LOOK(name, how)                                              \
	static PyObject *heap_##name(heap_t *heap, PyObject *none)   \
	{                                                            \
		(void)none;                                          \
		return how(ems_##name, heap);                        \
	}
LOOK(queue_peek, peek)
LOOK(stack_peek, peek)
LOOK(queue_length, length)
LOOK(queue_leased, length)
LOOK(stack_length, length)

PyMethodDef heap_queue_methods[] = {
	METHOD("enqueue", heap_enqueue, FAST,
	       "enqueue($self, value, timeout=0)\n--\n\nPut at the end of the queue; how many items there are. FullError, or wait "
	       "for room (None: for ever)."),
	METHOD("dequeue", heap_dequeue, FAST,
	       "dequeue($self, timeout=0)\n--\n\nTake the first item of the queue. EmptyError, or wait for one (None: for "
	       "ever)."),
	METHOD("dequeue_lease", heap_dequeue_lease, FAST,
	       "dequeue_lease($self, timeout=0)\n--\n\ndequeue, undone when this process dies: a Lease, which ends it."),
	METHOD("push", heap_push, FAST,
	       "push($self, value, timeout=0)\n--\n\nPut on the stack; how many items there are. FullError, or wait for room."),
	METHOD("pop", heap_pop, FAST,
	       "pop($self, timeout=0)\n--\n\nTake the last item of the stack. EmptyError, or wait for one."),
	METHOD("queue_peek", heap_queue_peek, METH_NOARGS,
	       "queue_peek($self)\n--\n\nThe item that would be taken now, which stays (EmptyError)."),
	METHOD("stack_peek", heap_stack_peek, METH_NOARGS,
	       "stack_peek($self)\n--\n\nThe item that would be taken now, which stays (EmptyError)."),
	METHOD("queue_length", heap_queue_length, METH_NOARGS,
	       "queue_length($self)\n--\n\nHow many items the queue has, leased ones included."),
	METHOD("queue_leased", heap_queue_leased, METH_NOARGS,
	       "queue_leased($self)\n--\n\nHow many items of the queue are leased."),
	METHOD("stack_length", heap_stack_length, METH_NOARGS, "stack_length($self)\n--\n\nHow many items the stack has."),
	{0}};
