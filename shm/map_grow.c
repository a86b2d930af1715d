/*
 * map_grow.c: when a table is replaced, and by which.
 *
 * A table is replaced when 5/8 of its places were used, tombstones included, or a key's path leads through
 * too many of those (one key that comes and goes leaves them in one row). The next one is twice as large when
 * more than a quarter of the places leads to live keys, else it is of the same size: then growth only sweeps
 * tombstones out.
 *
 *      table_used   0 → READY     the daemon: committed, all zero
 *                   READY → USED  who is about to publish it; a death after this: the daemon clears it again
 *                   USED → READY  the daemon, behind the gate, when it is neither current nor next
 *      header.map   next          TAKES EFFECT; every mutator moves entries from now on (map_move.c)
 *
 * How many entries there are is a hint: in large tables only each sixteenth place is counted, for sixteen, so
 * that the counter's line is left alone. Should the hint be far off, the lack of an EMPTY place starts the
 * growth.
 */
#include "shm/map_parts.h"

#define SAMPLE_LOG2_MIN 14u /* tables from this size on count by sample */
#define SAMPLE		16u
#define LOOK_AT		4096u /* places looked at to guess how many keys live */

static uint32_t table_log2(const struct map_table *table)
{
	return 64 - table->shift;
}

void map_count(struct shm_segment *seg, const struct map_table *table, const uint64_t *place)
{
	uint64_t *keys = &shm_header(seg)->map_keys;

	if (table_log2(table) < SAMPLE_LOG2_MIN)
		(void)add64(keys, 1);
	else if ((uint64_t)(place - table->slots) % SAMPLE == 0)
		(void)add64(keys, SAMPLE);
}

bool map_is_loaded(const struct shm_segment *seg, const struct map_table *table, uint64_t tombs)
{
	uint64_t keys = load64_relaxed(&shm_header(seg)->map_keys);

	/* Walking a row costs its length each time, sweeping it out the whole table once: the root balances
	 * the two. */
	return keys >= (table->mask + 1) / 8 * 5 || tombs > 64 + (UINT64_C(4) << table_log2(table) / 2);
}

/* Do more than a quarter of the places lead to live keys? Places are hashes, so any stretch will do. */
static bool is_busy(const struct map_table *table)
{
	uint64_t places = MIN(table->mask + 1, (uint64_t)LOOK_AT), live = 0;

	for (uint64_t i = 0; i < places; i++)
		live += map_slot_state(load64_relaxed(&table->slots[i])) == MAP_LIVE;
	return live > places / 4;
}

/* The table to go on with: the next size if need be and there is one, else the other of this size. */
static uint32_t choose_next(const struct shm_segment *seg, const struct map_table *table)
{
	const uint8_t *used = shm_header(seg)->table_used;
	uint32_t larger = (table->id & ~1u) + 2;

	if (larger >= seg->layout.tables || !is_busy(table))
		return table->id ^ 1u;
	/* One that is ready, or else needs no clearing, costs less. */
	if (load8_relaxed(&used[larger]) != TABLE_READY && load8_relaxed(&used[larger + 1]) == TABLE_READY)
		return larger + 1;
	return larger;
}

int map_start_growth(struct shm_session *session, const struct map_view *view)
{
	struct shm_segment *seg = session->seg;
	struct header *header = shm_header(seg);
	uint32_t id = choose_next(seg, &view->current);
	uint8_t ready = TABLE_READY;
	uint64_t word = view->word;

	/* Who wins this may publish the table, once: one that was in use since is not taken for a fresh one.
	 */
	if (!cas8(&header->table_used[id], &ready, TABLE_USED)) {
		if (map_view_is_stale(seg, view))
			return SHM_AGAIN;
		session->need = (struct shm_need){.kind = NEED_TABLE, .first = id};
		return SHM_NEED;
	}
	if (!cas64(&header->map, &word, map_word(map_word_sequence(word) + 1, view->current.id, id + 1)))
		return SHM_AGAIN;
	/* Counts the next table's entries from now on. A death before this: it is replaced sooner than it
	 * need be. */
	store64_relaxed(&header->map_keys, 0);
	return 0;
}

int shm_map_grow(struct shm_session *session)
{
	struct map_view view;
	int r = map_view(session->seg, &view);

	if (r < 0)
		return r;
	return view.growing ? SHM_AGAIN : map_start_growth(session, &view);
}
