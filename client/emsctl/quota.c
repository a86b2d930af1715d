/*
 * quota.c: emsctl quota.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "client/emsctl/emsctl.h"
#include "client/emsctl/json.h"
#include "client/emsctl/table.h"

static void add_count(struct table *table, uint32_t used, uint32_t limit)
{
	if (limit)
		table_add(table, "%u of %u", used, limit);
	else
		table_add(table, "%u", used);
}

static void add_bytes(struct table *table, uint64_t used, uint64_t limit)
{
	char texts[2][TEXT_SIZE_MAX];

	if (limit)
		table_add(table, "%s of %s", text_format_size(used, texts[0]),
			  text_format_size(limit, texts[1]));
	else
		table_add(table, "%s", text_format_size(used, texts[0]));
}

static void print_table(const ems_quota_t *quotas, size_t count, const ems_status_t *all)
{
	struct table table = {.columns = 5, .titles = {"USER", ">MEMORY", ">HEAPS", ">CLIENTS", ">THREADS"}};

	for (size_t i = 0; i < count; i++) {
		table_add_text(&table, quotas[i].user);
		add_bytes(&table, quotas[i].bytes, quotas[i].bytes_limit);
		add_count(&table, quotas[i].heaps, quotas[i].heaps_limit);
		add_count(&table, quotas[i].clients, quotas[i].clients_limit);
		add_count(&table, quotas[i].slots, quotas[i].slots_limit);
	}
	table_add(&table, "(all)");
	add_bytes(&table, all->bytes, all->bytes_limit);
	add_count(&table, all->heaps, all->heaps_limit);
	add_count(&table, all->clients, all->clients_limit);
	table_add(&table, "-");
	table_print(&table);
}

static void common_members(struct json_object *object, uint64_t bytes, uint64_t bytes_limit, uint32_t heaps,
			   uint32_t heaps_limit, uint32_t clients, uint32_t clients_limit)
{
	json_member_uint(object, "bytes", bytes);
	json_member_uint(object, "bytes_limit", bytes_limit);
	json_member_uint(object, "heaps", heaps);
	json_member_uint(object, "heaps_limit", heaps_limit);
	json_member_uint(object, "clients", clients);
	json_member_uint(object, "clients_limit", clients_limit);
}

static void print_json(const ems_quota_t *quotas, size_t count, const ems_status_t *all)
{
	struct json_object object;

	fputs("{\"users\":[", stdout);
	for (size_t i = 0; i < count; i++) {
		const ems_quota_t *quota = &quotas[i];

		fputs(i > 0 ? ",\n " : "", stdout);
		json_begin(&object, stdout);
		json_member_text(&object, "user", quota->user);
		json_member_uint(&object, "uid", quota->uid);
		common_members(&object, quota->bytes, quota->bytes_limit, quota->heaps, quota->heaps_limit,
			       quota->clients, quota->clients_limit);
		json_member_uint(&object, "slots", quota->slots);
		json_member_uint(&object, "slots_limit", quota->slots_limit);
		json_end(&object);
	}
	fputs("],\n \"all\":", stdout);
	json_begin(&object, stdout);
	common_members(&object, all->bytes, all->bytes_limit, all->heaps, all->heaps_limit, all->clients,
		       all->clients_limit);
	json_end(&object);
	fputs("}\n", stdout);
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {COMMON_OPTIONS};
	_cleanup_(freep) ems_quota_t *quotas = NULL;
	struct arguments arguments;
	ems_connection_t *connection;
	ems_status_t all;
	size_t count;
	int code;

	arguments_init(&arguments, &command_quota, argc, argv);
	(void)arguments_next(&arguments, "", options);
	arguments_expect(&arguments, 0, 0);
	code = connect_daemon(&connection);
	if (code != 0)
		return code;
	if (ems_quota_list(connection, &quotas, &count) < 0 || ems_daemon_status(connection, &all) < 0)
		return report_failure();
	if (settings.json)
		print_json(quotas, count, &all);
	else
		print_table(quotas, count, &all);
	return EXIT_DONE;
}

const struct command command_quota = {
	.name = "quota",
	.synopsis = "[OPTION…]",
	.summary = "show who uses how much, and may",
	.help = "Shows what you have of the daemon's memory, heaps, connections and threads at work in\n"
		"heaps, and may have; for root, what each user has. The last line is of all together.\n",
	.run = run,
};
