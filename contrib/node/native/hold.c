/* Transactions and leases of the native interface. They belong to the thread that took them. */
#include <stdlib.h>

#include "contrib/node/native/addon.h"

static const napi_type_tag transaction_tag = {0x7a1d6f0e5c334b06, 0x9b1f3ac07e5d2206};
static const napi_type_tag lease_tag = {0x7a1d6f0e5c334b07, 0x9b1f3ac07e5d2207};

struct transaction {
	ems_transaction_t *transaction; /* NULL: ended */
};
struct lease {
	ems_lease_t lease; /* heap NULL: ended */
	struct handle *handle;
};

/* ---- transactions ---- */

static void transaction_finalize(napi_env env, void *data, void *hint)
{
	struct transaction *held = data;

	(void)env;
	(void)hint;
	if (held->transaction)
		ems_transaction_abort(held->transaction);
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
	handle = external_get(addon->env, js[0], &handle_tag);
	if (!handle || !key_get(addon, js[1], key))
		return false;
	if (!handle->heap) {
		throw_type(addon->env, "it is closed");
		return false;
	}
	*element = (ems_transaction_element_t){handle->heap, key->key, boolean_of(addon->env, js[2])};
	return true;
}

static napi_value transaction_take(napi_env env, const ems_transaction_element_t *elements, size_t count,
				   ems_deadline_t deadline)
{
	struct transaction *held = calloc(1, sizeof *held);
	int r = held ? ems_transaction_begin_until(elements, count, &held->transaction, deadline) : -EMS_ENOMEMORY;

	if (r < 0) {
		free(held);
		return throw_ems(env, r);
	}
	return external_new(env, held, &transaction_tag, transaction_finalize);
}

/* transactionBegin([[handle, key, readOnly], …], milliseconds) */
static napi_value transaction_begin(napi_env env, napi_callback_info info)
{
	struct addon *addon = addon_of(env);
	napi_value js[2], result = NULL;
	uint32_t count = 0, taken = 0;
	ems_transaction_element_t *elements;
	struct key_argument *keys;
	ems_deadline_t deadline;

	arguments_get(env, info, 2, js);
	if (!deadline_get(env, js[1], &deadline))
		return NULL;
	napi_get_array_length(env, js[0], &count);
	elements = calloc(count + 1, sizeof *elements);
	keys = calloc(count + 1, sizeof *keys);
	while (elements && keys && taken < count && element_get(addon, js[0], taken, &elements[taken], &keys[taken]))
		taken++;
	if (!elements || !keys)
		throw_ems(env, -EMS_ENOMEMORY);
	else if (taken == count)
		result = transaction_take(env, elements, count, deadline);
	for (uint32_t i = 0; keys && i < count; i++)
		key_clear(&keys[i]);
	free(elements);
	free(keys);
	return result;
}

static ems_transaction_t *transaction_get(napi_env env, napi_value js)
{
	struct transaction *held = external_get(env, js, &transaction_tag);

	if (held && !held->transaction)
		throw_type(env, "the transaction has ended");
	return held ? held->transaction : NULL;
}

static napi_value transaction_read(napi_env env, napi_callback_info info)
{
	napi_value js[2];
	struct addon *addon = addon_of(env);
	ems_transaction_t *transaction;
	int64_t which;
	int r;

	arguments_get(env, info, 2, js);
	transaction = transaction_get(env, js[0]);
	if (!transaction || !int64_get(env, js[1], &which))
		return NULL;
	r = ems_transaction_read(transaction, (size_t)which, &addon->result);
	return r < 0 ? throw_ems(env, r) : value_to_js(addon, &addon->result, false);
}

static napi_value transaction_write(napi_env env, napi_callback_info info)
{
	napi_value js[3];
	ems_transaction_t *transaction;
	struct argument value;
	int64_t which;
	int r;

	arguments_get(env, info, 3, js);
	transaction = transaction_get(env, js[0]);
	if (!transaction || !int64_get(env, js[1], &which) || !argument_get(addon_of(env), js[2], &value))
		return NULL;
	r = ems_transaction_write(transaction, (size_t)which, &value.value);
	argument_clear(&value);
	return r < 0 ? throw_ems(env, r) : js_undefined(env);
}

/* transactionEnd(transaction, commit) */
static napi_value transaction_end(napi_env env, napi_callback_info info)
{
	napi_value js[2];
	struct transaction *held;
	ems_transaction_t *transaction;
	int r;

	arguments_get(env, info, 2, js);
	held = external_get(env, js[0], &transaction_tag);
	if (!held)
		return NULL;
	transaction = held->transaction;
	held->transaction = NULL;
	if (!transaction)
		return js_boolean(env, false);
	r = boolean_of(env, js[1]) ? ems_transaction_commit(transaction) : ems_transaction_abort(transaction);
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

/* leaseTake(handle, key, milliseconds): of an element; without a key (null), of the queue. [lease, value] */
static napi_value lease_take(napi_env env, napi_callback_info info)
{
	napi_value js[3], pair;
	struct addon *addon = addon_of(env);
	struct handle *handle;
	struct key_argument key = {.text = {.memory = NULL}};
	napi_valuetype type;
	ems_deadline_t deadline;
	struct lease *held;
	int r;

	arguments_get(env, info, 3, js);
	handle = external_get(env, js[0], &handle_tag);
	napi_typeof(env, js[1], &type);
	if (!handle || !deadline_get(env, js[2], &deadline) || (type != napi_null && !key_get(addon, js[1], &key)))
		return NULL;
	if (!handle->heap)
		return throw_type(env, "it is closed");
	held = calloc(1, sizeof *held);
	if (!held)
		r = -EMS_ENOMEMORY;
	else if (type == napi_null)
		r = ems_dequeue_lease_until(handle->heap, &addon->result, &held->lease, deadline);
	else
		r = ems_read_fe_lease_until(handle->heap, key.key, &addon->result, &held->lease, deadline);
	key_clear(&key);
	if (r < 0) {
		free(held);
		return r == -EMS_EEMPTY ? js_undefined(env) : throw_ems(env, r);
	}
	held->handle = handle;
	handle->references++;
	napi_create_array(env, &pair);
	napi_set_element(env, pair, 0, external_new(env, held, &lease_tag, lease_finalize));
	napi_set_element(env, pair, 1, value_to_js(addon, &addon->result, false));
	return pair;
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
	set_function(env, exports, "leaseTake", lease_take, NULL);
	set_function(env, exports, "leaseEnd", lease_end, NULL);
}
