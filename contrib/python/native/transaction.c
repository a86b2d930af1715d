/* Transactions and snapshots: elements of one or several heaps at once. */
#include "contrib/python/native/native.h"

#include <stdlib.h>

PyTypeObject *transaction_type;

/* ---- which elements ---- */

struct set {
	ems_transaction_element_t *elements;
	heap_t **heaps;	  /* counted */
	PyObject **keys; /* counted: their texts are used */
	Py_ssize_t count;
};

static void set_release(struct set *set)
{
	for (Py_ssize_t i = 0; i < set->count; i++) {
		UNREF(set->heaps[i]);
		UNREF(set->keys[i]);
	}
	PyMem_Free(set->elements);
	PyMem_Free(set->heaps);
	PyMem_Free(set->keys);
	*set = (struct set){0};
}

static bool take_tuple(PyObject *object, PyObject **heap, PyObject **key, bool *read_only)
{
	Py_ssize_t size = PyTuple_Check(object) ? PyTuple_Size(object) : 0;
	int truth;

	*read_only = false;
	if ((size == 2 || size == 3) && PyObject_TypeCheck(PyTuple_GetItem(object, 0), heap_type)) {
		*heap = PyTuple_GetItem(object, 0);
		*key = PyTuple_GetItem(object, 1);
		truth = size == 3 ? PyObject_IsTrue(PyTuple_GetItem(object, 2)) : 0;
		*read_only = truth > 0;
		return truth >= 0;
	}
	PyErr_Format(PyExc_TypeError, "an element of a transaction is an Element or a tuple (heap, key[, read_only]), not %R",
		     object);
	return false;
}

static bool take_element(PyObject *object, struct set *set, Py_ssize_t which)
{
	ems_transaction_element_t *element = &set->elements[which];
	PyObject *heap, *key;

	if (PyObject_TypeCheck(object, element_type)) {
		heap = (PyObject *)((element_t *)(void *)object)->heap;
		key = ((element_t *)(void *)object)->key;
		element->read_only = false;
	} else if (!take_tuple(object, &heap, &key, &element->read_only)) {
		return false;
	}
	if (!key_from(key, &element->key) || !heap_ready((heap_t *)(void *)heap))
		return false;
	set->heaps[which] = REF(heap);
	set->keys[which] = REF(key);
	set->count = which + 1;
	element->heap = set->heaps[which]->handle;
	return true;
}

static bool take_set(PyObject *sequence, struct set *set)
{
	Py_ssize_t size = PySequence_Size(sequence);

	*set = (struct set){0};
	if (size < 0)
		return false;
	set->elements = PyMem_Calloc((size_t)size + 1, sizeof(*set->elements));
	set->heaps = PyMem_Calloc((size_t)size + 1, sizeof(*set->heaps));
	set->keys = PyMem_Calloc((size_t)size + 1, sizeof(*set->keys));
	if (!set->elements || !set->heaps || !set->keys) {
		PyErr_NoMemory();
		set_release(set);
		return false;
	}
	for (Py_ssize_t i = 0; i < size; i++) {
		PyObject *object = PySequence_GetItem(sequence, i);
		bool taken = object && take_element(object, set, i);

		UNREF(object);
		if (!taken) {
			set_release(set);
			return false;
		}
	}
	return true;
}

/* A heap that sleeps are counted on: closing another one of the set meanwhile is not cancelled, but waited for. */
static void hold(struct set *set, long by)
{
	for (Py_ssize_t i = 0; i < set->count; i++)
		set->heaps[i]->busy += by;
}

/* ---- transactions ---- */

typedef struct transaction {
	PyObject_HEAD
	ems_transaction_t *transaction;
	struct set set;
	uint32_t process;
} transaction_t;

