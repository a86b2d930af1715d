/*
 * transfer.h: a value on its way into, or out of, the queue or the stack of a heap. For ring.c and stack.c.
 *
 * As with elements (shm/element.c) an operation is a loop around attempts, each inside one step: it looks
 * whether there is something, or room; prepares the value's blob, or copies it; and changes one 16-byte cell.
 */
#ifndef EMS_SHM_TRANSFER_H
#define EMS_SHM_TRANSFER_H

#include "shm/element.h"
#include "shm/futex.h"
#include "shm/value.h"
#include "shm/watch.h"

struct shm_transfer {
	struct shm_segment *seg;
	struct shm_session *session;
	const struct shm_call *call; /* argument or result; deadline */
	enum wait_kind kind;
	int refusal;	 /* what a call that does not wait returns: -ERROR_EMPTY, -ERROR_FULL */
	uint64_t *count; /* items held after a put; may be NULL */
	/* private */
	struct shm_outcome outcome;
	bool prepared, prepared_outside; /* slot->intent_new is a filled blob, named by INTENT_CLAIM */
	bool copied;			 /* call->result is the item of … */
	uint64_t copied_meta, copied_at; /* … this meta, of this position */
	struct cell *cell, seen;	 /* to wait on */
	struct shm_watch watch;		 /* whom to watch meanwhile; count 0: nobody */
	uint64_t armed_meta, armed_at;	 /* W was set in the place of that position before the last search */
	bool waited, slept;
};

/* A put when call->argument is given, else a take. */
void shm_transfer_init(struct shm_transfer *transfer, struct shm_session *session,
		       const struct shm_call *call, int refusal);
/* Runs attempts until one returns 0 or an error; supplies, waits, and cleans up. */
int shm_transfer_run(struct shm_transfer *transfer, int (*attempt)(struct shm_transfer *transfer));

/* ---- for attempts: inside a step ---- */

/* Nothing there, or no room, as long as cell is as seen. Gives a prepared blob back. SHM_WAIT. */
int shm_transfer_blocked(struct shm_transfer *transfer, struct cell *cell, struct cell seen);
/* The memory of a cell: 0, or SHM_NEED. */
int shm_transfer_commit(struct shm_transfer *transfer, const struct cell *cell);
/* Claims and fills the value's blob, if it has one; may leave the step. 0, SHM_AGAIN, SHM_NEED, an error. */
int shm_transfer_prepare(struct shm_transfer *transfer);
/* What is put: for cells. Prepared. */
uint64_t shm_transfer_value(const struct shm_transfer *transfer);
/* It has been put: the blob is not this transfer's any more. The caller clears the intent. */
void shm_transfer_was_put(struct shm_transfer *transfer);
/*
 * Copies an item, which is there as long as the watched cell is as seen, into call->result; position tells items
 * of one meta apart. Text is copied outside the step. 0: call->result is this item's; SHM_AGAIN, an error.
 */
int shm_transfer_copy(struct shm_transfer *transfer, const struct cell *watched, struct cell seen,
		      struct cell item, uint64_t position);

/* Names the blob of a transfer before the change: intent, cell; and takes it back when that did not happen. */
void shm_transfer_name(struct shm_transfer *transfer, enum intent intent, const struct cell *cell,
		       blob_ref old);
void shm_transfer_unname(struct shm_transfer *transfer);
/* It happened: releases old, if any, then clears the intent. */
void shm_transfer_done(struct shm_transfer *transfer, blob_ref old);

/* Equal but for W. */
static inline bool shm_same_state(uint64_t a, uint64_t b)
{
	return ((a ^ b) & ~CELL_W) == 0;
}

#endif
