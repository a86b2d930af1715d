/*
 * value.c: words of the command line as values.
 */
#include "client/emsctl/value.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/utf8.h"
#include "client/emsctl/json.h"
#include "client/emsctl/key.h"

static const char *const type_names[] = {
	[EMS_UNDEFINED] = "undefined", [EMS_BOOLEAN] = "boolean", [EMS_INTEGER] = "integer",
	[EMS_FLOAT] = "float",	       [EMS_STRING] = "string",	  [EMS_JSON] = "json",
	[EMS_BYTES] = "bytes",
};
#define TYPES (sizeof(type_names) / sizeof(type_names[0]))

const char *type_name(uint32_t type)
{
	return type < TYPES ? type_names[type] : "unknown";
}

uint32_t type_or_exit(const struct command *command, const char *name)
{
	static const struct {
		const char *name;
		uint32_t type;
	} short_names[] = {{"int", EMS_INTEGER}, {"bool", EMS_BOOLEAN}};

	for (uint32_t type = 0; type < TYPES; type++) {
		if (strcmp(name, type_names[type]) == 0)
			return type;
	}
	for (size_t i = 0; i < sizeof(short_names) / sizeof(short_names[0]); i++) {
		if (strcmp(name, short_names[i].name) == 0)
			return short_names[i].type;
	}
	usage_error(command,
		    "\"%s\" is not a type of value (undefined, boolean, integer, float, string, json, bytes)",
		    name);
}

static bool equals(const char *text, size_t size, const char *word)
{
	return size == strlen(word) && memcmp(text, word, size) == 0;
}

bool boolean_parse(const char *text, size_t size, bool *_boolean)
{
	if (!equals(text, size, "true") && !equals(text, size, "false"))
		return false;
	*_boolean = text[0] == 't';
	return true;
}

bool double_parse(const char *text, size_t size, double *_number)
{
	if (equals(text, size, "NaN"))
		*_number = NAN;
	else if (equals(text, size, "Infinity"))
		*_number = INFINITY;
	else if (equals(text, size, "-Infinity"))
		*_number = -INFINITY;
	else {
		char *copy = json_is_number(text, size) ? strndup(text, size) : NULL;
		double number = copy ? strtod(copy, NULL) : NAN;

		free(copy);
		if (!isfinite(number))
			return false;
		*_number = number;
	}
	return true;
}

static bool integer_parse(const char *text, size_t size, int64_t *_integer)
{
	char copy[32]; /* longer than any integer of 64 bits */

	if (size >= sizeof(copy))
		return false;
	memcpy(copy, text, size);
	copy[size] = 0;
	return strlen(copy) == size && text_parse_int(copy, INT64_MIN, INT64_MAX, _integer) == 0;
}

/* The type whose values look like this. */
static uint32_t guess_type(const char *text, size_t size)
{
	double number;
	bool boolean;

	if (is_plain_integer(text, size))
		return EMS_INTEGER;
	if (boolean_parse(text, size, &boolean))
		return EMS_BOOLEAN;
	if (equals(text, size, "undefined"))
		return EMS_UNDEFINED;
	/* "-0" is a number, and no integer. */
	if (double_parse(text, size, &number))
		return EMS_FLOAT;
	if (size > 0 && (text[0] == '{' || text[0] == '[' || equals(text, size, "null")) &&
	    json_valid(text, size))
		return EMS_JSON;
	return EMS_STRING;
}

static void take_text(ems_value_t *value, const char *text, size_t size)
{
	value->data = (char *)(uintptr_t)text; /* an argument's data is not written to */
	value->size = size;
}

/* Returns what is wrong, or NULL. */
static const char *parse_as(const char *text, size_t size, uint32_t type, ems_value_t *value)
{
	switch (type) {
	case EMS_UNDEFINED:
		return size == 0 || equals(text, size, "undefined") ? NULL : "is not undefined";
	case EMS_BOOLEAN:
		return boolean_parse(text, size, &value->boolean) ? NULL : "is neither true nor false";
	case EMS_INTEGER:
		return integer_parse(text, size, &value->integer) ? NULL : "is not an integer of 64 bits";
	case EMS_FLOAT:
		return double_parse(text, size, &value->number) ? NULL : "is not a float";
	case EMS_STRING:
		take_text(value, text, size);
		return utf8_valid(text, size) ? NULL : "is not UTF-8; --type bytes takes anything";
	case EMS_JSON:
		take_text(value, text, size);
		return json_valid(text, size) ? NULL : "is not JSON";
	default:
		take_text(value, text, size);
		return NULL;
	}
}

/* The library keeps objects, arrays and null as JSON; the rest of JSON has types of its own. */
static const char *check_json_kind(const char *text, size_t size)
{
	size_t blanks = 0;

	while (blanks < size && memchr(" \t\r\n", text[blanks], 4))
		blanks++;
	if (blanks < size && (text[blanks] == '{' || text[blanks] == '[' || text[blanks] == 'n'))
		return NULL;
	return "is JSON of a type of its own: --type string, integer, float or boolean";
}

void value_parse_or_exit(const struct command *command, const char *text, size_t size, uint32_t type,
			 ems_value_t *value)
{
	const char *wrong;

	*value = (ems_value_t)EMS_VALUE_INIT;
	value->type = type == TYPE_GUESS ? guess_type(text, size) : type;
	wrong = parse_as(text, size, value->type, value);
	if (!wrong && value->type == EMS_JSON)
		wrong = check_json_kind(text, size);
	if (wrong)
		usage_error(command, "value \"%.*s%s\" %s%s", size > 60 ? 60 : (int)size, text,
			    size > 60 ? "…" : "", wrong,
			    type == TYPE_GUESS && value->type == EMS_INTEGER
				    ? " (--type float or --type string takes it)"
				    : "");
}
