/* Operations on keys of a heap with a map: inserting, finding, deleting. */
#include <stdio.h>

#include "tests/kill/cells.h"
#include "tests/kill/groups.h"

static const char *const form_names[KEY_FORMS] = {"integer key", "short key", "long key"};

ems_key_t key_of_form(enum key_form form)
{
	switch (form) {
	case INTEGER_KEY:
		return ems_index(77);
	case SHORT_KEY:
		return ems_key("short");
	default:
		return ems_key("a key of more than eight bytes, which is a blob itself");
	}
}

struct scene key_scene(const struct operation_row *row, enum key_form form, enum kind old, enum kind new)
{
	struct scene scene = cell_scene(row, old, new);
	char name[sizeof(scene.name)];

	(void)snprintf(name, sizeof(name), "%s", scene.name);
	scene_name(&scene, "%s, %.100s", form_names[form], name);
	scene.options.map = true;
	scene.key = key_of_form(form);
	return scene;
}

/* Each function on a key that is there, each that creates keys on one that is not; the forms take turns. */
static void play_all_rows(void)
{
	for (size_t i = 0; i < operation_row_count; i++) {
		const struct operation_row *row = &operation_rows[i];
		enum key_form form = (enum key_form)(i % KEY_FORMS);
		enum kind old = row->needs & NUMBERS ? NUMBER : SMALL;
		struct scene there = key_scene(row, form, old, SMALL);
		struct scene absent = key_scene(row, form, PRISTINE, i % 2 ? SMALL : NUMBER);

		if (row->needs & NUMBERS)
			there.new = NUMBER;
		there.recoveries = i % 4 == 0;
		(void)scene_play(&there);
		/* Where the key's creation makes it wait, it would do so for ever. */
		if (row->needs & (EXISTING | EMPTY_FIRST))
			continue;
		/* Waiting for a key creates it; and whether there is a change may depend on the values. */
		if (row->needs & MAY_CHANGE || row == operation_named("ems_read_ff_until", "now"))
			absent.changes = EITHER;
		absent.recoveries = i % 4 == 1;
		(void)scene_play(&absent);
	}
}

/* Insertion and deletion in all forms. */
static void play_forms(void)
{
	const struct operation_row *write = operation_named("ems_write", ""),
				   *delete = operation_named("ems_delete", "");

	for (enum key_form form = INTEGER_KEY; form < KEY_FORMS; form++)
		for (enum kind kind = NUMBER; kind <= LARGE; kind++) {
			struct scene insertion = key_scene(write, form, PRISTINE, kind);
			struct scene deletion = key_scene(delete, form, kind, NUMBER);

			insertion.recoveries = deletion.recoveries = 1;
			(void)scene_play(&insertion);
			(void)scene_play(&deletion);
			insertion.cold = deletion.cold = true;
			insertion.recoveries = deletion.recoveries = 0;
			if (kind == LARGE)
				continue;
			scene_name(&insertion, "first of all, insertion of a %s with a %s", form_names[form],
				   kind_names[kind]);
			scene_name(&deletion, "first of all, deletion of a %s with a %s", form_names[form],
				   kind_names[kind]);
			(void)scene_play(&insertion);
			(void)scene_play(&deletion);
		}
}

void group_keys(void)
{
	play_all_rows();
	play_forms();
}
