/* Stepping and judging: see explore.h. */
#include "tests/kill/explore.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "shm/recover.h"
#include "tests/kill/recovery.h"

#define STEPS_MOST     3000000u
#define PAYLOAD_EVERY  256u /* steps between looks at the storage area's bytes, when nothing else changes */
#define FIRST_TRIED    12u  /* images of one instruction that are all tried */
#define FAILURES_SHOWN 3u
#define TRIED_ROOM     8192u

bool explore_all;
uint64_t explore_seed;

uint64_t explore_random(uint64_t n)
{
	uint64_t z = explore_seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (z ^ (z >> 31)) % n;
}

static void report(struct explore *explore, const char *problem)
{
	char place[128];

	if (++explore->failures > FAILURES_SHOWN)
		return;
	tracee_describe(&explore->tracee, tracee_address(&explore->tracee), place, sizeof(place));
	printf("FAIL %s: image %" PRIu64 ", step %" PRIu64 ", before %s: %s\n", explore->name,
	       explore->images, explore->tracee.steps, place, problem);
}

/* The first dozen images of an instruction, then ever fewer. */
static bool worth_trying(struct explore *explore)
{
	uint64_t address = tracee_address(&explore->tracee);
	uint32_t *count = &explore->tried[(address * UINT64_C(0x9e3779b97f4a7c15) >> 40) % TRIED_ROOM];

	(*count)++;
	return explore_all || *count <= FIRST_TRIED || explore_random(*count / 4) == 0;
}

/* ---- contents along the way ---- */

static struct moment *last_moment(struct explore *explore)
{
	return explore->moment_count ? &explore->moments[explore->moment_count - 1] : NULL;
}

static void note_contents(struct explore *explore, const struct contents *contents)
{
	struct moment *last = last_moment(explore);

	if (last && last->second == explore->interfered && contents_equal(&last->contents, contents)) {
		last->last = explore->images;
		return;
	}
	if (explore->moment_count == explore->moment_room) {
		explore->moment_room = explore->moment_room ? explore->moment_room * 2 : 8;
		explore->moments =
			reallocarray(explore->moments, explore->moment_room, sizeof(*explore->moments));
		if (!explore->moments)
			abort();
	}
	struct moment *moment = &explore->moments[explore->moment_count++];
	*moment = (struct moment){
		.image = explore->images, .last = explore->images, .second = explore->interfered};
	contents_copy(&moment->contents, contents);
	tracee_describe(&explore->tracee, tracee_address(&explore->tracee), moment->place,
			sizeof(moment->place));
}

/* ---- one image ---- */

/* Everything that a kill would leave dead must be known to the kernel. */
static void check_robust(struct explore *explore)
{
	unsigned held = judge_words_held(&explore->watch.seg, explore->tracee.pid);
	int known = held ? tracee_robust_words(&explore->tracee) : 0;
	char problem[120];

	if (known < 0 || (unsigned)known < held) {
		(void)snprintf(problem, sizeof(problem),
			       "%u lock words are held, of which the kernel would find %d", held, known);
		report(explore, problem);
	}
}

/* The last image without the other's operation. */
static void note_alone(struct explore *explore)
{
	replica_load(&explore->replica, &explore->watch);
	judge_bury(&explore->replica.seg, explore->tracee.pid);
	if (explore->dead_too)
		judge_bury(&explore->replica.seg, explore->dead_too);
	if (contents_read(&explore->alone, &explore->replica.seg, explore->with_index) < 0)
		report(explore, "the heap cannot be read at the end");
}

static void try_image(struct explore *explore)
{
	struct judge judge = {
		.replica = &explore->replica,
		.dead = explore->tracee.pid,
		.dead_too = explore->dead_too,
		.one_by_one = explore->images / 2 % 2,
		.with_session = explore->images % 2,
		.with_index = explore->with_index,
		.next_daemon = explore->daemon,
		.meanwhile = explore->meanwhile,
		.argument = explore->argument,
	};

	explore->judged++;
	replica_load(&explore->replica, &explore->watch);
	if (!judge_image(&judge))
		report(explore, judge.problem);
	else
		note_contents(explore, &judge.contents);
	contents_free(&judge.contents);
}

