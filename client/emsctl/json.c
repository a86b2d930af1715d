/*
 * json.c: writing JSON.
 */
#include "client/emsctl/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "client/emsctl/binary.h"

/* valid UTF-8 */
static void write_string(FILE *out, const unsigned char *text, size_t size)
{
	fputc('"', out);
	for (size_t i = 0; i < size; i++) {
		unsigned char byte = text[i];

		if (byte == '"' || byte == '\\')
			fprintf(out, "\\%c", byte);
		else if (byte == '\n')
			fputs("\\n", out);
		else if (byte == '\t')
			fputs("\\t", out);
		else if (byte < 0x20 || byte == 0x7f)
			fprintf(out, "\\u%04x", byte);
		else
			fputc(byte, out);
	}
	fputc('"', out);
}

void json_text(FILE *out, const void *text, size_t size)
{
	if (utf8_valid(text, size)) {
		write_string(out, text, size);
		return;
	}
	fputs("{\"base64\":", out);
	json_base64(out, text, size);
	fputc('}', out);
}

void json_base64(FILE *out, const void *data, size_t size)
{
	fputc('"', out);
	base64_write(out, data, size);
	fputc('"', out);
}

void double_format(double number, char text[static DOUBLE_TEXT_MAX])
{
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, DOUBLE_TEXT_MAX, "%.*g", digits, number);
		if (strtod(text, NULL) == number)
			break;
	}
}

void json_double(FILE *out, double number)
{
	char text[DOUBLE_TEXT_MAX];

	if (!isfinite(number)) {
		fprintf(out, "{\"float\":\"%s\"}",
			isnan(number) ? "NaN"
			: number > 0  ? "Infinity"
				      : "-Infinity");
		return;
	}
	double_format(number, text);
	fputs(text, out);
}

void json_compact(FILE *out, const char *text, size_t size)
{
	bool in_string = false;

	for (size_t i = 0; i < size; i++) {
		char byte = text[i];

		if (!in_string && strchr(" \t\r\n", byte))
			continue;
		fputc(byte, out);
		if (byte == '"')
			in_string = !in_string;
		else if (in_string && byte == '\\' && i + 1 < size)
			fputc(text[++i], out);
	}
}

void json_begin(struct json_object *object, FILE *out)
{
	*object = (struct json_object){.out = out};
	fputc('{', out);
}

void json_member(struct json_object *object, const char *name)
{
	fprintf(object->out, "%s\"%s\":", object->begun ? "," : "", name);
	object->begun = true;
}

void json_member_text(struct json_object *object, const char *name, const char *text)
{
	json_member(object, name);
	json_text(object->out, text, strlen(text));
}

void json_member_uint(struct json_object *object, const char *name, uint64_t number)
{
	json_member(object, name);
	fprintf(object->out, "%" PRIu64, number);
}

void json_member_bool(struct json_object *object, const char *name, bool value)
{
	json_member(object, name);
	fputs(value ? "true" : "false", object->out);
}

void json_end(struct json_object *object)
{
	fputc('}', object->out);
}
