/* Critical sections: see team_section.h. */
#include "shm/team_section.h"

#include <limits.h>
#include <xxhash.h>

#include "base/error.h"
#include "shm/futex.h"
#include "shm/slot.h"
#include "shm/team_internal.h"

/* ---- by name ---- */

static void write_name(struct team_section *section, const char *name, size_t size)
{
	copy_to_shared(section->name, name, size);
	store32_release(&section->name_size, (uint32_t)size);
}

int shm_section_find(struct shm_team *team, const char *name, size_t size, uint32_t *_section)
{
	uint64_t identity;

	if (size < 1 || size > TEAM_SECTION_NAME)
		return -ERROR_NAME;
	identity = XXH3_64bits(name, size) | 1; /* 0 is nobody's */
	for (uint32_t i = 0; i < TEAM_SECTIONS; i++) {
		uint32_t at = (uint32_t)((identity >> 32) + i) % TEAM_SECTIONS;
		struct team_section *section = &team_header(team)->sections[at];
		uint64_t seen = load64_acquire(&section->identity);

		if (seen == 0 && cas64(&section->identity, &seen, identity))
			seen = identity;
		if (seen != identity)
			continue;
		if (load32_acquire(&section->name_size) == 0)
			write_name(section, name, size); /* who died before he came to it is no loss */
		*_section = at;
		return 0;
	}
	return -ERROR_LIMIT;
}

/* ---- giving ---- */

/* The living one with the lowest ticket; id + 1, 0: nobody waits. */
static uint32_t first_waiter(const struct shm_team *team, uint32_t section)
{
	uint64_t lowest = UINT64_MAX;
	uint32_t first = 0;

	for (uint32_t id = 0; id < team->layout.params.size; id++) {
		uint64_t waits = load64_acquire(&team_member(team, id)->waits);

		if ((waits & 0xff) != section + 1 || waits >> 8 >= lowest ||
		    shm_robust_word_is_dead(team_lock(team, id + 1)))
			continue;
		lowest = waits >> 8;
		first = id + 1;
	}
	return first;
}

/*
 * From `owner` (id + 1) to who is next. A death after the compare-and-swap leaves one who owns the section and sleeps:
 * recovery wakes all who wait. 0; -ERROR_INVALID: owner does not own it; SHM_AGAIN: the word has moved TEAM_TRIES times.
 */
static int give(struct shm_team *team, uint32_t index, uint32_t owner, bool died)
{
	struct team_section *section = &team_header(team)->sections[index];
	uint64_t seen = load64_acquire(&section->word), bits, desired;
	uint32_t next;
	int tries = 0;

	do {
		if (section_owner(seen) != owner)
			return -ERROR_INVALID;
		if (tries++ == TEAM_TRIES)
			return SHM_AGAIN;
		next = seen & SECTION_WAITERS ? first_waiter(team, index) : 0;
		bits = (next ? SECTION_WAITERS : 0) | (died ? SECTION_DIED : 0);
		desired = section_word(seen, next, bits);
	} while (!cas64(&section->word, &seen, desired));
	if (next) {
		struct team_member *record = team_member(team, next - 1);

		(void)add32(&record->turn, 1);
		(void)shm_futex_wake(&record->turn, 1, WAIT_ANY);
	}
	return 0;
}

/*
 * Somebody may have seen this one wait, before it ended, and be about to give it the section: the word moves, so that he
 * looks again. False: it has moved TEAM_TRIES times itself.
 */
static bool settle_section(struct shm_team *team, uint32_t index, uint32_t owner, bool died)
{
	uint64_t *word = &team_header(team)->sections[index].word, seen = load64_acquire(word);

	for (int tries = 0; tries < TEAM_TRIES; tries++) {
		if (section_owner(seen) == owner)
			return give(team, index, owner, died) != SHM_AGAIN;
		if (section_owner(seen) == 0 ||
		    cas64(word, &seen,
			  section_word(seen, section_owner(seen), seen & (SECTION_WAITERS | SECTION_DIED))))
			return true;
	}
	return false;
}

