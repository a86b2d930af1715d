/* Client: a connection; opening, listing and dropping what has a name. */
#define _GNU_SOURCE
#include "contrib/python/native/native.h"

#include <stdlib.h>
#include <string.h>
#include <structmember.h>

PyTypeObject *client_type;

/* ---- connections ---- */

struct box *box_new(const char *socket)
{
	struct box *box = PyMem_Calloc(1, sizeof(*box));
	int status;

	if (!box)
		return (struct box *)(void *)PyErr_NoMemory();
	box->process = fork_count;
	box->references = 1;
	Py_BEGIN_ALLOW_THREADS
	status = ems_connect(&box->connection, socket);
	Py_END_ALLOW_THREADS
	if (status == 0)
		return box;
	PyMem_Free(box);
	failed(status);
	return NULL;
}

void box_release(struct box *box)
{
	if (!box || --box->references > 0)
		return;
	ems_disconnect(box->connection);
	PyMem_Free(box);
}

static bool check_open(const client_t *client)
{
	if (!client->closed)
		return true;
	PyErr_SetString(PyExc_ValueError, "the client is closed");
	return false;
}

struct box *client_box(client_t *client)
{
	struct box *box;

	if (!check_open(client))
		return NULL;
	if (client->box && client->box->process == fork_count)
		return client->box;
	box = box_new(client->socket);
	if (!box)
		return NULL;
	/* Another thread may have been faster. */
	if (client->closed || (client->box && client->box->process == fork_count)) {
		box_release(box);
		return check_open(client) ? client->box : NULL;
	}
	/* The parent's is counted by handles that will find out, too. */
	box_release(client->box);
	client->box = box;
	PyDict_Clear(client->waits);
	return box;
}

static PyObject *client_create(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"socket", NULL};
	PyObject *socket = Py_None, *path = NULL;
	client_t *client;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:Client", names, &socket))
		return NULL;
	if (socket != Py_None && !PyUnicode_FSConverter(socket, &path))
		return NULL;
	client = NEW(type);
	if (client) {
		client->socket = path ? strdup(PyBytes_AsString(path)) : NULL;
		client->waits = PyDict_New();
		client->box = client->waits && (!path || client->socket) ? box_new(client->socket) : NULL;
		if (!client->box)
			Py_CLEAR(client);
	}
	Py_XDECREF(path);
	return (PyObject *)client;
}

/* ---- the end ---- */

/* Waits of event loops that were cancelled by closing their heaps are told so, by Python's hand. */
static void tell_waits(client_t *client)
{
	PyObject *result;

	if (!client->waits || PyDict_Size(client->waits) <= 0)
		return;
	result = PyObject_CallMethod((PyObject *)client, "_end_waits", NULL);
	if (!result)
		PyErr_WriteUnraisable((PyObject *)client);
	Py_XDECREF(result);
}

static PyObject *client_close(client_t *client, PyObject *none)
{
	(void)none;
	if (client->closed)
		Py_RETURN_NONE;
	/* While a handle is shut others run, who may open more, until `closed` is seen. */
	while (client->heaps || client->regions) {
		if (client->heaps)
			heap_shut(client->heaps);
		else
			region_shut(client->regions);
	}
	if (client->box && client->box->process == fork_count)
		tell_waits(client);
	client->closed = true;
	box_release(client->box);
	client->box = NULL;
	Py_RETURN_NONE;
}

static void client_free(client_t *client)
{
	PyTypeObject *type = TYPE_OF(client);

	PyObject_GC_UnTrack(client);
	if (client->weak)
		PyObject_ClearWeakRefs((PyObject *)client);
	/* Heaps and regions hold us, so there are none. */
	box_release(client->box);
	free(client->socket);
	Py_XDECREF(client->waits);
	((freefunc)PyType_GetSlot(type, Py_tp_free))(client);
	UNREF(type);
}

static int client_traverse(client_t *client, visitproc visit, void *arg)
{
	Py_VISIT(TYPE_OF(client));
	Py_VISIT(client->waits);
	return 0;
}

static int client_clear(client_t *client)
{
	Py_CLEAR(client->waits);
	return 0;
}

/* ---- heaps ---- */

