/*
 * module.c: the extension module ems._native.
 *
 * It belongs to one interpreter: what it keeps is one per process, and threads of other interpreters do not hold the
 * lock that guards it. Another interpreter's import is refused.
 */
#include "contrib/python/native/native.h"

#include <pthread.h>
#include <stdlib.h>

uint32_t fork_count;

static void in_child(void)
{
	fork_count++;
}

PyTypeObject *add_type(PyObject *module, PyType_Spec *spec)
{
	PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);

	/* The module's dictionary has a reference, and the global variable another. */
	if (type && PyModule_AddType(module, type) < 0) {
		UNREF(type);
		return NULL;
	}
	return type;
}

PyMethodDef *join_methods(PyMethodDef *const *tables)
{
	PyMethodDef *all;
	size_t count = 0;

	for (PyMethodDef *const *table = tables; *table; table++)
		for (PyMethodDef *one = *table; one->ml_name; one++)
			count++;
	all = calloc(count + 1, sizeof(*all));
	if (!all)
		return (PyMethodDef *)(void *)PyErr_NoMemory();
	count = 0;
	for (PyMethodDef *const *table = tables; *table; table++)
		for (PyMethodDef *one = *table; one->ml_name; one++)
			all[count++] = *one;
	return all;
}

PyObject *no_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	(void)args;
	(void)kwargs;
	PyErr_Format(PyExc_TypeError, "%R is not made by calling it", (PyObject *)type);
	return NULL;
}

static PyObject *version(PyObject *module, PyObject *none)
{
	(void)module;
	(void)none;
	return PyUnicode_FromString(ems_version());
}

static PyMethodDef functions[] = {
	METHOD("version", version, METH_NOARGS, "version()\n--\n\nThe version of libems."),
	METHOD("transaction", begin_transaction, FAST,
	       "transaction(elements, timeout=None)\n--\n\n"
	       "Begin a transaction on a list of elements: each an Element, or a tuple (heap, key) or (heap, key, "
	       "read_only). Waits until each is full, and holds them. As a context manager it commits, or aborts when "
	       "there is an exception."),
	METHOD("snapshot", take_snapshot, FAST,
	       "snapshot(elements, timeout=None)\n--\n\nThe values of several elements at one moment, whatever their "
	       "tags: a list."),
	METHOD("lock_order", lock_order, METH_O, "In which order EMS lists locks."),
	METHOD("follow_parent", follow_parent, METH_O, "End with that process; false: it has ended."),
	METHOD("run_name", run_name, METH_NOARGS, "A name for a run."),
	{0}};

static int refuse_others(void)
{
	static int64_t owner = -1;
	int64_t interpreter = PyInterpreterState_GetID(PyInterpreterState_Get());

	if (interpreter < 0)
		return -1;
	if (owner < 0 && interpreter == 0)
		owner = interpreter;
	if (owner == interpreter)
		return 0;
	PyErr_SetString(PyExc_ImportError, "ems can be used in the main interpreter only, not in a subinterpreter");
	return -1;
}

static int set_up(PyObject *module)
{
	static bool loaded;

	if (refuse_others() < 0)
		return -1;
	if (loaded) {
		PyErr_SetString(PyExc_ImportError, "ems._native is loaded once in a process");
		return -1;
	}
	if (failure_set_up(module) < 0 || convert_set_up(module) < 0 || add_client(module) < 0 || add_heap(module) < 0 ||
	    add_element(module) < 0 || add_region(module) < 0 || add_parts(module) < 0 || add_lease(module) < 0 || add_transaction(module) < 0 ||
	    add_iterator(module) < 0 || add_team(module) < 0 || add_loop(module) < 0 ||
	    add_compat(module) < 0)
		return -1;
	if (pthread_atfork(NULL, NULL, in_child) != 0) {
		PyErr_NoMemory();
		return -1;
	}
	loaded = true;
	return 0;
}

static PyModuleDef_Slot slots[] = {SLOT(Py_mod_exec, set_up), {0, NULL}};

static struct PyModuleDef definition = {
	.m_base = PyModuleDef_HEAD_INIT,
	.m_name = "ems._native",
	.m_doc = "The part of ems that is on libems.",
	.m_methods = functions,
	.m_slots = slots,
};

PyMODINIT_FUNC PyInit__native(void);
PyMODINIT_FUNC PyInit__native(void)
{
	return PyModuleDef_Init(&definition);
}
