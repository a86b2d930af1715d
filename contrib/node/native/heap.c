/* The native interface: clients, heaps, ranges, iteration. lib/native.js makes classes of them. */
#include <stdlib.h>

#include "contrib/node/native/addon.h"

static void client_close(struct client *client)
{
	if (client->closed)
		return;
	client->closed = true;
	client_unuse(client);
}

static void client_finalize(napi_env env, void *data, void *hint)
{
	struct client *client = data;

	(void)env;
	(void)hint;
	client_close(client);
	client_unref(client);
}

static void handle_finalize(napi_env env, void *data, void *hint)
{
	(void)env;
	(void)hint;
	handle_unref(data);
}

/* connect(socket or undefined) */
static napi_value do_connect(napi_env env, napi_callback_info info)
{
	napi_value js;
	napi_valuetype type;
	struct argument socket = {.memory = NULL};
	struct client *client;
	int r;

	arguments_get(env, info, 1, &js);
	napi_typeof(env, js, &type);
	if (type != napi_undefined && !text_get(env, js, &socket))
		return NULL;
	client = calloc(1, sizeof *client);
	r = client ? ems_connect(&client->connection, type == napi_undefined ? NULL : socket.value.data) : -EMS_ENOMEMORY;
	argument_clear(&socket);
	if (r < 0) {
		free(client);
		return throw_ems(env, r);
	}
	client->addon = addon_of(env);
	client->references = 1;
	client_use(client);
	return external_new(env, client, &client_tag, client_finalize);
}

/* clientClose(client): it is not used any more by what is open no more. */
static napi_value do_close(napi_env env, napi_callback_info info)
{
	napi_value js;
	struct client *client;

	arguments_get(env, info, 1, &js);
	client = external_get(env, js, &client_tag);
	if (client)
		client_close(client);
	return NULL;
}

static bool options_get(napi_env env, napi_value js, ems_heap_options_t *options, struct argument *fill)
{
	uint64_t mode = 0, idle = 0, checkpoint = 0;

	if (!property_count(env, js, "elements", &options->elements) || !property_count(env, js, "maxElements", &options->max_elements) ||
	    !property_count(env, js, "storage", &options->storage) || !property_count(env, js, "budget", &options->budget) ||
	    !property_count(env, js, "mode", &mode) || !property_count(env, js, "idleSeconds", &idle) ||
	    !property_count(env, js, "checkpointMs", &checkpoint) ||
	    !argument_get(addon_of(env), property(env, js, "fill"), fill))
		return false;
	options->mode = (uint32_t)mode;
	options->idle_seconds = (uint32_t)idle;
	options->checkpoint_ms = (uint32_t)checkpoint;
	options->map = property_flag(env, js, "map");
	options->read_only = property_flag(env, js, "readOnly");
	options->persistent = property_flag(env, js, "persistent");
	options->until_detached = property_flag(env, js, "untilDetached");
	options->initial_tag = property_flag(env, js, "empty") ? EMS_EMPTY : (ems_tag_t)0;
	options->fill = fill->value.type == EMS_UNDEFINED ? NULL : &fill->value;
	return true;
}

static int heap_new(struct client *client, const char *name, ems_open_t how, const ems_heap_options_t *options,
		    struct handle **result)
{
	struct handle *handle = calloc(1, sizeof *handle);
	int r = handle ? ems_heap_open(client->connection, name, how, options, &handle->heap) : -EMS_ENOMEMORY;

	if (r < 0) {
		free(handle);
		return r;
	}
	handle->references = 1;
	handle->client = client;
	handle->addon = client->addon;
	client->references++;
	client_use(client);
	*result = handle;
	return 0;
}

/* heapOpen(client, object, name, how 0..3, options): its operations become the object's; the result is its handle. */
static napi_value heap_open(napi_env env, napi_callback_info info)
{
	napi_value js[5];
	struct client *client;
	struct argument name, fill = {.memory = NULL};
	ems_heap_options_t options = {.elements = 0};
	struct handle *handle;
	int64_t how;
	int r;

	arguments_get(env, info, 5, js);
	client = client_get(env, js[0]);
	if (!client || !int64_get(env, js[3], &how) || !text_get(env, js[2], &name))
		return NULL;
	if (!options_get(env, js[4], &options, &fill)) {
		argument_clear(&name);
		return NULL;
	}
	r = heap_new(client, name.value.data, (ems_open_t)how, &options, &handle);
	argument_clear(&name);
	argument_clear(&fill);
	if (r < 0)
		return throw_ems(env, r);
	operations_define(env, js[1], handle);
	set_property(env, js[1], "name", js_text(env, ems_heap_name(handle->heap)));
	set_property(env, js[1], "map", js_boolean(env, ems_heap_has_map(handle->heap)));
	return external_new(env, handle, &handle_tag, handle_finalize);
}

