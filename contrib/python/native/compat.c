/*
 * Context and Array: contrib/compat for the drop-in module, whose ways are in ems/_classic.py.
 *
 * An array's elements are those of a Heap that has no client, and whose handle is the array's. What waits is made without the
 * interpreter's lock, since the functions of contrib/compat do not tell whether they would. A call that a signal ends is made again
 * for what is left of its time.
 */
#include "contrib/python/native/native.h"

#include <stdlib.h>
#include <string.h>

#include "contrib/compat/ems_compat.h"

PyTypeObject *context_type, *array_type, *share_type;

typedef struct context {
	PyObject_HEAD
	struct ems_compat *context; /* NULL: ended */
	uint32_t process;
	long used; /* arrays and loops */
} context_t;

typedef struct array {
	PyObject_HEAD
	struct ems_compat_array *array; /* NULL: destroyed */
	context_t *context;
	heap_t *heap;
} array_t;

/* A loop that is shared out. */
typedef struct share {
	PyObject_HEAD
	ems_loop_t *loop;
	context_t *context;
} share_t;

#define BLOCKING(status, raised, call)                                           \
	do {                                                                    \
		struct sleep sleep_ = {.until = EMS_FOREVER, .pieces = WHOLE};  \
		while (sleep_again(&sleep_, &(status))) {                       \
			(status) = (call);                                      \
			sleep_over(&sleep_);                                    \
		}                                                               \
		(raised) = sleep_.raised;                                       \
	} while (0)

/* Milliseconds from now to an end, which may be for ever. */
static double left_of(ems_deadline_t until)
{
	ems_deadline_t now = ems_deadline_in(0);

	return until == EMS_FOREVER ? -1 : until > now ? (double)(until - now) / 1e6 : 0;
}

static PyObject *none_or(int status, bool raised)
{
	if (raised)
		return NULL;
	if (status < 0)
		return failed(status);
	Py_RETURN_NONE;
}

/* ---- contexts ---- */

static bool usable(const context_t *context)
{
	if (context->context && context->process == fork_count)
		return true;
	if (context->context)
		failed_saying(EMS_EFORKED, "ems.initialize was called by the parent process; call it again");
	else
		PyErr_SetString(PyExc_RuntimeError, "ems has ended; call ems.initialize again");
	return false;
}

/* Context(kind, name, run, member, size, timeout): kind 0 bsp, 1 fj, 2 user; name None or bytes; timeout in seconds. */
static PyObject *context_create(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	struct ems_compat_start how = {0};
	PyObject *name, *timeout;
	ems_deadline_t until;
	context_t *context;
	bool raised;
	int kind, status;

	(void)kwargs;
	if (!PyArg_ParseTuple(args, "iOsIIO", &kind, &name, &how.run, &how.member, &how.size, &timeout) ||
	    !take_timeout(timeout, EMS_FOREVER, &until))
		return NULL;
	how.kind = (enum ems_compat_kind)kind;
	if (name != Py_None) {
		char *text;
		Py_ssize_t size;

		if (PyBytes_AsStringAndSize(name, &text, &size) < 0)
			return NULL;
		how.name = text;
		how.name_size = (size_t)size;
	}
	context = NEW(type);
	if (!context)
		return NULL;
	context->process = fork_count;
	BLOCKING(status, raised,
		 (how.milliseconds = left_of(until), ems_compat_start(&how, &context->context)));
	if (status == 0 && !raised)
		return (PyObject *)context;
	if (!raised)
		failed(status);
	UNREF(context);
	return NULL;
}

static PyObject *context_end(context_t *context, PyObject *none)
{
	struct ems_compat *ended = context->context;

	(void)none;
	if (!ended)
		Py_RETURN_NONE;
	if (!usable(context))
		return NULL;
	if (context->used > 0) {
		PyErr_SetString(PyExc_RuntimeError, "there are arrays yet");
		return NULL;
	}
	context->context = NULL;
	ems_compat_end(ended);
	Py_RETURN_NONE;
}

/* What was not ended is left to the end of the process: it may be the parent's. */
static void context_free(context_t *context)
{
	PyTypeObject *type = TYPE_OF(context);

	((freefunc)PyType_GetSlot(type, Py_tp_free))(context);
	UNREF(type);
}

