/*
 * disk_load.c: what is in the store when the daemon starts, and in files that clients hand over. See disk.h.
 *
 * A heap of the store has its name from the start on, and says that it is being loaded; some are at a time, in threads.
 * When it is there, everybody who had a slot in it is dead, and recovery makes an end to what they were doing. One that
 * was adopted from a former daemon has its memory, which is newer than its file, and only gets the file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/macros.h"
#include "daemon/disk.h"
#include "daemon/keep.h"
#include "daemon/kind.h"
#include "daemon/kind_heap.h"
#include "daemon/registry.h"
#include "shm/atomic.h"

#define LOADS_AT_ONCE 2u /* of the store: threads must be left for the other jobs */
#define RETRY_AFTER     (2 * NS_PER_S)

/* ---- a heap from its description ---- */

static void take_meta(struct heap *heap, const struct disk_meta *meta)
{
	memcpy(heap->id, meta->heap_id, sizeof(heap->id));
	memcpy(heap->creation, meta->creation, sizeof(heap->creation));
	heap->owner = (struct owner){.uid = meta->uid, .gid = meta->gid, .mode = meta->mode & 0777};
	heap->lifetime = meta->lifetime == PROTO_LIFETIME_DETACH ? PROTO_LIFETIME_DETACH : PROTO_LIFETIME_KEEP;
	heap->idle_seconds = meta->idle_seconds;
	heap->budget.limit = meta->budget;
	heap->elements = MIN(MAX(meta->size, meta->params.elements), meta->params.max_elements);
	heap->created = meta->created / NS_PER_S;
	heap->checkpoint_ms = (uint32_t)MIN(meta->period / NS_PER_MS, (uint64_t)UINT32_MAX - 1);
	heap->last_used = heap->created;
	heap->idle_since = clock_now();
}

