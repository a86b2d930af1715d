/*
 * schema.h: how each struct of proto/message.h is made of fields. Internal to proto.
 *
 * One table a struct (schema.c), which encoding and decoding both walk: so they cannot disagree.
 */
#ifndef PROTO_SCHEMA_H
#define PROTO_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/message.h"

enum field_kind {
	FIELD_NUMBER,	/* uint32_t or uint64_t, by size */
	FIELD_BOOL,	/* bool */
	FIELD_TEXT,	/* char[size], with a NUL behind */
	FIELD_ID,	/* uint8_t[size]; bin */
	FIELD_CHOICE,	/* an enum; str, one of names[], by number */
	FIELD_VALUE,	/* struct proto_value */
	FIELD_STRUCT,	/* of schema; map */
	FIELD_LIST,	/* uint32_t at count_offset; most structs of schema at offset; array of maps */
	FIELD_FEATURES, /* uint64_t; array of str, names[] by bit */
};

struct schema;

struct field {
	const char *key;
	enum field_kind kind;
	bool required;
	uint32_t offset, size;
	uint32_t count_offset, most;
	uint64_t maximum;	  /* FIELD_NUMBER; 0: what fits */
	uint64_t absent;	  /* FIELD_NUMBER: value when the field is */
	const char *const *names; /* ends with NULL */
	const struct schema *schema;
};

struct schema {
	uint32_t size; /* of the struct */
	uint32_t count;
	const struct field *fields; /* at most 64 */
};

/* NULL for UNKNOWN. */
const struct schema *schema_of_request(enum proto_op op);
const struct schema *schema_of_reply(enum proto_op op);
const struct schema *schema_of_event(enum proto_event event);

#endif
