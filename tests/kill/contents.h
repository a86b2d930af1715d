/*
 * contents.h: what a heap holds, as its users see it: for each element that was ever written its key (or
 * index), tag, type and value; and the items of the queue and the stack, in order.
 */
#ifndef TESTS_KILL_CONTENTS_H
#define TESTS_KILL_CONTENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/segment.h"

struct entry {
	uint64_t key;	/* hash of the key, or the index */
	uint64_t index; /* of its element; 0 when indexes are not compared */
	uint64_t value; /* hash of the value */
	uint64_t form;	/* type 8 | tag 8 | size */
};

struct contents {
	uint64_t elements; /* how many the heap has */
	size_t count, room;
	struct entry *entries; /* sorted by key */
};

/*
 * Reads a quiet heap. with_index: the element that a key lives in is part of its identity.
 * contents is empty (all zero) before the first use, and may be used again. 0, or a negative error.
 */
int contents_read(struct contents *contents, struct shm_segment *seg, bool with_index);
bool contents_equal(const struct contents *a, const struct contents *b);
/* Each entry of `mixed` is as in a or as in b, and each that is the same in both is there. */
bool contents_between(const struct contents *mixed, const struct contents *a, const struct contents *b);
/* One line on what is in a and not, or otherwise, in b. */
void contents_print_difference(const struct contents *a, const struct contents *b);
void contents_copy(struct contents *to, const struct contents *from);
void contents_free(struct contents *contents);

#endif
