/*
 * listen.h: the listening socket.
 */
#ifndef DAEMON_LISTEN_H
#define DAEMON_LISTEN_H

#include <stdbool.h>
#include <sys/types.h>

#define LISTEN_MESSAGE_SIZE 512

/*
 * Makes the listening socket at path, non-blocking. What a crash left there is replaced; a socket that
 * somebody listens on, or a file that is no socket, is not: -ERROR_BUSY, -ERROR_EXISTS. open_to_all: for
 * every user of the machine (mode 0666), else in a directory that is this user's alone. On an error, message
 * says what was the matter.
 */
int listen_open(const char *path, bool open_to_all, int *_fd, char message[static LISTEN_MESSAGE_SIZE]);

#endif
