/* Whole-array operations that make each element for itself: fill, copy, map, permute. See array.h. */
#include "base/error.h"
#include "client/array.h"

static int fill_chunk(struct array *array, uint64_t chunk, uint64_t first, uint64_t last)
{
	int r = 0;

	(void)chunk;
	for (uint64_t i = first; i < last && r == 0; i++) {
		ems_value_t value = EMS_VALUE_INIT;

		array->at = i;
		r = array_answer(array->call.make(array->context, i, &value));
		if (r == 0)
			r = array_write(array, i, &value);
	}
	return r;
}

static int copy_chunk(struct array *array, uint64_t chunk, uint64_t first, uint64_t last)
{
	int r = 0;

	(void)chunk;
	for (uint64_t i = first; i < last && r == 0; i++) {
		r = array_read(array, i, &array->in);
		if (r == 0)
			r = array_write(array, i, &array->in);
	}
	return r;
}

static int map_chunk(struct array *array, uint64_t chunk, uint64_t first, uint64_t last)
{
	int r = 0;

	(void)chunk;
	for (uint64_t i = first; i < last && r == 0; i++) {
		ems_value_t value = EMS_VALUE_INIT;

		r = array_read(array, i, &array->in);
		if (r == 0)
			r = array_answer(array->call.map(array->context, i, &array->in, &value));
		if (r == 0)
			r = array_write(array, i, &value);
	}
	return r;
}

static int permute_chunk(struct array *array, uint64_t chunk, uint64_t first, uint64_t last)
{
	int r = 0;

	(void)chunk;
	for (uint64_t i = first; i < last && r == 0; i++) {
		uint64_t source = UINT64_MAX;

		r = array_answer(array->call.from(array->context, i, &source));
		if (r == 0 && source >= array->from.count)
			r = -ERROR_RANGE;
		if (r == 0)
			r = array_read(array, source, &array->in);
		array->at = i;
		if (r == 0)
			r = array_write(array, i, &array->in);
	}
	return r;
}

static void pair(struct array *array, const ems_range_t *from, const ems_range_t *to)
{
	array_from(array, from);
	array_to(array, to);
	array_equal(array);
	array_apart(array, ARRAY_SAME_IS_FINE);
	array_split(array, array->to.count);
}

int ems_array_fill(const ems_range_t *to, ems_array_make_t *make, void *context, const ems_array_options_t *options)
{
	struct array array;
	int r = array_init(&array, "array_fill", options);

	if (r == 0) {
		array.call.make = make;
		array.context = context;
		array_to(&array, to);
		array_need(&array, make, "no callback is given");
		array_split(&array, array.to.count);
		r = array_each_chunk(&array, fill_chunk);
	}
	return array_end(&array, r);
}

int ems_array_copy(const ems_range_t *from, const ems_range_t *to, const ems_array_options_t *options)
{
	struct array array;
	int r = array_init(&array, "array_copy", options);

	if (r == 0) {
		pair(&array, from, to);
		r = array_each_chunk(&array, copy_chunk);
	}
	return array_end(&array, r);
}

int ems_array_map(const ems_range_t *from, const ems_range_t *to, ems_array_map_t *map, void *context,
		  const ems_array_options_t *options)
{
	struct array array;
	int r = array_init(&array, "array_map", options);

	if (r == 0) {
		array.call.map = map;
		array.context = context;
		pair(&array, from, to);
		array_need(&array, map, "no callback is given");
		r = array_each_chunk(&array, map_chunk);
	}
	return array_end(&array, r);
}

int ems_array_permute(const ems_range_t *from, const ems_range_t *to, ems_array_from_t *source, void *context,
		      const ems_array_options_t *options)
{
	struct array array;
	int r = array_init(&array, "array_permute", options);

	if (r == 0) {
		array.call.from = source;
		array.context = context;
		array_from(&array, from);
		array_to(&array, to);
		array_need(&array, source, "no callback is given");
		array_apart(&array, ARRAY_APART);
		array_split(&array, array.to.count);
		array.told = &array.to;
		r = array_each_chunk(&array, permute_chunk);
	}
	return array_end(&array, r);
}
