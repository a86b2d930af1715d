/*
 * macros.h: small helpers that have no better home.
 */
#ifndef BASE_MACROS_H
#define BASE_MACROS_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/param.h> /* has a MIN and a MAX, too; included here, it cannot bring them back later */

/* What two CPUs contend for: fields with different writers are kept this far apart. */
#define CACHE_LINE 64

/* Elements of a true array; does not compile for a pointer. */
#define ARRAY_SIZE(array)                                                                                    \
	(sizeof(array) / sizeof((array)[0]) +                                                                \
	 0 * sizeof(char[1 - 2 * __builtin_types_compatible_p(__typeof__(array), __typeof__(&(array)[0]))]))

#undef MIN
#undef MAX

/* Each argument is evaluated once. Both must have the same type: mixed signs are the usual bug. */
#define MIN(a, b)                                                                                            \
	({                                                                                                   \
		__auto_type min_a_ = (a);                                                                    \
		__typeof__(b) min_b_ = (b);                                                                  \
		static_assert(__builtin_types_compatible_p(__typeof__(min_a_), __typeof__(min_b_)),          \
			      "MIN: types differ");                                                          \
		min_a_ < min_b_ ? min_a_ : min_b_;                                                           \
	})
#define MAX(a, b)                                                                                            \
	({                                                                                                   \
		__auto_type max_a_ = (a);                                                                    \
		__typeof__(b) max_b_ = (b);                                                                  \
		static_assert(__builtin_types_compatible_p(__typeof__(max_a_), __typeof__(max_b_)),          \
			      "MAX: types differ");                                                          \
		max_a_ > max_b_ ? max_a_ : max_b_;                                                           \
	})

/*
 * Checked arithmetic for everything that comes from outside: true when the exact result does not fit
 * *result (of any integer type), which then holds the wrapped value and must not be used.
 */
#define ADD_OVERFLOWS(a, b, result) __builtin_add_overflow((a), (b), (result))
#define SUB_OVERFLOWS(a, b, result) __builtin_sub_overflow((a), (b), (result))
#define MUL_OVERFLOWS(a, b, result) __builtin_mul_overflow((a), (b), (result))

/* A shared struct states its layout; see the drawings beside the structs. */
#define ASSERT_SIZE(type, size)                                                                              \
	static_assert(sizeof(type) == (size), "sizeof(" #type ") is not " #size)
#define ASSERT_OFFSET(type, member, offset)                                                                  \
	static_assert(offsetof(type, member) == (offset), #type "." #member " is not at " #offset)

#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* True for 1, 2, 4, 8, …; false for 0. */
static inline bool is_power_of_2(uint64_t value)
{
	return value != 0 && (value & (value - 1)) == 0;
}

/* value rounded up to a multiple of alignment, a power of 2. value must be at most 2^64 - alignment. */
static inline uint64_t align_up(uint64_t value, uint64_t alignment)
{
	return (value + alignment - 1) & ~(alignment - 1);
}

/* The same for a value from outside: true when the result does not fit. */
static inline bool align_up_overflows(uint64_t value, uint64_t alignment, uint64_t *result)
{
	if (ADD_OVERFLOWS(value, alignment - 1, result))
		return true;
	*result &= ~(alignment - 1);
	return false;
}

/* value rounded down to a multiple of alignment, a power of 2. */
static inline uint64_t align_down(uint64_t value, uint64_t alignment)
{
	return value & ~(alignment - 1);
}

#endif
