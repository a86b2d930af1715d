/*
 * teams: kill images of teams. See teams.h for what is done.
 *
 *     teams           plays all cases
 *     teams --list    prints the exported functions that have cases
 *
 * EMS_KILL_ONLY=TEXT plays only cases with TEXT in the name, EMS_KILL_ALL=1 steps the recovery of every image, not of some;
 * EMS_TEST_SEED repeats the random choices of a run.
 */
#include <inttypes.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "tests/kill/teams.h"

#define STEPS_MOST     200000u
#define FAILURES_SHOWN 3u
#define RECOVERED_ONE_OF 10u

static const uint8_t team_id[16] = "kill images";
static uint64_t seed;
static bool all;
static struct {
	uint64_t cases, steps, images, recovery_images, failures;
} totals;

static uint64_t choose(uint64_t n)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (seed >> 33) % n;
}

static void report(struct production *production, const struct tracee *tracee, const char *problem)
{
	char place[128];

	if (++production->failures > FAILURES_SHOWN)
		return;
	tracee_describe(tracee, tracee_address(tracee), place, sizeof(place));
	printf("FAIL %s%s: image %" PRIu64 ", step %" PRIu64 "%s, before %s: %s\n", production->play->name,
	       production->elastic ? " (elastic)" : "", production->images, tracee->steps,
	       tracee == &production->child ? "" : " of its recovery", place, problem);
}

typedef void on_image(struct production *production, const struct tracee *tracee, const struct image *image);

/* To the end, with a look at each image of `watched`. */
static int step_through(struct production *production, struct tracee *tracee, const struct shm_team *watched,
			on_image *each)
{
	struct image image;
	int r;

	image_new(&image, watched);
	do {
		if (image_take(&image, watched))
			each(production, tracee, &image);
		r = tracee->steps > STEPS_MOST ? -1 : tracee_step(tracee);
	} while (r > 0);
	if (image_take(&image, watched))
		each(production, tracee, &image);
	image_free(&image);
	totals.steps += tracee->steps;
	if (r == 0 && tracee->control->result == 0)
		return 0;
	report(production, tracee, r < 0 ? "it does not end, or died by itself" : error_text(tracee->control->result));
	return -1;
}

/* ---- one image ---- */

static void judge_one(struct production *production, const struct tracee *tracee, const struct image *image,
		      bool meanwhile)
{
	pid_t also_dead = tracee == &production->child ? 0 : tracee->pid;
	char problem[200];

	image_load(image, &production->replica);
	if (!team_judge(production, &production->replica, also_dead, meanwhile, problem, sizeof(problem)))
		report(production, tracee, problem);
	image_load(image, &production->replica);
	if (!team_judge_all(production, &production->replica, also_dead, problem, sizeof(problem)))
		report(production, tracee, problem);
}

/* All that a kill would leave dead must be known to the kernel, and it must be told to wake those who sleep on it. */
static void check_locks(struct production *production, const struct tracee *tracee, const struct shm_team *watched)
{
	int held = team_locks_held(watched, tracee->pid);
	uint32_t lock = load32_acquire(team_lock(watched, 2));
	bool counts = load32_acquire(&team_member(watched, 1)->state) != MEMBER_ABSENT;

	if (held && tracee_robust_words(tracee) < held)
		report(production, tracee, "a lock is held that the kernel would not find");
	if (counts && (lock & FUTEX_TID_MASK) == (uint32_t)tracee->pid && !(lock & FUTEX_WAITERS))
		report(production, tracee, "the kernel would wake nobody");
}

static void on_recovery_image(struct production *production, const struct tracee *tracee, const struct image *image)
{
	production->recovery_images++;
	check_locks(production, tracee, &production->second);
	judge_one(production, tracee, image, false);
}

static void recoverer(struct control *control, void *argument)
{
	const struct production *production = argument;
	struct team_params params = production->team.layout.params;
	static struct shm_team team;
	int r = shm_team_map(&team, production->second_fd, &params);

	if (r < 0)
		control_fail(control, "mapping the image: %s", error_text(r));
	control_begin(control);
	control_end(control, shm_team_recover(&team));
}

/* The recovery of this image is stepped as well, and killed at each of its own. */
static void step_recovery(struct production *production, const struct image *image)
{
	struct tracee tracee;

	image_load(image, &production->second);
	team_bury(&production->second, production->child.pid);
	if (tracee_start(&tracee, recoverer, production) < 0)
		production->failures++;
	else
		(void)step_through(production, &tracee, &production->second, on_recovery_image);
	tracee_kill(&tracee);
}

