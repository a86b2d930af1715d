/*
 * Heaps by name: ways to open, what must match, read-only handles, growing, dropping, listing, and what is refused.
 */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/integration/client.h"

static int open_heap(ems_connection_t *connection, const char *name, ems_open_t how,
		     const ems_heap_options_t *options)
{
	ems_heap_t *heap = NULL;
	int r = ems_heap_open(connection, name, how, options, &heap);

	ck_assert((r == 0) == (heap != NULL));
	ems_heap_close(heap);
	return r;
}

START_TEST(test_ways_to_open)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_options_t ten = {.elements = 10};
	ems_heap_t *old, *new;
	int64_t value;

	ck_ems(open_heap(connection, "heaps/a", EMS_OPEN_EXISTING, NULL), EMS_ENOTFOUND);
	ck_assert(strstr(ems_last_error()->message, "heaps/a"));
	ck_ok(open_heap(connection, "heaps/a", EMS_CREATE, &ten));
	ck_ems(open_heap(connection, "heaps/a", EMS_CREATE, &ten), EMS_EEXISTS);
	ck_ok(open_heap(connection, "heaps/a", EMS_OPEN_EXISTING, NULL));
	ck_ok(open_heap(connection, "heaps/a", EMS_OPEN_OR_CREATE, &ten));
	ck_ok(open_heap(connection, "heaps/b", EMS_OPEN_OR_CREATE, &ten));
	ck_ok(open_heap(connection, "heaps/c", EMS_REPLACE, &ten));
	/* A replaced heap lives on for those who have it. */
	ck_ok(ems_heap_open(connection, "heaps/a", EMS_OPEN_EXISTING, NULL, &old));
	ck_ok(ems_write_int64(old, ems_index(1), 1));
	ck_ok(ems_heap_open(connection, "heaps/a", EMS_REPLACE, &ten, &new));
	ck_ems(ems_read_int64(new, ems_index(1), &value), EMS_ETYPE);
	ck_ok(ems_faa_int64(old, ems_index(1), 1, &value));
	ck_assert(ems_heap_is_dropped(old) && !ems_heap_is_dropped(new));
	ck_assert_str_eq(ems_heap_name(new), "heaps/a");
	ems_heap_close(old);
	end_heap(connection, new);
	ck_ok(ems_heap_drop(connection, "heaps/b"));
	ck_ok(ems_heap_drop(connection, "heaps/c"));
	ck_ems(ems_heap_drop(connection, "heaps/c"), EMS_ENOTFOUND);
	ems_disconnect(connection);
}
END_TEST

