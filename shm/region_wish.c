/*
 * region_wish.c: asking the system; see region_wish.h. No library for NUMA: two calls and a mask are all there is to it.
 */
#include "shm/region_wish.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

#define NODES_MAX	 1024u
#define BITS_OF_LONG	 (8 * sizeof(unsigned long))
#define POPULATE_AT_ONCE ((uint64_t)256 << 20) /* bytes: between two of these a signal handler can run */

/* Which large pages the system makes for memory that is shared: "always within_size [advise] never …". */
static const char *shared_huge_pages(char *word, size_t room)
{
	_cleanup_(closep) int fd =
		open("/sys/kernel/mm/transparent_hugepage/shmem_enabled", O_RDONLY | O_CLOEXEC);
	char text[256], *begin, *end;
	size_t size = 0;

	if (fd < 0 || fd_read_all(fd, text, sizeof(text) - 1, &size) < 0)
		return NULL;
	text[size] = '\0';
	begin = strchr(text, '[');
	end = begin ? strchr(begin, ']') : NULL;
	if (!end || (size_t)(end - begin) > room)
		return NULL;
	*end = '\0';
	return strcpy(word, begin + 1);
}

static void grant_huge(const struct shm_region *region, struct shm_wishes *wishes)
{
	struct shm_grant *grant = &wishes->huge;
	char word[32];
	const char *mode;

	if (!wishes->transparent || grant->asked)
		return;
	grant->asked = REGION_PAGE_2M;
	mode = shared_huge_pages(word, sizeof(word));
	if (region->fd >= 0)
		grant->why = "the pages of a file are those of its file system";
	else if (region->page_size > REGION_PAGE)
		grant->granted = region->page_size;
	else if (!mode)
		grant->why = "this kernel makes no transparent huge pages";
	else if (strcmp(mode, "never") == 0 || strcmp(mode, "deny") == 0)
		grant->why = "switched off in /sys/kernel/mm/transparent_hugepage/shmem_enabled";
	else if (madvise(region->base, region->map_size, MADV_HUGEPAGE) < 0)
		grant->why = "the kernel refuses to make transparent huge pages";
	else
		grant->granted = REGION_PAGE_2M;
}

/* The nodes that this process may have memory of. Returns how many; 0: not known. */
static unsigned allowed_nodes(unsigned long mask[static NODES_MAX / BITS_OF_LONG])
{
	unsigned count = 0;

	memset(mask, 0, NODES_MAX / 8);
	if (syscall(SYS_get_mempolicy, NULL, mask, (unsigned long)NODES_MAX, NULL, MPOL_F_MEMS_ALLOWED) < 0)
		return 0;
	for (size_t i = 0; i < NODES_MAX / BITS_OF_LONG; i++)
		count += (unsigned)__builtin_popcountl(mask[i]);
	return count;
}

/* Before any page is there: it counts for those that come later. */
static void grant_interleave(const struct shm_region *region, struct shm_wishes *wishes)
{
	unsigned long mask[NODES_MAX / BITS_OF_LONG];
	struct shm_grant *grant = &wishes->interleaved;
	unsigned count;

	if (!wishes->interleave || grant->asked)
		return;
	count = allowed_nodes(mask);
	grant->asked = count ? count : 1;
	if (region->fd >= 0)
		grant->why = "the pages of a file lie where its file system puts them";
	else if (count == 0)
		grant->why = "this kernel knows no memory nodes";
	else if (count == 1)
		grant->granted = 1; /* on all there are */
	else if (syscall(SYS_mbind, region->base, region->map_size, (unsigned long)MPOL_INTERLEAVE, mask,
			 (unsigned long)NODES_MAX, 0ul) < 0)
		grant->why = errno == EPERM || errno == EACCES ? "not permitted (CAP_SYS_NICE, cpuset)"
							       : "the kernel refuses to interleave it";
	else
		grant->granted = count;
}

/* Touches every page, where the system does not do it by itself. Reading is enough: of a hole it makes a page. */
static void touch(const struct shm_region *region, uint64_t from, uint64_t to)
{
	uint64_t step = (uint64_t)sysconf(_SC_PAGESIZE);

	for (uint64_t at = from; at < to; at += step)
		(void)*(const volatile uint8_t *)(region->base + at);
}

static void grant_populate(const struct shm_region *region, struct shm_wishes *wishes, uint64_t from,
			   uint64_t to)
{
	int advice = region->writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;
	struct shm_grant *grant = &wishes->populated;

	if (!wishes->populate)
		return;
	grant->asked += to - from;
	while (from < to) {
		uint64_t size = MIN(to - from, POPULATE_AT_ONCE);

		if (madvise(region->base + from, size, advice) == 0) {
			grant->granted += size;
			from += size;
		} else if (errno == EINVAL) { /* before Linux 5.14 */
			touch(region, from, to);
			grant->granted += to - from;
			return;
		} else if (errno != EINTR && errno != EAGAIN) {
			grant->why = errno == ENOMEM ? "there is not so much memory"
						     : "some of its pages cannot be had";
			return;
		}
	}
}

/* Half of it, a quarter … when all is too much. */
static uint64_t lock_most(const struct shm_region *region, uint64_t from, uint64_t to)
{
	uint64_t size = to - from;

	while (size >= REGION_PAGE || size == to - from) {
		if (size && mlock(region->base + from, size) == 0)
			return size;
		if (size < 2 * REGION_PAGE || (errno != ENOMEM && errno != EPERM && errno != EAGAIN))
			return 0;
		size = align_down(size / 2, REGION_PAGE);
	}
	return 0;
}

static void grant_lock(const struct shm_region *region, struct shm_wishes *wishes, uint64_t to)
{
	struct shm_grant *grant = &wishes->locked;
	uint64_t wanted;

	if (wishes->lock_percent == 0)
		return;
	wanted = MIN(align_up(to / 100 * wishes->lock_percent + to % 100 * wishes->lock_percent / 100,
			      REGION_PAGE),
		     to);
	/* What was refused is not asked for again: locked memory is one piece, from the beginning. */
	if (wanted > grant->asked && grant->granted == grant->asked)
		grant->granted += lock_most(region, grant->asked, wanted);
	grant->asked = MAX(grant->asked, wanted);
	grant->why = grant->granted < grant->asked ? "the limit of locked memory (ulimit -l)" : NULL;
}

void shm_region_grant(const struct shm_region *region, struct shm_wishes *wishes, uint64_t from, uint64_t to)
{
	grant_huge(region, wishes);
	grant_interleave(region, wishes);
	if (from < to)
		grant_populate(region, wishes, from, to);
	grant_lock(region, wishes, to);
}
