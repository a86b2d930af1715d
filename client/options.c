/* What a new heap shall be: see options.h. */
#include "client/options.h"

#include <string.h>

#include "base/error.h"
#include "base/macros.h"
#include "client/failure.h"
#include "client/value.h"
#include "shm/layout.h"

#define DEFAULT_MAP_ELEMENTS ((uint64_t)1 << 20)
#define LEAST_MAX_ELEMENTS   ((uint64_t)1 << 20)
#define MAX_GROWTH	     16
#define DEFAULT_STORAGE	     ((uint64_t)256 << 20)
#define LEAST_STORAGE	((uint64_t)64 << 20)

static int translate_elements(const ems_heap_options_t *options, struct proto_params *params)
{
	uint64_t most = options->map ? MAX_MAP_ELEMENTS : MAX_ELEMENTS;

	params->elements = options->elements;
	if (params->elements == 0 && !options->map)
		return failure_say(-ERROR_INVALID, "a heap without map needs a number of elements");
	if (params->elements == 0)
		params->elements = DEFAULT_MAP_ELEMENTS;
	if (params->elements > most)
		return failure_say(-ERROR_RANGE, "%llu elements: a heap %s map has at most %llu",
				   (unsigned long long)params->elements, options->map ? "with" : "without",
				   (unsigned long long)most);
	params->max_elements = options->max_elements;
	if (params->max_elements == 0)
		params->max_elements =
			MIN(most, MAX(LEAST_MAX_ELEMENTS, params->elements * (uint64_t)MAX_GROWTH));
	if (params->max_elements < params->elements || params->max_elements > most)
		return failure_say(-ERROR_RANGE, "max_elements %llu: it must be from elements (%llu) to %llu",
				   (unsigned long long)params->max_elements,
				   (unsigned long long)params->elements, (unsigned long long)most);
	return 0;
}

static int translate_storage(const ems_heap_options_t *options, struct proto_params *params)
{
	uint64_t storage = options->storage ? options->storage : DEFAULT_STORAGE;

	if (storage > MAX_STORAGE)
		return failure_say(-ERROR_RANGE, "storage of %llu bytes: a heap has at most %llu",
				   (unsigned long long)storage, (unsigned long long)MAX_STORAGE);
	storage = MAX(LEAST_STORAGE, storage * STORAGE_RESERVE);
	params->storage = align_up(MIN(storage, MAX_STORAGE), UNIT);
	return 0;
}

static void value_to_proto(const ems_value_t *value, struct proto_value *to)
{
	*to = (struct proto_value){.type = (enum proto_type)value->type};
	switch (value->type) {
	case EMS_BOOLEAN:
		to->boolean = value->boolean;
		break;
	case EMS_INTEGER:
		to->integer = value->integer;
		break;
	case EMS_FLOAT:
		to->number = value->number;
		break;
	case EMS_STRING:
	case EMS_JSON:
	case EMS_BYTES:
		to->data = value->data;
		to->size = (uint32_t)value->size;
		break;
	default:
		break;
	}
}

static int translate_fill(const ems_heap_options_t *options, struct proto_params *params)
{
	int r;

	if (options->initial_tag != 0 && options->initial_tag != EMS_EMPTY &&
	    options->initial_tag != EMS_FULL)
		return failure_say(-ERROR_INVALID, "initial_tag must be EMS_FULL or EMS_EMPTY");
	params->tag = options->initial_tag == EMS_EMPTY ? PROTO_TAG_EMPTY : PROTO_TAG_FULL;
	if (!options->fill)
		return 0;
	r = value_check(options->fill);
	if (r < 0)
		return failure_say(r, "the fill value is no value that can be written");
	if (type_has_blob((enum cell_type)options->fill->type) && options->fill->size > MAX_FILL)
		return failure_say(-ERROR_RANGE, "the fill value has %zu bytes; at most %u are allowed",
				   options->fill->size, MAX_FILL);
	value_to_proto(options->fill, &params->fill);
	return 0;
}

int options_translate(const ems_heap_options_t *options, struct proto_open *open)
{
	static const ems_heap_options_t none;
	int r;

	if (!options)
		options = &none;
	if (options->mode > 0777)
		return failure_say(-ERROR_INVALID, "mode 0%o: only permission bits are allowed",
				   options->mode);
	r = translate_elements(options, &open->params);
	if (r == 0)
		r = translate_storage(options, &open->params);
	if (r == 0)
		r = translate_fill(options, &open->params);
	if (r < 0)
		return r;
	open->params.has_map = options->map;
	open->params.persistent = options->persistent;
	open->mode = options->mode ? options->mode : 0600;
	open->lifetime = options->until_detached ? PROTO_LIFETIME_DETACH : PROTO_LIFETIME_KEEP;
	open->idle_seconds = options->idle_seconds;
	open->budget = options->budget;
	open->checkpoint_ms = options->checkpoint_ms;
	return 0;
}

static bool same_value(const struct proto_value *a, const struct proto_value *b)
{
	if (a->type != b->type)
		return false;
	switch (a->type) {
	case PROTO_BOOLEAN:
		return a->boolean == b->boolean;
	case PROTO_INTEGER:
		return a->integer == b->integer;
	case PROTO_FLOAT:
		return memcmp(&a->number, &b->number, sizeof(a->number)) == 0; /* NaN, and −0 too */
	case PROTO_STRING:
	case PROTO_JSON:
	case PROTO_BYTES:
		return a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
	default:
		return true;
	}
}

int options_compare(const ems_heap_options_t *options, const char *name, const struct proto_params *params)
{
	struct proto_value fill;

	if (!options)
		return 0;
	if (options->elements != 0 && options->elements != params->elements)
		return failure_say(-ERROR_MISMATCH, "heap \"%s\" exists with %llu elements, not %llu", name,
				   (unsigned long long)params->elements,
				   (unsigned long long)options->elements);
	if (options->map != params->has_map && (options->map || options->elements != 0))
		return failure_say(-ERROR_MISMATCH, "heap \"%s\" exists %s a map", name,
				   params->has_map ? "with" : "without");
	if (options->fill) {
		value_to_proto(options->fill, &fill);
		if (!same_value(&fill, &params->fill))
			return failure_say(-ERROR_MISMATCH, "heap \"%s\" exists with another fill value",
					   name);
	}
	return 0;
}
