/*
 * test_broker_survival.c: what a new daemon makes of the one before, straight on the protocol; and what a service manager asks
 * of a daemon.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "shm/segment.h"
#include "tests/integration/broker.h"
#include "tests/integration/manager.h"

static void come_back(struct peer *peer, const char *socket, const struct proto_hello_reply *before,
		      struct proto_hello_reply *now)
{
	struct proto_hello hello = {.version_min = PROTO_VERSION_MIN,
				    .version_max = PROTO_VERSION_MAX,
				    .features = PROTO_FEATURE_HEAPS,
				    .client = before->client,
				    .ticket = before->ticket};

	peer_connect(peer, socket);
	ck_assert_int_eq(peer_call(peer, PROTO_HELLO, &hello, now), 0);
}

static int reattach(struct peer *peer, const struct proto_open_reply *opened, enum proto_access access,
		    struct proto_reattach_reply *reply)
{
	struct proto_reattach request = {.access = access, .ticket = opened->ticket};

	memcpy(request.heap_id, opened->heap_id, sizeof(request.heap_id));
	return peer_call(peer, PROTO_REATTACH, &request, reply);
}

/* A change that was answered is one that the next daemon knows of. */
START_TEST(changes_are_kept)
{
	struct proto_open request = peer_request("survival/before", PROTO_HOW_CREATE, 10);
	struct proto_open_reply opened, again;
	struct proto_chmod chmod_it = {.mode = 0604};
	struct proto_chown chown_it = {.uid = geteuid() == 0 ? 4321 : PROTO_SAME_ID, .gid = PROTO_SAME_ID};
	struct proto_rename rename_it = {.to = "survival/after", .replace = true};
	struct proto_empty nothing = {0};
	struct manager manager;
	struct peer peer;

	manager_open(&manager, MANAGER_KEEPER);
	peer_open(&peer, manager.socket);
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &opened), 0);
	chmod_it.heap = chown_it.heap = rename_it.heap = opened.heap;
	ck_assert_int_eq(peer_call(&peer, PROTO_CHMOD, &chmod_it, &nothing), 0);
	ck_assert_int_eq(peer_call(&peer, PROTO_CHOWN, &chown_it, &nothing), 0);
	request = peer_request("survival/after", PROTO_HOW_CREATE, 20);
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &again), 0);
	ck_assert_int_eq(peer_call(&peer, PROTO_RENAME, &rename_it, &nothing), 0);
	(void)manager_kill(&manager, SIGKILL);
	peer_close(&peer);
	manager_start(&manager);

	peer_open(&peer, manager.socket);
	request = peer_request("survival/before", PROTO_HOW_OPEN, 10);
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &again), -ERROR_NOT_FOUND);
	request = peer_request("survival/after", PROTO_HOW_OPEN, 10);
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &again), 0);
	ck_assert_mem_eq(again.heap_id, opened.heap_id, sizeof(opened.heap_id));
	ck_assert_uint_eq(again.mode, 0604);
	if (geteuid() == 0)
		ck_assert_uint_eq(again.uid, 4321);
	peer_close(&peer);
	ck_assert_int_eq(manager_close(&manager), 0);
}
END_TEST

START_TEST(tickets)
{
	struct proto_open request = peer_request("survival/ticket", PROTO_HOW_CREATE, 10);
	struct proto_hello_reply none = {0}, first, second, forged;
	struct proto_reattach_reply reply;
	struct proto_open_reply opened;
	struct manager manager;
	struct peer peer, other;

	manager_open(&manager, MANAGER_KEEPER);
	come_back(&peer, manager.socket, &none, &first);
	request.mode = 0400; /* who creates may write in any case, and may do so after as well */
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &opened), 0);
	(void)manager_kill(&manager, SIGKILL);
	peer_close(&peer);
	manager_start(&manager);

	come_back(&peer, manager.socket, &first, &second);
	ck_assert_uint_eq(second.client, first.client);
	ck_assert_int_eq(reattach(&peer, &opened, PROTO_ACCESS_WRITE, &reply), 0);
	ck_assert_str_eq(reply.name, "survival/ticket");
	ck_assert_uint_eq(reply.elements, 10);
	ck_assert(!reply.dropped);
	/* For another access, another client, another ticket it is not good. */
	ck_assert_int_eq(reattach(&peer, &opened, PROTO_ACCESS_READ, &reply), -ERROR_ACCESS);
	come_back(&other, manager.socket, &none, &forged);
	ck_assert_uint_ne(forged.client, first.client);
	ck_assert_int_eq(reattach(&other, &opened, PROTO_ACCESS_WRITE, &reply), -ERROR_ACCESS);
	peer_close(&other);
	forged = (struct proto_hello_reply){.client = first.client, .ticket = first.ticket ^ 1};
	come_back(&other, manager.socket, &forged, &second);
	ck_assert_uint_ne(second.client, first.client);
	peer_close(&other);
	/* The same once more, over a new connection to the same daemon, which has not seen the old one's end. */
	come_back(&other, manager.socket, &first, &second);
	ck_assert_uint_eq(second.client, first.client);
	ck_assert_int_eq(reattach(&other, &opened, PROTO_ACCESS_WRITE, &reply), 0);
	peer_expect_end(&peer);
	peer_close(&peer);
	peer_close(&other);
	ck_assert_int_eq(manager_close(&manager), 0);
}
END_TEST

