/*
 * Whole-array operations that combine elements: reduce and scan. Each chunk's elements are combined from the first on; then the
 * chunks' sums, once; for a scan, each chunk is then gone through again with what all before it come to.
 */
#include "client/array.h"

/* sum becomes sum and in combined; or in, when there is no sum yet. */
static int combine(struct array *array, bool *has_sum)
{
	ems_value_t result = EMS_VALUE_INIT;
	int r;

	if (!*has_sum) {
		*has_sum = true;
		return array_keep(&array->sum, &array->in);
	}
	r = array_answer(array->call.combine(array->context, &array->sum, &array->in, &result));
	return r < 0 ? r : array_keep(&array->sum, &result);
}

static int sum_chunk(struct array *array, uint64_t chunk, uint64_t first, uint64_t last)
{
	bool has_sum = false;
	int r = 0;

	for (uint64_t i = first; i < last && r == 0; i++) {
		r = array_read(array, i, &array->in);
		if (r == 0)
			r = combine(array, &has_sum);
	}
	return r < 0 ? r : array_put(array, ARRAY_PARTIAL + chunk, &array->sum);
}

/* What each chunk begins with, and what all come to. */
static int sum_all(struct array *array, uint64_t chunk, uint64_t first, uint64_t last)
{
	static const ems_value_t undefined = EMS_VALUE_INIT;
	bool has_sum = array->initial;
	int r = array_keep(&array->sum, array->initial ? array->initial : &undefined);

	(void)chunk, (void)first, (void)last;
	for (uint64_t i = 0; i < array->chunks && r == 0; i++) {
		array->at = i * array->chunk;
		r = array_put(array, ARRAY_BEFORE + i, &array->sum);
		if (r == 0)
			r = array_get(array, ARRAY_PARTIAL + i, &array->in);
		if (r == 0)
			r = combine(array, &has_sum);
	}
	return r < 0 ? r : array_put(array, ARRAY_RESULT, &array->sum);
}

static int scan_chunk(struct array *array, uint64_t chunk, uint64_t first, uint64_t last)
{
	bool has_sum = array->initial || chunk > 0;
	int r = array_get(array, ARRAY_BEFORE + chunk, &array->sum);

	array->at = first;
	for (uint64_t i = first; i < last && r == 0; i++) {
		r = array_read(array, i, &array->in);
		if (r == 0 && array->exclusive)
			r = array_write(array, i, &array->sum);
		if (r == 0)
			r = combine(array, &has_sum);
		if (r == 0 && !array->exclusive)
			r = array_write(array, i, &array->sum);
	}
	return r;
}

int ems_array_reduce(const ems_range_t *from, ems_array_combine_t *callback, void *context, const ems_value_t *initial,
		     ems_value_t *result, const ems_array_options_t *options)
{
	struct array array;
	int r = array_init(&array, "array_reduce", options);

	if (r == 0) {
		array.call.combine = callback;
		array.context = context;
		array.initial = initial;
		array_from(&array, from);
		array_need(&array, callback, "no callback is given");
		array_need(&array, result, "no place for the result is given");
		array_split(&array, array.from.count);
		r = array_each_chunk(&array, sum_chunk);
		if (r == 0)
			r = array_once(&array, sum_all);
		if (r == 0 && array.r == 0)
			r = array_get(&array, ARRAY_RESULT, result);
	}
	return array_end(&array, r);
}

int ems_array_scan(const ems_range_t *from, const ems_range_t *to, ems_array_combine_t *callback, void *context,
		   const ems_value_t *initial, bool exclusive, const ems_array_options_t *options)
{
	struct array array;
	int r = array_init(&array, "array_scan", options);

	if (r == 0) {
		array.call.combine = callback;
		array.context = context;
		array.initial = initial;
		array.exclusive = exclusive;
		array_from(&array, from);
		array_to(&array, to);
		array_equal(&array);
		array_need(&array, callback, "no callback is given");
		array_apart(&array, ARRAY_SAME_IS_FINE);
		array_split(&array, array.to.count);
		r = array_each_chunk(&array, sum_chunk);
		if (r == 0)
			r = array_once(&array, sum_all);
		if (r == 0)
			r = array_each_chunk(&array, scan_chunk);
	}
	return array_end(&array, r);
}