enum {
	H_NAME,
	H_HOW,
	H_ELEMENTS,
	H_MAP,
	H_MAX_ELEMENTS,
	H_STORAGE,
	H_BUDGET,
	H_FILL,
	H_TAG,
	H_READ_ONLY,
	H_PERSISTENT,
	H_UNTIL_DETACHED,
	H_MODE,
	H_IDLE,
	H_COUNT
};
static const char *const heap_arguments[] = {
	"name",	 "how",		"elements",	  "map",  "max_elements", "storage", "budget", "fill", "initial_tag",
	"read_only", "persistent", "until_detached", "mode", "idle_seconds", NULL};

static bool take_heap_options(PyObject *const *given, ems_heap_options_t *options)
{
	return take_size(given[H_ELEMENTS], "elements", &options->elements) && take_flag(given[H_MAP], &options->map) &&
	       take_size(given[H_MAX_ELEMENTS], "max_elements", &options->max_elements) &&
	       take_size(given[H_STORAGE], "storage", &options->storage) &&
	       take_size(given[H_BUDGET], "budget", &options->budget) &&
	       take_tag(given[H_TAG], &options->initial_tag) && take_flag(given[H_READ_ONLY], &options->read_only) &&
	       take_flag(given[H_PERSISTENT], &options->persistent) &&
	       take_flag(given[H_UNTIL_DETACHED], &options->until_detached) &&
	       take_small(given[H_MODE], "mode", &options->mode) &&
	       take_small(given[H_IDLE], "idle_seconds", &options->idle_seconds);
}

static PyObject *open_heap(client_t *client, const char *name, ems_open_t how, const ems_heap_options_t *options)
{
	struct box *box = client_box(client);
	ems_heap_t *handle;
	PyObject *heap;
	int status;

	if (!box)
		return NULL;
	box->references++;
	Py_BEGIN_ALLOW_THREADS
	status = ems_heap_open(box->connection, name, how, options, &handle);
	Py_END_ALLOW_THREADS
	if (status < 0) {
		failed(status);
		box_release(box);
		return NULL;
	}
	heap = client->closed ? NULL : heap_new(client, box, handle, options->read_only);
	if (heap)
		return heap;
	(void)check_open(client);
	ems_heap_close(handle);
	box_release(box);
	return NULL;
}

PyDoc_STRVAR(heap_doc,
	     "heap($self, name, how='open_or_create', elements=None, map=False, max_elements=None, storage=None, "
	     "budget=None, fill=None, initial_tag=None, read_only=False, persistent=False, until_detached=False, "
	     "mode=None, idle_seconds=None)\n--\n\n"
	     "Open or create the heap of that name.\n\n"
	     "how is 'open' (NotFoundError), 'create' (ExistsError), 'open_or_create' (MismatchError when it is there "
	     "with another geometry) or 'replace'. With map the elements are found by key, else by index, and then "
	     "elements must be given when the heap is made. storage is how many bytes of texts and the like it can hold, "
	     "fill the value of elements that were never written, initial_tag 'full' or 'empty', mode permission bits "
	     "like a file's.");
static PyObject *client_heap(client_t *client, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	PyObject *given[H_COUNT], *heap = NULL;
	ems_heap_options_t options = {0};
	ems_value_t fill = EMS_VALUE_INIT;
	struct keeper keeper = {0};
	const char *name;
	ems_open_t how;

	if (!take_arguments("heap", args, nargs, kwnames, heap_arguments, 1, given))
		return NULL;
	name = PyUnicode_AsUTF8AndSize(given[H_NAME], NULL);
	if (!name || !take_mode(given[H_HOW], &how) || !take_heap_options(given, &options))
		return NULL;
	if (given[H_FILL] && given[H_FILL] != Py_None) {
		if (!value_from(given[H_FILL], &fill, &keeper))
			return NULL;
		options.fill = &fill;
	}
	heap = open_heap(client, name, how, &options);
	keeper_release(&keeper);
	return heap;
}

/* ---- names ---- */

static PyObject *info_to(const ems_heap_info_t *info)
{
	static const char *const kinds[] = {"heap", "region", "file", "team"};

	return Py_BuildValue(
		"{s:s,s:s,s:s,s:s,s:I,s:I,s:I,s:N,s:N,s:N,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:I,s:I,s:I,s:K,s:K,s:K,s:K,s:K}",
		"name", info->name, "kind", (unsigned)info->kind < 4 ? kinds[info->kind] : "unknown", "owner", info->owner,
		"group", info->group, "uid", info->uid, "gid", info->gid, "mode", info->mode, "map",
		PyBool_FromLong(info->map), "persistent", PyBool_FromLong(info->persistent), "dropped",
		PyBool_FromLong(info->dropped), "elements", info->elements, "max_elements", info->max_elements, "storage",
		info->storage, "storage_used", info->storage_used, "committed", info->committed, "budget", info->budget,
		"size", info->size, "max_size", info->max_size, "keys", info->keys, "clients", info->clients, "slots",
		info->slots, "waiters", info->waiters, "created", info->created, "used", info->used, "queued",
		info->queued, "leased", info->leased, "stacked", info->stacked);
}

