/*
 * disk.c: when heaps are written, and who waits for it. See disk.h.
 */
#include "daemon/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/macros.h"
#include "daemon/keep.h"
#include "shm/atomic.h"
#include "shm/futex.h"

#define FOLDER "heaps"

/* After a failure, growing. A sync tries at once. */
#define DELAY_FIRST (200 * NS_PER_MS)
#define DELAY_MOST  (10 * NS_PER_S)

static void on_timer(uv_timer_t *timer);

/* ---- files ---- */

struct heap_file *disk_file_new(struct disk *disk, struct heap *heap)
{
	struct heap_file *file = calloc(1, sizeof(*file));

	if (!file)
		return NULL;
	file->disk = disk;
	file->heap = heap;
	file->due = CLOCK_NEVER;
	/* More than any former daemon has counted, which began earlier, and counts no million in a second. */
	file->first = file->attempts = file->completed = (uint64_t)time(NULL) << 20;
	list_init(&file->own_line.jobs);
	list_add(&disk->files, &file->node);
	heap->saved = file;
	return file;
}

void disk_file_unref(struct heap_file *file)
{
	if (file->heap || file->jobs)
		return;
	list_remove(&file->node);
	shm_disk_heap_close(file->file);
	free(file);
}

struct line *disk_line(struct heap_file *file)
{
	return file->handed_over ? &file->own_line : &file->disk->line;
}

void disk_trouble(struct heap_file *file, int r, const struct shm_disk_trouble *trouble)
{
	char why[DISK_WHY_SIZE];

	if (trouble && trouble->what != SHM_DISK_NONE)
		shm_disk_trouble_text(trouble, why, sizeof(why));
	else
		snprintf(why, sizeof(why), "%s", error_text(r));
	/* Once for each cause, not for each attempt. */
	if (file->error != -r || strcmp(file->why, why) != 0)
		log_error("a heap cannot be written to its file", LOG_TEXT("heap", file->heap ? file->heap->name : "?"),
			  LOG_CODE("code", r), LOG_TEXT("why", why));
	file->error = -r;
	memcpy(file->why, why, sizeof(why));
}

void disk_meta_of(const struct heap *heap, struct disk_meta *meta)
{
	*meta = (struct disk_meta){
		.kind = DISK_HEAP,
		.segment_version = SEGMENT_VERSION,
		.segment_size = heap->segment.layout.segment_size,
		.params = heap->segment.layout.params,
		.size = heap->elements,
		.period = heap->checkpoint_ms * NS_PER_MS,
		.budget = heap->budget.limit,
		.idle_seconds = heap->idle_seconds,
		.created = heap->created * NS_PER_S,
		.uid = heap->owner.uid,
		.gid = heap->owner.gid,
		.mode = heap->owner.mode,
		.creator = heap->user->uid,
		.lifetime = heap->lifetime,
	};
	memcpy(meta->heap_id, heap->id, sizeof(meta->heap_id));
	memcpy(meta->creation, heap->creation, sizeof(meta->creation));
	/* A file that was handed over may be another tomorrow. */
	if (!heap->saved || !heap->saved->handed_over) {
		meta->name_size = (uint32_t)strlen(heap->name);
		memcpy(meta->name, heap->name, meta->name_size);
	}
}

/* ---- when ---- */

static bool is_dirty(const struct heap_file *file)
{
	return file->changed || load32_acquire(&shm_header(&file->heap->segment)->dirty) == DIRTY_YES;
}

/* Can be written at all. */
static bool is_there(const struct heap_file *file)
{
	return file->heap && file->file && !file->loading && !file->broken && !file->heap->dropped;
}

static void due_at(struct heap_file *file, uint64_t time)
{
	if (time < file->due)
		file->due = time;
}

/* Between checkpoints that nobody asks for. One in a client's file has none: its clients end it, or ask. */
static uint64_t interval_of(const struct heap_file *file)
{
	return file->heap->checkpoint_ms ? file->heap->checkpoint_ms * NS_PER_MS : CLOCK_NEVER;
}

