/*
 * Persistent heaps, with a real emsd that is killed together with everything that holds memory, and started again.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "tests/integration/client.h"
#include "tests/integration/manager.h"

#define MANUAL EMS_CHECKPOINT_NEVER

static ems_connection_t *join(const struct manager *manager)
{
	ems_connection_t *connection = NULL;

	ck_ok(ems_connect(&connection, manager->socket));
	return connection;
}

static pid_t await_keeper(const struct manager *manager)
{
	pid_t keeper;

	while ((keeper = manager_keeper(manager)) == 0)
		sched_yield();
	return keeper;
}

/* It may be a zombie for a while: nobody's child is reaped by whoever is process 1. */
static bool is_alive(pid_t pid)
{
	char path[64], text[512] = "";
	const char *state;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(text, sizeof(text), file))
		text[0] = '\0';
	fclose(file);
	state = strrchr(text, ')');
	return state && state[1] == ' ' && state[2] != 'Z' && state[2] != 'X';
}

static void await_end_of(pid_t pid)
{
	while (is_alive(pid))
		sched_yield();
}

/* As the power goes: nothing that is in memory only is left. The caller has closed, or killed, its clients. */
static void power_off(struct manager *manager)
{
	pid_t keeper = await_keeper(manager);

	kill(manager->pid, SIGSTOP); /* so that it does not notice */
	kill(keeper, SIGKILL);
	(void)manager_kill(manager, SIGKILL);
	await_end_of(keeper);
}

static ems_heap_t *open_it(ems_connection_t *connection, const char *name)
{
	ems_heap_t *heap = NULL;

	ck_ok(ems_heap_open(connection, name, EMS_OPEN_EXISTING, NULL, &heap));
	return heap;
}

/* A client that writes and is killed; what it has is in no process any more. */
static void in_child(const struct manager *manager, void (*work)(ems_connection_t *connection))
{
	ems_connection_t *connection;
	int status;
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		child_ok(ems_connect(&connection, manager->socket));
		work(connection);
		(void)raise(SIGKILL);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "a child has failed");
}

/* ---- everything that a heap can hold ---- */

static char large[200000];

static void write_everything(ems_connection_t *connection)
{
	ems_value_t fill = ems_value_data(EMS_STRING, "a fill value", 12);
	ems_value_t values[] = {ems_value_boolean(true), ems_value_integer(-5), ems_value_float(2.5),
				ems_value_data(EMS_STRING, "hello", 5), ems_value_data(EMS_JSON, "[1,2]", 5),
				ems_value_data(EMS_BYTES, large, sizeof(large))};
	ems_heap_t *plain, *mapped;
	char key[64];

	memset(large, 'x', sizeof(large));
	child_ok(ems_heap_open(connection, "plain", EMS_CREATE,
			       &(ems_heap_options_t){.elements = 50, .max_elements = 100, .persistent = true, .fill = &fill,
						     .mode = 0640, .checkpoint_ms = MANUAL},
			       &plain));
	child_ok(ems_heap_open(connection, "~/mapped", EMS_CREATE,
			       &(ems_heap_options_t){.elements = 5000, .map = true, .persistent = true,
						     .checkpoint_ms = MANUAL},
			       &mapped));
	for (unsigned i = 0; i < 6; i++)
		child_ok(ems_write(plain, ems_index(i), &values[i]));
	child_ok(ems_set_tag(plain, ems_index(3), EMS_EMPTY));
	child_ok(ems_heap_grow(plain, 70));
	for (int i = 0; i < 2000; i++) {
		snprintf(key, sizeof(key), "a key of some length, %d", i);
		child_ok(ems_write_int64(mapped, ems_key(key), i));
	}
	child_ok(ems_delete(mapped, ems_key("a key of some length, 7")));
	for (int i = 0; i < 6; i++) {
		child_ok(ems_enqueue(plain, &values[i], NULL));
		child_ok(ems_push(plain, &values[i], NULL));
	}
	child_ok(ems_sync(plain));
	child_ok(ems_sync(mapped));
	/* Not synced: it is not there afterwards. */
	child_ok(ems_write_int64(plain, ems_index(1), 99));
	child_ok(ems_write_int64(mapped, ems_key("late"), 1));
}

