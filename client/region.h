/*
 * region.h: a handle of a region.
 *
 * Each opening has an attachment and a mapping of its own, so that what it wished for its memory is its own, too. The
 * memory is used without a lock; growing and wishes go through the connection's.
 */
#ifndef CLIENT_REGION_H
#define CLIENT_REGION_H

#include <stdbool.h>
#include <stdint.h>

#include "client/ems.h"
#include "client/process.h"
#include "proto/message.h"
#include "shm/region_wish.h"

struct ems_region {
	uint32_t process; /* client/process.h */
	struct shm_region memory;
	struct ems_connection *connection; /* a reference */
	char name[PROTO_NAME_MAX + 1];
	ems_pages_t pages; /* asked for */

	/* with the connection locked: */
	struct shm_wishes wishes;
	uint64_t wished;     /* bytes for which they were granted */
	uint32_t attachment; /* the daemon's number */
	uint32_t epoch;	     /* of the link on which that number counts */
	uint64_t ticket;     /* for reattach */
	uint8_t heap_id[16];
	int lost; /* negative: why it could not be attached again after the link was lost */
	struct ems_region *next, **link; /* of the connection's */
};

/* After the link was lost and made anew: attaches all regions of the connection again, which is locked. As
 * mapping_reattach_all. */
int region_reattach_all(struct ems_connection *connection, uint64_t deadline);

/* What every call begins with: 0, -ERROR_INVALID (NULL), -ERROR_FORKED; noted as the last error. */
int region_check_slow(const struct ems_region *region, const char *operation) __attribute__((cold));
static inline int region_check(const struct ems_region *region, const char *operation)
{
	if (LIKELY(region && !process_is_another(region->process)))
		return 0;
	return region_check_slow(region, operation);
}

#endif
