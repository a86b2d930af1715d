/*
 * request_persist.h: for the requests that persistent heaps answer later, when a disk has done its part.
 */
#ifndef DAEMON_REQUEST_PERSIST_H
#define DAEMON_REQUEST_PERSIST_H

#include "daemon/dispatch.h"

/*
 * As creation goes (request_open.c), all checks done: 0, and the answer comes later; or an error. fd_take: of the file that the client has
 * handed over; -1: in the store.
 */
int request_create_persistent(struct client *client, uint64_t id, const char *name, const struct proto_open *request,
			      int fd_take, char message[static REQUEST_MESSAGE_SIZE]);
/* open, with a file that the client hands over. */
int request_open_heap_file(struct client *client, uint64_t id, const struct proto_open *request,
			   char message[static REQUEST_MESSAGE_SIZE]);
/* Somebody is having that made, or loaded. */
bool request_is_pending(const struct broker *broker, const char *name);

/* Begins with the removal of the file; the drop itself comes next, and is answered when the file is gone. False: answer it. */
bool request_drop_persistent(struct client *client, uint64_t id, struct heap *heap);

#endif
