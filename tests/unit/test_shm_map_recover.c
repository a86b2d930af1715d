/*
 * Recovery of slots that died in the middle of an insert or a delete, from states made by hand; and maps that
 * somebody scribbled on. (tests/kill makes all states by killing; here each stands with its name.)
 */
#include "shm/recover.h"
#include "tests/unit/map_fixture.h"

enum { ELEMENTS = 40, OTHERS = 12 };

static const char name[] = "the key of the dead", value[] = "its value";

/* How far growth has come when the slot dies. */
enum growth { NO_GROWTH, BEGUN, ALL_MOVED, COPIED_NOT_MARKED, GROWTHS };

struct scene {
	struct map_heap heap;
	struct shm_session dead, other;
	struct shm_key key;
	struct shm_binding binding;
	uint64_t entry;
	blob_ref key_ref, value_ref;
};

static void step_blob(struct shm_session *session, blob_ref ref)
{
	shm_step_enter(session);
	shm_blob_release(session, ref);
	shm_step_leave(session);
}

static void put_with_value(struct shm_session *session, const struct shm_key *key, struct shm_binding *binding)
{
	struct slot *slot = session->slot;
	int r;

	for (;;) {
		shm_step_enter(session);
		store64_release(&slot->intent, INTENT_CLAIM);
		r = slot->intent_new ? 0 : shm_blob_claim(session, sizeof(value), &slot->intent_new);
		if (r == 0) {
			shm_blob_fill(session, slot->intent_new, value, sizeof(value));
			r = shm_map_insert(session, key, TAG_FULL, TYPE_BYTES, slot->intent_new, binding);
		}
		shm_step_leave(session);
		if (r == 0)
			return;
		ck_assert_int_eq(r, SHM_NEED);
		ck_assert_int_eq(shm_session_supply(session, &(uint32_t){0}), 0);
	}
}

static void begin_growth(struct shm_session *session, enum growth growth)
{
	struct shm_segment *seg = session->seg;
	struct map_view view;
	int r;

	if (growth == NO_GROWTH)
		return;
	do {
		shm_step_enter(session);
		r = shm_map_grow(session);
		shm_step_leave(session);
		if (r == SHM_NEED)
			ck_assert_int_eq(shm_session_supply(session, &(uint32_t){0}), 0);
	} while (r == SHM_NEED);
	ck_assert_int_eq(r, 0);
	if (growth == BEGUN)
		return;
	ck_assert_int_eq(map_view(seg, &view), 0);
	shm_step_enter(session);
	for (uint64_t i = 0; i <= view.current.mask; i++) {
		uint64_t slot;

		ck_assert_int_eq(map_freeze(seg, &view, &view.current.slots[i], &slot), 0);
		if (growth == COPIED_NOT_MARKED)
			view.current.slots[i] &= ~MAP_MOVED;
	}
	shm_step_leave(session);
}

/* The key is there, put in by the one who will be dead, among others. */
static void scene_init(struct scene *scene, enum growth growth)
{
	struct heap_params params = map_params(ELEMENTS, ELEMENTS, 42);
	struct shm_segment *seg = &scene->heap.seg;
	struct shm_key key;

	map_heap_init(&scene->heap, &params);
	ck_assert_int_eq(shm_session_open(&scene->dead, seg, 0), 0);
	ck_assert_int_eq(shm_session_open(&scene->other, seg, 0), 0);
	for (int64_t i = 0; i < OTHERS; i++) {
		key = shm_key_integer(seg, i);
		ck_assert_int_eq(map_put(i % 2 ? &scene->dead : &scene->other, &key, i, NULL), 0);
	}
	scene->key = shm_key_string(seg, name, sizeof(name));
	put_with_value(&scene->dead, &scene->key, &scene->binding);
	scene->key_ref = map_element(seg, scene->binding.element)->key.word;
	scene->value_ref = scene->binding.seen.value;
	scene->entry = scene->binding.slot_seen;
	begin_growth(&scene->other, growth);
}

