/*
 * Values of every type, and their edges, through a heap and back.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "tests/integration/client.h"

static void ck_round_trip(ems_heap_t *heap, ems_key_t key, const ems_value_t *value)
{
	ck_ok(ems_write_xf(heap, key, value));
	ck_reads(heap, key, value);
}

static void round_trips(ems_heap_t *heap, ems_key_t key)
{
	static const int64_t integers[] = {0, 1, -1, INT64_MAX, INT64_MIN, (INT64_C(1) << 53) + 1};
	const double numbers[] = {0.0, -0.0, 1.5, DBL_MAX, DBL_MIN, DBL_TRUE_MIN, INFINITY, -INFINITY, NAN};
	ems_value_t value = EMS_VALUE_INIT;

	ck_round_trip(heap, key, &value);
	for (int i = 0; i < 2; i++) {
		value = ems_value_boolean(i);
		ck_round_trip(heap, key, &value);
	}
	for (size_t i = 0; i < sizeof(integers) / sizeof(integers[0]); i++) {
		value = ems_value_integer(integers[i]);
		ck_round_trip(heap, key, &value);
	}
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		value = ems_value_float(numbers[i]);
		ck_round_trip(heap, key, &value);
	}
}

static void text_round_trips(ems_heap_t *heap, ems_key_t key)
{
	static const char with_nul[] = "a\0b\0";
	static const char not_utf8[] = "\xff\xfe\x80\0\xc0";
	ems_value_t value;

	for (ems_type_t type = EMS_STRING; type <= EMS_BYTES; type++) {
		value = ems_value_data(type, NULL, 0);
		ck_round_trip(heap, key, &value);
		value = ems_value_data(type, "", 0);
		ck_round_trip(heap, key, &value);
		value = ems_value_data(type, "x", 1);
		ck_round_trip(heap, key, &value);
		value = ems_value_data(type, "{\"ä\": \"€ 😀\"}", strlen("{\"ä\": \"€ 😀\"}"));
		ck_round_trip(heap, key, &value);
		value = ems_value_data(type, with_nul, sizeof(with_nul));
		ck_round_trip(heap, key, &value);
	}
	value = ems_value_data(EMS_BYTES, not_utf8, sizeof(not_utf8));
	ck_round_trip(heap, key, &value);
}

START_TEST(test_without_map)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap = make_heap(connection, "values/list", &(ems_heap_options_t){.elements = 10});

	round_trips(heap, ems_index(0));
	text_round_trips(heap, ems_index(9));
	end_heap(connection, heap);
	ems_disconnect(connection);
}
END_TEST

START_TEST(test_with_map)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap =
		make_heap(connection, "values/map", &(ems_heap_options_t){.elements = 10, .map = true});

	round_trips(heap, ems_key("some key"));
	text_round_trips(heap, ems_key("a longer key, which is stored apart"));
	end_heap(connection, heap);
	ems_disconnect(connection);
}
END_TEST

/* Every size around those where storage changes its ways, with contents that tell a byte out of place. */
START_TEST(test_sizes)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap = make_heap(connection, "values/sizes", &(ems_heap_options_t){.elements = 2});
	size_t largest = 16 << 20;
	uint8_t *bytes = malloc(largest);
	uint64_t random = unit_seed();

	for (size_t i = 0; i < largest; i += 8) {
		uint64_t eight = unit_random(&random);

		memcpy(bytes + i, &eight, 8);
	}
	for (size_t size = 16; size <= largest; size *= 2)
		for (int off = -9; off <= 1; off += 1) {
			ems_value_t value;

			if (size + (size_t)off > largest || (size > 70000 && off < -1))
				continue;
			value = ems_value_data(EMS_BYTES, bytes + (size < 4096 ? size : 0),
					       size + (size_t)off);
			ck_round_trip(heap, ems_index(1), &value);
		}
	free(bytes);
	end_heap(connection, heap);
	ems_disconnect(connection);
}
END_TEST

START_TEST(test_large_string)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap = make_heap(connection, "values/large", &(ems_heap_options_t){.elements = 1});
	size_t size = 16 << 20;
	char *text = malloc(size);
	ems_value_t value = ems_value_data(EMS_STRING, text, size);

	memset(text, 'x', size);
	ck_round_trip(heap, ems_index(0), &value);
	text[size - 1] = '\xc3'; /* the first half of a character */
	ck_ems(ems_write(heap, ems_index(0), &value), EMS_EINVALID);
	free(text);
	end_heap(connection, heap);
	ems_disconnect(connection);
}
END_TEST

