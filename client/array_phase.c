/* Phases of whole-array operations: who does which chunk, and how they agree on the outcome. See array.h. */
#include <stdlib.h>

#include "base/error.h"
#include "base/macros.h"
#include "client/array.h"
#include "client/failure.h"
#include "client/heap.h"
#include "client/team.h"
#include "shm/team_loop.h"

/* A chunk's word, of 64 bits: it ended well in this loop, or it failed at this element. */
static int64_t word_of(const struct array *array, int r, uint32_t epoch)
{
	return r < 0 ? -(int64_t)(MIN(array->at, ARRAY_NOWHERE) << 16 | (uint64_t)-(int64_t)r) : (int64_t)epoch + 1;
}

/* The error of a chunk, as all members tell it. */
static int fail(struct array *array, int r)
{
	const ems_range_t *range = array->told;
	const char *text = -r < ERROR_COUNT ? error_text(r) : "the callback's own error";

	if (array->at < ARRAY_NOWHERE) {
		if (array->done)
			*array->done = array->at;
		return failure_say(r, "heap \"%s\": %s: element %llu: %s", range->heap ? range->heap->name : "", array->name,
				   (unsigned long long)(range->first + array->at), text);
	}
	/* This member has said more already. */
	return array->own_words && array->r == r ? r : failure_say(r, "%s: %s", array->name, text);
}

static int run(struct array *array, array_body *body, uint64_t chunks, uint64_t chunk)
{
	uint64_t size = chunks == array->chunks ? array->chunk : array->count, first = chunk * size;

	array->at = ARRAY_NOWHERE;
	return body(array, chunk, first, MIN(first + size, array->count));
}

static int alone(struct array *array, array_body *body, uint64_t chunks)
{
	int r = array->r;

	for (uint64_t chunk = 0; chunk < chunks && r == 0; chunk++)
		r = run(array, body, chunks, chunk);
	return r < 0 ? fail(array, r) : 0;
}

/* ---- in a team ---- */

/* To cancel the wait of one member would leave the others in the lurch. */
static bool goes_on(int r)
{
	return r == -ERROR_CANCELLED || r == -ERROR_INTERRUPTED;
}

static int pass_barrier(struct array *array)
{
	struct team_call call = team_call_until(EMS_FOREVER);
	int r;

	do
		r = shm_team_barrier(&array->team->member, &call);
	while (goes_on(r));
	return r;
}

/* A chunk, unless one before it has failed here already; and its word. */
static void run_and_tell(struct array *array, array_body *body, uint64_t chunks, uint64_t chunk, uint32_t epoch,
			 uint64_t *failed)
{
	int r = 0;

	array->at = ARRAY_NOWHERE;
	if (array->r < 0)
		r = array->r;
	else if (chunk <= *failed)
		r = run(array, body, chunks, chunk);
	if (r < 0)
		*failed = MIN(*failed, chunk);
	r = ems_write_int64(array->scratch, ems_index((int64_t)chunk), word_of(array, r, epoch));
	/* The others find the word of another loop there. */
	if (r < 0 && array->r == 0) {
		array->r = r;
		array->own_words = true;
	}
}

/* Does as much of the loop as comes to this member, up to the barrier at its end. */
static int share(struct array *array, array_body *body, uint64_t chunks, uint32_t *epoch)
{
	struct team_call call = team_call_until(EMS_FOREVER);
	uint64_t failed = UINT64_MAX;
	struct shm_loop loop;
	int64_t first, last;
	int r, end;

	do
		r = shm_loop_begin(&loop, &array->team->member, 0, (int64_t)chunks, TEAM_DYNAMIC, 1, &call);
	while (goes_on(r));
	if (r < 0)
		return r;
	*epoch = loop.epoch;
	do {
		r = shm_loop_next(&loop, &first, &last, &call);
		for (int64_t chunk = first; r == 0 && chunk < last; chunk++)
			run_and_tell(array, body, chunks, (uint64_t)chunk, loop.epoch, &failed);
	} while (r == 0 || goes_on(r));
	do
		end = shm_loop_end(&loop, &call);
	while (goes_on(end));
	return r == -ERROR_EMPTY ? end : r;
}

/* What all the words say: the first chunk that failed, at array->at. Each member reads the same. */
static int agree(struct array *array, uint64_t chunks, uint32_t epoch)
{
	int64_t words[ARRAY_CHUNKS];
	int r = ems_read_range_int64(array->scratch, 0, chunks, words, NULL);

	array->at = ARRAY_NOWHERE;
	if (r < 0)
		return -ERROR_CONFLICT;
	for (uint64_t i = 0; i < chunks; i++) {
		if (words[i] == (int64_t)epoch + 1)
			continue;
		if (words[i] >= 0 || words[i] == INT64_MIN || -words[i] % 65536 == 0)
			return -ERROR_CONFLICT;
		array->at = (uint64_t)-words[i] >> 16;
		return -(int)(-words[i] % 65536);
	}
	return 0;
}

static int together(struct array *array, array_body *body, uint64_t chunks)
{
	uint32_t epoch = 0;
	int r = share(array, body, chunks, &epoch), barrier;

	if (r < 0)
		return team_failure(r, array->team, array->name);
	r = agree(array, chunks, epoch);
	barrier = pass_barrier(array);
	if (barrier < 0)
		return team_failure(barrier, array->team, array->name);
	if (r == -ERROR_CONFLICT && array->at == ARRAY_NOWHERE)
		return failure_say(r, "heap \"%s\": %s: others use this scratch heap, or a member could not write to it",
				   array->scratch->name, array->name);
	return r < 0 ? fail(array, r) : 0;
}

int array_each_chunk(struct array *array, array_body *body)
{
	return array->team ? together(array, body, array->chunks) : alone(array, body, array->chunks);
}

int array_once(struct array *array, array_body *body)
{
	return array->team ? together(array, body, 1) : alone(array, body, 1);
}

int array_end(struct array *array, int r)
{
	/* A bad argument is one also for a member that there was nothing left to do for. */
	if (r == 0 && array->r < 0) {
		array->at = ARRAY_NOWHERE;
		r = fail(array, array->r);
	}
	if (r == 0 && array->done)
		*array->done = array->count;
	ems_value_clear(&array->in);
	ems_value_clear(&array->sum);
	ems_value_clear(&array->key_text);
	for (int i = 0; array->values && i < ARRAY_VALUES; i++)
		ems_value_clear(&array->values[i]);
	free(array->values);
	return r;
}
