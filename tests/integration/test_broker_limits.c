/*
 * test_broker_limits.c: what a user may have, and that cycles of use leave nothing behind.
 */
#include <grp.h>
#include <inttypes.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/segment.h"
#include "shm/slot.h"
#include "tests/integration/broker.h"

/* A daemon with settings. */
static void start_with(struct daemon *daemon, const char *settings)
{
	char path[] = "/tmp/test_broker_limits.XXXXXX";
	const char *arguments[] = {"--config", path, NULL};
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fd_write_all(fd, settings, strlen(settings)), 0);
	fd_close(fd);
	daemon_start(daemon, arguments);
	unlink(path);
}

START_TEST(too_many_clients)
{
	struct proto_hello hello = {.version_min = 1, .version_max = 1};
	struct proto_hello_reply reply;
	struct peer peers[3], refused, mute[16], rejected;
	struct proto_status_reply status;
	struct proto_empty nothing = {0};
	struct daemon daemon;

	start_with(&daemon, "[limits]\nuser_clients = 3\n");
	for (int i = 0; i < 3; i++)
		peer_open(&peers[i], daemon.socket);
	/* One too many is told so. */
	peer_connect(&refused, daemon.socket);
	ck_assert_int_eq(peer_call(&refused, PROTO_HELLO, &hello, &reply), -ERROR_LIMIT);
	ck_assert_msg(strstr(refused.message.error.message, "3 of 3"), "%s", refused.message.error.message);
	peer_expect_end(&refused);
	peer_close(&refused);
	/* Those that do not even ask are kept in bounds, too. */
	for (int i = 0; i < 16; i++)
		peer_connect(&mute[i], daemon.socket);
	peer_connect(&rejected, daemon.socket);
	peer_expect_end(&rejected);
	peer_close(&rejected);
	for (int i = 0; i < 16; i++)
		peer_close(&mute[i]);
	/* A place that becomes free is free. */
	peer_close(&peers[0]);
	EVENTUALLY(peer_call(&peers[1], PROTO_STATUS, &nothing, &status) == 0 && status.clients == 2);
	peer_open(&peers[0], daemon.socket);
	peer_close(&peers[0]);
	peer_close(&peers[1]);
	peer_close(&peers[2]);
	ck_assert_int_eq(daemon_stop(&daemon), 0);
}
END_TEST

START_TEST(too_many_heaps_and_bytes)
{
	struct proto_open request = peer_request("", PROTO_HOW_CREATE, 10);
	struct proto_drop drop = {.name = "h0"};
	struct proto_open_reply reply;
	struct proto_status_reply status;
	struct proto_empty nothing = {0};
	struct daemon daemon;
	struct peer peer;

	start_with(&daemon, "[limits]\nuser_heaps = 2\nuser_bytes = 64 MiB\nheap_bytes = 1 GiB\n");
	peer_open(&peer, daemon.socket);
	for (int i = 0; i < 2; i++) {
		snprintf(request.name, sizeof(request.name), "h%d", i);
		ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &reply), 0);
	}
	snprintf(request.name, sizeof(request.name), "h2");
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &reply), -ERROR_LIMIT);
	ck_assert_msg(strstr(peer.message.error.message, "has 2 of 2 heaps"), "%s",
		      peer.message.error.message);
	ck_assert_int_eq(peer_call(&peer, PROTO_STATUS, &nothing, &status), 0);
	ck_assert_uint_eq(status.user_heaps, 2);
	ck_assert_uint_eq(status.user_heaps_limit, 2);
	ck_assert_uint_eq(status.user_bytes_limit, 64 << 20);
	ck_assert_uint_gt(status.user_bytes, 0);
	/* Dropped, and attached by nobody: there is room again. */
	ck_assert_int_eq(peer_call(&peer, PROTO_DETACH, &(struct proto_detach){.heap = 1}, &nothing), 0);
	ck_assert_int_eq(peer_call(&peer, PROTO_DROP, &drop, &nothing), 0);
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &reply), 0);
	/* The user's bytes. */
	for (uint64_t unit = 0;; unit += 64) {
		struct proto_commit_units units = {.heap = reply.heap, .first = 200 + unit, .count = 64};
		int r = peer_call(&peer, PROTO_COMMIT_UNITS, &units, &nothing);

		if (r == -ERROR_RANGE)
			continue; /* the locks lie there */
		if (r) {
			ck_assert_int_eq(r, -ERROR_BUDGET);
			ck_assert_ptr_nonnull(strstr(peer.message.error.message, "memory budget of user"));
			break;
		}
		ck_assert_uint_lt(unit, 100000);
	}
	peer_close(&peer);
	ck_assert_int_eq(daemon_stop(&daemon), 0);
}
END_TEST

