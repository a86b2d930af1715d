/* Images of a team's segment: see teams.h. */
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "tests/kill/teams.h"

static uint32_t lock_count(const struct shm_team *team)
{
	return team->layout.params.size + 1;
}

void image_new(struct image *image, const struct shm_team *team)
{
	*image = (struct image){.size = team->layout.members + team->layout.params.size * sizeof(struct team_member)};
	image->bytes = calloc(1, image->size);
	if (!image->bytes || lock_count(team) > LOCKS_MOST)
		abort();
}

void image_free(struct image *image)
{
	free(image->bytes);
	image->bytes = NULL;
}

bool image_take(struct image *image, const struct shm_team *team)
{
	bool changed = memcmp(image->bytes, team->base, image->size) != 0;

	for (uint32_t i = 0; i < lock_count(team); i++) {
		uint32_t word = load32_acquire(team_lock(team, i));

		changed |= word != image->locks[i];
		image->locks[i] = word;
	}
	if (changed)
		memcpy(image->bytes, team->base, image->size);
	return changed;
}

void image_copy(struct image *to, const struct image *from)
{
	memcpy(to->bytes, from->bytes, from->size);
	memcpy(to->locks, from->locks, sizeof(to->locks));
}

void image_load(const struct image *image, struct shm_team *team)
{
	memcpy(team->base, image->bytes, image->size);
	for (uint32_t i = 0; i < lock_count(team); i++)
		store32_release(team_lock(team, i), image->locks[i]);
}

void team_bury(struct shm_team *team, pid_t tid)
{
	for (uint32_t i = 0; i < lock_count(team); i++) {
		uint32_t *word = team_lock(team, i), held = load32_relaxed(word);

		if ((held & FUTEX_TID_MASK) == (uint32_t)tid)
			store32_release(word, (held & FUTEX_WAITERS) | FUTEX_OWNER_DIED);
	}
}

int team_locks_held(const struct shm_team *team, pid_t tid)
{
	int held = 0;

	for (uint32_t i = 0; i < lock_count(team); i++)
		held += (load32_relaxed(team_lock(team, i)) & FUTEX_TID_MASK) == (uint32_t)tid;
	return held;
}
