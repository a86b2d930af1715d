/*
 * Teams. The member is a thread of this file's own, one for each team, which does the calls in their order and may wait; each
 * is a promise, and the event loop goes on. What the thread does is a struct task, which goes to it by a list, and comes back
 * through the environment's event loop.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contrib/node/native/addon.h"

static const napi_type_tag team_tag = {0x7a1d6f0e5c334b0b, 0x9b1f3ac07e5d220b};

/* As lib/native.js numbers them. */
enum action { JOIN, BARRIER, SINGLE, ENTER, LEAVE_SECTION, LOOP_BEGIN, LOOP_NEXT, LOOP_END, LEAVE };

struct task {
	struct task *next;
	enum action action;
	napi_deferred deferred;
	struct argument name;	 /* of a section */
	ems_loop_options_t loop; /* deadline: of any action */
	int64_t first, last;
	int64_t id;
	bool cancelled, flag; /* single: mine; enter: the owner died */
	int r;
	char message[256];
};

struct team {
	ems_connection_t *connection; /* with the client as its user, until it is joined */
	struct client *client;
	char *name; /* NULL: the environment says */
	ems_team_options_t options;

	napi_threadsafe_function call; /* NULL: gone */
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	/* under the mutex: */
	struct task *first, **end; /* to be done */
	struct task *current;
	ems_session_t *session; /* of the thread */
	bool stop;
	/* the event loop's: */
	size_t pending;
	int64_t next_id;
	unsigned references; /* the object, the function */
	/* the thread's, read by others when nothing is pending: */
	ems_team_t *team; /* NULL: not joined, or outside of any */
	ems_loop_t *loop;
	bool joined, started;
};

static void task_free(struct task *task)
{
	argument_clear(&task->name);
	free(task);
}

/* ---- in the thread ---- */

static int join_team(struct team *team, const struct task *task)
{
	int r;

	team->options.deadline = task->loop.deadline;
	if (team->name)
		r = ems_team_join(team->connection, team->name, &team->options, &team->team);
	else
		r = ems_team_from_environment(team->connection, task->loop.deadline, &team->team);
	team->joined = r == 0;
	return r;
}

static int do_task(struct team *team, struct task *task)
{
	int r;

	switch (task->action) {
	case JOIN:
		return join_team(team, task);
	case BARRIER:
		return ems_team_barrier_until(team->team, task->loop.deadline);
	case SINGLE:
		return ems_team_single_until(team->team, &task->flag, task->loop.deadline);
	case ENTER:
		return ems_critical_enter_until(team->team, task->name.value.data, &task->flag, task->loop.deadline);
	case LEAVE_SECTION:
		return ems_critical_leave(team->team, task->name.value.data);
	case LOOP_BEGIN:
		return team->loop ? -EMS_EDEADLOCK
				  : ems_loop_begin(team->team, task->first, task->last, &task->loop, &team->loop);
	case LOOP_NEXT:
		return team->loop ? ems_loop_next(team->loop, &task->first, &task->last) : -EMS_EINVALID;
	case LOOP_END:
		r = team->loop ? ems_loop_end(team->loop) : 0;
		team->loop = NULL;
		return r;
	case LEAVE:
		r = ems_team_leave(team->team);
		team->team = NULL;
		team->joined = false;
		return r;
	}
	return -EMS_EINVALID;
}

/* The next one; NULL: it is over. */
static struct task *take(struct team *team)
{
	struct task *task;

	pthread_mutex_lock(&team->mutex);
	team->current = NULL;
	while (!team->first && !team->stop)
		pthread_cond_wait(&team->changed, &team->mutex);
	task = team->stop ? NULL : team->first;
	if (task) {
		team->first = task->next;
		if (!team->first)
			team->end = &team->first;
		team->current = task;
	}
	pthread_mutex_unlock(&team->mutex);
	return task;
}

static void *be_member(void *data)
{
	struct team *team = data;
	struct task *task;

	pthread_mutex_lock(&team->mutex);
	team->session = ems_session_self();
	pthread_mutex_unlock(&team->mutex);
	while ((task = take(team))) {
		bool cancelled;

		pthread_mutex_lock(&team->mutex);
		cancelled = task->cancelled;
		pthread_mutex_unlock(&team->mutex);
		task->r = cancelled ? -EMS_ECANCELLED : do_task(team, task);
		if (task->r < 0)
			snprintf(task->message, sizeof task->message, "%s",
				 cancelled ? ems_error_text(-EMS_ECANCELLED) : ems_last_error()->message);
		pthread_mutex_lock(&team->mutex);
		team->current = NULL;
		pthread_mutex_unlock(&team->mutex);
		if (napi_call_threadsafe_function(team->call, task, napi_tsfn_nonblocking) != napi_ok) {
			task_free(task); /* the environment is being torn down */
			break;
		}
	}
	ems_team_leave(team->team);
	team->team = NULL;
	return NULL;
}