PyObject *begin_transaction(PyObject *module, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	static const char *const names[] = {"elements", "timeout", NULL};
	transaction_t *transaction;
	ems_deadline_t until;
	PyObject *given[2];
	struct set *set;
	bool raised;
	int status;

	(void)module;
	if (!take_arguments("transaction", args, nargs, kwnames, names, 1, given) ||
	    !take_timeout(given[1], EMS_FOREVER, &until))
		return NULL;
	transaction = NEW(transaction_type);
	if (!transaction)
		return NULL;
	transaction->process = fork_count;
	set = &transaction->set;
	if (!take_set(given[0], set)) {
		UNREF(transaction);
		return NULL;
	}
	hold(set, 1);
	WAIT_FOR(status, raised, NULL, until,
		 ems_transaction_begin_until(set->elements, (size_t)set->count, &transaction->transaction, deadline));
	hold(set, -1);
	if (status == 0)
		return (PyObject *)transaction;
	if (!raised)
		failed(status);
	UNREF(transaction);
	return NULL;
}

static bool usable(transaction_t *transaction)
{
	if (!transaction->transaction)
		PyErr_SetString(PyExc_ValueError, "the transaction has ended");
	else if (transaction->process != fork_count)
		failed_saying(EMS_EFORKED, "the transaction is the parent process's");
	else
		return true;
	return false;
}

static PyObject *get_item(transaction_t *transaction, Py_ssize_t which)
{
	ems_value_t value = EMS_VALUE_INIT;
	int status;

	if (!usable(transaction))
		return NULL;
	if (which < 0 || which >= transaction->set.count) {
		PyErr_Format(PyExc_IndexError, "the transaction has %zd elements", transaction->set.count);
		return NULL;
	}
	status = ems_transaction_read(transaction->transaction, (size_t)which, &value);
	if (status == 0)
		return value_to(&value);
	ems_value_clear(&value);
	return failed(status);
}

static int set_item(transaction_t *transaction, Py_ssize_t which, PyObject *object)
{
	struct keeper keeper;
	ems_value_t value;
	int status;

	if (!object || which < 0 || which >= transaction->set.count) {
		PyErr_Format(PyExc_IndexError, object ? "the transaction has %zd elements" : "elements cannot be removed",
			     transaction->set.count);
		return -1;
	}
	if (!value_from(object, &value, &keeper))
		return -1;
	status = usable(transaction) ? ems_transaction_write(transaction->transaction, (size_t)which, &value)
				     : -EMS_EINVALID;
	if (status < 0 && !PyErr_Occurred())
		failed(status);
	keeper_release(&keeper);
	return status < 0 ? -1 : 0;
}

static Py_ssize_t set_length(transaction_t *transaction)
{
	return transaction->set.count;
}

/* After either, the C transaction is gone, unless the call could not be made at all. */
static PyObject *end_by(transaction_t *transaction, int (*function)(ems_transaction_t *))
{
	int status;

	if (!usable(transaction))
		return NULL;
	status = function(transaction->transaction);
	if (status != -EMS_EINVALID && status != -EMS_EFORKED)
		transaction->transaction = NULL;
	if (status < 0)
		return failed(status);
	Py_RETURN_NONE;
}

static PyObject *transaction_commit(transaction_t *transaction, PyObject *none)
{
	(void)none;
	return end_by(transaction, ems_transaction_commit);
}

static PyObject *transaction_abort(transaction_t *transaction, PyObject *none)
{
	(void)none;
	return end_by(transaction, ems_transaction_abort);
}

static PyObject *transaction_enter(PyObject *transaction, PyObject *none)
{
	(void)none;
	return REF(transaction);
}

static PyObject *transaction_exit(transaction_t *transaction, PyObject *args)
{
	PyObject *exception = PyTuple_Size(args) > 0 ? PyTuple_GetItem(args, 0) : Py_None;

	if (!transaction->transaction)
		Py_RETURN_NONE;
	return end_by(transaction, exception == Py_None ? ems_transaction_commit : ems_transaction_abort);
}

