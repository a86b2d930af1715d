/*
 * cleanup.h: destruction at the end of the scope, and the moving of ownership.
 *
 *     _cleanup_(heap_freep) struct heap *heap = NULL;     freed on every return …
 *     *_heap = steal_pointer(&heap);                      … unless handed on
 *
 * A variable marked so owns what it holds; it must be initialised where it is declared, with NULL, or
 * -1 for a descriptor. Ownership moves by emptying the variable, so that there is one owner at any time.
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(function) __attribute__((__cleanup__(function)))

/*
 * DEFINE_FREEP(struct x, x_free) derives x_freep(struct x **) from x_free(struct x *), for _cleanup_.
 * A NULL pointer is not passed on. What x_free returns is ignored. (An _init/_fini pair needs nothing:
 * _cleanup_(x_fini) works on the struct as it is, which must be initialised then.)
 */
#define DEFINE_FREEP(type, function)                                                                         \
	static inline void function##p(type **pointer)                                                       \
	{                                                                                                    \
		if (*pointer)                                                                                \
			(void)function(*pointer);                                                            \
		*pointer = NULL;                                                                             \
	}                                                                                                    \
	struct function##p_needs_a_semicolon_

/* For what malloc gave: _cleanup_(freep) char *text = NULL; */
static inline void freep(void *pointer)
{
	void **place = pointer;

	free(*place);
	*place = NULL;
}

/* For a descriptor: _cleanup_(closep) int fd = -1; keeps errno, so that it may stand on an error path. */
static inline void closep(int *fd)
{
	if (*fd >= 0) {
		int saved = errno;

		/* Not repeated on EINTR: on Linux the descriptor is gone by then, or is another's. */
		(void)close(*fd);
		errno = saved;
	}
	*fd = -1;
}

/* Takes the pointer out of *place, leaving NULL there; the result is the caller's to free. */
#define steal_pointer(place)                                                                                 \
	({                                                                                                   \
		__auto_type steal_place_ = (place);                                                          \
		__auto_type steal_value_ = *steal_place_;                                                    \
		*steal_place_ = NULL;                                                                        \
		steal_value_;                                                                                \
	})

/* Takes the descriptor out of *fd, leaving -1 there; the result is the caller's to close. */
static inline int steal_fd(int *fd)
{
	int value = *fd;

	*fd = -1;
	return value;
}

#endif
