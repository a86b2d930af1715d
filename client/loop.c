/* Loops of a team, or outside of one. */
#include <stdlib.h>

#include "base/error.h"
#include "client/failure.h"
#include "client/team.h"
#include "shm/team_loop.h"

struct ems_loop {
	struct shm_loop shm;
	struct ems_team *team;
	ems_deadline_t deadline;
};

int ems_loop_begin(ems_team_t *team, int64_t first, int64_t last, const ems_loop_options_t *options, ems_loop_t **_loop)
{
	static const ems_loop_options_t none;
	struct team_call call;
	struct ems_loop *loop;
	int r = team_check(team, "loop_begin");

	if (r < 0)
		return r;
	if (!options)
		options = &none;
	if (!_loop || (unsigned)options->schedule > EMS_STATIC)
		return failure_say(-ERROR_INVALID, "ems_loop_begin: %s", _loop ? "no such schedule" : "no place for the loop");
	loop = calloc(1, sizeof(*loop));
	if (!loop)
		return failure_of(-ERROR_NO_MEMORY);
	loop->team = team;
	loop->deadline = options->deadline ? options->deadline : EMS_FOREVER;
	call = team_call_until(loop->deadline);
	r = shm_loop_begin(&loop->shm, team ? &team->member : NULL, first, last, (enum team_schedule)options->schedule,
			   options->chunk, &call);
	if (r < 0) {
		free(loop);
		return r == -ERROR_CONFLICT ? failure_say(r, "team \"%s\": loop_begin: others have begun a static loop, or "
							     "this one is static and theirs is not", team->name)
					    : team_failure(r, team, "loop_begin");
	}
	*_loop = loop;
	return 0;
}

int ems_loop_next(ems_loop_t *loop, int64_t *first, int64_t *last)
{
	struct team_call call;
	int r;

	if (!loop)
		return failure_say(-ERROR_INVALID, "ems_loop_next: no loop is given");
	r = team_check(loop->team, "loop_next");
	if (r < 0)
		return r;
	call = team_call_until(loop->deadline);
	r = shm_loop_next(&loop->shm, first, last, &call);
	if (r == -ERROR_EMPTY)
		return failure_of(r);
	return r < 0 ? team_failure(r, loop->team, "loop_next") : 0;
}

int ems_loop_end(ems_loop_t *loop)
{
	struct team_call call;
	int r;

	if (!loop)
		return 0;
	r = team_check(loop->team, "loop_end");
	if (r == 0) {
		call = team_call_until(loop->deadline);
		r = shm_loop_end(&loop->shm, &call);
		if (r == -ERROR_TIMEOUT || r == -ERROR_CANCELLED || r == -ERROR_INTERRUPTED)
			return team_failure(r, loop->team, "loop_end");
		if (r < 0)
			(void)team_failure(r, loop->team, "loop_end");
	}
	free(loop);
	return r;
}
