/* Sets of counters, and blocks, in regions (ems_counters(3), ems_block(3)). Each keeps its region. */
#include <stdlib.h>

#include "contrib/node/native/addon.h"

static const napi_type_tag counters_tag = {0x7a1d6f0e5c334b09, 0x9b1f3ac07e5d2209};
static const napi_type_tag blocks_tag = {0x7a1d6f0e5c334b0a, 0x9b1f3ac07e5d220a};

struct set {
	struct region *region; /* NULL: closed */
	ems_counters_t *counters; /* one of the two */
	ems_blocks_t *blocks;
	uint32_t block_size;
};

static void set_close(struct set *set)
{
	if (!set->region)
		return;
	ems_counters_close(set->counters);
	ems_blocks_close(set->blocks);
	region_unref(set->region);
	set->region = NULL;
}

static void set_finalize(napi_env env, void *data, void *hint)
{
	(void)env;
	(void)hint;
	set_close(data);
	free(data);
}

static napi_value set_new(napi_env env, struct region *region, const struct set *opened, const napi_type_tag *tag)
{
	struct set *set = malloc(sizeof *set);

	if (!set) {
		ems_counters_close(opened->counters);
		ems_blocks_close(opened->blocks);
		return throw_ems(env, -EMS_ENOMEMORY);
	}
	*set = *opened;
	set->region = region;
	region->references++;
	return external_new(env, set, tag, set_finalize);
}

static struct set *set_get(napi_env env, napi_value js, const napi_type_tag *tag)
{
	struct set *set = external_get(env, js, tag);

	if (set && !set->region) {
		throw_type(env, "it is closed");
		return NULL;
	}
	return set;
}

/* ---- counters ---- */

/* countersOpen(region, count) */
static napi_value counters_open(napi_env env, napi_callback_info info)
{
	napi_value js[2];
	struct region *region;
	struct set set = {.region = NULL};
	uint64_t count = 0;
	int r;

	arguments_get(env, info, 2, js);
	region = region_get(env, js[0]);
	if (!region || !count_get(env, js[1], &count))
		return NULL;
	r = ems_counters_open(region->region, count, &set.counters);
	return r < 0 ? throw_ems(env, r) : set_new(env, region, &set, &counters_tag);
}

static napi_value counters_count(napi_env env, napi_callback_info info)
{
	napi_value js;
	struct set *set;
	uint64_t count = 0;
	int r;

	arguments_get(env, info, 1, &js);
	set = set_get(env, js, &counters_tag);
	if (!set)
		return NULL;
	r = ems_counters_count(set->counters, &count);
	return r < 0 ? throw_ems(env, r) : js_number(env, (double)count);
}

typedef int counter_function_t(ems_counters_t *counters, uint64_t number, int64_t argument, int64_t *old);

static int counter_get(ems_counters_t *counters, uint64_t number, int64_t argument, int64_t *old)
{
	(void)argument;
	return ems_counters_get(counters, number, old);
}

static const struct {
	const char *name;
	counter_function_t *function;
} counter_functions[] = {
	{"counterGet", counter_get},
	{"counterSet", ems_counters_set},
	{"counterAdd", ems_counters_add},
	{"counterSub", ems_counters_sub},
};

/* counterAdd(counters, number, amount): the old value; the function's data says which of them it is. */
static napi_value counter_do(napi_env env, napi_callback_info info)
{
	napi_value js[3];
	counter_function_t *const *which = arguments_get(env, info, 3, js);
	struct set *set = set_get(env, js[0], &counters_tag);
	uint64_t number = 0;
	int64_t argument = 0, old = 0;
	int r;

	if (!set || !count_get(env, js[1], &number) || (*which != counter_get && !int64_get(env, js[2], &argument)))
		return NULL;
	r = (*which)(set->counters, number, argument, &old);
	return r < 0 ? throw_ems(env, r) : js_int64(env, old, false);
}

/* ---- blocks ---- */

/* blocksOpen(region, {blockSize, capacity, discard}) */
static napi_value blocks_open(napi_env env, napi_callback_info info)
{
	napi_value js[2];
	struct region *region;
	struct set set = {.region = NULL};
	uint64_t size = 0, capacity = 0;
	ems_blocks_info_t told;
	int r;

	arguments_get(env, info, 2, js);
	region = region_get(env, js[0]);
	if (!region || !property_count(env, js[1], "blockSize", &size) || !property_count(env, js[1], "capacity", &capacity))
		return NULL;
	if (size > UINT32_MAX || capacity > UINT32_MAX)
		return throw_ems(env, -EMS_ERANGE);
	r = ems_blocks_open(region->region,
			    &(ems_blocks_options_t){.block_size = (uint32_t)size,
						    .capacity = (uint32_t)capacity,
						    .discard = property_flag(env, js[1], "discard")},
			    &set.blocks);
	if (r == 0)
		r = ems_blocks_info(set.blocks, &told);
	if (r < 0) {
		ems_blocks_close(set.blocks);
		return throw_ems(env, r);
	}
	set.block_size = told.block_size;
	return set_new(env, region, &set, &blocks_tag);
}

/* blocksInfo(blocks) */
static napi_value blocks_info(napi_env env, napi_callback_info info)
{
	napi_value js;
	struct set *set;
	ems_blocks_info_t told;
	int r;

	arguments_get(env, info, 1, &js);
	set = set_get(env, js, &blocks_tag);
	if (!set)
		return NULL;
	r = ems_blocks_info(set->blocks, &told);
	if (r < 0)
		return throw_ems(env, r);
	napi_create_object(env, &js);
	set_property(env, js, "blockSize", js_number(env, told.block_size));
	set_property(env, js, "capacity", js_number(env, told.capacity));
	return js;
}

