/*
 * The key map: from a key to an element.
 *
 * Open addressing with linear probing over 8-byte slots:
 *
 *       63                     32 31         12 11        4  3       2       1 0
 *      +-------------------------+-------------+-----------+-------+-------+-------+
 *      |  element                | binding 20  | print 8   | moved | frozen| state |   EMPTY 0  LIVE 1  TOMB 2
 *      +-------------------------+-------------+-----------+-------+-------+-------+
 *
 * A slot goes EMPTY → LIVE → TOMB and never back while its table is in use; a
 * table is used again only after the daemon has cleared it behind the gate. So a
 * compare-and-swap on a slot cannot be fooled. The key stands beside the element's
 * cell (struct element_key), where it cannot change while the binding lasts:
 *
 *      word   kind INTEGER: the integer; FLOAT: its bits; BOOLEAN: 0 or 1;
 *             SHORT: a string of up to 8 bytes without NUL, padded with NUL; STRING: a blob reference
 *      info    63      24 23        4 3    0
 *             +----------+-----------+------+
 *             |expiry 40 | binding 20| kind |   expiry: CLOCK_REALTIME seconds, 0 none
 *             +----------+-----------+------+
 *
 * binding counts the bindings of this element; with the element it identifies one
 * binding of one key (so a tombstone says which binding it was).
 *
 * THE ELEMENT'S CELL IS THE TRUTH of a binding: NONE (free) → RESERVED → live → DELETED → NONE.
 * The map only leads to it. An operation finds key → element, loads the cell, checks that the element
 * still has the binding that the map slot named, and acts by a compare-and-swap that carries the cell's
 * version: so it cannot hit another key's element after a delete and reuse. (map_look.c: why that is enough.)
 *
 *   insert   key blob (intent) → reserve a free cell (intent) → write the key
 *            → CAS the map slot → cell RESERVED → live
 *   delete   cell → DELETED → map slot TOMB → release key blob, value blob → cell NONE
 *   growth   publish a next table; freeze the slots of a path, copy LIVE ones over, mark
 *            them moved; any process can redo what a dead one began
 *
 * Source of the protocol and its proof: tests/model/map.pml (doc/LAYOUT, "Key map").
 * Hash: XXH3 with a secret made from the heap's seed.
 */
#ifndef EMS_SHM_MAP_H
#define EMS_SHM_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/slot.h"

enum key_kind {
	KEY_NONE = 0,
	KEY_INTEGER = 1,
	KEY_FLOAT = 2,
	KEY_BOOLEAN = 3,
	KEY_SHORT = 4,
	KEY_STRING = 5
};

/* A key, normalised: an integral float in int64 range is KEY_INTEGER; a string is KEY_SHORT when it fits. */
struct shm_key {
	enum key_kind kind;
	uint64_t word;	  /* all kinds but KEY_STRING */
	const void *text; /* KEY_STRING: the caller's bytes */
	uint32_t size;
	uint64_t hash;
};
#define KEY_MAX 65535u /* bytes of a string key */

struct shm_key shm_key_integer(const struct shm_segment *seg, int64_t value);
struct shm_key shm_key_float(const struct shm_segment *seg, double value); /* NaN is one key; −0 is 0 */
struct shm_key shm_key_boolean(const struct shm_segment *seg, bool value);
/* size ≤ KEY_MAX; text must stay until the operation is done. */
struct shm_key shm_key_string(const struct shm_segment *seg, const void *text, uint32_t size);

/* Where a look-up ended. */
struct shm_binding {
	uint64_t element;
	struct cell *cell;
	struct cell seen;   /* the cell, live, at a moment when the element was bound to the key */
	uint64_t *map_slot; /* NULL when found by a look without a session */
	uint64_t slot_seen;
};

/*
 * Look-up without a session: stores nothing, needs no slot, works on read-only mappings.
 * 0: found, binding->seen was the key's cell at one moment during the call. -ERROR_NOT_FOUND. -ERROR_CORRUPT.
 */
