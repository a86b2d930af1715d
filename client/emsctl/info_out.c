/*
 * info_out.c: what list and inspect both show of a heap.
 */
#include "client/emsctl/info_out.h"

#include <stdio.h>
#include <time.h>

#include "base/macros.h"

char *mode_format(uint32_t mode, char text[static MODE_TEXT_MAX])
{
	static const char letters[] = "rwxrwxrwx";

	for (int i = 0; i < 9; i++)
		text[i] = mode & (0400U >> i) ? letters[i] : '-';
	text[9] = 0;
	return text;
}

char *time_format(uint64_t seconds, char text[static TIME_TEXT_MAX])
{
	time_t time = (time_t)seconds;
	struct tm parts;

	if (seconds == 0 || !localtime_r(&time, &parts) ||
	    strftime(text, TIME_TEXT_MAX, "%Y-%m-%d %H:%M:%S", &parts) == 0)
		snprintf(text, TIME_TEXT_MAX, "-");
	return text;
}

const char *kind_format(ems_kind_t kind)
{
	static const char *const names[] = {"heap", "region", "file", "team"};

	return (unsigned)kind < ARRAY_SIZE(names) ? names[kind] : "?";
}

static const char *name_or_number(const char *name, uint32_t id, char buffer[static 16])
{
	if (*name)
		return name;
	snprintf(buffer, 16, "%u", id);
	return buffer;
}

const char *owner_of(const ems_heap_info_t *info, char buffer[static 16])
{
	return name_or_number(info->owner, info->uid, buffer);
}

const char *group_of(const ems_heap_info_t *info, char buffer[static 16])
{
	return name_or_number(info->group, info->gid, buffer);
}

void info_members(struct json_object *object, const ems_heap_info_t *info)
{
	char buffer[16];

	json_member_text(object, "name", info->name);
	json_member_text(object, "owner", owner_of(info, buffer));
	json_member_text(object, "group", group_of(info, buffer));
	snprintf(buffer, sizeof(buffer), "%04o", info->mode);
	json_member_text(object, "mode", buffer);
	json_member_bool(object, "map", info->map);
	json_member_bool(object, "persistent", info->persistent);
	json_member_uint(object, "elements", info->elements);
	json_member_bool(object, "quarantined", info->quarantined);
	json_member_uint(object, "committed", info->committed);
	json_member_uint(object, "clients", info->clients);
	json_member_uint(object, "created", info->created);
	json_member_uint(object, "used", info->used);
	json_member_text(object, "kind", kind_format(info->kind));
	json_member_uint(object, "size", info->size);
	if (!info->persistent)
		return;
	json_member_bool(object, "loading", info->loading);
	json_member_uint(object, "dirty", info->dirty);
	json_member_uint(object, "checkpointed", info->checkpointed);
	json_member_uint(object, "checkpoint_ms", info->checkpoint_ms);
	json_member_uint(object, "checkpoint_error", info->checkpoint_error);
}