/* ---- the event loop's side ---- */

static napi_value outcome(napi_env env, const struct task *task)
{
	napi_value pair;

	switch (task->action) {
	case SINGLE:
	case ENTER:
		return js_boolean(env, task->flag);
	case LOOP_NEXT:
		if (task->r == -EMS_EEMPTY)
			return js_undefined(env);
		napi_create_array(env, &pair);
		napi_set_element(env, pair, 0, js_int64(env, task->first, false));
		napi_set_element(env, pair, 1, js_int64(env, task->last, false));
		return pair;
	default:
		return js_undefined(env);
	}
}

static void hand_back(napi_env env, napi_value function, void *context, void *data)
{
	struct team *team = context;
	struct task *task = data;
	int r = task->action == LOOP_NEXT && task->r == -EMS_EEMPTY ? 0 : task->r;

	(void)function;
	if (env) {
		settle_promise(env, task->deferred, r, task->message, r == 0 ? outcome(env, task) : NULL);
		if (--team->pending == 0)
			napi_unref_threadsafe_function(env, team->call);
	}
	task_free(task);
}

static void team_unref(struct team *team)
{
	if (--team->references > 0)
		return;
	while (team->first) {
		struct task *task = team->first;

		team->first = task->next;
		task_free(task);
	}
	pthread_mutex_destroy(&team->mutex);
	pthread_cond_destroy(&team->changed);
	client_unuse(team->client);
	free(team->name);
	free(team);
}

/* Is what waits in the thread ended? It may be about to begin waiting, or to end by itself, which is soon. */
static void cancel_current(struct team *team, const struct task *task)
{
	bool is_current = true;

	while (is_current) {
		pthread_mutex_lock(&team->mutex);
		is_current = team->current == task && team->session;
		if (is_current && ems_cancel(team->session) == 0)
			is_current = false;
		pthread_mutex_unlock(&team->mutex);
		if (is_current)
			sched_yield();
	}
}

static void thread_end(struct team *team)
{
	struct task *current;

	if (!team->started)
		return;
	pthread_mutex_lock(&team->mutex);
	team->stop = true;
	current = team->current;
	if (current)
		current->cancelled = true;
	pthread_cond_signal(&team->changed);
	pthread_mutex_unlock(&team->mutex);
	if (current)
		cancel_current(team, current);
	pthread_join(team->thread, NULL);
}

/* The environment ends, or the object is gone. */
static void call_gone(napi_env env, void *data, void *hint)
{
	struct team *team = data;

	(void)env;
	(void)hint;
	thread_end(team);
	team->call = NULL;
	team_unref(team);
}

static void team_finalize(napi_env env, void *data, void *hint)
{
	struct team *team = data;

	(void)env;
	(void)hint;
	if (team->call)
		napi_release_threadsafe_function(team->call, napi_tsfn_abort);
	team_unref(team);
}

/* teamNew(client, name or undefined, {size, member, elastic, mode}): not joined yet */
static napi_value team_new(napi_env env, napi_callback_info info)
{
	napi_value js[3];
	struct client *client;
	struct team *team;
	struct argument name = {.memory = NULL};
	uint64_t size = 0, member = UINT64_MAX, mode = 0;
	bool named;

	arguments_get(env, info, 3, js);
	client = client_get(env, js[0]);
	named = !is_undefined(env, js[1]);
	if (!client || !property_count(env, js[2], "size", &size) || !property_count(env, js[2], "member", &member) ||
	    !property_count(env, js[2], "mode", &mode) || (named && !text_get(env, js[1], &name)))
		return NULL;
	team = calloc(1, sizeof *team);
	if (team && named)
		team->name = strdup(name.value.data);
	argument_clear(&name);
	if (!team || (named && !team->name)) {
		free(team);
		return throw_ems(env, -EMS_ENOMEMORY);
	}
	team->options = (ems_team_options_t){.size = size > UINT32_MAX ? UINT32_MAX : (uint32_t)size,
					     .elastic = property_flag(env, js[2], "elastic"),
					     .has_member = member != UINT64_MAX,
					     .member = (uint32_t)member,
					     .mode = (uint32_t)mode};
	team->client = client;
	team->connection = client->connection;
	client_use(client);
	team->end = &team->first;
	team->references = 1;
	pthread_mutex_init(&team->mutex, NULL);
	pthread_cond_init(&team->changed, NULL);
	if (napi_create_threadsafe_function(env, NULL, NULL, js_text(env, "ems team"), 0, 1, team, call_gone, team, hand_back,
					    &team->call) != napi_ok) {
		team_unref(team);
		return throw_ems(env, -EMS_ENOMEMORY);
	}
	napi_unref_threadsafe_function(env, team->call);
	/* The one reference is now the function's: it goes with call_gone. */
	team->started = pthread_create(&team->thread, NULL, be_member, team) == 0;
	if (!team->started) {
		napi_release_threadsafe_function(team->call, napi_tsfn_abort);
		return throw_ems(env, -EMS_ESYSTEM);
	}
	team->references++;
	return external_new(env, team, &team_tag, team_finalize);
}

