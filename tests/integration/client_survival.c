/*
 * Heaps, and the clients that use them, outlive their daemon: with a keeper, and with a service manager that stores
 * descriptors.
 */
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "proto/message.h"
#include "shm/transaction_record.h"
#include "tests/integration/client.h"
#include "tests/integration/manager.h"

static const enum manager_mode modes[] = {MANAGER_KEEPER, MANAGER_STORE};

static ems_connection_t *join(const struct manager *manager)
{
	ems_connection_t *connection = NULL;

	ck_ok(ems_connect(&connection, manager->socket));
	return connection;
}

/* Everything that a heap is, found again by who never knew the first daemon. */
static void look_around(const struct manager *manager, const ems_value_t *text)
{
	ems_connection_t *connection = join(manager);
	ems_heap_t *heap, *mapped;
	ems_heap_info_t info;
	int64_t value;

	ck_ok(ems_heap_open(connection, "survival/plain", EMS_OPEN_EXISTING, NULL, &heap));
	ck_ok(ems_read_int64(heap, ems_index(1), &value));
	ck_assert_int_eq(value, 42);
	ck_assert_uint_eq(ems_heap_elements(heap), 20);
	ck_reads(heap, ems_index(9), &(ems_value_t){.type = EMS_INTEGER, .integer = -7}); /* the fill value */
	ck_ok(ems_heap_open(connection, "~/mapped", EMS_OPEN_EXISTING, NULL, &mapped));
	ck_reads(mapped, ems_key("a text"), text);
	ck_ok(ems_heap_inspect(connection, "survival/plain", &info));
	ck_assert_uint_eq(info.mode, 0640);
	ck_assert_uint_eq(info.max_elements, 50);
	ck_ems(ems_heap_open(connection, "survival/dropped", EMS_OPEN_EXISTING, NULL, &heap), EMS_ENOTFOUND);
	ems_disconnect(connection);
}

static void make_everything(ems_connection_t *connection, ems_heap_t **plain, ems_heap_t **mapped,
			    const ems_value_t *text)
{
	ems_value_t fill = ems_value_integer(-7);
	ems_heap_t *dropped;

	*plain = make_heap(
		connection, "survival/plain",
		&(ems_heap_options_t){.elements = 10, .max_elements = 50, .mode = 0640, .fill = &fill});
	*mapped = make_heap(connection, "~/mapped", &(ems_heap_options_t){.elements = 1000, .map = true});
	dropped = make_heap(connection, "survival/dropped", &(ems_heap_options_t){.elements = 10});
	ck_ok(ems_write_int64(*plain, ems_index(1), 42));
	ck_ok(ems_heap_grow(*plain, 20));
	ck_ok(ems_write(*mapped, ems_key("a text"), text));
	end_heap(connection, dropped);
}

static uint64_t committed(const struct manager *manager, const char *name)
{
	ems_connection_t *connection = join(manager);
	ems_heap_info_t info;

	ck_ok(ems_heap_inspect(connection, name, &info));
	ems_disconnect(connection);
	return info.committed;
}

START_TEST(test_heaps_are_found_again)
{
	const int signals[] = {SIGKILL, SIGTERM, SIGKILL, SIGKILL};
	ems_value_t text = text_value("a text that lies in the storage of its heap, since it is long");
	ems_heap_t *plain, *mapped;
	ems_connection_t *connection;
	struct manager manager;
	uint64_t bytes;

	manager_open(&manager, modes[_i]);
	connection = join(&manager);
	make_everything(connection, &plain, &mapped, &text);
	bytes = committed(&manager, "~/mapped");
	for (size_t i = 0; i < 4; i++) {
		(void)manager_kill(&manager, signals[i]);
		ck_ok(ems_faa_int64(plain, ems_index(2), 1, NULL)); /* without a daemon */
		manager_start(&manager);
		look_around(&manager, &text);
		/* The books are as they were. */
		ck_assert_uint_eq(committed(&manager, "~/mapped"), bytes);
	}
	ems_disconnect(connection);
	ck_assert_int_eq(manager_close(&manager), 0);
}
END_TEST

