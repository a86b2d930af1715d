/*
 * test_broker_access.c: owners, modes, and names of users, with real users. Needs root, to become them.
 */
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/integration/broker.h"

enum { ALICE = 40001, BOB = 40002, CAROL = 40003, STAFF = 50001 };

/* Runs test as that user, in that group and one more; its failed assertions end it with another status than 0. */
static void as_user(uid_t uid, gid_t more, void (*test)(void))
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (setgroups(1, &more) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
			_exit(3);
		test();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

static struct peer me;

/* A child process is not the place for ck_assert, whose failure would go on in the parent's test. */
#define MUST(condition)                                                                                   \
	do {                                                                                              \
		if (!(condition)) {                                                                       \
			printf("%s:%d: as user %d: not so: %s (%s)\n", __FILE__, __LINE__, (int)getuid(), \
			       #condition, me.message.error.message);                                     \
			fflush(stdout);                                                                   \
			_exit(1);                                                                         \
		}                                                                                         \
	} while (0)

static int open_as(const char *name, enum proto_how how, enum proto_access access, uint32_t mode)
{
	struct proto_open request = peer_request(name, how, 10);
	struct proto_open_reply reply;

	request.access = access;
	request.mode = mode;
	return peer_call(&me, PROTO_OPEN, &request, &reply);
}

static int drop_as(const char *name)
{
	struct proto_drop request = {0};
	struct proto_empty reply;

	snprintf(request.name, sizeof(request.name), "%s", name);
	return peer_call(&me, PROTO_DROP, &request, &reply);
}

static uint32_t list_as(const char *prefix)
{
	static struct proto_list_reply reply;
	struct proto_list request = {0};

	snprintf(request.prefix, sizeof(request.prefix), "%s", prefix);
	MUST(peer_call(&me, PROTO_LIST, &request, &reply) == 0);
	return reply.count;
}

static void alice_creates(void)
{
	peer_open(&me, the_daemon.socket);
	MUST(open_as("private", PROTO_HOW_CREATE, PROTO_ACCESS_WRITE, 0600) == 0);
	MUST(open_as("readable", PROTO_HOW_CREATE, PROTO_ACCESS_WRITE, 0644) == 0);
	MUST(open_as("writable", PROTO_HOW_CREATE, PROTO_ACCESS_WRITE, 0666) == 0);
	/* Whoever creates may use it, whatever the mode says to later ones. */
	MUST(open_as("locked", PROTO_HOW_CREATE, PROTO_ACCESS_WRITE, 0) == 0);
	MUST(open_as("locked", PROTO_HOW_OPEN, PROTO_ACCESS_READ, 0) == -ERROR_ACCESS);
	MUST(open_as("~/own", PROTO_HOW_CREATE, PROTO_ACCESS_WRITE, 0600) == 0);
	MUST(open_as("~40001/too", PROTO_HOW_CREATE, PROTO_ACCESS_WRITE, 0644) == 0);
	MUST(open_as("~40002/not", PROTO_HOW_CREATE, PROTO_ACCESS_WRITE, 0600) == -ERROR_ACCESS);
	MUST(list_as("~/") == 2);
}

static void bob_tries(void)
{
	struct proto_grow grow = {.name = "readable", .elements = 10};
	struct proto_inspect inspect = {.name = "private"};
	static struct proto_inspect_reply inspected;
	struct proto_grow_reply grown;

	peer_open(&me, the_daemon.socket);
	MUST(open_as("private", PROTO_HOW_OPEN, PROTO_ACCESS_READ, 0) == -ERROR_ACCESS);
	MUST(strstr(me.message.error.message, "mode 0600"));
	MUST(open_as("private", PROTO_HOW_OPEN_OR_CREATE, PROTO_ACCESS_WRITE, 0600) == -ERROR_ACCESS);
	MUST(open_as("readable", PROTO_HOW_OPEN, PROTO_ACCESS_WRITE, 0) == -ERROR_ACCESS);
	MUST(open_as("readable", PROTO_HOW_OPEN, PROTO_ACCESS_READ, 0) == 0);
	MUST(open_as("writable", PROTO_HOW_OPEN, PROTO_ACCESS_WRITE, 0) == 0);
	MUST(drop_as("writable") == -ERROR_ACCESS);
	MUST(peer_call(&me, PROTO_GROW, &grow, &grown) == -ERROR_ACCESS);
	MUST(peer_call(&me, PROTO_INSPECT, &inspect, &inspected) == -ERROR_ACCESS);
	/* "~/own" of his own is another one. */
	MUST(open_as("~/own", PROTO_HOW_OPEN, PROTO_ACCESS_READ, 0) == -ERROR_NOT_FOUND);
	MUST(open_as("~40001/own", PROTO_HOW_OPEN, PROTO_ACCESS_READ, 0) == -ERROR_ACCESS);
	MUST(open_as("~40001/too", PROTO_HOW_OPEN, PROTO_ACCESS_READ, 0) == 0);
	/* Nor does he see what he may not read. */
	MUST(list_as("") == 3);
	MUST(list_as("~") == 1);
}

static void bob_may_not_replace(void)
{
	struct proto_open request = peer_request("writable", PROTO_HOW_CREATE, 10);
	struct proto_open_reply reply;

	peer_open(&me, the_daemon.socket);
	request.replace = true;
	MUST(peer_call(&me, PROTO_OPEN, &request, &reply) == -ERROR_ACCESS);
}

/* The descriptor of a read-only attach cannot be made writable again, not through /proc either. */
static void bob_wants_to_write(void)
{
	static const int modes[] = {O_RDWR, O_WRONLY, O_RDWR | O_TRUNC, O_WRONLY | O_APPEND};
	struct stat before, after;
	char path[64], folder[64];
	void *map;

	peer_open(&me, the_daemon.socket);
	MUST(open_as("readable", PROTO_HOW_OPEN, PROTO_ACCESS_READ, 0) == 0);
	MUST(me.fd >= 0);
	MUST(fstat(me.fd, &before) == 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", me.fd);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		MUST(open(path, modes[i] | O_CLOEXEC) < 0);
		MUST(openat(me.fd, "", modes[i] | O_CLOEXEC) < 0);
	}
	MUST(fchmod(me.fd, 0666) < 0);
	MUST(chmod(path, 0666) < 0);
	MUST(fchown(me.fd, BOB, BOB) < 0);
	MUST(truncate(path, 0) < 0);
	MUST(ftruncate(me.fd, 0) < 0);
	MUST(fallocate(me.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) < 0);
	MUST(write(me.fd, "x", 1) < 0);
	MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, me.fd, 0) == MAP_FAILED);
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, me.fd, 0);
	MUST(map != MAP_FAILED);
	MUST(mprotect(map, 4096, PROT_READ | PROT_WRITE) < 0);
	MUST(fstat(me.fd, &after) == 0 && after.st_size == before.st_size && after.st_mode == before.st_mode);
	/* The daemon's own descriptors are behind its door. */
	snprintf(folder, sizeof(folder), "/proc/%d/fd", (int)the_daemon.pid);
	MUST(opendir(folder) == NULL);
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)the_daemon.pid, me.fd);
	MUST(open(path, O_RDONLY | O_CLOEXEC) < 0);
	MUST(stat(path, &after) < 0);
}

