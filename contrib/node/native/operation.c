/*
 * Operations on one element, and on the queue and the stack: functions whose data is the handle.
 *
 * Those of the drop-in module wait for ever, take lists of indexes, and give Numbers; the native ones take milliseconds as
 * their last argument, and throw when these are over.
 */
#include <math.h>

#include "contrib/node/native/addon.h"

#define MOST 4

/* One call. */
struct call {
	napi_env env;
	struct addon *addon;
	struct handle *handle;
	napi_value js[MOST];
	size_t count; /* of arguments that were given */
	struct key_argument key;
	struct argument value, expected;
	ems_deadline_t deadline;
};

static bool is_compat(const struct call *call)
{
	return call->handle->array != NULL;
}

static bool call_open(struct call *call, napi_env env, napi_callback_info info)
{
	void *data;

	call->env = env;
	call->count = MOST;
	napi_get_cb_info(env, info, &call->count, call->js, NULL, &data);
	call->handle = data;
	call->key.text.memory = call->value.memory = call->expected.memory = NULL;
	call->deadline = EMS_FOREVER;
	if (!call->handle->heap) {
		throw_type(env, "it is closed");
		return false;
	}
	call->addon = call->handle->addon;
	return true;
}

/* A list of indexes, as EMS has it. */
static bool list_key(struct call *call, napi_value js)
{
	int64_t indexes[EMS_COMPAT_DIMENSIONS], index;
	uint32_t count;
	int r;

	napi_get_array_length(call->env, js, &count);
	for (uint32_t i = 0; i < count && i < EMS_COMPAT_DIMENSIONS; i++) {
		napi_value one;

		napi_get_element(call->env, js, i, &one);
		if (!int64_get(call->env, one, &indexes[i]))
			return false;
	}
	r = ems_compat_index(call->handle->array, indexes, count, &index);
	call->key.key = ems_index(index);
	if (r < 0)
		throw_ems(call->env, r);
	return r == 0;
}

static bool take_key(struct call *call)
{
	bool is_list = false;

	if (is_compat(call))
		napi_is_array(call->env, call->js[0], &is_list);
	return is_list ? list_key(call, call->js[0]) : key_get(call->addon, call->js[0], &call->key);
}

static bool take_value(struct call *call, unsigned which)
{
	return argument_get(call->addon, call->js[which], &call->value);
}

static bool take_deadline(struct call *call, unsigned which)
{
	return call->count <= which || is_compat(call) || deadline_get(call->env, call->js[which], &call->deadline);
}

static napi_value call_end(struct call *call, napi_value result)
{
	key_clear(&call->key);
	argument_clear(&call->value);
	argument_clear(&call->expected);
	return result;
}

static napi_value give_result(struct call *call, int r)
{
	if (r < 0)
		return call_end(call, throw_ems(call->env, r));
	return call_end(call, value_to_js(call->addon, &call->addon->result, is_compat(call)));
}

static napi_value give_nothing(struct call *call, int r)
{
	return call_end(call, r < 0 ? throw_ems(call->env, r) : js_undefined(call->env));
}

static napi_value give_number(struct call *call, int r, double number)
{
	return call_end(call, r < 0 ? throw_ems(call->env, r) : js_number(call->env, number));
}

/* ---- reading ---- */

static napi_value op_read(napi_env env, napi_callback_info info)
{
	struct call call;

	if (!call_open(&call, env, info) || !take_key(&call))
		return NULL;
	return give_result(&call, ems_read(call.handle->heap, call.key.key, &call.addon->result));
}

#define READING(function, operation)                                                                       \
	static napi_value function(napi_env env, napi_callback_info info)                                  \
	{                                                                                                  \
		struct call call;                                                                          \
                                                                                                           \
		if (!call_open(&call, env, info) || !take_key(&call))                                      \
			return NULL;                                                                       \
		if (!take_deadline(&call, 1))                                                              \
			return call_end(&call, NULL);                                                      \
		return give_result(&call, operation(call.handle->heap, call.key.key, &call.addon->result,  \
						    call.deadline));                                       \
	}
