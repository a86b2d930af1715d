/*
 * map_delete.c: a key goes, and its element becomes free.
 *
 * The steps, what each death leaves, and who repairs it (R: recovery of the slot, shm/map_recover.c):
 *
 *      names, intent DELETE             R finds the cell unchanged: nothing to do
 *      cell live → DELETED (own slot)   THE DELETE TAKES EFFECT; R does the rest; who inserts the key again
 *                                       buries the entry itself and goes on
 *      wake                             R wakes (slot.cur)
 *      map slot LIVE → TOMB             R sees that it is one
 *      key blob, value blob released    R releases again, which does nothing
 *      cell DELETED → NONE              R finds another cell; gives the element a hint
 *      hint bit                         nothing
 *      intent NONE
 *
 * The tombstone comes after DELETED, or another could insert the key while its old element lives; and before
 * the releases, for a copier may read the key as long as the entry is not moved.
 */

#include "shm/wait.h"
#include "shm/map_parts.h"

/* The entry in one table. 0: made a tombstone; SHM_AGAIN: *found is frozen, so it lives in the next table;
 * -ERROR_NOT_FOUND: not there, or a tombstone already. */
static int bury_in(struct shm_segment *seg, const struct map_table *table, uint64_t hash, uint64_t entry,
		   uint64_t **found)
{
	for (uint64_t i = 0; i <= table->mask; i++) {
		uint64_t *place = map_place(table, hash, i);
		uint64_t slot = load64_acquire(place);

		if (map_slot_state(slot) == MAP_EMPTY)
			break;
		if (!map_slot_same(slot, entry))
			continue;
		/* A tombstone may be one of a million bindings ago, with the same number: on to the end. */
		while (map_slot_state(slot) == MAP_LIVE) {
			*found = place;
			if (slot & MAP_FROZEN)
				return SHM_AGAIN;
			shm_mark(seg, place, sizeof(*place));
			if (cas64(place, &slot, map_slot_tomb(slot)))
				return 0;
		}
	}
	return -ERROR_NOT_FOUND;
}

static int bury_once(struct shm_segment *seg, uint64_t hash, uint64_t entry)
{
	struct map_view view;
	uint64_t *place = NULL;
	int r;

	r = map_view(seg, &view);
	if (r != 0)
		return r;
	r = bury_in(seg, &view.current, hash, entry, &place);
	if (r == SHM_AGAIN && !view.growing)
		return map_view_is_stale(seg, &view) ? SHM_AGAIN : -ERROR_CORRUPT;
	if (r == SHM_AGAIN) {
		/* Without this, one who is about to copy it could do so after all is over. */
		r = map_move(seg, &view, place);
		if (r != 0)
			return r;
		r = -ERROR_NOT_FOUND;
	}
	if (r == -ERROR_NOT_FOUND && view.growing)
		r = bury_in(seg, &view.next, hash, entry, &place);
	if (r == -ERROR_NOT_FOUND)
		return map_view_is_stale(seg, &view) ? SHM_AGAIN : 0;
	return r;
}

int map_bury(struct shm_segment *seg, uint64_t hash, uint64_t slot)
{
	for (uint32_t tries = 0; tries < MAP_TRIES; tries++) {
		int r = bury_once(seg, hash, slot);

		if (r != SHM_AGAIN)
			return r;
	}
	return -ERROR_CORRUPT;
}

void map_free_cell(struct shm_segment *seg, uint64_t element, struct cell *cell, struct cell seen)
{
	uint64_t version = cell_version(seen.meta);

	shm_mark(seg, cell, sizeof(*cell));
	/* Others can only set W, so this ends; were the owner's mark scribbled over, it ends as well. */
	while (cell_version(seen.meta) == version) {
		struct cell none = {.meta = cell_next(seen.meta, TAG_NONE, TYPE_UNDEFINED, 0), .value = 0};
		uint64_t waiters = seen.meta & CELL_W;

		if (!cell_cas(cell, &seen, none))
			continue;
		shm_wait_wake_all(seg, cell, waiters);
		break;
	}
	/* After the cell, or one who clears the bit for want of free elements would not see this one. */
	map_element_hint(seg, element);
}

static void name_all(struct slot *slot, const struct shm_segment *seg, const struct shm_binding *binding,
		     blob_ref key, blob_ref old, uint64_t version)
{
	store64_release(&slot->intent_cell, shm_offset(seg, binding->cell));
	store64_release(&slot->intent_key, key);
	store64_release(&slot->intent_old, old);
	store64_release(&slot->intent_version, version);
	store64_release(&slot->intent, INTENT_DELETE);
}

static void clear_names(struct slot *slot)
{
	store64_release(&slot->intent, INTENT_NONE);
	store64_release(&slot->intent_old, 0);
	store64_release(&slot->intent_key, 0);
	store64_release(&slot->intent_cell, 0);
	store64_release(&slot->intent_version, 0);
}

/* Usually the entry still is where it was found, and not frozen. */
static int bury_found(struct shm_segment *seg, const struct shm_key *key, const struct shm_binding *binding)
{
	uint64_t slot = binding->slot_seen;

	if (binding->map_slot && !(slot & MAP_FLAGS_MASK & ~MAP_STATE_MASK)) {
		shm_mark(seg, binding->map_slot, sizeof(slot));
		if (cas64(binding->map_slot, &slot, map_slot_tomb(slot)))
			return 0;
	}
	return map_bury(seg, key->hash, binding->slot_seen);
}

int shm_map_delete(struct shm_session *session, const struct shm_key *key, struct shm_binding *binding)
{
	struct shm_segment *seg = session->seg;
	struct slot *slot = session->slot;
	struct cell seen = binding->seen, deleted = seen;
	blob_ref key_ref = 0, old = cell_has_blob(seen.meta) ? seen.value : 0;
	int r;

	/* If the CAS below succeeds, the cell was this binding's all the time, and so was the word. */
	if (key->kind == KEY_STRING)
		key_ref = load64_acquire(&map_element(seg, binding->element)->key.word);
	deleted.meta = cell_next(seen.meta, TAG_DELETED, cell_type(seen.meta), session->id);
	name_all(slot, seg, binding, key_ref, old, cell_version(deleted.meta));
	shm_step_cell(session, binding->cell);
	shm_mark(seg, binding->cell, sizeof(struct element));
	if (!cell_cas(binding->cell, &seen, deleted)) { /* takes effect here */
		clear_names(slot);
		return SHM_AGAIN;
	}
	shm_wait_wake_all(seg, binding->cell, seen.meta);
	r = bury_found(seg, key, binding);
	if (key_ref)
		shm_blob_release(session, key_ref);
	if (old)
		shm_blob_release(session, old);
	map_free_cell(seg, binding->element, binding->cell, deleted);
	map_element_keep(session, binding->element);
	clear_names(slot);
	return r;
}
