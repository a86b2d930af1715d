/* Blocks: what lies where, the bits, storing, reading, freeing, repairing. See block.h for the model. */
#include "shm/block_parts.h"

#include <string.h>

#include "base/error.h"
#include "base/macros.h"

#define FULL_WORD (~UINT64_C(0))

/* ---- what lies where ---- */

bool shm_blocks_plan(struct shm_blocks *blocks, uint32_t block_size, uint32_t capacity)
{
	uint64_t words = capacity, offset = BLOCK_BITS;

	if (block_size == 0 || capacity == 0)
		return false;
	blocks->block_size = block_size;
	blocks->capacity = capacity;
	blocks->levels = 0;
	do {
		words = (words + 63) / 64;
		blocks->words[blocks->levels] = words;
		blocks->level[blocks->levels++] = offset;
		offset += words * sizeof(uint64_t);
	} while (words > 1);
	blocks->first = (offset + 63) / 64 * 64;
	blocks->stride = sizeof(uint64_t) + ((uint64_t)block_size + 7) / 8 * 8;
	return capacity <= (REGION_SIZE_MAX - blocks->first) / blocks->stride;
}

uint64_t shm_blocks_end(const struct shm_blocks *blocks, uint64_t number)
{
	return blocks->first + (number + 1) * blocks->stride;
}

bool block_exists(const struct shm_blocks *blocks, uint64_t number)
{
	uint64_t end = shm_blocks_end(blocks, number);

	return end <= load64_relaxed(&blocks->region->seen) || end <= shm_region_size(blocks->region);
}

/* ---- the head ---- */

static uint64_t *head_word(const struct shm_region *region, unsigned i)
{
	return (uint64_t *)(void *)region->base + i;
}

/* Magic, and block size and number in one word behind it: each step leaves something that the next one can go on with. */
int shm_blocks_look(struct shm_region *region, uint32_t *block_size, uint32_t *capacity)
{
	uint64_t words = (BLOCK_WRITER_SPACE - sizeof(struct block_writer)) / sizeof(uint64_t), magic = 0,
		 both = 0;
	bool zero = true;

	words = MIN(words, shm_region_size(region) / sizeof(uint64_t));
	for (uint64_t i = 0; zero && i < words; i++)
		zero = load64_acquire(head_word(region, (unsigned)i)) == 0;
	/* Not before: somebody may be making it. */
	if (words > 1) {
		magic = load64_acquire(head_word(region, 0));
		both = load64_acquire(head_word(region, 1));
	}
	if (magic != BLOCK_MAGIC && !zero)
		return -ERROR_CORRUPT;
	*block_size = (uint32_t)both;
	*capacity = (uint32_t)(both >> 32);
	return 0;
}

void shm_blocks_make(struct shm_region *region, uint32_t block_size, uint32_t capacity)
{
	uint64_t zero = 0;

	(void)cas64(head_word(region, 0), &zero, BLOCK_MAGIC);
	zero = 0;
	(void)cas64(head_word(region, 1), &zero, (uint64_t)capacity << 32 | block_size);
}

void shm_blocks_discard(struct shm_blocks *blocks)
{
	memset(blocks->region->base, 0, blocks->first);
	for (uint64_t number = 0; number < blocks->capacity && block_exists(blocks, number); number++)
		store64_relaxed(block_state(blocks, number), 0);
}

/* ---- bits ---- */

static uint64_t *bit_word(const struct shm_blocks *blocks, uint32_t level, uint64_t index)
{
	return (uint64_t *)block_at(blocks, blocks->level[level]) + index;
}

static void clear_bit(uint64_t *word, uint64_t bit)
{
	if (load64_acquire(word) & bit)
		(void)and64(word, ~bit);
}

/* The bit says that what is below is taken, if it is: is_taken, asked again behind each store. */
static void settle_block(struct shm_blocks *blocks, uint64_t number)
{
	uint64_t *word = bit_word(blocks, 0, number / 64), bit = UINT64_C(1) << number % 64;

	if (block_who(block_load(blocks, number)) != BLOCK_FREE) {
		if (!(load64_acquire(word) & bit))
			(void)or64(word, bit);
		fence_full(); /* the bit is there; who frees it now sees it, or we see that it is free */
		if (block_who(block_load(blocks, number)) != BLOCK_FREE)
			return;
	}
	clear_bit(word, bit);
}

