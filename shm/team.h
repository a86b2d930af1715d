/*
 * Teams: a set of threads of any processes that take part in barriers, sections and loops together.
 *
 * A member is a thread. It holds the robust lock of its place as long as it takes part: when it ends in whatever
 * way, the kernel marks the lock and wakes a sleeper on it. Every member that sleeps here sleeps on the locks
 * of all the others, too; so if anybody sleeps, somebody learns of each death, and if that one dies as well,
 * another one does. Who finds a dead lock takes the dead member out (shm_team_recover): no daemon is needed.
 *
 * Barriers (model: tests/model/barrier.pml). The state is one 16-byte cell: epoch, broken or not, how many have
 * arrived, how many must. The truth of who has arrived is one word in each member's record; the count may be
 * too high, and only says when it is worth looking. A barrier is passed when the epoch moves on.
 *
 * A death breaks a team that is not elastic: everybody learns of it once (-ERROR_BROKEN), and who has learned of
 * it says so in its record; the last one opens the team again, with those that are left. In an elastic team the
 * dead member simply no longer counts.
 *
 * Sections, singles and loops are in shm/team_section.h and shm/team_loop.h.
 *
 * A handle (struct shm_teammate) is used by one thread at a time, and the thread that joined must leave.
 */
#ifndef EMS_SHM_TEAM_H
#define EMS_SHM_TEAM_H

#include "shm/cancel.h"
#include "shm/robust.h"
#include "shm/team_layout.h"

/* The segment of a team, mapped. */
struct shm_team {
	uint8_t *base;
	struct team_layout layout; /* computed here, never read from the mapping */
};

/* How long to wait, and who may end it. */
struct team_call {
	uint64_t deadline;	   /* base/clock.h: CLOCK_NEVER, or 0 for not at all */
	struct shm_cancel *cancel; /* may be NULL; as of a session: shm/cancel.h */
};

#define TEAM_ANY UINT32_MAX

struct shm_teammate {
	struct shm_team *team;
	struct team_member *record;
	uint32_t id;
	struct shm_robust lock;
	uint32_t spin;	       /* how long spinning has paid lately */
	uint32_t told;	       /* as in the record */
	uint32_t single_epoch; /* in which … */
	uint32_t singles;      /* … so many singles have come by */
	uint32_t loops;	       /* it is in so many loops, one inside the other */
	bool in_loop;	       /* the outermost is not over: until then it cannot be at another barrier */
	uint64_t try;	       /* of taking a chunk */
};

/* A new segment: memory file, header. *fd is the caller's to close; team is mapped. */
int shm_team_create(struct shm_team *team, const struct team_params *params, const uint8_t team_id[16], int *fd);
/* Maps one that came from elsewhere; fd is not consumed. Distrusts it: -ERROR_CORRUPT, -ERROR_VERSION. */
int shm_team_map(struct shm_team *team, int fd, const struct team_params *params);
void shm_team_unmap(struct shm_team *team);

/*
 * Takes a place, and waits until all places are taken. id: which, or TEAM_ANY. client: the daemon's number, or 0.
 * -ERROR_BUSY: that place is taken. -ERROR_FULL: all are, and the team is whole. -ERROR_DROPPED: this team has formed
 * once and has lost somebody since, or broke before it formed: a new one is wanted. -ERROR_BROKEN: somebody who had
 * joined died before all were there. -ERROR_TIMEOUT, -ERROR_CANCELLED, -ERROR_INTERRUPTED: the place is free again.
 */
int shm_team_join(struct shm_teammate *member, struct shm_team *team, uint32_t id, uint64_t client,
		  const struct team_call *call);
/*
 * Takes part no longer: barriers count without this member from now on. Gives up its sections. Must be called by
 * the thread that joined.
 */
void shm_team_leave(struct shm_teammate *member);

/*
 * Waits until all members have called it. 0; -ERROR_BROKEN: a member died (not told before to this one); the call had no
 * effect otherwise. -ERROR_TIMEOUT, -ERROR_CANCELLED, -ERROR_INTERRUPTED: the arrival is withdrawn. With the deadline 0:
 * passes if this was the last one to arrive. -ERROR_DEADLOCK: inside a loop, at whose end all wait for this member.
 */
int shm_team_barrier(struct shm_teammate *member, const struct team_call *call);
/* *mine: this member is the first to come to this single, in order since the last barrier. -ERROR_BROKEN and so on as above. */
int shm_team_single(struct shm_teammate *member, bool *mine, const struct team_call *call);

/* One of the dead. */
struct team_loss {
	uint32_t id, pid;
	int64_t first, last; /* what it held of a loop; first == last: nothing */
};
/* The which-th death, counted back from the latest (0). -ERROR_NOT_FOUND: there were not so many. */
int shm_team_loss(const struct shm_team *team, uint32_t which, struct team_loss *loss);
/* How many members take part now (of a team that has not formed: shall take part). */
uint32_t shm_team_counted(const struct shm_team *team);

/*
 * Takes out all members whose lock is dead. By anybody who has it mapped, the daemon too. 0; -ERROR_BUSY: somebody else is at it,
 * or somebody changes the words faster than they can be looked at: again, later.
 */
int shm_team_recover(struct shm_team *team);
bool shm_team_recovery_needed(const struct shm_team *team);
/* Joining it makes no sense any more: it broke before it formed, or has lost a member since. */
bool shm_team_is_over(const struct shm_team *team);
/* How many members are there, or on their way in or out; and of these, this client's (the daemon's number). */
uint32_t shm_team_present(const struct shm_team *team);
uint32_t shm_team_members_of(const struct shm_team *team, uint64_t client);
/* For the daemon, which knows by pidfd: marks the locks of this client's members as the kernel would have. How many. */
uint32_t shm_team_declare_dead(struct shm_team *team, uint64_t client);

static inline struct team_header *team_header(const struct shm_team *team)
{
	return (struct team_header *)team->base;
}
/* id < layout.params.size */
static inline struct team_member *team_member(const struct shm_team *team, uint32_t id)
{
	return (struct team_member *)(team->base + team->layout.members) + id;
}
/* index: 0 recovery, id + 1 a member. */
static inline uint32_t *team_lock(const struct shm_team *team, uint32_t index)
{
	return (uint32_t *)(team->base + team->layout.locks + (index + 1) * TEAM_UNIT - 16);
}

#endif
