/* Which slots are a session's: see session.h. */
#include "client/session.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "client/connection.h"
#include "client/process.h"
#include "client/service.h"
#include "client/transaction.h"

void session_init(struct ems_session *session, bool is_explicit)
{
	memset(session, 0, sizeof(*session));
	session->process = process_present();
	session->is_explicit = is_explicit;
	(void)pthread_mutex_init(&session->cancel_lock, NULL);
}

/* What a child inherits: the slots are the parent's, and the memory of their locks is not there. */
static void drop_slots(struct ems_session *session)
{
	while (session->sessions) {
		struct session *slot = session->sessions;

		session->sessions = slot->next;
		free(slot);
	}
}

void session_fini(struct ems_session *session)
{
	drop_slots(session);
	transaction_free(session);
	(void)pthread_mutex_destroy(&session->cancel_lock);
}

void session_forget_inherited(struct thread *thread)
{
	if (thread->process == process_present())
		return;
	drop_slots(thread->own);
	session_init(thread->own, false);
	thread->present = thread->own;
	thread_cache.transaction = NULL;
	thread->process = process_present();
	thread_cache.mapping = NULL;
}

/* ---- slots ---- */

struct session **session_find(struct ems_session *session, const struct mapping *mapping)
{
	struct session **place = &session->sessions;

	while (*place && (*place)->mapping != mapping)
		place = &(*place)->next;
	return place;
}

static int open_slot(void *argument)
{
	struct session *slot = argument;

	return shm_session_open(&slot->shm, &slot->mapping->segment, load64_relaxed(&slot->mapping->client));
}

static int close_slot(void *argument)
{
	struct session *slot = argument;

	shm_session_close(&slot->shm);
	return 0;
}

/* By whom the slot's lock is held. */
static int run_for(const struct ems_session *session, int (*function)(void *argument), struct session *slot)
{
	return session->is_explicit ? service_run(function, slot) : function(slot);
}

void session_close_slot(struct ems_session *session, struct session **place)
{
	struct session *slot = *place;

	transaction_leave(session, &slot->shm);
	*place = slot->next;
	if (thread_cache.session == &slot->shm)
		thread_cache.mapping = NULL;
	if (session->is_explicit)
		shm_session_lend(&slot->shm, NULL);
	(void)run_for(session, close_slot, slot);
	mapping_unref(slot->mapping);
	free(slot);
}

static void close_abandoned(struct ems_session *session)
{
	struct session **place = &session->sessions;

	while (*place) {
		if (load32_relaxed(&(*place)->mapping->abandoned))
			session_close_slot(session, place);
		else
			place = &(*place)->next;
	}
}

static int open_one(struct ems_session *session, struct mapping *mapping)
{
	struct session *slot;
	int r;

	close_abandoned(session);
	slot = calloc(1, sizeof(*slot));
	if (!slot)
		return -ERROR_NO_MEMORY;
	connection_look(mapping->connection);
	slot->mapping = mapping_ref(mapping);
	r = run_for(session, open_slot, slot);
	if (r < 0) {
		mapping_unref(mapping);
		free(slot);
		return r;
	}
	slot->shm.cancel = &session->cancel;
	slot->next = session->sessions;
	session->sessions = slot;
	return 0;
}

/* The session's slot in the mapping is there, and the first of its list. */
static int bring_to_front(struct ems_session *session, struct mapping *mapping)
{
	struct session **place = session_find(session, mapping), *slot = *place;

	if (!slot)
		return open_one(session, mapping);
	*place = slot->next;
	slot->next = session->sessions;
	session->sessions = slot;
	return 0;
}

int session_get_slow(struct mapping *mapping, struct shm_session **_session)
{
	struct thread *thread = thread_self();
	int r;

	if (!thread)
		return -ERROR_NO_MEMORY;
	session_forget_inherited(thread);
	r = bring_to_front(thread->present, mapping);
	if (r == 0 && thread->present->is_explicit) {
		r = bring_to_front(thread->own, mapping);
		if (r == 0)
			shm_session_lend(&thread->present->sessions->shm, &thread->own->sessions->shm);
	}
	if (r < 0)
		return r;
	thread_cache.mapping = mapping;
	thread_cache.session = &thread->present->sessions->shm;
	*_session = thread_cache.session;
	return 0;
}

/* ---- the slots of one mapping, of one thread ---- */

void session_detach(const struct mapping *mapping)
{
	struct thread *thread = thread_cache.thread;
	struct session **place;

	if (!thread)
		return;
	session_forget_inherited(thread);
	/* The own slot stands for the thread in that of the session it uses. */
	place = session_find(thread->present, mapping);
	if (thread->present->is_explicit && *place) {
		shm_session_lend(&(*place)->shm, NULL);
		thread_cache.mapping = NULL;
	}
	place = session_find(thread->own, mapping);
	if (*place)
		session_close_slot(thread->own, place);
}
