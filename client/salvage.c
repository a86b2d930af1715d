/*
 * Repairing a heap: what can be read in the old one is written to a new one, which then takes its place.
 *
 * So nothing in the old memory has to be believed or mended, and until the last step nothing has changed. Elements that are locked or
 * leased are kept as they were before; a tag that makes no sense counts as full.
 *
 * A backup is restored in the same way, once its dead are put in order (client/backup.c); only that nothing may be lost then.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/macros.h"
#include "client/check.h"
#include "client/failure.h"
#include "client/heap.h"
#include "client/key.h"
#include "client/options.h"
#include "client/salvage.h"
#include "client/value.h"
#include "shm/ring.h"
#include "shm/stack.h"

/* How often one element is looked at again while others keep changing it, before it counts as lost. */
#define LOOKS 1000

struct salvage {
	struct examined examined;
	struct ems_connection *connection;
	ems_heap_t *heap; /* the new one */
	char name[PROTO_NAME_MAX + 1];
	ems_value_t value, text; /* the one at hand; its key's text */
	ems_check_hook_t hook;
	ems_progress_hook_t progress;
	void *arg;
	ems_check_t *result;
};

static int tell_progress(const struct salvage *salvage, uint64_t done)
{
	if (salvage->progress && salvage->progress(salvage->arg, done, salvage->examined.reply.elements))
		return failure_say(-ERROR_CANCELLED, "stopped by the caller");
	return 0;
}

__attribute__((format(printf, 2, 3))) static void lost(struct salvage *salvage, const char *format, ...)
{
	char text[256];
	va_list arguments;

	salvage->result->lost++;
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (salvage->hook)
		salvage->hook(salvage->arg, text);
}

/* ---- elements ---- */

/* Key and value of an element that has them. -ERROR_NOT_FOUND: it has none. */
static int read_element(struct salvage *salvage, uint64_t index, ems_key_t *key, enum tag *tag)
{
	const struct shm_segment *segment = &salvage->examined.segment;
	struct cell *cell = shm_cell(segment, index), seen;
	int r = SHM_AGAIN;

	for (int i = 0; i < LOOKS && r == SHM_AGAIN; i++) {
		seen = cell_load(cell);
		*tag = cell_tag(seen.meta);
		*key = ems_index((int64_t)index);
		if (!tag_is_live(*tag))
			return -ERROR_NOT_FOUND;
		if (segment->layout.params.has_map) {
			r = key_of_element(segment, index, key, &salvage->text, &seen);
			if (r < 0)
				return r;
		}
		r = shm_value_read(segment, cell, seen, value_out(&salvage->value));
	}
	return r == SHM_AGAIN ? -ERROR_CORRUPT : r;
}

/* A text that is none would not be taken, and is no loss of the heap's. */
static bool is_of_the_heap(int r)
{
	return r == -ERROR_CORRUPT || r == -ERROR_TYPE || r == -ERROR_INVALID || r == -ERROR_RANGE;
}

static int save_element(struct salvage *salvage, uint64_t index)
{
	enum tag tag = TAG_NONE;
	ems_key_t key;
	int r = read_element(salvage, index, &key, &tag);

	if (r == 0)
		r = tag == TAG_EMPTY ? ems_write_xe(salvage->heap, key, &salvage->value)
				     : ems_write_xf(salvage->heap, key, &salvage->value);
	salvage->result->elements += r == 0;
	if (r == -ERROR_NOT_FOUND)
		return 0;
	if (!is_of_the_heap(r))
		return r;
	lost(salvage, "element %" PRIu64 " cannot be read", index);
	return 0;
}

/* Its units that were never committed are not touched. */
static int save_elements(struct salvage *salvage)
{
	const struct shm_segment *segment = &salvage->examined.segment;
	uint64_t elements = MIN(salvage->examined.reply.elements, segment->layout.params.max_elements);
	uint64_t per_unit = UNIT >> segment->layout.element_shift;
	int r = 0;

	for (uint64_t index = 0; index < elements && r == 0; index++) {
		if (index % per_unit == 0 && !shm_committed(segment, shm_offset(segment, shm_cell(segment, index))))
			index += per_unit - 1;
		else
			r = save_element(salvage, index);
		if (r == 0)
			r = tell_progress(salvage, index + 1);
	}
	return r;
}

/* ---- queue and stack ---- */

struct item {
	uint64_t order;
	struct cell *cell;
};

static int compare_items(const void *a, const void *b)
{
	const struct item *left = a, *right = b;

	return left->order < right->order ? -1 : left->order > right->order;
}

