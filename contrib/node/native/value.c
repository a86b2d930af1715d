/* Values and keys, from JavaScript and back: see addon.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "contrib/node/native/addon.h"

#define SAFE 9007199254740991.0 /* 2^53 - 1 */

static bool is_integer(double number)
{
	return number >= -SAFE && number <= SAFE && number == (double)(int64_t)number && !(number == 0 && signbit(number));
}

/* ---- numbers ---- */

static bool bigint_get(napi_env env, napi_value js, int64_t *value)
{
	bool lossless = false;

	if (napi_get_value_bigint_int64(env, js, value, &lossless) == napi_ok && lossless)
		return true;
	napi_throw_range_error(env, "EMS_ERANGE", "an integer outside of 64 bits");
	return false;
}

bool int64_get(napi_env env, napi_value js, int64_t *value)
{
	double number;
	napi_valuetype type;

	if (napi_get_value_double(env, js, &number) == napi_ok) {
		if (number == 0 || is_integer(number)) {
			*value = (int64_t)number;
			return true;
		}
		napi_throw_range_error(env, "EMS_ERANGE", "an integer is needed (a BigInt beyond 2^53 - 1)");
		return false;
	}
	napi_typeof(env, js, &type);
	if (type == napi_bigint)
		return bigint_get(env, js, value);
	throw_type(env, "an integer is needed");
	return false;
}

napi_value js_int64(napi_env env, int64_t value, bool numbers)
{
	napi_value js;

	if (value == (int32_t)value) {
		napi_create_int32(env, (int32_t)value, &js);
		return js;
	}
	if (numbers || ((double)value >= -SAFE && (double)value <= SAFE))
		napi_create_int64(env, value, &js);
	else
		napi_create_bigint_int64(env, value, &js);
	if (numbers && ((double)value < -SAFE || (double)value > SAFE))
		napi_create_double(env, (double)value, &js);
	return js;
}

bool deadline_get(napi_env env, napi_value js, ems_deadline_t *deadline)
{
	napi_valuetype type;
	double milliseconds;

	*deadline = EMS_FOREVER;
	napi_typeof(env, js, &type);
	if (type == napi_undefined)
		return true;
	if (!number_get(env, js, &milliseconds))
		return false;
	if (milliseconds == 0)
		*deadline = EMS_NOW;
	else if (milliseconds > 0 && milliseconds < 1e12)
		*deadline = ems_deadline_in((uint64_t)(milliseconds * 1e6));
	return true;
}

/* ---- text ---- */

/* What UTF-8 cannot say, JavaScript's conversion replaces; here it is refused. Asked only when a replacement is seen. */
static bool has_lone_surrogate(napi_env env, napi_value js)
{
	size_t length = 0;
	char16_t *units;
	bool lone = false;

	napi_get_value_string_utf16(env, js, NULL, 0, &length);
	units = malloc((length + 1) * sizeof *units);
	if (!units)
		return true;
	napi_get_value_string_utf16(env, js, units, length + 1, &length);
	for (size_t i = 0; i < length && !lone; i++) {
		if ((units[i] & 0xfc00) == 0xd800 && i + 1 < length && (units[i + 1] & 0xfc00) == 0xdc00)
			i++;
		else
			lone = (units[i] & 0xf800) == 0xd800;
	}
	free(units);
	return lone;
}

bool text_get(napi_env env, napi_value js, struct argument *argument)
{
	size_t size = 0;
	char *text = argument->small;

	argument->memory = NULL;
	if (napi_get_value_string_utf8(env, js, text, sizeof argument->small, &size) != napi_ok) {
		throw_type(env, "a string is needed");
		return false;
	}
	if (size >= sizeof argument->small - 4) { /* it may be longer */
		napi_get_value_string_utf8(env, js, NULL, 0, &size);
		argument->memory = text = malloc(size + 1);
		if (!text) {
			throw_ems(env, -EMS_ENOMEMORY);
			return false;
		}
		napi_get_value_string_utf8(env, js, text, size + 1, &size);
	}
	if (memmem(text, size, "\xef\xbf\xbd", 3) && has_lone_surrogate(env, js)) {
		argument_clear(argument);
		throw_type(env, "a string with half a surrogate pair, which UTF-8 cannot say");
		return false;
	}
	argument->value = ems_value_data(EMS_STRING, text, size);
	return true;
}

void argument_clear(struct argument *argument)
{
	free(argument->memory);
	argument->memory = NULL;
}

/* ---- values ---- */

static bool json_get(struct addon *addon, napi_value js, struct argument *argument)
{
	napi_value function, text, global;
	napi_valuetype type;

	napi_get_reference_value(addon->env, addon->stringify, &function);
	napi_get_global(addon->env, &global);
	if (napi_call_function(addon->env, global, function, 1, &js, &text) != napi_ok)
		return false;
	napi_typeof(addon->env, text, &type);
	if (type != napi_string) {
		throw_type(addon->env, "an object that JSON cannot say");
		return false;
	}
	if (!text_get(addon->env, text, argument))
		return false;
	argument->value.type = EMS_JSON;
	return true;
}