static void on_image(struct explore *explore)
{
	explore->images++;
	check_robust(explore);
	try_image(explore);
	if (explore->recoveries && (explore_all || explore_random(4) == 0)) {
		explore->recoveries -= !explore_all;
		explore->recovery_images += recovery_explore(explore);
	}
	if (explore->interfere && !explore->interfered && explore->images >= explore->interfere_at) {
		explore->interfere(explore->interfere_argument);
		explore->interfered = true;
		(void)watch_changed(&explore->watch, true);
		(void)watch_is_new(&explore->watch);
		explore->images++;
		try_image(explore);
	}
}

/* ---- the whole way ---- */

/* Contents that neither begin nor end the series, but are right. */
static bool came_first(const struct explore *explore, const struct moment *moment)
{
	return explore->may_come_first && contents_equal(&moment->contents, &explore->alone);
}

static void check_atomic(struct explore *explore)
{
	size_t changes = 0, last = 0;

	for (size_t i = 1; i < explore->moment_count; i++) {
		const struct moment *moment = &explore->moments[i], *before = &explore->moments[last];

		if (came_first(explore, moment) && i + 1 < explore->moment_count)
			continue;
		changes += moment->second == before->second &&
			   !contents_equal(&moment->contents, &before->contents);
		last = i;
	}
	/* With an interference the other's change lies between, and does not count. */
	if (changes <= 1)
		return;
	explore->failures++;
	printf("FAIL %s: not atomic: contents change %zu times\n", explore->name, changes);
	for (size_t i = 0; i < explore->moment_count && i < 6; i++) {
		struct moment *moment = &explore->moments[i];

		printf("    images %" PRIu64 "-%" PRIu64 ", before %s\n", moment->image, moment->last,
		       moment->place);
		if (i > 0)
			contents_print_difference(&moment[-1].contents, &moment->contents);
	}
}

static void check_mixed(struct explore *explore)
{
	const struct moment *first = explore->moments, *last = last_moment(explore);

	for (size_t i = 1; i + 1 < explore->moment_count; i++)
		if (!contents_between(&explore->moments[i].contents, &first->contents, &last->contents)) {
			explore->failures++;
			printf("FAIL %s: image %" PRIu64
			       ", before %s: an element is neither as before nor as "
			       "after\n",
			       explore->name, explore->moments[i].image, explore->moments[i].place);
			contents_print_difference(&first->contents, &explore->moments[i].contents);
			return;
		}
}

bool explore_changed(const struct explore *explore)
{
	return explore->moment_count > 1 &&
	       !contents_equal(&explore->moments[0].contents,
			       &explore->moments[explore->moment_count - 1].contents);
}

static int step_through(struct explore *explore)
{
	int r;

	try_image(explore); /* before the first instruction */
	while ((r = tracee_step(&explore->tracee)) > 0) {
		bool payload = explore_all || explore->tracee.steps % PAYLOAD_EVERY == 0;

		if (watch_changed(&explore->watch, payload) && watch_is_new(&explore->watch)) {
			if (worth_trying(explore))
				on_image(explore);
			else
				explore->images++;
		} else if (explore->robust_steps) {
			check_robust(explore);
		}
		if (explore->tracee.steps > STEPS_MOST) {
			report(explore, "it does not end");
			return -1;
		}
	}
	if (r < 0) {
		report(explore, "the child died or stopped by itself");
		return -1;
	}
	explore->result = explore->tracee.control->result;
	(void)watch_changed(&explore->watch, true);
	try_image(explore);
	if (explore->may_come_first)
		note_alone(explore);
	return 0;
}

int explore_run(struct explore *explore, int fd)
{
	int r = -1;

	explore->tried = calloc(TRIED_ROOM, sizeof(*explore->tried));
	if (explore->tried && watch_init(&explore->watch, fd) == 0 &&
	    replica_init(&explore->replica, &explore->watch) == 0)
		r = step_through(explore);
	explore->steps = explore->tracee.steps;
	tracee_kill(&explore->tracee);
	if (r == 0 && explore->promise == ATOMIC)
		check_atomic(explore);
	else if (r == 0 && explore->promise == MIXED)
		check_mixed(explore);
	if (r < 0 && explore->failures == 0)
		explore->failures++;
	return r;
}

void explore_free(struct explore *explore)
{
	for (size_t i = 0; i < explore->moment_count; i++)
		contents_free(&explore->moments[i].contents);
	contents_free(&explore->alone);
	free(explore->moments);
	free(explore->tried);
	if (explore->watch.pages)
		watch_fini(&explore->watch);
	if (explore->replica.seg.base)
		replica_fini(&explore->replica);
	explore->moments = NULL;
	explore->tried = NULL;
	explore->moment_count = explore->moment_room = 0;
}
