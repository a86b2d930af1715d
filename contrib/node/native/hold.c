/* Transactions and leases of the native interface. They belong to the thread that took them. */
#include <stdlib.h>

#include "contrib/node/native/addon.h"

static const napi_type_tag transaction_tag = {0x7a1d6f0e5c334b06, 0x9b1f3ac07e5d2206};
static const napi_type_tag lease_tag = {0x7a1d6f0e5c334b07, 0x9b1f3ac07e5d2207};

struct transaction {
	ems_transaction_t *transaction; /* NULL: ended */
	ems_session_t *session; /* of its own; NULL: the thread's */
};
struct lease {
	ems_lease_t lease; /* heap NULL: ended */
	struct handle *handle;
};

/* ---- transactions ---- */

/* Between these two, calls are made in the transaction's session. */
static ems_session_t *enter(const struct transaction *held)
{
	ems_session_t *former = NULL;

	if (held->session)
		(void)ems_session_use(held->session, &former);
	return former;
}

static void leave(const struct transaction *held, ems_session_t *former)
{
	if (held->session)
		(void)ems_session_use(former, NULL);
}

/* The transaction has ended, or never began. */
static void session_end(struct transaction *held)
{
	if (held->session)
		(void)ems_session_close(held->session);
	held->session = NULL;
}

static int transaction_finish(struct transaction *held, bool commit)
{
	ems_transaction_t *transaction = held->transaction;
	ems_session_t *former = enter(held);
	int r = commit ? ems_transaction_commit(transaction) : ems_transaction_abort(transaction);

	leave(held, former);
	held->transaction = NULL;
	session_end(held);
	return r;
}

static void transaction_finalize(napi_env env, void *data, void *hint)
{
	struct transaction *held = data;

	(void)env;
	(void)hint;
	if (held->transaction)
		(void)transaction_finish(held, false);
	free(held);
}

static bool element_get(struct addon *addon, napi_value list, uint32_t which, ems_transaction_element_t *element,
			struct key_argument *key)
{
	napi_value entry, js[3];
	struct handle *handle;

	napi_get_element(addon->env, list, which, &entry);
	for (uint32_t i = 0; i < 3; i++)
		napi_get_element(addon->env, entry, i, &js[i]);
	handle = handle_get(addon->env, js[0]);
	if (!handle || !key_get(addon, js[1], key))
		return false;
	*element = (ems_transaction_element_t){handle->heap, key->key, boolean_of(addon->env, js[2])};
	return true;
}

static int transaction_try(struct transaction *held, const ems_transaction_element_t *elements, size_t count,
			   ems_deadline_t deadline, bool session)
{
	ems_session_t *former;
	int r = session ? ems_session_open(&held->session) : 0;

	if (r < 0)
		return r;
	former = enter(held);
	r = ems_transaction_begin_until(elements, count, &held->transaction, deadline);
	leave(held, former);
	if (r < 0)
		session_end(held);
	return r;
}

static napi_value transaction_take(napi_env env, const ems_transaction_element_t *elements, size_t count,
				   ems_deadline_t deadline, bool session)
{
	struct transaction *held = calloc(1, sizeof *held);
	int r = held ? transaction_try(held, elements, count, deadline, session) : -EMS_ENOMEMORY;

	if (r < 0) {
		free(held);
		return throw_ems(env, r);
	}
	return external_new(env, held, &transaction_tag, transaction_finalize);
}

/* [[handle, key, readOnly], …] */
struct elements {
	ems_transaction_element_t *list;
	struct key_argument *keys;
	uint32_t count;
};

static void elements_clear(struct elements *elements)
{
	for (uint32_t i = 0; elements->keys && i < elements->count; i++)
		key_clear(&elements->keys[i]);
	free(elements->list);
	free(elements->keys);
}

static bool elements_get(struct addon *addon, napi_value js, struct elements *elements)
{
	uint32_t taken = 0;

	elements->count = 0;
	napi_get_array_length(addon->env, js, &elements->count);
	elements->list = calloc(elements->count + 1, sizeof *elements->list);
	elements->keys = calloc(elements->count + 1, sizeof *elements->keys);
	if (!elements->list || !elements->keys)
		throw_ems(addon->env, -EMS_ENOMEMORY);
	else
		while (taken < elements->count &&
		       element_get(addon, js, taken, &elements->list[taken], &elements->keys[taken]))
			taken++;
	if (elements->keys && taken == elements->count)
		return true;
	elements_clear(elements);
	return false;
}