START_TEST(test_changing)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_options_t ten = {.elements = 10};
	ems_region_options_t page = {.size = 4096};
	ems_region_t *region;
	ems_heap_info_t info;
	ems_heap_t *heap;
	int64_t value;

	ck_ok(ems_heap_open(connection, "heaps/old", EMS_CREATE, &ten, &heap));
	ck_ok(ems_heap_chmod(connection, "heaps/old", 0444));
	ck_ok(ems_heap_rename(connection, "heaps/old", "heaps/new", false));
	/* Who has it notices nothing. */
	ck_ok(ems_write_int64(heap, ems_index(1), 7));
	ck_ok(ems_read_int64(heap, ems_index(1), &value));
	ck_ok(ems_heap_grow(heap, 20));
	ck_assert_str_eq(ems_heap_name(heap), "heaps/old");
	ck_assert(!ems_heap_is_dropped(heap));
	ck_ems(ems_heap_inspect(connection, "heaps/old", &info), EMS_ENOTFOUND);
	ck_ok(ems_heap_inspect(connection, "heaps/new", &info));
	ck_assert_uint_eq(info.mode, 0444);
	ck_assert_uint_eq(info.elements, 20);
	ck_ok(ems_heap_chown(connection, "heaps/new", EMS_SAME_ID, EMS_SAME_ID));

	/* One in the place of another. */
	ck_ok(open_heap(connection, "heaps/old", EMS_CREATE, &ten));
	ck_ems(ems_heap_rename(connection, "heaps/new", "heaps/old", false), EMS_EEXISTS);
	ck_ok(ems_heap_rename(connection, "heaps/new", "heaps/old", true));
	ck_ems(ems_heap_inspect(connection, "heaps/new", &info), EMS_ENOTFOUND);
	ck_ok(ems_heap_inspect(connection, "heaps/old", &info));
	ck_assert_uint_eq(info.elements, 20);
	ems_heap_close(heap);
	ck_ok(ems_heap_drop(connection, "heaps/old"));

	/* Regions have names as well. */
	ck_ok(ems_region_open(connection, "heaps/region", EMS_CREATE, &page, &region));
	ck_ok(ems_heap_rename(connection, "heaps/region", "heaps/region2", false));
	ck_ok(ems_heap_drop(connection, "heaps/region2"));
	ems_region_close(region);

	ck_ems(ems_heap_chmod(connection, "heaps/none", 0600), EMS_ENOTFOUND);
	ck_ems(ems_heap_chmod(connection, "heaps/none", 01000), EMS_ERANGE);
	ck_ems(ems_heap_chmod(connection, "heaps//none", 0600), EMS_ENAME);
	ck_ems(ems_heap_chmod(connection, NULL, 0600), EMS_ENAME);
	ck_ems(ems_heap_rename(connection, "heaps/none", NULL, true), EMS_ENAME);
	ck_ems(ems_heap_chown(NULL, "heaps/none", 0, 0), EMS_EINVALID);
	ems_disconnect(connection);
}
END_TEST

START_TEST(test_mismatch)
{
	ems_connection_t *connection = connect_daemon();
	ems_value_t one = ems_value_integer(1), real = ems_value_float(1);
	ems_heap_options_t made = {.elements = 10, .map = true, .fill = &one, .mode = 0640};

	ck_ok(open_heap(connection, "heaps/m", EMS_CREATE, &made));
	ck_ok(open_heap(connection, "heaps/m", EMS_OPEN_OR_CREATE, &made));
	ck_ok(open_heap(connection, "heaps/m", EMS_OPEN_OR_CREATE, &(ems_heap_options_t){.map = true}));
	ck_ok(open_heap(connection, "heaps/m", EMS_OPEN_OR_CREATE,
			&(ems_heap_options_t){.elements = 10, .map = true, .storage = 1 << 20}));
	ck_ems(open_heap(connection, "heaps/m", EMS_OPEN_OR_CREATE,
			 &(ems_heap_options_t){.elements = 11, .map = true}),
	       EMS_EMISMATCH);
	ck_assert(strstr(ems_last_error()->message, "10") && strstr(ems_last_error()->message, "11"));
	ck_ems(open_heap(connection, "heaps/m", EMS_OPEN_OR_CREATE, &(ems_heap_options_t){.elements = 10}),
	       EMS_EMISMATCH);
	ck_ems(open_heap(connection, "heaps/m", EMS_OPEN_OR_CREATE,
			 &(ems_heap_options_t){.map = true, .fill = &real}),
	       EMS_EMISMATCH);
	ck_ok(ems_heap_drop(connection, "heaps/m"));
	ems_disconnect(connection);
}
END_TEST