static void unwatch(struct heap_file *file)
{
	if (file->watched)
		notice_remove(file->disk->notice, &shm_header(&file->heap->segment)->dirty);
	file->watched = false;
}

void disk_arm(struct heap_file *file)
{
	uint32_t *word, seen = DIRTY_NO;

	if (!is_there(file) || file->watched || interval_of(file) == CLOCK_NEVER)
		return;
	word = &shm_header(&file->heap->segment)->dirty;
	if (!is_dirty(file) && (cas32(word, &seen, DIRTY_WATCHED) || seen == DIRTY_WATCHED)) {
		/* Where there is no room for one more it is looked at every interval. */
		file->watched = notice_add(file->disk->notice, word);
		if (file->watched)
			return;
	}
	due_at(file, clock_deadline(interval_of(file)));
}

static void on_notice(uv_async_t *async)
{
	struct disk *disk = async->data;

	list_each(struct heap_file, file, &disk->files, node)
	{
		if (!file->watched || !file->heap || load32_acquire(&shm_header(&file->heap->segment)->dirty) == DIRTY_WATCHED)
			continue;
		unwatch(file);
		due_at(file, clock_deadline(interval_of(file)));
	}
	disk_schedule(disk);
}

/* All that are written with it, the first one itself. Returns how many. */
static size_t group_of(struct heap_file *file, struct heap_file ***_members)
{
	struct heap_file **members;
	size_t count = 1, n = 1;

	list_each(struct heap_file, other, &file->disk->files, node) count++;
	members = calloc(count, sizeof(struct heap_file *));
	if (!members)
		return 0;
	members[0] = file;
	list_each(struct heap_file, other, &file->disk->files, node) if (other != file && file->group &&
									 other->group == file->group &&
									 is_there(other) && !other->handed_over)
		members[n++] = other;
	*_members = members;
	return n;
}

static void try_later(struct heap_file *file)
{
	file->delay = file->delay ? MIN(2 * file->delay, DELAY_MOST) : DELAY_FIRST;
	file->due = clock_deadline(file->delay);
}

static void begin(struct heap_file *file)
{
	_cleanup_(freep) struct heap_file **members = NULL;
	size_t count = group_of(file, &members);
	int r = count ? disk_take(members, count) : -ERROR_NO_MEMORY;

	if (r == 0)
		return;
	if (r != -ERROR_BUSY)
		disk_trouble(file, r, NULL);
	try_later(file);
}

static bool is_free(const struct heap_file *file)
{
	return !file->flying && (file->handed_over || !file->disk->taking);
}

static struct heap_file *most_urgent(const struct disk *disk, uint64_t now)
{
	struct heap_file *first = NULL;

	list_each(struct heap_file, file, &disk->files, node)
	{
		if (file->due > now || !is_free(file))
			continue;
		if (!is_there(file))
			file->due = CLOCK_NEVER;
		else if (!first || file->due < first->due)
			first = file;
	}
	return first;
}

void disk_schedule(struct disk *disk)
{
	uint64_t now = clock_now(), next = CLOCK_NEVER;
	struct heap_file *file;

	while ((file = most_urgent(disk, now)) != NULL) {
		file->due = CLOCK_NEVER;
		if (is_dirty(file))
			begin(file);
		else
			disk_arm(file);
	}
	list_each(struct heap_file, other, &disk->files, node) if (is_free(other)) next = MIN(next, other->due);
	if (next == CLOCK_NEVER || uv_is_closing((uv_handle_t *)&disk->timer)) {
		(void)uv_timer_stop(&disk->timer);
		return;
	}
	uv_update_time(&disk->broker->loop);
	(void)uv_timer_start(&disk->timer, on_timer, (next > now ? next - now : 0) / NS_PER_MS + 1, 0);
}

