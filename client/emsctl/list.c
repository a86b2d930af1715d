/*
 * list.c: emsctl list.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "client/emsctl/emsctl.h"
#include "client/emsctl/info_out.h"
#include "client/emsctl/table.h"
#include "client/emsctl/text_out.h"

static bool has_quarantined(const ems_heap_info_t *infos, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (infos[i].quarantined)
			return true;
	return false;
}

static bool has_others_than_heaps(const ems_heap_info_t *infos, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (infos[i].kind != EMS_KIND_HEAP)
			return true;
	return false;
}

static void print_table(const ems_heap_info_t *infos, size_t count)
{
	bool states = has_quarantined(infos, count), kinds = states || has_others_than_heaps(infos, count);
	struct table table = {
		.columns = 8 + kinds + states,
		.titles = {"NAME", "OWNER", "GROUP", "MODE", ">ELEMENTS", "MAP", ">MEMORY", ">CLIENTS",
			   "KIND", "STATE"},
	};
	char buffer[16], mode[MODE_TEXT_MAX];

	for (size_t i = 0; i < count; i++) {
		table_add_text(&table, infos[i].name);
		table_add_text(&table, owner_of(&infos[i], buffer));
		table_add_text(&table, group_of(&infos[i], buffer));
		table_add(&table, "%s", mode_format(infos[i].mode, mode));
		if (infos[i].kind == EMS_KIND_HEAP)
			table_add(&table, "%" PRIu64, infos[i].elements);
		else
			table_add(&table, "-");
		table_add(&table, "%s", infos[i].kind != EMS_KIND_HEAP ? "-" : infos[i].map ? "yes" : "no");
		table_add_size(&table, infos[i].committed);
		table_add(&table, "%u", infos[i].clients);
		if (kinds)
			table_add(&table, "%s", kind_format(infos[i].kind));
		if (states)
			table_add(&table, "%s", infos[i].quarantined ? "quarantined" : "-");
	}
	table_print(&table);
}

static void print_json(const ems_heap_info_t *infos, size_t count)
{
	fputc('[', stdout);
	for (size_t i = 0; i < count; i++) {
		struct json_object object;

		fputs(i > 0 ? ",\n " : "", stdout);
		json_begin(&object, stdout);
		info_members(&object, &infos[i]);
		json_end(&object);
	}
	fputs("]\n", stdout);
}

static void print_names(const ems_heap_info_t *infos, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		text_print(stdout, infos[i].name, TEXT_ON_A_LINE);
		fputc('\n', stdout);
	}
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {{"names", no_argument, NULL, 'n'}, COMMON_OPTIONS};
	struct arguments arguments;
	_cleanup_(freep) ems_heap_info_t *infos = NULL;
	ems_connection_t *connection;
	bool names = false;
	size_t count;
	int code;

	arguments_init(&arguments, &command_list, argc, argv);
	while (arguments_next(&arguments, "n", options) != -1)
		names = true;
	arguments_expect(&arguments, 0, 1);
	code = connect_daemon(&connection);
	if (code != 0)
		return code;
	if (ems_heap_list(connection, arguments.words[0], &infos, &count) < 0)
		return report_failure();

	if (settings.json)
		print_json(infos, count);
	else if (names)
		print_names(infos, count);
	else if (count > 0)
		print_table(infos, count);
	return EXIT_DONE;
}

const struct command command_list = {
	.name = "list",
	.synopsis = "[OPTION…] [PREFIX]",
	.summary = "show the heaps that you may see",
	.help = "Shows the heaps that you may see, or those whose names begin with PREFIX.\n"
		"MEMORY is what a heap takes now. Regions and files are shown, too; then KIND says\n"
		"what each is. If the memory of one makes no sense, so that nobody gets it any more,\n"
		"STATE says so.\n"
		"\n"
		"  -n, --names             only the names, one a line",
	.run = run,
};