static void charge(struct heap *heap)
{
	struct stat st;
	uint64_t real = fstat(heap->fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
	uint64_t bytes = MAX(heap->kind->claimed(heap), real);

	/* Whatever the budgets are by now: it was within them once. */
	heap->budget.used += bytes;
	heap->user->budget.used += bytes;
	heap->broker->budget.used += bytes;
}

/* All of it is in memory. */
static int settle_in(struct heap *heap)
{
	int r = kind_heap_loaded(heap);

	if (r)
		return r;
	charge(heap);
	keep_prepare(heap);
	keep_publish(heap);
	heap->kind->resume(heap);
	return 0;
}

/* ---- loading from the store ---- */

struct load_job {
	uv_work_t work;
	struct heap_file *file;
	struct shm_disk_trouble trouble;
	int r;
};

static void start_loads(struct disk *disk);

static int on_progress(void *arg, uint64_t done, uint64_t all)
{
	struct heap_file *file = arg;

	store32_relaxed(&file->percent, all ? (uint32_t)(done * 100 / all) : 0);
	return load32_relaxed(&file->stop) != 0;
}

static void run_load(uv_work_t *work)
{
	struct load_job *load = list_entry(struct load_job, work, work);
	struct shm_segment *segment = &load->file->heap->segment;

	load->r = shm_disk_load(load->file->file, segment->base, segment->layout.segment_size, on_progress, load->file,
				&load->trouble);
	if (load->r == 0)
		load->r = shm_segment_restored(segment, load->file->heap->id);
}

static void done_load(uv_work_t *work, int status)
{
	struct load_job *load = list_entry(struct load_job, work, work);
	struct heap_file *file = load->file;
	struct disk *disk = file->disk;
	struct heap *heap = file->heap;

	(void)status;
	disk->jobs--;
	disk->loads--;
	file->jobs--;
	file->loading = false;
	if (load->r == 0)
		load->r = settle_in(heap);
	file->broken = load->r != 0;
	file->try_again = clock_deadline(RETRY_AFTER);
	if (file->broken && !load32_relaxed(&file->stop))
		disk_trouble(file, load->r, &load->trouble);
	if (!file->broken) {
		file->error = 0;
		file->why[0] = '\0';
		log_info("heap loaded", LOG_TEXT("heap", heap->name), LOG_UINT("bytes", heap->budget.used));
		disk_arm(file);
		if (file->changed)
			disk_write(heap);
	}
	free(load);
	start_loads(disk);
	disk_schedule(disk);
}

static void start_load(struct heap_file *file)
{
	struct load_job *load = calloc(1, sizeof(*load));

	if (load)
		load->file = file;
	if (!load || uv_queue_work(&file->disk->broker->loop, &load->work, run_load, done_load)) {
		free(load);
		file->loading = file->waits_for_load = false;
		file->broken = true;
		file->try_again = clock_deadline(RETRY_AFTER);
		disk_trouble(file, -ERROR_NO_MEMORY, NULL);
		return;
	}
	file->waits_for_load = false;
	file->jobs++;
	file->disk->jobs++;
	file->disk->loads++;
}

static void start_loads(struct disk *disk)
{
	list_each(struct heap_file, file, &disk->files, node) if (file->waits_for_load && disk->loads < LOADS_AT_ONCE)
	{
		if (load32_relaxed(&file->stop)) {
			file->waits_for_load = false;
			file->broken = true;
		} else {
			start_load(file);
		}
	}
}

/* What a former attempt has put there counts for nothing. */
static int empty_memory(struct heap *heap)
{
	struct heap_params params = heap->segment.layout.params;

	if (heap->segment.base)
		shm_segment_unmap(&heap->segment);
	heap->fd = fd_close(heap->fd);
	return kind_heap_empty(heap, &params);
}

int disk_load_begin(struct heap_file *file)
{
	int r = file->broken ? empty_memory(file->heap) : 0;

	if (r) {
		file->try_again = clock_deadline(RETRY_AFTER);
		return r;
	}
	file->broken = false;
	file->loading = file->waits_for_load = true;
	file->percent = 0;
	start_loads(file->disk);
	return 0;
}

/* ---- what is there ---- */

static struct heap *find_heap(const struct broker *broker, const uint8_t id[16])
{
	list_each(struct heap, heap, &broker->heaps, node) if (memcmp(heap->id, id, sizeof(heap->id)) == 0)
		return heap;
	return NULL;
}

static int attach_file(struct disk *disk, struct heap *heap, struct shm_disk_heap *opened)
{
	struct heap_file *file = disk_file_new(disk, heap);

	if (!file)
		return -ERROR_NO_MEMORY;
	file->file = opened;
	file->last = shm_disk_heap_time(opened) / NS_PER_S;
	if (heap->former_group)
		disk_set_group(heap, heap->former_group);
	/* Marks may be in flight, and the word that told of them lost. */
	store32_release(&shm_header(&heap->segment)->dirty, DIRTY_YES);
	if (heap->dropped)
		(void)disk_drop(heap, NULL);
	else
		disk_arm(file);
	return 0;
}

static int restore_heap(struct disk *disk, struct shm_disk_heap *opened)
{
	const struct disk_meta *meta = shm_disk_heap_meta(opened);
	struct broker *broker = disk->broker;
	struct heap *heap = heap_new_adopted_take(broker, PROTO_NAMED_HEAP, (uid_t)meta->creator, -1);
	struct heap_file *file = heap ? disk_file_new(disk, heap) : NULL;
	int r;

	if (!file) {
		if (heap)
			heap_free(heap);
		shm_disk_heap_close(opened);
		return -ERROR_NO_MEMORY;
	}
	file->file = opened;
	file->last = shm_disk_heap_time(opened) / NS_PER_S;
	take_meta(heap, meta);
	snprintf(heap->name, sizeof(heap->name), "%.*s", (int)MIN(meta->name_size, PROTO_NAME_MAX), meta->name);
	r = kind_heap_empty(heap, &meta->params);
	if (!r)
		r = registry_reserve(&broker->registry);
	if (!r && registry_find(&broker->registry, heap->name)) {
		log_error("a heap in the store has the name of another, and stays there", LOG_TEXT("heap", heap->name));
		heap_free(heap);
		return 0;
	}
	if (r) {
		heap_free(heap);
		return r;
	}
	registry_add(&broker->registry, heap);
	return disk_load_begin(file);
}

static int visit(void *arg, const uint8_t heap_id[16])
{
	struct disk *disk = arg;
	struct heap *heap = find_heap(disk->broker, heap_id);
	struct shm_disk_trouble trouble = {0};
	struct shm_disk_heap *opened;
	char why[DISK_WHY_SIZE];
	int r;

	if (heap && (heap->kind != &kind_heap || !heap->params.persistent || heap->saved))
		return 0;
	r = shm_disk_heap_open(disk->store, heap_id, &opened, &trouble);
	if (r) {
		shm_disk_trouble_text(&trouble, why, sizeof(why));
		log_error("a file in the store cannot be opened, and is left alone", LOG_CODE("code", r),
			  LOG_TEXT("why", why));
		return 0;
	}
	if (heap)
		return attach_file(disk, heap, opened);
	/* Its creator was never told that it is there. */
	if (shm_disk_heap_checkpoint(opened) == 0) {
		(void)shm_disk_heap_drop(opened, NULL);
		return 0;
	}
	if (shm_disk_heap_meta(opened)->kind != DISK_HEAP) {
		shm_disk_heap_close(opened);
		return 0;
	}
	return restore_heap(disk, opened);
}

int disk_load_all(struct disk *disk)
{
	struct shm_disk_trouble trouble = {0};
	int r = disk->store ? shm_disk_list(disk->store, visit, disk, &trouble) : 0;

	if (r == -ERROR_NO_MEMORY)
		return r;
	if (r)
		log_error("the store cannot be read", LOG_CODE("code", r));
	list_each(struct heap, heap, &disk->broker->heaps, node)
	{
		struct heap_file *file;

		if (!heap->params.persistent || heap->saved || heap->dropped)
			continue;
		file = disk_file_new(disk, heap);
		if (!file)
			return -ERROR_NO_MEMORY;
		file->handed_over = strncmp(heap->name, "~heap/", 6) == 0;
		disk_trouble(file, -ERROR_NOT_FOUND, &(struct shm_disk_trouble){.what = SHM_DISK_VANISHED});
	}
	disk_schedule(disk);
	return 0;
}

/* ---- files that clients hand over ---- */

struct adopt_job {
	uv_work_t work;
	struct disk *disk;
	uid_t uid;
	char name[PROTO_NAME_MAX + 1];
	int fd, memory; /* memory: of the segment */
	struct shm_disk_heap *opened;
	struct disk_meta meta;
	struct shm_segment segment;
	struct disk_waiter *waiter;
	struct shm_disk_trouble trouble;
	int r;
};

static void run_adopt(uv_work_t *work)
{
	struct adopt_job *adopt = list_entry(struct adopt_job, work, work);

	adopt->r = shm_disk_file_adopt_take(steal_fd(&adopt->fd), NULL, &adopt->opened, &adopt->trouble);
	if (adopt->r)
		return;
	adopt->meta = *shm_disk_heap_meta(adopt->opened);
	if (adopt->meta.kind != DISK_HEAP)
		adopt->r = -ERROR_MISMATCH;
	if (adopt->r == 0)
		adopt->r = shm_segment_empty(&adopt->segment, &adopt->meta.params, &adopt->memory);
	if (adopt->r == 0)
		adopt->r = shm_disk_load(adopt->opened, adopt->segment.base, adopt->segment.layout.segment_size, NULL,
					 NULL, &adopt->trouble);
	if (adopt->r == 0)
		adopt->r = shm_segment_restored(&adopt->segment, adopt->meta.heap_id);
}

/* What was loaded becomes a heap. */
static int make_heap(struct adopt_job *adopt, struct heap **_heap)
{
	struct heap *heap;
	struct heap_file *file;

	/* A copy of its file, say. */
	if (find_heap(adopt->disk->broker, adopt->meta.heap_id))
		return -ERROR_CONFLICT;
	heap = heap_new_adopted_take(adopt->disk->broker, PROTO_NAMED_HEAP, adopt->uid, steal_fd(&adopt->memory));
	if (!heap)
		return -ERROR_NO_MEMORY;
	take_meta(heap, &adopt->meta);
	snprintf(heap->name, sizeof(heap->name), "%s", adopt->name);
	kind_heap_take(heap, &adopt->segment);
	*_heap = heap;
	file = disk_file_new(adopt->disk, heap);
	if (!file)
		return -ERROR_NO_MEMORY;
	file->handed_over = true;
	file->file = steal_pointer(&adopt->opened);
	file->last = shm_disk_heap_time(file->file) / NS_PER_S;
	return settle_in(heap);
}

static void done_adopt(uv_work_t *work, int status)
{
	struct adopt_job *adopt = list_entry(struct adopt_job, work, work);
	char message[HEAP_MESSAGE_SIZE] = "", why[DISK_WHY_SIZE];
	struct heap *heap = NULL;

	(void)status;
	adopt->disk->jobs--;
	if (adopt->r == 0)
		adopt->r = make_heap(adopt, &heap);
	if (adopt->r) {
		if (adopt->trouble.what != SHM_DISK_NONE)
			shm_disk_trouble_text(&adopt->trouble, why, sizeof(why));
		else
			snprintf(why, sizeof(why), "%s", error_text(adopt->r));
		snprintf(message, sizeof(message), "the file cannot be opened as a heap: %s", why);
		shm_segment_unmap(&adopt->segment);
		fd_close(adopt->memory);
		shm_disk_heap_close(adopt->opened);
	}
	adopt->waiter->done(adopt->waiter, heap, adopt->r, message);
	free(adopt);
}

int disk_adopt_take(struct broker *broker, uid_t uid, const char *name, int fd, struct disk_waiter *waiter)
{
	struct adopt_job *adopt = calloc(1, sizeof(*adopt));

	if (!adopt) {
		fd_close(fd);
		return -ERROR_NO_MEMORY;
	}
	adopt->disk = broker->disk;
	adopt->uid = uid;
	adopt->fd = fd;
	adopt->memory = -1;
	adopt->waiter = waiter;
	snprintf(adopt->name, sizeof(adopt->name), "%s", name);
	if (uv_queue_work(&broker->loop, &adopt->work, run_adopt, done_adopt)) {
		fd_close(fd);
		free(adopt);
		return -ERROR_NO_MEMORY;
	}
	broker->disk->jobs++;
	return 0;
}

/* ---- files that are brought again ---- */

struct bring_job {
	uv_work_t work;
	struct heap_file *file;
	int fd;
	struct shm_disk_heap *opened;
	int r;
};

static void run_bring(uv_work_t *work)
{
	struct bring_job *bring = list_entry(struct bring_job, work, work);

	bring->r = shm_disk_file_adopt_take(steal_fd(&bring->fd), NULL, &bring->opened, NULL);
}

static void done_bring(uv_work_t *work, int status)
{
	struct bring_job *bring = list_entry(struct bring_job, work, work);
	struct heap_file *file = bring->file;
	struct heap *heap = file->heap;

	(void)status;
	file->jobs--;
	file->disk->jobs--;
	file->brought = false;
	if (bring->r == 0 && heap && !file->file &&
	    memcmp(shm_disk_heap_meta(bring->opened)->heap_id, heap->id, sizeof(heap->id)) == 0) {
		file->file = steal_pointer(&bring->opened);
		file->error = 0;
		file->why[0] = '\0';
		store32_release(&shm_header(&heap->segment)->dirty, DIRTY_YES);
		log_notice("a heap has its file again", LOG_TEXT("heap", heap->name));
		if (heap->attachment_count == 0)
			(void)disk_leave(heap);
	}
	shm_disk_heap_close(bring->opened);
	disk_file_unref(file);
	free(bring);
}

void disk_bring_file_take(struct heap *heap, int fd)
{
	struct heap_file *file = heap->saved;
	struct bring_job *bring = !file || file->file || file->brought || file->loading ? NULL : calloc(1, sizeof(*bring));

	if (bring) {
		bring->file = file;
		bring->fd = fd;
	}
	if (!bring || uv_queue_work(&heap->broker->loop, &bring->work, run_bring, done_bring)) {
		fd_close(fd);
		free(bring);
		return;
	}
	file->brought = true;
	file->jobs++;
	file->disk->jobs++;
}
