/*
 * Region: raw memory, without a copy. memoryview(region) is of the mapping itself, which therefore stays as long as there is a
 * view, also after close().
 *
 * The child of a fork has none of the mappings, and its views would lead nowhere. So each region with views is opened again
 * right after the fork, and its pages are put where the views look for them. Where that cannot be done, nothing is: touching the view
 * is then what touching memory that is gone is.
 */
#define _GNU_SOURCE
#include "contrib/python/native/native.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <structmember.h>
#include <sys/mman.h>
#include <unistd.h>

PyTypeObject *region_type;

/* ---- the handle ---- */

static void link_region(region_t *region, region_t **list)
{
	region->next = *list;
	region->link = list;
	if (region->next)
		region->next->link = &region->next;
	*list = region;
}

static PyObject *region_new(client_t *client, struct box *box, ems_region_t *handle, bool read_only, int fd)
{
	region_t *region = NEW(region_type);
	ems_region_info_t info;

	if (!region)
		return NULL;
	region->fd = -1;
	if (ems_region_info(handle, &info) < 0 || !(region->name = strdup(info.name))) {
		UNREF(region);
		return PyErr_NoMemory();
	}
	region->handle = handle;
	region->process = box->process;
	region->read_only = read_only;
	region->fd = fd;
	region->box = box;
	region->client = REF(client);
	link_region(region, &client->regions);
	return (PyObject *)region;
}

static void unlink_region(region_t *region)
{
	if (!region->link)
		return;
	*region->link = region->next;
	if (region->next)
		region->next->link = region->link;
	region->link = NULL;
}

static void end_handle(region_t *region)
{
	ems_region_t *handle = region->handle;
	struct box *box = region->box;

	region->handle = NULL;
	region->box = NULL;
	ems_region_close(handle);
	box_release(box);
	if (region->fd >= 0)
		(void)close(region->fd);
	region->fd = -1;
}

void region_shut(region_t *region)
{
	region->closed = true;
	unlink_region(region);
	if (region->views == 0)
		end_handle(region);
	else
		link_region(region, &region->client->closed_regions);
}

static int open_one(struct box *box, const char *name, int fd, const ems_region_options_t *options,
		    ems_region_t **handle)
{
	return fd >= 0 ? ems_region_file(box->connection, fd, options, handle)
		       : ems_region_open(box->connection, name, EMS_OPEN_EXISTING, options, handle);
}

/* Keeps the addresses of views free from other mappings, until there is something to be put there. */
static void reserve(region_t *region)
{
	if (region->views == 0 || !region->viewed || region->moved)
		return;
	region->moved = mmap(region->viewed, region->viewed_size, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0) == region->viewed;
}

/* A second mapping of the same pages (which is what size 0 asks for), where the views look for them. */
static void move_to_views(region_t *region, void *bytes)
{
	if (region->moved)
		(void)mremap(bytes, 0, region->viewed_size, MREMAP_MAYMOVE | MREMAP_FIXED, region->viewed);
}

static void end_moved(region_t *region)
{
	if (region->moved)
		(void)munmap(region->viewed, region->viewed_size);
	region->moved = false;
	region->viewed = NULL;
}

/* After a fork: the child's own handle; the views' pages where they were, also when the region, or its client, is closed. */
static bool open_again(region_t *region)
{
	bool own_box = region->client->closed;
	ems_region_options_t options = {.read_only = region->read_only};
	ems_region_t *handle;
	struct box *box;
	uint64_t size;
	int status;

	box = own_box ? box_new(region->client->socket) : client_box(region->client);
	if (!box)
		return false;
	if (!own_box)
		box->references++;
	status = open_one(box, region->name, region->fd, &options, &handle);
	if (status < 0) {
		failed(status);
		box_release(box);
		return false;
	}
	ems_region_close(region->handle);
	box_release(region->box);
	move_to_views(region, ems_region_bytes(handle, &size));
	region->handle = handle;
	region->box = box;
	region->process = fork_count;
	return true;
}

bool region_ready(region_t *region)
{
	if (LIKELY(region->handle && !region->closed && region->process == fork_count))
		return true;
	if (!region->closed)
		return open_again(region);
	PyErr_Format(PyExc_ValueError, "region \"%s\" is closed", region->name);
	return false;
}

