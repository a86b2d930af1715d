/*
 * budget.c: charging several budgets at once.
 */
#include "daemon/budget.h"

#include <assert.h>
#include <stdio.h>

#include "base/error.h"
#include "base/text.h"

static int refuse(const struct budget_level *level, uint64_t bytes, char message[static BUDGET_MESSAGE_SIZE])
{
	char asked[TEXT_SIZE_MAX], used[TEXT_SIZE_MAX], limit[TEXT_SIZE_MAX];

	snprintf(message, BUDGET_MESSAGE_SIZE, "memory budget of %s: %s more asked for, %s of %s used",
		 level->whose, text_format_size(bytes, asked), text_format_size(level->budget->used, used),
		 text_format_size(level->budget->limit, limit));
	return -ERROR_BUDGET;
}

int budget_charge(const struct budget_level *levels, size_t count, uint64_t bytes,
		  char message[static BUDGET_MESSAGE_SIZE])
{
	for (size_t i = 0; i < count; i++) {
		const struct budget *budget = levels[i].budget;
		/* used may be above a limit that was lowered. */
		uint64_t room = !budget->limit		       ? UINT64_MAX - budget->used
				: budget->used < budget->limit ? budget->limit - budget->used
							       : 0;

		if (bytes > room)
			return refuse(&levels[i], bytes, message);
	}
	for (size_t i = 0; i < count; i++)
		levels[i].budget->used += bytes;
	return 0;
}

void budget_refund(const struct budget_level *levels, size_t count, uint64_t bytes)
{
	for (size_t i = 0; i < count; i++) {
		assert(levels[i].budget->used >= bytes);
		levels[i].budget->used -= bytes;
	}
}
