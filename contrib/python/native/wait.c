/*
 * Waits from an event loop: beginning one for a future, and handing out what has come to its end. Which loop is told, and how, is
 * in ems/_wait.py. The library keeps what belongs to the wait until then: the future, and whether it is
 * for a queue's lease.
 */
#include "contrib/python/native/native.h"

#include <string.h>

struct code {
	const char *name;
	ems_operation_code_t code;
	bool key, value, expected, tag;
};

static const struct code codes[] = {
	{"read_ff", EMS_OP_READ_FF, true, false, false, false},
	{"read_fe", EMS_OP_READ_FE, true, false, false, false},
	{"write", EMS_OP_WRITE, true, true, false, false},
	{"write_xf", EMS_OP_WRITE_XF, true, true, false, false},
	{"write_xe", EMS_OP_WRITE_XE, true, true, false, false},
	{"write_ef", EMS_OP_WRITE_EF, true, true, false, false},
	{"set_tag", EMS_OP_SET_TAG, true, false, false, true},
	{"faa", EMS_OP_FAA, true, true, false, false},
	{"cas", EMS_OP_CAS, true, true, true, false},
	{"swap", EMS_OP_SWAP, true, true, false, false},
	{"and_", EMS_OP_AND, true, true, false, false},
	{"or_", EMS_OP_OR, true, true, false, false},
	{"xor_", EMS_OP_XOR, true, true, false, false},
	{"min", EMS_OP_MIN, true, true, false, false},
	{"max", EMS_OP_MAX, true, true, false, false},
	{"delete", EMS_OP_DELETE, true, false, false, false},
	{"compare_delete", EMS_OP_COMPARE_DELETE, true, false, true, false},
	{"enqueue", EMS_OP_ENQUEUE, false, true, false, false},
	{"dequeue", EMS_OP_DEQUEUE, false, false, false, false},
	{"push", EMS_OP_PUSH, false, true, false, false},
	{"pop", EMS_OP_POP, false, false, false, false},
	{"read_rw", EMS_OP_READ_RW, true, false, false, false},
	{"read_fe_lease", EMS_OP_READ_FE_LEASE, true, false, false, false},
	{"dequeue_lease", EMS_OP_DEQUEUE_LEASE, false, false, false, false},
};

static const struct code *find_code(PyObject *name)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++)
		if (PyUnicode_Check(name) && PyUnicode_CompareWithASCIIString(name, codes[i].name) == 0)
			return &codes[i];
	PyErr_Format(PyExc_ValueError, "there is no operation %R to wait for", name);
	return NULL;
}

enum { W_FUTURE, W_CODE, W_TIMEOUT, W_KEY, W_VALUE, W_EXPECTED, W_COUNT };

static PyObject *begin(heap_t *heap, const struct code *code, PyObject *const *given)
{
	struct keeper keepers[2] = {0};
	ems_operation_t operation = {.code = code->code};
	ems_value_t value, expected;
	ems_deadline_t deadline;
	PyObject *result = NULL, *user;
	ems_wait_t wait;
	int status;

	if (take_timeout(given[W_TIMEOUT], EMS_FOREVER, &deadline) &&
	    (!code->key || key_from(given[W_KEY], &operation.key)) &&
	    (!code->tag || take_tag(given[W_VALUE], &operation.tag)) &&
	    (!code->value || value_from(given[W_VALUE], &value, &keepers[0])) &&
	    (!code->expected || value_from(given[W_EXPECTED], &expected, &keepers[1])) && heap_ready(heap)) {
		operation.value = code->value ? &value : NULL;
		operation.expected = code->expected ? &expected : NULL;
		user = Py_BuildValue("ON", given[W_FUTURE], PyBool_FromLong(code->code == EMS_OP_DEQUEUE_LEASE));
		status = user ? ems_wait_begin(heap->handle, &operation, deadline, user, &wait) : 0;
		if (status == 0 && user) {
			result = PyLong_FromUnsignedLongLong(wait);
		} else if (user) {
			failed(status);
			UNREF(user);
		}
	}
	keeper_release(&keepers[0]);
	keeper_release(&keepers[1]);
	return result;
}

/* _wait_begin(future, operation, timeout, key, value, expected) → its number. */
PyObject *heap_wait_begin(heap_t *heap, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	static const char *const names[] = {"future", "operation", "timeout", "key", "value", "expected", NULL};
	PyObject *given[W_COUNT];
	const struct code *code;

	if (!take_arguments("_wait_begin", args, nargs, kwnames, names, W_COUNT, given))
		return NULL;
	code = find_code(given[W_CODE]);
	return code ? begin(heap, code, given) : NULL;
}

/* What was taken, with its lease if there is one. */
static PyObject *taken(const client_t *client, ems_wait_result_t *result, bool of_queue)
{
	PyObject *value = value_to(&result->value);
	heap_t *heap = client->heaps;

	if (!result->lease.heap)
		return value;
	while (heap && heap->handle != result->lease.heap)
		heap = heap->next;
	if (value && heap)
		return lease_new(heap, &result->lease, value, of_queue);
	(void)ems_lease_end(&result->lease);
	UNREF(value);
	return value ? failed_saying(EMS_ECANCELLED, "the heap was closed") : NULL;
}

/* What an operation that succeeded gives. Those that give nothing have an undefined value: None. */
static PyObject *result_of(const client_t *client, ems_wait_result_t *result, bool of_queue)
{
	return Py_BuildValue("NNK", PyBool_FromLong(result->changed), taken(client, result, of_queue),
			     (unsigned long long)result->count);
}

/* → (future, exception or None, changed, value, count), or None. */
PyObject *client_wait_next(client_t *client, PyObject *none)
{
	struct box *box = client_box(client);
	ems_wait_result_t result = {.value = EMS_VALUE_INIT};
	PyObject *user, *future, *outcome, *exception = NULL, *value = NULL, *traceback = NULL, *next;
	int status;

	(void)none;
	if (!box)
		return NULL;
	status = ems_wait_next(box->connection, &result);
	if (status == -EMS_EEMPTY)
		Py_RETURN_NONE;
	if (status < 0)
		return failed(status);
	user = result.user;
	future = PyTuple_GetItem(user, 0);
	if (result.result < 0) {
		ems_value_clear(&result.value);
		outcome = failed_saying(result.result, ems_error_text(result.result));
	} else {
		outcome = result_of(client, &result, PyTuple_GetItem(user, 1) == Py_True);
	}
	if (!outcome) {
		PyErr_Fetch(&exception, &value, &traceback);
		PyErr_NormalizeException(&exception, &value, &traceback);
	}
	next = outcome ? Py_BuildValue("OOO", future, Py_None, outcome)
		       : Py_BuildValue("OOO", future, value ? value : Py_None, Py_None);
	UNREF(user);
	UNREF(outcome);
	UNREF(exception);
	UNREF(value);
	UNREF(traceback);
	return next;
}

PyObject *client_wait_fd(client_t *client, PyObject *none)
{
	struct box *box = client_box(client);
	int fd;

	(void)none;
	if (!box)
		return NULL;
	fd = ems_wait_fd(box->connection);
	return fd < 0 ? failed(fd) : PyLong_FromLong(fd);
}

PyObject *client_wait_cancel(client_t *client, PyObject *number)
{
	struct box *box = client_box(client);
	uint64_t wait;
	int status;

	if (!box || !take_uint64(number, "wait", &wait))
		return NULL;
	status = ems_wait_cancel(box->connection, wait);
	if (status < 0 && status != -EMS_EEMPTY)
		return failed(status);
	return PyBool_FromLong(status == 0);
}
