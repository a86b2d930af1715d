/*
 * teams.h: kill images of teams. A team's segment is not a heap's, so these have a program of their own (teams.c); the
 * stepper is the heaps' (tracee.h).
 *
 *      the child      member 1; does one operation under the stepper
 *      the survivor   member 0, another process: has gone where the case wants it, and is stopped there, perhaps asleep
 *      the third      member 2 of some cases, which has left or died before
 *
 * Each image of the segment is copied to a replica. There the child's lock is marked as the kernel would, the dead is
 * taken out, and the survivor's handle, as its process has it, goes on: it is told, or not, as it must be, and the team
 * works on.
 */
#ifndef TESTS_KILL_TEAMS_H
#define TESTS_KILL_TEAMS_H

#include "shm/team.h"
#include "shm/team_loop.h"
#include "shm/team_section.h"
#include "tests/kill/tracee.h"

#define ITERATIONS  12
#define CHUNK	    3
#define LOCKS_MOST  4u
#define SECTION_NAME "the section"

/* Where the survivor is. The last three sleep there. */
enum place {
	NOWHERE, /* there is none: the child joins alone */
	OUTSIDE,
	IN_SECTION,
	IN_CHUNK, /* of the loop */
	AT_JOIN,
	AT_BARRIER,
	AT_SECTION, /* which the child is in */
	AT_LOOP,    /* at the end of it, having done all but what the child has */
};

enum third { NO_THIRD, THIRD_LEFT, THIRD_DEAD };

/* What the survivor does while the child is in the middle, before the death. */
enum meanwhile { NOTHING, PASSES_BARRIER, TAKES_CHUNK, LEAVES_SECTION, TAKES_SINGLE };

/* Shared by all processes of a case. */
struct stage {
	struct shm_teammate survivor;
	struct shm_loop loop; /* the survivor's */
	volatile bool survivor_ready, child_ready, third_ready, failed;
	volatile uint8_t done[ITERATIONS]; /* by whom: 1 child, 2 survivor, 4 third */
	volatile int64_t first, last;	   /* the survivor's chunk, when it is in one */
};

struct actor {
	struct stage *stage;
	struct shm_team team;
	struct shm_teammate member;
	struct shm_loop loop;
	const struct team_case *play;
};

struct team_case {
	const char *name;
	const char *functions; /* of libems, that are these operations; separated by spaces */
	int (*prepare)(struct actor *child);
	int (*operate)(struct actor *child);
	enum place place;
	enum meanwhile meanwhile;
	enum third third;
	enum team_schedule schedule;
};

extern const struct team_case team_cases[];
extern const size_t team_case_count;

static const struct team_call at_once = {.deadline = 0};

/* One image: everything before the locks, and the locks. */
struct image {
	uint8_t *bytes;
	size_t size;
	uint32_t locks[LOCKS_MOST];
};

void image_new(struct image *image, const struct shm_team *team);
void image_free(struct image *image);
/* Takes the team's memory over. False: it is the same as before. */
bool image_take(struct image *image, const struct shm_team *team);
void image_copy(struct image *to, const struct image *from);
void image_load(const struct image *image, struct shm_team *team);
/* The kernel's part of a death. */
void team_bury(struct shm_team *team, pid_t tid);
/* How many locks this thread holds. */
int team_locks_held(const struct shm_team *team, pid_t tid);

/* A case being played. */
struct production {
	const struct team_case *play;
	bool elastic;
	struct stage *stage;
	struct shm_team team; /* the original */
	int fd;
	pid_t survivor, third;
	struct tracee child;
	struct shm_teammate member; /* the survivor's, as it was when the child began */
	struct shm_loop loop;
	struct shm_team replica, second; /* for the child's images, for those of recovery */
	int replica_fd, second_fd;
	uint64_t images, recovery_images, failures;
};

/* The processes. 0, or -1 after a line on what went wrong; actors_end in either case. */
int actors_start(struct production *production);
void actors_end(struct production *production);

/*
 * The image is in team: buries the child there, and also_dead (0: nobody else), takes the dead out, and looks whether all is
 * as it must be. meanwhile: the survivor does what the case says before that. False: problem says why.
 */
bool team_judge(const struct production *production, struct shm_team *team, pid_t also_dead, bool meanwhile,
		char *problem, size_t size);
/* The same when the survivor dies as well: all are out, and each death is reported as one. */
bool team_judge_all(const struct production *production, struct shm_team *team, pid_t also_dead, char *problem,
		    size_t size);

#endif
