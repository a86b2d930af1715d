/*
 * matrix.c: fills the heaps of the matrix (see matrix.h), copies in C, and says whether values have come through two languages.
 *
 *     matrix fill                          three stages, 0, 1 and 2, with values in the first; prints COUNT KEYS
 *     matrix copy FROM TO COUNT KEYS
 *     matrix judge LANGUAGE LANGUAGE       by whom 0 was copied to 1, and 1 to 2
 *     matrix spoil                         changes one value of stage 2, which judge has to see
 *
 * What a language cannot tell apart is in as_written_by. What operations make of values is asked of the library, with C's
 * values, so what is compared is whether a language has handed on the same ones.
 */
#include "tests/node/matrix/matrix.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAFE 9007199254740991.0 /* JavaScript's largest integer that is none of BigInt */
#define TEXT(text) ems_value_data(EMS_STRING, text, sizeof(text) - 1)
#define JSON(text) ems_value_data(EMS_JSON, text, sizeof(text) - 1)
#define BYTES(text) ems_value_data(EMS_BYTES, text, sizeof(text) - 1)
#define LARGE (1 << 20)
#define MOST  80

static const char *const operations[] = {"write", "full",	"empty", "lease", "queue_lease", "queue", "stack",
					 "swap",  "cas", "faa",	 "transaction", "map"};

static ems_value_t values[MOST], keys[MOST];
static int count, key_count;

void check_at(int code, const char *file, int line)
{
	if (code >= 0)
		return;
	fprintf(stderr, "%s:%d: %s\n", file, line, ems_last_error()->message);
	exit(1);
}

ems_key_t key_of(const ems_value_t *value)
{
	switch (value->type) {
	case EMS_INTEGER:
		return ems_index(value->integer);
	case EMS_FLOAT:
		return ems_key_float(value->number);
	case EMS_BOOLEAN:
		return ems_key_boolean(value->boolean);
	default:
		return ems_key_bytes(value->data, value->size);
	}
}

static void make_values(void)
{
	static const int64_t integers[] = {0, 1, -1, 255, INT32_MAX, (int64_t)INT32_MIN - 1, INT64_C(1) << 53, (INT64_C(1) << 53) - 1,
					   (INT64_C(1) << 53) + 1, 1 - (INT64_C(1) << 53), -(INT64_C(1) << 53), -(INT64_C(1) << 53) - 1,
					   INT64_MAX, INT64_MAX - 1, INT64_MIN, INT64_MIN + 1};
	static const double numbers[] = {0.0, -0.0, 1.0, -1.5, 0.1, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308,
					 9007199254740991.0, 9007199254740992.0, 1152921504606846976.0, 1e300, INFINITY, -INFINITY, NAN};
	static char large[LARGE], deep[401];
	const ems_value_t texts[] = {TEXT(""), TEXT("a"), TEXT("\0"), TEXT("a\0b"), TEXT("1"), TEXT("null"), TEXT("\"\\\n\t\x7f"),
				     TEXT("\xc3\xbc\xe2\x88\x80\xf0\x9d\x84\x9e\xf4\x8f\xbf\xbf"), TEXT("\xef\xbf\xbd\xef\xbb\xbf"),
				     ems_value_data(EMS_STRING, large, LARGE), JSON("{}"), JSON("[]"), JSON("null"),
				     JSON("[1,\"two\",null,true,0.5,-3]"), JSON("{\"a\":{\"b\":[{\"c\":[]}]},\"\xc3\xbc\":\"\xf0\x9d\x84\x9e\"}"),
				     ems_value_data(EMS_JSON, deep, 400), BYTES(""), BYTES("\0"), BYTES("\0\x01\xfe\xff"), BYTES("text"),
				     ems_value_data(EMS_BYTES, large, LARGE)};

	memset(large, 'x', LARGE);
	memset(deep, '[', 200);
	memset(deep + 200, ']', 200);
	values[count++] = (ems_value_t)EMS_VALUE_INIT;
	values[count++] = ems_value_boolean(true);
	values[count++] = ems_value_boolean(false);
	for (size_t i = 0; i < sizeof(integers) / sizeof(*integers); i++)
		values[count++] = ems_value_integer(integers[i]);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		values[count++] = ems_value_float(numbers[i]);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		values[count++] = texts[i];
	for (int i = 0; i < count; i++) { /* keys: texts, booleans, integers, floats that are no integers' */
		bool text = values[i].type == EMS_STRING && values[i].size <= UINT16_MAX;

		if (text || values[i].type == EMS_BOOLEAN || values[i].type == EMS_INTEGER ||
		    (values[i].type == EMS_FLOAT && values[i].number != floor(values[i].number)))
			keys[key_count++] = values[i];
	}
}

