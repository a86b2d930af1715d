/*
 * Many elements at once: ranges in and out, filling, and where they stop.
 */
#include <math.h>
#include <stdlib.h>

#include "tests/integration/client.h"

#define COUNT 100000

START_TEST(test_int64)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap = make_heap(connection, "ranges/int64", &(ems_heap_options_t){.elements = COUNT});
	int64_t *in = calloc(COUNT, sizeof(*in)), *out = calloc(COUNT, sizeof(*out));
	ems_value_t text = text_value("x");
	uint64_t done = 99;

	for (int i = 0; i < COUNT; i++)
		in[i] = (int64_t)i * INT64_C(-123456789012);
	ck_ok(ems_read_range_int64(heap, 0, COUNT, out, &done)); /* nothing was written: all 0 */
	ck_assert_uint_eq(done, COUNT);
	ck_assert_int_eq(out[COUNT - 1], 0);
	ck_ok(ems_write_range_int64(heap, 10, COUNT - 10, in, &done));
	ck_assert_uint_eq(done, COUNT - 10);
	ck_ok(ems_read_range_int64(heap, 10, COUNT - 10, out, NULL));
	ck_assert_mem_eq(in, out, (COUNT - 10) * sizeof(*in));
	ck_ok(ems_write(heap, ems_index(1000), &text));
	ck_ems(ems_read_range_int64(heap, 900, 200, out, &done), EMS_ETYPE);
	ck_assert_uint_eq(done, 100);
	ck_assert(strstr(ems_last_error()->message, "1000"));
	free(in);
	free(out);
	end_heap(connection, heap);
	ems_disconnect(connection);
}
END_TEST

START_TEST(test_double)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap = make_heap(connection, "ranges/double", &(ems_heap_options_t){.elements = 10});
	double in[] = {1.5, -0.0, INFINITY}, out[10];
	ems_value_t yes = ems_value_boolean(true);
	uint64_t done;

	ck_ok(ems_write_range_double(heap, 1, 3, in, NULL));
	ck_ok(ems_write_int64(heap, ems_index(4), 7));
	ck_ok(ems_read_range_double(heap, 0, 10, out, &done));
	ck_assert_uint_eq(done, 10);
	ck_assert(isnan(out[0]) && out[1] == 1.5 && signbit(out[2]) && isinf(out[3]) && out[4] == 7 &&
		  isnan(out[9]));
	ck_ems(ems_read_range_int64(heap, 0, 2, (int64_t[2]){0}, &done), EMS_ETYPE);
	ck_assert_uint_eq(done, 1);
	ck_ok(ems_write(heap, ems_index(0), &yes));
	ck_ems(ems_read_range_double(heap, 0, 2, out, &done), EMS_ETYPE);
	ck_assert_uint_eq(done, 0);
	end_heap(connection, heap);
	ems_disconnect(connection);
}
END_TEST

START_TEST(test_fill_value)
{
	ems_connection_t *connection = connect_daemon();
	ems_value_t fill = ems_value_integer(6);
	ems_heap_t *heap =
		make_heap(connection, "ranges/fill", &(ems_heap_options_t){.elements = 3, .fill = &fill});
	int64_t out[3];

	ck_ok(ems_read_range_int64(heap, 0, 3, out, NULL));
	ck_assert(out[0] == 6 && out[1] == 6 && out[2] == 6);
	ck_ok(ems_delete(heap, ems_index(1)));
	ck_ok(ems_write_int64(heap, ems_index(1), 1));
	ck_ok(ems_delete(heap, ems_index(1))); /* back to what it was at first */
	ck_reads(heap, ems_index(1), &fill);
	end_heap(connection, heap);
	ems_disconnect(connection);
}
END_TEST

START_TEST(test_fill)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap = make_heap(connection, "ranges/fills", &(ems_heap_options_t){.elements = 1000});
	ems_value_t text = text_value("the same everywhere"), one = ems_value_integer(1),
		    found = EMS_VALUE_INIT;
	uint64_t done;
	ems_tag_t tag;

	ck_ok(ems_fill(heap, 10, 500, &text, EMS_EMPTY, &done));
	ck_assert_uint_eq(done, 500);
	ck_ok(ems_fill(heap, 20, 10, &one, (ems_tag_t)0, NULL));
	ck_ok(ems_fill(heap, 40, 10, &one, EMS_FULL, NULL));
	for (int i = 0; i < 1000; i++) {
		bool filled = i >= 10 && i < 510, number = (i >= 20 && i < 30) || (i >= 40 && i < 50);

		ck_ok(ems_read(heap, ems_index(i), &found));
		ck_assert_uint_eq(found.type, number ? EMS_INTEGER : filled ? EMS_STRING : EMS_UNDEFINED);
		ck_ok(ems_get_tag(heap, ems_index(i), &tag));
		ck_assert_int_eq(tag, filled && !(i >= 40 && i < 50) ? EMS_EMPTY : EMS_FULL);
	}
	ck_ems(ems_fill(heap, 0, 1, &one, EMS_BUSY, NULL), EMS_EINVALID);
	ck_ems(ems_fill(heap, 0, 1, NULL, EMS_FULL, NULL), EMS_EINVALID);
	ems_value_clear(&found);
	end_heap(connection, heap);
	ems_disconnect(connection);
}
END_TEST

START_TEST(test_bad)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap = make_heap(connection, "ranges/bad", &(ems_heap_options_t){.elements = 10});
	ems_heap_t *map =
		make_heap(connection, "ranges/map", &(ems_heap_options_t){.elements = 10, .map = true});
	int64_t values[11] = {0};
	ems_value_t one = ems_value_integer(1);

	ck_ems(ems_read_range_int64(heap, 0, 11, values, NULL), EMS_ERANGE);
	ck_assert(strstr(ems_last_error()->message, "it has 10"));
	ck_ems(ems_read_range_int64(heap, 11, 0, values, NULL), EMS_ERANGE);
	ck_ems(ems_read_range_int64(heap, UINT64_MAX, 2, values, NULL), EMS_ERANGE);
	ck_ems(ems_write_range_int64(heap, 1, UINT64_MAX, values, NULL), EMS_ERANGE);
	ck_ok(ems_read_range_int64(heap, 10, 0, NULL, NULL));
	ck_ems(ems_read_range_int64(heap, 0, 1, NULL, NULL), EMS_EINVALID);
	ck_ems(ems_write_range_int64(map, 0, 1, values, NULL), EMS_EINVALID);
	ck_ems(ems_fill(map, 0, 1, &one, EMS_FULL, NULL), EMS_EINVALID);
	ck_ok(ems_write_int64(map, ems_key("k"), 5)); /* reading by index is allowed */
	uint64_t index;
	ck_ok(ems_key_to_index(map, ems_key("k"), &index));
	ck_ok(ems_read_range_int64(map, index, 1, values, NULL));
	ck_assert_int_eq(values[0], 5);
	end_heap(connection, heap);
	end_heap(connection, map);
	ems_disconnect(connection);
}
END_TEST

INTEGRATION_MAIN("client/ranges", test_int64, test_double, test_fill_value, test_fill, test_bad)
