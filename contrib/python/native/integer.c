/* The 64-bit integers of a region, by their offsets: each operation is atomic. */
#include "contrib/python/native/native.h"

static PyObject *region_get(region_t *region, PyObject *number)
{
	uint64_t offset;
	int64_t value;
	int status;

	if (!take_uint64(number, "offset", &offset) || !region_ready(region))
		return NULL;
	status = ems_region_get(region->handle, offset, &value);
	return status < 0 ? failed(status) : PyLong_FromLongLong(value);
}

static bool take_counter(const char *name, region_t *region, PyObject *const *args, Py_ssize_t nargs,
			 PyObject *kwnames, uint64_t *offset, int64_t *number)
{
	static const char *const names[] = {"offset", "value", NULL};
	PyObject *given[2];

	return take_arguments(name, args, nargs, kwnames, names, 2, given) && take_uint64(given[0], "offset", offset) &&
	       take_int64(given[1], number) && region_ready(region);
}

static PyObject *region_set(region_t *region, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	uint64_t offset;
	int64_t number;
	int status;

	if (!take_counter("set", region, args, nargs, kwnames, &offset, &number))
		return NULL;
	status = ems_region_set(region->handle, offset, number);
	if (status < 0)
		return failed(status);
	Py_RETURN_NONE;
}

typedef int counter_t(ems_region_t *, uint64_t, int64_t, int64_t *);

static PyObject *count(const char *name, counter_t *function, region_t *region, PyObject *const *args,
		       Py_ssize_t nargs, PyObject *kwnames)
{
	int64_t number, old;
	uint64_t offset;
	int status;

	if (!take_counter(name, region, args, nargs, kwnames, &offset, &number))
		return NULL;
	status = function(region->handle, offset, number, &old);
	return status < 0 ? failed(status) : PyLong_FromLongLong(old);
}

#define COUNTER(name)                                                                                         \
	static PyObject *region_##name(region_t *region, PyObject *const *args, Py_ssize_t nargs,             \
				       PyObject *kwnames)                                                     \
	{                                                                                                     \
		return count(#name, ems_region_##name, region, args, nargs, kwnames);                         \
	}
COUNTER(add)
COUNTER(sub)
COUNTER(and)
COUNTER(or)
COUNTER(xor)
COUNTER(exchange)

static PyObject *region_cas(region_t *region, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	static const char *const names[] = {"offset", "expected", "value", NULL};
	int64_t expected, desired, old;
	PyObject *given[3];
	uint64_t offset;
	int status;

	if (!take_arguments("cas", args, nargs, kwnames, names, 3, given) || !take_uint64(given[0], "offset", &offset) ||
	    !take_int64(given[1], &expected) || !take_int64(given[2], &desired) || !region_ready(region))
		return NULL;
	status = ems_region_cas(region->handle, offset, expected, desired, &old, NULL);
	return status < 0 ? failed(status) : PyLong_FromLongLong(old);
}

#define COUNT_DOC(name, doc) #name "($self, offset, value)\n--\n\n" doc " the 64-bit integer at an offset (a multiple of 8) atomically; the old one."
PyMethodDef region_integer_methods[] = {
	METHOD("get", region_get, METH_O, "get($self, offset)\n--\n\nThe 64-bit integer at an offset, a multiple of 8."),
	METHOD("set", region_set, FAST, "set($self, offset, value)\n--\n\nStore a 64-bit integer at an offset, a multiple of 8."),
	METHOD("add", region_add, FAST, COUNT_DOC(add, "Add to")),
	METHOD("sub", region_sub, FAST, COUNT_DOC(sub, "Subtract from")),
	METHOD("and_", region_and, FAST, COUNT_DOC(and_, "Bitwise and with")),
	METHOD("or_", region_or, FAST, COUNT_DOC(or_, "Bitwise or with")),
	METHOD("xor_", region_xor, FAST, COUNT_DOC(xor_, "Bitwise exclusive or with")),
	METHOD("exchange", region_exchange, FAST, COUNT_DOC(exchange, "Replace")),
	METHOD("cas", region_cas, FAST,
	       "cas($self, offset, expected, value)\n--\n\nCompare and swap the 64-bit integer at an offset; the old one."),
	{0}};
