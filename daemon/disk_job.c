/*
 * disk_job.c: what is done to files, in threads; one job of a line at a time. See disk.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/macros.h"
#include "daemon/disk.h"

/* ---- lines ---- */

static void start_next(struct line *line);

static void on_run(uv_work_t *work)
{
	struct job *job = list_entry(struct job, work, work);

	job->run(job);
}

static void on_done(uv_work_t *work, int status)
{
	struct job *job = list_entry(struct job, work, work);
	struct line *line = job->line;
	struct disk *disk = job->disk;

	struct heap_file *file = line != &disk->line ? list_entry(struct heap_file, line, own_line) : NULL;

	(void)status;
	disk->jobs--;
	list_remove(&job->node);
	line->running = false;
	/* A line in a file goes with the last job that knows that. */
	if (file)
		file->jobs++;
	job->done(job);
	start_next(line);
	if (file) {
		file->jobs--;
		disk_file_unref(file);
	}
	disk_schedule(disk);
}

static void start_next(struct line *line)
{
	struct job *job;

	if (line->running || list_is_empty(&line->jobs))
		return;
	job = list_entry(struct job, line->jobs.next, node);
	line->running = true;
	if (uv_queue_work(&job->disk->broker->loop, &job->work, on_run, on_done))
		abort(); /* only without a function to run */
}

void job_queue(struct job *job, struct disk *disk, struct line *line, bool first)
{
	job->disk = disk;
	job->line = line;
	disk->jobs++;
	if (first && !line->running && !list_is_empty(&line->jobs)) {
		struct list *behind = line->jobs.next;

		list_add(behind, &job->node); /* before it */
	} else {
		list_add(&line->jobs, &job->node);
	}
	start_next(line);
}

/* ---- writing pages ---- */

static int add_pages(struct shm_disk_checkpoint *checkpoint, size_t which, const struct shm_checkpoint *taken,
		     struct shm_disk_trouble *trouble)
{
	int r = 0;

	for (size_t i = 0, n; i < taken->count && r == 0; i += n) {
		for (n = 1; i + n < taken->count && taken->pages[i + n] == taken->pages[i] + n; n++)
			continue;
		r = shm_disk_add(checkpoint, which, taken->pages[i] << MARK_PAGE_SHIFT,
				 taken->bytes + i * CHECKPOINT_PAGE, n * CHECKPOINT_PAGE, trouble);
	}
	return r;
}

static int write_all(struct shm_disk_heap **files, const struct disk_meta *metas, const struct shm_checkpoint *taken,
		     size_t count, struct shm_disk_checkpoint **_checkpoint, struct shm_disk_trouble *trouble)
{
	struct shm_disk_checkpoint *checkpoint = NULL;
	int r = shm_disk_begin(files, count, &checkpoint, trouble);

	if (r)
		return r;
	for (size_t i = 0; i < count && r == 0; i++) {
		r = shm_disk_checkpoint_meta(checkpoint, i, &metas[i], trouble);
		if (r == 0)
			r = add_pages(checkpoint, i, &taken[i], trouble);
	}
	if (r == 0)
		r = shm_disk_commit(checkpoint, trouble);
	if (r)
		shm_disk_abort(checkpoint);
	else
		*_checkpoint = checkpoint;
	return r;
}

/* How many pages there can be, by our own accounts; what is not charged is there by slots. */
static uint64_t most_pages(const struct heap *heap)
{
	return ((heap->budget.used + heap->saved->given_back) >> MARK_PAGE_SHIFT) +
	       SLOT_COUNT * (UNIT + sizeof(struct slot)) / CHECKPOINT_PAGE + 64;
}

static void prepare(struct shm_checkpoint *checkpoint, struct heap *heap)
{
	*checkpoint = (struct shm_checkpoint){.seg = &heap->segment, .fd = heap->fd, .most = most_pages(heap)};
}

/* ---- settling ---- */

struct settle_job {
	struct job job;
	struct heap_file *file; /* of a client's, else NULL */
	struct shm_disk_checkpoint *checkpoint;
	struct shm_disk_trouble trouble;
	int r;
};

static void run_settle(struct job *job)
{
	struct settle_job *settle = (struct settle_job *)job;

	settle->r = shm_disk_settle(settle->checkpoint, &settle->trouble);
}

static void done_settle(struct job *job)
{
	struct settle_job *settle = (struct settle_job *)job;
	char why[DISK_WHY_SIZE];

	if (settle->r) {
		shm_disk_trouble_text(&settle->trouble, why, sizeof(why));
		log_warning("a checkpoint is safe in its journal, and not in its place yet", LOG_CODE("code", settle->r),
			    LOG_TEXT("why", why));
	}
	if (settle->file) {
		settle->file->jobs--;
		disk_file_unref(settle->file);
	}
	free(settle);
}

/* ---- a checkpoint ---- */

