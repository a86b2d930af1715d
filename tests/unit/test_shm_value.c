/* What operations make of values: JavaScript's +, its way to print numbers, and cas' idea of equality. */
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/macros.h"
#include "shm/number_text.h"
#include "shm/value.h"
#include "tests/unit/unit.h"

#define UNDEFINED  {.type = TYPE_UNDEFINED}
#define BOOLEAN(b) {.type = TYPE_BOOLEAN, .boolean = (b)}
#define INTEGER(i) {.type = TYPE_INTEGER, .integer = (i)}
#define FLOAT(d)   {.type = TYPE_FLOAT, .number = (d)}
#define STRING(s)  {.type = TYPE_STRING, .data = (s), .size = sizeof(s) - 1}
#define JSON(s)	   {.type = TYPE_JSON, .data = (s), .size = sizeof(s) - 1}
#define BYTES(s)   {.type = TYPE_BYTES, .data = (s), .size = sizeof(s) - 1}

static void assert_outcome(const struct shm_outcome *outcome, const struct shm_value *expected)
{
	char text[256];
	double number;

	ck_assert_int_eq(outcome->type, (int)expected->type);
	switch (outcome->type) {
	case TYPE_STRING:
		memcpy(text, outcome->text[0].data, outcome->text[0].size);
		memcpy(text + outcome->text[0].size, outcome->text[1].data, outcome->text[1].size);
		ck_assert_uint_eq(outcome->text[0].size + outcome->text[1].size, expected->size);
		ck_assert_mem_eq(text, expected->data, expected->size);
		break;
	case TYPE_FLOAT:
		memcpy(&number, &outcome->value, sizeof(number));
		if (isnan(expected->number))
			ck_assert(isnan(number));
		else
			ck_assert(number == expected->number && signbit(number) == signbit(expected->number));
		break;
	default:
		ck_assert_int_eq((int64_t)outcome->value, expected->integer);
	}
}

START_TEST(test_addition_is_javascripts)
{
	static const struct {
		struct shm_value a, b, sum;
	} table[] = {
		{INTEGER(2), INTEGER(3), INTEGER(5)},
		{INTEGER(INT64_MAX - 1), INTEGER(1), INTEGER(INT64_MAX)},
		{INTEGER(INT64_MAX), INTEGER(1), FLOAT(0x1p63)},
		{INTEGER(INT64_MIN), INTEGER(-1), FLOAT(-0x1p63)},
		{INTEGER((int64_t)1 << 53), INTEGER(1), INTEGER(((int64_t)1 << 53) + 1)},
		{INTEGER(1), FLOAT(0.5), FLOAT(1.5)},
		{FLOAT(-0.0), FLOAT(-0.0), FLOAT(-0.0)},
		{FLOAT(-0.0), INTEGER(0), FLOAT(0.0)},
		{BOOLEAN(true), BOOLEAN(true), INTEGER(2)},
		{BOOLEAN(true), INTEGER(41), INTEGER(42)},
		{UNDEFINED, INTEGER(1), FLOAT(NAN)},
		{INTEGER(1), UNDEFINED, FLOAT(NAN)},
		{UNDEFINED, UNDEFINED, FLOAT(NAN)},
		{STRING("a"), STRING("b"), STRING("ab")},
		{STRING(""), STRING(""), STRING("")},
		{STRING("a\0b"), STRING("\0"), STRING("a\0b\0")},
		{STRING("n="), INTEGER(-7), STRING("n=-7")},
		{INTEGER(INT64_MIN), STRING("!"), STRING("-9223372036854775808!")},
		{FLOAT(0.1), STRING("x"), STRING("0.1x")},
		{FLOAT(1e21), STRING(""), STRING("1e+21")},
		{FLOAT(-0.0), STRING(""), STRING("0")},
		{FLOAT(NAN), STRING(""), STRING("NaN")},
		{STRING("is "), BOOLEAN(true), STRING("is true")},
		{BOOLEAN(false), STRING(" it is"), STRING("false it is")},
		{STRING("x"), UNDEFINED, STRING("xundefined")},
		{UNDEFINED, STRING("x"), STRING("undefinedx")},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct shm_outcome outcome;

		ck_assert_int_eq(shm_value_modify(OP_ADD, &table[i].a, &table[i].b, &outcome), 0);
		assert_outcome(&outcome, &table[i].sum);
	}
}
END_TEST