PyDoc_STRVAR(inspect_doc, "inspect($self, name)\n--\n\n"
			  "What the daemon knows of a heap, or of what else has the name, as a dict.");
static PyObject *client_inspect(client_t *client, PyObject *name)
{
	const char *text = PyUnicode_AsUTF8AndSize(name, NULL);
	struct box *box = text ? client_box(client) : NULL;
	ems_heap_info_t info;
	int status;

	if (!box)
		return NULL;
	box->references++;
	Py_BEGIN_ALLOW_THREADS
	status = ems_heap_inspect(box->connection, text, &info);
	Py_END_ALLOW_THREADS
	if (status < 0)
		failed(status);
	box_release(box);
	return status < 0 ? NULL : info_to(&info);
}

PyDoc_STRVAR(list_doc, "list($self, prefix='')\n--\n\n"
		       "What the caller may see, in order of name: a list of dicts, each with what the daemon tells "
		       "without looking closely (see inspect).");
static PyObject *client_list(client_t *client, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	static const char *const names[] = {"prefix", NULL};
	PyObject *prefix, *list;
	const char *text = NULL;
	ems_heap_info_t *infos = NULL;
	struct box *box;
	size_t count = 0;
	int status;

	if (!take_arguments("list", args, nargs, kwnames, names, 0, &prefix) ||
	    (prefix && prefix != Py_None && !(text = PyUnicode_AsUTF8AndSize(prefix, NULL))))
		return NULL;
	box = client_box(client);
	if (!box)
		return NULL;
	box->references++;
	Py_BEGIN_ALLOW_THREADS
	status = ems_heap_list(box->connection, text, &infos, &count);
	Py_END_ALLOW_THREADS
	list = status < 0 ? failed(status) : PyList_New(0);
	box_release(box);
	for (size_t i = 0; list && i < count; i++) {
		PyObject *one = info_to(&infos[i]);

		if (!one || PyList_Append(list, one) < 0)
			Py_CLEAR(list);
		Py_XDECREF(one);
	}
	free(infos);
	return list;
}

PyDoc_STRVAR(drop_doc, "drop($self, name)\n--\n\n"
		       "Remove a name at once; those attached keep the heap, and can see that it is dropped.");
static PyObject *client_drop(client_t *client, PyObject *name)
{
	const char *text = PyUnicode_AsUTF8AndSize(name, NULL);
	struct box *box = text ? client_box(client) : NULL;
	int status;

	if (!box)
		return NULL;
	box->references++;
	Py_BEGIN_ALLOW_THREADS
	status = ems_heap_drop(box->connection, text);
	Py_END_ALLOW_THREADS
	if (status < 0)
		failed(status);
	box_release(box);
	if (status < 0)
		return NULL;
	Py_RETURN_NONE;
}

PyDoc_STRVAR(ping_doc, "ping($self, timeout=None)\n--\n\nAsk the daemon for a sign of life.");
static PyObject *client_ping(client_t *client, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	static const char *const names[] = {"timeout", NULL};
	ems_deadline_t deadline;
	struct box *box;
	PyObject *timeout;
	int status;

	if (!take_arguments("ping", args, nargs, kwnames, names, 0, &timeout) ||
	    !take_timeout(timeout, EMS_FOREVER, &deadline) || !(box = client_box(client)))
		return NULL;
	box->references++;
	Py_BEGIN_ALLOW_THREADS
	status = ems_ping(box->connection, deadline);
	Py_END_ALLOW_THREADS
	if (status < 0)
		failed(status);
	box_release(box);
	if (status < 0)
		return NULL;
	Py_RETURN_NONE;
}

/* ---- the type ---- */

static PyObject *client_enter(PyObject *client, PyObject *none)
{
	(void)none;
	return Py_NewRef(client);
}

static PyObject *client_exit(client_t *client, PyObject *args)
{
	(void)args;
	return client_close(client, NULL);
}

static PyObject *client_socket(client_t *client, void *closure)
{
	(void)closure;
	return client->socket ? PyUnicode_DecodeFSDefault(client->socket) : Py_NewRef(Py_None);
}

