/*
 * operations.h: the table of the exported functions that have one element for their object.
 */
#ifndef TESTS_KILL_OPERATIONS_H
#define TESTS_KILL_OPERATIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "client/ems.h"

enum needs {
	TAKES_VALUE = 1, /* any new value makes sense */
	NUMBERS = 2,	 /* old and new are numbers, or the old one is pristine */
	EMPTY_FIRST = 4, /* waits until the element is EMPTY */
	FULL_MATRIX = 8, /* with every old and every new value */
	MAY_CHANGE = 16, /* whether contents change depends on the values */
	NEVER_CHANGES = 32,
	KEYED = 64,	/* only in a heap with a map */
	EXISTING = 128, /* only an element that has been written */
};

struct operation_row {
	const char *function;
	const char *variant; /* "" or what is special about it */
	/* value: to be written; old: what is there now. The result is the function's. */
	int (*run)(ems_heap_t *heap, ems_key_t key, const ems_value_t *value, const ems_value_t *old);
	unsigned needs;
};

extern const struct operation_row operation_rows[];
extern const size_t operation_row_count;
const struct operation_row *operation_named(const char *function, const char *variant);

#endif
