/* Heap: its handle, and what is said of it as a whole. The operations are in operation.c and others. */
#define _GNU_SOURCE
#include "contrib/python/native/native.h"

#include <stdlib.h>
#include <string.h>
#include <structmember.h>
#include <time.h>

PyTypeObject *heap_type;

/* ---- the handle ---- */

static void link_to(heap_t *heap, client_t *client)
{
	heap->next = client->heaps;
	heap->link = &client->heaps;
	if (heap->next)
		heap->next->link = &heap->next;
	client->heaps = heap;
}

static void unlink_heap(heap_t *heap)
{
	if (!heap->link)
		return;
	*heap->link = heap->next;
	if (heap->next)
		heap->next->link = heap->link;
	heap->link = NULL;
}

/* Takes over the handle, and the reference to the box, when it returns an object. */
PyObject *heap_new(client_t *client, struct box *box, ems_heap_t *handle, bool read_only)
{
	char *name = strdup(ems_heap_name(handle));
	heap_t *heap = name ? NEW(heap_type) : NULL;

	if (!heap) {
		free(name);
		return PyErr_Occurred() ? NULL : PyErr_NoMemory();
	}
	heap->name = name;
	heap->handle = handle;
	heap->process = box->process;
	heap->read_only = read_only;
	heap->has_map = ems_heap_has_map(handle);
	heap->box = box;
	heap->client = REF(client);
	link_to(heap, client);
	return (PyObject *)heap;
}

heap_t *heap_borrow(ems_heap_t *handle)
{
	heap_t *heap = NEW(heap_type);

	if (!heap)
		return NULL;
	heap->name = strdup(ems_heap_name(handle));
	if (!heap->name) {
		UNREF(heap);
		return (heap_t *)(void *)PyErr_NoMemory();
	}
	heap->handle = handle;
	heap->borrowed = true;
	heap->process = fork_count;
	heap->has_map = ems_heap_has_map(handle);
	return heap;
}

/* After a fork: the child's own handle, by name. */
bool heap_open_again(heap_t *heap)
{
	ems_heap_options_t options = {.read_only = heap->read_only};
	ems_heap_t *handle;
	struct box *box;
	int status;

	if (heap->borrowed && !heap->closed) {
		failed_saying(EMS_EFORKED, "the array is the parent process's");
		return false;
	}
	if (heap->closed) {
		PyErr_Format(PyExc_ValueError, "heap \"%s\" is closed", heap->name);
		return false;
	}
	box = client_box(heap->client);
	if (!box)
		return false;
	box->references++;
	Py_BEGIN_ALLOW_THREADS
	status = ems_heap_open(box->connection, heap->name, EMS_OPEN_EXISTING, &options, &handle);
	Py_END_ALLOW_THREADS
	if (status < 0) {
		failed(status);
		box_release(box);
		return false;
	}
	if (heap->closed || heap->process == fork_count) { /* meanwhile */
		ems_heap_close(handle);
		box_release(box);
		return !heap->closed || heap_open_again(heap);
	}
	heap_end_iterators(heap);
	ems_heap_close(heap->handle);
	box_release(heap->box);
	heap->handle = handle;
	heap->box = box;
	heap->process = fork_count;
	heap->busy = 0; /* the parent's threads are not here */
	heap->sleepers = NULL;
	return true;
}