static PyObject *context_send(context_t *context, PyObject *text)
{
	Py_ssize_t size;
	char *data;
	bool raised;
	int status;

	if (PyBytes_AsStringAndSize(text, &data, &size) < 0 || !usable(context))
		return NULL;
	BLOCKING(status, raised, ems_compat_region_send(context->context, data, (size_t)size));
	return none_or(status, raised);
}

static PyObject *context_receive(context_t *context, PyObject *none)
{
	ems_value_t text = EMS_VALUE_INIT;
	PyObject *result;
	bool raised;
	int status;

	(void)none;
	if (!usable(context))
		return NULL;
	BLOCKING(status, raised, ems_compat_region_receive(context->context, &text));
	if (raised || (status < 0 && status != -EMS_EEMPTY))
		result = raised ? NULL : failed(status);
	else if (status < 0)
		result = REF(Py_None);
	else
		result = PyBytes_FromStringAndSize(text.data, (Py_ssize_t)text.size);
	ems_value_clear(&text);
	return result;
}

#define PLAIN(name, function)                                             \
	static PyObject *name(context_t *context, PyObject *none)         \
	{                                                                 \
		bool raised;                                              \
		int status;                                               \
                                                                          \
		(void)none;                                               \
		if (!usable(context))                                     \
			return NULL;                                      \
		BLOCKING(status, raised, function(context->context));     \
		return none_or(status, raised);                           \
	}
PLAIN(context_enter, ems_compat_region_enter)
PLAIN(context_leave, ems_compat_region_leave)
PLAIN(context_finish, ems_compat_region_finish)
PLAIN(context_critical_leave, ems_compat_critical_leave)

static PyObject *context_barrier(context_t *context, PyObject *timeout)
{
	ems_deadline_t until;
	double left = 0;
	bool raised;
	int status;

	if (!take_timeout(timeout, EMS_FOREVER, &until) || !usable(context))
		return NULL;
	BLOCKING(status, raised, ems_compat_barrier(context->context, left_of(until), &left));
	if (raised || status < 0)
		return none_or(status, raised);
	return PyFloat_FromDouble(left);
}

static PyObject *context_critical_enter(context_t *context, PyObject *timeout)
{
	ems_deadline_t until;
	bool raised;
	int status;

	if (!take_timeout(timeout, EMS_FOREVER, &until) || !usable(context))
		return NULL;
	BLOCKING(status, raised, ems_compat_critical_enter(context->context, left_of(until)));
	return none_or(status, raised);
}

static PyObject *context_single(context_t *context, PyObject *none)
{
	bool raised, mine = false;
	int status;

	(void)none;
	if (!usable(context))
		return NULL;
	BLOCKING(status, raised, ems_compat_single(context->context, &mine));
	return raised || status < 0 ? none_or(status, raised) : PyBool_FromLong(mine);
}

/* ---- loops ---- */

static PyObject *context_loop(context_t *context, PyObject *args)
{
	long long first, last;
	unsigned long long minimum;
	int schedule, status;
	share_t *share;
	bool raised;

	if (!PyArg_ParseTuple(args, "LLiK", &first, &last, &schedule, &minimum) || !usable(context))
		return NULL;
	share = NEW(share_type);
	if (!share)
		return NULL;
	BLOCKING(status, raised,
		 ems_compat_loop_begin(context->context, first, last, (ems_schedule_t)schedule, minimum, &share->loop));
	if (raised || status < 0) {
		UNREF(share);
		return none_or(status, raised);
	}
	share->context = REF(context);
	return (PyObject *)share;
}

static PyObject *share_next(share_t *share, PyObject *none)
{
	int64_t from, to;
	bool raised;
	int status;

	(void)none;
	if (!share->loop || !usable(share->context))
		return share->loop ? NULL : REF(Py_None);
	BLOCKING(status, raised, ems_compat_loop_next(share->loop, &from, &to));
	if (raised || (status < 0 && status != -EMS_EEMPTY))
		return none_or(status, raised);
	return status < 0 ? REF(Py_None) : Py_BuildValue("LL", (long long)from, (long long)to);
}

static PyObject *share_end(share_t *share, PyObject *none)
{
	ems_loop_t *loop = share->loop;
	bool raised;
	int status;

	(void)none;
	if (!loop)
		Py_RETURN_NONE;
	if (!usable(share->context))
		return NULL;
	share->loop = NULL;
	BLOCKING(status, raised, ems_compat_loop_end(share->context->context, loop));
	return none_or(status, raised);
}