static void name_in_intent(struct scene *scene, enum intent intent, uint64_t version)
{
	struct slot *slot = scene->dead.slot;

	slot->intent_cell = shm_offset(&scene->heap.seg, scene->binding.cell);
	slot->intent_key = scene->key_ref;
	slot->intent_new = intent == INTENT_DELETE ? 0 : scene->value_ref;
	slot->intent_old = intent == INTENT_DELETE ? scene->value_ref : 0;
	slot->intent_version = version;
	slot->intent = intent;
}

static uint64_t other_blobs(const struct shm_segment *seg)
{
	struct shm_storage_stats stats;

	shm_storage_stats(seg, &stats);
	return stats.blocks_allocated;
}

/* Recovers twice, by a client or by the daemon, and looks whether all is well. Then uses all elements. */
static void scene_check(struct scene *scene, bool by_daemon, bool present)
{
	struct shm_segment *seg = &scene->heap.seg;
	struct slot *slot = scene->dead.slot;
	struct shm_binding binding;
	struct shm_key key;
	int64_t i;

	for (int times = 0; times < 2; times++)
		ck_assert_int_eq(shm_map_recover(by_daemon ? NULL : &scene->other, seg, slot, scene->dead.id), 0);
	ck_assert_int_eq(shm_map_look(seg, &scene->key, &binding), present ? 0 : -ERROR_NOT_FOUND);
	ck_assert_uint_eq(other_blobs(seg), present ? 2 : 0);
	slot->intent = slot->intent_new = slot->intent_old = slot->intent_key = 0;
	slot->cur = 0;
	if (present) {
		ck_assert_uint_eq(binding.seen.value, scene->value_ref);
		ck_assert_int_eq(map_del(&scene->other, &scene->key, NULL), 0);
		ck_assert_uint_eq(other_blobs(seg), 0);
	}
	ck_assert_uint_eq(map_expect_sound(seg), OTHERS);
	for (i = OTHERS; i < ELEMENTS; i++) {
		key = shm_key_integer(seg, i);
		ck_assert_int_eq(map_put(&scene->other, &key, i, NULL), 0);
	}
	ck_assert_int_eq(map_put(&scene->other, &scene->key, i, NULL), -ERROR_FULL);
	ck_assert_uint_eq(map_expect_sound(seg), ELEMENTS);
	shm_session_close(&scene->other);
	shm_session_close(&scene->dead);
	map_heap_fini(&scene->heap);
}

/* ---- inserts ---- */

/* Back in time: the cell as it was when it was reserved. Its version is that of the reservation then. */
static uint64_t unmake_live(struct scene *scene)
{
	struct cell *cell = scene->binding.cell;

	cell->meta = ((cell->meta & CELL_VERSION_MASK) - CELL_VERSION_ONE) | TAG_RESERVED_FULL |
		     TYPE_BYTES << CELL_TYPE_SHIFT | (uint64_t)scene->dead.id << CELL_OWN_SHIFT;
	return cell_version(cell->meta);
}

/* As if the entry had never been made: others behind it on its path may become lost, so only without growth and
 * with the path's end right behind. */
static void unpublish(struct scene *scene)
{
	const struct map_table table = map_table(&scene->heap.seg, 0);
	uint64_t *place = scene->binding.map_slot, *after;

	after = table.slots + ((uint64_t)(place - table.slots + 1) & table.mask);
	ck_assert_uint_eq(*after, 0);
	*place = 0;
}

START_TEST(insert_in_the_map)
{
	for (enum growth growth = NO_GROWTH; growth < GROWTHS; growth++)
		for (int by_daemon = 0; by_daemon < 2; by_daemon++) {
			struct scene scene;

			scene_init(&scene, growth);
			name_in_intent(&scene, INTENT_PUBLISH, unmake_live(&scene));
			scene_check(&scene, by_daemon, true);
			/* made live already, by a helper perhaps */
			scene_init(&scene, growth);
			name_in_intent(&scene, INTENT_PUBLISH, cell_version(scene.binding.cell->meta) - 1);
			scene_check(&scene, by_daemon, true);
		}
}
END_TEST

