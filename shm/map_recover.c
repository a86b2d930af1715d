/*
 * map_recover.c: what a dead slot had begun in the map is finished or undone.
 *
 * One recoverer at a time, which may die itself: the next begins again. Each part looks first whether there
 * is something left to do, by the words that identify it: the cell's tag, owner and version. The orders are
 * those of map_insert.c and map_delete.c, for the same reasons.
 */
#include "shm/map_parts.h"

struct recovery {
	struct shm_session *recoverer; /* NULL: the daemon, which makes no steps */
	struct shm_segment *seg;
	struct slot *dead;
	uint32_t id;
	uint64_t element;
	struct cell *cell;
};

static void enter(const struct recovery *rec)
{
	if (rec->recoverer)
		shm_step_enter(rec->recoverer);
}

static void leave(const struct recovery *rec)
{
	if (rec->recoverer)
		shm_step_leave(rec->recoverer);
}

/* The element that the intent names, if that makes sense. */
static bool named_element(struct recovery *rec)
{
	const struct layout *layout = &rec->seg->layout;
	uint64_t offset = load64_acquire(&rec->dead->intent_cell), start = layout->offset[AREA_ELEMENTS];

	if (offset < start || (offset - start) % sizeof(struct element) != 0)
		return false;
	rec->element = (offset - start) >> layout->element_shift;
	if (!map_element_is_there(rec->seg, rec->element))
		return false;
	rec->cell = shm_cell(rec->seg, rec->element);
	return true;
}

static bool is_ours(const struct recovery *rec, struct cell seen)
{
	return cell_own(seen.meta) == rec->id &&
	       cell_version(seen.meta) == load64_acquire(&rec->dead->intent_version);
}

/* Named, and perhaps never claimed: then it may be another's by now. */
static void release_claimed(const struct recovery *rec, blob_ref ref)
{
	if (ref && shm_blob_is_allocated(rec->seg, ref) && shm_blob_is_claimed_by(rec->seg, ref, rec->id))
		shm_blob_release_for(rec->recoverer, rec->seg, rec->dead, rec->id, ref);
}

static void release_owned(const struct recovery *rec, blob_ref ref)
{
	if (ref && shm_blob_is_allocated(rec->seg, ref))
		shm_blob_release_for(rec->recoverer, rec->seg, rec->dead, rec->id, ref);
}

static void free_element(const struct recovery *rec, bool (*tag_is)(enum tag tag))
{
	struct cell seen;

	enter(rec);
	seen = cell_load(rec->cell);
	if (is_ours(rec, seen) && tag_is(cell_tag(seen.meta)))
		map_free_cell(rec->seg, rec->element, rec->cell, seen);
	else
		map_element_hint(rec->seg, rec->element); /* it may have died before it noted this */
	leave(rec);
}

/* Not in the map for certain. */
static int undo_reservation(const struct recovery *rec)
{
	release_claimed(rec, load64_acquire(&rec->dead->intent_key));
	release_claimed(rec, load64_acquire(&rec->dead->intent_new));
	free_element(rec, tag_is_reserved);
	return 0;
}

/* The entry that leads, or would lead, to what the element is bound to now. False: its key makes no sense. */
static bool entry_of(const struct recovery *rec, uint64_t *entry, uint64_t *hash)
{
	uint64_t info = load64_acquire(&map_element(rec->seg, rec->element)->key.info);
	uint64_t unprinted = map_slot(rec->element, key_info_binding(info), 0);

	if (!map_entry_hash(rec->seg, unprinted, hash))
		return false;
	*entry = map_slot(rec->element, key_info_binding(info), *hash);
	return true;
}

static bool table_has(const struct map_table *table, uint64_t hash, uint64_t entry)
{
	for (uint64_t i = 0; i <= table->mask; i++) {
		uint64_t slot = load64_acquire(map_place(table, hash, i));

		if (map_slot_state(slot) == MAP_EMPTY)
			return false;
		if (map_slot_same(slot, entry) && map_slot_state(slot) == MAP_LIVE)
			return true;
	}
	return false;
}

/* 1: yes, frozen or not (then the next table has it, or will have it); 0: no; -ERROR_CORRUPT. */
static int map_has(const struct shm_segment *seg, uint64_t hash, uint64_t entry)
{
	for (uint32_t tries = 0; tries < MAP_TRIES; tries++) {
		struct map_view view;
		int r = map_view(seg, &view);

		if (r < 0)
			return r;
		if (table_has(&view.current, hash, entry) ||
		    (view.growing && table_has(&view.next, hash, entry)))
			return 1;
		fence_acquire();
		if (!map_view_is_stale(seg, &view))
			return 0;
	}
	return -ERROR_CORRUPT;
}

static int finish_publishing(const struct recovery *rec)
{
	struct cell seen = cell_load(rec->cell);
	uint64_t entry, hash;
	int r;

	/* Otherwise it was made live, by itself or by a helper: everything belongs to the element now. */
	if (!tag_is_reserved(cell_tag(seen.meta)) || !is_ours(rec, seen))
		return 0;
	if (!entry_of(rec, &entry, &hash))
		return -ERROR_CORRUPT;
	enter(rec);
	r = map_has(rec->seg, hash, entry);
	if (r == 1)
		map_make_live(rec->seg, rec->cell, &seen);
	leave(rec);
	if (r == 0)
		return undo_reservation(rec);
	return r < 0 ? r : 0;
}

static bool tag_is_deleted(enum tag tag)
{
	return tag == TAG_DELETED;
}

static int finish_deleting(const struct recovery *rec)
{
	struct cell seen = cell_load(rec->cell);
	blob_ref key = load64_acquire(&rec->dead->intent_key), old = load64_acquire(&rec->dead->intent_old);
	uint64_t entry, hash;
	int r = 0;

	if (tag_is_deleted(cell_tag(seen.meta)) && is_ours(rec, seen)) {
		/* A key that is released already was buried before. */
		if (!key || shm_blob_is_allocated(rec->seg, key)) {
			enter(rec);
			r = entry_of(rec, &entry, &hash) ? map_bury(rec->seg, hash, entry) : -ERROR_CORRUPT;
			leave(rec);
		}
		release_owned(rec, key);
		release_owned(rec, old);
	}
	free_element(rec, tag_is_deleted);
	return r;
}

static int recover_intent(struct recovery *rec)
{
	uint64_t intent = load64_acquire(&rec->dead->intent);

	if (intent != INTENT_RESERVE && intent != INTENT_PUBLISH && intent != INTENT_DELETE)
		return 0;
	if (!named_element(rec))
		return -ERROR_CORRUPT;
	if (intent == INTENT_RESERVE)
		return undo_reservation(rec);
	return intent == INTENT_PUBLISH ? finish_publishing(rec) : finish_deleting(rec);
}

int shm_map_recover(struct shm_session *recoverer, struct shm_segment *seg, struct slot *dead,
		    uint32_t dead_id)
{
	struct recovery rec = {.recoverer = recoverer, .seg = seg, .dead = dead, .id = dead_id};
	int r;

	if (!seg->layout.params.has_map)
		return 0;
	r = recover_intent(&rec);
	enter(&rec);
	map_element_return(seg, dead);
	leave(&rec);
	return r;
}
