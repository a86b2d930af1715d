/* Killing the recoverer: see recovery.h. */
#include "tests/kill/recovery.h"

#include <stdio.h>

#include "base/error.h"
#include "shm/recover.h"

struct patient {
	int fd;
	const struct heap_params *params;
	bool with_session;
};

/* The child: maps the image, and recovers it as the daemon or as a client does. */
static void recoverer(struct control *control, void *argument)
{
	const struct patient *patient = argument;
	struct shm_session session;
	struct shm_segment seg;
	struct shm_recovery recovery;
	int r = shm_segment_map(&seg, patient->fd, patient->params, true);

	if (r < 0)
		control_fail(control, "mapping the image: %s", error_text(r));
	/* Taking a slot meets the dead one, and so recovers, too: that is what is stepped then. */
	control_begin(control);
	if (patient->with_session)
		r = shm_session_open(&session, &seg, 0);
	else
		r = shm_recover(&seg, NULL, &recovery);
	control_end(control, r);
}

uint64_t recovery_explore(struct explore *explore)
{
	struct patient patient = {explore->replica.fd, &explore->watch.seg.layout.params,
				  explore_random(2) == 1};
	char name[200];
	struct explore inner = {.name = name, .with_index = explore->with_index, .promise = ATOMIC};
	uint64_t images;

	(void)snprintf(name, sizeof(name), "%s / recovery of image %llu", explore->name,
		       (unsigned long long)explore->images);
	replica_load(&explore->replica, &explore->watch);
	judge_bury(&explore->replica.seg, explore->tracee.pid);
	if (explore->daemon)
		shm_gate_settle(&explore->replica.seg);
	if (tracee_start(&inner.tracee, recoverer, &patient) < 0) {
		explore->failures++;
		return 0;
	}
	(void)explore_run(&inner, explore->replica.fd);
	if (inner.result < 0) {
		printf("FAIL %s: %s\n", name, error_text(inner.result));
		inner.failures++;
	}
	/* Recovery changes nothing that a user sees: contents are those of the image from first to last. */
	if (inner.failures == 0 && explore_changed(&inner)) {
		printf("FAIL %s: it changes the contents\n", name);
		inner.failures++;
	}
	explore->failures += inner.failures;
	images = inner.images;
	explore_free(&inner);
	return images;
}
