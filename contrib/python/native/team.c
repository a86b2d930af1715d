/*
 * Team and Loop. The ways of Python (context managers, iterating) are in ems/_team.py, on top of these.
 *
 * A handle is used by one thread at a time; `used` says that one is in it, without the interpreter's lock.
 */
#include "contrib/python/native/native.h"

PyTypeObject *team_type, *loop_type;

typedef struct team {
	PyObject_HEAD
	ems_team_t *team; /* NULL: left, or outside of any */
	uint32_t process;
	bool used, left;
} team_t;

static PyObject *wrap_team(ems_team_t *team)
{
	team_t *object = NEW(team_type);

	if (!object) {
		(void)ems_team_leave(team);
		return NULL;
	}
	object->team = team;
	object->process = fork_count;
	return (PyObject *)object;
}

/* Joining asks the daemon, so the lock is not kept even for the first try. A deadline of 0 would be for ever. Sets the exception. */
#define JOIN(status, raised, until_, call)                                        \
	do {                                                                     \
		struct sleep sleep_ = {.until = (until_), .pieces = LONG_SLICES}; \
		while (sleep_again(&sleep_, &(status))) {                        \
			ems_deadline_t deadline = sleep_.slice == EMS_NOW ? 1 : sleep_.slice; \
			(status) = (call);                                       \
			sleep_over(&sleep_);                                     \
		}                                                                \
		(raised) = sleep_.raised;                                        \
		if ((status) < 0 && !(raised))                                   \
			failed(status);                                          \
	} while (0)

/* What is in client->box may be exchanged meanwhile, by nobody but a child. */
PyObject *client_team(client_t *client, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	static const char *const names[] = {"name", "size", "member", "elastic", "timeout", "mode", NULL};
	ems_team_options_t options = {0};
	ems_deadline_t until;
	ems_team_t *team;
	PyObject *given[6];
	const char *name;
	struct box *box;
	bool raised;
	int status;

	if (!take_arguments("team", args, nargs, kwnames, names, 2, given) ||
	    !(name = PyUnicode_AsUTF8AndSize(given[0], NULL)) || !take_small(given[1], "size", &options.size) ||
	    !take_small(given[2], "member", &options.member) || !take_flag(given[3], &options.elastic) ||
	    !take_timeout(given[4], EMS_FOREVER, &until) || !take_small(given[5], "mode", &options.mode) ||
	    !(box = client_box(client)))
		return NULL;
	options.has_member = given[2] && given[2] != Py_None;
	box->references++;
	JOIN(status, raised, until, (options.deadline = deadline, ems_team_join(box->connection, name, &options, &team)));
	box_release(box);
	return raised || status < 0 ? NULL : wrap_team(team);
}

PyObject *client_team_from_environment(client_t *client, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	static const char *const names[] = {"timeout", NULL};
	ems_team_t *team = NULL;
	ems_deadline_t until;
	PyObject *timeout;
	struct box *box;
	bool raised;
	int status;

	if (!take_arguments("team_from_environment", args, nargs, kwnames, names, 0, &timeout) ||
	    !take_timeout(timeout, EMS_FOREVER, &until) || !(box = client_box(client)))
		return NULL;
	box->references++;
	JOIN(status, raised, until, ems_team_from_environment(box->connection, deadline, &team));
	box_release(box);
	return raised || status < 0 ? NULL : wrap_team(team);
}

static bool enter(team_t *team)
{
	if (team->left)
		PyErr_SetString(PyExc_ValueError, "the team was left");
	else if (team->process != fork_count)
		failed_saying(EMS_EFORKED, "the team was joined by the parent process");
	else if (team->used)
		PyErr_SetString(PyExc_RuntimeError, "a team is used by one thread at a time, the one that joined");
	else {
		(void)REF(team);
		team->used = true;
		return true;
	}
	return false;
}

static void leave(team_t *team)
{
	team->used = false;
	UNREF(team);
}

