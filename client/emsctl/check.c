/*
 * check.c: emsctl check: does a heap make sense? And if it does not, make one of what is left.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "client/emsctl/emsctl.h"
#include "client/emsctl/heap_file.h"
#include "client/emsctl/json.h"
#include "client/emsctl/text_out.h"

#define TIMEOUT UINT64_C(60000000000) /* ns */

/* Problems go out as they are found, but in JSON. */
struct told {
	char **texts;
	size_t count, room;
};

static void tell(void *arg, const char *text)
{
	struct told *told = arg;

	if (!settings.json) {
		text_print(stdout, text, TEXT_ON_A_LINE);
		fputc('\n', stdout);
		return;
	}
	if (told->count == told->room) {
		size_t room = told->room ? 2 * told->room : 64;
		char **texts = reallocarray(told->texts, room, sizeof(*texts));

		if (!texts)
			exit(report(EXIT_OTHER, "out of memory"));
		told->texts = texts;
		told->room = room;
	}
	told->texts[told->count] = strdup(text);
	if (!told->texts[told->count++])
		exit(report(EXIT_OTHER, "out of memory"));
}

static void print_json(const char *name, const ems_check_t *check, const struct told *told, bool repaired)
{
	struct json_object object;

	json_begin(&object, stdout);
	json_member_text(&object, "name", name);
	json_member_uint(&object, "problems", check->problems);
	json_member(&object, "texts");
	fputc('[', stdout);
	for (size_t i = 0; i < told->count; i++) {
		fputs(i > 0 ? "," : "", stdout);
		json_text(stdout, told->texts[i], strlen(told->texts[i]));
	}
	fputc(']', stdout);
	json_member_bool(&object, "quarantined", check->quarantined);
	json_member_bool(&object, "live", check->live);
	json_member_bool(&object, "incomplete", check->incomplete);
	json_member_bool(&object, "repaired", repaired);
	json_member_uint(&object, "lost", check->lost);
	json_member_uint(&object, "elements", check->elements);
	json_member_uint(&object, "queued", check->queued);
	json_member_uint(&object, "stacked", check->stacked);
	json_member_uint(&object, "blobs", check->blobs);
	json_end(&object);
	fputc('\n', stdout);
}

static void print_people(const char *name, const ems_check_t *check)
{
	if (check->quarantined)
		printf("quarantined: nobody gets this heap any more\n");
	if (check->incomplete)
		printf("the time was up before everything was looked at\n");
	text_print(stdout, name, TEXT_ON_A_LINE);
	if (check->problems == 0)
		printf(": no problems");
	else
		printf(": %" PRIu64 " problem%s", check->problems, check->problems == 1 ? "" : "s");
	printf(" (%" PRIu64 " elements, %" PRIu64 " in the queue, %" PRIu64 " on the stack, %" PRIu64
	       " blocks of storage%s)\n",
	       check->elements, check->queued, check->stacked, check->blobs, check->live ? "; while in use" : "");
}

static bool confirm(const char *name)
{
	_cleanup_(freep) char *line = NULL;
	size_t capacity = 0;

	fflush(stdout);
	fputs("put a new heap in the place of \"", stderr);
	text_print(stderr, name, TEXT_ON_A_LINE);
	fputs("\", of all that can be read in it? Who has it attached keeps the old one. [y/N] ", stderr);
	fflush(stderr);
	return getline(&line, &capacity, stdin) > 0 && (line[0] == 'y' || line[0] == 'Y');
}

static int repair(ems_connection_t *connection, const char *name, struct told *told, bool yes)
{
	ems_check_t kept;

	if (!yes && !confirm(name))
		return report(EXIT_NO, "not repaired");
	if (ems_heap_repair(connection, name, tell, told, &kept) < 0)
		return report_failure();
	if (settings.json)
		print_json(name, &kept, told, true);
	else
		printf("repaired: %" PRIu64 " elements, %" PRIu64 " items of the queue, %" PRIu64
		       " of the stack are kept, %" PRIu64 " lost\n",
		       kept.elements, kept.queued, kept.stacked, kept.lost);
	return EXIT_DONE;
}

/* Names of heaps do not begin like that. */
static bool is_path(const char *name)
{
	return name[0] == '/' || strncmp(name, "./", 2) == 0 || strncmp(name, "../", 3) == 0;
}

static int check_file(const char *path, uint64_t timeout, struct told *told)
{
	_cleanup_(closep) int fd = -1;
	ems_check_t check;
	int code = heap_file_open(path, &fd);

	if (code != EXIT_DONE)
		return code;
	if (ems_file_check(fd, ems_deadline_in(timeout), tell, told, &check) < 0)
		return heap_file_report(path);
	if (settings.json)
		print_json(path, &check, told, false);
	else
		print_people(path, &check);
	return check.problems || check.incomplete ? EXIT_OTHER : EXIT_DONE;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {{"repair", no_argument, NULL, 'r'},
						{"yes", no_argument, NULL, 'y'},
						{"timeout", required_argument, NULL, 'T'},
						COMMON_OPTIONS};
	bool wants_repair = false, yes = !isatty(STDIN_FILENO);
	struct arguments arguments;
	ems_connection_t *connection;
	struct told told = {0};
	ems_check_t check;
	uint64_t timeout = TIMEOUT;
	int letter, code;

	arguments_init(&arguments, &command_check, argc, argv);
	while ((letter = arguments_next(&arguments, "yT:", options)) != -1) {
		if (letter == 'T')
			timeout = duration_parse_or_exit(&command_check, optarg);
		wants_repair |= letter == 'r';
		yes |= letter == 'y';
	}
	arguments_expect(&arguments, 1, 1);
	if (is_path(arguments.words[0])) {
		if (wants_repair)
			return report(EXIT_USAGE, "a file stays as it is: emsctl restore makes a heap of what can be read in it");
		return check_file(arguments.words[0], timeout, &told);
	}
	code = connect_daemon(&connection);
	if (code != 0)
		return code;
	if (ems_heap_check(connection, arguments.words[0], ems_deadline_in(timeout), tell, &told, &check) < 0)
		return report_failure();
	if (!settings.json)
		print_people(arguments.words[0], &check);
	if (wants_repair && (check.problems || check.quarantined))
		return repair(connection, arguments.words[0], &told, yes);
	if (settings.json)
		print_json(arguments.words[0], &check, &told, false);
	return check.problems || check.quarantined || check.incomplete ? EXIT_OTHER : EXIT_DONE;
}

const struct command command_check = {
	.name = "check",
	.synopsis = "[OPTION…] HEAP|FILE",
	.summary = "does a heap make sense? repair it",
	.help = "Compares everything in a heap with everything else, while others may use it, and says\n"
		"each problem in words. Exit code 5: there are problems, or the time was up.\n"
		"A FILE (with a / or ./ in front) is a heap's that is not in use, or a backup; no daemon\n"
		"is asked, and it is not changed.\n"
		"\n"
		"      --repair            if there are problems, make a new heap of all that can be\n"
		"                          read, in the place of this one; asks first\n"
		"  -y, --yes               do not ask\n"
		"  -T, --timeout DURATION  look for so long at most (60s)",
	.run = run,
};