/* A client that was there before needs memory, and gets it; its attachments are known again. */
START_TEST(test_clients_come_back)
{
	static char long_text[100000];
	ems_value_t text = ems_value_data(EMS_BYTES, long_text, sizeof(long_text));
	ems_connection_t *connection, *other;
	ems_heap_info_t info;
	struct manager manager;
	ems_heap_t *heap, *second;

	manager_open(&manager, modes[_i]);
	connection = join(&manager);
	heap = make_heap(connection, "survival/back", &(ems_heap_options_t){.elements = 100, .map = true});
	second = make_heap(connection, "survival/detach",
			   &(ems_heap_options_t){.elements = 10, .until_detached = true});
	for (int i = 0; i < 10; i++) {
		char key[16];

		snprintf(key, sizeof(key), "%d", i);
		(void)manager_kill(&manager, i % 2 ? SIGKILL : SIGTERM);
		manager_start(&manager);
		ck_ok(ems_write(heap, ems_key(key), &text)); /* more than there is: the daemon is asked */
		ck_ok(ems_write_int64(second, ems_index(0), i));
	}
	ck_ok(ems_heap_grow(second, 10));
	ck_ok(ems_heap_inspect(connection, "survival/back", &info));
	ck_assert_uint_eq(info.clients, 1);
	ck_assert_uint_eq(info.slots, 1);
	ck_assert_uint_eq(info.keys, 10);
	/* And it is missed when it goes. */
	other = join(&manager);
	ems_disconnect(connection);
	ck_ems(ems_heap_inspect(other, "survival/detach", &info), EMS_ENOTFOUND);
	ems_disconnect(other);
	ck_assert_int_eq(manager_close(&manager), 0);
}
END_TEST

/* Regions and files, with their clients. */
START_TEST(test_regions_survive)
{
	ems_region_options_t options = {.size = 65536, .max_size = 10 * 65536, .mode = 0640};
	ems_connection_t *connection, *other;
	ems_region_t *region, *dropped, *file, *seen;
	char path[] = "/tmp/ems-test-survival.XXXXXX";
	int fd = mkstemp(path);
	ems_heap_info_t info, *infos;
	ems_region_info_t known;
	struct manager manager;
	int64_t *counters;
	size_t count;

	ck_assert_int_eq(ftruncate(fd, 65536), 0);
	unlink(path);
	manager_open(&manager, modes[_i]);
	connection = join(&manager);
	ck_ok(ems_region_open(connection, "survival/region", EMS_CREATE, &options, &region));
	ck_ok(ems_region_open(connection, "survival/gone", EMS_CREATE, &options, &dropped));
	ck_ok(ems_region_file(connection, fd, NULL, &file));
	ck_ok(ems_heap_drop(connection, "survival/gone"));
	counters = ems_region_bytes(region, NULL);
	for (uint64_t i = 2; i < 6; i++) {
		uint64_t size;

		ems_counter_add(&counters[1], 1);
		(void)manager_kill(&manager, i % 2 ? SIGKILL : SIGTERM);
		ems_counter_add(&counters[1], 1);
		manager_start(&manager);
		/* Who was there asks for more, and who was not finds everything. */
		ck_ok(ems_region_grow(region, i * 65536));
		ck_assert_ptr_eq(ems_region_bytes(region, &size), counters);
		ck_assert_uint_eq(size, i * 65536);
		counters[size / 8 - 1] = 7;
		other = join(&manager);
		ck_ok(ems_region_open(other, "survival/region", EMS_OPEN_EXISTING, NULL, &seen));
		ck_ok(ems_region_info(seen, &known));
		ck_assert_uint_eq(known.size, size);
		ck_assert_uint_eq(known.max_size, 10 * 65536);
		ck_ems(ems_region_open(other, "survival/gone", EMS_OPEN_EXISTING, NULL, &seen),
		       EMS_ENOTFOUND);
		ck_ok(ems_heap_inspect(other, "survival/region", &info));
		ck_assert_uint_eq(info.mode, 0640);
		ck_assert_uint_eq(info.clients, 2);
		ck_assert_uint_eq(info.committed, (i + 1) * 65536);
		ck_ok(ems_heap_list(other, "~file/", &infos, &count));
		ck_assert_uint_eq(count, 1);
		ck_assert_uint_eq(infos[0].clients, 1);
		free(infos);
		ems_disconnect(other);
	}
	ck_assert_int_eq(ems_counter_get(&counters[1]), 8);
	ck_ok(ems_region_info(dropped, &known));
	ck_assert(known.dropped);
	close(fd);
	ems_disconnect(connection);
	ck_assert_int_eq(manager_close(&manager), 0);
}
END_TEST

