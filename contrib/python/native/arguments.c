/* Arguments of fast calls, in the way of Python's own: by position or by name. */
#include "contrib/python/native/native.h"

static Py_ssize_t find_name(PyObject *given, const char *const *names)
{
	for (Py_ssize_t i = 0; names[i]; i++)
		if (PyUnicode_CompareWithASCIIString(given, names[i]) == 0)
			return i;
	return -1;
}

bool take_arguments(const char *function, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
		    const char *const *names, Py_ssize_t required, PyObject **out)
{
	Py_ssize_t count = 0, named = kwnames ? PyTuple_Size(kwnames) : 0;

	while (names[count])
		count++;
	if (UNLIKELY(nargs > count)) {
		PyErr_Format(PyExc_TypeError, "%s() takes at most %zd arguments (%zd given)", function, count, nargs);
		return false;
	}
	for (Py_ssize_t i = 0; i < count; i++)
		out[i] = i < nargs ? args[i] : NULL;
	for (Py_ssize_t i = 0; i < named; i++) {
		PyObject *name = PyTuple_GetItem(kwnames, i);
		Py_ssize_t place = find_name(name, names);

		if (place < 0) {
			PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", function, name);
			return false;
		}
		if (out[place]) {
			PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%U'", function, name);
			return false;
		}
		out[place] = args[nargs + i];
	}
	for (Py_ssize_t i = 0; i < required; i++)
		if (UNLIKELY(!out[i])) {
			PyErr_Format(PyExc_TypeError, "%s() missing required argument '%s'", function, names[i]);
			return false;
		}
	return true;
}

bool take_timeout(PyObject *timeout, ems_deadline_t none_given, ems_deadline_t *deadline)
{
	double seconds;

	if (!timeout) {
		*deadline = none_given;
		return true;
	}
	if (timeout == Py_None) {
		*deadline = EMS_FOREVER;
		return true;
	}
	seconds = PyFloat_AsDouble(timeout);
	if (seconds == -1 && PyErr_Occurred())
		return false;
	if (seconds != seconds) {
		PyErr_SetString(PyExc_ValueError, "timeout is not a number");
		return false;
	}
	/* 292 years are for ever. */
	if (seconds <= 0)
		*deadline = EMS_NOW;
	else if (seconds >= 9.2e9)
		*deadline = EMS_FOREVER;
	else
		*deadline = ems_deadline_in((uint64_t)(seconds * 1e9));
	return true;
}

bool take_uint64(PyObject *number, const char *what, uint64_t *value)
{
	PyObject *index = PyNumber_Index(number);

	if (!index)
		return false;
	*value = PyLong_AsUnsignedLongLong(index);
	Py_DECREF(index);
	if (*value != UINT64_MAX || !PyErr_Occurred())
		return true;
	PyErr_Format(PyExc_OverflowError, "%s: %R does not fit", what, number);
	return false;
}

bool take_int64(PyObject *number, int64_t *value)
{
	PyObject *index = PyNumber_Index(number);

	if (!index)
		return false;
	*value = PyLong_AsLongLong(index);
	Py_DECREF(index);
	return *value != -1 || !PyErr_Occurred();
}

bool take_tag(PyObject *tag, ems_tag_t *value)
{
	*value = (ems_tag_t)0;
	if (!tag || tag == Py_None)
		return true;
	if (tag == Py_True || (PyUnicode_Check(tag) && PyUnicode_CompareWithASCIIString(tag, "full") == 0))
		*value = EMS_FULL;
	else if (tag == Py_False || (PyUnicode_Check(tag) && PyUnicode_CompareWithASCIIString(tag, "empty") == 0))
		*value = EMS_EMPTY;
	else
		PyErr_Format(PyExc_ValueError, "a tag is 'full' or 'empty', not %R", tag);
	return *value != 0;
}

bool take_mode(PyObject *how, ems_open_t *mode)
{
	static const char *const names[] = {"open", "create", "open_or_create", "replace"};

	*mode = EMS_OPEN_OR_CREATE;
	if (!how)
		return true;
	for (int i = 0; i < 4; i++)
		if (PyUnicode_Check(how) && PyUnicode_CompareWithASCIIString(how, names[i]) == 0) {
			*mode = (ems_open_t)i;
			return true;
		}
	PyErr_Format(PyExc_ValueError, "how is 'open', 'create', 'open_or_create' or 'replace', not %R", how);
	return false;
}

bool take_flag(PyObject *flag, bool *value)
{
	int truth = flag ? PyObject_IsTrue(flag) : 0;

	*value = truth > 0;
	return truth >= 0;
}

bool take_size(PyObject *number, const char *what, uint64_t *value)
{
	*value = 0;
	return !number || number == Py_None || take_uint64(number, what, value);
}

bool take_small(PyObject *number, const char *what, uint32_t *value)
{
	uint64_t wide;

	if (!take_size(number, what, &wide))
		return false;
	*value = (uint32_t)wide;
	if (wide <= UINT32_MAX)
		return true;
	PyErr_Format(PyExc_OverflowError, "%s: %R does not fit", what, number);
	return false;
}