/* All places that hold something, whatever the words that count them say: in the order of laps, then places. */
static int find_queued(const struct salvage *salvage, struct item **_items, size_t *_count)
{
	const struct shm_segment *segment = &salvage->examined.segment;
	uint64_t places = segment->layout.params.max_elements;
	size_t room = 0;

	for (uint64_t place = 0; place < places; place++) {
		struct cell *cell = shm_ring_cell(segment, place);
		struct cell seen;

		if (place % (UNIT / sizeof(*cell)) == 0 && !shm_committed(segment, shm_offset(segment, cell))) {
			place += UNIT / sizeof(*cell) - 1;
			continue;
		}
		seen = cell_load(cell);
		if (cell_tag(seen.meta) != TAG_FULL && cell_tag(seen.meta) != TAG_BUSY)
			continue;
		if (*_count == room) {
			struct item *larger = reallocarray(*_items, room = room ? 2 * room : 64, sizeof(*larger));

			if (!larger)
				return failure_of(-ERROR_NO_MEMORY);
			*_items = larger;
		}
		(*_items)[(*_count)++] = (struct item){shm_ring_position(segment, place, seen), cell};
	}
	return 0;
}

static int save_queue(struct salvage *salvage)
{
	_cleanup_(freep) struct item *items = NULL;
	size_t count = 0;
	int r = find_queued(salvage, &items, &count);

	if (count)
		qsort(items, count, sizeof(*items), compare_items);
	for (size_t i = 0; i < count && r == 0; i++) {
		struct cell seen = cell_load(items[i].cell);

		r = shm_value_read_while(&salvage->examined.segment, items[i].cell, seen, seen,
					 value_out(&salvage->value));
		if (r == 0)
			r = ems_enqueue(salvage->heap, &salvage->value, NULL);
		salvage->result->queued += r == 0;
		if (r == SHM_AGAIN || is_of_the_heap(r)) {
			lost(salvage, "item %zu of the queue cannot be read", i);
			r = 0;
		}
	}
	return r;
}

static int save_stack(struct salvage *salvage)
{
	const struct shm_segment *segment = &salvage->examined.segment;
	uint64_t count = MIN(shm_stack_length(segment), salvage->examined.reply.elements);
	struct cell item;
	int r = 0;

	for (uint64_t i = 0; i < count && r == 0; i++) {
		if (!shm_stack_item(segment, i, &item)) {
			/* The rest was never there: the count is nonsense. */
			lost(salvage, "items of the stack from %" PRIu64 " on are not there", i);
			return 0;
		}
		r = shm_value_read_while(segment, &item, item, item, value_out(&salvage->value));
		if (r == 0)
			r = ems_push(salvage->heap, &salvage->value, NULL);
		salvage->result->stacked += r == 0;
		if (r == SHM_AGAIN || is_of_the_heap(r)) {
			lost(salvage, "item %" PRIu64 " of the stack cannot be read", i);
			r = 0;
		}
	}
	return r;
}

/* ---- the new heap ---- */

/* Beside the old one, under a name that nobody else thinks of. */
static int choose_name(struct salvage *salvage, const char *name)
{
	size_t size = strlen(name), most = PROTO_NAME_MAX - sizeof(".repair-0123456789abcdef");
	uint64_t random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return failure_of(-ERROR_SYSTEM);
	size = MIN(size, most);
	while (size > 0 && size < strlen(name) && ((unsigned char)name[size] & 0xc0) == 0x80)
		size--; /* not within a character */
	(void)snprintf(salvage->name, sizeof(salvage->name), "%.*s.repair-%016" PRIx64, (int)size, name, random);
	return 0;
}

static int make_new(struct salvage *salvage, const struct proto_inspect_reply *old)
{
	const struct proto_params *params = &salvage->examined.reply.params;
	ems_value_t fill = {.type = (ems_type_t)params->fill.type};
	ems_heap_options_t options = {.elements = salvage->examined.reply.elements,
				      .max_elements = params->max_elements,
				      .storage = params->storage / STORAGE_RESERVE, /* as it was asked for */
				      .budget = old->budget,
				      .fill = &fill,
				      .initial_tag = params->tag == PROTO_TAG_EMPTY ? EMS_EMPTY : EMS_FULL,
				      .map = params->has_map,
				      .persistent = params->persistent,
				      .idle_seconds = (uint32_t)old->idle_seconds};

	if (params->fill.type == PROTO_BOOLEAN)
		fill.boolean = params->fill.boolean;
	else if (params->fill.type == PROTO_INTEGER)
		fill.integer = params->fill.integer;
	else if (params->fill.type == PROTO_FLOAT)
		fill.number = params->fill.number;
	fill.data = (void *)params->fill.data;
	fill.size = params->fill.size;
	return ems_heap_open(salvage->connection, salvage->name, EMS_CREATE, &options, &salvage->heap);
}