/* A request that finds no daemon waits for the next one. */
START_TEST(test_request_while_down)
{
	ems_connection_t *connection;
	struct manager manager;
	int ends[2], status;
	ems_heap_t *heap;
	int64_t value;
	pid_t child;
	char byte;

	manager_open(&manager, modes[_i]);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		connection = join(&manager);
		ck_assert_int_eq(write(ends[1], "c", 1), 1);
		ck_assert_int_eq(read(ends[1], &byte, 1), 1); /* the daemon is dead */
		heap = make_heap(connection, "survival/late", &(ems_heap_options_t){.elements = 1});
		ck_ok(ems_write_int64(heap, ems_index(0), 5));
		_exit(0);
	}
	ck_assert_int_eq(read(ends[0], &byte, 1), 1);
	(void)manager_kill(&manager, SIGKILL);
	ck_assert_int_eq(write(ends[0], "d", 1), 1);
	manager_start(&manager);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	connection = join(&manager);
	ck_ok(ems_heap_open(connection, "survival/late", EMS_OPEN_EXISTING, NULL, &heap));
	ck_ok(ems_read_int64(heap, ems_index(0), &value));
	ck_assert_int_eq(value, 5);
	ems_disconnect(connection);
	close(ends[0]);
	close(ends[1]);
	ck_assert_int_eq(manager_close(&manager), 0);
}
END_TEST

/* What was dropped is dropped for the next daemon, too; a heap of the same name is another one. */
START_TEST(test_dropped_and_replaced)
{
	static char long_text[300000];
	ems_value_t text = ems_value_data(EMS_BYTES, long_text, sizeof(long_text));
	ems_connection_t *connection, *other;
	struct manager manager;
	ems_heap_t *old, *new;
	int64_t value;

	manager_open(&manager, modes[_i]);
	connection = join(&manager);
	other = join(&manager);
	old = make_heap(connection, "survival/name", &(ems_heap_options_t){.elements = 10});
	ck_ok(ems_write_int64(old, ems_index(0), 1));
	ck_ok(ems_heap_open(other, "survival/name", EMS_REPLACE, &(ems_heap_options_t){.elements = 10},
			    &new));
	ck_ok(ems_write_int64(new, ems_index(0), 2));
	(void)manager_kill(&manager, SIGKILL);
	manager_start(&manager);
	ck_assert(ems_heap_is_dropped(old) && !ems_heap_is_dropped(new));
	/* Those who have the old one go on with it, and get memory for it. */
	ck_ok(ems_write(old, ems_index(1), &text));
	ck_ok(ems_read_int64(old, ems_index(0), &value));
	ck_assert_int_eq(value, 1);
	ems_heap_close(old);
	ck_ok(ems_heap_open(connection, "survival/name", EMS_OPEN_EXISTING, NULL, &old));
	ck_ok(ems_read_int64(old, ems_index(0), &value));
	ck_assert_int_eq(value, 2);
	ems_disconnect(connection);
	ems_disconnect(other);
	ck_assert_int_eq(manager_close(&manager), 0);
}
END_TEST

/* What a client that died while there was no daemon has left is put in order before anybody is served. */
START_TEST(test_deaths_while_down)
{
	ems_connection_t *connection;
	ems_heap_info_t info;
	struct manager manager;
	ems_heap_t *heap;
	int said[2];
	pid_t child;
	char byte;

	manager_open(&manager, modes[_i]);
	connection = join(&manager);
	heap = make_heap(connection, "survival/deaths", &(ems_heap_options_t){.elements = 100, .map = true});
	ck_assert_int_eq(pipe(said), 0);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		ems_connection_t *own;
		ems_value_t text = text_value("some text that lies in storage, now and then");
		ems_heap_t *mine;

		child_ok(ems_connect(&own, manager.socket));
		child_ok(ems_heap_open(own, "survival/deaths", EMS_OPEN_EXISTING, NULL, &mine));
		for (int n = 0;; n++) {
			char name[64];

			snprintf(name, sizeof(name), "a key that is long enough %d", n % 50);
			child_ok(n % 3 == 2 ? ems_delete(mine, ems_key(name)) * 0 : ems_write(mine, ems_key(name), &text));
			if (n == 100)
				child_assert(write(said[1], "x", 1) == 1);
		}
	}
	ck_assert_int_eq(read(said[0], &byte, 1), 1);
	(void)manager_kill(&manager, SIGKILL);
	kill_child(child);
	manager_start(&manager);
	/* It was recovered before anybody was served. */
	ck_ok(ems_heap_inspect(connection, "survival/deaths", &info));
	ck_assert_uint_eq(info.slots, 0);
	ck_assert_uint_eq(info.recoveries, 1);
	end_heap(connection, heap);
	ems_disconnect(connection);
	close(said[0]);
	close(said[1]);
	ck_assert_int_eq(manager_close(&manager), 0);
}
END_TEST

