/*
 * The operations on one element: see operation.h. What they do is in shm/element.c; here is who may, on what.
 */
#include "client/operation.h"

#include "base/clock.h"
#include "base/error.h"
#include "client/failure.h"
#include "client/fast.h"
#include "client/key.h"
#include "client/session.h"
#include "client/transaction.h"

static_assert(EMS_FOREVER == CLOCK_NEVER, "the deadlines of ems.h are those of base/clock.h");

/* A read never waits and stores nothing, so it needs no slot; nor does a look at what is FULL. */
static int find_session(const struct ems_heap *heap, enum shm_op op, struct shm_session **_session)
{
	if (op == OP_READ || (op == OP_READ_FF && !heap->writable)) {
		/* Unless its own transaction holds the element. */
		*_session = LIKELY(!thread_cache.transaction) ? NULL : transaction_session(heap->mapping);
		return 0;
	}
	if (UNLIKELY(!heap->writable))
		return -ERROR_READ_ONLY;
	return session_get(heap, _session);
}

static int check_arguments(const struct shm_call *call)
{
	int r = call->argument ? value_check((const ems_value_t *)(const void *)call->argument) : 0;

	if (r == 0 && call->argument2)
		r = value_check((const ems_value_t *)(const void *)call->argument2);
	return r;
}

/* What an error of a read lock means, which the same code says otherwise of other operations. */
static void explain(enum shm_op op, int r)
{
	if (op == OP_RELEASE_RW && r == -ERROR_INVALID)
		(void)failure_for_operation(
			failure_say(r, "the calling thread holds no read lock here; the one that called read_rw "
				       "gives it back"));
	else if (op == OP_READ_RW && r == -ERROR_LIMIT)
		(void)failure_for_operation(
			failure_say(r, "the calling thread holds 512 read locks in this heap; release some first"));
}

int operation_run(struct ems_heap *heap, const char *name, const ems_key_t *key, struct shm_call *call,
		  bool *changed)
{
	struct shm_session *session;
	struct shm_key resolved;
	int r = heap_check(heap, name);

	if (r < 0)
		return r;
	r = key_resolve(heap, key, &resolved, &call->target);
	if (r == 0)
		r = check_arguments(call);
	if (r == 0)
		r = find_session(heap, call->op, &session);
	if (r == 0) {
		r = shm_element_apply(heap_segment(heap), session, call, changed);
		if (LIKELY(r == 0))
			return 0;
		explain(call->op, r);
	}
	if (r == -ERROR_NOT_FOUND)
		r = -ERROR_NO_KEY;
	return failure_at(r, heap, name, key);
}

/* An argument that must be there: without one, value_check finds a type that does not exist. */
static const ems_value_t no_value = {.type = UINT32_MAX};

static const struct shm_value *given(const ems_value_t *value)
{
	return value_in(value ? value : &no_value);
}

/* ---- reading ---- */

/* Long ways are apart, so that the short ones need no frame for what they do not use. */
static __attribute__((noinline)) int read_any(ems_heap_t *heap, ems_key_t key, ems_value_t *value)
{
	return operation_run(heap, "read", &key,
			     &(struct shm_call){.op = OP_READ, .result = value_out(value)}, NULL);
}

int ems_read(ems_heap_t *heap, ems_key_t key, ems_value_t *value)
{
	struct cell seen;

	if (UNLIKELY(!fast_is_plain(heap, &key) ||
		     !shm_fast_look(heap_segment(heap), (uint64_t)key.integer, &seen)))
		return read_any(heap, key, value);
	fast_result(value, seen);
	return 0;
}

int ems_read_ff_until(ems_heap_t *heap, ems_key_t key, ems_value_t *value, ems_deadline_t deadline)
{
	return operation_run(
		heap, "read_ff", &key,
		&(struct shm_call){.op = OP_READ_FF, .result = value_out(value), .deadline = deadline}, NULL);
}