struct take_job {
	struct job job;
	size_t count;
	struct heap_file **files;
	struct shm_disk_heap **heaps;
	struct shm_checkpoint *taken;
	struct disk_meta *metas;
	struct shm_disk_checkpoint *checkpoint;
	struct settle_job *settle;
	struct shm_disk_trouble trouble;
	int r;
};

static void free_take(struct take_job *take)
{
	for (size_t i = 0; take->taken && i < take->count; i++)
		shm_checkpoint_free(&take->taken[i]);
	free((void *)take->files);
	free((void *)take->heaps);
	free(take->taken);
	free(take->metas);
	free(take->settle);
	free(take);
}

static void run_take(struct job *job)
{
	struct take_job *take = (struct take_job *)job;

	take->r = write_all(take->heaps, take->metas, take->taken, take->count, &take->checkpoint, &take->trouble);
}

static void end_take(struct take_job *take, size_t i)
{
	struct heap_file *file = take->files[i];

	if (file->heap && take->r == 0)
		shm_checkpoint_done(&take->taken[i]);
	else if (file->heap)
		shm_checkpoint_failed(&take->taken[i]);
	if (take->r == 0)
		file->last = (uint64_t)time(NULL);
	disk_taken(file, take->r, &take->trouble);
}

static void done_take(struct job *job)
{
	struct take_job *take = (struct take_job *)job;
	struct disk *disk = job->disk;
	bool handed_over = take->files[0]->handed_over;

	for (size_t i = 0; i < take->count; i++)
		end_take(take, i);
	if (!handed_over)
		disk->taking = false;
	if (take->checkpoint) {
		struct settle_job *settle = take->settle;

		take->settle = NULL;
		settle->job = (struct job){.run = run_settle, .done = done_settle};
		settle->checkpoint = take->checkpoint;
		settle->file = handed_over ? take->files[0] : NULL;
		if (handed_over)
			take->files[0]->jobs++;
		/* What was waiting in the line may need these files. */
		job_queue(&settle->job, disk, job->line, true);
	}
	/* Behind the settling: it closes the file. */
	if (handed_over)
		disk_leave_if_written(take->files[0]);
	for (size_t i = 0; i < take->count; i++) {
		take->files[i]->jobs--;
		disk_file_unref(take->files[i]);
	}
	free_take(take);
}

static struct take_job *new_take(struct heap_file **files, size_t count)
{
	struct take_job *take = calloc(1, sizeof(*take));

	if (!take)
		return NULL;
	take->job = (struct job){.run = run_take, .done = done_take};
	take->count = count;
	take->files = calloc(count, sizeof(struct heap_file *));
	take->heaps = calloc(count, sizeof(struct shm_disk_heap *));
	take->taken = calloc(count, sizeof(*take->taken));
	take->metas = calloc(count, sizeof(*take->metas));
	take->settle = calloc(1, sizeof(*take->settle));
	if (take->files && take->heaps && take->taken && take->metas && take->settle) {
		memcpy((void *)take->files, (void *)files, count * sizeof(*files));
		return take;
	}
	free_take(take);
	return NULL;
}

int disk_take(struct heap_file **files, size_t count)
{
	struct take_job *take = new_take(files, count);
	struct disk *disk = files[0]->disk;
	int r;

	if (!take)
		return -ERROR_NO_MEMORY;
	for (size_t i = 0; i < count; i++) {
		prepare(&take->taken[i], files[i]->heap);
		disk_meta_of(files[i]->heap, &take->metas[i]);
		take->heaps[i] = files[i]->file;
	}
	r = shm_checkpoint_take(take->taken, count);
	if (r) {
		free_take(take);
		return r;
	}
	for (size_t i = 0; i < count; i++) {
		files[i]->jobs++;
		files[i]->attempts++;
		files[i]->flying = true;
		files[i]->changed = false;
		files[i]->given_back = 0;
		files[i]->due = CLOCK_NEVER;
	}
	if (!files[0]->handed_over)
		disk->taking = true;
	job_queue(&take->job, disk, disk_line(files[0]), false);
	return 0;
}

/* ---- creation ---- */

struct create_job {
	struct job job;
	struct heap_file *file;
	struct shm_disk *store;
	int fd;
	struct disk_meta meta;
	struct shm_checkpoint taken;
	struct shm_disk_heap *made;
	struct disk_waiter *waiter;
	struct shm_disk_trouble trouble;
	int r;
};

/* A creation is the file, and the first checkpoint in it: without that it is none (disk_load.c). */
static void run_create(struct job *job)
{
	struct create_job *create = (struct create_job *)job;
	struct shm_disk_checkpoint *checkpoint = NULL;
	bool own = create->fd < 0;

	if (own)
		create->r = shm_disk_heap_create(create->store, &create->meta, &create->made, &create->trouble);
	else
		create->r = shm_disk_file_create_take(steal_fd(&create->fd), NULL, &create->meta, &create->made,
						      &create->trouble);
	if (create->r)
		return;
	create->r = write_all(&create->made, &create->meta, &create->taken, 1, &checkpoint, &create->trouble);
	if (create->r == 0)
		create->r = shm_disk_settle(checkpoint, &create->trouble);
	if (create->r == 0)
		return;
	if (own)
		(void)shm_disk_heap_drop(create->made, NULL);
	else
		shm_disk_heap_close(create->made);
	create->made = NULL;
}

