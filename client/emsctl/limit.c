/* The machine's own instructions: see limit.h. */
#include "client/emsctl/limit.h"

void limit_load(struct limit *limit, uint64_t count)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < count; i++)
		sum += load64_relaxed(&limit->words[i % LIMIT_WORDS]);
	limit->sum += sum;
}

void limit_cas(struct limit *limit, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		struct pair seen = {load64_acquire(&limit->pair.low), load64_relaxed(&limit->pair.high)};

		while (!cas_pair(&limit->pair, &seen, (struct pair){seen.low + 1, seen.high + 1}))
			;
	}
}

void limit_add(struct limit *limit, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		(void)add64(&limit->words[0], 1);
}
