/*
 * Waiting for checkpoints.
 *
 * The daemon is asked for one, answers at once, and is asked again when the heap's word `checkpoints` has changed. So
 * the connection is not held through what may be a long wait for a disk, and other threads get their memory meanwhile.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/macros.h"
#include "client/connection.h"
#include "client/failure.h"
#include "client/heap.h"
#include "shm/atomic.h"
#include "shm/futex.h"

/* The word is a hint: it does not change when the daemon dies. */
#define DOUBT NS_PER_S

struct progress {
	uint32_t epoch; /* of the link on which the number counts */
	struct proto_sync_reply reply;
};

static int ask(struct ems_heap *heap, struct progress *progress)
{
	struct ems_connection *connection = heap->connection;
	struct proto_sync body = {0};
	int r = connection_lock(connection, true);

	if (r < 0)
		return r;
	/* Of another daemon it means nothing: everything so far, once more. */
	if (progress->epoch == connection->link.epoch)
		body.number = progress->reply.number;
	r = connection_request_for(connection, heap->mapping, PROTO_SYNC, &body, &body.heap, &progress->reply);
	progress->epoch = connection->link.epoch;
	connection_unlock(connection);
	return r;
}

int ems_sync_until(ems_heap_t *heap, ems_deadline_t deadline)
{
	struct progress progress = {0};
	const uint32_t *word;
	int r = heap_check(heap, "sync");

	if (r < 0)
		return r;
	if (!heap_segment(heap)->layout.params.persistent)
		return failure_say(-ERROR_UNSUPPORTED, "sync: heap \"%s\" is not persistent", heap->name);
	word = &shm_header(heap_segment(heap))->checkpoints;
	for (;;) {
		uint32_t seen = load32_acquire(word);

		r = ask(heap, &progress);
		if (r < 0 || progress.reply.done)
			return r;
		if (clock_passed(deadline))
			return failure_say(-ERROR_TIMEOUT, "sync: heap \"%s\" was not on disk in time", heap->name);
		(void)shm_futex_wait(word, seen, WAIT_ANY, MIN(deadline, clock_deadline(DOUBT)));
	}
}

int ems_sync(ems_heap_t *heap)
{
	return ems_sync_until(heap, EMS_FOREVER);
}
