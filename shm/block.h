/*
 * block.h: blocks of one size in a region, of which the lowest free one is handed out.
 *
 *     0        ┌───────────────────────────┐
 *              │ magic, block size, how many│   64 pages of 4,096 bytes; in the last 16 bytes of each
 *              │ writers                   │    one writer: lock 32, era 32, intent 64
 *     262144   ├───────────────────────────┤
 *              │ bits: level 0, 1, …       │   a bit for each block; for each word below; up to one word
 *              ├───────────────────────────┤   (the next multiple of 64)
 *              │ state 64, data            │   block 0
 *              │ state 64, data            │   block 1 …, as many as fit the region
 *
 * Truth: a block's state alone, version 48 | who 16:
 *
 *      FREE v ──CAS──► CLAIMED v+1 by writer k ──► STORED v+1 ──CAS──► FREE v+1 …           (all zero: FREE)
 *                             └──────── its writer died ─────────────► FREE v+1
 *
 * No word comes back, so a CAS that succeeds has not been overtaken, and a reader who finds the same STORED word behind its
 * copy has a block that was stored as one. A store takes effect when STORED appears; freeing with its CAS.
 *
 * Hints: a bit is 1 when what is below is taken (a block that is not FREE, a word that is all ones). They are
 * allowed to be wrong in one direction: a 0 above what is taken costs whoever searches there one more look, and he
 * sets it. A 1 above something free would hide it, so:
 *
 *      who sets a bit looks below again behind that, and takes it back when that has become free meanwhile;
 *      who makes something free, or clears a bit, looks at the bit above behind that, and clears it, up to the top.
 *
 * One of both sees the other's store ("settling", below). What can go wrong then is a death in the middle. So every
 * store to bits or a state is made by a writer, who holds a robust lock (shm/robust.h) and has named the block in its intent
 * first:
 *
 *      died right here                          left                         who repairs: the lock's next holder
 *      intent set                               the intent                   settles the block's bits: nothing to do
 *      CLAIMED, its data in part                a claimed block              makes it FREE, settles its bits
 *      STORED                                   bits that may be 0           settles
 *      FREE again                               bits that hide it            settles
 *      in the middle of settling                bits that may hide           settles
 *      while repairing                          the dead one's intent        the next: a lock is left only when all is done
 *
 * Settling depends on nothing but what it sees, and may be done by anybody, again, and at the same time. Dead writers are looked
 * for when the blocks are opened, one by each operation, when a claimed block is in the way, and before they are
 * said to be full. A lock of another era (boot of the machine, or file: it has been copied) is a dead one's. When all
 * others pause, the lowest free block is handed out; two at once get the two lowest, in any order.
 *
 * Words may be anybody's scribbling: each is checked before it is used as an index, and each loop ends. Model:
 * tests/model/block.pml.
 */
#ifndef EMS_SHM_BLOCK_H
#define EMS_SHM_BLOCK_H

#include "shm/region.h"
#include "shm/robust.h"

#define BLOCK_MAGIC	   UINT64_C(0x0a314b4c42534d45) /* "EMSBLK1\n" */
#define BLOCK_WRITERS	   64u
#define BLOCK_WRITER_SPACE 4096u
#define BLOCK_BITS	   ((uint64_t)BLOCK_WRITERS * BLOCK_WRITER_SPACE) /* where they begin */
#define BLOCK_LEVELS	   6u
#define BLOCK_DEFAULT	   262144u /* how many, unless it is said: 64^3 */

struct block_writer {
	uint32_t lock, era;
	uint64_t intent; /* number of the block + 1; 0: none */
};
ASSERT_SIZE(struct block_writer, 16);

/* One process's view; its fields do not change but for the locks, which are mapped when they are first used. */
struct shm_blocks {
	struct shm_region *region;
	uint32_t block_size, capacity;
	uint32_t levels;
	uint64_t words[BLOCK_LEVELS]; /* of each level */
	uint64_t level[BLOCK_LEVELS]; /* offsets */
	uint64_t first, stride;	      /* offset of block 0; bytes of each, with its state */
	uint32_t era;
	uint32_t next; /* atomic: which writer to look at next */
	struct shm_robust locks[BLOCK_WRITERS];
	uint32_t mapped[BLOCK_WRITERS]; /* atomic, of locks: 0 no, 1 a thread is at it, 2 yes */
};

/* What lies where; no memory is looked at. False: nonsense. */
bool shm_blocks_plan(struct shm_blocks *blocks, uint32_t block_size, uint32_t capacity);
/* The machine's boot and the file or region: what a writer's lock has to have to be believed. identity: of that. */
uint32_t shm_blocks_era(const void *identity, uint64_t size);

/* Unmaps the locks; nobody is at work through this view. */
void shm_blocks_fini(struct shm_blocks *blocks);

/* What the head says. 0: nothing, it is all zero; -ERROR_CORRUPT: something else is there. */
int shm_blocks_look(struct shm_region *region, uint32_t *block_size, uint32_t *capacity);
/* Makes it, with others perhaps, from zeros; then look again, for another may have been first. */
void shm_blocks_make(struct shm_region *region, uint32_t block_size, uint32_t capacity);
/* Makes everything zero: nobody else may use it meanwhile. The region has `first` bytes at least. */
void shm_blocks_discard(struct shm_blocks *blocks);

/* Bytes that the region must have for block `number`. */
uint64_t shm_blocks_end(const struct shm_blocks *blocks, uint64_t number);

/*
 * Stores block_size bytes in the lowest free block. *number. -ERROR_FULL; -ERROR_NO_SPACE: the region has to have *number blocks
 * first (all behind are none yet); -ERROR_BUSY: all writers' places are taken by others; -ERROR_CORRUPT; -ERROR_SYSTEM,
 * NO_MEMORY.
 */
int shm_block_store(struct shm_blocks *blocks, const void *data, uint64_t *number);
/* -ERROR_EMPTY: no block is stored there. Else as above. */
int shm_block_free(struct shm_blocks *blocks, uint64_t number);
/* Stores nothing; -ERROR_EMPTY. data may be NULL. */
int shm_block_read(struct shm_blocks *blocks, uint64_t number, void *data);

/* Repairs what dead writers have left. */
int shm_blocks_recover(struct shm_blocks *blocks);
/*
 * Holds the bits of blocks [from, from + count) against their states, and their states against the writers, and makes good
 * what is wrong (garbage), while others go on. *mended is raised by the number of blocks with which something was wrong; a
 * bit that is 0 above what is taken, which living writers may leave, is made good without being counted.
 */
int shm_blocks_repair(struct shm_blocks *blocks, uint64_t from, uint64_t count, uint64_t *mended);

#endif