static void settle_word(struct shm_blocks *blocks, uint32_t level, uint64_t index)
{
	const uint64_t *below = bit_word(blocks, level - 1, index);
	uint64_t *word = bit_word(blocks, level, index / 64), bit = UINT64_C(1) << index % 64;

	fence_full(); /* what was changed below comes before the look at the bit above it */
	if (load64_acquire(below) == FULL_WORD) {
		if (!(load64_acquire(word) & bit))
			(void)or64(word, bit);
		fence_full();
		if (load64_acquire(below) == FULL_WORD)
			return;
	}
	clear_bit(word, bit);
}

void block_settle(struct shm_blocks *blocks, uint64_t number)
{
	uint64_t index = number / 64;

	fence_full(); /* the state was changed before */
	settle_block(blocks, number);
	for (uint32_t level = 1; level < blocks->levels; level++, index /= 64)
		settle_word(blocks, level, index);
}

/*
 * Goes down to the lowest block whose bits say that it is free. A word below that is full although its bit says no:
 * *wrong, and the first block below it.
 */
static uint64_t search(const struct shm_blocks *blocks, bool *wrong)
{
	uint64_t index = 0;

	*wrong = false;
	for (uint32_t level = blocks->levels; level-- > 0;) {
		uint64_t word = load64_acquire(bit_word(blocks, level, index));

		if (word == FULL_WORD) {
			*wrong = level + 1 < blocks->levels;
			return *wrong ? index << 6 * (level + 1) : blocks->capacity;
		}
		index = index * 64 + (uint64_t)__builtin_ctzll(~word);
		if (index >= (level ? blocks->words[level - 1] : blocks->capacity))
			return blocks->capacity; /* behind the last one: all before it are taken */
	}
	return index;
}

/* ---- storing ---- */

/* 0: *_number is claimed. SHM_AGAIN is 1: the bits were wrong. */
static int claim(struct shm_blocks *blocks, uint32_t which, uint64_t *_number)
{
	uint64_t number, state;
	bool wrong;

	number = search(blocks, &wrong);
	*_number = number;
	if (number >= blocks->capacity)
		return -ERROR_FULL;
	if (!wrong && !block_exists(blocks, number))
		return -ERROR_NO_SPACE;
	block_intend(blocks, which, number); /* before any store to it or its bits */
	state = block_load(blocks, number);
	if (!wrong && block_who(state) == BLOCK_FREE) {
		if (!cas64(block_state(blocks, number), &state, block_next(state, BLOCK_CLAIM + which)))
			return 1;
		block_settle(blocks, number);
		return 0;
	}
	/* It is taken, and its bit does not say so; perhaps because somebody died. */
	if (block_is_claimed(state) && block_who(state) != BLOCK_CLAIM + which) {
		int r = block_recover_writer(blocks, block_who(state) - BLOCK_CLAIM);

		if (r < 0)
			return r;
	}
	block_settle(blocks, number);
	return 1;
}

/*
 * Those at work may hide something for a moment, and the dead for longer: settles what their intents name, on
 * their behalf.
 */
static int help(struct shm_blocks *blocks, uint32_t which)
{
	for (uint32_t other = 0; other < BLOCK_WRITERS; other++) {
		uint64_t intent;
		int r = other == which ? 0 : block_recover_writer(blocks, other);

		if (r < 0)
			return r;
		intent = load64_acquire(&block_writer(blocks, other)->intent);
		if (intent == 0 || intent > blocks->capacity)
			continue;
		block_intend(blocks, which, intent - 1);
		block_settle(blocks, intent - 1);
	}
	return 0;
}

/* Each try that leads nowhere has set a bit, or another has been faster. */
static int claim_one(struct shm_blocks *blocks, uint32_t which, uint64_t *_number)
{
	bool helped = false;
	int r = 1;

	for (uint64_t tries = 0; tries < 4 * (uint64_t)blocks->capacity + 65536; tries++) {
		r = claim(blocks, which, _number);
		if (r == -ERROR_FULL && !helped) {
			r = help(blocks, which);
			helped = true;
			if (r < 0)
				return r;
		} else if (r <= 0) {
			return r;
		}
	}
	return -ERROR_CORRUPT;
}

