/*
 * inspect.c: emsctl inspect.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"
#include "client/emsctl/emsctl.h"
#include "client/emsctl/info_out.h"
#include "client/emsctl/text_out.h"

static void line(const char *title, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void line(const char *title, const char *format, ...)
{
	va_list arguments;

	printf("%s%-10s%s  ", settings.colour ? "\033[1m" : "", title, settings.colour ? "\033[0m" : "");
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	fputc('\n', stdout);
}

/* "1.5 MiB of 256 MiB (0.6 %)" */
static void line_used(const char *title, uint64_t used, uint64_t all)
{
	char text[2][TEXT_SIZE_MAX];

	text_format_size(used, text[0]);
	if (all == 0)
		line(title, "%s", text[0]);
	else
		line(title, "%s of %s (%.1f %%)", text[0], text_format_size(all, text[1]),
		     100.0 * (double)used / (double)all);
}

static void print_elements(const ems_heap_info_t *info)
{
	line("elements", "%" PRIu64 " (at most %" PRIu64 ")", info->elements, info->max_elements);
	if (info->map)
		line("keys",
		     "%" PRIu64 " (%.1f %% of the elements); table of %" PRIu64 ", %" PRIu64 " deleted%s",
		     info->keys, info->elements ? 100.0 * (double)info->keys / (double)info->elements : 0.0,
		     info->table_slots, info->tombstones, info->growing ? ", being rebuilt" : "");
	else
		line("keys", "none: elements have indexes");
	line("queue", "%" PRIu64 " items, %" PRIu64 " of them leased; on the stack %" PRIu64, info->queued, info->leased,
	     info->stacked);
	line_used("storage", info->storage_used, info->storage);
}

static void print_disk(const ems_heap_info_t *info)
{
	char size[TEXT_SIZE_MAX], taken[TIME_TEXT_MAX];

	line("life", "persistent%s%s", info->in_file ? ", in a client's file" : "",
	     info->loading ? ", being loaded" : "");
	if (info->checkpoint_ms)
		line("checkpoint", "every %g s when it has changed; last %s", info->checkpoint_ms / 1000.0,
		     time_format(info->checkpointed, taken));
	else
		line("checkpoint", "when asked for; last %s", time_format(info->checkpointed, taken));
	line("dirty", "%s", text_format_size(info->dirty, size));
	if (info->checkpoint_error)
		line("trouble", "%s", info->checkpoint_trouble);
}

static void print_people(const ems_heap_info_t *info)
{
	char owner[16], group[16], mode[MODE_TEXT_MAX], created[TIME_TEXT_MAX], used[TIME_TEXT_MAX];

	printf("%s%-10s%s  ", settings.colour ? "\033[1m" : "", kind_format(info->kind),
	       settings.colour ? "\033[0m" : "");
	text_print(stdout, info->name, TEXT_ON_A_LINE);
	fputs(info->dropped ? " (dropped)" : "", stdout);
	fputs(info->quarantined ? " (quarantined: its memory makes no sense)\n" : "\n", stdout);
	line("owner", "%s:%s, mode %s", owner_of(info, owner), group_of(info, group),
	     mode_format(info->mode, mode));
	if (info->kind == EMS_KIND_HEAP)
		print_elements(info);
	else if (info->kind != EMS_KIND_TEAM)
		line("bytes", "%" PRIu64 " (at most %" PRIu64 ")", info->size, info->max_size);
	line_used("memory", info->committed, info->budget);
	if (info->persistent)
		print_disk(info);
	else
		line("life", "volatile");
	if (info->kind != EMS_KIND_HEAP)
		line("clients", "%u", info->clients);
	else
		line("clients", "%u, with %u threads at work, %u of them waiting", info->clients, info->slots,
		     info->waiters);
	if (info->kind == EMS_KIND_HEAP)
		line("recoveries", "%u", info->recoveries);
	line("created", "%s", time_format(info->created, created));
	line("last used", "%s", time_format(info->used, used));
}

static void print_json(const ems_heap_info_t *info)
{
	struct json_object object;

	json_begin(&object, stdout);
	info_members(&object, info);
	json_member_bool(&object, "dropped", info->dropped);
	json_member_bool(&object, "growing", info->growing);
	json_member_uint(&object, "max_elements", info->max_elements);
	json_member_uint(&object, "storage", info->storage);
	json_member_uint(&object, "storage_used", info->storage_used);
	json_member_uint(&object, "budget", info->budget);
	json_member_uint(&object, "keys", info->keys);
	json_member_uint(&object, "tombstones", info->tombstones);
	json_member_uint(&object, "table_slots", info->table_slots);
	json_member_uint(&object, "slots", info->slots);
	json_member_uint(&object, "waiters", info->waiters);
	json_member_uint(&object, "recoveries", info->recoveries);
	json_member_uint(&object, "queued", info->queued);
	json_member_uint(&object, "leased", info->leased);
	json_member_uint(&object, "stacked", info->stacked);
	json_member_uint(&object, "max_size", info->max_size);
	json_end(&object);
	fputc('\n', stdout);
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {COMMON_OPTIONS};
	struct arguments arguments;
	ems_connection_t *connection;
	ems_heap_info_t info;
	int code;

	arguments_init(&arguments, &command_inspect, argc, argv);
	(void)arguments_next(&arguments, "", options);
	arguments_expect(&arguments, 1, 1);
	code = connect_daemon(&connection);
	if (code != 0)
		return code;
	if (ems_heap_inspect(connection, arguments.words[0], &info) < 0)
		return report_failure();
	if (settings.json)
		print_json(&info);
	else
		print_people(&info);
	return EXIT_DONE;
}

const struct command command_inspect = {
	.name = "inspect",
	.synopsis = "[OPTION…] HEAP",
	.summary = "show one heap: size, owner, fill, clients",
	.help = "Shows what the daemon knows of a heap: geometry, owner and mode, how full it is,\n"
		"who is attached.\n",
	.run = run,
};
