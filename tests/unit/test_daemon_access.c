/*
 * test_daemon_access.c: who may do what, and what names mean for whom.
 */
#include "daemon/access.h"

#include <string.h>

#include "base/error.h"
#include "tests/unit/unit.h"

static gid_t groups[] = {50, 60};
static const struct credentials root = {.uid = 0, .gid = 0};
static const struct credentials alice = {.uid = 1000, .gid = 1000, .groups = groups, .group_count = 2};
static const struct credentials bob = {.uid = 1001, .gid = 60};
static const struct credentials carol = {.uid = 1002, .gid = 1002};

START_TEST(modes)
{
	struct owner own = {.uid = 1000, .gid = 60, .mode = 0640};

	ck_assert(access_read(&alice, &own) && access_write(&alice, &own));
	ck_assert(access_read(&bob, &own) && !access_write(&bob, &own));
	ck_assert(!access_read(&carol, &own) && !access_write(&carol, &own));
	ck_assert(access_read(&root, &own) && access_write(&root, &own));

	/* The first class that fits decides, as for files: an owner may be worse off than others. */
	own.mode = 0066;
	ck_assert(!access_read(&alice, &own) && !access_write(&alice, &own));
	ck_assert(access_read(&bob, &own) && access_write(&bob, &own));
	own.mode = 0606;
	ck_assert(!access_read(&bob, &own));
	ck_assert(access_read(&carol, &own));
	/* A supplementary group counts like the first. */
	own = (struct owner){.uid = 5, .gid = 50, .mode = 0040};
	ck_assert(access_read(&alice, &own) && !access_read(&bob, &own));
	/* Execute permission means nothing. */
	own.mode = 0111;
	ck_assert(!access_read(&alice, &own) && !access_write(&alice, &own));
}
END_TEST

START_TEST(changing)
{
	struct owner own = {.uid = 1000, .gid = 60, .mode = 0666};

	ck_assert(access_change(&alice, &own));
	ck_assert(access_change(&root, &own));
	ck_assert(!access_change(&bob, &own));
}
END_TEST

START_TEST(giving)
{
	struct owner own = {.uid = 1000, .gid = 1000, .mode = 0600};

	ck_assert(access_give(&root, &own, 5, 5));
	ck_assert(access_give(&alice, &own, 1000, 1000));
	ck_assert(access_give(&alice, &own, 1000, 60)); /* she is in it */
	ck_assert(!access_give(&alice, &own, 1000, 61));
	ck_assert(!access_give(&alice, &own, 1001, 1000));
	own.gid = 61; /* whatever it is now may stay */
	ck_assert(access_give(&alice, &own, 1000, 61));
}
END_TEST

START_TEST(own_names)
{
	char name[PROTO_NAME_MAX + 1], longest[PROTO_NAME_MAX + 1];

	ck_assert_int_eq(access_resolve_name(&alice, "~/x", name), 0);
	ck_assert_str_eq(name, "~1000/x");
	ck_assert_int_eq(access_resolve_name(&alice, "~1001/x", name), 0);
	ck_assert_str_eq(name, "~1001/x");
	ck_assert_int_eq(access_resolve_name(&alice, "app/x", name), 0);
	ck_assert_str_eq(name, "app/x");
	/* Fits as it is said, but not written out. */
	memset(longest, 'x', PROTO_NAME_MAX);
	longest[PROTO_NAME_MAX] = '\0';
	ck_assert_int_eq(access_resolve_name(&alice, longest, name), 0);
	memcpy(longest, "~/", 2);
	ck_assert_int_eq(access_resolve_name(&alice, longest, name), -ERROR_NAME);

	access_show_name(&alice, "~1000/x", name);
	ck_assert_str_eq(name, "~/x");
	access_show_name(&bob, "~1000/x", name);
	ck_assert_str_eq(name, "~1000/x");
	access_show_name(&alice, "~10001/x", name);
	ck_assert_str_eq(name, "~10001/x");

	ck_assert(access_create(&alice, "x"));
	ck_assert(access_create(&alice, "~1000/x"));
	ck_assert(!access_create(&alice, "~1001/x"));
	ck_assert(!access_create(&alice, "~10001/x"));
	ck_assert(access_create(&root, "~1001/x"));
}
END_TEST

UNIT_MAIN("daemon/access", modes, changing, giving, own_names)
