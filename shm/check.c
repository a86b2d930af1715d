/*
 * The checker. It gathers the blobs that are allocated and those that something refers
 * to, sorts both lists and compares; looks every key up again; and looks for states that only a
 * process at work explains.
 */
#include "shm/check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/macros.h"
#include "shm/lease.h"
#include "shm/map.h"
#include "shm/reader.h"
#include "shm/recover.h"
#include "shm/ring.h"
#include "shm/stack.h"
#include "shm/storage.h"
#include "shm/transaction.h"

struct refs {
	blob_ref *list;
	size_t count, room;
	bool failed;
};

struct checker {
	const struct shm_segment *seg;
	struct shm_check *check;
	struct refs allocated, reachable;
};

__attribute__((format(printf, 2, 3))) static void problem(struct checker *checker, const char *format, ...)
{
	char text[256];
	va_list arguments;

	checker->check->problems++;
	if (!checker->check->problem)
		return;
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	checker->check->problem(checker->check->arg, text);
}

static uint64_t elements_of(const struct checker *checker)
{
	uint64_t said = checker->check->elements;

	return said ? MIN(said, checker->seg->layout.params.max_elements) : shm_elements(checker->seg);
}

/* Asked for every piece of work that is not small. */
static bool is_over(struct checker *checker)
{
	if (checker->check->deadline && !checker->check->stopped)
		checker->check->stopped = clock_passed(checker->check->deadline);
	return checker->check->stopped;
}

static void add_ref(struct refs *refs, blob_ref ref)
{
	if (refs->count == refs->room) {
		size_t room = refs->room ? refs->room * 2 : 1024;
		blob_ref *list = reallocarray(refs->list, room, sizeof(*list));

		if (!list) {
			refs->failed = true;
			return;
		}
		refs->list = list;
		refs->room = room;
	}
	refs->list[refs->count++] = ref;
}

static int compare_refs(const void *a, const void *b)
{
	blob_ref left = *(const blob_ref *)a, right = *(const blob_ref *)b;

	return left < right ? -1 : left > right;
}

static void sort_refs(struct refs *refs)
{
	if (refs->count)
		qsort(refs->list, refs->count, sizeof(*refs->list), compare_refs);
}

static void found_blob(void *arg, blob_ref ref, uint64_t capacity)
{
	struct checker *checker = arg;

	(void)capacity;
	add_ref(&checker->allocated, ref);
}

/* ---- elements ---- */

static void check_blob(struct checker *checker, uint64_t index, const char *what, blob_ref ref)
{
	if (!shm_blob_is_allocated(checker->seg, ref))
		problem(checker, "element %" PRIu64 ": its %s refers to storage that is not allocated", index,
			what);
	add_ref(&checker->reachable, ref);
}

/* A living session has a lease on it, which is not work. */
static bool is_leased(struct checker *checker, const struct cell *cell, uint32_t owner)
{
	return load32_acquire(&shm_slot(checker->seg, owner)->state) != SLOT_FREE &&
	       shm_lease_names(checker->seg, owner, shm_offset(checker->seg, cell));
}

/* Readers: as many as records say. On a live heap, the two are not looked at at one moment. */
static void check_readers(struct checker *checker, uint64_t index, struct cell seen)
{
	uint32_t held = shm_reader_count(checker->seg, shm_cell(checker->seg, index));

	if (checker->check->quiet && held != cell_own(seen.meta))
		problem(checker, "element %" PRIu64 " has %u readers, but %u have it", index, cell_own(seen.meta), held);
}

static void check_lock(void *arg, uint64_t offset, bool settled)
{
	struct checker *checker = arg;
	const struct shm_segment *seg = checker->seg;

	if (!layout_is_cell(&seg->layout, offset) || !shm_committed(seg, offset))
		problem(checker, "a read lock on no element, at offset %" PRIu64, offset);
	else if (!settled)
		problem(checker, "a read lock on the element at offset %" PRIu64 " is neither taken nor given back", offset);
	else if (cell_tag(cell_load(shm_at(seg, offset)).meta) != TAG_READERS)
		problem(checker, "a read lock on the element at offset %" PRIu64 ", which has no readers", offset);
}

/* A BUSY cell stands in its owner's record, or it has moved since it was seen. */
static bool is_explained(const struct shm_segment *seg, const struct cell *cell, struct cell seen)
{
	if (shm_transaction_holds(seg, cell, seen))
		return true;
	fence_acquire();
	return (load64_relaxed(&cell->meta) ^ seen.meta) & ~CELL_W;
}

