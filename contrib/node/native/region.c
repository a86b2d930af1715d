/*
 * Regions as ArrayBuffers over the shared memory itself, without a copy. The buffer keeps the region. JavaScript has no
 * read-only buffers, so one of a region that was opened for reading is a copy, which nobody else sees.
 */
#include <stdlib.h>
#include <string.h>

#include "contrib/node/native/addon.h"

static void region_gone(napi_env env, void *data, void *hint)
{
	(void)env;
	(void)data;
	ems_region_close(hint);
}

static napi_value region_buffer(napi_env env, ems_region_t *region, bool copy)
{
	napi_value js;
	uint64_t size = 0;
	void *bytes = ems_region_bytes(region, &size), *own;
	napi_status status;

	if (copy) {
		status = napi_create_arraybuffer(env, size, &own, &js);
		if (status == napi_ok)
			memcpy(own, bytes, size);
		ems_region_close(region);
	} else {
		status = napi_create_external_arraybuffer(env, bytes, size, region_gone, region, &js);
		if (status != napi_ok)
			ems_region_close(region);
	}
	return status == napi_ok ? js : throw_ems(env, -EMS_EUNSUPPORTED);
}

/* regionOpen(client, name, how, size or undefined, readOnly): an ArrayBuffer */
static napi_value region_open(napi_env env, napi_callback_info info)
{
	napi_value js[5];
	napi_valuetype type;
	struct client *client;
	struct argument name;
	ems_region_options_t options = {.size = 0};
	ems_region_t *region;
	int64_t how, size = 0;
	int r;

	arguments_get(env, info, 5, js);
	client = external_get(env, js[0], &client_tag);
	napi_typeof(env, js[3], &type);
	if (!client || !int64_get(env, js[2], &how) || (type != napi_undefined && !int64_get(env, js[3], &size)))
		return NULL;
	if (size < 0)
		return throw_ems(env, -EMS_ERANGE);
	if (!text_get(env, js[1], &name))
		return NULL;
	options.size = (uint64_t)size;
	options.read_only = boolean_of(env, js[4]);
	r = ems_region_open(client->connection, name.value.data, (ems_open_t)how, &options, &region);
	argument_clear(&name);
	return r < 0 ? throw_ems(env, r) : region_buffer(env, region, options.read_only);
}

void region_init(napi_env env, napi_value exports)
{
	set_function(env, exports, "regionOpen", region_open, NULL);
}
