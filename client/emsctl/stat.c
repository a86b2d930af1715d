/*
 * stat.c: emsctl stat: numbers for monitoring, in the text format of Prometheus.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "client/emsctl/emsctl.h"
#include "client/emsctl/json.h"

static void head(const char *name, const char *type, const char *help)
{
	printf("# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void metric(const char *name, const char *type, const char *help, uint64_t value)
{
	head(name, type, help);
	printf("%s %" PRIu64 "\n", name, value);
}

/* A label's value: backslash, quote and line feed are escaped. */
static void label(const char *name, const char *value)
{
	printf("%s=\"", name);
	for (; *value; value++) {
		if (*value == '\n')
			fputs("\\n", stdout);
		else if (*value == '"' || *value == '\\')
			printf("\\%c", *value);
		else
			fputc(*value, stdout);
	}
	fputc('"', stdout);
}

static void print_status(const ems_status_t *status)
{
	head("ems_info", "gauge", "The daemon.");
	fputs("ems_info{", stdout);
	label("version", status->version);
	fputs("} 1\n", stdout);
	metric("ems_uptime_seconds", "counter", "Since the daemon's start.", status->uptime);
	metric("ems_memory_bytes", "gauge", "Committed for all heaps.", status->bytes);
	metric("ems_memory_limit_bytes", "gauge", "Allowed for all heaps; 0: no limit.", status->bytes_limit);
	metric("ems_heaps", "gauge", "Heaps, regions and teams.", status->heaps);
	metric("ems_heaps_limit", "gauge", "Allowed; 0: no limit.", status->heaps_limit);
	metric("ems_quarantined_heaps", "gauge", "Heaps whose memory makes no sense.", status->quarantined);
	metric("ems_clients", "gauge", "Connections.", status->clients);
	metric("ems_clients_limit", "gauge", "Allowed; 0: no limit.", status->clients_limit);
	metric("ems_recoveries_total", "counter", "Slots of dead threads put in order by the daemon.",
	       status->recoveries);
}

static void user_metric(const ems_quota_t *quotas, size_t count, const char *name, const char *help,
			uint64_t (*value)(const ems_quota_t *quota))
{
	if (count > 0)
		head(name, "gauge", help);
	for (size_t i = 0; i < count; i++) {
		printf("%s{", name);
		label("user", quotas[i].user);
		printf("} %" PRIu64 "\n", value(&quotas[i]));
	}
}

static uint64_t bytes_of(const ems_quota_t *quota)
{
	return quota->bytes;
}
static uint64_t limit_of(const ems_quota_t *quota)
{
	return quota->bytes_limit;
}
static uint64_t heaps_of(const ems_quota_t *quota)
{
	return quota->heaps;
}
static uint64_t clients_of(const ems_quota_t *quota)
{
	return quota->clients;
}
static uint64_t slots_of(const ems_quota_t *quota)
{
	return quota->slots;
}

static void print_users(const ems_quota_t *quotas, size_t count)
{
	user_metric(quotas, count, "ems_user_memory_bytes", "Committed for the user's heaps.", bytes_of);
	user_metric(quotas, count, "ems_user_memory_limit_bytes", "Allowed; 0: no limit.", limit_of);
	user_metric(quotas, count, "ems_user_heaps", "The user's heaps.", heaps_of);
	user_metric(quotas, count, "ems_user_clients", "The user's connections.", clients_of);
	user_metric(quotas, count, "ems_user_slots", "The user's threads at work in heaps.", slots_of);
}

static void heap_metric(const ems_heap_info_t *infos, size_t count, const char *name, const char *help,
			uint64_t (*value)(const ems_heap_info_t *info))
{
	if (count > 0)
		head(name, "gauge", help);
	for (size_t i = 0; i < count; i++) {
		printf("%s{", name);
		label("heap", infos[i].name);
		fputc(',', stdout);
		label("owner", infos[i].owner);
		printf("} %" PRIu64 "\n", value(&infos[i]));
	}
}

static uint64_t committed_of(const ems_heap_info_t *info)
{
	return info->committed;
}
static uint64_t attached_of(const ems_heap_info_t *info)
{
	return info->clients;
}

static void print_json(const ems_status_t *status)
{
	struct json_object object;

	json_begin(&object, stdout);
	json_member_text(&object, "version", status->version);
	json_member_uint(&object, "pid", status->pid);
	json_member_bool(&object, "user_daemon", status->user_daemon);
	json_member_uint(&object, "uptime", status->uptime);
	json_member_uint(&object, "bytes", status->bytes);
	json_member_uint(&object, "bytes_limit", status->bytes_limit);
	json_member_uint(&object, "heaps", status->heaps);
	json_member_uint(&object, "heaps_limit", status->heaps_limit);
	json_member_uint(&object, "clients", status->clients);
	json_member_uint(&object, "clients_limit", status->clients_limit);
	json_member_uint(&object, "quarantined", status->quarantined);
	json_member_uint(&object, "recoveries", status->recoveries);
	json_end(&object);
	fputc('\n', stdout);
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {COMMON_OPTIONS};
	_cleanup_(freep) ems_quota_t *quotas = NULL;
	_cleanup_(freep) ems_heap_info_t *infos = NULL;
	size_t quota_count, info_count;
	struct arguments arguments;
	ems_connection_t *connection;
	ems_status_t status;
	int code;

	arguments_init(&arguments, &command_stat, argc, argv);
	(void)arguments_next(&arguments, "", options);
	arguments_expect(&arguments, 0, 0);
	code = connect_daemon(&connection);
	if (code != 0)
		return code;
	if (ems_daemon_status(connection, &status) < 0 ||
	    ems_quota_list(connection, &quotas, &quota_count) < 0 ||
	    ems_heap_list(connection, NULL, &infos, &info_count) < 0)
		return report_failure();
	if (settings.json) {
		print_json(&status);
		return EXIT_DONE;
	}
	print_status(&status);
	print_users(quotas, quota_count);
	heap_metric(infos, info_count, "ems_heap_memory_bytes", "Committed for the heap.", committed_of);
	heap_metric(infos, info_count, "ems_heap_clients", "Connections that have it attached.", attached_of);
	return EXIT_DONE;
}

const struct command command_stat = {
	.name = "stat",
	.synopsis = "[OPTION…]",
	.summary = "numbers for monitoring",
	.help = "Writes numbers about the daemon, users and heaps that you may see, in the text format of\n"
		"Prometheus; with --json, about the daemon only.\n",
	.run = run,
};
