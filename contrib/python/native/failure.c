/* Exceptions. Their classes are in ems/errors.py, which knows which code is which. */
#include "contrib/python/native/native.h"

static PyObject *make; /* ems.errors.make(code, name, message) → exception */

int failure_set_up(PyObject *module)
{
	PyObject *errors = PyImport_ImportModule("ems.errors");

	(void)module;
	if (!errors)
		return -1;
	make = PyObject_GetAttrString(errors, "make");
	Py_DECREF(errors);
	return make ? 0 : -1;
}

PyObject *failed_saying(int code, const char *words)
{
	PyObject *exception;

	code = code < 0 ? -code : code;
	/* The words may hold what was given as a key, which need not be UTF-8. */
	exception = PyObject_CallFunction(make, "isN", code, ems_error_name(code),
					  PyUnicode_DecodeUTF8(words, (Py_ssize_t)strlen(words), "backslashreplace"));
	if (exception) {
		PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
		Py_DECREF(exception);
	}
	return NULL;
}

PyObject *failed(int code)
{
	const ems_error_t *last = ems_last_error();
	int positive = code < 0 ? -code : code;

	return failed_saying(positive, last->code == positive ? last->message : ems_error_text(positive));
}
