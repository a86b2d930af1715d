/* Copies of marked pages: see checkpoint.h. */
#include "shm/checkpoint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/macros.h"
#include "shm/slot.h"

#define CHANGING_PAGE (offsetof(struct header, gate) >> MARK_PAGE_SHIFT) /* of the header: never marked, always copied */
#define ROOM_MORE     64u
#define MARKS_AT_ONCE 8u

static uint64_t first_page(const struct layout *layout, enum area area)
{
	return layout->offset[area] >> MARK_PAGE_SHIFT;
}

static bool is_in(const struct layout *layout, enum area area, uint64_t page)
{
	/* Areas begin and end at units, but for what follows the last byte that has a meaning. */
	return page >= first_page(layout, area) && page < first_page(layout, (enum area)(area + 1));
}

bool shm_checkpoint_has(const struct layout *layout, uint64_t page)
{
	return page < layout->segment_size >> MARK_PAGE_SHIFT && !is_in(layout, AREA_LOCKS, page) &&
	       !is_in(layout, AREA_MARKS, page);
}

/* In every checkpoint: the slots that were ever used, and what changes in the header. */
static bool is_always_in(const struct shm_segment *seg, uint64_t page)
{
	uint64_t slots = first_page(&seg->layout, AREA_SLOTS);
	uint64_t bytes = (uint64_t)shm_slots_high(seg) * sizeof(struct slot);

	return page == CHANGING_PAGE || (page >= slots && page < slots + (align_up(bytes, CHECKPOINT_PAGE) >> MARK_PAGE_SHIFT));
}

/*
 * The next page from `page` on that is to be copied; past the end: none. Marks that are not committed were never made,
 * and would be allocated by a look.
 */
static uint64_t next_page(const struct shm_segment *seg, uint64_t page)
{
	const uint8_t *marks = shm_area(seg, AREA_MARKS);
	uint64_t end = seg->layout.segment_size >> MARK_PAGE_SHIFT;

	while (page < end) {
		uint64_t eight;

		if (page % UNIT == 0 && !shm_committed(seg, seg->layout.offset[AREA_MARKS] + page)) {
			page += UNIT;
			continue;
		}
		if (page % MARKS_AT_ONCE == 0 && page + MARKS_AT_ONCE <= end &&
		    !is_in(&seg->layout, AREA_HEADER, page) && !is_in(&seg->layout, AREA_SLOTS, page)) {
			memcpy(&eight, &marks[page], sizeof(eight));
			if (eight == 0) {
				page += MARKS_AT_ONCE;
				continue;
			}
		}
		if (is_always_in(seg, page) ||
		    (load8_relaxed(&marks[page]) != MARK_CLEAN && shm_checkpoint_has(&seg->layout, page)))
			return page;
		page++;
	}
	return end;
}

uint64_t shm_dirty_pages(const struct shm_segment *seg)
{
	uint64_t end = seg->layout.segment_size >> MARK_PAGE_SHIFT, count = 0;

	for (uint64_t page = next_page(seg, 0); page < end; page = next_page(seg, page + 1))
		count++;
	return count;
}

static int make_room(struct shm_checkpoint *checkpoint, uint64_t pages)
{
	uint64_t room = pages + pages / 8 + ROOM_MORE;
	uint64_t *numbers;
	uint8_t *bytes;

	if (pages > checkpoint->most)
		return -ERROR_CORRUPT;
	numbers = realloc(checkpoint->pages, room * sizeof(*numbers));
	if (!numbers)
		return -ERROR_NO_MEMORY;
	checkpoint->pages = numbers;
	bytes = realloc(checkpoint->bytes, room * CHECKPOINT_PAGE);
	if (!bytes)
		return -ERROR_NO_MEMORY;
	checkpoint->bytes = bytes;
	checkpoint->room = room;
	return 0;
}

/* ---- behind the gate ---- */

