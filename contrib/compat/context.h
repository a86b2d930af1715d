/* What a context is made of, for the files of this folder. */
#ifndef EMS_COMPAT_CONTEXT_H
#define EMS_COMPAT_CONTEXT_H

#include "contrib/compat/ems_compat.h"

struct ems_compat {
	enum ems_compat_kind kind;
	uint32_t member, size;
	ems_connection_t *connection;
	ems_team_t *team;    /* with more than one member */
	ems_heap_t *control; /* the same */
	ems_heap_t *section; /* once it was entered */
	ems_lease_t inside_section;
	char prefix[64], domain[64], run[EMS_COMPAT_RUN_SIZE];
	int64_t region;	     /* the last one sent or received */
	bool inside;	     /* a region of fork-join */
	unsigned loops;	     /* how deep */
	uint64_t arrays;     /* made by this process */
	uint64_t together;   /* … in regions */
	uint64_t alone;	     /* … and unnamed, outside */
};

/* The team when all members do the same, else NULL. */
ems_team_t *ems_compat_team(const struct ems_compat *context);
void ems_compat_hash(const char *text, size_t size, char hex[33]);
ems_deadline_t ems_compat_deadline(double milliseconds);

#endif
