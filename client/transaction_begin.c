/* A session's transaction, its memory, its beginning and end: see transaction.h. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "client/connection.h"
#include "client/failure.h"
#include "client/heap.h"
#include "client/key.h"
#include "client/service.h"
#include "client/session.h"
#include "client/transaction.h"

#define ROOM_FIRST 16u
#define COUNT_MAX  1000000u /* more fit in no record; this only keeps the sizes from overflowing */

/* ---- memory ---- */

static void free_arrays(struct ems_transaction *transaction)
{
	free(transaction->shm.parts);
	free(transaction->shm.members);
	free(transaction->place);
	free(transaction->keys);
	free(transaction->mappings);
}

static int reserve(struct ems_transaction *transaction, size_t count)
{
	size_t room = transaction->room;

	if (count <= room)
		return 0;
	if (count > COUNT_MAX)
		return -ERROR_LIMIT;
	room = count < ROOM_FIRST ? ROOM_FIRST : count;
	free_arrays(transaction);
	transaction->room = 0;
	transaction->shm.parts = calloc(room, sizeof(*transaction->shm.parts));
	transaction->shm.members = calloc(room, sizeof(*transaction->shm.members));
	transaction->place = calloc(room, sizeof(*transaction->place));
	transaction->keys = calloc(room, sizeof(*transaction->keys));
	transaction->mappings = calloc(room, sizeof(*transaction->mappings));
	if (!transaction->shm.parts || !transaction->shm.members || !transaction->place || !transaction->keys ||
	    !transaction->mappings)
		return -ERROR_NO_MEMORY;
	transaction->room = room;
	return 0;
}

/* The present session's, which has none open. */
static int take(size_t count, struct ems_transaction **_transaction)
{
	struct thread *thread = thread_self();
	struct ems_session *session;

	if (!thread)
		return -ERROR_NO_MEMORY;
	session_forget_inherited(thread);
	session = thread->present;
	if (session->transaction && session->transaction->open)
		return -ERROR_DEADLOCK;
	if (!session->transaction) {
		session->transaction = calloc(1, sizeof(*session->transaction));
		if (!session->transaction)
			return -ERROR_NO_MEMORY;
		session->transaction->session = session;
		session->transaction->process = process_present();
	}
	*_transaction = session->transaction;
	return reserve(session->transaction, count);
}

void transaction_free(struct ems_session *session)
{
	struct ems_transaction *transaction = session->transaction;

	if (!transaction)
		return;
	session->transaction = NULL;
	if (thread_cache.transaction == transaction)
		thread_cache.transaction = NULL;
	free_arrays(transaction);
	free(transaction);
}

/* ---- heaps and elements ---- */

static int check_elements(const ems_transaction_element_t *elements, size_t count, size_t *failed)
{
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++) {
		*failed = i;
		r = heap_check(elements[i].heap, "transaction_begin");
		if (r == 0 && !elements[i].heap->writable)
			r = -ERROR_READ_ONLY;
	}
	if (r == 0)
		*failed = count;
	return r;
}

static uint32_t find_part(const struct shm_transaction *shm, const uint8_t heap_id[16], bool *found)
{
	uint32_t i = 0;
	int order = 1;

	while (i < shm->part_count && (order = memcmp(shm->parts[i].heap_id, heap_id, 16)) < 0)
		i++;
	*found = i < shm->part_count && order == 0;
	return i;
}

/* Each heap once, in the order of their ids, whatever handles it was named by. */
static int add_part(struct ems_transaction *transaction, const struct ems_heap *heap)
{
	struct shm_transaction *shm = &transaction->shm;
	struct shm_session *session;
	bool found;
	uint32_t i = find_part(shm, heap->mapping->heap_id, &found);
	int r;

	if (found)
		return 0;
	if (shm->part_count == TRANSACTION_PARTS_MAX)
		return -ERROR_LIMIT;
	r = session_get(heap, &session);
	if (r < 0)
		return r;
	memmove(&shm->parts[i + 1], &shm->parts[i], (shm->part_count - i) * sizeof(shm->parts[0]));
	memmove(&transaction->mappings[i + 1], &transaction->mappings[i],
		(shm->part_count - i) * sizeof(transaction->mappings[0]));
	shm->parts[i] = (struct shm_part){.session = session};
	memcpy(shm->parts[i].heap_id, heap->mapping->heap_id, 16);
	transaction->mappings[i] = heap->mapping; /* as long as the session has a slot there */
	shm->part_count++;
	return 0;
}

static int add_members(struct ems_transaction *transaction, const ems_transaction_element_t *elements, size_t count,
		       size_t *failed)
{
	struct shm_transaction *shm = &transaction->shm;
	const struct ems_heap *last = NULL;
	int r = 0;

	shm->part_count = 0;
	for (size_t i = 0; i < count && r == 0; i++) {
		*failed = i;
		if (elements[i].heap != last)
			r = add_part(transaction, elements[i].heap);
		last = elements[i].heap;
	}
	for (size_t i = 0; i < count && r == 0; i++) {
		struct shm_member *member = &shm->members[i];
		bool found;

		*failed = i;
		*member = (struct shm_member){.read_only = elements[i].read_only, .which = (uint32_t)i};
		member->part = shm->part_count == 1 ? 0 : find_part(shm, elements[i].heap->mapping->heap_id, &found);
		r = key_resolve(elements[i].heap, &elements[i].key, &transaction->keys[i], &member->target);
	}
	return r;
}