bool team_settle_sections(struct shm_team *team, uint32_t id, bool died)
{
	bool settled = true;

	(void)exchange64(&team_member(team, id)->waits, 0);
	for (uint32_t i = 0; i < TEAM_SECTIONS; i++)
		settled &= settle_section(team, i, id + 1, died);
	return settled;
}

/* ---- entering ---- */

/* Free: it is ours. bits: SECTION_WAITERS when others may wait as well. *seen is what is there now. */
static bool take_free(struct shm_teammate *member, uint64_t *word, uint64_t *seen, uint64_t bits, bool *died)
{
	uint64_t found = *seen;

	if (section_owner(found) != 0)
		return false;
	*died = found & SECTION_DIED;
	return cas64(word, seen, section_word(found, member->id + 1, bits | (found & SECTION_WAITERS)));
}

/*
 * No longer waits. The word moves, so that who was about to give the section to this member looks again. True: it has been
 * given already.
 */
static bool stop_waiting(struct shm_teammate *member, uint64_t *word)
{
	uint64_t seen;

	(void)exchange64(&member->record->waits, 0);
	seen = load64_acquire(word);
	do {
		if (section_owner(seen) == member->id + 1)
			return true;
	} while (!cas64(word, &seen, section_word(seen, section_owner(seen), seen & (SECTION_WAITERS | SECTION_DIED))));
	return false;
}

/* Owner by being given: the word may say that the owner before died, which is said no more afterwards. */
static void accept(struct shm_teammate *member, uint64_t *word, bool *died)
{
	uint64_t seen = load64_acquire(word);

	*died = seen & SECTION_DIED;
	while (!cas64(word, &seen, section_word(seen, member->id + 1, seen & SECTION_WAITERS)))
		continue;
}

/* In line, with a ticket. 0: it is ours. */
static int queue(struct shm_teammate *member, uint64_t *word, bool *died, const struct team_call *call)
{
	uint32_t *turn = &member->record->turn, before;
	uint64_t seen;
	int r;

	for (;;) {
		before = load32_acquire(turn);
		seen = load64_acquire(word);
		if (section_owner(seen) == member->id + 1) {
			accept(member, word, died);
			return 0;
		}
		if (section_owner(seen) == 0) {
			if (take_free(member, word, &seen, SECTION_WAITERS, died))
				return 0;
			continue;
		}
		/* The word moves in any case: who is about to leave has looked for waiters before this one was there. */
		if (!cas64(word, &seen, section_word(seen, section_owner(seen), SECTION_WAITERS | (seen & SECTION_DIED))))
			continue;
		r = team_sleep(member, turn, before, call);
		if (r < 0)
			return r;
	}
}

int shm_section_enter(struct shm_teammate *member, uint32_t index, bool *died, const struct team_call *call)
{
	struct team_section *section = &team_header(member->team)->sections[index];
	uint64_t seen = load64_acquire(&section->word), ticket;
	int r;

	if (section_owner(seen) == member->id + 1)
		return -ERROR_DEADLOCK;
	if (take_free(member, &section->word, &seen, 0, died))
		return 0;
	if (call->deadline != 0 && team_spin(member, &section->word, seen, 0xfff)) {
		seen = load64_acquire(&section->word);
		if (take_free(member, &section->word, &seen, 0, died))
			return 0;
	}
	ticket = add64(&section->tickets, 1);
	(void)exchange64(&member->record->waits, waits_word(ticket, index));
	r = queue(member, &section->word, died, call);
	shm_cancel_end(call->cancel);
	if (r == 0) {
		(void)exchange64(&member->record->waits, 0);
	} else if (stop_waiting(member, &section->word)) {
		accept(member, &section->word, died);
		r = 0;
	}
	return r;
}

int shm_section_leave(struct shm_teammate *member, uint32_t index)
{
	int r;

	do
		r = give(member->team, index, member->id + 1, false);
	while (r == SHM_AGAIN);
	return r;
}