static void carol_in_the_group(void)
{
	peer_open(&me, the_daemon.socket);
	MUST(open_as("staff", PROTO_HOW_OPEN, PROTO_ACCESS_WRITE, 0) == 0);
}

static void staff_creates(void)
{
	peer_open(&me, the_daemon.socket);
	MUST(open_as("staff", PROTO_HOW_CREATE, PROTO_ACCESS_WRITE, 0660) == 0);
}

static void nobody_else(void)
{
	peer_open(&me, the_daemon.socket);
	MUST(open_as("staff", PROTO_HOW_OPEN, PROTO_ACCESS_WRITE, 0) == -ERROR_ACCESS);
}

static void alice_drops(void)
{
	peer_open(&me, the_daemon.socket);
	MUST(drop_as("writable") == 0);
	MUST(drop_as("locked") == 0);
	MUST(drop_as("~/own") == 0);
	MUST(drop_as("~/too") == 0);
}

/* ---- chmod, chown, rename ---- */

static int chmod_as(const char *name, uint32_t mode)
{
	struct proto_chmod request = {.mode = mode};
	struct proto_empty reply;

	snprintf(request.name, sizeof(request.name), "%s", name);
	return peer_call(&me, PROTO_CHMOD, &request, &reply);
}

static int chown_as(const char *name, uint32_t uid, uint32_t gid)
{
	struct proto_chown request = {.uid = uid, .gid = gid};
	struct proto_empty reply;

	snprintf(request.name, sizeof(request.name), "%s", name);
	return peer_call(&me, PROTO_CHOWN, &request, &reply);
}

