/* Files of heaps: see path.h. */
#include "client/path.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "client/connection.h"
#include "client/failure.h"

/* Not to wait for the other end of a FIFO, nor to get a terminal. */
#define FLAGS (O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

static int fail(const char *what, const char *path)
{
	int number = errno;

	return failure_say(error_from_errno(number), "cannot %s \"%s\": %s", what, path, strerror(number));
}

static int check_path(const char *name)
{
	if (strlen(name) > PROTO_NAME_MAX)
		return failure_say(-ERROR_NAME, "the path \"%.60s…\" is longer than %u bytes", name, PROTO_NAME_MAX);
	return 0;
}

static int open_as(struct heap_path *path, const char *name, int flags, mode_t mode)
{
	struct stat st;

	path->fd = open(name, O_RDWR | FLAGS | flags, mode);
	if (path->fd < 0)
		return fail(flags & O_EXCL ? "create" : "open", name);
	if (fstat(path->fd, &st) == 0 && S_ISREG(st.st_mode)) {
		/* Of no length: nobody has made a heap in it yet. */
		path->how = st.st_size == 0 && flags & O_CREAT ? EMS_CREATE : EMS_OPEN_EXISTING;
		return 0;
	}
	path->fd = fd_close(path->fd);
	return failure_say(-ERROR_INVALID, "\"%s\" is no regular file", name);
}

int path_open(struct heap_path *path, const char *name, ems_open_t how, const ems_heap_options_t *options)
{
	mode_t mode = options && options->mode ? options->mode : 0600;
	int r = check_path(name);

	if (r < 0)
		return r;
	*path = (struct heap_path){.path = name, .fd = -1, .tries = path->tries};
	switch (how) {
	case EMS_CREATE:
		path->made = true;
		return open_as(path, name, O_CREAT | O_EXCL, mode);
	case EMS_REPLACE:
		path->made = path->replaces = true;
		(void)snprintf(path->temporary, sizeof(path->temporary), "%s.%d.new", name, (int)getpid());
		(void)unlink(path->temporary);
		return open_as(path, path->temporary, O_CREAT | O_EXCL, mode);
	case EMS_OPEN_OR_CREATE:
		return open_as(path, name, O_CREAT, mode);
	default:
		return open_as(path, name, 0, 0);
	}
}

int path_close(struct heap_path *path, int r)
{
	const char *there = path->replaces ? path->temporary : path->path;

	path->fd = fd_close(path->fd);
	if (r < 0) {
		if (path->made)
			(void)unlink(there);
		return r;
	}
	if (path->replaces && rename(path->temporary, path->path) < 0)
		return fail("replace", path->path);
	return r;
}

int path_drop(ems_connection_t *connection, const char *name)
{
	_cleanup_(closep) int fd = -1;
	struct proto_drop body = {0};
	struct stat st;
	int r = check_path(name);

	if (r < 0)
		return r;
	fd = open(name, O_RDONLY | FLAGS);
	if (fd < 0)
		return fail("open", name);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return failure_say(-ERROR_INVALID, "\"%s\" is no regular file", name);
	(void)snprintf(body.name, sizeof(body.name), "~heap/%u:%u/%" PRIu64, major(st.st_dev), minor(st.st_dev),
		       (uint64_t)st.st_ino);
	r = connection_call(connection, PROTO_DROP, &body, NULL, clock_deadline(CONNECTION_PATIENCE));
	if (r < 0 && r != -ERROR_NOT_FOUND)
		return r;
	return unlink(name) < 0 ? fail("remove", name) : 0;
}
