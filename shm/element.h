/*
 * The operations on one element: each is one compare-and-swap on its cell.
 *
 * An operation is a row of a table: which tags it waits for, what it makes of value and
 * tag. shm_element_apply runs it: find the cell, look, wait if need be, prepare the new
 * value (blob and all), CAS, wake, release the old blob. doc/GUARANTEES lists where each takes effect.
 */
#ifndef EMS_SHM_ELEMENT_H
#define EMS_SHM_ELEMENT_H

#include "shm/map.h"
#include "shm/slot.h"

enum shm_op {
	OP_READ,
	OP_READ_FF,
	OP_READ_FE,
	OP_WRITE,
	OP_WRITE_XF,
	OP_WRITE_XE,
	OP_WRITE_EF,
	OP_SET_TAG,
	OP_ADD,
	OP_ADD_INT64,  /* integers only, undefined counts as 0, overflow is an error */
	OP_ADD_DOUBLE, /* numbers only, the sum is a float */
	OP_CAS,
	OP_SWAP,
	OP_AND,
	OP_OR,
	OP_XOR,
	OP_MIN,
	OP_MAX,
	OP_DELETE, /* of a key; of an element without map: back to the fill value and the initial tag */
	OP_COMPARE_DELETE,
	OP_LEASE, /* FULL becomes BUSY and keeps its value; by shm/lease.c only */
	OP_READ_RW,    /* takes a read lock, see shm/reader.h */
	OP_RELEASE_RW, /* gives it back */
	OP_COUNT
};

/*
 * A value outside the segment. Same layout as ems_value_t of <ems.h>.
 * As an argument: data (size bytes) is the caller's, only read. As a result: data is a malloc'ed
 * buffer of `capacity` bytes that is grown when needed and belongs to whoever passed the struct.
 */
struct shm_value {
	uint32_t type; /* enum cell_type, never TYPE_FILL */
	uint32_t flags;
	union {
		bool boolean;
		int64_t integer;
		double number;
	};
	void *data;
	size_t size, capacity;
};

/* What to operate on: an element by index, or a key. */
struct shm_target {
	const struct shm_key *key; /* NULL: by index */
	uint64_t index;
};

/*
 * A call that cannot go on returns -ERROR_TIMEOUT at once, and here says what it waits for: W is set in the cell, whose
 * next change of tag rings the bell (shm/bell.h). The cell may have changed already. cell is NULL before, and when
 * the call ended in another way. The call is repeated then, again with a notice.
 */
struct shm_notice {
	struct cell *cell;
	uint64_t meta;
};

struct shm_call {
	enum shm_op op;
	struct shm_target target;
	const struct shm_value *argument;  /* what to write, add, compare with… NULL where there is none */
	const struct shm_value *argument2; /* OP_CAS: the new value */
	enum tag tag;			   /* OP_SET_TAG: EMPTY or FULL */
	struct shm_value *result;	   /* the value read, or the old one; may be NULL */
	uint32_t *left;		/* OP_RELEASE_RW: how many read locks are left; may be NULL */
	enum tag *result_tag;	/* the tag found; may be NULL (read: EMPTY, FULL, READERS or BUSY) */
	struct shm_notice *notice; /* does not sleep; NULL: waits as usual. With a deadline other than 0 */
	uint64_t deadline;	/* as in base/clock.h: CLOCK_NEVER waits for ever, 0 not at all */
	struct shm_lease *lease; /* OP_LEASE, and a take of the queue that is to be a lease: the entry that will name it */
};

/*
 * Runs one operation. session is NULL for OP_READ, which never needs one, and for OP_READ_FF
 * that need not wait. 0, or negative: RANGE, NOT_FOUND (OP_READ of an absent key: 0 with undefined), TYPE,
 * NO_SPACE, FULL, BUDGET, TIMEOUT, CANCELLED, INTERRUPTED, DEADLOCK, READ_ONLY, CORRUPT, NO_MEMORY; OP_READ_RW: LIMIT;
 * OP_RELEASE_RW: INVALID when the session does not hold it. On error the element is as it was. *changed (may be NULL): the element was changed; false for a cas that did not match.
 */
int shm_element_apply(struct shm_segment *seg, struct shm_session *session, const struct shm_call *call,
		      bool *changed);

/* Reads the value behind a cell that was seen: copies a blob, and checks that the cell has not moved. 0,
 * SHM_AGAIN, negative. */
int shm_value_read(const struct shm_segment *seg, struct cell *cell, struct cell seen,
		   struct shm_value *value);
/* The same for an item that is there as long as a cell does not move: the stack's top. */
int shm_value_read_while(const struct shm_segment *seg, const struct cell *cell, struct cell seen,
			 struct cell item, struct shm_value *value);
/* The cell contents that a pristine element stands for. */
struct cell shm_cell_pristine(const struct shm_segment *seg);

#endif
