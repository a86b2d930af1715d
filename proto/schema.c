/*
 * schema.c: the fields of every message.
 */
#include "proto/schema.h"

#include "base/macros.h"

static const char *const feature_names[] = {"heaps", "status", "regions", "teams", "reattach", "change", "users", "pidfd", "persistent", NULL};
static const char *const kind_names[] = {"heap", "region", "file", "team", NULL};
static const char *const pages_names[] = {"default", "2M", "1G", NULL};
static const char *const tag_names[] = {"full", "empty", NULL};
static const char *const how_names[] = {"open", "create", "open_or_create", NULL};
static const char *const access_names[] = {"write", "read", NULL};
static const char *const lifetime_names[] = {"keep", "detach", NULL};

#define PLACE(type, member) \
	.offset = offsetof(struct type, member), .size = sizeof(((struct type *)0)->member)

#define NUMBER(type, member, ...)                                                        \
	{                                                                                \
		.key = #member, .kind = FIELD_NUMBER, PLACE(type, member), ##__VA_ARGS__ \
	}
#define BOOL(type, member)                                              \
	{                                                               \
		.key = #member, .kind = FIELD_BOOL, PLACE(type, member) \
	}
#define TEXT(type, member, ...)                                                        \
	{                                                                              \
		.key = #member, .kind = FIELD_TEXT, PLACE(type, member), ##__VA_ARGS__ \
	}
#define ID(type, member, ...)                                                        \
	{                                                                            \
		.key = #member, .kind = FIELD_ID, PLACE(type, member), ##__VA_ARGS__ \
	}
#define CHOICE(type, member, texts)                                                         \
	{                                                                                   \
		.key = #member, .kind = FIELD_CHOICE, PLACE(type, member), .names = (texts) \
	}
#define STRUCT(type, member, other, ...)                                                              \
	{                                                                                             \
		.key = #member, .kind = FIELD_STRUCT, PLACE(type, member), .schema = &other##_schema, \
		##__VA_ARGS__                                                                         \
	}
/* A page of a list: its entries, counted by the member count. */
#define LIST(type, member, entry)                                                                     \
	{                                                                                             \
		.key = #member, .kind = FIELD_LIST, .offset = offsetof(struct type, member),          \
		.size = sizeof(struct entry), .count_offset = offsetof(struct type, count),           \
		.most = PROTO_LIST_MAX, .schema = &entry##_schema                                     \
	}
#define FEATURES(type)                                                                                   \
	{                                                                                                \
		.key = "features", .kind = FIELD_FEATURES, PLACE(type, features), .names = feature_names \
	}

