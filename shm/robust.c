/* Locks that the kernel marks when their holder dies: see robust.h for the model. */
#include "shm/robust.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "shm/atomic.h"
#include "shm/futex.h"
#include "shm/segment.h"

#define WORD_FROM_END 16u

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

uint32_t *shm_robust_word(const struct shm_segment *seg, uint32_t index)
{
	return shm_at(seg, seg->layout.offset[AREA_LOCKS] + (index + 1) * UNIT - WORD_FROM_END);
}

bool shm_robust_word_is_dead(const uint32_t *word)
{
	return load32_acquire(word) & FUTEX_OWNER_DIED;
}

bool shm_robust_is_dead(const struct shm_segment *seg, uint32_t index)
{
	return shm_robust_word_is_dead(shm_robust_word(seg, index));
}

bool shm_robust_is_held(const struct shm_segment *seg, uint32_t index)
{
	uint32_t word = load32_acquire(shm_robust_word(seg, index));

	return (word & FUTEX_TID_MASK) && !(word & FUTEX_OWNER_DIED);
}

void shm_robust_clear(struct shm_segment *seg, uint32_t index)
{
	store32_release(shm_robust_word(seg, index), 0);
}

void shm_robust_bury(struct shm_segment *seg, uint32_t index)
{
	store32_release(shm_robust_word(seg, index), FUTEX_OWNER_DIED);
}

void shm_robust_declare_word_dead(uint32_t *word)
{
	if (load32_acquire(word) & FUTEX_TID_MASK) {
		or32(word, FUTEX_OWNER_DIED);
		shm_futex_wake(word, INT_MAX, WAIT_ANY);
	}
}

void shm_robust_declare_dead(struct shm_segment *seg, uint32_t index)
{
	shm_robust_declare_word_dead(shm_robust_word(seg, index));
}

/* The lock's page once more, and a private page behind it. */
int shm_robust_map(uint32_t *word, struct shm_robust *lock)
{
	size_t page = page_size();
	uint8_t *shared = (uint8_t *)word + WORD_FROM_END - page;
	uint8_t *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED)
		return -ERROR_NO_MEMORY;
	/* An old size of 0 duplicates a shared mapping: no descriptor is needed. */
	if (mremap(shared, 0, page, MREMAP_MAYMOVE | MREMAP_FIXED, pages) == MAP_FAILED) {
		int r = error_from_errno(errno);

		(void)munmap(pages, 2 * page);
		return r;
	}
	(void)madvise(pages, 2 * page, MADV_DONTFORK);
	lock->pages = pages;
	lock->word = (uint32_t *)(pages + page - WORD_FROM_END);
	return 0;
}

void shm_robust_unmap(struct shm_robust *lock)
{
	(void)munmap(lock->pages, 2 * page_size());
	lock->pages = NULL;
	lock->word = NULL;
}

static struct robust_list_head *robust_head(void)
{
	struct robust_list_head *head = NULL;
	size_t length = 0;

	if (syscall(SYS_get_robust_list, 0, &head, &length) < 0 || length != sizeof(*head))
		return NULL;
	/* The link must lie in the private page, its prev too, and within it. */
	if (head && (head->futex_offset > -24 || head->futex_offset < -1024 || head->futex_offset % 4))
		return NULL;
	return head;
}

static struct robust_list *lock_link(const struct shm_robust *lock, const struct robust_list_head *head)
{
	return (struct robust_list *)((uint8_t *)lock->word - head->futex_offset);
}

static struct robust_list **link_prev(struct robust_list *link)
{
	return (struct robust_list **)((uint8_t *)link - sizeof(void *));
}

/* Low bit of a link: a priority-inheritance lock of the C library's. Not ours, but its neighbours may be. */
static struct robust_list *link_plain(struct robust_list *link)
{
	return (struct robust_list *)((uintptr_t)link & ~(uintptr_t)1);
}

static void list_insert(struct robust_list_head *head, struct robust_list *link)
{
	struct robust_list *first = head->list.next;

	*link_prev(link) = &head->list;
	link->next = first;
	/* The list's end is the head itself, which has no prev of the lists' kind in musl, but room for it in
	 * both. */
	if (link_plain(first) != &head->list)
		*link_prev(link_plain(first)) = link;
	compiler_barrier(); /* the kernel walks the list at whatever instruction the thread dies */
	head->list.next = link;
	compiler_barrier();
}