static void look_at_everything(ems_connection_t *connection)
{
	ems_value_t values[] = {ems_value_boolean(true), ems_value_integer(-5), ems_value_float(2.5),
				ems_value_data(EMS_STRING, "hello", 5), ems_value_data(EMS_JSON, "[1,2]", 5),
				ems_value_data(EMS_BYTES, large, sizeof(large))};
	ems_value_t fill = ems_value_data(EMS_STRING, "a fill value", 12), value = EMS_VALUE_INIT;
	ems_heap_t *plain = open_it(connection, "plain"), *mapped = open_it(connection, "~/mapped");
	ems_heap_info_t info;
	ems_tag_t tag;
	int64_t number;
	char key[64];

	memset(large, 'x', sizeof(large));
	for (unsigned i = 0; i < 6; i++)
		ck_reads(plain, ems_index(i), &values[i]);
	ck_reads(plain, ems_index(60), &fill);
	ck_ok(ems_get_tag(plain, ems_index(3), &tag));
	ck_assert_int_eq(tag, EMS_EMPTY);
	ck_assert_uint_eq(ems_heap_elements(plain), 70);
	for (int i = 0; i < 2000; i++) {
		snprintf(key, sizeof(key), "a key of some length, %d", i);
		if (i == 7)
			ck_reads(mapped, ems_key(key), &(ems_value_t){.type = EMS_UNDEFINED});
		else {
			ck_ok(ems_read_int64(mapped, ems_key(key), &number));
			ck_assert_int_eq(number, i);
		}
	}
	ck_reads(mapped, ems_key("late"), &(ems_value_t){.type = EMS_UNDEFINED});
	ck_ok(ems_heap_inspect(connection, "plain", &info));
	ck_assert_uint_eq(info.mode, 0640);
	ck_assert_uint_eq(info.queued, 6);
	ck_assert_uint_eq(info.stacked, 6);
	ck_assert(info.persistent);
	for (int i = 0; i < 6; i++) {
		ck_ok(ems_dequeue(plain, &value));
		ck_assert_uint_eq(value.type, values[i].type);
		ck_ok(ems_pop(plain, &value));
		ck_assert_uint_eq(value.type, values[5 - i].type);
	}
	ems_value_clear(&value);
}

/* What was synced is there, whole, and nothing else; and it can be worked on, and be written again. */
START_TEST(test_power_cut)
{
	ems_connection_t *connection;
	struct manager manager;
	int64_t number;

	manager_open(&manager, MANAGER_KEEPER);
	in_child(&manager, write_everything);
	/* Its death is a detach of the last client, and the late writes may be on disk by then: stop that. */
	power_off(&manager);
	manager_start(&manager);
	connection = join(&manager);
	ck_ok(ems_read_int64(open_it(connection, "plain"), ems_index(1), &number));
	ck_assert(number == -5 || number == 99);
	ems_disconnect(connection);
	ck_assert_int_eq(manager_close(&manager), 0);
}
END_TEST