/* A creation that is asked for again, by the one who did not get the answer, is not done again. */
START_TEST(creation_asked_twice)
{
	struct proto_open request = peer_request("survival/twice", PROTO_HOW_CREATE, 10);
	struct proto_open_reply first, again;
	struct manager manager;
	struct peer peer;

	manager_open(&manager, MANAGER_KEEPER);
	peer_open(&peer, manager.socket);
	memset(request.creation, 7, sizeof(request.creation));
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &first), 0);
	(void)manager_kill(&manager, SIGKILL);
	peer_close(&peer);
	manager_start(&manager);
	peer_open(&peer, manager.socket);
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &again), 0);
	ck_assert_mem_eq(again.heap_id, first.heap_id, sizeof(first.heap_id));
	ck_assert(again.created);
	request.replace = true;
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &again), 0);
	ck_assert_mem_eq(again.heap_id, first.heap_id, sizeof(first.heap_id));
	request.replace = false;
	memset(request.creation, 8, sizeof(request.creation));
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &again), -ERROR_EXISTS);
	memset(request.creation, 0, sizeof(request.creation));
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &again), -ERROR_EXISTS);
	peer_close(&peer);
	ck_assert_int_eq(manager_close(&manager), 0);
}
END_TEST

/* Scribbles over so many bytes of the segment that was handed out last, from offset on. */
static void scribble(const struct peer *peer, off_t offset, size_t size)
{
	uint8_t *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, peer->fd, offset);

	ck_assert(page != MAP_FAILED);
	memset(page, 0xa5, size);
	munmap(page, size);
}

/* A heap whose header was written over is not handed out any more; the others are as they were. */
START_TEST(quarantine)
{
	struct proto_open broken = peer_request("survival/broken", PROTO_HOW_CREATE, 10);
	struct proto_open sound = peer_request("survival/sound", PROTO_HOW_CREATE, 10);
	struct proto_inspect inspect = {.name = "survival/broken"};
	struct proto_drop drop = {.name = "survival/broken"};
	struct proto_inspect_reply info;
	struct proto_open_reply opened;
	struct proto_list_reply *list = calloc(1, sizeof(*list));
	struct proto_empty nothing;
	struct manager manager;
	struct peer peer;

	manager_open(&manager, MANAGER_KEEPER);
	peer_open(&peer, manager.socket);
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &sound, &opened), 0);
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &broken, &opened), 0);
	scribble(&peer, 0, 4096);
	for (int i = 0; i < 2; i++) { /* also when it was quarantined before */
		(void)manager_kill(&manager, SIGKILL);
		peer_close(&peer);
		manager_start(&manager);
		peer_open(&peer, manager.socket);
		sound.how = broken.how = PROTO_HOW_OPEN;
		ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &broken, &opened), -ERROR_CORRUPT);
		ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &sound, &opened), 0);
		ck_assert_int_eq(peer_call(&peer, PROTO_LIST, &(struct proto_list){0}, list), 0);
		ck_assert_uint_eq(list->count, 2);
		ck_assert_int_eq(peer_call(&peer, PROTO_INSPECT, &inspect, &info), 0);
		ck_assert(info.quarantined);
	}
	ck_assert_int_eq(peer_call(&peer, PROTO_DROP, &drop, &nothing), 0);
	ck_assert_int_eq(peer_call(&peer, PROTO_INSPECT, &inspect, &info), -ERROR_NOT_FOUND);
	free(list);
	peer_close(&peer);
	ck_assert_int_eq(manager_close(&manager), 0);
}
END_TEST