/* One that dies after the new daemon is there, and before it has asked that for anything, is missed too. */
START_TEST(test_death_of_one_that_came_back)
{
	ems_connection_t *connection;
	ems_heap_info_t info;
	struct manager manager;
	ems_heap_t *heap;
	int said[2];
	pid_t child;
	char byte;

	manager_open(&manager, modes[_i]);
	connection = join(&manager);
	heap = make_heap(connection, "survival/later", &(ems_heap_options_t){.elements = 100});
	ck_assert_int_eq(pipe(said), 0);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		ems_connection_t *own;
		ems_heap_t *mine;

		child_ok(ems_connect(&own, manager.socket));
		child_ok(ems_heap_open(own, "survival/later", EMS_OPEN_EXISTING, NULL, &mine));
		child_ok(ems_write_int64(mine, ems_index(0), 1));
		child_assert(write(said[1], "x", 1) == 1);
		for (;;)
			child_ok(ems_faa_int64(mine, ems_index(0), 1, NULL));
	}
	ck_assert_int_eq(read(said[0], &byte, 1), 1);
	(void)manager_kill(&manager, SIGKILL);
	manager_start(&manager);
	kill_child(child);
	/* Whoever takes a slot meets the dead one's, and the daemon sees it at the next look. */
	ck_ok(ems_write_int64(heap, ems_index(1), 1));
	ck_ok(ems_heap_inspect(connection, "survival/later", &info));
	ck_assert_uint_eq(info.slots, 1);
	end_heap(connection, heap);
	ems_disconnect(connection);
	close(said[0]);
	close(said[1]);
	ck_assert_int_eq(manager_close(&manager), 0);
}
END_TEST

/* ---- a transaction that was committed, and no further ---- */

/* The header of each heap that this process has mapped: the two that it has opened. */
static void find_headers(struct header *headers[2])
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long start, offset;
	int count = 0, path;
	char line[512];

	ck_assert_ptr_nonnull(maps);
	while (fgets(line, sizeof(line), maps)) {
		path = 0;
		if (sscanf(line, "%lx-%*x %*s %lx %*s %*s %n", &start, &offset, &path) == 2 && path > 0 && offset == 0 &&
		    strstr(line + path, "ems-heap")) {
			ck_assert_int_lt(count, 2);
			headers[count++] = (struct header *)start; // NOLINT(performance-no-int-to-ptr)
		}
	}
	fclose(maps);
	ck_assert_int_eq(count, 2);
}

/* What commit does first, in the heap that is home: the one whose id comes first. */
static void commit_and_die(void)
{
	struct header *headers[2];
	struct layout layout;
	struct slot *slots;

	find_headers(headers);
	if (memcmp(headers[0]->heap_id, headers[1]->heap_id, 16) > 0)
		headers[0] = headers[1];
	ck_assert_int_eq(layout_compute(&layout, &headers[0]->params), 0);
	slots = (struct slot *)(void *)((char *)headers[0] + layout.offset[AREA_SLOTS]);
	for (uint32_t id = 1; id < headers[0]->slots_high; id++)
		if ((slots[id].transaction & 3) == TRANSACTION_OPEN)
			slots[id].transaction += TRANSACTION_COMMITTED - TRANSACTION_OPEN;
	kill(getpid(), SIGKILL);
}

/* Two elements of 1 become 2 in one transaction, which is committed when `go` can be read. */
static void begin_and_commit(const struct manager *manager, char names[2][64], int go, int ready)
{
	ems_connection_t *own = join(manager);
	ems_transaction_element_t elements[2] = {{.key = ems_index(0)}, {.key = ems_index(0)}};
	ems_value_t two = ems_value_integer(2);
	ems_transaction_t *transaction;
	char byte;

	for (int i = 0; i < 2; i++)
		ck_ok(ems_heap_open(own, names[i], EMS_OPEN_EXISTING, NULL, &elements[i].heap));
	ck_ok(ems_transaction_begin(elements, 2, &transaction));
	for (size_t i = 0; i < 2; i++)
		ck_ok(ems_transaction_write(transaction, i, &two));
	ck_assert_int_eq(write(ready, "x", 1), 1);
	ck_assert_int_eq(read(go, &byte, 1), 1);
	commit_and_die();
}