/* A refused value leaves the element as it was. */
START_TEST(test_refused)
{
	static const char *const not_utf8[] = {"\x80", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
					       "a\xe2\x82"};
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap = make_heap(connection, "values/refused", &(ems_heap_options_t){.elements = 1});
	const ems_value_t before = ems_value_integer(7);
	ems_value_t value;

	ck_ok(ems_write(heap, ems_index(0), &before));
	for (size_t i = 0; i < sizeof(not_utf8) / sizeof(not_utf8[0]); i++) {
		value = text_value(not_utf8[i]);
		ck_ems(ems_write(heap, ems_index(0), &value), EMS_EINVALID);
		value.type = EMS_JSON;
		ck_ems(ems_swap(heap, ems_index(0), &value, NULL), EMS_EINVALID);
		value.type = EMS_BYTES;
		ck_ok(ems_write(heap, ems_index(0), &value));
		ck_ok(ems_write(heap, ems_index(0), &before));
	}
	value = ems_value_data(EMS_BYTES, NULL, 1);
	ck_ems(ems_write(heap, ems_index(0), &value), EMS_EINVALID);
	value = ems_value_data(EMS_BYTES, "", (size_t)EMS_VALUE_MAX + 1);
	ck_ems(ems_write(heap, ems_index(0), &value), EMS_ERANGE);
	value = (ems_value_t){.type = EMS_BYTES + 1};
	ck_ems(ems_write(heap, ems_index(0), &value), EMS_EINVALID);
	ck_ems(ems_write(heap, ems_index(0), NULL), EMS_EINVALID);
	ck_ems(ems_faa(heap, ems_index(0), NULL, NULL), EMS_EINVALID);
	ck_ems(ems_cas(heap, ems_index(0), &before, NULL, NULL, NULL), EMS_EINVALID);
	ck_reads(heap, ems_index(0), &before);
	end_heap(connection, heap);
	ems_disconnect(connection);
}
END_TEST

/* Reading in a loop uses one buffer; what was read may be written. */
START_TEST(test_buffer)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap = make_heap(connection, "values/buffer", &(ems_heap_options_t){.elements = 2});
	ems_value_t value = EMS_VALUE_INIT, text = text_value("twelve bytes");
	void *data;

	ck_ok(ems_write(heap, ems_index(0), &text));
	ck_ok(ems_read(heap, ems_index(0), &value));
	data = value.data;
	for (int i = 0; i < 10; i++) {
		ck_ok(ems_write(heap, ems_index(1), &value));
		ck_ok(ems_read(heap, ems_index(1), &value));
		ck_assert_ptr_eq(value.data, data);
		ck_assert_str_eq(value.data, "twelve bytes");
	}
	text = ems_value_integer(1);
	ck_ok(ems_write(heap, ems_index(1), &text));
	ck_ok(ems_read(heap, ems_index(1), &value)); /* keeps the buffer for the next one */
	ck_assert_int_eq(value.integer, 1);
	ems_value_clear(&value);
	ck_assert_uint_eq(value.type, EMS_UNDEFINED);
	ck_assert_ptr_null(value.data);
	ems_value_clear(&value);
	ems_value_clear(NULL);
	end_heap(connection, heap);
	ems_disconnect(connection);
}
END_TEST

/* An element that was never written reads as the fill value, whatever its type, with the initial tag. */
START_TEST(test_fill_values)
{
	ems_connection_t *connection = connect_daemon();
	char *large = malloc(65536);
	ems_value_t fills[8];
	ems_tag_t tag;

	memset(large, 'z', 65536);
	fills[0] = (ems_value_t)EMS_VALUE_INIT;
	fills[1] = ems_value_boolean(true);
	fills[2] = ems_value_integer(-3);
	fills[3] = ems_value_float(-0.0);
	fills[4] = text_value("fill");
	fills[5] = ems_value_data(EMS_JSON, "[]", 2);
	fills[6] = ems_value_data(EMS_BYTES, large, 65536);
	fills[7] = ems_value_data(EMS_STRING, "", 0);
	for (size_t i = 0; i < sizeof(fills) / sizeof(fills[0]); i++)
		for (int map = 0; map < 2; map++) {
			ems_heap_options_t options = {.elements = 3,
						      .map = map,
						      .fill = &fills[i],
						      .initial_tag = map ? EMS_EMPTY : EMS_FULL};
			ems_heap_t *heap = make_heap(connection, "values/fill", &options);

			if (!map)
				ck_reads(heap, ems_index(2), &fills[i]);
			ck_ok(ems_get_tag(heap, ems_index(1), &tag));
			ck_assert_int_eq(tag, options.initial_tag);
			ck_ok(ems_set_tag(heap, ems_index(1), EMS_FULL)); /* a key comes into being with it */
			ck_reads(heap, ems_index(1), &fills[i]);
			end_heap(connection, heap);
		}
	free(large);
	ems_disconnect(connection);
}
END_TEST

INTEGRATION_MAIN("client/values", test_without_map, test_with_map, test_sizes, test_large_string,
		 test_refused, test_buffer, test_fill_values)
