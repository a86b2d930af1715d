/*
 * launch.h: starting a daemon from within somebody's program.
 *
 * The daemon must outlive its first client and not be noticed by it: it is no child of the program (no SIGCHLD, nothing
 * that wait() would find), has a session of its own, none of the program's descriptors, signal settings or
 * terminal, and, where a user manager runs, a scope of its own outside the program's cgroup.
 */
#ifndef CLIENT_LAUNCH_H
#define CLIENT_LAUNCH_H

#include <stdbool.h>
#include <sys/types.h>

struct launch {
	int pipe;  /* -1: nothing is being started */
	pid_t pid; /* of what is being started, 0 until it is known */
};

enum launch_state {
	LAUNCH_UNDER_WAY,
	LAUNCH_READY,  /* it listens */
	LAUNCH_FAILED, /* it has ended */
};

/* Where emsd is: $EMS_DAEMON, else where it was installed, else in PATH. -ERROR_NOT_FOUND. */
int launch_find(char *buffer, size_t size);

/* There is a user manager and systemd-run, so that a scope can be had. */
bool launch_can_scope(void);

/* Starts `program --user --socket path`; its messages go to a file in the user's state directory. 0; SYSTEM, NO_MEMORY … */
int launch_start(struct launch *launch, const char *program, const char *path, bool scope);

/* How far it is. Does not wait; poll launch->pipe for reading. */
enum launch_state launch_look(struct launch *launch);

/* Forgets it. kill: it takes too long, and shall not be. */
void launch_end(struct launch *launch, bool kill);

#endif
