/* disk_header.c: the two copies of a header: which counts, whether it makes sense, and where the next one goes. */
#include <stdlib.h>

#include "shm/disk_internal.h"

static const uint8_t magic[8] = DISK_MAGIC;
static const uint8_t zeros[256];

void shm_disk_header_seal(struct disk_header *header)
{
	memcpy(header->magic, magic, sizeof(magic));
	header->version = DISK_VERSION;
	header->header_size = sizeof(*header);
	header->sum = shm_disk_block_sum(header, offsetof(struct disk_header, sum));
}

bool shm_disk_meta_valid(const struct disk_meta *meta)
{
	if (memcmp(meta->heap_id, zeros, sizeof(meta->heap_id)) == 0)
		return false;
	if (meta->kind != DISK_HEAP && meta->kind != DISK_REGION)
		return false;
	if (meta->segment_size == 0 || meta->segment_size % DISK_PAGE ||
	    meta->segment_size > DISK_SEGMENT_MAX)
		return false;
	return meta->name_size <= DISK_NAME_MAX && meta->mode <= 0777;
}

bool shm_disk_meta_may_become(const struct disk_meta *old, const struct disk_meta *meta)
{
	return shm_disk_meta_valid(meta) && memcmp(old->heap_id, meta->heap_id, sizeof(old->heap_id)) == 0 &&
	       old->kind == meta->kind && old->segment_version == meta->segment_version &&
	       old->segment_size == meta->segment_size &&
	       memcmp(&old->params, &meta->params, sizeof(old->params)) == 0;
}

uint64_t shm_disk_file_end(const struct disk_header *header)
{
	return header->pages_end ? shm_disk_page_at(header->pages_end - 1) + DISK_PAGE : DISK_GROUPS_AT;
}

uint64_t shm_disk_journal_at(const struct disk_meta *meta)
{
	return shm_disk_sums_at(align_up(meta->segment_size >> DISK_PAGE_SHIFT, DISK_GROUP));
}

/* The first 16 bytes are looked at before the sum: they say whether there is one, and where. */
enum shm_disk_what shm_disk_header_check(const struct disk_header *header)
{
	const struct disk_meta *meta = &header->meta;

	if (memcmp(header->magic, magic, sizeof(magic)) != 0)
		return SHM_DISK_FOREIGN;
	if (header->version > DISK_VERSION)
		return SHM_DISK_NEWER;
	if (header->version == 0 || header->header_size != sizeof(*header) ||
	    header->sum != shm_disk_block_sum(header, offsetof(struct disk_header, sum)))
		return SHM_DISK_HEADER;
	if (header->features_required & ~DISK_FEATURES_KNOWN)
		return SHM_DISK_FEATURE;
	if (!shm_disk_meta_valid(meta) || header->pages_end > meta->segment_size >> DISK_PAGE_SHIFT ||
	    header->pages > header->pages_end || header->file == 0 ||
	    (header->journal_at && header->journal_at != shm_disk_journal_at(meta)))
		return SHM_DISK_HEADER;
	if (meta->segment_version > (meta->kind == DISK_HEAP ? SEGMENT_VERSION : 0))
		return SHM_DISK_CONTENTS;
	return SHM_DISK_NONE;
}

/*
 * Of two bad copies, which says more: one of a newer version or with a feature is a good one, only not for us; then one that is ours but
 * damaged. A newer version's header is nothing that a checkpoint of ours could have torn.
 */
static enum shm_disk_what worse(enum shm_disk_what a, enum shm_disk_what b)
{
	static const enum shm_disk_what order[] = {SHM_DISK_NEWER, SHM_DISK_FEATURE, SHM_DISK_CONTENTS,
						   SHM_DISK_HEADER, SHM_DISK_FOREIGN};

	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		if (a == order[i] || b == order[i])
			return order[i];
	return a;
}