/* transactionBegin([[handle, key, readOnly], …], milliseconds, session): in one of its own, besides others of this thread? */
static napi_value transaction_begin(napi_env env, napi_callback_info info)
{
	napi_value js[3], result;
	struct elements elements;
	ems_deadline_t deadline;

	arguments_get(env, info, 3, js);
	if (!deadline_get(env, js[1], &deadline) || !elements_get(addon_of(env), js[0], &elements))
		return NULL;
	result = transaction_take(env, elements.list, elements.count, deadline, boolean_of(env, js[2]));
	elements_clear(&elements);
	return result;
}

static napi_value values_to_js(struct addon *addon, ems_value_t *values, uint32_t count)
{
	napi_value list, js;

	napi_create_array(addon->env, &list);
	for (uint32_t i = 0; i < count; i++) {
		js = value_to_js(addon, &values[i], false);
		if (!js)
			return NULL;
		napi_set_element(addon->env, list, i, js);
	}
	return list;
}

/* snapshot([[handle, key], …], milliseconds): their values at one moment */
static napi_value snapshot(napi_env env, napi_callback_info info)
{
	struct addon *addon = addon_of(env);
	napi_value js[2], result = NULL;
	struct elements elements;
	ems_deadline_t deadline;
	ems_value_t *values;
	int r = -EMS_ENOMEMORY;

	arguments_get(env, info, 2, js);
	if (!deadline_get(env, js[1], &deadline) || !elements_get(addon, js[0], &elements))
		return NULL;
	values = calloc(elements.count + 1, sizeof *values);
	for (uint32_t i = 0; values && i < elements.count; i++)
		values[i] = (ems_value_t)EMS_VALUE_INIT;
	if (values)
		r = ems_snapshot_until(elements.list, elements.count, values, deadline);
	result = r < 0 ? throw_ems(env, r) : values_to_js(addon, values, elements.count);
	for (uint32_t i = 0; values && i < elements.count; i++)
		ems_value_clear(&values[i]);
	free(values);
	elements_clear(&elements);
	return result;
}

static struct transaction *transaction_get(napi_env env, napi_value js)
{
	struct transaction *held = external_get(env, js, &transaction_tag);

	if (held && !held->transaction) {
		throw_type(env, "the transaction has ended");
		return NULL;
	}
	return held;
}

static napi_value transaction_read(napi_env env, napi_callback_info info)
{
	napi_value js[2];
	struct addon *addon = addon_of(env);
	struct transaction *held;
	ems_session_t *former;
	int64_t which;
	int r;

	arguments_get(env, info, 2, js);
	held = transaction_get(env, js[0]);
	if (!held || !int64_get(env, js[1], &which))
		return NULL;
	former = enter(held);
	r = ems_transaction_read(held->transaction, (size_t)which, &addon->result);
	leave(held, former);
	return r < 0 ? throw_ems(env, r) : value_to_js(addon, &addon->result, false);
}

static napi_value transaction_write(napi_env env, napi_callback_info info)
{
	napi_value js[3];
	struct transaction *held;
	struct argument value;
	ems_session_t *former;
	int64_t which;
	int r;

	arguments_get(env, info, 3, js);
	held = transaction_get(env, js[0]);
	if (!held || !int64_get(env, js[1], &which) || !argument_get(addon_of(env), js[2], &value))
		return NULL;
	former = enter(held);
	r = ems_transaction_write(held->transaction, (size_t)which, &value.value);
	leave(held, former);
	argument_clear(&value);
	return r < 0 ? throw_ems(env, r) : js_undefined(env);
}

/* transactionEnd(transaction, commit) */
static napi_value transaction_end(napi_env env, napi_callback_info info)
{
	napi_value js[2];
	struct transaction *held;
	int r;

	arguments_get(env, info, 2, js);
	held = external_get(env, js[0], &transaction_tag);
	if (!held)
		return NULL;
	if (!held->transaction)
		return js_boolean(env, false);
	r = transaction_finish(held, boolean_of(env, js[1]));
	return r < 0 ? throw_ems(env, r) : js_boolean(env, true);
}

