/*
 * value_out.c: values as text and as JSON.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "client/emsctl/json.h"
#include "client/emsctl/text_out.h"
#include "client/emsctl/value.h"

void double_print(FILE *out, double number)
{
	char text[DOUBLE_TEXT_MAX];

	if (!isfinite(number)) {
		fputs(isnan(number) ? "NaN" : number > 0 ? "Infinity" : "-Infinity", out);
		return;
	}
	double_format(number, text);
	fputs(text, out);
	if (!strpbrk(text, ".e"))
		fputs(".0", out);
}

static void print_hex(FILE *out, const void *data, size_t size)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < size; i++)
		fprintf(out, "%02x", bytes[i]);
}

static void print_data(FILE *out, const ems_value_t *value, enum value_form form)
{
	if (form == VALUE_RAW)
		fwrite(value->data, 1, value->size, out);
	else if (value->type == EMS_BYTES)
		print_hex(out, value->data, value->size);
	else
		text_print_bytes(out, value->data, value->size,
				 form == VALUE_ON_A_LINE ? TEXT_ON_A_LINE : TEXT_TO_TERMINAL);
}

void value_print(FILE *out, const ems_value_t *value, enum value_form form)
{
	switch (value->type) {
	case EMS_UNDEFINED:
		fputs("undefined", out);
		break;
	case EMS_BOOLEAN:
		fputs(value->boolean ? "true" : "false", out);
		break;
	case EMS_INTEGER:
		fprintf(out, "%" PRId64, value->integer);
		break;
	case EMS_FLOAT:
		double_print(out, value->number);
		break;
	default:
		if (value->size > 0)
			print_data(out, value, form);
	}
}

static void print_json_text(FILE *out, const ems_value_t *value)
{
	if (json_valid(value->data, value->size)) {
		json_compact(out, value->data, value->size);
		return;
	}
	fputs("{\"text\":", out);
	json_text(out, value->data, value->size);
	fputc('}', out);
}

void value_print_json(FILE *out, const ems_value_t *value)
{
	switch (value->type) {
	case EMS_UNDEFINED:
		fputs("null", out);
		break;
	case EMS_FLOAT:
		json_double(out, value->number);
		break;
	case EMS_STRING:
		json_text(out, value->data, value->size);
		break;
	case EMS_JSON:
		print_json_text(out, value);
		break;
	case EMS_BYTES:
		json_base64(out, value->data, value->size);
		break;
	default:
		value_print(out, value, VALUE_RAW);
	}
}
