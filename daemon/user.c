/*
 * user.c: the records of users. Few at a time: a list will do.
 */
#include "daemon/user.h"

#include <assert.h>
#include <stdlib.h>

struct user *user_ref(struct broker *broker, uid_t uid)
{
	struct user *user;

	list_each(struct user, known, &broker->users, node)
	{
		if (known->uid == uid) {
			known->references++;
			return known;
		}
	}
	user = calloc(1, sizeof(*user));
	if (!user)
		return NULL;
	user->uid = uid;
	user->references = 1;
	user->limits = config_limits_of(&broker->config, uid);
	user->budget.limit = user->limits->bytes;
	list_add(&broker->users, &user->node);
	return user;
}

void user_unref(struct user *user)
{
	if (--user->references > 0)
		return;
	assert(user->clients == 0 && user->heaps == 0 && user->budget.used == 0);
	list_remove(&user->node);
	free(user);
}