static void on_timer(uv_timer_t *timer)
{
	disk_schedule(timer->data);
}

/* ---- what came of it ---- */

static void tell_clients(const struct heap_file *file)
{
	uint32_t *word = &shm_header(&file->heap->segment)->checkpoints;

	add32(word, 1);
	(void)shm_futex_wake(word, INT_MAX, WAIT_ANY);
}

void disk_taken(struct heap_file *file, int r, const struct shm_disk_trouble *trouble)
{
	file->flying = false;
	if (!file->heap)
		return;
	if (r == 0) {
		if (file->error)
			log_notice("a heap is written to its file again", LOG_TEXT("heap", file->heap->name));
		file->error = 0;
		file->why[0] = '\0';
		file->delay = 0;
		file->completed = file->attempts;
		file->checkpoints++;
	} else {
		file->failed = file->attempts;
		file->changed = true;
		disk_trouble(file, r, trouble);
		try_later(file);
	}
	tell_clients(file);
	if (r == 0)
		disk_arm(file);
}

int disk_sync(struct heap *heap, uint64_t number, struct proto_sync_reply *reply,
	      char message[static HEAP_MESSAGE_SIZE])
{
	struct heap_file *file = heap->saved;

	if (!file || heap->dropped) {
		snprintf(message, HEAP_MESSAGE_SIZE, "heap \"%s\" is not persistent%s", heap->name,
			 file ? " any more: it was dropped" : "");
		return file ? -ERROR_DROPPED : -ERROR_UNSUPPORTED;
	}
	if (!file->file) {
		snprintf(message, HEAP_MESSAGE_SIZE, "heap \"%s\": it cannot be written: %s", heap->name, file->why);
		return -(file->error ? file->error : ERROR_IO);
	}
	/* Of another daemon: as if it were the first time. */
	if (number < file->first || number > file->attempts + 1)
		number = is_dirty(file) ? file->attempts + 1 : file->attempts;
	*reply = (struct proto_sync_reply){.number = number, .done = file->completed >= number};
	if (reply->done)
		return 0;
	if (file->failed >= number) {
		snprintf(message, HEAP_MESSAGE_SIZE, "heap \"%s\": it is not on disk: %s", heap->name, file->why);
		return -file->error;
	}
	if (!file->flying || number > file->attempts) {
		due_at(file, 0);
		disk_schedule(file->disk);
	}
	return 0;
}

void disk_write(struct heap *heap)
{
	struct heap_file *file = heap->saved;

	if (file && is_there(file) && is_dirty(file)) {
		due_at(file, 0);
		disk_schedule(file->disk);
	}
}

void disk_changed(struct heap *heap)
{
	if (heap->saved) {
		heap->saved->changed = true;
		disk_write(heap);
	}
}

void disk_look(struct heap *heap)
{
	if (heap->saved && heap->saved->watched)
		on_notice(&heap->saved->disk->async);
}

void disk_given_back(struct heap *heap, uint64_t bytes)
{
	if (heap->saved)
		heap->saved->given_back += bytes;
}

/* The heap may be gone after the call. */
void disk_leave_if_written(struct heap_file *file)
{
	struct heap *heap = file->heap;

	if (!heap || !file->leaving || file->flying || is_dirty(file) || heap->broker->stopping)
		return;
	file->leaving = false;
	if (heap->attachment_count == 0)
		heap_drop(heap, "nobody has it, and it is in its file", heap->owner.uid);
}

bool disk_leave(struct heap *heap)
{
	struct heap_file *file = heap->saved;

	if (!file || !file->handed_over || heap->dropped)
		return false;
	file->leaving = true;
	if (!file->file)
		return true; /* it stays until somebody brings the file again */
	disk_write(heap);
	disk_leave_if_written(file);
	return true;
}

/* ---- groups ---- */

