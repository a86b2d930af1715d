/* Who may change blocks: taking a writer's place, and repairing what a dead one has left. See block.h. */
#include "shm/block_parts.h"

#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"

#define ROUNDS 10000u /* through all places, with a yield after each, until BUSY is said */

/* The lock's word must lie at the end of a page: where pages are larger, some places are none. */
static bool is_usable(uint32_t which)
{
	return (which + 1) * (uint64_t)BLOCK_WRITER_SPACE % (uint64_t)sysconf(_SC_PAGESIZE) == 0;
}

/* The writer's place is ours, and has been a dead one's. */
static void repair_writer(struct shm_blocks *blocks, uint32_t which)
{
	struct block_writer *writer = block_writer(blocks, which);
	uint64_t intent = load64_acquire(&writer->intent), state;

	if (intent > 0 && intent <= blocks->capacity && block_exists(blocks, intent - 1)) {
		state = load64_acquire(block_state(blocks, intent - 1));
		/* Nobody else moves a block that is claimed by a writer whose place is held; when this fails it was
		 * scribbled. A death behind it leaves a free block, and the intent. */
		if (block_who(state) == BLOCK_CLAIM + which)
			(void)cas64(block_state(blocks, intent - 1), &state, block_as(state, BLOCK_FREE));
		block_settle(blocks, intent - 1);
	}
	store64_release(&writer->intent, 0);
}

/* Maps the lock when it is first used. -ERROR_BUSY: another thread is at that. */
static int map_lock(struct shm_blocks *blocks, uint32_t which)
{
	uint32_t none = 0;
	int r;

	if (load32_acquire(&blocks->mapped[which]) == 2)
		return 0;
	if (!cas32(&blocks->mapped[which], &none, 1))
		return none == 2 ? 0 : -ERROR_BUSY;
	r = shm_robust_map(&block_writer(blocks, which)->lock, &blocks->locks[which]);
	store32_release(&blocks->mapped[which], r == 0 ? 2 : 0);
	return r;
}

void shm_blocks_fini(struct shm_blocks *blocks)
{
	for (uint32_t which = 0; which < BLOCK_WRITERS; which++) {
		if (blocks->mapped[which] == 2)
			shm_robust_unmap(&blocks->locks[which]);
		blocks->mapped[which] = 0;
	}
}

/* 0: it is ours. */
static int take(struct shm_blocks *blocks, uint32_t which)
{
	struct shm_robust *lock = &blocks->locks[which];
	int r = map_lock(blocks, which);

	if (r == 0)
		r = shm_robust_take(lock, blocks->era);
	if (r <= 0)
		return r;
	repair_writer(blocks, which);
	return 0;
}

void block_end(struct shm_blocks *blocks, uint32_t which)
{
	store64_release(&block_writer(blocks, which)->intent, 0);
	shm_robust_leave(&blocks->locks[which]);
}

int block_recover_writer(struct shm_blocks *blocks, uint32_t which)
{
	int r;

	if (!is_usable(which) || !shm_robust_is_dead_of(&block_writer(blocks, which)->lock, blocks->era))
		return 0;
	r = take(blocks, which);
	if (r == 0)
		block_end(blocks, which);
	return r == -ERROR_BUSY ? 0 : r; /* another one does it */
}

int block_begin(struct shm_blocks *blocks, uint32_t *_which)
{
	uint32_t first = (uint32_t)gettid(), next = add32(&blocks->next, 1) % BLOCK_WRITERS;
	int r = block_recover_writer(blocks, next);

	for (uint32_t round = 0; r == 0 && round < ROUNDS; round++) {
		for (uint32_t i = 0; i < BLOCK_WRITERS; i++) {
			uint32_t which = (first + i) % BLOCK_WRITERS;

			if (!is_usable(which))
				continue;
			r = take(blocks, which);
			*_which = which;
			if (r != -ERROR_BUSY)
				return r;
		}
		r = 0;
		sched_yield();
	}
	return r < 0 ? r : -ERROR_BUSY;
}

int shm_blocks_recover(struct shm_blocks *blocks)
{
	int r = 0;

	for (uint32_t which = 0; which < BLOCK_WRITERS && r == 0; which++)
		r = block_recover_writer(blocks, which);
	return r;
}

/* FNV-1a: what matters is only that two boots, or two files, are told apart. */
static uint32_t mix(uint32_t hash, const void *bytes, uint64_t size)
{
	for (uint64_t i = 0; i < size; i++)
		hash = (hash ^ ((const uint8_t *)bytes)[i]) * 16777619u;
	return hash;
}

uint32_t shm_blocks_era(const void *identity, uint64_t size)
{
	_cleanup_(closep) int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	char boot[64] = "";
	ssize_t length = fd < 0 ? 0 : read(fd, boot, sizeof(boot));
	uint32_t hash = mix(2166136261u, boot, length < 0 ? 0 : (uint64_t)length);

	return mix(hash, identity, size) | 1;
}
