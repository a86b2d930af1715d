/*
 * unpack.h: a strict cursor over msgpack. Internal to proto.
 *
 * It copies nothing, allocates nothing, and believes no count: an array or map that announces more members
 * than bytes are left is malformed, as is text that is not UTF-8. (msgpack-c's own unpacker allocates what
 * a count asks for; that is why it only serves to encode here.)
 */
#ifndef PROTO_UNPACK_H
#define PROTO_UNPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct unpack {
	const uint8_t *at, *end;
};

enum unpack_kind {
	UNPACK_NIL,
	UNPACK_BOOL,	 /* number is 0 or 1 */
	UNPACK_UINT,	 /* number; also what was sent in a signed form, and is not negative */
	UNPACK_NEGATIVE, /* number, as two's complement */
	UNPACK_FLOAT,	 /* real; 32-bit ones widened */
	UNPACK_STR,	 /* data, size */
	UNPACK_BIN,
	UNPACK_EXT,   /* and ext */
	UNPACK_ARRAY, /* size: members that follow */
	UNPACK_MAP,   /* size: pairs that follow */
};

struct unpack_item {
	enum unpack_kind kind;
	uint64_t number;
	double real;
	const uint8_t *data;
	uint32_t size;
	int8_t ext;
};

/* The next item; of an array or map its head only. -ERROR_PROTOCOL: malformed, or at the end. */
int unpack_next(struct unpack *unpack, struct unpack_item *item);

/* Goes past one value with all its members, at most `depth` containers deep. */
int unpack_skip(struct unpack *unpack, unsigned depth);

/* True when item is the str `text`. */
bool unpack_is_text(const struct unpack_item *item, const char *text);

#endif
