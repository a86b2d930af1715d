/*
 * rename.c: emsctl rename.
 */
#include "client/emsctl/emsctl.h"

static int run(int argc, char **argv)
{
	static const struct option options[] = {{"replace", no_argument, NULL, 'r'}, COMMON_OPTIONS};
	struct arguments arguments;
	ems_connection_t *connection;
	bool replace = false;
	int code;

	arguments_init(&arguments, &command_rename, argc, argv);
	while (arguments_next(&arguments, "", options) != -1)
		replace = true;
	arguments_expect(&arguments, 2, 2);
	code = connect_daemon(&connection);
	if (code != 0)
		return code;
	if (ems_heap_rename(connection, arguments.words[0], arguments.words[1], replace) < 0)
		return report_failure();
	return EXIT_DONE;
}

const struct command command_rename = {
	.name = "rename",
	.synopsis = "[OPTION…] HEAP NAME",
	.summary = "give a heap another name",
	.help = "Gives a heap, region or team another name, in one step. Who has it attached notices\n"
		"nothing.\n"
		"\n"
		"      --replace           drop what has that name",
	.run = run,
};
