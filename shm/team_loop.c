/* Loops of a team: see team_loop.h. */
#include "shm/team_loop.h"

#include "base/error.h"
#include "shm/slot.h"
#include "shm/team_internal.h"

struct range {
	int64_t first, last;
};

/* low and high as of one moment: high is never the same twice. */
static struct pair loop_word(const struct shm_team *team)
{
	const struct pair *word = &team_header(team)->loop;
	struct pair seen;

	do {
		seen.high = load64_acquire(&word->high);
		seen.low = load64_acquire(&word->low);
		fence_acquire();
	} while (load64_relaxed(&word->high) != seen.high);
	return seen;
}

/* ---- names in the record ---- */

/* Says what is about to be taken. A death from here on: recovery looks whether it was. */
static uint64_t name_chunk(struct shm_teammate *member, uint32_t epoch, struct range range, enum chunk_state how,
			   uint32_t peer)
{
	struct team_member *record = member->record;
	uint64_t word = chunk_word(how, peer, ++member->try);

	store64_release(&record->chunk, chunk_word(CHUNK_NONE, 0, member->try));
	store64_relaxed((uint64_t *)&record->first, (uint64_t)range.first);
	store64_relaxed((uint64_t *)&record->last, (uint64_t)range.last);
	store32_relaxed(&record->chunk_epoch, epoch);
	store64_release(&record->chunk, word);
	return word;
}

static void set_chunk(struct shm_teammate *member, enum chunk_state state)
{
	store64_release(&member->record->chunk, chunk_word(state, 0, member->try));
}

/* Sees to it that the last taker's record says that it has the chunk, before the loop's word forgets it. */
static void confirm_last_taker(struct shm_team *team, uint64_t high)
{
	uint32_t taker = loop_taker(high);
	struct team_member *record;
	uint64_t word;

	if (taker == 0 || taker > team->layout.params.size)
		return;
	record = team_member(team, taker - 1);
	word = load64_acquire(&record->chunk);
	if (chunk_state(word) == CHUNK_TRY_LOOP && (chunk_try(word) & LOOP_TRY_MASK) == (high & LOOP_TRY_MASK))
		(void)cas64(&record->chunk, &word, chunk_word(CHUNK_HELD, 0, chunk_try(word)));
}

void team_settle_chunk(struct shm_team *team, uint32_t id)
{
	struct team_member *record = team_member(team, id);
	uint64_t word = load64_acquire(&record->chunk), try = chunk_try(word);
	uint32_t peer = chunk_peer(word);
	bool taken = false;

	if (chunk_state(word) == CHUNK_TRY_LOOP) {
		uint64_t high = load64_acquire(&team_header(team)->loop.high);

		/* If another has taken since, he has confirmed, and the compare-and-swap below fails. */
		taken = loop_epoch(high) == load32_relaxed(&record->chunk_epoch) && loop_taker(high) == id + 1 &&
			(high & LOOP_TRY_MASK) == (try & LOOP_TRY_MASK);
	} else if (chunk_state(word) == CHUNK_TRY_BLOCK && peer < team->layout.params.size) {
		taken = load64_acquire(&team_member(team, peer)->block) ==
			block_word(load32_relaxed(&record->chunk_epoch), id);
	} else if (chunk_state(word) == CHUNK_TRY_ORPHAN && peer < team->layout.params.size) {
		taken = load64_acquire(&team_member(team, peer)->chunk) == chunk_word(CHUNK_GIVEN, id, try);
	} else {
		return;
	}
	(void)cas64(&record->chunk, &word, chunk_word(taken ? CHUNK_HELD : CHUNK_NONE, 0, try));
}

/* ---- the shares of a static loop ---- */

/* An equal part for each place; the first ones are longer by one when it does not come out even. */
static struct range share(const struct shm_loop *loop, uint32_t place)
{
	uint64_t size = loop->member->team->layout.params.size;
	uint64_t all = (uint64_t)loop->last - (uint64_t)loop->first, each = all / size, more = all % size;
	uint64_t begin = each * place + MIN((uint64_t)place, more);

	return (struct range){(int64_t)((uint64_t)loop->first + begin),
			      (int64_t)((uint64_t)loop->first + begin + each + (place < more))};
}

