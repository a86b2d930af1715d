/*
 * Regions as ArrayBuffers over the shared memory itself, without a copy. The buffer keeps the region. JavaScript has no
 * read-only buffers, so one of a region that was opened for reading is a copy, which nobody else sees.
 */
#include <stdlib.h>
#include <string.h>

#include "contrib/node/native/addon.h"

static const napi_type_tag region_tag = {0x7a1d6f0e5c334b08, 0x9b1f3ac07e5d2208};

void region_unref(struct region *region)
{
	if (--region->references > 0)
		return;
	ems_region_close(region->region);
	client_unuse(region->client);
	free(region);
}

struct region *region_get(napi_env env, napi_value js)
{
	struct region *region = external_get(env, js, &region_tag);

	if (region && region->closed) {
		throw_type(env, "it is closed");
		return NULL;
	}
	return region;
}

static void region_close(struct region *region)
{
	if (region->closed)
		return;
	region->closed = true;
	region_unref(region);
}

static void region_finalize(napi_env env, void *data, void *hint)
{
	struct region *region = data;

	(void)env;
	(void)hint;
	if (!region->closed)
		region->references--; /* the other one */
	region->closed = true;
	region_unref(region);
}

/* Of the JavaScript object: one reference until it is gone, and one until it is closed. */
static napi_value region_new(napi_env env, struct client *client, ems_region_t *opened, bool read_only)
{
	struct region *region = calloc(1, sizeof *region);

	if (!region) {
		ems_region_close(opened);
		return throw_ems(env, -EMS_ENOMEMORY);
	}
	region->region = opened;
	region->client = client;
	region->read_only = read_only;
	region->references = 2;
	client_use(client);
	return external_new(env, region, &region_tag, region_finalize);
}

static bool region_options(napi_env env, napi_value js, ems_region_options_t *options)
{
	uint64_t lock = 0, mode = 0, idle = 0;

	if (!property_count(env, js, "size", &options->size) || !property_count(env, js, "maxSize", &options->max_size) ||
	    !property_count(env, js, "budget", &options->budget) || !property_count(env, js, "lock", &lock) ||
	    !property_count(env, js, "mode", &mode) || !property_count(env, js, "idleSeconds", &idle))
		return false;
	options->lock = (uint32_t)lock;
	options->mode = (uint32_t)mode;
	options->idle_seconds = (uint32_t)idle;
	options->read_only = property_flag(env, js, "readOnly");
	options->populate = property_flag(env, js, "populate");
	options->interleave = property_flag(env, js, "interleave");
	options->persistent = property_flag(env, js, "persistent");
	options->until_detached = property_flag(env, js, "untilDetached");
	return true;
}

/* regionOpen(client, name, how, options) */
static napi_value region_open(napi_env env, napi_callback_info info)
{
	napi_value js[4];
	struct client *client;
	struct argument name;
	ems_region_options_t options = {.size = 0};
	ems_region_t *region;
	int64_t how;
	int r;

	arguments_get(env, info, 4, js);
	client = client_get(env, js[0]);
	if (!client || !int64_get(env, js[2], &how) || !region_options(env, js[3], &options) || !text_get(env, js[1], &name))
		return NULL;
	r = ems_region_open(client->connection, name.value.data, (ems_open_t)how, &options, &region);
	argument_clear(&name);
	return r < 0 ? throw_ems(env, r) : region_new(env, client, region, options.read_only);
}

/* regionFile(client, descriptor, options) */
static napi_value region_file(napi_env env, napi_callback_info info)
{
	napi_value js[3];
	struct client *client;
	ems_region_options_t options = {.size = 0};
	ems_region_t *region;
	int64_t fd;
	int r;

	arguments_get(env, info, 3, js);
	client = client_get(env, js[0]);
	if (!client || !int64_get(env, js[1], &fd) || !region_options(env, js[2], &options))
		return NULL;
	r = ems_region_file(client->connection, (int)fd, &options, &region);
	return r < 0 ? throw_ems(env, r) : region_new(env, client, region, options.read_only);
}