/* Called in the child of os.fork(), for all clients, before the next one: what that maps must not come to lie there. */
PyObject *client_reserve(client_t *client, PyObject *none)
{
	region_t *const lists[] = {client->regions, client->closed_regions};

	(void)none;
	for (size_t i = 0; i < 2; i++)
		for (region_t *region = lists[i]; region; region = region->next)
			if (region->process != fork_count) {
				region->moved = false; /* a parent's */
				reserve(region);
			}
	Py_RETURN_NONE;
}

/* When there is no daemon any more, or no such region, its views lead nowhere. */
PyObject *client_after_fork(client_t *client, PyObject *none)
{
	region_t *const lists[] = {client->regions, client->closed_regions};

	(void)none;
	for (size_t i = 0; i < 2; i++)
		for (region_t *region = lists[i]; region; region = region->next)
			if (region->views > 0 && region->process != fork_count && !open_again(region))
				PyErr_Clear();
	Py_RETURN_NONE;
}

static void region_free(region_t *region)
{
	PyTypeObject *type = TYPE_OF(region);

	PyObject_GC_UnTrack(region);
	if (region->weak)
		PyObject_ClearWeakRefs((PyObject *)region);
	unlink_region(region);
	end_handle(region);
	free(region->name);
	UNREF(region->client);
	((freefunc)PyType_GetSlot(type, Py_tp_free))(region);
	UNREF(type);
}

static int region_traverse(region_t *region, visitproc visit, void *arg)
{
	Py_VISIT(Py_TYPE((PyObject *)region));
	Py_VISIT(region->client);
	return 0;
}

/* ---- opening ---- */

static bool take_pages(PyObject *pages, ems_pages_t *value)
{
	static const char *const names[] = {"", "transparent", "2M", "1G"};

	*value = EMS_PAGES_DEFAULT;
	if (!pages || pages == Py_None)
		return true;
	for (int i = 1; i < 4; i++)
		if (PyUnicode_Check(pages) && PyUnicode_CompareWithASCIIString(pages, names[i]) == 0)
			*value = (ems_pages_t)i;
	if (*value == EMS_PAGES_DEFAULT)
		PyErr_Format(PyExc_ValueError, "pages is 'transparent', '2M' or '1G', not %R", pages);
	return *value != EMS_PAGES_DEFAULT;
}

enum {
	R_NAME,
	R_HOW,
	R_SIZE,
	R_MAX_SIZE,
	R_READ_ONLY,
	R_PAGES,
	R_POPULATE,
	R_INTERLEAVE,
	R_LOCK,
	R_BUDGET,
	R_UNTIL_DETACHED,
	R_MODE,
	R_IDLE,
	R_COUNT
};

static bool take_options(PyObject *const *given, ems_region_options_t *options)
{
	return take_size(given[R_SIZE], "size", &options->size) &&
	       take_size(given[R_MAX_SIZE], "max_size", &options->max_size) &&
	       take_flag(given[R_READ_ONLY], &options->read_only) && take_pages(given[R_PAGES], &options->pages) &&
	       take_flag(given[R_POPULATE], &options->populate) &&
	       take_flag(given[R_INTERLEAVE], &options->interleave) && take_small(given[R_LOCK], "lock", &options->lock) &&
	       take_size(given[R_BUDGET], "budget", &options->budget) &&
	       take_flag(given[R_UNTIL_DETACHED], &options->until_detached) &&
	       take_small(given[R_MODE], "mode", &options->mode) &&
	       take_small(given[R_IDLE], "idle_seconds", &options->idle_seconds);
}

static PyObject *open_region(client_t *client, const char *name, ems_open_t how, int fd,
			     const ems_region_options_t *options)
{
	struct box *box = client_box(client);
	ems_region_t *handle;
	PyObject *region;
	int status;

	if (!box)
		return NULL;
	box->references++;
	Py_BEGIN_ALLOW_THREADS
	status = fd >= 0 ? ems_region_file(box->connection, fd, options, &handle)
			 : ems_region_open(box->connection, name, how, options, &handle);
	Py_END_ALLOW_THREADS
	if (status < 0) {
		failed(status);
		box_release(box);
		return NULL;
	}
	region = client->closed ? NULL : region_new(client, box, handle, options->read_only, fd);
	if (region)
		return region;
	if (!PyErr_Occurred())
		PyErr_SetString(PyExc_ValueError, "the client is closed");
	ems_region_close(handle);
	box_release(box);
	return NULL;
}