void disk_set_group(struct heap *heap, uint64_t group)
{
	struct disk *disk = heap->saved->disk;

	heap->saved->group = group;
	disk->next_group = MAX(disk->next_group, group + 1);
	shm_mark(&heap->segment, &shm_header(&heap->segment)->group, sizeof(uint64_t));
	store64_release(&shm_header(&heap->segment)->group, group);
}

void disk_join(struct heap *heap, struct heap *other)
{
	struct disk *disk = heap->saved->disk;
	uint64_t from = heap->saved->group, to = other->saved->group;

	if (to == 0)
		to = from ? from : disk->next_group;
	list_each(struct heap_file, file, &disk->files, node)
	{
		if (!file->heap || file->group == to ||
		    (file->heap != heap && file->heap != other && (from == 0 || file->group != from)))
			continue;
		disk_set_group(file->heap, to);
		keep_description(file->heap);
	}
}

/* ---- the end of a heap ---- */

void disk_release(struct heap *heap)
{
	struct heap_file *file = heap->saved;

	if (!file)
		return;
	unwatch(file);
	store32_relaxed(&file->stop, 1);
	file->heap = NULL;
	heap->saved = NULL;
	disk_file_unref(file);
}

/* ---- for people ---- */

void disk_describe_shortly(const struct heap *heap, uint32_t *loading, uint32_t *error)
{
	const struct heap_file *file = heap->saved;

	if (!file)
		return;
	*loading = file->loading ? 1 + load32_relaxed(&file->percent) : 0;
	*error = (uint32_t)file->error;
}

void disk_describe(const struct heap *heap, struct proto_disk *description)
{
	const struct heap_file *file = heap->saved;

	if (!file)
		return;
	*description = (struct proto_disk){.attempts = 1 + file->attempts - file->first,
					   .checkpoints = file->checkpoints,
					   .last = file->last,
					   .interval = heap->checkpoint_ms,
					   .file = file->handed_over};
	disk_describe_shortly(heap, &description->loading, &description->error);
	if (is_there(file) && is_dirty(file))
		description->dirty = shm_dirty_pages(&heap->segment) * CHECKPOINT_PAGE;
	snprintf(description->why, sizeof(description->why), "%s", file->why);
}

int disk_replaceable(const struct heap *heap, char message[static HEAP_MESSAGE_SIZE])
{
	if (!heap->saved || !heap->saved->loading)
		return 0;
	snprintf(message, HEAP_MESSAGE_SIZE, "heap \"%s\" is being loaded from its file", heap->name);
	return -ERROR_LOADING;
}

int disk_usable(struct heap *heap, char message[static HEAP_MESSAGE_SIZE])
{
	struct heap_file *file = heap->saved;

	if (!file || (!file->loading && !file->broken))
		return 0;
	if (file->broken && clock_passed(file->try_again))
		(void)disk_load_begin(file);
	if (file->loading) {
		snprintf(message, HEAP_MESSAGE_SIZE, "heap \"%s\" is being loaded from its file: %u %%", heap->name,
			 (unsigned)file->percent);
		return -ERROR_LOADING;
	}
	snprintf(message, HEAP_MESSAGE_SIZE, "heap \"%s\" cannot be loaded from its file: %s", heap->name, file->why);
	return -file->error;
}

/* ---- the whole ---- */

