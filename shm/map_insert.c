/*
 * map_insert.c: a new key gets an element.
 *
 * The steps, what each death leaves, and who repairs it (R: recovery of the slot, shm/map_recover.c):
 *
 *      intent CLAIM, key named, key blob claimed and filled      R releases it
 *      intent RESERVE: cell and version named                    R releases it; the element gets a hint
 *      cell NONE → RESERVED (own slot, type, value, final tag)   R releases it, cell → NONE
 *      key words                                                 the same: nobody looks at them yet
 *      intent PUBLISH                                            R looks in the map: not there, so the same
 *      map slot EMPTY → LIVE                                     R finds it in the map and makes it live; so
 * does whoever else meets it before cell RESERVED → live        THE INSERT TAKES EFFECT       nothing left to
 * do: R finds another cell intent NONE                                               nothing
 *
 * Two inserts of one key meet at the same place, the first EMPTY of the key's path, for no place is used
 * twice; who loses goes back to intent RESERVE ("not in the map, and never will be"), releases the key blob,
 * then the cell.
 */

#include "shm/wait.h"
#include "shm/map_parts.h"

struct insert {
	struct shm_session *session;
	const struct shm_key *key;
	enum tag tag;
	enum cell_type type;
	uint64_t value;
	struct shm_binding *binding;
	/* what is prepared: a reserved cell with the key beside it */
	bool prepared;
	uint64_t element;
	struct cell *cell;
	struct cell reserved;
	uint64_t entry; /* the map slot that will lead to it */
};

void map_make_live(struct shm_segment *seg, struct cell *cell, struct cell *seen)
{
	enum tag tag = cell_tag(seen->meta) == TAG_RESERVED_EMPTY ? TAG_EMPTY : TAG_FULL;
	struct cell now = *seen, live = *seen;

	live.meta = cell_next(seen->meta, tag, cell_type(seen->meta), 0) | (seen->meta & CELL_TTL);
	shm_mark(seg, cell, sizeof(*cell));
	/* While the version stays, only W can come in between. */
	while (cell_version(now.meta) == cell_version(seen->meta)) {
		uint64_t waiters = now.meta & CELL_W;

		if (!cell_cas(cell, &now, live))
			continue;
		shm_wait_wake_all(seg, cell, waiters);
		break;
	}
	*seen = live;
}

/* ---- intents ---- */

/* Back to what the caller had named: its value's blob, or nothing. State first, then the names. */
static void withdraw_intent(struct slot *slot)
{
	store64_release(&slot->intent, load64_relaxed(&slot->intent_new) ? INTENT_CLAIM : INTENT_NONE);
	store64_release(&slot->intent_key, 0);
	store64_release(&slot->intent_cell, 0);
	store64_release(&slot->intent_version, 0);
}

static void clear_intent(struct slot *slot)
{
	store64_release(&slot->intent, INTENT_NONE);
	store64_release(&slot->intent_new, 0);
	store64_release(&slot->intent_key, 0);
	store64_release(&slot->intent_cell, 0);
	store64_release(&slot->intent_version, 0);
}

static void release_key(struct insert *in)
{
	blob_ref ref = load64_relaxed(&in->session->slot->intent_key);

	if (ref)
		shm_blob_release(in->session, ref);
}

/* ---- preparing ---- */

static int claim_key(struct insert *in)
{
	struct slot *slot = in->session->slot;
	int r;

	if (in->key->kind != KEY_STRING)
		return 0;
	store64_release(&slot->intent, INTENT_CLAIM);
	r = shm_blob_claim(in->session, in->key->size, &slot->intent_key);
	if (r != 0)
		return r;
	shm_blob_fill(in->session, load64_relaxed(&slot->intent_key), in->key->text, in->key->size);
	return 0;
}