START_TEST(insert_not_in_the_map)
{
	static const enum intent intents[] = {INTENT_RESERVE, INTENT_PUBLISH};

	for (size_t i = 0; i < ARRAY_SIZE(intents); i++)
		for (int state = 0; state < 3; state++)
			for (int by_daemon = 0; by_daemon < 2; by_daemon++) {
				struct scene scene;

				scene_init(&scene, NO_GROWTH);
				unpublish(&scene);
				name_in_intent(&scene, intents[i], unmake_live(&scene));
				if (intents[i] == INTENT_RESERVE && state >= 1) /* lost: the key given back */
					step_blob(&scene.dead, scene.key_ref);
				if (intents[i] == INTENT_RESERVE && state == 2) /* and the cell */
					*scene.binding.cell = (struct cell){
						.meta = cell_next(scene.binding.cell->meta, TAG_NONE,
								  TYPE_UNDEFINED, 0)};
				scene_check(&scene, by_daemon, false);
			}
}
END_TEST

/* Others go on while the dead insert is not recovered: whoever needs the key makes it live. */
START_TEST(insert_is_helped)
{
	for (enum growth growth = NO_GROWTH; growth < GROWTHS; growth++) {
		struct shm_binding binding;
		struct scene scene;

		scene_init(&scene, growth);
		name_in_intent(&scene, INTENT_PUBLISH, unmake_live(&scene));
		ck_assert_int_eq(shm_map_look(&scene.heap.seg, &scene.key, &binding), -ERROR_NOT_FOUND);
		ck_assert_int_eq(map_put(&scene.other, &scene.key, 1, &binding), -ERROR_EXISTS);
		ck_assert_uint_eq(binding.element, scene.binding.element);
		scene_check(&scene, growth & 1, true);
	}
}
END_TEST

/* ---- deletes ---- */

enum deleted { NAMED, CELL_DELETED, BURIED, KEY_RELEASED, VALUE_RELEASED, CELL_FREE, DELETES };

static void delete_until(struct scene *scene, enum deleted state)
{
	struct cell *cell = scene->binding.cell, was = *cell;
	struct cell deleted = {cell_next(was.meta, TAG_DELETED, TYPE_BYTES, scene->dead.id), was.value};

	name_in_intent(scene, INTENT_DELETE, cell_version(deleted.meta));
	if (state >= CELL_DELETED)
		*cell = deleted;
	if (state >= BURIED)
		ck_assert_int_eq(map_bury(&scene->heap.seg, scene->key.hash, scene->entry), 0);
	if (state >= KEY_RELEASED)
		step_blob(&scene->dead, scene->key_ref);
	if (state >= VALUE_RELEASED)
		step_blob(&scene->dead, scene->value_ref);
	if (state >= CELL_FREE)
		*cell = (struct cell){.meta = cell_next(deleted.meta, TAG_NONE, TYPE_UNDEFINED, 0)};
}

START_TEST(deletes)
{
	for (enum growth growth = NO_GROWTH; growth < GROWTHS; growth++)
		for (enum deleted state = NAMED; state < DELETES; state++)
			for (int by_daemon = 0; by_daemon < 2; by_daemon++) {
				struct scene scene;

				scene_init(&scene, growth);
				delete_until(&scene, state);
				scene_check(&scene, by_daemon, state == NAMED);
			}
}
END_TEST

/* The key is inserted again before the dead delete is recovered: the new binding must survive that. */
START_TEST(deleted_and_inserted_again)
{
	for (enum growth growth = NO_GROWTH; growth < GROWTHS; growth++)
		for (enum deleted state = CELL_DELETED; state < DELETES; state++) {
			struct shm_binding binding;
			struct scene scene;

			scene_init(&scene, growth);
			delete_until(&scene, state);
			put_with_value(&scene.other, &scene.key, &binding);
			scene.value_ref = binding.seen.value;
			scene_check(&scene, growth & 1, true);
		}
}
END_TEST

/* ---- nonsense ---- */