/* As the old one's; by one who may do that. */
static int give_and_rename(struct salvage *salvage, const char *name, const struct proto_inspect_reply *old)
{
	ems_heap_info_t made;
	int r = ems_heap_inspect(salvage->connection, salvage->name, &made);

	if (r == 0)
		r = ems_heap_chmod(salvage->connection, salvage->name, old->mode);
	if (r == 0 && (made.uid != old->uid || made.gid != old->gid))
		r = ems_heap_chown(salvage->connection, salvage->name, old->uid, old->gid);
	return r < 0 ? r : ems_heap_rename(salvage->connection, salvage->name, name, true);
}

static int inspect(struct salvage *salvage, struct proto_inspect_reply *old)
{
	struct proto_inspect body = {.heap = salvage->examined.attachment};

	return connection_call(salvage->connection, PROTO_INSPECT, &body, old, clock_deadline(CONNECTION_PATIENCE));
}

/* All of it is in a new heap, which has not its name yet. */
static int save_all(struct salvage *salvage, const char *name, const struct proto_inspect_reply *old)
{
	int r = choose_name(salvage, name);

	if (r == 0)
		r = make_new(salvage, old);
	if (r < 0)
		return r;
	r = save_elements(salvage);
	if (r == 0)
		r = save_queue(salvage);
	return r == 0 ? save_stack(salvage) : r;
}

static int salvage_all(struct salvage *salvage, const char *name)
{
	struct proto_inspect_reply old;
	int r = examined_open(&salvage->examined, salvage->connection, name);

	if (r == 0)
		r = inspect(salvage, &old);
	if (r < 0)
		return r;
	r = save_all(salvage, name, &old);
	if (r == 0)
		r = give_and_rename(salvage, name, &old);
	if (r < 0 && salvage->heap)
		(void)ems_heap_drop(salvage->connection, salvage->name);
	salvage->result->quarantined = old.quarantined;
	return r;
}

static int restore_all(struct salvage *salvage, const char *name, const struct proto_inspect_reply *old)
{
	int r = save_all(salvage, name, old);

	if (r == 0 && salvage->result->lost)
		r = failure_say(-ERROR_CORRUPT, "%" PRIu64 " elements or items of the backup cannot be read",
				salvage->result->lost);
	if (r == 0)
		r = ems_heap_chmod(salvage->connection, salvage->name, old->mode);
	if (r == 0)
		r = ems_heap_rename(salvage->connection, salvage->name, name, false);
	if (r < 0 && salvage->heap)
		(void)ems_heap_drop(salvage->connection, salvage->name);
	return r;
}

int salvage_image(struct ems_connection *connection, const char *name, const struct shm_segment *image,
		  const struct proto_open_reply *description, const struct proto_inspect_reply *old,
		  ems_progress_hook_t hook, void *arg)
{
	struct salvage *salvage = calloc(1, sizeof(*salvage));
	ems_check_t result = {0};
	int r;

	if (!salvage)
		return failure_of(-ERROR_NO_MEMORY);
	salvage->connection = connection;
	salvage->examined.segment = *image;
	salvage->examined.reply = *description;
	salvage->progress = hook;
	salvage->arg = arg;
	salvage->result = &result;
	r = restore_all(salvage, name, old);
	ems_heap_close(salvage->heap);
	ems_value_clear(&salvage->value);
	ems_value_clear(&salvage->text);
	free(salvage);
	return r;
}

int ems_heap_repair(ems_connection_t *connection, const char *name, ems_check_hook_t hook, void *arg,
		    ems_check_t *check)
{
	struct salvage *salvage = calloc(1, sizeof(*salvage));
	ems_check_t ignored = {0};
	int r;

	if (!salvage)
		return failure_of(-ERROR_NO_MEMORY);
	check = check ? check : &ignored;
	memset(check, 0, sizeof(*check));
	salvage->connection = connection;
	salvage->hook = hook;
	salvage->arg = arg;
	salvage->result = check;
	r = salvage_all(salvage, name);
	ems_heap_close(salvage->heap);
	examined_close(&salvage->examined);
	ems_value_clear(&salvage->value);
	ems_value_clear(&salvage->text);
	free(salvage);
	return r;
}
