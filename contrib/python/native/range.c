/*
 * Ranges of elements from and to buffers: what supports the buffer protocol and holds int64 or double, contiguous
 * (array.array 'q' or 'd', a numpy array, a memoryview). Others may run meanwhile; the buffer stays where it is.
 */
#include "contrib/python/native/native.h"

#include <string.h>

/* 'q' for int64, 'd' for double; 0 with an exception. */
static char format_of(const Py_buffer *buffer)
{
	const char *format = buffer->format ? buffer->format : "B";

	if (*format == '@' || *format == '=' || *format == '<')
		format++;
	if (buffer->itemsize == 8 && (strcmp(format, "q") == 0 || strcmp(format, "l") == 0))
		return 'q';
	if (buffer->itemsize == 8 && strcmp(format, "d") == 0)
		return 'd';
	PyErr_Format(PyExc_TypeError, "a range is read and written as int64 ('q') or double ('d'), not '%s'", format);
	return 0;
}

struct range {
	Py_buffer buffer;
	uint64_t first, count;
	char format;
};

static bool take_range(const char *name, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames, bool writable,
		       struct range *range)
{
	static const char *const names[] = {"first", "buffer", NULL};
	PyObject *given[2];

	if (!take_arguments(name, args, nargs, kwnames, names, 2, given) ||
	    !take_uint64(given[0], "first", &range->first) ||
	    PyObject_GetBuffer(given[1], &range->buffer,
			       PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (writable ? PyBUF_WRITABLE : 0)) < 0)
		return false;
	range->format = format_of(&range->buffer);
	range->count = (uint64_t)range->buffer.len / 8;
	if (range->format)
		return true;
	PyBuffer_Release(&range->buffer);
	return false;
}

/* Both directions and both types, which differ in what the values point to. */
static PyObject *move_range(heap_t *heap, const char *name, bool reading, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	struct range range;
	uint64_t done = 0;
	void *values;
	int status;

	if (!take_range(name, args, nargs, kwnames, reading, &range))
		return NULL;
	if (!heap_ready(heap)) {
		PyBuffer_Release(&range.buffer);
		return NULL;
	}
	values = range.buffer.buf;
	heap->busy++;
	Py_BEGIN_ALLOW_THREADS
	if (range.format == 'q')
		status = reading ? ems_read_range_int64(heap->handle, range.first, range.count, values, &done)
				 : ems_write_range_int64(heap->handle, range.first, range.count, values, &done);
	else
		status = reading ? ems_read_range_double(heap->handle, range.first, range.count, values, &done)
				 : ems_write_range_double(heap->handle, range.first, range.count, values, &done);
	Py_END_ALLOW_THREADS
	heap->busy--;
	PyBuffer_Release(&range.buffer);
	return status < 0 ? failed(status) : PyLong_FromUnsignedLongLong(done);
}

PyDoc_STRVAR(read_doc, "read_range($self, first, buffer)\n--\n\n"
		       "Read elements from index first on into a writable buffer of int64 or double; how many. Each is read "
		       "atomically, the range as a whole is not. What is no number is WrongTypeError.");
static PyObject *heap_read_range(heap_t *heap, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	return move_range(heap, "read_range", true, args, nargs, kwnames);
}

PyDoc_STRVAR(write_doc, "write_range($self, first, buffer)\n--\n\n"
			"Write elements from index first on from a buffer of int64 or double; how many. The tags stay. Not in a "
			"heap with map.");
static PyObject *heap_write_range(heap_t *heap, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	return move_range(heap, "write_range", false, args, nargs, kwnames);
}

PyDoc_STRVAR(fill_doc, "fill($self, value, first=0, count=None, tag=None)\n--\n\n"
		       "Write one value to a range of elements, with a tag, or with the tags that they have.");
static PyObject *heap_fill(heap_t *heap, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	static const char *const names[] = {"value", "first", "count", "tag", NULL};
	uint64_t first = 0, count = 0, done;
	struct keeper keeper;
	ems_value_t value;
	PyObject *given[4];
	ems_tag_t tag;
	int status;

	if (!take_arguments("fill", args, nargs, kwnames, names, 1, given) || !take_size(given[1], "first", &first) ||
	    !take_size(given[2], "count", &count) || !take_tag(given[3], &tag) || !heap_ready(heap))
		return NULL;
	if (!given[2] || given[2] == Py_None) {
		uint64_t elements = ems_heap_elements(heap->handle);

		count = elements > first ? elements - first : 0;
	}
	if (!value_from(given[0], &value, &keeper))
		return NULL;
	if (!heap_ready(heap)) {
		keeper_release(&keeper);
		return NULL;
	}
	heap->busy++;
	Py_BEGIN_ALLOW_THREADS
	status = ems_fill(heap->handle, first, count, &value, tag, &done);
	Py_END_ALLOW_THREADS
	heap->busy--;
	keeper_release(&keeper);
	if (status < 0)
		return failed(status);
	Py_RETURN_NONE;
}

PyMethodDef heap_range_methods[] = {METHOD("read_range", heap_read_range, FAST, read_doc),
				    METHOD("write_range", heap_write_range, FAST, write_doc),
				    METHOD("fill", heap_fill, FAST, fill_doc),
				    {0}};
