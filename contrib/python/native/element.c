/* Element: a heap and a key. Its operations are in operation.c. */
#include "contrib/python/native/native.h"

PyTypeObject *element_type;

static PyObject *element_create(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"heap", "key", NULL};
	PyObject *heap, *key;
	element_t *element;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!O:Element", names, heap_type, &heap, &key))
		return NULL;
	element = NEW(type);
	if (element) {
		element->heap = REF(heap);
		element->key = REF(key);
	}
	return (PyObject *)element;
}

static void element_free(element_t *element)
{
	PyTypeObject *type = TYPE_OF(element);

	UNREF(element->heap);
	UNREF(element->key);
	((freefunc)PyType_GetSlot(type, Py_tp_free))(element);
	UNREF(type);
}

static PyObject *element_repr(element_t *element)
{
	return PyUnicode_FromFormat("<ems.Element %R of heap \"%s\">", element->key, element->heap->name);
}

static PyObject *element_reduce(element_t *element, PyObject *none)
{
	(void)none;
	return Py_BuildValue("O(OO)", (PyObject *)element_type, (PyObject *)element->heap, element->key);
}

static PyObject *element_get_heap(element_t *element, void *closure)
{
	(void)closure;
	return REF(element->heap);
}

static PyObject *element_get_key(element_t *element, void *closure)
{
	(void)closure;
	return REF(element->key);
}

static PyObject *element_get_value(element_t *element, void *closure)
{
	(void)closure;
	return PyObject_CallMethod((PyObject *)element->heap, "read", "O", element->key);
}

static int element_set_value(element_t *element, PyObject *value, void *closure)
{
	PyObject *result;

	(void)closure;
	if (!value) {
		PyErr_SetString(PyExc_AttributeError, "delete() deletes the key");
		return -1;
	}
	result = PyObject_CallMethod((PyObject *)element->heap, "write", "OO", element->key, value);
	UNREF(result);
	return result ? 0 : -1;
}

static PyGetSetDef element_properties[] = {
	{"heap", (getter)element_get_heap, NULL, "The heap.", NULL},
	{"key", (getter)element_get_key, NULL, "The key, or index.", NULL},
	{"value", (getter)element_get_value, (setter)element_set_value, "read() and write().", NULL},
	{0}};

static PyMethodDef element_reduce_method = METHOD("__reduce__", element_reduce, METH_NOARGS, NULL);

static PyType_Slot element_slots[] = {
	SLOT(Py_tp_doc, "Element(heap, key)\n--\n\nAn element of a heap: heap[key]. Nothing is read or made before an "
			"operation is called."),
	SLOT(Py_tp_new, element_create),
	SLOT(Py_tp_dealloc, element_free),
	SLOT(Py_tp_repr, element_repr),
	SLOT(Py_tp_getset, element_properties),
	SLOT(Py_tp_methods, NULL),
	{0, NULL}};

static PyType_Spec element_spec = {
	.name = "ems._native.Element",
	.basicsize = sizeof(element_t),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
	.slots = element_slots,
};

int add_element(PyObject *module)
{
	PyMethodDef *methods = join_methods((PyMethodDef *const[]){
		(PyMethodDef[]){element_reduce_method, {0}}, element_operation_methods, NULL});

	if (!methods)
		return -1;
	for (PyType_Slot *slot = element_slots; slot->slot; slot++)
		if (slot->slot == Py_tp_methods)
			slot->pfunc = methods;
	element_type = add_type(module, &element_spec);
	return element_type ? 0 : -1;
}