/* What the language writes that has read this. */
static ems_value_t as_written_by(const char *language, ems_value_t value)
{
	bool integral = value.type == EMS_FLOAT && fabs(value.number) <= SAFE && value.number == floor(value.number) &&
			!(value.number == 0 && signbit(value.number));

	if (strcmp(language, "node") == 0 && integral)
		return ems_value_integer((int64_t)value.number);
	if (strcmp(language, "python") == 0 && value.type == EMS_JSON && value.size == 4)
		return (ems_value_t)EMS_VALUE_INIT; /* null, which is None, as undefined is */
	return value;
}

static bool same(const ems_value_t *one, const ems_value_t *other)
{
	if (one->type != other->type)
		return false;
	switch (one->type) {
	case EMS_UNDEFINED:
		return true;
	case EMS_BOOLEAN:
		return one->boolean == other->boolean;
	case EMS_INTEGER:
		return one->integer == other->integer;
	case EMS_FLOAT:
		return memcmp(&one->number, &other->number, 8) == 0 || (isnan(one->number) && isnan(other->number));
	default:
		return one->size == other->size && (one->size == 0 || memcmp(one->data, other->data, one->size) == 0);
	}
}

static void show(const char *what, const ems_value_t *value)
{
	fprintf(stderr, " %s type %u", what, value->type);
	if (value->type == EMS_INTEGER)
		fprintf(stderr, " %lld", (long long)value->integer);
	else if (value->type == EMS_FLOAT)
		fprintf(stderr, " %a", value->number);
	else if (value->type >= EMS_STRING)
		fprintf(stderr, " size %zu \"%.20s\"", value->size, value->size ? (const char *)value->data : "");
}

/* ---- filling ---- */

static ems_heap_t *make(ems_connection_t *connection, const char *stage, const char *operation)
{
	ems_heap_options_t options = {.elements = 2 * (uint64_t)count, .map = strcmp(operation, "map") == 0};
	char name[64];
	ems_heap_t *heap;

	/* write_ef needs them empty; what is taken from the first stage is full. */
	if (strcmp(operation, "empty") == 0)
		options.initial_tag = EMS_EMPTY;
	snprintf(name, sizeof(name), "matrix/%s/%s", stage, operation);
	check(ems_heap_open(connection, name, EMS_REPLACE, &options, &heap));
	return heap;
}

ems_heap_t *open_stage(ems_connection_t *connection, const char *stage, const char *operation)
{
	char name[64];
	ems_heap_t *heap;

	snprintf(name, sizeof(name), "matrix/%s/%s", stage, operation);
	check(ems_heap_open(connection, name, EMS_OPEN_EXISTING, NULL, &heap));
	return heap;
}

static void fill_one(ems_connection_t *connection, const char *stage, const char *operation)
{
	const ems_value_t one = ems_value_integer(1);
	ems_heap_t *heap = make(connection, stage, operation);
	bool first = strcmp(stage, "0") == 0, queue = strncmp(operation, "queue", 5) == 0, stack = strcmp(operation, "stack") == 0;

	if (strcmp(operation, "map") == 0) {
		for (int i = 0; first && i < key_count; i++)
			check(ems_write(heap, key_of(&keys[i]), &keys[i]));
	} else {
		for (int i = 0; i < count; i++) {
			if (first && queue)
				check(ems_enqueue(heap, &values[i], NULL));
			else if (first && stack)
				check(ems_push(heap, &values[i], NULL));
			else if (first || strcmp(operation, "swap") == 0 || strcmp(operation, "cas") == 0)
				check(ems_write_xf(heap, ems_index(i), &values[i]));
			else if (strcmp(operation, "faa") == 0)
				check(ems_write_xf(heap, ems_index(i), &one));
		}
	}
	ems_heap_close(heap);
}

static void fill(ems_connection_t *connection)
{
	ems_heap_t *heap = make(connection, "keys", "values");

	for (int i = 0; i < key_count; i++)
		check(ems_write(heap, ems_index(i), &keys[i]));
	ems_heap_close(heap);
	for (size_t i = 0; i < sizeof(operations) / sizeof(*operations); i++)
		for (int stage = '0'; stage <= '2'; stage++)
			fill_one(connection, (const char[]){(char)stage, '\0'}, operations[i]);
	printf("%d %d\n", count, key_count);
}

/* ---- judging ---- */

/* What is in elements after a stage, and what was there before, as the library gives it and as the language hands it on. */
struct outcome {
	ems_value_t now[MOST], before[MOST], old[MOST];
};

static void forget(struct outcome *outcome)
{
	for (int i = 0; i < count; i++) {
		ems_value_clear(&outcome->now[i]);
		ems_value_clear(&outcome->before[i]);
	}
}

