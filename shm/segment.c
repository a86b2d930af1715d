/* Making, mapping and unmapping segments. What the daemon does to a live one is in supply.c and gate.c. */
#include "shm/segment.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/macros.h"
#include "shm/checkpoint.h"
#include "shm/map.h"
#include "shm/memory.h"

/* Areas that every heap works on from its first operation are committed at creation, up to this much of each.
 */
#define INITIAL_BYTES (16 * UNIT)

/*
 * The daemon's membarrier orders "I am in a step" against "the gate is up" for this process only when it
 * has registered; without that a writer could miss the gate, so failure is an error.
 */
static int register_membarrier(void)
{
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0) < 0)
		return -ERROR_UNSUPPORTED;
	return 0;
}

static int map_memory(struct shm_segment *seg, int fd, bool writable)
{
	int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ, r;
	void *base;

	if (writable) {
		r = register_membarrier();
		if (r < 0)
			return r;
	}
	base = mmap(NULL, seg->layout.segment_size, protection, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (base == MAP_FAILED)
		return error_from_errno(errno);
	/* A child has no slot and must not act in its parent's; a core file of a sparse terabyte helps
	 * nobody. */
	if (madvise(base, seg->layout.segment_size, MADV_DONTFORK) < 0 ||
	    madvise(base, seg->layout.segment_size, MADV_DONTDUMP) < 0) {
		r = error_from_errno(errno);
		(void)munmap(base, seg->layout.segment_size);
		return r;
	}
	seg->base = base;
	seg->writable = writable;
	return 0;
}

static void note_whole_areas(struct shm_segment *seg)
{
	seg->elements_whole = seg->layout.size[AREA_ELEMENTS] <= INITIAL_BYTES;
	shm_hash_init(seg);
}

void shm_segment_unmap(struct shm_segment *seg)
{
	if (seg->base)
		(void)munmap(seg->base, seg->layout.segment_size);
	seg->base = NULL;
}

void shm_segment_rest(struct shm_segment *seg)
{
	(void)madvise(seg->base, seg->layout.segment_size, MADV_DONTNEED);
}

static uint64_t initial_bytes(const struct layout *layout, enum area area)
{
	switch (area) {
	case AREA_HEADER:
	case AREA_FILL:
	case AREA_COMMIT:
		return layout->size[area]; /* whole */
	case AREA_ELEMENTS:
		return MIN(layout->size[area], INITIAL_BYTES);
	case AREA_GROUPS:
	case AREA_CHUNKS:
		return MIN(layout->size[area], UNIT);
	case AREA_MARKS: /* of all that is marked without having been committed: records */
		return MIN(layout->size[area], align_up(layout->offset[AREA_MARKS] >> MARK_PAGE_SHIFT, UNIT));
	case AREA_TABLES:
		return layout->tables ? layout_table_slots(layout, 0) * sizeof(uint64_t) : 0;
	default:
		return 0;
	}
}

/* Large first tables and marks come with the first use, too: the writer asks. */
static void commit_initial(struct shm_segment *seg)
{
	uint64_t added;

	for (enum area area = AREA_HEADER; area < AREA_COUNT; area++) {
		uint64_t first = seg->layout.offset[area] >> UNIT_SHIFT;
		uint64_t count = align_up(initial_bytes(&seg->layout, area), UNIT) >> UNIT_SHIFT;

		(void)shm_commit_units(seg, first, count, &added);
	}
	shm_mark(seg, seg->base, sizeof(struct header));
	shm_mark(seg, shm_area(seg, AREA_FILL), seg->layout.size[AREA_FILL]);
}

static void write_header(struct shm_segment *seg, const void *fill, const uint8_t heap_id[16])
{
	const struct heap_params *params = &seg->layout.params;
	struct header *header = shm_header(seg);

	header->version = SEGMENT_VERSION;
	header->header_size = sizeof(*header);
	header->segment_size = seg->layout.segment_size;
	header->params = *params;
	memcpy(header->heap_id, heap_id, sizeof(header->heap_id));
	header->elements = params->elements;
	header->slots_high = 1;
	if (params->fill_size)
		memcpy(shm_area(seg, AREA_FILL), fill, params->fill_size);
	if (params->has_map)
		header->table_used[0] = TABLE_USED;
	header->magic = SEGMENT_MAGIC;
}

int shm_segment_empty(struct shm_segment *seg, const struct heap_params *params, int *fdp)
{
	_cleanup_(closep) int fd = -1;
	int r;

	memset(seg, 0, sizeof(*seg));
	r = layout_compute(&seg->layout, params);
	if (r < 0)
		return r;
	fd = shm_memory_new("ems-heap", seg->layout.segment_size);
	if (fd < 0)
		return fd;
	r = map_memory(seg, fd, true);
	if (r < 0)
		return r;
	note_whole_areas(seg);
	seg->supply = &shm_local_supply;
	*fdp = steal_fd(&fd);
	return 0;
}

int shm_segment_create(struct shm_segment *seg, const struct heap_params *params, const void *fill,
		       const uint8_t heap_id[16], int *fdp)
{
	int r = shm_segment_empty(seg, params, fdp);

	if (r < 0)
		return r;
	write_header(seg, fill, heap_id);
	commit_initial(seg);
	return 0;
}

static int check_header(const struct shm_segment *seg)
{
	const struct header *header = shm_header(seg);

	if (header->magic != SEGMENT_MAGIC)
		return -ERROR_CORRUPT;
	if (header->version != SEGMENT_VERSION)
		return -ERROR_VERSION;
	if (header->header_size != sizeof(*header) || header->segment_size != seg->layout.segment_size ||
	    memcmp(&header->params, &seg->layout.params, sizeof(header->params)) != 0)
		return -ERROR_CORRUPT;
	return 0;
}

/* Up to, and without, the look at the header. */
static int map_file(struct shm_segment *seg, int fd, const struct heap_params *params, bool writable)
{
	int r;

	memset(seg, 0, sizeof(*seg));
	r = layout_compute(&seg->layout, params);
	if (r < 0)
		return r;
	r = shm_memory_check(fd, seg->layout.segment_size);
	if (r < 0)
		return r;
	r = map_memory(seg, fd, writable);
	if (r < 0)
		return r;
	note_whole_areas(seg);
	seg->supply = &shm_local_supply;
	return 0;
}

int shm_segment_map(struct shm_segment *seg, int fd, const struct heap_params *params, bool writable)
{
	int r = map_file(seg, fd, params, writable);

	if (r < 0)
		return r;
	r = check_header(seg);
	if (r < 0)
		shm_segment_unmap(seg);
	return r;
}

int shm_segment_examine(struct shm_segment *seg, int fd, const struct heap_params *params)
{
	return map_file(seg, fd, params, false);
}

bool shm_segment_is_whole(const struct shm_segment *seg, const uint8_t heap_id[16])
{
	return check_header(seg) == 0 && memcmp(shm_header(seg)->heap_id, heap_id, 16) == 0;
}

int shm_segment_adopt(struct shm_segment *seg, int fd, const struct heap_params *params,
		      const uint8_t heap_id[16])
{
	int r = map_file(seg, fd, params, true);

	if (r < 0)
		return r == -ERROR_CORRUPT ? -ERROR_SYSTEM : r;
	return shm_segment_is_whole(seg, heap_id) ? 0 : -ERROR_CORRUPT;
}

/* Nobody who had a slot then is alive now. */
static void bury_slots(struct shm_segment *seg)
{
	for (uint32_t id = 1; id < shm_slots_high(seg); id++)
		if (load32_relaxed(&shm_slot(seg, id)->state) != SLOT_FREE)
			shm_robust_bury(seg, id);
}

int shm_segment_restored(struct shm_segment *seg, const uint8_t heap_id[16])
{
	struct header *header = shm_header(seg);
	int r = check_header(seg);

	if (r == 0 && memcmp(header->heap_id, heap_id, sizeof(header->heap_id)) != 0)
		r = -ERROR_CORRUPT;
	if (r < 0)
		return r;
	/* The gate was up when it was copied. */
	store32_relaxed(&header->gate, 0);
	store32_relaxed(&header->dirty, DIRTY_NO);
	store32_relaxed(&header->dropped, 0);
	store32_relaxed(&header->quarantined, 0);
	store64_relaxed(&header->group, 0); /* it came from a checkpoint of all of them */
	shm_robust_clear(seg, 0);
	bury_slots(seg);
	return 0;
}