static napi_value heap_close(napi_env env, napi_callback_info info)
{
	napi_value js;
	struct handle *handle;

	arguments_get(env, info, 1, &js);
	handle = external_get(env, js, &handle_tag);
	if (handle)
		handle_close(handle);
	return NULL;
}

static napi_value heap_drop(napi_env env, napi_callback_info info)
{
	napi_value js[2];
	struct client *client;
	struct argument name;
	int r;

	arguments_get(env, info, 2, js);
	client = client_get(env, js[0]);
	if (!client || !text_get(env, js[1], &name))
		return NULL;
	r = ems_heap_drop(client->connection, name.value.data);
	argument_clear(&name);
	if (r == -EMS_ENOTFOUND)
		return js_boolean(env, false);
	return r < 0 ? throw_ems(env, r) : js_boolean(env, true);
}

static napi_value heap_elements(napi_env env, napi_callback_info info)
{
	napi_value js;
	struct handle *handle;

	arguments_get(env, info, 1, &js);
	handle = handle_get(env, js);
	return handle ? js_number(env, (double)ems_heap_elements(handle->heap)) : NULL;
}

/* heapGrow(handle, elements) */
static napi_value heap_grow(napi_env env, napi_callback_info info)
{
	napi_value js[2];
	struct handle *handle;
	uint64_t elements = 0;
	int r;

	arguments_get(env, info, 2, js);
	handle = handle_get(env, js[0]);
	if (!handle || !count_get(env, js[1], &elements))
		return NULL;
	r = ems_heap_grow(handle->heap, elements);
	return r < 0 ? throw_ems(env, r) : js_undefined(env);
}

/* ---- ranges ---- */

/* range(handle, first, typed array, write): Float64Array or BigInt64Array, as long as it is. */
static napi_value range(napi_env env, napi_callback_info info)
{
	napi_value js[4];
	struct handle *handle;
	int64_t first;
	napi_typedarray_type type;
	size_t count;
	void *data;
	bool is = false, write;
	int r;

	arguments_get(env, info, 4, js);
	handle = handle_get(env, js[0]);
	if (!handle || !int64_get(env, js[1], &first))
		return NULL;
	if (first < 0)
		return throw_ems(env, -EMS_ERANGE);
	napi_is_typedarray(env, js[2], &is);
	if (!is)
		return throw_type(env, "a Float64Array or BigInt64Array is needed");
	napi_get_typedarray_info(env, js[2], &type, &count, &data, NULL, NULL);
	write = boolean_of(env, js[3]);
	if (type == napi_float64_array)
		r = write ? ems_write_range_double(handle->heap, (uint64_t)first, count, data, NULL)
			  : ems_read_range_double(handle->heap, (uint64_t)first, count, data, NULL);
	else if (type == napi_bigint64_array)
		r = write ? ems_write_range_int64(handle->heap, (uint64_t)first, count, data, NULL)
			  : ems_read_range_int64(handle->heap, (uint64_t)first, count, data, NULL);
	else
		return throw_type(env, "a Float64Array or BigInt64Array is needed");
	return r < 0 ? throw_ems(env, r) : js[2];
}

/* ---- iteration ---- */

/* entries(handle): [[key, value], …], each that is there throughout once. */
static napi_value entries(napi_env env, napi_callback_info info)
{
	napi_value js, list, pair;
	struct handle *handle;
	struct addon *addon = addon_of(env);
	ems_iterator_t *iterator;
	ems_key_t key;
	uint32_t count = 0;
	int r;

	arguments_get(env, info, 1, &js);
	handle = handle_get(env, js);
	if (!handle)
		return NULL;
	r = ems_iterate(handle->heap, &iterator);
	if (r < 0)
		return throw_ems(env, r);
	napi_create_array(env, &list);
	while ((r = ems_iterator_next(iterator, &key, &addon->result)) == 0) {
		napi_create_array(env, &pair);
		napi_set_element(env, pair, 0, key_to_js(env, &key));
		js = value_to_js(addon, &addon->result, false);
		if (!js)
			break;
		napi_set_element(env, pair, 1, js);
		napi_set_element(env, list, count++, pair);
	}
	ems_iterator_free(iterator);
	if (r == 0)
		return NULL; /* an exception is pending */
	return r == -EMS_EEMPTY ? list : throw_ems(env, r);
}

void heap_init(napi_env env, napi_value exports)
{
	set_function(env, exports, "connect", do_connect, NULL);
	set_function(env, exports, "heapOpen", heap_open, NULL);
	set_function(env, exports, "heapClose", heap_close, NULL);
	set_function(env, exports, "heapDrop", heap_drop, NULL);
	set_function(env, exports, "clientClose", do_close, NULL);
	set_function(env, exports, "heapGrow", heap_grow, NULL);
	set_function(env, exports, "heapElements", heap_elements, NULL);
	set_function(env, exports, "range", range, NULL);
	set_function(env, exports, "entries", entries, NULL);
}
