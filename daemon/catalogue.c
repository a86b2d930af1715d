/*
 * catalogue.c: records in a memory file. Descriptions are frames of the protocol: what grows there, grows here.
 */
#include "daemon/catalogue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/macros.h"
#include "daemon/disk.h"
#include "shm/atomic.h"

#define FILE_SIZE ((uint64_t)CATALOGUE_RECORDS * CATALOGUE_STRIDE)

static_assert(sizeof(struct record) % 8 == 0 && CATALOGUE_STRIDE % 4096 == 0, "words are aligned, and pages are a record's own");

static int map(struct catalogue *catalogue)
{
	void *base = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, catalogue->fd, 0);

	if (base == MAP_FAILED)
		return error_from_errno(errno);
	catalogue->base = base;
	(void)madvise(base, FILE_SIZE, MADV_DONTFORK);
	(void)madvise(base, FILE_SIZE, MADV_DONTDUMP);
	return 0;
}

void catalogue_free(struct catalogue *catalogue)
{
	if (!catalogue)
		return;
	if (catalogue->base)
		(void)munmap(catalogue->base, FILE_SIZE);
	fd_close(catalogue->fd);
	free(catalogue);
}
DEFINE_FREEP(struct catalogue, catalogue_free);

static int make(struct catalogue *catalogue)
{
	struct catalogue_head *head;
	uint64_t number;
	int r;

	catalogue->fd = memfd_create("ems-catalogue", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (catalogue->fd < 0 || fchmod(catalogue->fd, 0600) < 0 || ftruncate(catalogue->fd, (off_t)FILE_SIZE) < 0 ||
	    fcntl(catalogue->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return error_from_errno(errno);
	r = map(catalogue);
	if (r)
		return r;
	head = catalogue_head(catalogue);
	if (getrandom(head->secret, sizeof(head->secret), 0) != sizeof(head->secret) ||
	    getrandom(&number, sizeof(number), 0) != sizeof(number))
		return -ERROR_SYSTEM;
	snprintf(catalogue->name, sizeof(catalogue->name), STORE_CATALOGUE_PREFIX "%016llx",
		 (unsigned long long)number);
	head->version = CATALOGUE_VERSION;
	head->records = CATALOGUE_RECORDS;
	head->stride = CATALOGUE_STRIDE;
	head->magic = CATALOGUE_MAGIC;
	return 0;
}

int catalogue_new(struct catalogue **_catalogue)
{
	_cleanup_(catalogue_freep) struct catalogue *catalogue = calloc(1, sizeof(*catalogue));
	int r;

	if (!catalogue)
		return -ERROR_NO_MEMORY;
	catalogue->fd = -1;
	catalogue->high = catalogue->free = 1;
	r = make(catalogue);
	if (!r)
		*_catalogue = steal_pointer(&catalogue);
	return r;
}

int catalogue_open_take(const char *name, int fd, struct catalogue **_catalogue)
{
	_cleanup_(catalogue_freep) struct catalogue *catalogue = calloc(1, sizeof(*catalogue));
	const struct catalogue_head *head;
	struct stat st;
	int r;

	if (!catalogue) {
		fd_close(fd);
		return -ERROR_NO_MEMORY;
	}
	catalogue->fd = fd;
	snprintf(catalogue->name, sizeof(catalogue->name), "%s", name);
	/* Of this version every one has this size; of others only the head's first words are known. */
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -ERROR_CORRUPT; /* cppcheck-suppress memleak; _cleanup_ frees it */
	if ((uint64_t)st.st_size != FILE_SIZE)
		return -ERROR_VERSION; /* cppcheck-suppress memleak; _cleanup_ frees it */
	r = map(catalogue);
	if (r)
		return r;
	head = catalogue_head(catalogue);
	if (head->magic != CATALOGUE_MAGIC)
		return -ERROR_CORRUPT;
	if (head->version != CATALOGUE_VERSION || head->records != CATALOGUE_RECORDS ||
	    head->stride != CATALOGUE_STRIDE)
		return -ERROR_VERSION;
	*_catalogue = steal_pointer(&catalogue);
	return 0;
}

void catalogue_heap_name(const struct heap *heap, char name[static KEEPER_NAME_SIZE])
{
	int size = snprintf(name, KEEPER_NAME_SIZE, STORE_PREFIX "heap-");

	for (size_t i = 0; i < sizeof(heap->id); i++)
		size += snprintf(name + size, (size_t)(KEEPER_NAME_SIZE - size), "%02x", heap->id[i]);
}

/* Records are dense from the first on, but for those that were freed. */
static int find_free(struct catalogue *catalogue, uint32_t *_index)
{
	for (uint32_t i = catalogue->free; i < CATALOGUE_RECORDS; i++) {
		if (i < catalogue->high && load32_relaxed(&catalogue_record(catalogue, i)->state) != RECORD_FREE)
			continue;
		*_index = i;
		catalogue->free = i + 1;
		catalogue->high = MAX(catalogue->high, i + 1);
		catalogue_head(catalogue)->high = catalogue->high;
		return 0;
	}
	return -ERROR_LIMIT;
}

static void erase(struct catalogue *catalogue, uint32_t index)
{
	struct record *record = catalogue_record(catalogue, index);

	/* Takes effect here. A death before the memory goes back costs a page until the next daemon's catalogue. */
	store32_release(&record->state, RECORD_FREE);
	(void)madvise(record, CATALOGUE_STRIDE, MADV_REMOVE);
	catalogue->free = MIN(catalogue->free, index);
}

static void describe(const struct heap *heap, struct proto_open_reply *description)
{
	*description = (struct proto_open_reply){.heap = 1, /* required, and of no meaning here */
						 .kind = heap->kind_number,
						 .params = heap->params,
						 .region = heap->region_params,
						 .team = heap->team_params,
						 .elements = heap->elements,
						 .mode = heap->owner.mode,
						 .uid = heap->owner.uid,
						 .gid = heap->owner.gid,
						 .checkpoint_ms = heap->checkpoint_ms,
						 .group = heap->saved ? heap->saved->group : heap->former_group};
	memcpy(description->heap_id, heap->id, sizeof(description->heap_id));
	memcpy(description->name, heap->name, sizeof(description->name));
}

static void fill(struct record *record, const struct heap *heap, const struct proto_buffer *frame, uint64_t revision)
{
	record->size = (uint32_t)frame->size;
	record->charged = heap->budget.used;
	record->elements = heap->elements;
	record->bytes = heap->size;
	record->last_used = heap->last_used;
	record->quarantined = heap->quarantined;
	record->attachments = heap->attachment_count + heap->awaited;
	record->revision = revision;
	memcpy(record->id, heap->id, sizeof(record->id));
	memcpy(record->creation, heap->creation, sizeof(record->creation));
	record->creator = heap->user->uid;
	record->lifetime = heap->lifetime;
	record->idle_seconds = heap->idle_seconds;
	record->budget_limit = heap->budget.limit;
	record->created = heap->created;
	memcpy(record + 1, frame->data, frame->size);
}

int catalogue_write(struct catalogue *catalogue, struct heap *heap, enum record_state state)
{
	_cleanup_(proto_buffer_fini) struct proto_buffer frame = {0};
	struct proto_open_reply description;
	uint32_t index = 0, before = heap->record;
	struct record *record;
	uint64_t revision;
	int r;

	describe(heap, &description);
	r = proto_encode_reply(&frame, 1, PROTO_OPEN, &description);
	if (!r)
		r = find_free(catalogue, &index);
	if (r)
		return r;
	record = catalogue_record(catalogue, index);
	revision = before ? catalogue_record(catalogue, before)->revision + 1 : 1;
	fill(record, heap, &frame, revision);
	/* Takes effect here; a death before leaves a free record, one after, the former record as well. */
	store32_release(&record->state, state);
	if (before)
		erase(catalogue, before);
	heap->record = index;
	return 0;
}

void catalogue_erase(struct catalogue *catalogue, struct heap *heap)
{
	if (heap->record)
		erase(catalogue, heap->record);
	heap->record = 0;
}

struct record *catalogue_of(const struct heap *heap)
{
	return heap->record ? catalogue_record(heap->broker->catalogue, heap->record) : NULL;
}

int catalogue_read(const struct record *record, struct proto_open_reply *description)
{
	struct proto_message message;
	uint32_t length;
	const uint8_t *frame = record_frame(record);

	if (record->size < sizeof(length) || record->size > PROTO_FRAME_MAX + sizeof(length))
		return -ERROR_CORRUPT;
	memcpy(&length, frame, sizeof(length));
	if (length != record->size - sizeof(length) ||
	    proto_parse(frame + sizeof(length), length, &message) || message.kind != PROTO_KIND_REPLY ||
	    proto_decode_reply(&message, PROTO_OPEN, description, NULL))
		return -ERROR_CORRUPT;
	return 0;
}
