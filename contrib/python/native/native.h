/*
 * native.h: what the files of the extension module ems._native share.
 *
 * The model. A Client stands for a connection, a Heap or Region for a handle of it. Python objects outlive the C
 * handles that they stand for, in two ways. After a fork the child's objects open handles of their own, by name,
 * when they are first used. And close() ends a handle although others may be using it: those that sleep in it without
 * the interpreter's lock are cancelled, and a region stays mapped as long as there is a memoryview of it.
 *
 * The interpreter's lock. An operation is tried with EMS_NOW first and keeps the lock meanwhile, as it takes less than
 * giving the lock up; only what has to sleep, or to ask the daemon, gives it up. So a handle in use by such a call is
 * counted (busy), and whatever else there is in this module is guarded by the lock.
 */
#ifndef EMS_PYTHON_NATIVE_H
#define EMS_PYTHON_NATIVE_H

#define PY_SSIZE_T_CLEAN
#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030b0000
#endif
#include <Python.h>

#include <ems.h>

#define LIKELY(condition)   __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

/* The stable ABI's own take objects of no other type. */
#define REF(object)	((void *)Py_NewRef((PyObject *)(object)))
#define UNREF(object)	Py_XDECREF((PyObject *)(object))
#define TYPE_OF(object) Py_TYPE((PyObject *)(object))
#define NEW(type)	((void *)((allocfunc)PyType_GetSlot((type), Py_tp_alloc))((type), 0))

/* ---- objects ---- */

struct heap;
struct region;

/* One C connection, counted: by its client, and by each handle. */
struct box {
	ems_connection_t *connection;
	uint32_t process; /* as fork_count when it was made */
	long references;
};

typedef struct client {
	PyObject_HEAD
	PyObject *weak;
	struct box *box; /* NULL: closed */
	char *socket;	 /* NULL: the default */
	struct heap *heaps;
	struct region *regions;
	struct region *closed_regions; /* those that are closed, but have views */
	PyObject *waits; /* dict: event loop, how many waits it has; see ems/_wait.py */
	bool closed;
} client_t;

/* A thread that sleeps in an operation of a heap. */
struct sleeper {
	struct sleeper *next, **link;
	ems_session_t *session;
};

typedef struct heap {
	PyObject_HEAD
	PyObject *weak;
	ems_heap_t *handle; /* NULL: closed */
	uint32_t process;
	bool closed, read_only, has_map, borrowed;
	long busy;
	struct sleeper *sleepers;
	struct iterator *iterators;
	client_t *client; /* NULL: borrowed */
	struct box *box;
	char *name; /* in full */
	struct heap *next, **link;
} heap_t;

typedef struct element {
	PyObject_HEAD
	heap_t *heap;
	PyObject *key;
} element_t;

typedef struct region {
	PyObject_HEAD
	PyObject *weak;
	ems_region_t *handle;
	uint32_t process;
	bool closed, read_only;
	long views; /* of a memoryview, parts of it, or calls under way */
	void *viewed; /* what the views are of */
	uint64_t viewed_size;
	bool moved; /* viewed is a mapping of our own: after a fork */
	int fd; /* of a file, ours; else -1 */
	client_t *client;
	struct box *box;
	char *name;
	struct region *next, **link;
} region_t;

extern PyTypeObject *client_type, *heap_type, *element_type, *region_type, *lease_type, *transaction_type,
	*iterator_type, *team_type, *loop_type;
extern uint32_t fork_count; /* how often this process's ancestors have forked since the module was loaded */

/* Each adds its type to the module. 0, or -1 with an exception. */
int add_client(PyObject *module);
int add_heap(PyObject *module);
int add_element(PyObject *module);
int add_region(PyObject *module);
int add_parts(PyObject *module);
int add_lease(PyObject *module);
int add_transaction(PyObject *module);
int add_iterator(PyObject *module);
int add_team(PyObject *module);
int add_loop(PyObject *module);
int add_compat(PyObject *module);
PyTypeObject *add_type(PyObject *module, PyType_Spec *spec);

/* Several tables of methods, the last one NULL, as one that stays as long as the process. */
PyMethodDef *join_methods(PyMethodDef *const *tables);

