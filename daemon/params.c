/*
 * params.c: the geometry that a request asks for. Pure.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/macros.h"
#include "daemon/heap.h"
#include "shm/layout.h"

int heap_settle_params(struct proto_params *params, char message[static HEAP_MESSAGE_SIZE])
{
	uint64_t most = params->has_map ? MAX_MAP_ELEMENTS : MAX_ELEMENTS;

	if (params->max_elements == 0)
		params->max_elements = params->elements;
	if (params->elements == 0 || params->elements > params->max_elements || params->max_elements > most) {
		snprintf(message, HEAP_MESSAGE_SIZE,
			 "elements %" PRIu64 ", max_elements %" PRIu64
			 ": 1 <= elements <= max_elements <= %" PRIu64 " must hold",
			 params->elements, params->max_elements, most);
		return -ERROR_RANGE;
	}
	if (params->storage > MAX_STORAGE) {
		snprintf(message, HEAP_MESSAGE_SIZE,
			 "storage %" PRIu64 ": at most %" PRIu64 " bytes are possible", params->storage,
			 MAX_STORAGE);
		return -ERROR_RANGE;
	}
	params->storage = align_up(MAX(params->storage, UNIT), UNIT);
	return 0;
}

static bool same_fill(const struct proto_value *a, const struct proto_value *b)
{
	if (a->type != b->type)
		return false;
	switch (a->type) {
	case PROTO_UNDEFINED:
		return true;
	case PROTO_BOOLEAN:
		return a->boolean == b->boolean;
	case PROTO_INTEGER:
		return a->integer == b->integer;
	case PROTO_FLOAT:
		/* The bits: NaN is the same fill value as itself. */
		return memcmp(&a->number, &b->number, sizeof(a->number)) == 0;
	default:
		return a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
	}
}

const char *heap_params_difference(const struct proto_params *a, const struct proto_params *b)
{
	if (a->elements != b->elements)
		return "elements";
	if (a->max_elements != b->max_elements)
		return "max_elements";
	if (a->storage != b->storage)
		return "storage";
	if (a->has_map != b->has_map)
		return "map";
	if (a->persistent != b->persistent)
		return "persistent";
	if (a->tag != b->tag)
		return "tag";
	return same_fill(&a->fill, &b->fill) ? NULL : "fill";
}
