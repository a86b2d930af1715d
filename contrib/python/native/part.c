/*
 * What stands in a region: Counters, a set of numbered 64-bit integers, and Blocks of one size.
 *
 * Each keeps its region's mapping as a view does. After a fork it is opened again with the child's region; the parent's handle
 * is left as it is, since what it points to is gone. Calls on counters keep the interpreter's lock: each is an instruction or two.
 */
#include "contrib/python/native/native.h"

static PyTypeObject *counters_type, *blocks_type;

typedef struct counters {
	PyObject_HEAD
	region_t *region;
	ems_counters_t *handle;
	uint32_t process;
} counters_t;

typedef struct blocks {
	PyObject_HEAD
	region_t *region;
	ems_blocks_t *handle;
	uint32_t process;
	uint32_t block_size;
} blocks_t;

/* ---- counters ---- */

static bool open_counters(counters_t *counters, uint64_t count)
{
	int status;

	if (!region_ready(counters->region))
		return false;
	if (LIKELY(counters->handle && counters->process == fork_count))
		return true;
	counters->handle = NULL; /* the parent's is not ours to close */
	Py_BEGIN_ALLOW_THREADS
	status = ems_counters_open(counters->region->handle, count, &counters->handle);
	Py_END_ALLOW_THREADS
	if (status < 0)
		failed(status);
	counters->process = fork_count;
	return status == 0;
}

PyObject *region_counters(region_t *region, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	static const char *const names[] = {"count", NULL};
	counters_t *counters;
	PyObject *given;
	uint64_t count;

	if (!take_arguments("counters", args, nargs, kwnames, names, 0, &given) || !take_size(given, "count", &count) ||
	    !region_ready(region) || !(counters = NEW(counters_type)))
		return NULL;
	counters->region = REF(region);
	region_hold(region);
	if (open_counters(counters, count))
		return (PyObject *)counters;
	UNREF(counters);
	return NULL;
}

static void counters_free(counters_t *counters)
{
	PyTypeObject *type = TYPE_OF(counters);

	if (counters->process == fork_count)
		ems_counters_close(counters->handle);
	if (counters->region)
		region_let_go(counters->region);
	UNREF(counters->region);
	((freefunc)PyType_GetSlot(type, Py_tp_free))(counters);
	UNREF(type);
}

static Py_ssize_t counters_length(counters_t *counters)
{
	uint64_t count;
	int status;

	if (!open_counters(counters, 0))
		return -1;
	status = ems_counters_count(counters->handle, &count);
	if (status == 0)
		return (Py_ssize_t)count;
	failed(status);
	return -1;
}

static PyObject *counters_get(counters_t *counters, PyObject *number)
{
	uint64_t which;
	int64_t value;
	int status;

	if (!take_uint64(number, "number", &which) || !open_counters(counters, 0))
		return NULL;
	status = ems_counters_get(counters->handle, which, &value);
	return status < 0 ? failed(status) : PyLong_FromLongLong(value);
}

typedef int change_t(ems_counters_t *, uint64_t, int64_t, int64_t *);

static PyObject *change(const char *name, change_t *function, Py_ssize_t required, counters_t *counters, PyObject *const *args,
			Py_ssize_t nargs, PyObject *kwnames)
{
	static const char *const adding[] = {"number", "amount", NULL}, *const setting[] = {"number", "value", NULL};
	int64_t amount = 1, old;
	PyObject *given[2];
	uint64_t which;
	int status;

	if (!take_arguments(name, args, nargs, kwnames, required == 2 ? setting : adding, required, given) ||
	    !take_uint64(given[0], "number", &which) || (given[1] && !take_int64(given[1], &amount)) ||
	    !open_counters(counters, 0))
		return NULL;
	status = function(counters->handle, which, amount, &old);
	return status < 0 ? failed(status) : PyLong_FromLongLong(old);
}

