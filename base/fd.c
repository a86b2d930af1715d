/*
 * fd.c: the few system calls on descriptors that everyone needs, with EINTR and errno dealt with.
 */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"

int fd_close(int fd)
{
	closep(&fd);
	return -1;
}

int fd_dup(int fd, int *_fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	if (copy < 0)
		return error_from_errno(errno);
	*_fd = copy;
	return 0;
}

static int change_flag(int fd, int get, int set, int flag, bool on)
{
	int old = fcntl(fd, get);
	int new;

	if (old < 0)
		return error_from_errno(errno);
	new = on ? old | flag : old & ~flag;
	if (new != old && fcntl(fd, set, new) < 0)
		return error_from_errno(errno);
	return 0;
}

int fd_set_cloexec(int fd, bool on)
{
	return change_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on);
}

int fd_set_nonblocking(int fd, bool on)
{
	return change_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, on);
}

int fd_write_all(int fd, const void *data, size_t size)
{
	const char *position = data;

	while (size > 0) {
		ssize_t done = write(fd, position, size);

		if (done < 0) {
			if (errno == EINTR)
				continue;
			return error_from_errno(errno);
		}
		/* write(2) of more than nothing to a descriptor that takes nothing, and says no error. */
		if (done == 0)
			return -ERROR_IO;
		position += done;
		size -= (size_t)done;
	}
	return 0;
}

int fd_read_all(int fd, void *buffer, size_t size, size_t *_size)
{
	size_t filled = 0;

	while (filled < size) {
		ssize_t done = read(fd, (char *)buffer + filled, size - filled);

		if (done < 0) {
			if (errno == EINTR)
				continue;
			return error_from_errno(errno);
		}
		if (done == 0)
			break;
		filled += (size_t)done;
	}
	*_size = filled;
	return 0;
}
