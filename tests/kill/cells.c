/* Operations on one element of a heap without map: with each old and each new value that makes sense. */
#include <stdio.h>
#include <string.h>

#include "tests/kill/cells.h"
#include "tests/kill/groups.h"
#include "tests/kill/values.h"

#define ELEMENT 3

/* Addition is defined for texts, not for bytes. */
static bool wants_text(const struct operation_row *row)
{
	return strncmp(row->function, "ems_faa", 7) == 0;
}

int cell_prepare(const struct scene *scene, ems_heap_t *heap)
{
	const struct operation_row *row = scene->operation;
	ems_value_t old = value_old((enum kind)scene->old, wants_text(row)), neighbour;
	int r = 0;

	for (int64_t i = 0; i < ELEMENT && r == 0; i++) {
		neighbour = value_old((enum kind)(NUMBER + i % 2), false);
		r = ems_write(heap, scene->options.map ? ems_index(1000 + i) : ems_index(i), &neighbour);
	}
	if (r == 0 && scene->old != PRISTINE)
		r = ems_write(heap, scene->key, &old);
	if (r == 0 && row->needs & EMPTY_FIRST && !(scene->options.map && scene->old == PRISTINE))
		r = ems_set_tag(heap, scene->key, EMS_EMPTY);
	return r;
}

int cell_operate(const struct scene *scene, ems_heap_t *heap)
{
	const struct operation_row *row = scene->operation;
	ems_value_t old = value_old((enum kind)scene->old, wants_text(row));
	ems_value_t value = value_new((enum kind)scene->new, wants_text(row));

	return row->run(heap, scene->key, &value, &old);
}

struct scene cell_scene(const struct operation_row *row, enum kind old, enum kind new)
{
	struct scene scene = {
		.function = row->function,
		.options = {.elements = 16, .storage = 4 << 20, .until_detached = true},
		.prepare = cell_prepare,
		.operate = cell_operate,
		.changes = row->needs & NEVER_CHANGES ? KEEPS
			   : row->needs & MAY_CHANGE  ? EITHER
						      : CHANGES,
		.operation = row,
		.key = ems_index(ELEMENT),
		.old = (int)old,
		.new = (int)new,
	};

	scene_name(&scene, "%s%s%s: %s", row->function, row->variant[0] ? " " : "", row->variant,
		   kind_names[old]);
	if (row->needs & TAKES_VALUE)
		scene_name(&scene, "%s%s%s: %s to %s", row->function, row->variant[0] ? " " : "",
			   row->variant, kind_names[old], kind_names[new]);
	return scene;
}

/* Copying a large blob takes 50,000 steps: every function does it once, one with every old value. */
static bool is_too_much(const struct operation_row *row, enum kind old, enum kind new, enum kind large_with)
{
	if (explore_all || row == operation_named("ems_write", ""))
		return false;
	return new == LARGE ? old != large_with : old == LARGE &&new != SMALL;
}

static void play_values(const struct operation_row *row, enum kind old)
{
	enum kind large_with = (enum kind)explore_random(LARGE);

	for (enum kind new = NUMBER; new <= LARGE; new ++) {
		struct scene scene = cell_scene(row, old, new);

		if (is_too_much(row, old, new, large_with))
			continue;
		scene.recoveries = new != LARGE &&explore_random(4) == 0;
		(void)scene_play(&scene);
	}
}

static void play_row(const struct operation_row *row)
{
	bool main_form = row->variant[0] == '\0';
	enum kind first = row->needs & EXISTING ? NUMBER : PRISTINE,
		  last = row->needs & NUMBERS ? NUMBER : LARGE;

	if (row->needs & TAKES_VALUE && !(row->needs & FULL_MATRIX)) {
		struct scene scene = cell_scene(row, SMALL, SMALL);

		(void)scene_play(&scene);
		return;
	}
	for (enum kind old = first; old <= last; old++) {
		struct scene scene = cell_scene(row, old, NUMBER);

		if (row->needs & FULL_MATRIX)
			play_values(row, old);
		else if (main_form || old == SMALL || explore_all)
			(void)scene_play(&scene);
	}
}

/* The same as the child's first operation on the heap, which takes a slot. */
static void play_first_operations(void)
{
	const struct operation_row *row = operation_named("ems_write", "");

	for (enum kind old = PRISTINE; old <= SMALL; old++) {
		struct scene scene = cell_scene(row, old, SMALL);

		scene_name(&scene, "a first ems_write: %s to small", kind_names[old]);
		scene.cold = scene.robust_steps = true;
		scene.recoveries = 1;
		(void)scene_play(&scene);
	}
}

void group_cells(void)
{
	for (size_t i = 0; i < operation_row_count; i++)
		if (!(operation_rows[i].needs & KEYED))
			play_row(&operation_rows[i]);
	play_first_operations();
}