static void expect(ems_heap_t *scratch, const char *operation, const char *language, const ems_value_t *from, struct outcome *to)
{
	const ems_value_t one = ems_value_integer(1);

	forget(to);
	for (int i = 0; i < count; i++) {
		ems_value_t value = as_written_by(language, from[i]), next = as_written_by(language, from[(i + 1) % count]);
		bool cas = strcmp(operation, "cas") == 0, faa = strcmp(operation, "faa") == 0;
		int code;

		check(ems_write_xf(scratch, ems_index(0), faa ? &one : &values[i]));
		code = cas   ? ems_cas(scratch, ems_index(0), &value, &next, &to->before[i], NULL)
		       : faa ? ems_faa(scratch, ems_index(0), &value, &to->before[i])
			     : ems_swap(scratch, ems_index(0), &value, &to->before[i]);
		check(ems_read(scratch, ems_index(0), &to->now[i]));
		to->old[i] = code < 0 ? ems_value_string(ems_error_name(code)) : as_written_by(language, to->before[i]);
	}
}

static int wrong(const char *operation, const char *what, int which, const ems_value_t *found, const ems_value_t *expected)
{
	if (same(found, expected))
		return 0;
	fprintf(stderr, "%s: %s %d:", operation, what, which);
	show("found", found);
	show(", expected", expected);
	fputc('\n', stderr);
	return 1;
}

static int judge_elements(ems_heap_t *heap, const char *operation, const struct outcome *expected, bool with_old)
{
	bool queue = strncmp(operation, "queue", 5) == 0, stack = strcmp(operation, "stack") == 0;
	ems_value_t found = EMS_VALUE_INIT;
	int faults = 0;

	for (int i = 0; i < count; i++) {
		int which = stack ? count - 1 - i : i; /* in the order in which they were pushed at first */

		check(queue ? ems_dequeue(heap, &found) : stack ? ems_pop(heap, &found) : ems_read(heap, ems_index(i), &found));
		faults += wrong(operation, "value", which, &found, &expected->now[which]);
		if (!with_old)
			continue;
		check(ems_read(heap, ems_index(count + i), &found));
		faults += wrong(operation, "what was there before value", i, &found, &expected->old[i]);
	}
	ems_value_clear(&found);
	return faults;
}

static int judge_map(ems_heap_t *heap, const char *first, const char *second)
{
	ems_value_t found = EMS_VALUE_INIT;
	int faults = 0;

	for (int i = 0; i < key_count; i++) {
		ems_value_t expected = as_written_by(second, as_written_by(first, keys[i]));

		check(ems_read(heap, key_of(&keys[i]), &found));
		faults += wrong("map", "key", i, &found, &expected);
	}
	ems_value_clear(&found);
	return faults;
}

static int judge(ems_connection_t *connection, const char *first, const char *second)
{
	static struct outcome between, end;
	ems_heap_t *scratch = make(connection, "keys", "scratch");
	int faults = 0;

	for (size_t i = 0; i < sizeof(operations) / sizeof(*operations); i++) {
		const char *operation = operations[i];
		bool with_old = strcmp(operation, "swap") == 0 || strcmp(operation, "cas") == 0 || strcmp(operation, "faa") == 0;
		ems_heap_t *heap = open_stage(connection, "2", operation);

		if (strcmp(operation, "map") == 0) {
			faults += judge_map(heap, first, second);
		} else {
			expect(scratch, operation, first, values, &between);
			expect(scratch, operation, second, between.now, &end);
			faults += judge_elements(heap, operation, &end, with_old);
		}
		ems_heap_close(heap);
	}
	forget(&between);
	forget(&end);
	ems_heap_close(scratch);
	return faults > 0;
}

static int spoil(ems_connection_t *connection)
{
	const ems_value_t zero = ems_value_float(0.0);
	ems_heap_t *heap = open_stage(connection, "2", "full");
	ems_value_t found = EMS_VALUE_INIT;
	int which = 0;

	do
		check(ems_read(heap, ems_index(which), &found));
	while (!(found.type == EMS_FLOAT && found.number == 0 && signbit(found.number)) && ++which < count);
	check(ems_write(heap, ems_index(which), &zero));
	ems_value_clear(&found);
	return which == count;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	ems_connection_t *connection;
	int status = 0;

	check(ems_connect(&connection, NULL));
	make_values();
	if (strcmp(what, "fill") == 0)
		fill(connection);
	else if (strcmp(what, "copy") == 0 && argc == 6)
		copy_stage(connection, argv[2], argv[3], atoi(argv[4]), atoi(argv[5]));
	else if (strcmp(what, "judge") == 0 && argc == 4)
		status = judge(connection, argv[2], argv[3]);
	else if (strcmp(what, "spoil") == 0)
		status = spoil(connection);
	else
		status = 2;
	ems_disconnect(connection);
	return status;
}
