/*
 * map_stats.c: counting what is in the map, for inspect and check. Walks the tables; stores nothing.
 */
#include <string.h>

#include "shm/map_parts.h"

/* A copier may have died between the copy and the mark: such an entry is counted in the next table. */
static bool is_copied(const struct shm_segment *seg, const struct map_view *view, uint64_t entry)
{
	uint64_t hash;

	if (!map_entry_hash(seg, entry, &hash))
		return false;
	for (uint64_t i = 0; i <= view->next.mask; i++) {
		uint64_t slot = load64_relaxed(map_place(&view->next, hash, i));

		if (map_slot_state(slot) == MAP_EMPTY)
			break;
		if (map_slot_same(slot, entry))
			return true;
	}
	return false;
}

static void count_table(const struct shm_segment *seg, const struct map_view *view,
			const struct map_table *table, struct shm_map_stats *stats)
{
	bool may_be_copied = view->growing && table == &view->current;

	for (uint64_t i = 0; i <= table->mask; i++) {
		uint64_t slot = load64_relaxed(&table->slots[i]);

		if (map_slot_state(slot) == MAP_TOMB)
			stats->tombstones++;
		else if (map_slot_state(slot) == MAP_LIVE && !(slot & MAP_MOVED) &&
			 !(may_be_copied && is_copied(seg, view, slot)))
			stats->keys++;
	}
	stats->table_slots += table->mask + 1;
}

void shm_map_stats(const struct shm_segment *seg, struct shm_map_stats *stats)
{
	struct map_view view;

	memset(stats, 0, sizeof(*stats));
	if (!seg->layout.params.has_map || map_view(seg, &view) < 0)
		return;
	stats->growing = view.growing;
	count_table(seg, &view, &view.current, stats);
	if (view.growing)
		count_table(seg, &view, &view.next, stats);
}
