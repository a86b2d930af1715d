/*
 * decode.c: frames to structs.
 *
 * proto_parse walks the whole frame once, so that the decoding of a body meets well-formed msgpack only; it
 * checks again nevertheless. Work is linear in the frame's size.
 */
#include "proto/codec.h"

#include <string.h>

#include "base/error.h"
#include "base/utf8.h"
#include "proto/schema.h"
#include "proto/unpack.h"

static int decode_text(const struct field *field, const struct unpack_item *item, uint8_t *place)
{
	if (item->kind != UNPACK_STR || item->size >= field->size || memchr(item->data, 0, item->size))
		return -ERROR_PROTOCOL;
	memcpy(place, item->data, item->size);
	return 0;
}

static int decode_number(const struct field *field, const struct unpack_item *item, uint8_t *place)
{
	uint64_t maximum = field->maximum ? field->maximum : field->size == 8 ? UINT64_MAX : UINT32_MAX;

	if (item->kind != UNPACK_UINT || item->number > maximum)
		return -ERROR_PROTOCOL;
	if (field->size == 8)
		*(uint64_t *)place = item->number;
	else
		*(uint32_t *)place = (uint32_t)item->number;
	return 0;
}

static int decode_choice(const struct field *field, const struct unpack_item *item, uint8_t *place)
{
	for (unsigned i = 0; field->names[i]; i++) {
		if (unpack_is_text(item, field->names[i])) {
			*(unsigned *)place = i;
			return 0;
		}
	}
	return -ERROR_PROTOCOL;
}

static int decode_blob(const struct unpack_item *item, enum proto_type type, struct proto_value *value)
{
	if (item->size > PROTO_VALUE_MAX)
		return -ERROR_PROTOCOL;
	value->type = type;
	value->data = item->data;
	value->size = item->size;
	return 0;
}

static int decode_value(const struct unpack_item *item, struct proto_value *value)
{
	switch (item->kind) {
	case UNPACK_NIL:
		value->type = PROTO_UNDEFINED;
		return 0;
	case UNPACK_BOOL:
		value->type = PROTO_BOOLEAN;
		value->boolean = item->number != 0;
		return 0;
	case UNPACK_UINT:
		if (item->number > INT64_MAX)
			return -ERROR_PROTOCOL;
		/* fall through */
	case UNPACK_NEGATIVE:
		value->type = PROTO_INTEGER;
		value->integer = (int64_t)item->number;
		return 0;
	case UNPACK_FLOAT:
		value->type = PROTO_FLOAT;
		value->number = item->real;
		return 0;
	case UNPACK_STR:
		return decode_blob(item, PROTO_STRING, value);
	case UNPACK_BIN:
		return decode_blob(item, PROTO_BYTES, value);
	case UNPACK_EXT:
		if (item->ext != PROTO_EXT_JSON || !utf8_valid(item->data, item->size))
			return -ERROR_PROTOCOL;
		return decode_blob(item, PROTO_JSON, value);
	default:
		return -ERROR_PROTOCOL;
	}
}

static int decode_features(struct unpack *unpack, const struct field *field, const struct unpack_item *item,
			   uint64_t *features)
{
	struct unpack_item name;
	int r;

	if (item->kind != UNPACK_ARRAY)
		return -ERROR_PROTOCOL;
	for (uint32_t i = 0; i < item->size; i++) {
		r = unpack_next(unpack, &name);
		if (r || name.kind != UNPACK_STR)
			return -ERROR_PROTOCOL;
		for (unsigned bit = 0; field->names[bit]; bit++)
			if (unpack_is_text(&name, field->names[bit]))
				*features |= UINT64_C(1) << bit;
	}
	return 0;
}

static int decode_struct(struct unpack *unpack, const struct schema *schema, uint8_t *body,
			 const char **_field);

static int decode_list(struct unpack *unpack, const struct field *field, const struct unpack_item *item,
		       uint8_t *body, const char **_field)
{
	int r;

	if (item->kind != UNPACK_ARRAY || item->size > field->most)
		return -ERROR_PROTOCOL;
	for (uint32_t i = 0; i < item->size; i++) {
		r = decode_struct(unpack, field->schema, body + field->offset + (size_t)i * field->size,
				  _field);
		if (r)
			return r;
	}
	*(uint32_t *)(body + field->count_offset) = item->size;
	return 0;
}

