/* Taking read locks, and giving them back: see reader.h. Each step says what a death right after it leaves. */
#include <limits.h>

#include "base/error.h"
#include "base/macros.h"
#include "shm/bell.h"
#include "shm/reader_words.h"
#include "shm/wait.h"

#define RELEASE_TRIES 64
#define GIVE_WAY      2 /* while there are readers, and when there are none any more */

/* ---- entries ---- */

/* An entry of the session's own that is NONE, or RECORD_READ_COUNT. */
static uint32_t find_free(struct shm_session *session, const uint64_t *entries)
{
	uint32_t high = reader_high(session->slot), index = session->read_free;

	while (index < high && load64_relaxed(&entries[index]) != READER_NONE)
		index++;
	session->read_free = index;
	return index;
}

/* Recovery looks at entries below the mark only, so it goes up before the entry is used. */
static void raise_high(struct shm_session *session, uint32_t index)
{
	if (index >= load32_relaxed(&session->slot->reads_high))
		store32_release(&session->slot->reads_high, index + 1);
}

/* The lock is not there any more, or never was. The mark comes down with the last entry. */
static void clear(struct shm_session *session, uint64_t *entries, uint32_t index)
{
	uint32_t high = reader_high(session->slot);

	store64_release(&entries[index], READER_NONE);
	session->read_free = MIN(session->read_free, index);
	while (high > 0 && load64_relaxed(&entries[high - 1]) == READER_NONE)
		high--;
	store32_release(&session->slot->reads_high, high);
}

/* The latest of the session's locks on the cell: index + 1, or 0. */
static uint32_t find_held(const struct shm_session *session, const struct cell *cell)
{
	const uint64_t *entries = reader_entries(session->seg, session->id);
	uint64_t offset = shm_offset(session->seg, cell);

	for (uint32_t index = reader_high(session->slot); index > 0; index--)
		if (load64_relaxed(&entries[index - 1]) == reader_word(offset, READER_HELD))
			return index;
	return 0;
}

bool shm_reader_holds(const struct shm_session *session, const struct cell *cell)
{
	return find_held(session, cell) != 0;
}

/* ---- taking ---- */

bool shm_reader_gives_way(struct shm_session *session, const struct cell *cell, uint64_t meta, uint32_t given)
{
	uint64_t offset = shm_offset(session->seg, cell);

	if (!shm_reader_is_wanted(meta)) {
		if (session->read_in_vain == offset)
			session->read_in_vain = 0;
		return false;
	}
	if (given >= GIVE_WAY && cell_tag(meta) == TAG_READERS)
		session->read_in_vain = offset; /* W of one who has gone, perhaps */
	return given < GIVE_WAY && session->read_in_vain != offset && !shm_reader_holds(session, cell);
}

int shm_reader_take(struct shm_session *session, struct cell *cell, struct cell expected, uint64_t meta)
{
	uint32_t readers = cell_tag(meta) == TAG_READERS ? cell_own(meta) : 0;
	uint64_t *entries = reader_entries(session->seg, session->id), trying;
	struct cell seen = {meta, expected.value};
	uint32_t index;

	if (readers == READERS_MAX)
		return SHM_WAIT;
	index = find_free(session, entries);
	if (index == RECORD_READ_COUNT)
		return -ERROR_LIMIT;
	trying = reader_word(shm_offset(session->seg, cell), READER_TRYING);
	shm_mark(session->seg, &entries[index], sizeof(*entries));
	shm_mark(session->seg, cell, sizeof(*cell));
	raise_high(session, index);
	/* A death from here to HELD: recovery counts the cell anew, without this one. */
	store64_release(&entries[index], trying);
	/* Takes effect here, unless a recount comes before the next line. */
	if (!cell_cas(cell, &expected, reader_cell(seen, readers + 1)) ||
	    !cas64(&entries[index], &trying, reader_word(reader_offset(trying), READER_HELD))) {
		clear(session, entries, index); /* not in the count: the CAS failed, or this is CANCELLED */
		return SHM_AGAIN;
	}
	return 0;
}

/* ---- giving back ---- */

