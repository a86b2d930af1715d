/* values.h: the values that the cases put where there was another one. */
#ifndef TESTS_KILL_VALUES_H
#define TESTS_KILL_VALUES_H

#include "client/ems.h"

enum kind {
	PRISTINE, /* never written; of a map: no such key */
	NUMBER,
	SMALL, /* a text that takes a block */
	LARGE, /* bytes that take two chunks */
	KINDS
};
extern const char *const kind_names[KINDS];

/* Before all else; so that it is not stepped. */
void values_init(void);

/*
 * The value that is there before, and the one that is written. Constant memory. Large ones are bytes, whose
 * checking takes no time, or text where only text will do.
 */
ems_value_t value_old(enum kind kind, bool text);
ems_value_t value_new(enum kind kind, bool text);

#endif
