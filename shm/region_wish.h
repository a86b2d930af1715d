/*
 * region_wish.h: what a process wants the system to do for a region's memory: large pages, pages that are there
 * beforehand, pages that are not swapped out, pages on all nodes. None of it changes what the memory holds; each is
 * had as far as the machine grants it, and told.
 */
#ifndef EMS_SHM_REGION_WISH_H
#define EMS_SHM_REGION_WISH_H

#include "shm/region.h"

struct shm_grant {
	uint64_t asked, granted;
	const char *why; /* static; NULL: all that was asked for */
};

struct shm_wishes {
	bool transparent;      /* huge pages that the system makes of small ones */
	bool populate;	       /* touch all pages now */
	bool interleave;       /* spread pages over the machine's memory nodes */
	unsigned lock_percent; /* keep so much of it, from its beginning, from being swapped out; 0 to 100 */
	/* Filled in: */
	struct shm_grant huge;	      /* bytes of a page */
	struct shm_grant populated;   /* bytes */
	struct shm_grant locked;      /* bytes */
	struct shm_grant interleaved; /* nodes */
};

/*
 * Grants wishes for [from, to) of the accessible bytes; call it again with what has been added since. It may take as long as
 * the pages take to be zeroed. One caller at a time.
 */
void shm_region_grant(const struct shm_region *region, struct shm_wishes *wishes, uint64_t from, uint64_t to);

#endif
