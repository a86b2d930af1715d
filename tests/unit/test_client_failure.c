/* The last error in words: composed from what failed, one for each thread, never NULL. */
#include <pthread.h>
#include <string.h>

#include "base/error.h"
#include "base/utf8.h"
#include "client/failure.h"
#include "client/heap.h"
#include "tests/unit/unit.h"

static struct header header = {.elements = 1000};
static struct mapping mapping;
static struct ems_heap heap = {.mapping = &mapping, .name = "jobs"};

static void set_up(void)
{
	mapping.segment.base = (uint8_t *)&header;
	mapping.segment.layout.params.max_elements = 2000;
}

static const char *message(void)
{
	return ems_last_error()->message;
}

START_TEST(test_none)
{
	ck_assert_int_eq(ems_last_error()->code, EMS_OK);
	ck_assert_str_eq(ems_last_error()->name, "EMS_OK");
	ck_assert_str_eq(message(), "success");
}
END_TEST

START_TEST(test_elements)
{
	ems_key_t key = ems_index(1000000);

	set_up();
	ck_assert_int_eq(failure_at(-ERROR_RANGE, &heap, "read", &key), -EMS_ERANGE);
	ck_assert_str_eq(message(), "heap \"jobs\": no element 1000000 (it has 1000)");
	ck_assert_str_eq(ems_last_error()->name, "EMS_ERANGE");
	key = ems_index(7);
	(void)failure_at(-ERROR_TIMEOUT, &heap, "read_fe", &key);
	ck_assert_str_eq(message(), "heap \"jobs\", element 7: read_fe: timed out");
	(void)failure_at(-ERROR_EMPTY, &heap, "iterator_next", NULL);
	ck_assert_str_eq(message(), "heap \"jobs\": iterator_next: nothing there");
}
END_TEST

/* Keys are shown, but not at any length, nor with what would spoil a terminal. */
START_TEST(test_keys)
{
	char text[300];
	ems_key_t key = ems_key("some\nkey\x1b");

	set_up();
	(void)failure_at(-ERROR_NO_KEY, &heap, "delete", &key);
	ck_assert_str_eq(message(), "heap \"jobs\", key \"some?key?\": delete: no such key");
	for (int i = 0; i < 150; i++)
		memcpy(text + 2 * i, "ä", 2);
	key = ems_key_bytes(text + 1, 299); /* cut within a character, at both ends */
	(void)failure_at(-ERROR_NO_KEY, &heap, "delete", &key);
	ck_assert_int_lt((int)strlen(message()), 200);
	ck_assert(utf8_valid(message(), strlen(message())));
	key = ems_key_bytes(text, 300);
	(void)failure_at(-ERROR_NO_KEY, &heap, "delete", &key);
	ck_assert(strstr(message(), "äää") && strstr(message(), "ä…\""));
	key = ems_key_bytes("x\xff", 2);
	(void)failure_at(-ERROR_NO_KEY, &heap, "delete", &key);
	ck_assert(strstr(message(), "\"x?\""));
	key = ems_key_bytes(NULL, 70000);
	(void)failure_at(-ERROR_INVALID, &heap, "read", &key);
	ck_assert_ptr_nonnull(message());
	key = ems_key_boolean(true);
	(void)failure_at(-ERROR_FULL, &heap, "write", &key);
	ck_assert(strstr(message(), "key true") && strstr(message(), "grow"));
	key = ems_key_float(0.5);
	(void)failure_at(-ERROR_TYPE, &heap, "faa", &key);
	ck_assert(strstr(message(), "key 0.5"));
}
END_TEST

/* The daemon's words on the way of an operation are kept; those of an earlier failure are not. */
START_TEST(test_detail)
{
	ems_key_t key = ems_index(1);

	set_up();
	(void)failure_for_operation(failure_say(-ERROR_BUDGET, "user 5 has %d of %d bytes", 10, 11));
	(void)failure_at(-ERROR_BUDGET, &heap, "write", &key);
	ck_assert_str_eq(message(), "heap \"jobs\", element 1: write: user 5 has 10 of 11 bytes");
	(void)failure_at(-ERROR_BUDGET, &heap, "write", &key);
	ck_assert(!strstr(message(), "user 5"));
	(void)failure_say(-ERROR_RANGE, "something else");
	(void)failure_at(-ERROR_RANGE, &heap, "write", &key);
	ck_assert(!strstr(message(), "something else"));
	ck_assert_int_eq(failure_of(-ERROR_NO_MEMORY), -EMS_ENOMEMORY);
	ck_assert_str_eq(message(), error_text(ERROR_NO_MEMORY));
}
END_TEST

static void *fail_differently(void *arg)
{
	ck_assert_int_eq(ems_last_error()->code, EMS_OK);
	(void)failure_of(-ERROR_BUSY);
	return arg;
}

START_TEST(test_threads)
{
	pthread_t thread;

	(void)failure_of(-ERROR_ACCESS);
	ck_assert_int_eq(pthread_create(&thread, NULL, fail_differently, NULL), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(ems_last_error()->code, EMS_EACCESS);
}
END_TEST

START_TEST(test_names)
{
	for (int code = 0; code < ERROR_COUNT; code++) {
		ck_assert_str_eq(ems_error_name(code), ems_error_name(-code));
		ck_assert_int_eq(strncmp(ems_error_name(code), code ? "EMS_E" : "EMS_OK", 5), 0);
		ck_assert_str_eq(ems_error_text(-code), error_text(code));
	}
	ck_assert_str_eq(ems_error_name(-EMS_ENOKEY), "EMS_ENOKEY");
	ck_assert_str_eq(ems_error_name(12345), "EMS_EUNKNOWN");
	ck_assert_str_eq(ems_error_name(INT32_MIN), "EMS_EUNKNOWN");
}
END_TEST

UNIT_MAIN("client/failure", test_none, test_elements, test_keys, test_detail, test_threads, test_names)
