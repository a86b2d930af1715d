/*
 * store.c: the two places where descriptors are kept.
 */
#include "daemon/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "daemon/broker.h"
#include "daemon/service.h"
#include "daemon/catalogue.h"
#include "proto/socket.h"

/* A keeper answers in microseconds; one that takes so long is stopped, and a new one is made. */
#define PUT_PATIENCE  (2 * NS_PER_S)
#define TAKE_PATIENCE (30 * NS_PER_S)

struct store {
	struct broker *broker;
	int directory;		/* of the keeper's socket */
	uint64_t service_room;	/* descriptors; 0: a keeper is used */
	uint64_t service_count; /* of those there */
	uint64_t keep_seconds;
	int keeper; /* connection; -1: there is none yet */
	uv_poll_t *poll; /* of it; its own, since libuv gives handles back later */
	bool failing;	 /* nothing can be kept just now; it was logged */
};

int stored_add_take(struct stored_list *list, const char *name, int fd)
{
	struct stored *grown;

	if (strlen(name) >= KEEPER_NAME_SIZE) {
		fd_close(fd);
		return 0;
	}
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? 2 * list->capacity : 64;

		grown = realloc(list->items, capacity * sizeof(*grown));
		if (!grown) {
			fd_close(fd);
			return -ERROR_NO_MEMORY;
		}
		list->items = grown;
		list->capacity = capacity;
	}
	list->items[list->count] = (struct stored){.fd = fd};
	strcpy(list->items[list->count++].name, name);
	return 0;
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct stored *)a)->name, ((const struct stored *)b)->name);
}

void stored_sort(struct stored_list *list)
{
	if (list->count)
		qsort(list->items, list->count, sizeof(*list->items), compare);
}

struct stored *stored_find(const struct stored_list *list, const char *name)
{
	struct stored key = {.fd = -1};

	snprintf(key.name, sizeof(key.name), "%s", name);
	return list->count ? bsearch(&key, list->items, list->count, sizeof(key), compare) : NULL;
}

void stored_fini(struct stored_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		fd_close(list->items[i].fd);
	free(list->items);
	*list = (struct stored_list){0};
}

/* ---- the keeper ---- */

static int send_packet(int keeper, enum keeper_op op, const char *name, int fd, uint64_t number)
{
	struct keeper_packet packet = {
		.magic = KEEPER_MAGIC, .version = KEEPER_VERSION, .op = op, .number = number};

	snprintf(packet.name, sizeof(packet.name), "%s", name);
	return proto_send_all(keeper, &packet, sizeof(packet), fd, clock_deadline(PUT_PATIENCE));
}

static int take_everything(int keeper, struct stored_list *list)
{
	struct keeper_packet packet;
	uint64_t deadline = clock_deadline(TAKE_PATIENCE);
	int r = send_packet(keeper, KEEPER_TAKE, "", -1, 0);

	while (!r) {
		_cleanup_(closep) int fd = -1;
		size_t size;

		r = proto_wait_readable(keeper, deadline);
		if (!r)
			r = proto_receive(keeper, &packet, sizeof(packet), &fd, &size);
		if (!r && (size != sizeof(packet) || packet.magic != KEEPER_MAGIC))
			r = -ERROR_PROTOCOL;
		if (r)
			return r;
		packet.name[KEEPER_NAME_SIZE - 1] = '\0';
		if (packet.op == KEEPER_GIVEN)
			return 0;
		if (packet.op == KEEPER_GIVE && fd >= 0)
			r = stored_add_take(list, packet.name, steal_fd(&fd));
	}
	return r;
}

static void free_handle(uv_handle_t *handle)
{
	free(handle);
}

/* The handle before the descriptor, as for clients. */
static void forget_keeper(struct store *store)
{
	if (store->poll)
		uv_close((uv_handle_t *)store->poll, free_handle);
	store->poll = NULL;
	store->keeper = fd_close(store->keeper);
}

static int use_keeper(struct store *store);

/* It sends nothing unasked: this is its end. */
static void on_keeper(uv_poll_t *poll, int status, int events)
{
	struct store *store = poll->data;

	(void)status;
	(void)events;
	forget_keeper(store);
	log_warning("the keeper has ended; another one is started");
	(void)use_keeper(store);
}

static int watch_keeper(struct store *store)
{
	uv_poll_t *poll = calloc(1, sizeof(*poll));

	if (!poll)
		return -ERROR_NO_MEMORY;
	if (uv_poll_init(&store->broker->loop, poll, store->keeper)) {
		free(poll);
		return -ERROR_SYSTEM;
	}
	poll->data = store;
	store->poll = poll;
	return uv_poll_start(poll, UV_READABLE, on_keeper) ? -ERROR_SYSTEM : 0;
}

