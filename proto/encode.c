/*
 * encode.c: structs to frames, with msgpack-c's packer writing into a proto_buffer.
 */
#include "proto/codec.h"

#include <msgpack/pack.h>
#include <string.h>

#include "base/error.h"
#include "base/macros.h"
#include "base/utf8.h"
#include "proto/schema.h"

void proto_buffer_fini(struct proto_buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct proto_buffer){0};
}

static int buffer_append(struct proto_buffer *buffer, const void *data, size_t size)
{
	size_t capacity = buffer->capacity ? buffer->capacity : 256;
	uint8_t *grown;

	while (capacity - buffer->size < size)
		capacity *= 2;
	if (capacity != buffer->capacity) {
		grown = realloc(buffer->data, capacity);
		if (!grown)
			return -ERROR_NO_MEMORY;
		buffer->data = grown;
		buffer->capacity = capacity;
	}
	memcpy(buffer->data + buffer->size, data, size);
	buffer->size += size;
	return 0;
}

/* msgpack-c's callback: 0 or not. */
static int write_packed(void *buffer, const char *data, size_t size)
{
	return buffer_append(buffer, data, size) ? -1 : 0;
}

static int pack_text(msgpack_packer *packer, const char *text)
{
	size_t size = strlen(text);

	return msgpack_pack_str(packer, size) || msgpack_pack_str_body(packer, text, size) ? -ERROR_NO_MEMORY
											   : 0;
}

static int pack_value(msgpack_packer *packer, const struct proto_value *value)
{
	int failed;

	if (value->type >= PROTO_STRING && value->size > PROTO_VALUE_MAX)
		return -ERROR_RANGE;
	switch (value->type) {
	case PROTO_UNDEFINED:
		failed = msgpack_pack_nil(packer);
		break;
	case PROTO_BOOLEAN:
		failed = value->boolean ? msgpack_pack_true(packer) : msgpack_pack_false(packer);
		break;
	case PROTO_INTEGER:
		failed = msgpack_pack_int64(packer, value->integer);
		break;
	case PROTO_FLOAT:
		failed = msgpack_pack_double(packer, value->number);
		break;
	case PROTO_STRING:
		if (!utf8_valid(value->data, value->size))
			return -ERROR_RANGE;
		failed = msgpack_pack_str(packer, value->size) ||
			 (value->size && msgpack_pack_str_body(packer, value->data, value->size));
		break;
	case PROTO_JSON:
		if (!utf8_valid(value->data, value->size))
			return -ERROR_RANGE;
		failed = msgpack_pack_ext(packer, value->size, PROTO_EXT_JSON) ||
			 (value->size && msgpack_pack_ext_body(packer, value->data, value->size));
		break;
	case PROTO_BYTES:
		failed = msgpack_pack_bin(packer, value->size) ||
			 (value->size && msgpack_pack_bin_body(packer, value->data, value->size));
		break;
	default:
		return -ERROR_RANGE;
	}
	return failed ? -ERROR_NO_MEMORY : 0;
}

static int pack_number(msgpack_packer *packer, const struct field *field, const void *place)
{
	uint64_t number = field->size == 8 ? *(const uint64_t *)place : *(const uint32_t *)place;

	if (field->maximum && number > field->maximum)
		return -ERROR_RANGE;
	return msgpack_pack_uint64(packer, number) ? -ERROR_NO_MEMORY : 0;
}

static int pack_choice(msgpack_packer *packer, const struct field *field, const void *place)
{
	unsigned choice = *(const unsigned *)place;

	for (unsigned i = 0; field->names[i]; i++)
		if (i == choice)
			return pack_text(packer, field->names[i]);
	return -ERROR_RANGE;
}

static int pack_features(msgpack_packer *packer, const struct field *field, uint64_t features)
{
	uint64_t known = 0;
	int r;

	for (unsigned i = 0; field->names[i]; i++)
		known |= UINT64_C(1) << i;
	if (msgpack_pack_array(packer, (size_t)__builtin_popcountll(features & known)))
		return -ERROR_NO_MEMORY;
	for (unsigned i = 0; field->names[i]; i++) {
		if (!(features >> i & 1))
			continue;
		r = pack_text(packer, field->names[i]);
		if (r)
			return r;
	}
	return 0;
}

static int pack_struct(msgpack_packer *packer, const struct schema *schema, const uint8_t *body);

static int pack_list(msgpack_packer *packer, const struct field *field, const uint8_t *body)
{
	uint32_t count = *(const uint32_t *)(body + field->count_offset);
	int r;

	if (count > field->most)
		return -ERROR_RANGE;
	if (msgpack_pack_array(packer, count))
		return -ERROR_NO_MEMORY;
	for (uint32_t i = 0; i < count; i++) {
		r = pack_struct(packer, field->schema, body + field->offset + (size_t)i * field->size);
		if (r)
			return r;
	}
	return 0;
}

static int pack_field(msgpack_packer *packer, const struct field *field, const uint8_t *body)
{
	const uint8_t *place = body + field->offset;

	switch (field->kind) {
	case FIELD_NUMBER:
		return pack_number(packer, field, place);
	case FIELD_BOOL:
		return (*(const bool *)place ? msgpack_pack_true(packer) : msgpack_pack_false(packer))
			       ? -ERROR_NO_MEMORY
			       : 0;
	case FIELD_TEXT:
		if (!memchr(place, 0, field->size) || !utf8_valid(place, strlen((const char *)place)))
			return -ERROR_RANGE;
		return pack_text(packer, (const char *)place);
	case FIELD_ID:
		return msgpack_pack_bin(packer, field->size) ||
				       msgpack_pack_bin_body(packer, place, field->size)
			       ? -ERROR_NO_MEMORY
			       : 0;
	case FIELD_CHOICE:
		return pack_choice(packer, field, place);
	case FIELD_VALUE:
		return pack_value(packer, (const struct proto_value *)place);
	case FIELD_STRUCT:
		return pack_struct(packer, field->schema, place);
	case FIELD_LIST:
		return pack_list(packer, field, body);
	case FIELD_FEATURES:
		return pack_features(packer, field, *(const uint64_t *)place);
	}
	return -ERROR_RANGE;
}