static void on_child_image(struct production *production, const struct tracee *tracee, const struct image *image)
{
	production->images++;
	check_locks(production, tracee, &production->team);
	judge_one(production, tracee, image, false);
	if (production->play->meanwhile != NOTHING)
		judge_one(production, tracee, image, true);
	if (all || choose(RECOVERED_ONE_OF) == 0)
		step_recovery(production, image);
}

/* ---- a case ---- */

static int make_teams(struct production *production)
{
	struct team_params params = {.size = production->play->third ? 3 : 2, .elastic = production->elastic};
	int r = shm_team_create(&production->team, &params, team_id, &production->fd);

	if (r == 0)
		r = shm_team_create(&production->replica, &params, team_id, &production->replica_fd);
	if (r == 0)
		r = shm_team_create(&production->second, &params, team_id, &production->second_fd);
	if (r < 0)
		printf("no team can be made: %s\n", error_text(r));
	return r;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		(void)close(fd);
}

static void clear_away(struct production *production)
{
	actors_end(production);
	shm_team_unmap(&production->team);
	shm_team_unmap(&production->replica);
	shm_team_unmap(&production->second);
	close_fd(production->fd);
	close_fd(production->replica_fd);
	close_fd(production->second_fd);
	(void)munmap(production->stage, sizeof(*production->stage));
}

static void play(const struct team_case *play, bool elastic)
{
	struct production production = {.play = play,
					.elastic = elastic,
					.stage = shared_memory(sizeof(struct stage)),
					.fd = -1,
					.replica_fd = -1,
					.second_fd = -1};

	if (make_teams(&production) < 0 || actors_start(&production) < 0)
		production.failures++;
	else
		(void)step_through(&production, &production.child, &production.team, on_child_image);
	printf("%s%s: %" PRIu64 " images, %" PRIu64 " of recovery%s\n", play->name, elastic ? " (elastic)" : "",
	       production.images, production.recovery_images, production.failures ? ": FAILED" : "");
	totals.cases++;
	totals.images += production.images;
	totals.recovery_images += production.recovery_images;
	totals.failures += production.failures;
	clear_away(&production);
}

static void play_all(void)
{
	const char *only = getenv("EMS_KILL_ONLY");

	for (size_t i = 0; i < team_case_count; i++)
		for (int elastic = 0; elastic < 2; elastic++)
			if ((!only || strstr(team_cases[i].name, only)) &&
			    (elastic || team_cases[i].third != THIRD_DEAD)) /* else it is broken before */
				play(&team_cases[i], elastic);
}

static int list(void)
{
	for (size_t i = 0; i < team_case_count; i++)
		for (const char *at = team_cases[i].functions; *at; at += strspn(at, " ")) {
			size_t length = strcspn(at, " ");

			printf("%.*s\n", (int)length, at);
			at += length;
		}
	return 0;
}

static void nothing(struct control *control, void *argument)
{
	(void)argument;
	control_begin(control);
	control_end(control, 0);
}

/* Containers may forbid it. */
static bool can_trace(void)
{
	struct tracee tracee;
	bool can = tracee_start(&tracee, nothing, NULL) == 0;

	while (can && tracee_step(&tracee) > 0)
		continue;
	can = can && tracee.control->phase == 2;
	tracee_kill(&tracee);
	return can;
}

int main(int argc, char **argv)
{
	const char *given = getenv("EMS_TEST_SEED");

	if (argc == 2 && strcmp(argv[1], "--list") == 0)
		return list();
	if (!can_trace())
		return puts("skipped: processes may not be traced here"), 77;
	all = getenv("EMS_KILL_ALL") != NULL;
	seed = given ? strtoull(given, NULL, 0) : clock_now() ^ (uint64_t)getpid() << 40;
	printf("EMS_TEST_SEED=%" PRIu64 "\n", seed);
	play_all();
	printf("%" PRIu64 " cases, %" PRIu64 " steps, %" PRIu64 " images, %" PRIu64 " of recovery; %" PRIu64 " failures\n",
	       totals.cases, totals.steps, totals.images, totals.recovery_images, totals.failures);
	return totals.failures || totals.cases == 0;
}