static int rename_as(const char *name, const char *to, bool replace)
{
	struct proto_rename request = {.replace = replace};
	struct proto_empty reply;

	snprintf(request.name, sizeof(request.name), "%s", name);
	snprintf(request.to, sizeof(request.to), "%s", to);
	return peer_call(&me, PROTO_RENAME, &request, &reply);
}

static uint64_t bytes_of_user(void)
{
	struct proto_empty request = {0};
	struct proto_status_reply reply;

	MUST(peer_call(&me, PROTO_STATUS, &request, &reply) == 0);
	return reply.user_bytes;
}

static void alice_makes_three(void)
{
	peer_open(&me, the_daemon.socket);
	MUST(open_as("alices", PROTO_HOW_CREATE, PROTO_ACCESS_WRITE, 0600) == 0);
	MUST(open_as("hers", PROTO_HOW_CREATE, PROTO_ACCESS_WRITE, 0666) == 0);
	MUST(open_as("~/hers", PROTO_HOW_CREATE, PROTO_ACCESS_WRITE, 0600) == 0);
	MUST(bytes_of_user() > 0);
}

static void bob_may_not_change(void)
{
	peer_open(&me, the_daemon.socket);
	/* Writing is not owning. */
	MUST(open_as("hers", PROTO_HOW_OPEN, PROTO_ACCESS_WRITE, 0) == 0);
	MUST(chmod_as("hers", 0600) == -ERROR_ACCESS);
	MUST(chown_as("hers", BOB, BOB) == -ERROR_ACCESS);
	MUST(rename_as("hers", "bobs", false) == -ERROR_ACCESS);
	MUST(chmod_as("alices", 0666) == -ERROR_ACCESS);
	MUST(chmod_as("~40001/hers", 0666) == -ERROR_ACCESS);
	MUST(chmod_as("none", 0666) == -ERROR_NOT_FOUND);
	/* Nor may he put his own in the place of hers, or below her name. */
	MUST(open_as("bobs", PROTO_HOW_CREATE, PROTO_ACCESS_WRITE, 0600) == 0);
	MUST(rename_as("bobs", "hers", true) == -ERROR_ACCESS);
	MUST(rename_as("bobs", "~40001/bobs", false) == -ERROR_ACCESS);
	MUST(rename_as("bobs", "~file/1:2/3", false) == -ERROR_ACCESS);
	MUST(rename_as("bobs", "hers", false) == -ERROR_EXISTS);
	MUST(rename_as("bobs", "bobs", false) == 0);
	MUST(rename_as("bobs", "~/bobs", false) == 0);
	MUST(drop_as("~40002/bobs") == 0);
}

static void alice_changes(void)
{
	peer_open(&me, the_daemon.socket);
	MUST(chmod_as("alices", 0644) == 0);
	MUST(chown_as("alices", BOB, PROTO_SAME_ID) == -ERROR_ACCESS);
	MUST(chown_as("alices", PROTO_SAME_ID, CAROL) == -ERROR_ACCESS);
	MUST(chown_as("alices", PROTO_SAME_ID, STAFF) == 0); /* she is in it */
	MUST(chmod_as("alices", 0640) == 0);
	MUST(rename_as("~/hers", "her own", false) == 0);
	MUST(open_as("~/hers", PROTO_HOW_OPEN, PROTO_ACCESS_WRITE, 0) == -ERROR_NOT_FOUND);
	MUST(rename_as("her own", "~/hers", false) == 0);
}

