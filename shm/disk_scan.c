/*
 * disk_scan.c: is a journal whole? Everything in it is read, and compared with its sums, before anything is believed.
 *
 * It comes from a disk that may have lost any part of what was written last, or, at the end of a file that was handed over, from
 * somebody who wishes us ill: each number is checked, and the walk ends where the file does.
 */
#include <stdlib.h>

#include <xxhash.h>

#include "shm/disk_internal.h"

#define PARTS_MAX ((size_t)1 << 20)

struct walk {
	struct disk_journal *journal;
	uint64_t at; /* from the journal's beginning */
	XXH3_state_t *digest;
	uint64_t heaps; /* batches name heaps below this */
	struct shm_disk_trouble *trouble;
	struct journal_block block;
	uint8_t page[DISK_PAGE];
};

enum { WALK_BROKEN = 0, WALK_ON = 1, WALK_WHOLE = 2 }; /* or a negated code */

static int next(struct walk *walk, void *block)
{
	const struct disk_journal *journal = walk->journal;
	int64_t n = journal->io->read(journal->io->context, journal->fd, block, DISK_PAGE,
				      journal->at + walk->at);

	if (n < 0)
		return shm_disk_fail_errno(walk->trouble, SHM_DISK_READ, (int)n, NULL,
					   journal->at + walk->at);
	walk->at += DISK_PAGE;
	return n == (int64_t)DISK_PAGE ? WALK_ON : WALK_BROKEN;
}

/* A block of ours, as it was written, of this journal, in its place. */
static int check_block(struct walk *walk)
{
	const struct journal_block *block = &walk->block;

	if (block->magic != JOURNAL_MAGIC)
		return WALK_BROKEN;
	if (block->version > DISK_VERSION)
		return shm_disk_fail(walk->trouble, SHM_DISK_NEWER, 0, NULL, 0);
	if (block->sum != shm_disk_block_sum(block, offsetof(struct journal_block, sum)))
		return WALK_BROKEN;
	if (memcmp(block->id, walk->journal->id, sizeof(block->id)) != 0 ||
	    block->number != walk->journal->batches)
		return WALK_BROKEN;
	return WALK_ON;
}

static int read_batch(struct walk *walk)
{
	const struct journal_block *block = &walk->block;

	if (block->count == 0 || block->count > JOURNAL_ENTRIES)
		return WALK_BROKEN;
	for (uint32_t i = 0; i < block->count; i++) {
		const struct journal_entry *entry = &block->entries[i];
		int r;

		if (entry->page >= DISK_PAGES_MAX)
			return WALK_BROKEN;
		if (entry->sum == 0)
			continue;
		r = next(walk, walk->page);
		if (r != WALK_ON)
			return r;
		if (shm_disk_sum(walk->page, block->heap_id, entry->page) != entry->sum)
			return WALK_BROKEN;
	}
	walk->heaps = MAX(walk->heaps, (uint64_t)block->heap + 1);
	walk->journal->batches++;
	return WALK_ON;
}

static int read_header(struct walk *walk)
{
	struct disk_journal *journal = walk->journal;
	struct disk_part *parts;
	enum shm_disk_what what;
	struct disk_header header;

	memcpy(&header, &walk->block, sizeof(header));
	what = shm_disk_header_check(&header);
	if (what == SHM_DISK_NEWER || what == SHM_DISK_FEATURE || what == SHM_DISK_CONTENTS)
		return shm_disk_fail(walk->trouble, what, 0, NULL, 0);
	if (what != SHM_DISK_NONE || journal->count == PARTS_MAX)
		return WALK_BROKEN;
	parts = realloc(journal->parts, (journal->count + 1) * sizeof(*parts));
	if (!parts)
		return shm_disk_fail(walk->trouble, SHM_DISK_MEMORY, 0, NULL, 0);
	journal->parts = parts;
	parts[journal->count++] = (struct disk_part){.header = header};
	return WALK_ON;
}

