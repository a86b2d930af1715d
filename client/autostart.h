/*
 * autostart.h: this user's own daemon, started when it is wanted and does not run.
 */
#ifndef CLIENT_AUTOSTART_H
#define CLIENT_AUTOSTART_H

#include <stdint.h>

/*
 * Starts the user's daemon, unless somebody else is just doing so, and connects to it at path; yields the socket
 * in *_socket. However many clients call this at once, one daemon comes of it. Failures are noted.
 * -ERROR_NO_DAEMON: it cannot be started. -ERROR_TIMEOUT. -ERROR_ACCESS: the directory is not this user's alone.
 */
int autostart_connect(const char *path, uint64_t deadline, int *_socket);

#endif
