/*
 * budget.h: how many bytes somebody may commit: a heap, its owner, all together.
 *
 * Memory is counted when it is promised, not when it is touched, so that what was promised is there.
 */
#ifndef DAEMON_BUDGET_H
#define DAEMON_BUDGET_H

#include <stddef.h>
#include <stdint.h>

struct budget {
	uint64_t used, limit; /* bytes; limit 0: none */
};

/* A place in a chain of budgets that are all charged. */
struct budget_level {
	struct budget *budget;
	const char *whose; /* for the message: "heap \"a\"" */
};

#define BUDGET_MESSAGE_SIZE 256

/*
 * Charges each of count levels with bytes, or none: -ERROR_BUDGET, and message says which one refuses, how
 * much of it is used, and how much is allowed.
 */
int budget_charge(const struct budget_level *levels, size_t count, uint64_t bytes,
		  char message[static BUDGET_MESSAGE_SIZE]);

/* Gives back what was charged; more than was is a bug. */
void budget_refund(const struct budget_level *levels, size_t count, uint64_t bytes);

#endif
