/*
 * A consistent read of several elements: without locks as a rule, and with them when there is no end of changes.
 *
 * With locks it is a transaction that only looks, but has its elements for itself: plain writes go past read
 * locks, and would go on moving what is read.
 */
#include <sched.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "client/failure.h"
#include "client/key.h"
#include "client/transaction.h"
#include "client/value.h"
#include "shm/snapshot.h"

#define TRIES	    32u
#define COUNT_FIRST 16u /* so many need no allocation */

struct snapshot {
	const ems_transaction_element_t *elements;
	size_t count, failed;
	struct shm_glance *glances;
	struct shm_key *keys;
};

static int prepare(struct snapshot *snapshot)
{
	int r = 0;

	for (size_t i = 0; i < snapshot->count && r == 0; i++) {
		const ems_transaction_element_t *element = &snapshot->elements[i];

		snapshot->failed = i;
		r = heap_check(element->heap, "snapshot");
		if (r < 0)
			return r;
		snapshot->glances[i].seg = heap_segment(element->heap);
		r = key_resolve(element->heap, &element->key, &snapshot->keys[i], &snapshot->glances[i].target);
	}
	return r;
}

static int try_often(struct snapshot *snapshot, ems_value_t *values)
{
	int r = SHM_AGAIN;

	for (unsigned i = 0; i < TRIES && r == SHM_AGAIN; i++) {
		if (i > 0)
			(void)sched_yield(); /* whoever is between two of his steps may need the processor */
		r = shm_snapshot_try(snapshot->glances, snapshot->count, value_out(values), &snapshot->failed);
	}
	return r;
}

/* Those that are there; a key that is absent is not to be made. */
static size_t choose_present(const struct snapshot *snapshot, ems_transaction_element_t *present)
{
	size_t count = 0;

	for (size_t i = 0; i < snapshot->count; i++) {
		const struct shm_glance *glance = &snapshot->glances[i];
		struct shm_binding binding;

		if (!glance->target.key || shm_map_look(glance->seg, glance->target.key, &binding) == 0)
			present[count++] = snapshot->elements[i];
	}
	return count;
}

/* 0; SHM_AGAIN: a key has come into being. */
static int read_locked(struct snapshot *snapshot, ems_value_t *values)
{
	for (size_t i = 0; i < snapshot->count; i++) {
		const struct shm_glance *glance = &snapshot->glances[i];
		struct shm_call call = {.op = OP_READ, .target = glance->target, .result = value_out(&values[i])};
		int r;

		snapshot->failed = i;
		r = shm_element_apply((struct shm_segment *)(uintptr_t)glance->seg, NULL, &call, NULL);
		if (r < 0)
			return r;
	}
	return 0;
}

static int lock_and_read(struct snapshot *snapshot, ems_value_t *values, ems_deadline_t deadline)
{
	_cleanup_(freep) ems_transaction_element_t *present = calloc(snapshot->count, sizeof(*present));
	int r = SHM_AGAIN;

	if (!present)
		return -ERROR_NO_MEMORY;
	while (r == SHM_AGAIN) {
		size_t count = choose_present(snapshot, present);
		struct ems_transaction *transaction;

		r = transaction_begin(present, count, deadline, true, &transaction, &snapshot->failed);
		if (r < 0)
			return r;
		r = read_locked(snapshot, values);
		if (r == 0 && choose_present(snapshot, present) != count)
			r = SHM_AGAIN;
		transaction_end(transaction, false);
	}
	return r;
}

static bool is_writable(const struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->count; i++)
		if (!snapshot->elements[i].heap->writable)
			return false;
	return true;
}

static int take(struct snapshot *snapshot, ems_value_t *values, ems_deadline_t deadline)
{
	int r = prepare(snapshot);

	if (r == 0)
		r = try_often(snapshot, values);
	if (r == SHM_AGAIN && thread_cache.transaction)
		return -ERROR_DEADLOCK;
	if (r == SHM_AGAIN)
		r = is_writable(snapshot) ? lock_and_read(snapshot, values, deadline) : -ERROR_BUSY;
	return r;
}

static int note(int r, const struct snapshot *snapshot)
{
	if (r == -ERROR_FORKED || (r == -ERROR_INVALID && !snapshot->elements[snapshot->failed].heap))
		return r; /* noted already */
	if (r == -ERROR_BUSY)
		return failure_say(r, "snapshot: the elements keep changing, and a heap is attached read-only, so that they "
				      "cannot be locked");
	if (r == -ERROR_DEADLOCK)
		return failure_say(r, "snapshot: the elements keep changing, or are held by the session's own transaction");
	if (snapshot->failed >= snapshot->count)
		return failure_of(r);
	return failure_at(r, snapshot->elements[snapshot->failed].heap, "snapshot",
			  &snapshot->elements[snapshot->failed].key);
}

int ems_snapshot_until(const ems_transaction_element_t *elements, size_t count, ems_value_t *values,
		       ems_deadline_t deadline)
{
	struct shm_glance few_glances[COUNT_FIRST];
	struct shm_key few_keys[COUNT_FIRST];
	_cleanup_(freep) struct shm_glance *glances = NULL;
	_cleanup_(freep) struct shm_key *keys = NULL;
	struct snapshot snapshot = {elements, count, 0, few_glances, few_keys};
	int r;

	if (count == 0)
		return 0;
	if (!elements || !values)
		return failure_say(-ERROR_INVALID, "snapshot: no elements, or no place for their values");
	if (count > COUNT_FIRST) {
		snapshot.glances = glances = calloc(count, sizeof(*glances));
		snapshot.keys = keys = calloc(count, sizeof(*keys));
		if (!glances || !keys)
			return failure_of(-ERROR_NO_MEMORY);
	}
	r = take(&snapshot, values, deadline);
	return r < 0 ? note(r, &snapshot) : 0;
}

int ems_snapshot(const ems_transaction_element_t *elements, size_t count, ems_value_t *values)
{
	return ems_snapshot_until(elements, count, values, EMS_FOREVER);
}