START_TEST(test_bad_options)
{
	static const char *const names[] = {"",	    "a/",   "a//b", ".",
					    "a/..", "a/./b", "\xff", "a\nb", "~"};
	ems_connection_t *connection = connect_daemon();
	ems_value_t bad = {.type = 77}, large = EMS_VALUE_INIT;
	const struct {
		ems_heap_options_t options;
		int error;
	} table[] = {
		{{.elements = 0}, EMS_EINVALID},
		{{.elements = UINT64_MAX}, EMS_ERANGE}, /* −1 */
		{{.elements = (UINT64_C(1) << 36) + 1}, EMS_ERANGE},
		{{.elements = (UINT64_C(1) << 32) + 1, .map = true}, EMS_ERANGE},
		{{.elements = 10, .max_elements = 9}, EMS_ERANGE},
		{{.elements = 10, .max_elements = UINT64_MAX}, EMS_ERANGE},
		{{.elements = 10, .storage = UINT64_MAX}, EMS_ERANGE},
		{{.elements = 10, .initial_tag = EMS_BUSY}, EMS_EINVALID},
		{{.elements = 10, .mode = 01000}, EMS_EINVALID},
		{{.elements = 10, .fill = &bad}, EMS_EINVALID},
		{{.elements = 10, .fill = &large}, EMS_ERANGE},
	};
	char name[300], bytes[65537] = {0};
	ems_heap_t *heap;

	large = ems_value_data(EMS_BYTES, bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		ck_ems(open_heap(connection, "heaps/bad", EMS_CREATE, &table[i].options), table[i].error);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		ck_ems(open_heap(connection, names[i], EMS_CREATE, &(ems_heap_options_t){.elements = 1}),
		       EMS_ENAME);
		ck_ems(ems_heap_drop(connection, names[i]), EMS_ENAME);
	}
	memset(name, 'n', sizeof(name));
	name[256] = '\0';
	ck_ems(open_heap(connection, name, EMS_CREATE, &(ems_heap_options_t){.elements = 1}), EMS_ENAME);
	name[255] = '\0';
	ck_ok(open_heap(connection, name, EMS_CREATE, &(ems_heap_options_t){.elements = 1}));
	ck_ok(ems_heap_drop(connection, name));
	ck_ems(open_heap(connection, NULL, EMS_CREATE, NULL), EMS_ENAME);
	ck_ems(open_heap(connection, "a", (ems_open_t)9, NULL), EMS_EINVALID);
	ck_ems(open_heap(NULL, "a", EMS_OPEN_EXISTING, NULL), EMS_EINVALID);
	ck_ems(ems_heap_open(connection, "a", EMS_OPEN_EXISTING, NULL, NULL), EMS_EINVALID);
	ck_ems(ems_read(NULL, ems_index(0), NULL), EMS_EINVALID);
	heap = make_heap(connection, "heaps/bad", &(ems_heap_options_t){.elements = 1000});
	ck_ems(ems_read(heap, ems_index(1000), NULL), EMS_ERANGE);
	ck_assert_str_eq(ems_last_error()->message, "heap \"heaps/bad\": no element 1000 (it has 1000)");
	ck_assert_str_eq(ems_last_error()->name, "EMS_ERANGE");
	ck_assert_int_eq(ems_last_error()->code, EMS_ERANGE);
	ck_ems(ems_write_int64(heap, ems_index(-1), 1), EMS_ERANGE);
	ck_ems(ems_write_int64(heap, ems_index(INT64_MIN), 1), EMS_ERANGE);
	ck_ems(ems_read(heap, ems_key("0"), NULL), EMS_EINVALID);
	end_heap(connection, heap);
	ems_disconnect(connection);
}
END_TEST

