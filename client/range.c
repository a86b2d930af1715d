/*
 * Many elements at once: runs of plain numbers in shm/bulk.h, and each element between such runs by itself.
 */
#include <math.h>

#include "base/error.h"
#include "client/failure.h"
#include "client/operation.h"
#include "client/session.h"
#include "shm/bulk.h"

/* Noted without the element, which *done tells. */
static int check_range(const ems_heap_t *heap, const char *name, uint64_t first, uint64_t count,
		       const void *values)
{
	uint64_t elements, last;
	int r = heap_check(heap, name);

	if (r < 0)
		return r;
	if (count > 0 && !values)
		return failure_say(-ERROR_INVALID, "%s: no values are given", name);
	elements = shm_elements(heap_segment(heap));
	if (ADD_OVERFLOWS(first, count, &last) || last > elements)
		return failure_say(-ERROR_RANGE, "heap \"%s\": no elements %llu to %llu (it has %llu)",
				   heap->name, (unsigned long long)first,
				   (unsigned long long)(first + count - 1), (unsigned long long)elements);
	return 0;
}

/*
 * The value of an element as type and bits, without going through blobs. What was never written stands for
 * the fill value; with a map, an element without a key is undefined.
 */
static struct cell look(const struct ems_heap *heap, uint64_t index)
{
	const struct shm_segment *segment = heap_segment(heap);
	const struct cell *cell = shm_cell(segment, index);
	struct cell seen = {0, 0};

	if (segment->elements_whole || shm_committed(segment, shm_offset(segment, cell)))
		seen = cell_load(cell);
	if (heap->has_map && !tag_is_live(cell_tag(seen.meta)))
		return (struct cell){0, 0};
	if (cell_tag(seen.meta) == TAG_NONE)
		seen = shm_cell_pristine(segment);
	if (cell_type(seen.meta) == TYPE_FILL)
		seen = (struct cell){(uint64_t)segment->layout.params.fill_type << CELL_TYPE_SHIFT,
				     segment->layout.params.fill_value};
	return seen;
}

/* The doubles as the bits that they are stored as. */
static uint64_t *bits_of(const double *values)
{
	return (uint64_t *)(uintptr_t)values;
}

static int note_done(int r, const ems_heap_t *heap, const char *name, uint64_t first, uint64_t count,
		     uint64_t *done)
{
	ems_key_t key = ems_index((int64_t)(first + count));

	if (done)
		*done = count;
	return r < 0 ? failure_at(r, heap, name, &key) : 0;
}

int ems_read_range_int64(ems_heap_t *heap, uint64_t first, uint64_t count, int64_t *values, uint64_t *done)
{
	int r = check_range(heap, "read_range_int64", first, count, values);
	uint64_t i;

	if (r < 0)
		return r;
	for (i = 0; i < count && r == 0; i++) {
		struct cell seen;

		i += shm_bulk_read(heap_segment(heap), first + i, count - i, TYPE_INTEGER, (uint64_t *)values + i);
		if (i == count)
			break;
		seen = look(heap, first + i);
		if (cell_type(seen.meta) == TYPE_INTEGER)
			values[i] = (int64_t)seen.value;
		else if (cell_type(seen.meta) == TYPE_UNDEFINED)
			values[i] = 0;
		else
			r = -ERROR_TYPE;
	}
	return note_done(r, heap, "read_range_int64", first, r < 0 ? i - 1 : i, done);
}

int ems_read_range_double(ems_heap_t *heap, uint64_t first, uint64_t count, double *values, uint64_t *done)
{
	int r = check_range(heap, "read_range_double", first, count, values);
	uint64_t i;

	if (r < 0)
		return r;
	for (i = 0; i < count && r == 0; i++) {
		struct cell seen;

		i += shm_bulk_read(heap_segment(heap), first + i, count - i, TYPE_FLOAT, bits_of(values) + i);
		if (i == count)
			break;
		seen = look(heap, first + i);
		if (cell_type(seen.meta) == TYPE_FLOAT)
			memcpy(&values[i], &seen.value, sizeof(values[i]));
		else if (cell_type(seen.meta) == TYPE_INTEGER)
			values[i] = (double)(int64_t)seen.value;
		else if (cell_type(seen.meta) == TYPE_UNDEFINED)
			values[i] = NAN;
		else
			r = -ERROR_TYPE;
	}
	return note_done(r, heap, "read_range_double", first, r < 0 ? i - 1 : i, done);
}

/* ---- writing ---- */