/* For types that are not made by calling them. */
PyObject *no_new(PyTypeObject *type, PyObject *args, PyObject *kwargs);

/* ---- failures ---- */

/* Raises the exception of a code, with the words of ems_last_error. NULL. */
PyObject *failed(int code);
/* The same with words of ours. */
PyObject *failed_saying(int code, const char *words);
/* What ems.errors has for the codes: called once. */
int failure_set_up(PyObject *module);

/* ---- arguments, see arguments.c ---- */

/*
 * Positional and keyword arguments of a fast call into out[], by names (ended by NULL); the first `required` must be
 * there; out holds borrowed references, NULL for what was not given.
 */
bool take_arguments(const char *function, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
		    const char *const *names, Py_ssize_t required, PyObject **out);
/* Seconds, or None: for ever. Of none given: none_given. */
bool take_timeout(PyObject *timeout, ems_deadline_t none_given, ems_deadline_t *deadline);
bool take_uint64(PyObject *number, const char *what, uint64_t *value);
bool take_int64(PyObject *number, int64_t *value);
bool take_tag(PyObject *tag, ems_tag_t *value); /* "full", "empty", True, False; NULL or None: 0 */

/* How to open; none given: open_or_create. */
bool take_mode(PyObject *how, ems_open_t *mode);
bool take_flag(PyObject *flag, bool *value);
/* None, or none given: 0. */
bool take_size(PyObject *number, const char *what, uint64_t *value);
bool take_small(PyObject *number, const char *what, uint32_t *value);

/* ---- values, see convert.c ---- */

/* What keeps the memory of an argument alive while it is used. */
struct keeper {
	PyObject *object;
	Py_buffer buffer;
	bool has_buffer;
};
bool value_from_slow(PyObject *object, ems_value_t *value, struct keeper *keeper);
void keeper_release_slow(struct keeper *keeper);
PyObject *value_to_slow(ems_value_t *value); /* clears the value */
bool key_from_slow(PyObject *object, ems_key_t *key);
PyObject *key_to(const ems_key_t *key);
int convert_set_up(PyObject *module);

/* Integers and floats, the common ones, without a call. The value of others is borrowed from the object or the keeper. */
static inline bool value_from(PyObject *object, ems_value_t *value, struct keeper *keeper)
{
	keeper->object = NULL;
	keeper->has_buffer = false;
	value->flags = 0;
	value->data = NULL;
	value->size = value->capacity = 0;
	if (LIKELY(PyLong_CheckExact(object))) {
		value->type = EMS_INTEGER;
		value->integer = PyLong_AsLongLong(object);
		return LIKELY(value->integer != -1) || !PyErr_Occurred();
	}
	if (PyFloat_CheckExact(object)) {
		value->type = EMS_FLOAT;
		value->number = PyFloat_AsDouble(object);
		return true;
	}
	return value_from_slow(object, value, keeper);
}
static inline void keeper_release(struct keeper *keeper)
{
	if (UNLIKELY(keeper->object || keeper->has_buffer))
		keeper_release_slow(keeper);
}
static inline PyObject *value_to(ems_value_t *value)
{
	if (LIKELY(value->type == EMS_INTEGER && !value->data))
		return PyLong_FromLongLong(value->integer);
	return value_to_slow(value);
}
static inline bool key_from(PyObject *object, ems_key_t *key)
{
	if (LIKELY(PyLong_CheckExact(object))) {
		key->type = EMS_KEY_INTEGER;
		key->size = 0;
		key->integer = PyLong_AsLongLong(object);
		return LIKELY(key->integer != -1) || !PyErr_Occurred();
	}
	return key_from_slow(object, key);
}

/* ---- handles ---- */

/* The connection of a client, made anew after a fork; NULL with an exception. */
struct box *client_box(client_t *client);
struct box *box_new(const char *socket); /* connects; NULL with an exception */
void box_release(struct box *box);