static int read_one(struct walk *walk)
{
	int r = next(walk, &walk->block);

	if (r != WALK_ON)
		return r;
	if (walk->block.magic != JOURNAL_MAGIC) {
		r = read_header(walk);
	} else {
		r = check_block(walk);
		if (r == WALK_ON && walk->block.kind == JOURNAL_COMMIT) {
			if (walk->block.digest != XXH3_64bits_digest(walk->digest) ||
			    walk->journal->count == 0 || walk->block.count != walk->journal->count ||
			    walk->heaps > walk->journal->count)
				return WALK_BROKEN;
			return WALK_WHOLE;
		}
		/* No batch comes behind a header. */
		if (r == WALK_ON && (walk->block.kind != JOURNAL_BATCH || walk->journal->count))
			r = WALK_BROKEN;
		if (r == WALK_ON)
			r = read_batch(walk);
	}
	if (r == WALK_ON)
		(void)XXH3_64bits_update(walk->digest, &walk->block, sizeof(walk->block));
	return r;
}

static int read_head(struct walk *walk)
{
	int r = next(walk, &walk->block);

	if (r != WALK_ON)
		return r;
	memcpy(walk->journal->id, walk->block.id, sizeof(walk->journal->id));
	r = check_block(walk);
	if (r == WALK_ON && walk->block.kind != JOURNAL_HEAD)
		r = WALK_BROKEN;
	(void)XXH3_64bits_reset(walk->digest);
	(void)XXH3_64bits_update(walk->digest, &walk->block, sizeof(walk->block));
	return r;
}

int shm_disk_journal_scan(struct disk_journal *journal, struct shm_disk_trouble *trouble)
{
	_cleanup_(freep) struct walk *walk = calloc(1, sizeof(*walk));
	int r;

	shm_disk_journal_reset(journal);
	if (!walk)
		return shm_disk_fail(trouble, SHM_DISK_MEMORY, 0, NULL, 0);
	walk->journal = journal;
	walk->trouble = trouble;
	walk->digest = XXH3_createState();
	if (!walk->digest)
		return shm_disk_fail(trouble, SHM_DISK_MEMORY, 0, NULL, 0); /* cppcheck-suppress memleak; _cleanup_ frees it */
	r = read_head(walk);
	while (r == WALK_ON)
		r = read_one(walk);
	(void)XXH3_freeState(walk->digest);
	if (r != WALK_WHOLE) {
		shm_disk_journal_reset(journal);
		return r < 0 ? r : 0;
	}
	journal->end = walk->at;
	journal->state = JOURNAL_COMMITTED;
	return 0;
}

int shm_disk_journal_confirm(struct disk_journal *journal, struct shm_disk_trouble *trouble)
{
	const struct shm_disk_io *io = journal->io;
	_cleanup_(freep) uint8_t *buffer = malloc(MIN(DISK_BATCH_BYTES, journal->end));
	int r;

	if (!buffer)
		return shm_disk_fail(trouble, SHM_DISK_MEMORY, 0, NULL, 0);
	for (uint64_t at = 0; at < journal->end; at += DISK_BATCH_BYTES) {
		size_t size = MIN(DISK_BATCH_BYTES, journal->end - at);
		int64_t n = io->read(io->context, journal->fd, buffer, size, journal->at + at);

		if (n != (int64_t)size)
			return shm_disk_fail_errno(trouble, SHM_DISK_READ, n < 0 ? (int)n : -EIO, NULL,
						   journal->at + at);
		r = io->write(io->context, journal->fd, buffer, size, journal->at + at);
		if (r < 0)
			return shm_disk_fail_errno(trouble, SHM_DISK_WRITE, r, NULL, journal->at + at);
	}
	r = io->sync(io->context, journal->fd);
	if (r < 0)
		return shm_disk_fail_errno(trouble, SHM_DISK_SYNC, r, NULL, 0);
	journal->confirmed = true;
	return 0;
}
