/* What the operations make of values. */
#include "shm/value.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/utf8.h"
#include "shm/number_text.h"
#include "shm/storage.h"

static uint64_t double_bits(double number)
{
	uint64_t bits;

	memcpy(&bits, &number, sizeof(bits));
	return bits;
}

static double bits_double(uint64_t bits)
{
	double number;

	memcpy(&number, &bits, sizeof(number));
	return number;
}

static void outcome_integer(struct shm_outcome *outcome, int64_t integer)
{
	outcome->type = TYPE_INTEGER;
	outcome->value = (uint64_t)integer;
}

static void outcome_float(struct shm_outcome *outcome, double number)
{
	outcome->type = TYPE_FLOAT;
	outcome->value = double_bits(number);
}

void shm_value_outcome(const struct shm_value *value, struct shm_outcome *outcome)
{
	outcome->type = (enum cell_type)value->type;
	outcome->value = 0;
	outcome->text[0].data = NULL;
	outcome->text[0].size = outcome->text[1].size = 0;
	switch (outcome->type) {
	case TYPE_BOOLEAN:
		outcome->value = value->boolean;
		break;
	case TYPE_INTEGER:
		outcome->value = (uint64_t)value->integer;
		break;
	case TYPE_FLOAT:
		outcome->value = double_bits(value->number);
		break;
	case TYPE_STRING:
	case TYPE_JSON:
	case TYPE_BYTES:
		outcome->text[0].data = value->data;
		outcome->text[0].size = value->size;
		break;
	case TYPE_UNDEFINED:
	case TYPE_FILL:
		break;
	}
}

int shm_value_validate(const struct shm_value *value)
{
	if (value->type > TYPE_BYTES)
		return -ERROR_TYPE;
	if (!type_has_blob((enum cell_type)value->type))
		return 0;
	if (value->size && !value->data)
		return -ERROR_INVALID;
	if (value->size >= BLOB_MAX - BLOB_HEAD)
		return -ERROR_RANGE;
	if (value->type != TYPE_BYTES && !utf8_valid(value->data, value->size))
		return -ERROR_INVALID;
	return 0;
}

/* One side of a concatenation: the string itself, or the value in words (in `room`). */
static void as_text(const struct shm_value *value, char room[32], const void **data, size_t *size)
{
	*data = room;
	switch ((enum cell_type)value->type) {
	case TYPE_STRING:
		*data = value->data;
		*size = value->size;
		break;
	case TYPE_BOOLEAN:
		*data = value->boolean ? "true" : "false";
		*size = value->boolean ? 4 : 5;
		break;
	case TYPE_INTEGER:
		*size = (size_t)snprintf(room, 32, "%" PRId64, value->integer);
		break;
	case TYPE_FLOAT:
		*size = number_text(value->number, room);
		break;
	default:
		*data = "undefined";
		*size = 9;
		break;
	}
}

static bool is_integral(const struct shm_value *value, int64_t *integer)
{
	*integer = value->type == TYPE_BOOLEAN ? value->boolean : value->integer;
	return value->type == TYPE_BOOLEAN || value->type == TYPE_INTEGER;
}

static double as_double(const struct shm_value *value)
{
	switch ((enum cell_type)value->type) {
	case TYPE_BOOLEAN:
		return value->boolean;
	case TYPE_INTEGER:
		return (double)value->integer;
	case TYPE_FLOAT:
		return value->number;
	default:
		return NAN;
	}
}

int shm_value_add(const struct shm_value *a, const struct shm_value *b, struct shm_outcome *sum)
{
	int64_t left, right, total;

	if (a->type > TYPE_STRING || b->type > TYPE_STRING)
		return -ERROR_TYPE;
	sum->value = 0;
	sum->text[0].size = sum->text[1].size = 0;
	if (a->type == TYPE_STRING || b->type == TYPE_STRING) {
		sum->type = TYPE_STRING;
		as_text(a, sum->number[0], &sum->text[0].data, &sum->text[0].size);
		as_text(b, sum->number[1], &sum->text[1].data, &sum->text[1].size);
		if (sum->text[0].size + sum->text[1].size >= BLOB_MAX - BLOB_HEAD)
			return -ERROR_RANGE;
		return 0;
	}
	if (is_integral(a, &left) && is_integral(b, &right) && !__builtin_add_overflow(left, right, &total))
		outcome_integer(sum, total);
	else
		outcome_float(sum, as_double(a) + as_double(b));
	return 0;
}