/* Tries to reserve the element. 0, or SHM_AGAIN when somebody else was faster. */
static int reserve(struct insert *in, uint64_t element, struct cell seen)
{
	struct shm_segment *seg = in->session->seg;
	struct slot *slot = in->session->slot;
	struct cell *cell = shm_cell(seg, element);
	enum tag tag = in->tag == TAG_EMPTY ? TAG_RESERVED_EMPTY : TAG_RESERVED_FULL;
	struct cell reserved = {.meta = cell_next(seen.meta, tag, in->type, in->session->id),
				.value = in->value};

	store64_release(&slot->intent_cell, shm_offset(seg, cell));
	store64_release(&slot->intent_version, cell_version(reserved.meta));
	store64_release(&slot->intent, INTENT_RESERVE);
	shm_step_cell(in->session, cell);
	map_element_used(in->session, element);
	shm_mark(seg, cell, sizeof(struct element));
	if (!cell_cas(cell, &seen, reserved)) /* reserved here */
		return SHM_AGAIN;
	in->element = element;
	in->cell = cell;
	in->reserved = reserved;
	return 0;
}

/*
 * The word first, then the binding that it belongs to: readers rely on that (map_look.c). Release stores: who
 * reads the word sees the reserved cell.
 */
static void write_key(struct insert *in)
{
	struct shm_segment *seg = in->session->seg;
	struct element_key *key = &map_element(seg, in->element)->key;
	uint32_t binding = key_info_binding(load64_relaxed(&key->info)) + 1;
	uint64_t word =
		in->key->kind == KEY_STRING ? load64_relaxed(&in->session->slot->intent_key) : in->key->word;

	store64_release(&key->word, word);
	store64_release(&key->info, key_info(binding, in->key->kind));
	in->entry = map_slot(in->element, binding, in->key->hash);
	store64_release(&in->session->slot->intent, INTENT_PUBLISH);
	in->prepared = true;
}

/* 0: prepared; else nothing is held. */
static int prepare(struct insert *in)
{
	struct cell seen;
	uint64_t element;
	int r;

	/* The element first: it needs memory more often than the key does, and holds nothing when that is to
	 * be asked for. */
	r = map_element_take(in->session, &element, &seen);
	if (r != 0)
		return r;
	r = claim_key(in);
	if (r != 0) {
		withdraw_intent(in->session->slot);
		return r;
	}
	for (uint32_t tries = 0; tries < MAP_TRIES; tries++) {
		if (reserve(in, element, seen) == 0) {
			write_key(in);
			return 0;
		}
		r = map_element_take(in->session, &element, &seen);
		if (r != 0)
			break;
	}
	release_key(in);
	withdraw_intent(in->session->slot);
	return r != 0 ? r : SHM_AGAIN;
}

/* Gives back what was prepared, and returns r. */
static int give_up(struct insert *in, int r)
{
	if (!in->prepared)
		return r;
	/* Not in the map, and it will not be: recovery need not look there, and must not take a cell that is
	 * NONE again for one that somebody has made live. */
	store64_release(&in->session->slot->intent, INTENT_RESERVE);
	release_key(in);
	map_free_cell(in->session->seg, in->element, in->cell, in->reserved);
	map_element_keep(in->session, in->element);
	withdraw_intent(in->session->slot);
	in->prepared = false;
	return r;
}

/* ---- the place ---- */

/* A LIVE slot with the print. 0: another key's, go on; else what the search for a place ends with. */
static int meet(struct insert *in, uint64_t *place, uint64_t slot)
{
	struct shm_segment *seg = in->session->seg;

	switch (map_sight(seg, in->key, slot, in->binding)) {
	case SIGHT_LIVE:
		in->binding->map_slot = place;
		return -ERROR_EXISTS;
	case SIGHT_RESERVED:
		/* The slot again: when it still leads there, the binding has not ended, and the reservation seen
		 * is that of the key's insert, not of a later one that has only begun. */
		if (load64_acquire(place) != slot)
			return SHM_AGAIN;
		map_make_live(seg, in->binding->cell, &in->binding->seen);
		return SHM_AGAIN;
	case SIGHT_DELETED:
		/* Deleted, and the deleter, alive or dead, has not got here yet: helped, or the key would
		 * have two entries. Fails when others helped, or froze it. */
		shm_mark(seg, place, sizeof(*place));
		return cas64(place, &slot, map_slot_tomb(slot)) ? 0 : SHM_AGAIN;
	case SIGHT_OTHER:
		break;
	}
	return 0;
}