PyObject *client_region(client_t *client, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	static const char *const names[] = {"name",  "how",	"size",	 "max_size", "read_only",      "pages", "populate",
					    "interleave", "lock", "budget", "until_detached", "mode", "idle_seconds", NULL};
	ems_region_options_t options = {0};
	PyObject *given[R_COUNT];
	const char *name;
	ems_open_t how;

	if (!take_arguments("region", args, nargs, kwnames, names, 1, given))
		return NULL;
	name = PyUnicode_AsUTF8AndSize(given[R_NAME], NULL);
	if (!name || !take_mode(given[R_HOW], &how) || !take_options(given, &options))
		return NULL;
	return open_region(client, name, how, -1, &options);
}

/* Ours, to be closed. */
static int open_file(PyObject *file, bool read_only, bool make)
{
	PyObject *path;
	int fd;

	if (PyLong_Check(file) || PyObject_HasAttrString(file, "fileno")) {
		fd = PyObject_AsFileDescriptor(file);
		if (fd >= 0)
			fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	} else {
		if (!PyUnicode_FSConverter(file, &path))
			return -1;
		fd = open(PyBytes_AsString(path), (read_only ? O_RDONLY : O_RDWR) | (make ? O_CREAT : 0) | O_CLOEXEC, 0666);
		UNREF(path);
	}
	if (fd < 0 && !PyErr_Occurred())
		PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, file);
	return fd;
}

PyObject *client_region_file(client_t *client, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	static const char *const names[] = {"file", "size", "max_size", "read_only", "populate", "lock", NULL};
	ems_region_options_t options = {0};
	PyObject *given[6], *region;
	int fd;

	if (!take_arguments("region_file", args, nargs, kwnames, names, 1, given) ||
	    !take_size(given[1], "size", &options.size) || !take_size(given[2], "max_size", &options.max_size) ||
	    !take_flag(given[3], &options.read_only) || !take_flag(given[4], &options.populate) ||
	    !take_small(given[5], "lock", &options.lock))
		return NULL;
	fd = open_file(given[0], options.read_only, options.size > 0 && !options.read_only);
	if (fd < 0)
		return NULL;
	region = open_region(client, NULL, EMS_OPEN_EXISTING, fd, &options);
	if (!region)
		(void)close(fd);
	return region;
}

/* ---- the memory ---- */

static int get_buffer(PyObject *object, Py_buffer *view, int flags)
{
	region_t *region = (region_t *)(void *)object;
	uint64_t size;
	void *bytes;

	view->obj = NULL;
	if (!region_ready(region))
		return -1;
	bytes = ems_region_bytes(region->handle, &size);
	if (PyBuffer_FillInfo(view, object, bytes, (Py_ssize_t)size, region->read_only, flags) < 0)
		return -1;
	/* After a fork views may be older than the handle: then this one stays elsewhere, which is as good. */
	if (!region->viewed || bytes == region->viewed) {
		region->viewed = bytes;
		region->viewed_size = size;
	}
	region_hold(region);
	return 0;
}

void region_hold(region_t *region)
{
	region->views++;
}

void region_let_go(region_t *region)
{
	if (--region->views > 0)
		return;
	end_moved(region);
	if (!region->closed)
		return;
	unlink_region(region);
	end_handle(region);
}

static void release_buffer(PyObject *object, Py_buffer *view)
{
	(void)view;
	region_let_go((region_t *)(void *)object);
}

PyDoc_STRVAR(view_doc, "view($self, format='B')\n--\n\n"
		       "The memory as a memoryview of that format ('d': doubles, 'q': 64-bit integers; see struct), without a copy; "
		       "read-only if the region is. It stays valid after close().");
