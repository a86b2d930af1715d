/*
 * json_read.c: taking apart an object of JSON that json_valid has found good.
 */
#include <string.h>

#include "client/emsctl/json.h"

static void skip_blanks(struct json_slice *text)
{
	while (text->size > 0 && memchr(" \t\r\n,:", *text->text, 6)) {
		text->text++;
		text->size--;
	}
}

/* The bytes of the value that text begins with: up to what ends it at its own depth. */
static size_t value_size(const struct json_slice *text)
{
	bool in_string = false;
	int depth = 0;

	for (size_t i = 0; i < text->size; i++) {
		char byte = text->text[i];

		if (in_string && byte == '\\') {
			i++;
		} else if (byte == '"') {
			in_string = !in_string;
			if (!in_string && depth == 0)
				return i + 1;
		} else if (in_string) {
			continue;
		} else if (byte == '{' || byte == '[') {
			depth++;
		} else if (byte == '}' || byte == ']') {
			if (depth == 0)
				return i;
			if (--depth == 0)
				return i + 1;
		} else if (depth == 0 && memchr(" \t\r\n,:", byte, 6)) {
			return i;
		}
	}
	return text->size;
}

static struct json_slice take_value(struct json_slice *text)
{
	struct json_slice value = {text->text, value_size(text)};

	text->text += value.size;
	text->size -= value.size;
	skip_blanks(text);
	return value;
}

bool json_open(struct json_slice *text)
{
	skip_blanks(text);
	if (text->size == 0 || *text->text != '{')
		return false;
	text->text++;
	text->size--;
	skip_blanks(text);
	return true;
}

bool json_next(struct json_slice *rest, struct json_slice *name, struct json_slice *value)
{
	if (rest->size == 0 || *rest->text != '"')
		return false;
	*name = take_value(rest);
	*value = take_value(rest);
	name->text++;
	name->size -= 2;
	return true;
}

bool json_slice_is(const struct json_slice *slice, const char *text)
{
	return slice->size == strlen(text) && memcmp(slice->text, text, slice->size) == 0;
}

/* Four digits of a \u that are there. */
static uint32_t hex4(const char *text)
{
	uint32_t number = 0;

	for (int i = 0; i < 4; i++) {
		char byte = text[i];

		number = number << 4 | (uint32_t)(byte <= '9' ? byte - '0' : (byte | 0x20) - 'a' + 10);
	}
	return number;
}

static char *put_utf8(char *out, uint32_t code)
{
	if (code < 0x80) {
		*out++ = (char)code;
	} else if (code < 0x800) {
		*out++ = (char)(0xc0 | code >> 6);
		*out++ = (char)(0x80 | (code & 0x3f));
	} else if (code < 0x10000) {
		*out++ = (char)(0xe0 | code >> 12);
		*out++ = (char)(0x80 | (code >> 6 & 0x3f));
		*out++ = (char)(0x80 | (code & 0x3f));
	} else {
		*out++ = (char)(0xf0 | code >> 18);
		*out++ = (char)(0x80 | (code >> 12 & 0x3f));
		*out++ = (char)(0x80 | (code >> 6 & 0x3f));
		*out++ = (char)(0x80 | (code & 0x3f));
	}
	return out;
}

/* What follows a backslash; false for half of a surrogate pair. */
static bool take_escape(const char **_at, const char *end, char **_out)
{
	static const char names[] = "bfnrt", bytes[] = "\b\f\n\r\t";
	const char *at = *_at, *named = memchr(names, *at, 5);
	uint32_t code;

	if (*at != 'u') {
		*(*_out)++ = named ? bytes[named - names] : *at;
		*_at = at + 1;
		return true;
	}
	code = hex4(at + 1);
	at += 5;
	if (code >= 0xd800 && code < 0xe000) {
		uint32_t low =
			code < 0xdc00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u' ? hex4(at + 2) : 0;

		if (low < 0xdc00 || low >= 0xe000)
			return false;
		code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
		at += 6;
	}
	*_out = put_utf8(*_out, code);
	*_at = at;
	return true;
}

bool json_decode(const struct json_slice *value, char *buffer, size_t *_size)
{
	const char *at = value->text + 1, *end = value->text + value->size - 1;
	char *out = buffer;

	if (value->size < 2 || *value->text != '"')
		return false;
	while (at < end) {
		if (*at != '\\')
			*out++ = *at++;
		else if (at++, !take_escape(&at, end, &out))
			return false;
	}
	*_size = (size_t)(out - buffer);
	return true;
}
