/*
 * proto_random.h: fills any message of the protocol with random contents, and compares two, by the schema's
 * tables: so a message that is added is tested without another line here.
 */
#ifndef TESTS_PROTO_RANDOM_H
#define TESTS_PROTO_RANDOM_H

#include <string.h>

#include "proto/schema.h"
#include "tests/unit/unit.h"

/* Texts that show careless handling: empty, as long as can be, more than one byte a character. */
static inline void random_text(uint64_t *state, char *text, size_t size)
{
	static const char *const pieces[] = {"a", "/", "\xc3\xa4", "\xf0\x9f\x98\x80", "\"", "~"};
	size_t wanted = unit_random(state) % 4 == 0 ? size : unit_random(state) % size, used = 0;

	memset(text, 0, size);
	for (;;) {
		const char *piece = pieces[unit_random(state) % 6];

		if (used + strlen(piece) >= size || used >= wanted)
			return;
		memcpy(text + used, piece, strlen(piece));
		used += strlen(piece);
	}
}

static inline void random_value(uint64_t *state, struct proto_value *value)
{
	static const char text[] = "{\"a\":[1,2,3]} \xc3\xa4";

	value->type = (enum proto_type)(unit_random(state) % 7);
	if (value->type == PROTO_BOOLEAN)
		value->boolean = unit_random(state) & 1;
	else if (value->type == PROTO_INTEGER)
		value->integer = (int64_t)(unit_random(state) >> unit_random(state) % 64) *
				 (unit_random(state) & 1 ? 1 : -1);
	else if (value->type == PROTO_FLOAT)
		value->number = (double)(int64_t)unit_random(state) / 1e9;
	if (value->type >= PROTO_STRING) {
		value->data = text;
		value->size = unit_random(state) & 1 ? sizeof(text) - 1 : 3;
	}
}

static inline void random_struct(uint64_t *state, const struct schema *schema, uint8_t *body);

static inline void random_field(uint64_t *state, const struct field *field, uint8_t *body)
{
	uint8_t *place = body + field->offset;
	uint64_t number = unit_random(state) >> unit_random(state) % 64;
	unsigned names = 0;

	while (field->names && field->names[names])
		names++;
	if (field->maximum)
		number %= field->maximum + 1;
	switch (field->kind) {
	case FIELD_NUMBER:
		/* Not 0: elements of 0 would mean that there is no geometry. */
		number = number ? number : 1;
		if (field->size == 8)
			*(uint64_t *)place = number;
		else
			*(uint32_t *)place = (uint32_t)number ? (uint32_t)number : 1;
		break;
	case FIELD_BOOL:
		*(bool *)place = number & 1;
		break;
	case FIELD_TEXT:
		random_text(state, (char *)place, field->size);
		break;
	case FIELD_ID:
		for (uint32_t i = 0; i < field->size; i++)
			place[i] = (uint8_t)unit_random(state);
		break;
	case FIELD_CHOICE:
		*(unsigned *)place = (unsigned)(number % names);
		break;
	case FIELD_VALUE:
		random_value(state, (struct proto_value *)place);
		break;
	case FIELD_STRUCT:
		random_struct(state, field->schema, place);
		break;
	case FIELD_LIST:
		*(uint32_t *)(body + field->count_offset) = (uint32_t)(number % (field->most + 1));
		for (uint32_t i = 0; i < number % (field->most + 1); i++)
			random_struct(state, field->schema, place + (size_t)i * field->size);
		break;
	case FIELD_FEATURES:
		*(uint64_t *)place = number & ((UINT64_C(1) << names) - 1);
		break;
	}
}

static inline void random_struct(uint64_t *state, const struct schema *schema, uint8_t *body)
{
	for (uint32_t i = 0; i < schema->count; i++)
		random_field(state, &schema->fields[i], body);
}

static inline bool same_value(const struct proto_value *a, const struct proto_value *b)
{
	if (a->type != b->type)
		return false;
	switch (a->type) {
	case PROTO_UNDEFINED:
		return true;
	case PROTO_BOOLEAN:
		return a->boolean == b->boolean;
	case PROTO_INTEGER:
		return a->integer == b->integer;
	case PROTO_FLOAT:
		return memcmp(&a->number, &b->number, sizeof(double)) == 0;
	default:
		return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
	}
}

/* The key of a field in which a and b differ, or NULL. */
static inline const char *difference(const struct schema *schema, const uint8_t *a, const uint8_t *b)
{
	const char *found = NULL;

	for (uint32_t i = 0; i < schema->count && !found; i++) {
		const struct field *field = &schema->fields[i];
		const uint8_t *x = a + field->offset, *y = b + field->offset;
		bool same = true;

		if (field->kind == FIELD_STRUCT) {
			found = difference(field->schema, x, y);
		} else if (field->kind == FIELD_VALUE) {
			same = same_value((const struct proto_value *)x, (const struct proto_value *)y);
		} else if (field->kind == FIELD_LIST) {
			uint32_t count = *(const uint32_t *)(a + field->count_offset);

			same = count == *(const uint32_t *)(b + field->count_offset);
			for (uint32_t j = 0; same && j < count && !found; j++)
				found = difference(field->schema, x + (size_t)j * field->size,
						   y + (size_t)j * field->size);
		} else {
			same = memcmp(x, y, field->size) == 0;
		}
		if (!same)
			found = field->key;
	}
	return found;
}

#endif