/* The daemon died with the client. In whatever order the next one takes the heaps over, both are what they were to become. */
START_TEST(test_a_commit_over_two_heaps)
{
	ems_connection_t *connection;
	struct manager manager;
	ems_heap_t *heaps[2];
	char names[2][64], byte;
	int ready[2], go[2], status;

	manager_open(&manager, modes[_i]);
	/* Ids are random: in half of the rounds the home is the heap that was made last. */
	for (int round = 0; round < 6; round++) {
		pid_t child;

		connection = join(&manager);
		for (int i = 0; i < 2; i++) {
			snprintf(names[i], sizeof(names[i]), "survival/commit %d %d", round, i);
			heaps[i] = make_heap(connection, names[i], &(ems_heap_options_t){.elements = 10});
			ck_ok(ems_write_int64(heaps[i], ems_index(0), 1));
		}
		ck_assert_int_eq(pipe(ready) | pipe(go), 0);
		fflush(stdout);
		child = fork();
		if (child == 0)
			begin_and_commit(&manager, names, go[0], ready[1]);
		ck_assert_int_eq(read(ready[0], &byte, 1), 1);
		(void)manager_kill(&manager, SIGKILL);
		ck_assert_int_eq(write(go[1], "x", 1), 1);
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		manager_start(&manager);
		for (int i = 0; i < 2; i++)
			ck_reads(heaps[i], ems_index(0), &(ems_value_t){.type = EMS_INTEGER, .integer = 2});
		for (int i = 0; i < 2; i++)
			end_heap(connection, heaps[i]);
		ems_disconnect(connection);
		for (int i = 0; i < 2; i++) {
			close(ready[i]);
			close(go[i]);
		}
	}
	ck_assert_int_eq(manager_close(&manager), 0);
}
END_TEST

/* A keeper other than that one; it may be just starting. */
static pid_t await_keeper(const struct manager *manager, pid_t other)
{
	pid_t keeper;

	while ((keeper = manager_keeper(manager)) == 0 || keeper == other)
		usleep(1000);
	return keeper;
}

