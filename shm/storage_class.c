/*
 * storage_class.c: the tables of block sizes.
 */
#include "shm/storage_class.h"

#include "shm/layout.h"

#define CLASS(size_)                                                           \
	{                                                                      \
		.size = (size_), .count = UNIT / (size_),                      \
		.reciprocal = ((1u << 24) + (size_) / 16 - 1) / ((size_) / 16) \
	}

const struct size_class size_classes[SIZE_CLASS_COUNT] = {
	CLASS(32),   CLASS(48),	  CLASS(64),   CLASS(96),    CLASS(128),   CLASS(192),	 CLASS(256),
	CLASS(384),  CLASS(512),  CLASS(768),  CLASS(1024),  CLASS(1536),  CLASS(2048),	 CLASS(3072),
	CLASS(4096), CLASS(6144), CLASS(8192), CLASS(12288), CLASS(16384), CLASS(21840), CLASS(32768),
};

_Static_assert(SIZE_CLASS_COUNT <= SIZE_CLASSES, "a slot has room for a slab of each class");
_Static_assert(UNIT / 32 == BLOCKS_PER_CHUNK, "a chunk of the smallest blocks has a header for each");

/* By sixteenths: [n] is the class of n * 16 bytes. */
const uint8_t size_class_small[BLOCK_SMALL / 16 + 1] = {
	[0 ... 2] = 0,	 [3] = 1,	  [4] = 2,	   [5 ... 6] = 3,   [7 ... 8] = 4,    [9 ... 12] = 5,
	[13 ... 16] = 6, [17 ... 24] = 7, [25 ... 32] = 8, [33 ... 48] = 9, [49 ... 64] = 10,
};
