/* Working on a recovered heap: see exercise.h. */
#include "tests/kill/exercise.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "shm/lease.h"
#include "shm/ring.h"
#include "shm/stack.h"
#include "shm/storage.h"

#define LARGE	 66000u
#define ELEMENTS 3u /* how many of those that are there are worked on */

static char large_text[LARGE];

static struct shm_value number(int64_t integer)
{
	return (struct shm_value){.type = TYPE_INTEGER, .integer = integer};
}

static struct shm_value text(const char *data, size_t size)
{
	return (struct shm_value){.type = TYPE_STRING, .data = (void *)(uintptr_t)data, .size = size};
}

/* Results that an operation on some element may well have. */
static bool is_answer(int r)
{
	return r == 0 || r == -ERROR_TYPE || r == -ERROR_TIMEOUT || r == -ERROR_RANGE || r == -ERROR_NO_KEY;
}

static int apply(struct shm_session *session, enum shm_op op, struct shm_target target,
		 const struct shm_value *argument)
{
	struct shm_call call = {.op = op,
				.target = target,
				.argument = argument,
				.argument2 = argument,
				.tag = TAG_FULL}; /* deadline 0: nobody is there to wait for */

	return shm_element_apply(session->seg, session, &call, NULL);
}

/* Every operation but deletion, with a number and with texts; it ends FULL with a small text. */
static int work_on(struct shm_session *session, struct shm_target target)
{
	struct shm_value arguments[] = {number(5), text("five", 4), text(large_text, LARGE), number(6),
					text("a text of some length", 21)};
	int r;

	for (size_t i = 0; i < sizeof(arguments) / sizeof(arguments[0]); i++) {
		for (enum shm_op op = OP_READ; op < OP_DELETE; op++) {
			if (arguments[i].size == LARGE && op != OP_SWAP)
				continue; /* one large one is enough */
			r = apply(session, op, target, &arguments[i]);
			if (!is_answer(r))
				return r;
		}
		r = apply(session, OP_WRITE_XF, target, &arguments[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

static int insert_and_delete(struct shm_session *session, const struct shm_key *key, const char **what)
{
	struct shm_target target = {.key = key};
	int r;

	*what = "insertion of a key";
	r = work_on(session, target);
	if (r < 0)
		return r;
	*what = "deletion of a key";
	return apply(session, OP_DELETE, target, NULL);
}

static int map_work(struct shm_session *session, const char **what)
{
	static const char name[] = "a key that is longer than eight bytes, which takes a blob";
	struct shm_segment *seg = session->seg;
	struct shm_key keys[] = {shm_key_integer(seg, 7000001), shm_key_string(seg, "short", 5),
				 shm_key_string(seg, name, sizeof(name) - 1)};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		int r = insert_and_delete(session, &keys[i], what);
		if (r < 0)
			return r;
	}
	return 0;
}

typedef int put_function(struct shm_session *session, const struct shm_call *call, uint64_t *count);
typedef int take_function(struct shm_session *session, const struct shm_call *call);

/* Up to the last place, and two out again. */
static int items_work(struct shm_session *session, put_function *put, take_function *take)
{
	struct shm_value arguments[] = {number(7), text("seven", 5)};
	struct shm_call call = {0};
	int r = 0;

	for (uint32_t i = 0; i < 3 && r == 0; i++) {
		call.argument = &arguments[i % 2];
		r = put(session, &call, NULL);
	}
	call.argument = NULL;
	if (r == 0 || r == -ERROR_FULL)
		r = take(session, &call);
	return r == 0 ? take(session, &call) : r;
}

/* A lease that is given back, and one that is kept. */
static int lease_work(struct shm_session *session)
{
	struct shm_value value = number(8);
	struct shm_call put = {.argument = &value}, take = {.deadline = 0};
	uint64_t ticket;
	int r = shm_ring_put(session, &put, NULL);

	if (r == -ERROR_FULL)
		r = 0;
	for (int i = 0; i < 2 && r == 0; i++) {
		r = shm_lease_item(session, &take, &ticket);
		if (r == 0)
			r = shm_lease_finish(session, ticket, i ? LEASE_KEEP : LEASE_END, NULL);
	}
	return r;
}

static int take_all(struct shm_session *session, take_function *take)
{
	struct shm_call call = {0};
	int r;

	do
		r = take(session, &call);
	while (r == 0);
	return r == -ERROR_EMPTY ? 0 : r;
}

/* The key of element index in a form that can be looked up; false when it has none. */
static bool key_of(struct shm_segment *seg, uint64_t index, struct shm_key *key)
{
	static uint8_t bytes[KEY_MAX + 1];
	struct cell seen = cell_load(shm_cell(seg, index));
	uint64_t size = 0;

	if (!tag_is_live(cell_tag(seen.meta)) ||
	    shm_map_key_of(seg, index, key, bytes, sizeof(bytes), &size, &seen) < 0)
		return false;
	switch (key->kind) {
	case KEY_INTEGER:
		*key = shm_key_integer(seg, (int64_t)key->word);
		return true;
	case KEY_SHORT:
		*key = shm_key_string(seg, &key->word, (uint32_t)strnlen((const char *)&key->word, 8));
		return true;
	case KEY_STRING:
		*key = shm_key_string(seg, bytes, (uint32_t)size);
		return true;
	default:
		return false; /* the cases use no others */
	}
}

/* Calls work for the elements in use, `most` of them; without a map for the first ones. */
static int each_element(struct shm_session *session, uint64_t most,
			int (*work)(struct shm_session *, struct shm_target))
{
	struct shm_segment *seg = session->seg;
	bool has_map = seg->layout.params.has_map;
	struct shm_key key;

	for (uint64_t index = 0; index < shm_elements(seg) && most > 0; index++) {
		if (!shm_committed(seg, shm_offset(seg, shm_cell(seg, index))) ||
		    (has_map && !key_of(seg, index, &key)))
			continue;
		int r = work(session, (struct shm_target){.key = has_map ? &key : NULL, .index = index});
		if (r < 0)
			return r;
		most--;
	}
	return 0;
}

int exercise_heap(struct shm_segment *seg, const char **what)
{
	struct shm_session session;
	int r;

	memset(large_text, 'x', sizeof(large_text));
	*what = "taking a slot";
	r = shm_session_open(&session, seg, 0);
	if (r < 0)
		return r;
	*what = "operations on an element";
	r = each_element(&session, ELEMENTS, work_on);
	if (r == 0 && seg->layout.params.has_map)
		r = map_work(&session, what);
	if (r == 0 && shm_elements(seg) >= 2) {
		*what = "the queue";
		r = items_work(&session, shm_ring_put, shm_ring_take);
		if (r == 0)
			r = lease_work(&session);
	}
	if (r == 0 && shm_elements(seg) >= 2) {
		*what = "the stack";
		r = items_work(&session, shm_stack_push, shm_stack_pop);
	}
	shm_session_close(&session);
	return r;
}

static int make_empty(struct shm_session *session, struct shm_target target)
{
	struct shm_value nothing = {.type = TYPE_UNDEFINED};

	return target.key ? apply(session, OP_DELETE, target, NULL)
			  : apply(session, OP_WRITE_XF, target, &nothing);
}

int exercise_empty(struct shm_segment *seg)
{
	struct shm_session session;
	int r = shm_session_open(&session, seg, 0);

	if (r < 0)
		return r;
	r = each_element(&session, UINT64_MAX, make_empty);
	if (r == 0)
		r = take_all(&session, shm_ring_take);
	if (r == 0)
		r = take_all(&session, shm_stack_pop);
	shm_session_close(&session);
	return r;
}
