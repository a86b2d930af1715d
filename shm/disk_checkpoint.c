/*
 * disk_checkpoint.c: from begin to settle.
 *
 * Pages go to the journal in batches, each of one heap. What the header will say (number of pages, total of sums) is
 * brought forward page by page, for which the sums in the file are read: those of the checkpoint before, since nothing is in place
 * yet. Room in the files is reserved before the commit record is written, so that a full disk is met while it can still
 * be refused.
 */
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include <xxhash.h>

#include "shm/disk_internal.h"

#define RESERVE_STEP DISK_JOURNAL_KEEP

enum checkpoint_state { CHECKPOINT_OPEN, CHECKPOINT_FAILED, CHECKPOINT_EMPTY, CHECKPOINT_COMMITTED };

struct member {
	struct shm_disk_heap *heap;
	struct disk_header header; /* that it will have */
	struct disk_sums sums;	   /* as they are */
	uint64_t next;		   /* the lowest page that may be added yet */
	bool changed;
	uint32_t part;		     /* its number in the journal, once changed */
	uint64_t room_at, room_size; /* bytes of the file to be reserved; size 0: none */
};

struct shm_disk_checkpoint {
	const struct shm_disk_io *io;
	struct shm_disk *disk;	      /* NULL: of a handed-over file */
	struct disk_journal *journal; /* NULL: nothing was added yet */
	enum checkpoint_state state;
	uint32_t parts;
	XXH3_state_t *digest;	     /* of blocks and headers in the journal */
	struct journal_block *block; /* the batch being filled; its pages are behind it */
	uint32_t stored;	     /* pages there */
	size_t count;
	struct member members[];
};

static const uint8_t zeros[DISK_PAGE];

/* ---- begin ---- */

static bool may_begin(struct shm_disk_heap *const *heaps, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (heaps[i]->busy || heaps[i]->disk != heaps[0]->disk || (!heaps[i]->disk && count > 1))
			return false;
		for (size_t k = 0; k < i; k++)
			if (heaps[k] == heaps[i])
				return false;
	}
	return count > 0 && count <= UINT32_MAX;
}

static struct shm_disk_checkpoint *checkpoint_new(struct shm_disk_heap *const *heaps, size_t count)
{
	struct shm_disk_checkpoint *checkpoint =
		calloc(1, sizeof(*checkpoint) + count * sizeof(checkpoint->members[0]));

	if (!checkpoint)
		return NULL;
	checkpoint->io = heaps[0]->io;
	checkpoint->disk = heaps[0]->disk;
	checkpoint->block = malloc(DISK_BATCH_BYTES);
	checkpoint->digest = XXH3_createState();
	if (!checkpoint->block || !checkpoint->digest) {
		free(checkpoint->block);
		(void)XXH3_freeState(checkpoint->digest);
		free(checkpoint);
		return NULL;
	}
	checkpoint->count = count;
	for (size_t i = 0; i < count; i++) {
		checkpoint->members[i].heap = heaps[i];
		checkpoint->members[i].header = heaps[i]->header;
		checkpoint->members[i].sums.group = UINT64_MAX;
		heaps[i]->busy = true;
	}
	return checkpoint;
}

int shm_disk_begin(struct shm_disk_heap *const *heaps, size_t count, struct shm_disk_checkpoint **_checkpoint,
		   struct shm_disk_trouble *trouble)
{
	if (!may_begin(heaps, count))
		return shm_disk_fail(trouble, SHM_DISK_MISUSED, 0, NULL, 0);
	for (size_t i = 0; i < count; i++) {
		int r = shm_disk_heap_settle(heaps[i], trouble);

		if (r == 0)
			r = shm_disk_heap_look(heaps[i], trouble);
		if (r < 0)
			return r;
	}
	*_checkpoint = checkpoint_new(heaps, count);
	return *_checkpoint ? 0 : shm_disk_fail(trouble, SHM_DISK_MEMORY, 0, NULL, 0);
}

/* ---- writing the journal ---- */

/* Makes sure that there is room for it first. Journals are told of without a heap: they are those of several. */
static int append(struct shm_disk_checkpoint *checkpoint, const void *data, size_t size,
		  struct shm_disk_trouble *trouble)
{
	const struct shm_disk_io *io = checkpoint->io;
	struct disk_journal *journal = checkpoint->journal;
	uint64_t end = journal->end + size;
	int r;

