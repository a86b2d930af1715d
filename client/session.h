/*
 * session.h: which slot of a heap an operation works with.
 *
 * A session is one slot in each heap that it is used with, taken by the first operation that needs one. Each thread has
 * a session of its own. Others are opened explicitly, and threads pass them on: ems_session_use.
 *
 * A slot is owned by a lock that the kernel ties to one thread (shm/robust.h), and only that one can give it back:
 *
 *     a thread's own session   the thread: at its end, by ems_heap_detach_thread, when it closes the last handle,
 *                              or, if another thread did so, when it next takes a slot elsewhere
 *     an explicit one          the service thread (client/service.h): at ems_session_close, when the last handle is
 *                              closed while nobody uses the session, or else at the user's next slot elsewhere
 *
 * So the death of a process is the death of all its sessions. Its threads do not die at one instant, however: the thread
 * that uses an explicit session is named in its slots by its own slot (shm_session_lend), and recovery waits until
 * that one is dead, too.
 */
#ifndef CLIENT_SESSION_H
#define CLIENT_SESSION_H

#include <pthread.h>
#include <stdbool.h>

#include "base/macros.h"
#include "client/heap.h"
#include "client/thread.h"
#include "shm/slot.h"

/* One slot of a session. */
struct session {
	struct shm_session shm;
	struct mapping *mapping; /* a reference */
	struct session *next;
};

struct ems_session {
	uint32_t process;	     /* client/process.h */
	bool is_explicit;	     /* opened by ems_session_open */
	struct session *sessions;    /* its slots, latest used first; the user's */
	uint64_t user;		     /* atomic; of an explicit one: the struct thread that uses it, or 0 */
	struct shm_cancel cancel;    /* shared by its slots: one call waits at a time */
	pthread_mutex_t cancel_lock; /* one canceller at a time */
	struct ems_transaction *transaction; /* client/transaction.h; NULL until its first one */
	struct ems_session *next, **link; /* of the explicit ones of the process */
};

void session_init(struct ems_session *session, bool is_explicit);
void session_fini(struct ems_session *session);

/* A thread's record after a fork: the sessions that it has inherited mean nothing. */
void session_forget_inherited(struct thread *thread);
/* Where the session's list has its slot in the mapping, or would have it: *result is NULL then. */
struct session **session_find(struct ems_session *session, const struct mapping *mapping);
/* Gives back the slot that *place leads to. */
void session_close_slot(struct ems_session *session, struct session **place);

/* The slot of the calling thread's present session in a heap's mapping. 0; LIMIT, READ_ONLY, NO_MEMORY, SYSTEM. */
int session_get_slow(struct mapping *mapping, struct shm_session **_session);
static inline int session_get(const struct ems_heap *heap, struct shm_session **_session)
{
	if (UNLIKELY(thread_cache.mapping != heap->mapping))
		return session_get_slow(heap->mapping, _session);
	*_session = thread_cache.session;
	return 0;
}

/*
 * A mapping's last handle is being closed by the calling thread: gives back its slot there, and those of explicit sessions
 * that it uses, or nobody. The connection must not be locked.
 */
void session_close(const struct mapping *mapping);

/* Gives back the slot of the calling thread's own session. The connection must not be locked. */
void session_detach(const struct mapping *mapping);

/* The calling thread ends: gives back all its slots; an explicit session that it uses is nobody's then. */
void session_close_all(struct thread *thread);

#endif
