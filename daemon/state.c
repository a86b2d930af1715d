/*
 * state.c: the lock is a record lock (fcntl) on DIR/lock, whose contents say who has it. Unlike flock's, it is not
 * shared with a child: a keeper that is just being started when its daemon is killed does not hold it on.
 *
 * The file stays when a daemon ends: to remove it would let a third one lock a file that a second one, which
 * opened it before, believes to have locked.
 */
#include "daemon/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "proto/paths.h"

#define LOCK_PATIENCE NS_PER_S

static int fail(int r, const char *what, const char *path, char message[static STATE_MESSAGE_SIZE])
{
	snprintf(message, STATE_MESSAGE_SIZE, "state directory: cannot %s %.255s: %s", what, path,
		 errno ? strerror(errno) : error_text(r));
	return r;
}

static int fail_locked(int fd, const char *directory, char message[static STATE_MESSAGE_SIZE])
{
	char holder[160];
	size_t size = 0;

	if (fd_read_all(fd, holder, sizeof(holder) - 1, &size))
		size = 0;
	holder[size] = '\0';
	holder[strcspn(holder, "\n")] = '\0';
	snprintf(message, STATE_MESSAGE_SIZE, "state directory %.200s is in use by another emsd (%s)",
		 directory, *holder ? holder : "which is just starting");
	return -ERROR_BUSY;
}

/* A daemon that was just killed is there until the kernel has taken its memory apart: heaps enough make that take a while. */
static int lock_patiently(int fd)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	const struct timespec pause = {.tv_nsec = 10 * NS_PER_MS};
	uint64_t patience = clock_deadline(LOCK_PATIENCE);

	while (fcntl(fd, F_SETLK, &whole) < 0) {
		if ((errno != EAGAIN && errno != EACCES) || clock_passed(patience))
			return -1;
		(void)nanosleep(&pause, NULL);
	}
	return 0;
}

int state_lock(const char *directory, const char *socket, int *_lock, char message[static STATE_MESSAGE_SIZE])
{
	_cleanup_(closep) int fd = -1;
	char path[PROTO_PATH_SIZE], holder[256];
	int size, r;

	if (snprintf(path, sizeof(path), "%s/lock", directory) >= (int)sizeof(path))
		return fail(-ERROR_NAME, "use", directory, message);
	r = proto_make_private_directory(path);
	errno = 0; /* of no known call by now: r says it */
	if (r)
		return fail(r, "use", directory, message);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return fail(error_from_errno(errno), "open", path, message);
	if (lock_patiently(fd) < 0) {
		if (errno == EAGAIN || errno == EACCES)
			return fail_locked(fd, directory, message);
		return fail(error_from_errno(errno), "lock", path, message);
	}
	size = snprintf(holder, sizeof(holder), "pid %d, socket %.128s\n", (int)getpid(), socket);
	if (ftruncate(fd, 0) < 0 || pwrite(fd, holder, (size_t)size, 0) != size)
		return fail(error_from_errno(errno), "write", path, message);
	*_lock = steal_fd(&fd);
	return 0;
}
