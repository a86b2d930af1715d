/* Whole-array operations: the arguments, the elements, and what is kept between phases. See array.h. */
#include "client/array.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/macros.h"
#include "client/failure.h"
#include "client/heap.h"
#include "client/team.h"
#include "client/value.h"

static_assert(EMS_ARRAY_SCRATCH == ARRAY_CHUNKS + ARRAY_VALUES, "the scratch heap has room for all words");

/* The least of what a callback may return. */
#define ANSWER_LEAST (-32767)

/* ---- begin ---- */

/* Without it members cannot tell each other anything, not even that. */
static int check_scratch(const struct array *array)
{
	const ems_heap_t *scratch = array->scratch;
	int r;

	if (!scratch)
		return failure_say(-ERROR_INVALID, "%s: a team needs a scratch heap", array->name);
	r = heap_check(scratch, array->name);
	if (r < 0)
		return r;
	if (scratch->has_map)
		return failure_say(-ERROR_INVALID, "heap \"%s\": %s: a scratch heap has no map", scratch->name, array->name);
	if (!scratch->writable)
		return failure_say(-ERROR_READ_ONLY, "heap \"%s\": %s: it is attached for reading only", scratch->name,
				   array->name);
	if (shm_elements(heap_segment(scratch)) < EMS_ARRAY_SCRATCH)
		return failure_say(-ERROR_RANGE, "heap \"%s\": %s: a scratch heap has at least %d elements", scratch->name,
				   array->name, EMS_ARRAY_SCRATCH);
	return 0;
}

int array_init(struct array *array, const char *name, const ems_array_options_t *options)
{
	int r;

	*array = (struct array){.name = name,
				.in = EMS_VALUE_INIT,
				.sum = EMS_VALUE_INIT,
				.key_text = EMS_VALUE_INIT,
				.at = ARRAY_NOWHERE};
	if (!options)
		return 0;
	array->tag = options->tag;
	array->done = options->done;
	r = team_check(options->team, name);
	if (r < 0)
		return r;
	/* Inside a loop all of it is the caller's, as of a loop inside a loop. */
	if (options->team && ems_team_size(options->team) > 1 && options->team->member.loops == 0) {
		array->team = options->team;
		array->scratch = options->scratch;
		r = check_scratch(array);
	}
	return r;
}

/* ---- arguments ---- */

/* The first problem counts. */
static void refuse(struct array *array, int r)
{
	if (array->r == 0) {
		array->r = r;
		array->own_words = true;
	}
}

static int check_range(const struct array *array, const ems_range_t *range)
{
	uint64_t elements, last;
	int r;

	if (!range)
		return failure_say(-ERROR_INVALID, "%s: a range is missing", array->name);
	r = heap_check(range->heap, array->name);
	if (r < 0)
		return r;
	elements = shm_elements(heap_segment(range->heap));
	if (ADD_OVERFLOWS(range->first, range->count, &last) || last > elements)
		return failure_say(-ERROR_RANGE, "heap \"%s\": %s: no %llu elements from %llu on (it has %llu)",
				   range->heap->name, array->name, (unsigned long long)range->count,
				   (unsigned long long)range->first, (unsigned long long)elements);
	if (array->team && range->heap->mapping == array->scratch->mapping)
		return failure_say(-ERROR_INVALID, "heap \"%s\": %s: it is the scratch heap", range->heap->name, array->name);
	return 0;
}

void array_from(struct array *array, const ems_range_t *from)
{
	int r = check_range(array, from);

	if (r < 0)
		refuse(array, r);
	if (from)
		array->from = *from;
	array->told = &array->from;
}

void array_to(struct array *array, const ems_range_t *to)
{
	int r = check_range(array, to);

	if (r == 0 && to->heap->has_map)
		r = failure_say(-ERROR_INVALID, "heap \"%s\": %s: elements of a heap with a map are written by key",
				to->heap->name, array->name);
	if (r == 0 && !to->heap->writable)
		r = failure_say(-ERROR_READ_ONLY, "heap \"%s\": %s: it is attached for reading only", to->heap->name,
				array->name);
	if (r == 0 && array->tag != 0 && array->tag != EMS_FULL && array->tag != EMS_EMPTY)
		r = failure_say(-ERROR_INVALID, "%s: the tag must be EMS_FULL, EMS_EMPTY or 0", array->name);
	if (r < 0)
		refuse(array, r);
	if (to)
		array->to = *to;
	if (!array->told)
		array->told = &array->to;
}

