/* Names, texts and numbers of the error codes; the way from errno. */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/error.h"
#include "tests/unit/unit.h"

/* They travel: a change of any of these breaks programs out there. */
START_TEST(numbers_are_stable)
{
	ck_assert_int_eq(ERROR_OK, 0);
	ck_assert_int_eq(ERROR_NO_KEY, 5);
	ck_assert_int_eq(ERROR_TIMEOUT, 16);
	ck_assert_int_eq(ERROR_DROPPED, 21);
	ck_assert_int_eq(ERROR_FORKED, 31);
	ck_assert_int_eq(ERROR_CONFLICT, 34);
}
END_TEST

START_TEST(every_code_has_its_own_name_and_text)
{
	for (int i = 0; i < ERROR_COUNT; i++) {
		ck_assert_ptr_nonnull(error_name(i));
		ck_assert_str_ne(error_name(i), "UNKNOWN");
		for (const char *c = error_name(i); *c; c++)
			ck_assert_msg(isupper(*c) || *c == '_', "%s", error_name(i));
		ck_assert_uint_gt(strlen(error_text(i)), 3);
		for (int j = 0; j < i; j++) {
			ck_assert_str_ne(error_name(i), error_name(j));
			ck_assert_str_ne(error_text(i), error_text(j));
		}
	}
}
END_TEST

START_TEST(sign_does_not_matter)
{
	ck_assert_str_eq(error_name(-ERROR_TIMEOUT), "TIMEOUT");
	ck_assert_str_eq(error_name(ERROR_TIMEOUT), "TIMEOUT");
	ck_assert_str_eq(error_text(-ERROR_FULL), error_text(ERROR_FULL));
}
END_TEST

START_TEST(foreign_numbers_are_unknown)
{
	static const int foreign[] = {ERROR_COUNT, -ERROR_COUNT, INT_MAX, INT_MIN, INT_MIN + 1};

	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		ck_assert_str_eq(error_name(foreign[i]), "UNKNOWN");
		ck_assert_str_eq(error_text(foreign[i]), "unknown error");
	}
}
END_TEST

START_TEST(errno_becomes_a_code)
{
	ck_assert_int_eq(error_from_errno(ENOMEM), -ERROR_NO_MEMORY);
	ck_assert_int_eq(error_from_errno(EACCES), -ERROR_ACCESS);
	ck_assert_int_eq(error_from_errno(ENOENT), -ERROR_NOT_FOUND);
	ck_assert_int_eq(error_from_errno(EINTR), -ERROR_INTERRUPTED);
	ck_assert_int_eq(error_from_errno(EAGAIN), -ERROR_BUSY);
	ck_assert_int_eq(error_from_errno(EPIPE), -ERROR_CONNECTION);
	ck_assert_int_eq(error_from_errno(ENOTTY), -ERROR_SYSTEM);
}
END_TEST

/* `return error_from_errno(errno)` must fail even where errno was lost. */
START_TEST(errno_never_becomes_success)
{
	for (int i = -5; i < 300; i++)
		ck_assert_int_lt(error_from_errno(i), 0);
}
END_TEST

UNIT_MAIN("base/error", numbers_are_stable, every_code_has_its_own_name_and_text, sign_does_not_matter,
	  foreign_numbers_are_unknown, errno_becomes_a_code, errno_never_becomes_success)
