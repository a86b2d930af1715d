/*
 * Starting the user's daemon on demand: see autostart.h.
 *
 * Who holds the lock file starts it; the others wait until it listens, or until the lock is free because who held it died. All wait
 * on what happens (the daemon's pipe, the directory of the socket) and look again every few milliseconds,
 * since between the socket's appearing and its listening nothing is to be seen.
 */
#include "client/autostart.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/macros.h"
#include "client/failure.h"
#include "client/launch.h"
#include "proto/paths.h"
#include "proto/socket.h"

#define LOOK_AGAIN  (5 * NS_PER_MS)
#define MOST_STARTS 5 /* one may fail because a daemon that is about to end still has the state directory */
#define SCOPE_LIMIT (2 * NS_PER_S) /* a user manager that takes longer is stuck */
#define RETRY_PAUSE (20 * NS_PER_MS)

struct starting {
	const char *path;
	uint64_t deadline;
	char program[PROTO_PATH_SIZE];
	int lock;
	bool locked;
	int watch; /* inotify on the socket's directory */
	struct launch launch;
	bool scope;
	uint64_t scope_deadline, not_before;
	int starts;
};

static void starting_fini(struct starting *starting)
{
	launch_end(&starting->launch, false);
	(void)fd_close(starting->lock); /* with it the lock goes */
	(void)fd_close(starting->watch);
}

static int prepare(struct starting *starting)
{
	char directory[PROTO_SOCKET_PATH_SIZE], lock[PROTO_SOCKET_PATH_SIZE + sizeof(".start")];
	int r;

	/* With another's rights, what the environment names must not be run. */
	if (getauxval(AT_SECURE))
		return failure_say(-ERROR_NO_DAEMON,
				   "no emsd runs, and a program with raised rights starts none");
	if (launch_find(starting->program, sizeof(starting->program)) < 0)
		return failure_say(-ERROR_NO_DAEMON, "no emsd runs, and none is found to be started: install "
						     "it, or let EMS_DAEMON name it");
	r = proto_make_private_directory(starting->path);
	if (r == -ERROR_ACCESS)
		return failure_say(r, "the directory of %s is not this user's alone", starting->path);
	if (r < 0)
		return failure_say(r, "cannot make the directory of %s: %s", starting->path, error_text(r));
	(void)snprintf(lock, sizeof(lock), "%s.start", starting->path);
	starting->lock = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (starting->lock < 0)
		return failure_say(error_from_errno(errno), "cannot open %s: %s", lock,
				   error_text(error_from_errno(errno)));
	(void)snprintf(directory, sizeof(directory), "%s", starting->path);
	*strrchr(directory, '/') = '\0';
	starting->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (starting->watch >= 0) /* without it the looking again does it */
		(void)inotify_add_watch(starting->watch, directory, IN_CREATE | IN_MOVED_TO | IN_ATTRIB);
	starting->scope = launch_can_scope();
	return 0;
}

static int give_up(const struct starting *starting)
{
	char state[PROTO_PATH_SIZE];

	if (proto_user_state_path(state, sizeof(state)) < 0)
		strcpy(state, "the state directory");
	return failure_say(-ERROR_NO_DAEMON, "%s did not start: %s/emsd.log says why", starting->program,
			   state);
}

/* Becomes the one who starts it, unless somebody else is. */
static int try_start(struct starting *starting)
{
	int r;

	if (starting->launch.pipe >= 0 || !clock_passed(starting->not_before))
		return 0;
	if (starting->starts >= MOST_STARTS)
		return give_up(starting);
	if (!starting->locked) {
		if (flock(starting->lock, LOCK_EX | LOCK_NB) < 0)
			return 0;
		starting->locked = true;
		return 0; /* who had the lock may have been successful: connect once more first */
	}
	starting->starts++;
	starting->scope_deadline = clock_deadline(SCOPE_LIMIT);
	r = launch_start(&starting->launch, starting->program, starting->path, starting->scope);
	return r < 0 ? failure_say(r, "cannot start %s: %s", starting->program, error_text(r)) : 0;
}

/* It has ended, or is stuck in the user manager: next time without that. */
static void start_over(struct starting *starting, bool kill)
{
	launch_end(&starting->launch, kill);
	if (starting->scope)
		starting->scope = false;
	else
		starting->not_before = clock_deadline(RETRY_PAUSE << starting->starts);
}

static void wait_a_little(struct starting *starting)
{
	struct pollfd fds[] = {{.fd = starting->launch.pipe, .events = POLLIN},
			       {.fd = starting->watch, .events = POLLIN}};
	struct timespec most = clock_timespec(MIN(LOOK_AGAIN, clock_left(starting->deadline)));
	char events[4096];

	(void)ppoll(fds, ARRAY_SIZE(fds), &most, NULL);
	if (starting->watch >= 0)
		while (read(starting->watch, events, sizeof(events)) > 0)
			continue;
	if (starting->launch.pipe < 0)
		return;
	switch (launch_look(&starting->launch)) {
	case LAUNCH_READY:
		launch_end(&starting->launch, false);
		starting->not_before = clock_deadline(RETRY_PAUSE); /* first let it be connected to */
		break;
	case LAUNCH_FAILED:
		start_over(starting, false);
		break;
	case LAUNCH_UNDER_WAY:
		if (starting->scope && clock_passed(starting->scope_deadline))
			start_over(starting, true);
		break;
	}
}

int autostart_connect(const char *path, uint64_t deadline, int *_socket)
{
	_cleanup_(starting_fini) struct starting starting = {
		.path = path, .deadline = deadline, .lock = -1, .watch = -1, .launch = {.pipe = -1}};
	int r = prepare(&starting);

	while (r == 0) {
		r = proto_connect(path, deadline, _socket);
		if (r == 0)
			return 0;
		if (r != -ERROR_NO_DAEMON)
			return failure_say(r, "cannot connect to %s: %s", path, error_text(r));
		if (clock_passed(deadline))
			return failure_say(-ERROR_TIMEOUT, "%s was started, but does not listen on %s",
					   starting.program, path);
		bool had_lock = starting.locked;
		r = try_start(&starting);
		if (r == 0 && had_lock == starting.locked)
			wait_a_little(&starting);
	}
	return r;
}