/* Exact: a double that is near an integer of more than 53 bits is not equal to it. */
static int compare_integer_float(int64_t integer, double number)
{
	double whole = trunc(number);

	if (number >= 0x1p63)
		return -1;
	if (number < -0x1p63)
		return 1;
	if (integer != (int64_t)whole)
		return integer < (int64_t)whole ? -1 : 1;
	return whole < number ? -1 : whole > number;
}

static bool is_number(const struct shm_value *value)
{
	return value->type == TYPE_INTEGER || value->type == TYPE_FLOAT;
}

/* Of two numbers that are not NaN: negative, 0, positive. */
static int compare_numbers(const struct shm_value *a, const struct shm_value *b)
{
	if (a->type == TYPE_INTEGER && b->type == TYPE_INTEGER)
		return a->integer < b->integer ? -1 : a->integer > b->integer;
	if (a->type == TYPE_INTEGER)
		return compare_integer_float(a->integer, b->number);
	if (b->type == TYPE_INTEGER)
		return -compare_integer_float(b->integer, a->number);
	return a->number < b->number ? -1 : a->number > b->number;
}

static bool is_nan(const struct shm_value *value)
{
	return value->type == TYPE_FLOAT && isnan(value->number);
}

bool shm_value_equal(const struct shm_value *a, const struct shm_value *b)
{
	if (is_number(a) && is_number(b))
		return !is_nan(a) && !is_nan(b) && compare_numbers(a, b) == 0;
	if (a->type != b->type)
		return false;
	if (a->type == TYPE_UNDEFINED)
		return true;
	if (a->type == TYPE_BOOLEAN)
		return a->boolean == b->boolean;
	return a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

static int modify_bits(enum shm_op op, const struct shm_value *a, const struct shm_value *b,
		       struct shm_outcome *outcome)
{
	if (a->type != TYPE_INTEGER || b->type != TYPE_INTEGER)
		return -ERROR_TYPE;
	outcome_integer(outcome, op == OP_AND  ? a->integer & b->integer
				 : op == OP_OR ? a->integer | b->integer
					       : a->integer ^ b->integer);
	return 0;
}

static int modify_extreme(enum shm_op op, const struct shm_value *a, const struct shm_value *b,
			  struct shm_outcome *outcome)
{
	bool keep;

	if (!is_number(a) || !is_number(b))
		return -ERROR_TYPE;
	if (is_nan(a) || is_nan(b))
		keep = is_nan(b);
	else
		keep = op == OP_MIN ? compare_numbers(a, b) <= 0 : compare_numbers(a, b) >= 0;
	shm_value_outcome(keep ? a : b, outcome);
	return 0;
}

static int add_int64(const struct shm_value *a, const struct shm_value *b, struct shm_outcome *outcome)
{
	int64_t total;

	if (a->type != TYPE_INTEGER && a->type != TYPE_UNDEFINED)
		return -ERROR_TYPE;
	if (__builtin_add_overflow(a->type == TYPE_INTEGER ? a->integer : 0, b->integer, &total))
		return -ERROR_RANGE;
	outcome_integer(outcome, total);
	return 0;
}

static int add_double(const struct shm_value *a, const struct shm_value *b, struct shm_outcome *outcome)
{
	if (!is_number(a) && a->type != TYPE_UNDEFINED)
		return -ERROR_TYPE;
	outcome_float(outcome, (a->type == TYPE_UNDEFINED ? 0 : as_double(a)) + b->number);
	return 0;
}

int shm_value_modify(enum shm_op op, const struct shm_value *a, const struct shm_value *b,
		     struct shm_outcome *outcome)
{
	outcome->text[0].size = outcome->text[1].size = 0;
	switch (op) {
	case OP_ADD:
		return shm_value_add(a, b, outcome);
	case OP_ADD_INT64:
		return add_int64(a, b, outcome);
	case OP_ADD_DOUBLE:
		return add_double(a, b, outcome);
	case OP_AND:
	case OP_OR:
	case OP_XOR:
		return modify_bits(op, a, b, outcome);
	case OP_MIN:
	case OP_MAX:
		return modify_extreme(op, a, b, outcome);
	default:
		shm_value_outcome(b, outcome);
		return 0;
	}
}

static int make_room(struct shm_value *value, uint64_t size)
{
	if (value->capacity > size)
		return 0;
	/* A NUL behind the last byte, for callers that print; and some air, so that growing texts do not
	 * reallocate each time. */
	size_t capacity = (size_t)(size + size / 4 + 64);
	void *data = realloc(value->capacity ? value->data : NULL, capacity);
	if (!data)
		return -ERROR_NO_MEMORY;
	value->data = data;
	value->capacity = capacity;
	return 0;
}

static int read_text(const void *bytes, uint64_t size, struct shm_value *value)
{
	int r = make_room(value, size);

	if (r < 0)
		return r;
	copy_from_shared(value->data, bytes, size);
	((char *)value->data)[size] = 0;
	value->size = size;
	return 0;
}

static int read_fill(const struct shm_segment *seg, struct shm_value *value)
{
	const struct heap_params *params = &seg->layout.params;

	value->type = params->fill_type;
	if (type_has_blob((enum cell_type)params->fill_type))
		return read_text(shm_area(seg, AREA_FILL), params->fill_size, value);
	value->integer = 0;
	if (params->fill_type == TYPE_BOOLEAN)
		value->boolean = params->fill_value != 0;
	else if (params->fill_type == TYPE_FLOAT)
		value->number = bits_double(params->fill_value);
	else
		value->integer = (int64_t)params->fill_value;
	return 0;
}

static bool cell_moved(const struct cell *cell, struct cell seen)
{
	fence_acquire(); /* the copy came before this look */
	return (load64_relaxed(&cell->meta) ^ seen.meta) & ~CELL_W;
}

static int read_blob(const struct shm_segment *seg, const struct cell *cell, struct cell seen, blob_ref ref,
		     struct shm_value *value)
{
	uint64_t size;
	const void *bytes = shm_blob_look(seg, ref, &size);
	int r;

	if (!bytes)
		return cell_moved(cell, seen) ? SHM_AGAIN : -ERROR_CORRUPT;
	r = read_text(bytes, size, value);
	if (r < 0)
		return cell_moved(cell, seen) ? SHM_AGAIN : r;
	return cell_moved(cell, seen) ? SHM_AGAIN : 0;
}

int shm_value_read_while(const struct shm_segment *seg, const struct cell *cell, struct cell seen,
			 struct cell item, struct shm_value *value)
{
	enum cell_type type = cell_type(item.meta);

	value->size = 0;
	if (cell_tag(item.meta) == TAG_NONE || type == TYPE_FILL)
		return read_fill(seg, value);
	value->type = type;
	switch (type) {
	case TYPE_BOOLEAN:
		value->boolean = item.value != 0;
		return 0;
	case TYPE_FLOAT:
		value->number = bits_double(item.value);
		return 0;
	case TYPE_STRING:
	case TYPE_JSON:
	case TYPE_BYTES:
		return read_blob(seg, cell, seen, item.value, value);
	default:
		value->integer = (int64_t)item.value;
		return 0;
	}
}

int shm_value_read(const struct shm_segment *seg, struct cell *cell, struct cell seen,
		   struct shm_value *value)
{
	return shm_value_read_while(seg, cell, seen, seen, value);
}
