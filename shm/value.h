/* Values: reading them out of cells, comparing, and what the operations make of them. Pure, but for
 * shm_value_read. */
#ifndef SHM_VALUE_H
#define SHM_VALUE_H

#include <stdbool.h>

#include "shm/element.h"

/*
 * A value that is about to be stored: an immediate, or text in two pieces (so that a
 * concatenation is copied once), which belong to others.
 */
struct shm_outcome {
	enum cell_type type;
	uint64_t value;
	struct {
		const void *data;
		size_t size;
	} text[2];
	char number[2][32]; /* where the pieces are numbers in words */
};

/* a + b as JavaScript has it. -ERROR_TYPE for JSON and bytes. The pieces may point into a and b. */
int shm_value_add(const struct shm_value *a, const struct shm_value *b, struct shm_outcome *sum);
/* The other read-modify-writes: op of a (the old value) with b. -ERROR_TYPE, -ERROR_RANGE. */
int shm_value_modify(enum shm_op op, const struct shm_value *a, const struct shm_value *b,
		     struct shm_outcome *outcome);
/* Equality as cas has it: type and value, numbers by value across integer and float; NaN equals nothing. */
bool shm_value_equal(const struct shm_value *a, const struct shm_value *b);
/* The value as it is, to be stored. */
void shm_value_outcome(const struct shm_value *value, struct shm_outcome *outcome);
/* -ERROR_TYPE: no such type; -ERROR_RANGE: too long; -ERROR_INVALID: a string or JSON that is not UTF-8. */
int shm_value_validate(const struct shm_value *value);

#endif
