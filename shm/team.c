/* The segment of a team: making and mapping it, and what can be read from it. */
#include "shm/team.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "shm/memory.h"
#include "shm/team_internal.h"

static int map_memory(struct shm_team *team, int fd)
{
	uint64_t size = team->layout.segment_size;
	void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);

	if (base == MAP_FAILED)
		return error_from_errno(errno);
	/* A child is no member, and must not act as its parent. */
	if (madvise(base, size, MADV_DONTFORK) < 0 || madvise(base, size, MADV_DONTDUMP) < 0) {
		int r = error_from_errno(errno);

		(void)munmap(base, size);
		return r;
	}
	team->base = base;
	return 0;
}

void shm_team_unmap(struct shm_team *team)
{
	if (team->base)
		(void)munmap(team->base, team->layout.segment_size);
	team->base = NULL;
}

static void write_header(struct shm_team *team, const uint8_t team_id[16])
{
	struct team_header *header = team_header(team);

	header->version = TEAM_VERSION;
	header->header_size = sizeof(*header);
	header->segment_size = team->layout.segment_size;
	header->params = team->layout.params;
	memcpy(header->team_id, team_id, sizeof(header->team_id));
	header->state.high = state_high(0, 0, team->layout.params.size);
	header->magic = TEAM_MAGIC;
}

int shm_team_create(struct shm_team *team, const struct team_params *params, const uint8_t team_id[16], int *fdp)
{
	_cleanup_(closep) int fd = -1;
	int r;

	memset(team, 0, sizeof(*team));
	r = team_layout_compute(&team->layout, params);
	if (r < 0)
		return r;
	fd = shm_memory_new("ems-team", team->layout.segment_size);
	if (fd < 0)
		return fd;
	r = map_memory(team, fd);
	if (r < 0)
		return r;
	write_header(team, team_id);
	*fdp = steal_fd(&fd);
	return 0;
}

static int check_header(const struct shm_team *team)
{
	const struct team_header *header = team_header(team);

	if (header->magic != TEAM_MAGIC)
		return -ERROR_CORRUPT;
	if (header->version != TEAM_VERSION)
		return -ERROR_VERSION;
	if (header->header_size != sizeof(*header) || header->segment_size != team->layout.segment_size ||
	    memcmp(&header->params, &team->layout.params, sizeof(header->params)) != 0)
		return -ERROR_CORRUPT;
	return 0;
}

int shm_team_map(struct shm_team *team, int fd, const struct team_params *params)
{
	int r;

	memset(team, 0, sizeof(*team));
	r = team_layout_compute(&team->layout, params);
	if (r == 0)
		r = shm_memory_check(fd, team->layout.segment_size);
	if (r == 0)
		r = map_memory(team, fd);
	if (r < 0)
		return r;
	r = check_header(team);
	if (r < 0)
		shm_team_unmap(team);
	return r;
}

uint32_t shm_team_counted(const struct shm_team *team)
{
	uint32_t counted = state_counted(team_state(team).high);

	return MIN(counted, team->layout.params.size);
}

static void read_loss(const struct shm_team *team, uint32_t id, struct team_loss *loss)
{
	const struct team_member *record = team_member(team, id);
	enum chunk_state chunk = chunk_state(load64_acquire(&record->chunk));
	bool held = chunk == CHUNK_HELD || chunk == CHUNK_GIVEN;

	*loss = (struct team_loss){.id = id, .pid = load32_relaxed(&record->pid)};
	if (held) {
		loss->first = (int64_t)load64_relaxed((const uint64_t *)&record->first);
		loss->last = (int64_t)load64_relaxed((const uint64_t *)&record->last);
	}
}

int shm_team_loss(const struct shm_team *team, uint32_t which, struct team_loss *loss)
{
	uint32_t deaths = load32_acquire(&team_header(team)->deaths);

	for (uint32_t id = 0; which < deaths && id < team->layout.params.size; id++) {
		uint32_t state = load32_acquire(&team_member(team, id)->state);

		if ((state == MEMBER_DYING || state == MEMBER_DEAD) &&
		    load32_relaxed(&team_member(team, id)->death) == deaths - which) {
			read_loss(team, id, loss);
			return 0;
		}
	}
	return -ERROR_NOT_FOUND;
}
