/*
 * kind_heap.c: the kind heap: elements, with slots that its clients' threads hold and whose dead ones are recovered.
 *
 * What is read from its segment is never used to decide anything but what concerns that segment, and every look is
 * bounded. A segment that lies about whose slot is whose harms those who share it, which its writers can do anyway,
 * and nobody else.
 */
#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/error.h"
#include "base/macros.h"
#include "daemon/disk.h"
#include "daemon/kind.h"
#include "daemon/kind_heap.h"
#include "daemon/kind_heap_look.h"
#include "daemon/recovery.h"
#include "shm/atomic.h"
#include "shm/futex.h"
#include "shm/robust.h"

/* Free chunks that a trim leaves, so that the next writers need not ask at once; and how many it takes at a time, so that
 * the other clients need not wait long. */
#define TRIM_KEEP 16u
#define TRIM_MOST 256u

/* ---- making ---- */

static int settle(struct proto_open *request, char message[static HEAP_MESSAGE_SIZE])
{
	return heap_settle_params(&request->params, message);
}

static const char *difference(const struct heap *heap, const struct proto_open *request)
{
	return heap_params_difference(&heap->params, &request->params);
}

/* Copies the geometry, with bytes of its own. */
static int copy_params(struct heap *heap, const struct proto_params *params)
{
	heap->params = *params;
	heap->params.fill.data = NULL;
	if (params->fill.type >= PROTO_STRING) {
		void *copy = malloc(params->fill.size ? params->fill.size : 1);

		if (!copy)
			return -ERROR_NO_MEMORY;
		memcpy(copy, params->fill.data, params->fill.size);
		heap->params.fill.data = copy;
	}
	return 0;
}

/* The request's geometry, and a seed. */
static int take_params(struct heap *heap, const struct proto_params *params)
{
	int r = copy_params(heap, params);

	if (!r && getrandom(&heap->params.seed, sizeof(heap->params.seed), 0) != sizeof(heap->params.seed))
		r = -ERROR_SYSTEM;
	return r;
}

static struct heap_params segment_params(const struct proto_params *params)
{
	const struct proto_value *fill = &params->fill;
	struct heap_params to = {.elements = params->elements,
				 .max_elements = params->max_elements,
				 .storage = params->storage,
				 .seed = params->seed,
				 .fill_type = (uint8_t)fill->type,
				 .initial_tag = params->tag == PROTO_TAG_EMPTY ? TAG_EMPTY : TAG_FULL,
				 .has_map = params->has_map,
				 .persistent = params->persistent};

	static_assert((int)PROTO_BYTES == (int)TYPE_BYTES && (int)PROTO_FLOAT == (int)TYPE_FLOAT,
		      "same numbers");
	if (fill->type >= PROTO_STRING)
		to.fill_size = fill->size;
	else if (fill->type == PROTO_BOOLEAN)
		to.fill_value = fill->boolean;
	else if (fill->type == PROTO_INTEGER)
		to.fill_value = (uint64_t)fill->integer;
	else if (fill->type == PROTO_FLOAT)
		memcpy(&to.fill_value, &fill->number, sizeof(to.fill_value));
	return to;
}

/* The same the other way round, but for a fill value's bytes. */
static void geometry_of(const struct heap_params *from, struct proto_params *to)
{
	struct proto_value *fill = &to->fill;

	*to = (struct proto_params){.elements = from->elements,
				    .max_elements = from->max_elements,
				    .storage = from->storage,
				    .seed = from->seed,
				    .tag = from->initial_tag == TAG_EMPTY ? PROTO_TAG_EMPTY : PROTO_TAG_FULL,
				    .has_map = from->has_map,
				    .persistent = from->persistent};
	fill->type = (enum proto_type)from->fill_type;
	if (fill->type == PROTO_BOOLEAN)
		fill->boolean = from->fill_value != 0;
	else if (fill->type == PROTO_INTEGER)
		fill->integer = (int64_t)from->fill_value;
	else if (fill->type == PROTO_FLOAT)
		memcpy(&fill->number, &from->fill_value, sizeof(fill->number));
}

/* For transactions that span other heaps, too. */
static void know_neighbours(struct heap *heap)
{
	heap->segment.neighbours = &recovery_neighbours;
	heap->segment.neighbours_context = heap->broker;
}

/* The segment with its first units, which are charged; what it costs is known only then, and committed memory
 * is not touched memory. */
static int make_segment(struct heap *heap, char message[static HEAP_MESSAGE_SIZE])
{
	struct heap_params params = segment_params(&heap->params);
	int r;

	r = shm_segment_create(&heap->segment, &params, heap->params.fill.data, heap->id, &heap->fd);
	if (r) {
		snprintf(message, HEAP_MESSAGE_SIZE, "heap \"%s\": its memory cannot be made: %s", heap->name,
			 error_text(r));
		return r;
	}
	know_neighbours(heap);
	r = heap_charge(heap, shm_committed_bytes(&heap->segment), message);
	shm_segment_rest(&heap->segment);
	return r;
}

static int make(struct heap *heap, const struct proto_open *request, char message[static HEAP_MESSAGE_SIZE])
{
	int r = take_params(heap, &request->params);

	heap->elements = request->params.elements;
	return r ? r : make_segment(heap, message);
}

