/*
 * Values and keys: Python's to the library's, and back.
 *
 *      None bool int float str bytes          undefined boolean integer float string bytes
 *      dict list tuple, ems.Json(anything)    JSON
 *
 * A bytearray, memoryview or array becomes bytes. What has __index__ is an integer, and with __float__ a float, so that
 * numpy's numbers are numbers.
 */
#include "contrib/python/native/native.h"

static PyObject *dumps, *loads, *json_class;

int convert_set_up(PyObject *module)
{
	PyObject *json = PyImport_ImportModule("ems._json");

	(void)module;
	if (!json)
		return -1;
	dumps = PyObject_GetAttrString(json, "dumps");
	loads = PyObject_GetAttrString(json, "loads");
	json_class = PyObject_GetAttrString(json, "Json");
	Py_DECREF(json);
	return dumps && loads && json_class ? 0 : -1;
}

static bool text_from(PyObject *object, ems_type_t type, ems_value_t *value)
{
	Py_ssize_t size;
	const char *text = PyUnicode_AsUTF8AndSize(object, &size);

	if (!text)
		return false; /* a lone surrogate: UnicodeEncodeError */
	*value = ems_value_data(type, text, (size_t)size);
	return true;
}

static bool json_from(PyObject *object, ems_value_t *value, struct keeper *keeper)
{
	PyObject *text = PyObject_CallFunctionObjArgs(dumps, object, NULL);

	if (!text)
		return false;
	keeper->object = text;
	return text_from(text, EMS_JSON, value);
}

static bool bytes_from(PyObject *object, ems_value_t *value, struct keeper *keeper)
{
	if (PyObject_GetBuffer(object, &keeper->buffer, PyBUF_SIMPLE) < 0)
		return false;
	keeper->has_buffer = true;
	*value = ems_value_data(EMS_BYTES, keeper->buffer.buf, (size_t)keeper->buffer.len);
	return true;
}

static bool number_from(PyObject *object, ems_value_t *value)
{
	if (PyIndex_Check(object)) {
		value->type = EMS_INTEGER;
		return take_int64(object, &value->integer);
	}
	value->type = EMS_FLOAT;
	value->number = PyFloat_AsDouble(object);
	if (value->number != -1 || !PyErr_Occurred())
		return true;
	if (PyErr_ExceptionMatches(PyExc_TypeError)) {
		PyErr_Clear();
		PyErr_Format(PyExc_TypeError, "a heap holds no %R: None, bool, int, float, str, bytes, dict and list it does",
			     (PyObject *)Py_TYPE(object));
	}
	return false;
}

static bool convert(PyObject *object, ems_value_t *value, struct keeper *keeper)
{
	if (object == Py_None) {
		value->type = EMS_UNDEFINED;
		return true;
	}
	if (PyBool_Check(object)) {
		value->type = EMS_BOOLEAN;
		value->integer = 0;
		value->boolean = object == Py_True;
		return true;
	}
	if (PyUnicode_Check(object))
		return text_from(object, EMS_STRING, value);
	if (PyBytes_Check(object)) {
		char *data;
		Py_ssize_t size;

		if (PyBytes_AsStringAndSize(object, &data, &size) < 0)
			return false;
		*value = ems_value_data(EMS_BYTES, data, (size_t)size);
		return true;
	}
	if (PyDict_Check(object) || PyList_Check(object) || PyTuple_Check(object) ||
	    PyObject_TypeCheck(object, (PyTypeObject *)json_class))
		return json_from(object, value, keeper);
	/* A number of numpy's has a buffer, too. */
	if (PyLong_Check(object) || PyFloat_Check(object) || PyIndex_Check(object) ||
	    PyType_GetSlot(Py_TYPE(object), Py_nb_float) || !PyObject_CheckBuffer(object))
		return number_from(object, value);
	return bytes_from(object, value, keeper);
}