READING(op_read_ff, ems_read_ff_until)
READING(op_read_fe, ems_read_fe_until)
READING(op_read_rw, ems_read_rw_until)

static napi_value op_release_rw(napi_env env, napi_callback_info info)
{
	struct call call;
	uint32_t left = 0;
	int r;

	if (!call_open(&call, env, info) || !take_key(&call))
		return NULL;
	r = ems_release_rw(call.handle->heap, call.key.key, &left);
	return give_number(&call, r, left);
}

/* ---- writing ---- */

/* EMS returns true from a write. */
static napi_value give_written(struct call *call, int r)
{
	if (r < 0 || !is_compat(call))
		return give_nothing(call, r);
	return call_end(call, js_boolean(call->env, true));
}

#define WRITING(function, operation)                                                                     \
	static napi_value function(napi_env env, napi_callback_info info)                                \
	{                                                                                                \
		struct call call;                                                                        \
                                                                                                         \
		if (!call_open(&call, env, info) || !take_key(&call))                                    \
			return NULL;                                                                     \
		if (!take_value(&call, 1) || !take_deadline(&call, 2))                                   \
			return call_end(&call, NULL);                                                    \
		return give_written(&call, operation(call.handle->heap, call.key.key, &call.value.value, \
						     call.deadline));                                    \
	}
WRITING(op_write, ems_write_until)
WRITING(op_write_xf, ems_write_xf_until)
WRITING(op_write_xe, ems_write_xe_until)
WRITING(op_write_ef, ems_write_ef_until)

/* true, or "full", which the drop-in module accepts as well as the native one. */
static bool says_full(struct call *call, napi_value js)
{
	struct argument text;
	napi_valuetype type;
	bool full;

	napi_typeof(call->env, js, &type);
	if (type != napi_string)
		return boolean_of(call->env, js);
	if (!text_get(call->env, js, &text))
		return false;
	full = text.value.size == 4 && memcmp(text.value.data, "full", 4) == 0;
	argument_clear(&text);
	return full;
}

static napi_value op_set_tag(napi_env env, napi_callback_info info)
{
	struct call call;
	ems_tag_t tag;

	if (!call_open(&call, env, info) || !take_key(&call))
		return NULL;
	if (!take_deadline(&call, 2))
		return call_end(&call, NULL);
	tag = says_full(&call, call.js[1]) ? EMS_FULL : EMS_EMPTY;
	return give_written(&call, ems_set_tag_until(call.handle->heap, call.key.key, tag, call.deadline));
}

static napi_value op_get_tag(napi_env env, napi_callback_info info)
{
	static const char *const names[] = {"", "empty", "full", "readers", "busy"};
	struct call call;
	ems_tag_t tag = EMS_FULL;
	int r;

	if (!call_open(&call, env, info) || !take_key(&call))
		return NULL;
	r = ems_get_tag(call.handle->heap, call.key.key, &tag);
	return call_end(&call, r < 0 ? throw_ems(env, r) : js_text(env, names[tag]));
}

/* ---- modifying ---- */

static napi_value op_faa(napi_env env, napi_callback_info info)
{
	struct call call;
	int r;

	if (!call_open(&call, env, info) || !take_key(&call))
		return NULL;
	if (!take_value(&call, 1) || !take_deadline(&call, 2))
		return call_end(&call, NULL);
	if (is_compat(&call))
		r = ems_compat_faa(call.handle->array, call.key.key, &call.value.value, &call.addon->result);
	else
		r = ems_faa_until(call.handle->heap, call.key.key, &call.value.value, &call.addon->result,
				  call.deadline);
	return give_result(&call, r);
}

