/* cells.h: cases made from the table of operations. */
#ifndef TESTS_KILL_CELLS_H
#define TESTS_KILL_CELLS_H

#include "tests/kill/operations.h"
#include "tests/kill/scene.h"
#include "tests/kill/values.h"

/* row on element 3 of a heap without map that holds `old`, with `new` where it takes a value. */
struct scene cell_scene(const struct operation_row *row, enum kind old, enum kind new);

/* The same on a key of a heap with a map; PRISTINE: the key is absent. */
enum key_form { INTEGER_KEY, SHORT_KEY, LONG_KEY, KEY_FORMS };
ems_key_t key_of_form(enum key_form form);
struct scene key_scene(const struct operation_row *row, enum key_form form, enum kind old, enum kind new);

/* What such scenes are made of; they work with a map, too, when options and key say so. */
int cell_prepare(const struct scene *scene, ems_heap_t *heap);
int cell_operate(const struct scene *scene, ems_heap_t *heap);

#endif