static int choose(const struct disk_header copies[2], enum shm_disk_what *_what)
{
	enum shm_disk_what what[2] = {shm_disk_header_check(&copies[0]), shm_disk_header_check(&copies[1])};

	if (what[0] == SHM_DISK_NONE && what[1] == SHM_DISK_NONE)
		return copies[1].sequence > copies[0].sequence;
	if (what[0] == SHM_DISK_NONE || what[1] == SHM_DISK_NONE) {
		int good = what[1] == SHM_DISK_NONE;

		/* The other is torn, or it is from an emsd that knows more, and newer than the one that we understand. */
		if (what[!good] == SHM_DISK_HEADER || what[!good] == SHM_DISK_FOREIGN ||
		    copies[!good].sequence < copies[good].sequence)
			return good;
	}
	*_what = worse(what[0], what[1]);
	return -1;
}

int shm_disk_header_read(const struct shm_disk_io *io, int fd, const uint8_t *heap_id,
			 struct disk_header *header, unsigned *_copy, struct shm_disk_trouble *trouble)
{
	_cleanup_(freep) struct disk_header *copies = calloc(2, sizeof(*copies));
	enum shm_disk_what what = SHM_DISK_NONE;
	int64_t n;
	int best;

	if (!copies)
		return shm_disk_fail(trouble, SHM_DISK_MEMORY, 0, heap_id, 0);
	n = io->read(io->context, fd, copies, 2 * sizeof(*copies), 0);
	if (n < 0)
		return shm_disk_fail_errno(trouble, SHM_DISK_READ, (int)n, heap_id, 0);
	best = choose(copies, &what);
	if (best < 0) {
		/* A beginning of ours, with no room for a header. */
		if (what != SHM_DISK_NEWER && what != SHM_DISK_FOREIGN && n < (int64_t)sizeof(*copies))
			what = SHM_DISK_TRUNCATED;
		return shm_disk_fail(trouble, what, 0, heap_id, 0);
	}
	if (heap_id && memcmp(copies[best].meta.heap_id, heap_id, 16) != 0)
		return shm_disk_fail(trouble, SHM_DISK_REPLACED, 0, heap_id, 0);
	*header = copies[best];
	*_copy = (unsigned)best;
	return 0;
}

static int put(struct shm_disk_heap *heap, const struct disk_header *header, unsigned copy,
	       struct shm_disk_trouble *trouble)
{
	uint64_t at = copy * DISK_PAGE;
	int r = heap->io->write(heap->io->context, heap->fd, header, sizeof(*header), at);

	return r < 0 ? shm_disk_fail_errno(trouble, SHM_DISK_WRITE, r, heap->header.meta.heap_id, at) : 0;
}

int shm_disk_header_confirm(struct shm_disk_heap *heap, struct shm_disk_trouble *trouble)
{
	int r;

	if (heap->confirmed)
		return 0;
	r = put(heap, &heap->header, heap->copy, trouble);
	if (r == 0)
		r = shm_disk_heap_sync(heap, trouble);
	heap->confirmed = r == 0;
	return r;
}

int shm_disk_header_write(struct shm_disk_heap *heap, const struct disk_header *header, unsigned *_copy,
			  struct shm_disk_trouble *trouble)
{
	int r;

	if (!heap->confirmed && heap->header.sequence == header->sequence) {
		*_copy = heap->copy;
	} else {
		r = shm_disk_header_confirm(heap, trouble);
		if (r < 0)
			return r;
		*_copy = 1 - heap->copy;
	}
	return put(heap, header, *_copy, trouble);
}

/*
 * The other copy becomes the same, without a barrier: the one just confirmed may rot then, and nothing is lost. When this
 * fails, or the power goes in the middle of it, the confirmed one is there.
 */
void shm_disk_header_written(struct shm_disk_heap *heap, const struct disk_header *header, unsigned copy)
{
	heap->header = *header;
	heap->sequence = MAX(heap->sequence, header->sequence);
	heap->copy = copy;
	heap->confirmed = true;
	(void)put(heap, header, 1 - copy, NULL);
}
