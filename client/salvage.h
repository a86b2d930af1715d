/*
 * salvage.h: a heap made of an image of another one.
 */
#ifndef CLIENT_SALVAGE_H
#define CLIENT_SALVAGE_H

#include "client/connection.h"
#include "client/ems.h"
#include "shm/segment.h"

/*
 * A new heap of the caller's, with geometry and elements as the description says (its fill lies in the image), mode and budget of old. The
 * image changes no more, and its dead are in order. It gets its name when all is in it; nothing is left of one that fails. Noted
 * failures: EXISTS, CORRUPT (something cannot be read), CANCELLED (by the hook), those of creating and writing.
 */
int salvage_image(struct ems_connection *connection, const char *name, const struct shm_segment *image,
		  const struct proto_open_reply *description, const struct proto_inspect_reply *old,
		  ems_progress_hook_t hook, void *arg);

#endif