int ems_read_ff(ems_heap_t *heap, ems_key_t key, ems_value_t *value)
{
	return ems_read_ff_until(heap, key, value, EMS_FOREVER);
}

static __attribute__((noinline)) int read_fe(ems_heap_t *heap, ems_key_t key, ems_value_t *value,
					     ems_deadline_t deadline)
{
	return operation_run(
		heap, "read_fe", &key,
		&(struct shm_call){.op = OP_READ_FE, .result = value_out(value), .deadline = deadline}, NULL);
}

/* The shortest ways are inline in both forms: one that calls the other would go through the table of the library's symbols. */
static inline int read_fe_fast(ems_heap_t *heap, ems_key_t key, ems_value_t *value, ems_deadline_t deadline)
{
	struct shm_session *session = fast_session(heap, &key);
	struct cell seen;

	if (UNLIKELY(!session || !shm_fast_take(heap_segment(heap), session, (uint64_t)key.integer, &seen)))
		return read_fe(heap, key, value, deadline);
	fast_result(value, seen);
	return 0;
}

int ems_read_fe_until(ems_heap_t *heap, ems_key_t key, ems_value_t *value, ems_deadline_t deadline)
{
	return read_fe_fast(heap, key, value, deadline);
}

int ems_read_fe(ems_heap_t *heap, ems_key_t key, ems_value_t *value)
{
	return read_fe_fast(heap, key, value, EMS_FOREVER);
}

int ems_read_rw_until(ems_heap_t *heap, ems_key_t key, ems_value_t *value, ems_deadline_t deadline)
{
	return operation_run(
		heap, "read_rw", &key,
		&(struct shm_call){.op = OP_READ_RW, .result = value_out(value), .deadline = deadline}, NULL);
}

int ems_read_rw(ems_heap_t *heap, ems_key_t key, ems_value_t *value)
{
	return ems_read_rw_until(heap, key, value, EMS_FOREVER);
}

int ems_release_rw(ems_heap_t *heap, ems_key_t key, uint32_t *left)
{
	return operation_run(
		heap, "release_rw", &key,
		&(struct shm_call){.op = OP_RELEASE_RW, .left = left, .deadline = EMS_FOREVER}, NULL);
}

int ems_get_tag(ems_heap_t *heap, ems_key_t key, ems_tag_t *tag)
{
	enum tag found = TAG_NONE;
	int r = operation_run(heap, "get_tag", &key, &(struct shm_call){.op = OP_READ, .result_tag = &found},
			      NULL);

	if (r == 0 && tag)
		*tag = (ems_tag_t)found;
	return r;
}

/* ---- writing ---- */

static __attribute__((noinline)) int write_as(enum shm_op op, const char *name, ems_heap_t *heap, const ems_key_t *key,
		    const ems_value_t *value, ems_deadline_t deadline)
{
	return operation_run(heap, name, key,
			     &(struct shm_call){.op = op, .argument = given(value), .deadline = deadline},
			     NULL);
}

#define FREE (1u << TAG_EMPTY | 1u << TAG_FULL)

/* admits, tag: as in shm_operations, of an immediate where nobody waits (TAG_NONE: keeps it). */
static inline int write_fast(enum shm_op op, uint32_t admits, enum tag tag, const char *name, ems_heap_t *heap,
			     ems_key_t key, const ems_value_t *value, ems_deadline_t deadline)
{
	struct shm_session *session = fast_session(heap, &key);
	uint64_t bits;

	if (LIKELY(session && fast_bits(value, &bits) &&
		   shm_fast_store(heap_segment(heap), session, (uint64_t)key.integer, admits, tag,
				  (enum cell_type)value->type, bits, NULL)))
		return 0;
	return write_as(op, name, heap, &key, value, deadline);
}