bool value_from_slow(PyObject *object, ems_value_t *value, struct keeper *keeper)
{
	if (convert(object, value, keeper))
		return true;
	keeper_release(keeper);
	return false;
}

void keeper_release_slow(struct keeper *keeper)
{
	if (keeper->has_buffer)
		PyBuffer_Release(&keeper->buffer);
	keeper->has_buffer = false;
	Py_CLEAR(keeper->object);
}

static PyObject *json_to(const ems_value_t *value)
{
	PyObject *text = PyUnicode_DecodeUTF8(value->data, (Py_ssize_t)value->size, NULL), *object = NULL;

	if (text)
		object = PyObject_CallFunctionObjArgs(loads, text, NULL);
	Py_XDECREF(text);
	return object;
}

PyObject *value_to_slow(ems_value_t *value)
{
	PyObject *object = NULL;

	switch ((ems_type_t)value->type) {
	case EMS_UNDEFINED:
		object = Py_NewRef(Py_None);
		break;
	case EMS_BOOLEAN:
		object = PyBool_FromLong(value->boolean);
		break;
	case EMS_INTEGER:
		object = PyLong_FromLongLong(value->integer);
		break;
	case EMS_FLOAT:
		object = PyFloat_FromDouble(value->number);
		break;
	case EMS_STRING:
		object = PyUnicode_DecodeUTF8(value->data, (Py_ssize_t)value->size, NULL);
		break;
	case EMS_JSON:
		object = json_to(value);
		break;
	case EMS_BYTES:
		object = PyBytes_FromStringAndSize(value->data, (Py_ssize_t)value->size);
		break;
	default:
		failed_saying(EMS_EVERSION, "a value of a type that this version does not know");
	}
	if (value->capacity)
		ems_value_clear(value);
	return object;
}

/* ---- keys ---- */

bool key_from_slow(PyObject *object, ems_key_t *key)
{
	Py_ssize_t size;

	if (PyUnicode_Check(object)) {
		const char *text = PyUnicode_AsUTF8AndSize(object, &size);

		if (text)
			*key = ems_key_bytes(text, (size_t)size);
		return text != NULL;
	}
	if (PyBool_Check(object)) {
		*key = ems_key_boolean(object == Py_True);
		return true;
	}
	if (PyFloat_Check(object)) {
		*key = ems_key_float(PyFloat_AsDouble(object));
		return true;
	}
	if (PyBytes_Check(object)) {
		char *text;

		if (PyBytes_AsStringAndSize(object, &text, &size) < 0)
			return false;
		*key = ems_key_bytes(text, (size_t)size);
		return true;
	}
	if (PyIndex_Check(object)) {
		*key = ems_index(0);
		return take_int64(object, &key->integer);
	}
	PyErr_Format(PyExc_TypeError, "a key is a str, bytes, int, float or bool, not %R", (PyObject *)Py_TYPE(object));
	return false;
}

/* A string key that is not UTF-8 is bytes, as which it can be given again. */
static PyObject *text_to(const ems_key_t *key)
{
	PyObject *text = PyUnicode_DecodeUTF8(key->text, (Py_ssize_t)key->size, NULL);

	if (text || !PyErr_ExceptionMatches(PyExc_UnicodeDecodeError))
		return text;
	PyErr_Clear();
	return PyBytes_FromStringAndSize(key->text, (Py_ssize_t)key->size);
}

PyObject *key_to(const ems_key_t *key)
{
	switch ((ems_key_type_t)key->type) {
	case EMS_KEY_INTEGER:
		return PyLong_FromLongLong(key->integer);
	case EMS_KEY_FLOAT:
		return PyFloat_FromDouble(key->number);
	case EMS_KEY_BOOLEAN:
		return PyBool_FromLong(key->boolean);
	case EMS_KEY_STRING:
		return text_to(key);
	}
	return failed_saying(EMS_EVERSION, "a key of a type that this version does not know");
}
