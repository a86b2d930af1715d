/* Cases on a heap without a daemon: see local.h. */
#include "tests/kill/local.h"

#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"

struct child {
	const struct local *local;
	int fd;
};

static void local_body(struct control *control, void *argument)
{
	const struct child *child = argument;
	const struct local *local = child->local;
	struct shm_session session, *used = local->as_daemon ? NULL : &session;
	struct shm_segment seg;
	int r = shm_segment_map(&seg, child->fd, &local->params, true);

	if (r < 0)
		control_fail(control, "mapping: %s", error_text(r));
	r = shm_session_open(&session, &seg, 1);
	if (r == 0 && local->prepare)
		r = local->prepare(local, &seg, &session);
	if (r < 0)
		control_fail(control, "preparing: %s", error_text(r));
	if (local->as_daemon)
		shm_session_close(&session);
	control_begin(control);
	control_end(control, local->operate(local, &seg, used));
}

bool local_play(const struct local *local)
{
	static const uint8_t heap_id[16] = "kill images";
	_cleanup_(closep) int fd = -1;
	_cleanup_(shm_segment_unmapp) struct shm_segment seg = {0};
	struct child child = {.local = local};
	struct explore explore = {.name = local->name,
				  .with_index = true,
				  .daemon = local->as_daemon,
				  .promise = local->promise};
	int r;

	if (scene_skip(NULL, local->name))
		return true;
	r = shm_segment_create(&seg, &local->params, NULL, heap_id, &fd);
	child.fd = fd;
	if (r < 0 || tracee_start(&explore.tracee, local_body, &child) < 0)
		explore.failures++;
	else
		(void)explore_run(&explore, fd);
	if (explore.result < 0) {
		printf("FAIL %s: it gives %s\n", local->name, error_text(explore.result));
		explore.failures++;
	}
	totals_add(local->name, &explore);
	explore_free(&explore);
	return explore.failures == 0;
}