static bool bytes_get(napi_env env, napi_value js, struct argument *argument)
{
	void *data = NULL;
	size_t size = 0, length;
	bool is = false;
	napi_typedarray_type type;

	if (napi_is_buffer(env, js, &is) == napi_ok && is) {
		napi_get_buffer_info(env, js, &data, &size);
	} else if (napi_is_typedarray(env, js, &is) == napi_ok && is) {
		napi_get_typedarray_info(env, js, &type, &length, &data, NULL, NULL);
		if (type != napi_uint8_array)
			return false;
		size = length;
	} else if (napi_is_arraybuffer(env, js, &is) == napi_ok && is) {
		napi_get_arraybuffer_info(env, js, &data, &size);
	} else {
		return false;
	}
	argument->value = ems_value_data(EMS_BYTES, size ? data : "", size);
	return true;
}

static bool other_get(struct addon *addon, napi_value js, napi_valuetype type, struct argument *argument)
{
	switch (type) {
	case napi_undefined:
		argument->value = (ems_value_t)EMS_VALUE_INIT;
		return true;
	case napi_boolean:
		argument->value = ems_value_boolean(boolean_of(addon->env, js));
		return true;
	case napi_string:
		return text_get(addon->env, js, argument);
	case napi_bigint:
		argument->value = ems_value_integer(0);
		return bigint_get(addon->env, js, &argument->value.integer);
	case napi_null:
		return json_get(addon, js, argument);
	case napi_object:
		return bytes_get(addon->env, js, argument) || json_get(addon, js, argument);
	default:
		throw_type(addon->env, "functions and symbols cannot be shared");
		return false;
	}
}

bool argument_get(struct addon *addon, napi_value js, struct argument *argument)
{
	double number;
	napi_valuetype type;

	argument->memory = NULL;
	if (napi_get_value_double(addon->env, js, &number) == napi_ok) {
		argument->value = is_integer(number) ? ems_value_integer((int64_t)number) : ems_value_float(number);
		return true;
	}
	napi_typeof(addon->env, js, &type);
	return other_get(addon, js, type, argument);
}

static napi_value json_to_js(struct addon *addon, const ems_value_t *value)
{
	napi_value text, function, global, js = NULL;

	if (napi_create_string_utf8(addon->env, value->data, value->size, &text) != napi_ok)
		return throw_ems(addon->env, -EMS_ENOMEMORY);
	napi_get_reference_value(addon->env, addon->parse, &function);
	napi_get_global(addon->env, &global);
	if (napi_call_function(addon->env, global, function, 1, &text, &js) != napi_ok)
		return NULL;
	return js;
}

napi_value value_to_js(struct addon *addon, const ems_value_t *value, bool numbers)
{
	napi_value js = NULL;

	switch (value->type) {
	case EMS_BOOLEAN:
		return js_boolean(addon->env, value->boolean);
	case EMS_INTEGER:
		return js_int64(addon->env, value->integer, numbers);
	case EMS_FLOAT:
		return js_number(addon->env, value->number);
	case EMS_STRING:
		if (napi_create_string_utf8(addon->env, value->data ? value->data : "", value->size, &js) != napi_ok)
			return throw_ems(addon->env, -EMS_ENOMEMORY);
		return js;
	case EMS_JSON:
		return json_to_js(addon, value);
	case EMS_BYTES:
		if (napi_create_buffer_copy(addon->env, value->size, value->data ? value->data : "", NULL, &js) != napi_ok)
			return throw_ems(addon->env, -EMS_ENOMEMORY);
		return js;
	default:
		return js_undefined(addon->env);
	}
}

/* ---- keys ---- */

bool key_get(struct addon *addon, napi_value js, struct key_argument *key)
{
	double number;
	napi_valuetype type;
	int64_t integer;

	key->text.memory = NULL;
	if (napi_get_value_double(addon->env, js, &number) == napi_ok) {
		if (number == 0 || is_integer(number))
			key->key = ems_index((int64_t)number);
		else
			key->key = ems_key_float(number);
		return true;
	}
	napi_typeof(addon->env, js, &type);
	if (type == napi_boolean) {
		key->key = ems_key_boolean(boolean_of(addon->env, js));
		return true;
	}
	if (type == napi_bigint) {
		if (!bigint_get(addon->env, js, &integer))
			return false;
		key->key = ems_index(integer);
		return true;
	}
	if (type != napi_string) {
		throw_type(addon->env, "a key is a string, a number or a boolean");
		return false;
	}
	if (!text_get(addon->env, js, &key->text))
		return false;
	key->key = ems_key_bytes(key->text.value.data, key->text.value.size);
	return true;
}

void key_clear(struct key_argument *key)
{
	argument_clear(&key->text);
}

napi_value key_to_js(napi_env env, const ems_key_t *key)
{
	napi_value js;

	switch (key->type) {
	case EMS_KEY_FLOAT:
		return js_number(env, key->number);
	case EMS_KEY_BOOLEAN:
		return js_boolean(env, key->boolean);
	case EMS_KEY_STRING:
		napi_create_string_utf8(env, key->text, key->size, &js);
		return js;
	default:
		return js_int64(env, key->integer, false);
	}
}
