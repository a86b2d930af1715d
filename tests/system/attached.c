/*
 * attached: a client that does as it is told, for tests that are scripts. It has one heap attached all the time.
 *
 * attached HEAP; then a word a line on standard input, for each of which it prints a line:
 *
 *     add      adds 1 to element 0, and prints what it is
 *     take     empties element 1 (readFE) when it is full, however long that takes, and prints its value; before that, "taking"
 *     hold     locks element 2 in a transaction that it does not end
 *     lock     the same when nobody else has it, however long that takes; before that, "locking"
 *     more     writes a text that needs memory from the daemon, and prints the name of the result
 *     ping     asks the daemon for a sign of life, for 20 ms
 *     child    forks a child, without exec, that has all its descriptors and ends when it is killed
 *
 * Whatever fails is printed as the name of its error. Ends with its input.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/ems.h"

#define MS UINT64_C(1000000)

static char text[1 << 20]; /* of all bytes 0: more than is there without asking */

static void say(int r)
{
	puts(ems_error_name(r));
}

static void say_number(int r, int64_t number)
{
	if (r)
		say(r);
	else
		printf("%" PRId64 "\n", number);
}

static void lock(ems_heap_t *heap)
{
	ems_transaction_element_t element = {.heap = heap, .key = ems_index(2)};
	ems_transaction_t *transaction;

	say(ems_transaction_begin(&element, 1, &transaction));
}

static void make_child(void)
{
	pid_t child = fork();

	if (child == 0) {
		for (;;)
			(void)pause();
	}
	puts(child > 0 ? "EMS_OK" : "fork");
}

static void obey(const char *word, ems_connection_t *connection, ems_heap_t *heap)
{
	ems_value_t value = EMS_VALUE_INIT, bytes = ems_value_data(EMS_BYTES, text, sizeof(text));
	int64_t number = 0;
	int r;

	if (strcmp(word, "add") == 0) {
		r = ems_faa_int64(heap, ems_index(0), 1, &number);
		say_number(r, number + 1);
	} else if (strcmp(word, "take") == 0) {
		puts("taking");
		r = ems_read_fe(heap, ems_index(1), &value);
		say_number(r, value.integer);
	} else if (strcmp(word, "hold") == 0) {
		lock(heap);
	} else if (strcmp(word, "lock") == 0) {
		puts("locking");
		lock(heap);
	} else if (strcmp(word, "more") == 0) {
		say(ems_write(heap, ems_index(3), &bytes));
	} else if (strcmp(word, "ping") == 0) {
		say(ems_ping(connection, ems_deadline_in(20 * MS)));
	} else if (strcmp(word, "child") == 0) {
		make_child();
	} else {
		puts("what?");
	}
	ems_value_clear(&value);
}

int main(int argc, char **argv)
{
	ems_connection_t *connection;
	ems_heap_t *heap;
	char line[64];
	int r;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 2)
		return 2;
	r = ems_connect(&connection, NULL);
	if (!r)
		r = ems_heap_open(connection, argv[1], EMS_OPEN_EXISTING, NULL, &heap);
	if (r) {
		printf("%s: %s\n", ems_error_name(r), ems_last_error()->message);
		return 1;
	}
	puts("attached");
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		obey(line, connection, heap);
	}
	ems_heap_close(heap);
	ems_disconnect(connection);
	return 0;
}
