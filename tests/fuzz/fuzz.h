/*
 * fuzz.h: what a fuzz target has: libFuzzer's function, and inputs to begin with.
 *
 * A target is one file. With driver.c it is a program for any compiler: it plays the corpus, then mutations of it, so many and from
 * a seed. With clang and -fsanitize=fuzzer, without driver.c, it is one of libFuzzer's; HACKING says how.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Whatever the input, it comes back, having leaked nothing. What must never be so aborts. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Writes input `index` to begin with, at most `room` bytes; 0: there are no more. */
size_t fuzz_example(unsigned index, uint8_t *data, size_t room);

#define FUZZ_MUST(condition)         \
	do {                         \
		if (!(condition))    \
			abort();     \
	} while (0)

#endif
