/*
 * listen.c: binding, over a stale socket if need be.
 *
 * The socket is bound under a name of its own and then renamed: clients never meet one on which nobody
 * listens yet.
 */
#include "daemon/listen.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "proto/paths.h"
#include "proto/socket.h"

#define BACKLOG		  512
#define LISTENER_PATIENCE NS_PER_S

static int fail(int r, const char *what, const char *path, char message[static LISTEN_MESSAGE_SIZE])
{
	snprintf(message, LISTEN_MESSAGE_SIZE, "socket %.255s: %s: %s", path, what,
		 errno ? strerror(errno) : error_text(r));
	return r;
}

/* The directory of a socket for all: made if need be, and open to them. */
static int make_public_directory(const char *path)
{
	char directory[PROTO_SOCKET_PATH_SIZE];
	char *slash;

	snprintf(directory, sizeof(directory), "%s", path);
	slash = strrchr(directory, '/');
	if (!slash || slash == directory)
		return 0;
	*slash = '\0';
	if (mkdir(directory, 0755) < 0 && errno != EEXIST)
		return error_from_errno(errno);
	return 0;
}

/* 0: somebody listens there; -ERROR_NO_DAEMON: nobody does. */
static int look_for_listener(const char *path)
{
	_cleanup_(closep) int fd = -1;
	int r = proto_connect(path, clock_now(), &fd);

	return r == -ERROR_TIMEOUT ? 0 : r;
}

/*
 * Nobody is there, or nobody lives there any more. A daemon that was killed while it forked its keeper seems to listen
 * until the child has closed the socket, so a listener is looked at for a while.
 */
static int check_vacant(const char *path, char message[static LISTEN_MESSAGE_SIZE])
{
	const struct timespec pause = {.tv_nsec = 5 * NS_PER_MS};
	uint64_t patience = clock_deadline(LISTENER_PATIENCE);
	struct stat st;
	int r;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0
				       : fail(error_from_errno(errno), "cannot be looked at", path, message);
	errno = 0;
	if (!S_ISSOCK(st.st_mode))
		return fail(-ERROR_EXISTS, "is a file, and no socket", path, message);
	while ((r = look_for_listener(path)) == 0 && !clock_passed(patience))
		(void)nanosleep(&pause, NULL);
	if (r == 0) {
		errno = 0;
		return fail(-ERROR_BUSY, "another daemon listens there", path, message);
	}
	return r == -ERROR_NO_DAEMON ? 0 : fail(r, "cannot be looked at", path, message);
}

static int bind_new(const char *path, mode_t mode, int *_fd)
{
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int r = 0;

	if (fd < 0)
		return error_from_errno(errno);
	if (snprintf(address.sun_path, sizeof(address.sun_path), "%.*s/.%d", (int)(strrchr(path, '/') - path),
		     path, (int)getpid()) >= (int)sizeof(address.sun_path))
		return -ERROR_NAME;
	(void)unlink(address.sun_path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return error_from_errno(errno);
	if (chmod(address.sun_path, mode) < 0 || listen(fd, BACKLOG) < 0 ||
	    rename(address.sun_path, path) < 0) {
		r = error_from_errno(errno);
		(void)unlink(address.sun_path);
		return r;
	}
	*_fd = steal_fd(&fd);
	return 0;
}

int listen_open(const char *path, bool open_to_all, int *_fd, char message[static LISTEN_MESSAGE_SIZE])
{
	int r;

	errno = 0;
	if (strlen(path) >= PROTO_SOCKET_PATH_SIZE)
		return fail(-ERROR_NAME, "the path is too long", path, message);
	r = open_to_all ? make_public_directory(path) : proto_make_private_directory(path);
	errno = 0; /* of no known call by now: r says it */
	if (r)
		return fail(r, "its directory cannot be used", path, message);
	r = check_vacant(path, message);
	if (r)
		return r;
	errno = 0;
	r = bind_new(path, open_to_all ? 0666 : 0600, _fd);
	return r ? fail(r, "cannot be made", path, message) : 0;
}