/* Without required fields a struct of parameters can be left out: elements 0 are no geometry, but "not said".
 */
static bool is_unsaid(const struct field *field, const uint8_t *body)
{
	return field->kind == FIELD_STRUCT && !field->required && field->schema->fields[0].required &&
	       *(const uint64_t *)(body + field->offset) == 0;
}

static int pack_struct(msgpack_packer *packer, const struct schema *schema, const uint8_t *body)
{
	uint32_t count = 0;
	int r;

	for (uint32_t i = 0; i < schema->count; i++)
		count += !is_unsaid(&schema->fields[i], body);
	if (msgpack_pack_map(packer, count))
		return -ERROR_NO_MEMORY;
	for (uint32_t i = 0; i < schema->count; i++) {
		if (is_unsaid(&schema->fields[i], body))
			continue;
		r = pack_text(packer, schema->fields[i].key);
		if (r)
			return r;
		r = pack_field(packer, &schema->fields[i], body);
		if (r)
			return r;
	}
	return 0;
}

/* {id: …} or nothing of it, {key: text} or nothing of it, then "body". */
static int pack_envelope(msgpack_packer *packer, uint64_t id, const char *key, const char *text)
{
	if (msgpack_pack_map(packer, 1 + (id != 0) + (key != NULL)))
		return -ERROR_NO_MEMORY;
	if (id && (pack_text(packer, "id") || msgpack_pack_uint64(packer, id)))
		return -ERROR_NO_MEMORY;
	if (key && (pack_text(packer, key) || pack_text(packer, text)))
		return -ERROR_NO_MEMORY;
	return 0;
}

/* Starts a frame; yields where, for frame_end. */
static int frame_begin(struct proto_buffer *buffer, msgpack_packer *packer, size_t *_start)
{
	static const uint8_t length[4];

	*_start = buffer->size;
	msgpack_packer_init(packer, buffer, write_packed);
	return buffer_append(buffer, length, sizeof(length));
}

/* Sets the frame's length, or, after an error, takes the frame out again. */
static int frame_end(struct proto_buffer *buffer, size_t start, int r)
{
	size_t size = buffer->size - start - 4;

	if (!r && size > PROTO_FRAME_MAX)
		r = -ERROR_RANGE;
	if (r) {
		buffer->size = start;
		return r;
	}
	for (unsigned i = 0; i < 4; i++)
		buffer->data[start + i] = (uint8_t)(size >> (8 * i));
	return 0;
}

static int encode(struct proto_buffer *buffer, uint64_t id, const char *key, const char *text,
		  const struct schema *schema, const void *body)
{
	msgpack_packer packer;
	size_t start;
	int r;

	if (!schema)
		return -ERROR_RANGE;
	r = frame_begin(buffer, &packer, &start);
	if (r)
		return r;
	r = pack_envelope(&packer, id, key, text);
	if (!r)
		r = pack_text(&packer, "body");
	if (!r)
		r = pack_struct(&packer, schema, body);
	return frame_end(buffer, start, r);
}

int proto_encode_request(struct proto_buffer *buffer, uint64_t id, enum proto_op op, const void *body)
{
	if ((id == 0) != (op == PROTO_TRIM))
		return -ERROR_RANGE;
	return encode(buffer, id, "op", proto_op_name(op), schema_of_request(op), body);
}

int proto_encode_reply(struct proto_buffer *buffer, uint64_t id, enum proto_op op, const void *body)
{
	if (id == 0)
		return -ERROR_RANGE;
	return encode(buffer, id, NULL, NULL, schema_of_reply(op), body);
}

int proto_encode_event(struct proto_buffer *buffer, enum proto_event event, const void *body)
{
	return encode(buffer, 0, "event", proto_event_name(event), schema_of_event(event), body);
}

/* The bytes of text to send: at most PROTO_ERROR_MAX, not cut inside a character. */
static size_t message_size(const char *text)
{
	size_t size = strnlen(text, PROTO_ERROR_MAX + 1);

	if (size <= PROTO_ERROR_MAX)
		return size;
	size = PROTO_ERROR_MAX;
	while (size > 0 && ((uint8_t)text[size] & 0xc0) == 0x80)
		size--;
	return size;
}

int proto_encode_error(struct proto_buffer *buffer, uint64_t id, int code, const char *text)
{
	msgpack_packer packer;
	size_t start, size;
	int r;

	if (!text || !utf8_valid(text, message_size(text)))
		text = error_text(code);
	size = message_size(text);
	r = frame_begin(buffer, &packer, &start);
	if (r)
		return r;
	if (msgpack_pack_map(&packer, id ? 2 : 1) ||
	    (id && (pack_text(&packer, "id") || msgpack_pack_uint64(&packer, id))) ||
	    pack_text(&packer, "error") || msgpack_pack_map(&packer, 3) || pack_text(&packer, "code") ||
	    msgpack_pack_uint64(&packer, (uint64_t)abs(code)) || pack_text(&packer, "name") ||
	    pack_text(&packer, error_name(code)) || pack_text(&packer, "message") ||
	    msgpack_pack_str(&packer, size) || msgpack_pack_str_body(&packer, text, size))
		r = -ERROR_NO_MEMORY;
	return frame_end(buffer, start, r);
}
