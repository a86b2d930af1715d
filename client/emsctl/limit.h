/*
 * limit.h: what the machine can do at best, as work for measure.h: the instructions that operations cannot do without.
 *
 * Each takes a struct limit as context and works on its memory, nothing else.
 */
#ifndef CLIENT_EMSCTL_LIMIT_H
#define CLIENT_EMSCTL_LIMIT_H

#include <stdint.h>

#include "shm/atomic.h"

#define LIMIT_WORDS 1024 /* a power of two: what fits into the first cache */

struct limit {
	struct pair pair;			/* for compare-and-swap */
	uint64_t words[LIMIT_WORDS] __attribute__((aligned(64)));
	uint64_t sum;				/* results that must not be thought away */
};

/* Loads of 8 bytes, one after the other, through all the words. */
void limit_load(struct limit *limit, uint64_t count);
/* Additions to a 16-byte pair by compare-and-swap: the load, the sum, the swap. */
void limit_cas(struct limit *limit, uint64_t count);
/* The same by one atomic addition of 8 bytes. */
void limit_add(struct limit *limit, uint64_t count);

#endif