static PyObject *client_closed(client_t *client, void *closure)
{
	(void)closure;
	return PyBool_FromLong(client->closed);
}

static PyObject *client_daemon_version(client_t *client, void *closure)
{
	struct box *box = client_box(client);

	(void)closure;
	return box ? PyUnicode_FromString(ems_daemon_version(box->connection)) : NULL;
}

static PyGetSetDef client_properties[] = {
	{"socket", (getter)client_socket, NULL, "The path it was asked to connect to; None: the default.", NULL},
	{"closed", (getter)client_closed, NULL, "Whether it is closed.", NULL},
	{"daemon_version", (getter)client_daemon_version, NULL, "The version of the daemon.", NULL},
	{0}};

static PyMemberDef client_members[] = {
	{"__weaklistoffset__", T_PYSSIZET, offsetof(client_t, weak), READONLY, NULL},
	{"_waits", T_OBJECT, offsetof(client_t, waits), READONLY, NULL},
	{0}};

static PyMethodDef client_methods[] = {
	METHOD("heap", client_heap, FAST, heap_doc),
	METHOD("region", client_region, FAST,
	       "region($self, name, how='open_or_create', size=None, max_size=None, read_only=False, pages=None, "
	       "populate=False, interleave=False, lock=None, budget=None, until_detached=False, mode=None, "
	       "idle_seconds=None)\n--\n\n"
	       "Open or create a region, raw memory by name. pages is None, 'transparent', '2M' or '1G'; lock a "
	       "percentage that is never swapped out. What is wished and not granted is in Region.info()."),
	METHOD("region_file", client_region_file, FAST,
	       "region_file($self, file, size=None, max_size=None, read_only=False, populate=False, lock=None)\n--\n\n"
	       "A file as a region: a path, or what has a fileno(). What is stored is in the file."),
	METHOD("team_from_environment", client_team_from_environment, FAST,
	       "team_from_environment($self, timeout=None)\n--\n\nJoin the team that `emsctl run` has started this process for, and wait "
	       "until all of its members are there. Without emsctl run: a team of one."),
	METHOD("team", client_team, FAST,
	       "team($self, name, size, member=None, elastic=False, timeout=None, mode=None)\n--\n\n"
	       "Join a team, and wait until all of its members are there."),
	METHOD("inspect", client_inspect, METH_O, inspect_doc),
	METHOD("list", client_list, FAST, list_doc),
	METHOD("drop", client_drop, METH_O, drop_doc),
	METHOD("ping", client_ping, FAST, ping_doc),
	METHOD("close", client_close, METH_NOARGS,
	       "close($self)\n--\n\nClose it and its heaps and regions. Whoever sleeps in one gets CancelledError."),
	METHOD("__enter__", client_enter, METH_NOARGS, NULL),
	METHOD("__exit__", client_exit, METH_VARARGS, NULL),
	METHOD("_reserve", client_reserve, METH_NOARGS, "Keep the addresses of views free; in the child of a fork."),
	METHOD("_after_fork", client_after_fork, METH_NOARGS, "Open again what has views; in the child of a fork."),
	METHOD("_wait_fd", client_wait_fd, METH_NOARGS, "The descriptor that event loops watch."),
	METHOD("_wait_next", client_wait_next, METH_NOARGS, "The next wait that has come to its end, or None."),
	METHOD("_wait_cancel", client_wait_cancel, METH_O, "Whether a wait could be cancelled."),
	{0}};

static PyType_Slot client_slots[] = {
	SLOT(Py_tp_doc, "Client(socket=None)\n--\n\n"
			"A connection to emsd. socket is the path of the daemon's socket; None: $EMS_SOCKET, else the "
			"system's daemon, else this user's own, which is started when it does not run."),
	SLOT(Py_tp_new, client_create),
	SLOT(Py_tp_dealloc, client_free),
	SLOT(Py_tp_traverse, client_traverse),
	SLOT(Py_tp_clear, client_clear),
	SLOT(Py_tp_methods, client_methods),
	SLOT(Py_tp_members, client_members),
	SLOT(Py_tp_getset, client_properties),
	{0, NULL}};

static PyType_Spec client_spec = {
	.name = "ems._native.Client",
	.basicsize = sizeof(client_t),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
	.slots = client_slots,
};

int add_client(PyObject *module)
{
	client_type = add_type(module, &client_spec);
	return client_type ? 0 : -1;
}