/* Tags that need somebody at work behind them. */
static void check_owner(struct checker *checker, uint64_t index, struct cell seen)
{
	static const char *const names[] = {"", "", "", "", "busy", "reserved", "reserved", "deleted"};
	uint32_t owner = cell_own(seen.meta);

	if (cell_tag(seen.meta) == TAG_BUSY && is_leased(checker, shm_cell(checker->seg, index), owner))
		return;
	if (checker->check->quiet)
		problem(checker, "element %" PRIu64 " is %s by slot %u, which does nothing", index,
			names[cell_tag(seen.meta)], owner);
	else if (!shm_reader_is_frozen(seen.meta) &&
		 load32_acquire(&shm_slot(checker->seg, owner)->state) == SLOT_FREE)
		problem(checker, "element %" PRIu64 " is %s by slot %u, which is free", index,
			names[cell_tag(seen.meta)], owner);
	else if (cell_tag(seen.meta) == TAG_BUSY && !is_explained(checker->seg, shm_cell(checker->seg, index), seen))
		problem(checker, "element %" PRIu64 " is busy by slot %u, which has nothing to do with it", index,
			owner);
}

static void check_key(struct checker *checker, uint64_t index)
{
	_cleanup_(freep) char *text = malloc(KEY_MAX + 1u);
	struct shm_binding binding;
	struct shm_key key;
	struct cell seen;
	uint64_t size = 0;

	if (!text) {
		checker->reachable.failed = true;
		return;
	}
	if (shm_map_key_of(checker->seg, index, &key, text, KEY_MAX, &size, &seen) < 0) {
		problem(checker, "element %" PRIu64 " is live but has no readable key", index);
		return;
	}
	if (key.kind == KEY_STRING) {
		key = shm_key_string(checker->seg, text, (uint32_t)MIN(size, (uint64_t)KEY_MAX));
		check_blob(checker, index, "key",
			   ((const struct element *)shm_cell(checker->seg, index))->key.word);
	}
	if (shm_map_look(checker->seg, &key, &binding) != 0)
		problem(checker, "element %" PRIu64 ": its key is not in the map", index);
	else if (binding.element != index)
		problem(checker, "elements %" PRIu64 " and %" PRIu64 " have the same key", index,
			binding.element);
	checker->check->keys++;
}

static void check_element(struct checker *checker, uint64_t index)
{
	struct cell seen = cell_load(shm_cell(checker->seg, index));
	enum tag tag = cell_tag(seen.meta);

	if (tag == TAG_NONE) {
		checker->check->pristine_elements++;
		return;
	}
	checker->check->live_elements++;
	if (tag == TAG_READERS)
		check_readers(checker, index, seen);
	else if (tag != TAG_EMPTY && tag != TAG_FULL)
		check_owner(checker, index, seen);
	if (cell_has_blob(seen.meta))
		check_blob(checker, index, "value", seen.value);
	if (checker->seg->layout.params.has_map && tag_is_live(tag))
		check_key(checker, index);
}

/* Units that were never committed hold pristine elements only, and are not touched. */
static void check_elements(struct checker *checker)
{
	const struct shm_segment *seg = checker->seg;
	uint64_t per_unit = UNIT >> seg->layout.element_shift, elements = elements_of(checker);

	for (uint64_t first = 0; first < elements; first += per_unit) {
		uint64_t end = MIN(first + per_unit, elements);

		if (!shm_committed(seg, shm_offset(seg, shm_cell(seg, first)))) {
			checker->check->pristine_elements += end - first;
			continue;
		}
		for (uint64_t index = first; index < end && !(index % 64 == 0 && is_over(checker)); index++)
			check_element(checker, index);
		if (checker->check->stopped)
			return;
	}
}

/* ---- queue and stack ---- */

static void check_item(struct checker *checker, const char *where, uint64_t position, struct cell item)
{
	if (!cell_has_blob(item.meta))
		return;
	/* On a live heap it may have been taken since it was seen. */
	if (checker->check->quiet && !shm_blob_is_allocated(checker->seg, item.value))
		problem(checker, "%s: item %" PRIu64 " refers to storage that is not allocated", where, position);
	add_ref(&checker->reachable, item.value);
}

static bool ring_cell(const struct shm_segment *seg, uint64_t position, struct cell *seen)
{
	const struct cell *cell = shm_ring_cell(seg, position);

	if (!shm_committed(seg, shm_offset(seg, cell)))
		return false;
	*seen = cell_load(cell);
	return true;
}

