/*
 * chmod.c: emsctl chmod, chown.
 */
#include <grp.h>
#include <pwd.h>
#include <string.h>

#include "base/text.h"
#include "client/emsctl/emsctl.h"

/* ---- chmod ---- */

static int run_chmod(int argc, char **argv)
{
	static const struct option options[] = {COMMON_OPTIONS};
	struct arguments arguments;
	ems_connection_t *connection;
	int worst = EXIT_DONE, code;
	uint32_t mode;

	arguments_init(&arguments, &command_chmod, argc, argv);
	(void)arguments_next(&arguments, "", options);
	arguments_expect(&arguments, 2, argc);
	mode = mode_parse_or_exit(&command_chmod, arguments.words[0]);
	code = connect_daemon(&connection);
	if (code != 0)
		return code;
	for (int i = 1; i < arguments.count; i++) {
		code = ems_heap_chmod(connection, arguments.words[i], mode) < 0 ? report_failure() : 0;
		if (code > worst)
			worst = code;
	}
	return worst;
}

const struct command command_chmod = {
	.name = "chmod",
	.synopsis = "[OPTION…] MODE HEAP…",
	.summary = "change who may attach heaps",
	.help = "Changes the permissions of heaps, regions and teams: MODE is octal, like 0640; r lets\n"
		"attach for reading, w for all. Who has them attached keeps that.\n",
	.run = run_chmod,
};

/* ---- chown ---- */

static uint32_t user_or_exit(const char *text)
{
	const struct passwd *entry = getpwnam(text);
	uint64_t number;

	if (entry)
		return entry->pw_uid;
	if (text_parse_uint(text, 0, UINT32_MAX - 1, &number) < 0)
		usage_error(&command_chown, "there is no user \"%s\"", text);
	return (uint32_t)number;
}

static uint32_t group_or_exit(const char *text)
{
	const struct group *entry = getgrnam(text);
	uint64_t number;

	if (entry)
		return entry->gr_gid;
	if (text_parse_uint(text, 0, UINT32_MAX - 1, &number) < 0)
		usage_error(&command_chown, "there is no group \"%s\"", text);
	return (uint32_t)number;
}

/* "USER", "USER:GROUP", ":GROUP" */
static void owner_or_exit(char *text, uint32_t *_uid, uint32_t *_gid)
{
	char *colon = strchr(text, ':');

	if (colon)
		*colon = '\0';
	if (!*text && (!colon || !colon[1]))
		usage_error(&command_chown, "neither a user nor a group is given");
	*_uid = *text ? user_or_exit(text) : EMS_SAME_ID;
	*_gid = colon && colon[1] ? group_or_exit(colon + 1) : EMS_SAME_ID;
}

static int run_chown(int argc, char **argv)
{
	static const struct option options[] = {COMMON_OPTIONS};
	struct arguments arguments;
	ems_connection_t *connection;
	int worst = EXIT_DONE, code;
	uint32_t uid, gid;

	arguments_init(&arguments, &command_chown, argc, argv);
	(void)arguments_next(&arguments, "", options);
	arguments_expect(&arguments, 2, argc);
	owner_or_exit(arguments.words[0], &uid, &gid);
	code = connect_daemon(&connection);
	if (code != 0)
		return code;
	for (int i = 1; i < arguments.count; i++) {
		code = ems_heap_chown(connection, arguments.words[i], uid, gid) < 0 ? report_failure() : 0;
		if (code > worst)
			worst = code;
	}
	return worst;
}

const struct command command_chown = {
	.name = "chown",
	.synopsis = "[OPTION…] [USER][:GROUP] HEAP…",
	.summary = "give heaps to another user or group",
	.help = "Gives heaps, regions and teams to another user (by root only), whose budget they are\n"
		"in from then on, and to another group (by root, or their owner who is in it). USER\n"
		"and GROUP are names or numbers.\n",
	.run = run_chown,
};
