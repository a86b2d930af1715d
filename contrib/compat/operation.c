/*
 * Where EMS's operations differ from those of <ems.h>; and lists of locks. See ems_compat.h.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "contrib/compat/context.h"

#define FLOAT_SIZE 400 /* %f of the largest double has 309 digits before the point */

/* A number as EMS joins it to a string. */
static size_t float_text(double number, char text[FLOAT_SIZE])
{
	int size = isnan(number) ? snprintf(text, FLOAT_SIZE, "nan") : snprintf(text, FLOAT_SIZE, "%f", number);

	return size < 0 ? 0 : (size_t)size;
}

static bool is_object(const ems_value_t *value)
{
	return value->type == EMS_JSON || value->type == EMS_BYTES;
}

/* Of a float and a string, in either order: their texts, one after the other. *joined is for free(). */
static int join(const ems_value_t *left, const ems_value_t *right, ems_value_t *joined)
{
	char text[FLOAT_SIZE];
	bool first = left->type == EMS_FLOAT;
	size_t size = float_text(first ? left->number : right->number, text);
	const ems_value_t *other = first ? right : left;
	char *bytes = malloc(size + other->size + 1);

	if (!bytes)
		return -EMS_ENOMEMORY;
	memcpy(first ? bytes : bytes + other->size, text, size);
	if (other->size)
		memcpy(first ? bytes + size : bytes, other->data, other->size);
	*joined = ems_value_data(EMS_STRING, bytes, size + other->size);
	return 0;
}

static bool joins(const ems_value_t *left, const ems_value_t *right)
{
	return (left->type == EMS_FLOAT && right->type == EMS_STRING) ||
	       (left->type == EMS_STRING && right->type == EMS_FLOAT);
}

/* Inside a transaction of this one element. */
static int faa_locked(ems_transaction_t *transaction, const ems_value_t *addend, ems_value_t *old, bool *done)
{
	ems_value_t joined;
	int r = ems_transaction_read(transaction, 0, old);

	*done = false;
	if (r < 0 || !joins(old, addend))
		return r;
	r = join(old, addend, &joined);
	if (r < 0)
		return r;
	r = ems_transaction_write(transaction, 0, &joined);
	free(joined.data);
	*done = r == 0;
	return r;
}

/* A float meets a string: rare, and worth a transaction. *done: otherwise it is no such pair any more. */
static int faa_joined(ems_heap_t *heap, ems_key_t key, const ems_value_t *addend, ems_value_t *old, bool *done)
{
	ems_transaction_element_t element = {heap, key, false};
	ems_transaction_t *transaction;
	ems_value_t joined;
	int r = ems_transaction_begin(&element, 1, &transaction), s;

	if (r == -EMS_EDEADLOCK) {
		/* It is the caller's own, in a transaction: nobody else changes it. */
		r = ems_read(heap, key, old);
		*done = r == 0 && joins(old, addend);
		if (!*done || (r = join(old, addend, &joined)) < 0)
			return r;
		r = ems_write(heap, key, &joined);
		free(joined.data);
		return r;
	}
	if (r < 0)
		return r;
	r = faa_locked(transaction, addend, old, done);
	s = *done ? ems_transaction_commit(transaction) : ems_transaction_abort(transaction);
	return r < 0 ? r : s;
}

int ems_compat_faa(struct ems_compat_array *array, ems_key_t key, const ems_value_t *addend, ems_value_t *old)
{
	ems_heap_t *heap = ems_compat_heap(array);
	bool done = false;
	int r;

	if (is_object(addend))
		return -EMS_ETYPE;
	if (addend->type != EMS_FLOAT && addend->type != EMS_STRING)
		return ems_faa(heap, key, addend, old);
	/* A look that a race may belie: then a float comes out in its shortest form. */
	r = ems_read(heap, key, old);
	if (r == 0 && joins(old, addend))
		r = faa_joined(heap, key, addend, old, &done);
	return r < 0 || done ? r : ems_faa(heap, key, addend, old);
}

int ems_compat_cas(struct ems_compat_array *array, ems_key_t key, const ems_value_t *expected,
		   const ems_value_t *desired, ems_value_t *old)
{
	if (is_object(expected))
		return -EMS_ETYPE;
	return ems_cas(ems_compat_heap(array), key, expected, desired, old, NULL);
}