static void transaction_free(transaction_t *transaction)
{
	PyTypeObject *type = TYPE_OF(transaction);

	/* By the thread that began it, else it is refused, and goes with that thread. */
	if (transaction->transaction && transaction->process == fork_count)
		(void)ems_transaction_abort(transaction->transaction);
	set_release(&transaction->set);
	((freefunc)PyType_GetSlot(type, Py_tp_free))(transaction);
	UNREF(type);
}

static PyObject *get_open(transaction_t *transaction, void *closure)
{
	(void)closure;
	return PyBool_FromLong(transaction->transaction != NULL);
}

static PyGetSetDef transaction_properties[] = {
	{"open", (getter)get_open, NULL, "Whether it has not ended yet.", NULL}, {0}};

static PyMethodDef transaction_methods[] = {
	METHOD("commit", transaction_commit, METH_NOARGS, "commit($self)\n--\n\nMake all that was written visible at once, and end it."),
	METHOD("abort", transaction_abort, METH_NOARGS, "abort($self)\n--\n\nLeave everything as it was, and end it."),
	METHOD("__enter__", transaction_enter, METH_NOARGS, NULL),
	METHOD("__exit__", transaction_exit, METH_VARARGS, NULL),
	{0}};

static PyType_Slot transaction_slots[] = {
	SLOT(Py_tp_doc, "A transaction, made by ems.transaction(elements). transaction[i] reads and writes the i-th element; the "
			"heaps' own operations on the elements act on the transaction as well. It belongs to the thread that "
			"began it, and is aborted when that or its process dies."),
	SLOT(Py_tp_new, no_new),
	SLOT(Py_tp_dealloc, transaction_free),
	SLOT(Py_tp_methods, transaction_methods),
	SLOT(Py_tp_getset, transaction_properties),
	SLOT(Py_sq_item, get_item),
	SLOT(Py_sq_ass_item, set_item),
	SLOT(Py_sq_length, set_length),
	{0, NULL}};

static PyType_Spec transaction_spec = {
	.name = "ems._native.Transaction",
	.basicsize = sizeof(transaction_t),
	.flags = Py_TPFLAGS_DEFAULT,
	.slots = transaction_slots,
};

int add_transaction(PyObject *module)
{
	transaction_type = add_type(module, &transaction_spec);
	return transaction_type ? 0 : -1;
}

/* ---- snapshots ---- */

static PyObject *list_of(ems_value_t *values, Py_ssize_t count)
{
	PyObject *list = PyList_New(0);

	for (Py_ssize_t i = 0; list && i < count; i++) {
		PyObject *one = value_to(&values[i]);

		if (!one || PyList_Append(list, one) < 0) {
			UNREF(list);
			list = NULL;
		}
		UNREF(one);
	}
	return list;
}

PyObject *take_snapshot(PyObject *module, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	static const char *const names[] = {"elements", "timeout", NULL};
	ems_value_t *values;
	ems_deadline_t until;
	PyObject *given[2], *list = NULL;
	struct set set;
	bool raised;
	int status;

	(void)module;
	if (!take_arguments("snapshot", args, nargs, kwnames, names, 1, given) ||
	    !take_timeout(given[1], EMS_FOREVER, &until) || !take_set(given[0], &set))
		return NULL;
	values = PyMem_Calloc((size_t)set.count + 1, sizeof(*values));
	if (!values) {
		set_release(&set);
		return PyErr_NoMemory();
	}
	hold(&set, 1);
	WAIT_FOR(status, raised, NULL, until,
		 ems_snapshot_until(set.elements, (size_t)set.count, values, deadline));
	hold(&set, -1);
	if (status == 0)
		list = list_of(values, set.count);
	else if (!raised)
		failed(status);
	for (Py_ssize_t i = 0; i < set.count; i++)
		ems_value_clear(&values[i]);
	PyMem_Free(values);
	set_release(&set);
	return list;
}