/* ---- persistent heaps ---- */

/* The daemon is to write both at one moment from now on. Not asked again while the heap says so. */
static int join(struct mapping *mapping, const struct mapping *other)
{
	const uint64_t *group = &shm_header(&mapping->segment)->group;
	struct proto_join body = {0};
	int r;

	if (load64_acquire(group) && load64_acquire(group) == load64_acquire(&shm_header(&other->segment)->group))
		return 0;
	memcpy(body.other, other->heap_id, sizeof(body.other));
	r = connection_lock(mapping->connection, true);
	if (r < 0)
		return r;
	r = connection_request_for(mapping->connection, mapping, PROTO_JOIN, &body, &body.heap, NULL);
	connection_unlock(mapping->connection);
	return r;
}

static int join_heaps(const struct ems_transaction *transaction)
{
	struct mapping *first = NULL;
	int r = 0;

	for (uint32_t i = 0; i < transaction->shm.part_count && r == 0; i++) {
		struct mapping *mapping = transaction->mappings[i];

		if (!mapping->segment.layout.params.persistent)
			continue;
		if (first)
			r = join(mapping, first);
		else
			first = mapping;
	}
	return r;
}

/* ---- beginning and ending ---- */

int transaction_begin(const ems_transaction_element_t *elements, size_t count, ems_deadline_t deadline, bool any_tag,
		      struct ems_transaction **_transaction, size_t *failed)
{
	struct shm_call patience = {.deadline = deadline};
	struct ems_transaction *transaction = NULL;
	int r = check_elements(elements, count, failed);

	if (r == 0)
		r = take(count, &transaction);
	if (r == 0)
		r = add_members(transaction, elements, count, failed);
	if (r < 0)
		return r;
	r = join_heaps(transaction);
	if (r < 0)
		return r;
	transaction->shm.count = (uint32_t)count;
	transaction->shm.any_tag = any_tag;
	transaction->busy = true;
	r = shm_transaction_begin(&transaction->shm, &patience);
	transaction->busy = false;
	*failed = transaction->shm.failed < count ? transaction->shm.failed : count;
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < count; i++)
		transaction->place[transaction->shm.members[i].which] = i;
	transaction->count = count;
	transaction->open = true;
	transaction->closed = false;
	thread_cache.transaction = transaction;
	*_transaction = transaction;
	return 0;
}

void transaction_end(struct ems_transaction *transaction, bool commit)
{
	transaction->busy = true;
	if (!transaction->closed && commit)
		shm_transaction_commit(&transaction->shm);
	else if (!transaction->closed)
		shm_transaction_abort(&transaction->shm);
	transaction->busy = false;
	transaction->open = false;
	thread_cache.transaction = NULL;
}

static bool has_slot(const struct ems_transaction *transaction, const struct shm_session *slot)
{
	for (uint32_t i = 0; i < transaction->shm.part_count; i++)
		if (transaction->shm.parts[i].session == slot)
			return true;
	return false;
}

static int abort_now(void *transaction)
{
	shm_transaction_abort(&((struct ems_transaction *)transaction)->shm);
	return 0;
}

/* By whom the slots' locks are held: it must not go on after the death of that thread. */
void transaction_leave(struct ems_session *session, const struct shm_session *slot)
{
	struct ems_transaction *transaction = session->transaction;

	if (!transaction || !transaction->open || transaction->closed || transaction->busy ||
	    !has_slot(transaction, slot))
		return;
	transaction->closed = true;
	if (thread_cache.transaction == transaction)
		thread_cache.transaction = NULL;
	if (session->is_explicit)
		(void)service_run(abort_now, transaction);
	else
		(void)abort_now(transaction);
}

void transaction_present(const struct thread *thread)
{
	struct ems_transaction *transaction = thread->present->transaction;

	thread_cache.transaction = transaction && transaction->open && !transaction->closed ? transaction : NULL;
}

int transaction_resume(const struct ems_transaction *transaction)
{
	struct shm_session *session;
	int r = 0;

	for (uint32_t i = 0; transaction->session->is_explicit && i < transaction->shm.part_count && r == 0; i++)
		r = session_get_slow(transaction->mappings[i], &session);
	return r;
}

struct shm_session *transaction_session(const struct mapping *mapping)
{
	const struct ems_transaction *transaction = thread_cache.transaction;

	for (uint32_t i = 0; transaction && i < transaction->shm.part_count; i++)
		if (transaction->mappings[i] == mapping)
			return transaction->shm.parts[i].session;
	return NULL;
}
