/*
 * Read-modify-write: the sums of JavaScript, comparing, bits, the smaller and the larger; the typed shortcuts.
 */
#include <math.h>

#include "tests/integration/client.h"

#define BOOL(b)	 ems_value_boolean(b)
#define INT(i)	 ems_value_integer(i)
#define FLOAT(f) ems_value_float(f)
#define TEXT(t)	 text_value(t)
#define UNDEF	 ems_value_data(EMS_UNDEFINED, NULL, 0)

static ems_connection_t *connection;
static ems_heap_t *heap;

static void open_heap(const char *name)
{
	connection = connect_daemon();
	heap = make_heap(connection, name, &(ems_heap_options_t){.elements = 8});
}

static void close_heap(void)
{
	end_heap(connection, heap);
	ems_disconnect(connection);
}

static void ck_same(const ems_value_t *a, const ems_value_t *b)
{
	ck_assert_uint_eq(a->type, b->type);
	ck_assert_uint_eq(a->size, b->type >= EMS_STRING ? b->size : a->size);
	if (a->type == EMS_BOOLEAN)
		ck_assert_int_eq(a->boolean, b->boolean);
	else if (a->type == EMS_INTEGER)
		ck_assert_int_eq(a->integer, b->integer);
	else if (a->type == EMS_FLOAT)
		ck_assert_msg((isnan(a->number) && isnan(b->number)) || a->number == b->number,
			      "%.17g, expected %.17g", a->number, b->number);
	else if (a->type >= EMS_STRING && b->size)
		ck_assert_mem_eq(a->data, b->data, b->size);
}

/* What JavaScript's + gives, where numbers with integral values are integers here while they fit 64 bits. */
START_TEST(test_faa)
{
	const struct {
		ems_value_t a, b, sum;
	} table[] = {
		{UNDEF, UNDEF, FLOAT(NAN)},
		{UNDEF, INT(1), FLOAT(NAN)},
		{INT(1), UNDEF, FLOAT(NAN)},
		{UNDEF, BOOL(true), FLOAT(NAN)},
		{UNDEF, FLOAT(1.5), FLOAT(NAN)},
		{UNDEF, TEXT("x"), TEXT("undefinedx")},
		{TEXT("x"), UNDEF, TEXT("xundefined")},
		{BOOL(true), BOOL(true), INT(2)},
		{BOOL(false), BOOL(false), INT(0)},
		{BOOL(true), INT(41), INT(42)},
		{INT(41), BOOL(true), INT(42)},
		{BOOL(true), FLOAT(0.5), FLOAT(1.5)},
		{BOOL(true), TEXT("!"), TEXT("true!")},
		{TEXT("!"), BOOL(false), TEXT("!false")},
		{INT(2), INT(3), INT(5)},
		{INT(-2), INT(2), INT(0)},
		{INT(INT64_MAX), INT(1), FLOAT(9223372036854775808.0)},
		{INT(INT64_MIN), INT(-1), FLOAT(-9223372036854775808.0)},
		{INT(INT64_MAX), INT(INT64_MIN), INT(-1)},
		{INT(1), FLOAT(0.25), FLOAT(1.25)},
		{FLOAT(0.25), INT(1), FLOAT(1.25)},
		{FLOAT(0.1), FLOAT(0.2), FLOAT(0.1 + 0.2)},
		{FLOAT(INFINITY), FLOAT(-INFINITY), FLOAT(NAN)},
		{INT(1), TEXT("a"), TEXT("1a")},
		{TEXT("a"), INT(-7), TEXT("a-7")},
		{TEXT("a"), INT(INT64_MIN), TEXT("a-9223372036854775808")},
		{FLOAT(1.5), TEXT("a"), TEXT("1.5a")},
		{TEXT("a"), FLOAT(0.1), TEXT("a0.1")},
		{TEXT(""), FLOAT(0.1 + 0.2), TEXT("0.30000000000000004")},
		{TEXT(""), FLOAT(-0.0), TEXT("0")},
		{TEXT(""), FLOAT(NAN), TEXT("NaN")},
		{TEXT(""), FLOAT(-INFINITY), TEXT("-Infinity")},
		{TEXT(""), FLOAT(1e21), TEXT("1e+21")},
		{TEXT(""), FLOAT(1e20), TEXT("100000000000000000000")},
		{TEXT(""), FLOAT(1e-7), TEXT("1e-7")},
		{TEXT(""), FLOAT(0.000001), TEXT("0.000001")},
		{TEXT(""), FLOAT(1.7976931348623157e308), TEXT("1.7976931348623157e+308")},
		{TEXT(""), FLOAT(5e-324), TEXT("5e-324")},
		{TEXT("ä"), TEXT("ö"), TEXT("äö")},
		{TEXT(""), TEXT(""), TEXT("")},
	};
	ems_value_t old = EMS_VALUE_INIT, now = EMS_VALUE_INIT;

	open_heap("modify/faa");
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		ck_ok(ems_write_xf(heap, ems_index(0), &table[i].a));
		ck_ok(ems_faa(heap, ems_index(0), &table[i].b, &old));
		ck_same(&old, &table[i].a);
		ck_ok(ems_read(heap, ems_index(0), &now));
		ck_same(&now, &table[i].sum);
	}
	ems_value_clear(&old);
	ems_value_clear(&now);
	close_heap();
}
END_TEST