START_TEST(test_read_only)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap = make_heap(connection, "heaps/ro", &(ems_heap_options_t){.elements = 10}), *reader,
		   *again;
	ems_value_t seven = ems_value_integer(7), value = EMS_VALUE_INIT;

	ck_ok(ems_heap_open(connection, "heaps/ro", EMS_OPEN_EXISTING,
			    &(ems_heap_options_t){.read_only = true}, &reader));
	ck_ok(ems_heap_open(connection, "heaps/ro", EMS_OPEN_EXISTING, NULL, &again));
	ck_assert(ems_heap_is_read_only(reader) && !ems_heap_is_read_only(heap) &&
		  !ems_heap_is_read_only(again));
	ck_ok(ems_write(heap, ems_index(1), &seven));
	ck_reads(reader, ems_index(1), &seven);
	ck_ok(ems_read_ff(reader, ems_index(1), &value));
	ck_ems(ems_write(reader, ems_index(1), &seven), EMS_EREADONLY);
	ck_ems(ems_read_fe(reader, ems_index(1), &value), EMS_EREADONLY);
	ck_ems(ems_faa_int64(reader, ems_index(1), 1, NULL), EMS_EREADONLY);
	ck_ems(ems_set_tag(reader, ems_index(1), EMS_EMPTY), EMS_EREADONLY);
	ck_ems(ems_delete(reader, ems_index(1)), EMS_EREADONLY);
	ck_ems(ems_heap_grow(reader, 20), EMS_EREADONLY);
	ck_ems(ems_write_range_int64(reader, 0, 1, (int64_t[]){1}, NULL), EMS_EREADONLY);
	ck_ok(ems_set_tag(heap, ems_index(1), EMS_EMPTY));
	ck_ems(ems_read_ff(reader, ems_index(1), &value), EMS_EREADONLY); /* it would have to wait */
	ems_heap_close(reader);
	ems_heap_close(heap);
	ck_ok(ems_faa_int64(again, ems_index(2), 1, NULL)); /* the mapping is still there */
	end_heap(connection, again);
	ems_disconnect(connection);
}
END_TEST

START_TEST(test_grow)
{
	ems_connection_t *connection = connect_daemon(), *other = connect_daemon();
	ems_heap_options_t options = {.elements = 10, .max_elements = 1000};
	ems_heap_t *heap = make_heap(connection, "heaps/grow", &options), *second;
	int64_t value;

	ck_ok(ems_heap_open(other, "heaps/grow", EMS_OPEN_EXISTING, NULL, &second));
	ck_ems(ems_write_int64(second, ems_index(999), 1), EMS_ERANGE);
	ck_ok(ems_heap_grow(heap, 1000));
	ck_assert_uint_eq(ems_heap_elements(second), 1000);
	ck_ok(ems_write_int64(second, ems_index(999), 1));
	ck_ok(ems_read_int64(heap, ems_index(999), &value));
	ck_ok(ems_heap_grow(heap, 1000));
	ck_ems(ems_heap_grow(heap, 999), EMS_ERANGE);
	ck_ems(ems_heap_grow(heap, 1001), EMS_ERANGE);
	ck_assert_uint_eq(ems_heap_elements(heap), 1000);
	end_heap(connection, heap);
	ems_disconnect(other);
	ems_disconnect(connection);
}
END_TEST

START_TEST(test_drop_while_attached)
{
	ems_connection_t *connection = connect_daemon(), *other = connect_daemon();
	ems_heap_t *heap = make_heap(connection, "heaps/drop", &(ems_heap_options_t){.elements = 1 << 20});
	ems_value_t text = text_value("storage can be had after the drop, too");

	ck_ok(ems_heap_drop(other, "heaps/drop"));
	ck_assert(ems_heap_is_dropped(heap));
	ck_ems(open_heap(other, "heaps/drop", EMS_OPEN_EXISTING, NULL), EMS_ENOTFOUND);
	ck_ok(ems_write(heap, ems_index((1 << 20) - 1), &text));
	ck_reads(heap, ems_index((1 << 20) - 1), &text);
	ems_heap_close(heap);
	ems_disconnect(other);
	ems_disconnect(connection);
}
END_TEST

START_TEST(test_until_detached)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap = make_heap(connection, "heaps/until",
				     &(ems_heap_options_t){.elements = 10, .until_detached = true}),
		   *second;

	ck_ok(ems_write_int64(heap, ems_index(0), 1));
	ck_ok(ems_heap_open(connection, "heaps/until", EMS_OPEN_EXISTING, NULL, &second));
	ems_heap_close(heap);
	ck_ok(ems_write_int64(second, ems_index(0), 1));
	ems_heap_close(second);
	ck_ems(open_heap(connection, "heaps/until", EMS_OPEN_EXISTING, NULL), EMS_ENOTFOUND);
	ems_disconnect(connection);
}
END_TEST