/* An override of one user's limits stands above the general ones; a refusal says whose budget, how much is used, how much is allowed. */
START_TEST(overrides_and_what_is_told)
{
	struct proto_open request = peer_request("big", PROTO_HOW_CREATE, 1 << 20);
	static struct proto_quota_reply quota;
	struct proto_quota ask = {0};
	struct proto_open_reply reply;
	struct daemon daemon;
	struct peer peer;
	char settings[256];

	snprintf(settings, sizeof(settings),
		 "[limits]\ntotal_bytes = 12 MiB\nuser_bytes = 1 MiB\nuser_heaps = 1\n"
		 "[user %u]\nbytes = 100 MiB\nheaps = 7\nclients = 9\nslots = 5\n",
		 (unsigned)getuid());
	start_with(&daemon, settings);
	peer_open(&peer, daemon.socket);
	for (int i = 0; i < 2; i++) {
		snprintf(request.name, sizeof(request.name), "h%d", i);
		request.params.elements = 10;
		ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &reply), 0);
	}
	ck_assert_int_eq(peer_call(&peer, PROTO_QUOTA, &ask, &quota), 0);
	ck_assert_uint_eq(quota.count, 1);
	ck_assert(!quota.more);
	ck_assert_uint_eq(quota.users[0].uid, getuid());
	ck_assert_uint_eq(quota.users[0].heaps, 2);
	ck_assert_uint_eq(quota.users[0].heaps_limit, 7);
	ck_assert_uint_eq(quota.users[0].clients, 1);
	ck_assert_uint_eq(quota.users[0].clients_limit, 9);
	ck_assert_uint_eq(quota.users[0].slots_limit, 5);
	ck_assert_uint_eq(quota.users[0].slots, 0);
	ck_assert_uint_eq(quota.users[0].bytes_limit, 100 << 20);
	ck_assert_uint_gt(quota.users[0].bytes, 0);
	/* The whole is less than the user may have: that is what refuses. */
	for (uint64_t unit = 200;; unit += 64) {
		struct proto_commit_units units = {.heap = reply.heap, .first = unit, .count = 64};
		struct proto_empty nothing;
		int r = peer_call(&peer, PROTO_COMMIT_UNITS, &units, &nothing);

		if (r == 0 || r == -ERROR_RANGE)
			continue;
		ck_assert_int_eq(r, -ERROR_BUDGET);
		ck_assert_msg(strstr(peer.message.error.message, "memory budget of all heaps together") &&
				      strstr(peer.message.error.message, "of 12 MiB used"),
			      "%s", peer.message.error.message);
		break;
	}
	/* A creation that fails leaves nothing that counts. */
	request.params.elements = 1 << 30;
	request.params.tag = PROTO_TAG_EMPTY;
	snprintf(request.name, sizeof(request.name), "h3");
	request.params.storage = 1 << 20;
	for (int i = 0; i < 20; i++)
		if (peer_call(&peer, PROTO_OPEN, &request, &reply) == 0)
			break;
	ck_assert_int_eq(peer_call(&peer, PROTO_QUOTA, &ask, &quota), 0);
	ck_assert_uint_le(quota.users[0].heaps, 3);
	peer_close(&peer);
	ck_assert_int_eq(daemon_stop(&daemon), 0);
}
END_TEST