/* ---- leases ---- */

static void lease_finalize(napi_env env, void *data, void *hint)
{
	struct lease *held = data;

	(void)env;
	(void)hint;
	if (held->lease.heap && held->handle->heap)
		ems_lease_end(&held->lease);
	handle_unref(held->handle);
	free(held);
}

/* [lease, value]; NULL: an exception is pending, and the lease is as if it had not been taken. */
napi_value lease_to_js(struct handle *handle, const ems_lease_t *lease, const ems_value_t *value)
{
	struct addon *addon = handle->addon;
	napi_env env = addon->env;
	napi_value pair, held_js, value_js = value_to_js(addon, value, false);
	struct lease *held = value_js ? calloc(1, sizeof *held) : NULL;

	if (!held) {
		ems_lease_t undone = *lease;

		(void)ems_lease_end(&undone);
		return value_js ? throw_ems(env, -EMS_ENOMEMORY) : NULL;
	}
	held->lease = *lease;
	held->handle = handle;
	handle->references++;
	held_js = external_new(env, held, &lease_tag, lease_finalize);
	napi_create_array(env, &pair);
	napi_set_element(env, pair, 0, held_js);
	napi_set_element(env, pair, 1, value_js);
	return pair;
}

/* leaseTake(handle, key, milliseconds): of an element; without a key (null), of the queue. [lease, value] */
static napi_value lease_take(napi_env env, napi_callback_info info)
{
	napi_value js[3];
	struct addon *addon = addon_of(env);
	struct handle *handle;
	struct key_argument key = {.text = {.memory = NULL}};
	napi_valuetype type;
	ems_deadline_t deadline;
	ems_lease_t lease;
	int r;

	arguments_get(env, info, 3, js);
	handle = handle_get(env, js[0]);
	napi_typeof(env, js[1], &type);
	if (!handle || !deadline_get(env, js[2], &deadline))
		return NULL;
	if (type == napi_null)
		r = ems_dequeue_lease_until(handle->heap, &addon->result, &lease, deadline);
	else if (key_get(addon, js[1], &key))
		r = ems_read_fe_lease_until(handle->heap, key.key, &addon->result, &lease, deadline);
	else
		return NULL;
	key_clear(&key);
	if (r < 0)
		return r == -EMS_EEMPTY ? js_undefined(env) : throw_ems(env, r);
	return lease_to_js(handle, &lease, &addon->result);
}

/* leaseEnd(lease, how, value): 0 as it was, 1 gone, 2 with a new value. false: it was ended before. */
static napi_value lease_end(napi_env env, napi_callback_info info)
{
	napi_value js[3];
	struct lease *held;
	struct argument value;
	int64_t how;
	int r;

	arguments_get(env, info, 3, js);
	held = external_get(env, js[0], &lease_tag);
	if (!held || !int64_get(env, js[1], &how) || !argument_get(addon_of(env), js[2], &value))
		return NULL;
	if (!held->lease.heap || !held->handle->heap) {
		argument_clear(&value);
		return js_boolean(env, false);
	}
	if (how == 2)
		r = ems_lease_put(&held->lease, &value.value);
	else
		r = how == 1 ? ems_lease_keep(&held->lease) : ems_lease_end(&held->lease);
	argument_clear(&value);
	if (r == 0)
		held->lease.heap = NULL;
	return r < 0 ? throw_ems(env, r) : js_boolean(env, true);
}

void hold_init(napi_env env, napi_value exports)
{
	set_function(env, exports, "transactionBegin", transaction_begin, NULL);
	set_function(env, exports, "transactionRead", transaction_read, NULL);
	set_function(env, exports, "transactionWrite", transaction_write, NULL);
	set_function(env, exports, "transactionEnd", transaction_end, NULL);
	set_function(env, exports, "snapshot", snapshot, NULL);
	set_function(env, exports, "leaseTake", lease_take, NULL);
	set_function(env, exports, "leaseEnd", lease_end, NULL);
}
