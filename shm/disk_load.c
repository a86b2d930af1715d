/*
 * disk_load.c: reading all pages of a heap, in the order of the file, straight to where they belong.
 *
 * Holes are skipped by asking the file system where data is, so that an almost empty heap of a terabyte is read in no time. The
 * sums are added up, as nothing but the header's total tells of a page of sums that never got to the disk, or was lost with
 * what it speaks of.
 */
#include <stdlib.h>

#include "shm/disk_internal.h"

#define SCRATCH ((uint64_t)1 << 20) /* of a verification; pages of a group come in at most two */

struct load {
	struct shm_disk_heap *heap;
	uint8_t *base;	  /* NULL: keep nothing */
	uint8_t *scratch; /* SCRATCH bytes, then */
	uint64_t size;
	uint64_t
		end; /* the segment's pages; not pages_end: behind that no sum may be, which is looked at, too */
	uint64_t pages, total;
	shm_disk_progress *progress;
	void *arg;
	struct shm_disk_trouble *trouble;
	struct disk_sums sums;
};

static int fail(struct load *load, enum shm_disk_what what, uint64_t offset)
{
	return shm_disk_fail(load->trouble, what, 0, load->heap->header.meta.heap_id, offset);
}

/* count pages that follow each other, all of them stored. */
static int load_run(struct load *load, uint64_t page, uint64_t count)
{
	const struct shm_disk_io *io = load->heap->io;
	uint8_t *to = load->base ? load->base + (page << DISK_PAGE_SHIFT) : load->scratch;
	uint64_t at = shm_disk_page_at(page);
	int64_t n;

	if (load->base && (page + count) << DISK_PAGE_SHIFT > load->size)
		return fail(load, SHM_DISK_MISUSED, page << DISK_PAGE_SHIFT);
	n = io->read(io->context, load->heap->fd, to, count << DISK_PAGE_SHIFT, at);
	if (n < 0)
		return shm_disk_fail_errno(load->trouble, SHM_DISK_READ, (int)n,
					   load->heap->header.meta.heap_id, at);
	if (n != (int64_t)(count << DISK_PAGE_SHIFT))
		return fail(load, SHM_DISK_TRUNCATED, 0);
	for (uint64_t i = 0; i < count; i++) {
		uint64_t sum = load->sums.sums[(page + i) % DISK_GROUP];

		if (shm_disk_sum(to + (i << DISK_PAGE_SHIFT), load->heap->header.meta.heap_id, page + i) !=
		    sum)
			return fail(load, SHM_DISK_CHECKSUM, (page + i) << DISK_PAGE_SHIFT);
		load->total += sum;
	}
	load->pages += count;
	return 0;
}

static int load_group(struct load *load, uint64_t first)
{
	uint64_t end = MIN(DISK_GROUP, load->end - first), most = SCRATCH >> DISK_PAGE_SHIFT;
	int r = shm_disk_sums_turn(&load->sums, load->heap, first, load->trouble);

	for (uint64_t i = 0; i < end && r == 0;) {
		uint64_t run = 0;

		while (i + run < end && run < most && load->sums.sums[i + run])
			run++;
		if (run)
			r = load_run(load, first + i, run);
		i += MAX(run, UINT64_C(1));
	}
	return r;
}

static int load_all(struct load *load)
{
	const struct shm_disk_io *io = load->heap->io;
	uint64_t first = 0;

	while (first < load->end) {
		int64_t data = io->seek_data(io->context, load->heap->fd, shm_disk_sums_at(first));
		int r;

		if (data < 0)
			break;
		first = ((uint64_t)data - DISK_GROUPS_AT) / DISK_GROUP_BYTES << DISK_GROUP_SHIFT;
		if (first >= load->end)
			break;
		r = load_group(load, first);
		if (r < 0)
			return r;
		first += DISK_GROUP;
		if (load->progress && load->progress(load->arg, load->pages, load->heap->header.pages))
			return fail(load, SHM_DISK_STOPPED, 0);
	}
	if (load->pages != load->heap->header.pages || load->total != load->heap->header.total)
		return fail(load, SHM_DISK_TOTAL, 0);
	return 0;
}

static int load(struct shm_disk_heap *heap, void *base, uint64_t size, shm_disk_progress *progress, void *arg,
		struct shm_disk_trouble *trouble)
{
	_cleanup_(freep) struct load *load = calloc(1, sizeof(*load));
	_cleanup_(freep) uint8_t *scratch = base ? NULL : malloc(SCRATCH);

	if (!load || (!base && !scratch))
		return shm_disk_fail(trouble, SHM_DISK_MEMORY, 0, heap->header.meta.heap_id, 0);
	if (heap->busy || heap->pending)
		return shm_disk_fail(trouble, SHM_DISK_MISUSED, 0, heap->header.meta.heap_id, 0); /* cppcheck-suppress memleak; _cleanup_ frees it */
	load->heap = heap;
	load->base = base;
	load->scratch = scratch;
	load->size = size;
	load->end = heap->header.meta.segment_size >> DISK_PAGE_SHIFT;
	load->progress = progress;
	load->arg = arg;
	load->trouble = trouble;
	load->sums.group = UINT64_MAX;
	return load_all(load);
}

int shm_disk_load(struct shm_disk_heap *heap, void *base, uint64_t size, shm_disk_progress *progress,
		  void *arg, struct shm_disk_trouble *trouble)
{
	return base ? load(heap, base, size, progress, arg, trouble)
		    : shm_disk_fail(trouble, SHM_DISK_MISUSED, 0, heap->header.meta.heap_id, 0);
}

int shm_disk_verify(struct shm_disk_heap *heap, shm_disk_progress *progress, void *arg,
		    struct shm_disk_trouble *trouble)
{
	return load(heap, NULL, 0, progress, arg, trouble);
}
