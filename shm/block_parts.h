/*
 * block_parts.h: the words of blocks, for the files that make them up (shm/block.h).
 */
#ifndef EMS_SHM_BLOCK_PARTS_H
#define EMS_SHM_BLOCK_PARTS_H

#include "shm/atomic.h"
#include "shm/block.h"

/* Who, in a state. */
#define BLOCK_FREE   0u
#define BLOCK_STORED 1u
#define BLOCK_CLAIM  2u /* and the writer's number */

static inline uint32_t block_who(uint64_t state)
{
	return (uint32_t)(state & 0xffff);
}
static inline bool block_is_claimed(uint64_t state)
{
	return block_who(state) >= BLOCK_CLAIM && block_who(state) < BLOCK_CLAIM + BLOCK_WRITERS;
}
/* The same version with another who; the next version. */
static inline uint64_t block_as(uint64_t state, uint32_t who)
{
	return (state & ~UINT64_C(0xffff)) | who;
}
static inline uint64_t block_next(uint64_t state, uint32_t who)
{
	return block_as(state + 0x10000, who);
}

static inline void *block_at(const struct shm_blocks *blocks, uint64_t offset)
{
	return blocks->region->base + offset;
}
static inline uint64_t *block_state(const struct shm_blocks *blocks, uint64_t number)
{
	return block_at(blocks, blocks->first + number * blocks->stride);
}
static inline void *block_data(const struct shm_blocks *blocks, uint64_t number)
{
	return block_state(blocks, number) + 1;
}
static inline struct block_writer *block_writer(const struct shm_blocks *blocks, uint32_t which)
{
	return block_at(blocks, (which + 1) * (uint64_t)BLOCK_WRITER_SPACE - sizeof(struct block_writer));
}
/* Is its memory there? */
bool block_exists(const struct shm_blocks *blocks, uint64_t number);
/* Its state; what is not there yet is free. */
static inline uint64_t block_load(const struct shm_blocks *blocks, uint64_t number)
{
	return block_exists(blocks, number) ? load64_acquire(block_state(blocks, number)) : BLOCK_FREE;
}

/* ---- bits (block.c) ---- */

/* Makes the bits of a block, and those above, say what is so. By a writer whose intent names the block. */
void block_settle(struct shm_blocks *blocks, uint64_t number);

/* ---- writers (block_writer.c) ---- */

/* Becomes a writer, and repairs what one who was it before has left. *which. -ERROR_BUSY, -ERROR_SYSTEM, -ERROR_NO_MEMORY. */
int block_begin(struct shm_blocks *blocks, uint32_t *which);
/* What it is about to change; before the store. */
static inline void block_intend(struct shm_blocks *blocks, uint32_t which, uint64_t number)
{
	store64_release(&block_writer(blocks, which)->intent, number + 1);
}
void block_end(struct shm_blocks *blocks, uint32_t which);
/* Repairs what writer `which` has left if it is dead. By one who is no writer himself, or another one. */
int block_recover_writer(struct shm_blocks *blocks, uint32_t which);

#endif