int shm_block_store(struct shm_blocks *blocks, const void *data, uint64_t *_number)
{
	uint64_t number, state;
	uint32_t which;
	int r = block_begin(blocks, &which);

	if (r < 0)
		return r;
	r = claim_one(blocks, which, &number);
	if (r == 0) {
		state = load64_relaxed(block_state(blocks, number));
		copy_to_shared(block_data(blocks, number), data, blocks->block_size);
		/* Takes effect here. Nobody changes a claim of a living writer: when this fails it was scribbled. */
		if (block_who(state) != BLOCK_CLAIM + which ||
		    !cas64(block_state(blocks, number), &state, block_as(state, BLOCK_STORED)))
			r = -ERROR_CORRUPT;
	}
	block_end(blocks, which);
	if (r == 0 || r == -ERROR_NO_SPACE)
		*_number = number;
	return r;
}

/* ---- reading, freeing ---- */

int shm_block_read(struct shm_blocks *blocks, uint64_t number, void *data)
{
	uint64_t seen, now;

	if (number >= blocks->capacity)
		return -ERROR_RANGE;
	now = block_load(blocks, number);
	do {
		seen = now;
		if (block_who(seen) != BLOCK_STORED)
			return -ERROR_EMPTY;
		if (data)
			copy_from_shared(data, block_data(blocks, number), blocks->block_size);
		fence_acquire(); /* the copy came before this look */
		now = load64_acquire(block_state(blocks, number));
	} while (now != seen);
	return 0;
}

int shm_block_free(struct shm_blocks *blocks, uint64_t number)
{
	uint64_t state;
	uint32_t which;
	int r;

	if (number >= blocks->capacity)
		return -ERROR_RANGE;
	if (!block_exists(blocks, number))
		return -ERROR_EMPTY;
	r = block_begin(blocks, &which);
	if (r < 0)
		return r;
	block_intend(blocks, which, number);
	state = load64_acquire(block_state(blocks, number));
	/* Takes effect here. */
	if (block_who(state) != BLOCK_STORED ||
	    !cas64(block_state(blocks, number), &state, block_as(state, BLOCK_FREE)))
		r = -ERROR_EMPTY; /* another has freed it */
	else
		block_settle(blocks, number);
	block_end(blocks, which);
	return r;
}

/* ---- repairing ---- */

/* No writer: somebody scribbled. What a writer has claimed is named by its intent, under its lock, for as long as it is. */
static bool is_garbage(struct shm_blocks *blocks, uint32_t which, uint64_t number, uint64_t state)
{
	const struct block_writer *writer;

	if (block_who(state) <= BLOCK_STORED)
		return false;
	if (!block_is_claimed(state) || block_who(state) == BLOCK_CLAIM + which) /* we claim nothing */
		return true;
	writer = block_writer(blocks, block_who(state) - BLOCK_CLAIM);
	return load64_acquire(&writer->intent) != number + 1 || load32_acquire(&writer->lock) == 0;
}

static bool repair_block(struct shm_blocks *blocks, uint32_t which, uint64_t number)
{
	const uint64_t *word = bit_word(blocks, 0, number / 64);
	uint64_t state = block_load(blocks, number), before = load64_acquire(word);
	bool mended;

	/* The state was read before the intent: if it was a writer's claim, it is no more, and the CAS fails. */
	mended = is_garbage(blocks, which, number, state) &&
		 cas64(block_state(blocks, number), &state, block_next(state, BLOCK_FREE));
	block_settle(blocks, number);
	/* A bit that hid something free. One that was 0 above what is taken is what living writers may leave. */
	return mended || ((before & ~load64_acquire(word)) >> number % 64 & 1);
}

int shm_blocks_repair(struct shm_blocks *blocks, uint64_t from, uint64_t count, uint64_t *mended)
{
	uint64_t end = blocks->capacity;
	uint32_t which;
	int r = shm_blocks_recover(blocks);

	if (from < end && count < end - from)
		end = from + count;
	if (r == 0)
		r = block_begin(blocks, &which);
	if (r < 0)
		return r;
	for (uint64_t number = from; number < end; number++) {
		block_intend(blocks, which, number);
		*mended += repair_block(blocks, which, number);
	}
	block_end(blocks, which);
	return 0;
}