static int decode_field(struct unpack *unpack, const struct field *field, uint8_t *body, const char **_field)
{
	uint8_t *place = body + field->offset;
	struct unpack_item item;
	int r;

	*_field = field->key;
	if (field->kind == FIELD_STRUCT)
		return decode_struct(unpack, field->schema, place, _field);
	r = unpack_next(unpack, &item);
	if (r)
		return r;
	switch (field->kind) {
	case FIELD_NUMBER:
		return decode_number(field, &item, place);
	case FIELD_BOOL:
		if (item.kind != UNPACK_BOOL)
			return -ERROR_PROTOCOL;
		*(bool *)place = item.number != 0;
		return 0;
	case FIELD_TEXT:
		return decode_text(field, &item, place);
	case FIELD_ID:
		if (item.kind != UNPACK_BIN || item.size != field->size)
			return -ERROR_PROTOCOL;
		memcpy(place, item.data, field->size);
		return 0;
	case FIELD_CHOICE:
		return decode_choice(field, &item, place);
	case FIELD_VALUE:
		return decode_value(&item, (struct proto_value *)place);
	case FIELD_LIST:
		return decode_list(unpack, field, &item, body, _field);
	case FIELD_FEATURES:
		return decode_features(unpack, field, &item, (uint64_t *)place);
	case FIELD_STRUCT:
		break;
	}
	return -ERROR_PROTOCOL;
}

/* Fields that are absent: the struct is all zero already. */
static int settle_absent(const struct schema *schema, uint64_t seen, uint8_t *body, const char **_field)
{
	for (uint32_t i = 0; i < schema->count; i++) {
		const struct field *field = &schema->fields[i];

		if (seen >> i & 1)
			continue;
		*_field = field->key;
		if (field->required)
			return -ERROR_PROTOCOL;
		if (field->absent && field->size == 8)
			*(uint64_t *)(body + field->offset) = field->absent;
		else if (field->absent)
			*(uint32_t *)(body + field->offset) = (uint32_t)field->absent;
	}
	return 0;
}

/* The field that a key names, or schema->count: one of a later version, to be skipped. */
static uint32_t find_field(const struct schema *schema, const struct unpack_item *key)
{
	uint32_t i;

	for (i = 0; i < schema->count; i++)
		if (unpack_is_text(key, schema->fields[i].key))
			break;
	return i;
}

static int decode_struct(struct unpack *unpack, const struct schema *schema, uint8_t *body,
			 const char **_field)
{
	struct unpack_item map, key;
	uint64_t seen = 0;
	uint32_t i;
	int r;

	r = unpack_next(unpack, &map);
	if (r || map.kind != UNPACK_MAP)
		return -ERROR_PROTOCOL;
	for (uint32_t pair = 0; pair < map.size; pair++) {
		r = unpack_next(unpack, &key);
		if (r || key.kind != UNPACK_STR)
			return -ERROR_PROTOCOL;
		i = find_field(schema, &key);
		if (i == schema->count) {
			r = unpack_skip(unpack, PROTO_DEPTH_MAX);
		} else if (seen >> i & 1) {
			/* Which of two would count is the beginning of a confusion. */
			*_field = schema->fields[i].key;
			r = -ERROR_PROTOCOL;
		} else {
			seen |= UINT64_C(1) << i;
			r = decode_field(unpack, &schema->fields[i], body, _field);
		}
		if (r)
			return r;
	}
	return settle_absent(schema, seen, body, _field);
}

static int decode_body(const struct proto_message *message, const struct schema *schema, void *body,
		       const char **_field)
{
	static const uint8_t empty_map[] = {0x80};
	struct unpack unpack = {.at = empty_map, .end = empty_map + sizeof(empty_map)};
	const char *field = "body";
	int r;

	if (!schema)
		return -ERROR_PROTOCOL;
	if (message->body)
		unpack = (struct unpack){.at = message->body, .end = message->body + message->body_size};
	memset(body, 0, schema->size);
	r = decode_struct(&unpack, schema, body, &field);
	if (r && _field)
		*_field = field;
	return r;
}

int proto_decode_request(const struct proto_message *message, void *body, const char **_field)
{
	return decode_body(message, schema_of_request(message->op), body, _field);
}

int proto_decode_reply(const struct proto_message *message, enum proto_op op, void *body, const char **_field)
{
	return decode_body(message, schema_of_reply(op), body, _field);
}

int proto_decode_event(const struct proto_message *message, void *body, const char **_field)
{
	return decode_body(message, schema_of_event(message->event), body, _field);
}