START_TEST(test_faa_refuses)
{
	ems_value_t json = ems_value_data(EMS_JSON, "{}", 2), bytes = ems_value_data(EMS_BYTES, "b", 1);
	ems_value_t one = INT(1);

	open_heap("modify/refuses");
	for (int i = 0; i < 2; i++) {
		const ems_value_t *wrong = i ? &json : &bytes;

		ck_ok(ems_write_xf(heap, ems_index(0), wrong));
		ck_ems(ems_faa(heap, ems_index(0), &one, NULL), EMS_ETYPE);
		ck_reads(heap, ems_index(0), wrong);
		ck_ok(ems_write_xf(heap, ems_index(0), &one));
		ck_ems(ems_faa(heap, ems_index(0), wrong, NULL), EMS_ETYPE);
		ck_reads(heap, ems_index(0), &one);
	}
	close_heap();
}
END_TEST

START_TEST(test_cas)
{
	const struct {
		ems_value_t is, expected;
		bool equal;
	} table[] = {
		{UNDEF, UNDEF, true},
		{BOOL(true), BOOL(true), true},
		{BOOL(true), BOOL(false), false},
		{BOOL(true), INT(1), false},
		{INT(5), INT(5), true},
		{INT(5), INT(6), false},
		{INT(5), FLOAT(5.0), true},
		{FLOAT(5.0), INT(5), true},
		{FLOAT(5.5), INT(5), false},
		{FLOAT(0.0), FLOAT(-0.0), true},
		{FLOAT(NAN), FLOAT(NAN), false},
		{INT((INT64_C(1) << 53) + 1), FLOAT(9007199254740992.0), false}, /* equal only when rounded */
		{INT(INT64_MAX), FLOAT(9223372036854775808.0), false},
		{INT(0), UNDEF, false},
		{TEXT("a"), TEXT("a"), true},
		{TEXT("a"), TEXT("b"), false},
		{TEXT("a"), TEXT("ab"), false},
		{TEXT("a"), ems_value_data(EMS_BYTES, "a", 1), false},
		{TEXT("1"), INT(1), false},
		{ems_value_data(EMS_JSON, "[]", 2), ems_value_data(EMS_JSON, "[]", 2), true},
	};
	ems_value_t desired = TEXT("another"), old = EMS_VALUE_INIT;
	bool swapped;

	open_heap("modify/cas");
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		ck_ok(ems_write_xf(heap, ems_index(0), &table[i].is));
		ck_ok(ems_cas(heap, ems_index(0), &table[i].expected, &desired, &old, &swapped));
		ck_assert_msg(swapped == table[i].equal, "row %zu", i);
		ck_same(&old, &table[i].is);
		ck_reads(heap, ems_index(0), swapped ? &desired : &table[i].is);
	}
	ck_ok(ems_cas(heap, ems_index(0), &desired, &desired, NULL, NULL));
	ems_value_clear(&old);
	close_heap();
}
END_TEST

START_TEST(test_swap)
{
	ems_value_t a = TEXT("a"), b = INT(2), old = EMS_VALUE_INIT;

	open_heap("modify/swap");
	ck_ok(ems_swap(heap, ems_index(0), &a, &old));
	ck_assert_int_eq(old.type, EMS_UNDEFINED);
	ck_ok(ems_swap(heap, ems_index(0), &b, &old));
	ck_same(&old, &a);
	ck_ok(ems_swap(heap, ems_index(0), &a, NULL));
	ck_reads(heap, ems_index(0), &a);
	ems_value_clear(&old);
	close_heap();
}
END_TEST

START_TEST(test_bits)
{
	ems_value_t value = INT(0xff), text = TEXT("x");
	int64_t old;

	open_heap("modify/bits");
	ck_ok(ems_write(heap, ems_index(0), &value));
	ck_ok(ems_and(heap, ems_index(0), 0x3c, &old));
	ck_assert_int_eq(old, 0xff);
	ck_ok(ems_or(heap, ems_index(0), INT64_MIN, &old));
	ck_assert_int_eq(old, 0x3c);
	ck_ok(ems_xor(heap, ems_index(0), 0x04, &old));
	ck_assert_int_eq(old, INT64_MIN + 0x3c);
	value = INT(INT64_MIN + 0x38);
	ck_reads(heap, ems_index(0), &value);
	ck_ok(ems_write(heap, ems_index(0), &text));
	ck_ems(ems_and(heap, ems_index(0), 1, &old), EMS_ETYPE);
	ck_reads(heap, ems_index(0), &text);
	close_heap();
}
END_TEST

