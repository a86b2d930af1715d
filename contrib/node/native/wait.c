/*
 * Promises: operations that wait without blocking the event loop.
 *
 * One thread for each client that has waited polls the connection's descriptor, and has the event loop's thread
 * hand out what has come to its end (ems_wait_next), which then lets it poll on. However many wait, there is one.
 */
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "contrib/node/native/addon.h"

struct waits {
	struct client *client;
	napi_threadsafe_function call; /* NULL: gone, with the thread … */
	napi_threadsafe_function called; /* … which has this one */
	pthread_t thread;
	int descriptor, go, stop; /* the connection's; eventfds */
	size_t pending;
};

struct pending {
	napi_deferred deferred;
	struct handle *handle;
	ems_operation_code_t code;
};

static void *poll_waits(void *data)
{
	struct waits *waits = data;
	struct pollfd both[] = {{.events = POLLIN}, {.fd = waits->stop, .events = POLLIN}};
	bool handing = false;
	uint64_t count;

	for (;;) {
		both[0].fd = handing ? waits->go : waits->descriptor;
		if (poll(both, 2, -1) < 0)
			continue;
		if (both[1].revents)
			return NULL;
		if (handing && read(waits->go, &count, sizeof count) < 0)
			continue;
		if (!handing && napi_call_threadsafe_function(waits->called, NULL, napi_tsfn_nonblocking) != napi_ok)
			return NULL;
		handing = !handing;
	}
}

static void signal_event(int event)
{
	uint64_t one = 1;

	while (write(event, &one, sizeof one) < 0)
		;
}

/* ---- handing out ---- */

static napi_value outcome_to_js(struct addon *addon, struct pending *pending, ems_wait_result_t *result)
{
	switch (pending->code) {
	case EMS_OP_READ_FE_LEASE:
	case EMS_OP_DEQUEUE_LEASE:
		/* Without a heap its handle was closed meanwhile, and so was the lease. */
		return result->lease.heap ? lease_to_js(pending->handle, &result->lease, &result->value)
					  : throw_ems(addon->env, -EMS_ECANCELLED);
	case EMS_OP_ENQUEUE:
	case EMS_OP_PUSH:
		return js_number(addon->env, (double)result->count);
	case EMS_OP_DELETE:
		return js_boolean(addon->env, true);
	default:
		return value_to_js(addon, &result->value, false);
	}
}

static void settle(struct addon *addon, struct pending *pending, ems_wait_result_t *result)
{
	napi_value js = NULL;
	int r = result->result;

	if (pending->code == EMS_OP_DELETE && r == -EMS_ENOKEY) {
		js = js_boolean(addon->env, false);
		r = 0;
	} else if (r == 0) {
		js = outcome_to_js(addon, pending, result);
	}
	settle_promise(addon->env, pending->deferred, r, NULL, js);
}

static void hand_out(napi_env env, napi_value function, void *context, void *data)
{
	struct waits *waits = context;
	struct client *client = waits->client;
	ems_wait_result_t result = {.value = EMS_VALUE_INIT};
	napi_handle_scope scope;

	(void)function;
	(void)data;
	if (!env)
		return; /* the environment is being torn down */
	client_use(client);
	while (ems_wait_next(client->connection, &result) == 0) {
		struct pending *pending = result.user;

		napi_open_handle_scope(env, &scope);
		settle(client->addon, pending, &result);
		napi_close_handle_scope(env, scope);
		ems_value_clear(&result.value);
		handle_unref(pending->handle);
		client_unuse(client);
		free(pending);
		if (--waits->pending == 0)
			napi_unref_threadsafe_function(env, waits->call);
	}
	signal_event(waits->go);
	client_unuse(client);
}

/* ---- the thread ---- */

static void thread_end(struct waits *waits)
{
	if (!waits->call)
		return;
	waits->call = NULL;
	signal_event(waits->stop);
	pthread_join(waits->thread, NULL);
	close(waits->go);
	close(waits->stop);
}

/* The environment ends, or waits_free has let the function go. */
static void call_gone(napi_env env, void *data, void *hint)
{
	struct waits *waits = data;

	(void)env;
	(void)hint;
	thread_end(waits);
	if (waits->client)
		waits->client->waits = NULL;
	free(waits);
}

void waits_free(struct waits *waits)
{
	napi_threadsafe_function call = waits ? waits->call : NULL;

	if (!waits)
		return;
	waits->client = NULL;
	thread_end(waits);
	if (call)
		napi_release_threadsafe_function(call, napi_tsfn_abort);
}

