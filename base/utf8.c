/*
 * utf8.c: a check of UTF-8 by the table of RFC 3629, section 4.
 *
 * The first byte fixes the length and the range of the second byte, which is where overlong forms
 * (E0, F0), surrogates (ED) and what is above U+10FFFF (F4) are excluded; the rest are 80..BF.
 */
#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

/* The size of the character that starts at text, of which size >= 1 bytes are there; 0 if it is none. */
static size_t character_size(const uint8_t *text, size_t size)
{
	uint8_t first = text[0], low = 0x80, high = 0xbf;
	size_t length, i;

	if (first < 0x80)
		return 1;
	if (first < 0xc2 || first > 0xf4)
		return 0;
	length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	if (length > size)
		return 0;

	if (first == 0xe0)
		low = 0xa0;
	else if (first == 0xed)
		high = 0x9f;
	else if (first == 0xf0)
		low = 0x90;
	else if (first == 0xf4)
		high = 0x8f;
	if (text[1] < low || text[1] > high)
		return 0;
	for (i = 2; i < length; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

bool utf8_valid(const void *text, size_t size)
{
	const uint8_t *position = text;

	while (size > 0) {
		uint64_t word;
		size_t length;

		/* Eight ASCII characters at a time: most text is that. */
		if (size >= sizeof(word)) {
			memcpy(&word, position, sizeof(word));
			if (!(word & UINT64_C(0x8080808080808080))) {
				position += sizeof(word);
				size -= sizeof(word);
				continue;
			}
		}
		length = character_size(position, size);
		if (length == 0)
			return false;
		position += length;
		size -= length;
	}
	return true;
}
