/* Growth of the key map: several keys come and go in one case; each is as before or as after. */
#include <stdio.h>
#include <string.h>

#include "tests/kill/groups.h"
#include "tests/kill/scene.h"

struct plan {
	const char *name;
	uint64_t elements, raised; /* at creation, which sizes the first table; and after ems_heap_grow */
	uint64_t inserted, deleted; /* before: keys 0…inserted, of which the first `deleted` are gone again */
	uint64_t operations;	    /* the operation: so many insertions … */
	bool deletes;		    /* … each followed by a deletion of an old key */
};

/* Every third key is long. */
static ems_key_t key(uint64_t number, char text[64])
{
	if (number % 3)
		return ems_index((int64_t)number);
	(void)snprintf(text, 64, "long key of the growing map, number %llu", (unsigned long long)number);
	return ems_key(text);
}

static int put(ems_heap_t *heap, uint64_t number)
{
	ems_value_t value = EMS_VALUE_INIT;
	char text[64];

	if (number % 2)
		return ems_write_int64(heap, key(number, text), (int64_t)number);
	value.type = EMS_STRING;
	value.data = (void *)(uintptr_t) "a value of the growing map";
	value.size = strlen(value.data);
	return ems_write(heap, key(number, text), &value);
}

static int take(ems_heap_t *heap, uint64_t number)
{
	char text[64];

	return ems_delete(heap, key(number, text));
}

static int grow_prepare(const struct scene *scene, ems_heap_t *heap)
{
	const struct plan *plan = scene->operation;
	int r = plan->raised ? ems_heap_grow(heap, plan->raised) : 0;

	for (uint64_t i = 0; i < plan->inserted && r == 0; i++)
		r = put(heap, i);
	for (uint64_t i = 0; i < plan->deleted && r == 0; i++)
		r = take(heap, i);
	return r;
}

static int grow_operate(const struct scene *scene, ems_heap_t *heap)
{
	const struct plan *plan = scene->operation;
	int r = 0;

	for (uint64_t i = 0; i < plan->operations && r == 0; i++) {
		r = put(heap, plan->inserted + i);
		if (r == 0 && plan->deletes)
			r = take(heap, plan->deleted + i);
	}
	return r;
}

void group_growth(void)
{
	static const struct plan plans[] = {
		{"insertions", 10, 60, 36, 0, 8, false},
		{"insertions and deletions", 10, 60, 37, 2, 6, true},
		{"many tombstones, the table is renewed in its size", 10, 60, 37, 30, 4, false},
		{"tombstones and insertions, the size stays", 40, 0, 36, 30, 8, false},
		{"a second growth", 10, 120, 76, 0, 8, false},
		{"a table of several blocks", 200, 400, 316, 0, 6, false},
		{"a table of several blocks, with deletions", 200, 400, 316, 4, 4, true},
	};

	for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
		struct scene scene = {
			.function = "ems_write",
			.options = {.elements = plans[i].elements,
				    .max_elements = 1024,
				    .storage = 4 << 20,
				    .map = true,
				    .until_detached = true},
			.prepare = grow_prepare,
			.operate = grow_operate,
			.promise = MIXED,
			.operation = &plans[i],
			.recoveries = 2,
		};

		scene_name(&scene, "growth: %s", plans[i].name);
		(void)scene_play(&scene);
	}
}
