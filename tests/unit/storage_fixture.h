/*
 * storage_fixture.h: a small heap, and sessions for tests of the storage alone: they take a slot by its
 * robust lock, claim and release with steps and intents as an operation does, and supply chunks in place.
 */
#ifndef TESTS_STORAGE_FIXTURE_H
#define TESTS_STORAGE_FIXTURE_H

#include <pthread.h>
#include <string.h>

#include "base/error.h"
#include "base/macros.h"
#include "shm/storage.h"
#include "shm/storage_class.h"
#include "shm/storage_words.h"
#include "tests/unit/unit.h"

/* For loops: the asserts of check write to a pipe each time they hold. */
#define must(condition)                                        \
	do {                                                   \
		if (!(condition))                              \
			ck_abort_msg("fails: %s", #condition); \
	} while (0)

struct fixture {
	struct shm_segment seg;
	int fd;
};

static pthread_mutex_t supply_lock = PTHREAD_MUTEX_INITIALIZER; /* the daemon does one thing at a time */

static inline void fixture_init(struct fixture *fixture, uint32_t chunks)
{
	struct heap_params params = {.elements = 16,
				     .max_elements = 16,
				     .storage = chunks * UNIT,
				     .fill_type = TYPE_INTEGER,
				     .initial_tag = TAG_FULL};
	static const uint8_t id[16];

	ck_assert_int_eq(shm_segment_create(&fixture->seg, &params, NULL, id, &fixture->fd), 0);
}

static inline void fixture_fini(struct fixture *fixture)
{
	shm_segment_unmap(&fixture->seg);
	close(fixture->fd);
}

static inline void session_init(struct shm_session *session, struct fixture *fixture, uint32_t id)
{
	uint32_t *high = &shm_header(&fixture->seg)->slots_high;
	uint32_t seen = load32_acquire(high);

	memset(session, 0, sizeof(*session));
	session->seg = &fixture->seg;
	session->slot = shm_slot(&fixture->seg, id);
	session->id = id;
	while (seen <= id && !cas32(high, &seen, id + 1))
		continue;
	ck_assert_int_eq(shm_robust_trylock(&fixture->seg, id, &session->lock), 0);
	store32_release(&session->slot->state, SLOT_TAKEN);
}

static inline void session_fini(struct shm_session *session)
{
	store32_release(&session->slot->state, SLOT_LEAVING);
	shm_storage_leave(session);
	store32_release(&session->slot->state, SLOT_FREE);
	shm_robust_unlock(&session->lock);
}

static inline int supply_chunks(struct shm_session *session)
{
	uint64_t added;
	int r;

	must(session->need.kind == NEED_STORAGE);
	pthread_mutex_lock(&supply_lock);
	r = shm_commit_storage(session->seg, (uint32_t)session->need.count, &added);
	pthread_mutex_unlock(&supply_lock);
	return r;
}

/* Claims as an operation does; the blob counts as published when the intent is cleared. */
static inline int session_claim(struct shm_session *session, uint64_t size, blob_ref *ref)
{
	struct slot *slot = session->slot;

	for (;;) {
		int r;

		shm_step_enter(session);
		store64_release(&slot->intent, INTENT_CLAIM);
		r = shm_blob_claim(session, size, &slot->intent_new);
		*ref = slot->intent_new;
		store64_release(&slot->intent, INTENT_NONE);
		store64_release(&slot->intent_new, 0);
		shm_step_leave(session);
		if (r != SHM_NEED)
			return r;
		must(*ref == 0);
		r = supply_chunks(session);
		if (r < 0)
			session->storage_refused = r;
	}
}

static inline void session_release(struct shm_session *session, blob_ref ref)
{
	struct slot *slot = session->slot;

	shm_step_enter(session);
	store64_release(&slot->intent_old, ref);
	store64_release(&slot->intent, INTENT_REPLACE);
	shm_blob_release(session, ref);
	store64_release(&slot->intent, INTENT_NONE);
	store64_release(&slot->intent_old, 0);
	shm_step_leave(session);
}

/* Every chunk that was committed is free, and nothing is allocated. */
static inline void expect_all_free(const struct shm_segment *seg)
{
	struct shm_storage_stats stats;

	shm_storage_stats(seg, &stats);
	ck_assert_uint_eq(stats.blocks_allocated, 0);
	ck_assert_uint_eq(stats.slabs, 0);
	ck_assert_uint_eq(stats.free_chunks, stats.committed_chunks);
	ck_assert_uint_eq(shm_storage_unsettled(seg), 0);
}

#endif
