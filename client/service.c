/* The library's own thread: see service.h. */
#include "client/service.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

#include "base/error.h"
#include "base/macros.h"
#include "client/process.h"
#include "client/wait.h"
#include "shm/atomic.h"
#include "shm/futex.h"

#define STACK_SIZE ((size_t)128 << 10) /* recovery of a heap runs on it; the C library adds its own */

struct request {
	int (*function)(void *argument);
	void *argument;
	int result;
	bool done;
	struct request *next;
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t done; /* some request is */

	/* with the lock: */
	uint32_t process; /* in which the rest means something (client/process.h) */
	int cancel_state; /* of the thread that has the lock, from before */
	uint32_t needs;
	bool running;
	struct request *requests, **end;

	uint32_t calls; /* atomic; futex word: moves when there is something to do */
} service = {.lock = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER, .end = &service.requests};

static pthread_once_t once = PTHREAD_ONCE_INIT;

/* ---- fork ---- */

static void forget(void)
{
	service.needs = 0;
	service.running = false;
	service.requests = NULL;
	service.end = &service.requests;
	(void)pthread_cond_init(&service.done, NULL);
}

static void before_fork(void)
{
	(void)pthread_mutex_lock(&service.lock);
}

static void in_parent(void)
{
	(void)pthread_mutex_unlock(&service.lock);
}

static void in_child(void)
{
	forget();
	(void)pthread_mutex_unlock(&service.lock);
}

static void set_up(void)
{
	(void)pthread_atfork(before_fork, in_parent, in_child);
}

static void lock(void)
{
	int state;

	(void)pthread_once(&once, set_up);
	/* A thread cancelled while it waits for a result would leave its request behind. */
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	(void)pthread_mutex_lock(&service.lock);
	service.cancel_state = state;
	/* A fork that goes around the C library. */
	if (service.process != process_present())
		forget();
	service.process = process_present();
}

static void unlock(void)
{
	int state = service.cancel_state;

	(void)pthread_mutex_unlock(&service.lock);
	(void)pthread_setcancelstate(state, NULL);
}

/* ---- the thread ---- */

static void serve(struct request *request)
{
	(void)pthread_mutex_unlock(&service.lock);
	request->result = request->function(request->argument);
	(void)pthread_mutex_lock(&service.lock);
	request->done = true; /* from here on its memory is the caller's again */
	(void)pthread_cond_broadcast(&service.done);
}

static void *work(void *arg)
{
	(void)arg;
	(void)pthread_mutex_lock(&service.lock);
	while (service.needs > 0 || service.requests) {
		struct request *request = service.requests;
		struct shm_futex_word words[SHM_FUTEX_WORDS] = {{&service.calls, load32_acquire(&service.calls)}};
		uint64_t deadline;
		uint32_t count;

		if (request) {
			service.requests = request->next;
			if (!service.requests)
				service.end = &service.requests;
			serve(request);
			continue;
		}
		(void)pthread_mutex_unlock(&service.lock);
		count = listener_prepare(words + 1, &deadline);
		(void)shm_futex_wait_many(words, count + 1, deadline);
		(void)pthread_mutex_lock(&service.lock);
	}
	service.running = false;
	(void)pthread_mutex_unlock(&service.lock);
	return NULL;
}

void service_call(void)
{
	(void)add32(&service.calls, 1);
	(void)shm_futex_wake(&service.calls, 1, WAIT_ANY);
}

static int start(void)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_t thread;
	long least = sysconf(_SC_THREAD_STACK_MIN);
	int r;

	if (pthread_attr_init(&attributes) != 0)
		return -ERROR_NO_MEMORY;
	(void)pthread_attr_setstacksize(&attributes, STACK_SIZE + (size_t)MAX(least, 0L));
	(void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&thread, &attributes, work, NULL);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)pthread_attr_destroy(&attributes);
	if (r == 0)
		(void)pthread_setname_np(thread, "ems-service");
	service.running = r == 0;
	return r == 0 ? 0 : r == EAGAIN ? -ERROR_NO_MEMORY : error_from_errno(r);
}

/* ---- for others ---- */

int service_hold(void)
{
	int r = 0;

	lock();
	service.needs++;
	if (!service.running)
		r = start();
	if (r < 0)
		service.needs--;
	unlock();
	return r;
}

void service_release(void)
{
	lock();
	if (service.needs > 0 && --service.needs == 0)
		service_call();
	unlock();
}

int service_run(int (*function)(void *argument), void *argument)
{
	struct request request = {.function = function, .argument = argument};
	int state;

	lock();
	state = service.cancel_state;
	*service.end = &request;
	service.end = &request.next;
	service_call();
	while (!request.done)
		(void)pthread_cond_wait(&service.done, &service.lock);
	service.cancel_state = state;
	unlock();
	return request.result;
}