void array_need(struct array *array, bool given, const char *what)
{
	if (!given)
		refuse(array, failure_say(-ERROR_INVALID, "%s: %s", array->name, what));
}

void array_equal(struct array *array)
{
	if (array->r == 0 && array->from.count != array->to.count)
		refuse(array, failure_say(-ERROR_RANGE, "%s: from %llu elements to %llu", array->name,
					  (unsigned long long)array->from.count, (unsigned long long)array->to.count));
}

void array_apart(struct array *array, enum array_place place)
{
	const ems_range_t *from = &array->from, *to = &array->to;
	bool elastic = array->team && array->team->team.layout.params.elastic, same;

	if (array->r < 0 || from->count == 0 || to->count == 0 || from->heap->mapping != to->heap->mapping ||
	    from->first >= to->first + to->count || to->first >= from->first + from->count)
		return;
	same = from->first == to->first;
	if (place != ARRAY_SAME_IS_FINE || !same)
		refuse(array, failure_say(-ERROR_INVALID, "heap \"%s\": %s: source and destination overlap",
					  to->heap->name, array->name));
	else if (elastic)
		refuse(array, failure_say(-ERROR_UNSUPPORTED,
					  "heap \"%s\": %s: an elastic team needs a destination apart from the source",
					  to->heap->name, array->name));
}

void array_split(struct array *array, uint64_t count)
{
	array->count = count;
	array->chunk = MAX(count / ARRAY_CHUNKS + (count % ARRAY_CHUNKS > 0), UINT64_C(1));
	array->chunks = count / array->chunk + (count % array->chunk > 0);
}

/* ---- elements ---- */

/* An element of a heap with a map, by its index: what has no key, or loses it now, is undefined. */
static int read_keyed(struct array *array, uint64_t index, ems_value_t *value)
{
	ems_key_t key;
	int r = ems_index_to_key(array->from.heap, index, &key, &array->key_text);

	if (r == 0)
		return ems_read(array->from.heap, key, value);
	if (r == -EMS_ENOKEY) {
		value->type = EMS_UNDEFINED;
		value->size = 0;
		return 0;
	}
	return r;
}

int array_read(struct array *array, uint64_t i, ems_value_t *value)
{
	uint64_t index = array->from.first + i;

	array->at = i;
	return array->from.heap->has_map ? read_keyed(array, index, value)
					 : ems_read(array->from.heap, ems_index((int64_t)index), value);
}

int array_write(struct array *array, uint64_t i, const ems_value_t *value)
{
	ems_key_t key = ems_index((int64_t)(array->to.first + i));

	switch (array->tag) {
	case EMS_FULL:
		return ems_write_xf(array->to.heap, key, value);
	case EMS_EMPTY:
		return ems_write_xe(array->to.heap, key, value);
	default:
		return ems_write(array->to.heap, key, value);
	}
}

int array_keep(ems_value_t *into, const ems_value_t *value)
{
	int r = value_check(value);

	if (r < 0)
		return r;
	if (type_has_blob((enum cell_type)value->type)) {
		r = value_reserve(into, value->size);
		if (r < 0)
			return r;
		if (value->size > 0)
			memmove(into->data, value->data, value->size);
		((char *)into->data)[value->size] = '\0';
		into->size = value->size;
	} else {
		into->integer = value->integer; /* all of the union */
	}
	into->type = value->type;
	return 0;
}

int array_answer(int r)
{
	return r > 0 || r < ANSWER_LEAST ? -ERROR_INVALID : r;
}

/* ---- between phases ---- */

int array_put(struct array *array, uint64_t which, const ems_value_t *value)
{
	if (array->team)
		return ems_write(array->scratch, ems_index((int64_t)(ARRAY_CHUNKS + which)), value);
	if (!array->values)
		array->values = calloc(ARRAY_VALUES, sizeof(*array->values));
	return array->values ? array_keep(&array->values[which], value) : -ERROR_NO_MEMORY;
}

int array_get(struct array *array, uint64_t which, ems_value_t *value)
{
	if (array->team)
		return ems_read(array->scratch, ems_index((int64_t)(ARRAY_CHUNKS + which)), value);
	return array_keep(value, &array->values[which]);
}
