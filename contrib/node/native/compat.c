/*
 * The drop-in module's context and arrays, over contrib/compat: functions that lib/dropin.js makes into EMS's interface.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "contrib/node/native/addon.h"

static const napi_type_tag context_tag = {0x7a1d6f0e5c334b01, 0x9b1f3ac07e5d2201};
static const napi_type_tag loop_tag = {0x7a1d6f0e5c334b02, 0x9b1f3ac07e5d2202};
static const napi_type_tag locks_tag = {0x7a1d6f0e5c334b03, 0x9b1f3ac07e5d2203};

static napi_value run_name(napi_env env, napi_callback_info info)
{
	char name[EMS_COMPAT_RUN_SIZE];

	(void)info;
	ems_compat_run_name(name);
	return js_text(env, name);
}

/* followParent(pid): false when it is gone. */
static napi_value follow_parent(napi_env env, napi_callback_info info)
{
	napi_value js;
	int64_t parent;

	arguments_get(env, info, 1, &js);
	if (!int64_get(env, js, &parent))
		return NULL;
	return js_boolean(env, ems_compat_follow_parent((long)parent) == 0);
}

/* waitFor(pid): its exit code, or 128 and the signal; null when it is no child (any more). For the end of the process. */
static napi_value wait_for(napi_env env, napi_callback_info info)
{
	napi_value js;
	int64_t pid;
	int status;

	arguments_get(env, info, 1, &js);
	if (!int64_get(env, js, &pid))
		return NULL;
	if (waitpid((pid_t)pid, &status, 0) != (pid_t)pid) {
		napi_get_null(env, &js);
		return js;
	}
	return js_number(env, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* start(kind 0..2, name, run, member, size, milliseconds) */
static napi_value start(napi_env env, napi_callback_info info)
{
	napi_value js[6];
	struct argument name, run;
	int64_t kind, member, size;
	double milliseconds;
	struct ems_compat *context = NULL;
	int r;

	arguments_get(env, info, 6, js);
	if (!int64_get(env, js[0], &kind) || !int64_get(env, js[3], &member) || !int64_get(env, js[4], &size) ||
	    !number_get(env, js[5], &milliseconds) || !text_get(env, js[1], &name))
		return NULL;
	if (!text_get(env, js[2], &run)) {
		argument_clear(&name);
		return NULL;
	}
	r = ems_compat_start(
		&(struct ems_compat_start){.kind = (enum ems_compat_kind)kind, .name = name.value.data,
					   .name_size = name.value.size, .run = run.value.data,
					   .member = (uint32_t)member, .size = (uint32_t)size,
					   .milliseconds = milliseconds},
		&context);
	argument_clear(&name);
	argument_clear(&run);
	/* It lives as long as the process: arrays and handlers of its end use it. */
	return r < 0 ? throw_ems(env, r) : external_new(env, context, &context_tag, NULL);
}

static struct ems_compat *context_get(napi_env env, napi_value js)
{
	return external_get(env, js, &context_tag);
}

static napi_value domain(napi_env env, napi_callback_info info)
{
	napi_value js;
	struct ems_compat *context;

	arguments_get(env, info, 1, &js);
	context = context_get(env, js);
	return context ? js_text(env, ems_compat_domain(context)) : NULL;
}

static napi_value give(napi_env env, int r)
{
	return r < 0 ? throw_ems(env, r) : js_undefined(env);
}

static napi_value region_send(napi_env env, napi_callback_info info)
{
	napi_value js[2];
	struct ems_compat *context;
	struct argument text;
	int r;

	arguments_get(env, info, 2, js);
	context = context_get(env, js[0]);
	if (!context || !text_get(env, js[1], &text))
		return NULL;
	r = ems_compat_region_send(context, text.value.data, text.value.size);
	argument_clear(&text);
	return give(env, r);
}

/* undefined: there are no more. */
static napi_value region_receive(napi_env env, napi_callback_info info)
{
	napi_value js;
	struct ems_compat *context;
	struct addon *addon = addon_of(env);
	int r;

	arguments_get(env, info, 1, &js);
	context = context_get(env, js);
	if (!context)
		return NULL;
	r = ems_compat_region_receive(context, &addon->result);
	if (r == -EMS_EEMPTY)
		return js_undefined(env);
	return r < 0 ? throw_ems(env, r) : value_to_js(addon, &addon->result, true);
}

#define SIMPLE(function, call)                                            \
	static napi_value function(napi_env env, napi_callback_info info) \
	{                                                                 \
		napi_value js;                                            \
		struct ems_compat *context;                               \
                                                                          \
		arguments_get(env, info, 1, &js);                         \
		context = context_get(env, js);                           \
		return context ? give(env, call(context)) : NULL;         \
	}
SIMPLE(region_enter, ems_compat_region_enter)
SIMPLE(region_leave, ems_compat_region_leave)
SIMPLE(region_finish, ems_compat_region_finish)
SIMPLE(leave, ems_compat_leave)
SIMPLE(critical_leave, ems_compat_critical_leave)

static napi_value in_region(napi_env env, napi_callback_info info)
{
	napi_value js;
	struct ems_compat *context;

	arguments_get(env, info, 1, &js);
	context = context_get(env, js);
	return context ? js_boolean(env, ems_compat_in_region(context)) : NULL;
}

static napi_value barrier(napi_env env, napi_callback_info info)
{
	napi_value js[2];
	struct ems_compat *context;
	double milliseconds, left = 0;
	int r;

	arguments_get(env, info, 2, js);
	context = context_get(env, js[0]);
	if (!context || !number_get(env, js[1], &milliseconds))
		return NULL;
	r = ems_compat_barrier(context, milliseconds, &left);
	return r < 0 ? throw_ems(env, r) : js_number(env, left);
}

static napi_value critical_enter(napi_env env, napi_callback_info info)
{
	napi_value js[2];
	struct ems_compat *context;
	double milliseconds;

	arguments_get(env, info, 2, js);
	context = context_get(env, js[0]);
	if (!context || !number_get(env, js[1], &milliseconds))
		return NULL;
	return give(env, ems_compat_critical_enter(context, milliseconds));
}

static napi_value single(napi_env env, napi_callback_info info)
{
	napi_value js;
	struct ems_compat *context;
	bool mine = false;
	int r;

	arguments_get(env, info, 1, &js);
	context = context_get(env, js);
	if (!context)
		return NULL;
	r = ems_compat_single(context, &mine);
	return r < 0 ? throw_ems(env, r) : js_boolean(env, mine);
}

/* ---- loops ---- */

/* loopBegin(context, first, last, schedule 0..2, minimum) */
static napi_value loop_begin(napi_env env, napi_callback_info info)
{
	napi_value js[5];
	struct ems_compat *context;
	int64_t first, last, schedule, minimum;
	ems_loop_t *loop;
	int r;

	arguments_get(env, info, 5, js);
	context = context_get(env, js[0]);
	if (!context || !int64_get(env, js[1], &first) || !int64_get(env, js[2], &last) ||
	    !int64_get(env, js[3], &schedule) || !int64_get(env, js[4], &minimum))
		return NULL;
	r = ems_compat_loop_begin(context, first, last, (ems_schedule_t)schedule,
				  minimum > 0 ? (uint64_t)minimum : 1, &loop);
	return r < 0 ? throw_ems(env, r) : external_new(env, loop, &loop_tag, NULL);
}

/* loopNext(loop, pair): true, and the pair filled in; false at the end. */
static napi_value loop_next(napi_env env, napi_callback_info info)
{
	napi_value js[2];
	ems_loop_t *loop;
	int64_t from, to;
	int r;

	arguments_get(env, info, 2, js);
	loop = external_get(env, js[0], &loop_tag);
	if (!loop)
		return NULL;
	r = ems_compat_loop_next(loop, &from, &to);
	if (r == -EMS_EEMPTY)
		return js_boolean(env, false);
	if (r < 0)
		return throw_ems(env, r);
	napi_set_element(env, js[1], 0, js_number(env, (double)from));
	napi_set_element(env, js[1], 1, js_number(env, (double)to));
	return js_boolean(env, true);
}

static napi_value loop_end(napi_env env, napi_callback_info info)
{
	napi_value js[2];
	struct ems_compat *context;
	ems_loop_t *loop;

	arguments_get(env, info, 2, js);
	context = context_get(env, js[0]);
	loop = context ? external_get(env, js[1], &loop_tag) : NULL;
	return loop ? give(env, ems_compat_loop_end(context, loop)) : NULL;
}

/* ---- arrays ---- */

static bool dimensions_get(napi_env env, napi_value js, struct ems_compat_descriptor *wish)
{
	uint32_t count = 0;

	napi_get_array_length(env, js, &count);
	if (count > EMS_COMPAT_DIMENSIONS) {
		throw_ems(env, -EMS_ERANGE);
		return false;
	}
	for (uint32_t i = 0; i < count; i++) {
		napi_value one;
		int64_t size;

		napi_get_element(env, js, i, &one);
		if (!int64_get(env, one, &size))
			return false;
		if (size <= 0) {
			throw_ems(env, -EMS_ERANGE);
			return false;
		}
		wish->dimensions[i] = (uint64_t)size;
	}
	wish->rank = count;
	return true;
}

static bool wish_get(napi_env env, napi_value js, struct ems_compat_descriptor *wish, struct argument *filename,
		     struct argument *fill)
{
	int64_t number;

	if (!dimensions_get(env, property(env, js, "dimensions"), wish) ||
	    !int64_get(env, property(env, js, "heapSize"), &number))
		return false;
	wish->heap_size = number > 0 ? (uint64_t)number : 0;
	if (!int64_get(env, property(env, js, "existing"), &number))
		return false;
	wish->existing = (enum ems_compat_existing)number;
	wish->use_map = boolean_of(env, property(env, js, "useMap"));
	wish->persist = boolean_of(env, property(env, js, "persist"));
	wish->do_data_fill = boolean_of(env, property(env, js, "doDataFill"));
	wish->do_set_tags = boolean_of(env, property(env, js, "doSetFEtags"));
	wish->set_empty = boolean_of(env, property(env, js, "empty"));
	if (wish->do_data_fill && !argument_get(addon_of(env), property(env, js, "dataFill"), fill))
		return false;
	wish->data_fill = &fill->value;
	if (!text_get(env, property(env, js, "filename"), filename))
		return false;
	filename->value.size = 0; /* it ends with a NUL */
	wish->filename = filename->value.data;
	return true;
}

static void array_properties(napi_env env, napi_value object, const struct ems_compat_array *array)
{
	napi_value dimensions, strides;

	napi_create_array(env, &dimensions);
	napi_create_array(env, &strides);
	for (size_t i = 0; i < ems_compat_rank(array); i++) {
		napi_set_element(env, dimensions, (uint32_t)i, js_number(env, (double)ems_compat_dimension(array, i)));
		napi_set_element(env, strides, (uint32_t)i, js_number(env, (double)ems_compat_stride(array, i)));
	}
	set_property(env, object, "dimensions", dimensions);
	set_property(env, object, "dimStride", strides);
	set_property(env, object, "nElements", js_number(env, (double)ems_compat_elements(array)));
	set_property(env, object, "useMap", js_boolean(env, ems_compat_uses_map(array)));
	set_property(env, object, "regionN", js_number(env, (double)ems_compat_number(array)));
}

static void handle_finalize(napi_env env, void *data, void *hint)
{
	(void)env;
	(void)hint;
	handle_unref(data);
}

/* arrayOpen(context, object, wish): the object gets its operations and properties; the result is its handle, or undefined. */
static napi_value array_open(napi_env env, napi_callback_info info)
{
	napi_value js[3];
	struct ems_compat *context;
	struct ems_compat_descriptor wish = {.rank = 0};
	struct argument filename = {.memory = NULL}, fill = {.memory = NULL};
	struct handle *handle;
	struct ems_compat_array *array;
	int r;

	arguments_get(env, info, 3, js);
	context = context_get(env, js[0]);
	if (!context || !wish_get(env, js[2], &wish, &filename, &fill)) {
		argument_clear(&filename);
		argument_clear(&fill);
		return NULL;
	}
	r = ems_compat_array_open(context, &wish, &array);
	argument_clear(&filename);
	argument_clear(&fill);
	if (r == -EMS_ENOTFOUND && wish.existing == EMS_COMPAT_EXISTING)
		return js_undefined(env);
	if (r < 0)
		return throw_ems(env, r);
	handle = calloc(1, sizeof *handle);
	if (!handle) {
		ems_compat_array_destroy(array, false);
		return throw_ems(env, -EMS_ENOMEMORY);
	}
	handle->array = array;
	handle->addon = addon_of(env);
	handle->heap = ems_compat_heap(array);
	handle->references = 1;
	operations_define(env, js[1], handle);
	array_properties(env, js[1], array);
	return external_new(env, handle, &handle_tag, handle_finalize);
}

static napi_value array_destroy(napi_env env, napi_callback_info info)
{
	napi_value js[2];
	struct handle *handle;
	int r;

	arguments_get(env, info, 2, js);
	handle = external_get(env, js[0], &handle_tag);
	if (!handle)
		return NULL;
	if (!handle->array)
		return js_undefined(env);
	r = ems_compat_array_destroy(handle->array, boolean_of(env, js[1]));
	handle->array = NULL;
	handle->heap = NULL;
	return give(env, r);
}

static napi_value array_sync(napi_env env, napi_callback_info info)
{
	napi_value js;
	struct handle *handle;

	arguments_get(env, info, 1, &js);
	handle = external_get(env, js, &handle_tag);
	if (!handle)
		return NULL;
	return handle->array ? give(env, ems_compat_array_sync(handle->array)) : throw_type(env, "it is destroyed");
}

/* ---- transactions ---- */

struct locks {
	ems_transaction_t *transaction;
};

static void locks_free(napi_env env, void *data, void *hint)
{
	struct locks *locks = data;

	(void)env;
	(void)hint;
	if (locks->transaction)
		ems_transaction_abort(locks->transaction);
	free(locks);
}

/* One [handle, key, readOnly] of the list. */
static bool lock_get(struct addon *addon, napi_value list, uint32_t which, struct ems_compat_lock *lock,
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
	if (!handle->array) {
		throw_type(addon->env, "the array is destroyed");
		return false;
	}
	*lock = (struct ems_compat_lock){.array = handle->array, .key = key->key,
					 .read_only = boolean_of(addon->env, js[2])};
	return true;
}

/* [[which of the list, readOnly, value], …] in lock order; the result's property `locks` is for lockEnd. */
static napi_value locked_list(struct addon *addon, const struct ems_compat_lock *locks, size_t count,
			      struct locks *held)
{
	napi_value result, entry, value;

	napi_create_array(addon->env, &result);
	for (size_t i = 0; i < count; i++) {
		int r = ems_transaction_read(held->transaction, i, &addon->result);

		if (r < 0)
			return throw_ems(addon->env, r);
		value = value_to_js(addon, &addon->result, true);
		if (!value)
			return NULL;
		napi_create_array(addon->env, &entry);
		napi_set_element(addon->env, entry, 0, js_number(addon->env, (double)locks[i].asked));
		napi_set_element(addon->env, entry, 1, js_boolean(addon->env, locks[i].read_only));
		napi_set_element(addon->env, entry, 2, value);
		napi_set_element(addon->env, result, (uint32_t)i, entry);
	}
	return result;
}

static napi_value locks_take(struct addon *addon, struct ems_compat_lock *locks, size_t count)
{
	struct locks *held = calloc(1, sizeof *held);
	napi_value result, external;
	int r;

	if (!held)
		return throw_ems(addon->env, -EMS_ENOMEMORY);
	count = ems_compat_lock_sort(locks, count);
	r = ems_compat_lock_all(locks, count, &held->transaction);
	if (r < 0) {
		free(held);
		return throw_ems(addon->env, r);
	}
	external = external_new(addon->env, held, &locks_tag, locks_free);
	result = locked_list(addon, locks, count, held);
	if (result)
		set_property(addon->env, result, "locks", external);
	return result;
}

/* lockAll([[handle, key, readOnly], …]) */
static napi_value lock_all(napi_env env, napi_callback_info info)
{
	struct addon *addon = addon_of(env);
	napi_value list, result = NULL;
	uint32_t count = 0, taken = 0;
	struct ems_compat_lock *locks;
	struct key_argument *keys;

	arguments_get(env, info, 1, &list);
	napi_get_array_length(env, list, &count);
	locks = calloc(count + 1, sizeof *locks);
	keys = calloc(count + 1, sizeof *keys);
	while (locks && keys && taken < count && lock_get(addon, list, taken, &locks[taken], &keys[taken]))
		taken++;
	if (!locks || !keys)
		throw_ems(env, -EMS_ENOMEMORY);
	else if (taken == count)
		result = locks_take(addon, locks, count);
	for (uint32_t i = 0; keys && i <= taken && i < count; i++)
		key_clear(&keys[i]);
	free(locks);
	free(keys);
	return result;
}

/* lockEnd(locks, commit) */
static napi_value lock_end(napi_env env, napi_callback_info info)
{
	napi_value js[2];
	struct locks *locks;
	ems_transaction_t *transaction;

	arguments_get(env, info, 2, js);
	locks = external_get(env, js[0], &locks_tag);
	if (!locks)
		return NULL;
	transaction = locks->transaction;
	locks->transaction = NULL;
	if (!transaction)
		return js_undefined(env);
	return give(env, boolean_of(env, js[1]) ? ems_transaction_commit(transaction) : ems_transaction_abort(transaction));
}

void compat_init(napi_env env, napi_value exports)
{
	static const struct {
		const char *name;
		napi_callback function;
	} functions[] = {
		{"runName", run_name}, {"followParent", follow_parent}, {"waitFor", wait_for}, {"start", start},
		{"leave", leave}, {"domain", domain}, {"regionSend", region_send}, {"regionReceive", region_receive},
		{"regionEnter", region_enter}, {"regionLeave", region_leave}, {"regionFinish", region_finish},
		{"inRegion", in_region}, {"barrier", barrier}, {"criticalEnter", critical_enter},
		{"criticalLeave", critical_leave}, {"single", single}, {"loopBegin", loop_begin},
		{"loopNext", loop_next}, {"loopEnd", loop_end}, {"arrayOpen", array_open},
		{"arrayDestroy", array_destroy}, {"arraySync", array_sync}, {"lockAll", lock_all},
		{"lockEnd", lock_end},
	};

	for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
		set_function(env, exports, functions[i].name, functions[i].function, NULL);
}