/* Threads at work in heaps: they are counted, and who has too many attaches nothing more for writing. */
START_TEST(too_many_slots)
{
	struct proto_open request = peer_request("slots", PROTO_HOW_CREATE, 10);
	static struct proto_clients_reply clients;
	struct proto_clients ask = {.name = "slots"};
	struct shm_session sessions[1];
	struct proto_open_reply reply;
	struct shm_segment segment;
	struct heap_params params;
	struct daemon daemon;
	struct peer peer;

	start_with(&daemon, "[limits]\nuser_slots = 1\n");
	peer_open(&peer, daemon.socket);
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &reply), 0);
	params = (struct heap_params){.elements = 10,
				      .max_elements = reply.params.max_elements,
				      .storage = reply.params.storage,
				      .seed = reply.params.seed,
				      .initial_tag = TAG_FULL};
	ck_assert_int_eq(shm_segment_map(&segment, peer.fd, &params, true), 0);
	ck_assert_int_eq(shm_session_open(&sessions[0], &segment, peer.client), 0);
	ck_assert_int_eq(peer_call(&peer, PROTO_CLIENTS, &ask, &clients), 0);
	ck_assert_uint_eq(clients.count, 1);
	ck_assert_uint_eq(clients.clients[0].client, peer.client);
	ck_assert_uint_eq(clients.clients[0].pid, getpid());
	ck_assert_uint_eq(clients.clients[0].slots, 1);
	ck_assert(clients.clients[0].writes);
	snprintf(request.name, sizeof(request.name), "more");
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &reply), -ERROR_LIMIT);
	ck_assert_msg(strstr(peer.message.error.message, "1 of 1 slots"), "%s", peer.message.error.message);
	/* Reading needs none. */
	snprintf(request.name, sizeof(request.name), "slots");
	request.how = PROTO_HOW_OPEN;
	request.access = PROTO_ACCESS_READ;
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &reply), 0);
	shm_session_close(&sessions[0]);
	request.access = PROTO_ACCESS_WRITE;
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &reply), 0);
	shm_segment_unmap(&segment);
	peer_close(&peer);
	ck_assert_int_eq(daemon_stop(&daemon), 0);
}
END_TEST

/* All pages of a list make the list, in order, each once. */
START_TEST(pages_of_clients)
{
	static struct proto_clients_reply reply;
	struct proto_clients ask = {.limit = 7};
	struct peer peers[40];
	struct daemon daemon;
	uint64_t last = 0;
	unsigned count = 0;

	start_with(&daemon, "");
	for (int i = 0; i < 40; i++)
		peer_open(&peers[i], daemon.socket);
	do {
		ck_assert_int_eq(peer_call(&peers[20], PROTO_CLIENTS, &ask, &reply), 0);
		ck_assert_uint_le(reply.count, 7);
		for (uint32_t i = 0; i < reply.count; i++) {
			ck_assert_uint_gt(reply.clients[i].client, last);
			last = reply.clients[i].client;
			count++;
		}
		ask.after = last;
	} while (reply.more);
	ck_assert_uint_eq(count, 40);
	for (int i = 0; i < 40; i++)
		peer_close(&peers[i]);
	ck_assert_int_eq(daemon_stop(&daemon), 0);
}
END_TEST

/* Who is kicked is disconnected, and does not get back what it had by its tickets. */
START_TEST(kicked)
{
	struct proto_open request = peer_request("kicked", PROTO_HOW_CREATE, 10);
	struct proto_hello hello = {.version_min = 1, .version_max = 1, .features = PROTO_FEATURE_HEAPS};
	struct proto_hello_reply first, second;
	struct proto_reattach reattach = {0};
	struct proto_reattach_reply reattached;
	struct proto_open_reply opened;
	struct proto_kick kick = {0};
	struct proto_empty nothing = {0};
	struct peer peer, other;
	struct daemon daemon;

	start_with(&daemon, "");
	peer_open(&other, daemon.socket);
	peer_connect(&peer, daemon.socket);
	ck_assert_int_eq(peer_call(&peer, PROTO_HELLO, &hello, &first), 0);
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &opened), 0);
	kick.client = other.client;
	ck_assert_int_eq(peer_call(&other, PROTO_KICK, &kick, &nothing), -ERROR_INVALID);
	kick.client = 12345678;
	ck_assert_int_eq(peer_call(&other, PROTO_KICK, &kick, &nothing), -ERROR_NOT_FOUND);
	kick.client = first.client;
	ck_assert_int_eq(peer_call(&other, PROTO_KICK, &kick, &nothing), 0);
	peer_expect_end(&peer);
	peer_close(&peer);
	EVENTUALLY(peer_call(&other, PROTO_KICK, &kick, &nothing) == -ERROR_NOT_FOUND);

	peer_connect(&peer, daemon.socket);
	hello.client = first.client;
	hello.ticket = first.ticket;
	ck_assert_int_eq(peer_call(&peer, PROTO_HELLO, &hello, &second), 0);
	ck_assert_uint_ne(second.client, first.client);
	memcpy(reattach.heap_id, opened.heap_id, sizeof(reattach.heap_id));
	reattach.ticket = opened.ticket;
	ck_assert_int_eq(peer_call(&peer, PROTO_REATTACH, &reattach, &reattached), -ERROR_ACCESS);
	peer_close(&peer);
	peer_close(&other);
	ck_assert_int_eq(daemon_stop(&daemon), 0);
}
END_TEST