/* A new keeper gets what there is. */
static int send_everything(const struct store *store)
{
	const struct catalogue *catalogue = store->broker->catalogue;
	char name[KEEPER_NAME_SIZE];
	int r = 0;

	if (store->broker->catalogue_kept)
		r = send_packet(store->keeper, KEEPER_PUT, catalogue->name, catalogue->fd, 0);
	list_each(struct heap, heap, &store->broker->heaps, node)
	{
		if (!r && heap->record) {
			catalogue_heap_name(heap, name);
			r = send_packet(store->keeper, KEEPER_PUT, name, heap->fd, 0);
		}
	}
	return r;
}

static int use_keeper(struct store *store)
{
	int r = keeper_start(store->directory, &store->keeper);

	if (!r)
		r = watch_keeper(store);
	if (!r)
		r = send_everything(store);
	if (r) {
		forget_keeper(store);
		if (!store->failing)
			log_error("no keeper can be started: heaps will not outlive this daemon", LOG_CODE("why", r));
		store->failing = true;
		return r;
	}
	store->failing = false;
	log_debug("keeper started");
	return 0;
}

/* One that does not read is given up; it sees that its socket is another's, and ends. */
static int tell_keeper(struct store *store, enum keeper_op op, const char *name, int fd)
{
	bool fresh = store->keeper < 0;
	int r = fresh ? use_keeper(store) : 0;

	if (!r)
		r = send_packet(store->keeper, op, name, fd, 0);
	if (!r || fresh)
		return r;
	log_warning("the keeper does not answer; another one is started", LOG_CODE("why", r));
	forget_keeper(store);
	r = use_keeper(store);
	return r ? r : send_packet(store->keeper, op, name, fd, 0);
}

/* What a keeper has, it goes on keeping, unless the service manager is to from now on. */
static int find_keeper(struct store *store, struct stored_list *list)
{
	int r = keeper_connect(store->directory, &store->keeper);

	if (r == -ERROR_NOT_FOUND)
		return 0;
	if (!r)
		r = take_everything(store->keeper, list);
	if (!r && store->service_room == 0)
		r = watch_keeper(store);
	if (r == -ERROR_NO_MEMORY)
		return r;
	if (r)
		log_error("a keeper is there, but what it has cannot be had", LOG_CODE("why", r));
	if (r)
		forget_keeper(store);
	return 0;
}

/* ---- both ---- */

int store_open(struct broker *broker, const char *state_dir, uint64_t service_room, uint64_t keep_seconds,
	       struct stored_list *list)
{
	struct store *store = calloc(1, sizeof(*store));
	size_t from_keeper;
	int r;

	if (!store)
		return -ERROR_NO_MEMORY;
	store->broker = broker;
	store->keeper = -1;
	store->service_room = service_room;
	store->service_count = service_room ? list->count : 0;
	store->keep_seconds = keep_seconds;
	store->directory = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	broker->store = store;
	if (store->directory < 0)
		return error_from_errno(errno);
	for (size_t i = 0; i < list->count; i++)
		list->items[i].here = service_room > 0;
	from_keeper = list->count;
	r = find_keeper(store, list);
	for (size_t i = from_keeper; i < list->count; i++)
		list->items[i].here = service_room == 0 && store->keeper >= 0;
	return r;
}

void store_settled(struct store *store)
{
	/* What it had is with the service manager by now. */
	if (store->service_room && store->keeper >= 0) {
		(void)send_packet(store->keeper, KEEPER_LEAVE, "", -1, 0);
		forget_keeper(store);
	}
}

int store_put(struct store *store, const char *name, int fd)
{
	if (store->service_room == 0)
		return tell_keeper(store, KEEPER_PUT, name, fd);
	/* One place is left for the next daemon's catalogue, which has to be there before this one's goes. */
	if (store->service_count + !store_is_catalogue(name) >= store->service_room) {
		if (!store->failing)
			log_error("the service manager keeps no more descriptors: new heaps will not outlive this daemon",
				  LOG_UINT("descriptors", store->service_room));
		store->failing = true;
		return -ERROR_LIMIT;
	}
	store->service_count++;
	service_store(name, fd);
	return 0;
}

void store_remove(struct store *store, const char *name)
{
	if (store->service_room) {
		store->service_count--;
		store->failing = false;
		service_unstore(name);
	} else if (store->keeper >= 0) {
		(void)tell_keeper(store, KEEPER_REMOVE, name, -1);
	}
}

void store_close(struct store *store)
{
	if (store->keeper >= 0)
		(void)send_packet(store->keeper, KEEPER_LEAVE, "", -1, store->keep_seconds);
	/* Nothing is kept: so that the directory is empty when we are gone, and not a moment later. */
	if (store->keeper >= 0 && list_is_empty(&store->broker->heaps))
		(void)unlinkat(store->directory, KEEPER_SOCKET_NAME, 0);
	forget_keeper(store);
	fd_close(store->directory);
	free(store);
}