static void buffer_gone(napi_env env, void *data, void *hint)
{
	(void)env;
	(void)data;
	region_unref(hint);
}

/* regionBuffer(region): an ArrayBuffer of what there is now */
static napi_value region_buffer(napi_env env, napi_callback_info info)
{
	napi_value js;
	struct region *region;
	uint64_t size = 0;
	void *bytes, *own;
	napi_status status;

	arguments_get(env, info, 1, &js);
	region = region_get(env, js);
	if (!region)
		return NULL;
	bytes = ems_region_bytes(region->region, &size);
	if (!bytes)
		return throw_ems(env, -EMS_EFORKED);
	if (region->read_only) {
		status = napi_create_arraybuffer(env, size, &own, &js);
		if (status == napi_ok)
			memcpy(own, bytes, size);
	} else {
		status = napi_create_external_arraybuffer(env, bytes, size, buffer_gone, region, &js);
		if (status == napi_ok)
			region->references++;
	}
	return status == napi_ok ? js : throw_ems(env, -EMS_EUNSUPPORTED);
}

/* regionGrow(region, size) */
static napi_value region_grow(napi_env env, napi_callback_info info)
{
	napi_value js[2];
	struct region *region;
	uint64_t size = 0;
	int r;

	arguments_get(env, info, 2, js);
	region = region_get(env, js[0]);
	if (!region || !count_get(env, js[1], &size))
		return NULL;
	r = ems_region_grow(region->region, size);
	return r < 0 ? throw_ems(env, r) : js_undefined(env);
}

static napi_value grant_to_js(napi_env env, const ems_grant_t *grant)
{
	napi_value js;

	napi_create_object(env, &js);
	set_property(env, js, "asked", js_number(env, (double)grant->asked));
	set_property(env, js, "granted", js_number(env, (double)grant->granted));
	set_property(env, js, "why", js_text(env, grant->why));
	return js;
}

/* regionInfo(region) */
static napi_value region_info(napi_env env, napi_callback_info info)
{
	napi_value js;
	struct region *region;
	ems_region_info_t told;
	int r;

	arguments_get(env, info, 1, &js);
	region = region_get(env, js);
	if (!region)
		return NULL;
	r = ems_region_info(region->region, &told);
	if (r < 0)
		return throw_ems(env, r);
	napi_create_object(env, &js);
	set_property(env, js, "name", js_text(env, told.name));
	set_property(env, js, "size", js_number(env, (double)told.size));
	set_property(env, js, "maxSize", js_number(env, (double)told.max_size));
	set_property(env, js, "readOnly", js_boolean(env, told.read_only));
	set_property(env, js, "file", js_boolean(env, told.file));
	set_property(env, js, "dropped", js_boolean(env, told.dropped));
	set_property(env, js, "pages", grant_to_js(env, &told.pages));
	set_property(env, js, "populated", grant_to_js(env, &told.populated));
	set_property(env, js, "locked", grant_to_js(env, &told.locked));
	set_property(env, js, "interleaved", grant_to_js(env, &told.interleaved));
	return js;
}

/* regionClose(region) */
static napi_value do_close(napi_env env, napi_callback_info info)
{
	napi_value js;
	struct region *region;

	arguments_get(env, info, 1, &js);
	region = external_get(env, js, &region_tag);
	if (region)
		region_close(region);
	return NULL;
}

void region_init(napi_env env, napi_value exports)
{
	set_function(env, exports, "regionOpen", region_open, NULL);
	set_function(env, exports, "regionFile", region_file, NULL);
	set_function(env, exports, "regionBuffer", region_buffer, NULL);
	set_function(env, exports, "regionGrow", region_grow, NULL);
	set_function(env, exports, "regionInfo", region_info, NULL);
	set_function(env, exports, "regionClose", do_close, NULL);
}