static void share_free(share_t *share)
{
	PyTypeObject *type = TYPE_OF(share);

	UNREF(share->context);
	((freefunc)PyType_GetSlot(type, Py_tp_free))(share);
	UNREF(type);
}

/* ---- making arrays ---- */

static bool take_dimensions(PyObject *list, struct ems_compat_descriptor *wish)
{
	Py_ssize_t rank = PySequence_Size(list);

	if (rank < 0)
		return false;
	if (rank > EMS_COMPAT_DIMENSIONS) {
		PyErr_Format(PyExc_ValueError, "an array has at most %d dimensions", EMS_COMPAT_DIMENSIONS);
		return false;
	}
	for (Py_ssize_t i = 0; i < rank; i++) {
		PyObject *one = PySequence_GetItem(list, i);
		bool taken = one && take_uint64(one, "dimension", &wish->dimensions[i]);

		UNREF(one);
		if (!taken)
			return false;
	}
	wish->rank = (size_t)rank;
	return true;
}

static array_t *wrap(context_t *context, struct ems_compat_array *handle)
{
	array_t *array = NEW(array_type);

	if (!array)
		return NULL;
	array->heap = heap_borrow(ems_compat_heap(handle));
	if (!array->heap) {
		UNREF(array);
		return NULL;
	}
	array->array = handle;
	array->context = REF(context);
	context->used++;
	return array;
}

/* array(dimensions, heap_size, use_map, existing, persist, filename, fill or None, empty or None) → Array, or None: not there. */
static PyObject *context_array(context_t *context, PyObject *args)
{
	struct ems_compat_descriptor wish = {0};
	ems_value_t fill = EMS_VALUE_INIT;
	PyObject *dimensions, *data_fill, *empty;
	struct ems_compat_array *handle = NULL;
	struct keeper keeper = {0};
	int use_map, persist, existing, do_fill, status;
	unsigned long long heap_size;
	array_t *array;
	bool raised;

	if (!PyArg_ParseTuple(args, "OKpipzpOO", &dimensions, &heap_size, &use_map, &existing, &persist, &wish.filename,
			      &do_fill, &data_fill, &empty) ||
	    !take_dimensions(dimensions, &wish) || !value_from(data_fill, &fill, &keeper))
		return NULL;
	wish.heap_size = heap_size;
	wish.use_map = use_map;
	wish.existing = (enum ems_compat_existing)existing;
	wish.persist = persist;
	wish.do_data_fill = do_fill;
	wish.data_fill = &fill;
	wish.do_set_tags = empty != Py_None;
	wish.set_empty = empty == Py_True;
	if (!usable(context)) {
		keeper_release(&keeper);
		return NULL;
	}
	/* All members make arrays together: one that stopped in the middle would not know what the others have. */
	Py_BEGIN_ALLOW_THREADS
	status = ems_compat_array_open(context->context, &wish, &handle);
	Py_END_ALLOW_THREADS
	raised = false;
	keeper_release(&keeper);
	if (status == -EMS_ENOTFOUND && wish.existing == EMS_COMPAT_EXISTING)
		Py_RETURN_NONE;
	if (status < 0)
		return none_or(status, raised);
	array = wrap(context, handle);
	if (!array)
		(void)ems_compat_array_destroy(handle, false);
	return (PyObject *)array;
}

/* ---- arrays ---- */

static bool ready(const array_t *array)
{
	if (array->array)
		return usable(array->context);
	PyErr_SetString(PyExc_ValueError, "the array was destroyed");
	return false;
}

static PyObject *array_destroy(array_t *array, PyObject *unlink)
{
	struct ems_compat_array *handle = array->array;
	int status, truth = PyObject_IsTrue(unlink);

	if (truth < 0 || !ready(array))
		return NULL;
	array->array = NULL;
	heap_shut(array->heap);
	Py_BEGIN_ALLOW_THREADS
	status = ems_compat_array_destroy(handle, truth);
	Py_END_ALLOW_THREADS
	array->context->used--;
	return none_or(status, false);
}

static PyObject *array_sync(array_t *array, PyObject *none)
{
	int status;

	(void)none;
	if (!ready(array))
		return NULL;
	array->heap->busy++;
	Py_BEGIN_ALLOW_THREADS
	status = ems_compat_array_sync(array->array);
	Py_END_ALLOW_THREADS
	array->heap->busy--;
	return none_or(status, false);
}

