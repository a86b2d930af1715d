/*
 * dump_line.c: values of a dump as JSON; reading its lines.
 */
#include "client/emsctl/dump_line.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/utf8.h"
#include "client/emsctl/binary.h"
#include "client/emsctl/value.h"

#define DEPTH_MAX (JSON_DEPTH_MAX - 2) /* of JSON that is a part of a line's */

/* ---- writing ---- */

/* Can it stand in a line as it is, and be cut out again byte by byte? */
static bool is_compact(const char *text, size_t size)
{
	bool in_string = false;
	int depth = 0;

	if (size == 0 || !json_valid(text, size))
		return false;
	for (size_t i = 0; i < size; i++) {
		char byte = text[i];

		if (in_string && byte == '\\')
			i++;
		else if (byte == '"')
			in_string = !in_string;
		else if (!in_string && memchr(" \t\r\n", byte, 4))
			return false;
		else if (!in_string && (byte == '{' || byte == '[') && ++depth > DEPTH_MAX)
			return false;
		else if (!in_string && (byte == '}' || byte == ']'))
			depth--;
	}
	return true;
}

static uint64_t bits_of(double number)
{
	uint64_t bits;

	memcpy(&bits, &number, sizeof(bits));
	return bits;
}

void dump_value(struct json_object *object, const ems_value_t *value)
{
	json_member_text(object, "type", type_name(value->type));
	if (value->type == EMS_JSON && !is_compact(value->data, value->size)) {
		json_member(object, "text");
		json_text(object->out, value->data ? value->data : "", value->size);
		return;
	}
	json_member(object, "value");
	if (value->type == EMS_JSON)
		fwrite(value->data, 1, value->size, object->out);
	else
		value_print_json(object->out, value);
	if (value->type == EMS_FLOAT && isnan(value->number) && bits_of(value->number) != bits_of(NAN)) {
		json_member(object, "bits");
		fprintf(object->out, "\"%016" PRIx64 "\"", bits_of(value->number));
	}
}

/* ---- reading ---- */

/* The members of a line, as they stand there; text NULL: absent. */
struct members {
	struct json_slice dump, index, key, queue, stack, end;
	struct json_slice type, value, text, bits, tag;
	struct json_slice map, elements, max_elements, storage, mode, persistent, initial;
};

static void collect(struct json_slice rest, struct members *members)
{
	const struct {
		const char *name;
		struct json_slice *member;
	} known[] = {
		{"dump", &members->dump},
		{"index", &members->index},
		{"key", &members->key},
		{"queue", &members->queue},
		{"stack", &members->stack},
		{"end", &members->end},
		{"type", &members->type},
		{"value", &members->value},
		{"text", &members->text},
		{"bits", &members->bits},
		{"tag", &members->tag},
		{"map", &members->map},
		{"elements", &members->elements},
		{"max_elements", &members->max_elements},
		{"storage", &members->storage},
		{"mode", &members->mode},
		{"persistent", &members->persistent},
		{"initial", &members->initial},
	};
	struct json_slice name, value;

	while (json_next(&rest, &name, &value)) {
		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
			if (json_slice_is(&name, known[i].name))
				*known[i].member = value;
		}
	}
}

static bool parse_uint(const struct json_slice *slice, uint64_t *_number)
{
	char copy[32];

	if (!slice->text || slice->size >= sizeof(copy))
		return false;
	memcpy(copy, slice->text, slice->size);
	copy[slice->size] = 0;
	return text_parse_uint(copy, 0, UINT64_MAX, _number) == 0;
}

/* The slices point into a line that the caller may change. */
static char *place_of(const struct json_slice *slice)
{
	return (char *)(uintptr_t)slice->text;
}

/* The one member of an object of that form: {"name": …}. */
static bool parse_wrapped(const struct json_slice *slice, const char *name, struct json_slice *inner)
{
	struct json_slice rest = *slice, found;

	return json_open(&rest) && json_next(&rest, &found, inner) && json_slice_is(&found, name);
}

/* A string, or {"base64": …}. */
static bool parse_text(const struct json_slice *slice, char **_text, size_t *_size)
{
	struct json_slice inner;

	*_text = place_of(slice);
	if (json_decode(slice, *_text, _size))
		return true;
	return parse_wrapped(slice, "base64", &inner) && json_decode(&inner, *_text, _size) &&
	       base64_decode(*_text, *_size, (unsigned char *)*_text, _size);
}

static bool parse_float(const struct json_slice *slice, double *_number)
{
	struct json_slice inner;
	size_t size;

	if (!parse_wrapped(slice, "float", &inner))
		return double_parse(slice->text, slice->size, _number);
	return json_decode(&inner, place_of(&inner), &size) && double_parse(inner.text, size, _number);
}

static bool parse_integer(const struct json_slice *slice, int64_t *_integer)
{
	char copy[32];

	if (slice->size >= sizeof(copy))
		return false;
	memcpy(copy, slice->text, slice->size);
	copy[slice->size] = 0;
	return text_parse_int(copy, INT64_MIN, INT64_MAX, _integer) == 0;
}

static bool parse_bits(const struct json_slice *slice, double *_number)
{
	char copy[17] = "", *end;
	uint64_t bits;
	size_t size;

	if (slice->size != 18 || !json_decode(slice, copy, &size))
		return false;
	bits = strtoull(copy, &end, 16);
	memcpy(_number, &bits, sizeof(bits));
	return *end == 0;
}

