/*
 * region.c: making, mapping, growing regions; see region.h.
 *
 * Two words are shared: size and dropped. The daemon alone stores them, size before changes; a daemon that dies in
 * between leaves a size that nobody was woken for, and which everybody finds at its next look.
 */
#include "shm/region.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "shm/atomic.h"
#include "shm/futex.h"
#include "shm/memory.h"

/* ---- where things lie ---- */

static uint64_t file_size(uint64_t max_size, uint64_t page_size)
{
	return align_up(max_size + REGION_CONTROL, page_size);
}

uint64_t shm_region_cost(uint64_t size, uint64_t page_size)
{
	return align_up(size, page_size) + page_size;
}

/* ---- the daemon's side ---- */

/* Of large pages there are as many as were set aside: one that is missing when it is touched is SIGBUS. */
static int take_large_pages(int fd, uint64_t page_size, uint64_t from, uint64_t to)
{
	if (page_size <= REGION_PAGE || from >= to)
		return 0;
	if (fallocate(fd, 0, (off_t)from, (off_t)(to - from)) < 0)
		return errno == ENOSPC || errno == ENOMEM ? -ERROR_NO_MEMORY : error_from_errno(errno);
	return 0;
}

static int map_control(struct shm_region *region, int fd, uint64_t total, bool writable)
{
	uint64_t size = region->page_size;
	void *page = mmap(NULL, size, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd,
			  (off_t)(total - size));

	if (page == MAP_FAILED)
		return error_from_errno(errno);
	if (madvise(page, size, MADV_DONTFORK) < 0) {
		int r = error_from_errno(errno);

		(void)munmap(page, size);
		return r;
	}
	region->control_page = page;
	region->control_size = size;
	region->control =
		(struct region_control *)(void *)((uint8_t *)page + size - sizeof(*region->control));
	return 0;
}

static void write_control(struct shm_region *region, uint64_t size, const uint8_t id[16], bool dropped)
{
	struct region_control *control = region->control;

	control->version = REGION_VERSION;
	control->header_size = sizeof(*control);
	control->max_size = region->max_size;
	memcpy(control->id, id, sizeof(control->id));
	store32_release(&control->dropped, dropped);
	store64_release(&control->size, size);
	store64_release(&control->magic, REGION_MAGIC);
}

int shm_region_create(struct shm_region *region, uint64_t size, uint64_t max_size, uint64_t page_size,
		      const uint8_t id[16], int *_fd)
{
	uint64_t total = file_size(max_size, page_size);
	_cleanup_(closep) int fd = -1;
	int r;

	*region = (struct shm_region){.max_size = max_size, .page_size = page_size, .fd = -1};
	fd = page_size > REGION_PAGE ? shm_memory_new_large("ems-region", total, page_size)
				     : shm_memory_new("ems-region", total);
	if (fd < 0)
		return fd;
	r = take_large_pages(fd, page_size, total - page_size, total);
	if (r == 0)
		r = take_large_pages(fd, page_size, 0, MIN(align_up(size, page_size), total - page_size));
	if (r == 0)
		r = map_control(region, fd, total, true);
	if (r < 0)
		return r;
	write_control(region, size, id, false);
	*_fd = steal_fd(&fd);
	return 0;
}

int shm_region_adopt(struct shm_region *region, int fd, uint64_t size, uint64_t max_size, uint64_t page_size,
		     const uint8_t id[16], bool dropped)
{
	uint64_t total = file_size(max_size, page_size);
	int r;

	*region = (struct shm_region){.max_size = max_size, .page_size = page_size, .fd = -1};
	if (shm_memory_check(fd, total) < 0)
		return -ERROR_SYSTEM;
	r = map_control(region, fd, total, true);
	if (r == 0)
		write_control(region, size, id, dropped);
	return r;
}

void shm_region_tell(struct shm_region *region)
{
	add32(&region->control->changes, 1);
	(void)shm_futex_wake(&region->control->changes, INT_MAX, WAIT_ANY);
}

int shm_region_grow(struct shm_region *region, int fd, uint64_t size)
{
	uint64_t now = load64_relaxed(&region->control->size);
	uint64_t end = file_size(region->max_size, region->page_size) - region->page_size;
	int r;

	if (size <= now)
		return 0;
	r = take_large_pages(fd, region->page_size, MIN(align_up(now, region->page_size), end),
			     MIN(align_up(size, region->page_size), end));
	if (r < 0)
		return r;
	/* Takes effect here. */
	store64_release(&region->control->size, size);
	shm_region_tell(region);
	return 0;
}

void shm_region_drop(struct shm_region *region)
{
	store32_release(&region->control->dropped, 1);
	shm_region_tell(region);
}

/* ---- a client's side ---- */

static int reserve(struct shm_region *region, int fd)
{
	void *base = mmap(NULL, region->map_size, PROT_NONE, MAP_SHARED | MAP_NORESERVE, fd, 0);

	if (base == MAP_FAILED)
		return error_from_errno(errno);
	region->base = base;
	/* As with heaps: the child of a fork has none of it, and a core file of a sparse terabyte helps nobody. */
	if (madvise(base, region->map_size, MADV_DONTFORK) < 0 ||
	    madvise(base, region->map_size, MADV_DONTDUMP) < 0)
		return error_from_errno(errno);
	return 0;
}