START_TEST(test_list_and_inspect)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_info_t *infos, info;
	ems_heap_t *heap;
	char name[64];
	size_t count;

	ck_ok(ems_heap_list(connection, "nobody/", &infos, &count));
	ck_assert(count == 0 && infos == NULL);
	for (int i = 0; i < 150; i++) { /* more than one reply holds */
		snprintf(name, sizeof(name), "list/%03d", i);
		ck_ok(open_heap(connection, name, EMS_CREATE,
				&(ems_heap_options_t){.elements = (uint64_t)i + 1}));
	}
	ck_ok(ems_heap_list(connection, "list/", &infos, &count));
	ck_assert_uint_eq(count, 150);
	for (size_t i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "list/%03zu", i);
		ck_assert_str_eq(infos[i].name, name);
		ck_assert_uint_eq(infos[i].elements, i + 1);
		ck_assert_uint_eq(infos[i].uid, getuid());
		ck_assert_uint_eq(infos[i].mode, 0600);
		ck_assert(infos[i].owner[0] && infos[i].group[0] && infos[i].committed > 0);
	}
	free(infos);
	ck_ok(ems_heap_open(connection, "list/007", EMS_OPEN_EXISTING, NULL, &heap));
	ck_ok(ems_write_int64(heap, ems_index(0), 1));
	ck_ok(ems_heap_inspect(connection, "list/007", &info));
	ck_assert_str_eq(info.name, "list/007");
	ck_assert(info.elements == 8 && info.clients == 1 && info.slots == 1 && !info.map &&
		  info.max_elements >= 8);
	ck_assert(info.created > 0 && info.committed > 0);
	ems_heap_detach_thread(heap);
	ck_ok(ems_heap_inspect(connection, "list/007", &info));
	ck_assert_uint_eq(info.slots, 0);
	ck_ems(ems_heap_inspect(connection, "list/none", &info), EMS_ENOTFOUND);
	ck_ems(ems_heap_inspect(connection, "list/", &info), EMS_ENAME);
	ems_heap_close(heap);
	for (int i = 0; i < 150; i++) {
		snprintf(name, sizeof(name), "list/%03d", i);
		ck_ok(ems_heap_drop(connection, name));
	}
	ems_disconnect(connection);
}
END_TEST

/* Storage runs out: a clear error, the element as it was, and room again after a delete. */
START_TEST(test_full_storage)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_options_t options = {.elements = 100000, .storage = 1 << 20, .budget = 16 << 20};
	ems_heap_t *heap = make_heap(connection, "heaps/full", &options);
	size_t size = 1 << 20;
	char *bytes = calloc(1, size);
	ems_value_t value = ems_value_data(EMS_BYTES, bytes, size), before = ems_value_integer(1);
	int64_t i = 0;
	int r;

	while ((r = ems_write(heap, ems_index(i), &value)) == 0 && i < 100)
		ck_ok(ems_write(heap, ems_index(++i), &before));
	ck_assert_msg(r == -EMS_EBUDGET || r == -EMS_ENOSPACE, "%s", ems_error_name(r));
	ck_assert_int_ge(i, 4);
	ck_reads(heap, ems_index(i), &before);
	ck_ok(ems_write(heap, ems_index(0), &before));
	ck_ok(ems_write(heap, ems_index(i), &value));
	free(bytes);
	end_heap(connection, heap);
	ems_disconnect(connection);
}
END_TEST

INTEGRATION_MAIN("client/heaps", test_ways_to_open, test_changing, test_mismatch, test_bad_options, test_read_only,
		 test_grow, test_drop_while_attached, test_until_detached, test_list_and_inspect,
		 test_full_storage)