START_TEST(test_what_cannot_be_added_or_modified)
{
	static const struct {
		enum shm_op op;
		struct shm_value a, b;
		int error;
	} table[] = {
		{OP_ADD, JSON("{}"), INTEGER(1), -ERROR_TYPE},	  {OP_ADD, INTEGER(1), BYTES("b"), -ERROR_TYPE},
		{OP_ADD, STRING("s"), JSON("[]"), -ERROR_TYPE},	  {OP_AND, FLOAT(1), INTEGER(1), -ERROR_TYPE},
		{OP_XOR, UNDEFINED, INTEGER(1), -ERROR_TYPE},	  {OP_MIN, STRING("1"), INTEGER(1), -ERROR_TYPE},
		{OP_MAX, INTEGER(1), BOOLEAN(true), -ERROR_TYPE}, {OP_ADD_INT64, FLOAT(1), INTEGER(1), -ERROR_TYPE},
		{OP_ADD_INT64, INTEGER(INT64_MAX), INTEGER(1), -ERROR_RANGE},
		{OP_ADD_DOUBLE, STRING("1"), FLOAT(1), -ERROR_TYPE},
	};
	struct shm_outcome outcome;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		ck_assert_int_eq(shm_value_modify(table[i].op, &table[i].a, &table[i].b, &outcome), table[i].error);
}
END_TEST

START_TEST(test_bits_extremes_and_typed_sums)
{
	static const struct {
		enum shm_op op;
		struct shm_value a, b, after;
	} table[] = {
		{OP_AND, INTEGER(12), INTEGER(10), INTEGER(8)},
		{OP_OR, INTEGER(12), INTEGER(10), INTEGER(14)},
		{OP_XOR, INTEGER(-1), INTEGER(1), INTEGER(-2)},
		{OP_MIN, INTEGER(3), FLOAT(2.5), FLOAT(2.5)},
		{OP_MAX, INTEGER(3), FLOAT(2.5), INTEGER(3)},
		{OP_MIN, FLOAT(NAN), INTEGER(3), INTEGER(3)},
		{OP_MAX, INTEGER(3), FLOAT(NAN), INTEGER(3)},
		{OP_MAX, INTEGER(((int64_t)1 << 53) + 1), FLOAT(0x1p53), INTEGER(((int64_t)1 << 53) + 1)},
		{OP_MIN, INTEGER(INT64_MAX), FLOAT(0x1p63), INTEGER(INT64_MAX)},
		{OP_ADD_INT64, UNDEFINED, INTEGER(5), INTEGER(5)},
		{OP_ADD_DOUBLE, INTEGER(1), FLOAT(0.25), FLOAT(1.25)},
		{OP_ADD_DOUBLE, UNDEFINED, FLOAT(0.25), FLOAT(0.25)},
	};
	struct shm_outcome outcome;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		ck_assert_int_eq(shm_value_modify(table[i].op, &table[i].a, &table[i].b, &outcome), 0);
		assert_outcome(&outcome, &table[i].after);
	}
}
END_TEST

