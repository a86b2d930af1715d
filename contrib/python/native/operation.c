/*
 * The operations on one element. Each is written once, as a function that gets a heap, a key and what comes after the key;
 * OPERATION makes of it a method of Heap, which takes the key first, and one of Element, which has it.
 */
#include "contrib/python/native/native.h"

/* ---- reading ---- */

static PyObject *finish(int status, bool raised, ems_value_t *value)
{
	if (LIKELY(status == 0))
		return value_to(value);
	ems_value_clear(value);
	return raised ? NULL : failed(status);
}

static PyObject *do_read(heap_t *heap, ems_key_t key, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	ems_value_t value = EMS_VALUE_INIT;

	(void)args;
	if (UNLIKELY(nargs > 0 || kwnames)) {
		PyErr_SetString(PyExc_TypeError, "read() takes no arguments but the key");
		return NULL;
	}
	return finish(ems_read(heap->handle, key, &value), false, &value);
}

typedef int read_until_t(ems_heap_t *, ems_key_t, ems_value_t *, ems_deadline_t);

static PyObject *read_waiting(const char *name, read_until_t *function, heap_t *heap, ems_key_t key,
			      PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	static const char *const names[] = {"timeout", NULL};
	ems_value_t value = EMS_VALUE_INIT;
	ems_deadline_t until = EMS_FOREVER;
	PyObject *timeout;
	bool raised;
	int status;

	if (UNLIKELY(nargs > 0 || kwnames) &&
	    (!take_arguments(name, args, nargs, kwnames, names, 0, &timeout) ||
	     !take_timeout(timeout, EMS_FOREVER, &until)))
		return NULL;
	WAIT_FOR(status, raised, heap, until, function(heap->handle, key, &value, deadline));
	return finish(status, raised, &value);
}

