/*
 * grow.c: emsctl grow.
 */
#include "base/text.h"
#include "client/emsctl/emsctl.h"

static int grow_region(ems_connection_t *connection, const char *name, uint64_t size)
{
	ems_region_t *region;
	int r = ems_region_open(connection, name, EMS_OPEN_EXISTING, NULL, &region);

	return r < 0 ? r : ems_region_grow(region, size);
}

static int grow_heap(ems_connection_t *connection, const char *name, uint64_t elements)
{
	ems_heap_t *heap;
	int r = ems_heap_open(connection, name, EMS_OPEN_EXISTING, NULL, &heap);

	return r < 0 ? r : ems_heap_grow(heap, elements);
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {COMMON_OPTIONS};
	struct arguments arguments;
	ems_connection_t *connection;
	ems_heap_info_t info;
	uint64_t size;
	int code, r;

	arguments_init(&arguments, &command_grow, argc, argv);
	while (arguments_next(&arguments, "", options) != -1)
		;
	arguments_expect(&arguments, 2, 2);
	if (text_parse_size(arguments.words[1], &size) < 0 || size == 0)
		usage_error(&command_grow, "\"%s\" is not a number or size (like 1000000, 64K, 1.5GiB)",
			    arguments.words[1]);
	code = connect_daemon(&connection);
	if (code != 0)
		return code;
	r = ems_heap_inspect(connection, arguments.words[0], &info);
	if (r == 0)
		r = (info.kind == EMS_KIND_REGION ? grow_region : grow_heap)(connection, arguments.words[0],
									     size);
	if (r == 0)
		return EXIT_DONE;
	code = report_failure();
	/* Not "no such element": a number that cannot be had. */
	return ems_last_error()->code == EMS_ERANGE ? EXIT_USAGE : code;
}

const struct command command_grow = {
	.name = "grow",
	.synopsis = "[OPTION…] HEAP N",
	.summary = "make a heap or a region larger",
	.help = "Raises the number of elements of a heap to N, at most to what it was created for; or\n"
		"the bytes of a region. Who has it attached sees it at once. Units: 64K, 1.5GiB.",
	.run = run,
};
