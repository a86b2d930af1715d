/* Explicit sessions, passed on by threads; and the ends of sessions: see session.h. */
#include "client/session.h"

#include <stdlib.h>

#include "base/error.h"
#include "client/failure.h"
#include "client/process.h"
#include "client/service.h"
#include "client/transaction.h"

/* The explicit sessions of the process. */
static struct {
	pthread_mutex_t lock;
	uint32_t process;
	struct ems_session *first;
} open_sessions = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- the explicit ones of the process ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void before_fork(void)
{
	(void)pthread_mutex_lock(&open_sessions.lock);
}

static void after_fork(void)
{
	(void)pthread_mutex_unlock(&open_sessions.lock);
}

static void set_up(void)
{
	/* After the service's handlers, so that at a fork this lock is taken first: it is held while one asks for service. */
	(void)pthread_atfork(before_fork, after_fork, after_fork);
}

static void list_lock(void)
{
	(void)pthread_mutex_lock(&open_sessions.lock);
	if (open_sessions.process != process_present())
		open_sessions.first = NULL; /* the parent's */
	open_sessions.process = process_present();
}

static void list_unlock(void)
{
	(void)pthread_mutex_unlock(&open_sessions.lock);
}

/* ---- passing on ---- */

/* False: another thread uses it. With the list locked: who closes a heap has a session for a moment. */
static bool take(struct ems_session *session, const struct thread *thread)
{
	uint64_t nobody = 0;

	return cas64(&session->user, &nobody, (uintptr_t)thread);
}

static bool take_listed(struct ems_session *session, const struct thread *thread)
{
	bool taken;

	list_lock();
	taken = take(session, thread);
	list_unlock();
	return taken;
}

static void let_go(struct ems_session *session)
{
	store64_release(&session->user, 0);
}

/* The thread's own session is its present one again. */
static void use_own(struct thread *thread)
{
	struct ems_session *former = thread->present;

	thread->present = thread->own;
	thread_cache.mapping = NULL;
	transaction_present(thread);
	if (!former->is_explicit)
		return;
	for (struct session *slot = former->sessions; slot; slot = slot->next)
		shm_session_lend(&slot->shm, NULL);
	let_go(former);
}

static int check(const struct ems_session *session, const char *function)
{
	if (!session)
		return failure_say(-ERROR_INVALID, "%s: no session is given", function);
	if (process_is_another(session->process))
		return failure_say(-ERROR_FORKED, "%s: the session belongs to the parent process", function);
	return 0;
}

/* The calling thread's record, for what is about sessions. */
static int get_thread(struct thread **_thread)
{
	*_thread = process_number() ? thread_self() : NULL;
	if (!*_thread)
		return failure_of(-ERROR_NO_MEMORY);
	session_forget_inherited(*_thread);
	return 0;
}

int ems_session_use(ems_session_t *session, ems_session_t **former)
{
	struct thread *thread = NULL;
	ems_session_t *before;
	int r = session ? check(session, "ems_session_use") : 0;

	if (r == 0)
		r = get_thread(&thread);
	if (r < 0)
		return r;
	if (session && !session->is_explicit && session != thread->own)
		return failure_say(-ERROR_INVALID, "ems_session_use: the session is another thread's own");
	before = thread->present->is_explicit ? thread->present : NULL;
	if (session && session != thread->present && session->is_explicit && !take_listed(session, thread))
		return failure_say(-ERROR_BUSY, "ems_session_use: another thread uses the session");
	if (thread->present != (session ? session : thread->own))
		use_own(thread);
	if (session) {
		thread->present = session;
		transaction_present(thread);
	}
	if (former)
		*former = before;
	return 0;
}

ems_session_t *ems_session_self(void)
{
	struct thread *thread;

	return get_thread(&thread) < 0 ? NULL : thread->present;
}

/* ---- opening and closing ---- */

int ems_session_open(ems_session_t **_session)
{
	struct thread *thread;
	ems_session_t *session;
	int r;

	if (!_session)
		return failure_say(-ERROR_INVALID, "ems_session_open: no place for the session");
	r = get_thread(&thread);
	if (r < 0)
		return r;
	session = malloc(sizeof(*session));
	if (!session)
		return failure_of(-ERROR_NO_MEMORY);
	r = service_hold();
	if (r < 0) {
		free(session);
		return failure_of(r);
	}
	(void)pthread_once(&once, set_up);
	session_init(session, true);
	list_lock();
	session->next = open_sessions.first;
	session->link = &open_sessions.first;
	if (session->next)
		session->next->link = &session->next;
	open_sessions.first = session;
	list_unlock();
	*_session = session;
	return 0;
}

int ems_session_close(ems_session_t *session)
{
	struct thread *thread;
	int r;

	if (!session)
		return 0;
	if (process_is_another(session->process)) {
		session_fini(session);
		free(session);
		return 0;
	}
	r = get_thread(&thread);
	if (r < 0)
		return r;
	if (!session->is_explicit)
		return failure_say(-ERROR_INVALID, "ems_session_close: the session is a thread's own");
	if (thread->present == session)
		use_own(thread);
	if (!take_listed(session, thread))
		return failure_say(-ERROR_BUSY, "ems_session_close: another thread uses the session");
	list_lock();
	*session->link = session->next;
	if (session->next)
		session->next->link = session->link;
	list_unlock();
	while (session->sessions)
		session_close_slot(session, &session->sessions);
	session_fini(session);
	free(session);
	service_release();
	return 0;
}

/* ---- the ends of mappings and of threads ---- */

static void close_explicit(struct thread *thread, const struct mapping *mapping)
{
	list_lock();
	for (struct ems_session *session = open_sessions.first; session; session = session->next) {
		struct session **place;

		if (session != thread->present && !take(session, thread))
			continue;
		place = session_find(session, mapping);
		if (*place)
			session_close_slot(session, place);
		if (session != thread->present)
			let_go(session);
	}
	list_unlock();
}

void session_close(const struct mapping *mapping)
{
	struct thread *thread = thread_self();

	if (!thread)
		return;
	session_forget_inherited(thread);
	session_detach(mapping);
	close_explicit(thread, mapping);
}

void session_close_all(struct thread *thread)
{
	session_forget_inherited(thread);
	use_own(thread);
	while (thread->own->sessions)
		session_close_slot(thread->own, &thread->own->sessions);
}

/* ---- cancelling ---- */

int ems_cancel(ems_session_t *session)
{
	int r = check(session, "ems_cancel");

	if (r < 0)
		return r;
	(void)pthread_mutex_lock(&session->cancel_lock);
	r = shm_cancel(&session->cancel);
	(void)pthread_mutex_unlock(&session->cancel_lock);
	return r < 0 ? failure_say(r, "ems_cancel: no call of the session is waiting") : 0;
}

int ems_session_interruptible(ems_session_t *session, bool interruptible, bool *former)
{
	int r = check(session, "ems_session_interruptible");
	uint32_t before;

	if (r < 0)
		return r;
	before = exchange32(&session->cancel.interruptible, interruptible);
	if (former)
		*former = before != 0;
	return 0;
}
