/* Where the areas of a team's segment lie. */
#include "shm/team_layout.h"

#include "base/error.h"

int team_layout_compute(struct team_layout *layout, const struct team_params *params)
{
	uint64_t page = 4096;

	if (params->size < 1 || params->size > TEAM_SIZE_MAX || params->elastic > 1)
		return -ERROR_RANGE;
	layout->params = *params;
	layout->members = align_up(sizeof(struct team_header), page);
	layout->locks = align_up(layout->members + params->size * sizeof(struct team_member), TEAM_UNIT);
	layout->segment_size = layout->locks + (params->size + UINT64_C(1)) * TEAM_UNIT;
	layout->charge = align_up(layout->members + params->size * sizeof(struct team_member), page) +
			 (params->size + UINT64_C(1)) * page;
	return 0;
}
