/*
 * disk_io.h: what the code of the disk asks of the operating system. It goes through this table, so that tests can
 * put a disk there that remembers each write and each barrier, loses power, fills up, or fails.
 *
 * Each function returns 0 or more, or a negated errno. All but the last arguments are those of the system call of
 * that name. A descriptor is a number that only the table understands.
 */
#ifndef EMS_SHM_DISK_IO_H
#define EMS_SHM_DISK_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What fstat says, as far as anybody here wants to know. */
struct shm_disk_status {
	uint64_t device, inode;
	uint64_t size;	      /* bytes */
	uint64_t allocated;   /* bytes */
	bool regular, linked; /* linked: it has a name */
};

/* Called with each name in a folder but "." and ".."; anything but 0 ends the walk, and is returned. */
typedef int shm_disk_io_visit(void *arg, const char *name);

struct shm_disk_io {
	void *context; /* the first argument of each */
	int (*open)(void *context, int folder, const char *name, int flags,
		    unsigned mode); /* O_CLOEXEC is added */
	void (*close)(void *context, int fd);
	/* Whole, but for the end of file: fewer bytes are then returned. */
	int64_t (*read)(void *context, int fd, void *data, size_t size, uint64_t offset);
	/* Whole, or an error after an unknown part. */
	int (*write)(void *context, int fd, const void *data, size_t size, uint64_t offset);
	/* What was written to the file is on the disk, and the file's length. Of a folder: its names are. */
	int (*sync)(void *context, int fd);
	int (*rename)(void *context, int folder, const char *from, const char *to); /* replaces `to` */
	int (*remove)(void *context, int folder, const char *name);
	int (*truncate)(void *context, int fd, uint64_t size);
	/*
	 * A later write to these bytes will not fail for lack of room; the length stays as it is, and so do the contents.
	 * -EOPNOTSUPP: the file system cannot say.
	 */
	int (*reserve)(void *context, int fd, uint64_t offset, uint64_t size);
	/* These bytes are zero from now on, and cost nothing. -EOPNOTSUPP. */
	int (*punch)(void *context, int fd, uint64_t offset, uint64_t size);
	int (*status)(void *context, int fd, struct shm_disk_status *status);
	int (*status_of)(void *context, int folder, const char *name, struct shm_disk_status *status);
	/* The first byte from offset on that is in no hole; offset itself when that cannot be told. -ENXIO: there is none. */
	int64_t (*seek_data)(void *context, int fd, uint64_t offset);
	/* No other daemon writes to this file while the descriptor is open. -EAGAIN: one does. */
	int (*lock)(void *context, int fd);
	int (*list)(void *context, int folder, shm_disk_io_visit *visit, void *arg);
};

/* The system itself. Descriptors are those of the process. */
extern const struct shm_disk_io shm_disk_io_system;

#endif
