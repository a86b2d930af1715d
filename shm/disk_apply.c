/*
 * disk_apply.c: doing what a committed journal says: each page to its place, its sum to the sums of its group, at the end the
 * headers; a barrier for each file; and only then the journal is void.
 *
 * It may be cut off anywhere and done again from the start: it writes what the journal says, and reads nothing of a file
 * but sums of pages that the journal does not name.
 */
#include <fcntl.h>
#include <stdlib.h>

#include "shm/disk_internal.h"

int shm_disk_sums_flush(struct disk_sums *sums, struct shm_disk_heap *heap, struct shm_disk_trouble *trouble)
{
	uint64_t at = shm_disk_sums_at(sums->group << DISK_GROUP_SHIFT);
	int r;

	if (!sums->changed)
		return 0;
	r = heap->io->write(heap->io->context, heap->fd, sums->sums, sizeof(sums->sums), at);
	if (r < 0)
		return shm_disk_fail_errno(trouble, SHM_DISK_WRITE, r, heap->header.meta.heap_id, at);
	sums->changed = false;
	return 0;
}

int shm_disk_sums_turn(struct disk_sums *sums, struct shm_disk_heap *heap, uint64_t page,
		       struct shm_disk_trouble *trouble)
{
	uint64_t group = page >> DISK_GROUP_SHIFT, at = shm_disk_sums_at(page);
	int64_t n;
	int r;

	if (sums->group == group)
		return 0;
	r = shm_disk_sums_flush(sums, heap, trouble);
	if (r < 0)
		return r;
	sums->group = UINT64_MAX;
	n = heap->io->read(heap->io->context, heap->fd, sums->sums, sizeof(sums->sums), at);
	if (n < 0)
		return shm_disk_fail_errno(trouble, SHM_DISK_READ, (int)n, heap->header.meta.heap_id, at);
	memset((uint8_t *)sums->sums + n, 0, sizeof(sums->sums) - (size_t)n);
	sums->group = group;
	return 0;
}

/* A file that something is to be done to. */
struct target {
	struct shm_disk_heap *heap; /* NULL: nothing is */
	bool ours;		    /* opened for this only */
	struct disk_sums sums;
};

struct apply {
	struct disk_journal *journal;
	struct target *targets; /* one for each part */
	uint64_t at;
	struct shm_disk_trouble *trouble;
	struct journal_block block;
	uint8_t *pages; /* of a batch */
};

static struct shm_disk_heap *find_open(const struct shm_disk *disk, const uint8_t heap_id[16])
{
	struct shm_disk_heap *heap = disk->heaps;

	while (heap && memcmp(heap->header.meta.heap_id, heap_id, 16) != 0)
		heap = heap->next;
	return heap;
}

/*
 * Dropped; or damaged beyond what a journal can mend, or another file: nothing that others have to wait for. Opening it tells
 * its user.
 */
static bool is_lost(int r)
{
	return r == -ERROR_NOT_FOUND || r == -ERROR_MISMATCH || r == -ERROR_VERSION ||
	       r == -ERROR_UNSUPPORTED || r == -ERROR_CORRUPT || r == -ERROR_CONFLICT;
}

static int find_target(struct target *target, const struct disk_part *part, struct shm_disk *disk,
		       struct shm_disk_heap *only, struct shm_disk_trouble *trouble)
{
	const uint8_t *id = part->header.meta.heap_id;
	int r;

	target->sums.group = UINT64_MAX;
	if (part->overtaken)
		return 0;
	target->heap = disk ? find_open(disk, id) : only;
	if (!target->heap) {
		r = shm_disk_heap_open_raw(disk, id, &target->heap, trouble);
		if (is_lost(r))
			return 0;
		if (r < 0)
			return r;
		target->ours = true;
	}
	if (target->heap->header.file != part->header.file ||
	    target->heap->header.sequence > part->header.sequence) {
		if (target->ours)
			shm_disk_heap_close(target->heap);
		*target = (struct target){.sums.group = UINT64_MAX};
		return 0;
	}
	if (target->heap->read_only)
		return shm_disk_fail_errno(trouble, SHM_DISK_READ_ONLY, -target->heap->read_only, id, 0);
	return 0;
}

static int read_journal(struct apply *apply, void *data, size_t size)
{
	const struct disk_journal *journal = apply->journal;
	uint64_t at = journal->at + apply->at;
	int64_t n = journal->io->read(journal->io->context, journal->fd, data, size, at);

	if (n != (int64_t)size)
		return shm_disk_fail_errno(apply->trouble, SHM_DISK_READ, n < 0 ? (int)n : -EIO, NULL, at);
	apply->at += size;
	return 0;
}

/* A page that is not stored any more costs nothing, where the file system can do that. What it says of it does not matter. */
static void forget_page(struct shm_disk_heap *heap, uint64_t page)
{
	(void)heap->io->punch(heap->io->context, heap->fd, shm_disk_page_at(page), DISK_PAGE);
}

/* Pages that follow each other, in the journal and in the file, go there in one call. */
static int put_pages(struct apply *apply, struct target *target, const struct journal_entry *entries,
		     uint32_t count, const uint8_t *pages)
{
	struct shm_disk_heap *heap = target->heap;
	uint64_t at = shm_disk_page_at(entries[0].page);
	int r = heap->io->write(heap->io->context, heap->fd, pages, count * DISK_PAGE, at);

	return r < 0 ? shm_disk_fail_errno(apply->trouble, SHM_DISK_WRITE, r, heap->header.meta.heap_id, at)
		     : 0;
}