/* A team whose members synchronise on while its daemon dies is the same one for the next daemon: nobody else comes in. */
START_TEST(test_teams)
{
	const ems_team_options_t options = {.size = 2};
	ems_connection_t *connection;
	struct manager manager;
	ems_team_t *team, *other;
	int status;
	pid_t child;

	manager_open(&manager, modes[_i]);
	fflush(stdout);
	child = fork();
	connection = join(&manager);
	ck_ok(ems_team_join(connection, "survival/team", &options, &team));
	for (int i = 0; i < 5; i++) {
		ck_ok(ems_team_barrier(team));
		if (child > 0) {
			(void)manager_kill(&manager, i % 2 ? SIGTERM : SIGKILL);
			manager_start(&manager);
			ck_ems(ems_team_join(connection, "survival/team", &options, &other), EMS_EFULL);
		}
		ck_ok(ems_team_barrier(team));
	}
	ck_ok(ems_team_leave(team));
	ems_disconnect(connection);
	if (child == 0)
		_exit(0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(manager_close(&manager), 0);
}
END_TEST

static void await_end_of(pid_t pid)
{
	while (kill(pid, 0) == 0) {
		char path[64], text[512] = "";
		FILE *file;

		/* Nobody's child is reaped by whoever is process 1, which may take its time. */
		snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
		file = fopen(path, "re");
		if (!file)
			return;
		if (!fgets(text, sizeof(text), file))
			text[0] = '\0';
		fclose(file);
		if (strstr(text, ") Z "))
			return;
		usleep(1000);
	}
}

START_TEST(test_keeper_killed)
{
	ems_value_t text = text_value("a text that lies in the storage of its heap, since it is long");
	ems_heap_t *plain, *mapped;
	ems_connection_t *connection;
	struct manager manager;
	pid_t keeper;

	manager_open(&manager, MANAGER_KEEPER);
	ck_assert_int_eq(manager_keeper(&manager), 0); /* nothing to keep */
	connection = join(&manager);
	make_everything(connection, &plain, &mapped, &text);
	for (int i = 0; i < 3; i++) {
		keeper = await_keeper(&manager, 0);
		kill(keeper, SIGKILL);
		await_end_of(keeper);
		/* A new one is made as soon as the daemon notices; at the latest when there is something to keep. */
		end_heap(connection,
			 make_heap(connection, "survival/x", &(ems_heap_options_t){.elements = 1}));
		(void)await_keeper(&manager, keeper);
		(void)manager_kill(&manager, SIGKILL);
		manager_start(&manager);
		look_around(&manager, &text);
	}
	/* With the last heap it has nothing to do, and ends with the daemon. */
	keeper = await_keeper(&manager, 0);
	end_heap(connection, plain);
	end_heap(connection, mapped);
	ems_disconnect(connection);
	(void)manager_kill(&manager, SIGTERM);
	await_end_of(keeper);
	(void)manager_close(&manager);
}
END_TEST

/* Both at once: the heaps are gone, and those who have them go on with what they have. */
START_TEST(test_daemon_and_keeper_killed)
{
	ems_connection_t *connection;
	struct manager manager;
	ems_heap_t *heap, *other;
	pid_t keeper;
	int64_t value;

	manager_open(&manager, MANAGER_KEEPER);
	connection = join(&manager);
	heap = make_heap(connection, "survival/both", &(ems_heap_options_t){.elements = 10});
	ck_ok(ems_write_int64(heap, ems_index(0), 3));
	keeper = await_keeper(&manager, 0);
	kill(manager.pid, SIGSTOP); /* so that it does not notice */
	kill(keeper, SIGKILL);
	(void)manager_kill(&manager, SIGKILL);
	manager_start(&manager);
	ck_ems(ems_heap_open(connection, "survival/both", EMS_OPEN_EXISTING, NULL, &other), EMS_ENOTFOUND);
	ck_ok(ems_read_int64(heap, ems_index(0), &value));
	ck_assert_int_eq(value, 3);
	ck_ems(ems_heap_grow(heap, 20), EMS_EDROPPED);
	ems_disconnect(connection);
	ck_assert_int_eq(manager_close(&manager), 0);
}
END_TEST

/* An orderly end with no time to wait is the end of the heaps. */
START_TEST(test_keep_no_longer)
{
	ems_connection_t *connection;
	struct manager manager;
	ems_heap_t *heap;
	pid_t keeper;

	manager_open(&manager, MANAGER_KEEPER);
	manager.options[0] = "--keep-seconds";
	manager.options[1] = "0";
	(void)manager_kill(&manager, SIGTERM);
	manager_start(&manager);
	connection = join(&manager);
	heap = make_heap(connection, "survival/short", &(ems_heap_options_t){.elements = 10});
	keeper = await_keeper(&manager, 0);
	(void)manager_kill(&manager, SIGTERM);
	await_end_of(keeper);
	manager_start(&manager);
	ems_heap_close(heap);
	ck_ems(ems_heap_open(connection, "survival/short", EMS_OPEN_EXISTING, NULL, &heap), EMS_ENOTFOUND);
	ems_disconnect(connection);
	ck_assert_int_eq(manager_close(&manager), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("client/survival");
	TCase *both = tcase_create("both stores"), *keeper = tcase_create("keeper");
	SRunner *runner;
	int failed;

	setenv("EMS_AUTOSTART", "0", 1);
	tcase_add_loop_test(both, test_heaps_are_found_again, 0, 2);
	tcase_add_loop_test(both, test_clients_come_back, 0, 2);
	tcase_add_loop_test(both, test_regions_survive, 0, 2);
	tcase_add_loop_test(both, test_request_while_down, 0, 2);
	tcase_add_loop_test(both, test_dropped_and_replaced, 0, 2);
	tcase_add_loop_test(both, test_deaths_while_down, 0, 2);
	tcase_add_loop_test(both, test_death_of_one_that_came_back, 0, 2);
	tcase_add_loop_test(both, test_a_commit_over_two_heaps, 0, 2);
	tcase_add_loop_test(both, test_teams, 0, 2);
	tcase_add_test(keeper, test_keeper_killed);
	tcase_add_test(keeper, test_daemon_and_keeper_killed);
	tcase_add_test(keeper, test_keep_no_longer);
	suite_add_tcase(suite, both);
	suite_add_tcase(suite, keeper);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
