/* disk_heap.c: one file: made, opened, changed, dropped. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "shm/disk_internal.h"

void shm_disk_name(const uint8_t heap_id[16], const char *suffix, char name[static DISK_NAME_SIZE])
{
	for (int i = 0; i < 16; i++)
		(void)snprintf(name + i * 2, 3, "%02x", heap_id[i]);
	(void)snprintf(name + 32, DISK_NAME_SIZE - 32, "%s", suffix);
}

static struct shm_disk_heap *heap_new(struct shm_disk *disk, const struct shm_disk_io *io, int fd)
{
	struct shm_disk_heap *heap = calloc(1, sizeof(*heap));

	if (!heap)
		return NULL;
	heap->io = io;
	heap->fd = fd;
	heap->disk = disk;
	if (disk) {
		heap->next = disk->heaps;
		disk->heaps = heap;
	}
	heap->own.io = io;
	heap->own.fd = fd;
	return heap;
}

void shm_disk_heap_close(struct shm_disk_heap *heap)
{
	if (!heap)
		return;
	assert(!heap->busy);
	if (heap->disk) {
		struct shm_disk_heap **place = &heap->disk->heaps;

		while (*place != heap)
			place = &(*place)->next;
		*place = heap->next;
	}
	shm_disk_journal_reset(&heap->own);
	heap->io->close(heap->io->context, heap->fd);
	free(heap);
}

int shm_disk_heap_sync(struct shm_disk_heap *heap, struct shm_disk_trouble *trouble)
{
	int r = heap->io->sync(heap->io->context, heap->fd);

	return r < 0 ? shm_disk_fail_errno(trouble, SHM_DISK_SYNC, r, heap->header.meta.heap_id, 0) : 0;
}

/* What kind of file that is, and how long. */
static int look_at(struct shm_disk_heap *heap, const uint8_t *heap_id, struct shm_disk_trouble *trouble)
{
	int r = heap->io->status(heap->io->context, heap->fd, &heap->status);

	if (r < 0)
		return shm_disk_fail_errno(trouble, SHM_DISK_READ, r, heap_id, 0);
	if (!heap->status.regular)
		return shm_disk_fail(trouble, SHM_DISK_FOREIGN, 0, heap_id, 0);
	return 0;
}

static int read_header(struct shm_disk_heap *heap, const uint8_t *heap_id, struct shm_disk_trouble *trouble)
{
	int r = look_at(heap, heap_id, trouble);

	if (r == 0)
		r = shm_disk_header_read(heap->io, heap->fd, heap_id, &heap->header, &heap->copy, trouble);
	if (r < 0)
		return r;
	heap->sequence = heap->header.sequence;
	return 0;
}

/* Once its journal has been done: a header may be there before the pages that it speaks of. */
static int check_length(struct shm_disk_heap *heap, struct shm_disk_trouble *trouble)
{
	int r = look_at(heap, heap->header.meta.heap_id, trouble);

	if (r == 0 && heap->status.size < shm_disk_file_end(&heap->header))
		r = shm_disk_fail(trouble, SHM_DISK_TRUNCATED, 0, heap->header.meta.heap_id, 0);
	return r;
}

int shm_disk_heap_open_raw(struct shm_disk *disk, const uint8_t heap_id[16], struct shm_disk_heap **_heap,
			   struct shm_disk_trouble *trouble)
{
	const struct shm_disk_io *io = disk->io;
	_cleanup_(shm_disk_heap_closep) struct shm_disk_heap *heap = NULL;
	int flags = O_NOFOLLOW | O_NONBLOCK, read_only = 0, fd, r;
	char name[DISK_NAME_SIZE];

	shm_disk_name(heap_id, DISK_SUFFIX, name);
	fd = io->open(io->context, disk->folder, name, O_RDWR | flags, 0);
	if (fd == -EROFS || fd == -EACCES) {
		read_only = -fd;
		fd = io->open(io->context, disk->folder, name, O_RDONLY | flags, 0);
	}
	if (fd == -ELOOP || fd == -EISDIR)
		return shm_disk_fail(trouble, SHM_DISK_FOREIGN, -fd, heap_id, 0);
	if (fd < 0)
		return shm_disk_fail_errno(trouble, SHM_DISK_READ, fd, heap_id, 0);
	heap = heap_new(disk, io, fd);
	if (!heap) {
		io->close(io->context, fd);
		return shm_disk_fail(trouble, SHM_DISK_MEMORY, 0, heap_id, 0);
	}
	heap->read_only = read_only;
	r = read_header(heap, heap_id, trouble);
	if (r == 0 && heap->header.journal_at) /* a file that was handed over, put here by somebody */
		r = shm_disk_fail(trouble, SHM_DISK_REPLACED, 0, heap_id, 0);
	if (r < 0)
		return r;
	*_heap = steal_pointer(&heap);
	return 0;
}

