/*
 * service.h: what systemd tells and is told. Without systemd all of it does nothing.
 */
#ifndef DAEMON_SERVICE_H
#define DAEMON_SERVICE_H

#include "daemon/store.h"

/*
 * What systemd passed: the listening socket (socket activation), -1 when there is none; and the descriptors that
 * a former daemon stored (their names begin with STORE_PREFIX). All are the caller's to close. -ERROR_INVALID: more
 * than one socket, or not a listening Unix stream socket. -ERROR_NO_MEMORY.
 */
int service_take_fds(int *_listener, struct stored_list *stored);

/*
 * How many descriptors the service manager keeps for us; 0: none. said: what the command line says of it,
 * for managers before systemd 254, which do not say it themselves.
 */
uint64_t service_store_room(uint64_t said);

/* Gives it a duplicate to keep; takes it back. What is sent counts, even when we die right after. */
void service_store(const char *name, int fd);
void service_unstore(const char *name);

/* ns between two signs of life that it wants; 0: none. */
uint64_t service_watchdog(void);
void service_alive(void);

/* Serving; status is a line for people. */
void service_ready(const char *status);
void service_status(const char *status);
void service_stopping(void);
void service_reloading(void);
void service_reloaded(void);

#endif
