/* The table of operations. */
#include "shm/operation.h"

#define FULL_ONLY TAG_BIT(TAG_FULL)

#define MODIFY                                                  \
	{                                                       \
		FULL_ONLY, WAIT_FULL_TAKE, KEEP_TAG, true, true \
	}

const struct operation shm_operations[OP_COUNT] = {
	/*                  proceeds under                   sleeps as        leaves        stores needs old
	 */
	[OP_READ_FF] = {FULL_ONLY, WAIT_FULL_LOOK, KEEP_TAG, false, false},
	[OP_READ_FE] = {FULL_ONLY, WAIT_FULL_TAKE, BECOME_EMPTY, false, false},
	[OP_WRITE] = {FREE_TAGS | TAG_BIT(TAG_READERS), WAIT_OTHER, KEEP_TAG, true, false},
	[OP_WRITE_XF] = {FREE_TAGS, WAIT_OTHER, BECOME_FULL, true, false},
	[OP_WRITE_XE] = {FREE_TAGS, WAIT_OTHER, BECOME_EMPTY, true, false},
	[OP_WRITE_EF] = {TAG_BIT(TAG_EMPTY), WAIT_EMPTY, BECOME_FULL, true, false},
	[OP_SET_TAG] = {FREE_TAGS, WAIT_OTHER, BECOME_GIVEN, false, false},
	[OP_ADD] = MODIFY,
	[OP_ADD_INT64] = MODIFY,
	[OP_ADD_DOUBLE] = MODIFY,
	[OP_CAS] = MODIFY,
	[OP_SWAP] = {FULL_ONLY, WAIT_FULL_TAKE, KEEP_TAG, true, false},
	[OP_AND] = MODIFY,
	[OP_OR] = MODIFY,
	[OP_XOR] = MODIFY,
	[OP_MIN] = MODIFY,
	[OP_MAX] = MODIFY,
	[OP_DELETE] = {FREE_TAGS, WAIT_OTHER, KEEP_TAG, false, false},
	[OP_LEASE] = {FULL_ONLY, WAIT_FULL_TAKE, BECOME_BUSY, false, false},
	[OP_COMPARE_DELETE] = {FREE_TAGS, WAIT_OTHER, KEEP_TAG, false, true},
	[OP_READ_RW] = {FULL_ONLY | TAG_BIT(TAG_READERS), WAIT_FULL_LOOK, KEEP_TAG, false, false}, /* counts them up */
	[OP_RELEASE_RW] = {TAG_BIT(TAG_READERS), WAIT_OTHER, KEEP_TAG, false, false}, /* down; FULL at none */
};
