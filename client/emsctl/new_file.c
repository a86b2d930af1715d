/*
 * new_file.c: see new_file.h.
 */
#include "client/emsctl/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int new_file_open(const char *path)
{
	char *copy = strdup(path);
	int fd = copy ? open(dirname(copy), O_TMPFILE | O_RDWR | O_CLOEXEC, 0666) : -1;
	int why = errno;

	free(copy);
	errno = why;
	return fd;
}

int new_file_name(int fd, const char *path)
{
	char from[64], *beside = NULL;
	int r = -1;

	if (asprintf(&beside, "%s.%d~", path, (int)getpid()) < 0)
		return -1;
	snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
	if (fsync(fd) == 0)
		r = linkat(AT_FDCWD, from, AT_FDCWD, beside, AT_SYMLINK_FOLLOW);
	if (r == 0) {
		r = rename(beside, path);
		if (r < 0) {
			int why = errno;

			(void)unlink(beside);
			errno = why;
		}
	}
	free(beside);
	return r;
}
