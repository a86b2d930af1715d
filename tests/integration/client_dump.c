/*
 * client_dump.c: emsctl dump and load: random heaps come back exactly; a dump that was cut off, or is changed anywhere, loads as a
 * whole or not at all; what is interrupted leaves nothing.
 */
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/client.h"

#define ROUNDS 12
#define ITEMS  40

extern char **environ;
static uint64_t state;

static uint64_t below(uint64_t number)
{
	return unit_random(&state) % number;
}

/* ---- random heaps ---- */

static const char *const texts[] = {
	"",
	"plain",
	"\"quoted\" \\ and \n a line \t \r \b \f",
	"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
	"null",
	"{\"base64\":\"AAAA\"}",
	"\x01\x1f\x7f",
	"</script>",
};
static const char *const jsons[] = {
	"{}",
	"[]",
	"null",
	"{\"a\":[1,2,{\"b\":null}],\"c\":\"x y\"}",
	"{ \"blanks\" : [ 1 ,\n 2 ] }",
	"{\"text\":\"not the wrapper\"}",
	"{\"base64\":\"AAAA\"}",
	"[1e400,-0,0.10,\"\\u00e9\\ud83d\\ude00\\\\\"]",
	"this is no JSON, which the library does not look at",
	"",
	"{\"a\":\"}]{[\\\"\"}",
	"[true ,false]",
};
static const double numbers[] = {0.0,  -0.0, 0.1,      -1.5,	  1e300, 5e-324, 123456.0, 9007199254740993.0,
				 1e15, 1e16, INFINITY, -INFINITY, NAN};

/* Bytes of any kind, and text with NULs; valid until the next call. */
static void random_value(ems_value_t *value)
{
	static unsigned char bytes[5000];
	size_t size = below(8) ? below(40) : below(sizeof(bytes));
	uint64_t bits;

	switch (below(10)) {
	case 0:
		*value = (ems_value_t)EMS_VALUE_INIT;
		break;
	case 1:
		*value = ems_value_boolean(below(2));
		break;
	case 2:
		*value =
			ems_value_integer(below(2) ? (int64_t)unit_random(&state) : (int64_t)below(100) - 50);
		break;
	case 3: /* any float that there is */
		bits = unit_random(&state);
		*value = ems_value_float(0);
		memcpy(&value->number, &bits, sizeof(bits));
		break;
	case 4:
		*value = ems_value_float(numbers[below(sizeof(numbers) / sizeof(numbers[0]))]);
		break;
	case 5: /* a NaN with something in it */
		bits = UINT64_C(0x7ff0000000000001) | unit_random(&state);
		*value = ems_value_float(0);
		memcpy(&value->number, &bits, sizeof(bits));
		break;
	case 6:
		*value = text_value(texts[below(sizeof(texts) / sizeof(texts[0]))]);
		break;
	case 7:
		for (size_t i = 0; i < size; i++)
			bytes[i] = (unsigned char)below(128);
		*value = ems_value_data(EMS_STRING, bytes, size);
		break;
	case 8:
		*value = ems_value_string(jsons[below(sizeof(jsons) / sizeof(jsons[0]))]);
		value->type = EMS_JSON;
		break;
	default:
		for (size_t i = 0; i < size; i++)
			bytes[i] = (unsigned char)below(256);
		*value = ems_value_data(EMS_BYTES, bytes, size);
	}
}

static ems_key_t random_key(void)
{
	static char bytes[300];
	size_t size = below(4) ? below(20) : below(sizeof(bytes));

	switch (below(7)) {
	case 0:
		return ems_index((int64_t)unit_random(&state));
	case 1:
		return ems_index((int64_t)below(10) - 5);
	case 2:
		return ems_key_float(numbers[below(sizeof(numbers) / sizeof(numbers[0]))]);
	case 3:
		return ems_key_boolean(below(2));
	case 4:
		return ems_key(texts[below(sizeof(texts) / sizeof(texts[0]))]);
	default: /* keys need not be text */
		for (size_t i = 0; i < size; i++)
			bytes[i] = (char)below(256);
		return ems_key_bytes(bytes, size);
	}
}

static ems_heap_t *random_heap(ems_connection_t *connection, const char *name, bool map)
{
	ems_value_t value, fill;
	ems_heap_options_t options = {.elements = 100,
				      .max_elements = 150,
				      .map = map,
				      .storage = 1 << 20,
				      .mode = 0640,
				      .initial_tag = below(2) ? EMS_EMPTY : EMS_FULL,
				      .fill = &fill};
	ems_heap_t *heap;

	random_value(&fill);
	heap = make_heap(connection, name, &options);
	for (int i = 0; i < ITEMS; i++) {
		ems_key_t key = map ? random_key() : ems_index((int64_t)below(100));

		random_value(&value);
		ck_ok((below(2) ? ems_write_xe : ems_write_xf)(heap, key, &value));
		random_value(&value);
		if (below(2))
			ck_ok(ems_enqueue(heap, &value, NULL));
		random_value(&value);
		if (below(2))
			ck_ok(ems_push(heap, &value, NULL));
		if (below(4) == 0)
			(void)ems_dequeue(heap, NULL);
		if (below(4) == 0)
			(void)ems_pop(heap, NULL);
	}
	return heap;
}