/* An item, which may be leased: by somebody whose record says so. */
static void check_place(struct checker *checker, uint64_t position, struct cell seen)
{
	bool busy = cell_tag(seen.meta) == TAG_BUSY;

	checker->check->queued++;
	checker->check->leased += busy;
	check_item(checker, "queue", position, seen);
	if (busy && checker->check->quiet && !is_leased(checker, shm_ring_cell(checker->seg, position), cell_own(seen.meta)))
		problem(checker, "queue: item %" PRIu64 " is leased by slot %u, which does not know", position,
			cell_own(seen.meta));
}

/* The items between head and tail, and nothing outside. Some of them may have been taken before one in front. */
static void check_ring(struct checker *checker)
{
	const struct shm_segment *seg = checker->seg;
	uint64_t head, tail, most = seg->layout.params.max_elements, full = 0;
	uint64_t passed = load64_acquire(&shm_header(seg)->ring_passed);
	struct cell seen;

	shm_ring_range(seg, &head, &tail);
	if (tail - head > elements_of(checker)) {
		problem(checker, "the queue goes from %" PRIu64 " to %" PRIu64, head, tail);
		return;
	}
	for (uint64_t position = head; position != tail; position++) {
		bool is_there = ring_cell(seg, position, &seen);

		if (is_there && shm_ring_holds(seg, position, seen))
			check_place(checker, position, seen);
		else if (checker->check->quiet && !(is_there && shm_ring_is_taken(seg, position, seen) && position < passed))
			problem(checker, "queue: item %" PRIu64 " is not there", position);
	}
	for (uint64_t position = 0; checker->check->quiet && position < most; position++) {
		if (position % UNIT == 0 && is_over(checker))
			return;
		if (ring_cell(seg, position, &seen))
			full += cell_tag(seen.meta) == TAG_FULL || cell_tag(seen.meta) == TAG_BUSY;
		else
			position |= UNIT / sizeof(seen) - 1; /* to the end of the unit, for areas begin with one */
	}
	if (checker->check->quiet && full != checker->check->queued)
		problem(checker, "the queue has %" PRIu64 " items, but %" PRIu64 " places are taken",
			checker->check->queued, full);
	if (checker->check->quiet && shm_ring_length(seg) != full)
		problem(checker, "the queue's length is said to be %" PRIu64 ", and is %" PRIu64, shm_ring_length(seg), full);
}

static void check_stack(struct checker *checker)
{
	uint64_t count = shm_stack_length(checker->seg);
	struct cell item;

	if (count > elements_of(checker)) {
		problem(checker, "the stack has %" PRIu64 " items", count);
		return;
	}
	for (uint64_t index = 0; index < count; index++) {
		if (shm_stack_item(checker->seg, index, &item))
			check_item(checker, "stack", index, item);
		else if (checker->check->quiet)
			problem(checker, "stack: item %" PRIu64 " is not there", index);
	}
	if (checker->check->quiet && shm_stack_is_pushing(checker->seg))
		problem(checker, "a push onto the stack is not finished");
	checker->check->stacked = count;
}

static void check_map(struct checker *checker)
{
	struct shm_map_stats stats;

	if (!checker->seg->layout.params.has_map || !checker->check->quiet || is_over(checker))
		return;
	shm_map_stats(checker->seg, &stats);
	if (stats.keys != checker->check->keys)
		problem(checker, "the map leads to %" PRIu64 " keys, but %" PRIu64 " elements have one",
			stats.keys, checker->check->keys);
}

/* ---- storage ---- */

/* On a live heap, a blob is excused while a slot names it. */
static bool is_excused(struct checker *checker, blob_ref ref)
{
	return !checker->check->quiet &&
	       (shm_is_named(checker->seg, ref, 0) || !shm_blob_is_allocated(checker->seg, ref));
}

static void compare_lists(struct checker *checker)
{
	const struct refs *allocated = &checker->allocated, *reachable = &checker->reachable;
	size_t a = 0;

	for (size_t r = 0; r < reachable->count; r++) {
		if (r > 0 && reachable->list[r] == reachable->list[r - 1])
			problem(checker, "two references to one blob at offset %" PRIu64,
				blob_ref_offset(reachable->list[r]));
		while (a < allocated->count && allocated->list[a] < reachable->list[r]) {
			if (!is_excused(checker, allocated->list[a]))
				problem(checker,
					"a blob at offset %" PRIu64 " is allocated, but nothing refers to it",
					blob_ref_offset(allocated->list[a]));
			a++;
		}
		if (a < allocated->count && allocated->list[a] == reachable->list[r])
			a++;
	}
	for (; a < allocated->count; a++)
		if (!is_excused(checker, allocated->list[a]))
			problem(checker,
				"a blob at offset %" PRIu64 " is allocated, but nothing refers to it",
				blob_ref_offset(allocated->list[a]));
}