START_TEST(test_everything_is_there)
{
	ems_connection_t *connection;
	struct manager manager;
	ems_heap_t *heap;
	int ready[2], status;
	char byte;
	pid_t child;

	manager_open(&manager, MANAGER_KEEPER);
	ck_assert_int_eq(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		child_ok(ems_connect(&connection, manager.socket));
		write_everything(connection);
		child_assert(write(ready[1], "x", 1) == 1);
		for (;;)
			pause();
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	/* The daemon first: it does not see the client's end, and writes nothing because of it. */
	power_off(&manager);
	kill(child, SIGKILL);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	manager_start(&manager);
	connection = join(&manager);
	look_at_everything(connection);
	heap = open_it(connection, "plain");
	ck_ok(ems_write_int64(heap, ems_index(2), 3));
	ck_ok(ems_sync(heap));
	ems_disconnect(connection);
	power_off(&manager);
	manager_start(&manager);
	connection = join(&manager);
	heap = open_it(connection, "plain");
	ck_reads(heap, ems_index(2), &(ems_value_t){.type = EMS_INTEGER, .integer = 3});
	ck_ok(ems_heap_drop(connection, "plain"));
	ems_disconnect(connection);
	power_off(&manager);
	manager_start(&manager);
	connection = join(&manager);
	ck_ems(ems_heap_open(connection, "plain", EMS_OPEN_EXISTING, NULL, &heap), EMS_ENOTFOUND);
	ems_disconnect(connection);
	ck_assert_int_eq(manager_close(&manager), 0);
	close(ready[0]);
	close(ready[1]);
}
END_TEST

/* At SIGTERM, and when the last client leaves, all is written, though nobody has asked. */
START_TEST(test_orderly_end)
{
	ems_connection_t *connection;
	struct manager manager;
	ems_heap_t *heap;
	int64_t number;
	pid_t keeper;

	manager_open(&manager, MANAGER_KEEPER);
	connection = join(&manager);
	heap = make_heap(connection, "term", &(ems_heap_options_t){.elements = 10, .persistent = true, .checkpoint_ms = MANUAL});
	(void)make_heap(connection, "left", &(ems_heap_options_t){.elements = 10, .persistent = true, .checkpoint_ms = MANUAL});
	ck_ok(ems_write_int64(heap, ems_index(1), 11));
	keeper = await_keeper(&manager);
	ck_assert_int_eq(manager_kill(&manager, SIGTERM), 0);
	kill(keeper, SIGKILL);
	await_end_of(keeper);
	ems_disconnect(connection);
	manager_start(&manager);
	connection = join(&manager);
	heap = open_it(connection, "term");
	ck_ok(ems_read_int64(heap, ems_index(1), &number));
	ck_assert_int_eq(number, 11);
	ck_ok(ems_write_int64(heap, ems_index(1), 12));
	ems_heap_close(heap);
	/* The write of the last one's leaving is waited for by who asks. */
	heap = NULL;
	ck_ok(ems_heap_open(connection, "term", EMS_OPEN_EXISTING, &(ems_heap_options_t){.read_only = true}, &heap));
	for (ems_heap_info_t info = {.dirty = 1}; info.dirty;)
		ck_ok(ems_heap_inspect(connection, "term", &info));
	ck_ok(ems_sync_until(heap, ems_deadline_in(30000 * MS)));
	power_off(&manager);
	ems_disconnect(connection);
	manager_start(&manager);
	connection = join(&manager);
	ck_ok(ems_read_int64(open_it(connection, "term"), ems_index(1), &number));
	ck_assert_int_eq(number, 12);
	ems_disconnect(connection);
	ck_assert_int_eq(manager_close(&manager), 0);
}
END_TEST

/* By itself, after a while, and also by a daemon that has taken the heap over from one that was killed. */
START_TEST(test_automatic_checkpoints)
{
	ems_connection_t *connection;
	struct manager manager;
	ems_heap_t *heap;
	ems_heap_info_t info;
	int64_t number;

	manager_open(&manager, MANAGER_KEEPER);
	connection = join(&manager);
	heap = make_heap(connection, "auto", &(ems_heap_options_t){.elements = 10, .persistent = true, .checkpoint_ms = 10});
	for (int i = 1; i <= 3; i++) {
		ck_ok(ems_write_int64(heap, ems_index(1), i));
		do
			ck_ok(ems_heap_inspect(connection, "auto", &info));
		while (info.dirty);
	}
	ck_assert_uint_eq(info.checkpoint_ms, 10);
	ck_assert_uint_ne(info.checkpointed, 0);
	(void)manager_kill(&manager, SIGKILL);
	ck_ok(ems_write_int64(heap, ems_index(1), 4));
	manager_start(&manager);
	ck_ok(ems_write_int64(heap, ems_index(2), 5));
	do
		ck_ok(ems_heap_inspect(connection, "auto", &info));
	while (info.dirty);
	ck_ok(ems_sync(heap)); /* its writing may be on its way */
	power_off(&manager);
	manager_start(&manager);
	/* This client's memory is not that of the heap any more, and is not taken for it. */
	ck_ok(ems_write_int64(heap, ems_index(1), 77));
	ck_ems(ems_sync(heap), EMS_EDROPPED);
	ems_disconnect(connection);
	connection = join(&manager);
	heap = open_it(connection, "auto");
	ck_ok(ems_read_int64(heap, ems_index(1), &number));
	ck_assert_int_eq(number, 4);
	ck_ok(ems_read_int64(heap, ems_index(2), &number));
	ck_assert_int_eq(number, 5);
	ems_disconnect(connection);
	ck_assert_int_eq(manager_close(&manager), 0);
}
END_TEST

START_TEST(test_what_is_refused)
{
	ems_connection_t *connection;
	struct manager manager;
	ems_heap_t *heap;

	manager_open(&manager, MANAGER_KEEPER);
	connection = join(&manager);
	heap = make_heap(connection, "volatile", &(ems_heap_options_t){.elements = 10});
	ck_ems(ems_sync(heap), EMS_EUNSUPPORTED);
	ck_ems(ems_sync(NULL), EMS_EINVALID);
	heap = make_heap(connection, "kept", &(ems_heap_options_t){.elements = 10, .persistent = true});
	ck_ems(ems_heap_open(connection, "kept", EMS_CREATE, &(ems_heap_options_t){.elements = 10, .persistent = true}, &heap),
	       EMS_EEXISTS);
	ck_ok(ems_heap_rename(connection, "kept", "renamed", false));
	ck_ok(ems_heap_chmod(connection, "renamed", 0644));
	ck_ok(ems_sync(open_it(connection, "renamed")));
	power_off(&manager);
	ems_disconnect(connection);
	manager_start(&manager);
	connection = join(&manager);
	ems_heap_info_t info;
	ck_ok(ems_heap_inspect(connection, "renamed", &info));
	ck_assert_uint_eq(info.mode, 0644);
	ck_ems(ems_heap_inspect(connection, "kept", &info), EMS_ENOTFOUND);
	/* Another in its place. */
	ck_ok(ems_heap_open(connection, "renamed", EMS_REPLACE, &(ems_heap_options_t){.elements = 20, .persistent = true}, &heap));
	ck_assert_uint_eq(ems_heap_elements(heap), 20);
	ems_disconnect(connection);
	ck_assert_int_eq(manager_close(&manager), 0);
}
END_TEST


/* ---- killed at random ---- */

#define ACCOUNTS 16u
#define WORTH	 1000

/* Moves money between two heaps, and tells how often it has synced what. */
static void move_money(const struct manager *manager, int told, uint64_t seed)
{
	ems_connection_t *connection;
	ems_heap_t *heaps[2];
	int64_t count;

	child_ok(ems_connect(&connection, manager->socket));
	child_ok(ems_heap_open(connection, "bank/a", EMS_OPEN_EXISTING, NULL, &heaps[0]));
	child_ok(ems_heap_open(connection, "bank/b", EMS_OPEN_EXISTING, NULL, &heaps[1]));
	for (;;) {
		for (int i = 0; i < 20; i++) {
			uint64_t r = unit_random(&seed);
			ems_transaction_element_t elements[] = {{.heap = heaps[0], .key = ems_index((uint64_t)(r % ACCOUNTS))},
								{.heap = heaps[1], .key = ems_index((uint64_t)(r / 64 % ACCOUNTS))}};
			ems_value_t from = EMS_VALUE_INIT, to = EMS_VALUE_INIT;
			ems_transaction_t *transaction;

			child_ok(ems_transaction_begin(elements, 2, &transaction));
			child_ok(ems_transaction_read(transaction, 0, &from));
			child_ok(ems_transaction_read(transaction, 1, &to));
			from.integer -= (int64_t)(r / 4096 % 10);
			to.integer += (int64_t)(r / 4096 % 10);
			child_ok(ems_transaction_write(transaction, 0, &from));
			child_ok(ems_transaction_write(transaction, 1, &to));
			child_ok(ems_transaction_commit(transaction));
		}
		child_ok(ems_read_int64(heaps[0], ems_index(ACCOUNTS), &count));
		child_ok(ems_write_int64(heaps[0], ems_index(ACCOUNTS), ++count));
		child_ok(ems_sync(heaps[0]));
		child_assert(write(told, &count, sizeof(count)) == sizeof(count));
	}
}

static void check_bank(ems_connection_t *connection, int64_t synced)
{
	ems_heap_t *heaps[] = {open_it(connection, "bank/a"), open_it(connection, "bank/b")};
	int64_t sum = 0, value;

	for (unsigned h = 0; h < 2; h++)
		for (unsigned i = 0; i < ACCOUNTS; i++) {
			ck_ok(ems_read_int64(heaps[h], ems_index(i), &value));
			sum += value;
		}
	ck_assert_int_eq(sum, (int64_t)(2 * ACCOUNTS * WORTH));
	ck_ok(ems_read_int64(heaps[0], ems_index(ACCOUNTS), &value));
	ck_assert_int_ge(value, synced);
}

/* Whenever the power goes: the sum over both heaps is right, and what was synced is there. */
START_TEST(test_killed_at_random)
{
	uint64_t state = unit_seed();
	ems_connection_t *connection;
	struct manager manager;
	int64_t synced = 0;

	manager_open(&manager, MANAGER_KEEPER);
	connection = join(&manager);
	for (unsigned h = 0; h < 2; h++) {
		ems_value_t worth = ems_value_integer(WORTH);
		ems_heap_t *heap = make_heap(connection, h ? "bank/b" : "bank/a",
					     &(ems_heap_options_t){.elements = ACCOUNTS + 1, .persistent = true,
								   .checkpoint_ms = h ? 3 : MANUAL});

		for (unsigned i = 0; i < ACCOUNTS; i++)
			ck_ok(ems_write(heap, ems_index(i), &worth));
		ck_ok(ems_write_int64(heap, ems_index(ACCOUNTS), 0));
		ck_ok(ems_sync(heap));
	}
	ems_disconnect(connection);
	for (unsigned round = 0; round < 12; round++) {
		int told[2], status;
		int64_t count;
		pid_t child;

		ck_assert_int_eq(pipe2(told, O_CLOEXEC), 0);
		child = fork();
		if (child == 0)
			move_money(&manager, told[1], unit_random(&state));
		(void)unit_random(&state);
		close(told[1]);
		/* So many syncs, and some time more. */
		for (uint64_t n = 1 + unit_random(&state) % 8; n > 0; n--) {
			ck_assert_int_eq(read(told[0], &count, sizeof(count)), sizeof(count));
			synced = count;
		}
		usleep((useconds_t)(unit_random(&state) % 3000));
		power_off(&manager);
		kill(child, SIGKILL);
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		while (read(told[0], &count, sizeof(count)) == sizeof(count))
			synced = count;
		close(told[0]);
		manager_start(&manager);
		connection = join(&manager);
		check_bank(connection, synced);
		ems_disconnect(connection);
	}
	ck_assert_int_eq(manager_close(&manager), 0);
}
END_TEST

/* ---- trouble with the disk ---- */

/* A file may not grow beyond a limit of the daemon's: the heap works on, who syncs is told, and all is well when the cause is gone. */
START_TEST(test_trouble)
{
	const struct rlimit small = {.rlim_cur = 16384, .rlim_max = RLIM_INFINITY}, none = {RLIM_INFINITY, RLIM_INFINITY};
	ems_connection_t *connection;
	struct manager manager;
	ems_heap_info_t info;
	ems_heap_t *heap, *other;
	int64_t number;

	manager_open(&manager, MANAGER_KEEPER);
	connection = join(&manager);
	heap = make_heap(connection, "trouble", &(ems_heap_options_t){.elements = 10, .persistent = true, .checkpoint_ms = MANUAL});
	ck_ok(ems_write_int64(heap, ems_index(1), 1));
	ck_ok(ems_sync(heap));
	ck_assert_int_eq(prlimit(manager.pid, RLIMIT_FSIZE, &small, NULL), 0);
	ck_ok(ems_write_int64(heap, ems_index(1), 2));
	ck_assert_int_lt(ems_sync(heap), 0);
	ck_ok(ems_read_int64(heap, ems_index(1), &number));
	ck_assert_int_eq(number, 2);
	ck_ok(ems_heap_inspect(connection, "trouble", &info));
	ck_assert_uint_ne(info.checkpoint_error, 0);
	ck_assert_uint_ne(info.dirty, 0);
	ck_assert_str_ne(info.checkpoint_trouble, "");
	ck_assert_int_lt(ems_heap_open(connection, "no room", EMS_CREATE,
				       &(ems_heap_options_t){.elements = 10, .persistent = true}, &other),
			 0);
	ck_ems(ems_heap_open(connection, "no room", EMS_OPEN_EXISTING, NULL, &other), EMS_ENOTFOUND);
	ck_assert_int_eq(prlimit(manager.pid, RLIMIT_FSIZE, &none, NULL), 0);
	/* By itself, or because it is asked again. */
	while (ems_sync(heap) < 0)
		usleep(1000);
	ck_ok(ems_heap_inspect(connection, "trouble", &info));
	ck_assert_uint_eq(info.checkpoint_error, 0);
	power_off(&manager);
	ems_disconnect(connection);
	manager_start(&manager);
	connection = join(&manager);
	ck_ok(ems_read_int64(open_it(connection, "trouble"), ems_index(1), &number));
	ck_assert_int_eq(number, 2);
	ems_disconnect(connection);
	ck_assert_int_eq(manager_close(&manager), 0);
}
END_TEST

/* ---- files of the user's own ---- */

static ems_heap_t *open_file(ems_connection_t *connection, const char *path, ems_open_t how)
{
	ems_heap_options_t options = {.elements = 10};
	ems_heap_t *heap = NULL;

	ck_ok(ems_heap_open(connection, path, how, how == EMS_OPEN_EXISTING ? NULL : &options, &heap));
	return heap;
}

START_TEST(test_files)
{
	ems_connection_t *connection;
	struct manager manager;
	ems_heap_t *heap, *same;
	char path[128], link_path[128];
	char name[64];
	ems_check_t check;
	struct stat st;
	int64_t number;
	int fd;

	manager_open(&manager, MANAGER_KEEPER);
	connection = join(&manager);
	snprintf(path, sizeof(path), "%s/a.ems", manager.directory);
	snprintf(link_path, sizeof(link_path), "%s/b.ems", manager.directory);
	ck_ems(ems_heap_open(connection, path, EMS_OPEN_EXISTING, NULL, &heap), EMS_ENOTFOUND);
	heap = open_file(connection, path, EMS_CREATE);
	ck_assert_int_eq(access(path, F_OK), 0);
	ck_ems(ems_heap_open(connection, path, EMS_CREATE, &(ems_heap_options_t){.elements = 10}, &same), EMS_EEXISTS);
	/* By whatever name it is opened, it is the same heap. */
	ck_assert_int_eq(link(path, link_path), 0);
	same = open_file(connection, link_path, EMS_OPEN_OR_CREATE);
	ck_ok(ems_write_int64(heap, ems_index(1), 5));
	ck_ok(ems_read_int64(same, ems_index(1), &number));
	ck_assert_int_eq(number, 5);
	ck_ok(ems_sync(heap));
	ck_ok(ems_write_int64(heap, ems_index(1), 6));
	ems_heap_close(heap);
	/* The last one's leaving is a checkpoint; then it is in its file only. */
	ems_heap_close(same);
	heap = open_file(connection, path, EMS_OPEN_EXISTING);
	ck_ok(ems_read_int64(heap, ems_index(1), &number));
	ck_assert_int_eq(number, 6);
	ck_ok(ems_write_int64(heap, ems_index(1), 7));
	ck_ok(ems_sync(heap));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_ems(ems_file_check(fd, EMS_FOREVER, NULL, NULL, &check), EMS_EBUSY);
	/* By its name others find it, by whatever path they come. */
	ck_assert_int_eq(fstat(fd, &st), 0);
	snprintf(name, sizeof(name), "~heap/%u:%u/%lu", major(st.st_dev), minor(st.st_dev), (unsigned long)st.st_ino);
	ck_ems(ems_heap_rename(connection, name, "another", false), EMS_EUNSUPPORTED);
	ck_ems(ems_heap_chmod(connection, name, 0666), EMS_EUNSUPPORTED);
	power_off(&manager);
	ck_ok(ems_file_check(fd, EMS_FOREVER, NULL, NULL, &check));
	ck_assert_uint_eq(check.problems, 0);
	ck_assert_uint_ge(check.elements, 1);
	ck_assert(!check.live);
	close(fd);
	ems_disconnect(connection);
	manager_start(&manager);
	connection = join(&manager);
	heap = open_file(connection, path, EMS_OPEN_EXISTING);
	ck_ok(ems_read_int64(heap, ems_index(1), &number));
	ck_assert_int_eq(number, 7);
	/* A daemon that takes the heap over has no file, until somebody opens it again. */
	(void)manager_kill(&manager, SIGKILL);
	manager_start(&manager);
	ck_ok(ems_write_int64(heap, ems_index(1), 8));
	ck_assert_int_lt(ems_sync(heap), 0);
	same = open_file(connection, path, EMS_OPEN_EXISTING);
	while (ems_sync(same) < 0)
		usleep(1000);
	ems_heap_close(same);
	ems_heap_close(heap);
	heap = open_file(connection, path, EMS_OPEN_EXISTING);
	ck_ok(ems_read_int64(heap, ems_index(1), &number));
	ck_assert_int_eq(number, 8);
	/* Another one under the name; and none. */
	same = open_file(connection, path, EMS_REPLACE);
	ck_reads(same, ems_index(1), &(ems_value_t){.type = EMS_UNDEFINED});
	ck_ok(ems_read_int64(heap, ems_index(1), &number));
	ck_assert_int_eq(number, 8);
	ck_ok(ems_heap_drop(connection, path));
	ck_assert_int_eq(access(path, F_OK), -1);
	ck_ems(ems_heap_open(connection, manager.directory, EMS_OPEN_EXISTING, NULL, &heap), EMS_ESYSTEM);
	ems_disconnect(connection);
	ck_assert_int_eq(unlink(link_path), 0);
	ck_assert_int_eq(manager_close(&manager), 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {test_power_cut, test_everything_is_there, test_orderly_end,
					     test_automatic_checkpoints, test_what_is_refused, test_killed_at_random, test_trouble, test_files};

	setenv("EMS_AUTOSTART", "0", 1);
	return unit_run("client/persist", tests, sizeof(tests) / sizeof(tests[0]));
}
