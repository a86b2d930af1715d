/*
 * client_regions.c: regions and files through libems, with a real emsd and several processes.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/client.h"

#define PAGE UINT64_C(65536)

static ems_region_t *make_region(ems_connection_t *connection, const char *name, uint64_t size,
				 uint64_t max_size)
{
	ems_region_options_t options = {.size = size, .max_size = max_size};
	ems_region_t *region = NULL;

	ck_ok(ems_region_open(connection, name, EMS_CREATE, &options, &region));
	return region;
}

static ems_region_t *open_region(ems_connection_t *connection, const char *name, bool read_only)
{
	ems_region_options_t options = {.read_only = read_only};
	ems_region_t *region = NULL;

	ck_ok(ems_region_open(connection, name, EMS_OPEN_EXISTING, &options, &region));
	return region;
}

/* The signal that function(argument) dies of, in a child with stdout and stderr as they are; 0: it returns. */
static int dies_of(void (*function)(void *), void *argument)
{
	pid_t pid;
	int status;

	fflush(NULL);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct rlimit none = {0};

		(void)setrlimit(RLIMIT_CORE, &none);
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		function(argument);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

/* A child's view is its own: it connects anew. */
struct touch {
	const char *name;
	int fd; /* -1: by name */
	bool read_only, store;
	uint64_t offset;
};

static void touch(void *argument)
{
	const struct touch *touch = argument;
	ems_region_options_t options = {.read_only = touch->read_only,
					.max_size = touch->fd >= 0 ? 4 * PAGE : 0};
	ems_connection_t *connection;
	ems_region_t *region;
	volatile char *bytes;

	if (ems_connect(&connection, NULL) < 0)
		_exit(100);
	if ((touch->fd < 0 ? ems_region_open(connection, touch->name, EMS_OPEN_EXISTING, &options, &region)
			   : ems_region_file(connection, touch->fd, &options, &region)) < 0)
		_exit(101);
	bytes = ems_region_bytes(region, NULL);
	if (touch->store)
		bytes[touch->offset] = 1;
	else
		(void)bytes[touch->offset];
}

START_TEST(bytes_are_shared)
{
	ems_connection_t *one = connect_daemon(), *two = connect_daemon();
	ems_region_t *a = make_region(one, "r/shared", 100000, 0), *b = open_region(two, "r/shared", false);
	uint64_t size = 0;
	char *x = ems_region_bytes(a, &size), *y;

	ck_assert_uint_eq(size, 100000);
	y = ems_region_bytes(b, &size);
	ck_assert_uint_eq(size, 100000);
	ck_assert_ptr_ne(x, y);
	for (uint64_t i = 0; i < size; i++)
		ck_assert_int_eq(y[i], 0); /* nothing of ours is in it */
	memset(x, 'x', size);
	ck_assert_int_eq(y[0], 'x');
	ck_assert_int_eq(y[size - 1], 'x');
	ems_region_close(a);
	ck_assert_int_eq(y[5], 'x');
	ems_disconnect(one); /* the region stays: it has a name */
	ems_region_close(b);
	b = open_region(two, "r/shared", true);
	ck_assert_int_eq(((char *)ems_region_bytes(b, NULL))[7], 'x');
	ck_ok(ems_heap_drop(two, "r/shared"));
	ems_disconnect(two);
}
END_TEST

START_TEST(the_address_stays_when_it_grows)
{
	ems_connection_t *one = connect_daemon(), *two = connect_daemon();
	ems_region_t *a = make_region(one, "r/grows", PAGE, 64 * PAGE),
		     *b = open_region(two, "r/grows", false);
	ems_region_info_t info;
	uint64_t size;
	char *x = ems_region_bytes(a, NULL), *y = ems_region_bytes(b, NULL);
	struct touch behind = {.name = "r/grows", .fd = -1, .offset = 10 * PAGE};
	int64_t value;

	/* What is not there cannot be touched, nor taken from the budget by accident. */
	ck_assert_int_eq(dies_of(touch, &behind), SIGSEGV);
	ck_ems(ems_region_get(b, PAGE, &value), EMS_ERANGE);
	x[0] = 'a';
	ck_ok(ems_region_grow(a, 20 * PAGE));
	ck_assert_ptr_eq(ems_region_bytes(a, &size), x);
	ck_assert_uint_eq(size, 20 * PAGE);
	x[20 * PAGE - 1] = 'z';
	ck_assert_ptr_eq(ems_region_bytes(b, &size), y);
	ck_assert_uint_eq(size, 20 * PAGE);
	ck_assert_int_eq(y[20 * PAGE - 1], 'z');
	ck_assert_int_eq(dies_of(touch, &behind), 0);
	/* Never less, never more than was said. */
	ck_ok(ems_region_grow(b, PAGE));
	ck_ok(ems_region_info(b, &info));
	ck_assert_uint_eq(info.size, 20 * PAGE);
	ck_assert_uint_eq(info.max_size, 64 * PAGE);
	ck_ems(ems_region_grow(b, 64 * PAGE + 1), EMS_ERANGE);
	ck_ok(ems_region_grow(b, 64 * PAGE));
	y[64 * PAGE - 1] = 'e';
	/* Seen by an operation that looks at a counter, too. */
	ck_ok(ems_region_add(a, 64 * PAGE - 8, 0, &value));
	ck_assert_int_ne(value, 0);
	ck_ok(ems_heap_drop(two, "r/grows"));
	ck_ok(ems_region_info(a, &info));
	ck_assert(info.dropped);
	x[1] = 'b'; /* it is still theirs */
	ck_assert_int_eq(y[1], 'b');
	ems_disconnect(one);
	ems_disconnect(two);
}
END_TEST

START_TEST(read_only_is_read_only)
{
	ems_connection_t *connection = connect_daemon();
	ems_region_t *a = make_region(connection, "r/only", PAGE, 2 * PAGE);
	ems_region_t *b = open_region(connection, "r/only", true);
	struct touch store = {.name = "r/only", .fd = -1, .read_only = true, .store = true};
	ems_region_info_t info;
	char *bytes = ems_region_bytes(b, NULL);
	int64_t value = 1;

	ck_assert_int_eq(dies_of(touch, &store), SIGSEGV);
	store.store = false;
	ck_assert_int_eq(dies_of(touch, &store), 0);
	ck_assert_int_eq(mprotect(bytes, PAGE, PROT_READ | PROT_WRITE),
			 -1); /* the descriptor was not for that */
	ck_ok(ems_region_set(a, 0, 7));
	ck_ok(ems_region_get(b, 0, &value));
	ck_assert_int_eq(value, 7);
	ck_ems(ems_region_set(b, 0, 8), EMS_EREADONLY);
	ck_ems(ems_region_add(b, 0, 8, NULL), EMS_EREADONLY);
	ck_ems(ems_region_cas(b, 0, 7, 8, NULL, NULL), EMS_EREADONLY);
	ck_ems(ems_region_grow(b, 2 * PAGE), EMS_EREADONLY);
	ck_ok(ems_region_info(b, &info));
	ck_assert(info.read_only);
	ck_ok(ems_heap_drop(connection, "r/only"));
	ems_disconnect(connection);
}
END_TEST

START_TEST(kinds_share_a_namespace)
{
	ems_heap_options_t heap_options = {.elements = 10};
	ems_region_options_t options = {.size = 4096};
	ems_connection_t *connection = connect_daemon();
	ems_heap_t *heap = make_heap(connection, "k/heap", &heap_options), *other = NULL;
	ems_region_t *region = make_region(connection, "k/region", 4096, 0), *same = NULL;
	ems_heap_info_t info, *infos = NULL;
	size_t count = 0;

	ck_ems(ems_region_open(connection, "k/heap", EMS_OPEN_EXISTING, NULL, &same), EMS_EMISMATCH);
	ck_assert_ptr_nonnull(strstr(ems_last_error()->message, "\"k/heap\" is a heap, not a region"));
	ck_ems(ems_region_open(connection, "k/heap", EMS_OPEN_OR_CREATE, &options, &same), EMS_EMISMATCH);
	ck_ems(ems_region_open(connection, "k/heap", EMS_CREATE, &options, &same), EMS_EEXISTS);
	ck_ems(ems_heap_open(connection, "k/region", EMS_OPEN_EXISTING, NULL, &other), EMS_EMISMATCH);
	ck_assert_ptr_nonnull(strstr(ems_last_error()->message, "\"k/region\" is a region, not a heap"));
	ck_ems(ems_region_open(connection, "k/none", EMS_OPEN_EXISTING, NULL, &same), EMS_ENOTFOUND);
	ck_ok(ems_region_open(connection, "k/region", EMS_OPEN_OR_CREATE, &options, &same));
	ems_region_close(same);
	options.size = 8192;
	ck_ems(ems_region_open(connection, "k/region", EMS_OPEN_OR_CREATE, &options, &same), EMS_EMISMATCH);

	ck_ok(ems_heap_inspect(connection, "k/region", &info));
	ck_assert_int_eq(info.kind, EMS_KIND_REGION);
	ck_assert_uint_eq(info.size, 4096);
	ck_assert_uint_ge(info.committed, 4096);
	ck_assert_uint_eq(info.clients, 1);
	ck_ok(ems_heap_inspect(connection, "k/heap", &info));
	ck_assert_int_eq(info.kind, EMS_KIND_HEAP);
	ck_ok(ems_heap_list(connection, "k/", &infos, &count));
	ck_assert_uint_eq(count, 2);
	ck_assert_int_eq(infos[0].kind, EMS_KIND_HEAP);
	ck_assert_int_eq(infos[1].kind, EMS_KIND_REGION);
	ck_assert_uint_eq(infos[1].size, 4096);
	free(infos);

	/* A replacement may be of another kind. */
	ck_ok(ems_region_open(connection, "k/heap", EMS_REPLACE, &options, &same));
	ck_assert(ems_heap_is_dropped(heap));
	ck_ok(ems_heap_drop(connection, "k/heap"));
	ck_ok(ems_heap_drop(connection, "k/region"));
	ems_region_close(region);
	ems_disconnect(connection);
}
END_TEST

START_TEST(arguments_are_checked)
{
	ems_connection_t *connection = connect_daemon();
	ems_region_t *region = NULL;
	ems_region_options_t options = {.size = 100};
	int64_t value;

	ck_ems(ems_region_open(connection, "a/none", EMS_CREATE, NULL, &region), EMS_EINVALID);
	ck_ems(ems_region_open(connection, "a/none", EMS_OPEN_OR_CREATE, NULL, &region), EMS_ERANGE);
	ck_ems(ems_region_open(connection, "/a", EMS_CREATE, &options, &region), EMS_ENAME);
	ck_ems(ems_region_open(connection, "~file/8:1/2", EMS_CREATE, &options, &region), EMS_EACCESS);
	ck_ems(ems_region_open(connection, "a", EMS_CREATE, &options, NULL), EMS_EINVALID);
	options.max_size = 99;
	ck_ems(ems_region_open(connection, "a", EMS_CREATE, &options, &region), EMS_ERANGE);
	options.max_size = UINT64_C(1) << 60;
	ck_ems(ems_region_open(connection, "a", EMS_CREATE, &options, &region), EMS_ERANGE);
	options = (ems_region_options_t){.size = 100, .lock = 101};
	ck_ems(ems_region_open(connection, "a", EMS_CREATE, &options, &region), EMS_EINVALID);
	options = (ems_region_options_t){.size = 100, .persistent = true};
	ck_ems(ems_region_open(connection, "a", EMS_CREATE, &options, &region), EMS_EUNSUPPORTED);
	options = (ems_region_options_t){.size = PAGE, .budget = PAGE};
	ck_ems(ems_region_open(connection, "a", EMS_CREATE, &options, &region), EMS_EBUDGET);
	options = (ems_region_options_t){.size = PAGE, .max_size = 100 * PAGE, .budget = 10 * PAGE};
	ck_ok(ems_region_open(connection, "a", EMS_CREATE, &options, &region));
	ck_ems(ems_region_grow(region, 50 * PAGE), EMS_EBUDGET);
	ck_assert_ptr_nonnull(strstr(ems_last_error()->message, "the region itself"));
	ck_ok(ems_region_grow(region, 9 * PAGE));
	ck_ems(ems_region_get(region, 4, &value), EMS_EINVALID);
	ck_ems(ems_region_get(region, 9 * PAGE, &value), EMS_ERANGE);
	ck_ems(ems_region_get(region, UINT64_MAX - 7, &value), EMS_ERANGE);
	ck_ok(ems_region_get(region, 9 * PAGE - 8, &value));
	ck_ok(ems_region_flush(region, 0, 0, true)); /* nothing to write */
	ck_ems(ems_region_flush(region, PAGE, UINT64_MAX, true), EMS_ERANGE);
	ck_ems(ems_region_grow(NULL, 1), EMS_EINVALID);
	ck_assert_ptr_null(ems_region_bytes(NULL, NULL));
	ems_region_close(NULL);
	ck_ok(ems_heap_drop(connection, "a"));
	ems_disconnect(connection);
}
END_TEST

START_TEST(counters_count)
{
	enum { PROCESSES = 4, TIMES = 20000 };
	ems_connection_t *connection = connect_daemon();
	ems_region_t *region = make_region(connection, "c/count", 4096, 0);
	int64_t *counters = ems_region_bytes(region, NULL), old = 0;
	pid_t pids[PROCESSES];
	bool swapped;

	for (int i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			ems_connection_t *own;
			ems_region_t *mine;
			int64_t *shared;

			if (ems_connect(&own, NULL) < 0 ||
			    ems_region_open(own, "c/count", EMS_OPEN_EXISTING, NULL, &mine) < 0)
				_exit(1);
			shared = ems_region_bytes(mine, NULL);
			for (int j = 0; j < TIMES; j++) {
				(void)ems_counter_add(&shared[0], 3);
				(void)ems_counter_sub(&shared[1], 1);
				if (ems_region_add(mine, 16, 1, NULL) < 0)
					_exit(2);
			}
			_exit(0);
		}
	}
	for (int i = 0; i < PROCESSES; i++) {
		int status;

		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
		ck_assert_int_eq(status, 0);
	}
	ck_assert_int_eq(ems_counter_get(&counters[0]), 3 * PROCESSES * TIMES);
	ck_assert_int_eq(ems_counter_get(&counters[1]), -PROCESSES * TIMES);
	ck_assert_int_eq(ems_counter_get(&counters[2]), PROCESSES * TIMES);
	ems_counter_set(&counters[0], 0xff);
	ck_assert_int_eq(ems_counter_and(&counters[0], 0xf0), 0xff);
	ck_assert_int_eq(ems_counter_or(&counters[0], 0x05), 0xf0);
	ck_assert_int_eq(ems_counter_xor(&counters[0], 0xf5), 0xf5);
	ck_assert_int_eq(ems_counter_exchange(&counters[0], INT64_MAX), 0);
	ck_assert_int_eq(ems_counter_add(&counters[0], 1), INT64_MAX); /* wraps around */
	ck_assert_int_eq(ems_counter_get(&counters[0]), INT64_MIN);
	old = 1;
	ck_assert(!ems_counter_cas(&counters[0], &old, 2));
	ck_assert_int_eq(old, INT64_MIN);
	ck_assert(ems_counter_cas(&counters[0], &old, 2));
	ck_ok(ems_region_cas(region, 0, 1, 9, &old, &swapped));
	ck_assert(!swapped && old == 2);
	ck_ok(ems_region_cas(region, 0, 2, 9, &old, &swapped));
	ck_assert(swapped && old == 2);
	ck_ok(ems_region_exchange(region, 0, 12, &old));
	ck_assert_int_eq(old, 9);
	ck_ok(ems_region_and(region, 0, 8, &old));
	ck_ok(ems_region_or(region, 0, 1, &old));
	ck_ok(ems_region_xor(region, 0, 3, &old));
	ck_assert_int_eq(old, 9);
	ck_ok(ems_region_sub(region, 0, 20, &old));
	ck_assert_int_eq(old, 10);
	ck_assert_int_eq(counters[0], -10);
	ck_ok(ems_heap_drop(connection, "c/count"));
	ems_disconnect(connection);
}
END_TEST

