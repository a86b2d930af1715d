/* Teams: joining, barriers, singles, leaving. See shm/team.h for how it works. */
#include "client/team.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "client/connection.h"
#include "client/failure.h"
#include "client/session.h"
#include "proto/name.h"

/* How often a team may be found to have come to its end before a new one is there. */
#define JOIN_TRIES 16

int team_check(const struct ems_team *team, const char *operation)
{
	if (LIKELY(!team || !process_is_another(team->process)))
		return 0;
	return failure_say(-ERROR_FORKED, "%s: team \"%s\" was joined by the parent process", operation, team->name);
}

struct team_call team_call_until(ems_deadline_t deadline)
{
	struct thread *thread = thread_self();

	return (struct team_call){.deadline = deadline,
				  .cancel = thread && thread->present ? &thread->present->cancel : NULL};
}

int team_failure(int r, const struct ems_team *team, const char *operation)
{
	struct team_loss loss;

	if (r == -ERROR_BROKEN && shm_team_loss(&team->team, 0, &loss) == 0)
		return failure_say(r, "team \"%s\": %s: member %u (process %u) died", team->name, operation,
				   loss.id, loss.pid);
	return failure_say(r, "team \"%s\": %s: %s", team->name, operation, error_text(r));
}

/* ---- joining ---- */

static int check_options(const char *name, const ems_team_options_t *options, struct proto_open *open)
{
	const char *problem = name ? proto_name_problem(name) : "it is missing";

	if (problem)
		return failure_say(-ERROR_NAME, "bad name \"%.*s\": %s", 300, name ? name : "", problem);
	if (!options || options->size < 1 || options->size > TEAM_SIZE_MAX)
		return failure_say(-ERROR_RANGE, "team \"%s\": it must have 1 to %u members", name, TEAM_SIZE_MAX);
	if (options->has_member && options->member >= options->size)
		return failure_say(-ERROR_RANGE, "team \"%s\": no member %u (it has %u)", name, options->member,
				   options->size);
	memcpy(open->name, name, strlen(name) + 1);
	open->team = (struct proto_team){.members = options->size, .elastic = options->elastic};
	open->mode = options->mode ? options->mode & 0777 : 0600;
	return 0;
}

static void detach(struct ems_team *team)
{
	struct proto_detach body = {.heap = team->attachment};
	struct link *link = &team->connection->link;

	connection_take(team->connection);
	if (team->attachment && link->socket >= 0 && link->epoch == team->epoch)
		(void)link_call(link, PROTO_DETACH, &body, NULL, NULL, clock_deadline(CONNECTION_PATIENCE));
	team->attachment = 0;
	connection_unlock(team->connection);
}

/* The team of that name as the daemon has it now. */
static int attach(struct ems_team *team, const struct proto_open *open, uint64_t *client)
{
	struct team_params params = {.size = (uint32_t)open->team.members, .elastic = open->team.elastic};
	struct ems_connection *connection = team->connection;
	struct proto_open_reply reply;
	_cleanup_(closep) int fd = -1;
	int r = connection_lock(connection, true);

	if (r < 0)
		return r;
	if (!(connection->link.daemon.features & PROTO_FEATURE_TEAMS))
		r = failure_say(-ERROR_UNSUPPORTED, "team \"%s\": this daemon has no teams", open->name);
	if (r == 0)
		r = connection_request(connection, PROTO_OPEN, open, &reply, &fd, clock_deadline(CONNECTION_PATIENCE));
	if (r == 0) {
		team->attachment = reply.heap;
		team->epoch = connection->link.epoch;
		*client = connection->link.daemon.client;
		memcpy(team->name, reply.name[0] ? reply.name : open->name, sizeof(team->name));
	}
	connection_unlock(connection);
	if (r < 0)
		return r;
	r = shm_team_map(&team->team, fd, &params);
	if (r == 0)
		return 0;
	detach(team);
	return failure_say(r, "team \"%s\": cannot map its memory: %s", open->name, error_text(r));
}

static int join_failure(int r, const struct ems_team *team, const ems_team_options_t *options)
{
	switch (r) {
	case -ERROR_FULL:
		return failure_say(r, "team \"%s\": its %u members are all there", team->name, options->size);
	case -ERROR_BUSY:
		return failure_say(r, "team \"%s\": member %u is there already", team->name, options->member);
	case -ERROR_BROKEN:
		return failure_say(r, "team \"%s\": a member died before all were there", team->name);
	case -ERROR_TIMEOUT:
		return failure_say(r, "team \"%s\": not all of its %u members came in time", team->name, options->size);
	default:
		return failure_say(r, "team \"%s\": join: %s", team->name, error_text(r));
	}
}

/* A team that is over is left behind: by the next time the daemon has a new one of that name. */
static int join(struct ems_team *team, const struct proto_open *open, const ems_team_options_t *options)
{
	struct team_call call = team_call_until(options->deadline ? options->deadline : EMS_FOREVER);
	uint64_t client = 0;
	int r = -ERROR_DROPPED;

	for (int i = 0; r == -ERROR_DROPPED && i < JOIN_TRIES; i++) {
		r = attach(team, open, &client);
		if (r < 0)
			return r;
		r = shm_team_join(&team->member, &team->team, options->has_member ? options->member : TEAM_ANY, client,
				  &call);
		if (r == 0)
			return 0;
		shm_team_unmap(&team->team);
		detach(team);
	}
	return join_failure(r, team, options);
}

