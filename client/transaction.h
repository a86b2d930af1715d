/*
 * transaction.h: a session's transaction, between the public functions and shm/transaction.h.
 *
 * A session has one of these, made with its first transaction and used again by each that follows, so that beginning
 * one allocates nothing as a rule.
 */
#ifndef CLIENT_TRANSACTION_H
#define CLIENT_TRANSACTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/ems.h"
#include "client/thread.h"
#include "shm/transaction.h"

struct ems_session;
struct mapping;

struct ems_transaction {
	uint32_t process; /* client/process.h */
	struct ems_session *session;
	struct shm_transaction shm;
	bool open;   /* begun, and neither committed nor aborted by the caller */
	bool closed; /* … but a heap was closed on the way, which was an abort */
	bool busy;   /* inside one of its functions: whoever ends the session now leaves the rest to recovery */
	size_t count, room;
	uint32_t *place; /* [count]: of the caller's n-th element, the member */
	struct shm_key *keys;
	struct mapping **mappings; /* of the parts */
};

/*
 * Begins it for elements, whose handles are checked here. any_tag: as in shm_transaction. 0, or an error; not noted,
 * but *failed is the element that it is about, or count.
 */
int transaction_begin(const ems_transaction_element_t *elements, size_t count, ems_deadline_t deadline, bool any_tag,
		      struct ems_transaction **_transaction, size_t *failed);
/* Commits or aborts; it is not open any more. */
void transaction_end(struct ems_transaction *transaction, bool commit);

/* The calling thread's session in a mapping that its open transaction spans, or NULL. */
struct shm_session *transaction_session(const struct mapping *mapping);

/* The calling thread has taken to another session: operations look at that one's transaction from now on. */
void transaction_present(const struct thread *thread);

/*
 * The calling thread is to go on with a transaction, which another thread of the session may have begun: its slots
 * name this one. 0, or why not: LIMIT, NO_MEMORY, SYSTEM.
 */
int transaction_resume(const struct ems_transaction *transaction);

/* A slot of the session is being closed: a transaction that has it is aborted first. */
void transaction_leave(struct ems_session *session, const struct shm_session *slot);
/* The session ends. All its slots are closed. */
void transaction_free(struct ems_session *session);

#endif