/* Whatever stands behind the header, the new daemon takes the heap over, and does not crash or hang. */
START_TEST(hostile_segments)
{
	uint64_t random = unit_seed();
	struct manager manager;
	struct peer peer;

	manager_open(&manager, MANAGER_KEEPER);
	for (int i = 0; i < 20; i++) {
		struct proto_open request = peer_request("survival/hostile", PROTO_HOW_CREATE, 1000);
		struct proto_open_reply opened;
		struct proto_status_reply status;
		uint64_t pages = 2 + unit_random(&random) % 30;

		request.replace = true;
		request.params.has_map = true;
		request.params.storage = 1 << 20;
		peer_open(&peer, manager.socket);
		ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &opened), 0);
		scribble(&peer, 4096, 4096);
		while (pages-- > 0)
			scribble(&peer, (off_t)(unit_random(&random) % 1024) * 4096, 4096);
		(void)manager_kill(&manager, SIGKILL);
		peer_close(&peer);
		manager_start(&manager);
		peer_open(&peer, manager.socket);
		ck_assert_int_eq(peer_call(&peer, PROTO_STATUS, &(struct proto_empty){0}, &status), 0);
		ck_assert_uint_le(status.heaps, 2); /* and the one replaced, which somebody may come back to */
		peer_close(&peer);
	}
	ck_assert_int_eq(manager_close(&manager), 0);
}
END_TEST

/* ---- a service manager's wishes ---- */

static void write_settings(const struct manager *manager, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/emsd.conf", manager->directory);
	file = fopen(path, "we");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
}

static void await_ready(struct manager *manager)
{
	pthread_mutex_lock(&manager->lock);
	while (!manager->ready)
		pthread_cond_wait(&manager->changed, &manager->lock);
	manager->ready = false;
	pthread_mutex_unlock(&manager->lock);
}

static int create(struct peer *peer, const char *name)
{
	struct proto_open request = peer_request(name, PROTO_HOW_CREATE, 1);
	struct proto_open_reply opened;

	return peer_call(peer, PROTO_OPEN, &request, &opened);
}

START_TEST(settings_read_again)
{
	struct manager manager;
	char path[128];
	struct peer peer;

	manager_open(&manager, MANAGER_STORE);
	await_ready(&manager);
	snprintf(path, sizeof(path), "%s/emsd.conf", manager.directory);
	write_settings(&manager, "[limits]\nuser_heaps = 1\n");
	manager.options[0] = "--config";
	manager.options[1] = path;
	(void)manager_kill(&manager, SIGTERM);
	manager_start(&manager);
	await_ready(&manager);
	peer_open(&peer, manager.socket);
	ck_assert_int_eq(create(&peer, "settings/1"), 0);
	ck_assert_int_eq(create(&peer, "settings/2"), -ERROR_LIMIT);
	write_settings(&manager, "[limits]\nuser_heaps = 2\n");
	kill(manager.pid, SIGHUP);
	await_ready(&manager);
	ck_assert_int_eq(create(&peer, "settings/2"), 0);
	ck_assert_int_eq(create(&peer, "settings/3"), -ERROR_LIMIT);
	/* A file that is wrong changes nothing. */
	write_settings(&manager, "[limits]\nuser_heaps = 3\nwhatever = 4\n");
	kill(manager.pid, SIGHUP);
	await_ready(&manager);
	ck_assert_int_eq(create(&peer, "settings/3"), -ERROR_LIMIT);
	peer_close(&peer);
	ck_assert_int_eq(manager_close(&manager), 0);
}
END_TEST

START_TEST(watchdog)
{
	struct manager manager;

	setenv("WATCHDOG_USEC", "300000", 1);
	manager_open(&manager, MANAGER_STORE);
	pthread_mutex_lock(&manager.lock);
	while (manager.alive < 3)
		pthread_cond_wait(&manager.changed, &manager.lock);
	pthread_mutex_unlock(&manager.lock);
	ck_assert_int_eq(manager_close(&manager), 0);
}
END_TEST

/* No more is stored than the service manager takes; what is beyond works, and is gone with its daemon. */
START_TEST(store_is_full)
{
	struct manager manager;
	struct peer peer;

	manager_open(&manager, MANAGER_STORE);
	manager.room = "4"; /* the catalogue, the next one, and two heaps */
	(void)manager_kill(&manager, SIGTERM);
	manager_start(&manager);
	peer_open(&peer, manager.socket);
	ck_assert_int_eq(create(&peer, "full/1"), 0);
	ck_assert_int_eq(create(&peer, "full/2"), 0);
	ck_assert_int_eq(create(&peer, "full/3"), 0);
	for (int i = 0; i < 3; i++) {
		(void)manager_kill(&manager, SIGKILL);
		peer_close(&peer);
		manager_start(&manager);
		peer_open(&peer, manager.socket);
		ck_assert_int_eq(create(&peer, "full/1"), -ERROR_EXISTS);
		ck_assert_int_eq(create(&peer, "full/2"), -ERROR_EXISTS);
		ck_assert_int_eq(create(&peer, "full/3"), 0);
	}
	peer_close(&peer);
	ck_assert_int_eq(manager_close(&manager), 0);
}
END_TEST

UNIT_MAIN("broker/survival", changes_are_kept, tickets, creation_asked_twice, quarantine, hostile_segments, settings_read_again, watchdog,
	  store_is_full)
