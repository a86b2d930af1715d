/*
 * tag.c: tags as words.
 */
#include "client/emsctl/tag.h"

#include <string.h>

ems_tag_t tag_or_exit(const struct command *command, const char *name)
{
	if (strcmp(name, "full") == 0)
		return EMS_FULL;
	if (strcmp(name, "empty") == 0)
		return EMS_EMPTY;
	usage_error(command, "\"%s\" is not a tag (full, empty)", name);
}

const char *tag_name(ems_tag_t tag)
{
	switch (tag) {
	case EMS_EMPTY:
		return "empty";
	case EMS_FULL:
		return "full";
	case EMS_READERS:
		return "readers";
	case EMS_BUSY:
		return "busy";
	}
	return "unknown";
}
