/* Burying, recovering, checking: see judge.h. */
#include "tests/kill/judge.h"

#include <linux/futex.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/macros.h"
#include "shm/check.h"
#include "shm/recover.h"
#include "tests/kill/exercise.h"

static uint32_t lock_count(const struct shm_segment *seg)
{
	return MIN(load32_acquire(&shm_header(seg)->slots_high), SLOT_COUNT);
}

unsigned judge_words_held(const struct shm_segment *seg, pid_t tid)
{
	unsigned held = 0;

	for (uint32_t id = 0; id < lock_count(seg); id++)
		held += (load32_relaxed(shm_robust_word(seg, id)) & FUTEX_TID_MASK) == (uint32_t)tid;
	return held;
}

void judge_bury(struct shm_segment *seg, pid_t tid)
{
	for (uint32_t id = 0; id < lock_count(seg); id++) {
		uint32_t *word = shm_robust_word(seg, id), held = load32_relaxed(word);

		if ((held & FUTEX_TID_MASK) == (uint32_t)tid)
			store32_release(word, (held & FUTEX_WAITERS) | FUTEX_OWNER_DIED);
	}
}

__attribute__((format(printf, 2, 3))) static bool fails(struct judge *judge, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(judge->problem, sizeof(judge->problem), format, arguments);
	va_end(arguments);
	return false;
}

/* alive: somebody is in the middle of an operation, so that recovery may have to be put off. */
static bool recovers(struct judge *judge, bool alive)
{
	struct shm_segment *seg = &judge->replica->seg;
	struct shm_recovery recovery = {0};
	struct shm_session session;
	int r;

	if (judge->next_daemon) {
		shm_gate_settle(seg);
		(void)shm_trim(seg, UINT32_MAX, UINT32_MAX); /* takes up what the dead one was giving back */
	}
	if (judge->with_session) {
		r = shm_session_open(&session, seg, 0);
		if (r < 0)
			return fails(judge, "no slot for the recoverer: %s", error_text(r));
		r = shm_recover(seg, &session, &recovery);
		shm_session_close(&session);
	} else {
		r = shm_recover(seg, NULL, &recovery);
	}
	if (r < 0)
		return fails(judge, "recovery fails: %s", error_text(r));
	if (recovery.corrupt || (recovery.deferred && !alive))
		return fails(judge, "recovery: %u slots made no sense, %u deferred", recovery.corrupt,
			     recovery.deferred);
	if (shm_recovery_needed(seg) && !alive)
		return fails(judge, "a slot is still dead after recovery");
	return true;
}

static void first_problem(void *arg, const char *text)
{
	struct judge *judge = arg;

	if (!judge->problem[0])
		(void)snprintf(judge->problem, sizeof(judge->problem), "%s", text);
}

static bool checks(struct judge *judge, const char *when, bool quiet)
{
	struct shm_check check = {.quiet = quiet, .problem = first_problem, .arg = judge};
	char first[300];
	int r;

	judge->problem[0] = '\0';
	r = shm_check(&judge->replica->seg, &check);
	if (r < 0)
		return fails(judge, "%s: the checker fails: %s", when, error_text(r));
	if (check.problems == 0)
		return true;
	(void)snprintf(first, sizeof(first), "%.299s", judge->problem);
	return fails(judge, "%s: %llu problems: %s", when, (unsigned long long)check.problems, first);
}

/* All elements emptied, nothing may be left allocated. */
static bool empties(struct judge *judge)
{
	struct shm_check check = {.quiet = true};
	int r = exercise_empty(&judge->replica->seg);

	if (r < 0)
		return fails(judge, "emptying the recovered heap fails: %s", error_text(r));
	if (!checks(judge, "after emptying", true))
		return false;
	(void)shm_check(&judge->replica->seg, &check);
	if (check.blobs_allocated || check.keys)
		return fails(judge, "after emptying %llu blobs and %llu keys are left",
			     (unsigned long long)check.blobs_allocated, (unsigned long long)check.keys);
	return true;
}

static bool lets_others_work(struct judge *judge)
{
	struct shm_session session;
	bool done;
	int r;

	if (!judge->meanwhile)
		return true;
	r = shm_session_open(&session, &judge->replica->seg, 0);
	if (r < 0)
		return fails(judge, "the other client gets no slot: %s", error_text(r));
	done = judge->meanwhile(&judge->replica->seg, &session, judge->argument);
	shm_session_close(&session);
	return done || fails(judge, "the other client's operation fails");
}

bool judge_image(struct judge *judge)
{
	struct shm_segment *seg = &judge->replica->seg;
	const char *what;
	int r;

	judge->problem[0] = '\0';
	if (!lets_others_work(judge))
		return false;
	if (judge->dead_too) {
		judge_bury(seg, judge->dead_too);
		if (judge->one_by_one &&
		    (!recovers(judge, true) || !checks(judge, "one is dead, one alive", false)))
			return false;
	}
	judge_bury(seg, judge->dead);
	if (!recovers(judge, false) || !checks(judge, "after recovery", true))
		return false;
	r = contents_read(&judge->contents, seg, judge->with_index);
	if (r < 0)
		return fails(judge, "the recovered heap cannot be read: %s", error_text(r));
	r = exercise_heap(seg, &what);
	if (r < 0)
		return fails(judge, "the recovered heap does not work: %s: %s", what, error_text(r));
	return checks(judge, "after further work", true) && empties(judge);
}