#define DEFINE_WRITE(name, op, admits, tag)                                                      \
	int ems_##name##_until(ems_heap_t *heap, ems_key_t key, const ems_value_t *value,        \
			       ems_deadline_t deadline)                                          \
	{                                                                                        \
		return write_fast(op, admits, tag, #name, heap, key, value, deadline);           \
	}                                                                                        \
	int ems_##name(ems_heap_t *heap, ems_key_t key, const ems_value_t *value)                \
	{                                                                                        \
		return write_fast(op, admits, tag, #name, heap, key, value, EMS_FOREVER);        \
	}

DEFINE_WRITE(write, OP_WRITE, FREE, TAG_NONE)
DEFINE_WRITE(write_xf, OP_WRITE_XF, FREE, TAG_FULL)
DEFINE_WRITE(write_xe, OP_WRITE_XE, FREE, TAG_EMPTY)
DEFINE_WRITE(write_ef, OP_WRITE_EF, 1u << TAG_EMPTY, TAG_FULL)

int ems_set_tag_until(ems_heap_t *heap, ems_key_t key, ems_tag_t tag, ems_deadline_t deadline)
{
	if (tag != EMS_FULL && tag != EMS_EMPTY)
		return failure_say(-ERROR_INVALID,
				   "set_tag: a tag can be set to EMS_FULL and EMS_EMPTY only");
	return operation_run(heap, "set_tag", &key,
			     &(struct shm_call){.op = OP_SET_TAG, .tag = (enum tag)tag, .deadline = deadline},
			     NULL);
}

int ems_set_tag(ems_heap_t *heap, ems_key_t key, ems_tag_t tag)
{
	return ems_set_tag_until(heap, key, tag, EMS_FOREVER);
}

/* ---- read-modify-write ---- */

static __attribute__((noinline)) int modify(enum shm_op op, const char *name, ems_heap_t *heap, const ems_key_t *key,
		  const ems_value_t *value, ems_value_t *old, ems_deadline_t deadline)
{
	return operation_run(
		heap, name, key,
		&(struct shm_call){
			.op = op, .argument = given(value), .result = value_out(old), .deadline = deadline},
		NULL);
}

#define DEFINE_MODIFY(name, op)                                                                             \
	int ems_##name##_until(ems_heap_t *heap, ems_key_t key, const ems_value_t *value, ems_value_t *old, \
			       ems_deadline_t deadline)                                                     \
	{                                                                                                   \
		return modify(op, #name, heap, &key, value, old, deadline);                                 \
	}                                                                                                   \
	int ems_##name(ems_heap_t *heap, ems_key_t key, const ems_value_t *value, ems_value_t *old)         \
	{                                                                                                   \
		return modify(op, #name, heap, &key, value, old, EMS_FOREVER);                              \
	}

static inline int faa_fast(ems_heap_t *heap, ems_key_t key, const ems_value_t *value, ems_value_t *old,
			   ems_deadline_t deadline)
{
	struct shm_session *session = fast_session(heap, &key);
	int64_t before;

	if (UNLIKELY(!session || !value || value->type != EMS_INTEGER ||
		     !shm_fast_add(heap_segment(heap), session, (uint64_t)key.integer, value->integer, &before)))
		return modify(OP_ADD, "faa", heap, &key, value, old, deadline);
	fast_result(old, (struct cell){(uint64_t)TYPE_INTEGER << CELL_TYPE_SHIFT, (uint64_t)before});
	return 0;
}

int ems_faa_until(ems_heap_t *heap, ems_key_t key, const ems_value_t *value, ems_value_t *old,
		  ems_deadline_t deadline)
{
	return faa_fast(heap, key, value, old, deadline);
}

int ems_faa(ems_heap_t *heap, ems_key_t key, const ems_value_t *value, ems_value_t *old)
{
	return faa_fast(heap, key, value, old, EMS_FOREVER);
}

static inline int swap_fast(ems_heap_t *heap, ems_key_t key, const ems_value_t *value, ems_value_t *old,
			   ems_deadline_t deadline)
{
	struct shm_session *session = fast_session(heap, &key);
	struct cell seen;
	uint64_t bits;

	if (UNLIKELY(!session || !fast_bits(value, &bits) ||
		     !shm_fast_store(heap_segment(heap), session, (uint64_t)key.integer, 1u << TAG_FULL, TAG_NONE,
				     (enum cell_type)value->type, bits, &seen)))
		return modify(OP_SWAP, "swap", heap, &key, value, old, deadline);
	fast_result(old, seen);
	return 0;
}

int ems_swap_until(ems_heap_t *heap, ems_key_t key, const ems_value_t *value, ems_value_t *old,
		   ems_deadline_t deadline)
{
	return swap_fast(heap, key, value, old, deadline);
}

int ems_swap(ems_heap_t *heap, ems_key_t key, const ems_value_t *value, ems_value_t *old)
{
	return swap_fast(heap, key, value, old, EMS_FOREVER);
}

DEFINE_MODIFY(min, OP_MIN)
DEFINE_MODIFY(max, OP_MAX)

static int modify_bits(enum shm_op op, const char *name, ems_heap_t *heap, const ems_key_t *key, int64_t mask,
		       int64_t *old, ems_deadline_t deadline)
{
	const ems_value_t argument = {.type = EMS_INTEGER, .integer = mask};
	ems_value_t result = EMS_VALUE_INIT;
	int r = modify(op, name, heap, key, &argument, &result, deadline);

	if (r == 0 && old)
		*old = result.integer;
	ems_value_clear(&result); /* a text was looked at on the way, and refused or replaced since */
	return r;
}

#define DEFINE_BITS(name, op)                                                               \
	int ems_##name##_until(ems_heap_t *heap, ems_key_t key, int64_t mask, int64_t *old, \
			       ems_deadline_t deadline)                                     \
	{                                                                                   \
		return modify_bits(op, #name, heap, &key, mask, old, deadline);             \
	}                                                                                   \
	int ems_##name(ems_heap_t *heap, ems_key_t key, int64_t mask, int64_t *old)         \
	{                                                                                   \
		return modify_bits(op, #name, heap, &key, mask, old, EMS_FOREVER);          \
	}

DEFINE_BITS(and, OP_AND)
DEFINE_BITS(or, OP_OR)
DEFINE_BITS(xor, OP_XOR)

int ems_cas_until(ems_heap_t *heap, ems_key_t key, const ems_value_t *expected, const ems_value_t *desired,
		  ems_value_t *old, bool *swapped, ems_deadline_t deadline)
{
	return operation_run(heap, "cas", &key,
			     &(struct shm_call){.op = OP_CAS,
						.argument = given(expected),
						.argument2 = given(desired),
						.result = value_out(old),
						.deadline = deadline},
			     swapped);
}

int ems_cas(ems_heap_t *heap, ems_key_t key, const ems_value_t *expected, const ems_value_t *desired,
	    ems_value_t *old, bool *swapped)
{
	return ems_cas_until(heap, key, expected, desired, old, swapped, EMS_FOREVER);
}

/* ---- deleting ---- */

int ems_delete_until(ems_heap_t *heap, ems_key_t key, ems_deadline_t deadline)
{
	return operation_run(heap, "delete", &key, &(struct shm_call){.op = OP_DELETE, .deadline = deadline},
			     NULL);
}

int ems_delete(ems_heap_t *heap, ems_key_t key)
{
	return ems_delete_until(heap, key, EMS_FOREVER);
}

int ems_compare_delete(ems_heap_t *heap, ems_key_t key, const ems_value_t *expected, bool *deleted)
{
	return operation_run(heap, "compare_delete", &key,
			     &(struct shm_call){.op = OP_COMPARE_DELETE,
						.argument = given(expected),
						.deadline = EMS_FOREVER},
			     deleted);
}
