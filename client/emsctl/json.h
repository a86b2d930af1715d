/*
 * json.h: writing JSON, and checking it.
 *
 * Output is one object or array a line, strict RFC 8259, ASCII but for what strings have beyond it. What JSON
 * cannot express is an object of one member: {"base64": "…"} for text that is not UTF-8, {"float": "NaN"},
 * "Infinity" and "-Infinity" for numbers. Integers have all their digits (up to 64 bits).
 */
#ifndef CLIENT_EMSCTL_JSON_H
#define CLIENT_EMSCTL_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define JSON_DEPTH_MAX 512

/* Values. */
void json_text(FILE *out, const void *text, size_t size);
void json_base64(FILE *out, const void *data, size_t size); /* a string of base64 */
void json_double(FILE *out, double number);
/* A finite number in the fewest digits, 15 at least being tried, that read back as the same. */
#define DOUBLE_TEXT_MAX 32
void double_format(double number, char text[static DOUBLE_TEXT_MAX]);
/* Valid JSON without the blanks between its parts, so that it stays on one line. */
void json_compact(FILE *out, const char *text, size_t size);

/* An object that is being written, member by member. */
struct json_object {
	FILE *out;
	bool begun;
};
void json_begin(struct json_object *object, FILE *out);
/* The name; the caller writes the value. name needs no escapes. */
void json_member(struct json_object *object, const char *name);
void json_member_text(struct json_object *object, const char *name, const char *text);
void json_member_uint(struct json_object *object, const char *name, uint64_t number);
void json_member_bool(struct json_object *object, const char *name, bool value);
void json_end(struct json_object *object);

/* A piece of a larger text. */
struct json_slice {
	const char *text;
	size_t size;
};
/*
 * Taking apart an object that json_valid has found good: json_open goes inside (false: it is no object), json_next yields
 * member by member, name without quotes, value as it stands there; false at the end. (json_read.c)
 */
bool json_open(struct json_slice *text);
bool json_next(struct json_slice *rest, struct json_slice *name, struct json_slice *value);
bool json_slice_is(const struct json_slice *slice, const char *text);
/* The bytes that a string stands for, of which there are fewer than it is long; buffer may be where the string is. False: it is no string,
 * or holds half of a surrogate pair. */
bool json_decode(const struct json_slice *value, char *buffer, size_t *_size);

/* True for one value of strict JSON in valid UTF-8, nested at most JSON_DEPTH_MAX deep. (json_check.c) */
bool json_valid(const char *text, size_t size);
/* True when the text is a number as JSON writes them. */
bool json_is_number(const char *text, size_t size);

#endif
