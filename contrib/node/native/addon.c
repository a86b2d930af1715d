/* The environment's state, errors, and small things: see addon.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contrib/node/native/addon.h"

struct addon *addon_of(napi_env env)
{
	void *data = NULL;

	napi_get_instance_data(env, &data);
	return data;
}

/* ---- errors ---- */

napi_value error_of(napi_env env, int code, const char *message)
{
	napi_value error, text = js_text(env, message ? message : ems_error_text(code));
	napi_value name = js_text(env, ems_error_name(code));

	code = code < 0 ? -code : code;
	if (code == EMS_ERANGE)
		napi_create_range_error(env, name, text, &error);
	else if (code == EMS_ETYPE || code == EMS_EINVALID)
		napi_create_type_error(env, name, text, &error);
	else
		napi_create_error(env, name, text, &error);
	return error;
}

napi_value throw_ems(napi_env env, int code)
{
	const ems_error_t *last = ems_last_error();
	bool same = last->code == (code < 0 ? -code : code);

	napi_throw(env, error_of(env, code, same ? last->message : NULL));
	return NULL;
}

void settle_promise(napi_env env, napi_deferred deferred, int r, const char *message, napi_value js)
{
	if (r == 0 && js) {
		napi_resolve_deferred(env, deferred, js);
		return;
	}
	if (r == 0)
		napi_get_and_clear_last_exception(env, &js);
	else
		js = error_of(env, r, message);
	napi_reject_deferred(env, deferred, js);
}

napi_value throw_type(napi_env env, const char *message)
{
	napi_throw_type_error(env, "EMS_EINVALID", message);
	return NULL;
}

/* ---- small things ---- */

void *arguments_get(napi_env env, napi_callback_info info, size_t most, napi_value *arguments)
{
	void *data;
	size_t count = most;

	napi_get_cb_info(env, info, &count, arguments, NULL, &data);
	return data;
}

napi_value js_undefined(napi_env env)
{
	napi_value js;

	napi_get_undefined(env, &js);
	return js;
}

napi_value js_boolean(napi_env env, bool value)
{
	napi_value js;

	napi_get_boolean(env, value, &js);
	return js;
}

napi_value js_number(napi_env env, double value)
{
	napi_value js;

	napi_create_double(env, value, &js);
	return js;
}

napi_value js_text(napi_env env, const char *text)
{
	napi_value js;

	napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &js);
	return js;
}

napi_value property(napi_env env, napi_value object, const char *name)
{
	napi_value js;

	if (napi_get_named_property(env, object, name, &js) != napi_ok)
		return js_undefined(env);
	return js;
}

void set_property(napi_env env, napi_value object, const char *name, napi_value value)
{
	napi_set_named_property(env, object, name, value);
}

bool boolean_of(napi_env env, napi_value js)
{
	bool value = false;

	if (napi_coerce_to_bool(env, js, &js) == napi_ok)
		napi_get_value_bool(env, js, &value);
	return value;
}

bool number_get(napi_env env, napi_value js, double *value)
{
	if (napi_get_value_double(env, js, value) == napi_ok)
		return true;
	throw_type(env, "a number is needed");
	return false;
}

bool is_undefined(napi_env env, napi_value js)
{
	napi_valuetype type = napi_undefined;

	napi_typeof(env, js, &type);
	return type == napi_undefined;
}

bool count_get(napi_env env, napi_value js, uint64_t *count)
{
	int64_t number;

	if (is_undefined(env, js))
		return true;
	if (!int64_get(env, js, &number))
		return false;
	if (number < 0) {
		throw_ems(env, -EMS_ERANGE);
		return false;
	}
	*count = (uint64_t)number;
	return true;
}

bool property_count(napi_env env, napi_value object, const char *name, uint64_t *count)
{
	return count_get(env, property(env, object, name), count);
}

bool property_flag(napi_env env, napi_value object, const char *name)
{
	return boolean_of(env, property(env, object, name));
}

void *external_get(napi_env env, napi_value js, const napi_type_tag *tag)
{
	void *data = NULL;
	bool matches = false;

	if (napi_check_object_type_tag(env, js, tag, &matches) == napi_ok && matches)
		napi_get_value_external(env, js, &data);
	if (!data)
		throw_type(env, "that is not what it has to be, or is closed");
	return data;
}

