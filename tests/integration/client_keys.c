/*
 * Heaps with a map: which keys are the same, deleting, index and key, iteration while others change the heap.
 */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "tests/integration/client.h"

START_TEST(test_same_and_other)
{
	char long_text[65535 + 1];
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap =
		make_heap(connection, "keys/same", &(ems_heap_options_t){.elements = 100, .map = true});
	/* Each line is one key in one or several forms. */
	const ems_key_t keys[][3] = {
		{ems_index(1), ems_key_float(1.0), ems_index(1)},
		{ems_index(0), ems_key_float(0.0), ems_key_float(-0.0)},
		{ems_key_boolean(true)},
		{ems_key_boolean(false)},
		{ems_index(-1), ems_key_float(-1.0)},
		{ems_key_float(1.5)},
		{ems_key_float(NAN), ems_key_float(-NAN)},
		{ems_key_float(INFINITY)},
		{ems_index(INT64_MAX)},
		{ems_key_float(9223372036854775808.0)},
		{ems_index(INT64_MIN), ems_key_float(-9223372036854775808.0)},
		{ems_key("1")},
		{ems_key("true")},
		{ems_key("")},
		{ems_key_bytes("\0", 1)},
		{ems_key_bytes("\0\0", 2)},
		{ems_key("12345678"), ems_key_bytes("12345678", 8)},
		{ems_key("123456789")},
		{ems_key_bytes("1234567\0", 8)},
		{ems_key("ä")},
		{ems_key_bytes(long_text, 65535)},
		{ems_key_bytes(long_text, 65534)},
	};
	size_t count = sizeof(keys) / sizeof(keys[0]);
	uint64_t index, again;
	int64_t value;

	memset(long_text, 'k', sizeof(long_text));
	for (size_t i = 0; i < count; i++)
		ck_ok(ems_write_int64(heap, keys[i][0], (int64_t)i));
	for (size_t i = 0; i < count; i++)
		for (int form = 0; form < 3 && keys[i][form].type; form++) {
			ck_ok(ems_read_int64(heap, keys[i][form], &value));
			ck_assert_int_eq(value, (int64_t)i);
			ck_ok(ems_key_to_index(heap, keys[i][0], &index));
			ck_ok(ems_key_to_index(heap, keys[i][form], &again));
			ck_assert_uint_eq(index, again);
		}
	ck_ems(ems_write_int64(heap, ems_key_bytes(long_text, 65536), 1), EMS_ERANGE);
	ck_ems(ems_write_int64(heap, ems_key_bytes(long_text, (size_t)-1), 1), EMS_ERANGE);
	ck_ems(ems_write_int64(heap, ems_key_bytes(NULL, 1), 1), EMS_EINVALID);
	ck_ems(ems_write_int64(heap, (ems_key_t){.type = 9}, 1), EMS_EINVALID);
	end_heap(connection, heap);
	ems_disconnect(connection);
}
END_TEST

START_TEST(test_delete)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap = make_heap(connection, "keys/delete",
				     &(ems_heap_options_t){.elements = 4, .map = true, .max_elements = 4});
	ems_value_t value = EMS_VALUE_INIT, one = ems_value_integer(1), text = text_value("some text");
	char name[64];
	bool deleted;

	ck_ems(ems_delete(heap, ems_key("a")), EMS_ENOKEY);
	ck_ems(ems_compare_delete(heap, ems_key("a"), &one, &deleted), EMS_ENOKEY);
	ck_ok(ems_write(heap, ems_key("a"), &text));
	ck_ok(ems_compare_delete(heap, ems_key("a"), &one, &deleted));
	ck_assert(!deleted);
	ck_reads(heap, ems_key("a"), &text);
	ck_ok(ems_compare_delete(heap, ems_key("a"), &text, &deleted));
	ck_assert(deleted);
	ck_ok(ems_read(heap, ems_key("a"), &value));
	ck_assert_int_eq(value.type, EMS_UNDEFINED);
	/* Elements of deleted keys are used again, any number of times, and no more than there are. */
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "a key with a number, %d", i);
		ck_ok(ems_write(heap, ems_key(name), &text));
		if (i >= 4) {
			snprintf(name, sizeof(name), "a key with a number, %d", i - 4);
			ck_ems(ems_delete(heap, ems_key(name)), EMS_ENOKEY);
		}
		if (i >= 3) {
			snprintf(name, sizeof(name), "a key with a number, %d", i - 3);
			ck_ok(ems_delete(heap, ems_key(name)));
		}
	}
	ck_ok(ems_write(heap, ems_key("fourth"), &one));
	ck_ems(ems_write(heap, ems_key("fifth"), &one), EMS_EFULL);
	ck_assert(strstr(ems_last_error()->message, "keys/delete"));
	ck_ok(ems_read(heap, ems_key("fifth"), &value));
	ck_assert_int_eq(value.type, EMS_UNDEFINED);
	ck_ok(ems_delete(heap, ems_key("fourth")));
	ck_ok(ems_write(heap, ems_key("fifth"), &one));
	end_heap(connection, heap);
	ems_disconnect(connection);
}
END_TEST