/* make: if it is not there. */
static int open_folder(const char *state_dir, bool make, int *_fd)
{
	_cleanup_(closep) int parent = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (parent < 0)
		return error_from_errno(errno);
	if (make && mkdirat(parent, FOLDER, 0700) < 0 && errno != EEXIST)
		return error_from_errno(errno);
	*_fd = openat(parent, FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return *_fd < 0 ? error_from_errno(errno) : 0;
}

static int start(struct broker *broker, struct disk *disk)
{
	if (uv_timer_init(&broker->loop, &disk->timer))
		return -ERROR_SYSTEM;
	disk->timer.data = disk;
	if (uv_async_init(&broker->loop, &disk->async, on_notice))
		return -ERROR_SYSTEM;
	disk->async.data = disk;
	/* Neither keeps the loop from ending. */
	uv_unref((uv_handle_t *)&disk->async);
	disk->notice = notice_new(&disk->async);
	return disk->notice ? 0 : -ERROR_NO_MEMORY;
}

int disk_open_store(struct disk *disk, bool make)
{
	struct shm_disk_trouble trouble = {0};
	_cleanup_(closep) int folder = -1;
	int r = disk->store ? 0 : open_folder(disk->broker->config.state_dir, make, &folder);

	if (disk->store || (r == -ERROR_NOT_FOUND && !make))
		return 0;
	if (r == 0)
		r = shm_disk_open(folder, NULL, &disk->store, &trouble);
	if (r == 0)
		return 0;
	if (trouble.what != SHM_DISK_NONE)
		shm_disk_trouble_text(&trouble, disk->trouble, sizeof(disk->trouble));
	else
		snprintf(disk->trouble, sizeof(disk->trouble), "%s", error_text(r));
	log_error("there can be no persistent heaps: their folder cannot be opened",
		  LOG_TEXT("folder", disk->broker->config.state_dir), LOG_CODE("code", r), LOG_TEXT("why", disk->trouble));
	return r;
}

int disk_open(struct broker *broker)
{
	struct disk *disk = calloc(1, sizeof(*disk));
	int r;

	if (!disk)
		return -ERROR_NO_MEMORY;
	broker->disk = disk;
	disk->broker = broker;
	disk->next_group = (uint64_t)time(NULL);
	list_init(&disk->files);
	list_init(&disk->line.jobs);
	r = start(broker, disk);
	if (r)
		return r;
	/* The folder is made with the first persistent heap. One that cannot be opened may be later, then. */
	(void)disk_open_store(disk, false);
	return disk_load_all(disk);
}

static void on_patience_over(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
}

static bool is_everything_written(const struct disk *disk)
{
	list_each(struct heap_file, file, &disk->files, node) if (is_there(file) &&
								       MAX(file->completed, file->failed) < file->last_attempt)
		return false;
	return true;
}

void disk_finish(struct broker *broker, uint64_t patience)
{
	struct disk *disk = broker->disk;
	uv_timer_t timer;
	bool over = false;

	if (!disk || !disk->notice || uv_timer_init(&broker->loop, &timer))
		return;
	timer.data = &over;
	(void)uv_timer_start(&timer, on_patience_over, patience / NS_PER_MS, 0);
	/* Clients go on, and make dirty what was written: everything until now is what there is to be written. */
	list_each(struct heap_file, file, &disk->files, node)
	{
		store32_relaxed(&file->stop, 1); /* those that are being loaded */
		if (!is_there(file))
			continue;
		file->last_attempt = file->attempts + is_dirty(file);
		if (is_dirty(file))
			file->due = 0;
	}
	disk_schedule(disk);
	while (!over && (disk->jobs || !is_everything_written(disk)))
		(void)uv_run(&broker->loop, UV_RUN_ONCE);
	if (!is_everything_written(disk))
		log_error("not everything was written to disk in time");
	uv_close((uv_handle_t *)&timer, NULL);
	(void)uv_run(&broker->loop, UV_RUN_NOWAIT);
}

void disk_close(struct broker *broker)
{
	struct disk *disk = broker->disk;

	if (!disk)
		return;
	list_each(struct heap_file, file, &disk->files, node) disk_file_unref(file);
	notice_free(disk->notice);
	if (disk->timer.data)
		uv_close((uv_handle_t *)&disk->timer, NULL);
	if (disk->async.data)
		uv_close((uv_handle_t *)&disk->async, NULL);
	(void)uv_run(&broker->loop, UV_RUN_NOWAIT);
	/* What a job that does not end still uses stays. */
	if (!disk->jobs) {
		shm_disk_free(disk->store);
		free(disk);
	}
	broker->disk = NULL;
}