static PyObject *region_view(region_t *region, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	static const char *const names[] = {"format", NULL};
	PyObject *format, *view, *cast;

	if (!take_arguments("view", args, nargs, kwnames, names, 0, &format))
		return NULL;
	view = PyMemoryView_FromObject((PyObject *)region);
	if (!view || !format)
		return view;
	cast = PyObject_CallMethod(view, "cast", "O", format);
	UNREF(view);
	return cast;
}

static PyObject *region_grow(region_t *region, PyObject *number)
{
	uint64_t size;
	int status;

	if (!take_uint64(number, "size", &size) || !region_ready(region))
		return NULL;
	region_hold(region); /* the handle stays */
	Py_BEGIN_ALLOW_THREADS
	status = ems_region_grow(region->handle, size);
	Py_END_ALLOW_THREADS
	if (status < 0)
		failed(status);
	region_let_go(region);
	if (status < 0)
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *region_flush(region_t *region, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	static const char *const names[] = {"offset", "size", "wait", NULL};
	uint64_t offset, size;
	PyObject *given[3];
	bool wait = true;
	int status;

	if (!take_arguments("flush", args, nargs, kwnames, names, 0, given) || !take_size(given[0], "offset", &offset) ||
	    !take_size(given[1], "size", &size) || (given[2] && !take_flag(given[2], &wait)) || !region_ready(region))
		return NULL;
	region_hold(region);
	Py_BEGIN_ALLOW_THREADS
	status = ems_region_flush(region->handle, offset, size, wait);
	Py_END_ALLOW_THREADS
	if (status < 0)
		failed(status);
	region_let_go(region);
	if (status < 0)
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *grant_to(const ems_grant_t *grant)
{
	return Py_BuildValue("{s:K,s:K,s:s}", "asked", (unsigned long long)grant->asked, "granted",
			     (unsigned long long)grant->granted, "why", grant->why);
}

static PyObject *region_info(region_t *region, PyObject *none)
{
	ems_region_info_t info;
	int status;

	(void)none;
	if (!region_ready(region))
		return NULL;
	status = ems_region_info(region->handle, &info);
	if (status < 0)
		return failed(status);
	return Py_BuildValue("{s:s,s:K,s:K,s:N,s:N,s:N,s:N,s:N,s:N,s:N}", "name", info.name, "size",
			     (unsigned long long)info.size, "max_size", (unsigned long long)info.max_size, "read_only",
			     PyBool_FromLong(info.read_only), "file", PyBool_FromLong(info.file), "dropped",
			     PyBool_FromLong(info.dropped), "pages", grant_to(&info.pages), "populated",
			     grant_to(&info.populated), "locked", grant_to(&info.locked), "interleaved",
			     grant_to(&info.interleaved));
}

/* ---- the type ---- */

static PyObject *region_close(region_t *region, PyObject *none)
{
	(void)none;
	if (!region->closed)
		region_shut(region);
	Py_RETURN_NONE;
}

static PyObject *region_enter(PyObject *region, PyObject *none)
{
	(void)none;
	return REF(region);
}

static PyObject *region_exit(region_t *region, PyObject *args)
{
	(void)args;
	return region_close(region, NULL);
}

/* A file is found by what only this process has: its descriptor. */
static PyObject *region_reduce(region_t *region, PyObject *none)
{
	PyObject *module, *opener, *result = NULL;

	(void)none;
	if (region->fd >= 0) {
		PyErr_SetString(PyExc_TypeError, "a file's region cannot be pickled: open the file in the other process");
		return NULL;
	}
	module = PyImport_ImportModule("ems._share");
	opener = module ? PyObject_GetAttrString(module, "open_region") : NULL;
	if (opener)
		result = Py_BuildValue("N(NsO)", opener, PyObject_GetAttrString((PyObject *)region->client, "socket"),
				       region->name, region->read_only ? Py_True : Py_False);
	UNREF(module);
	return result;
}

static PyObject *get_name(region_t *region, void *closure)
{
	(void)closure;
	return PyUnicode_FromString(region->name);
}

static PyObject *get_size(region_t *region, void *closure)
{
	uint64_t size;

	(void)closure;
	if (!region_ready(region))
		return NULL;
	(void)ems_region_bytes(region->handle, &size);
	return PyLong_FromUnsignedLongLong(size);
}

static PyObject *get_read_only(region_t *region, void *closure)
{
	(void)closure;
	return PyBool_FromLong(region->read_only);
}

static PyObject *get_closed(region_t *region, void *closure)
{
	(void)closure;
	return PyBool_FromLong(region->closed);
}

static Py_ssize_t region_length(region_t *region)
{
	uint64_t size;

	if (!region_ready(region))
		return -1;
	(void)ems_region_bytes(region->handle, &size);
	return (Py_ssize_t)size;
}

static PyObject *region_repr(region_t *region)
{
	return PyUnicode_FromFormat("<ems.Region \"%s\"%s%s>", region->name, region->read_only ? ", read-only" : "",
				    region->closed ? ", closed" : "");
}

static PyGetSetDef region_properties[] = {
	{"name", (getter)get_name, NULL, "Its name.", NULL},
	{"size", (getter)get_size, NULL, "Bytes.", NULL},
	{"read_only", (getter)get_read_only, NULL, "Whether it is mapped for reading only.", NULL},
	{"closed", (getter)get_closed, NULL, "Whether it is closed.", NULL},
	{0}};

static PyMemberDef region_members[] = {
	{"__weaklistoffset__", T_PYSSIZET, offsetof(region_t, weak), READONLY, NULL}, {0}};

static PyMethodDef region_own_methods[] = {
	METHOD("view", region_view, FAST, view_doc),
	METHOD("grow", region_grow, METH_O,
	       "grow($self, size)\n--\n\nMake it larger, at most max_size. Views keep their length."),
	METHOD("flush", region_flush, FAST,
	       "flush($self, offset=0, size=None, wait=True)\n--\n\nHave a file's bytes written to its disk."),
	METHOD("info", region_info, METH_NOARGS, "info($self)\n--\n\nWhat it is, and what was granted of what was wished: a dict."),
	METHOD("counters", region_counters, FAST,
	       "counters($self, count=0)\n--\n\nThe counters in it, and more until there are count."),
	METHOD("blocks", region_blocks, FAST,
	       "blocks($self, block_size=None, capacity=None, discard=False)\n--\n\nThe blocks in it, which are made if it is all zeros. "
	       "It grows with them, up to its max_size."),
	METHOD("close", region_close, METH_NOARGS, "close($self)\n--\n\nClose it. The memory goes when its last view does."),
	METHOD("__enter__", region_enter, METH_NOARGS, NULL),
	METHOD("__exit__", region_exit, METH_VARARGS, NULL),
	METHOD("__reduce__", region_reduce, METH_NOARGS, NULL),
	{0}};

static PyType_Slot region_slots[] = {
	SLOT(Py_tp_doc, "A region: raw memory that processes share, by name, or a file's. memoryview(region), region.view('d') and "
			"numpy.frombuffer(region) are of the memory itself. It is made by Client.region or Client.region_file."),
	SLOT(Py_tp_new, no_new),
	SLOT(Py_tp_dealloc, region_free),
	SLOT(Py_tp_traverse, region_traverse),
	SLOT(Py_tp_repr, region_repr),
	{Py_tp_methods, NULL}, /* set in add_region */
	SLOT(Py_tp_members, region_members),
	SLOT(Py_tp_getset, region_properties),
	SLOT(Py_sq_length, region_length),
	SLOT(Py_bf_getbuffer, get_buffer),
	SLOT(Py_bf_releasebuffer, release_buffer),
	{0, NULL}};

static PyType_Spec region_spec = {
	.name = "ems._native.Region",
	.basicsize = sizeof(region_t),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
	.slots = region_slots,
};

int add_region(PyObject *module)
{
	PyMethodDef *methods = join_methods((PyMethodDef *const[]){region_own_methods, region_integer_methods, NULL});

	if (!methods)
		return -1;
	for (PyType_Slot *slot = region_slots; slot->slot; slot++)
		if (slot->slot == Py_tp_methods)
			slot->pfunc = methods;
	region_type = add_type(module, &region_spec);
	return region_type ? 0 : -1;
}