/* A list of indexes as one. */
static PyObject *array_index(array_t *array, PyObject *list)
{
	Py_ssize_t count = PySequence_Size(list);
	int64_t indexes[EMS_COMPAT_DIMENSIONS] = {0}, index;
	int status;

	if (count < 0 || !ready(array))
		return NULL;
	for (Py_ssize_t i = 0; i < count && i < EMS_COMPAT_DIMENSIONS; i++) {
		PyObject *one = PySequence_GetItem(list, i);
		bool taken = one && take_int64(one, &indexes[i]);

		UNREF(one);
		if (!taken)
			return NULL;
	}
	status = ems_compat_index(array->array, indexes, (size_t)count, &index);
	return status < 0 ? failed_saying(status, "the list of indexes leads outside of the array's dimensions")
			  : PyLong_FromLongLong(index);
}

/* faa(key, value) and cas(key, expected, value) */
static PyObject *modify(array_t *array, PyObject *const *args, Py_ssize_t nargs, bool compare)
{
	struct keeper keepers[2] = {0};
	ems_value_t values[2], old = EMS_VALUE_INIT;
	bool raised = true;
	ems_key_t key;
	int status = 0;

	if (nargs != (compare ? 3 : 2)) {
		PyErr_SetString(PyExc_TypeError, compare ? "cas takes key, old and new value" : "faa takes key and value");
		return NULL;
	}
	if (!key_from(args[0], &key) || !value_from(args[1], &values[0], &keepers[0]))
		return NULL;
	if ((!compare || value_from(args[2], &values[1], &keepers[1])) && ready(array)) {
		array->heap->busy++;
		BLOCKING(status, raised,
			 compare ? ems_compat_cas(array->array, key, &values[0], &values[1], &old)
				 : ems_compat_faa(array->array, key, &values[0], &old));
		array->heap->busy--;
	}
	keeper_release(&keepers[0]);
	keeper_release(&keepers[1]);
	if (!raised && status == 0)
		return value_to(&old);
	ems_value_clear(&old);
	return raised ? NULL : failed(status);
}

static PyObject *array_faa(array_t *array, PyObject *const *args, Py_ssize_t nargs)
{
	return modify(array, args, nargs, false);
}

static PyObject *array_cas(array_t *array, PyObject *const *args, Py_ssize_t nargs)
{
	return modify(array, args, nargs, true);
}

static PyObject *put(array_t *array, PyObject *object,
		     int (*function)(struct ems_compat_array *, const ems_value_t *, int64_t *))
{
	struct keeper keeper;
	ems_value_t value;
	int64_t count = 0;
	int status = -EMS_EINVALID;

	if (!value_from(object, &value, &keeper))
		return NULL;
	if (ready(array)) {
		status = function(array->array, &value, &count);
		if (status < 0)
			failed(status);
	}
	keeper_release(&keeper);
	return status < 0 ? NULL : PyLong_FromLongLong(count);
}

static PyObject *array_push(array_t *array, PyObject *object)
{
	return put(array, object, ems_compat_push);
}

static PyObject *array_enqueue(array_t *array, PyObject *object)
{
	return put(array, object, ems_compat_enqueue);
}

static PyObject *take(array_t *array, int (*function)(struct ems_compat_array *, ems_value_t *))
{
	ems_value_t value = EMS_VALUE_INIT;
	int status;

	if (!ready(array))
		return NULL;
	status = function(array->array, &value);
	if (status == 0)
		return value_to(&value);
	ems_value_clear(&value);
	return failed(status);
}

static PyObject *array_pop(array_t *array, PyObject *none)
{
	(void)none;
	return take(array, ems_compat_pop);
}

static PyObject *array_dequeue(array_t *array, PyObject *none)
{
	(void)none;
	return take(array, ems_compat_dequeue);
}

/* → (dimensions, strides, elements, uses a map, number) */
static PyObject *array_about(array_t *array, PyObject *none)
{
	PyObject *dimensions, *strides;
	size_t rank;

	(void)none;
	if (!ready(array))
		return NULL;
	rank = ems_compat_rank(array->array);
	dimensions = PyList_New(0);
	strides = PyList_New(0);
	for (size_t i = 0; dimensions && strides && i < rank; i++) {
		PyObject *dimension = PyLong_FromUnsignedLongLong(ems_compat_dimension(array->array, i));
		PyObject *stride = PyLong_FromUnsignedLongLong(ems_compat_stride(array->array, i));

		if (!dimension || !stride || PyList_Append(dimensions, dimension) < 0 || PyList_Append(strides, stride) < 0) {
			UNREF(dimensions);
			dimensions = NULL;
		}
		UNREF(dimension);
		UNREF(stride);
	}
	if (dimensions && strides)
		return Py_BuildValue("NNKNK", dimensions, strides, (unsigned long long)ems_compat_elements(array->array),
				     PyBool_FromLong(ems_compat_uses_map(array->array)),
				     (unsigned long long)ems_compat_number(array->array));
	UNREF(dimensions);
	UNREF(strides);
	return NULL;
}

