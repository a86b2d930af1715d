/*
 * Loops of a team (model: tests/model/loop.pml).
 *
 * A loop lasts from one barrier to the next, so the epoch tells which loop is meant. Dynamic and guided loops have one
 * 16-byte word: the next iteration, and who took the last chunk, with the number of its try. A static loop gives the place
 * of each member an equal share, taken by a word in the place's record.
 *
 * A member names the chunk that it wants in its record before it takes it. Before the loop's word moves on again, the
 * next taker sees to it that the record of the last one says HELD, so that it can be told after a death whether the chunk was
 * taken. What a dead member of an elastic team held, and the share of a place whose member is gone, is taken over
 * by those who wait at the loop's end; that barrier is passed when nothing is left. So a chunk is done once, or, when
 * its holder died, once more.
 */
#ifndef EMS_SHM_TEAM_LOOP_H
#define EMS_SHM_TEAM_LOOP_H

#include "shm/team.h"

enum team_schedule { TEAM_GUIDED = 0, TEAM_DYNAMIC = 1, TEAM_STATIC = 2 };

struct shm_loop {
	struct shm_teammate *member; /* NULL: outside of a team */
	int64_t first, last;	   /* what is left, when the caller runs it whole */
	uint64_t chunk;		   /* least size of a chunk (guided), or its size (dynamic); at least 1 */
	enum team_schedule schedule;
	uint32_t epoch;
	bool whole; /* nested, or outside of a team */
	bool over;
};

/*
 * Begins a loop over [first, last). Everybody in the team begins the same one, or, inside another loop or with member NULL,
 * the caller alone has it all. Errors as of shm_team_barrier; -ERROR_CONFLICT: the others have begun one of another kind.
 */
int shm_loop_begin(struct shm_loop *loop, struct shm_teammate *member, int64_t first, int64_t last,
		   enum team_schedule schedule, uint64_t chunk, const struct team_call *call);
/*
 * The next chunk, [*first, *last), never empty; the one before is done by that. -ERROR_EMPTY: all have done everything:
 * the barrier at its end is passed. -ERROR_BROKEN, and the errors of a wait: it may be called again after the latter.
 */
int shm_loop_next(struct shm_loop *loop, int64_t *first, int64_t *last, const struct team_call *call);
/*
 * Waits at the barrier at its end unless it is passed; does no more of it. For a loop that is broken: nothing. Its errors
 * are those of the barrier, and it may be called again after a TIMEOUT, CANCELLED or INTERRUPTED; after anything else the loop has ended.
 */
int shm_loop_end(struct shm_loop *loop, const struct team_call *call);

#endif
