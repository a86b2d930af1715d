/*
 * test_daemon_budget.c: budgets in a chain; geometry that is asked for; the order of names.
 */
#include "daemon/budget.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "daemon/heap.h"
#include "daemon/machine.h"
#include "daemon/registry.h"
#include "tests/unit/unit.h"

START_TEST(all_or_none)
{
	struct budget heap = {.limit = 100}, user = {.limit = 50}, total = {0};
	const struct budget_level levels[] = {{&heap, "the heap"}, {&user, "user 7"}, {&total, "all"}};
	char message[BUDGET_MESSAGE_SIZE];

	ck_assert_int_eq(budget_charge(levels, 3, 50, message), 0);
	ck_assert_int_eq(budget_charge(levels, 3, 0, message), 0);
	ck_assert_int_eq(budget_charge(levels, 3, 1, message), -ERROR_BUDGET);
	ck_assert_str_eq(message, "memory budget of user 7: 1 B more asked for, 50 B of 50 B used");
	ck_assert_uint_eq(heap.used, 50);
	ck_assert_uint_eq(total.used, 50);
	/* A limit that was lowered below what is used; a sum that would wrap. */
	user.limit = 40;
	ck_assert_int_eq(budget_charge(levels, 3, 1, message), -ERROR_BUDGET);
	user.limit = heap.limit = 0;
	ck_assert_int_eq(budget_charge(levels, 3, UINT64_MAX, message), -ERROR_BUDGET);
	ck_assert_int_eq(budget_charge(levels, 3, UINT64_MAX - 50, message), 0);
	budget_refund(levels, 3, UINT64_MAX);
	ck_assert_uint_eq(heap.used + user.used + total.used, 0);
}
END_TEST

START_TEST(params)
{
	char message[HEAP_MESSAGE_SIZE];
	struct proto_params a = {.elements = 5, .storage = 1}, b;

	ck_assert_int_eq(heap_settle_params(&a, message), 0);
	ck_assert_uint_eq(a.max_elements, 5);
	ck_assert_uint_eq(a.storage, 65536);
	b = a;
	ck_assert_int_eq(heap_settle_params(&a, message), 0);
	ck_assert_ptr_null(heap_params_difference(&a, &b));
	b.fill = (struct proto_value){.type = PROTO_STRING, .data = "ab", .size = 2};
	ck_assert_str_eq(heap_params_difference(&a, &b), "fill");
	a.fill = (struct proto_value){.type = PROTO_STRING, .data = "ab!", .size = 2};
	ck_assert_ptr_null(heap_params_difference(&a, &b));
	a.fill.type = PROTO_BYTES;
	ck_assert_str_eq(heap_params_difference(&a, &b), "fill");
	a.fill = b.fill;
	a.has_map = true;
	ck_assert_str_eq(heap_params_difference(&a, &b), "map");

	a = (struct proto_params){.elements = 1, .storage = UINT64_MAX};
	ck_assert_int_eq(heap_settle_params(&a, message), -ERROR_RANGE);
	a = (struct proto_params){.elements = 2, .max_elements = 1};
	ck_assert_int_eq(heap_settle_params(&a, message), -ERROR_RANGE);
	a = (struct proto_params){.elements = 0};
	ck_assert_int_eq(heap_settle_params(&a, message), -ERROR_RANGE);
}
END_TEST

START_TEST(names_in_order)
{
	enum { COUNT = 500 };
	static struct heap heaps[COUNT];
	struct registry registry = {0};
	uint64_t state = unit_seed();

	for (int i = 0; i < COUNT; i++) {
		do
			snprintf(heaps[i].name, sizeof(heaps[i].name), "n%u",
				 (unsigned)(unit_random(&state) % 5000));
		while (registry_find(&registry, heaps[i].name));
		ck_assert_int_eq(registry_reserve(&registry), 0);
		registry_add(&registry, &heaps[i]);
	}
	for (int i = 0; i < COUNT; i++) {
		size_t at = registry_position(&registry, heaps[i].name, false);

		ck_assert_ptr_eq(registry.heaps[at], &heaps[i]);
		ck_assert_uint_eq(registry_position(&registry, heaps[i].name, true), at + 1);
		ck_assert(at == 0 || strcmp(registry.heaps[at - 1]->name, heaps[i].name) < 0);
	}
	for (int i = 0; i < COUNT; i++) {
		registry_remove(&registry, &heaps[i]);
		ck_assert_ptr_null(registry_find(&registry, heaps[i].name));
	}
	ck_assert_uint_eq(registry.count, 0);
	registry_fini(&registry);
}
END_TEST

START_TEST(machine)
{
	ck_assert_uint_gt(machine_memory(), 1 << 20);
	ck_assert_uint_le(machine_memory(),
			  (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE));
}
END_TEST

/* dir/name has this text; the folders on the way are made. */
static void write_file(const char *dir, const char *name, const char *text)
{
	char path[300];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	for (char *slash = strchr(path + strlen(dir) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(path, 0700);
		*slash = '/';
	}
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

static int remove_one(const char *path, const struct stat *about, int type, struct FTW *where)
{
	(void)about;
	(void)type;
	(void)where;
	return remove(path);
}

/* The least limit counts, whichever group on the way up has it, in both versions of control groups. */
START_TEST(limits_of_groups)
{
	char dir[] = "/tmp/test_daemon_budget.XXXXXX", list[300];

	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(list, sizeof(list), "%s/list", dir);
	ck_assert_uint_eq(machine_group_limit(list, dir), UINT64_MAX); /* no such file */
	write_file(dir, "list", "0::/a/b\n");
	ck_assert_uint_eq(machine_group_limit(list, dir), UINT64_MAX); /* nor such groups */
	write_file(dir, "a/b/memory.max", "max\n");
	ck_assert_uint_eq(machine_group_limit(list, dir), UINT64_MAX);
	write_file(dir, "a/memory.max", "700000000\n");
	ck_assert_uint_eq(machine_group_limit(list, dir), 700000000);
	write_file(dir, "a/b/memory.max", "800000000\n");
	ck_assert_uint_eq(machine_group_limit(list, dir), 700000000);
	write_file(dir, "memory.max", "600000000\n"); /* of a group namespace's root */
	ck_assert_uint_eq(machine_group_limit(list, dir), 600000000);
	write_file(dir, "memory/c/memory.limit_in_bytes", "500000000\n");
	write_file(dir, "list", "12:cpu:/a\n5:memory:/c\n0::/a/b\n");
	ck_assert_uint_eq(machine_group_limit(list, dir), 500000000);
	write_file(dir, "memory/c/memory.limit_in_bytes", "9223372036854771712\n"); /* none */
	ck_assert_uint_eq(machine_group_limit(list, dir), 600000000);
	write_file(dir, "list", "garbage\n\n:\n::\n");
	ck_assert_uint_eq(machine_group_limit(list, dir), 600000000); /* "::" is the root of version 2 */
	ck_assert_int_eq(nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}
END_TEST

UNIT_MAIN("daemon/budget", all_or_none, params, names_in_order, machine, limits_of_groups)