/* Others sleep in it: each is cancelled, until none is left. One on its way to sleep is found by the next look. */
static void wait_for_others(heap_t *heap)
{
	while (heap->busy > 0 && heap->process == fork_count) {
		for (struct sleeper *sleeper = heap->sleepers; sleeper; sleeper = sleeper->next)
			if (sleeper->session)
				(void)ems_cancel(sleeper->session);
		Py_BEGIN_ALLOW_THREADS
		(void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
		Py_END_ALLOW_THREADS
	}
}

void heap_shut(heap_t *heap)
{
	ems_heap_t *handle;
	struct box *box;

	heap->closed = true;
	(void)REF(heap);
	unlink_heap(heap);
	wait_for_others(heap);
	heap_end_iterators(heap);
	handle = heap->handle;
	box = heap->box;
	heap->handle = NULL;
	heap->box = NULL;
	if (!heap->borrowed)
		ems_heap_close(handle);
	box_release(box);
	UNREF(heap);
}

static PyObject *heap_close(heap_t *heap, PyObject *none)
{
	(void)none;
	if (!heap->closed)
		heap_shut(heap);
	Py_RETURN_NONE;
}

static void heap_free(heap_t *heap)
{
	PyTypeObject *type = TYPE_OF(heap);

	PyObject_GC_UnTrack(heap);
	if (heap->weak)
		PyObject_ClearWeakRefs((PyObject *)heap);
	unlink_heap(heap);
	if (!heap->borrowed)
		ems_heap_close(heap->handle);
	box_release(heap->box);
	free(heap->name);
	UNREF(heap->client);
	((freefunc)PyType_GetSlot(type, Py_tp_free))(heap);
	UNREF(type);
}

static int heap_traverse(heap_t *heap, visitproc visit, void *arg)
{
	Py_VISIT(TYPE_OF(heap));
	Py_VISIT(heap->client);
	return 0;
}

/* ---- as a whole ---- */

PyDoc_STRVAR(grow_doc, "grow($self, elements)\n--\n\n"
		       "Raise the number of elements, at most to max_elements. Everybody sees it at once.");
static PyObject *heap_grow(heap_t *heap, PyObject *number)
{
	uint64_t elements;
	int status;

	if (!take_uint64(number, "elements", &elements) || !heap_ready(heap))
		return NULL;
	heap->busy++;
	Py_BEGIN_ALLOW_THREADS
	status = ems_heap_grow(heap->handle, elements);
	Py_END_ALLOW_THREADS
	heap->busy--;
	if (status < 0)
		return failed(status);
	Py_RETURN_NONE;
}

static PyObject *heap_detach_thread(heap_t *heap, PyObject *none)
{
	(void)none;
	if (!heap_ready(heap))
		return NULL;
	ems_heap_detach_thread(heap->handle);
	Py_RETURN_NONE;
}

static bool check_client(const heap_t *heap)
{
	if (!heap->client)
		PyErr_SetString(PyExc_ValueError, "the heap is an array's, without a client");
	return heap->client;
}

static PyObject *heap_info(heap_t *heap, PyObject *none)
{
	(void)none;
	return !check_client(heap) ? NULL : PyObject_CallMethod((PyObject *)heap->client, "inspect", "s", heap->name);
}

static PyObject *heap_drop(heap_t *heap, PyObject *none)
{
	(void)none;
	return !check_client(heap) ? NULL : PyObject_CallMethod((PyObject *)heap->client, "drop", "s", heap->name);
}

static PyObject *heap_get_name(heap_t *heap, void *closure)
{
	(void)closure;
	return PyUnicode_FromString(heap->name);
}

static PyObject *heap_get_elements(heap_t *heap, void *closure)
{
	(void)closure;
	return heap_ready(heap) ? PyLong_FromUnsignedLongLong(ems_heap_elements(heap->handle)) : NULL;
}

static PyObject *heap_get_has_map(heap_t *heap, void *closure)
{
	(void)closure;
	return PyBool_FromLong(heap->has_map);
}

static PyObject *heap_get_read_only(heap_t *heap, void *closure)
{
	(void)closure;
	return PyBool_FromLong(heap->read_only);
}

static PyObject *heap_get_dropped(heap_t *heap, void *closure)
{
	(void)closure;
	return heap_ready(heap) ? PyBool_FromLong(ems_heap_is_dropped(heap->handle)) : NULL;
}

static PyObject *heap_get_closed(heap_t *heap, void *closure)
{
	(void)closure;
	return PyBool_FromLong(heap->closed);
}

static PyObject *heap_get_client(heap_t *heap, void *closure)
{
	(void)closure;
	return check_client(heap) ? REF(heap->client) : NULL;
}

static PyObject *heap_repr(heap_t *heap)
{
	return PyUnicode_FromFormat("<ems.Heap \"%s\"%s%s>", heap->name, heap->read_only ? ", read-only" : "",
				    heap->closed ? ", closed" : "");
}

static PyObject *heap_reduce(heap_t *heap, PyObject *none)
{
	PyObject *module, *opener, *result = NULL;

	(void)none;
	if (!check_client(heap))
		return NULL;
	module = PyImport_ImportModule("ems._share");
	opener = module ? PyObject_GetAttrString(module, "open_heap") : NULL;
	if (opener)
		result = Py_BuildValue("N(NsO)", opener, PyObject_GetAttrString((PyObject *)heap->client, "socket"),
				       heap->name, heap->read_only ? Py_True : Py_False);
	Py_XDECREF(module);
	return result;
}

static PyObject *heap_enter(PyObject *heap, PyObject *none)
{
	(void)none;
	return Py_NewRef(heap);
}

static PyObject *heap_exit(heap_t *heap, PyObject *args)
{
	(void)args;
	return heap_close(heap, NULL);
}

/* ---- as a container ---- */

static PyObject *heap_subscript(heap_t *heap, PyObject *key)
{
	element_t *element = NEW(element_type);

	if (!element)
		return NULL;
	element->heap = REF(heap);
	element->key = Py_NewRef(key);
	return (PyObject *)element;
}

static int heap_assign(heap_t *heap, PyObject *key, PyObject *value)
{
	PyObject *result = value ? PyObject_CallMethod((PyObject *)heap, "write", "OO", key, value)
				 : PyObject_CallMethod((PyObject *)heap, "delete", "O", key);

	Py_XDECREF(result);
	return result ? 0 : -1;
}

static int heap_contains(heap_t *heap, PyObject *object)
{
	ems_key_t key;
	uint64_t index;
	int status;

	if (!key_from(object, &key) || !heap_ready(heap))
		return -1;
	status = ems_key_to_index(heap->handle, key, &index);
	if (status == -EMS_ENOKEY || (status == -EMS_ERANGE && !heap->has_map))
		return 0;
	if (status < 0)
		failed(status);
	return status < 0 ? -1 : 1;
}

static PyObject *heap_iter(heap_t *heap)
{
	return heap_iterate(heap, 0);
}

static PyObject *heap_keys(heap_t *heap, PyObject *none)
{
	(void)none;
	return heap_iterate(heap, 0);
}

static PyObject *heap_values(heap_t *heap, PyObject *none)
{
	(void)none;
	return heap_iterate(heap, 1);
}

static PyObject *heap_items(heap_t *heap, PyObject *none)
{
	(void)none;
	return heap_iterate(heap, 2);
}

/* ---- the type ---- */

static PyGetSetDef heap_properties[] = {
	{"name", (getter)heap_get_name, NULL, "Its name, in full.", NULL},
	{"elements", (getter)heap_get_elements, NULL, "How many elements it has now.", NULL},
	{"has_map", (getter)heap_get_has_map, NULL, "Whether elements are found by key.", NULL},
	{"read_only", (getter)heap_get_read_only, NULL, "Whether it is attached for reading only.", NULL},
	{"dropped", (getter)heap_get_dropped, NULL, "Whether its name was removed.", NULL},
	{"closed", (getter)heap_get_closed, NULL, "Whether this object is closed.", NULL},
	{"client", (getter)heap_get_client, NULL, "The client that it was opened with.", NULL},
	{0}};

static PyMemberDef heap_members[] = {
	{"__weaklistoffset__", T_PYSSIZET, offsetof(heap_t, weak), READONLY, NULL}, {0}};

static PyMethodDef heap_own_methods[] = {
	METHOD("grow", heap_grow, METH_O, grow_doc),
	METHOD("detach_thread", heap_detach_thread, METH_NOARGS,
	       "detach_thread($self)\n--\n\nGive back the calling thread's slot, and what it holds."),
	METHOD("info", heap_info, METH_NOARGS, "info($self)\n--\n\nWhat the daemon knows of it; see Client.inspect."),
	METHOD("drop", heap_drop, METH_NOARGS, "drop($self)\n--\n\nRemove its name; see Client.drop."),
	METHOD("keys", heap_keys, METH_NOARGS,
	       "keys($self)\n--\n\nIterate over the keys while others change them: each that is there throughout is seen "
	       "exactly once."),
	METHOD("values", heap_values, METH_NOARGS, "values($self)\n--\n\nIterate over the values."),
	METHOD("items", heap_items, METH_NOARGS, "items($self)\n--\n\nIterate over (key, value)."),
	METHOD("close", heap_close, METH_NOARGS,
	       "close($self)\n--\n\nClose it. Whoever sleeps in one of its operations gets CancelledError."),
	METHOD("__enter__", heap_enter, METH_NOARGS, NULL),
	METHOD("__exit__", heap_exit, METH_VARARGS, NULL),
	METHOD("__reduce__", heap_reduce, METH_NOARGS, NULL),
	METHOD("_wait_begin", heap_wait_begin, FAST, "Begin to wait; see ems/_wait.py."),
	{0}};

static PyType_Slot heap_slots[] = {
	SLOT(Py_tp_doc,
	     "A heap: elements that processes share, each with a value and a tag, full or empty.\n\n"
	     "heap[key] is an Element; heap[key] = value writes, del heap[key] deletes, key in heap tells whether it "
	     "is there. Each operation takes the key first, and also exists on the element: heap.faa('hits', 1) is "
	     "heap['hits'].faa(1), only quicker. A heap is made by Client.heap."),
	SLOT(Py_tp_new, no_new),
	SLOT(Py_tp_dealloc, heap_free),
	SLOT(Py_tp_traverse, heap_traverse),
	SLOT(Py_tp_repr, heap_repr),
	SLOT(Py_tp_iter, heap_iter),
	SLOT(Py_tp_members, heap_members),
	SLOT(Py_tp_getset, heap_properties),
	SLOT(Py_mp_subscript, heap_subscript),
	SLOT(Py_mp_ass_subscript, heap_assign),
	SLOT(Py_sq_contains, heap_contains),
	SLOT(Py_tp_methods, NULL),
	{0, NULL}};

static PyType_Spec heap_spec = {
	.name = "ems._native.Heap",
	.basicsize = sizeof(heap_t),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
	.slots = heap_slots,
};

int add_heap(PyObject *module)
{
	PyMethodDef *methods = join_methods((PyMethodDef *const[]){heap_own_methods, heap_operation_methods,
								   heap_queue_methods, heap_range_methods,
								   heap_key_methods, NULL});

	if (!methods)
		return -1;
	for (PyType_Slot *slot = heap_slots; slot->slot; slot++)
		if (slot->slot == Py_tp_methods)
			slot->pfunc = methods;
	heap_type = add_type(module, &heap_spec);
	return heap_type ? 0 : -1;
}
