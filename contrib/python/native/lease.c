/* Lease: what was taken, until it is said what becomes of it. */
#include "contrib/python/native/native.h"

PyTypeObject *lease_type;

typedef struct lease {
	PyObject_HEAD
	heap_t *heap;
	PyObject *value;
	ems_lease_t lease;
	uint32_t process;
	bool of_queue, ended;
} lease_t;

/* Takes over the value. When there is no memory for it, the lease is ended. */
PyObject *lease_new(heap_t *heap, const ems_lease_t *taken, PyObject *value, bool of_queue)
{
	lease_t *lease = NEW(lease_type);

	if (!lease) {
		ems_lease_t copy = *taken;

		(void)ems_lease_end(&copy);
		UNREF(value);
		return NULL;
	}
	lease->heap = REF(heap);
	lease->value = value;
	lease->lease = *taken;
	lease->process = fork_count;
	lease->of_queue = of_queue;
	return (PyObject *)lease;
}

static bool usable(lease_t *lease)
{
	if (lease->ended)
		PyErr_SetString(PyExc_ValueError, "the lease was ended");
	else if (lease->process != fork_count)
		failed_saying(EMS_EFORKED, "the lease is the parent process's");
	else if (lease->heap->closed || !lease->heap->handle)
		PyErr_SetString(PyExc_ValueError, "the lease went with its heap, which is closed");
	else
		return true;
	return false;
}

static PyObject *lease_put(lease_t *lease, PyObject *object)
{
	struct keeper keeper;
	ems_value_t value;
	int status;

	if (!value_from(object, &value, &keeper))
		return NULL;
	if (!usable(lease)) {
		keeper_release(&keeper);
		return NULL;
	}
	status = ems_lease_put(&lease->lease, &value);
	if (status < 0)
		failed(status);
	else
		lease->ended = true;
	keeper_release(&keeper);
	if (status < 0)
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *end_by(lease_t *lease, int (*function)(ems_lease_t *))
{
	int status;

	if (!usable(lease))
		return NULL;
	status = function(&lease->lease);
	if (status < 0)
		return failed(status);
	lease->ended = true;
	Py_RETURN_NONE;
}

static PyObject *lease_keep(lease_t *lease, PyObject *none)
{
	(void)none;
	return end_by(lease, ems_lease_keep);
}

static PyObject *lease_end(lease_t *lease, PyObject *none)
{
	(void)none;
	return end_by(lease, ems_lease_end);
}

static PyObject *lease_enter(PyObject *lease, PyObject *none)
{
	(void)none;
	return REF(lease);
}

/* Work on a queue's item that came to its end has done it; an element is given back as it was. */
static PyObject *lease_exit(lease_t *lease, PyObject *args)
{
	PyObject *exception = PyTuple_Size(args) > 0 ? PyTuple_GetItem(args, 0) : Py_None;

	if (lease->ended)
		Py_RETURN_NONE;
	return end_by(lease, lease->of_queue && exception == Py_None ? ems_lease_keep : ems_lease_end);
}

static void lease_free(lease_t *lease)
{
	PyTypeObject *type = TYPE_OF(lease);

	if (!lease->ended && lease->process == fork_count && !lease->heap->closed && lease->heap->handle)
		(void)ems_lease_end(&lease->lease);
	UNREF(lease->heap);
	UNREF(lease->value);
	((freefunc)PyType_GetSlot(type, Py_tp_free))(lease);
	UNREF(type);
}

static PyObject *lease_get_value(lease_t *lease, void *closure)
{
	(void)closure;
	return REF(lease->value);
}

static PyObject *lease_get_ended(lease_t *lease, void *closure)
{
	(void)closure;
	return PyBool_FromLong(lease->ended);
}

static PyGetSetDef lease_properties[] = {
	{"value", (getter)lease_get_value, NULL, "What was taken.", NULL},
	{"ended", (getter)lease_get_ended, NULL, "Whether it was ended.", NULL},
	{0}};

static PyMethodDef lease_methods[] = {
	METHOD("put", lease_put, METH_O, "put($self, value)\n--\n\nEnd it: the element is full with that value, the item in its place "
					 "again with it."),
	METHOD("keep", lease_keep, METH_NOARGS,
	       "keep($self)\n--\n\nEnd it: the element is empty, as after read_fe; the item is gone."),
	METHOD("end", lease_end, METH_NOARGS, "end($self)\n--\n\nEnd it, as if nothing had been taken."),
	METHOD("__enter__", lease_enter, METH_NOARGS, NULL),
	METHOD("__exit__", lease_exit, METH_VARARGS, NULL),
	{0}};

static PyType_Slot lease_slots[] = {
	SLOT(Py_tp_doc, "A lease: what read_fe_lease or dequeue_lease took, which is put back when this process dies before it is "
			"ended. It belongs to the thread that took it. At the end of a with statement a queue's item is gone "
			"(keep), an element as it was (end); after an exception both are as they were."),
	SLOT(Py_tp_new, no_new),
	SLOT(Py_tp_dealloc, lease_free),
	SLOT(Py_tp_methods, lease_methods),
	SLOT(Py_tp_getset, lease_properties),
	{0, NULL}};

static PyType_Spec lease_spec = {
	.name = "ems._native.Lease",
	.basicsize = sizeof(lease_t),
	.flags = Py_TPFLAGS_DEFAULT,
	.slots = lease_slots,
};

int add_lease(PyObject *module)
{
	lease_type = add_type(module, &lease_spec);
	return lease_type ? 0 : -1;
}
