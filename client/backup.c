/*
 * Backups: a heap file (doc/FORMAT.md) with one checkpoint, which has everything.
 *
 * The daemon copies the heap's memory at one moment, behind the gate, and passes the copy; writing it to the file is this
 * process's. Restoring is this process's, too: the file is loaded into memory of its own, all who had slots then count as dead and are
 * recovered, and what the image says then is written to a new heap (client/salvage.c). So the daemon reads nothing of a file
 * that may be anybody's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/macros.h"
#include "client/backup.h"
#include "client/connection.h"
#include "client/failure.h"
#include "client/heap.h"
#include "client/salvage.h"
#include "shm/checkpoint.h"
#include "shm/disk.h"
#include "shm/memory.h"
#include "shm/recover.h"

#define AT_ONCE	 ((uint64_t)1 << 20)
#define PATIENCE (30 * NS_PER_S) /* with a thread that is stopped */
#define PAUSE	 (50 * NS_PER_MS)

int backup_failed(int r, const struct shm_disk_trouble *trouble)
{
	char why[256];

	if (trouble->what == SHM_DISK_NONE)
		return failure_of(r);
	shm_disk_trouble_text(trouble, why, sizeof(why));
	return failure_say(r, "%s", why);
}

/* ---- the moment ---- */

static int ask(struct ems_heap *heap, int *_fd, struct proto_inspect_reply *description)
{
	struct ems_connection *connection = heap->connection;
	struct proto_copy copy = {0};
	struct proto_inspect inspect = {0};
	int r = connection_lock(connection, true);

	if (r < 0)
		return r;
	r = connection_request_for(connection, heap->mapping, PROTO_INSPECT, &inspect, &inspect.heap, description);
	/* On that same link. */
	copy.heap = heap->mapping->attachment;
	if (r == 0)
		r = link_call(&connection->link, PROTO_COPY, &copy, NULL, _fd, clock_deadline(CONNECTION_PATIENCE));
	if (r == 0 && *_fd < 0)
		r = failure_of(-ERROR_PROTOCOL);
	connection_unlock(connection);
	return r;
}

static int get_copy(struct ems_heap *heap, int *_fd, struct proto_inspect_reply *description)
{
	const struct timespec pause = {.tv_nsec = (long)PAUSE};
	uint64_t give_up = clock_deadline(PATIENCE);
	int r;

	while ((r = ask(heap, _fd, description)) == -ERROR_BUSY && !clock_passed(give_up))
		(void)nanosleep(&pause, NULL);
	return r;
}

/* ---- writing ---- */

struct writing {
	int from;
	uint64_t all, done; /* bytes of the copy */
	uint8_t *buffer;    /* AT_ONCE */
	struct shm_disk_checkpoint *checkpoint;
	struct shm_disk_trouble trouble;
	ems_progress_hook_t hook;
	void *arg;
};

static int read_whole(int fd, uint8_t *to, uint64_t size, uint64_t from)
{
	while (size > 0) {
		ssize_t got = pread(fd, to, size, (off_t)from);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return -ERROR_SYSTEM;
		to += got;
		from += (uint64_t)got;
		size -= (uint64_t)got;
	}
	return 0;
}

static int write_stretch(struct writing *writing, uint64_t start, uint64_t end)
{
	int r = 0;

	for (uint64_t size; start < end && r == 0; start += size) {
		size = MIN(end - start, AT_ONCE);
		r = read_whole(writing->from, writing->buffer, size, start);
		if (r == 0)
			r = shm_disk_add(writing->checkpoint, 0, start, writing->buffer, size, &writing->trouble);
		writing->done += size;
		if (r == 0 && writing->hook && writing->hook(writing->arg, writing->done, MAX(writing->all, writing->done)))
			r = -ERROR_CANCELLED;
	}
	return r;
}

static int write_pages(struct writing *writing)
{
	off_t end = 0, start;
	int r = 0;

	while (r == 0) {
		start = lseek(writing->from, end, SEEK_DATA);
		if (start < 0)
			return errno == ENXIO ? 0 : -ERROR_SYSTEM;
		end = lseek(writing->from, start, SEEK_HOLE);
		if (end < 0)
			return -ERROR_SYSTEM;
		r = write_stretch(writing, align_down((uint64_t)start, DISK_PAGE), align_up((uint64_t)end, DISK_PAGE));
	}
	return r;
}

