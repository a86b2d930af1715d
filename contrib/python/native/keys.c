/* Keys of a heap: iterating, indexes, several at once. */
#include "contrib/python/native/native.h"

PyTypeObject *iterator_type;

/* ---- iterating ---- */

enum { KEYS, VALUES, ITEMS };

typedef struct iterator {
	PyObject_HEAD
	struct iterator *next, **link; /* in the heap's list */
	heap_t *heap;
	ems_iterator_t *iterator;
	ems_value_t value; /* its buffer is used again */
	int what;
} iterator_t;

PyObject *heap_iterate(heap_t *heap, int what)
{
	iterator_t *iterator;
	int status;

	if (!heap_ready(heap))
		return NULL;
	iterator = NEW(iterator_type);
	if (!iterator)
		return NULL;
	iterator->heap = REF(heap);
	iterator->what = what;
	status = ems_iterate(heap->handle, &iterator->iterator);
	if (status == 0) {
		iterator->next = heap->iterators;
		iterator->link = &heap->iterators;
		if (iterator->next)
			iterator->next->link = &iterator->next;
		heap->iterators = iterator;
		return (PyObject *)iterator;
	}
	UNREF(iterator);
	return failed(status);
}

static void end_iterator(iterator_t *iterator)
{
	if (!iterator->iterator)
		return;
	ems_iterator_free(iterator->iterator);
	iterator->iterator = NULL;
	*iterator->link = iterator->next;
	if (iterator->next)
		iterator->next->link = iterator->link;
}

/* Its handle is about to be closed. */
void heap_end_iterators(heap_t *heap)
{
	while (heap->iterators)
		end_iterator(heap->iterators);
}

static PyObject *iterator_next(iterator_t *iterator)
{
	PyObject *key, *value, *pair;
	ems_key_t found;
	int status;

	if (!iterator->iterator) {
		if (iterator->heap->closed)
			PyErr_SetString(PyExc_ValueError, "the heap was closed");
		return NULL;
	}
	status = ems_iterator_next(iterator->iterator, &found, iterator->what == KEYS ? NULL : &iterator->value);
	if (status == -EMS_EEMPTY) {
		end_iterator(iterator);
		return NULL;
	}
	if (status < 0) {
		failed(status);
		end_iterator(iterator);
		return NULL;
	}
	if (iterator->what == VALUES)
		return value_to(&iterator->value);
	key = key_to(&found);
	if (!key || iterator->what == KEYS)
		return key;
	value = value_to(&iterator->value);
	pair = value ? PyTuple_Pack(2, key, value) : NULL;
	UNREF(key);
	UNREF(value);
	return pair;
}

static void iterator_free(iterator_t *iterator)
{
	PyTypeObject *type = TYPE_OF(iterator);

	end_iterator(iterator);
	ems_value_clear(&iterator->value);
	UNREF(iterator->heap);
	((freefunc)PyType_GetSlot(type, Py_tp_free))(iterator);
	UNREF(type);
}

static PyType_Slot iterator_slots[] = {
	SLOT(Py_tp_doc, "An iterator over a heap; it belongs to one thread."),
	SLOT(Py_tp_new, no_new),
	SLOT(Py_tp_dealloc, iterator_free),
	SLOT(Py_tp_iter, PyObject_SelfIter),
	SLOT(Py_tp_iternext, iterator_next),
	{0, NULL}};

static PyType_Spec iterator_spec = {
	.name = "ems._native.Iterator",
	.basicsize = sizeof(iterator_t),
	.flags = Py_TPFLAGS_DEFAULT,
	.slots = iterator_slots,
};

int add_iterator(PyObject *module)
{
	iterator_type = add_type(module, &iterator_spec);
	return iterator_type ? 0 : -1;
}

/* ---- indexes ---- */

