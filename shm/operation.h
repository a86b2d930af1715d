/* The table of operations: what each waits for and what it leaves. */
#ifndef SHM_OPERATION_H
#define SHM_OPERATION_H

#include "shm/element.h"
#include "shm/futex.h"

#define TAG_BIT(tag) (1u << (tag))
#define FREE_TAGS    (TAG_BIT(TAG_EMPTY) | TAG_BIT(TAG_FULL))

enum new_tag { KEEP_TAG, BECOME_EMPTY, BECOME_FULL, BECOME_GIVEN, BECOME_BUSY };

struct operation {
	uint32_t admits;      /* TAG_BITs under which it proceeds */
	enum wait_kind waits; /* as what it sleeps otherwise */
	enum new_tag tag;
	bool stores_value; /* the element gets another value (and its old blob is released) */
	bool needs_old;	   /* the new value, or whether there is one, depends on the old */
};

extern const struct operation shm_operations[OP_COUNT];

#endif
