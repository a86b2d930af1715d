/* Strict numbers, and sizes for people. */
#include <string.h>

#include "base/error.h"
#include "base/macros.h"
#include "base/text.h"
#include "tests/unit/unit.h"

START_TEST(integers_are_read)
{
	int64_t i;
	uint64_t u;

	ck_assert_int_eq(text_parse_int("-42", -100, 100, &i), 0);
	ck_assert_int_eq(i, -42);
	ck_assert_int_eq(text_parse_int("-9223372036854775808", INT64_MIN, INT64_MAX, &i), 0);
	ck_assert(i == INT64_MIN);
	ck_assert_int_eq(text_parse_int("9223372036854775807", INT64_MIN, INT64_MAX, &i), 0);
	ck_assert(i == INT64_MAX);
	ck_assert_int_eq(text_parse_uint("18446744073709551615", 0, UINT64_MAX, &u), 0);
	ck_assert(u == UINT64_MAX);
}
END_TEST

START_TEST(what_is_no_integer_is_invalid)
{
	static const char *const bad[] = {"", "-", "+1", " 1", "1 ", "1x", "0x10", "1.0", "--1",
					  "99999999999999999999x"};
	int64_t i = 77;
	uint64_t u = 77;

	for (size_t k = 0; k < ARRAY_SIZE(bad); k++) {
		ck_assert_msg(text_parse_int(bad[k], INT64_MIN, INT64_MAX, &i) == -ERROR_INVALID, "%s",
			      bad[k]);
		ck_assert_msg(text_parse_uint(bad[k], 0, UINT64_MAX, &u) == -ERROR_INVALID, "%s", bad[k]);
	}
	ck_assert_int_eq(text_parse_uint("-1", 0, 10, &u), -ERROR_INVALID);
	ck_assert_int_eq(i, 77);
	ck_assert_uint_eq(u, 77);
}
END_TEST

START_TEST(integers_outside_are_range)
{
	int64_t i = 77;
	uint64_t u = 77;

	ck_assert_int_eq(text_parse_int("11", -10, 10, &i), -ERROR_RANGE);
	ck_assert_int_eq(text_parse_int("-11", -10, 10, &i), -ERROR_RANGE);
	ck_assert_int_eq(text_parse_int("9223372036854775808", INT64_MIN, INT64_MAX, &i), -ERROR_RANGE);
	ck_assert_int_eq(text_parse_int("-9223372036854775809", INT64_MIN, INT64_MAX, &i), -ERROR_RANGE);
	ck_assert_int_eq(text_parse_uint("18446744073709551616", 0, UINT64_MAX, &u), -ERROR_RANGE);
	ck_assert_int_eq(text_parse_uint("0", 1, 10, &u), -ERROR_RANGE);
	ck_assert_int_eq(i, 77);
	ck_assert_uint_eq(u, 77);
}
END_TEST

START_TEST(sizes_are_read)
{
	static const struct {
		const char *text;
		uint64_t size;
	} good[] = {
		{"0", 0},
		{"4096", 4096},
		{"7 B", 7},
		{"64 KiB", 65536},
		{"64K", 65536},
		{"64k", 65536},
		{"64kib", 65536},
		{"10 kB", 10000},
		{"10MB", 10000000},
		{"1.5 GiB", UINT64_C(1610612736)},
		{"0.5K", 512},
		{"0.0001K", 0},
		{"1.000000000000000001 GiB", UINT64_C(1) << 30},
		{"15E", UINT64_C(15) << 60},
		{"18446744073709551615", UINT64_MAX},
	};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		uint64_t size = 77;

		ck_assert_msg(text_parse_size(good[i].text, &size) == 0, "%s", good[i].text);
		ck_assert_msg(size == good[i].size, "%s gives %llu", good[i].text, (unsigned long long)size);
	}
}
END_TEST

START_TEST(what_is_no_size_is_refused)
{
	static const char *const bad[] = {"",     "K",    "-1",   " 1",  "1 ",     "1  K", "1K ", "1KiBs",
					  "1.",   ".5K",  "1.5",  "1.5B", "1,5K", "1x",   "1KK", "1 iB",
					  "1.0000000000000000001K"};
	static const char *const large[] = {"16E", "18446744073709551616", "99999999999999999999 K",
					    "18446744073709551615K"};
	uint64_t size = 77;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(text_parse_size(bad[i], &size) == -ERROR_INVALID, "%s", bad[i]);
	for (size_t i = 0; i < ARRAY_SIZE(large); i++)
		ck_assert_msg(text_parse_size(large[i], &size) == -ERROR_RANGE, "%s", large[i]);
	ck_assert_uint_eq(size, 77);
}
END_TEST

START_TEST(sizes_are_written)
{
	static const struct {
		uint64_t size;
		const char *text;
	} pairs[] = {
		{0, "0 B"},
		{1023, "1023 B"},
		{1024, "1 KiB"},
		{1535, "1.4 KiB"},
		{1536, "1.5 KiB"},
		{1048575, "1023.9 KiB"},
		{UINT64_C(1) << 40, "1 TiB"},
		{UINT64_MAX, "15.9 EiB"},
	};
	char text[TEXT_SIZE_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		ck_assert_str_eq(text_format_size(pairs[i].size, text), pairs[i].text);
}
END_TEST

/* What is printed can be read, and is at most a tenth of its unit less. */
START_TEST(written_sizes_read_back)
{
	uint64_t state = unit_seed();

	for (int i = 0; i < 100000; i++) {
		uint64_t size = unit_random(&state) >> (unit_random(&state) % 64), back;
		char text[TEXT_SIZE_MAX];

		ck_assert_int_eq(text_parse_size(text_format_size(size, text), &back), 0);
		ck_assert_msg(back <= size && size - back <= size / 10 + 1, "%llu: %s",
			      (unsigned long long)size, text);
	}
}
END_TEST

UNIT_MAIN("base/text", integers_are_read, what_is_no_integer_is_invalid, integers_outside_are_range,
	  sizes_are_read, what_is_no_size_is_refused, sizes_are_written, written_sizes_read_back)
