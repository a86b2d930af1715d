/*
 * value.h: a heap's value as it travels: the fill value of a new heap.
 *
 * On the wire a value is the msgpack value that it looks like: nil, a boolean, an integer, a 64-bit float,
 * str (a string), bin (bytes), or ext type 1 (JSON text).
 */
#ifndef PROTO_VALUE_H
#define PROTO_VALUE_H

#include <stdbool.h>
#include <stdint.h>

/* The numbers are those of the cell types in a segment (doc/LAYOUT), and never change. */
enum proto_type {
	PROTO_UNDEFINED = 0,
	PROTO_BOOLEAN = 1,
	PROTO_INTEGER = 2,
	PROTO_FLOAT = 3,
	PROTO_STRING = 4, /* UTF-8; may hold NUL */
	PROTO_JSON = 5,	  /* UTF-8 */
	PROTO_BYTES = 6,
};

/* Most bytes of a string, JSON or bytes value. */
#define PROTO_VALUE_MAX 65536u

#define PROTO_EXT_JSON 1

struct proto_value {
	enum proto_type type;
	union {
		bool boolean;
		int64_t integer;
		double number; /* PROTO_FLOAT */
	};
	/* STRING, JSON, BYTES. Encoding: the caller's. Decoded: points into the frame, and lives as long. */
	const void *data;
	uint32_t size;
};

#endif