static bool take_block(struct shm_loop *loop, uint32_t place, struct range *range)
{
	struct shm_teammate *member = loop->member;
	uint64_t *block = &team_member(member->team, place)->block, seen = load64_acquire(block);

	*range = share(loop, place);
	if (seen >> 32 == loop->epoch)
		return false;
	(void)name_chunk(member, loop->epoch, *range, CHUNK_TRY_BLOCK, place);
	if (!cas64(block, &seen, block_word(loop->epoch, member->id))) { /* takes effect here */
		set_chunk(member, CHUNK_NONE);
		return false;
	}
	set_chunk(member, CHUNK_HELD);
	return range->first != range->last;
}

/* ---- what the gone have left ---- */

static bool has_orphan(const struct shm_team *team, const struct team_member *record, uint32_t epoch)
{
	return chunk_state(load64_acquire(&record->chunk)) == CHUNK_HELD &&
	       load32_relaxed(&record->chunk_epoch) == epoch && team->layout.params.elastic;
}

bool team_has_orphans(const struct shm_team *team, uint32_t epoch)
{
	uint64_t high = load64_acquire(&team_header(team)->loop.high);

	/* The count does not tell: who is leaving, or being taken out, is gone before it is counted anew. */
	if (loop_epoch(high) != epoch)
		return false;
	for (uint32_t id = 0; id < team->layout.params.size; id++) {
		const struct team_member *record = team_member(team, id);

		if (team_is_gone(team, load32_acquire(&record->state)) &&
		    (has_orphan(team, record, epoch) ||
		     (loop_is_static(high) && load64_acquire(&record->block) >> 32 != epoch)))
			return true;
	}
	return false;
}

static bool take_orphan(struct shm_loop *loop, uint32_t place, struct range *range)
{
	struct shm_teammate *member = loop->member;
	struct team_member *record = team_member(member->team, place);
	uint64_t word = load64_acquire(&record->chunk);

	*range = (struct range){(int64_t)load64_relaxed((const uint64_t *)&record->first),
				(int64_t)load64_relaxed((const uint64_t *)&record->last)};
	(void)name_chunk(member, loop->epoch, *range, CHUNK_TRY_ORPHAN, place);
	if (!cas64(&record->chunk, &word, chunk_word(CHUNK_GIVEN, member->id, member->try))) {
		set_chunk(member, CHUNK_NONE);
		return false;
	}
	set_chunk(member, CHUNK_HELD);
	return range->first != range->last;
}

static bool take_left(struct shm_loop *loop, struct range *range)
{
	struct shm_team *team = loop->member->team;

	for (uint32_t id = 0; id < team->layout.params.size; id++) {
		struct team_member *record = team_member(team, id);

		if (!team_is_gone(team, load32_acquire(&record->state)))
			continue;
		if (loop->schedule == TEAM_STATIC && take_block(loop, id, range))
			return true;
		if (has_orphan(team, record, loop->epoch) && take_orphan(loop, id, range))
			return true;
	}
	return false;
}

/* ---- the loop's word ---- */

static uint64_t chunk_size(const struct shm_loop *loop, uint64_t left)
{
	uint64_t size = loop->chunk, members = MAX(shm_team_counted(loop->member->team), 1u);

	if (loop->schedule == TEAM_GUIDED)
		size = MAX(size, left / (2 * members));
	return MIN(size, left);
}

static bool take_next(struct shm_loop *loop, struct range *range)
{
	struct shm_teammate *member = loop->member;
	struct shm_team *team = member->team;
	struct pair seen = loop_word(team);

	while (loop_epoch(seen.high) == loop->epoch && (int64_t)seen.low < loop->last) {
		uint64_t left = (uint64_t)loop->last - seen.low, end = seen.low + chunk_size(loop, left);

		confirm_last_taker(team, seen.high);
		*range = (struct range){(int64_t)seen.low, (int64_t)end};
		(void)name_chunk(member, loop->epoch, *range, CHUNK_TRY_LOOP, 0);
		if (cas_pair(&team_header(team)->loop, &seen,
			     (struct pair){end, loop_high(loop->epoch, false, member->id + 1, member->try)})) {
			/* Taken by that. Another may have confirmed it meanwhile, which says the same. */
			set_chunk(member, CHUNK_HELD);
			return true;
		}
		set_chunk(member, CHUNK_NONE);
	}
	return false;
}