/* Which pages. Their marks are in flight from here on: a writer's that comes when the gate is down makes them dirty again. */
static int choose_pages(struct shm_checkpoint *checkpoint)
{
	struct shm_segment *seg = checkpoint->seg;
	uint64_t end = seg->layout.segment_size >> MARK_PAGE_SHIFT;
	uint8_t *marks = shm_area(seg, AREA_MARKS);

	for (uint64_t page = next_page(seg, 0); page < end; page = next_page(seg, page + 1)) {
		int r = checkpoint->count < checkpoint->most ? 0 : -ERROR_CORRUPT;

		if (r == 0 && checkpoint->count == checkpoint->room)
			r = make_room(checkpoint, checkpoint->count + 1);
		if (r < 0)
			return r;
		checkpoint->pages[checkpoint->count++] = page;
		if (load8_relaxed(&marks[page]) != MARK_CLEAN)
			store8_relaxed(&marks[page], MARK_IN_FLIGHT);
	}
	store32_release(&shm_header(seg)->dirty, DIRTY_NO);
	return 0;
}

static int read_whole(int fd, uint8_t *to, size_t size, uint64_t from)
{
	while (size > 0) {
		ssize_t got = pread(fd, to, size, (off_t)from);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? error_from_errno(errno) : -ERROR_SYSTEM;
		to += got;
		from += (uint64_t)got;
		size -= (size_t)got;
	}
	return 0;
}

/* Neighbours in one call. */
static int copy_pages(struct shm_checkpoint *checkpoint)
{
	int r = 0;

	for (size_t i = 0, n; i < checkpoint->count && r == 0; i += n) {
		for (n = 1; i + n < checkpoint->count && checkpoint->pages[i + n] == checkpoint->pages[i] + n; n++)
			continue;
		r = read_whole(checkpoint->fd, checkpoint->bytes + i * CHECKPOINT_PAGE, n * CHECKPOINT_PAGE,
			       checkpoint->pages[i] << MARK_PAGE_SHIFT);
	}
	return r;
}

/* ---- the whole ---- */

/* Memory that the system has yet to find would be looked for behind the gate, which takes as long as the copying. */
static void touch_room(struct shm_checkpoint *checkpoint)
{
	for (size_t i = 0; i < checkpoint->room; i++)
		*(volatile uint8_t *)(checkpoint->bytes + i * CHECKPOINT_PAGE) = 0;
}

static int prepare(struct shm_checkpoint *checkpoint)
{
	int r = make_room(checkpoint, MIN(shm_dirty_pages(checkpoint->seg), checkpoint->most));

	if (r == 0)
		touch_room(checkpoint);
	return r;
}

static int raise_gates(struct shm_checkpoint checkpoints[], size_t count, struct shm_segment ***_segs)
{
	struct shm_segment **segs = count ? calloc(count, sizeof(struct shm_segment *)) : NULL;
	int r;

	if (!segs)
		return -ERROR_NO_MEMORY;
	for (size_t i = 0; i < count; i++)
		segs[i] = checkpoints[i].seg;
	r = shm_gate_raise_all(segs, count);
	if (r < 0)
		free((void *)segs);
	else
		*_segs = segs;
	return r;
}

int shm_checkpoint_take(struct shm_checkpoint checkpoints[], size_t count)
{
	struct shm_segment **segs = NULL;
	int r = 0;

	/* What can be done before the gate is up does not hold up anybody. */
	for (size_t i = 0; i < count && r == 0; i++)
		r = prepare(&checkpoints[i]);
	if (r == 0)
		r = raise_gates(checkpoints, count, &segs);
	if (segs) {
		for (size_t i = 0; i < count && r == 0; i++)
			r = choose_pages(&checkpoints[i]);
		for (size_t i = 0; i < count && r == 0; i++)
			r = copy_pages(&checkpoints[i]);
		shm_gate_lower_all(segs, count);
		free((void *)segs);
	}
	for (size_t i = 0; i < count && r < 0; i++) {
		if (checkpoints[i].count)
			shm_checkpoint_failed(&checkpoints[i]);
		shm_checkpoint_free(&checkpoints[i]);
	}
	return r;
}

