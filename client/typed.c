/*
 * Shortcuts for integers and floats. Their own operations in shm differ from the general ones in what they
 * refuse, so that a counter stays one: an integer sum that does not fit, another type.
 */
#include <string.h>

#include "base/error.h"
#include "client/failure.h"
#include "client/fast.h"
#include "client/operation.h"

static inline uint64_t double_bits(double number)
{
	uint64_t bits;

	memcpy(&bits, &number, sizeof(bits));
	return bits;
}

/* ---- the shortcuts ---- */

/*
 * Whatever the outcome, a text may have been copied into the result on the way (of a type that is refused, or
 * by an attempt that came to nothing): each function clears it in the end.
 */
static int wrong_type(const ems_heap_t *heap, const char *name, const ems_key_t *key)
{
	return failure_at(-ERROR_TYPE, heap, name, key);
}

/* Apart, here and below, so that the fast way needs no frame for what it does not use. */
static __attribute__((noinline)) int read_int64(ems_heap_t *heap, ems_key_t key, int64_t *value)
{
	ems_value_t found = EMS_VALUE_INIT;
	int r = operation_run(heap, "read_int64", &key,
			  &(struct shm_call){.op = OP_READ, .result = value_out(&found)}, NULL);
	if (r == 0 && found.type != EMS_INTEGER)
		r = wrong_type(heap, "read_int64", &key);
	if (r == 0 && value)
		*value = found.integer;
	ems_value_clear(&found);
	return r;
}

int ems_read_int64(ems_heap_t *heap, ems_key_t key, int64_t *value)
{
	uint64_t bits;

	if (UNLIKELY(!fast_is_plain(heap, &key) ||
		     !shm_fast_read(heap_segment(heap), (uint64_t)key.integer, TYPE_INTEGER, &bits)))
		return read_int64(heap, key, value);
	if (value)
		*value = (int64_t)bits;
	return 0;
}

static __attribute__((noinline)) int read_double(ems_heap_t *heap, ems_key_t key, double *value)
{
	ems_value_t found = EMS_VALUE_INIT;
	int r = operation_run(heap, "read_double", &key,
			  &(struct shm_call){.op = OP_READ, .result = value_out(&found)}, NULL);
	if (r == 0 && found.type != EMS_INTEGER && found.type != EMS_FLOAT)
		r = wrong_type(heap, "read_double", &key);
	if (r == 0 && value)
		*value = found.type == EMS_INTEGER ? (double)found.integer : found.number;
	ems_value_clear(&found);
	return r;
}

int ems_read_double(ems_heap_t *heap, ems_key_t key, double *value)
{
	uint64_t bits;

	if (UNLIKELY(!fast_is_plain(heap, &key) ||
		     !shm_fast_read(heap_segment(heap), (uint64_t)key.integer, TYPE_FLOAT, &bits)))
		return read_double(heap, key, value);
	if (value)
		memcpy(value, &bits, sizeof(*value));
	return 0;
}

static __attribute__((noinline)) int write_number(ems_heap_t *heap, const char *name, ems_key_t key,
						  const ems_value_t value)
{
	return operation_run(
		heap, name, &key,
		&(struct shm_call){.op = OP_WRITE, .argument = value_in(&value), .deadline = EMS_FOREVER}, NULL);
}

int ems_write_int64(ems_heap_t *heap, ems_key_t key, int64_t value)
{
	struct shm_session *session = fast_session(heap, &key);

	if (LIKELY(session && shm_fast_write(heap_segment(heap), session, (uint64_t)key.integer, TYPE_INTEGER, (uint64_t)value)))
		return 0;
	return write_number(heap, "write_int64", key, ems_value_integer(value));
}

int ems_write_double(ems_heap_t *heap, ems_key_t key, double value)
{
	struct shm_session *session = fast_session(heap, &key);

	if (LIKELY(session && shm_fast_write(heap_segment(heap), session, (uint64_t)key.integer, TYPE_FLOAT, double_bits(value))))
		return 0;
	return write_number(heap, "write_double", key, ems_value_float(value));
}

static int add(enum shm_op op, const char *name, ems_heap_t *heap, const ems_key_t *key,
	       const ems_value_t *addend, ems_value_t *old)
{
	return operation_run(heap, name, key,
			     &(struct shm_call){.op = op,
						.argument = value_in(addend),
						.result = value_out(old),
						.deadline = EMS_FOREVER},
			     NULL);
}

static __attribute__((noinline)) int add_int64(ems_heap_t *heap, ems_key_t key, int64_t addend, int64_t *old)
{
	const ems_value_t argument = {.type = EMS_INTEGER, .integer = addend};
	ems_value_t found = EMS_VALUE_INIT;
	int r = add(OP_ADD_INT64, "faa_int64", heap, &key, &argument, &found);

	if (r == 0 && old)
		*old = found.type == EMS_INTEGER ? found.integer : 0;
	ems_value_clear(&found);
	return r;
}

int ems_faa_int64(ems_heap_t *heap, ems_key_t key, int64_t addend, int64_t *old)
{
	struct shm_session *session = fast_session(heap, &key);
	int64_t before;

	if (LIKELY(session && shm_fast_add(heap_segment(heap), session, (uint64_t)key.integer, addend, &before))) {
		if (old)
			*old = before;
		return 0;
	}
	return add_int64(heap, key, addend, old);
}

int ems_faa_double(ems_heap_t *heap, ems_key_t key, double addend, double *old)
{
	const ems_value_t argument = {.type = EMS_FLOAT, .number = addend};
	ems_value_t found = EMS_VALUE_INIT;
	int r = add(OP_ADD_DOUBLE, "faa_double", heap, &key, &argument, &found);

	if (r == 0 && old)
		*old = found.type == EMS_FLOAT	   ? found.number
		       : found.type == EMS_INTEGER ? (double)found.integer
						   : 0;
	ems_value_clear(&found);
	return r;
}

int ems_cas_int64(ems_heap_t *heap, ems_key_t key, int64_t expected, int64_t desired, int64_t *old,
		  bool *swapped)
{
	const ems_value_t from = {.type = EMS_INTEGER, .integer = expected};
	const ems_value_t to = {.type = EMS_INTEGER, .integer = desired};
	ems_value_t found = EMS_VALUE_INIT;
	bool done = false;
	int r = operation_run(heap, "cas_int64", &key,
			      &(struct shm_call){.op = OP_CAS,
						 .argument = value_in(&from),
						 .argument2 = value_in(&to),
						 .result = value_out(&found),
						 .deadline = EMS_FOREVER},
			      &done);

	if (r == 0 && !done && found.type != EMS_INTEGER)
		r = wrong_type(heap, "cas_int64", &key);
	if (r == 0 && old)
		*old = done ? expected : found.integer;
	if (r == 0 && swapped)
		*swapped = done;
	ems_value_clear(&found);
	return r;
}