bool heap_open_again(heap_t *heap);
PyObject *heap_new(client_t *client, struct box *box, ems_heap_t *handle, bool read_only);
/* A heap of a handle that is somebody else's, who shuts it first. It has no client. */
heap_t *heap_borrow(ems_heap_t *handle);
/* True: the handle can be used; else an exception is set. */
static inline bool heap_ready(heap_t *heap)
{
	return LIKELY(heap->handle && heap->process == fork_count) || heap_open_again(heap);
}
bool region_ready(region_t *region);
void region_hold(region_t *region); /* its mapping and handle stay until it is let go, as with a view */
void region_let_go(region_t *region);
void heap_shut(heap_t *heap);	  /* close() */
void region_shut(region_t *region);

/* ---- sleeping ---- */

/* One operation that could not be done at once. */
struct sleep {
	ems_deadline_t until, slice;
	heap_t *heap; /* may be NULL */
	enum { SLICED, LONG_SLICES, WHOLE } pieces; /* long ones where each loses its place in a line */
	uint32_t slices;
	bool started, raised;
	bool main_thread;
	bool former;
	struct sleeper sleeper;
	PyThreadState *state;
};
/*
 * Goes on until the operation has come to its end:
 *      struct sleep sleep = {.until = deadline, .heap = heap};
 *      while (sleep_again(&sleep, &status)) {
 *              status = operation(…, sleep.slice);
 *              sleep_over(&sleep);
 *      }
 * The interpreter's lock is free between the two. Signals' handlers run; when one raises, sleep.raised is set.
 */
bool sleep_again(struct sleep *sleep, int *status);
void sleep_over(struct sleep *sleep);

/* An operation with a deadline: at once, or asleep. */
#define WAIT_FOR(status, raised_, on_heap, until_, call)                            \
	do {                                                                       \
		ems_deadline_t deadline = EMS_NOW;                                 \
		(raised_) = false;                                                 \
		(status) = (call);                                                 \
		if (UNLIKELY((status) == -EMS_ETIMEOUT) && (until_) != EMS_NOW) {  \
			struct sleep sleep_ = {.until = (until_), .heap = (on_heap)}; \
			while (sleep_again(&sleep_, &(status))) {                  \
				deadline = sleep_.slice;                           \
				(status) = (call);                                 \
				sleep_over(&sleep_);                               \
			}                                                          \
			(raised_) = sleep_.raised;                                 \
		}                                                                  \
	} while (0)

/* ---- methods ---- */

#define FAST (METH_FASTCALL | METH_KEYWORDS)
#define METHOD(name, function, flags, doc)                                        \
	{                                                                         \
		name, (PyCFunction)(void (*)(void))(function), flags, PyDoc_STR(doc) \
	}
#define SLOT(name, function)                            \
	{                                               \
		name, (void *)(uintptr_t)(function)     \
	}

/* The operations on an element, for Heap (whose first argument is the key) and Element: see operation.c. */
extern PyMethodDef heap_operation_methods[], element_operation_methods[];
/* Others of Heap. */
extern PyMethodDef heap_queue_methods[], heap_range_methods[], heap_key_methods[];
/* Of Region. */
extern PyMethodDef region_integer_methods[];
PyObject *heap_iterate(heap_t *heap, int what); /* 0 keys, 1 values, 2 items */
void heap_end_iterators(heap_t *heap);
PyObject *lease_new(heap_t *heap, const ems_lease_t *lease, PyObject *value, bool of_queue);
PyObject *begin_transaction(PyObject *module, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);
PyObject *take_snapshot(PyObject *module, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);
PyObject *client_team(client_t *client, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);
PyObject *client_team_from_environment(client_t *client, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);
PyObject *lock_order(PyObject *module, PyObject *sequence);
PyObject *follow_parent(PyObject *module, PyObject *parent);
PyObject *run_name(PyObject *module, PyObject *none);
PyObject *client_wait_fd(client_t *client, PyObject *none);
PyObject *client_wait_next(client_t *client, PyObject *none);
PyObject *client_wait_cancel(client_t *client, PyObject *wait);
PyObject *heap_wait_begin(heap_t *heap, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);
PyObject *client_reserve(client_t *client, PyObject *none);
PyObject *client_after_fork(client_t *client, PyObject *none);
PyObject *region_counters(region_t *region, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);
PyObject *region_blocks(region_t *region, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);
PyObject *client_region(client_t *client, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);
PyObject *client_region_file(client_t *client, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);

#endif
