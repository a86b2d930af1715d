/* The other client's part: see rivals.h. */
#include "tests/kill/rivals.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "shm/element.h"
#include "tests/kill/values.h"

#define OTHERS 12

const char *const rival_names[RIVAL_WORKS] = {
	"writes a number", "writes a text",	    "writes a large one", "adds",
	"deletes the key", "deletes and writes it", "writes others",
};

static ems_value_t value_of(enum rival_work work)
{
	switch (work) {
	case RIVAL_SMALL:
	case RIVAL_RENEW:
		return ems_value_data(EMS_STRING, "the rival's text", 16);
	case RIVAL_LARGE:
		return value_new(LARGE, false);
	default:
		return ems_value_integer(1000);
	}
}

/* The keys of RIVAL_OTHERS: long ones; or the elements behind those of the cases. */
static ems_key_t other_key(bool has_map, int i, char text[64])
{
	if (!has_map)
		return ems_index(4 + i % OTHERS);
	(void)snprintf(text, 64, "a long key of the rival's own, %d", i);
	return ems_key(text);
}

/* ---- on a replica ---- */

static struct shm_key shm_key_of(struct shm_segment *seg, ems_key_t key)
{
	return key.type == EMS_KEY_STRING ? shm_key_string(seg, key.text, key.size)
					  : shm_key_integer(seg, key.integer);
}

static int apply(struct shm_session *session, enum shm_op op, ems_key_t key, ems_value_t value)
{
	struct shm_value argument;
	struct shm_key shm_key = shm_key_of(session->seg, key);
	struct shm_call call = {.op = op, .argument = &argument};
	int r;

	_Static_assert(sizeof(value) == sizeof(argument), "same layout, as shm/element.h says");
	memcpy(&argument, &value, sizeof(argument));
	if (session->seg->layout.params.has_map)
		call.target.key = &shm_key;
	else
		call.target.index = (uint64_t)key.integer;
	r = shm_element_apply(session->seg, session, &call, NULL);
	/* The element may be such that the operation has to refuse it. */
	if (r == -ERROR_NO_KEY || r == -ERROR_TIMEOUT || r == -ERROR_TYPE)
		return 0;
	if (r < 0)
		printf("the rival's operation %d: %s\n", (int)op, error_text(r));
	return r;
}

bool rival_meanwhile(struct shm_segment *seg, struct shm_session *session, const void *argument)
{
	const struct rival *rival = argument;
	ems_value_t value = value_of(rival->work);
	char text[64];
	int r = 0;

	switch (rival->work) {
	case RIVAL_ADD:
		return apply(session, OP_ADD, rival->key, value) == 0;
	case RIVAL_DELETE:
		return apply(session, OP_DELETE, rival->key, value) == 0;
	case RIVAL_RENEW:
		return apply(session, OP_DELETE, rival->key, value) == 0 &&
		       apply(session, OP_WRITE, rival->key, value) == 0;
	case RIVAL_OTHERS:
		for (int i = 0; i < OTHERS && r == 0; i++)
			r = apply(session, OP_WRITE, other_key(seg->layout.params.has_map, i, text), value);
		return r == 0;
	default:
		return apply(session, OP_WRITE, rival->key, value) == 0;
	}
}

/* ---- by the helper ---- */

int rival_other(const struct scene *scene, ems_heap_t *heap)
{
	const struct rival *rival = scene->argument;
	ems_value_t value = value_of(rival->work);
	char text[64];
	int r = 0;

	switch (rival->work) {
	case RIVAL_ADD:
		return ems_faa(heap, rival->key, &value, NULL);
	case RIVAL_RENEW:
		r = ems_delete(heap, rival->key);
		return r == 0 || r == -EMS_ENOKEY ? ems_write(heap, rival->key, &value) : r;
	case RIVAL_DELETE:
		r = ems_delete(heap, rival->key);
		return r == -EMS_ENOKEY ? 0 : r;
	case RIVAL_OTHERS:
		for (int i = 0; i < OTHERS && r == 0; i++)
			r = ems_write(heap, other_key(ems_heap_has_map(heap), i, text), &value);
		return r;
	default:
		return ems_write(heap, rival->key, &value);
	}
}