static struct team *team_get(napi_env env, napi_value js)
{
	struct team *team = external_get(env, js, &team_tag);

	if (team && !team->call) {
		throw_type(env, "it is closed");
		return NULL;
	}
	return team;
}

static void send(struct team *team, struct task *task)
{
	pthread_mutex_lock(&team->mutex);
	*team->end = task;
	team->end = &task->next;
	pthread_cond_signal(&team->changed);
	pthread_mutex_unlock(&team->mutex);
}

/* teamDo(team, action, milliseconds, name, {first, last, schedule, chunk}): [promise, id for teamCancel] */
static napi_value team_do(napi_env env, napi_callback_info info)
{
	napi_value js[5], pair, promise;
	struct team *team;
	struct task *task;
	int64_t action;
	uint64_t schedule = 0;
	bool ok;

	arguments_get(env, info, 5, js);
	team = team_get(env, js[0]);
	if (!team || !int64_get(env, js[1], &action))
		return NULL;
	task = calloc(1, sizeof *task);
	if (!task)
		return throw_ems(env, -EMS_ENOMEMORY);
	task->action = (enum action)action;
	ok = deadline_get(env, js[2], &task->loop.deadline) &&
	     (is_undefined(env, js[3]) || text_get(env, js[3], &task->name));
	if (ok && task->action == LOOP_BEGIN)
		ok = int64_get(env, property(env, js[4], "first"), &task->first) &&
		     int64_get(env, property(env, js[4], "last"), &task->last) &&
		     property_count(env, js[4], "schedule", &schedule) &&
		     property_count(env, js[4], "chunk", &task->loop.chunk);
	if (!ok) {
		task_free(task);
		return NULL;
	}
	task->loop.schedule = (ems_schedule_t)schedule;
	task->id = team->next_id++;
	napi_create_promise(env, &task->deferred, &promise);
	napi_create_array(env, &pair);
	napi_set_element(env, pair, 0, promise);
	napi_set_element(env, pair, 1, js_number(env, (double)task->id));
	if (team->pending++ == 0)
		napi_ref_threadsafe_function(env, team->call);
	send(team, task);
	return pair;
}

/* teamCancel(team, id): its promise is rejected with EMS_ECANCELLED, unless it has come to its end. */
static napi_value team_cancel(napi_env env, napi_callback_info info)
{
	napi_value js[2];
	struct team *team;
	struct task *task;
	int64_t id;

	arguments_get(env, info, 2, js);
	team = team_get(env, js[0]);
	if (!team || !int64_get(env, js[1], &id))
		return NULL;
	pthread_mutex_lock(&team->mutex);
	task = team->current;
	if (!task || task->id != id)
		for (task = team->first; task && task->id != id; task = task->next)
			;
	if (task)
		task->cancelled = true;
	pthread_mutex_unlock(&team->mutex);
	if (task)
		cancel_current(team, task);
	return NULL;
}

/* teamInfo(team): {member, size, count, deaths: [{member, pid, first, last}, …]}; of one that has joined, with nothing pending */
static napi_value team_info(napi_env env, napi_callback_info info)
{
	napi_value js, deaths, one;
	struct team *team;
	ems_team_death_t death;

	arguments_get(env, info, 1, &js);
	team = team_get(env, js);
	if (!team)
		return NULL;
	if (team->pending > 0 || !team->joined)
		return throw_type(env, team->joined ? "the team is at work" : "the team is not joined");
	napi_create_object(env, &js);
	set_property(env, js, "member", js_number(env, ems_team_member(team->team)));
	set_property(env, js, "size", js_number(env, ems_team_size(team->team)));
	set_property(env, js, "count", js_number(env, ems_team_count(team->team)));
	napi_create_array(env, &deaths);
	for (uint32_t i = 0; team->team && ems_team_broken(team->team, i, &death) == 0; i++) {
		napi_create_object(env, &one);
		set_property(env, one, "member", js_number(env, death.member));
		set_property(env, one, "pid", js_number(env, death.pid));
		set_property(env, one, "first", js_int64(env, death.first, false));
		set_property(env, one, "last", js_int64(env, death.last, false));
		napi_set_element(env, deaths, i, one);
	}
	set_property(env, js, "deaths", deaths);
	return js;
}

void team_init(napi_env env, napi_value exports)
{
	set_function(env, exports, "teamNew", team_new, NULL);
	set_function(env, exports, "teamDo", team_do, NULL);
	set_function(env, exports, "teamCancel", team_cancel, NULL);
	set_function(env, exports, "teamInfo", team_info, NULL);
}