/* ---- are they the same? ---- */

static void ck_same(const ems_value_t *a, const ems_value_t *b)
{
	ck_assert_uint_eq(a->type, b->type);
	if (a->type >= EMS_STRING) {
		ck_assert_uint_eq(a->size, b->size);
		if (a->size)
			ck_assert_mem_eq(a->data, b->data, a->size);
	} else if (a->type == EMS_BOOLEAN) {
		ck_assert_int_eq(a->boolean, b->boolean);
	} else if (a->type != EMS_UNDEFINED) {
		ck_assert_int_eq(a->integer, b->integer); /* a float's bits */
	}
}

/* All that a has, b has, too. */
static void ck_contains(ems_heap_t *a, ems_heap_t *b)
{
	ems_value_t x = EMS_VALUE_INIT, y = EMS_VALUE_INIT;
	ems_iterator_t *iterator;
	ems_tag_t s, t;
	ems_key_t key;
	uint64_t index, p = 0, q = 0;
	int r;

	ck_assert_uint_eq(ems_heap_elements(a), ems_heap_elements(b));
	ck_ok(ems_heap_initial(a, &x, &s));
	ck_ok(ems_heap_initial(b, &y, &t));
	ck_same(&x, &y);
	ck_assert_int_eq(s, t);
	ck_ok(ems_iterate(a, &iterator));
	while ((r = ems_iterator_next(iterator, &key, &x)) == 0) {
		ck_ok(ems_key_to_index(b, key, &index));
		ck_ok(ems_read(b, key, &y));
		ck_same(&x, &y);
		ck_ok(ems_get_tag(a, key, &s));
		ck_ok(ems_get_tag(b, key, &t));
		ck_assert_int_eq(s, t);
	}
	ck_assert_int_eq(r, -EMS_EEMPTY);
	ems_iterator_free(iterator);
	while ((r = ems_queue_look(a, &p, &x)) == 0) {
		ck_ok(ems_queue_look(b, &q, &y));
		ck_same(&x, &y);
	}
	ck_assert_int_eq(r, -EMS_EEMPTY);
	for (uint64_t i = 0; (r = ems_stack_look(a, i, &x)) == 0; i++) {
		ck_ok(ems_stack_look(b, i, &y));
		ck_same(&x, &y);
	}
	ck_assert_int_eq(r, -EMS_EEMPTY);
	ems_value_clear(&x);
	ems_value_clear(&y);
}

/* ---- running emsctl ---- */

static const char *dump_path(void)
{
	static char path[120];

	snprintf(path, sizeof(path), "%s/dump", the_daemon.directory);
	return path;
}

static pid_t start(const char *command, const char *name, const char *path)
{
	char program[4096];
	char *arguments[] = {"emsctl", (char *)(uintptr_t)command, (char *)(uintptr_t)name,
			     (char *)(uintptr_t)path, NULL};
	const char *build = getenv("EMS_BUILD_DIR");
	pid_t pid;

	snprintf(program, sizeof(program), "%s/emsctl", build ? build : ".");
	ck_assert_int_eq(posix_spawn(&pid, program, NULL, NULL, arguments, environ), 0);
	return pid;
}

static int end_of(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

static int emsctl(const char *command, const char *name, const char *path)
{
	return end_of(start(command, name, path));
}

static char *slurp(const char *path, size_t *size)
{
	FILE *file = fopen(path, "r");
	char *text;

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fseek(file, 0, SEEK_END), 0);
	*size = (size_t)ftell(file);
	rewind(file);
	text = malloc(*size + 1);
	ck_assert_uint_eq(fread(text, 1, *size, file), *size);
	text[*size] = 0;
	fclose(file);
	return text;
}

static void spill(const char *path, const char *text, size_t size)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(text, 1, size, file), size);
	ck_assert_int_eq(fclose(file), 0);
}

/* How many heaps there are whose names begin so. */
static size_t count_heaps(ems_connection_t *connection, const char *prefix)
{
	ems_heap_info_t *infos = NULL;
	size_t count = 0;

	ck_ok(ems_heap_list(connection, prefix, &infos, &count));
	free(infos);
	return count;
}

START_TEST(random_heaps_come_back)
{
	ems_connection_t *connection = connect_daemon();

	state = unit_seed();
	for (int round = 0; round < ROUNDS; round++) {
		ems_heap_t *a = random_heap(connection, "d/a", round % 2), *b = NULL;
		ems_heap_info_t was, is;

		ck_assert_int_eq(emsctl("dump", "d/a", dump_path()), 0);
		ck_assert_int_eq(emsctl("load", "d/b", dump_path()), 0);
		ck_ok(ems_heap_open(connection, "d/b", EMS_OPEN_EXISTING, NULL, &b));
		ck_contains(a, b);
		ck_contains(b, a);
		ck_ok(ems_heap_inspect(connection, "d/a", &was));
		ck_ok(ems_heap_inspect(connection, "d/b", &is));
		ck_assert_uint_eq(was.max_elements, is.max_elements);
		ck_assert_uint_eq(was.storage, is.storage);
		ck_assert_uint_eq(was.mode, is.mode);
		end_heap(connection, a);
		end_heap(connection, b);
		ck_assert_uint_eq(count_heaps(connection, "d/"), 0);
	}
	ems_disconnect(connection);
}
END_TEST

