/*
 * service.h: the library's own thread, of which a process has one while something needs it, and none else.
 *
 * It owns the slots of the sessions that threads pass on (the kernel ties a slot's lock to one thread, and this one
 * lives as long as they do), and it sleeps for those who wait from an event loop. It is never on the way of an
 * operation. All signals are blocked in it. A child after fork has none until it needs one.
 */
#ifndef CLIENT_SERVICE_H
#define CLIENT_SERVICE_H

#include <stdint.h>

/* Keeps the thread running from now on; starts it if need be. 0, -ERROR_NO_MEMORY, -ERROR_SYSTEM. */
int service_hold(void);
/* One need less; after the last the thread ends by itself. */
void service_release(void);

/* Has it look at what the waits of event loops want (client/listener.c). Whatever is locked. */
void service_call(void);

/* Has function(argument) run by it, and waits for its result. To be held by the caller; not from the thread itself. */
int service_run(int (*function)(void *argument), void *argument);

#endif