static bool parse_type(const struct json_slice *slice, uint32_t *_type)
{
	for (uint32_t type = EMS_UNDEFINED; type <= EMS_BYTES; type++) {
		const char *name = type_name(type);

		if (slice->text && slice->size == strlen(name) + 2 &&
		    memcmp(slice->text + 1, name, strlen(name)) == 0) {
			*_type = type;
			return true;
		}
	}
	return false;
}

static bool parse_data(const struct members *members, ems_value_t *value)
{
	char *text;

	if (value->type == EMS_JSON && members->value.text) {
		value->data = place_of(&members->value);
		value->size = members->value.size;
		return true;
	}
	if (!parse_text(value->type == EMS_JSON ? &members->text : &members->value, &text, &value->size))
		return false;
	value->data = text;
	return value->type != EMS_BYTES ||
	       base64_decode(text, value->size, (unsigned char *)text, &value->size);
}

static bool parse_value(const struct members *members, ems_value_t *value)
{
	const struct json_slice *slice = &members->value;

	*value = (ems_value_t)EMS_VALUE_INIT;
	if (!parse_type(&members->type, &value->type) || (!slice->text && !members->text.text))
		return false;
	if (value->type >= EMS_STRING)
		return (slice->text || value->type == EMS_JSON) && parse_data(members, value);
	if (!slice->text)
		return false;
	switch (value->type) {
	case EMS_BOOLEAN:
		return boolean_parse(slice->text, slice->size, &value->boolean);
	case EMS_INTEGER:
		return parse_integer(slice, &value->integer);
	case EMS_FLOAT:
		return members->bits.text ? parse_bits(&members->bits, &value->number)
					  : parse_float(slice, &value->number);
	default:
		return json_slice_is(slice, "null");
	}
}

static bool parse_tag(const struct json_slice *slice, ems_tag_t *_tag)
{
	if (!slice->text)
		return false;
	*_tag = json_slice_is(slice, "\"empty\"") ? EMS_EMPTY : EMS_FULL;
	return *_tag == EMS_EMPTY || json_slice_is(slice, "\"full\"");
}

static bool parse_key(const struct json_slice *slice, ems_key_t *key)
{
	double number;
	size_t size;
	char *text;
	bool boolean;

	if (boolean_parse(slice->text, slice->size, &boolean)) {
		*key = ems_key_boolean(boolean);
		return true;
	}
	*key = ems_index(0);
	if (parse_integer(slice, &key->integer))
		return true;
	if (parse_float(slice, &number)) {
		*key = ems_key_float(number);
		return true;
	}
	if (!parse_text(slice, &text, &size))
		return false;
	*key = ems_key_bytes(text, size);
	return true;
}

static const char *parse_header(const struct members *members, struct dump_line *line)
{
	ems_heap_options_t *options = &line->options;
	struct members initial = {.type = {NULL, 0}};
	struct json_slice rest = members->initial;
	char mode[8];
	size_t size = 0;

	if (!parse_uint(&members->dump, &line->number))
		return "is no head of a dump";
	if (line->number != DUMP_VERSION)
		return "is of a dump of a later version";
	if (!members->map.text || !boolean_parse(members->map.text, members->map.size, &options->map) ||
	    !members->persistent.text ||
	    !boolean_parse(members->persistent.text, members->persistent.size, &options->persistent) ||
	    !parse_uint(&members->elements, &options->elements) ||
	    !parse_uint(&members->max_elements, &options->max_elements) ||
	    !parse_uint(&members->storage, &options->storage) || !members->mode.text ||
	    members->mode.size >= sizeof(mode) || !json_decode(&members->mode, mode, &size))
		return "lacks what a heap is made of";
	mode[size] = 0;
	options->mode = (uint32_t)strtoul(mode, NULL, 8);
	if (!rest.text || !json_open(&rest))
		return "lacks the initial value";
	collect(rest, &initial);
	if (!parse_value(&initial, &line->value) || !parse_tag(&initial.tag, &options->initial_tag))
		return "has an initial value that is none";
	return NULL;
}

static const char *parse_item(const struct members *members, struct dump_line *line)
{
	const struct json_slice *number = members->index.text	? &members->index
					  : members->queue.text ? &members->queue
								: &members->stack;
	bool element = members->key.text || members->index.text;

	line->kind = members->key.text	   ? DUMP_KEY
		     : members->index.text ? DUMP_INDEX
		     : members->queue.text ? DUMP_QUEUE
					   : DUMP_STACK;
	if (!parse_value(members, &line->value))
		return "has no value that fits its type";
	if (element && !parse_tag(&members->tag, &line->tag))
		return "has no tag";
	if (line->kind == DUMP_KEY)
		return parse_key(&members->key, &line->key) ? NULL : "has a key that is none";
	return parse_uint(number, &line->number) ? NULL : "has no number";
}

const char *dump_parse(char *text, size_t size, struct dump_line *line)
{
	struct members members = {.type = {NULL, 0}};
	struct json_slice rest = {text, size};

	*line = (struct dump_line){.kind = DUMP_NONE, .value = EMS_VALUE_INIT};
	if (!json_valid(text, size) || !json_open(&rest))
		return "is no object of JSON";
	collect(rest, &members);
	if (members.dump.text) {
		line->kind = DUMP_HEADER;
		return parse_header(&members, line);
	}
	if (members.end.text) {
		line->kind = DUMP_END;
		return parse_uint(&members.elements, &line->elements) &&
				       parse_uint(&members.queue, &line->queue) &&
				       parse_uint(&members.stack, &line->stack)
			       ? NULL
			       : "does not say how much there was";
	}
	if (!members.key.text && !members.index.text && !members.queue.text && !members.stack.text)
		return "is no line of a dump";
	return parse_item(&members, line);
}
