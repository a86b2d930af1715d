/*
 * state.h: the state directory, and that only one daemon uses it.
 */
#ifndef DAEMON_STATE_H
#define DAEMON_STATE_H

#include <stddef.h>

#define STATE_MESSAGE_SIZE 512

/*
 * Makes the directory (mode 0700, with parents) if need be, and locks it for as long as *_lock, the caller's,
 * is open. The lock goes with the process: a crash leaves none. socket: for the message of another daemon
 * that meets the lock. -ERROR_BUSY: another daemon has it. On an error, message says what was the matter.
 */
int state_lock(const char *directory, const char *socket, int *_lock,
	       char message[static STATE_MESSAGE_SIZE]);

#endif