#define CHANGE(name, required)                                                                                    \
	static PyObject *counters_##name(counters_t *counters, PyObject *const *args, Py_ssize_t nargs,           \
					 PyObject *kwnames)                                                       \
	{                                                                                                         \
		return change(#name, ems_counters_##name, required, counters, args, nargs, kwnames);              \
	}
CHANGE(set, 2)
CHANGE(add, 1)
CHANGE(sub, 1)

static PyMethodDef counters_methods[] = {
	METHOD("get", counters_get, METH_O, "get($self, number)\n--\n\nA counter (IndexError)."),
	METHOD("set", counters_set, FAST, "set($self, number, value)\n--\n\nSet a counter; the old number."),
	METHOD("add", counters_add, FAST, "add($self, number, amount=1)\n--\n\nAdd to a counter atomically; the old number."),
	METHOD("sub", counters_sub, FAST, "sub($self, number, amount=1)\n--\n\nSubtract from a counter atomically; the old number."),
	{0}};

static PyType_Slot counters_slots[] = {
	SLOT(Py_tp_doc, "Counters: numbered 64-bit integers in a region, made by Region.counters. len() says how many there are."),
	SLOT(Py_tp_new, no_new),
	SLOT(Py_tp_dealloc, counters_free),
	SLOT(Py_tp_methods, counters_methods),
	SLOT(Py_sq_length, counters_length),
	{0, NULL}};

static PyType_Spec counters_spec = {
	.name = "ems._native.Counters",
	.basicsize = sizeof(counters_t),
	.flags = Py_TPFLAGS_DEFAULT,
	.slots = counters_slots,
};

/* ---- blocks ---- */

static bool open_blocks(blocks_t *blocks, const ems_blocks_options_t *options)
{
	ems_blocks_info_t info;
	int status;

	if (!region_ready(blocks->region))
		return false;
	if (LIKELY(blocks->handle && blocks->process == fork_count))
		return true;
	blocks->handle = NULL;
	Py_BEGIN_ALLOW_THREADS
	status = ems_blocks_open(blocks->region->handle, options, &blocks->handle);
	Py_END_ALLOW_THREADS
	blocks->process = fork_count;
	if (status == 0)
		status = ems_blocks_info(blocks->handle, &info);
	if (status < 0)
		failed(status);
	else
		blocks->block_size = info.block_size;
	return status == 0;
}

PyObject *region_blocks(region_t *region, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	static const char *const names[] = {"block_size", "capacity", "discard", NULL};
	ems_blocks_options_t options = {0};
	PyObject *given[3];
	blocks_t *blocks;

	if (!take_arguments("blocks", args, nargs, kwnames, names, 0, given) ||
	    !take_small(given[0], "block_size", &options.block_size) || !take_small(given[1], "capacity", &options.capacity) ||
	    !take_flag(given[2], &options.discard) || !region_ready(region) || !(blocks = NEW(blocks_type)))
		return NULL;
	blocks->region = REF(region);
	region_hold(region);
	if (open_blocks(blocks, &options))
		return (PyObject *)blocks;
	UNREF(blocks);
	return NULL;
}

static void blocks_free(blocks_t *blocks)
{
	PyTypeObject *type = TYPE_OF(blocks);

	if (blocks->process == fork_count)
		ems_blocks_close(blocks->handle);
	if (blocks->region)
		region_let_go(blocks->region);
	UNREF(blocks->region);
	((freefunc)PyType_GetSlot(type, Py_tp_free))(blocks);
	UNREF(type);
}

/* It may have to ask the daemon for more memory. The object, which the caller holds, keeps region and handle. */
static PyObject *blocks_store(blocks_t *blocks, PyObject *object)
{
	uint64_t number;
	Py_buffer data;
	int status;

	if (PyObject_GetBuffer(object, &data, PyBUF_SIMPLE) < 0)
		return NULL;
	if (!open_blocks(blocks, NULL)) {
		PyBuffer_Release(&data);
		return NULL;
	}
	Py_BEGIN_ALLOW_THREADS
	status = ems_block_store(blocks->handle, data.buf, (size_t)data.len, &number);
	Py_END_ALLOW_THREADS
	PyBuffer_Release(&data);
	return status < 0 ? failed(status) : PyLong_FromUnsignedLongLong(number);
}

static PyObject *blocks_read(blocks_t *blocks, PyObject *object)
{
	PyObject *data;
	uint64_t number;
	int status;

	if (!take_uint64(object, "number", &number) || !open_blocks(blocks, NULL))
		return NULL;
	data = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)blocks->block_size);
	if (!data)
		return NULL;
	status = ems_block_read(blocks->handle, number, PyBytes_AsString(data), blocks->block_size);
	if (status == 0)
		return data;
	UNREF(data);
	if (status == -EMS_EEMPTY)
		Py_RETURN_NONE;
	return failed(status);
}

