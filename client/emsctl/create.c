/*
 * create.c: emsctl create.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "client/emsctl/emsctl.h"
#include "client/emsctl/tag.h"
#include "client/emsctl/value.h"

struct request {
	ems_heap_options_t options;
	uint64_t region_size, region_max; /* region_size 0: a heap is to be made */
	ems_open_t how;
	const char *fill;
	uint32_t fill_type;
	ems_value_t fill_value;
};

enum {
	OPTION_BUDGET = 1000,
	OPTION_FILL_TYPE,
	OPTION_CHECKPOINT,
	OPTION_UNTIL_DETACHED,
	OPTION_IDLE,
	OPTION_REPLACE,
	OPTION_OPEN,
	OPTION_REGION,
	OPTION_REGION_MAX
};

static const struct option options[] = {
	{"elements", required_argument, NULL, 'n'},
	{"max-elements", required_argument, NULL, 'N'},
	{"map", no_argument, NULL, 'm'},
	{"storage", required_argument, NULL, 's'},
	{"budget", required_argument, NULL, OPTION_BUDGET},
	{"mode", required_argument, NULL, 'M'},
	{"fill", required_argument, NULL, 'f'},
	{"fill-type", required_argument, NULL, OPTION_FILL_TYPE},
	{"initial-tag", required_argument, NULL, 't'},
	{"persistent", no_argument, NULL, 'p'},
	{"checkpoint", required_argument, NULL, OPTION_CHECKPOINT},
	{"until-detached", no_argument, NULL, OPTION_UNTIL_DETACHED},
	{"idle", required_argument, NULL, OPTION_IDLE},
	{"replace", no_argument, NULL, OPTION_REPLACE},
	{"open", no_argument, NULL, OPTION_OPEN},
	{"region", required_argument, NULL, OPTION_REGION},
	{"region-max", required_argument, NULL, OPTION_REGION_MAX},
	COMMON_OPTIONS,
};

/* Counts as well as bytes: 1000000, 1M, 64KiB. Zero would mean "the default" to the library. */
static uint64_t size_or_exit(const char *option, const char *text)
{
	uint64_t size;

	if (text_parse_size(text, &size) < 0)
		usage_error(&command_create, "--%s: \"%s\" is not a size (like 1000000, 64K, 1.5GiB)", option,
			    text);
	if (size == 0)
		usage_error(&command_create, "--%s: should be more than 0", option);
	return size;
}

/* Zero would mean "the default" to the library. */
static uint32_t mode_or_exit(const char *text)
{
	uint32_t mode = mode_parse_or_exit(&command_create, text);

	if (mode == 0)
		usage_error(&command_create, "--mode: \"%s\" is not a mode for a new heap; chmod may do that", text);
	return mode;
}

static uint32_t idle_or_exit(const char *text)
{
	uint64_t seconds = duration_parse_or_exit(&command_create, text) / NS_PER_S;

	if (seconds == 0 || seconds > UINT32_MAX)
		usage_error(&command_create, "--idle: \"%s\" is not within a second and 136 years", text);
	return (uint32_t)seconds;
}

static uint32_t checkpoint_or_exit(const char *text)
{
	uint64_t ms;

	if (strcmp(text, "never") == 0)
		return EMS_CHECKPOINT_NEVER;
	ms = duration_parse_or_exit(&command_create, text) / NS_PER_MS;
	if (ms == 0 || ms >= EMS_CHECKPOINT_NEVER)
		usage_error(&command_create, "--checkpoint: \"%s\" is not within a millisecond and 49 days", text);
	return (uint32_t)ms;
}

static void set_how(struct request *request, ems_open_t how)
{
	if (request->how != EMS_CREATE && request->how != how)
		usage_error(&command_create, "--replace and --open exclude each other");
	request->how = how;
}

static void take_option(struct request *request, int letter)
{
	switch (letter) {
	case 'n':
		request->options.elements = size_or_exit("elements", optarg);
		break;
	case 'N':
		request->options.max_elements = size_or_exit("max-elements", optarg);
		break;
	case 'm':
		request->options.map = true;
		break;
	case 's':
		request->options.storage = size_or_exit("storage", optarg);
		break;
	case OPTION_BUDGET:
		request->options.budget = size_or_exit("budget", optarg);
		break;
	case 'M':
		request->options.mode = mode_or_exit(optarg);
		break;
	case 'f':
		request->fill = optarg;
		break;
	case OPTION_FILL_TYPE:
		request->fill_type = type_or_exit(&command_create, optarg);
		break;
	case 't':
		request->options.initial_tag = tag_or_exit(&command_create, optarg);
		break;
	case 'p':
		request->options.persistent = true;
		break;
	case OPTION_CHECKPOINT:
		request->options.checkpoint_ms = checkpoint_or_exit(optarg);
		break;
	case OPTION_UNTIL_DETACHED:
		request->options.until_detached = true;
		break;
	case OPTION_IDLE:
		request->options.idle_seconds = idle_or_exit(optarg);
		break;
	case OPTION_REPLACE:
		set_how(request, EMS_REPLACE);
		break;
	case OPTION_OPEN:
		set_how(request, EMS_OPEN_OR_CREATE);
		break;
	case OPTION_REGION:
		request->region_size = size_or_exit("region", optarg);
		break;
	case OPTION_REGION_MAX:
		request->region_max = size_or_exit("region-max", optarg);
		break;
	}
}

