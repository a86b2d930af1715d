/*
 * watch.h: the shared memory of a heap, seen from outside, step by step.
 *
 * The harness maps the heap that the child works on and keeps a shadow of each
 * page in use. Pages of the storage area (bytes of blobs) are many and mean nothing until something
 * refers to them: they are compared only when another page has changed, and now and then.
 */
#ifndef TESTS_KILL_WATCH_H
#define TESTS_KILL_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "shm/segment.h"

#define PAGE 4096u

struct page {
	uint64_t offset, hash;
	uint8_t *shadow;
};

struct watch {
	int fd;
	struct shm_segment seg;
	struct page *pages; /* in use, by offset; from `hot` on those of the storage area */
	size_t count, room, hot;
	blkcnt_t blocks;
	uint64_t hash;	/* of the whole image */
	uint64_t *seen; /* hashes of images met before, open addressing, 0 none */
	size_t seen_count, seen_room;
};

/* Maps the heap behind fd (not consumed) and takes the first image. 0 or -1 after a line why. */
int watch_init(struct watch *watch, int fd);
void watch_fini(struct watch *watch);

/* Takes over what changed since the last call. payload: look at the storage area even if nothing else did. */
bool watch_changed(struct watch *watch, bool payload);
/* The image as it is now has not been met before; from now on it has. */
bool watch_is_new(struct watch *watch);

/*
 * A private copy of the heap, for trying recovery on it.
 */
struct replica {
	int fd;
	struct shm_segment seg;
	blkcnt_t blocks;
	uint64_t *extra; /* pages in use here but not in the image */
	size_t extra_count, extra_room;
};

int replica_init(struct replica *replica, const struct watch *watch);
void replica_fini(struct replica *replica);
/* Makes it equal to the watch's present image. */
void replica_load(struct replica *replica, const struct watch *watch);

#endif