static napi_value op_cas(napi_env env, napi_callback_info info)
{
	struct call call;
	int r;

	if (!call_open(&call, env, info) || !take_key(&call))
		return NULL;
	if (!argument_get(call.addon, call.js[1], &call.expected) || !take_value(&call, 2) || !take_deadline(&call, 3))
		return call_end(&call, NULL);
	if (is_compat(&call))
		r = ems_compat_cas(call.handle->array, call.key.key, &call.expected.value, &call.value.value,
				   &call.addon->result);
	else
		r = ems_cas_until(call.handle->heap, call.key.key, &call.expected.value, &call.value.value,
				  &call.addon->result, NULL, call.deadline);
	return give_result(&call, r);
}

#define CHANGING(function, operation)                                                                   \
	static napi_value function(napi_env env, napi_callback_info info)                               \
	{                                                                                               \
		struct call call;                                                                       \
                                                                                                        \
		if (!call_open(&call, env, info) || !take_key(&call))                                   \
			return NULL;                                                                    \
		if (!take_value(&call, 1) || !take_deadline(&call, 2))                                  \
			return call_end(&call, NULL);                                                   \
		return give_result(&call, operation(call.handle->heap, call.key.key, &call.value.value, \
						    &call.addon->result, call.deadline));               \
	}
CHANGING(op_swap, ems_swap_until)
CHANGING(op_min, ems_min_until)
CHANGING(op_max, ems_max_until)

#define MASKING(function, operation)                                                                        \
	static napi_value function(napi_env env, napi_callback_info info)                                   \
	{                                                                                                   \
		struct call call;                                                                           \
		int64_t mask, old = 0;                                                                      \
		int r;                                                                                      \
                                                                                                            \
		if (!call_open(&call, env, info) || !take_key(&call))                                       \
			return NULL;                                                                        \
		if (!int64_get(env, call.js[1], &mask) || !take_deadline(&call, 2))                         \
			return call_end(&call, NULL);                                                       \
		r = operation(call.handle->heap, call.key.key, mask, &old, call.deadline);                  \
		return call_end(&call, r < 0 ? throw_ems(env, r) : js_int64(env, old, false));              \
	}
MASKING(op_and, ems_and_until)
MASKING(op_or, ems_or_until)
MASKING(op_xor, ems_xor_until)

/* ---- keys ---- */

static napi_value op_delete(napi_env env, napi_callback_info info)
{
	struct call call;
	int r;

	if (!call_open(&call, env, info) || !take_key(&call))
		return NULL;
	if (!take_deadline(&call, 1))
		return call_end(&call, NULL);
	r = ems_delete_until(call.handle->heap, call.key.key, call.deadline);
	if (r == -EMS_ENOKEY)
		return call_end(&call, js_boolean(env, false));
	return call_end(&call, r < 0 ? throw_ems(env, r) : js_boolean(env, true));
}

static napi_value op_has(napi_env env, napi_callback_info info)
{
	struct call call;
	uint64_t index;
	int r;

	if (!call_open(&call, env, info) || !take_key(&call))
		return NULL;
	r = ems_key_to_index(call.handle->heap, call.key.key, &index);
	return call_end(&call, r < 0 && r != -EMS_ENOKEY ? throw_ems(env, r) : js_boolean(env, r == 0));
}

/* undefined: the index has no key. */
static napi_value op_index_to_key(napi_env env, napi_callback_info info)
{
	struct call call;
	int64_t index;
	ems_key_t key;
	int r;

	if (!call_open(&call, env, info) || !int64_get(env, call.js[0], &index))
		return NULL;
	r = ems_index_to_key(call.handle->heap, (uint64_t)index, &key, &call.addon->result);
	if (r == -EMS_ENOKEY)
		return js_undefined(env);
	return r < 0 ? throw_ems(env, r) : key_to_js(env, &key);
}

/* ---- queue and stack ---- */