/* ---- wishes ---- */

static void check_grant(const ems_grant_t *grant)
{
	ck_assert_uint_gt(grant->asked, 0);
	ck_assert_uint_le(grant->granted, grant->asked);
	/* Less than asked for, and only then, there is a reason. */
	ck_assert_int_eq(grant->granted < grant->asked, *grant->why != '\0');
}

START_TEST(wishes_are_told)
{
	ems_region_options_t options = {.size = 20 * PAGE,
					.max_size = 30 * PAGE,
					.pages = EMS_PAGES_TRANSPARENT,
					.populate = true,
					.interleave = true,
					.lock = 50};
	ems_connection_t *connection = connect_daemon();
	ems_region_info_t info;
	ems_region_t *region;
	unsigned char there[30 * PAGE / 4096];
	uint64_t pages = 0;

	ck_ok(ems_region_open(connection, "w/all", EMS_CREATE, &options, &region));
	ck_ok(ems_region_info(region, &info));
	check_grant(&info.pages);
	check_grant(&info.populated);
	check_grant(&info.locked);
	check_grant(&info.interleaved);
	ck_assert_uint_eq(info.populated.asked, 20 * PAGE);
	ck_assert_uint_eq(info.locked.asked, 10 * PAGE);
	if (info.populated.granted == info.populated.asked && sysconf(_SC_PAGESIZE) == 4096) {
		ck_assert_int_eq(mincore(ems_region_bytes(region, NULL), 20 * PAGE, there), 0);
		for (uint64_t i = 0; i < 20 * PAGE / 4096; i++)
			pages += there[i] & 1;
		ck_assert_uint_eq(pages, 20 * PAGE / 4096);
	}
	ck_ok(ems_region_grow(region, 30 * PAGE));
	ck_ok(ems_region_info(region, &info));
	ck_assert_uint_eq(info.populated.asked, 30 * PAGE);
	ck_assert_uint_eq(info.locked.asked, 15 * PAGE);
	check_grant(&info.locked);
	ems_region_close(region);
	ck_ok(ems_heap_drop(connection, "w/all"));

	/* More than the machine has is no error: 1 GiB pages are set aside by hand, if at all. */
	options = (ems_region_options_t){.size = PAGE, .pages = EMS_PAGES_1G};
	ck_ok(ems_region_open(connection, "w/huge", EMS_CREATE, &options, &region));
	ck_ok(ems_region_info(region, &info));
	check_grant(&info.pages);
	ck_assert_uint_eq(info.pages.asked, UINT64_C(1) << 30);
	ck_assert_uint_eq(info.size, PAGE);
	memset(ems_region_bytes(region, NULL), 1, PAGE);
	ems_region_close(region);
	ck_ok(ems_heap_drop(connection, "w/huge"));
	options.pages = EMS_PAGES_2M;
	ck_ok(ems_region_open(connection, "w/huge", EMS_CREATE, &options, &region));
	ck_ok(ems_region_info(region, &info));
	check_grant(&info.pages);
	memset(ems_region_bytes(region, NULL), 1, PAGE);
	ems_region_close(region);
	ck_ok(ems_heap_drop(connection, "w/huge"));
	ems_disconnect(connection);
}
END_TEST

