/*
 * A transaction over two heaps, killed at every instruction: each image of both memories is recovered, in either
 * order, by who has both heaps and by who has only one at first. Both heaps end before or after, and both alike.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "shm/check.h"
#include "shm/recover.h"
#include "tests/kill/explore.h"
#include "tests/kill/groups.h"
#include "tests/kill/scene.h"
#include "tests/kill/values.h"

#define HEAPS	      2
#define FAILURES_MOST 3
#define PAYLOAD_EVERY 256u

struct twins {
	struct explore explore; /* for its numbers, and the tracee */
	int fds[HEAPS];
	struct watch watches[HEAPS];
	struct replica replicas[HEAPS];
	struct contents last[HEAPS];
	unsigned changes;
	bool known; /* last is filled in */
};

struct play {
	enum kind old, new;
	bool commit;
	char names[HEAPS][64];
};

/* ---- the child ---- */

static ems_heap_t *child_heaps[HEAPS];

static int prepare(const struct play *play)
{
	ems_value_t old = value_old(play->old, false), number = ems_value_integer(12);
	ems_connection_t *connection;
	int r = ems_connect(&connection, NULL);

	for (int i = 0; i < HEAPS && r == 0; i++) {
		r = ems_heap_open(connection, play->names[i], EMS_CREATE,
				  &(ems_heap_options_t){.elements = 16, .storage = 4 << 20, .until_detached = true},
				  &child_heaps[i]);
		if (r == 0)
			r = ems_write(child_heaps[i], ems_index(3), &old);
		if (r == 0)
			r = ems_write(child_heaps[i], ems_index(4), &number);
	}
	return r;
}

static int operate(const struct play *play)
{
	ems_transaction_element_t set[2 * HEAPS];
	ems_value_t value = value_new(play->new, false), number = ems_value_integer(13);
	ems_transaction_t *transaction;
	int r;

	for (int i = 0; i < 2 * HEAPS; i++)
		set[i] = (ems_transaction_element_t){child_heaps[i % 2], ems_index(3 + i / 2), false};
	r = ems_transaction_begin(set, 2 * HEAPS, &transaction);
	for (size_t i = 0; i < 2 * HEAPS && r == 0; i++)
		r = ems_transaction_write(transaction, i, i < 2 ? &value : &number);
	if (r < 0)
		return r;
	return play->commit ? ems_transaction_commit(transaction) : ems_transaction_abort(transaction);
}

static void body(struct control *control, void *argument)
{
	const struct play *play = argument;

	if (prepare(play) < 0)
		control_fail(control, "preparing: %s", ems_last_error()->message);
	control_begin(control);
	control_end(control, operate(play));
}

/* ---- one image of both ---- */

static int visit(void *context, const uint8_t heap_id[16], shm_neighbour_look *look, void *arg)
{
	struct twins *twins = context;

	for (int i = 0; i < HEAPS; i++)
		if (memcmp(shm_header(&twins->replicas[i].seg)->heap_id, heap_id, 16) == 0)
			return look(&twins->replicas[i].seg, arg);
	return -ERROR_NOT_FOUND;
}

static const struct shm_neighbours all = {.visit = visit};

static void fails(struct twins *twins, const char *what)
{
	char place[128];

	if (++twins->explore.failures > FAILURES_MOST)
		return;
	tracee_describe(&twins->explore.tracee, tracee_address(&twins->explore.tracee), place, sizeof(place));
	printf("FAIL %s: image %" PRIu64 ", before %s: %s\n", twins->explore.name, twins->explore.images, place, what);
}

static void print_problem(void *arg, const char *text)
{
	struct twins *twins = arg;

	if (twins->explore.failures < FAILURES_MOST)
		printf("    %s\n", text);
}

static bool recover(struct twins *twins, int which, bool with_session)
{
	struct shm_segment *seg = &twins->replicas[which].seg;
	struct shm_recovery recovery = {0};
	struct shm_session session;
	int r;

	if (!with_session) {
		r = shm_recover(seg, NULL, &recovery);
	} else {
		r = shm_session_open(&session, seg, 0);
		if (r == 0) {
			r = shm_recover(seg, &session, &recovery);
			shm_session_close(&session);
		}
	}
	return r == 0 && recovery.corrupt == 0;
}

/* Somebody who has only one of the heaps does what he can; then they are recovered in this order. */
static bool recover_both(struct twins *twins, int first, bool alone, bool with_session)
{
	bool done = true;

	for (int i = 0; i < HEAPS; i++) {
		replica_load(&twins->replicas[i], &twins->watches[i]);
		judge_bury(&twins->replicas[i].seg, twins->explore.tracee.pid);
		twins->replicas[i].seg.neighbours = alone ? NULL : &all;
		twins->replicas[i].seg.neighbours_context = twins;
	}
	if (alone)
		done = recover(twins, first, with_session);
	for (int i = 0; i < HEAPS; i++)
		twins->replicas[i].seg.neighbours = &all;
	return done && recover(twins, first, with_session) && recover(twins, !first, with_session) &&
	       recover(twins, first, with_session);
}