napi_value external_new(napi_env env, void *data, const napi_type_tag *tag, napi_finalize finalize)
{
	napi_value js;

	if (napi_create_external(env, data, finalize, NULL, &js) != napi_ok)
		return NULL;
	napi_type_tag_object(env, js, tag);
	return js;
}

void set_function(napi_env env, napi_value object, const char *name, napi_callback function, void *data)
{
	napi_value js;

	if (napi_create_function(env, name, NAPI_AUTO_LENGTH, function, data, &js) == napi_ok)
		napi_set_named_property(env, object, name, js);
}

/* ---- handles ---- */

const napi_type_tag handle_tag = {0x7a1d6f0e5c334b04, 0x9b1f3ac07e5d2204};
const napi_type_tag client_tag = {0x7a1d6f0e5c334b05, 0x9b1f3ac07e5d2205};

void client_use(struct client *client)
{
	client->users++;
	client->references++;
}

static void client_end(struct client *client)
{
	waits_free(client->waits);
	client->waits = NULL;
	ems_disconnect(client->connection);
	client->connection = NULL;
}

void client_unuse(struct client *client)
{
	if (--client->users == 0)
		client_end(client);
	client_unref(client);
}

void client_unref(struct client *client)
{
	if (--client->references == 0)
		free(client);
}

void handle_close(struct handle *handle)
{
	ems_heap_t *heap = handle->heap;

	if (!heap)
		return;
	handle->heap = NULL;
	if (handle->jobs > 0)
		handle->closing = heap;
	else
		ems_heap_close(heap);
	client_unuse(handle->client);
}

void handle_unref(struct handle *handle)
{
	if (--handle->references > 0)
		return;
	if (handle->array)
		ems_compat_array_destroy(handle->array, false);
	else
		handle_close(handle);
	if (handle->client)
		client_unref(handle->client);
	free(handle);
}

struct client *client_get(napi_env env, napi_value js)
{
	struct client *client = external_get(env, js, &client_tag);

	if (client && client->closed) {
		throw_type(env, "the client is closed");
		return NULL;
	}
	return client;
}

struct handle *handle_get(napi_env env, napi_value js)
{
	struct handle *handle = external_get(env, js, &handle_tag);

	if (handle && !handle->heap) {
		throw_type(env, "it is closed");
		return NULL;
	}
	return handle;
}

static void operation_gone(napi_env env, void *data, void *hint)
{
	(void)env;
	(void)hint;
	handle_unref(data);
}

void set_operation(napi_env env, napi_value object, const char *name, napi_callback function, struct handle *handle)
{
	napi_value js;

	if (napi_create_function(env, name, NAPI_AUTO_LENGTH, function, handle, &js) != napi_ok)
		return;
	if (napi_add_finalizer(env, js, handle, operation_gone, NULL, NULL) != napi_ok)
		return;
	handle->references++;
	napi_set_named_property(env, object, name, js);
}

/* ---- the module ---- */

static void addon_free(napi_env env, void *data, void *hint)
{
	struct addon *addon = data;

	(void)env;
	(void)hint;
	ems_value_clear(&addon->result);
	free(addon);
}

static void keep_json(struct addon *addon)
{
	napi_value global, json;

	napi_get_global(addon->env, &global);
	json = property(addon->env, global, "JSON");
	napi_create_reference(addon->env, property(addon->env, json, "stringify"), 1, &addon->stringify);
	napi_create_reference(addon->env, property(addon->env, json, "parse"), 1, &addon->parse);
}

static napi_value init(napi_env env, napi_value exports)
{
	struct addon *addon = calloc(1, sizeof *addon);

	if (!addon)
		return throw_ems(env, -EMS_ENOMEMORY);
	addon->env = env;
	napi_set_instance_data(env, addon, addon_free, NULL);
	keep_json(addon);
	set_property(env, exports, "version", js_text(env, ems_version()));
	operations_init(env, exports);
	heap_init(env, exports);
	compat_init(env, exports);
	wait_init(env, exports);
	hold_init(env, exports);
	region_init(env, exports);
	sets_init(env, exports);
	async_init(env, exports);
	team_init(env, exports);
	return exports;
}

NAPI_MODULE_INIT()
{
	return init(env, exports);
}
