/*
 * tag.h: tags as words.
 */
#ifndef CLIENT_EMSCTL_TAG_H
#define CLIENT_EMSCTL_TAG_H

#include "client/emsctl/emsctl.h"

/* "full" or "empty"; ends the process for other words. */
ems_tag_t tag_or_exit(const struct command *command, const char *name);
const char *tag_name(ems_tag_t tag);

#endif
