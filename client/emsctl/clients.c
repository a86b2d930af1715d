/*
 * clients.c: emsctl clients, kick.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "client/emsctl/emsctl.h"
#include "client/emsctl/info_out.h"
#include "client/emsctl/table.h"

/* ---- clients ---- */

static void print_table(const ems_client_info_t *infos, size_t count, bool of_heap)
{
	struct table table = {
		.columns = of_heap ? 9 : 8,
		.titles = {">CLIENT", ">PID", "USER", ">HEAPS", ">THREADS", ">WAITING", "SINCE", "SOFTWARE",
			   "ACCESS"},
	};
	char since[TIME_TEXT_MAX];

	for (size_t i = 0; i < count; i++) {
		table_add(&table, "%" PRIu64, infos[i].client);
		if (infos[i].pid)
			table_add(&table, "%u", infos[i].pid);
		else
			table_add(&table, "-");
		table_add_text(&table, infos[i].user);
		table_add(&table, "%u", infos[i].heaps);
		table_add(&table, "%u", infos[i].slots);
		table_add(&table, "%u", infos[i].waiters);
		table_add(&table, "%s", infos[i].lost ? "(lost)" : time_format(infos[i].since, since));
		table_add_text(&table, infos[i].software);
		if (of_heap)
			table_add(&table, "%s", infos[i].writes ? "write" : "read");
	}
	table_print(&table);
}

static void print_json(const ems_client_info_t *infos, size_t count, bool of_heap)
{
	fputc('[', stdout);
	for (size_t i = 0; i < count; i++) {
		struct json_object object;

		fputs(i > 0 ? ",\n " : "", stdout);
		json_begin(&object, stdout);
		json_member_uint(&object, "client", infos[i].client);
		json_member_uint(&object, "pid", infos[i].pid);
		json_member_text(&object, "user", infos[i].user);
		json_member_uint(&object, "uid", infos[i].uid);
		json_member_uint(&object, "gid", infos[i].gid);
		json_member_text(&object, "software", infos[i].software);
		json_member_uint(&object, "heaps", infos[i].heaps);
		json_member_uint(&object, "slots", infos[i].slots);
		json_member_uint(&object, "waiters", infos[i].waiters);
		json_member_uint(&object, "queued", infos[i].queued);
		json_member_uint(&object, "since", infos[i].since);
		json_member_bool(&object, "lost", infos[i].lost);
		if (of_heap)
			json_member_bool(&object, "writes", infos[i].writes);
		json_end(&object);
	}
	fputs("]\n", stdout);
}

static int run_clients(int argc, char **argv)
{
	static const struct option options[] = {COMMON_OPTIONS};
	_cleanup_(freep) ems_client_info_t *infos = NULL;
	struct arguments arguments;
	ems_connection_t *connection;
	size_t count;
	int code;

	arguments_init(&arguments, &command_clients, argc, argv);
	(void)arguments_next(&arguments, "", options);
	arguments_expect(&arguments, 0, 1);
	code = connect_daemon(&connection);
	if (code != 0)
		return code;
	if (ems_client_list(connection, arguments.words[0], &infos, &count) < 0)
		return report_failure();
	if (settings.json)
		print_json(infos, count, arguments.count > 0);
	else if (count > 0)
		print_table(infos, count, arguments.count > 0);
	return EXIT_DONE;
}

const struct command command_clients = {
	.name = "clients",
	.synopsis = "[OPTION…] [HEAP]",
	.summary = "show who is connected",
	.help = "Shows your connections to the daemon, or, for root, all; with HEAP those that have it\n"
		"attached. THREADS are at work in heaps, WAITING of them asleep there. One that is\n"
		"(lost) has no connection any more, but threads that go on.\n",
	.run = run_clients,
};

/* ---- kick ---- */

static int run_kick(int argc, char **argv)
{
	static const struct option options[] = {COMMON_OPTIONS};
	struct arguments arguments;
	ems_connection_t *connection;
	int worst = EXIT_DONE, code;
	uint64_t number;

	arguments_init(&arguments, &command_kick, argc, argv);
	(void)arguments_next(&arguments, "", options);
	arguments_expect(&arguments, 1, argc);
	for (int i = 0; i < arguments.count; i++)
		if (text_parse_uint(arguments.words[i], 1, UINT64_MAX, &number) < 0)
			usage_error(&command_kick, "\"%s\" is not the number of a client", arguments.words[i]);
	code = connect_daemon(&connection);
	if (code != 0)
		return code;
	for (int i = 0; i < arguments.count; i++) {
		(void)text_parse_uint(arguments.words[i], 1, UINT64_MAX, &number);
		code = ems_client_kick(connection, number) < 0 ? report_failure() : 0;
		if (code > worst)
			worst = code;
	}
	return worst;
}

const struct command command_kick = {
	.name = "kick",
	.synopsis = "[OPTION…] CLIENT…",
	.summary = "end somebody's connection",
	.help = "Ends connections, by their numbers in `emsctl clients`: yours, or, for root, any. What\n"
		"they had attached they do not get again. The memory that a process has mapped nobody\n"
		"can take away: to stop it, end the process.\n",
	.run = run_kick,
};
