/* Critical sections of a team. */
#include <string.h>

#include "base/error.h"
#include "client/failure.h"
#include "client/team.h"
#include "shm/team_section.h"

static int find(ems_team_t *team, const char *name, const char *operation, uint32_t *section)
{
	size_t size = name ? strnlen(name, TEAM_SECTION_NAME + 1) : 0;
	int r = shm_section_find(&team->team, name ? name : "", size, section);

	if (r == -ERROR_NAME)
		return failure_say(r, "team \"%s\": %s: a section's name has 1 to %u bytes", team->name, operation,
				   TEAM_SECTION_NAME);
	if (r == -ERROR_LIMIT)
		return failure_say(r, "team \"%s\": %s \"%s\": it has %u sections already", team->name, operation, name,
				   TEAM_SECTIONS);
	return r;
}

static int failure(int r, const ems_team_t *team, const char *operation, const char *name)
{
	return failure_say(r, "team \"%s\": %s \"%s\": %s", team->name, operation, name,
			   r == -ERROR_INVALID ? "this member is not inside" : error_text(r));
}

int ems_critical_enter_until(ems_team_t *team, const char *name, bool *owner_died, ems_deadline_t deadline)
{
	struct team_call call = team_call_until(deadline);
	bool died = false;
	uint32_t section;
	int r = team_check(team, "critical_enter");

	if (r == 0 && team) {
		r = find(team, name, "critical_enter", &section);
		if (r < 0)
			return r;
		r = shm_section_enter(&team->member, section, &died, &call);
		if (r < 0)
			return failure(r, team, "critical_enter", name);
	}
	if (r == 0 && owner_died)
		*owner_died = died;
	return r;
}

int ems_critical_enter(ems_team_t *team, const char *name, bool *owner_died)
{
	return ems_critical_enter_until(team, name, owner_died, EMS_FOREVER);
}

int ems_critical_leave(ems_team_t *team, const char *name)
{
	uint32_t section;
	int r = team_check(team, "critical_leave");

	if (r < 0 || !team)
		return r;
	r = find(team, name, "critical_leave", &section);
	if (r < 0)
		return r;
	r = shm_section_leave(&team->member, section);
	return r < 0 ? failure(r, team, "critical_leave", name) : 0;
}
