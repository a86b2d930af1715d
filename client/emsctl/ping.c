/*
 * ping.c: emsctl ping and emsctl version: is a daemon there, and which?
 *
 * Neither starts one: the answer would always be yes.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "client/emsctl/emsctl.h"
#include "client/emsctl/json.h"
#include "client/emsctl/text_out.h"

#define PING_TIMEOUT (5 * NS_PER_S)

static int run_ping(int argc, char **argv)
{
	static const struct option options[] = {{"timeout", required_argument, NULL, 'T'}, COMMON_OPTIONS};
	uint64_t timeout = PING_TIMEOUT, begin, took;
	struct arguments arguments;
	ems_connection_t *connection;

	arguments_init(&arguments, &command_ping, argc, argv);
	while (arguments_next(&arguments, "T:", options) != -1)
		timeout = duration_parse_or_exit(&command_ping, optarg);
	arguments_expect(&arguments, 0, 0);
	if (connect_running(&connection) < 0)
		return report_failure();
	begin = clock_now();
	if (ems_ping(connection, ems_deadline_in(timeout)) < 0)
		return report_failure();
	took = clock_now() - begin;

	if (settings.json) {
		struct json_object object;

		json_begin(&object, stdout);
		json_member_text(&object, "daemon", ems_daemon_version(connection));
		json_member_uint(&object, "nanoseconds", took);
		json_end(&object);
		fputc('\n', stdout);
	} else {
		fputs("emsd ", stdout);
		text_print(stdout, ems_daemon_version(connection), TEXT_ON_A_LINE);
		printf(" answers (%.3f ms)\n", (double)took / (double)NS_PER_MS);
	}
	return EXIT_DONE;
}

static int run_version(int argc, char **argv)
{
	static const struct option options[] = {COMMON_OPTIONS};
	struct arguments arguments;
	ems_connection_t *connection = NULL;
	const char *daemon;

	arguments_init(&arguments, &command_version, argc, argv);
	(void)arguments_next(&arguments, "", options);
	arguments_expect(&arguments, 0, 0);
	daemon = connect_running(&connection) == 0 ? ems_daemon_version(connection) : NULL;

	if (settings.json) {
		struct json_object object;

		json_begin(&object, stdout);
		json_member_text(&object, "library", ems_version());
		json_member(&object, "daemon");
		if (daemon)
			json_text(stdout, daemon, strlen(daemon));
		else
			fputs("null", stdout);
		json_end(&object);
		fputc('\n', stdout);
	} else {
		printf("emsctl, libems %s\nemsd ", ems_version());
		text_print(stdout, daemon ? daemon : "not reached", TEXT_ON_A_LINE);
		fputc('\n', stdout);
	}
	return EXIT_DONE;
}

const struct command command_ping = {
	.name = "ping",
	.synopsis = "[OPTION…]",
	.summary = "ask the daemon for a sign of life",
	.help = "Asks the daemon for a sign of life. Starts none.\n"
		"\n"
		"  -T, --timeout DURATION  wait no longer (5s)",
	.run = run_ping,
};

const struct command command_version = {
	.name = "version",
	.synopsis = "[OPTION…]",
	.summary = "the versions of library and daemon",
	.help = "Shows the versions of library and daemon, if one runs. Starts none.\n",
	.run = run_version,
};