static PyObject *array_heap(array_t *array, void *closure)
{
	(void)closure;
	return REF(array->heap);
}

static void array_free(array_t *array)
{
	PyTypeObject *type = TYPE_OF(array);

	/* A child's copy of the parent's is nobody's. */
	if (array->array && array->context->context && array->context->process == fork_count) {
		heap_shut(array->heap);
		(void)ems_compat_array_destroy(array->array, false);
		array->context->used--;
	}
	UNREF(array->heap);
	UNREF(array->context);
	((freefunc)PyType_GetSlot(type, Py_tp_free))(array);
	UNREF(type);
}

/* lock_order([(array, key, read_only), …]) → [(where it was, read_only), …], each element once. */
static PyObject *sorted_locks(const struct ems_compat_lock *locks, size_t count)
{
	PyObject *list = PyList_New(0);

	for (size_t i = 0; list && i < count; i++) {
		PyObject *one = Py_BuildValue("nN", (Py_ssize_t)locks[i].asked, PyBool_FromLong(locks[i].read_only));

		if (!one || PyList_Append(list, one) < 0) {
			UNREF(list);
			list = NULL;
		}
		UNREF(one);
	}
	return list;
}

PyObject *lock_order(PyObject *module, PyObject *sequence)
{
	Py_ssize_t count = PySequence_Size(sequence);
	struct ems_compat_lock *locks;
	PyObject *list = NULL;
	bool taken = true;

	(void)module;
	if (count < 0)
		return NULL;
	locks = PyMem_Calloc((size_t)count + 1, sizeof(*locks));
	if (!locks)
		return PyErr_NoMemory();
	for (Py_ssize_t i = 0; taken && i < count; i++) {
		PyObject *one = PySequence_GetItem(sequence, i), *array, *key;
		int read_only;

		/* The sequence keeps what the key's text is of. */
		taken = one && PyArg_ParseTuple(one, "O!Op", array_type, &array, &key, &read_only) &&
			key_from(key, &locks[i].key) && ready((array_t *)(void *)array);
		if (taken) {
			locks[i].array = ((array_t *)(void *)array)->array;
			locks[i].read_only = read_only;
		}
		UNREF(one);
	}
	if (taken)
		list = sorted_locks(locks, ems_compat_lock_sort(locks, (size_t)count));
	PyMem_Free(locks);
	return list;
}

/* ---- a started process, and names ---- */

PyObject *follow_parent(PyObject *module, PyObject *parent)
{
	int64_t pid;
	int status;

	(void)module;
	if (!take_int64(parent, &pid))
		return NULL;
	status = ems_compat_follow_parent((long)pid);
	return status == -EMS_ENOTFOUND ? REF(Py_False) : status < 0 ? failed(status) : REF(Py_True);
}

PyObject *run_name(PyObject *module, PyObject *none)
{
	char name[EMS_COMPAT_RUN_SIZE];

	(void)module;
	(void)none;
	ems_compat_run_name(name);
	return PyUnicode_FromString(name);
}

/* ---- the types ---- */

