/* What the library keeps for each thread, from first use to the thread's end: see thread.h. */
#include "client/thread.h"

#include <pthread.h>
#include <stdlib.h>

#include "client/process.h"
#include "client/session.h"

__thread struct thread_cache thread_cache __attribute__((tls_model("initial-exec")));

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int key_error = -1;

static void thread_free(struct thread *thread)
{
	session_fini(thread->own);
	free(thread->own);
	free(thread);
}

static struct thread *thread_new(void)
{
	struct thread *thread = calloc(1, sizeof(*thread));

	if (!thread)
		return NULL;
	thread->own = malloc(sizeof(*thread->own));
	if (!thread->own) {
		free(thread);
		return NULL;
	}
	session_init(thread->own, false);
	thread->present = thread->own;
	thread->process = process_present();
	return thread;
}

/* Runs as a destructor of the thread. A later destructor that uses the library makes a new one. */
static void end(void *pointer)
{
	struct thread *thread = pointer;

	session_close_all(thread);
	thread_cache = (struct thread_cache){0};
	thread_free(thread);
}

static void make_key(void)
{
	key_error = pthread_key_create(&key, end);
}

/* The main thread's destructors do not run when it returns from main: its slots are given back here. */
__attribute__((destructor)) static void at_exit(void)
{
	struct thread *thread = thread_cache.thread;

	if (thread)
		session_close_all(thread);
}

struct thread *thread_self(void)
{
	struct thread *thread = thread_cache.thread;

	if (thread)
		return thread;
	if (pthread_once(&once, make_key) != 0 || key_error != 0)
		return NULL;
	thread = thread_new();
	if (!thread)
		return NULL;
	if (pthread_setspecific(key, thread) != 0) {
		thread_free(thread);
		return NULL;
	}
	thread_cache.thread = thread;
	return thread;
}