/* In a process of its own, for limits are inherited and root's are not always. */
static void lock_without_permission(void *argument)
{
	ems_region_options_t options = {.size = 64 * PAGE, .lock = 100, .mode = 0666};
	struct rlimit limit = {.rlim_cur = 8 * PAGE, .rlim_max = 8 * PAGE};
	ems_connection_t *connection;
	ems_region_info_t info;
	ems_region_t *region;

	(void)argument;
	if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0 || setresgid(65534, 65534, 65534) < 0 ||
	    setresuid(65534, 65534, 65534) < 0)
		_exit(1);
	if (ems_connect(&connection, NULL) < 0 ||
	    ems_region_open(connection, "w/locked", EMS_CREATE, &options, &region) < 0 ||
	    ems_region_info(region, &info) < 0)
		_exit(2);
	if (info.locked.asked != 64 * PAGE || info.locked.granted != 8 * PAGE || !*info.locked.why)
		_exit(3);
	_exit(0);
}

START_TEST(a_limit_is_a_reason)
{
	ems_connection_t *connection = connect_daemon();

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	puts("NOT TESTED: what mlock(2) refuses (with the address or thread sanitizer it does nothing)");
	if (false) {
#else
	if (getuid() == 0) {
#endif
		ck_assert_int_eq(chmod(the_daemon.directory, 0755), 0);
		ck_assert_int_eq(chmod(the_daemon.socket, 0666), 0);
		ck_assert_int_eq(dies_of(lock_without_permission, NULL), 0);
		ck_ok(ems_heap_drop(connection, "w/locked"));
	}
	ems_disconnect(connection);
}
END_TEST

/* ---- files ---- */

static int make_file(char path[static 96], const char *name, off_t size)
{
	int fd;

	snprintf(path, 96, "%s/%s", the_daemon.directory, name);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, size), 0);
	return fd;
}

