/*
 * user.h: what each user has, against what it may have.
 */
#ifndef DAEMON_USER_H
#define DAEMON_USER_H

#include "daemon/broker.h"

/* The record of a user, made if need be, with one reference more. NULL: out of memory. */
struct user *user_ref(struct broker *broker, uid_t uid);
/* It goes with its last reference. */
void user_unref(struct user *user);

#endif
