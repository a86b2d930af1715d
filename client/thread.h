/*
 * thread.h: what the library keeps for each thread.
 *
 * Very little of it is thread-local storage proper: libems may be loaded late (by a script language), when
 * the C library has only a few hundred bytes of the fast kind left. The rest is one allocation, made when
 * the thread first needs it and freed when the thread ends; its slots are given back then.
 */
#ifndef CLIENT_THREAD_H
#define CLIENT_THREAD_H

#include <stdint.h>

#include "client/failure.h"

struct ems_session;
struct ems_transaction;
struct mapping;
struct shm_session;

struct thread {
	uint32_t process;	     /* in which the sessions mean something (client/process.h) */
	struct ems_session *own;     /* its own session (client/session.h) … */
	struct ems_session *present; /* … and the one that it uses now, which may be another */
	struct failure failure;	     /* its last error */
};

/* One look decides whether the thread has a slot in a mapping; see client/session.h. */
struct thread_cache {
	const struct mapping *mapping;
	struct shm_session *session;
	struct thread *thread;
	struct ems_transaction *transaction; /* the open one, or NULL */
};
extern __thread struct thread_cache thread_cache __attribute__((tls_model("initial-exec")));

/* The calling thread's; made if need be. NULL: out of memory. */
struct thread *thread_self(void);

#endif
