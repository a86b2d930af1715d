/* Leases under fire: see storm_leases.h. */
#include "tests/stress/storm_leases.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/error.h"
#include "shm/lease.h"
#include "shm/ring.h"
#include "tests/stress/storm_items.h"

#define WORKERS 17u
#define ITEMS	((uint64_t)1 << 18)

enum fate { NOT_PUT = 0, PUT, ENDING, GONE };

struct memory {
	uint64_t begun[WORKERS];	/* items that a worker began to put */
	uint8_t fates[WORKERS][ITEMS];
	uint64_t sums_begun, sums_done; /* additions of all to all sums */
};
static struct memory *memory;

bool storm_leases_init(void)
{
	memory = mmap(NULL, sizeof(*memory), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1,
		      0);
	return memory != MAP_FAILED;
}

static bool is_refusal(int r)
{
	return r == -ERROR_TIMEOUT || r == -ERROR_EMPTY || r == -ERROR_FULL || r == -ERROR_NO_SPACE;
}

/* ---- elements ---- */

static const char *add(struct shm_session *session, uint64_t random, int *error)
{
	static struct shm_value value;
	static uint8_t bytes[STORM_ITEM_SIZE];
	struct shm_call call = {.target.index = STORM_SUMS_FIRST + random % STORM_SUMS,
				.result = &value,
				.deadline = clock_deadline(NS_PER_MS)};
	struct shm_value next;
	uint64_t ticket, number = 0;

	*error = shm_lease_element(session, &call, &ticket);
	if (*error != 0)
		return is_refusal(*error) ? NULL : "lease an element";
	if (value.type != TYPE_UNDEFINED && !storm_item_read(&value, &number))
		return "a torn sum";
	if (random >> 8 & 1) {
		*error = shm_lease_finish(session, ticket, LEASE_END, NULL);
		return *error ? "end the lease of an element" : NULL;
	}
	next = storm_item_make(number + 1, random >> 9, bytes);
	add64(&memory->sums_begun, 1);
	*error = shm_lease_finish(session, ticket, LEASE_PUT, &next);
	if (*error == 0)
		add64(&memory->sums_done, 1);
	else if (shm_lease_finish(session, ticket, LEASE_END, NULL) != 0)
		return "end the lease of an element";
	return *error == 0 || is_refusal(*error) ? NULL : "put an element";
}

/* ---- items ---- */

static const char *put(struct shm_session *session, uint32_t worker, uint64_t random, int *error)
{
	static uint8_t bytes[STORM_ITEM_SIZE];
	uint64_t item = load64_relaxed(&memory->begun[worker]);
	struct shm_value value = storm_item_make(worker * ITEMS + item, random, bytes);
	struct shm_call call = {.argument = &value};

	if (item >= ITEMS)
		return NULL;
	store64_release(&memory->begun[worker], item + 1);
	*error = shm_ring_put(session, &call, NULL);
	if (*error == 0 && load8_relaxed(&memory->fates[worker][item]) == NOT_PUT) {
		uint8_t not_put = NOT_PUT; /* somebody may have been faster */

		(void)cas8(&memory->fates[worker][item], &not_put, PUT);
	}
	return *error == 0 || is_refusal(*error) ? NULL : "put";
}

/* The item's place in the memory; NULL, with *wrong, when there can be no such item. */
static uint8_t *fate_of(const struct shm_value *value, const char **wrong)
{
	uint64_t number = 0;

	*wrong = NULL;
	if (!storm_item_read(value, &number))
		*wrong = "a torn item";
	else if (number / ITEMS >= WORKERS || number % ITEMS >= load64_acquire(&memory->begun[number / ITEMS]))
		*wrong = "an item that nobody put";
	else if (load8_relaxed(&memory->fates[number / ITEMS][number % ITEMS]) == GONE)
		*wrong = "an acknowledged item comes again";
	return *wrong ? NULL : &memory->fates[number / ITEMS][number % ITEMS];
}

