/* A heap's file as memory of one's own: see backup.h. */
#include "client/backup.h"

#include "base/error.h"
#include "shm/checkpoint.h"
#include "shm/recover.h"

#define RUNS (2 * SLOT_COUNT) /* of recovery */

/* A part of a transaction whose other heaps are not here is as it would be without them. */
static int no_neighbour(void *context, const uint8_t heap_id[16], shm_neighbour_look *look, void *arg)
{
	(void)context;
	(void)heap_id;
	(void)look;
	(void)arg;
	return -ERROR_NOT_FOUND;
}

static const struct shm_neighbours no_neighbours = {.visit = no_neighbour};

static int put_in_order(struct shm_segment *image, const struct disk_meta *meta)
{
	struct shm_recovery recovery = {.deferred = 1};
	int r = shm_segment_restored(image, meta->heap_id);

	image->neighbours = &no_neighbours;
	/* Each run does its share. Nobody is alive here who could be waited for. */
	for (uint32_t i = 0; i < RUNS && r == 0 && recovery.deferred; i++)
		r = shm_recover(image, NULL, &recovery);
	return r == 0 && (recovery.corrupt || recovery.deferred) ? -ERROR_CORRUPT : r;
}

int backup_load(struct shm_disk_heap *file, struct shm_segment *image, int *_memory, shm_disk_progress *progress, void *arg,
		struct shm_disk_trouble *trouble)
{
	const struct disk_meta *meta = shm_disk_heap_meta(file);
	int r = shm_segment_empty(image, &meta->params, _memory);

	if (r == 0)
		r = shm_disk_load(file, image->base, image->layout.segment_size, progress, arg, trouble);
	return r == 0 ? put_in_order(image, meta) : r;
}
