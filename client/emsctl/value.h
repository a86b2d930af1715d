/*
 * value.h: values as words of the command line, and in results.
 *
 * Without --type a word is guessed: an integer as emsctl writes one; a number with a point or an exponent,
 * NaN, Infinity or -Infinity, a float; true and false; undefined; null, or an object or array of valid JSON;
 * and everything else a string. An integer beyond 64 bits is refused rather than guessed.
 */
#ifndef CLIENT_EMSCTL_VALUE_H
#define CLIENT_EMSCTL_VALUE_H

#include <stdio.h>

#include "client/emsctl/emsctl.h"

#define TYPE_GUESS UINT32_MAX

/* "integer", "float"…, as ems_type_t; ends the process for other words. */
uint32_t type_or_exit(const struct command *command, const char *name);
const char *type_name(uint32_t type);

/*
 * The value for size bytes of text, of a type or TYPE_GUESS. value->data points into text, or to memory that
 * lives as long as the process. Text that is not of the type ends the process.
 */
void value_parse_or_exit(const struct command *command, const char *text, size_t size, uint32_t type,
			 ems_value_t *value);

enum value_form {
	VALUE_RAW,	 /* the bytes of strings, JSON and bytes as they are */
	VALUE_TERMINAL,	 /* nothing that a terminal would obey; bytes in hexadecimal */
	VALUE_ON_A_LINE, /* the same, one line, reversibly */
};
void value_print(FILE *out, const ems_value_t *value, enum value_form form);
/*
 * The value as JSON, without its type: undefined is null; bytes are a string of base64; JSON is itself
 * without blanks, or, if it is none, {"text": "…"}.
 */
void value_print_json(FILE *out, const ems_value_t *value);

bool boolean_parse(const char *text, size_t size, bool *_boolean);
/* Numbers as JSON writes them, and NaN, Infinity, -Infinity. False when text is none, or beyond a double. */
bool double_parse(const char *text, size_t size, double *_number);
/* The shortest text that reads back as the same number; with ".0" where it would look like an integer. */
void double_print(FILE *out, double number);

#endif