/* ---- everything, to another memory file ---- */

struct copy {
	const struct shm_segment *seg;
	int to;
	uint64_t most, pages;
};

static bool is_zero(const uint8_t *page)
{
	return page[0] == 0 && memcmp(page, page + 1, CHECKPOINT_PAGE - 1) == 0;
}

static int write_whole(int fd, const uint8_t *from, size_t size, uint64_t at)
{
	while (size > 0) {
		ssize_t put = pwrite(fd, from, size, (off_t)at);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return put < 0 ? error_from_errno(errno) : -ERROR_SYSTEM;
		from += put;
		at += (uint64_t)put;
		size -= (size_t)put;
	}
	return 0;
}

static bool is_copied(const struct copy *copy, uint64_t page)
{
	return shm_checkpoint_has(&copy->seg->layout, page) &&
	       !is_zero((const uint8_t *)copy->seg->base + (page << MARK_PAGE_SHIFT));
}

/* Pages that have memory: [page, end). Neighbours in one call. */
static int copy_stretch(struct copy *copy, uint64_t page, uint64_t end)
{
	int r = 0;

	for (uint64_t n; page < end && r == 0; page += n) {
		for (n = 0; page + n < end && is_copied(copy, page + n); n++)
			continue;
		if (n > copy->most - copy->pages)
			return -ERROR_BUSY;
		copy->pages += n;
		if (n)
			r = write_whole(copy->to, (const uint8_t *)copy->seg->base + (page << MARK_PAGE_SHIFT),
					n * CHECKPOINT_PAGE, page << MARK_PAGE_SHIFT);
		else
			n = 1;
	}
	return r;
}

/* Holes are passed over, which a look would fill. */
static int copy_data(struct copy *copy, int fd)
{
	off_t end = 0, start;
	int r = 0;

	while (r == 0) {
		start = lseek(fd, end, SEEK_DATA);
		if (start < 0)
			return errno == ENXIO ? 0 : error_from_errno(errno);
		end = lseek(fd, start, SEEK_HOLE);
		if (end < 0)
			return error_from_errno(errno);
		r = copy_stretch(copy, (uint64_t)start >> MARK_PAGE_SHIFT,
				 align_up((uint64_t)end, CHECKPOINT_PAGE) >> MARK_PAGE_SHIFT);
	}
	return r;
}

int shm_checkpoint_copy(struct shm_segment *seg, int fd, int to, uint64_t most, uint64_t *_pages)
{
	struct copy copy = {.seg = seg, .to = to, .most = most};
	int r = shm_gate_raise(seg);

	if (r < 0)
		return r;
	r = copy_data(&copy, fd);
	shm_gate_lower(seg);
	*_pages = copy.pages;
	return r;
}

static void end_flight(struct shm_checkpoint *checkpoint, uint8_t becomes)
{
	uint8_t *marks = shm_area(checkpoint->seg, AREA_MARKS);

	for (size_t i = 0; i < checkpoint->count; i++) {
		uint8_t seen = MARK_IN_FLIGHT;

		/* When it fails it is dirty again: what was copied is not what is there now. */
		(void)cas8(&marks[checkpoint->pages[i]], &seen, becomes);
	}
}

void shm_checkpoint_done(struct shm_checkpoint *checkpoint)
{
	end_flight(checkpoint, MARK_CLEAN);
}

void shm_checkpoint_failed(struct shm_checkpoint *checkpoint)
{
	end_flight(checkpoint, MARK_DIRTY);
	store32_release(&shm_header(checkpoint->seg)->dirty, DIRTY_YES);
}

void shm_checkpoint_free(struct shm_checkpoint *checkpoint)
{
	free(checkpoint->pages);
	free(checkpoint->bytes);
	checkpoint->pages = NULL;
	checkpoint->bytes = NULL;
	checkpoint->count = checkpoint->room = 0;
}