/*
 * Walks the key's path. 0: *place was EMPTY at its end; *place NULL: the table has none. -ERROR_EXISTS;
 * SHM_AGAIN: something moved, or the table is being replaced; -ERROR_CORRUPT.
 */
static int find_place(struct insert *in, const struct map_view *view, uint64_t **place, uint64_t *tombs)
{
	const struct map_table *table = view->growing ? &view->next : &view->current;
	uint64_t print = map_print(in->key->hash);
	int r;

	*tombs = 0;
	for (uint64_t i = 0; i <= table->mask; i++) {
		*place = map_place(table, in->key->hash, i);
		uint64_t slot = load64_acquire(*place);

		if (slot & MAP_FROZEN)
			return map_view_is_stale(in->session->seg, view) ? SHM_AGAIN : -ERROR_CORRUPT;
		if (map_slot_state(slot) == MAP_EMPTY)
			return 0;
		*tombs += map_slot_state(slot) == MAP_TOMB;
		if (!map_slot_may_be(slot, print))
			continue;
		r = meet(in, *place, slot);
		if (r != 0)
			return r;
	}
	*place = NULL;
	return 0;
}

static void take_effect(struct insert *in, const struct map_table *table, uint64_t *place)
{
	struct shm_binding *binding = in->binding;

	binding->element = in->element;
	binding->cell = in->cell;
	binding->seen = in->reserved;
	binding->map_slot = place;
	binding->slot_seen = in->entry;
	map_count(in->session->seg, table, place);
	map_make_live(in->session->seg, in->cell, &binding->seen);
	clear_intent(in->session->slot);
}

/* One walk, with the tables as they are now. 0: inserted; SHM_AGAIN: walk again. */
static int insert_once(struct insert *in)
{
	struct shm_segment *seg = in->session->seg;
	const struct map_table *table;
	struct map_view view;
	uint64_t *place, tombs, empty = 0;
	int r;

	r = map_view(seg, &view);
	if (r == 0 && view.growing)
		r = shm_map_migrate_some(in->session);
	if (r == 0 && view.growing)
		r = map_freeze_path(seg, &view, in->key->hash);
	if (r != 0)
		return r;
	table = view.growing ? &view.next : &view.current;
	r = find_place(in, &view, &place, &tombs);
	if (r != 0)
		return r;
	if (!view.growing && (!place || map_is_loaded(seg, table, tombs))) {
		r = map_start_growth(in->session, &view);
		return r == 0 ? SHM_AGAIN : r;
	}
	if (!place)
		return map_view_is_stale(seg, &view) ? SHM_AGAIN : -ERROR_CORRUPT;
	if (!in->prepared) {
		r = prepare(in);
		if (r != 0)
			return r;
	}
	shm_mark(seg, place, sizeof(*place));
	if (!cas64(place, &empty, in->entry)) /* in the map from here on */
		return SHM_AGAIN;
	take_effect(in, table, place);
	return 0;
}

int shm_map_insert(struct shm_session *session, const struct shm_key *key, enum tag tag, enum cell_type type,
		   uint64_t value, struct shm_binding *binding)
{
	struct insert in = {
		.session = session, .key = key, .tag = tag, .type = type, .value = value, .binding = binding};
	int r;

	for (uint32_t tries = 0; tries < MAP_TRIES; tries++) {
		r = insert_once(&in);
		if (r == 0)
			return 0;
		if (r != SHM_AGAIN)
			return give_up(&in, r);
	}
	return give_up(&in, -ERROR_CORRUPT);
}

bool shm_map_inserting(const struct shm_segment *seg, uint32_t except)
{
	for (uint32_t id = 1; id < shm_slots_high(seg); id++) {
		uint64_t intent = load64_acquire(&shm_slot(seg, id)->intent);

		if (id != except && (intent == INTENT_RESERVE || intent == INTENT_PUBLISH) &&
		    !shm_robust_is_dead(seg, id))
			return true;
	}
	return false;
}