	while (journal->reserved < end) {
		r = io->reserve(io->context, journal->fd, journal->at + journal->reserved, RESERVE_STEP);
		if (r < 0 && r != -EOPNOTSUPP)
			return shm_disk_fail_errno(trouble, SHM_DISK_WRITE, r, NULL,
						   journal->at + journal->reserved);
		journal->reserved += RESERVE_STEP;
	}
	r = io->write(io->context, journal->fd, data, size, journal->at + journal->end);
	if (r < 0)
		return shm_disk_fail_errno(trouble, SHM_DISK_WRITE, r, NULL, journal->at + journal->end);
	journal->end = end;
	return 0;
}

/* Fills in what each block has in common. */
static void seal(struct shm_disk_checkpoint *checkpoint, struct journal_block *block, enum journal_kind kind)
{
	block->magic = JOURNAL_MAGIC;
	block->version = DISK_VERSION;
	block->kind = kind;
	memcpy(block->id, checkpoint->journal->id, sizeof(block->id));
	block->number = checkpoint->journal->batches;
	block->sum = shm_disk_block_sum(block, offsetof(struct journal_block, sum));
}

static int start_journal(struct shm_disk_checkpoint *checkpoint, struct shm_disk_trouble *trouble)
{
	struct journal_block *block = checkpoint->block;
	int r;

	if (checkpoint->journal)
		return 0;
	if (checkpoint->disk)
		r = shm_disk_journal_get(checkpoint->disk, &checkpoint->journal, trouble);
	else
		r = (checkpoint->journal = &checkpoint->members[0].heap->own, 0);
	if (r < 0)
		return r;
	checkpoint->journal->state = JOURNAL_WRITING;
	if (getrandom(checkpoint->journal->id, sizeof(checkpoint->journal->id), 0) !=
	    sizeof(checkpoint->journal->id))
		return shm_disk_fail(trouble, SHM_DISK_MEMORY, errno, NULL, 0);
	memset(block, 0, sizeof(*block));
	seal(checkpoint, block, JOURNAL_HEAD);
	(void)XXH3_64bits_reset(checkpoint->digest);
	(void)XXH3_64bits_update(checkpoint->digest, block, sizeof(*block));
	r = append(checkpoint, block, sizeof(*block), trouble);
	memset(block, 0, sizeof(*block));
	return r;
}

/* Writes the batch, if there is one, and begins a new one. */
static int flush_batch(struct shm_disk_checkpoint *checkpoint, struct shm_disk_trouble *trouble)
{
	struct journal_block *block = checkpoint->block;
	int r;

	if (!checkpoint->journal || block->count == 0)
		return 0;
	seal(checkpoint, block, JOURNAL_BATCH);
	(void)XXH3_64bits_update(checkpoint->digest, block, sizeof(*block));
	r = append(checkpoint, block, (1 + checkpoint->stored) * DISK_PAGE, trouble);
	checkpoint->journal->batches++;
	checkpoint->stored = 0;
	memset(block, 0, sizeof(*block));
	return r;
}

static int note_change(struct shm_disk_checkpoint *checkpoint, struct member *member,
		       struct shm_disk_trouble *trouble)
{
	if (!member->changed) {
		member->changed = true;
		member->part = checkpoint->parts++;
	}
	return start_journal(checkpoint, trouble);
}

/* ---- adding ---- */

static int flush_room(struct member *member, struct shm_disk_trouble *trouble)
{
	struct shm_disk_heap *heap = member->heap;
	int r;

	if (!member->room_size)
		return 0;
	r = heap->io->reserve(heap->io->context, heap->fd, member->room_at, member->room_size);
	if (r < 0 && r != -EOPNOTSUPP)
		return shm_disk_fail_errno(trouble, SHM_DISK_WRITE, r, heap->header.meta.heap_id,
					   member->room_at);
	member->room_size = 0;
	return 0;
}

static int want_room(struct member *member, uint64_t at, struct shm_disk_trouble *trouble)
{
	int r = 0;

	if (member->room_size && at == member->room_at + member->room_size) {
		member->room_size += DISK_PAGE;
		return 0;
	}
	r = flush_room(member, trouble);
	member->room_at = at;
	member->room_size = DISK_PAGE;
	return r;
}

static bool is_empty(const struct disk_sums *sums)
{
	return memcmp(sums->sums, zeros, sizeof(sums->sums)) == 0;
}

