/*
 * process.h: is this still the process that made the handle?
 *
 * After fork the child has the handles but none of the mappings behind them, and shares its parent's socket.
 * So each handle remembers the number of its process, and every call compares that with a word which reads
 * 0 in a child: it lies in a page that the kernel wipes there. The child gets a number of its own when it
 * connects. Costs two loads a call; getpid would be a system call.
 */
#ifndef CLIENT_PROCESS_H
#define CLIENT_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"
#include "shm/atomic.h"

extern uint32_t *process_word;

/* The number of this process, for new handles; makes one up if need be. 0: out of memory. */
uint32_t process_number(void);

/* The number as it is now: 0 in a child that has made no handle yet. */
static inline uint32_t process_present(void)
{
	return load32_relaxed(process_word);
}

/* A handle with this number came from a parent process. */
static inline bool process_is_another(uint32_t number)
{
	return UNLIKELY(process_present() != number);
}

#endif
