/*
 * set.c: emsctl set.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/emsctl/binary.h"
#include "client/emsctl/emsctl.h"
#include "client/emsctl/key.h"
#include "client/emsctl/tag.h"
#include "client/emsctl/value.h"

enum { OPTION_HEX = 1000, OPTION_BASE64, OPTION_TAG, OPTION_WHEN_EMPTY };

static const struct option options[] = {
	TARGET_OPTIONS,
	{"type", required_argument, NULL, 't'},
	{"hex", no_argument, NULL, OPTION_HEX},
	{"base64", no_argument, NULL, OPTION_BASE64},
	{"file", required_argument, NULL, 'f'},
	{"tag", required_argument, NULL, OPTION_TAG},
	{"when-empty", no_argument, NULL, OPTION_WHEN_EMPTY},
	COMMON_OPTIONS,
};

struct request {
	struct target target;
	uint32_t type;
	bool hex, base64, when_empty;
	const char *file;
	ems_tag_t tag; /* 0: as it is */
};

static void take_option(struct request *request, int letter)
{
	if (target_option(&request->target, &command_set, letter))
		return;
	switch (letter) {
	case 't':
		request->type = type_or_exit(&command_set, optarg);
		break;
	case OPTION_HEX:
		request->hex = true;
		break;
	case OPTION_BASE64:
		request->base64 = true;
		break;
	case 'f':
		request->file = optarg;
		break;
	case OPTION_TAG:
		request->tag = tag_or_exit(&command_set, optarg);
		break;
	case OPTION_WHEN_EMPTY:
		request->when_empty = true;
		break;
	}
}

static void check_request(const struct request *request)
{
	if (request->hex + request->base64 + (request->file != NULL) > 1)
		usage_error(&command_set, "--hex, --base64 and --file exclude each other");
	if (request->when_empty && request->tag == EMS_EMPTY)
		usage_error(&command_set, "--when-empty leaves the element full");
}

/* All of a file ("-": standard input), in memory for the life of the process; or reports and exits. */
static char *read_file_or_exit(const char *path, size_t *_size)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	size_t size = 0, capacity = 65536;
	static char *data;

	while (file) {
		char *larger = realloc(data, capacity);

		if (!larger)
			exit(report(EXIT_OTHER, "%s: does not fit memory", path));
		data = larger;
		size += fread(data + size, 1, capacity - size, file);
		if (size < capacity)
			break;
		capacity *= 2;
	}
	if (!file || ferror(file))
		exit(report(EXIT_OTHER, "%s: %s", path, strerror(errno)));
	if (file != stdin)
		fclose(file);
	*_size = size;
	return data;
}

/* word: the VALUE of the command line, absent with --file. */
static void read_value(const struct request *request, char *word, ems_value_t *value)
{
	uint32_t type = request->type;
	size_t size = word ? strlen(word) : 0;
	char *text = word;
	bool good = true;

	if (request->file)
		text = read_file_or_exit(request->file, &size);
	else if (request->hex)
		good = hex_decode(word, size, (unsigned char *)word, &size);
	else if (request->base64)
		good = base64_decode(word, size, (unsigned char *)word, &size);
	if (!good)
		usage_error(&command_set, "VALUE is not %s", request->hex ? "hexadecimal" : "base64");
	if (type == TYPE_GUESS && (request->file || request->hex || request->base64))
		type = EMS_BYTES;
	value_parse_or_exit(&command_set, text, size, type, value);
}

static int write_element(const struct request *request, ems_heap_t *heap, ems_key_t key,
			 const ems_value_t *value)
{
	ems_deadline_t deadline = target_deadline(&request->target);

	if (request->when_empty)
		return ems_write_ef_until(heap, key, value, deadline);
	if (request->tag == EMS_FULL)
		return ems_write_xf_until(heap, key, value, deadline);
	if (request->tag == EMS_EMPTY)
		return ems_write_xe_until(heap, key, value, deadline);
	return ems_write_until(heap, key, value, deadline);
}

static int run(int argc, char **argv)
{
	struct request request = {.type = TYPE_GUESS, .target = TARGET_INIT};
	struct arguments arguments;
	ems_value_t value;
	ems_heap_t *heap;
	ems_key_t key;
	int letter, words, code;

	arguments_init(&arguments, &command_set, argc, argv);
	while ((letter = arguments_next(&arguments, TARGET_LETTERS "t:f:", options)) != -1)
		take_option(&request, letter);
	check_request(&request);
	words = request.file ? 2 : 3;
	arguments_expect(&arguments, words, words);
	read_value(&request, arguments.words[2], &value);
	code = attach_heap(arguments.words[0], false, &heap);
	if (code != 0)
		return code;
	key = key_parse_or_exit(&command_set, heap, arguments.words[1], request.target.key_type);
	if (write_element(&request, heap, key, &value) < 0)
		return report_failure();
	return EXIT_DONE;
}

const struct command command_set = {
	.name = "set",
	.synopsis = "[OPTION…] HEAP KEY|INDEX VALUE | --file PATH HEAP KEY|INDEX",
	.summary = "write an element",
	.help = "Writes an element. VALUE's type is guessed: integer, float, boolean, undefined, json\n"
		"(an object, an array, null), else string.\n"
		"\n"
		"  -t, --type TYPE         undefined, boolean, integer, float, string, json, bytes\n"
		"      --hex, --base64     VALUE is bytes, written so\n"
		"  -f, --file PATH         the contents of a file, - for standard input; as bytes\n"
		"                          unless --type\n"
		"      --tag TAG           leaves the element full or empty; else as it was\n"
		"      --when-empty        waits until it is empty, and leaves it full\n"
		"  -T, --timeout DURATION  wait no longer (0.5s, 10m; then the exit code is 1)\n"
		"  -s, --string-key        KEY is a string, whatever it looks like\n"
		"  -k, --key-type TYPE     integer, float, boolean or string",
	.run = run,
};