/* The page's sum becomes `sum`: what that means for the header, and for the room in the file. */
static int count_page(struct member *member, uint64_t page, uint64_t sum, uint64_t old,
		      struct shm_disk_trouble *trouble)
{
	struct disk_header *header = &member->header;
	int r = 0;

	header->pages += (uint64_t)(sum != 0) - (uint64_t)(old != 0);
	header->total += sum - old;
	if (sum)
		header->pages_end = MAX(header->pages_end, page + 1);
	if (sum && !old && is_empty(&member->sums) && member->next <= align_down(page, DISK_GROUP))
		r = want_room(member, shm_disk_sums_at(page), trouble);
	if (r == 0 && sum && !old)
		r = want_room(member, shm_disk_page_at(page), trouble);
	return r;
}

static int add_page(struct shm_disk_checkpoint *checkpoint, struct member *member, uint64_t page,
		    const uint8_t *data, struct shm_disk_trouble *trouble)
{
	struct journal_block *block = checkpoint->block;
	uint64_t sum = memcmp(data, zeros, DISK_PAGE) ? shm_disk_sum(data, member->header.meta.heap_id, page)
						      : 0,
		 old;
	int r = shm_disk_sums_turn(&member->sums, member->heap, page, trouble);

	if (r < 0)
		return r;
	old = member->sums.sums[page % DISK_GROUP];
	if (!sum && !old)
		return 0;
	r = note_change(checkpoint, member, trouble);
	if (r == 0)
		r = count_page(member, page, sum, old, trouble);
	if (r == 0 && block->count && (block->count == JOURNAL_ENTRIES || block->heap != member->part))
		r = flush_batch(checkpoint, trouble);
	if (r < 0)
		return r;
	block->heap = member->part;
	memcpy(block->heap_id, member->header.meta.heap_id, sizeof(block->heap_id));
	block->entries[block->count++] = (struct journal_entry){.page = page, .sum = sum};
	if (sum)
		memcpy((uint8_t *)(block + 1) + checkpoint->stored++ * DISK_PAGE, data, DISK_PAGE);
	return 0;
}

/* NULL: zeros */
static int add_pages(struct shm_disk_checkpoint *checkpoint, size_t which, uint64_t offset,
		     const uint8_t *data, uint64_t size, struct shm_disk_trouble *trouble)
{
	struct member *member = which < checkpoint->count ? &checkpoint->members[which] : NULL;
	uint64_t page = offset >> DISK_PAGE_SHIFT, end;
	int r = 0;

	if (!member || checkpoint->state != CHECKPOINT_OPEN || offset % DISK_PAGE || size % DISK_PAGE ||
	    page < member->next || ADD_OVERFLOWS(offset, size, &end) ||
	    end > member->header.meta.segment_size) {
		checkpoint->state = CHECKPOINT_FAILED;
		return shm_disk_fail(trouble, SHM_DISK_MISUSED, 0, NULL, offset);
	}
	for (uint64_t i = 0; i < size >> DISK_PAGE_SHIFT && r == 0; i++) {
		r = add_page(checkpoint, member, page + i, data ? data + (i << DISK_PAGE_SHIFT) : zeros,
			     trouble);
		member->next = page + i + 1;
	}
	if (r < 0)
		checkpoint->state = CHECKPOINT_FAILED;
	return r;
}

int shm_disk_add(struct shm_disk_checkpoint *checkpoint, size_t which, uint64_t offset, const void *data,
		 uint64_t size, struct shm_disk_trouble *trouble)
{
	return add_pages(checkpoint, which, offset, data, size, trouble);
}

int shm_disk_add_zero(struct shm_disk_checkpoint *checkpoint, size_t which, uint64_t offset, uint64_t size,
		      struct shm_disk_trouble *trouble)
{
	return add_pages(checkpoint, which, offset, NULL, size, trouble);
}

int shm_disk_checkpoint_meta(struct shm_disk_checkpoint *checkpoint, size_t which,
			     const struct disk_meta *meta, struct shm_disk_trouble *trouble)
{
	struct member *member = which < checkpoint->count ? &checkpoint->members[which] : NULL;
	int r;

	if (!member || checkpoint->state != CHECKPOINT_OPEN ||
	    !shm_disk_meta_may_become(&member->header.meta, meta))
		return shm_disk_fail(trouble, SHM_DISK_MISUSED, 0, NULL, 0);
	if (memcmp(&member->header.meta, meta, sizeof(*meta)) == 0)
		return 0;
	r = note_change(checkpoint, member, trouble);
	if (r < 0)
		checkpoint->state = CHECKPOINT_FAILED;
	else
		member->header.meta = *meta;
	return r;
}