/* Kilobytes that the process has in memory now. */
static uint64_t resident(pid_t pid)
{
	char path[64];
	unsigned long size = 0, pages = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%lu %lu", &size, &pages), 2);
	fclose(file);
	return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}

static void one_cycle(const struct daemon *daemon, int i)
{
	struct proto_open request = peer_request("", PROTO_HOW_CREATE, 10);
	struct proto_drop drop = {0};
	struct proto_open_reply reply;
	struct proto_empty nothing;
	struct peer peer;

	snprintf(request.name, sizeof(request.name), "cycle/%d", i % 7);
	request.params.fill = (struct proto_value){.type = PROTO_STRING, .data = "fill", .size = 4};
	snprintf(drop.name, sizeof(drop.name), "%s", request.name);
	peer_open(&peer, daemon->socket);
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &reply), 0);
	request.how = PROTO_HOW_OPEN;
	request.access = PROTO_ACCESS_READ;
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &reply), 0);
	if (i % 2)
		ck_assert_int_eq(
			peer_call(&peer, PROTO_DETACH, &(struct proto_detach){.heap = reply.heap}, &nothing),
			0);
	ck_assert_int_eq(peer_call(&peer, PROTO_DROP, &drop, &nothing), 0);
	/* Some leave in the middle of an answer. */
	if (i % 5 == 0)
		peer_send(&peer, PROTO_PING, &nothing);
	peer_close(&peer);
}

/* ---- thousands of connections of one user ---- */

enum { FLOOD_USER = 40001, FLOOD_LIMIT = 100, FLOOD_KEPT = FLOOD_LIMIT + 16, FLOOD_ROUND = 250, FLOOD_ROUNDS = 12 };

#define flood_must(condition)                                                                \
	do {                                                                                 \
		if (!(condition)) {                                                          \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			_exit(3);                                                            \
		}                                                                            \
	} while (0)

/* The daemon ends the connection, and says nothing. */
static bool is_ended(int fd)
{
	struct pollfd item = {.fd = fd, .events = POLLIN};
	char byte;

	return poll(&item, 1, (int)(BROKER_PATIENCE / NS_PER_MS)) == 1 && recv(fd, &byte, 1, MSG_DONTWAIT) <= 0;
}

/* Takes all that its user may have, and those that are kept to be told that they are too many; then thousands more, which are not kept. */
static _Noreturn void be_flood(const char *socket, int talk)
{
	const gid_t group = FLOOD_USER;
	int fds[FLOOD_ROUND];
	struct peer peers[FLOOD_KEPT];
	char byte;

	flood_must(setgroups(1, &group) == 0 && setresgid(group, group, group) == 0);
	flood_must(setresuid(FLOOD_USER, FLOOD_USER, FLOOD_USER) == 0);
	for (int i = 0; i < FLOOD_KEPT; i++)
		peer_connect(&peers[i], socket);
	flood_must(write(talk, "r", 1) == 1 && read(talk, &byte, 1) == 1);
	for (int round = 0; round < FLOOD_ROUNDS; round++) {
		for (int i = 0; i < FLOOD_ROUND; i++)
			flood_must(proto_connect(socket, clock_deadline(BROKER_PATIENCE), &fds[i]) == 0);
		for (int i = 0; i < FLOOD_ROUND; i++) {
			flood_must(is_ended(fds[i]));
			fds[i] = fd_close(fds[i]);
		}
	}
	flood_must(write(talk, "d", 1) == 1);
	(void)!read(talk, &byte, 1);
	_exit(0);
}

static uint32_t clients_of(struct peer *peer, uint32_t uid)
{
	static struct proto_quota_reply quota;

	ck_assert_int_eq(peer_call(peer, PROTO_QUOTA, &(struct proto_quota){0}, &quota), 0);
	for (uint32_t i = 0; i < quota.count; i++)
		if (quota.users[i].uid == uid)
			return quota.users[i].clients;
	return 0;
}

