/*
 * backup.h: files of heaps, read by the library: backups, and those that no daemon uses. No daemon takes part.
 */
#ifndef CLIENT_BACKUP_H
#define CLIENT_BACKUP_H

#include "shm/disk.h"
#include "shm/segment.h"

/* Opens one; fd stays the caller's. The file does not change if fd is open for reading only. -ERROR_CORRUPT: also one that was made and never written. */
int backup_open(int fd, struct shm_disk_heap **_file, struct shm_disk_trouble *trouble);
/*
 * What it holds as memory of one's own, in which all who had slots count as dead, and are recovered. image, all zero before, and
 * *memory are for shm_segment_unmap and close, also after an error. progress may be NULL.
 */
int backup_load(struct shm_disk_heap *file, struct shm_segment *image, int *_memory, shm_disk_progress *progress, void *arg,
		struct shm_disk_trouble *trouble);
/* Notes the failure of one of these. */
int backup_failed(int r, const struct shm_disk_trouble *trouble);

#endif
