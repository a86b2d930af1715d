/* Destruction at the end of a scope, and moving of ownership. */
#include <errno.h>
#include <fcntl.h>

#include "base/cleanup.h"
#include "tests/unit/unit.h"

struct thing {
	int *frees;
};

static struct thing *thing_free(struct thing *thing)
{
	(*thing->frees)++;
	free(thing);
	return NULL;
}

DEFINE_FREEP(struct thing, thing_free);

static struct thing *thing_new(int *frees)
{
	struct thing *thing = malloc(sizeof(*thing));

	ck_assert_ptr_nonnull(thing);
	thing->frees = frees;
	return thing;
}

START_TEST(scope_end_frees_once)
{
	int frees = 0;
	{
		_cleanup_(thing_freep) struct thing *thing = thing_new(&frees);
		_cleanup_(thing_freep) struct thing *none = NULL;

		ck_assert_ptr_nonnull(thing);
		ck_assert_ptr_null(none);
		ck_assert_int_eq(frees, 0);
	}
	ck_assert_int_eq(frees, 1);
}
END_TEST

START_TEST(stolen_pointer_survives)
{
	struct thing *kept;
	int frees = 0;
	{
		_cleanup_(thing_freep) struct thing *thing = thing_new(&frees);

		kept = steal_pointer(&thing);
		ck_assert_ptr_null(thing);
	}
	ck_assert_int_eq(frees, 0);
	thing_free(kept);
	ck_assert_int_eq(frees, 1);
}
END_TEST

START_TEST(freep_empties_its_place)
{
	char *text = malloc(10);

	freep(&text);
	ck_assert_ptr_null(text);
	freep(&text);
}
END_TEST

static int is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

START_TEST(scope_end_closes)
{
	int pair[2], kept;

	ck_assert_int_eq(pipe2(pair, O_CLOEXEC), 0);
	{
		_cleanup_(closep) int first = pair[0];
		_cleanup_(closep) int second = pair[1];

		kept = steal_fd(&second);
		ck_assert_int_eq(second, -1);
		ck_assert(is_open(first));
	}
	ck_assert(!is_open(pair[0]));
	ck_assert(is_open(kept));
	close(kept);
}
END_TEST

START_TEST(closep_keeps_errno)
{
	int bad = 1 << 20, none = -1;

	errno = ENOSPC;
	closep(&bad);
	ck_assert_int_eq(errno, ENOSPC);
	ck_assert_int_eq(bad, -1);
	closep(&none);
	ck_assert_int_eq(none, -1);
}
END_TEST

UNIT_MAIN("base/cleanup", scope_end_frees_once, stolen_pointer_survives, freep_empties_its_place,
	  scope_end_closes, closep_keeps_errno)
