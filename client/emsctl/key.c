/*
 * key.c: keys as words of the command line, and in results.
 */
#include "client/emsctl/key.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "client/emsctl/json.h"
#include "client/emsctl/text_out.h"
#include "client/emsctl/value.h"

bool is_plain_integer(const char *text, size_t size)
{
	size_t sign = size > 0 && text[0] == '-';

	if (size == sign || (text[sign] == '0' && size > 1))
		return false;
	for (size_t i = sign; i < size; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
	}
	return true;
}

static uint32_t key_type_or_exit(const struct command *command, const char *name)
{
	static const char *const names[] = {"integer", "float", "boolean", "string"};
	static const uint32_t types[] = {EMS_KEY_INTEGER, EMS_KEY_FLOAT, EMS_KEY_BOOLEAN, EMS_KEY_STRING};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (strcmp(name, names[i]) == 0)
			return types[i];
	}
	usage_error(command, "\"%s\" is not a type of key (integer, float, boolean, string)", name);
}

bool target_option(struct target *target, const struct command *command, int letter)
{
	switch (letter) {
	case 's':
		target->key_type = EMS_KEY_STRING;
		return true;
	case 'k':
		target->key_type = key_type_or_exit(command, optarg);
		return true;
	case 'T':
		target->timeout = duration_parse_or_exit(command, optarg);
		return true;
	default:
		return false;
	}
}

ems_deadline_t target_deadline(const struct target *target)
{
	return target->timeout == UINT64_MAX ? EMS_FOREVER : ems_deadline_in(target->timeout);
}

static ems_key_t parse_typed(const struct command *command, const char *word, uint32_t type)
{
	double number;
	int64_t integer;
	bool boolean;

	switch (type) {
	case EMS_KEY_INTEGER:
		if (text_parse_int(word, INT64_MIN, INT64_MAX, &integer) == 0)
			return ems_index(integer);
		usage_error(command, "key \"%s\" is not an integer of 64 bits", word);
	case EMS_KEY_FLOAT:
		if (double_parse(word, strlen(word), &number))
			return ems_key_float(number);
		usage_error(command, "key \"%s\" is not a number", word);
	case EMS_KEY_BOOLEAN:
		if (boolean_parse(word, strlen(word), &boolean))
			return ems_key_boolean(boolean);
		usage_error(command, "key \"%s\" is neither true nor false", word);
	default:
		return ems_key(word);
	}
}

ems_key_t key_parse_or_exit(const struct command *command, const ems_heap_t *heap, const char *word,
			    uint32_t type)
{
	int64_t integer;

	if (!ems_heap_has_map(heap)) {
		if (text_parse_int(word, 0, INT64_MAX, &integer) < 0 ||
		    (type != 0 && type != EMS_KEY_INTEGER))
			usage_error(command, "heap \"%s\" has no keys, so \"%s\" should be an index",
				    ems_heap_name(heap), word);
		return ems_index(integer);
	}
	if (type != 0)
		return parse_typed(command, word, type);
	if (is_plain_integer(word, strlen(word)) && text_parse_int(word, INT64_MIN, INT64_MAX, &integer) == 0)
		return ems_index(integer);
	return ems_key(word);
}

void key_print(FILE *out, const ems_key_t *key)
{
	bool quoted;

	switch (key->type) {
	case EMS_KEY_INTEGER:
		fprintf(out, "%" PRId64, key->integer);
		break;
	case EMS_KEY_FLOAT:
		double_print(out, key->number);
		break;
	case EMS_KEY_BOOLEAN:
		fputs(key->boolean ? "true" : "false", out);
		break;
	default:
		quoted = key->size == 0 || key->text[0] == '"' || is_plain_integer(key->text, key->size);
		fputs(quoted ? "\"" : "", out);
		text_print_bytes(out, key->text, key->size, TEXT_ON_A_LINE);
		fputs(quoted ? "\"" : "", out);
	}
}

void key_print_json(FILE *out, const ems_key_t *key)
{
	switch (key->type) {
	case EMS_KEY_INTEGER:
		fprintf(out, "%" PRId64, key->integer);
		break;
	case EMS_KEY_FLOAT:
		json_double(out, key->number);
		break;
	case EMS_KEY_BOOLEAN:
		fputs(key->boolean ? "true" : "false", out);
		break;
	default:
		json_text(out, key->text, key->size);
	}
}
