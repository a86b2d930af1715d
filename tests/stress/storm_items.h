/*
 * storm_items.h: the queue and the stack in kill_storm. Each item says who put it and which of his it is; a memory
 * that outlives the workers counts how often each was taken.
 */
#ifndef TESTS_STRESS_STORM_ITEMS_H
#define TESTS_STRESS_STORM_ITEMS_H

#include "shm/element.h"

#define STORM_ITEM_SIZE 9000u

/* A number, or bytes that begin with it and all of which follow from their count; bytes are then the value's. */
struct shm_value storm_item_make(uint64_t number, uint64_t random, uint8_t bytes[STORM_ITEM_SIZE]);
/* False: torn. */
bool storm_item_read(const struct shm_value *value, uint64_t *number);

/* Before the workers are started. False: no memory. */
bool storm_items_init(void);

/* One operation on the queue or the stack. NULL, or what is wrong, with *error. */
const char *storm_items_work(struct shm_session *session, uint32_t worker, uint64_t random, int *error);

/*
 * When all are dead and recovered: takes the rest, which nobody may have taken before. Each of the kills accounts for one item
 * that is missing, at most: a put that was cut off, or an item that was taken by then. How much is wrong.
 */
uint64_t storm_items_check(struct shm_session *session, uint64_t kills);

#endif