static PyObject *blocks_remove(blocks_t *blocks, PyObject *object)
{
	uint64_t number;
	int status;

	if (!take_uint64(object, "number", &number) || !open_blocks(blocks, NULL))
		return NULL;
	status = ems_block_free(blocks->handle, number);
	return status < 0 && status != -EMS_EEMPTY ? failed(status) : PyBool_FromLong(status == 0);
}

static PyObject *blocks_numbers(blocks_t *blocks, PyObject *none)
{
	uint64_t below = UINT64_MAX, numbers[256];
	PyObject *list, *number;
	size_t count;
	int status;

	(void)none;
	if (!open_blocks(blocks, NULL) || !(list = PyList_New(0)))
		return NULL;
	while (below > 0) {
		status = ems_blocks_list(blocks->handle, &below, numbers, NULL, sizeof(numbers) / sizeof(*numbers), &count);
		if (status < 0) {
			UNREF(list);
			return failed(status);
		}
		for (size_t i = 0; i < count; i++) {
			number = PyLong_FromUnsignedLongLong(numbers[i]);
			if (!number || PyList_Append(list, number) < 0) {
				UNREF(number);
				UNREF(list);
				return NULL;
			}
			UNREF(number);
		}
	}
	return list;
}

static PyObject *blocks_repair(blocks_t *blocks, PyObject *none)
{
	uint64_t from = 0, mended = 0, all = 0;
	ems_blocks_info_t info;
	int status;

	(void)none;
	if (!open_blocks(blocks, NULL))
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	status = ems_blocks_info(blocks->handle, &info);
	while (status == 0 && from < info.capacity) {
		status = ems_blocks_repair(blocks->handle, &from, info.capacity - from, &mended);
		all += status == 0 ? mended : 0;
	}
	Py_END_ALLOW_THREADS
	return status < 0 ? failed(status) : PyLong_FromUnsignedLongLong(all);
}

static PyObject *blocks_get_size(blocks_t *blocks, void *closure)
{
	(void)closure;
	return PyLong_FromUnsignedLong(blocks->block_size);
}

static PyObject *blocks_get_capacity(blocks_t *blocks, void *closure)
{
	ems_blocks_info_t info;
	int status;

	(void)closure;
	if (!open_blocks(blocks, NULL))
		return NULL;
	status = ems_blocks_info(blocks->handle, &info);
	return status < 0 ? failed(status) : PyLong_FromUnsignedLong(info.capacity);
}

static PyGetSetDef blocks_properties[] = {
	{"block_size", (getter)blocks_get_size, NULL, "Bytes of each.", NULL},
	{"capacity", (getter)blocks_get_capacity, NULL, "How many there can be.", NULL},
	{0}};

static PyMethodDef blocks_methods[] = {
	METHOD("store", blocks_store, METH_O,
	       "store($self, data)\n--\n\nStore bytes, as many as a block has, in the lowest free block; its number. FullError."),
	METHOD("read", blocks_read, METH_O, "read($self, number)\n--\n\nA copy of a block, or None."),
	METHOD("remove", blocks_remove, METH_O, "remove($self, number)\n--\n\nFree a block; whether something was stored there."),
	METHOD("numbers", blocks_numbers, METH_NOARGS, "numbers($self)\n--\n\nThe numbers of all that is stored, highest first."),
	METHOD("repair", blocks_repair, METH_NOARGS,
	       "repair($self)\n--\n\nMake good what does not fit together after somebody has scribbled; how many blocks that were."),
	{0}};

static PyType_Slot blocks_slots[] = {
	SLOT(Py_tp_doc, "Blocks of one size in a region, made by Region.blocks."),
	SLOT(Py_tp_new, no_new),
	SLOT(Py_tp_dealloc, blocks_free),
	SLOT(Py_tp_methods, blocks_methods),
	SLOT(Py_tp_getset, blocks_properties),
	{0, NULL}};

static PyType_Spec blocks_spec = {
	.name = "ems._native.Blocks",
	.basicsize = sizeof(blocks_t),
	.flags = Py_TPFLAGS_DEFAULT,
	.slots = blocks_slots,
};

int add_parts(PyObject *module)
{
	counters_type = add_type(module, &counters_spec);
	blocks_type = add_type(module, &blocks_spec);
	return counters_type && blocks_type ? 0 : -1;
}
