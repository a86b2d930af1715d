/* disk_system.c: the table of disk_io.h, as the operating system does it. */
#include "shm/disk_io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

static int system_open(void *context, int folder, const char *name, int flags, unsigned mode)
{
	int fd;

	(void)context;
	do
		fd = openat(folder, name, flags | O_CLOEXEC, (mode_t)mode);
	while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : fd;
}

static void system_close(void *context, int fd)
{
	(void)context;
	(void)fd_close(fd);
}

static int64_t system_read(void *context, int fd, void *data, size_t size, uint64_t offset)
{
	size_t done = 0;

	(void)context;
	while (done < size) {
		ssize_t n = pread(fd, (uint8_t *)data + done, size - done, (off_t)(offset + done));

		if (n == 0)
			break;
		if (n > 0)
			done += (size_t)n;
		else if (errno != EINTR)
			return -errno;
	}
	return (int64_t)done;
}

static int system_write(void *context, int fd, const void *data, size_t size, uint64_t offset)
{
	size_t done = 0;

	(void)context;
	while (done < size) {
		ssize_t n = pwrite(fd, (const uint8_t *)data + done, size - done, (off_t)(offset + done));

		if (n > 0)
			done += (size_t)n;
		else if (n == 0)
			return -EIO;
		else if (errno != EINTR)
			return -errno;
	}
	return 0;
}

/*
 * Of a folder, fdatasync would do the same. It is not repeated after EINTR: it may have taken an error off the file by
 * then, and the next call would not tell of it.
 */
static int system_sync(void *context, int fd)
{
	(void)context;
	return fdatasync(fd) < 0 ? -errno : 0;
}

static int system_rename(void *context, int folder, const char *from, const char *to)
{
	(void)context;
	return renameat(folder, from, folder, to) < 0 ? -errno : 0;
}

static int system_remove(void *context, int folder, const char *name)
{
	(void)context;
	return unlinkat(folder, name, 0) < 0 ? -errno : 0;
}

static int system_truncate(void *context, int fd, uint64_t size)
{
	int r;

	(void)context;
	do
		r = ftruncate(fd, (off_t)size);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

static int allocate(int fd, int mode, uint64_t offset, uint64_t size)
{
	int r;

	do
		r = fallocate(fd, mode, (off_t)offset, (off_t)size);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return errno == ENOSYS ? -EOPNOTSUPP : -errno;
	return 0;
}

static int system_reserve(void *context, int fd, uint64_t offset, uint64_t size)
{
	(void)context;
	return allocate(fd, FALLOC_FL_KEEP_SIZE, offset, size);
}

static int system_punch(void *context, int fd, uint64_t offset, uint64_t size)
{
	(void)context;
	return allocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, size);
}

static void tell(const struct stat *st, struct shm_disk_status *status)
{
	*status = (struct shm_disk_status){
		.device = st->st_dev,
		.inode = st->st_ino,
		.size = (uint64_t)st->st_size,
		.allocated = (uint64_t)st->st_blocks * 512,
		.regular = S_ISREG(st->st_mode),
		.linked = st->st_nlink > 0,
	};
}

static int system_status(void *context, int fd, struct shm_disk_status *status)
{
	struct stat st;

	(void)context;
	if (fstat(fd, &st) < 0)
		return -errno;
	tell(&st, status);
	return 0;
}

static int system_status_of(void *context, int folder, const char *name, struct shm_disk_status *status)
{
	struct stat st;

	(void)context;
	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	tell(&st, status);
	return 0;
}

static int64_t system_seek_data(void *context, int fd, uint64_t offset)
{
	off_t at = lseek(fd, (off_t)offset, SEEK_DATA);

	(void)context;
	if (at >= 0)
		return at;
	return errno == ENXIO ? -ENXIO : (int64_t)offset;
}

static int system_lock(void *context, int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	(void)context;
	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	if (errno == EBADF) {
		/* Open for reading only: nobody is to write it meanwhile. */
		lock.l_type = F_RDLCK;
		if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
			errno = EBADF;
	}
	return errno == EACCES ? -EAGAIN : -errno;
}

static int system_list(void *context, int folder, shm_disk_io_visit *visit, void *arg)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	struct dirent *entry;
	DIR *dir;

	(void)context;
	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir) {
		r = -errno;
		(void)fd_close(fd);
		return r;
	}
	while (r == 0 && (errno = 0, entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = visit(arg, entry->d_name);
	if (r == 0 && errno)
		r = -errno;
	(void)closedir(dir);
	return r;
}

const struct shm_disk_io shm_disk_io_system = {
	.open = system_open,
	.close = system_close,
	.read = system_read,
	.write = system_write,
	.sync = system_sync,
	.rename = system_rename,
	.remove = system_remove,
	.truncate = system_truncate,
	.reserve = system_reserve,
	.punch = system_punch,
	.status = system_status,
	.status_of = system_status_of,
	.seek_data = system_seek_data,
	.lock = system_lock,
	.list = system_list,
};
