/*
 * info_out.h: the parts of what the daemon tells of a heap that list and inspect both show.
 */
#ifndef CLIENT_EMSCTL_INFO_OUT_H
#define CLIENT_EMSCTL_INFO_OUT_H

#include "client/emsctl/emsctl.h"
#include "client/emsctl/json.h"

#define MODE_TEXT_MAX 10
#define TIME_TEXT_MAX 32

/* "rw-r-----" */
char *mode_format(uint32_t mode, char text[static MODE_TEXT_MAX]);
/* Seconds since 1970 in the user's time zone, "2026-01-31 12:34:56"; "-" for 0. */
char *time_format(uint64_t seconds, char text[static TIME_TEXT_MAX]);
/* Numbers stand in when a user or group has no name here. */
const char *owner_of(const ems_heap_info_t *info, char buffer[static 16]);
const char *group_of(const ems_heap_info_t *info, char buffer[static 16]);

/* "heap", "region", "file", "team" */
const char *kind_format(ems_kind_t kind);

/* The members that list and inspect share; times in seconds since 1970, mode as "0640". */
void info_members(struct json_object *object, const ems_heap_info_t *info);

#endif