static void done_create(struct job *job)
{
	struct create_job *create = (struct create_job *)job;
	struct heap_file *file = create->file;
	struct heap *heap = file->heap;
	char message[HEAP_MESSAGE_SIZE] = "";

	file->jobs--;
	file->file = create->made;
	file->loading = false;
	if (create->r) {
		char why[DISK_WHY_SIZE];

		shm_disk_trouble_text(&create->trouble, why, sizeof(why));
		snprintf(message, sizeof(message), "heap \"%s\": its file cannot be made: %s", heap ? heap->name : "?", why);
		log_error("a persistent heap cannot be made", LOG_TEXT("heap", heap ? heap->name : "?"),
			  LOG_CODE("code", create->r), LOG_TEXT("why", why));
	} else {
		file->last = (uint64_t)time(NULL);
		file->checkpoints = 1;
		if (heap)
			shm_checkpoint_done(&create->taken);
	}
	create->waiter->done(create->waiter, heap, heap ? create->r : -ERROR_CONNECTION, message);
	if (file->heap)
		disk_arm(file);
	shm_checkpoint_free(&create->taken);
	disk_file_unref(file);
	free(create);
}

int disk_create_take(struct heap *heap, int fd, struct disk_waiter *waiter, char message[static HEAP_MESSAGE_SIZE])
{
	struct disk *disk = heap->broker->disk;
	struct create_job *create;
	int r;

	r = fd < 0 ? disk_open_store(disk, true) : 0;
	if (r) {
		snprintf(message, HEAP_MESSAGE_SIZE, "heap \"%s\": no heap can be persistent: %s", heap->name,
			 disk->trouble);
		return r;
	}
	create = calloc(1, sizeof(*create));
	if (create)
		create->file = disk_file_new(disk, heap);
	if (!create || !create->file) {
		fd_close(fd);
		free(create);
		return -ERROR_NO_MEMORY;
	}
	create->file->handed_over = fd >= 0;
	prepare(&create->taken, heap);
	r = shm_checkpoint_take(&create->taken, 1);
	if (r) {
		fd_close(fd);
		free(create);
		return r;
	}
	create->job = (struct job){.run = run_create, .done = done_create};
	create->store = disk->store;
	create->fd = fd;
	create->waiter = waiter;
	disk_meta_of(heap, &create->meta);
	create->file->loading = true; /* nobody is to have it yet */
	create->file->jobs++;
	job_queue(&create->job, disk, disk_line(create->file), false);
	return 0;
}

/* ---- removal ---- */

struct drop_job {
	struct job job;
	struct heap_file *file;
	struct shm_disk_heap *heap;
	struct disk_waiter *waiter;
	char name[PROTO_NAME_MAX + 1];
	struct shm_disk_trouble trouble;
	int r;
};

static void run_drop(struct job *job)
{
	struct drop_job *drop = (struct drop_job *)job;

	if (drop->file->handed_over)
		shm_disk_heap_close(drop->heap);
	else
		drop->r = shm_disk_heap_drop(drop->heap, &drop->trouble);
}

static void done_drop(struct job *job)
{
	struct drop_job *drop = (struct drop_job *)job;
	char message[HEAP_MESSAGE_SIZE] = "";

	if (drop->r) {
		char why[DISK_WHY_SIZE];

		shm_disk_trouble_text(&drop->trouble, why, sizeof(why));
		snprintf(message, sizeof(message), "heap \"%s\" is gone, but its file is not, and may bring it back: %s",
			 drop->name, why);
		log_error(message);
	}
	if (drop->waiter)
		drop->waiter->done(drop->waiter, NULL, drop->r, message);
	drop->file->jobs--;
	disk_file_unref(drop->file);
	free(drop);
}

bool disk_drop(struct heap *heap, struct disk_waiter *waiter)
{
	struct heap_file *file = heap->saved;
	struct drop_job *drop;

	if (!file || !file->file)
		return false;
	drop = calloc(1, sizeof(*drop));
	if (!drop)
		return false;
	drop->job = (struct job){.run = run_drop, .done = done_drop};
	drop->file = file;
	drop->heap = file->file;
	drop->waiter = waiter;
	snprintf(drop->name, sizeof(drop->name), "%s", heap->name);
	file->file = NULL;
	file->due = CLOCK_NEVER;
	file->jobs++;
	job_queue(&drop->job, file->disk, disk_line(file), false);
	return true;
}