static int thread_begin(napi_env env, struct waits *waits)
{
	napi_threadsafe_function call;

	waits->descriptor = ems_wait_fd(waits->client->connection);
	if (waits->descriptor < 0)
		return waits->descriptor;
	waits->go = eventfd(0, EFD_CLOEXEC);
	waits->stop = eventfd(0, EFD_CLOEXEC);
	if (waits->go < 0 || waits->stop < 0)
		return -EMS_ESYSTEM;
	if (napi_create_threadsafe_function(env, NULL, NULL, js_text(env, "ems"), 0, 1, waits, call_gone, waits, hand_out,
					    &call) != napi_ok)
		return -EMS_ENOMEMORY;
	waits->call = waits->called = call;
	napi_unref_threadsafe_function(env, call);
	if (pthread_create(&waits->thread, NULL, poll_waits, waits) != 0)
		return -EMS_ESYSTEM;
	return 0;
}

static int waits_of(napi_env env, struct client *client, struct waits **result)
{
	int r;

	if (!client->waits) {
		struct waits *waits = calloc(1, sizeof *waits);

		if (!waits)
			return -EMS_ENOMEMORY;
		waits->client = client;
		waits->go = waits->stop = -1;
		r = thread_begin(env, waits);
		if (r < 0) {
			free(waits);
			return r;
		}
		client->waits = waits;
	}
	*result = client->waits;
	return 0;
}

/* ---- beginning ---- */

static int begin(napi_env env, struct handle *handle, const ems_operation_t *operation, ems_deadline_t deadline,
		 napi_value *promise, ems_wait_t *wait)
{
	struct waits *waits;
	struct pending *pending;
	int r = waits_of(env, handle->client, &waits);

	if (r < 0)
		return r;
	pending = calloc(1, sizeof *pending);
	if (!pending)
		return -EMS_ENOMEMORY;
	pending->handle = handle;
	pending->code = operation->code;
	r = ems_wait_begin(handle->heap, operation, deadline, pending, wait);
	if (r < 0) {
		free(pending);
		return r;
	}
	napi_create_promise(env, &pending->deferred, promise);
	handle->references++;
	client_use(handle->client);
	if (waits->pending++ == 0)
		napi_ref_threadsafe_function(env, waits->call);
	return 0;
}

static bool needs_key(int64_t code)
{
	return (code < EMS_OP_ENQUEUE || code > EMS_OP_POP) && code != EMS_OP_DEQUEUE_LEASE;
}

/* waitBegin(handle, code, key, value, expected, milliseconds, full): [promise, id for waitCancel] */
static napi_value wait_begin(napi_env env, napi_callback_info info)
{
	struct addon *addon = addon_of(env);
	napi_value js[7], promise, id, result = NULL;
	struct handle *handle;
	struct key_argument key = {.text = {.memory = NULL}};
	struct argument value = {.memory = NULL}, expected = {.memory = NULL};
	ems_operation_t operation = {.value = &value.value, .expected = &expected.value};
	ems_deadline_t deadline;
	ems_wait_t wait;
	int64_t code;
	int r;

	arguments_get(env, info, 7, js);
	handle = handle_get(env, js[0]);
	if (!handle || !int64_get(env, js[1], &code) || !deadline_get(env, js[5], &deadline))
		return NULL;
	operation.code = (ems_operation_code_t)code;
	operation.tag = boolean_of(env, js[6]) ? EMS_FULL : EMS_EMPTY;
	if ((!needs_key(code) || key_get(addon, js[2], &key)) && argument_get(addon, js[3], &value) &&
	    argument_get(addon, js[4], &expected)) {
		operation.key = key.key;
		r = begin(env, handle, &operation, deadline, &promise, &wait);
		if (r < 0) {
			throw_ems(env, r);
		} else {
			napi_create_array(env, &result);
			napi_create_bigint_uint64(env, wait, &id);
			napi_set_element(env, result, 0, promise);
			napi_set_element(env, result, 1, id);
		}
	}
	key_clear(&key);
	argument_clear(&value);
	argument_clear(&expected);
	return result;
}

/* waitCancel(handle, id): the promise is rejected with EMS_ECANCELLED, unless it has its result already. */
static napi_value wait_cancel(napi_env env, napi_callback_info info)
{
	napi_value js[2];
	struct handle *handle;
	uint64_t wait = 0;
	bool lossless;

	arguments_get(env, info, 2, js);
	handle = external_get(env, js[0], &handle_tag);
	if (!handle)
		return NULL;
	napi_get_value_bigint_uint64(env, js[1], &wait, &lossless);
	if (handle->client->connection)
		ems_wait_cancel(handle->client->connection, wait);
	return NULL;
}

void wait_init(napi_env env, napi_value exports)
{
	set_function(env, exports, "waitBegin", wait_begin, NULL);
	set_function(env, exports, "waitCancel", wait_cancel, NULL);
}