/* Each names a cell that is BUSY with this slot. */
static void check_leases(struct checker *checker, uint32_t id)
{
	const struct shm_segment *seg = checker->seg;
	const struct shm_lease *lease;

	for (uint32_t i = 0; (lease = shm_lease_entry(seg, id, i)); i++) {
		uint64_t offset = load64_acquire(&lease->cell);
		struct cell seen;

		if (offset == 0)
			continue;
		if (!layout_is_cell(&seg->layout, offset) || !shm_committed(seg, offset)) {
			problem(checker, "slot %u has a lease on what is no cell", id);
			continue;
		}
		seen = cell_load(shm_at(seg, offset));
		if (cell_tag(seen.meta) != TAG_BUSY || cell_own(seen.meta) != id)
			problem(checker, "slot %u has a lease on a cell that is not its own", id);
	}
}

static void check_slots(struct checker *checker)
{
	uint32_t high = shm_slots_high(checker->seg);

	for (uint32_t id = 1; checker->check->quiet && id < high; id++) {
		const struct slot *slot = shm_slot(checker->seg, id);

		if (load32_acquire(&slot->state) > SLOT_LEAVING)
			problem(checker, "slot %u is in no state that there is", id);
		if (shm_robust_is_dead(checker->seg, id))
			problem(checker, "slot %u died and was not recovered", id);
		shm_reader_walk(checker->seg, id, check_lock, checker);
		if (load64_acquire(&slot->intent) != INTENT_NONE || load64_acquire(&slot->cur) != 0)
			problem(checker, "slot %u is in the middle of an operation", id);
		if (shm_transaction_is_open(checker->seg, id))
			problem(checker, "slot %u is in the middle of a transaction", id);
		if (load32_acquire(&slot->slab_claim) || load32_acquire(&slot->extent_count) ||
		    load32_acquire(&slot->group_claim))
			problem(checker, "slot %u has claims left", id);
		if (load32_acquire(&slot->state) == SLOT_FREE && load64_acquire(&slot->lease_high))
			problem(checker, "slot %u is free and has leases", id);
		check_leases(checker, id);
	}
	if (checker->check->quiet && shm_storage_unsettled(checker->seg) > 0)
		problem(checker, "%" PRIu64 " chunks of storage are between two states",
			shm_storage_unsettled(checker->seg));
}

static int check_header(struct checker *checker)
{
	const struct header *header = shm_header(checker->seg);

	uint64_t elements = load64_acquire(&header->elements);

	if (!checker->check->elements && (header->magic != SEGMENT_MAGIC || header->version != SEGMENT_VERSION))
		return -ERROR_CORRUPT;
	if (!shm_segment_is_whole(checker->seg, header->heap_id))
		problem(checker, "the header has been written over");
	if (elements == 0 || elements > checker->seg->layout.params.max_elements ||
	    (checker->check->elements && elements != elements_of(checker)))
		problem(checker, "the number of elements makes no sense: %" PRIu64, elements);
	return 0;
}

int shm_check(const struct shm_segment *seg, struct shm_check *check)
{
	struct checker checker = {.seg = seg, .check = check};
	int r;

	check->problems = check->live_elements = check->pristine_elements = check->keys = 0;
	check->queued = check->leased = check->stacked = 0;
	check->stopped = false;
	r = check_header(&checker);
	if (r < 0)
		return r;
	shm_storage_walk(seg, found_blob, &checker);
	check_elements(&checker);
	check_ring(&checker);
	check_stack(&checker);
	check_map(&checker);
	check_slots(&checker);
	sort_refs(&checker.allocated);
	sort_refs(&checker.reachable);
	if (checker.allocated.failed || checker.reachable.failed)
		r = -ERROR_NO_MEMORY;
	else if (!check->stopped)
		compare_lists(&checker);
	check->blobs_allocated = checker.allocated.count;
	check->blobs_reachable = checker.reachable.count;
	free(checker.allocated.list);
	free(checker.reachable.list);
	return r;
}
