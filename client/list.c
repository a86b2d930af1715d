/* What the daemon knows of heaps: inspect and list. */
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/macros.h"
#include "client/connection.h"
#include "client/failure.h"
#include "client/list.h"
#include "proto/name.h"

/* ---- names of users and groups: numbers where there is no name ---- */

void list_name_user(uint32_t uid, char *name, size_t size)
{
	char buffer[4096];
	struct passwd entry, *found = NULL;

	if (getpwuid_r(uid, &entry, buffer, sizeof(buffer), &found) == 0 && found)
		(void)snprintf(name, size, "%s", found->pw_name);
	else
		(void)snprintf(name, size, "%u", uid);
}

static void name_group(uint32_t gid, char *name, size_t size)
{
	char buffer[4096];
	struct group entry, *found = NULL;

	if (getgrgid_r(gid, &entry, buffer, sizeof(buffer), &found) == 0 && found)
		(void)snprintf(name, size, "%s", found->gr_name);
	else
		(void)snprintf(name, size, "%u", gid);
}

/* Asking costs a look into files or at a server; neighbours in a list are often the same user's. */
static void name_owner(ems_heap_info_t *info, const ems_heap_info_t *before)
{
	if (before && before->uid == info->uid)
		memcpy(info->owner, before->owner, sizeof(info->owner));
	else
		list_name_user(info->uid, info->owner, sizeof(info->owner));
	if (before && before->gid == info->gid)
		memcpy(info->group, before->group, sizeof(info->group));
	else
		name_group(info->gid, info->group, sizeof(info->group));
}

/* ---- inspect ---- */

static void disk_from_reply(ems_heap_info_t *info, const struct proto_disk *disk)
{
	info->loading = disk->loading != 0;
	info->in_file = disk->file;
	info->checkpoint_ms = disk->interval;
	info->checkpoint_error = disk->error;
	info->checkpoints = disk->checkpoints;
	info->checkpointed = disk->last;
	info->dirty = disk->dirty;
	(void)snprintf(info->checkpoint_trouble, sizeof(info->checkpoint_trouble), "%s", disk->why);
}

static void info_from_reply(ems_heap_info_t *info, const struct proto_inspect_reply *reply)
{
	/* Both numbers may be estimates. */
	uint64_t tombstones = reply->map.entries > reply->map.keys ? reply->map.entries - reply->map.keys : 0;

	*info = (ems_heap_info_t){
		.kind = (ems_kind_t)reply->kind,
		.size = reply->size,
		.max_size = reply->region.max_size,
		.uid = reply->uid,
		.gid = reply->gid,
		.mode = reply->mode,
		.map = reply->params.has_map,
		.persistent = reply->params.persistent || reply->region.persistent,
		.dropped = reply->dropped,
		.growing = reply->map.growing,
		.elements = reply->elements,
		.max_elements = reply->params.max_elements,
		.storage = reply->params.storage,
		.storage_used = reply->storage.bytes,
		.committed = reply->committed,
		.budget = reply->budget,
		.keys = reply->map.keys,
		.tombstones = tombstones,
		.table_slots = reply->map.slots,
		.clients = reply->clients,
		.slots = reply->slots,
		.waiters = reply->waiters,
		.recoveries = reply->recoveries,
		.queued = reply->queued,
		.leased = reply->leased,
		.stacked = reply->stacked,
		.created = reply->created,
		.used = reply->last_used,
		.quarantined = reply->quarantined,
	};
	disk_from_reply(info, &reply->disk);
	(void)snprintf(info->name, sizeof(info->name), "%s", reply->name);
	name_owner(info, NULL);
}

int ems_heap_inspect(ems_connection_t *connection, const char *name, ems_heap_info_t *info)
{
	const char *problem = name ? proto_name_problem(name) : "it is missing";
	struct proto_inspect_reply reply;
	struct proto_inspect body = {0};
	int r;

	if (!info)
		return failure_say(-ERROR_INVALID, "inspect: no place for the answer");
	if (problem)
		return failure_say(-ERROR_NAME, "bad name: %s", problem);
	memcpy(body.name, name, strlen(name) + 1);
	r = connection_call(connection, PROTO_INSPECT, &body, &reply, clock_deadline(CONNECTION_PATIENCE));
	if (r == 0)
		info_from_reply(info, &reply);
	return r;
}

/* ---- list ---- */

static void info_from_entry(ems_heap_info_t *info, const struct proto_list_entry *entry,
			    const ems_heap_info_t *before)
{
	*info = (ems_heap_info_t){
		.kind = (ems_kind_t)entry->kind,
		.size = entry->size,
		.uid = entry->uid,
		.gid = entry->gid,
		.mode = entry->mode,
		.map = entry->has_map,
		.persistent = entry->persistent,
		.elements = entry->elements,
		.storage = entry->storage,
		.committed = entry->committed,
		.clients = entry->clients,
		.created = entry->created,
		.used = entry->last_used,
		.quarantined = entry->quarantined,
	};
	info->loading = entry->loading != 0;
	info->checkpoint_error = entry->disk_error;
	(void)snprintf(info->name, sizeof(info->name), "%s", entry->name);
	name_owner(info, before);
}

static int append(ems_heap_info_t **infos, size_t *count, const struct proto_list_reply *reply)
{
	size_t total = *count + reply->count;
	ems_heap_info_t *larger;

	if (reply->count > PROTO_LIST_MAX || total > LIST_MOST)
		return -ERROR_PROTOCOL;
	if (reply->count == 0)
		return 0;
	larger = reallocarray(*infos, total, sizeof(*larger));
	if (!larger)
		return -ERROR_NO_MEMORY;
	*infos = larger;
	for (uint32_t i = 0; i < reply->count; i++) {
		size_t at = *count + i;

		info_from_entry(&larger[at], &reply->heaps[i], at > 0 ? &larger[at - 1] : NULL);
	}
	*count = total;
	return 0;
}

int ems_heap_list(ems_connection_t *connection, const char *prefix, ems_heap_info_t **_infos, size_t *_count)
{
	_cleanup_(freep) struct proto_list_reply *reply = NULL;
	_cleanup_(freep) ems_heap_info_t *infos = NULL;
	struct proto_list body = {0};
	size_t count = 0;
	int r;

	if (!_infos || !_count)
		return failure_say(-ERROR_INVALID, "list: no place for the answer");
	if (prefix && strlen(prefix) >= sizeof(body.prefix))
		return failure_say(-ERROR_NAME, "list: the prefix is longer than a name can be");
	if (prefix)
		memcpy(body.prefix, prefix, strlen(prefix) + 1);
	reply = malloc(sizeof(*reply));
	if (!reply)
		return failure_of(-ERROR_NO_MEMORY);
	do {
		r = connection_call(connection, PROTO_LIST, &body, reply,
				    clock_deadline(CONNECTION_PATIENCE));
		if (r < 0)
			return r;
		r = append(&infos, &count, reply);
		if (r < 0)
			return failure_of(r);
		if (reply->count > 0)
			memcpy(body.after, reply->heaps[reply->count - 1].name, sizeof(body.after));
	} while (reply->more && reply->count > 0);
	*_infos = steal_pointer(&infos);
	*_count = count;
	return 0;
}