static int write_file(struct writing *writing, struct shm_disk_heap *file)
{
	int r = shm_disk_begin(&file, 1, &writing->checkpoint, &writing->trouble);

	if (r < 0)
		return r;
	r = write_pages(writing);
	if (r == 0)
		r = shm_disk_commit(writing->checkpoint, &writing->trouble);
	if (r == 0)
		return shm_disk_settle(writing->checkpoint, &writing->trouble);
	shm_disk_abort(writing->checkpoint);
	return r;
}

static int describe(const struct ems_heap *heap, int copy, const struct proto_inspect_reply *from,
		    struct disk_meta *meta)
{
	const struct layout *layout = &heap_segment(heap)->layout;
	_cleanup_(freep) struct header *header = malloc(sizeof(*header));
	int r = header ? read_whole(copy, (uint8_t *)header, sizeof(*header), 0) : -ERROR_NO_MEMORY;
	uint64_t elements;

	if (r < 0)
		return r;
	elements = MAX(header->elements, layout->params.elements);
	elements = MIN(elements, layout->params.max_elements);
	*meta = (struct disk_meta){.kind = DISK_HEAP,
				   .segment_version = SEGMENT_VERSION,
				   .segment_size = layout->segment_size,
				   .params = layout->params,
				   .size = elements,
				   .budget = from->budget,
				   .idle_seconds = from->idle_seconds,
				   .created = from->created * NS_PER_S,
				   .uid = from->uid,
				   .gid = from->gid,
				   .mode = from->mode,
				   .creator = from->uid,
				   .name_size = (uint32_t)strnlen(from->name, DISK_NAME_MAX)};
	memcpy(meta->heap_id, header->heap_id, sizeof(meta->heap_id));
	memcpy(meta->name, from->name, meta->name_size);
	return 0;
}

static int write_backup(struct writing *writing, const struct disk_meta *meta, int fd)
{
	_cleanup_(shm_disk_heap_closep) struct shm_disk_heap *file = NULL;
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0), r;

	if (own < 0)
		return failure_of(-ERROR_INVALID);
	writing->buffer = malloc(AT_ONCE);
	r = writing->buffer ? shm_disk_file_create_take(own, NULL, meta, &file, &writing->trouble) : -ERROR_NO_MEMORY;
	if (!writing->buffer)
		fd_close(own);
	if (r == 0)
		r = write_file(writing, file);
	free(writing->buffer);
	return r < 0 ? backup_failed(r, &writing->trouble) : 0;
}

int ems_heap_backup(ems_heap_t *heap, int fd, ems_progress_hook_t hook, void *arg)
{
	struct writing writing = {.hook = hook, .arg = arg};
	struct proto_inspect_reply *description;
	_cleanup_(closep) int copy = -1;
	struct disk_meta meta;
	struct stat st;
	int r = heap_check(heap, "backup");

	if (r < 0)
		return r;
	description = calloc(1, sizeof(*description));
	if (!description)
		return failure_of(-ERROR_NO_MEMORY);
	r = get_copy(heap, &copy, description);
	if (r == 0)
		r = shm_memory_check(copy, heap_segment(heap)->layout.segment_size) < 0 ? failure_of(-ERROR_PROTOCOL) : 0;
	if (r == 0) {
		r = describe(heap, copy, description, &meta);
		if (r < 0)
			r = failure_of(r);
	}
	free(description);
	if (r < 0)
		return r;
	writing.from = copy;
	writing.all = fstat(copy, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
	return write_backup(&writing, &meta, fd);
}

/* ---- reading ---- */

struct reading {
	ems_progress_hook_t hook;
	void *arg;
};

static int tell(void *arg, uint64_t done, uint64_t all)
{
	const struct reading *reading = arg;

	return reading->hook ? reading->hook(reading->arg, done, all) : 0;
}

int backup_open(int fd, struct shm_disk_heap **_file, struct shm_disk_trouble *trouble)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0), r;

	if (own < 0)
		return -ERROR_INVALID;
	r = shm_disk_file_adopt_take(own, NULL, _file, trouble);
	if (r < 0)
		return r;
	/* Made, and never written. */
	return shm_disk_heap_checkpoint(*_file) == 0 ? -ERROR_CORRUPT : 0;
}