START_TEST(records_without_sense)
{
	static const enum intent intents[] = {INTENT_RESERVE, INTENT_PUBLISH, INTENT_DELETE};
	uint64_t random = unit_seed();
	struct scene scene;

	for (int n = 0; n < 300; n++) {
		struct slot *slot;
		int r;

		scene_init(&scene, (enum growth)(n % GROWTHS));
		slot = scene.dead.slot;
		name_in_intent(&scene, intents[n % ARRAY_SIZE(intents)], unit_random(&random) % 8);
		slot->intent_cell = n & 8 ? unit_random(&random) : slot->intent_cell + unit_random(&random) % 64;
		slot->intent_key = unit_random(&random) >> (n & 16 ? 30 : 0);
		slot->intent_new = slot->intent_old = unit_random(&random);
		slot->range_next = unit_random(&random);
		slot->range_end = n & 32 ? slot->range_next + 10 : unit_random(&random);
		slot->group_claim = (uint32_t)unit_random(&random);
		r = shm_map_recover(&scene.other, &scene.heap.seg, slot, scene.dead.id);
		ck_assert(r == 0 || r == -ERROR_CORRUPT);
		slot->intent = slot->intent_cell = slot->intent_key = slot->intent_new = slot->intent_old = 0;
		scene.other.slot->cur = 0;
		ck_assert_uint_eq(map_expect_sound(&scene.heap.seg), OTHERS + 1);
		map_heap_fini(&scene.heap);
	}
}
END_TEST

/* A step that is left by an error must be left, too. */
static void poke(struct shm_session *session, uint64_t *random)
{
	uint64_t dice = unit_random(random), size;
	struct shm_key key = shm_key_integer(session->seg, (int64_t)(dice % (2 * OTHERS))), got;
	struct shm_binding binding;
	char text[64];
	struct cell seen;

	if (dice & 1 << 20)
		key = shm_key_string(session->seg, name, sizeof(name));
	switch (dice >> 32 & 3) {
	case 0:
		(void)map_put(session, &key, 1, &binding);
		break;
	case 1:
		(void)map_del(session, &key, NULL);
		break;
	case 2:
		(void)map_add(session, &key, 1);
		break;
	default:
		(void)shm_map_look(session->seg, &key, &binding);
		(void)shm_map_key_of(session->seg, dice % ELEMENTS, &got, text, sizeof(text), &size, &seen);
	}
}

static void scribble(struct shm_segment *seg, uint64_t *random)
{
	struct header *header = shm_header(seg);
	uint64_t dice = unit_random(random), noise = unit_random(random) >> dice % 60;
	uint64_t *table = shm_at(seg, layout_table_offset(&seg->layout, dice & 1));
	struct element *element = map_element(seg, dice % ELEMENTS);

	switch (dice >> 8 & 7) {
	case 0:
		header->map = dice & 1 << 16 ? noise : header->map ^ (UINT64_C(1) << (dice >> 20 & 31));
		break;
	case 1:
		header->map_cursor = noise;
		header->element_next = noise;
		header->group_cursor = ~noise;
		break;
	case 2:
		element->key.word = noise;
		break;
	case 3:
		element->key.info ^= UINT64_C(1) << (dice >> 20 & 31);
		break;
	case 4:
		element->cell.meta = (element->cell.meta & ~UINT64_C(0xf7f)) | (noise & 0xf7f);
		break;
	case 5: /* a table without an end */
		for (uint64_t i = 0; i < 64; i++)
			table[i] = noise << 4 | (dice >> 20 & 15);
		break;
	default:
		if (shm_committed(seg, shm_offset(seg, table)))
			table[dice >> 16 & 63] = noise;
	}
}

START_TEST(scribbled_maps_do_no_harm)
{
	uint64_t random = unit_seed();

	for (int n = 0; n < 400; n++) {
		struct shm_map_stats stats;
		struct scene scene;

		scene_init(&scene, (enum growth)(n % GROWTHS));
		for (int i = 0; i < 8; i++) {
			scribble(&scene.heap.seg, &random);
			for (int j = 0; j < 12; j++)
				poke(&scene.other, &random);
		}
		shm_map_stats(&scene.heap.seg, &stats);
		map_heap_fini(&scene.heap);
	}
}
END_TEST

UNIT_MAIN("shm/map recovery", insert_in_the_map, insert_not_in_the_map, insert_is_helped, deletes,
	  deleted_and_inserted_again, records_without_sense, scribbled_maps_do_no_harm)