/* What only one of the two kinds has. */
static void check_kind(const struct request *request)
{
	const ems_heap_options_t *heap = &request->options;

	if (request->region_max && !request->region_size)
		usage_error(&command_create, "--region-max needs --region");
	if (request->region_size && (heap->elements || heap->max_elements || heap->map || heap->storage ||
				     heap->initial_tag || request->fill))
		usage_error(&command_create,
			    "--region makes a region: it has no elements, map, storage, fill or tag");
}

static void check_request(struct request *request)
{
	check_kind(request);
	if (request->region_size)
		return;
	if (request->options.elements == 0 && !request->options.map)
		usage_error(&command_create, "a heap without --map needs --elements");
	if (!request->fill && request->fill_type != TYPE_GUESS)
		usage_error(&command_create, "--fill-type needs --fill");
	if (request->fill) {
		value_parse_or_exit(&command_create, request->fill, strlen(request->fill), request->fill_type,
				    &request->fill_value);
		request->options.fill = &request->fill_value;
	}
}

/* We are the first client of a heap that goes with its last one, so others need us until they are there. */
static void wait_for_end_of_input(void)
{
	fprintf(stderr, "emsctl: attached until the end of standard input (Ctrl-D)\n");
	while (getchar() != EOF)
		;
}

static int open_region(ems_connection_t *connection, const char *name, const struct request *request)
{
	const ems_heap_options_t *common = &request->options;
	ems_region_options_t wanted = {.size = request->region_size,
				       .max_size = request->region_max,
				       .budget = common->budget,
				       .persistent = common->persistent,
				       .until_detached = common->until_detached,
				       .mode = common->mode,
				       .idle_seconds = common->idle_seconds};
	ems_region_t *region;

	return ems_region_open(connection, name, request->how, &wanted, &region);
}

static int open_heap(ems_connection_t *connection, const char *name, const struct request *request)
{
	ems_heap_t *heap;

	return ems_heap_open(connection, name, request->how, &request->options, &heap);
}

static int run(int argc, char **argv)
{
	struct request request = {.how = EMS_CREATE, .fill_type = TYPE_GUESS};
	struct arguments arguments;
	ems_connection_t *connection;
	int letter, code;

	arguments_init(&arguments, &command_create, argc, argv);
	while ((letter = arguments_next(&arguments, "n:N:ms:M:f:t:p", options)) != -1)
		take_option(&request, letter);
	arguments_expect(&arguments, 1, 1);
	check_request(&request);
	code = connect_daemon(&connection);
	if (code != 0)
		return code;
	if ((request.region_size ? open_region : open_heap)(connection, arguments.words[0], &request) < 0) {
		code = report_failure();
		/* Not "no such element": a number that the daemon does not take. */
		return ems_last_error()->code == EMS_ERANGE ? EXIT_USAGE : code;
	}
	if (request.options.until_detached)
		wait_for_end_of_input();
	return EXIT_DONE;
}

const struct command command_create = {
	.name = "create",
	.synopsis = "[OPTION…] HEAP",
	.summary = "make a heap or a region",
	.help = "Makes a heap, or with --region a region: raw memory. Sizes and counts may have\n"
		"units: 64K, 1.5GiB, 10MB.\n"
		"\n"
		"  -n, --elements N        how many elements (default with --map: 1048576)\n"
		"  -N, --max-elements N    up to how many it may be grown\n"
		"  -m, --map               elements are found by key\n"
		"  -s, --storage SIZE      for strings, JSON, bytes and long keys (256 MiB)\n"
		"      --budget SIZE       memory that it may use at most\n"
		"  -M, --mode MODE         octal; r lets attach for reading, w for all (0600)\n"
		"  -f, --fill VALUE        what an element is before it is written (undefined)\n"
		"      --fill-type TYPE    VALUE's type; guessed as by set\n"
		"  -t, --initial-tag TAG   full (default) or empty\n"
		"  -p, --persistent        survives the machine's restart\n"
		"      --checkpoint TIME   written to disk so often when it has changed, or \"never\":\n"
		"                          when asked for, and when nobody has it (1s)\n"
		"      --until-detached    goes with its last client; emsctl stays attached\n"
		"                          until its standard input ends\n"
		"      --idle DURATION     goes after so long without client (30s, 10m, 7d)\n"
		"      --replace           instead of one of that name\n"
		"      --open              is content with one of that name and geometry\n"
		"      --region SIZE       a region of so many bytes\n"
		"      --region-max SIZE   up to which it can grow (SIZE of --region)",
	.run = run,
};