static int check_write(const ems_heap_t *heap, const char *name, uint64_t first, uint64_t count,
		       const void *values)
{
	int r = check_range(heap, name, first, count, values);

	if (r == 0 && heap->has_map)
		return failure_say(-ERROR_INVALID,
				   "heap \"%s\": %s: elements of a heap with a map are written by key",
				   heap->name, name);
	if (r == 0 && !heap->writable)
		return failure_say(-ERROR_READ_ONLY, "heap \"%s\": %s: it is attached for reading only",
				   heap->name, name);
	return r;
}

static int write_one(ems_heap_t *heap, const char *name, enum shm_op op, uint64_t index,
		     const ems_value_t *value)
{
	ems_key_t key = ems_index((int64_t)index);

	return operation_run(
		heap, name, &key,
		&(struct shm_call){.op = op, .argument = value_in(value), .deadline = EMS_FOREVER}, NULL);
}

/* The numbers one after the other: runs of them at once, and those in between by the long way, which may wait. */
struct numbers {
	const char *name;
	enum cell_type type;
	const uint64_t *bits;
	bool same; /* one for all */
	enum shm_op op;
	enum tag tag; /* TAG_NONE: as it is */
};

static int write_numbers(ems_heap_t *heap, uint64_t first, uint64_t count, const struct numbers *numbers, uint64_t *done)
{
	ems_value_t value = {.type = numbers->type};
	struct shm_session *session = NULL;
	uint64_t i = 0;
	int r = count > 0 ? session_get(heap, &session) : 0;

	if (r < 0)
		return note_done(r, heap, numbers->name, first, 0, done);
	while (i < count && r == 0) {
		i += shm_bulk_write(session, first + i, count - i, numbers->type, numbers->bits + (numbers->same ? 0 : i),
				    numbers->same, numbers->tag);
		if (i == count)
			break;
		value.integer = (int64_t)numbers->bits[numbers->same ? 0 : i];
		r = write_one(heap, numbers->name, numbers->op, first + i, &value);
		i += r == 0;
	}
	if (done)
		*done = i;
	return r;
}

int ems_write_range_int64(ems_heap_t *heap, uint64_t first, uint64_t count, const int64_t *values,
			  uint64_t *done)
{
	int r = check_write(heap, "write_range_int64", first, count, values);

	if (r < 0)
		return r;
	return write_numbers(heap, first, count,
			     &(struct numbers){.name = "write_range_int64",
					       .type = TYPE_INTEGER,
					       .bits = (const uint64_t *)values,
					       .op = OP_WRITE},
			     done);
}

int ems_write_range_double(ems_heap_t *heap, uint64_t first, uint64_t count, const double *values,
			   uint64_t *done)
{
	int r = check_write(heap, "write_range_double", first, count, values);

	if (r < 0)
		return r;
	return write_numbers(heap, first, count,
			     &(struct numbers){.name = "write_range_double",
					       .type = TYPE_FLOAT,
					       .bits = bits_of(values),
					       .op = OP_WRITE},
			     done);
}

static int fill_each(ems_heap_t *heap, uint64_t first, uint64_t count, const ems_value_t *value, enum shm_op op,
		     uint64_t *done)
{
	uint64_t i = 0;
	int r = 0;

	for (; i < count && r == 0; i += r == 0)
		r = write_one(heap, "fill", op, first + i, value);
	if (done)
		*done = i;
	return r;
}

int ems_fill(ems_heap_t *heap, uint64_t first, uint64_t count, const ems_value_t *value, ems_tag_t tag,
	     uint64_t *done)
{
	int r = check_write(heap, "fill", first, count, value ? (const void *)value : "");
	enum shm_op op = tag == EMS_FULL ? OP_WRITE_XF : tag == EMS_EMPTY ? OP_WRITE_XE : OP_WRITE;

	if (r < 0)
		return r;
	if (tag != 0 && tag != EMS_FULL && tag != EMS_EMPTY)
		return failure_say(-ERROR_INVALID, "fill: the tag must be EMS_FULL, EMS_EMPTY or 0");
	r = value_check(value);
	if (r < 0)
		return failure_say(r, "fill: this is no value that can be written");
	if (value->type != EMS_INTEGER && value->type != EMS_FLOAT)
		return fill_each(heap, first, count, value, op, done);
	return write_numbers(heap, first, count,
			     &(struct numbers){.name = "fill",
					       .type = (enum cell_type)value->type,
					       .bits = (const uint64_t *)&value->integer,
					       .same = true,
					       .op = op,
					       .tag = tag == EMS_FULL    ? TAG_FULL
						      : tag == EMS_EMPTY ? TAG_EMPTY
									 : TAG_NONE},
			     done);
}
