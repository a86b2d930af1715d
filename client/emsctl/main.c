/*
 * main.c: global options, the choice of the command, and help.
 */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "client/emsctl/emsctl.h"

struct settings settings;

static const struct command *const commands[] = {
	&command_list, &command_inspect, &command_create, &command_drop, &command_chmod,
	&command_chown, &command_rename, &command_grow, &command_get, &command_set, &command_keys, &command_sync,
	&command_dump, &command_load,
	&command_backup, &command_verify, &command_restore, &command_run, &command_check, &command_clients, &command_kick,
	&command_quota, &command_stat, &command_bench, &command_ping, &command_version,
};

static void print_usage(FILE *out)
{
	fputs("usage: emsctl [OPTION…] COMMAND [ARGUMENT…]\n\nCommands\n", out);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "  %-8s  %s\n", commands[i]->name, commands[i]->summary);
	fputs("\n"
	      "Options, before or after the command\n"
	      "  -S, --socket PATH  the daemon's socket (else $EMS_SOCKET, the system's, your own daemon's)\n"
	      "  -j, --json         write JSON for programs\n"
	      "  -h, --help         this text, or a command's\n"
	      "  -V, --version      the version of emsctl\n"
	      "\n"
	      "Exit codes: 0 done, 1 no such thing or no, 2 wrong usage, 3 no daemon,\n"
	      "            4 no permission, 5 another error\n"
	      "\n"
	      "emsctl COMMAND --help tells more, as does emsctl(1).\n",
	      out);
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	}
	usage_error(NULL, "unknown command \"%s\"", name);
}

/* Colours are for terminals that know them, and for people who did not say no (no-color.org). */
static bool wants_colour(void)
{
	const char *no = getenv("NO_COLOR");
	const char *terminal = getenv("TERM");

	if (no && *no)
		return false;
	return isatty(STDOUT_FILENO) && terminal && strcmp(terminal, "dumb") != 0;
}

/* A result that did not reach its reader is not a result: a full disk must not look like success. */
static int finish_output(int code)
{
	bool failed = ferror(stdout);

	if (fflush(stdout) != 0 || failed) {
		int error = errno;

		if (error != EPIPE)
			report(EXIT_OTHER, "cannot write the result: %s", strerror(error));
		return EXIT_OTHER;
	}
	return code;
}

/* Reads the options before the command; returns the index of the command in argv. */
static int read_global_options(int argc, char **argv)
{
	static const struct option options[] = {{"version", no_argument, NULL, 'V'}, COMMON_OPTIONS};
	int letter;

	while ((letter = getopt_long(argc, argv, "+hjS:V", options, NULL)) != -1) {
		switch (letter) {
		case 'h':
			print_usage(stdout);
			exit(finish_output(EXIT_DONE));
		case 'V':
			printf("emsctl %s\n", ems_version());
			exit(finish_output(EXIT_DONE));
		case 'j':
			settings.json = true;
			break;
		case 'S':
			settings.socket = optarg;
			break;
		default:
			usage_error(NULL, NULL);
		}
	}
	return optind;
}

int main(int argc, char **argv)
{
	const struct command *command;
	int first, code;

	/* For the width of characters in tables. Numbers stay as C has them. */
	setlocale(LC_CTYPE, "");
	settings.colour = wants_colour();
	first = read_global_options(argc, argv);
	if (first == argc) {
		print_usage(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[first], "help") == 0) {
		if (first + 1 < argc)
			return find_command(argv[first + 1])->run(2, (char *[]){argv[0], "--help", NULL});
		print_usage(stdout);
		return EXIT_DONE;
	}
	command = find_command(argv[first]);
	code = command->run(argc - first, argv + first);
	disconnect();
	return finish_output(code);
}
