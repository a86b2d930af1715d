/*
 * The one place where atomics and inline assembly live.
 *
 * Shared memory is touched through these functions only, each naming its
 * memory order. Nothing here can fall back to a lock: a lock of the compiler's
 * run time is private to a process and would be wrong in a segment. That is why
 * the 16-byte compare-and-swap is assembly (GCC sends the built-in to libatomic).
 *
 *   _relaxed   atomic, orders nothing
 *   _acquire   loads: what the releasing store's owner wrote before is visible
 *   _release   stores: what this thread wrote before is visible with it
 *   CAS, add … sequentially consistent (lock-prefixed on x86-64; acq_rel casal on aarch64)
 */
#ifndef EMS_SHM_ATOMIC_H
#define EMS_SHM_ATOMIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2,
	       "8- and 4-byte atomics must be lock-free");

static inline uint8_t load8_relaxed(const uint8_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}
static inline void store8_relaxed(uint8_t *p, uint8_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELAXED);
}
static inline bool cas8(uint8_t *p, uint8_t *expected, uint8_t desired)
{
	return __atomic_compare_exchange_n(p, expected, desired, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static inline uint32_t load32_relaxed(const uint32_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}
static inline uint32_t load32_acquire(const uint32_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}
static inline void store32_relaxed(uint32_t *p, uint32_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELAXED);
}
static inline void store32_release(uint32_t *p, uint32_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}
static inline uint32_t exchange32(uint32_t *p, uint32_t v)
{
	return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);
}
static inline uint32_t add32(uint32_t *p, uint32_t v)
{
	return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);
}
static inline uint32_t sub32(uint32_t *p, uint32_t v)
{
	return __atomic_fetch_sub(p, v, __ATOMIC_SEQ_CST);
}
static inline uint32_t or32(uint32_t *p, uint32_t v)
{
	return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST);
}
static inline bool cas32(uint32_t *p, uint32_t *expected, uint32_t desired)
{
	return __atomic_compare_exchange_n(p, expected, desired, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static inline uint64_t load64_relaxed(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}
static inline uint64_t load64_acquire(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}
static inline void store64_relaxed(uint64_t *p, uint64_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELAXED);
}
static inline void store64_release(uint64_t *p, uint64_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}
static inline uint64_t add64(uint64_t *p, uint64_t v)
{
	return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);
}
static inline uint64_t sub64(uint64_t *p, uint64_t v)
{
	return __atomic_fetch_sub(p, v, __ATOMIC_SEQ_CST);
}
static inline uint64_t or64(uint64_t *p, uint64_t v)
{
	return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST);
}
static inline uint64_t and64(uint64_t *p, uint64_t v)
{
	return __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST);
}
static inline uint64_t exchange64(uint64_t *p, uint64_t v)
{
	return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);
}
static inline bool cas64(uint64_t *p, uint64_t *expected, uint64_t desired)
{
	return __atomic_compare_exchange_n(p, expected, desired, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* Keeps the compiler from moving accesses across; the processor's part is membarrier's (see doc/LAYOUT, the
 * gate). */
static inline void compiler_barrier(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}
static inline void fence_acquire(void)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
}
static inline void fence_full(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Between a CAS or add and a later load that must not come before it ("I have said so; now look whether they
 * have"). A locked instruction of x86 is that already; casal on aarch64 is not. */
static inline void fence_after_cas(void)
{
#if defined(__x86_64__)
	compiler_barrier();
#else
	fence_full();
#endif
}

static inline void cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("isb" ::: "memory");
#endif
}

/* Sixteen bytes, 16-byte aligned, that change as one. */
struct pair {
	uint64_t low, high;
};

/*
 * Compares *p with *expected and stores desired when equal; else *expected takes
 * what was there. Lock-free, full order. The address must be writable.
 */
static inline bool cas_pair(struct pair *p, struct pair *expected, struct pair desired)
{
#if defined(__x86_64__)
	bool done;
	__asm__ volatile("lock cmpxchg16b %1"
			 : "=@ccz"(done), "+m"(*p), "+a"(expected->low), "+d"(expected->high)
			 : "b"(desired.low), "c"(desired.high)
			 : "memory");
	return done;
#elif defined(__aarch64__)
	/* load-exclusive pair: works on every ARMv8; with LSE the linker's outline is not needed here */
	uint64_t low, high;
	uint32_t failed;
	for (;;) {
		__asm__ volatile("ldaxp %0, %1, %2" : "=&r"(low), "=&r"(high) : "Q"(*p) : "memory");
		if (low != expected->low || high != expected->high) {
			/* the pair read counts as one access only when a store-exclusive confirms it */
			__asm__ volatile("stlxp %w0, %2, %3, %1"
					 : "=&r"(failed), "=Q"(*p)
					 : "r"(low), "r"(high)
					 : "memory");
			if (failed)
				continue;
			expected->low = low;
			expected->high = high;
			return false;
		}
		__asm__ volatile("stlxp %w0, %2, %3, %1"
				 : "=&r"(failed), "=Q"(*p)
				 : "r"(desired.low), "r"(desired.high)
				 : "memory");
		if (!failed)
			return true;
	}
#else
#error "emsd needs a 16-byte compare-and-swap: x86-64 or aarch64"
#endif
}

/*
 * Copies out of, and into, memory that others may be changing: 8-byte relaxed
 * atomics where aligned, bytes at the ends. A reader validates afterwards (the
 * cell's meta must not have moved) and throws the copy away when it fails.
 * shared must be 8-byte aligned; size is the caller's, already clamped.
 */
static inline void copy_from_shared(void *to, const void *shared, size_t size)
{
	const uint64_t *from = shared;
	uint8_t *out = to;
	for (; size >= 8; size -= 8, out += 8, from++) {
		uint64_t v = load64_relaxed(from);
		memcpy(out, &v, 8);
	}
	for (size_t i = 0; i < size; i++)
		out[i] = load8_relaxed((const uint8_t *)from + i);
}

static inline void copy_to_shared(void *shared, const void *from, size_t size)
{
	uint64_t *out = shared;
	const uint8_t *in = from;
	for (; size >= 8; size -= 8, in += 8, out++) {
		uint64_t v;
		memcpy(&v, in, 8);
		store64_relaxed(out, v);
	}
	for (size_t i = 0; i < size; i++)
		store8_relaxed((uint8_t *)out + i, in[i]);
}

/* The same to an address of any alignment: bytes up to the first aligned one. */
static inline void copy_bytes_to_shared(void *shared, const void *from, size_t size)
{
	uint8_t *out = shared;
	const uint8_t *in = from;
	for (; size > 0 && (uintptr_t)out % 8 != 0; size--)
		store8_relaxed(out++, *in++);
	copy_to_shared(out, in, size);
}

#endif