START_TEST(test_index_and_key)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap =
		make_heap(connection, "keys/index", &(ems_heap_options_t){.elements = 10, .map = true});
	ems_heap_t *list = make_heap(connection, "keys/list", &(ems_heap_options_t){.elements = 10});
	const ems_key_t keys[] = {
		ems_key("short"),     ems_key("12345678"), ems_key("a longer one, kept apart"),
		ems_key(""),	      ems_index(-5),	   ems_key_float(2.5),
		ems_key_boolean(true)};
	ems_value_t buffer = EMS_VALUE_INIT;
	ems_key_t found;
	uint64_t index;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		ck_ok(ems_write_int64(heap, keys[i], 1));
		ck_ok(ems_key_to_index(heap, keys[i], &index));
		ck_ok(ems_index_to_key(heap, index, &found, &buffer));
		ck_assert_uint_eq(found.type, keys[i].type);
		if (found.type == EMS_KEY_STRING) {
			ck_assert_uint_eq(found.size, keys[i].size);
			ck_assert_mem_eq(found.text, keys[i].text, found.size);
		} else if (found.type == EMS_KEY_BOOLEAN) {
			ck_assert_int_eq(found.boolean, keys[i].boolean);
		} else {
			ck_assert_int_eq(found.integer, keys[i].integer);
		}
	}
	ck_ok(ems_delete(heap, ems_key("short")));
	ck_ems(ems_key_to_index(heap, ems_key("short"), &index), EMS_ENOKEY);
	ck_ems(ems_index_to_key(heap, 10, &found, &buffer), EMS_ERANGE);
	ck_ems(ems_index_to_key(heap, UINT64_MAX, &found, &buffer), EMS_ERANGE);
	ck_ok(ems_key_to_index(list, ems_index(7), &index));
	ck_assert_uint_eq(index, 7);
	ck_ok(ems_index_to_key(list, 9, &found, &buffer));
	ck_assert_int_eq(found.integer, 9);
	ck_ems(ems_key_to_index(list, ems_key("7"), &index), EMS_EINVALID);
	ems_value_clear(&buffer);
	end_heap(connection, heap);
	end_heap(connection, list);
	ems_disconnect(connection);
}
END_TEST

#define STAY 5000

struct churn {
	ems_heap_t *heap;
	int stop;
};

/* Other keys come and go, so that the map grows and elements change hands. */
static void *churn(void *arg)
{
	struct churn *churn = arg;
	char name[64];

	for (int round = 0; !__atomic_load_n(&churn->stop, __ATOMIC_ACQUIRE); round++) {
		for (int i = 0; i < 500; i++) {
			snprintf(name, sizeof(name), "churning key %d of %d", i, round);
			ck_ok(ems_write_int64(churn->heap, ems_key(name), -1));
		}
		for (int i = 0; i < 500; i++) {
			snprintf(name, sizeof(name), "churning key %d of %d", i, round);
			ck_ok(ems_delete(churn->heap, ems_key(name)));
		}
	}
	return NULL;
}

START_TEST(test_iterate_while_changing)
{
	ems_connection_t *connection = connect_daemon();
	struct churn other = {.heap = make_heap(connection, "keys/iterate",
						&(ems_heap_options_t){.elements = 20000, .map = true})};
	ems_value_t value = EMS_VALUE_INIT;
	ems_iterator_t *iterator;
	ems_key_t key;
	pthread_t thread;
	char name[64];
	int r;

	for (int i = 0; i < STAY; i++) {
		snprintf(name, sizeof(name), "staying %d", i);
		ck_ok(ems_write_int64(other.heap, ems_key(name), i));
	}
	ck_assert_int_eq(pthread_create(&thread, NULL, churn, &other), 0);
	for (int round = 0; round < 10; round++) {
		char seen[STAY] = {0};
		int number, count = 0;

		ck_ok(ems_iterate(other.heap, &iterator));
		while ((r = ems_iterator_next(iterator, &key, &value)) == 0) {
			ck_assert_uint_eq(key.type, EMS_KEY_STRING);
			ck_assert_int_eq(key.text[key.size], '\0');
			if (sscanf(key.text, "staying %d", &number) != 1) {
				ck_assert_int_eq(value.integer, -1);
				continue;
			}
			ck_assert(number >= 0 && number < STAY && !seen[number]);
			ck_assert_int_eq(value.integer, number);
			seen[number] = 1;
			count++;
		}
		ck_ems(r, EMS_EEMPTY);
		ck_ems(ems_iterator_next(iterator, &key, &value), EMS_EEMPTY);
		ck_assert_int_eq(count, STAY);
		ems_iterator_free(iterator);
	}
	__atomic_store_n(&other.stop, 1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	ems_value_clear(&value);
	end_heap(connection, other.heap);
	ems_disconnect(connection);
}
END_TEST

START_TEST(test_iterate_indexes)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap = make_heap(connection, "keys/indexes", &(ems_heap_options_t){.elements = 5});
	ems_value_t value = EMS_VALUE_INIT;
	ems_iterator_t *iterator;
	ems_key_t key;

	ck_ok(ems_write_int64(heap, ems_index(3), 33));
	ck_ok(ems_iterate(heap, &iterator));
	for (int i = 0; i < 5; i++) {
		ck_ok(ems_iterator_next(iterator, &key, &value));
		ck_assert_int_eq(key.integer, i);
		ck_assert_uint_eq(value.type, i == 3 ? EMS_INTEGER : EMS_UNDEFINED);
	}
	ck_ems(ems_iterator_next(iterator, &key, NULL), EMS_EEMPTY);
	ems_iterator_free(iterator);
	ems_iterator_free(NULL);
	ck_ems(ems_iterator_next(NULL, &key, NULL), EMS_EINVALID);
	end_heap(connection, heap);
	ems_disconnect(connection);
}
END_TEST

INTEGRATION_MAIN("client/keys", test_same_and_other, test_delete, test_index_and_key,
		 test_iterate_while_changing, test_iterate_indexes)
