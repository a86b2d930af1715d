/*
 * kind_region.c: the kinds region, raw memory, and file, a client's file that others have opened as well.
 *
 * A file is what it is by its device and inode: the daemon keeps the descriptor that the first client sent, so that
 * the inode is not another file's meanwhile, and does nothing with it. It never opens a path for anyone.
 * Threads of clients leave nothing behind in either: raw memory has no steps that could be half done.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "base/macros.h"
#include "daemon/keep.h"
#include "daemon/kind.h"
#include "daemon/kind_region.h"

static const uint64_t page_sizes[PROTO_PAGES_COUNT] = {REGION_PAGE, REGION_PAGE_2M, REGION_PAGE_1G};

static int settle(struct proto_open *request, char message[static HEAP_MESSAGE_SIZE])
{
	struct proto_region *region = &request->region;

	if (region->persistent) {
		snprintf(message, HEAP_MESSAGE_SIZE,
			 "this daemon keeps no persistent regions, only volatile ones");
		return -ERROR_UNSUPPORTED;
	}
	region->granted = PROTO_PAGES_DEFAULT;
	if (region->max_size == 0)
		region->max_size = region->size;
	if (region->size == 0 || region->size > region->max_size || region->max_size > REGION_SIZE_MAX) {
		snprintf(message, HEAP_MESSAGE_SIZE,
			 "size %" PRIu64 ", max_size %" PRIu64 ": 1 <= size <= max_size <= %" PRIu64
			 " bytes must hold",
			 region->size, region->max_size, REGION_SIZE_MAX);
		return -ERROR_RANGE;
	}
	return 0;
}

static const char *difference(const struct heap *heap, const struct proto_open *request)
{
	const struct proto_region *a = &heap->region_params, *b = &request->region;

	if (a->size != b->size)
		return "size";
	if (a->max_size != b->max_size)
		return "max_size";
	return a->pages != b->pages ? "pages" : NULL;
}

static int make_with(struct heap *heap, enum proto_pages pages, char message[static HEAP_MESSAGE_SIZE])
{
	struct proto_region *params = &heap->region_params;
	uint64_t cost = shm_region_cost(params->size, page_sizes[pages]);
	int r = heap_charge(heap, cost, message);

	if (r)
		return r;
	r = shm_region_create(&heap->region, params->size, params->max_size, page_sizes[pages], heap->id,
			      &heap->fd);
	if (r) {
		heap_refund(heap, cost);
		snprintf(message, HEAP_MESSAGE_SIZE, "region \"%s\": its memory cannot be made: %s",
			 heap->name, error_text(r));
		return r;
	}
	params->granted = pages;
	heap->size = params->size;
	return 0;
}

/* Large pages are a wish: where the machine has none, or not enough, usual ones do, and the reply says so. */
static int make(struct heap *heap, const struct proto_open *request, char message[static HEAP_MESSAGE_SIZE])
{
	int r = -ERROR_UNSUPPORTED;

	heap->region_params = request->region;
	if (request->region.pages != PROTO_PAGES_DEFAULT)
		r = make_with(heap, request->region.pages, message);
	return r ? make_with(heap, PROTO_PAGES_DEFAULT, message) : 0;
}

static void unmake(struct heap *heap)
{
	/* One that was never made has nothing mapped, and no descriptor: 0 would be somebody's. */
	if (heap->region.control)
		shm_region_unmap(&heap->region);
}

static int adopt(struct heap *heap, const struct proto_open_reply *description)
{
	struct proto_region *params = &heap->region_params;

	*params = description->region;
	if (params->max_size == 0 || params->max_size > REGION_SIZE_MAX || heap->size > params->max_size)
		return -ERROR_SYSTEM;
	return shm_region_adopt(&heap->region, heap->fd, heap->size, params->max_size,
				page_sizes[params->granted], heap->id, heap->dropped);
}

static uint64_t claimed(const struct heap *heap)
{
	return shm_region_cost(heap->size, page_sizes[heap->region_params.granted]);
}

/* A size that was written down, and no further, is there by now; whether anybody was woken is not known. */
static void resume(struct heap *heap)
{
	shm_region_tell(&heap->region);
}

static void tell_dropped(struct heap *heap)
{
	shm_region_drop(&heap->region);
}

static void inspect(const struct heap *heap, struct proto_inspect_reply *reply)
{
	reply->segment_size = heap->region_params.max_size;
}

int region_grow(struct heap *heap, uint64_t size, char message[static HEAP_MESSAGE_SIZE])
{
	uint64_t page_size = page_sizes[heap->region_params.granted], before = heap->size, cost;
	int r;

	if (size <= heap->size)
		return 0;
	cost = shm_region_cost(size, page_size) - shm_region_cost(heap->size, page_size);
	r = heap_charge(heap, cost, message);
	if (r)
		return r;
	/* Written down first: what clients are told must be so for the next daemon, too. */
	heap->size = size;
	keep_elements(heap);
	r = shm_region_grow(&heap->region, heap->fd, size);
	if (r) {
		heap->size = before;
		keep_elements(heap);
		heap_refund(heap, cost);
		snprintf(message, HEAP_MESSAGE_SIZE,
			 "region \"%s\": no more memory of its pages is to be had: %s", heap->name,
			 error_text(r));
		return r;
	}
	return 0;
}

const struct kind kind_region = {
	.noun = "region",
	.settle = settle,
	.difference = difference,
	.make = make,
	.unmake = unmake,
	.inspect = inspect,
	.adopt = adopt,
	.claimed = claimed,
	.resume = resume,
	.tell_dropped = tell_dropped,
};

/* The request that makes one fills in what there is to it. */
static int make_file(struct heap *heap, const struct proto_open *request,
		     char message[static HEAP_MESSAGE_SIZE])
{
	(void)message;
	heap->region_params = request->region;
	heap->size = request->region.size;
	return 0;
}

static void unmake_file(struct heap *heap)
{
	(void)heap;
}

const struct kind kind_file = {
	.noun = "file",
	.make = make_file,
	.unmake = unmake_file,
};
