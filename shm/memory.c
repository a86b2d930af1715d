/* Making and checking memory files. */
#include "shm/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif
#ifndef MFD_HUGE_SHIFT
#define MFD_HUGE_SHIFT 26
#endif

static int create(const char *name, uint64_t size, unsigned flags)
{
	_cleanup_(closep) int fd = -1;

	flags |= MFD_CLOEXEC | MFD_ALLOW_SEALING;
	fd = memfd_create(name, flags | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
		fd = memfd_create(name, flags);
	if (fd < 0)
		return error_from_errno(errno);
	if (fchmod(fd, 0600) < 0 || ftruncate(fd, (off_t)size) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return error_from_errno(errno);
	return steal_fd(&fd);
}

int shm_memory_new(const char *name, uint64_t size)
{
	return create(name, size, 0);
}

int shm_memory_new_large(const char *name, uint64_t size, uint64_t page_size)
{
	int fd = create(name, size, MFD_HUGETLB | (unsigned)__builtin_ctzll(page_size) << MFD_HUGE_SHIFT);

	/* EINVAL, ENODEV, ENOENT, by kernel and architecture. */
	return fd == -ERROR_INVALID || fd == -ERROR_NOT_FOUND || fd == -ERROR_SYSTEM ? -ERROR_UNSUPPORTED : fd;
}

int shm_memory_check(int fd, uint64_t size)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);

	if (fstat(fd, &st) < 0)
		return error_from_errno(errno);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != size || seals < 0 || (seals & SEALS) != SEALS)
		return -ERROR_CORRUPT;
	return 0;
}