static void staff_reads(void)
{
	peer_open(&me, the_daemon.socket);
	MUST(open_as("alices", PROTO_HOW_OPEN, PROTO_ACCESS_READ, 0) == 0);
	MUST(open_as("alices", PROTO_HOW_OPEN, PROTO_ACCESS_WRITE, 0) == -ERROR_ACCESS);
}

static void others_do_not(void)
{
	peer_open(&me, the_daemon.socket);
	MUST(open_as("alices", PROTO_HOW_OPEN, PROTO_ACCESS_READ, 0) == -ERROR_ACCESS);
}

static void bob_has_it_now(void)
{
	peer_open(&me, the_daemon.socket);
	MUST(bytes_of_user() > 0);
	MUST(open_as("alices", PROTO_HOW_OPEN, PROTO_ACCESS_WRITE, 0) == 0);
	MUST(chmod_as("alices", 0600) == 0);
	MUST(drop_as("alices") == 0);
}

static void alice_has_nothing_left(void)
{
	peer_open(&me, the_daemon.socket);
	MUST(open_as("alices", PROTO_HOW_OPEN, PROTO_ACCESS_READ, 0) == -ERROR_NOT_FOUND);
	MUST(drop_as("hers") == 0);
	MUST(drop_as("~/hers") == 0);
	MUST(bytes_of_user() == 0);
}

static uint32_t clients_of(const char *name, uint64_t *_first)
{
	static struct proto_clients_reply reply;
	struct proto_clients request = {0};
	int r;

	snprintf(request.name, sizeof(request.name), "%s", name);
	r = peer_call(&me, PROTO_CLIENTS, &request, &reply);
	if (r == -ERROR_ACCESS)
		return 999;
	MUST(r == 0);
	*_first = reply.clients[0].client;
	return reply.count;
}

static uint32_t users_seen(void)
{
	static struct proto_quota_reply reply;
	struct proto_quota request = {0};

	MUST(peer_call(&me, PROTO_QUOTA, &request, &reply) == 0);
	MUST(reply.count >= 1);
	return reply.count;
}

/* What others have, and who they are, is not his business; that they are there neither. */
static void bob_looks_around(void)
{
	struct proto_empty nothing;
	struct proto_kick kick = {0};
	uint64_t first;

	peer_open(&me, the_daemon.socket);
	MUST(users_seen() == 1);
	MUST(clients_of("", &first) == 1 && first == me.client);
	MUST(clients_of("alices", &first) == 999);
	MUST(clients_of("hers", &first) == 0); /* root has it, who is not he */
	for (kick.client = 1; kick.client < 1000; kick.client++)
		if (kick.client != me.client)
			MUST(peer_call(&me, PROTO_KICK, &kick, &nothing) == -ERROR_NOT_FOUND);
}

/* But the owner sees who uses it. */
static void alice_looks(void)
{
	uint64_t first;

	peer_open(&me, the_daemon.socket);
	MUST(clients_of("hers", &first) == 1);
	MUST(clients_of("", &first) == 1 && first == me.client);
}

/* What is attached stays so; numbers of others' attachments, their tickets and ids are no way in. */
static void bob_guesses(void)
{
	static struct proto_inspect_reply inspected;
	struct proto_inspect inspect = {0};
	struct proto_reattach reattach = {.ticket = 1};
	struct proto_reattach_reply reattached;
	struct proto_recover recover = {0};
	struct proto_recover_reply recovered;

	peer_open(&me, the_daemon.socket);
	for (uint32_t number = 1; number < 100; number++) {
		inspect.heap = recover.heap = number;
		MUST(peer_call(&me, PROTO_INSPECT, &inspect, &inspected) == -ERROR_NOT_FOUND);
		MUST(peer_call(&me, PROTO_RECOVER, &recover, &recovered) == -ERROR_NOT_FOUND);
	}
	for (unsigned i = 0; i < 100; i++) {
		reattach.ticket = i * UINT64_C(0x9e3779b97f4a7c15) + 1;
		MUST(peer_call(&me, PROTO_REATTACH, &reattach, &reattached) != 0);
	}
}