/* Cut off, or changed: an error, and nothing is left; or a heap, when the dump says something else now. */
START_TEST(broken_dumps_leave_nothing)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap;
	size_t size;
	char *text, *changed;

	state = unit_seed();
	heap = random_heap(connection, "d/a", true);
	ck_assert_int_eq(emsctl("dump", "d/a", dump_path()), 0);
	end_heap(connection, heap);
	text = slurp(dump_path(), &size);
	changed = malloc(size);
	for (int round = 0; round < 60; round++) {
		size_t length = size;
		int code;

		memcpy(changed, text, size);
		if (round % 2)
			length = below(size - 1);
		else
			for (uint64_t i = below(3) + 1; i > 0; i--)
				changed[below(size)] = (char)below(256);
		spill(dump_path(), changed, length);
		code = emsctl("load", "d/b", dump_path());
		ck_assert(code < 100 && (code != 0 || round % 2 == 0));
		ck_assert_uint_eq(count_heaps(connection, "d/"), code == 0);
		if (code == 0)
			ck_ok(ems_heap_drop(connection, "d/b"));
	}
	unlink(dump_path());
	free(changed);
	free(text);
	ems_disconnect(connection);
}
END_TEST

START_TEST(replacing)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap = make_heap(connection, "d/a", &(ems_heap_options_t){.elements = 3}), *same = NULL;

	ck_ok(ems_write_int64(heap, ems_index(1), 42));
	ck_assert_int_eq(emsctl("dump", "d/a", dump_path()), 0);
	ck_ok(ems_write_int64(heap, ems_index(1), 43));
	ck_assert_int_eq(emsctl("load", "d/a", dump_path()), 5);
	ck_assert_uint_eq(count_heaps(connection, "d/"), 1);
	ck_assert_int_eq(emsctl("load", "--replace", "d/a"), 5); /* standard input has no dump */
	ck_assert_int_eq(emsctl("dump", "d/none", dump_path()), 1);
	ck_assert_int_eq(emsctl("dump", "d/a", "/proc/no-such-directory/dump"), 5);
	ck_ok(ems_heap_open(connection, "d/a", EMS_OPEN_EXISTING, NULL, &same));
	ems_heap_close(same);
	end_heap(connection, heap);
	ems_disconnect(connection);
}
END_TEST

/* The dump is whole, or is not there; it is removed. */
static void ck_all_or_nothing(void)
{
	size_t size;
	char *text;

	if (access(dump_path(), F_OK) < 0)
		return;
	text = slurp(dump_path(), &size);
	ck_assert_ptr_nonnull(strstr(text, "\n{\"end\":true,"));
	free(text);
	unlink(dump_path());
}

/* A dump and a load that are interrupted, or killed, while they are at it. */
START_TEST(interrupted)
{
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap = make_heap(connection, "d/a", &(ems_heap_options_t){.elements = 200000});
	char fifo[120];
	int fd;
	pid_t pid;

	for (int64_t i = 0; i < 200000; i++)
		ck_ok(ems_write_int64(heap, ems_index(i), i));
	for (int round = 0; round < 6; round++) {
		pid = start("dump", "d/a", dump_path());
		usleep((useconds_t)(round * 5000)); /* any moment will do */
		kill(pid, round % 2 ? SIGKILL : SIGTERM);
		(void)end_of(pid);
		ck_all_or_nothing();
	}
	/* load waits for its input, when it gets the signal */
	snprintf(fifo, sizeof(fifo), "%s/fifo", the_daemon.directory);
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	pid = start("load", "d/b", fifo);
	fd = open(fifo, O_WRONLY | O_CLOEXEC);
	dprintf(fd, "{\"dump\":1,\"name\":\"x\",\"map\":true,\"elements\":10,\"max_elements\":10,\"storage\":"
		    "65536,"
		    "\"mode\":\"0600\",\"persistent\":false,\"initial\":{\"type\":\"undefined\",\"value\":"
		    "null,\"tag\":\"full\"}}\n");
	while (count_heaps(connection, "d/b") == 0)
		sched_yield();
	kill(pid, SIGINT);
	ck_assert_int_eq(end_of(pid), 100 + SIGINT);
	ck_assert_uint_eq(count_heaps(connection, "d/b"), 0);
	close(fd);
	unlink(fifo);
	end_heap(connection, heap);
	ems_disconnect(connection);
}
END_TEST

INTEGRATION_MAIN("client/dump", random_heaps_come_back, broken_dumps_leave_nothing, replacing, interrupted)