#define PUTTING(function, operation, compat)                                                          \
	static napi_value function(napi_env env, napi_callback_info info)                             \
	{                                                                                             \
		struct call call;                                                                     \
		uint64_t held = 0;                                                                    \
		int64_t count = 0;                                                                    \
		int r;                                                                                \
                                                                                                      \
		if (!call_open(&call, env, info) || !take_value(&call, 0))                            \
			return NULL;                                                                  \
		if (is_compat(&call)) {                                                               \
			r = compat(call.handle->array, &call.value.value, &count);                    \
			return give_number(&call, r, (double)count);                                  \
		}                                                                                     \
		if (!take_deadline(&call, 1))                                                         \
			return call_end(&call, NULL);                                                 \
		r = operation(call.handle->heap, &call.value.value, &held,                            \
			      call.deadline == EMS_FOREVER ? EMS_NOW : call.deadline);                \
		return give_number(&call, r, (double)held);                                           \
	}
PUTTING(op_push, ems_push_until, ems_compat_push)
PUTTING(op_enqueue, ems_enqueue_until, ems_compat_enqueue)

/* Without a time it does not wait: undefined when there is nothing (the native forms throw EMS_EEMPTY with `strict`). */
#define TAKING(function, operation)                                                                       \
	static napi_value function(napi_env env, napi_callback_info info)                                 \
	{                                                                                                 \
		struct call call;                                                                         \
		int r;                                                                                    \
                                                                                                          \
		if (!call_open(&call, env, info))                                                         \
			return NULL;                                                                      \
		if (!deadline_get(env, call.js[0], &call.deadline))                                       \
			return NULL;                                                                      \
		if (is_compat(&call) || call.deadline == EMS_FOREVER)                                     \
			call.deadline = EMS_NOW;                                                          \
		r = operation(call.handle->heap, &call.addon->result, call.deadline);                     \
		if (r == -EMS_EEMPTY)                                                                     \
			return js_undefined(env);                                                         \
		return give_result(&call, r);                                                             \
	}
TAKING(op_pop, ems_pop_until)
TAKING(op_dequeue, ems_dequeue_until)

#define COUNTING(function, operation)                                     \
	static napi_value function(napi_env env, napi_callback_info info) \
	{                                                                 \
		struct call call;                                         \
		uint64_t length = 0;                                      \
		int r;                                                    \
                                                                          \
		if (!call_open(&call, env, info))                         \
			return NULL;                                      \
		r = operation(call.handle->heap, &length);                \
		return give_number(&call, r, (double)length);             \
	}
COUNTING(op_queue_length, ems_queue_length)
COUNTING(op_stack_length, ems_stack_length)

static const struct {
	const char *name;
	napi_callback function;
} operations[] = {
	{"read", op_read},
	{"readFF", op_read_ff},
	{"readFE", op_read_fe},
	{"readRW", op_read_rw},
	{"releaseRW", op_release_rw},
	{"write", op_write},
	{"writeXF", op_write_xf},
	{"writeXE", op_write_xe},
	{"writeEF", op_write_ef},
	{"setTag", op_set_tag},
	{"getTag", op_get_tag},
	{"faa", op_faa},
	{"cas", op_cas},
	{"swap", op_swap},
	{"min", op_min},
	{"max", op_max},
	{"and", op_and},
	{"or", op_or},
	{"xor", op_xor},
	{"delete", op_delete},
	{"has", op_has},
	{"index2key", op_index_to_key},
	{"push", op_push},
	{"pop", op_pop},
	{"enqueue", op_enqueue},
	{"dequeue", op_dequeue},
	{"queueLength", op_queue_length},
	{"stackLength", op_stack_length},
};

void operations_define(napi_env env, napi_value object, struct handle *handle)
{
	for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
		set_operation(env, object, operations[i].name, operations[i].function, handle);
}

/* What an operation costs that does nothing: for comparisons. */
static napi_value op_nothing(napi_env env, napi_callback_info info)
{
	napi_value js[2];

	arguments_get(env, info, 2, js);
	return js[0];
}

void operations_init(napi_env env, napi_value exports)
{
	set_function(env, exports, "nothing", op_nothing, NULL);
}
