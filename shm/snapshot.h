/*
 * snapshot.h: the values of several elements at one moment, without a lock.
 *
 * Every cell is loaded, and its value copied; then every cell is looked at again. When none has moved in between, there
 * was a moment, between the last of the first looks and the first of the second, at which all of them were as they
 * were read. A BUSY cell counts as moving: the transaction that has it may be committed, and may have changed others.
 */
#ifndef EMS_SHM_SNAPSHOT_H
#define EMS_SHM_SNAPSHOT_H

#include "shm/element.h"

struct shm_glance {
	const struct shm_segment *seg;
	struct shm_target target;
	/* of the look: */
	struct cell *cell; /* NULL: no such key */
	uint64_t meta;
};

/*
 * One try. Stores nothing, needs no slot. values [count]. 0; SHM_AGAIN: something moved; RANGE, NO_MEMORY, CORRUPT:
 * *failed is which.
 */
int shm_snapshot_try(struct shm_glance *glances, size_t count, struct shm_value *values, size_t *failed);

#endif