/* ---- begin, next, end ---- */

/* The first to come makes the loop's word. */
static int start(const struct shm_loop *loop)
{
	bool is_static = loop->schedule == TEAM_STATIC;
	struct team_header *header = team_header(loop->member->team);
	struct pair seen = loop_word(loop->member->team);

	while (loop_epoch(seen.high) != loop->epoch) {
		/* The last taker of the loop before has had it confirmed or has died long since: its epoch has passed. */
		if (cas_pair(&header->loop, &seen,
			     (struct pair){(uint64_t)loop->first, loop_high(loop->epoch, is_static, 0, 0)}))
			return 0;
	}
	return loop_is_static(seen.high) == is_static ? 0 : -ERROR_CONFLICT;
}

int shm_loop_begin(struct shm_loop *loop, struct shm_teammate *member, int64_t first, int64_t last,
		   enum team_schedule schedule, uint64_t chunk, const struct team_call *call)
{
	uint64_t low;
	int r;

	*loop = (struct shm_loop){.member = member,
				  .first = first,
				  .last = first < last ? last : first,
				  .chunk = chunk > 0 ? chunk : 1,
				  .schedule = schedule,
				  .whole = !member || member->loops > 0};
	if (!loop->whole) {
		r = team_begin(member, &low, call);
		if (r < 0)
			return r;
		loop->epoch = state_epoch(low);
		r = start(loop);
		if (r < 0)
			return r;
		member->in_loop = true;
	}
	if (member)
		member->loops++;
	return 0;
}

static int next_whole(struct shm_loop *loop, int64_t *first, int64_t *last)
{
	if (loop->first == loop->last)
		return -ERROR_EMPTY;
	*first = loop->first;
	*last = loop->last;
	loop->first = loop->last;
	return 0;
}

/* The state has moved: the loop is done, or the team broke. */
static int ended(struct shm_loop *loop, uint64_t low)
{
	loop->over = true;
	loop->member->in_loop = false;
	if (state_epoch(low) != loop->epoch)
		return 0;
	(void)team_tell(loop->member, low);
	return -ERROR_BROKEN;
}

static bool take(struct shm_loop *loop, struct range *range)
{
	if (loop->schedule == TEAM_STATIC ? take_block(loop, loop->member->id, range) : take_next(loop, range))
		return true;
	return take_left(loop, range);
}

int shm_loop_next(struct shm_loop *loop, int64_t *first, int64_t *last, const struct team_call *call)
{
	struct shm_teammate *member = loop->member;
	struct range range;
	uint64_t low, seen;
	int r;

	if (loop->whole)
		return next_whole(loop, first, last);
	if (loop->over)
		return -ERROR_EMPTY;
	seen = (uint64_t)loop->epoch << 32; /* open, in this epoch */
	set_chunk(member, CHUNK_NONE);	    /* what it had is done by that */
	for (;;) {
		low = team_low(member->team);
		if (team_moved(low, seen)) {
			r = ended(loop, low);
			return r < 0 ? r : -ERROR_EMPTY;
		}
		if (take(loop, &range)) {
			*first = range.first;
			*last = range.last;
			return 0;
		}
		set_chunk(member, CHUNK_NONE);
		r = team_pass(member, seen, true, call);
		if (r < 0)
			return r;
	}
}

int shm_loop_end(struct shm_loop *loop, const struct team_call *call)
{
	struct shm_teammate *member = loop->member;
	uint64_t seen = (uint64_t)loop->epoch << 32;
	int r = 0;

	if (!loop->whole && !loop->over) {
		set_chunk(member, CHUNK_NONE);
		r = team_pass(member, seen, false, call);
		if (r == -ERROR_TIMEOUT || r == -ERROR_CANCELLED || r == -ERROR_INTERRUPTED)
			return r;
		if (r == 0)
			r = ended(loop, team_low(member->team));
	}
	if (member && member->loops > 0)
		member->loops--;
	if (member && !loop->whole)
		member->in_loop = false;
	loop->over = true;
	return r;
}
