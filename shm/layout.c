/* Where the areas of a segment lie: arithmetic on its parameters, nothing else. */
#include "shm/layout.h"

#include <string.h>

#include "base/error.h"
#include "base/macros.h"

#define TABLE_SLOTS_LOG2_MIN 6u
#define TABLE_SLOTS_LOG2_MAX 16u /* of the first table */

static uint32_t log2_up(uint64_t n)
{
	return n <= 1 ? 0 : 64u - (uint32_t)__builtin_clzll(n - 1);
}

static uint64_t units_up(uint64_t bytes)
{
	return (bytes + UNIT - 1) & ~(UNIT - 1);
}

/* Tables of one size take up whole units each, so that clearing one touches no other. */
static uint64_t table_stride(const struct layout *layout, uint32_t level)
{
	return units_up((uint64_t)8 << (layout->table_slots_log2 + level));
}

static int check_params(const struct heap_params *p)
{
	uint64_t max = p->has_map ? MAX_MAP_ELEMENTS : MAX_ELEMENTS;

	if (p->elements == 0 || p->elements > p->max_elements || p->max_elements > max)
		return -ERROR_RANGE;
	if (p->storage == 0 || p->storage % UNIT || p->storage > MAX_STORAGE)
		return -ERROR_RANGE;
	if (p->fill_type >= TYPE_FILL || p->fill_size > MAX_FILL ||
	    (p->fill_size && !type_has_blob((enum cell_type)p->fill_type)))
		return -ERROR_RANGE;
	if (p->initial_tag != TAG_FULL && p->initial_tag != TAG_EMPTY)
		return -ERROR_RANGE;
	return 0;
}

static void place_tables(struct layout *layout)
{
	uint64_t offset = layout->offset[AREA_TABLES];

	for (uint32_t id = 0; id < layout->tables; id++) {
		layout->table_offset[id] = offset;
		offset += table_stride(layout, id / 2);
	}
}

/*
 * The first table holds the first elements at half load, but is never large (an empty heap of 100 million
 * keys must cost nothing); the last one holds as many keys as there may ever be.
 */
static void compute_tables(struct layout *layout)
{
	uint32_t first = log2_up(layout->params.elements * 2),
		 last = log2_up(layout->params.max_elements * 2);

	if (!layout->params.has_map)
		return;
	layout->table_slots_log2 = MIN(MAX(first, TABLE_SLOTS_LOG2_MIN), TABLE_SLOTS_LOG2_MAX);
	layout->tables = 2 * (MAX(last, layout->table_slots_log2) - layout->table_slots_log2 + 1);
	for (uint32_t level = 0; level < layout->tables / 2; level++)
		layout->size[AREA_TABLES] += 2 * table_stride(layout, level);
}

int layout_compute(struct layout *layout, const struct heap_params *params)
{
	int r = check_params(params);
	uint64_t end = 0;

	if (r < 0)
		return r;
	memset(layout, 0, sizeof(*layout));
	layout->params = *params;
	layout->element_shift = params->has_map ? 5 : 4;
	layout->chunks = (uint32_t)(params->storage / UNIT);
	compute_tables(layout);

	layout->size[AREA_HEADER] = sizeof(struct header);
	layout->size[AREA_FILL] = params->fill_size;
	layout->size[AREA_SLOTS] = SLOT_COUNT * sizeof(struct slot);
	layout->size[AREA_LOCKS] = SLOT_COUNT * UNIT;
	layout->size[AREA_RECORDS] = SLOT_COUNT * UNIT;
	layout->size[AREA_ELEMENTS] = params->max_elements << layout->element_shift;
	if (params->has_map)
		layout->size[AREA_GROUPS] =
			((params->max_elements >> GROUP_SHIFT) + 1 + 63) / 64 * sizeof(uint64_t);
	layout->size[AREA_RING] = params->max_elements * sizeof(struct cell);
	layout->size[AREA_STACK] = params->max_elements * sizeof(struct cell);
	layout->size[AREA_CHUNKS] = layout->chunks * sizeof(struct chunk);
	layout->size[AREA_BLOCKS] = (uint64_t)layout->chunks * BLOCKS_PER_CHUNK * sizeof(uint64_t);
	layout->size[AREA_STORAGE] = params->storage;

	/* The commit map and the marks describe the whole segment, themselves included: an upper bound will
	 * do. */
	for (enum area area = AREA_HEADER; area < AREA_COUNT; area++)
		end += units_up(layout->size[area]);
	end += end / 1024 + 16 * UNIT;
	layout->size[AREA_COMMIT] = (end / UNIT / 64 + 1) * sizeof(uint64_t);
	if (params->persistent)
		layout->size[AREA_MARKS] = end >> MARK_PAGE_SHIFT;

	for (enum area area = AREA_HEADER; area < AREA_COUNT; area++) {
		layout->offset[area] = layout->segment_size;
		layout->segment_size += units_up(layout->size[area]);
	}
	place_tables(layout);
	return 0;
}

bool layout_is_cell(const struct layout *layout, uint64_t offset)
{
	static const enum area areas[] = {AREA_ELEMENTS, AREA_RING, AREA_STACK};

	if (offset % sizeof(struct cell))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(areas); i++) {
		uint64_t start = layout->offset[areas[i]];
		uint64_t stride = areas[i] == AREA_ELEMENTS ? (uint64_t)1 << layout->element_shift
							    : sizeof(struct cell);

		if (offset >= start && offset - start < layout->size[areas[i]])
			return (offset - start) % stride == 0;
	}
	return false;
}

bool layout_is_waited_on(const struct layout *layout, uint64_t offset)
{
	return offset == offsetof(struct header, stack_top) || layout_is_cell(layout, offset);
}
