/*
 * drop.c: emsctl drop.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "client/emsctl/emsctl.h"
#include "client/emsctl/info_out.h"
#include "client/emsctl/text_out.h"

/* True when the user types a word that begins with y. The end of the input is a no. */
static bool confirm(void)
{
	_cleanup_(freep) char *line = NULL;
	size_t capacity = 0;

	fflush(stderr);
	return getline(&line, &capacity, stdin) > 0 && (line[0] == 'y' || line[0] == 'Y');
}

/* Says what would be lost. 0: yes; else an exit code. */
static int ask(ems_connection_t *connection, const char *name)
{
	ems_heap_info_t info;
	char size[TEXT_SIZE_MAX];
	uint64_t count;

	if (ems_heap_inspect(connection, name, &info) < 0)
		return report_failure();
	fprintf(stderr, "drop %s \"", kind_format(info.kind));
	text_print(stderr, name, TEXT_ON_A_LINE);
	fputs("\" (", stderr);
	count = info.map ? info.keys : info.elements;
	if (info.kind == EMS_KIND_HEAP)
		fprintf(stderr, "%" PRIu64 " %s%s, ", count, info.map ? "key" : "element",
			count == 1 ? "" : "s");
	fprintf(stderr, "%s, %u client%s attached)? [y/N] ", text_format_size(info.committed, size),
		info.clients, info.clients == 1 ? "" : "s");
	if (confirm())
		return EXIT_DONE;
	return report(EXIT_NO, "not dropped");
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {{"yes", no_argument, NULL, 'y'}, COMMON_OPTIONS};
	struct arguments arguments;
	ems_connection_t *connection;
	bool yes = !isatty(STDIN_FILENO); /* a script cannot be asked */
	int worst = EXIT_DONE, code;

	arguments_init(&arguments, &command_drop, argc, argv);
	while (arguments_next(&arguments, "y", options) != -1)
		yes = true;
	arguments_expect(&arguments, 1, argc);
	code = connect_daemon(&connection);
	if (code != 0)
		return code;
	for (int i = 0; i < arguments.count; i++) {
		code = yes ? 0 : ask(connection, arguments.words[i]);
		if (code == 0 && ems_heap_drop(connection, arguments.words[i]) < 0)
			code = report_failure();
		if (code > worst)
			worst = code;
	}
	return worst;
}

const struct command command_drop = {
	.name = "drop",
	.synopsis = "[OPTION…] HEAP…",
	.summary = "remove heaps",
	.help = "Removes heaps. Their names are free at once; who is attached keeps the memory and\n"
		"is told. Asks first, unless --yes or standard input is not a terminal.\n"
		"\n"
		"  -y, --yes               do not ask",
	.run = run,
};
