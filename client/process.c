/* The number of the process: see process.h. */
#include "client/process.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

/* Where the word is until a handle is made: nothing to compare with, and nobody to wipe it. */
static uint32_t no_word;
uint32_t *process_word = &no_word;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static uint32_t last; /* number given out, in this process or in the one it was forked from */

/* A fork by another thread must not leave the lock taken for ever in the child. */
static void before_fork(void)
{
	(void)pthread_mutex_lock(&lock);
}

static void after_fork(void)
{
	(void)pthread_mutex_unlock(&lock);
}

/* Also where the kernel did not wipe the page; a fork that goes around the C library has only that. */
static void in_child(void)
{
	store32_relaxed(process_word, 0);
	(void)pthread_mutex_unlock(&lock);
}

static void set_up(void)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return;
	(void)madvise(page, size, MADV_WIPEONFORK);
	if (pthread_atfork(before_fork, after_fork, in_child) != 0) {
		(void)munmap(page, size);
		return;
	}
	process_word = page;
}

uint32_t process_number(void)
{
	uint32_t number;

	if (pthread_once(&once, set_up) != 0 || process_word == &no_word)
		return 0;
	(void)pthread_mutex_lock(&lock);
	number = load32_relaxed(process_word);
	if (number == 0) {
		number = ++last;
		store32_relaxed(process_word, number);
	}
	(void)pthread_mutex_unlock(&lock);
	return number;
}
