/*
 * A filter: each chunk counts how many of its elements are kept; from that follows where they go; then they go there. An element
 * that is judged otherwise the second time is noticed before anything is written that is another chunk's place.
 */
#include "base/error.h"
#include "client/array.h"

/* The next element, in array->in; 1: is kept. */
static int judge(struct array *array, uint64_t i)
{
	int r = array_read(array, i, &array->in);

	if (r == 0)
		r = array->call.keep(array->context, i, &array->in);
	return r == 1 ? 1 : array_answer(r);
}

static int get_number(struct array *array, uint64_t which, uint64_t *number)
{
	int r = array_get(array, which, &array->in);

	if (r == 0 && array->in.type != EMS_INTEGER)
		r = -ERROR_CONFLICT;
	if (r == 0)
		*number = (uint64_t)array->in.integer;
	return r;
}

static int put_number(struct array *array, uint64_t which, uint64_t number)
{
	ems_value_t value = ems_value_integer((int64_t)number);

	return array_put(array, which, &value);
}

static int count_chunk(struct array *array, uint64_t chunk, uint64_t first, uint64_t last)
{
	uint64_t kept = 0;
	int r = 0;

	for (uint64_t i = first; i < last && r >= 0; i++) {
		r = judge(array, i);
		kept += r == 1;
	}
	return r < 0 ? r : put_number(array, ARRAY_PARTIAL + chunk, kept);
}

/* Where each chunk's begin, and how many all are. */
static int place_all(struct array *array, uint64_t chunk, uint64_t first, uint64_t last)
{
	uint64_t before = 0, kept = 0;
	int r = 0;

	(void)chunk, (void)first, (void)last;
	for (uint64_t i = 0; i < array->chunks && r == 0; i++) {
		r = put_number(array, ARRAY_BEFORE + i, before);
		if (r == 0)
			r = get_number(array, ARRAY_PARTIAL + i, &kept);
		before += kept;
	}
	if (r == 0 && before > array->to.count)
		r = -ERROR_FULL;
	return r < 0 ? r : put_number(array, ARRAY_RESULT, before);
}

static int move_chunk(struct array *array, uint64_t chunk, uint64_t first, uint64_t last)
{
	uint64_t place = 0, kept = 0;
	int r = get_number(array, ARRAY_BEFORE + chunk, &place);

	if (r == 0)
		r = get_number(array, ARRAY_PARTIAL + chunk, &kept);
	array->at = first;
	for (uint64_t i = first; i < last && r >= 0; i++) {
		r = judge(array, i);
		if (r == 1 && kept == 0)
			r = -ERROR_CONFLICT;
		if (r == 1) {
			kept--;
			r = array_write(array, place++, &array->in);
		}
	}
	return r < 0 ? r : kept > 0 ? -ERROR_CONFLICT : 0;
}

int ems_array_filter(const ems_range_t *from, const ems_range_t *to, ems_array_keep_t *keep, void *context,
		     uint64_t *kept, const ems_array_options_t *options)
{
	struct array array;
	uint64_t number = 0;
	int r = array_init(&array, "array_filter", options);

	if (r == 0) {
		array.call.keep = keep;
		array.context = context;
		array_from(&array, from);
		array_to(&array, to);
		array_need(&array, keep, "no callback is given");
		array_apart(&array, ARRAY_APART);
		array_split(&array, array.from.count);
		r = array_each_chunk(&array, count_chunk);
		if (r == 0)
			r = array_once(&array, place_all);
		if (r == 0)
			r = array_each_chunk(&array, move_chunk);
		if (r == 0 && array.r == 0)
			r = get_number(&array, ARRAY_RESULT, &number);
	}
	r = array_end(&array, r);
	if (r == 0 && kept)
		*kept = number;
	return r;
}
