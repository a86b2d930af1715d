/* Values as arguments, and the buffer of values as results. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "client/value.h"
#include "tests/unit/unit.h"

START_TEST(test_check)
{
	ems_value_t value = EMS_VALUE_INIT;

	ck_assert_int_eq(value_check(&value), 0);
	ck_assert_int_eq(value_check(NULL), -ERROR_INVALID);
	value.type = EMS_BYTES + 1;
	ck_assert_int_eq(value_check(&value), -ERROR_INVALID);
	value = ems_value_data(EMS_STRING, "\xff", 1);
	ck_assert_int_eq(value_check(&value), -ERROR_INVALID);
	value.type = EMS_JSON;
	ck_assert_int_eq(value_check(&value), -ERROR_INVALID);
	value.type = EMS_BYTES;
	ck_assert_int_eq(value_check(&value), 0);
	value = ems_value_data(EMS_STRING, NULL, 0);
	ck_assert_int_eq(value_check(&value), 0);
	value.size = 1;
	ck_assert_int_eq(value_check(&value), -ERROR_INVALID);
	value = ems_value_data(EMS_BYTES, "", (size_t)EMS_VALUE_MAX + 1); /* not looked into */
	ck_assert_int_eq(value_check(&value), -ERROR_RANGE);
	value = ems_value_integer(5);
	value.size = 7; /* of no meaning for a number */
	ck_assert_int_eq(value_check(&value), 0);
}
END_TEST

START_TEST(test_reserve)
{
	ems_value_t value = EMS_VALUE_INIT;

	ck_assert_int_eq(value_reserve(&value, 0), 0);
	ck_assert_uint_ge(value.capacity, 1);
	for (size_t size = 1; size < 100000; size *= 3) {
		ck_assert_int_eq(value_reserve(&value, size), 0);
		ck_assert_uint_gt(value.capacity, size); /* room for the NUL */
		memset(value.data, 'x', size + 1);
	}
	ems_value_clear(&value);
	ck_assert_ptr_null(value.data);
	/* Memory that is not the library's is neither enlarged nor freed. */
	value = ems_value_string("constant");
	ck_assert_int_eq(value_reserve(&value, 3), 0);
	ck_assert_uint_ge(value.capacity, 4);
	ems_value_clear(&value);
	value = ems_value_string("constant");
	ems_value_clear(&value);
}
END_TEST

UNIT_MAIN("client/value", test_check, test_reserve)