int ems_backup_verify(int fd, ems_backup_t *backup, ems_progress_hook_t hook, void *arg)
{
	_cleanup_(shm_disk_heap_closep) struct shm_disk_heap *file = NULL;
	struct reading reading = {hook, arg};
	struct shm_disk_trouble trouble = {0};
	const struct disk_meta *meta;
	int r = backup_open(fd, &file, &trouble);

	if (r == 0)
		r = shm_disk_verify(file, tell, &reading, &trouble);
	if (r < 0)
		return backup_failed(r, &trouble);
	if (!backup)
		return 0;
	meta = shm_disk_heap_meta(file);
	*backup = (ems_backup_t){.time = shm_disk_heap_time(file) / NS_PER_S,
				 .elements = meta->size,
				 .bytes = shm_disk_heap_pages(file) * DISK_PAGE,
				 .map = meta->params.has_map,
				 .persistent = meta->params.persistent};
	memcpy(backup->name, meta->name, MIN((size_t)meta->name_size, sizeof(backup->name) - 1));
	return 0;
}

static void geometry(const struct shm_segment *image, const struct disk_meta *meta, struct proto_open_reply *to)
{
	const struct heap_params *from = &image->layout.params;
	struct proto_value *fill = &to->params.fill;

	to->elements = MIN(MAX(meta->size, from->elements), from->max_elements);
	to->params = (struct proto_params){.elements = from->elements,
					   .max_elements = from->max_elements,
					   .storage = from->storage,
					   .tag = from->initial_tag == TAG_EMPTY ? PROTO_TAG_EMPTY : PROTO_TAG_FULL,
					   .has_map = from->has_map,
					   .persistent = from->persistent};
	fill->type = (enum proto_type)from->fill_type;
	if (fill->type == PROTO_BOOLEAN)
		fill->boolean = from->fill_value != 0;
	else if (fill->type == PROTO_INTEGER)
		fill->integer = (int64_t)from->fill_value;
	else if (fill->type == PROTO_FLOAT)
		memcpy(&fill->number, &from->fill_value, sizeof(fill->number));
	else if (fill->type >= PROTO_STRING) {
		fill->data = shm_area(image, AREA_FILL);
		fill->size = from->fill_size;
	}
}

static int restore(ems_connection_t *connection, const char *name, const struct shm_segment *image,
		   const struct disk_meta *meta, struct reading *reading)
{
	struct proto_open_reply *description = calloc(1, sizeof(*description));
	struct proto_inspect_reply *old = calloc(1, sizeof(*old));
	int r = -ERROR_NO_MEMORY;

	if (description && old) {
		geometry(image, meta, description);
		old->mode = meta->mode & 0777;
		old->budget = meta->budget;
		old->idle_seconds = meta->idle_seconds;
		r = salvage_image(connection, name, image, description, old, reading->hook, reading->arg);
	} else {
		(void)failure_of(r);
	}
	free(description);
	free(old);
	return r;
}

int ems_heap_restore(ems_connection_t *connection, const char *name, int fd, ems_progress_hook_t hook, void *arg)
{
	_cleanup_(shm_disk_heap_closep) struct shm_disk_heap *file = NULL;
	struct reading reading = {hook, arg};
	struct shm_disk_trouble trouble = {0};
	struct shm_segment image = {0};
	_cleanup_(closep) int memory = -1;
	int r = connection_check(connection);

	if (r == 0)
		r = heap_check_name(name);
	if (r < 0)
		return r;
	r = backup_open(fd, &file, &trouble);
	if (r == 0 && shm_disk_heap_meta(file)->kind != DISK_HEAP)
		r = -ERROR_MISMATCH;
	if (r == 0)
		r = backup_load(file, &image, &memory, tell, &reading, &trouble);
	if (r < 0)
		(void)backup_failed(r, &trouble);
	else
		r = restore(connection, name, &image, shm_disk_heap_meta(file), &reading);
	shm_segment_unmap(&image);
	return r;
}