int ems_team_join(ems_connection_t *connection, const char *name, const ems_team_options_t *options,
		  ems_team_t **_team)
{
	struct proto_open open = {.how = PROTO_HOW_OPEN_OR_CREATE,
				  .access = PROTO_ACCESS_WRITE,
				  .kind = PROTO_NAMED_TEAM,
				  .lifetime = PROTO_LIFETIME_DETACH};
	struct ems_team *team;
	int r;

	if (!_team || !connection)
		return failure_say(-ERROR_INVALID, "ems_team_join: no %s is given", _team ? "connection" : "place for the team");
	r = check_options(name, options, &open);
	if (r < 0)
		return r;
	team = calloc(1, sizeof(*team));
	if (!team)
		return failure_of(-ERROR_NO_MEMORY);
	team->process = connection->process;
	team->thread = pthread_self();
	team->connection = connection_ref(connection);
	memcpy(team->name, name, strlen(name) + 1);
	r = join(team, &open, options);
	if (r < 0) {
		connection_unref(team->connection);
		free(team);
		return r;
	}
	*_team = team;
	return 0;
}

/* A number of the environment, 0..most. */
static int environment_number(const char *name, uint32_t most, uint32_t *number)
{
	const char *text = getenv(name);
	char *end;
	unsigned long value;

	if (!text || *text < '0' || *text > '9')
		return failure_say(-ERROR_INVALID, "%s=%s is no number", name, text ? text : "");
	value = strtoul(text, &end, 10);
	if (*end || value > most)
		return failure_say(-ERROR_RANGE, "%s=%s: at most %u", name, text, most);
	*number = (uint32_t)value;
	return 0;
}

int ems_team_from_environment(ems_connection_t *connection, ems_deadline_t deadline, ems_team_t **_team)
{
	const char *name = getenv("EMS_TEAM"), *elastic = getenv("EMS_TEAM_ELASTIC");
	ems_team_options_t options = {.deadline = deadline, .elastic = elastic && strcmp(elastic, "1") == 0};
	int r;

	if (!_team)
		return failure_say(-ERROR_INVALID, "ems_team_from_environment: no place for the team");
	*_team = NULL;
	if (!name || !*name)
		return 0;
	r = environment_number("EMS_TEAM_SIZE", TEAM_SIZE_MAX, &options.size);
	if (r == 0 && getenv("EMS_TEAM_MEMBER")) {
		options.has_member = true;
		r = environment_number("EMS_TEAM_MEMBER", TEAM_SIZE_MAX - 1, &options.member);
	}
	return r < 0 ? r : ems_team_join(connection, name, &options, _team);
}

int ems_team_leave(ems_team_t *team)
{
	if (!team)
		return 0;
	if (!process_is_another(team->process)) {
		if (!pthread_equal(team->thread, pthread_self()))
			return failure_say(-ERROR_INVALID, "team \"%s\": leave: another thread has joined it", team->name);
		shm_team_leave(&team->member);
		shm_team_unmap(&team->team);
		detach(team);
		connection_unref(team->connection);
	}
	free(team);
	return 0;
}

/* ---- what it is ---- */

uint32_t ems_team_member(const ems_team_t *team)
{
	return team ? team->member.id : 0;
}

uint32_t ems_team_size(const ems_team_t *team)
{
	return team ? team->team.layout.params.size : 1;
}

bool ems_team_is_master(const ems_team_t *team)
{
	return ems_team_member(team) == 0;
}

uint32_t ems_team_count(const ems_team_t *team)
{
	if (!team)
		return 1;
	return team_check(team, "team_count") < 0 ? 0 : shm_team_counted(&team->team);
}

int ems_team_broken(const ems_team_t *team, uint32_t which, ems_team_death_t *death)
{
	struct team_loss loss;
	int r = team_check(team, "team_broken");

	if (r < 0)
		return r;
	if (!team || shm_team_loss(&team->team, which, &loss) < 0)
		return failure_say(-ERROR_NOT_FOUND, "team \"%s\": so many members have not died", team ? team->name : "");
	*death = (ems_team_death_t){.member = loss.id, .pid = loss.pid, .first = loss.first, .last = loss.last};
	return 0;
}

/* ---- together ---- */

int ems_team_barrier_until(ems_team_t *team, ems_deadline_t deadline)
{
	struct team_call call = team_call_until(deadline);
	int r = team_check(team, "barrier");

	if (r < 0 || !team)
		return r;
	r = shm_team_barrier(&team->member, &call);
	return r < 0 ? team_failure(r, team, "barrier") : 0;
}

int ems_team_barrier(ems_team_t *team)
{
	return ems_team_barrier_until(team, EMS_FOREVER);
}

int ems_team_single_until(ems_team_t *team, bool *mine, ems_deadline_t deadline)
{
	struct team_call call = team_call_until(deadline);
	int r = team_check(team, "single");

	if (r < 0)
		return r;
	if (!team) {
		*mine = true;
		return 0;
	}
	r = shm_team_single(&team->member, mine, &call);
	return r < 0 ? team_failure(r, team, "single") : 0;
}

int ems_team_single(ems_team_t *team, bool *mine)
{
	return ems_team_single_until(team, mine, EMS_FOREVER);
}