/* blockStore(blocks, bytes): its number */
static napi_value block_store(napi_env env, napi_callback_info info)
{
	napi_value js[2];
	struct set *set;
	struct argument data;
	uint64_t number;
	int r = -EMS_EINVALID;

	arguments_get(env, info, 2, js);
	set = set_get(env, js[0], &blocks_tag);
	if (!set || !argument_get(addon_of(env), js[1], &data))
		return NULL;
	if (data.value.type == EMS_BYTES)
		r = ems_block_store(set->blocks, data.value.data, data.value.size, &number);
	argument_clear(&data);
	return r < 0 ? throw_ems(env, r) : js_number(env, (double)number);
}

/* blockRead(blocks, number): a Buffer, or undefined */
static napi_value block_read(napi_env env, napi_callback_info info)
{
	napi_value js[2];
	struct set *set;
	uint64_t number = 0;
	void *data;
	int r;

	arguments_get(env, info, 2, js);
	set = set_get(env, js[0], &blocks_tag);
	if (!set || !count_get(env, js[1], &number))
		return NULL;
	if (napi_create_buffer(env, set->block_size, &data, &js[0]) != napi_ok)
		return throw_ems(env, -EMS_ENOMEMORY);
	r = ems_block_read(set->blocks, number, data, set->block_size);
	if (r == -EMS_EEMPTY)
		return js_undefined(env);
	return r < 0 ? throw_ems(env, r) : js[0];
}

/* blockFree(blocks, number): was it stored? */
static napi_value block_free(napi_env env, napi_callback_info info)
{
	napi_value js[2];
	struct set *set;
	uint64_t number = 0;
	int r;

	arguments_get(env, info, 2, js);
	set = set_get(env, js[0], &blocks_tag);
	if (!set || !count_get(env, js[1], &number))
		return NULL;
	r = ems_block_free(set->blocks, number);
	return r < 0 && r != -EMS_EEMPTY ? throw_ems(env, r) : js_boolean(env, r == 0);
}

/* blocksList(blocks, below): [numbers, the next `below`], highest first; below undefined: from the end */
static napi_value blocks_list(napi_env env, napi_callback_info info)
{
	enum { ROOM = 512 };
	napi_value js[2], list, pair;
	struct set *set;
	uint64_t below = UINT64_MAX, numbers[ROOM];
	size_t count = 0;
	int r;

	arguments_get(env, info, 2, js);
	set = set_get(env, js[0], &blocks_tag);
	if (!set || !count_get(env, js[1], &below))
		return NULL;
	r = ems_blocks_list(set->blocks, &below, numbers, NULL, ROOM, &count);
	if (r < 0)
		return throw_ems(env, r);
	napi_create_array(env, &list);
	for (uint32_t i = 0; i < count; i++)
		napi_set_element(env, list, i, js_number(env, (double)numbers[i]));
	napi_create_array(env, &pair);
	napi_set_element(env, pair, 0, list);
	napi_set_element(env, pair, 1, js_number(env, (double)below));
	return pair;
}

/* blocksRepair(blocks, from, count): [the next `from`, how many were mended] */
static napi_value blocks_repair(napi_env env, napi_callback_info info)
{
	napi_value js[3], pair;
	struct set *set;
	uint64_t from = 0, count = UINT32_MAX, mended = 0;
	int r;

	arguments_get(env, info, 3, js);
	set = set_get(env, js[0], &blocks_tag);
	if (!set || !count_get(env, js[1], &from) || !count_get(env, js[2], &count))
		return NULL;
	r = ems_blocks_repair(set->blocks, &from, count, &mended);
	if (r < 0)
		return throw_ems(env, r);
	napi_create_array(env, &pair);
	napi_set_element(env, pair, 0, js_number(env, (double)from));
	napi_set_element(env, pair, 1, js_number(env, (double)mended));
	return pair;
}

/* setClose(counters or blocks) */
static napi_value do_close(napi_env env, napi_callback_info info)
{
	napi_value js;
	bool counters = false;
	struct set *set;

	arguments_get(env, info, 1, &js);
	napi_check_object_type_tag(env, js, &counters_tag, &counters);
	set = external_get(env, js, counters ? &counters_tag : &blocks_tag);
	if (set)
		set_close(set);
	return NULL;
}

void sets_init(napi_env env, napi_value exports)
{
	set_function(env, exports, "countersOpen", counters_open, NULL);
	set_function(env, exports, "countersCount", counters_count, NULL);
	for (size_t i = 0; i < sizeof counter_functions / sizeof *counter_functions; i++)
		set_function(env, exports, counter_functions[i].name, counter_do, (void *)(uintptr_t)&counter_functions[i].function);
	set_function(env, exports, "blocksOpen", blocks_open, NULL);
	set_function(env, exports, "blocksInfo", blocks_info, NULL);
	set_function(env, exports, "blockStore", block_store, NULL);
	set_function(env, exports, "blockRead", block_read, NULL);
	set_function(env, exports, "blockFree", block_free, NULL);
	set_function(env, exports, "blocksList", blocks_list, NULL);
	set_function(env, exports, "blocksRepair", blocks_repair, NULL);
	set_function(env, exports, "setClose", do_close, NULL);
}
