/*
 * binary.c: bytes as base64 and as hexadecimal digits.
 */
#include "client/emsctl/binary.h"

#include <stdint.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_write(FILE *out, const void *data, size_t size)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < size; i += 3) {
		size_t left = size - i;
		uint32_t group = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
				 (left > 2 ? bytes[i + 2] : 0);

		fputc(alphabet[group >> 18], out);
		fputc(alphabet[group >> 12 & 63], out);
		fputc(left > 1 ? alphabet[group >> 6 & 63] : '=', out);
		fputc(left > 2 ? alphabet[group & 63] : '=', out);
	}
}

static int base64_digit(char digit)
{
	const char *found = memchr(alphabet, digit, 64);

	return found ? (int)(found - alphabet) : -1;
}

bool base64_decode(const char *text, size_t size, unsigned char *buffer, size_t *_size)
{
	size_t padding = size > 0 && text[size - 1] == '=' ? 1 + (size > 1 && text[size - 2] == '=') : 0;
	size_t length = 0;
	uint32_t group = 0;

	if (size % 4 != 0)
		return false;
	for (size_t i = 0; i < size; i++) {
		int digit = i < size - padding ? base64_digit(text[i]) : 0;

		if (digit < 0)
			return false;
		group = group << 6 | (uint32_t)digit;
		if (i % 4 != 3)
			continue;
		for (int shift = 16; shift >= 0; shift -= 8)
			buffer[length++] = (unsigned char)(group >> shift);
		group = 0;
	}
	*_size = length - padding;
	return true;
}

static int hex_digit(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	digit |= 0x20;
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

bool hex_decode(const char *text, size_t size, unsigned char *buffer, size_t *_size)
{
	if (size % 2 != 0)
		return false;
	for (size_t i = 0; i < size; i += 2) {
		int high = hex_digit(text[i]);
		int low = hex_digit(text[i + 1]);

		if (high < 0 || low < 0)
			return false;
		buffer[i / 2] = (unsigned char)(high << 4 | low);
	}
	*_size = size / 2;
	return true;
}