START_TEST(a_file_is_its_bytes)
{
	ems_connection_t *one = connect_daemon(), *two = connect_daemon();
	char path[96], linked[96], text[16] = "";
	int a = make_file(path, "file", 100), b;
	ems_region_options_t options = {.max_size = 10 * PAGE};
	ems_region_t *x, *y;
	ems_heap_info_t *infos = NULL, info;
	ems_region_info_t region_info;
	size_t count = 0;
	uint64_t size;
	char *bytes, *others;

	/* Another path to the same file. */
	snprintf(linked, sizeof(linked), "%s/link", the_daemon.directory);
	ck_assert_int_eq(link(path, linked), 0);
	b = open(linked, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(b, 0);
	ck_ok(ems_region_file(one, a, &options, &x));
	ck_ok(ems_region_file(two, b, &options, &y));
	close(b);
	bytes = ems_region_bytes(x, &size);
	ck_assert_uint_eq(size, 100);
	others = ems_region_bytes(y, &size);
	memcpy(bytes + 10, "hello", 5);
	ck_assert_int_eq(memcmp(others + 10, "hello", 5), 0);
	ck_ok(ems_region_flush(x, 0, 0, false));
	ck_ok(ems_region_flush(x, 10, 5, true));
	ck_assert_int_eq(pread(a, text, 5, 10), 5);
	ck_assert_str_eq(text, "hello");
	/* One thing to the daemon, with two clients. */
	ck_ok(ems_heap_list(one, "~file/", &infos, &count));
	ck_assert_uint_eq(count, 1);
	ck_assert_int_eq(infos[0].kind, EMS_KIND_FILE);
	ck_assert_uint_eq(infos[0].clients, 2);
	ck_ok(ems_heap_inspect(two, infos[0].name, &info));
	ck_assert_uint_eq(info.committed, 0);
	ck_ok(ems_region_info(y, &region_info));
	ck_assert(region_info.file);
	ck_assert_str_eq(region_info.name, infos[0].name);
	/* By its name it is not to be had: the kernel decides who may open it. */
	ems_region_t *stolen = NULL;
	ck_ems(ems_region_open(two, infos[0].name, EMS_OPEN_EXISTING, NULL, &stolen), EMS_EMISMATCH);

	/* It grows for both, and a counter in it is one. */
	ck_ok(ems_region_grow(y, 2 * PAGE));
	ck_assert_ptr_eq(ems_region_bytes(x, &size), bytes);
	ck_assert_uint_eq(size, 2 * PAGE);
	ck_ok(ems_region_add(x, PAGE + 8, 5, NULL));
	ck_ok(ems_region_add(y, PAGE + 8, 5, NULL));
	ck_assert_int_eq(ems_counter_get((int64_t *)(bytes + PAGE + 8)), 10);
	ck_ems(ems_region_grow(x, 11 * PAGE), EMS_ERANGE);
	/* Cut off by somebody: the library sees it when it looks. */
	ck_assert_int_eq(ftruncate(a, PAGE), 0);
	ck_assert_ptr_eq(ems_region_bytes(x, &size), bytes);
	ck_assert_uint_eq(size, PAGE);
	ck_ems(ems_region_add(x, PAGE + 8, 5, NULL), EMS_ERANGE);
	ck_assert_int_eq(bytes[10], 'h');
	/* It goes with its last client, the file stays. */
	ems_region_close(x);
	ems_disconnect(two);
	free(infos);
	do /* the daemon sees the end of a connection by and by */
		ck_ok(ems_heap_list(one, "~file/", &infos, &count));
	while (count);
	free(infos);
	ck_assert_int_eq(pread(a, text, 5, 10), 5);
	ck_assert_str_eq(text, "hello");
	close(a);
	unlink(path);
	unlink(linked);
	ems_disconnect(one);
}
END_TEST

START_TEST(a_file_is_opened_by_the_client)
{
	ems_connection_t *connection = connect_daemon();
	char path[96];
	int fd = make_file(path, "mine", 2 * (off_t)PAGE), reading, ends[2];
	struct touch touched = {.read_only = true, .store = true};
	ems_region_options_t options = {.read_only = true};
	ems_region_t *region = NULL;
	ems_region_info_t info;

	ck_ems(ems_region_file(connection, -1, NULL, &region), EMS_EINVALID);
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	ck_ems(ems_region_file(connection, ends[0], NULL, &region), EMS_EINVALID);
	close(ends[0]);
	close(ends[1]);
	reading = open(the_daemon.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_ems(ems_region_file(connection, reading, NULL, &region), EMS_EINVALID);
	close(reading);
	reading = open(path, O_PATH | O_CLOEXEC);
	ck_ems(ems_region_file(connection, reading, &options, &region), EMS_EINVALID);
	close(reading);
	reading = open(path, O_WRONLY | O_CLOEXEC);
	ck_ems(ems_region_file(connection, reading, &options, &region), EMS_EACCESS);
	close(reading);
	reading = open(path, O_RDONLY | O_CLOEXEC);
	ck_ems(ems_region_file(connection, reading, NULL, &region), EMS_EACCESS);
	ck_ok(ems_region_file(connection, reading, &options, &region));
	ck_ems(ems_region_set(region, 0, 1), EMS_EREADONLY);
	touched.fd = reading;
	ck_assert_int_eq(dies_of(touch, &touched), SIGSEGV);
	/* Behind the end of a file it is a SIGBUS at worst, never silently something else. */
	touched = (struct touch){.fd = fd, .store = true, .offset = 3 * PAGE};
	ck_assert_int_ne(dies_of(touch, &touched), 0);
	ck_ok(ems_region_info(region, &info));
	ck_assert_uint_eq(info.size, 2 * PAGE);
	ems_region_close(region);
	/* Empty: it becomes as long as is asked. */
	ck_assert_int_eq(ftruncate(fd, 0), 0);
	ck_ems(ems_region_file(connection, fd, NULL, &region), EMS_ERANGE);
	options = (ems_region_options_t){.size = 12345};
	ck_ok(ems_region_file(connection, fd, &options, &region));
	ck_ok(ems_region_info(region, &info));
	ck_assert_uint_eq(info.size, 12345);
	ems_region_close(region);
	close(fd);
	close(reading);
	unlink(path);
	ems_disconnect(connection);
}
END_TEST

START_TEST(fork_leaves_the_parent_alone)
{
	ems_connection_t *connection = connect_daemon();
	ems_region_t *region = make_region(connection, "f/one", 4096, 0);
	int status;
	pid_t pid;

	ck_ok(ems_region_set(region, 0, 5));
	pid = fork();
	if (pid == 0) {
		bool good = ems_region_bytes(region, NULL) == NULL &&
			    ems_region_set(region, 0, 6) == -EMS_EFORKED;

		ems_region_close(region);
		ems_disconnect(connection);
		_exit(good ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(*(int64_t *)ems_region_bytes(region, NULL), 5);
	ck_ok(ems_heap_drop(connection, "f/one"));
	ems_disconnect(connection);
}
END_TEST

/* The modes of a region, seen by another user. */
static void as_nobody(void *argument)
{
	ems_region_options_t options = {.read_only = true};
	ems_connection_t *connection;
	ems_region_t *region;

	(void)argument;
	if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
		_exit(1);
	if (ems_connect(&connection, NULL) < 0)
		_exit(2);
	if (ems_region_open(connection, "m/private", EMS_OPEN_EXISTING, &options, &region) != -EMS_EACCESS)
		_exit(3);
	if (ems_region_open(connection, "m/public", EMS_OPEN_EXISTING, NULL, &region) != -EMS_EACCESS)
		_exit(4);
	if (ems_region_open(connection, "m/public", EMS_OPEN_EXISTING, &options, &region) < 0)
		_exit(5);
	if (ems_heap_drop(connection, "m/public") != -EMS_EACCESS)
		_exit(6);
	_exit(0);
}

START_TEST(modes_are_kept)
{
	ems_region_options_t options = {.size = 4096, .mode = 0644};
	ems_connection_t *connection = connect_daemon();
	ems_region_t *a = make_region(connection, "m/private", 4096, 0), *b;

	ck_ok(ems_region_open(connection, "m/public", EMS_CREATE, &options, &b));
	if (getuid() == 0) {
		ck_assert_int_eq(chmod(the_daemon.directory, 0755), 0);
		ck_assert_int_eq(chmod(the_daemon.socket, 0666), 0);
		ck_assert_int_eq(dies_of(as_nobody, NULL), 0);
	}
	ems_region_close(a);
	ems_region_close(b);
	ck_ok(ems_heap_drop(connection, "m/private"));
	ck_ok(ems_heap_drop(connection, "m/public"));
	ems_disconnect(connection);
}
END_TEST

INTEGRATION_MAIN("client/regions", bytes_are_shared, the_address_stays_when_it_grows, read_only_is_read_only,
		 kinds_share_a_namespace, arguments_are_checked, counters_count, wishes_are_told,
		 a_limit_is_a_reason, a_file_is_its_bytes, a_file_is_opened_by_the_client,
		 fork_leaves_the_parent_alone, modes_are_kept)