#define GETTER(name, make)                                                      \
	static PyObject *context_##name(context_t *context, void *closure)      \
	{                                                                       \
		(void)closure;                                                  \
		return usable(context) ? make(ems_compat_##name(context->context)) : NULL; \
	}
GETTER(member, PyLong_FromUnsignedLong)
GETTER(size, PyLong_FromUnsignedLong)
GETTER(domain, PyUnicode_FromString)
GETTER(in_region, PyBool_FromLong)

static PyGetSetDef context_properties[] = {{"member", (getter)context_member, NULL, "This one's number.", NULL},
					   {"size", (getter)context_size, NULL, "How many there are.", NULL},
					   {"domain", (getter)context_domain, NULL, "EMS's domainName.", NULL},
					   {"in_region", (getter)context_in_region, NULL, "Whether all do the same.", NULL},
					   {0}};

static PyMethodDef context_methods[] = {
	METHOD("end", context_end, METH_NOARGS, "Leave."),
	METHOD("region_send", context_send, METH_O, "Send a region to the other members."),
	METHOD("region_receive", context_receive, METH_NOARGS, "The next region, or None."),
	METHOD("region_enter", context_enter, METH_NOARGS, "Begin a region."),
	METHOD("region_leave", context_leave, METH_NOARGS, "End it, which is a barrier."),
	METHOD("region_finish", context_finish, METH_NOARGS, "There are no more regions."),
	METHOD("barrier", context_barrier, METH_O, "A barrier, within seconds; the milliseconds left."),
	METHOD("critical_enter", context_critical_enter, METH_O, "Enter the critical section, within seconds."),
	METHOD("critical_leave", context_critical_leave, METH_NOARGS, "Leave it."),
	METHOD("single", context_single, METH_NOARGS, "Whether this is the first to come."),
	METHOD("loop", context_loop, METH_VARARGS, "Begin a loop."),
	METHOD("array", context_array, METH_VARARGS, "Make or attach an array."),
	{0}};

static PyType_Slot context_slots[] = {SLOT(Py_tp_doc, "A context of EMS 1.6; see ems/_classic.py."),
				      SLOT(Py_tp_new, context_create),
				      SLOT(Py_tp_dealloc, context_free),
				      SLOT(Py_tp_methods, context_methods),
				      SLOT(Py_tp_getset, context_properties),
				      {0, NULL}};

static PyGetSetDef array_properties[] = {{"heap", (getter)array_heap, NULL, "Its elements.", NULL}, {0}};

static PyMethodDef array_methods[] = {
	METHOD("destroy", array_destroy, METH_O, "Detach; with a true argument its name goes as well."),
	METHOD("sync", array_sync, METH_NOARGS, "Values to the disk."),
	METHOD("index", array_index, METH_O, "A list of indexes as one."),
	METHOD("faa", array_faa, METH_FASTCALL, "Fetch and add, in EMS's words."),
	METHOD("cas", array_cas, METH_FASTCALL, "Compare and swap, in EMS's words."),
	METHOD("push", array_push, METH_O, "How many items there are now, or -1."),
	METHOD("enqueue", array_enqueue, METH_O, "How many items there are now, or -1."),
	METHOD("pop", array_pop, METH_NOARGS, "The last item, or None."),
	METHOD("dequeue", array_dequeue, METH_NOARGS, "The first item, or None."),
	METHOD("about", array_about, METH_NOARGS, "Its dimensions, strides, elements, whether it has a map, its number."),
	{0}};

static PyType_Slot array_slots[] = {SLOT(Py_tp_doc, "An array of EMS 1.6; see ems/_classic.py."),
				    SLOT(Py_tp_new, no_new),
				    SLOT(Py_tp_dealloc, array_free),
				    SLOT(Py_tp_methods, array_methods),
				    SLOT(Py_tp_getset, array_properties),
				    {0, NULL}};

static PyMethodDef share_methods[] = {METHOD("next", share_next, METH_NOARGS, "The next chunk, or None."),
				      METHOD("end", share_end, METH_NOARGS, "End it."),
				      {0}};

static PyType_Slot share_slots[] = {SLOT(Py_tp_doc, "A loop of EMS 1.6."),
				    SLOT(Py_tp_new, no_new),
				    SLOT(Py_tp_dealloc, share_free),
				    SLOT(Py_tp_methods, share_methods),
				    {0, NULL}};

static PyType_Spec context_spec = {
	.name = "ems._native.Context", .basicsize = sizeof(context_t), .flags = Py_TPFLAGS_DEFAULT, .slots = context_slots};
static PyType_Spec array_spec = {
	.name = "ems._native.Array", .basicsize = sizeof(array_t), .flags = Py_TPFLAGS_DEFAULT, .slots = array_slots};
static PyType_Spec share_spec = {
	.name = "ems._native.Share", .basicsize = sizeof(share_t), .flags = Py_TPFLAGS_DEFAULT, .slots = share_slots};

int add_compat(PyObject *module)
{
	context_type = add_type(module, &context_spec);
	array_type = add_type(module, &array_spec);
	share_type = add_type(module, &share_spec);
	return context_type && array_type && share_type ? 0 : -1;
}
