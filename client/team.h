/*
 * team.h: a handle of a team: one thread's place in it.
 */
#ifndef CLIENT_TEAM_H
#define CLIENT_TEAM_H

#include <pthread.h>

#include "client/ems.h"
#include "client/process.h"
#include "shm/team.h"

struct ems_team {
	uint32_t process; /* client/process.h */
	pthread_t thread; /* which joined, and must leave */
	struct ems_connection *connection; /* a reference */
	uint32_t attachment;		   /* the daemon's number … */
	uint32_t epoch;			   /* … on this link of the connection */
	struct shm_team team;
	struct shm_teammate member;
	char name[256];
};

/*
 * What every call on a team begins with: 0 when there is a team that is this process's; -ERROR_FORKED, noted. NULL is
 * no error: it means that the caller is outside of any team.
 */
int team_check(const struct ems_team *team, const char *operation);

/* How the calling thread waits now. */
struct team_call team_call_until(ems_deadline_t deadline);

/* Notes a failure of an operation of a team, in words; returns r. */
int team_failure(int r, const struct ems_team *team, const char *operation) __attribute__((cold));

#endif