/* ---- commit ---- */

static uint64_t now(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_REALTIME, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Everything that may fail without harm comes before the journal can be taken for whole. */
static int prepare(struct shm_disk_checkpoint *checkpoint, struct shm_disk_trouble *trouble)
{
	struct disk_journal *journal = checkpoint->journal;
	int r = flush_batch(checkpoint, trouble);

	journal->parts = calloc(checkpoint->parts, sizeof(*journal->parts));
	if (!journal->parts)
		return shm_disk_fail(trouble, SHM_DISK_MEMORY, 0, NULL, 0);
	journal->count = checkpoint->parts;
	for (size_t i = 0; i < checkpoint->count && r == 0; i++) {
		struct member *member = &checkpoint->members[i];

		if (!member->changed)
			continue;
		r = flush_room(member, trouble);
		if (r == 0)
			r = shm_disk_header_confirm(member->heap, trouble);
		member->header.checkpoint++;
		member->header.checkpoint_time = now();
		member->header.sequence = ++member->heap->sequence;
		shm_disk_header_seal(&member->header);
		journal->parts[member->part].header = member->header;
	}
	for (size_t i = 0; i < journal->count && r == 0; i++) {
		const struct disk_header *header = &journal->parts[i].header;

		(void)XXH3_64bits_update(checkpoint->digest, header, sizeof(*header));
		r = append(checkpoint, header, sizeof(*header), trouble);
	}
	return r;
}

static int write_commit(struct shm_disk_checkpoint *checkpoint, struct shm_disk_trouble *trouble)
{
	struct journal_block *block = checkpoint->block;
	struct disk_journal *journal = checkpoint->journal;
	int r;

	memset(block, 0, sizeof(*block));
	block->count = checkpoint->parts;
	block->digest = XXH3_64bits_digest(checkpoint->digest);
	seal(checkpoint, block, JOURNAL_COMMIT);
	journal->state = JOURNAL_SUSPECT;
	r = append(checkpoint, block, sizeof(*block), trouble);
	if (r < 0)
		return r;
	r = journal->io->sync(journal->io->context, journal->fd);
	if (r < 0)
		return shm_disk_fail_errno(trouble, SHM_DISK_SYNC, r, NULL, 0);
	journal->state = JOURNAL_COMMITTED;
	journal->confirmed = true;
	return 0;
}

int shm_disk_commit(struct shm_disk_checkpoint *checkpoint, struct shm_disk_trouble *trouble)
{
	int r;

	if (checkpoint->state != CHECKPOINT_OPEN)
		return shm_disk_fail(trouble, SHM_DISK_MISUSED, 0, NULL, 0);
	if (!checkpoint->parts) {
		checkpoint->state = CHECKPOINT_EMPTY;
		return 0;
	}
	checkpoint->state = CHECKPOINT_FAILED;
	r = prepare(checkpoint, trouble);
	if (r == 0)
		r = write_commit(checkpoint, trouble);
	if (r < 0)
		return r;
	for (size_t i = 0; i < checkpoint->count; i++) {
		struct member *member = &checkpoint->members[i];

		if (member->changed) {
			member->heap->header = member->header;
			member->heap->pending = true;
		}
	}
	checkpoint->state = CHECKPOINT_COMMITTED;
	return 0;
}

/* ---- the end ---- */

int shm_disk_settle(struct shm_disk_checkpoint *checkpoint, struct shm_disk_trouble *trouble)
{
	int r = 0;

	if (checkpoint->state == CHECKPOINT_COMMITTED)
		r = shm_disk_journal_apply(checkpoint->journal, checkpoint->disk,
					   checkpoint->disk ? NULL : checkpoint->members[0].heap, trouble);
	shm_disk_abort(checkpoint);
	return r;
}

void shm_disk_abort(struct shm_disk_checkpoint *checkpoint)
{
	if (!checkpoint)
		return;
	if (checkpoint->journal && checkpoint->journal->state == JOURNAL_WRITING)
		shm_disk_journal_retire(checkpoint->journal,
					shm_disk_file_end(&checkpoint->members[0].heap->header));
	for (size_t i = 0; i < checkpoint->count; i++)
		checkpoint->members[i].heap->busy = false;
	(void)XXH3_freeState(checkpoint->digest);
	free(checkpoint->block);
	free(checkpoint);
}