static int check_control(const struct shm_region *region)
{
	const struct region_control *control = region->control;

	if (control->magic != REGION_MAGIC)
		return -ERROR_CORRUPT;
	if (control->version != REGION_VERSION)
		return -ERROR_VERSION;
	return control->header_size == sizeof(*control) && control->max_size == region->max_size
		       ? 0
		       : -ERROR_CORRUPT;
}

int shm_region_map(struct shm_region *region, int fd, uint64_t max_size, uint64_t page_size, bool writable)
{
	uint64_t total;
	int r;

	*region = (struct shm_region){
		.max_size = max_size, .page_size = page_size, .writable = writable, .fd = -1};
	if (max_size == 0 || max_size > REGION_SIZE_MAX ||
	    (page_size != REGION_PAGE && page_size != REGION_PAGE_2M && page_size != REGION_PAGE_1G))
		return -ERROR_CORRUPT;
	total = file_size(max_size, page_size);
	region->map_size = align_up(max_size, page_size);
	r = shm_memory_check(fd, total);
	if (r == 0)
		r = map_control(region, fd, total, false);
	if (r == 0)
		r = check_control(region);
	if (r == 0)
		r = reserve(region, fd);
	if (r < 0) {
		shm_region_unmap(region);
		return r;
	}
	(void)shm_region_size(region);
	return 0;
}

int shm_region_map_file_take(struct shm_region *region, int fd, uint64_t max_size, bool writable)
{
	struct stat st;
	int r;

	*region = (struct shm_region){.page_size = REGION_PAGE, .writable = writable, .fd = fd};
	r = fstat(fd, &st) < 0 ? error_from_errno(errno) : 0;
	if (r == 0 &&
	    (!S_ISREG(st.st_mode) || max_size > REGION_SIZE_MAX || (uint64_t)st.st_size > REGION_SIZE_MAX))
		r = -ERROR_RANGE;
	if (r == 0) {
		region->max_size = max_size ? max_size : (uint64_t)st.st_size;
		region->map_size = align_up(region->max_size, REGION_PAGE);
		r = region->max_size ? reserve(region, fd) : -ERROR_RANGE;
	}
	if (r < 0) {
		shm_region_unmap(region);
		return r;
	}
	(void)shm_region_size(region);
	return 0;
}

void shm_region_unmap(struct shm_region *region)
{
	if (region->base)
		(void)munmap(region->base, region->map_size);
	if (region->control_page)
		(void)munmap(region->control_page, region->control_size);
	region->base = NULL;
	region->control_page = NULL;
	region->control = NULL;
	region->fd = fd_close(region->fd);
}

/* Two threads at once do the same twice. What is accessible stays so. */
static void open_access(struct shm_region *region, uint64_t size)
{
	uint64_t wanted = MIN(align_up(size, region->page_size), region->map_size);
	uint64_t now = load64_acquire(&region->accessible);

	while (wanted > now) {
		if (mprotect(region->base + now, wanted - now,
			     region->writable ? PROT_READ | PROT_WRITE : PROT_READ) < 0)
			return;
		if (cas64(&region->accessible, &now, wanted))
			return;
	}
}

uint64_t shm_region_size(struct shm_region *region)
{
	uint64_t size = 0;
	struct stat st;

	if (region->control)
		size = load64_acquire(&region->control->size);
	else if (fstat(region->fd, &st) == 0)
		size = (uint64_t)st.st_size;
	size = MIN(size, region->max_size);
	if (size > load64_acquire(&region->accessible))
		open_access(region, size);
	/* The system may refuse it, out of memory for its tables. */
	size = MIN(size, load64_acquire(&region->accessible));
	store64_relaxed(&region->seen, size);
	return size;
}

int shm_region_grow_file(struct shm_region *region, uint64_t size)
{
	struct stat st;

	if (fstat(region->fd, &st) < 0)
		return error_from_errno(errno);
	if (size <= (uint64_t)st.st_size)
		return 0;
	/*
	 * Not ftruncate: of two that grow it at once, the one with the smaller number could come second and cut off the
	 * other's bytes. And a disk that is full says so here, not as a SIGBUS later.
	 */
	while (fallocate(region->fd, 0, st.st_size, (off_t)(size - (uint64_t)st.st_size)) < 0) {
		if (errno == EOPNOTSUPP)
			return -ERROR_UNSUPPORTED;
		if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)
			return -ERROR_NO_SPACE;
		if (errno != EINTR)
			return error_from_errno(errno);
	}
	return 0;
}

int shm_region_flush(const struct shm_region *region, uint64_t offset, uint64_t size, bool wait)
{
	uint64_t from = align_down(offset, REGION_PAGE);

	if (region->fd < 0 || size == 0)
		return 0;
	if (msync(region->base + from, offset + size - from, wait ? MS_SYNC : MS_ASYNC) < 0)
		return errno == EIO ? -ERROR_IO : error_from_errno(errno);
	return 0;
}
