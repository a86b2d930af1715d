/*
 * get.c: emsctl get.
 */
#include <stdio.h>
#include <unistd.h>

#include "client/emsctl/emsctl.h"
#include "client/emsctl/json.h"
#include "client/emsctl/key.h"
#include "client/emsctl/tag.h"
#include "client/emsctl/value.h"

enum { OPTION_TYPE = 1000, OPTION_TAG };

enum show { SHOW_VALUE, SHOW_RAW, SHOW_TYPE, SHOW_TAG };

static const struct option options[] = {
	TARGET_OPTIONS,
	{"raw", no_argument, NULL, 'r'},
	{"type", no_argument, NULL, OPTION_TYPE},
	{"tag", no_argument, NULL, OPTION_TAG},
	{"wait", no_argument, NULL, 'w'},
	{"take", no_argument, NULL, 't'},
	COMMON_OPTIONS,
};

struct request {
	struct target target;
	enum show show;
	bool wait, take;
};

static void take_option(struct request *request, int letter)
{
	if (target_option(&request->target, &command_get, letter))
		return;
	switch (letter) {
	case 'r':
		request->show = SHOW_RAW;
		break;
	case OPTION_TYPE:
		request->show = SHOW_TYPE;
		break;
	case OPTION_TAG:
		request->show = SHOW_TAG;
		break;
	case 'w':
		request->wait = true;
		break;
	case 't':
		request->take = true;
		break;
	}
}

/* Whether the key is there is asked apart: a plain read takes an absent key for undefined. */
static int read_element(const struct request *request, ems_heap_t *heap, ems_key_t key, ems_value_t *value)
{
	ems_deadline_t deadline = target_deadline(&request->target);
	uint64_t index;
	int r;

	if (request->take)
		return ems_read_fe_until(heap, key, value, deadline);
	if (request->wait)
		return ems_read_ff_until(heap, key, value, deadline);
	if (ems_heap_has_map(heap)) {
		r = ems_key_to_index(heap, key, &index);
		if (r < 0)
			return r;
	}
	return ems_read(heap, key, value);
}

static void print_json(const ems_key_t *key, const ems_value_t *value, ems_tag_t tag)
{
	struct json_object object;

	json_begin(&object, stdout);
	json_member(&object, "key");
	key_print_json(stdout, key);
	json_member_text(&object, "type", type_name(value->type));
	json_member(&object, "value");
	value_print_json(stdout, value);
	json_member_text(&object, "tag", tag_name(tag));
	json_end(&object);
	fputc('\n', stdout);
}

static void print_people(enum show show, const ems_value_t *value, ems_tag_t tag)
{
	if (show == SHOW_RAW) {
		value_print(stdout, value, VALUE_RAW);
		return;
	}
	if (show == SHOW_TYPE)
		fputs(type_name(value->type), stdout);
	else if (show == SHOW_TAG)
		fputs(tag_name(tag), stdout);
	else
		value_print(stdout, value,
			    isatty(STDOUT_FILENO) || value->type == EMS_BYTES ? VALUE_TERMINAL : VALUE_RAW);
	fputc('\n', stdout);
}

static int run(int argc, char **argv)
{
	struct request request = {.target = TARGET_INIT};
	struct arguments arguments;
	ems_value_t value = EMS_VALUE_INIT;
	ems_tag_t tag = EMS_FULL;
	ems_heap_t *heap;
	ems_key_t key;
	int letter, code;

	arguments_init(&arguments, &command_get, argc, argv);
	while ((letter = arguments_next(&arguments, TARGET_LETTERS "rwt", options)) != -1)
		take_option(&request, letter);
	arguments_expect(&arguments, 2, 2);
	/* Reading needs no more than read permission; waiting leaves a note in the heap. */
	code = attach_heap(arguments.words[0], !request.wait && !request.take, &heap);
	if (code != 0)
		return code;
	key = key_parse_or_exit(&command_get, heap, arguments.words[1], request.target.key_type);
	if (read_element(&request, heap, key, &value) < 0)
		return report_failure();
	if ((settings.json || request.show == SHOW_TAG) && ems_get_tag(heap, key, &tag) < 0)
		return report_failure();
	if (settings.json)
		print_json(&key, &value, tag);
	else
		print_people(request.show, &value, tag);
	ems_value_clear(&value);
	return EXIT_DONE;
}

const struct command command_get = {
	.name = "get",
	.synopsis = "[OPTION…] HEAP KEY|INDEX",
	.summary = "print an element's value",
	.help = "Prints the value of an element. In a heap with a map, KEY is an integer key if it\n"
		"looks like one, else a string key.\n"
		"\n"
		"  -s, --string-key        KEY is a string, whatever it looks like\n"
		"  -k, --key-type TYPE     integer, float, boolean or string\n"
		"  -r, --raw               the bytes of the value, without a new line behind\n"
		"      --type              the value's type instead of the value\n"
		"      --tag               the element's tag instead of the value\n"
		"  -w, --wait              wait until the element is full\n"
		"  -t, --take              wait until it is full, and leave it empty\n"
		"  -T, --timeout DURATION  wait no longer (0.5s, 10m; then the exit code is 1)",
	.run = run,
};
