/*
 * credentials.h: what the kernel knows of the peer of a socket.
 */
#ifndef DAEMON_CREDENTIALS_H
#define DAEMON_CREDENTIALS_H

#include <stdbool.h>

#include "daemon/access.h"

/* User, group, process and supplementary groups at the time of its connect. For credentials_fini. */
int credentials_of_peer(int socket, struct credentials *credentials);

/*
 * A pidfd of the peer, the caller's to close. -ERROR_NOT_FOUND: it is gone, or its process cannot be seen
 * from here (a sibling pid namespace, on a kernel without SO_PEERPIDFD).
 */
int credentials_open_pidfd(int socket, pid_t pid, int *_fd);

/* Is it a pidfd, of a process that is not gone? */
bool credentials_is_pidfd(int fd);

#endif