static int counted(int r, uint64_t held, int64_t *count)
{
	if (r == -EMS_EFULL) {
		*count = -1;
		return 0;
	}
	*count = (int64_t)held;
	return r;
}

int ems_compat_push(struct ems_compat_array *array, const ems_value_t *value, int64_t *count)
{
	uint64_t held = 0;
	int r = ems_push(ems_compat_heap(array), value, &held);

	return counted(r, held, count);
}

int ems_compat_enqueue(struct ems_compat_array *array, const ems_value_t *value, int64_t *count)
{
	uint64_t held = 0;
	int r = ems_enqueue(ems_compat_heap(array), value, &held);

	return counted(r, held, count);
}

/* Undefined, in the buffer that the value may have. */
static int taken(int r, ems_value_t *value)
{
	if (r != -EMS_EEMPTY)
		return r;
	ems_value_clear(value);
	return 0;
}

int ems_compat_pop(struct ems_compat_array *array, ems_value_t *value)
{
	return taken(ems_pop(ems_compat_heap(array), value), value);
}

int ems_compat_dequeue(struct ems_compat_array *array, ems_value_t *value)
{
	return taken(ems_dequeue(ems_compat_heap(array), value), value);
}

/* ---- locks ---- */

static int compare_numbers(double a, double b)
{
	return (a > b) - (a < b);
}

static double key_number(const ems_key_t *key)
{
	if (key->type == EMS_KEY_BOOLEAN)
		return key->boolean;
	return key->type == EMS_KEY_FLOAT ? key->number : (double)key->integer;
}

static int compare_keys(const ems_key_t *a, const ems_key_t *b)
{
	/* Integers and floats are one kind: 1.0 is the key 1. */
	uint32_t kind_a = a->type == EMS_KEY_FLOAT ? EMS_KEY_INTEGER : a->type;
	uint32_t kind_b = b->type == EMS_KEY_FLOAT ? EMS_KEY_INTEGER : b->type;
	size_t common = a->size < b->size ? a->size : b->size;
	int order;

	if (kind_a != kind_b)
		return kind_a < kind_b ? -1 : 1;
	if (kind_a != EMS_KEY_STRING) {
		if (a->type == EMS_KEY_INTEGER && b->type == EMS_KEY_INTEGER)
			return (a->integer > b->integer) - (a->integer < b->integer);
		return compare_numbers(key_number(a), key_number(b));
	}
	order = common ? memcmp(a->text, b->text, common) : 0;
	return order ? order : (a->size > b->size) - (a->size < b->size);
}

static int compare_places(const struct ems_compat_lock *a, const struct ems_compat_lock *b)
{
	uint64_t number_a = ems_compat_number(a->array), number_b = ems_compat_number(b->array);

	if (number_a != number_b)
		return number_a < number_b ? -1 : 1;
	return compare_keys(&a->key, &b->key);
}

static int compare_locks(const void *left, const void *right)
{
	const struct ems_compat_lock *a = left, *b = right;
	int order = compare_places(a, b);

	return order ? order : (a->asked > b->asked) - (a->asked < b->asked);
}

size_t ems_compat_lock_sort(struct ems_compat_lock *locks, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		locks[i].asked = i;
	if (count)
		qsort(locks, count, sizeof *locks, compare_locks);
	for (size_t i = 0; i < count; i++) {
		if (kept && compare_places(&locks[kept - 1], &locks[i]) == 0)
			locks[kept - 1].read_only = locks[kept - 1].read_only && locks[i].read_only;
		else
			locks[kept++] = locks[i];
	}
	return kept;
}

int ems_compat_lock_all(const struct ems_compat_lock *locks, size_t count, ems_transaction_t **transaction)
{
	ems_transaction_element_t *elements;
	int r;

	*transaction = NULL;
	if (count == 0)
		return 0;
	elements = calloc(count, sizeof *elements);
	if (!elements)
		return -EMS_ENOMEMORY;
	for (size_t i = 0; i < count; i++)
		elements[i] = (ems_transaction_element_t){ems_compat_heap(locks[i].array), locks[i].key,
							  locks[i].read_only};
	r = ems_transaction_begin(elements, count, transaction);
	free(elements);
	return r;
}
