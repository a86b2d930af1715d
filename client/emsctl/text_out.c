/*
 * text_out.c: text of unknown origin, written so that it can do no harm.
 */
#include "client/emsctl/text_out.h"

#include <string.h>

#include "base/utf8.h"

size_t text_character(const unsigned char *text, size_t size)
{
	size_t length = text[0] < 0x80 ? 1 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;

	return length <= size && utf8_valid(text, length) ? length : 0;
}

/* C0, DEL, and C1, which begins with 0xc2 in UTF-8. */
static bool is_control(const unsigned char *character, size_t length)
{
	if (length == 1)
		return character[0] < 0x20 || character[0] == 0x7f;
	return length == 2 && character[0] == 0xc2 && character[1] < 0xa0;
}

static bool print_special(FILE *out, unsigned char byte, enum text_form form)
{
	const char *text = NULL;

	if (form == TEXT_TO_TERMINAL)
		text = byte == '\n' ? "\n" : byte == '\t' ? "\t" : NULL;
	else
		text = byte == '\n' ? "\\n" : byte == '\t' ? "\\t" : byte == '\\' ? "\\\\" : NULL;
	if (text)
		fputs(text, out);
	return text != NULL;
}

void text_print_bytes(FILE *out, const void *data, size_t size, enum text_form form)
{
	const unsigned char *at = data;

	while (size > 0) {
		size_t length = text_character(at, size);
		size_t step = length > 0 ? length : 1;

		if (length == 1 && print_special(out, at[0], form))
			;
		else if (length > 0 && !is_control(at, length))
			fwrite(at, 1, length, out);
		else
			for (size_t i = 0; i < step; i++)
				fprintf(out, "\\x%02x", at[i]);
		at += step;
		size -= step;
	}
}

void text_print(FILE *out, const char *text, enum text_form form)
{
	text_print_bytes(out, text, strlen(text), form);
}