/* After the count has come down to `readers`. */
static void wake(struct shm_segment *seg, struct cell *cell, uint64_t seen, uint32_t readers)
{
	if (readers == 0) {
		shm_wait_wake(seg, cell, seen, TAG_FULL);
	} else if (readers == READERS_MAX - 1 && (seen & CELL_W)) { /* W stays: others may wait for FULL */
		(void)shm_futex_wake(cell_futex(cell), INT_MAX, WAIT_FULL_LOOK);
		shm_bell_ring(seg, shm_offset(seg, cell));
	}
}

/*
 * Inside a step. The look at the cell comes first, then the one at the entry: a recount that ended before the former is
 * seen by the latter, and one that begins after it makes the CAS fail.
 */
static int release_entry(struct shm_session *session, struct cell *cell, uint64_t *entries, uint32_t index,
			 uint32_t *left)
{
	uint64_t offset = shm_offset(session->seg, cell);
	struct cell seen = cell_load(cell);
	enum reader_state state = reader_state(load64_acquire(&entries[index]));
	uint32_t readers = cell_tag(seen.meta) == TAG_READERS ? cell_own(seen.meta) : 0;

	if (shm_reader_is_frozen(seen.meta))
		return SHM_WAIT;
	if (state != READER_RELEASED) {
		if (readers == 0) {
			clear(session, entries, index);
			return -ERROR_CORRUPT;
		}
		/* A death from here on: recovery counts the cell anew, without this one. Only HELD is left alone by
		 * others, so only it can be stored over. */
		if (state == READER_HELD)
			store64_release(&entries[index], reader_word(offset, READER_RELEASING));
		/* Takes effect here. A death right after it: recovery wakes on the entry's cell. */
		if (!cell_cas(cell, &seen, reader_cell(seen, readers - 1)))
			return SHM_AGAIN;
		wake(session->seg, cell, seen.meta, --readers);
	}
	clear(session, entries, index);
	if (left)
		*left = readers;
	return 0;
}

int shm_reader_release(struct shm_session *session, struct cell *cell, uint32_t *left)
{
	uint64_t *entries = reader_entries(session->seg, session->id);
	int r = SHM_AGAIN;

	/* One that could not be finished is gone on with. */
	if (session->read_releasing == 0 ||
	    reader_offset(load64_relaxed(&entries[session->read_releasing - 1])) != shm_offset(session->seg, cell))
		session->read_releasing = find_held(session, cell);
	if (session->read_releasing == 0)
		return -ERROR_INVALID;
	shm_mark(session->seg, entries, sizeof(*entries) * RECORD_READ_COUNT);
	shm_mark(session->seg, cell, sizeof(*cell));
	for (int tries = 0; r == SHM_AGAIN && tries < RELEASE_TRIES; tries++)
		r = release_entry(session, cell, entries, session->read_releasing - 1, left);
	if (r <= 0)
		session->read_releasing = 0;
	return r;
}

bool shm_reader_keep(struct shm_session *session)
{
	uint64_t *entries = reader_entries(session->seg, session->id), word;
	uint32_t index = session->read_releasing;

	session->read_releasing = 0;
	if (index-- == 0)
		return false;
	word = load64_acquire(&entries[index]);
	if (reader_state(word) == READER_HELD ||
	    (reader_state(word) == READER_RELEASING &&
	     cas64(&entries[index], &word, reader_word(reader_offset(word), READER_HELD))))
		return false;
	clear(session, entries, index); /* a recount has done it */
	return true;
}

int shm_reader_leave(struct shm_session *session)
{
	uint64_t *entries = reader_entries(session->seg, session->id);
	int r = 0;

	for (uint32_t high = reader_high(session->slot); high > 0; high = reader_high(session->slot)) {
		uint64_t word = load64_relaxed(&entries[high - 1]);

		shm_step_enter(session);
		if (reader_state(word) != READER_TRYING && reader_is_element(session->seg, reader_offset(word))) {
			struct cell *cell = shm_at(session->seg, reader_offset(word));

			shm_step_cell(session, cell);
			session->read_releasing = high;
			r = shm_reader_release(session, cell, NULL);
		} else {
			clear(session, entries, high - 1); /* scribbled over */
		}
		shm_step_leave(session);
		if (r == SHM_WAIT)
			return -ERROR_BUSY;
	}
	return 0;
}
