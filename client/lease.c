/*
 * Leases: see shm/lease.h. Here is who may, and what a handle stands for.
 *
 * A handle is the heap and a ticket, which no other lease of the process ever has. So a copy of a handle whose lease has been
 * ended fits nothing, nor does one in the hands of another session.
 */
#include "base/error.h"
#include "client/failure.h"
#include "client/heap.h"
#include "client/key.h"
#include "client/session.h"
#include "client/value.h"
#include "shm/lease.h"

static int find_session(const ems_heap_t *heap, struct shm_session **_session)
{
	return heap->writable ? session_get(heap, _session) : -ERROR_READ_ONLY;
}

/* What must be known before anything is taken. */
static int begin(const ems_heap_t *heap, const char *name, const ems_lease_t *lease)
{
	int r = heap_check(heap, name);

	if (r == 0 && !lease)
		r = failure_say(-ERROR_INVALID, "%s: no place for the lease", name);
	return r;
}

/* The words for the one limit that the caller can do something about. */
static int refused(int r, const ems_heap_t *heap, const char *name, const ems_key_t *key,
		   const struct shm_session *session)
{
	if (r == -ERROR_LIMIT && session && shm_lease_count(session) == RECORD_LEASE_COUNT)
		(void)failure_for_operation(failure_say(r, "the session has %u leases in the heap, and no more are possible",
							RECORD_LEASE_COUNT));
	return failure_at(r == -ERROR_NOT_FOUND ? -ERROR_NO_KEY : r, heap, name, key);
}

int ems_read_fe_lease_until(ems_heap_t *heap, ems_key_t key, ems_value_t *value, ems_lease_t *lease,
			    ems_deadline_t deadline)
{
	struct shm_call call = {.result = value_out(value), .deadline = deadline};
	struct shm_session *session = NULL;
	struct shm_key resolved;
	uint64_t ticket;
	int r = begin(heap, "read_fe_lease", lease);

	if (r < 0)
		return r;
	r = key_resolve(heap, &key, &resolved, &call.target);
	if (r == 0)
		r = find_session(heap, &session);
	if (r == 0)
		r = shm_lease_element(session, &call, &ticket);
	if (r < 0)
		return refused(r, heap, "read_fe_lease", &key, session);
	*lease = (ems_lease_t){heap, ticket};
	return 0;
}

int ems_read_fe_lease(ems_heap_t *heap, ems_key_t key, ems_value_t *value, ems_lease_t *lease)
{
	return ems_read_fe_lease_until(heap, key, value, lease, EMS_FOREVER);
}

int ems_dequeue_lease_until(ems_heap_t *heap, ems_value_t *value, ems_lease_t *lease, ems_deadline_t deadline)
{
	struct shm_call call = {.result = value_out(value), .deadline = deadline};
	struct shm_session *session = NULL;
	uint64_t ticket;
	int r = begin(heap, "dequeue_lease", lease);

	if (r < 0)
		return r;
	r = find_session(heap, &session);
	if (r == 0)
		r = shm_lease_item(session, &call, &ticket);
	if (r < 0)
		return refused(r, heap, "dequeue_lease", NULL, session);
	*lease = (ems_lease_t){heap, ticket};
	return 0;
}

int ems_dequeue_lease(ems_heap_t *heap, ems_value_t *value, ems_lease_t *lease)
{
	return ems_dequeue_lease_until(heap, value, lease, EMS_NOW);
}

/* ---- ending ---- */

static int finish(ems_lease_t *lease, const char *name, enum shm_lease_how how, const ems_value_t *value)
{
	struct shm_session *session;
	ems_heap_t *heap;
	int r;

	if (!lease || !lease->heap)
		return failure_say(-ERROR_INVALID, "%s: no lease, or one that was ended", name);
	heap = lease->heap;
	r = heap_check(heap, name);
	if (r < 0)
		return r;
	if (how == LEASE_PUT)
		r = value_check(value);
	if (r == 0)
		r = find_session(heap, &session);
	if (r == 0)
		r = shm_lease_finish(session, lease->ticket, how, value_in(value));
	if (r == -ERROR_NOT_FOUND)
		return failure_say(-ERROR_INVALID, "heap \"%s\": %s: the lease was ended, or belongs to another session",
				   heap->name, name);
	if (r == 0 || r == -ERROR_CORRUPT)
		*lease = (ems_lease_t){NULL, 0};
	return r < 0 ? failure_at(r, heap, name, NULL) : 0;
}

int ems_lease_put(ems_lease_t *lease, const ems_value_t *value)
{
	return finish(lease, "lease_put", LEASE_PUT, value);
}

int ems_lease_keep(ems_lease_t *lease)
{
	return finish(lease, "lease_keep", LEASE_KEEP, NULL);
}

int ems_lease_end(ems_lease_t *lease)
{
	return finish(lease, "lease_end", LEASE_END, NULL);
}
