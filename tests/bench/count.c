/*
 * count: how many instructions the operations take where nobody waits, each counted by single-stepping it. Not time: it does not
 * depend on how busy the machine is. tests/bench/instructions compares with what is written down.
 *
 *     contrib/devenv build/tests/bench/count
 *
 * The processor's trap flag makes a signal of each instruction; its handler counts. What an empty path takes is subtracted. Of
 * several counts the least is printed, since a page or a table may be new.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "client/ems.h"

#if defined(__x86_64__)

#define WARM_UP 300 /* until there is memory for everything, and buffers are large enough */
#define COUNTS	9
#define RANGE	1000

static ems_connection_t *connection;
static ems_heap_t *list, *map;
static ems_value_t value = EMS_VALUE_INIT, one, text;
static ems_transaction_element_t set[3];
static ems_transaction_t *transaction;
static int64_t integer;
static double numbers[RANGE];
static ems_lease_t lease;

static volatile sig_atomic_t steps;

static void need(int r)
{
	if (r >= 0)
		return;
	fprintf(stderr, "count: %s\n", ems_last_error()->message);
	exit(1);
}

static void count_step(int signal)
{
	(void)signal;
	steps++;
}

static inline void set_trap_flag(void)
{
	__asm__ volatile("pushfq\n\torq $0x100, (%%rsp)\n\tpopfq" ::: "memory", "cc");
}

static inline void clear_trap_flag(void)
{
	__asm__ volatile("pushfq\n\tandq $~0x100, (%%rsp)\n\tpopfq" ::: "memory", "cc");
}

#define PATH(name, call)            \
	static void path_##name(void) \
	{                           \
		call;               \
	}

PATH(nothing, (void)0)
PATH(read_int64, need(ems_read_int64(list, ems_index(1), &integer)))
PATH(read, need(ems_read(list, ems_index(1), &value)))
PATH(faa_int64, need(ems_faa_int64(list, ems_index(1), 1, &integer)))
PATH(faa, need(ems_faa(list, ems_index(1), &one, &value)))
PATH(write, need(ems_write(list, ems_index(1), &one)))
PATH(cas, need(ems_cas_int64(list, ems_index(1), 1, 1, &integer, NULL)))
PATH(handover, need(ems_read_fe(list, ems_index(1), &value)); need(ems_write_ef(list, ems_index(1), &one)))
PATH(read_lock, need(ems_read_rw(list, ems_index(1), &value)); need(ems_release_rw(list, ems_index(1), NULL)))
PATH(set_text, need(ems_write(list, ems_index(2), &text)))
PATH(get_text, need(ems_read(list, ems_index(2), &value)))
PATH(queue, need(ems_enqueue(list, &one, NULL)); need(ems_dequeue(list, &value)))
PATH(queue_text, need(ems_enqueue(list, &text, NULL)); need(ems_dequeue(list, &value)))
PATH(stack, need(ems_push(list, &one, NULL)); need(ems_pop(list, &value)))
PATH(faa_short_key, need(ems_faa_int64(map, ems_key("short"), 1, &integer)))
PATH(faa_long_key, need(ems_faa_int64(map, ems_key("a key of some length"), 1, &integer)))
PATH(lease, need(ems_read_fe_lease(list, ems_index(1), &value, &lease)); need(ems_lease_put(&lease, &one)))
PATH(read_range, need(ems_read_range_double(list, 1000, RANGE, numbers, NULL)))
PATH(write_range, need(ems_write_range_double(list, 1000, RANGE, numbers, NULL)))

static void path_transaction(void)
{
	need(ems_transaction_begin(set, 3, &transaction));
	for (size_t i = 0; i < 3; i++) {
		need(ems_transaction_read(transaction, i, &value));
		value.integer++;
		need(ems_transaction_write(transaction, i, &value));
	}
	need(ems_transaction_commit(transaction));
}

static const struct {
	const char *name;
	void (*run)(void);
} paths[] = {
#define ROW(name) {#name, path_##name}
	ROW(read_int64),    ROW(read),	       ROW(faa_int64),	 ROW(faa),	 ROW(write),
	ROW(cas),	    ROW(handover),     ROW(read_lock),	 ROW(set_text),	 ROW(get_text),
	ROW(queue),	    ROW(queue_text),   ROW(stack),	 ROW(faa_short_key), ROW(faa_long_key),
	ROW(lease),	    ROW(transaction),  ROW(read_range),	 ROW(write_range),
};

static long count_once(void (*run)(void))
{
	steps = 0;
	set_trap_flag();
	run();
	clear_trap_flag();
	return steps;
}

static long count_path(void (*run)(void))
{
	long least = -1;

	for (int i = 0; i < WARM_UP; i++)
		run();
	for (int i = 0; i < COUNTS; i++) {
		long count = count_once(run);

		least = least < 0 || count < least ? count : least;
	}
	return least;
}

static void prepare(void)
{
	static char letters[64];

	memset(letters, 'x', sizeof(letters));
	text = ems_value_data(EMS_STRING, letters, sizeof(letters));
	one = ems_value_integer(1);
	need(ems_connect(&connection, NULL));
	need(ems_heap_open(connection, "count/list", EMS_CREATE,
			   &(ems_heap_options_t){.elements = 4096, .until_detached = true}, &list));
	need(ems_heap_open(connection, "count/map", EMS_CREATE,
			   &(ems_heap_options_t){.elements = 4096, .map = true, .until_detached = true}, &map));
	for (int64_t i = 0; i < 16; i++)
		need(ems_write(list, ems_index(i), &one));
	for (size_t i = 0; i < 3; i++)
		set[i] = (ems_transaction_element_t){.heap = list, .key = ems_index((int64_t)(5 + 3 * i))};
	need(ems_write_range_double(list, 1000, RANGE, numbers, NULL));
	need(ems_write_int64(map, ems_key("short"), 1));
	need(ems_write_int64(map, ems_key("a key of some length"), 1));
}

static void print_compiler(void)
{
#if defined(__clang__)
	printf("compiler clang-%d\n", __clang_major__);
#else
	printf("compiler gcc-%d\n", __GNUC__);
#endif
}

int main(void)
{
	struct sigaction action = {.sa_handler = count_step};
	long nothing;

	prepare();
	sigaction(SIGTRAP, &action, NULL);
	print_compiler();
	nothing = count_path(path_nothing);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		printf("%s %ld\n", paths[i].name, count_path(paths[i].run) - nothing);
	ems_heap_close(list);
	ems_heap_close(map);
	ems_disconnect(connection);
	return fflush(stdout) == 0 ? 0 : 1;
}

#else

int main(void)
{
	puts("compiler none: instructions are counted on x86-64 only");
	return 0;
}

#endif