static uint32_t run_length(const struct journal_entry *entries, uint32_t count)
{
	uint32_t run = 1;

	while (run < count && entries[run].sum && entries[run].page == entries[0].page + run &&
	       entries[run].page % DISK_GROUP)
		run++;
	return run;
}

static int put_batch(struct apply *apply, struct target *target)
{
	const struct journal_block *block = &apply->block;
	const uint8_t *pages = apply->pages;

	for (uint32_t i = 0; i < block->count;) {
		const struct journal_entry *entry = &block->entries[i];
		uint32_t run = entry->sum ? run_length(entry, block->count - i) : 1;
		int r = shm_disk_sums_turn(&target->sums, target->heap, entry->page, apply->trouble);

		if (r == 0 && entry->sum)
			r = put_pages(apply, target, entry, run, pages);
		if (r < 0)
			return r;
		if (entry->sum)
			pages += run * DISK_PAGE;
		else
			forget_page(target->heap, entry->page);
		for (uint32_t k = 0; k < run; k++)
			target->sums.sums[entry[k].page % DISK_GROUP] = entry[k].sum;
		target->sums.changed = true;
		i += run;
	}
	return 0;
}

/* The scan has seen it whole, maybe long ago; a file that was handed over may have been written to since. */
static int check_batch(struct apply *apply)
{
	const struct journal_block *block = &apply->block;
	const struct disk_journal *journal = apply->journal;
	const struct disk_header *header;

	if (block->magic != JOURNAL_MAGIC || block->kind != JOURNAL_BATCH || block->count > JOURNAL_ENTRIES ||
	    block->heap >= journal->count || memcmp(block->id, journal->id, sizeof(block->id)) != 0)
		return -1;
	header = &journal->parts[block->heap].header;
	if (memcmp(block->heap_id, header->meta.heap_id, sizeof(block->heap_id)) != 0)
		return -1;
	for (uint32_t i = 0; i < block->count; i++)
		if (block->entries[i].page >= header->meta.segment_size >> DISK_PAGE_SHIFT)
			return -1;
	return 0;
}

static int apply_batch(struct apply *apply)
{
	struct target *target;
	uint32_t stored = 0;
	int r = read_journal(apply, &apply->block, sizeof(apply->block));

	if (r < 0)
		return r;
	if (check_batch(apply) < 0)
		return shm_disk_fail(apply->trouble, SHM_DISK_HEADER, 0, NULL, 0);
	for (uint32_t i = 0; i < apply->block.count; i++)
		stored += apply->block.entries[i].sum != 0;
	target = &apply->targets[apply->block.heap];
	if (!target->heap) {
		apply->at += stored * DISK_PAGE;
		return 0;
	}
	r = stored ? read_journal(apply, apply->pages, stored * DISK_PAGE) : 0;
	return r < 0 ? r : put_batch(apply, target);
}

/* Sums, header, barrier: then all of this file is on the disk. */
static int finish(struct target *target, const struct disk_header *header, struct shm_disk_trouble *trouble)
{
	struct shm_disk_heap *heap = target->heap;
	unsigned copy;
	int r = shm_disk_sums_flush(&target->sums, heap, trouble);

	if (r == 0)
		r = shm_disk_header_write(heap, header, &copy, trouble);
	if (r == 0)
		r = shm_disk_heap_sync(heap, trouble);
	if (r == 0) {
		shm_disk_header_written(heap, header, copy);
		heap->pending = false;
	}
	return r;
}

static int apply_all(struct apply *apply, struct shm_disk *disk, struct shm_disk_heap *only)
{
	struct disk_journal *journal = apply->journal;
	int r = 0;

	for (size_t i = 0; i < journal->count && r == 0; i++)
		r = find_target(&apply->targets[i], &journal->parts[i], disk, only, apply->trouble);
	apply->at = DISK_PAGE;
	for (uint64_t i = 0; i < journal->batches && r == 0; i++)
		r = apply_batch(apply);
	for (size_t i = 0; i < journal->count && r == 0; i++)
		if (apply->targets[i].heap)
			r = finish(&apply->targets[i], &journal->parts[i].header, apply->trouble);
	return r;
}

int shm_disk_journal_apply(struct disk_journal *journal, struct shm_disk *disk, struct shm_disk_heap *only,
			   struct shm_disk_trouble *trouble)
{
	_cleanup_(freep) struct apply *apply = calloc(1, sizeof(*apply));
	_cleanup_(freep) struct target *targets = calloc(journal->count, sizeof(*targets));
	_cleanup_(freep) uint8_t *pages = malloc(MIN(JOURNAL_ENTRIES * DISK_PAGE, journal->end));
	int r;

	if (!apply || !targets || !pages)
		return shm_disk_fail(trouble, SHM_DISK_MEMORY, 0, NULL, 0);
	apply->journal = journal;
	apply->targets = targets;
	apply->pages = pages;
	apply->trouble = trouble;
	r = journal->confirmed ? 0 : shm_disk_journal_confirm(journal, trouble);
	if (r == 0)
		r = apply_all(apply, disk, only);
	for (size_t i = 0; i < journal->count; i++)
		if (targets[i].ours && targets[i].heap)
			shm_disk_heap_close(targets[i].heap);
	if (r == 0)
		shm_disk_journal_retire(journal, only ? shm_disk_file_end(&only->header) : 0);
	return r;
}
