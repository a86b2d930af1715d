/* UTF-8 by RFC 3629: every character round trip, every kind of wrong form. */
#include <string.h>

#include "base/macros.h"
#include "base/utf8.h"
#include "tests/unit/unit.h"

static size_t encode(uint32_t c, uint8_t *to)
{
	if (c < 0x80) {
		to[0] = (uint8_t)c;
		return 1;
	}
	if (c < 0x800) {
		to[0] = (uint8_t)(0xc0 | c >> 6);
		to[1] = (uint8_t)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		to[0] = (uint8_t)(0xe0 | c >> 12);
		to[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		to[2] = (uint8_t)(0x80 | (c & 0x3f));
		return 3;
	}
	to[0] = (uint8_t)(0xf0 | c >> 18);
	to[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
	to[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
	to[3] = (uint8_t)(0x80 | (c & 0x3f));
	return 4;
}

/* All there are, surrogates and beyond the end included; and no character that is cut off. */
START_TEST(every_character)
{
	for (uint32_t c = 0; c < 0x200000; c++) {
		bool good = c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
		uint8_t text[4];
		size_t size = encode(c, text);

		if (utf8_valid(text, size) != good)
			ck_abort_msg("U+%04X", c);
		for (size_t cut = 1; cut < size; cut++)
			if (utf8_valid(text, cut))
				ck_abort_msg("U+%04X cut after %zu", c, cut);
	}
}
END_TEST

/* All pairs of bytes: ASCII both, or a two-byte character, and nothing else. */
START_TEST(every_pair_of_bytes)
{
	for (unsigned a = 0; a < 256; a++) {
		for (unsigned b = 0; b < 256; b++) {
			uint8_t text[2] = {(uint8_t)a, (uint8_t)b};
			bool good = (a < 0x80 && b < 0x80) ||
				    (a >= 0xc2 && a <= 0xdf && b >= 0x80 && b <= 0xbf);

			if (utf8_valid(text, 2) != good)
				ck_abort_msg("%02x %02x", a, b);
		}
	}
}
END_TEST

START_TEST(wrong_forms)
{
	static const char *const wrong[] = {
		"\xc0\x80",         /* NUL in two bytes */
		"\xe0\x9f\xbf",     /* U+07FF in three */
		"\xf0\x8f\xbf\xbf", /* U+FFFF in four */
		"\xed\xa0\x80",     /* first surrogate */
		"\xed\xbf\xbf",     /* last surrogate */
		"\xf4\x90\x80\x80", /* U+110000 */
		"\xf8\x88\x80\x80\x80",
		"\xe2\x28\xa1",
		"\xf0\x90\x28\xbc",
		"\xff",
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		ck_assert_msg(!utf8_valid(wrong[i], strlen(wrong[i])), "form %zu", i);
}
END_TEST

/* The fast way over eight ASCII bytes must see a bad byte at each place. */
START_TEST(bad_byte_anywhere)
{
	char text[40];

	memset(text, 'a', sizeof(text));
	ck_assert(utf8_valid(text, sizeof(text)));
	for (size_t i = 0; i < sizeof(text); i++) {
		text[i] = (char)0x80;
		ck_assert_msg(!utf8_valid(text, sizeof(text)), "at %zu", i);
		text[i] = 'a';
	}
}
END_TEST

START_TEST(nothing_and_nul_are_fine)
{
	ck_assert(utf8_valid("", 0));
	ck_assert(utf8_valid("a\0b", 3));
}
END_TEST

UNIT_MAIN("base/utf8", every_character, every_pair_of_bytes, wrong_forms, bad_byte_anywhere,
	  nothing_and_nul_are_fine)