#define SCHEMA(type, ...)                                                                      \
	static const struct field type##_fields[] = {__VA_ARGS__};                             \
	static_assert(ARRAY_SIZE(type##_fields) <= 64, "decoding keeps a bit for each field"); \
	static const struct schema type##_schema = {                                           \
		.size = sizeof(struct type), .count = ARRAY_SIZE(type##_fields), .fields = type##_fields}

static const struct schema proto_empty_schema = {.size = sizeof(struct proto_empty), .count = 0};

SCHEMA(proto_hello, NUMBER(proto_hello, version_min, .required = true),
       NUMBER(proto_hello, version_max, .required = true), FEATURES(proto_hello), TEXT(proto_hello, software),
       TEXT(proto_hello, software_version), NUMBER(proto_hello, client), NUMBER(proto_hello, ticket));

SCHEMA(proto_hello_reply, NUMBER(proto_hello_reply, version, .required = true), FEATURES(proto_hello_reply),
       TEXT(proto_hello_reply, software), TEXT(proto_hello_reply, software_version),
       NUMBER(proto_hello_reply, client, .required = true),
       NUMBER(proto_hello_reply, frame_max, .absent = PROTO_FRAME_MAX), NUMBER(proto_hello_reply, pid),
       BOOL(proto_hello_reply, user_daemon), NUMBER(proto_hello_reply, ticket));

SCHEMA(proto_params, NUMBER(proto_params, elements, .required = true), NUMBER(proto_params, max_elements),
       NUMBER(proto_params, storage), {.key = "map", .kind = FIELD_BOOL, PLACE(proto_params, has_map)},
       BOOL(proto_params, persistent), CHOICE(proto_params, tag, tag_names),
       {.key = "fill", .kind = FIELD_VALUE, PLACE(proto_params, fill)}, NUMBER(proto_params, seed));

SCHEMA(proto_region, NUMBER(proto_region, size, .required = true), NUMBER(proto_region, max_size),
       CHOICE(proto_region, pages, pages_names), CHOICE(proto_region, granted, pages_names),
       BOOL(proto_region, persistent));

SCHEMA(proto_team, NUMBER(proto_team, members, .required = true), BOOL(proto_team, elastic));

SCHEMA(proto_open, TEXT(proto_open, name, .required = true), CHOICE(proto_open, how, how_names),
       CHOICE(proto_open, access, access_names), CHOICE(proto_open, kind, kind_names),
       STRUCT(proto_open, params, proto_params), STRUCT(proto_open, region, proto_region),
       STRUCT(proto_open, team, proto_team), NUMBER(proto_open, mode, .maximum = 0777, .absent = 0600),
       CHOICE(proto_open, lifetime, lifetime_names), NUMBER(proto_open, idle_seconds, .maximum = UINT32_MAX),
       BOOL(proto_open, any_params), BOOL(proto_open, replace), BOOL(proto_open, examine),
       NUMBER(proto_open, budget), ID(proto_open, creation), NUMBER(proto_open, checkpoint_ms), BOOL(proto_open, file));

SCHEMA(proto_open_reply, NUMBER(proto_open_reply, heap, .required = true),
       ID(proto_open_reply, heap_id, .required = true), TEXT(proto_open_reply, name),
       CHOICE(proto_open_reply, kind, kind_names), STRUCT(proto_open_reply, params, proto_params),
       STRUCT(proto_open_reply, region, proto_region), STRUCT(proto_open_reply, team, proto_team),
       NUMBER(proto_open_reply, elements), CHOICE(proto_open_reply, access, access_names),
       BOOL(proto_open_reply, created), NUMBER(proto_open_reply, mode), NUMBER(proto_open_reply, uid),
       NUMBER(proto_open_reply, gid), NUMBER(proto_open_reply, ticket), NUMBER(proto_open_reply, checkpoint_ms),
       NUMBER(proto_open_reply, group));

SCHEMA(proto_reattach, ID(proto_reattach, heap_id, .required = true),
       CHOICE(proto_reattach, access, access_names), NUMBER(proto_reattach, ticket, .required = true));
SCHEMA(proto_reattach_reply, NUMBER(proto_reattach_reply, heap, .required = true),
       TEXT(proto_reattach_reply, name), NUMBER(proto_reattach_reply, elements),
       BOOL(proto_reattach_reply, dropped));

SCHEMA(proto_open_file, CHOICE(proto_open_file, access, access_names));

SCHEMA(proto_detach, NUMBER(proto_detach, heap, .required = true));

SCHEMA(proto_list, TEXT(proto_list, prefix), TEXT(proto_list, after), NUMBER(proto_list, limit));

SCHEMA(proto_disk, NUMBER(proto_disk, attempts, .required = true), NUMBER(proto_disk, checkpoints), NUMBER(proto_disk, last), NUMBER(proto_disk, dirty),
       NUMBER(proto_disk, interval), NUMBER(proto_disk, error), NUMBER(proto_disk, loading), BOOL(proto_disk, file),
       TEXT(proto_disk, why));

SCHEMA(proto_list_entry, TEXT(proto_list_entry, name), CHOICE(proto_list_entry, kind, kind_names),
       NUMBER(proto_list_entry, size), ID(proto_list_entry, heap_id), NUMBER(proto_list_entry, uid),
       NUMBER(proto_list_entry, gid), NUMBER(proto_list_entry, mode), NUMBER(proto_list_entry, elements),
       {.key = "map", .kind = FIELD_BOOL, PLACE(proto_list_entry, has_map)},
       BOOL(proto_list_entry, persistent), NUMBER(proto_list_entry, storage),
       NUMBER(proto_list_entry, committed), NUMBER(proto_list_entry, clients),
       CHOICE(proto_list_entry, lifetime, lifetime_names), NUMBER(proto_list_entry, created),
       NUMBER(proto_list_entry, last_used), BOOL(proto_list_entry, quarantined),
       NUMBER(proto_list_entry, loading), NUMBER(proto_list_entry, disk_error));

SCHEMA(proto_list_reply, LIST(proto_list_reply, heaps, proto_list_entry), BOOL(proto_list_reply, more));

SCHEMA(proto_inspect, NUMBER(proto_inspect, heap), TEXT(proto_inspect, name));

SCHEMA(proto_storage_stats, NUMBER(proto_storage_stats, chunks),
       NUMBER(proto_storage_stats, committed_chunks), NUMBER(proto_storage_stats, free_chunks),
       NUMBER(proto_storage_stats, slabs), NUMBER(proto_storage_stats, large_chunks),
       NUMBER(proto_storage_stats, blocks), NUMBER(proto_storage_stats, bytes));

SCHEMA(proto_map_stats, NUMBER(proto_map_stats, slots), NUMBER(proto_map_stats, entries),
       NUMBER(proto_map_stats, keys), BOOL(proto_map_stats, growing));

SCHEMA(proto_inspect_reply, TEXT(proto_inspect_reply, name), ID(proto_inspect_reply, heap_id),
       CHOICE(proto_inspect_reply, kind, kind_names), STRUCT(proto_inspect_reply, params, proto_params),
       STRUCT(proto_inspect_reply, region, proto_region), STRUCT(proto_inspect_reply, team, proto_team),
       NUMBER(proto_inspect_reply, size), NUMBER(proto_inspect_reply, elements),
       NUMBER(proto_inspect_reply, used), NUMBER(proto_inspect_reply, uid), NUMBER(proto_inspect_reply, gid),
       NUMBER(proto_inspect_reply, mode), CHOICE(proto_inspect_reply, lifetime, lifetime_names),
       NUMBER(proto_inspect_reply, idle_seconds), NUMBER(proto_inspect_reply, budget),
       NUMBER(proto_inspect_reply, committed), NUMBER(proto_inspect_reply, segment_size),
       NUMBER(proto_inspect_reply, clients), NUMBER(proto_inspect_reply, writers),
       NUMBER(proto_inspect_reply, slots), NUMBER(proto_inspect_reply, waiters),
       NUMBER(proto_inspect_reply, recoveries), NUMBER(proto_inspect_reply, queued),
       NUMBER(proto_inspect_reply, leased), NUMBER(proto_inspect_reply, stacked),
       BOOL(proto_inspect_reply, recovering),
       BOOL(proto_inspect_reply, quarantined), BOOL(proto_inspect_reply, dropped),
       STRUCT(proto_inspect_reply, storage, proto_storage_stats),
       {.key = "map_stats",
	.kind = FIELD_STRUCT,
	PLACE(proto_inspect_reply, map),
	.schema = &proto_map_stats_schema},
       NUMBER(proto_inspect_reply, created), NUMBER(proto_inspect_reply, last_used),
       STRUCT(proto_inspect_reply, disk, proto_disk));

SCHEMA(proto_drop, NUMBER(proto_drop, heap), TEXT(proto_drop, name));

SCHEMA(proto_chmod, NUMBER(proto_chmod, heap), TEXT(proto_chmod, name),
       NUMBER(proto_chmod, mode, .required = true, .maximum = 0777));
SCHEMA(proto_chown, NUMBER(proto_chown, heap), TEXT(proto_chown, name),
       NUMBER(proto_chown, uid, .required = true), NUMBER(proto_chown, gid, .required = true));
SCHEMA(proto_rename, NUMBER(proto_rename, heap), TEXT(proto_rename, name),
       TEXT(proto_rename, to, .required = true), BOOL(proto_rename, replace));

SCHEMA(proto_grow, NUMBER(proto_grow, heap), TEXT(proto_grow, name),
       NUMBER(proto_grow, elements, .required = true));
SCHEMA(proto_grow_reply, NUMBER(proto_grow_reply, elements, .required = true));

SCHEMA(proto_grow_region, NUMBER(proto_grow_region, heap), TEXT(proto_grow_region, name),
       NUMBER(proto_grow_region, size, .required = true));
SCHEMA(proto_grow_region_reply, NUMBER(proto_grow_region_reply, size, .required = true));

SCHEMA(proto_commit_units, NUMBER(proto_commit_units, heap, .required = true),
       NUMBER(proto_commit_units, first, .required = true),
       NUMBER(proto_commit_units, count, .required = true));
SCHEMA(proto_commit_storage, NUMBER(proto_commit_storage, heap, .required = true),
       NUMBER(proto_commit_storage, chunks, .required = true));
SCHEMA(proto_prepare_table, NUMBER(proto_prepare_table, heap, .required = true),
       NUMBER(proto_prepare_table, table, .required = true));
SCHEMA(proto_trim, NUMBER(proto_trim, heap, .required = true));

SCHEMA(proto_recover, NUMBER(proto_recover, heap, .required = true));
SCHEMA(proto_recover_reply, NUMBER(proto_recover_reply, recovered), NUMBER(proto_recover_reply, deferred),
       NUMBER(proto_recover_reply, corrupt));

SCHEMA(proto_sync, NUMBER(proto_sync, heap, .required = true), NUMBER(proto_sync, number));
SCHEMA(proto_sync_reply, NUMBER(proto_sync_reply, number, .required = true), BOOL(proto_sync_reply, done));

SCHEMA(proto_copy, NUMBER(proto_copy, heap, .required = true));

SCHEMA(proto_join, NUMBER(proto_join, heap, .required = true), ID(proto_join, other, .required = true));

SCHEMA(proto_status_reply, TEXT(proto_status_reply, software), TEXT(proto_status_reply, software_version),
       NUMBER(proto_status_reply, version), NUMBER(proto_status_reply, pid),
       BOOL(proto_status_reply, user_daemon), NUMBER(proto_status_reply, uptime),
       NUMBER(proto_status_reply, clients), NUMBER(proto_status_reply, heaps),
       NUMBER(proto_status_reply, committed), NUMBER(proto_status_reply, budget),
       NUMBER(proto_status_reply, recoveries), NUMBER(proto_status_reply, user_clients),
       NUMBER(proto_status_reply, user_clients_limit), NUMBER(proto_status_reply, user_heaps),
       NUMBER(proto_status_reply, user_heaps_limit), NUMBER(proto_status_reply, user_bytes),
       NUMBER(proto_status_reply, user_bytes_limit), NUMBER(proto_status_reply, clients_limit),
       NUMBER(proto_status_reply, heaps_limit), NUMBER(proto_status_reply, quarantined));

SCHEMA(proto_clients, TEXT(proto_clients, name), NUMBER(proto_clients, after), NUMBER(proto_clients, limit));
SCHEMA(proto_client_entry, NUMBER(proto_client_entry, client), NUMBER(proto_client_entry, pid),
       NUMBER(proto_client_entry, uid), NUMBER(proto_client_entry, gid), TEXT(proto_client_entry, software),
       NUMBER(proto_client_entry, heaps), NUMBER(proto_client_entry, slots),
       NUMBER(proto_client_entry, waiters), NUMBER(proto_client_entry, queued),
       NUMBER(proto_client_entry, since), BOOL(proto_client_entry, lost), BOOL(proto_client_entry, writes));
SCHEMA(proto_clients_reply, LIST(proto_clients_reply, clients, proto_client_entry),
       BOOL(proto_clients_reply, more));
SCHEMA(proto_kick, NUMBER(proto_kick, client, .required = true));

SCHEMA(proto_quota, NUMBER(proto_quota, after), NUMBER(proto_quota, limit));
SCHEMA(proto_quota_entry, NUMBER(proto_quota_entry, uid), NUMBER(proto_quota_entry, clients),
       NUMBER(proto_quota_entry, clients_limit), NUMBER(proto_quota_entry, heaps),
       NUMBER(proto_quota_entry, heaps_limit), NUMBER(proto_quota_entry, slots),
       NUMBER(proto_quota_entry, slots_limit), NUMBER(proto_quota_entry, bytes),
       NUMBER(proto_quota_entry, bytes_limit));
SCHEMA(proto_quota_reply, LIST(proto_quota_reply, users, proto_quota_entry), BOOL(proto_quota_reply, more));

SCHEMA(proto_dropped, NUMBER(proto_dropped, heap, .required = true), TEXT(proto_dropped, name));
SCHEMA(proto_grown, NUMBER(proto_grown, heap, .required = true),
       NUMBER(proto_grown, elements, .required = true));

static const struct {
	const char *name;
	const struct schema *request, *reply;
} ops[] = {[PROTO_OP_UNKNOWN] = {.name = "?"},
#define OP_(op, text, asked, answered) \
	[PROTO_##op] = {.name = (text), .request = &asked##_schema, .reply = &answered##_schema},
	   PROTO_OP_LIST(OP_)
#undef OP_
};

static const struct {
	const char *name;
	const struct schema *schema;
} events[] = {[PROTO_EVENT_UNKNOWN] = {.name = "?"},
#define EVENT_(event, text, body) [PROTO_EVENT_##event] = {.name = (text), .schema = &body##_schema},
	      PROTO_EVENT_LIST(EVENT_)
#undef EVENT_
};

const struct schema *schema_of_request(enum proto_op op)
{
	return op < ARRAY_SIZE(ops) ? ops[op].request : NULL;
}

const struct schema *schema_of_reply(enum proto_op op)
{
	return op < ARRAY_SIZE(ops) ? ops[op].reply : NULL;
}

const struct schema *schema_of_event(enum proto_event event)
{
	return event < ARRAY_SIZE(events) ? events[event].schema : NULL;
}

const char *proto_op_name(enum proto_op op)
{
	return op < ARRAY_SIZE(ops) ? ops[op].name : "?";
}

const char *proto_event_name(enum proto_event event)
{
	return event < ARRAY_SIZE(events) ? events[event].name : "?";
}