/* The journals that have a part of this heap: at most one is committed, and any number may be suspect. */
int shm_disk_heap_settle(struct shm_disk_heap *heap, struct shm_disk_trouble *trouble)
{
	struct disk_journal *journal = heap->disk ? heap->disk->journals : &heap->own;
	int r = 0;

	if (heap->read_only)
		return shm_disk_fail_errno(trouble, SHM_DISK_READ_ONLY, -heap->read_only,
					   heap->header.meta.heap_id, 0);
	for (; journal && r == 0; journal = journal->next) {
		if (!shm_disk_journal_has(journal, heap->header.meta.heap_id))
			continue;
		if (journal->state == JOURNAL_COMMITTED)
			r = shm_disk_journal_apply(journal, heap->disk, heap->disk ? NULL : heap, trouble);
		else if (journal->state == JOURNAL_SUSPECT)
			r = shm_disk_journal_void(journal, trouble);
	}
	return r;
}

static bool is_pending(const struct shm_disk *disk, const uint8_t heap_id[16])
{
	for (const struct disk_journal *journal = disk->journals; journal; journal = journal->next)
		if (journal->state == JOURNAL_COMMITTED && shm_disk_journal_has(journal, heap_id))
			return true;
	return false;
}

int shm_disk_heap_open(struct shm_disk *disk, const uint8_t heap_id[16], struct shm_disk_heap **_heap,
		       struct shm_disk_trouble *trouble)
{
	_cleanup_(shm_disk_heap_closep) struct shm_disk_heap *heap = NULL;
	int r = shm_disk_heap_open_raw(disk, heap_id, &heap, trouble);

	if (r == 0 && is_pending(disk, heap_id))
		r = shm_disk_heap_settle(heap, trouble);
	if (r == 0)
		r = check_length(heap, trouble);
	if (r < 0)
		return r;
	*_heap = steal_pointer(&heap);
	return 0;
}

/* Both copies are the same, so that from the start there are two. */
static int write_first(struct shm_disk_heap *heap, const struct disk_meta *meta, bool own_journal,
		       struct shm_disk_trouble *trouble)
{
	struct disk_header *header = &heap->header;
	int r;

	memset(header, 0, sizeof(*header));
	header->meta = *meta;
	header->journal_at = own_journal ? shm_disk_journal_at(meta) : 0;
	header->sequence = heap->sequence = 1;
	if (getrandom(&header->file, sizeof(header->file), 0) != sizeof(header->file))
		return shm_disk_fail(trouble, SHM_DISK_MEMORY, errno, meta->heap_id, 0);
	header->file |= 1;
	shm_disk_header_seal(header);
	for (unsigned copy = 0; copy < 2; copy++) {
		r = heap->io->write(heap->io->context, heap->fd, header, sizeof(*header), copy * DISK_PAGE);
		if (r < 0)
			return shm_disk_fail_errno(trouble, SHM_DISK_WRITE, r, meta->heap_id,
						   copy * DISK_PAGE);
	}
	r = shm_disk_heap_sync(heap, trouble);
	if (r < 0)
		return r;
	heap->confirmed = true;
	return look_at(heap, meta->heap_id, trouble);
}

/* The heap has its file, which has its first name. */
static int create(struct shm_disk_heap *heap, const struct disk_meta *meta, const char *first,
		  const char *name, struct shm_disk_trouble *trouble)
{
	const struct shm_disk_io *io = heap->io;
	int folder = heap->disk->folder, r = write_first(heap, meta, false, trouble);

	if (r < 0)
		return r;
	r = io->rename(io->context, folder, first, name);
	if (r < 0)
		return shm_disk_fail_errno(trouble, SHM_DISK_WRITE, r, meta->heap_id, 0);
	r = io->sync(io->context, folder);
	if (r < 0) {
		(void)io->remove(io->context, folder, name);
		return shm_disk_fail_errno(trouble, SHM_DISK_SYNC, r, meta->heap_id, 0);
	}
	return 0;
}

