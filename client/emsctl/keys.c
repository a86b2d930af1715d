/*
 * keys.c: emsctl keys.
 *
 * Keys are written as they are met, so the memory needed does not depend on the heap.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "client/emsctl/emsctl.h"
#include "client/emsctl/json.h"
#include "client/emsctl/key.h"
#include "client/emsctl/value.h"

static const struct option options[] = {
	{"prefix", required_argument, NULL, 'p'},
	{"limit", required_argument, NULL, 'l'},
	{"values", no_argument, NULL, 'v'},
	{"null", no_argument, NULL, '0'},
	COMMON_OPTIONS,
};

struct request {
	const char *prefix;
	uint64_t limit;
	bool values, null;
};

static void take_option(struct request *request, int letter)
{
	switch (letter) {
	case 'p':
		request->prefix = optarg;
		break;
	case 'l':
		if (text_parse_uint(optarg, 0, UINT64_MAX, &request->limit) < 0)
			usage_error(&command_keys, "--limit: \"%s\" is not a number", optarg);
		break;
	case 'v':
		request->values = true;
		break;
	case '0':
		request->null = true;
		break;
	}
}

static bool has_prefix(const ems_key_t *key, const char *prefix)
{
	size_t size = strlen(prefix);

	return key->type == EMS_KEY_STRING && key->size >= size && memcmp(key->text, prefix, size) == 0;
}

static void print_json(const struct request *request, const ems_key_t *key, const ems_value_t *value)
{
	struct json_object object;

	json_begin(&object, stdout);
	json_member(&object, "key");
	key_print_json(stdout, key);
	if (request->values) {
		json_member_text(&object, "type", type_name(value->type));
		json_member(&object, "value");
		value_print_json(stdout, value);
	}
	json_end(&object);
	fputc('\n', stdout);
}

static void print_people(const struct request *request, const ems_key_t *key, const ems_value_t *value)
{
	if (request->null && key->type == EMS_KEY_STRING)
		fwrite(key->text, 1, key->size, stdout);
	else
		key_print(stdout, key);
	if (request->values) {
		fputc('\t', stdout);
		value_print(stdout, value, VALUE_ON_A_LINE);
	}
	fputc(request->null ? '\0' : '\n', stdout);
}

/* Returns the library's code; EMS_EEMPTY is the good end. */
static int print_keys(const struct request *request, ems_iterator_t *iterator)
{
	ems_value_t value = EMS_VALUE_INIT;
	ems_key_t key;
	uint64_t count = 0;
	int r = 0;

	while (count < request->limit && !ferror(stdout)) {
		r = ems_iterator_next(iterator, &key, request->values ? &value : NULL);
		if (r < 0)
			break;
		if (request->prefix && !has_prefix(&key, request->prefix))
			continue;
		if (settings.json)
			print_json(request, &key, &value);
		else
			print_people(request, &key, &value);
		count++;
	}
	ems_value_clear(&value);
	return r;
}

static int run(int argc, char **argv)
{
	struct request request = {.limit = UINT64_MAX};
	struct arguments arguments;
	ems_iterator_t *iterator;
	ems_heap_t *heap;
	int letter, code, r;

	arguments_init(&arguments, &command_keys, argc, argv);
	while ((letter = arguments_next(&arguments, "p:l:v0", options)) != -1)
		take_option(&request, letter);
	arguments_expect(&arguments, 1, 1);
	code = attach_heap(arguments.words[0], true, &heap);
	if (code != 0)
		return code;
	if (ems_iterate(heap, &iterator) < 0)
		return report_failure();
	r = print_keys(&request, iterator);
	if (r < 0 && r != -EMS_EEMPTY)
		return report_failure();
	ems_iterator_free(iterator);
	return EXIT_DONE;
}

const struct command command_keys = {
	.name = "keys",
	.synopsis = "[OPTION…] HEAP",
	.summary = "print the keys of a heap",
	.help = "Prints the keys, one a line, in no order, as they are met. A heap without a map has its\n"
		"indexes. Control characters and backslashes are escaped; a string that reads as an\n"
		"integer is put in double quotes.\n"
		"\n"
		"  -p, --prefix TEXT       only string keys that begin with TEXT\n"
		"  -l, --limit N           at most N keys\n"
		"  -v, --values            the values too, behind a tab\n"
		"  -0, --null              string keys as they are, each ended by a NUL",
	.run = run,
};
