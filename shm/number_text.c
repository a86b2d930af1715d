/* Numbers as JavaScript prints them. */
#include "shm/number_text.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The shortest digits that read back, and the decimal exponent n of 0.d1d2d3… × 10^n. Returns how many
 * digits. */
static int shortest_digits(double number, char digits[18], int *exponent)
{
	char text[40];
	int precision = 0, count = 0;

	do
		(void)snprintf(text, sizeof(text), "%.*e", precision, number);
	while (strtod(text, NULL) != number && ++precision < 17);
	/* d.ddde±xx; the point may be another character in some locales, so only digits before the e count.
	 */
	for (const char *p = text; *p && *p != 'e'; p++)
		if (*p >= '0' && *p <= '9')
			digits[count++] = *p;
	*exponent = atoi(strchr(text, 'e') + 1) + 1;
	while (count > 1 && digits[count - 1] == '0')
		count--;
	return count;
}

static size_t put(char *to, const char *from, int count)
{
	memcpy(to, from, (size_t)count);
	return (size_t)count;
}

static size_t put_zeros(char *to, int count)
{
	memset(to, '0', (size_t)count);
	return (size_t)count;
}

static size_t with_exponent(char *text, const char *digits, int count, int n)
{
	size_t size = put(text, digits, 1);

	if (count > 1) {
		text[size++] = '.';
		size += put(text + size, digits + 1, count - 1);
	}
	char exponent[8];
	int length = snprintf(exponent, sizeof(exponent), "e%+d", n - 1);
	return size + put(text + size, exponent, length);
}

size_t number_text(double number, char text[NUMBER_TEXT_MAX])
{
	char digits[18];
	size_t size = 0;
	int n, count;

	if (isnan(number))
		return put(text, "NaN", 3);
	if (number == 0)
		return put(text, "0", 1);
	if (number < 0) {
		text[size++] = '-';
		number = -number;
	}
	if (isinf(number))
		return size + put(text + size, "Infinity", 8);

	count = shortest_digits(number, digits, &n);
	if (n > 21 || n <= -6)
		return size + with_exponent(text + size, digits, count, n);
	if (n <= 0) { /* 0.000ddd */
		size += put(text + size, "0.", 2);
		size += put_zeros(text + size, -n);
		return size + put(text + size, digits, count);
	}
	if (count <= n) { /* ddd000 */
		size += put(text + size, digits, count);
		return size + put_zeros(text + size, n - count);
	}
	size += put(text + size, digits, n); /* dd.ddd */
	text[size++] = '.';
	return size + put(text + size, digits + n, count - n);
}