static void list_remove(struct robust_list_head *head, struct robust_list *link)
{
	struct robust_list *prev = link_plain(*link_prev(link)), *next = link->next;

	prev->next = next;
	compiler_barrier();
	if (link_plain(next) != &head->list)
		*link_prev(link_plain(next)) = prev;
}

/*
 * list_op_pending covers the gap between taking the word and being on the list: a
 * death right here is found by the kernel through it.
 */
static int take(struct shm_robust *lock, struct robust_list_head *head, bool take_dead)
{
	uint32_t tid = (uint32_t)syscall(SYS_gettid), seen = load32_acquire(lock->word);

	if (seen & FUTEX_OWNER_DIED) {
		if (!take_dead)
			return -ERROR_BROKEN;
	} else if (seen & FUTEX_TID_MASK) {
		return -ERROR_BUSY;
	}
	if (head) {
		head->list_op_pending = lock_link(lock, head);
		compiler_barrier();
	}
	bool taken = cas32(lock->word, &seen, tid | (seen & FUTEX_WAITERS));
	if (head) {
		if (taken)
			list_insert(head, lock_link(lock, head));
		compiler_barrier();
		head->list_op_pending = NULL;
	}
	return taken ? 0 : -ERROR_BUSY;
}

int shm_robust_trylock_word(uint32_t *word, bool take_dead, struct shm_robust *lock)
{
	uint32_t seen = load32_acquire(word);

	/* A look first: mapping the pages costs four system calls. */
	if (!(seen & FUTEX_OWNER_DIED) && (seen & FUTEX_TID_MASK))
		return -ERROR_BUSY;
	if ((seen & FUTEX_OWNER_DIED) && !take_dead)
		return -ERROR_BROKEN;

	int r = shm_robust_map(word, lock);
	if (r < 0)
		return r;
	r = take(lock, robust_head(), take_dead);
	if (r < 0)
		shm_robust_unmap(lock);
	return r;
}

int shm_robust_trylock(struct shm_segment *seg, uint32_t index, struct shm_robust *lock)
{
	return shm_robust_trylock_word(shm_robust_word(seg, index), index == 0, lock);
}

static void leave_word(struct shm_robust *lock, uint32_t word)
{
	struct robust_list_head *head = robust_head();

	if (head) {
		head->list_op_pending = lock_link(lock, head);
		compiler_barrier();
		list_remove(head, lock_link(lock, head));
	}
	if (exchange32(lock->word, word) & FUTEX_WAITERS)
		shm_futex_wake(lock->word, INT_MAX, WAIT_ANY);
	if (head) {
		compiler_barrier();
		head->list_op_pending = NULL;
	}
}

void shm_robust_unlock(struct shm_robust *lock)
{
	leave_word(lock, 0);
	shm_robust_unmap(lock);
}

void shm_robust_abandon(struct shm_robust *lock)
{
	leave_word(lock, FUTEX_OWNER_DIED);
	shm_robust_unmap(lock);
}

/* ---- locks that are taken often ---- */

void shm_robust_leave(struct shm_robust *lock)
{
	leave_word(lock, 0);
}

/* Word and era as one: the low half is the word. */
static bool is_dead(uint64_t both, uint32_t era)
{
	uint32_t word = (uint32_t)both;

	return (word & FUTEX_OWNER_DIED) || ((word & FUTEX_TID_MASK) && both >> 32 != era);
}

bool shm_robust_is_dead_of(const uint32_t *word, uint32_t era)
{
	return is_dead(load64_acquire((const uint64_t *)(const void *)word), era);
}

int shm_robust_take(struct shm_robust *lock, uint32_t era)
{
	uint64_t *both = (uint64_t *)(void *)lock->word, seen = load64_acquire(both);
	bool dead = is_dead(seen, era), taken;
	struct robust_list_head *head;

	if (!dead && ((uint32_t)seen & FUTEX_TID_MASK))
		return -ERROR_BUSY;
	head = robust_head();
	if (head) {
		head->list_op_pending = lock_link(lock, head);
		compiler_barrier();
	}
	taken = cas64(both, &seen, (uint64_t)era << 32 | (uint32_t)syscall(SYS_gettid));
	if (head) {
		if (taken)
			list_insert(head, lock_link(lock, head));
		compiler_barrier();
		head->list_op_pending = NULL;
	}
	return taken ? dead : -ERROR_BUSY;
}
