/*
 * text_out.h: text of unknown origin, written so that it can do no harm.
 *
 * Names, keys and values come from other users. Written to a terminal as they are they could move the cursor
 * or worse, and a new line in a name would break a table.
 */
#ifndef CLIENT_EMSCTL_TEXT_OUT_H
#define CLIENT_EMSCTL_TEXT_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum text_form {
	TEXT_TO_TERMINAL, /* as it is, but control characters (not new line, tab) and bad UTF-8 as \xNN */
	TEXT_ON_A_LINE,	  /* the same, with \n, \t, and \\ for a backslash: one line that can be read back */
};

/* text_print: NUL-terminated. Errors of writing stay in the stream. */
void text_print(FILE *out, const char *text, enum text_form form);
void text_print_bytes(FILE *out, const void *data, size_t size, enum text_form form);

/* The character that begins at text: its bytes (1 to 4), or 0 when they are not UTF-8. size is at least 1. */
size_t text_character(const unsigned char *text, size_t size);

#endif