static void unmake(struct heap *heap)
{
	if (heap->segment.base)
		recovery_farewell(heap);
	shm_segment_unmap(&heap->segment);
	free((void *)heap->params.fill.data);
}

int kind_heap_empty(struct heap *heap, const struct heap_params *params)
{
	struct heap_params copy = *params;
	int r;

	free((void *)heap->params.fill.data);
	geometry_of(&copy, &heap->params);
	r = shm_segment_empty(&heap->segment, &copy, &heap->fd);
	know_neighbours(heap);
	return r;
}

void kind_heap_take(struct heap *heap, struct shm_segment *segment)
{
	geometry_of(&segment->layout.params, &heap->params);
	heap->segment = *segment;
	segment->base = NULL;
	know_neighbours(heap);
}

int kind_heap_loaded(struct heap *heap)
{
	uint32_t size = heap->segment.layout.params.fill_size;
	void *copy;

	if (heap->params.fill.type < PROTO_STRING)
		return 0;
	copy = malloc(size ? size : 1);
	if (!copy)
		return -ERROR_NO_MEMORY;
	memcpy(copy, shm_area(&heap->segment, AREA_FILL), size);
	heap->params.fill.data = copy;
	heap->params.fill.size = size;
	return 0;
}

static void tell_dropped(struct heap *heap)
{
	struct header *header = shm_header(&heap->segment);

	store32_release(&header->dropped, 1);
	(void)shm_futex_wake(&header->dropped, INT_MAX, WAIT_ANY);
}

/* ---- taking over ---- */

static int adopt(struct heap *heap, const struct proto_open_reply *description)
{
	struct heap_params params;
	int r = copy_params(heap, &description->params);

	if (r)
		return r;
	params = segment_params(&heap->params);
	r = shm_segment_adopt(&heap->segment, heap->fd, &params, heap->id);
	know_neighbours(heap);
	return r;
}

static bool is_whole(const struct heap *heap)
{
	return shm_segment_is_whole(&heap->segment, heap->id);
}

static uint64_t claimed(const struct heap *heap)
{
	return shm_committed_bytes(&heap->segment);
}

static void resume(struct heap *heap)
{
	struct shm_recovery recovery;

	/* A growth, or a drop, that was written down and no further. */
	if (shm_elements(&heap->segment) != heap->elements)
		shm_grow(&heap->segment, heap->elements);
	if (heap->dropped)
		tell_dropped(heap);
	/* Settles the gate as well. Another recoverer, a client, may be at it: then a timer comes back. */
	(void)recovery_run(heap, &recovery);
	heap->trimming = true;
	shm_segment_rest(&heap->segment);
}

/* ---- slots of clients ---- */

static uint32_t slots_end(const struct shm_segment *segment)
{
	return MIN(load32_acquire(&shm_header(segment)->slots_high), SLOT_COUNT);
}

/*
 * Slot id is taken, by a thread of client `number`. The state is read before the number: whoever takes a slot
 * anew writes the number first, so that a taken state never goes with a former owner's number.
 */
static bool is_slot_of(const struct shm_segment *segment, uint32_t id, uint64_t number)
{
	const struct slot *slot = shm_slot(segment, id);

	return load32_acquire(&slot->state) != SLOT_FREE && load64_acquire(&slot->client) == number;
}

static bool is_alive(const struct heap *heap)
{
	const struct shm_segment *segment = &heap->segment;

	for (uint32_t id = 1; id < slots_end(segment); id++)
		if (load32_acquire(&shm_slot(segment, id)->state) != SLOT_FREE && !shm_robust_is_dead(segment, id))
			return true;
	return false;
}

static bool holds(const struct heap *heap, uint64_t client)
{
	for (uint32_t id = 1; id < slots_end(&heap->segment); id++)
		if (is_slot_of(&heap->segment, id, client))
			return true;
	return false;
}

/*
 * The kernel has marked the locks before the pidfd tells. What is not marked by now was not on its list (a C
 * library without one, a list that was overwritten); nobody but the daemon can know that its holder is dead,
 * so nobody else recovers it meanwhile. The lock word is read before the slot: a later holder's word would
 * come with a slot that is free, or its own.
 */
static void client_died(struct heap *heap, uint64_t client)
{
	struct shm_segment *segment = &heap->segment;

	for (uint32_t id = 1; id < slots_end(segment); id++) {
		bool marked = shm_robust_is_dead(segment, id);

		if (!marked && is_slot_of(segment, id, client))
			shm_robust_declare_dead(segment, id);
	}
}

/* ---- memory ---- */

static bool trim(struct heap *heap)
{
	uint64_t bytes;

	if (disk_is_loading(heap))
		return false;
	bytes = shm_trim(&heap->segment, TRIM_KEEP, TRIM_MOST);
	disk_given_back(heap, bytes);

	heap_refund(heap, bytes);
	return bytes == TRIM_MOST * CHUNK_CHARGE;
}

const struct kind kind_heap = {
	.noun = "heap",
	.settle = settle,
	.difference = difference,
	.make = make,
	.unmake = unmake,
	.adopt = adopt,
	.claimed = claimed,
	.resume = resume,
	.is_alive = is_alive,
	.is_whole = is_whole,
	.inspect = kind_heap_inspect,
	.tell_dropped = tell_dropped,
	.holds = holds,
	.each_slot = kind_heap_each_slot,
	.client_died = client_died,
	.recover = recovery_look,
	.trim = trim,
};