START_TEST(flood_of_one_user)
{
	struct proto_empty nothing = {0};
	struct daemon daemon;
	struct pollfd item;
	struct peer peer, late;
	int talk[2], status, served = 0;
	char byte, settings[128];
	pid_t flood;

	if (geteuid() != 0) {
		printf("flood_of_one_user: not root, skipped\n");
		return;
	}
	snprintf(settings, sizeof(settings), "[limits]\nuser_clients = %d\n", FLOOD_LIMIT);
	start_with(&daemon, settings);
	ck_assert_int_eq(chmod(daemon.directory, 0711), 0);
	peer_open(&peer, daemon.socket);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, talk), 0);
	fflush(stdout);
	flood = fork();
	ck_assert_int_ge(flood, 0);
	if (flood == 0) {
		fd_close(talk[0]);
		be_flood(daemon.socket, talk[1]);
	}
	fd_close(talk[1]);
	ck_assert_int_eq(read(talk[0], &byte, 1), 1);
	EVENTUALLY(clients_of(&peer, FLOOD_USER) == FLOOD_KEPT);
	ck_assert_int_eq(write(talk[0], "f", 1), 1);
	item = (struct pollfd){.fd = talk[0], .events = POLLIN};
	/* Others are served, and can connect, while it goes on. */
	do {
		ck_assert_int_eq(peer_call(&peer, PROTO_PING, &nothing, &nothing), 0);
		peer_open(&late, daemon.socket);
		ck_assert_int_eq(peer_call(&late, PROTO_PING, &nothing, &nothing), 0);
		peer_close(&late);
		served++;
	} while (poll(&item, 1, 0) == 0);
	ck_assert_int_eq(read(talk[0], &byte, 1), 1);
	printf("%d connections of one user refused; another was served %d times meanwhile\n", FLOOD_ROUND * FLOOD_ROUNDS, served);
	ck_assert_uint_eq(clients_of(&peer, FLOOD_USER), FLOOD_KEPT);
	fd_close(talk[0]);
	ck_assert_int_eq(waitpid(flood, &status, 0), flood);
	ck_assert_int_eq(status, 0);
	EVENTUALLY(clients_of(&peer, FLOOD_USER) == 0);
	peer_close(&peer);
	ck_assert_int_eq(daemon_stop(&daemon), 0);
}
END_TEST

/*
 * connect, create, attach, drop, again and again: EMS_TEST_CYCLES of them (1,000 unless set; 10,000 is the promise). Under
 * sanitizers the daemon's exit status says whether it lost memory; here it is its size and its descriptors.
 */
START_TEST(cycles_leave_nothing)
{
	const char *wanted = getenv("EMS_TEST_CYCLES");
	int cycles = wanted ? atoi(wanted) : 1000, descriptors;
	struct proto_status_reply status;
	struct proto_empty nothing = {0};
	struct daemon daemon;
	struct peer peer;
	uint64_t memory;

	daemon_start(&daemon, NULL);
	peer_open(&peer, daemon.socket);
	for (int i = 0; i < 200; i++)
		one_cycle(&daemon, i);
	EVENTUALLY(peer_call(&peer, PROTO_STATUS, &nothing, &status) == 0 && status.clients == 1);
	descriptors = count_descriptors(daemon.pid);
	memory = resident(daemon.pid);
	for (int i = 0; i < cycles; i++)
		one_cycle(&daemon, i);
	EVENTUALLY(peer_call(&peer, PROTO_STATUS, &nothing, &status) == 0 && status.clients == 1);
	ck_assert_uint_eq(status.heaps, 0);
	ck_assert_uint_eq(status.committed, 0);
	EVENTUALLY(count_descriptors(daemon.pid) <= descriptors);
	printf("%d cycles: %d descriptors, resident %" PRIu64 " KiB before, %" PRIu64 " KiB after\n", cycles,
	       descriptors, memory, resident(daemon.pid));
	/* Sanitizers keep what was freed for a while. */
	if (!getenv("EMS_SANITIZERS") || strcmp(getenv("EMS_SANITIZERS"), "no") == 0)
		ck_assert_uint_le(resident(daemon.pid), memory + 1024);
	peer_close(&peer);
	ck_assert_int_eq(daemon_stop(&daemon), 0);
}
END_TEST

UNIT_MAIN("broker/limits", too_many_clients, too_many_heaps_and_bytes, overrides_and_what_is_told, too_many_slots,
	  pages_of_clients, kicked, flood_of_one_user, cycles_leave_nothing)
