/*
 * text.c: strict parsing of integers and sizes; printing of sizes.
 */
#include "base/text.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <strings.h>

#include "base/error.h"
#include "base/macros.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/*
 * Reads the digits at *text, at least one, and moves *text behind them. All digits are consumed even
 * when the value overflows, so that "99999999999999999999x" is called no number rather than a large one.
 */
static int take_digits(const char **text, uint64_t *_value)
{
	uint64_t value = 0;
	bool overflow = false;

	if (!is_digit(**text))
		return -ERROR_INVALID;
	for (; is_digit(**text); (*text)++)
		overflow |= MUL_OVERFLOWS(value, 10u, &value) ||
			    ADD_OVERFLOWS(value, (unsigned)(**text - '0'), &value);
	*_value = value;
	return overflow ? -ERROR_RANGE : 0;
}

int text_parse_uint(const char *text, uint64_t least, uint64_t most, uint64_t *_value)
{
	uint64_t value = 0;
	int r = take_digits(&text, &value);

	if (*text != '\0')
		return -ERROR_INVALID;
	if (r)
		return r;
	if (value < least || value > most)
		return -ERROR_RANGE;
	*_value = value;
	return 0;
}

int text_parse_int(const char *text, int64_t least, int64_t most, int64_t *_value)
{
	bool negative = *text == '-';
	uint64_t magnitude;
	int64_t value;
	int r;

	r = text_parse_uint(text + negative, 0, UINT64_MAX, &magnitude);
	if (r)
		return r;
	/* Subtracting from 0 reaches INT64_MIN as well. */
	if (negative ? SUB_OVERFLOWS(0, magnitude, &value) : ADD_OVERFLOWS(0, magnitude, &value))
		return -ERROR_RANGE;
	if (value < least || value > most)
		return -ERROR_RANGE;
	*_value = value;
	return 0;
}

/* The number of bytes that a unit stands for; 0 if it is none. */
static uint64_t unit_size(const char *unit)
{
	static const char letters[] = "KMGTPE";
	uint64_t binary = 1, decimal = 1;

	if (*unit == '\0' || strcasecmp(unit, "B") == 0)
		return 1;
	for (size_t i = 0; letters[i]; i++) {
		binary *= 1024;
		decimal *= 1000;
		if (strncasecmp(unit, &letters[i], 1) != 0)
			continue;
		if (unit[1] == '\0' || strcasecmp(unit + 1, "iB") == 0)
			return binary;
		return strcasecmp(unit + 1, "B") == 0 ? decimal : 0;
	}
	return 0;
}

/* Reads ".25" at *text as 25 of 100; without a point, 0 of 1. */
static int take_fraction(const char **text, uint64_t *_part, uint64_t *_whole)
{
	const char *start;
	int r;

	*_part = 0;
	*_whole = 1;
	if (**text != '.')
		return 0;
	start = ++*text;
	r = take_digits(text, _part);
	if (r)
		return -ERROR_INVALID;
	/* More digits than any unit can use; also keeps the product below within 128 bits. */
	if (*text - start > 18)
		return -ERROR_INVALID;
	for (; start < *text; start++)
		*_whole *= 10;
	return 0;
}

int text_parse_size(const char *text, uint64_t *_size)
{
	uint64_t number = 0, part, whole, unit, size;
	int overflow, r;

	overflow = take_digits(&text, &number);
	if (overflow == -ERROR_INVALID)
		return overflow;
	r = take_fraction(&text, &part, &whole);
	if (r)
		return r;
	if (*text == ' ') {
		text++;
		if (*text == '\0')
			return -ERROR_INVALID;
	}
	unit = unit_size(text);
	if (unit == 0 || (unit == 1 && whole != 1))
		return -ERROR_INVALID;
	if (overflow || MUL_OVERFLOWS(number, unit, &size) ||
	    ADD_OVERFLOWS(size, (uint64_t)((unsigned __int128)unit * part / whole), &size))
		return -ERROR_RANGE;
	*_size = size;
	return 0;
}

char *text_format_size(uint64_t size, char buffer[static TEXT_SIZE_MAX])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	uint64_t unit = 1, tenths;
	size_t i = 0;

	while (i + 1 < ARRAY_SIZE(units) && size / unit >= 1024) {
		unit *= 1024;
		i++;
	}
	/* unit is at most 2^60, so that the remainder times ten fits. */
	tenths = size % unit * 10 / unit;
	if (tenths)
		snprintf(buffer, TEXT_SIZE_MAX, "%" PRIu64 ".%u %s", size / unit, (unsigned)tenths, units[i]);
	else
		snprintf(buffer, TEXT_SIZE_MAX, "%" PRIu64 " %s", size / unit, units[i]);
	return buffer;
}