int shm_disk_heap_create(struct shm_disk *disk, const struct disk_meta *meta, struct shm_disk_heap **_heap,
			 struct shm_disk_trouble *trouble)
{
	const struct shm_disk_io *io = disk->io;
	_cleanup_(shm_disk_heap_closep) struct shm_disk_heap *heap = NULL;
	char first[DISK_NAME_SIZE], name[DISK_NAME_SIZE];
	struct shm_disk_status status;
	int fd, r;

	if (!shm_disk_meta_valid(meta))
		return shm_disk_fail(trouble, SHM_DISK_MISUSED, 0, meta->heap_id, 0);
	shm_disk_name(meta->heap_id, DISK_SUFFIX_NEW, first);
	shm_disk_name(meta->heap_id, DISK_SUFFIX, name);
	if (io->status_of(io->context, disk->folder, name, &status) == 0)
		return shm_disk_fail(trouble, SHM_DISK_TAKEN, 0, meta->heap_id, 0);
	(void)io->remove(io->context, disk->folder, first); /* of a creation that failed */
	fd = io->open(io->context, disk->folder, first, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (fd < 0)
		return shm_disk_fail_errno(trouble, SHM_DISK_WRITE, fd, meta->heap_id, 0);
	heap = heap_new(disk, io, fd);
	if (!heap) {
		io->close(io->context, fd);
		r = shm_disk_fail(trouble, SHM_DISK_MEMORY, 0, meta->heap_id, 0);
	} else {
		r = create(heap, meta, first, name, trouble);
	}
	if (r < 0) {
		(void)io->remove(io->context, disk->folder, first);
		return r;
	}
	*_heap = steal_pointer(&heap);
	return 0;
}

static int hand_over_take(int fd, const struct shm_disk_io *io, struct shm_disk_heap **_heap,
			  struct shm_disk_trouble *trouble)
{
	_cleanup_(shm_disk_heap_closep) struct shm_disk_heap *heap = heap_new(NULL, io, fd);
	int r;

	if (!heap) {
		io->close(io->context, fd);
		return shm_disk_fail(trouble, SHM_DISK_MEMORY, 0, NULL, 0);
	}
	r = look_at(heap, NULL, trouble);
	if (r < 0)
		return r;
	r = io->lock(io->context, fd);
	if (r == -EBADF) /* not open for writing: to be read only, then */
		heap->read_only = EROFS;
	else if (r == -EAGAIN)
		return shm_disk_fail(trouble, SHM_DISK_LOCKED, 0, NULL, 0);
	else if (r < 0)
		return shm_disk_fail_errno(trouble, SHM_DISK_WRITE, r, NULL, 0);
	*_heap = steal_pointer(&heap);
	return 0;
}

int shm_disk_file_create_take(int fd, const struct shm_disk_io *io, const struct disk_meta *meta,
			      struct shm_disk_heap **_heap, struct shm_disk_trouble *trouble)
{
	_cleanup_(shm_disk_heap_closep) struct shm_disk_heap *heap = NULL;
	int r;

	io = io ? io : &shm_disk_io_system;
	r = hand_over_take(fd, io, &heap, trouble);
	if (r < 0)
		return r;
	if (heap->read_only)
		return shm_disk_fail(trouble, SHM_DISK_READ_ONLY, 0, meta->heap_id, 0);
	if (!shm_disk_meta_valid(meta))
		return shm_disk_fail(trouble, SHM_DISK_MISUSED, 0, meta->heap_id, 0);
	r = io->truncate(io->context, heap->fd, 0);
	if (r < 0)
		return shm_disk_fail_errno(trouble, SHM_DISK_WRITE, r, meta->heap_id, 0);
	r = write_first(heap, meta, true, trouble);
	if (r < 0)
		return r;
	heap->own.at = heap->header.journal_at;
	*_heap = steal_pointer(&heap);
	return 0;
}

/* Its journal, if it has one, lies behind everything else. */
static int recover_own(struct shm_disk_heap *heap, struct shm_disk_trouble *trouble)
{
	struct disk_journal *journal = &heap->own;
	int r;

	journal->at = heap->header.journal_at;
	if (!journal->at || heap->status.size <= journal->at)
		return 0;
	r = shm_disk_journal_scan(journal, trouble);
	if (r < 0 || journal->state != JOURNAL_COMMITTED)
		return r;
	if (heap->read_only)
		return shm_disk_fail(trouble, SHM_DISK_READ_ONLY, heap->read_only, heap->header.meta.heap_id,
				     0);
	if (journal->count != 1 || !shm_disk_journal_has(journal, heap->header.meta.heap_id))
		return shm_disk_fail(trouble, SHM_DISK_HEADER, 0, heap->header.meta.heap_id, 0);
	return shm_disk_journal_apply(journal, NULL, heap, trouble);
}

int shm_disk_file_adopt_take(int fd, const struct shm_disk_io *io, struct shm_disk_heap **_heap,
			     struct shm_disk_trouble *trouble)
{
	_cleanup_(shm_disk_heap_closep) struct shm_disk_heap *heap = NULL;
	int r;