int shm_map_look(const struct shm_segment *seg, const struct shm_key *key, struct shm_binding *binding);

/*
 * Look-up inside a step, for an operation that will change the cell by a CAS expecting binding->seen. Brings a
 * block of slots over when the map grows. 0; -ERROR_NOT_FOUND; -ERROR_CORRUPT. A key whose insert is not
 * complete is not found: shm_map_insert completes it (and says EXISTS).
 */
int shm_map_find(struct shm_session *session, const struct shm_key *key, struct shm_binding *binding);

/*
 * Inserts key, inside a step, with its first value: the element becomes live with `tag` (EMPTY or FULL),
 * `type` and `value`; when type has a blob, it is claimed and filled, named in slot->intent_new, and belongs
 * to the element when 0 is returned. 0: inserted, binding filled in. -ERROR_EXISTS: somebody else's binding
 * of the key was there first (binding says which; intent_new is still the caller's: intent is INTENT_CLAIM
 * when it is set, else NONE). SHM_AGAIN, SHM_NEED: the same state. -ERROR_FULL: no free element;
 * -ERROR_NO_SPACE: no room for the key.
 */
int shm_map_insert(struct shm_session *session, const struct shm_key *key, enum tag tag, enum cell_type type,
		   uint64_t value, struct shm_binding *binding);

/*
 * Deletes the binding found by shm_map_find, inside the same step, if its cell is still binding->seen (the
 * caller has checked that its tag admits deletion: EMPTY or FULL). 0; SHM_AGAIN when the cell moved. Wakes
 * those who wait on the cell. Releases key and value.
 */
int shm_map_delete(struct shm_session *session, const struct shm_key *key, struct shm_binding *binding);

/* Starts growth now (as an insert into a loaded table does), inside a step; for tests and kill images. 0;
 * SHM_AGAIN: it is under way; SHM_NEED. */
int shm_map_grow(struct shm_session *session);
/* Brings one block of slots over to the next table, if there is one. Called by operations now and then.
 * Inside a step. */
int shm_map_migrate_some(struct shm_session *session);

/*
 * The key of a live element, for index2key and iteration: kind, word, and for KEY_STRING up to `capacity`
 * bytes into buffer (*size the whole length; when larger than capacity call again with more). Stores nothing.
 * 0; -ERROR_NOT_FOUND: the element is not live. *seen: its cell at that moment.
 */
int shm_map_key_of(const struct shm_segment *seg, uint64_t element, struct shm_key *key, void *buffer,
		   uint64_t capacity, uint64_t *size, struct cell *seen);

/* Elements at and above were never set apart: iteration ends there. */
uint64_t shm_map_element_limit(const struct shm_segment *seg);

/* Gives the session's set-apart elements back as hints. Not inside a step. */
void shm_map_leave(struct shm_session *session);

/* Is a living slot other than `except` in the middle of an insert? */
bool shm_map_inserting(const struct shm_segment *seg, uint32_t except);

/* ---- recovery ---- */

/* Finishes or undoes intents RESERVE, PUBLISH and DELETE of a dead slot, and its hints. Idempotent. Does not
 * clear the intent. recoverer NULL: the daemon. 0, or SHM_AGAIN: a live slot still names one of the blobs:
 * look again later. */
int shm_map_recover(struct shm_session *recoverer, struct shm_segment *seg, struct slot *dead,
		    uint32_t dead_id);

struct shm_map_stats {
	uint64_t keys, tombstones, table_slots;
	bool growing;
};
/* Walks the current table(s). Bounded; for inspect and check. */
void shm_map_stats(const struct shm_segment *seg, struct shm_map_stats *stats);

/* Makes the hash secret of a freshly mapped segment from its seed (seg->hash_secret). */
void shm_hash_init(struct shm_segment *seg);

#endif