#define TEAM_WAIT(status, raised, in_pieces, until_, call)                             \
	do {                                                                          \
		ems_deadline_t deadline = EMS_NOW;                                    \
		(raised) = false;                                                     \
		(status) = (call);                                                    \
		if ((status) == -EMS_ETIMEOUT && (until_) != EMS_NOW) {               \
			struct sleep sleep_ = {.until = (until_), .pieces = (in_pieces)}; \
			while (sleep_again(&sleep_, &(status))) {                     \
				deadline = sleep_.slice;                              \
				(status) = (call);                                    \
				sleep_over(&sleep_);                                  \
			}                                                             \
			(raised) = sleep_.raised;                                     \
		}                                                                     \
	} while (0)

static PyObject *team_barrier(team_t *team, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	static const char *const names[] = {"timeout", NULL};
	ems_deadline_t until;
	PyObject *timeout;
	bool raised;
	int status;

	if (!take_arguments("barrier", args, nargs, kwnames, names, 0, &timeout) ||
	    !take_timeout(timeout, EMS_FOREVER, &until) || !enter(team))
		return NULL;
	TEAM_WAIT(status, raised, SLICED, until, ems_team_barrier_until(team->team, deadline));
	if (status < 0 && !raised)
		failed(status);
	leave(team);
	if (raised || status < 0)
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *team_single(team_t *team, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	static const char *const names[] = {"timeout", NULL};
	bool raised, mine = false;
	ems_deadline_t until;
	PyObject *timeout;
	int status;

	if (!take_arguments("single", args, nargs, kwnames, names, 0, &timeout) ||
	    !take_timeout(timeout, EMS_FOREVER, &until) || !enter(team))
		return NULL;
	TEAM_WAIT(status, raised, SLICED, until, ems_team_single_until(team->team, &mine, deadline));
	if (status < 0 && !raised)
		failed(status);
	leave(team);
	return raised || status < 0 ? NULL : PyBool_FromLong(mine);
}

static PyObject *team_critical_enter(team_t *team, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	static const char *const names[] = {"name", "timeout", NULL};
	bool raised, owner_died = false;
	ems_deadline_t until;
	PyObject *given[2];
	const char *name;
	int status;

	if (!take_arguments("critical_enter", args, nargs, kwnames, names, 1, given) ||
	    !(name = PyUnicode_AsUTF8AndSize(given[0], NULL)) || !take_timeout(given[1], EMS_FOREVER, &until) ||
	    !enter(team))
		return NULL;
	TEAM_WAIT(status, raised, LONG_SLICES, until, ems_critical_enter_until(team->team, name, &owner_died, deadline));
	if (status < 0 && !raised)
		failed(status);
	leave(team);
	return raised || status < 0 ? NULL : PyBool_FromLong(owner_died);
}

static PyObject *team_critical_leave(team_t *team, PyObject *object)
{
	const char *name = PyUnicode_AsUTF8AndSize(object, NULL);
	int status;

	if (!name || !enter(team))
		return NULL;
	status = ems_critical_leave(team->team, name);
	if (status < 0)
		failed(status);
	leave(team);
	if (status < 0)
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *team_leave(team_t *team, PyObject *none)
{
	int status;

	(void)none;
	if (team->left)
		Py_RETURN_NONE;
	if (!enter(team))
		return NULL;
	status = ems_team_leave(team->team);
	if (status < 0) {
		failed(status);
	} else {
		team->team = NULL;
		team->left = true;
	}
	leave(team);
	if (status < 0)
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *team_deaths(team_t *team, PyObject *none)
{
	PyObject *list, *one;
	ems_team_death_t death;

	(void)none;
	if (!enter(team))
		return NULL;
	list = PyList_New(0);
	for (uint32_t which = 0; list && ems_team_broken(team->team, which, &death) == 0; which++) {
		one = Py_BuildValue("{s:I,s:I,s:L,s:L}", "member", death.member, "pid", death.pid, "first",
				    (long long)death.first, "last", (long long)death.last);
		if (!one || PyList_Append(list, one) < 0) {
			UNREF(list);
			list = NULL;
		}
		UNREF(one);
	}
	leave(team);
	return list;
}

static void team_free(team_t *team)
{
	PyTypeObject *type = TYPE_OF(team);

	/* By another thread it is refused, and the member dies with its thread. */
	if (team->team && team->process == fork_count)
		(void)ems_team_leave(team->team);
	((freefunc)PyType_GetSlot(type, Py_tp_free))(team);
	UNREF(type);
}

#define NUMBER(name)                                                                              \
	static PyObject *get_##name(team_t *team, void *closure)                                  \
	{                                                                                         \
		PyObject *number;                                                                 \
                                                                                                  \
		(void)closure;                                                                    \
		if (!enter(team))                                                                 \
			return NULL;                                                              \
		number = PyLong_FromUnsignedLong(ems_team_##name(team->team));                    \
		leave(team);                                                                      \
		return number;                                                                    \
	}
NUMBER(member)
NUMBER(size)
NUMBER(count)

static PyGetSetDef team_properties[] = {
	{"member", (getter)get_member, NULL, "This member's number, from 0.", NULL},
	{"size", (getter)get_size, NULL, "Members, as it was formed.", NULL},
	{"count", (getter)get_count, NULL, "Members that take part now.", NULL},
	{0}};

/* ---- loops ---- */

typedef struct loop {
	PyObject_HEAD
	ems_loop_t *loop;
	team_t *team;
	ems_deadline_t until;
} loop_t;

static bool take_schedule(PyObject *schedule, ems_schedule_t *value)
{
	static const char *const names[] = {"guided", "dynamic", "static"};

	*value = EMS_GUIDED;
	if (!schedule)
		return true;
	for (int i = 0; i < 3; i++)
		if (PyUnicode_Check(schedule) && PyUnicode_CompareWithASCIIString(schedule, names[i]) == 0) {
			*value = (ems_schedule_t)i;
			return true;
		}
	PyErr_Format(PyExc_ValueError, "schedule is 'guided', 'dynamic' or 'static', not %R", schedule);
	return false;
}

/* _loop(first, last, schedule, chunk, timeout) → Loop */
static PyObject *team_loop(team_t *team, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
	static const char *const names[] = {"first", "last", "schedule", "chunk", "timeout", NULL};
	ems_loop_options_t options = {0};
	PyObject *given[5];
	int64_t first, last;
	ems_deadline_t until;
	loop_t *loop;
	int status;

	if (!take_arguments("_loop", args, nargs, kwnames, names, 2, given) || !take_int64(given[0], &first) ||
	    !take_int64(given[1], &last) || !take_schedule(given[2], &options.schedule) ||
	    !take_size(given[3], "chunk", &options.chunk) || !take_timeout(given[4], EMS_FOREVER, &until))
		return NULL;
	options.deadline = until == EMS_NOW ? 1 : until;
	loop = NEW(loop_type);
	if (!loop)
		return NULL;
	if (!enter(team)) {
		UNREF(loop);
		return NULL;
	}
	Py_BEGIN_ALLOW_THREADS
	status = ems_loop_begin(team->team, first, last, &options, &loop->loop);
	Py_END_ALLOW_THREADS
	if (status < 0)
		failed(status);
	else
		loop->team = REF(team);
	leave(team);
	if (status == 0)
		return (PyObject *)loop;
	UNREF(loop);
	return NULL;
}

/* Its deadline is the whole loop's: a call that a signal has ended is made again. */
#define LOOP_CALL(status, raised, call)                                                  \
	do {                                                                            \
		struct sleep sleep_ = {.until = EMS_FOREVER, .pieces = WHOLE};           \
		while (sleep_again(&sleep_, &(status))) {                               \
			(status) = (call);                                              \
			sleep_over(&sleep_);                                            \
		}                                                                       \
		(raised) = sleep_.raised;                                               \
	} while (0)

/* → (first, last), or None at the end. */
static PyObject *loop_next(loop_t *loop, PyObject *none)
{
	int64_t first, last;
	bool raised;
	int status;

	(void)none;
	if (!loop->loop)
		Py_RETURN_NONE;
	if (!enter(loop->team))
		return NULL;
	LOOP_CALL(status, raised, ems_loop_next(loop->loop, &first, &last));
	if (status < 0 && status != -EMS_EEMPTY && !raised)
		failed(status);
	leave(loop->team);
	if (raised)
		return NULL;
	if (status == -EMS_EEMPTY)
		Py_RETURN_NONE;
	return status < 0 ? NULL : Py_BuildValue("LL", (long long)first, (long long)last);
}

static PyObject *loop_end(loop_t *loop, PyObject *none)
{
	bool raised;
	int status;

	(void)none;
	if (!loop->loop)
		Py_RETURN_NONE;
	if (!enter(loop->team))
		return NULL;
	LOOP_CALL(status, raised, ems_loop_end(loop->loop));
	if (!raised && status != -EMS_ETIMEOUT && status != -EMS_ECANCELLED && status != -EMS_EINTERRUPTED)
		loop->loop = NULL;
	if (status < 0 && !raised)
		failed(status);
	leave(loop->team);
	if (raised || status < 0)
		return NULL;
	Py_RETURN_NONE;
}

static void loop_free(loop_t *loop)
{
	PyTypeObject *type = TYPE_OF(loop);

	/* A loop that is still there would have to wait for others; it goes with the team. */
	UNREF(loop->team);
	((freefunc)PyType_GetSlot(type, Py_tp_free))(loop);
	UNREF(type);
}

static PyMethodDef loop_methods[] = {
	METHOD("next", loop_next, METH_NOARGS, "next($self)\n--\n\nThe next chunk (first, last), or None."),
	METHOD("end", loop_end, METH_NOARGS, "end($self)\n--\n\nEnd it; before its end, wait for the others there."),
	{0}};

static PyType_Slot loop_slots[] = {
	SLOT(Py_tp_doc, "A loop of a team; see Team.chunks."),
	SLOT(Py_tp_new, no_new),
	SLOT(Py_tp_dealloc, loop_free),
	SLOT(Py_tp_methods, loop_methods),
	{0, NULL}};

static PyType_Spec loop_spec = {
	.name = "ems._native.Loop",
	.basicsize = sizeof(loop_t),
	.flags = Py_TPFLAGS_DEFAULT,
	.slots = loop_slots,
};

int add_loop(PyObject *module)
{
	loop_type = add_type(module, &loop_spec);
	return loop_type ? 0 : -1;
}

/* ---- the type ---- */

static PyMethodDef team_methods[] = {
	METHOD("barrier", team_barrier, FAST,
	       "barrier($self, timeout=None)\n--\n\nWait until all members have called it. BrokenError: one has died."),
	METHOD("single", team_single, FAST,
	       "single($self, timeout=None)\n--\n\nTrue in one member, the first to come. Waits for nobody."),
	METHOD("critical_enter", team_critical_enter, FAST,
	       "critical_enter($self, name, timeout=None)\n--\n\nEnter the critical section of that name; whether the member "
	       "that was inside before died there."),
	METHOD("critical_leave", team_critical_leave, METH_O, "critical_leave($self, name)\n--\n\nLeave it."),
	METHOD("deaths", team_deaths, METH_NOARGS,
	       "deaths($self)\n--\n\nThe members that died, the last one first: dicts with member, pid, and the part [first, last) "
	       "of a loop that it held."),
	METHOD("leave", team_leave, METH_NOARGS, "leave($self)\n--\n\nTake part no longer."),
	METHOD("_loop", team_loop, FAST, "Begin a loop."),
	{0}};

static PyType_Slot team_slots[] = {
	SLOT(Py_tp_doc, "A team, joined by Client.team."),
	SLOT(Py_tp_new, no_new),
	SLOT(Py_tp_dealloc, team_free),
	SLOT(Py_tp_methods, team_methods),
	SLOT(Py_tp_getset, team_properties),
	{0, NULL}};

static PyType_Spec team_spec = {
	.name = "ems._native.Team",
	.basicsize = sizeof(team_t),
	.flags = Py_TPFLAGS_DEFAULT,
	.slots = team_slots,
};

int add_team(PyObject *module)
{
	team_type = add_type(module, &team_spec);
	return team_type ? 0 : -1;
}
