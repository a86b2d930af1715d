/*
 * Tags: what each operation waits for and what it leaves; deadlines; waiting for threads and processes.
 */
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/client.h"

static ems_tag_t tag_of(ems_heap_t *heap, ems_key_t key)
{
	ems_tag_t tag;

	ck_ok(ems_get_tag(heap, key, &tag));
	return tag;
}

/* Sets an element up without waiting. */
static void put(ems_heap_t *heap, ems_key_t key, int64_t value, ems_tag_t tag)
{
	ems_value_t integer = ems_value_integer(value);

	ck_ok(tag == EMS_FULL ? ems_write_xf(heap, key, &integer) : ems_write_xe(heap, key, &integer));
}

static void each_operation(ems_heap_t *heap, ems_key_t key)
{
	ems_value_t one = ems_value_integer(1), two = ems_value_integer(2), value = EMS_VALUE_INIT;
	bool swapped;

	/* read and write ignore the tag, and leave it. */
	put(heap, key, 1, EMS_EMPTY);
	ck_reads(heap, key, &one);
	ck_ok(ems_write(heap, key, &two));
	ck_assert_int_eq(tag_of(heap, key), EMS_EMPTY);
	/* EMPTY: these wait. */
	ck_ems(ems_read_ff_until(heap, key, &value, EMS_NOW), EMS_ETIMEOUT);
	ck_ems(ems_read_fe_until(heap, key, &value, EMS_NOW), EMS_ETIMEOUT);
	ck_ems(ems_faa_until(heap, key, &one, &value, EMS_NOW), EMS_ETIMEOUT);
	ck_ems(ems_cas_until(heap, key, &two, &one, &value, &swapped, EMS_NOW), EMS_ETIMEOUT);
	ck_ems(ems_swap_until(heap, key, &one, &value, EMS_NOW), EMS_ETIMEOUT);
	ck_ems(ems_and_until(heap, key, 1, NULL, EMS_NOW), EMS_ETIMEOUT);
	ck_ems(ems_or_until(heap, key, 1, NULL, EMS_NOW), EMS_ETIMEOUT);
	ck_ems(ems_xor_until(heap, key, 1, NULL, EMS_NOW), EMS_ETIMEOUT);
	ck_ems(ems_min_until(heap, key, &one, NULL, EMS_NOW), EMS_ETIMEOUT);
	ck_ems(ems_max_until(heap, key, &one, NULL, ems_deadline_in(1 * MS)), EMS_ETIMEOUT);
	ck_reads(heap, key, &two);
	ck_assert_int_eq(tag_of(heap, key), EMS_EMPTY);
	/* EMPTY: these do not, and leave FULL. */
	ck_ok(ems_write_ef_until(heap, key, &one, EMS_NOW));
	ck_assert_int_eq(tag_of(heap, key), EMS_FULL);
	ck_ems(ems_write_ef_until(heap, key, &two, EMS_NOW), EMS_ETIMEOUT);
	ck_ems(ems_write_ef_until(heap, key, &two, ems_deadline_in(2 * MS)), EMS_ETIMEOUT);
	ck_reads(heap, key, &one);
	/* FULL stays FULL, or becomes EMPTY when taken. */
	ck_ok(ems_read_ff_until(heap, key, &value, EMS_NOW));
	ck_assert_int_eq(value.integer, 1);
	ck_assert_int_eq(tag_of(heap, key), EMS_FULL);
	ck_ok(ems_faa_until(heap, key, &one, &value, EMS_NOW));
	ck_assert_int_eq(tag_of(heap, key), EMS_FULL);
	ck_ok(ems_read_fe_until(heap, key, &value, EMS_NOW));
	ck_assert_int_eq(value.integer, 2);
	ck_assert_int_eq(tag_of(heap, key), EMS_EMPTY);
	/* Whatever it was. */
	ck_ok(ems_write_xf_until(heap, key, &one, EMS_NOW));
	ck_assert_int_eq(tag_of(heap, key), EMS_FULL);
	ck_ok(ems_write_xe_until(heap, key, &one, EMS_NOW));
	ck_assert_int_eq(tag_of(heap, key), EMS_EMPTY);
	ck_ok(ems_set_tag_until(heap, key, EMS_FULL, EMS_NOW));
	ck_assert_int_eq(tag_of(heap, key), EMS_FULL);
	ck_ok(ems_write_until(heap, key, &two, EMS_NOW));
	ck_assert_int_eq(tag_of(heap, key), EMS_FULL);
	ck_ok(ems_set_tag(heap, key, EMS_EMPTY));
	ck_reads(heap, key, &two);
	ck_ems(ems_set_tag(heap, key, EMS_READERS), EMS_EINVALID);
	ck_ems(ems_set_tag(heap, key, EMS_BUSY), EMS_EINVALID);
	ck_ems(ems_set_tag(heap, key, (ems_tag_t)0), EMS_EINVALID);
	ck_assert_int_eq(tag_of(heap, key), EMS_EMPTY);
}