static const char *lease(struct shm_session *session, uint64_t random, int *error)
{
	static struct shm_value value;
	struct shm_call call = {.result = &value, .deadline = random >> 8 & 7 ? 0 : clock_deadline(NS_PER_MS)};
	const char *wrong;
	uint64_t ticket;
	uint8_t *fate;

	*error = shm_lease_item(session, &call, &ticket);
	if (*error != 0)
		return is_refusal(*error) ? NULL : "lease an item";
	fate = fate_of(&value, &wrong);
	if (!fate)
		return wrong;
	/* It is this worker's alone: nobody else writes to its place, but for the one who put it just now. */
	store8_relaxed(fate, PUT);
	switch (random & 7) {
	case 0:
	case 1:
		*error = shm_lease_finish(session, ticket, LEASE_END, NULL);
		return *error ? "give back" : NULL;
	case 2:
		*error = shm_lease_finish(session, ticket, LEASE_PUT, &value);
		if (is_refusal(*error))
			*error = shm_lease_finish(session, ticket, LEASE_END, NULL);
		return *error ? "put back" : NULL;
	default:
		store8_relaxed(fate, ENDING);
		*error = shm_lease_finish(session, ticket, LEASE_KEEP, NULL);
		store8_relaxed(fate, GONE);
		return *error ? "acknowledge" : NULL;
	}
}

const char *storm_leases_work(struct shm_session *plain, struct shm_session *mapped, uint32_t worker, uint64_t random,
			      int *error)
{
	if (random % 4 == 0)
		return add(plain, random / 4, error);
	/* Fuller and emptier by turns. */
	if ((random >> 2 & 7) < 2 + (load64_relaxed(&memory->begun[worker]) >> 6 & 1) * 2)
		return put(mapped, worker, random >> 5, error);
	return lease(mapped, random >> 5, error);
}

/* ---- afterwards ---- */

static uint64_t drain(struct shm_session *session)
{
	struct shm_value value = {0};
	struct shm_call call = {.result = &value};
	const char *wrong;
	uint64_t problems = 0, left = 0;

	for (; shm_ring_take(session, &call) == 0; left++) {
		uint8_t *fate = fate_of(&value, &wrong);

		if (fate)
			store8_relaxed(fate, GONE);
		else
			problems++, printf("leases: %s\n", wrong);
	}
	free(value.data);
	printf("leases: %" PRIu64 " items left", left);
	return problems;
}

/* All that were put, and that nobody was about to acknowledge when he was killed, must be gone now. */
static uint64_t count_lost(void)
{
	uint64_t lost = 0, begun = 0;

	for (uint32_t worker = 0; worker < WORKERS; worker++)
		for (uint64_t item = 0; item < memory->begun[worker]; item++, begun++)
			lost += memory->fates[worker][item] == PUT;
	printf(", %" PRIu64 " begun, %" PRIu64 " lost\n", begun, lost);
	return lost;
}

static uint64_t check_sums(struct shm_session *session)
{
	uint64_t sum = 0, wrong = 0;

	for (uint64_t i = 0; i < STORM_SUMS; i++) {
		struct shm_value value = {0};
		enum tag tag = TAG_NONE;
		struct shm_call call = {
			.op = OP_READ, .target.index = STORM_SUMS_FIRST + i, .result = &value, .result_tag = &tag};
		uint64_t number = 0;

		(void)shm_element_apply(session->seg, session, &call, NULL);
		wrong += tag != TAG_FULL || (value.type != TYPE_UNDEFINED && !storm_item_read(&value, &number));
		sum += number;
		free(value.data);
	}
	printf("leases: sum %" PRIu64 ", puts done %" PRIu64 ", begun %" PRIu64 "\n", sum, memory->sums_done,
	       memory->sums_begun);
	return wrong + (sum < memory->sums_done || sum > memory->sums_begun);
}

uint64_t storm_leases_check(struct shm_session *plain, struct shm_session *mapped)
{
	uint64_t wrong = check_sums(plain) + drain(mapped);

	return wrong + count_lost();
}
