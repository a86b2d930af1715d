/*
 * process.h: the processes that clients are of, and their deaths.
 *
 *     broker.processes[pid % 256] ── process ──┬── pidfd, watched by the loop
 *                                              └── clients ── client ── client …
 *
 * All connections of a process share one pidfd: a connection costs one descriptor, its socket. A process is here for as
 * long as it has clients. When it dies, each of them learns of it once, in the order in which they came, in one turn of the loop.
 */
#ifndef DAEMON_PROCESS_H
#define DAEMON_PROCESS_H

#include "daemon/broker.h"

struct process {
	struct list node;    /* broker.processes; alone when nobody else may join it */
	struct list clients; /* of struct client, process_node */
	pid_t pid; /* in our namespace */
	int pidfd;
	uv_poll_t poll;
};

void process_table_init(struct broker *broker);

/*
 * The client's process, by what the kernel says of its socket, is watched from now on. -ERROR_NOT_FOUND: it is gone, or cannot be
 * seen from here; -ERROR_NO_MEMORY.
 */
int process_watch(struct client *client);

/* A process of this client alone, by a pidfd that it says is its own; fd is taken in any case. Errors as above. */
int process_watch_take(struct client *client, int fd);

/* The client's process is not watched for it any more. Nothing, when it was not. */
void process_leave(struct client *client);

#endif
