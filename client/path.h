/*
 * path.h: persistent heaps in files of the user's own: the client opens the file, so that the kernel decides who may, and
 * hands the descriptor to the daemon, which knows the file by device and inode and opens no path for anybody.
 */
#ifndef CLIENT_PATH_H
#define CLIENT_PATH_H

#include "client/ems.h"
#include "proto/message.h"

struct heap_path {
	const char *path;
	int fd;
	ems_open_t how; /* create it in this file, or open what is there */
	bool made;	/* the file is ours: it goes again when there comes no heap into it */
	bool replaces;	/* … and is under the name `temporary` until there is one */
	int tries;
	char temporary[PROTO_NAME_MAX + 16];
};

/* Opens or creates the file. 0, or an error, noted: that of the kernel, or NAME. */
int path_open(struct heap_path *path, const char *name, ems_open_t how, const ems_heap_options_t *options);
/* r: what came of the heap. Returns it, or why the file could not get its name. */
int path_close(struct heap_path *path, int r);

/* Drops the heap, if somebody has it, and removes the file. */
int path_drop(ems_connection_t *connection, const char *name);

#endif
