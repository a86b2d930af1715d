/*
 * kill: kill images. See explore.h and scene.h for what is done, HACKING for how to run it.
 *
 *     kill GROUP…     plays the groups' cases against the emsd of EMS_SOCKET
 *     kill --list     prints the exported functions that have cases
 *
 * EMS_KILL_ALL=1 tries every image, EMS_KILL_ONLY=TEXT only cases with TEXT in the name; EMS_TEST_SEED
 * repeats the random choices of a run.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/macros.h"
#include "tests/kill/groups.h"
#include "tests/kill/scene.h"
#include "tests/kill/values.h"

static const struct {
	const char *name;
	void (*play)(void);
} groups[] = {
	{"supply", group_supply},   {"cells", group_cells},   {"keys", group_keys},
	{"growth", group_growth},   {"others", group_others}, {"pairs", group_pairs},
	{"waiting", group_waiting}, {"queues", group_queues}, {"readers", group_readers},
	{"transactions", group_transactions},
	{"leases", group_leases},
};

static void choose_seed(void)
{
	const char *given = getenv("EMS_TEST_SEED");

	explore_seed = given ? strtoull(given, NULL, 0) : clock_now() ^ (uint64_t)getpid() << 40;
	printf("EMS_TEST_SEED=%" PRIu64 "\n", explore_seed);
}

static bool play_group(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		if (strcmp(groups[i].name, name) == 0) {
			groups[i].play();
			return true;
		}
	fprintf(stderr, "kill: no group %s\n", name);
	return false;
}

/* Containers may forbid it. */
static void nothing(struct control *control, void *argument)
{
	(void)argument;
	control_begin(control);
	control_end(control, 0);
}

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
	bool known = true;

	values_init();
	explore_all = getenv("EMS_KILL_ALL") != NULL;
	if (argc == 2 && strcmp(argv[1], "--list") == 0)
		scene_list_only = true;
	else if (can_trace())
		choose_seed();
	else
		return puts("skipped: processes may not be traced here"), 77;
	for (size_t i = 0; scene_list_only && i < ARRAY_SIZE(groups); i++)
		groups[i].play();
	for (int i = 1; !scene_list_only && i < argc; i++)
		known = play_group(argv[i]) && known;
	if (scene_list_only)
		return 0;
	printf("%" PRIu64 " cases, %" PRIu64 " steps, %" PRIu64 " images, %" PRIu64 " tried, %" PRIu64
	       " of recovery; %" PRIu64 " failures\n",
	       totals.scenes, totals.steps, totals.images, totals.judged, totals.recovery_images,
	       totals.failures);
	return totals.failures || !known || totals.scenes == 0;
}