START_TEST(test_operations)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *list = make_heap(connection, "tags/list", &(ems_heap_options_t){.elements = 4});
	ems_heap_t *map =
		make_heap(connection, "tags/map", &(ems_heap_options_t){.elements = 4, .map = true});

	each_operation(list, ems_index(3));
	each_operation(map, ems_key("key"));
	each_operation(map, ems_key("a key that is longer than a word"));
	end_heap(connection, list);
	end_heap(connection, map);
	ems_disconnect(connection);
}
END_TEST

/* An absent key has the initial tag, and what waits creates it so that a writer can fill it. */
START_TEST(test_absent_keys)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap =
		make_heap(connection, "tags/absent",
			  &(ems_heap_options_t){.elements = 9, .map = true, .initial_tag = EMS_EMPTY});
	ems_value_t value = EMS_VALUE_INIT, one = ems_value_integer(1);
	uint64_t index;

	ck_assert_int_eq(tag_of(heap, ems_key("a")), EMS_EMPTY);
	ck_ok(ems_read(heap, ems_key("a"), &value));
	ck_assert_int_eq(value.type, EMS_UNDEFINED);
	ck_ems(ems_key_to_index(heap, ems_key("a"), &index), EMS_ENOKEY); /* neither has created it */
	ck_ems(ems_read_fe_until(heap, ems_key("a"), &value, EMS_NOW), EMS_ETIMEOUT);
	ck_ok(ems_write_ef_until(heap, ems_key("a"), &one, EMS_NOW));
	ck_ok(ems_read_fe_until(heap, ems_key("a"), &value, EMS_NOW));
	ck_assert_int_eq(value.integer, 1);
	end_heap(connection, heap);
	ems_disconnect(connection);
}
END_TEST

#define ROUNDS 2000

struct player {
	ems_heap_t *heap;
	ems_key_t from, to;
};

static void play(const struct player *player, int64_t first)
{
	ems_value_t value = EMS_VALUE_INIT, next;

	for (int64_t i = first; i < 2 * ROUNDS; i += 2) {
		ck_ok(ems_read_fe(player->heap, player->from, &value));
		ck_assert_int_eq(value.integer, i);
		next = ems_value_integer(i + 1);
		ck_ok(ems_write_ef(player->heap, player->to, &next));
	}
}

static void *second_player(void *arg)
{
	play(arg, 1);
	return NULL;
}

START_TEST(test_ping_pong_threads)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap = make_heap(connection, "tags/threads",
				     &(ems_heap_options_t){.elements = 2, .initial_tag = EMS_EMPTY});
	struct player first = {heap, ems_index(0), ems_index(1)}, second = {heap, ems_index(1), ems_index(0)};
	ems_value_t zero = ems_value_integer(0);
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, second_player, &second), 0);
	ck_ok(ems_write_ef(heap, ems_index(0), &zero));
	play(&first, 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	end_heap(connection, heap);
	ems_disconnect(connection);
}
END_TEST

/* Two processes that have nothing in common but the names. */
START_TEST(test_ping_pong_processes)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap =
		make_heap(connection, "tags/processes",
			  &(ems_heap_options_t){.elements = 9, .map = true, .initial_tag = EMS_EMPTY});
	struct player first = {heap, ems_key("ping"), ems_key("pong")};
	ems_value_t zero = ems_value_integer(0);
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		ems_connection_t *own = connect_daemon();
		struct player second = {NULL, ems_key("pong"), ems_key("ping")};

		ck_ok(ems_heap_open(own, "tags/processes", EMS_OPEN_EXISTING, NULL, &second.heap));
		play(&second, 1);
		ems_disconnect(own);
		_exit(0);
	}
	ck_ok(ems_write_ef(heap, ems_key("ping"), &zero));
	play(&first, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	end_heap(connection, heap);
	ems_disconnect(connection);
}
END_TEST

INTEGRATION_MAIN("client/tags", test_operations, test_absent_keys, test_ping_pong_threads,
		 test_ping_pong_processes)