START_TEST(test_min_max)
{
	ems_value_t five = INT(5), half = FLOAT(0.5), nan = FLOAT(NAN), text = TEXT("x"),
		    old = EMS_VALUE_INIT;

	open_heap("modify/minmax");
	ck_ok(ems_write(heap, ems_index(0), &five));
	ck_ok(ems_min(heap, ems_index(0), &half, &old));
	ck_same(&old, &five);
	ck_reads(heap, ems_index(0), &half);
	ck_ok(ems_min(heap, ems_index(0), &five, NULL));
	ck_reads(heap, ems_index(0), &half);
	ck_ok(ems_max(heap, ems_index(0), &five, NULL));
	ck_reads(heap, ems_index(0), &five);
	ck_ok(ems_max(heap, ems_index(0), &nan, NULL));
	ck_reads(heap, ems_index(0), &five);
	ck_ok(ems_write(heap, ems_index(0), &nan));
	ck_ok(ems_min(heap, ems_index(0), &five, NULL));
	ck_reads(heap, ems_index(0), &five);
	ck_ems(ems_max(heap, ems_index(0), &text, NULL), EMS_ETYPE);
	ck_ok(ems_write(heap, ems_index(0), &text));
	ck_ems(ems_min(heap, ems_index(0), &five, NULL), EMS_ETYPE);
	close_heap();
}
END_TEST

START_TEST(test_typed)
{
	ems_value_t text = TEXT("x"), undefined = UNDEF, most = INT(INT64_MAX);
	int64_t i = 77;
	double d = 77;
	bool swapped;

	open_heap("modify/typed");
	ck_ems(ems_read_int64(heap, ems_index(0), &i), EMS_ETYPE); /* undefined */
	ck_assert_int_eq(i, 77);
	ck_ok(ems_faa_int64(heap, ems_index(0), 5, &i));
	ck_assert_int_eq(i, 0);
	ck_ok(ems_faa_int64(heap, ems_index(0), -7, NULL));
	ck_ok(ems_read_int64(heap, ems_index(0), &i));
	ck_assert_int_eq(i, -2);
	ck_ok(ems_read_double(heap, ems_index(0), &d));
	ck_assert(d == -2.0);
	ck_ok(ems_write_int64(heap, ems_index(0), INT64_MAX));
	ck_ems(ems_faa_int64(heap, ems_index(0), 1, &i), EMS_ERANGE);
	ck_reads(heap, ems_index(0), &most);
	ck_ok(ems_cas_int64(heap, ems_index(0), INT64_MAX, 1, &i, &swapped));
	ck_assert(swapped && i == INT64_MAX);
	ck_ok(ems_cas_int64(heap, ems_index(0), 2, 3, &i, &swapped));
	ck_assert(!swapped && i == 1);
	ck_ok(ems_faa_double(heap, ems_index(0), 0.5, &d));
	ck_assert(d == 1.0);
	ck_ok(ems_read_double(heap, ems_index(0), &d));
	ck_assert(d == 1.5);
	ck_ems(ems_read_int64(heap, ems_index(0), &i), EMS_ETYPE);
	ck_ems(ems_faa_int64(heap, ems_index(0), 1, &i), EMS_ETYPE);
	ck_ems(ems_cas_int64(heap, ems_index(0), 1, 2, &i, &swapped), EMS_ETYPE);
	ck_ok(ems_write_double(heap, ems_index(0), -0.0));
	ck_ok(ems_read_double(heap, ems_index(0), &d));
	ck_assert(d == 0 && signbit(d));
	ck_ok(ems_write(heap, ems_index(0), &text));
	ck_ems(ems_read_double(heap, ems_index(0), &d), EMS_ETYPE);
	ck_ems(ems_read_int64(heap, ems_index(0), &i), EMS_ETYPE);
	ck_ems(ems_faa_double(heap, ems_index(0), 1, &d), EMS_ETYPE);
	ck_reads(heap, ems_index(0), &text);
	ck_ok(ems_write(heap, ems_index(0), &undefined));
	ck_ok(ems_faa_double(heap, ems_index(0), 2.5, &d));
	ck_assert(d == 0);
	ck_ok(ems_read_double(heap, ems_index(0), &d));
	ck_assert(d == 2.5);
	close_heap();
}
END_TEST

INTEGRATION_MAIN("client/modify", test_faa, test_faa_refuses, test_cas, test_swap, test_bits, test_min_max,
		 test_typed)
