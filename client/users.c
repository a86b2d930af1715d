/* Who is connected, and who has how much. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "client/connection.h"
#include "client/failure.h"
#include "client/heap.h"
#include "client/list.h"

static int ask(struct ems_connection *connection, enum proto_op op, const void *body, void *reply)
{
	return connection_call(connection, op, body, reply, clock_deadline(CONNECTION_PATIENCE));
}

/* Room for so many more behind count, of that size; *items is as before on failure. */
static int reserve(void **items, size_t count, uint32_t more, size_t size)
{
	void *larger;

	if (more > PROTO_LIST_MAX || count + more > LIST_MOST)
		return failure_of(-ERROR_PROTOCOL);
	larger = reallocarray(*items, count + more + 1, size);
	if (!larger)
		return failure_of(-ERROR_NO_MEMORY);
	*items = larger;
	return 0;
}

/* ---- clients ---- */

static void client_from(ems_client_info_t *info, const struct proto_client_entry *entry)
{
	*info = (ems_client_info_t){.client = entry->client,
				    .pid = entry->pid,
				    .uid = entry->uid,
				    .gid = entry->gid,
				    .heaps = entry->heaps,
				    .slots = entry->slots,
				    .waiters = entry->waiters,
				    .queued = entry->queued,
				    .since = entry->since,
				    .lost = entry->lost,
				    .writes = entry->writes};
	(void)snprintf(info->software, sizeof(info->software), "%.127s", entry->software);
	list_name_user(entry->uid, info->user, sizeof(info->user));
}

int ems_client_list(ems_connection_t *connection, const char *heap, ems_client_info_t **_infos, size_t *_count)
{
	_cleanup_(freep) struct proto_clients_reply *reply = malloc(sizeof(*reply));
	_cleanup_(freep) void *infos = NULL;
	struct proto_clients body = {0};
	size_t count = 0;
	int r = heap ? heap_check_name(heap) : 0;

	if (r < 0)
		return r; /* cppcheck-suppress memleak; _cleanup_ frees it */
	if (!_infos || !_count)
		return failure_say(-ERROR_INVALID, "clients: no place for the answer"); /* cppcheck-suppress memleak; _cleanup_ frees it */
	if (!reply)
		return failure_of(-ERROR_NO_MEMORY);
	if (heap)
		memcpy(body.name, heap, strlen(heap) + 1);
	do {
		r = ask(connection, PROTO_CLIENTS, &body, reply);
		if (r == 0 && reply->count > 0)
			r = reserve(&infos, count, reply->count, sizeof(**_infos));
		if (r < 0)
			return r;
		for (uint32_t i = 0; i < reply->count; i++) {
			client_from((ems_client_info_t *)infos + count++, &reply->clients[i]);
			body.after = reply->clients[i].client;
		}
	} while (reply->more && reply->count > 0);
	*_infos = steal_pointer(&infos);
	*_count = count;
	return 0;
}

int ems_client_kick(ems_connection_t *connection, uint64_t client)
{
	struct proto_kick body = {.client = client};

	return ask(connection, PROTO_KICK, &body, NULL);
}

/* ---- users ---- */

static void quota_from(ems_quota_t *quota, const struct proto_quota_entry *entry)
{
	*quota = (ems_quota_t){.uid = entry->uid,
			       .bytes = entry->bytes,
			       .bytes_limit = entry->bytes_limit,
			       .heaps = entry->heaps,
			       .heaps_limit = entry->heaps_limit,
			       .clients = entry->clients,
			       .clients_limit = entry->clients_limit,
			       .slots = entry->slots,
			       .slots_limit = entry->slots_limit};
	list_name_user(entry->uid, quota->user, sizeof(quota->user));
}

int ems_quota_list(ems_connection_t *connection, ems_quota_t **_quotas, size_t *_count)
{
	_cleanup_(freep) struct proto_quota_reply *reply = malloc(sizeof(*reply));
	_cleanup_(freep) void *quotas = NULL;
	struct proto_quota body = {0};
	size_t count = 0;
	int r;

	if (!_quotas || !_count)
		return failure_say(-ERROR_INVALID, "quota: no place for the answer"); /* cppcheck-suppress memleak; _cleanup_ frees it */
	if (!reply)
		return failure_of(-ERROR_NO_MEMORY);
	do {
		r = ask(connection, PROTO_QUOTA, &body, reply);
		if (r == 0 && reply->count > 0)
			r = reserve(&quotas, count, reply->count, sizeof(**_quotas));
		if (r < 0)
			return r;
		for (uint32_t i = 0; i < reply->count; i++) {
			quota_from((ems_quota_t *)quotas + count++, &reply->users[i]);
			body.after = reply->users[i].uid;
		}
	} while (reply->more && reply->count > 0);
	*_quotas = steal_pointer(&quotas);
	*_count = count;
	return 0;
}

/* ---- all together ---- */

int ems_daemon_status(ems_connection_t *connection, ems_status_t *status)
{
	struct proto_status_reply reply;
	int r;

	if (!status)
		return failure_say(-ERROR_INVALID, "status: no place for the answer");
	r = ask(connection, PROTO_STATUS, &(struct proto_empty){0}, &reply);
	if (r < 0)
		return r;
	*status = (ems_status_t){.pid = reply.pid,
				 .user_daemon = reply.user_daemon,
				 .uptime = reply.uptime,
				 .bytes = reply.committed,
				 .bytes_limit = reply.budget,
				 .heaps = reply.heaps,
				 .heaps_limit = reply.heaps_limit,
				 .clients = reply.clients,
				 .clients_limit = reply.clients_limit,
				 .quarantined = reply.quarantined,
				 .recoveries = reply.recoveries};
	(void)snprintf(status->version, sizeof(status->version), "%s", reply.software_version);
	return 0;
}
