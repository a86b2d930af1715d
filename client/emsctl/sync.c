/*
 * sync.c: emsctl sync.
 */
#include "base/clock.h"
#include "client/emsctl/emsctl.h"

static int run(int argc, char **argv)
{
	static const struct option options[] = {{"timeout", required_argument, NULL, 't'}, COMMON_OPTIONS};
	ems_deadline_t deadline = EMS_FOREVER;
	struct arguments arguments;
	ems_connection_t *connection;
	int worst = EXIT_DONE, code;

	arguments_init(&arguments, &command_sync, argc, argv);
	while (arguments_next(&arguments, "t:", options) != -1)
		deadline = ems_deadline_in(duration_parse_or_exit(&command_sync, optarg));
	arguments_expect(&arguments, 1, argc);
	code = connect_daemon(&connection);
	if (code != 0)
		return code;
	for (int i = 0; i < arguments.count; i++) {
		ems_heap_t *heap;

		code = attach_heap(arguments.words[i], true, &heap);
		if (code == 0 && ems_sync_until(heap, deadline) < 0)
			code = report_failure();
		if (code > worst)
			worst = code;
	}
	return worst;
}

const struct command command_sync = {
	.name = "sync",
	.synopsis = "[OPTION…] HEAP…",
	.summary = "write persistent heaps to disk",
	.help = "Returns when everything that was in persistent heaps is on disk.\n"
		"\n"
		"  -t, --timeout DURATION  do not wait longer (500ms, 10s)",
	.run = run,
};
