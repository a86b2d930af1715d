/* Items that tell where they are from: see storm_items.h. */
#include "tests/stress/storm_items.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/error.h"
#include "shm/ring.h"
#include "shm/stack.h"

#define WORKERS 17u /* the last one is the judge */
#define ITEMS	((uint64_t)1 << 20)

enum { QUEUE, STACK, CONTAINERS };

struct memory {
	uint64_t begun[CONTAINERS][WORKERS]; /* items that somebody began to put */
	int64_t last[WORKERS][WORKERS];	     /* of the queue: which item of whom a worker took last, + 1 */
	uint32_t taken[CONTAINERS][WORKERS][ITEMS]; /* how often */
};
static struct memory *memory;

bool storm_items_init(void)
{
	memory = mmap(NULL, sizeof(*memory), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return memory != MAP_FAILED;
}

struct shm_value storm_item_make(uint64_t number, uint64_t random, uint8_t bytes[STORM_ITEM_SIZE])
{
	struct shm_value value = {.type = TYPE_INTEGER, .integer = (int64_t)number};

	if (random % 2)
		return value;
	value.type = TYPE_BYTES;
	value.data = bytes;
	value.size = random % 32 == 0 ? STORM_ITEM_SIZE : 8 + random / 32 % 300;
	for (size_t i = 8; i < value.size; i++)
		bytes[i] = (uint8_t)(number + value.size + i);
	memcpy(bytes, &number, 8);
	return value;
}

bool storm_item_read(const struct shm_value *value, uint64_t *number)
{
	const uint8_t *bytes = value->data;

	*number = (uint64_t)value->integer;
	if (value->type == TYPE_INTEGER)
		return true;
	if (value->type != TYPE_BYTES || value->size < 8)
		return false;
	memcpy(number, bytes, 8);
	for (size_t i = 8; i < value->size; i++)
		if (bytes[i] != (uint8_t)(*number + value->size + i))
			return false;
	return true;
}

static const char *note(int container, uint32_t worker, const struct shm_value *value)
{
	uint64_t number, producer, item;

	if (!storm_item_read(value, &number))
		return "a torn item";
	producer = number / ITEMS;
	item = number % ITEMS;
	if (producer >= WORKERS || item >= load64_acquire(&memory->begun[container][producer]))
		return "an item that nobody put";
	if (add32(&memory->taken[container][producer][item], 1) > 0)
		return "an item comes twice";
	if (container == QUEUE && (int64_t)item < memory->last[worker][producer])
		return "an item comes out of order";
	if (container == QUEUE)
		memory->last[worker][producer] = (int64_t)item + 1;
	return NULL;
}

static const char *put(int container, struct shm_session *session, uint32_t worker, uint64_t random,
		       int *error)
{
	static uint8_t bytes[STORM_ITEM_SIZE];
	uint64_t item = load64_relaxed(&memory->begun[container][worker]);
	struct shm_value value = storm_item_make(worker * ITEMS + item, random, bytes);
	struct shm_call call = {.argument = &value,
				.deadline = (random >> 40 & 15) == 0 ? clock_deadline(NS_PER_MS) : 0};

	if (item >= ITEMS)
		return NULL;
	/* One that is cut off leaves a number that nobody else has. */
	store64_release(&memory->begun[container][worker], item + 1);
	*error = container == QUEUE ? shm_ring_put(session, &call, NULL)
				    : shm_stack_push(session, &call, NULL);
	if (*error == 0)
		return NULL;
	store64_release(&memory->begun[container][worker], item);
	return *error == -ERROR_FULL || *error == -ERROR_TIMEOUT || *error == -ERROR_NO_SPACE ? NULL : "put";
}

static const char *take(int container, struct shm_session *session, uint32_t worker, uint64_t deadline,
			int *error)
{
	static struct shm_value value; /* its buffer is used again */
	struct shm_call call = {.result = &value, .deadline = deadline};

	*error = container == QUEUE ? shm_ring_take(session, &call) : shm_stack_pop(session, &call);
	if (*error == 0)
		return note(container, worker, &value);
	return *error == -ERROR_EMPTY || *error == -ERROR_TIMEOUT ? NULL : "take";
}

const char *storm_items_work(struct shm_session *session, uint32_t worker, uint64_t random, int *error)
{
	int container = random & 1 ? STACK : QUEUE;

	/* Fuller and emptier by turns. */
	if ((random >> 1 & 7) < 3 + (load64_relaxed(&memory->begun[container][worker]) >> 7 & 1) * 2)
		return put(container, session, worker, random >> 4, error);
	return take(container, session, worker, (random >> 41 & 15) == 0 ? clock_deadline(NS_PER_MS) : 0,
		    error);
}

static uint64_t check_container(int container, struct shm_session *session, uint64_t kills)
{
	uint64_t there = 0, begun = 0, missing = 0;
	const char *wrong;
	int error;

	for (;; there++) {
		wrong = take(container, session, WORKERS - 1, 0, &error);
		if (wrong || error)
			break;
	}
	for (uint32_t worker = 0; worker < WORKERS; worker++) {
		begun += memory->begun[container][worker];
		for (uint64_t item = 0; item < memory->begun[container][worker]; item++)
			missing += memory->taken[container][worker][item] == 0;
	}
	printf("%s: %" PRIu64 " items, %" PRIu64 " left, %" PRIu64 " missing%s%s\n",
	       container == QUEUE ? "queue" : "stack", begun, there, missing, wrong ? ": " : "",
	       wrong ? wrong : "");
	return wrong != NULL || missing > kills;
}

uint64_t storm_items_check(struct shm_session *session, uint64_t kills)
{
	return check_container(QUEUE, session, kills) + check_container(STACK, session, kills);
}
