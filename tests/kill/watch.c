/* Comparing and copying images: see watch.h. */
#include "tests/kill/watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"

static void *must(void *memory)
{
	if (!memory) {
		fputs("out of memory\n", stderr);
		exit(1);
	}
	return memory;
}

/* Good enough to tell images apart: 64 bits, each word multiplied and rotated in. */
static uint64_t page_hash(uint64_t offset, const void *bytes)
{
	const uint64_t *word = bytes;
	uint64_t hash = offset * 0x9e3779b97f4a7c15u + 1, any = 0;

	for (size_t i = 0; i < PAGE / 8; i++) {
		any |= word[i];
		hash = (hash ^ word[i]) * 0xd6e8feb86659fd93u;
		hash ^= hash >> 32;
	}
	return any ? hash : 0; /* an empty page is as good as none */
}

/* Calls found for each page of the file that has memory. Looking at others would give them some. */
static void each_page(int fd, void (*found)(void *arg, uint64_t offset), void *arg)
{
	off_t end = 0, start;

	while ((start = lseek(fd, end, SEEK_DATA)) >= 0) {
		end = lseek(fd, start, SEEK_HOLE);
		for (off_t offset = start; offset < end; offset += PAGE)
			found(arg, (uint64_t)offset);
	}
}

static blkcnt_t blocks_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? -1 : st.st_blocks;
}

static bool is_payload(const struct watch *watch, uint64_t offset)
{
	return offset >= watch->seg.layout.offset[AREA_STORAGE];
}

static struct page *find_page(const struct watch *watch, uint64_t offset)
{
	size_t low = 0, high = watch->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (watch->pages[middle].offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return &watch->pages[low];
}

static void add_page(void *arg, uint64_t offset)
{
	struct watch *watch = arg;
	struct page *page;

	if (watch->count == watch->room) {
		watch->room = watch->room ? watch->room * 2 : 256;
		watch->pages = must(reallocarray(watch->pages, watch->room, sizeof(*watch->pages)));
	}
	page = find_page(watch, offset);
	if (page < watch->pages + watch->count && page->offset == offset)
		return;
	memmove(page + 1, page, (size_t)(watch->pages + watch->count - page) * sizeof(*page));
	*page = (struct page){offset, 0, must(calloc(1, PAGE))};
	watch->count++;
	if (!is_payload(watch, offset))
		watch->hot++;
}

static bool take_page(struct watch *watch, struct page *page)
{
	const uint8_t *now = watch->seg.base + page->offset;

	if (memcmp(page->shadow, now, PAGE) == 0)
		return false;
	memcpy(page->shadow, now, PAGE);
	watch->hash ^= page->hash;
	page->hash = page_hash(page->offset, page->shadow);
	watch->hash ^= page->hash;
	return true;
}

bool watch_changed(struct watch *watch, bool payload)
{
	blkcnt_t blocks = blocks_of(watch->fd);
	bool changed = blocks != watch->blocks;

	if (changed) {
		each_page(watch->fd, add_page, watch);
		watch->blocks = blocks;
	}
	for (size_t i = 0; i < watch->hot; i++)
		changed |= take_page(watch, &watch->pages[i]);
	for (size_t i = watch->hot; (changed || payload) && i < watch->count; i++)
		changed |= take_page(watch, &watch->pages[i]);
	return changed;
}

static bool insert_seen(uint64_t *table, size_t room, uint64_t hash)
{
	for (size_t i = hash % room;; i = (i + 1) % room) {
		if (table[i] == hash)
			return false;
		if (table[i] == 0) {
			table[i] = hash;
			return true;
		}
	}
}

bool watch_is_new(struct watch *watch)
{
	if (2 * (watch->seen_count + 1) > watch->seen_room) {
		size_t room = watch->seen_room ? watch->seen_room * 2 : 1024;
		uint64_t *table = must(calloc(room, sizeof(*table)));

		for (size_t i = 0; i < watch->seen_room; i++)
			if (watch->seen[i])
				(void)insert_seen(table, room, watch->seen[i]);
		free(watch->seen);
		watch->seen = table;
		watch->seen_room = room;
	}
	if (!insert_seen(watch->seen, watch->seen_room, watch->hash ? watch->hash : 1))
		return false;
	watch->seen_count++;
	return true;
}

static int read_params(int fd, struct heap_params *params)
{
	return pread(fd, params, sizeof(*params), offsetof(struct header, params)) == sizeof(*params) ? 0
												      : -1;
}

int watch_init(struct watch *watch, int fd)
{
	struct heap_params params;
	int r;

	*watch = (struct watch){.fd = fd};
	if (read_params(fd, &params) < 0) {
		printf("cannot read the heap's memory: %s\n", strerror(errno));
		return -1;
	}
	r = shm_segment_map(&watch->seg, fd, &params, true);
	if (r < 0) {
		printf("cannot map the heap: %s\n", error_text(r));
		return -1;
	}
	(void)watch_changed(watch, true);
	(void)watch_is_new(watch);
	return 0;
}

void watch_fini(struct watch *watch)
{
	for (size_t i = 0; i < watch->count; i++)
		free(watch->pages[i].shadow);
	free(watch->pages);
	free(watch->seen);
	shm_segment_unmap(&watch->seg);
	*watch = (struct watch){.fd = -1};
}

/* ---- the replica ---- */

int replica_init(struct replica *replica, const struct watch *watch)
{
	const struct header *header = shm_header(&watch->seg);
	int r;

	*replica = (struct replica){.fd = -1};
	r = shm_segment_create(&replica->seg, &watch->seg.layout.params, shm_area(&watch->seg, AREA_FILL),
			       header->heap_id, &replica->fd);
	if (r < 0) {
		printf("cannot make a replica: %s\n", error_text(r));
		return -1;
	}
	return 0;
}

void replica_fini(struct replica *replica)
{
	shm_segment_unmap(&replica->seg);
	if (replica->fd >= 0)
		(void)close(replica->fd);
	free(replica->extra);
	*replica = (struct replica){.fd = -1};
}

static void add_extra(void *arg, uint64_t offset)
{
	struct replica *replica = arg;

	if (replica->extra_count == replica->extra_room) {
		replica->extra_room = replica->extra_room ? replica->extra_room * 2 : 256;
		replica->extra = must(reallocarray(replica->extra, replica->extra_room, sizeof(uint64_t)));
	}
	replica->extra[replica->extra_count++] = offset;
}

/* What recovery and trying out have written outside the image's pages goes back to zero. */
static void clear_others(struct replica *replica, const struct watch *watch)
{
	static const uint8_t zero[PAGE];

	if (blocks_of(replica->fd) != replica->blocks) {
		replica->extra_count = 0;
		each_page(replica->fd, add_extra, replica);
		replica->blocks = blocks_of(replica->fd);
	}
	for (size_t i = 0; i < replica->extra_count; i++) {
		uint64_t offset = replica->extra[i];
		const struct page *page = find_page(watch, offset);

		if (page < watch->pages + watch->count && page->offset == offset)
			continue;
		if (memcmp(replica->seg.base + offset, zero, PAGE) != 0)
			memset(replica->seg.base + offset, 0, PAGE);
	}
}

void replica_load(struct replica *replica, const struct watch *watch)
{
	clear_others(replica, watch);
	for (size_t i = 0; i < watch->count; i++) {
		uint8_t *to = replica->seg.base + watch->pages[i].offset;

		if (memcmp(to, watch->pages[i].shadow, PAGE) != 0)
			memcpy(to, watch->pages[i].shadow, PAGE);
	}
}
