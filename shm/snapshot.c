/* Several elements at one moment: see snapshot.h. */
#include "shm/snapshot.h"

#include "base/error.h"
#include "shm/value.h"

/* The cell as it is, pristine if it is not there. */
static struct cell load(const struct shm_segment *seg, const struct cell *cell)
{
	if (!seg->elements_whole && !shm_committed(seg, shm_offset(seg, cell)))
		return (struct cell){0, 0};
	return cell_load(cell);
}

static int look(struct shm_glance *glance, struct cell *seen)
{
	struct shm_binding binding;
	int r = 0;

	glance->cell = NULL;
	*seen = (struct cell){0, 0};
	if (glance->target.key) {
		r = shm_map_look(glance->seg, glance->target.key, &binding);
		if (r == 0) {
			glance->cell = binding.cell;
			*seen = binding.seen;
		}
		r = r == -ERROR_NOT_FOUND ? 0 : r;
	} else if (glance->target.index < shm_elements(glance->seg)) {
		glance->cell = shm_cell(glance->seg, glance->target.index);
		*seen = load(glance->seg, glance->cell);
	} else {
		r = -ERROR_RANGE;
	}
	glance->meta = seen->meta;
	return r;
}

static int read_value(const struct shm_glance *glance, struct cell seen, struct shm_value *value)
{
	if (!glance->cell) {
		value->type = TYPE_UNDEFINED;
		value->size = 0;
		value->integer = 0;
		return 0;
	}
	if (cell_tag(seen.meta) == TAG_BUSY)
		return SHM_AGAIN;
	return shm_value_read(glance->seg, glance->cell, seen, value);
}

static bool has_moved(const struct shm_glance *glance)
{
	struct shm_binding binding;

	if (glance->cell)
		return (load(glance->seg, glance->cell).meta ^ glance->meta) & ~CELL_W;
	return shm_map_look(glance->seg, glance->target.key, &binding) != -ERROR_NOT_FOUND;
}

int shm_snapshot_try(struct shm_glance *glances, size_t count, struct shm_value *values, size_t *failed)
{
	for (size_t i = 0; i < count; i++) {
		struct cell seen;
		int r;

		*failed = i;
		r = look(&glances[i], &seen);
		if (r == 0)
			r = read_value(&glances[i], seen, &values[i]);
		if (r != 0)
			return r;
	}
	fence_acquire(); /* all the first looks come before all the second ones */
	for (size_t i = 0; i < count; i++)
		if (has_moved(&glances[i]))
			return SHM_AGAIN;
	return 0;
}