static void open_the_way(void)
{
	ck_assert_int_eq(chmod(the_daemon.directory, 0711), 0);
}

START_TEST(owners_and_others)
{
	open_the_way();
	as_user(ALICE, ALICE, alice_creates);
	as_user(BOB, BOB, bob_tries);
	as_user(BOB, BOB, bob_may_not_replace);
	as_user(BOB, BOB, bob_wants_to_write);
	as_user(ALICE, ALICE, alice_drops);

	/* Root may all. */
	peer_open(&me, the_daemon.socket);
	ck_assert_int_eq(open_as("private", PROTO_HOW_OPEN, PROTO_ACCESS_WRITE, 0), 0);
	ck_assert_int_eq(drop_as("private"), 0);
	ck_assert_int_eq(drop_as("readable"), 0);
	peer_close(&me);
}
END_TEST

/* The group of the heap is its creator's first one; a supplementary group of the peer counts as well. */
START_TEST(groups)
{
	open_the_way();
	as_user(STAFF, STAFF, staff_creates);
	as_user(CAROL, STAFF, carol_in_the_group);
	as_user(CAROL, CAROL, nobody_else);
	peer_open(&me, the_daemon.socket);
	ck_assert_int_eq(drop_as("staff"), 0);
	peer_close(&me);
}
END_TEST

START_TEST(changing_owner_mode_and_name)
{
	struct proto_open_reply opened;
	struct proto_open request = peer_request("hers", PROTO_HOW_OPEN, 10);
	struct peer alices;

	open_the_way();
	as_user(ALICE, STAFF, alice_makes_three);
	as_user(BOB, BOB, bob_may_not_change);
	as_user(BOB, BOB, bob_guesses);
	as_user(ALICE, STAFF, alice_changes);
	as_user(CAROL, STAFF, staff_reads);
	as_user(CAROL, CAROL, others_do_not);

	/* Root gives it away; and who has it attached keeps it, whatever becomes of its mode and name. */
	peer_open(&alices, the_daemon.socket);
	ck_assert_int_eq(peer_call(&alices, PROTO_OPEN, &request, &opened), 0);
	as_user(BOB, BOB, bob_looks_around);
	as_user(ALICE, STAFF, alice_looks);
	peer_open(&me, the_daemon.socket);
	ck_assert_uint_ge(users_seen(), 2);
	ck_assert_int_eq(chown_as("alices", BOB, BOB), 0);
	ck_assert_int_eq(chmod_as("hers", 0), 0);
	ck_assert_int_eq(rename_as("hers", "renamed", false), 0);
	{
		struct proto_grow grow = {.heap = opened.heap, .elements = 10};
		static struct proto_inspect_reply inspected;
		struct proto_inspect inspect = {.heap = opened.heap};
		struct proto_grow_reply grown;

		ck_assert_int_eq(peer_call(&alices, PROTO_GROW, &grow, &grown), 0);
		ck_assert_int_eq(peer_call(&alices, PROTO_INSPECT, &inspect, &inspected), 0);
		ck_assert_str_eq(inspected.name, "renamed");
	}
	ck_assert_int_eq(rename_as("renamed", "hers", false), 0);
	peer_close(&alices);
	peer_close(&me);
	as_user(BOB, BOB, bob_has_it_now);
	as_user(ALICE, STAFF, alice_has_nothing_left);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {owners_and_others, groups, changing_owner_mode_and_name};

	if (geteuid() != 0) {
		printf("skipped: only root can become other users\n");
		return 77;
	}
	return integration_run("broker/access", tests, sizeof(tests) / sizeof(tests[0]));
}