static PyObject *heap_key_to_index(heap_t *heap, PyObject *object)
{
	ems_key_t key;
	uint64_t index;
	int status;

	if (!key_from(object, &key) || !heap_ready(heap))
		return NULL;
	status = ems_key_to_index(heap->handle, key, &index);
	return status < 0 ? failed(status) : PyLong_FromUnsignedLongLong(index);
}

static PyObject *heap_index_to_key(heap_t *heap, PyObject *number)
{
	ems_value_t buffer = EMS_VALUE_INIT;
	PyObject *object;
	ems_key_t key;
	uint64_t index;
	int status;

	if (!take_uint64(number, "index", &index) || !heap_ready(heap))
		return NULL;
	status = ems_index_to_key(heap->handle, index, &key, &buffer);
	object = status < 0 ? failed(status) : key_to(&key);
	ems_value_clear(&buffer);
	return object;
}

/* ---- several at once ---- */

static PyObject *heap_get_many(heap_t *heap, PyObject *keys)
{
	PyObject *iterator = PyObject_GetIter(keys), *values = iterator ? PyList_New(0) : NULL, *object;

	while (values && (object = PyIter_Next(iterator))) {
		ems_value_t value = EMS_VALUE_INIT;
		PyObject *one = NULL;
		ems_key_t key;
		int status;

		if (key_from(object, &key) && heap_ready(heap)) {
			status = ems_read(heap->handle, key, &value);
			one = status < 0 ? failed(status) : value_to(&value);
		}
		if (!one || PyList_Append(values, one) < 0)
			Py_CLEAR(values);
		UNREF(one);
		UNREF(object);
	}
	UNREF(iterator);
	if (PyErr_Occurred())
		Py_CLEAR(values);
	return values;
}

static bool set_one(heap_t *heap, PyObject *pair, ems_deadline_t until)
{
	PyObject *object = PySequence_GetItem(pair, 0), *what = object ? PySequence_GetItem(pair, 1) : NULL;
	struct keeper keeper = {0};
	bool raised, done = false;
	ems_value_t value;
	ems_key_t key;
	int status;

	if (what && key_from(object, &key) && value_from(what, &value, &keeper) && heap_ready(heap)) {
		WAIT_FOR(status, raised, heap, until, ems_write_until(heap->handle, key, &value, deadline));
		if (status < 0 && !raised)
			failed(status);
		done = status == 0;
	}
	keeper_release(&keeper);
	UNREF(object);
	UNREF(what);
	return done;
}

static PyObject *heap_set_many(heap_t *heap, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	static const char *const names[] = {"items", "timeout", NULL};
	PyObject *given[2], *items, *iterator, *pair;
	ems_deadline_t until;
	bool done = true;

	if (!take_arguments("set_many", args, nargs, kwnames, names, 1, given) ||
	    !take_timeout(given[1], EMS_FOREVER, &until))
		return NULL;
	items = PyDict_Check(given[0]) ? PyDict_Items(given[0]) : Py_NewRef(given[0]);
	iterator = items ? PyObject_GetIter(items) : NULL;
	while (done && iterator && (pair = PyIter_Next(iterator))) {
		done = set_one(heap, pair, until);
		UNREF(pair);
	}
	UNREF(iterator);
	UNREF(items);
	if (PyErr_Occurred())
		return NULL;
	Py_RETURN_NONE;
}

PyMethodDef heap_key_methods[] = {
	METHOD("key_to_index", heap_key_to_index, METH_O,
	       "key_to_index($self, key)\n--\n\nThe index of a key's element, constant until it is deleted (NoKeyError)."),
	METHOD("index_to_key", heap_index_to_key, METH_O,
	       "index_to_key($self, index)\n--\n\nThe key of the element with that index (NoKeyError)."),
	METHOD("get_many", heap_get_many, METH_O,
	       "get_many($self, keys)\n--\n\nThe values of several keys, each read by itself: a list."),
	METHOD("set_many", heap_set_many, FAST,
	       "set_many($self, items, timeout=None)\n--\n\nWrite several: a dict, or pairs of key and value. Each is written by "
	       "itself."),
	{0}};