static bool checks(struct twins *twins)
{
	for (int i = 0; i < HEAPS; i++) {
		struct shm_check check = {.quiet = true, .problem = print_problem, .arg = twins};

		if (shm_check(&twins->replicas[i].seg, &check) < 0 || check.problems)
			return false;
	}
	return true;
}

/* Both change at once, and once. */
static void note(struct twins *twins)
{
	struct contents now[HEAPS] = {{0}};
	bool same[HEAPS];

	for (int i = 0; i < HEAPS; i++) {
		if (contents_read(&now[i], &twins->replicas[i].seg, true) < 0)
			fails(twins, "a recovered heap cannot be read");
		same[i] = !twins->known || contents_equal(&now[i], &twins->last[i]);
	}
	if (same[0] != same[1])
		fails(twins, "one heap is as before, the other one as after");
	if (!same[0] && ++twins->changes > 1)
		fails(twins, "contents change more than once");
	for (int i = 0; i < HEAPS; i++) {
		contents_copy(&twins->last[i], &now[i]);
		contents_free(&now[i]);
	}
	twins->known = true;
}

static void try_image(struct twins *twins)
{
	uint64_t way = twins->explore.judged++;

	if (!recover_both(twins, way % 2, way / 2 % 2, way / 4 % 2))
		fails(twins, "recovery fails");
	else if (!checks(twins))
		fails(twins, "problems after recovery");
	else
		note(twins);
}

/* ---- the whole way ---- */

static bool start(struct twins *twins, struct play *play)
{
	if (tracee_start(&twins->explore.tracee, body, play) < 0)
		return false;
	for (unsigned i = 0; i < HEAPS; i++) {
		twins->fds[i] = scene_heap_fd(twins->explore.tracee.pid, i);
		if (twins->fds[i] < 0 || watch_init(&twins->watches[i], twins->fds[i]) < 0 ||
		    replica_init(&twins->replicas[i], &twins->watches[i]) < 0)
			return false;
	}
	return true;
}

static bool has_new_image(struct twins *twins)
{
	bool payload = twins->explore.tracee.steps % PAYLOAD_EVERY == 0, is_new = false;

	for (int i = 0; i < HEAPS; i++)
		if (watch_changed(&twins->watches[i], payload)) {
			/* The other one's image goes with it. */
			(void)watch_changed(&twins->watches[!i], true);
			is_new |= watch_is_new(&twins->watches[i]);
		}
	return is_new;
}

static void step_through(struct twins *twins)
{
	int r;

	try_image(twins);
	while ((r = tracee_step(&twins->explore.tracee)) > 0)
		if (has_new_image(twins)) {
			twins->explore.images++;
			try_image(twins);
		}
	for (int i = 0; i < HEAPS; i++)
		(void)watch_changed(&twins->watches[i], true);
	try_image(twins);
	if (r < 0 || twins->explore.tracee.control->result != 0)
		fails(twins, "the operation fails");
}

static void end(struct twins *twins)
{
	tracee_kill(&twins->explore.tracee);
	for (int i = 0; i < HEAPS; i++) {
		contents_free(&twins->last[i]);
		if (twins->watches[i].pages)
			watch_fini(&twins->watches[i]);
		if (twins->replicas[i].seg.base)
			replica_fini(&twins->replicas[i]);
		closep(&twins->fds[i]);
	}
}

static void play_pair(enum kind old, enum kind new, bool commit)
{
	static unsigned number;
	struct play play = {.old = old, .new = new, .commit = commit};
	struct twins twins = {.fds = {-1, -1}};
	char name[120];

	(void)snprintf(name, sizeof(name), "%s in two heaps: %s to %s",
		       commit ? "ems_transaction_commit" : "ems_transaction_abort", kind_names[old], kind_names[new]);
	if (scene_skip(NULL, name))
		return;
	twins.explore.name = name;
	number++;
	for (int i = 0; i < HEAPS; i++)
		(void)snprintf(play.names[i], sizeof(play.names[i]), "kill/twins-%d-%u-%d", (int)getpid(), number, i);
	if (start(&twins, &play))
		step_through(&twins);
	else
		fails(&twins, "it does not start");
	if (twins.changes != commit)
		fails(&twins, commit ? "contents have not changed" : "contents have changed");
	twins.explore.steps = twins.explore.tracee.steps;
	totals_add(name, &twins.explore);
	end(&twins);
}

void play_two_heaps(void)
{
	play_pair(SMALL, SMALL, true);
	play_pair(NUMBER, SMALL, true);
	play_pair(SMALL, NUMBER, true);
	play_pair(SMALL, SMALL, false);
	play_pair(PRISTINE, SMALL, true);
}