START_TEST(test_equality)
{
	static const struct {
		struct shm_value a, b;
		bool equal;
	} table[] = {
		{INTEGER(1), INTEGER(1), true},
		{INTEGER(1), FLOAT(1.0), true},
		{FLOAT(0.0), FLOAT(-0.0), true},
		{FLOAT(-0.0), INTEGER(0), true},
		{FLOAT(NAN), FLOAT(NAN), false},
		{INTEGER(((int64_t)1 << 53) + 1), FLOAT(0x1p53), false},
		{INTEGER(INT64_MAX), FLOAT(0x1p63), false},
		{INTEGER(INT64_MIN), FLOAT(-0x1p63), true},
		{INTEGER(3), FLOAT(3.5), false},
		{FLOAT(INFINITY), FLOAT(INFINITY), true},
		{BOOLEAN(true), INTEGER(1), false},
		{UNDEFINED, UNDEFINED, true},
		{UNDEFINED, INTEGER(0), false},
		{STRING("a"), STRING("a"), true},
		{STRING("a"), STRING("a\0"), false},
		{STRING(""), STRING(""), true},
		{STRING("a"), BYTES("a"), false},
		{JSON("{}"), STRING("{}"), false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		ck_assert_int_eq(shm_value_equal(&table[i].a, &table[i].b), table[i].equal);
		ck_assert_int_eq(shm_value_equal(&table[i].b, &table[i].a), table[i].equal);
	}
}
END_TEST

START_TEST(test_numbers_are_printed_as_javascript_does)
{
	static const struct {
		double number;
		const char *text;
	} table[] = {
		{0, "0"}, {-0.0, "0"}, {1, "1"}, {-1.5, "-1.5"}, {100, "100"}, {0.1, "0.1"}, {1.0 / 3, "0.3333333333333333"},
		{123456789012345680000.0, "123456789012345680000"}, {1e21, "1e+21"}, {1.5e300, "1.5e+300"},
		{0.000001, "0.000001"}, {0.0000001, "1e-7"}, {1.25e-7, "1.25e-7"}, {5e-324, "5e-324"},
		{1.7976931348623157e308, "1.7976931348623157e+308"}, {9007199254740993.0, "9007199254740992"},
		{0x1p63, "9223372036854776000"}, {NAN, "NaN"}, {INFINITY, "Infinity"}, {-INFINITY, "-Infinity"},
	};
	char text[NUMBER_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		size_t size = number_text(table[i].number, text);

		ck_assert_uint_eq(size, strlen(table[i].text));
		ck_assert_mem_eq(text, table[i].text, size);
	}
}
END_TEST

START_TEST(test_printed_numbers_read_back)
{
	uint64_t state = unit_seed();

	for (int i = 0; i < 20000; i++) {
		uint64_t bits = unit_random(&state);
		char text[NUMBER_TEXT_MAX + 1];
		double number;

		memcpy(&number, &bits, sizeof(number));
		if (isnan(number))
			continue;
		text[number_text(number, text)] = 0;
		ck_assert_msg(strtod(text, NULL) == number, "%s does not read back", text);
	}
}
END_TEST

START_TEST(test_what_is_no_value)
{
	struct shm_value bad_type = {.type = TYPE_FILL}, no_data = {.type = TYPE_BYTES, .size = 1};
	struct shm_value latin1 = STRING("\xe4"), bytes = BYTES("\xe4"), empty = STRING("");
	struct shm_value huge = {.type = TYPE_BYTES, .data = &huge, .size = SIZE_MAX};

	ck_assert_int_eq(shm_value_validate(&bad_type), -ERROR_TYPE);
	ck_assert_int_eq(shm_value_validate(&no_data), -ERROR_INVALID);
	ck_assert_int_eq(shm_value_validate(&latin1), -ERROR_INVALID);
	ck_assert_int_eq(shm_value_validate(&huge), -ERROR_RANGE);
	ck_assert_int_eq(shm_value_validate(&bytes), 0);
	ck_assert_int_eq(shm_value_validate(&empty), 0);
}
END_TEST

UNIT_MAIN("shm/value", test_addition_is_javascripts, test_what_cannot_be_added_or_modified,
	  test_bits_extremes_and_typed_sums, test_equality, test_numbers_are_printed_as_javascript_does,
	  test_printed_numbers_read_back, test_what_is_no_value)