	io = io ? io : &shm_disk_io_system;
	r = hand_over_take(fd, io, &heap, trouble);
	if (r == 0)
		r = read_header(heap, NULL, trouble);
	if (r == 0)
		r = recover_own(heap, trouble);
	if (r == 0)
		r = check_length(heap, trouble);
	if (r < 0)
		return r;
	*_heap = steal_pointer(&heap);
	return 0;
}

const struct disk_meta *shm_disk_heap_meta(const struct shm_disk_heap *heap)
{
	return &heap->header.meta;
}

uint64_t shm_disk_heap_checkpoint(const struct shm_disk_heap *heap)
{
	return heap->header.checkpoint;
}

uint64_t shm_disk_heap_pages(const struct shm_disk_heap *heap)
{
	return heap->header.pages;
}

uint64_t shm_disk_heap_time(const struct shm_disk_heap *heap)
{
	return heap->header.checkpoint_time;
}

int shm_disk_heap_change(struct shm_disk_heap *heap, const struct disk_meta *meta,
			 struct shm_disk_trouble *trouble)
{
	struct disk_header header;
	unsigned copy;
	int r;

	if (heap->busy || !shm_disk_meta_may_become(&heap->header.meta, meta))
		return shm_disk_fail(trouble, SHM_DISK_MISUSED, 0, heap->header.meta.heap_id, 0);
	if (memcmp(&heap->header.meta, meta, sizeof(*meta)) == 0)
		return 0;
	r = shm_disk_heap_settle(heap, trouble);
	if (r < 0)
		return r;
	header = heap->header;
	header.meta = *meta;
	header.sequence = ++heap->sequence;
	shm_disk_header_seal(&header);
	r = shm_disk_header_write(heap, &header, &copy, trouble);
	if (r == 0)
		r = shm_disk_heap_sync(heap, trouble);
	if (r == 0)
		shm_disk_header_written(heap, &header, copy);
	return r;
}

int shm_disk_heap_drop(struct shm_disk_heap *heap, struct shm_disk_trouble *trouble)
{
	_cleanup_(shm_disk_heap_closep) struct shm_disk_heap *gone = heap;
	const struct shm_disk_io *io = heap->io;
	const uint8_t *id = heap->header.meta.heap_id;
	char name[DISK_NAME_SIZE];
	int r;

	if (!heap->disk)
		return 0;
	r = shm_disk_heap_look(heap, NULL);
	if (r == -ERROR_CONFLICT) /* another's file; ours is gone already */
		return 0;
	shm_disk_name(id, DISK_SUFFIX, name);
	r = io->remove(io->context, heap->disk->folder, name);
	if (r < 0 && r != -ENOENT)
		return shm_disk_fail_errno(trouble, SHM_DISK_WRITE, r, id, 0);
	r = io->sync(io->context, heap->disk->folder);
	return r < 0 ? shm_disk_fail_errno(trouble, SHM_DISK_SYNC, r, id, 0) : 0;
}

int shm_disk_heap_look(struct shm_disk_heap *heap, struct shm_disk_trouble *trouble)
{
	const struct shm_disk_io *io = heap->io;
	const uint8_t *id = heap->header.meta.heap_id;
	struct shm_disk_status status;
	char name[DISK_NAME_SIZE];
	int r;

	if (heap->disk) {
		shm_disk_name(id, DISK_SUFFIX, name);
		r = io->status_of(io->context, heap->disk->folder, name, &status);
		if (r < 0)
			return shm_disk_fail_errno(trouble, SHM_DISK_READ, r, id, 0);
		if (status.device != heap->status.device || status.inode != heap->status.inode)
			return shm_disk_fail(trouble, SHM_DISK_REPLACED, 0, id, 0);
	} else {
		r = io->status(io->context, heap->fd, &status);
		if (r < 0)
			return shm_disk_fail_errno(trouble, SHM_DISK_READ, r, id, 0);
	}
	/* What is committed but not settled may be longer than the file is yet. */
	if (!heap->pending && status.size < shm_disk_file_end(&heap->header))
		return shm_disk_fail(trouble, SHM_DISK_TRUNCATED, 0, id, 0);
	return 0;
}