#define READ(name)                                                                                                \
	static PyObject *do_##name(heap_t *heap, ems_key_t key, PyObject *const *args, Py_ssize_t nargs,          \
				   PyObject *kwnames)                                                             \
	{                                                                                                         \
		return read_waiting(#name, ems_##name##_until, heap, key, args, nargs, kwnames);                  \
	}
READ(read_ff)
READ(read_fe)
READ(read_rw)

static PyObject *do_release_rw(heap_t *heap, ems_key_t key, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	uint32_t left;
	int status;

	(void)args;
	if (nargs > 0 || kwnames) {
		PyErr_SetString(PyExc_TypeError, "release_rw() takes no arguments but the key");
		return NULL;
	}
	status = ems_release_rw(heap->handle, key, &left);
	return status < 0 ? failed(status) : PyLong_FromUnsignedLong(left);
}

static PyObject *do_get_tag(heap_t *heap, ems_key_t key, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	static const char *const names[] = {"unknown", "empty", "full", "readers", "busy"};
	ems_tag_t tag;
	int status;

	(void)args;
	if (nargs > 0 || kwnames) {
		PyErr_SetString(PyExc_TypeError, "get_tag() takes no arguments but the key");
		return NULL;
	}
	status = ems_get_tag(heap->handle, key, &tag);
	return status < 0 ? failed(status) : PyUnicode_FromString(names[(unsigned)tag <= EMS_BUSY ? tag : 0]);
}

/* ---- one value in, perhaps the old one out ---- */

/* value and timeout of an operation. */
static bool take_value(const char *name, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames, ems_value_t *value,
		       struct keeper *keeper, ems_deadline_t *until)
{
	static const char *const names[] = {"value", "timeout", NULL};
	PyObject *given[2];

	*until = EMS_FOREVER;
	if (LIKELY(nargs == 1 && !kwnames))
		return value_from(args[0], value, keeper);
	return take_arguments(name, args, nargs, kwnames, names, 1, given) &&
	       take_timeout(given[1], EMS_FOREVER, until) && value_from(given[0], value, keeper);
}

typedef int write_until_t(ems_heap_t *, ems_key_t, const ems_value_t *, ems_deadline_t);

static PyObject *write_waiting(const char *name, write_until_t *function, heap_t *heap, ems_key_t key,
			       PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	struct keeper keeper;
	ems_deadline_t until;
	ems_value_t value;
	bool raised;
	int status;

	if (!take_value(name, args, nargs, kwnames, &value, &keeper, &until))
		return NULL;
	/* Converting may have run anything. */
	if (UNLIKELY(!heap_ready(heap))) {
		keeper_release(&keeper);
		return NULL;
	}
	WAIT_FOR(status, raised, heap, until, function(heap->handle, key, &value, deadline));
	if (UNLIKELY(status < 0) && !raised)
		failed(status);
	keeper_release(&keeper);
	if (UNLIKELY(status < 0))
		return NULL;
	Py_RETURN_NONE;
}

#define WRITE(name)                                                                                               \
	static PyObject *do_##name(heap_t *heap, ems_key_t key, PyObject *const *args, Py_ssize_t nargs,          \
				   PyObject *kwnames)                                                             \
	{                                                                                                         \
		return write_waiting(#name, ems_##name##_until, heap, key, args, nargs, kwnames);                 \
	}
WRITE(write)
WRITE(write_xf)
WRITE(write_xe)
WRITE(write_ef)

typedef int change_until_t(ems_heap_t *, ems_key_t, const ems_value_t *, ems_value_t *, ems_deadline_t);

static inline PyObject *change_waiting(const char *name, change_until_t *function, heap_t *heap, ems_key_t key,
				       PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	ems_value_t value, old = EMS_VALUE_INIT;
	struct keeper keeper;
	ems_deadline_t until;
	bool raised;
	int status;

	if (!take_value(name, args, nargs, kwnames, &value, &keeper, &until))
		return NULL;
	if (UNLIKELY(!heap_ready(heap))) {
		keeper_release(&keeper);
		return NULL;
	}
	WAIT_FOR(status, raised, heap, until, function(heap->handle, key, &value, &old, deadline));
	keeper_release(&keeper);
	return finish(status, raised, &old);
}

#define CHANGE(name)                                                                                              \
	static PyObject *do_##name(heap_t *heap, ems_key_t key, PyObject *const *args, Py_ssize_t nargs,          \
				   PyObject *kwnames)                                                             \
	{                                                                                                         \
		return change_waiting(#name, ems_##name##_until, heap, key, args, nargs, kwnames);                \
	}
CHANGE(faa)
CHANGE(swap)
CHANGE(min)
CHANGE(max)

typedef int mask_until_t(ems_heap_t *, ems_key_t, int64_t, int64_t *, ems_deadline_t);

static PyObject *mask_waiting(const char *name, mask_until_t *function, heap_t *heap, ems_key_t key,
			      PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	static const char *const names[] = {"mask", "timeout", NULL};
	ems_deadline_t until;
	PyObject *given[2];
	int64_t mask, old;
	bool raised;
	int status;

	if (!take_arguments(name, args, nargs, kwnames, names, 1, given) ||
	    !take_timeout(given[1], EMS_FOREVER, &until) || !take_int64(given[0], &mask) || !heap_ready(heap))
		return NULL;
	WAIT_FOR(status, raised, heap, until, function(heap->handle, key, mask, &old, deadline));
	return raised ? NULL : status < 0 ? failed(status) : PyLong_FromLongLong(old);
}

#define MASK(name)                                                                                                \
	static PyObject *do_##name(heap_t *heap, ems_key_t key, PyObject *const *args, Py_ssize_t nargs,          \
				   PyObject *kwnames)                                                             \
	{                                                                                                         \
		return mask_waiting(#name "_", ems_##name##_until, heap, key, args, nargs, kwnames);              \
	}
MASK(and)
MASK(or)
MASK(xor)

/* ---- two values in ---- */

static PyObject *compare(const char *name, bool tell, heap_t *heap, ems_key_t key, PyObject *const *args,
			 Py_ssize_t nargs, PyObject *kwnames)
{
	static const char *const names[] = {"expected", "value", "timeout", NULL};
	ems_value_t expected, value, old = EMS_VALUE_INIT;
	struct keeper keeper[2] = {0};
	bool raised = false, swapped;
	ems_deadline_t until;
	PyObject *given[3];
	int status = -EMS_EINVALID;

	if (!take_arguments(name, args, nargs, kwnames, names, 2, given) ||
	    !take_timeout(given[2], EMS_FOREVER, &until) || !value_from(given[0], &expected, &keeper[0]))
		return NULL;
	if (!value_from(given[1], &value, &keeper[1]) || !heap_ready(heap))
		raised = true;
	else
		WAIT_FOR(status, raised, heap, until,
			 ems_cas_until(heap->handle, key, &expected, &value, &old, &swapped, deadline));
	keeper_release(&keeper[0]);
	keeper_release(&keeper[1]);
	if (status == 0 && tell) {
		ems_value_clear(&old);
		return PyBool_FromLong(swapped);
	}
	return finish(status, raised, &old);
}

static PyObject *do_cas(heap_t *heap, ems_key_t key, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	return compare("cas", false, heap, key, args, nargs, kwnames);
}

static PyObject *do_compare_set(heap_t *heap, ems_key_t key, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	return compare("compare_set", true, heap, key, args, nargs, kwnames);
}

/* ---- tags, deleting ---- */

static PyObject *do_set_tag(heap_t *heap, ems_key_t key, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	static const char *const names[] = {"tag", "timeout", NULL};
	ems_deadline_t until;
	PyObject *given[2];
	ems_tag_t tag;
	bool raised;
	int status;

	if (!take_arguments("set_tag", args, nargs, kwnames, names, 1, given) ||
	    !take_timeout(given[1], EMS_FOREVER, &until) || !take_tag(given[0], &tag))
		return NULL;
	WAIT_FOR(status, raised, heap, until, ems_set_tag_until(heap->handle, key, tag, deadline));
	if (raised)
		return NULL;
	if (status < 0)
		return failed(status);
	Py_RETURN_NONE;
}

static PyObject *do_delete(heap_t *heap, ems_key_t key, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	static const char *const names[] = {"timeout", NULL};
	ems_deadline_t until;
	PyObject *timeout;
	bool raised;
	int status;

	if (!take_arguments("delete", args, nargs, kwnames, names, 0, &timeout) ||
	    !take_timeout(timeout, EMS_FOREVER, &until))
		return NULL;
	WAIT_FOR(status, raised, heap, until, ems_delete_until(heap->handle, key, deadline));
	if (raised)
		return NULL;
	if (status < 0)
		return failed(status);
	Py_RETURN_NONE;
}

static PyObject *do_compare_delete(heap_t *heap, ems_key_t key, PyObject *const *args, Py_ssize_t nargs,
				   PyObject *kwnames)
{
	struct keeper keeper;
	ems_value_t expected;
	bool deleted;
	int status;

	if (nargs != 1 || kwnames) {
		PyErr_SetString(PyExc_TypeError, "compare_delete() takes one argument: the expected value");
		return NULL;
	}
	if (!value_from(args[0], &expected, &keeper))
		return NULL;
	if (!heap_ready(heap)) {
		keeper_release(&keeper);
		return NULL;
	}
	heap->busy++;
	Py_BEGIN_ALLOW_THREADS
	status = ems_compare_delete(heap->handle, key, &expected, &deleted);
	Py_END_ALLOW_THREADS
	heap->busy--;
	keeper_release(&keeper);
	return status < 0 ? failed(status) : PyBool_FromLong(deleted);
}

/* ---- leases ---- */

static PyObject *do_read_fe_lease(heap_t *heap, ems_key_t key, PyObject *const *args, Py_ssize_t nargs,
				  PyObject *kwnames)
{
	static const char *const names[] = {"timeout", NULL};
	ems_value_t value = EMS_VALUE_INIT;
	ems_deadline_t until;
	PyObject *timeout, *object;
	ems_lease_t lease;
	bool raised;
	int status;

	if (!take_arguments("read_fe_lease", args, nargs, kwnames, names, 0, &timeout) ||
	    !take_timeout(timeout, EMS_FOREVER, &until))
		return NULL;
	WAIT_FOR(status, raised, heap, until, ems_read_fe_lease_until(heap->handle, key, &value, &lease, deadline));
	object = finish(status, raised, &value);
	if (object)
		return lease_new(heap, &lease, object, false);
	if (status == 0)
		(void)ems_lease_end(&lease);
	return NULL;
}

/* ---- the methods ---- */

#define FORMS(name)                                                                                               \
	static PyObject *heap_##name(heap_t *heap, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)    \
	{                                                                                                         \
		ems_key_t key;                                                                                    \
                                                                                                                  \
		if (UNLIKELY(nargs < 1)) {                                                                        \
			PyErr_SetString(PyExc_TypeError, #name "() takes the key as its first argument");         \
			return NULL;                                                                              \
		}                                                                                                 \
		if (UNLIKELY(!key_from(args[0], &key)) || UNLIKELY(!heap_ready(heap)))                            \
			return NULL;                                                                              \
		return do_##name(heap, key, args + 1, nargs - 1, kwnames);                                        \
	}                                                                                                         \
	static PyObject *element_##name(element_t *element, PyObject *const *args, Py_ssize_t nargs,              \
					PyObject *kwnames)                                                        \
	{                                                                                                         \
		ems_key_t key;                                                                                    \
                                                                                                                  \
		if (UNLIKELY(!key_from(element->key, &key)) || UNLIKELY(!heap_ready(element->heap)))              \
			return NULL;                                                                              \
		return do_##name(element->heap, key, args, nargs, kwnames);                                       \
	}

#define OPERATIONS(X)                                                                                             \
	X(read, "read", "", "Its value, whatever its tag. An absent key reads as None.")                           \
	X(read_ff, "read_ff", ", timeout=None", "Wait until it is full; its value.")                                 \
	X(read_fe, "read_fe", ", timeout=None", "Wait until it is full, take its value and leave it empty.")         \
	X(read_rw, "read_rw", ", timeout=None",                                                                      \
	  "Wait until it is full or being read, and hold it for reading; its value. release_rw gives it back.")    \
	X(release_rw, "release_rw", "", "Give a read lock back; how many are left.")                               \
	X(get_tag, "get_tag", "", "Its tag at this moment: 'full', 'empty', 'readers' or 'busy'.")                 \
	X(write, "write", ", value, timeout=None", "Write a value, and leave the tag as it is.")                     \
	X(write_xf, "write_xf", ", value, timeout=None", "Write a value and mark it full.")                          \
	X(write_xe, "write_xe", ", value, timeout=None", "Write a value and mark it empty.")                         \
	X(write_ef, "write_ef", ", value, timeout=None", "Wait until it is empty, write a value and mark it full.")  \
	X(faa, "faa", ", value, timeout=None",                                                                       \
	  "Fetch and add: wait until it is full, add; the old value. Integers are exact in 64 bits, and become floats when " \
	  "they overflow; None + 1 is nan; anything with a text joins.")                                           \
	X(cas, "cas", ", expected, value, timeout=None",                                                             \
	  "Compare and swap: write value if it equals expected, in type and value; the old value.")                \
	X(compare_set, "compare_set", ", expected, value, timeout=None", "cas, but tell whether it was written.")    \
	X(swap, "swap", ", value, timeout=None", "Write a value; the old one.")                                      \
	X(and, "and_", ", mask, timeout=None", "Bitwise and with an integer; the old one.")                          \
	X(or, "or_", ", mask, timeout=None", "Bitwise or with an integer; the old one.")                             \
	X(xor, "xor_", ", mask, timeout=None", "Bitwise exclusive or with an integer; the old one.")                 \
	X(min, "min", ", value, timeout=None", "The smaller of two numbers stays; the old one.")                     \
	X(max, "max", ", value, timeout=None", "The larger of two numbers stays; the old one.")                      \
	X(set_tag, "set_tag", ", tag, timeout=None", "Set the tag: 'full' or 'empty'.")                              \
	X(delete, "delete", ", timeout=None", "Delete the key (NoKeyError); without map, make it as it was in the beginning.") \
	X(compare_delete, "compare_delete", ", expected", "Delete the key if its value equals expected; whether it was.") \
	X(read_fe_lease, "read_fe_lease", ", timeout=None",                                                          \
	  "read_fe, undone when this process dies: a Lease, which ends it.")

#define DEFINE(name, python, arguments, doc) FORMS(name)
OPERATIONS(DEFINE)

#define HEAP_METHOD(name, python, arguments, doc)                                                       \
	METHOD(python, heap_##name, FAST, python "($self, key" arguments ")\n--\n\n" doc),
#define ELEMENT_METHOD(name, python, arguments, doc)                                                    \
	METHOD(python, element_##name, FAST, python "($self" arguments ")\n--\n\n" doc),

PyMethodDef heap_operation_methods[] = {OPERATIONS(HEAP_METHOD){0}};
PyMethodDef element_operation_methods[] = {OPERATIONS(ELEMENT_METHOD){0}};
