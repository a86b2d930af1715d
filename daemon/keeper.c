/*
 * keeper.c: the keeper's own life. Killed at any moment it leaves a socket that nobody listens on; the daemon
 * sees the connection's end and makes a new keeper. Without a daemon, what it held is lost.
 */
#include "daemon/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "daemon/store.h"
#include "proto/socket.h"

/* A daemon that does not take what it asked for is stopped, or dead. */
#define GIVE_PATIENCE (60 * NS_PER_S)

struct kept {
	char name[KEEPER_NAME_SIZE];
	int fd;
};

struct keeper {
	int listener, connection, directory, watch;
	ino_t socket;
	struct kept *kept;
	size_t count, capacity, heaps;
	uint64_t patience; /* from the end of the connection on; CLOCK_NEVER */
	uint64_t end;	   /* when it ends, without a connection */
};

static struct kept *find(struct keeper *keeper, const char *name)
{
	for (size_t i = 0; i < keeper->count; i++)
		if (strcmp(keeper->kept[i].name, name) == 0)
			return &keeper->kept[i];
	return NULL;
}

static void remove_one(struct keeper *keeper, struct kept *kept)
{
	keeper->heaps -= !store_is_catalogue(kept->name);
	fd_close(kept->fd);
	*kept = keeper->kept[--keeper->count];
}

static int put(struct keeper *keeper, const char *name, int fd)
{
	struct kept *old = find(keeper, name), *grown;

	if (fd < 0 || !*name)
		return -ERROR_PROTOCOL;
	if (old)
		remove_one(keeper, old);
	if (keeper->count == keeper->capacity) {
		size_t capacity = keeper->capacity ? 2 * keeper->capacity : 64;

		grown = realloc(keeper->kept, capacity * sizeof(*grown));
		if (!grown) {
			fd_close(fd);
			return -ERROR_NO_MEMORY;
		}
		keeper->kept = grown;
		keeper->capacity = capacity;
	}
	memcpy(keeper->kept[keeper->count].name, name, KEEPER_NAME_SIZE);
	keeper->kept[keeper->count++].fd = fd;
	keeper->heaps += !store_is_catalogue(name);
	return 0;
}

static int give_all(struct keeper *keeper)
{
	struct keeper_packet packet = {.magic = KEEPER_MAGIC, .version = KEEPER_VERSION, .op = KEEPER_GIVE};
	int r = 0;

	for (size_t i = 0; i < keeper->count && !r; i++) {
		memcpy(packet.name, keeper->kept[i].name, sizeof(packet.name));
		packet.number = i;
		r = proto_send_all(keeper->connection, &packet, sizeof(packet), keeper->kept[i].fd,
				   clock_deadline(GIVE_PATIENCE));
	}
	packet = (struct keeper_packet){.magic = KEEPER_MAGIC,
					.version = KEEPER_VERSION,
					.op = KEEPER_GIVEN,
					.number = keeper->count};
	return r ? r
		 : proto_send_all(keeper->connection, &packet, sizeof(packet), -1,
				  clock_deadline(GIVE_PATIENCE));
}

/* fd is taken. An op that this keeper does not know is a newer daemon's, and passed over. */
static int serve(struct keeper *keeper, struct keeper_packet *packet, int fd)
{
	struct kept *kept;

	packet->name[KEEPER_NAME_SIZE - 1] = '\0';
	if (packet->op == KEEPER_PUT)
		return put(keeper, packet->name, fd);
	fd_close(fd);
	switch (packet->op) {
	case KEEPER_REMOVE:
		kept = find(keeper, packet->name);
		if (kept)
			remove_one(keeper, kept);
		return 0;
	case KEEPER_TAKE:
		return give_all(keeper);
	case KEEPER_LEAVE:
		keeper->patience = packet->number > CLOCK_NEVER / NS_PER_S ? CLOCK_NEVER
									    : packet->number * NS_PER_S;
		return 0;
	default:
		return 0;
	}
}

static void hang_up(struct keeper *keeper)
{
	keeper->connection = fd_close(keeper->connection);
	keeper->end = keeper->heaps ? clock_deadline(keeper->patience) : 0;
}

static void on_packets(struct keeper *keeper)
{
	struct keeper_packet packet;
	size_t size;
	int fd = -1, r;

	for (;;) {
		r = proto_receive(keeper->connection, &packet, sizeof(packet), &fd, &size);
		if (r == -ERROR_BUSY)
			return;
		if (!r && (size != sizeof(packet) || packet.magic != KEEPER_MAGIC)) {
			fd_close(fd);
			r = -ERROR_PROTOCOL;
		}
		if (!r)
			r = serve(keeper, &packet, fd);
		fd = -1;
		if (r) {
			hang_up(keeper);
			return;
		}
	}
}

static void on_connection(struct keeper *keeper)
{
	int fd = accept4(keeper->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (fd < 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
	    (peer.uid != geteuid() && peer.uid != 0)) {
		fd_close(fd);
		return;
	}
	/* What the former daemon has sent before it died counts: it may have told its clients so. */
	if (keeper->connection >= 0)
		on_packets(keeper);
	fd_close(keeper->connection);
	keeper->connection = fd;
	keeper->patience = CLOCK_NEVER;
}

/* The socket is still where the next daemon will look for it. */
static bool can_be_reached(const struct keeper *keeper)
{
	struct stat st;

	return fstatat(keeper->directory, KEEPER_SOCKET_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_ino == keeper->socket;
}

static void drain_watch(const struct keeper *keeper)
{
	char events[4096];

	while (read(keeper->watch, events, sizeof(events)) > 0)
		continue;
}

static void wait_for_something(struct keeper *keeper)
{
	struct pollfd fds[] = {{.fd = keeper->listener, .events = POLLIN},
			       {.fd = keeper->watch, .events = POLLIN},
			       {.fd = keeper->connection, .events = POLLIN}};
	uint64_t end = keeper->connection >= 0 ? CLOCK_NEVER : keeper->end;
	struct timespec left = clock_timespec(clock_left(end));

	if (ppoll(fds, 3, end == CLOCK_NEVER ? NULL : &left, NULL) <= 0)
		return;
	if (fds[1].revents)
		drain_watch(keeper);
	if (fds[2].revents)
		on_packets(keeper);
	if (fds[0].revents)
		on_connection(keeper);
}

int keeper_run(ino_t socket)
{
	struct keeper keeper = {.listener = KEEPER_LISTENER_FD,
				.connection = KEEPER_CONNECTION_FD,
				.directory = KEEPER_DIRECTORY_FD,
				.watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK),
				.socket = socket,
				.patience = CLOCK_NEVER};
	char path[64];

	(void)prctl(PR_SET_NAME, "ems-keeper");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", keeper.directory);
	if (keeper.watch < 0 ||
	    inotify_add_watch(keeper.watch, path,
			      IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF) < 0)
		return 1;
	while (can_be_reached(&keeper) && !(keeper.connection < 0 && clock_passed(keeper.end)))
		wait_for_something(&keeper);
	if (can_be_reached(&keeper))
		(void)unlinkat(keeper.directory, KEEPER_SOCKET_NAME, 0);
	return 0;
}
