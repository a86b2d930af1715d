/* Connections: see connection.h. */
#include "client/connection.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/macros.h"
#include "client/autostart.h"
#include "client/failure.h"
#include "client/heap.h"
#include "client/mapping.h"
#include "client/process.h"
#include "client/region.h"
#include "client/session.h"
#include "client/wait.h"
#include "proto/socket.h"
#include "shm/atomic.h"

#define CONNECT_PATIENCE (10 * NS_PER_S)
#define LOOK_PATIENCE	 (50 * NS_PER_MS) /* of connection_look */
#define LOOK_PAUSE	 NS_PER_S

/* ---- references ---- */

struct ems_connection *connection_ref(struct ems_connection *connection)
{
	add32(&connection->references, 1);
	return connection;
}

static void connection_free(struct ems_connection *connection)
{
	link_close(&connection->link);
	(void)pthread_mutex_destroy(&connection->lock);
	free(connection);
}

void connection_unref(struct ems_connection *connection)
{
	if (sub32(&connection->references, 1) == 1)
		connection_free(connection);
}

/* ---- connecting ---- */

static int say_no_socket(const struct ems_connection *connection, int r)
{
	switch (r) {
	case -ERROR_NO_DAEMON:
		return failure_say(r, "no emsd listens on %s%s", connection->path,
				   connection->autostart ? "" : "; start it, or let EMS_SOCKET name another");
	case -ERROR_ACCESS:
		return failure_say(r, "permission denied to connect to %s", connection->path);
	case -ERROR_TIMEOUT:
		return failure_say(r, "emsd does not take connections on %s", connection->path);
	case -ERROR_NAME:
		return failure_say(r, "the socket's path is longer than %d bytes",
				   PROTO_SOCKET_PATH_SIZE - 1);
	default:
		return failure_say(r, "cannot connect to %s: %s", connection->path, error_text(r));
	}
}

static int connect_once(struct ems_connection *connection, uint64_t deadline)
{
	int socket, r;

	r = proto_connect(connection->path, deadline, &socket);
	if (r == -ERROR_NO_DAEMON && connection->autostart) {
		r = autostart_connect(connection->path, deadline, &socket);
		if (r < 0)
			return r; /* noted */
	}
	if (r < 0)
		return say_no_socket(connection, r);
	r = link_open(&connection->link, socket, deadline);
	if (r == 0)
		r = mapping_reattach_all(connection, deadline);
	if (r == 0)
		r = region_reattach_all(connection, deadline);
	if (r == 0)
		connection->outage = 0;
	return r;
}

/* An idle daemon may end between our connect and our hello. The next one is started then. */
static int connect_link(struct ems_connection *connection, uint64_t deadline)
{
	int tries = connection->autostart ? 3 : 1, r;

	do
		r = connect_once(connection, deadline);
	while (r == -ERROR_CONNECTION && --tries > 0);
	return r;
}

/* ---- connecting again ---- */

/* It may be another daemon's turn soon. */
static bool may_come_back(int r)
{
	return r == -ERROR_NO_DAEMON || r == -ERROR_CONNECTION || r == -ERROR_TIMEOUT;
}

/* From 1 ms on, doubling up to 128 ms, and a little more or less, so that many clients do not come at once. */
static void pause_before(unsigned attempt, uint64_t deadline)
{
	uint64_t pause = NS_PER_MS << (attempt < 7 ? attempt : 7), now = clock_now();
	struct timespec time;

	pause += now / 64 % pause / 2;
	pause = MIN(pause, clock_left(deadline));
	time = clock_timespec(pause);
	(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
}

/* The lock is held, the link is lost. Failures are noted: the last attempt's. */
static int connect_again(struct ems_connection *connection, uint64_t deadline)
{
	uint64_t end;
	int r;

	if (connection->outage == 0)
		connection->outage = clock_deadline(CONNECTION_OUTAGE);
	end = MIN(deadline, connection->outage);
	for (unsigned attempt = 0;; attempt++) {
		r = connect_link(connection, MIN(deadline, clock_deadline(CONNECT_PATIENCE)));
		if (!may_come_back(r) || clock_passed(end))
			return r;
		pause_before(attempt, end);
	}
}

void connection_look(struct ems_connection *connection)
{
	struct link *link = &connection->link;
	int socket;

	if (process_is_another(connection->process) || !connection_trylock(connection))
		return;
	link_drain(link);
	if (link->socket < 0 && !connection->closed && clock_passed(connection->next_look)) {
		uint64_t deadline = clock_deadline(LOOK_PATIENCE);

		connection->next_look = clock_deadline(LOOK_PAUSE);
		if (connection->outage == 0)
			connection->outage = clock_deadline(CONNECTION_OUTAGE);
		if (proto_connect(connection->path, deadline, &socket) == 0 &&
		    link_open(link, socket, deadline) == 0 && mapping_reattach_all(connection, deadline) == 0 &&
		    region_reattach_all(connection, deadline) == 0)
			connection->outage = 0;
	}
	connection_unlock(connection);
}

static int choose_path(struct ems_connection *connection, const char *path)
{
	int autostart = 0, r;

	if (path) {
		if (strlen(path) >= sizeof(connection->path))
			return say_no_socket(connection, -ERROR_NAME);
		strcpy(connection->path, path);
		return 0;
	}
	r = proto_client_socket_path(connection->path, sizeof(connection->path), &autostart);
	if (r < 0)
		return say_no_socket(connection, r);
	connection->autostart = autostart != 0;
	return 0;
}

int ems_connect(ems_connection_t **_connection, const char *socket)
{
	struct ems_connection *connection;
	int r, state;

	if (!_connection)
		return failure_say(-ERROR_INVALID, "ems_connect: no place for the connection");
	connection = calloc(1, sizeof(*connection));
	if (!connection)
		return failure_of(-ERROR_NO_MEMORY);
	connection->references = 1;
	link_init(&connection->link);
	(void)pthread_mutex_init(&connection->lock, NULL);
	connection->process = process_number();
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	r = connection->process ? choose_path(connection, socket) : failure_of(-ERROR_NO_MEMORY);
	if (r == 0)
		r = connect_link(connection, clock_deadline(CONNECT_PATIENCE));
	(void)pthread_setcancelstate(state, NULL);
	if (r < 0) {
		connection_unref(connection);
		return r;
	}
	memcpy(connection->daemon_version, connection->link.daemon.software_version,
	       sizeof(connection->daemon_version));
	*_connection = connection;
	return 0;
}

/* ---- using ---- */

int connection_check(const struct ems_connection *connection)
{
	if (!connection)
		return failure_say(-ERROR_INVALID, "no connection is given");
	if (process_is_another(connection->process))
		return failure_say(-ERROR_FORKED,
				   "the connection belongs to the parent process; connect anew");
	return 0;
}

void connection_take(struct ems_connection *connection)
{
	int state;

	/* A thread cancelled in poll(2) would leave the lock taken. */
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	(void)pthread_mutex_lock(&connection->lock);
	connection->cancel_state = state;
}

bool connection_trylock(struct ems_connection *connection)
{
	int state;

	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	if (pthread_mutex_trylock(&connection->lock) != 0) {
		(void)pthread_setcancelstate(state, NULL);
		return false;
	}
	connection->cancel_state = state;
	return true;
}

void connection_unlock(struct ems_connection *connection)
{
	int state = connection->cancel_state;

	(void)pthread_mutex_unlock(&connection->lock);
	(void)pthread_setcancelstate(state, NULL);
}

static int lock_until(struct ems_connection *connection, bool connected, uint64_t deadline)
{
	int r = connection_check(connection);

	if (r < 0)
		return r;
	connection_take(connection);
	if (!connected)
		return 0;
	link_drain(&connection->link); /* sees also whether the daemon has gone meanwhile */
	if (connection->closed)
		r = failure_say(-ERROR_CONNECTION, "the connection is closed");
	else if (connection->link.socket < 0)
		r = connect_again(connection, deadline);
	if (r < 0)
		connection_unlock(connection);
	return r;
}

int connection_lock(struct ems_connection *connection, bool connected)
{
	return lock_until(connection, connected, clock_deadline(CONNECTION_PATIENCE));
}

/* ---- requests ---- */

/* One that was sent, and whose answer the lost link has taken along. 1: to be sent again. */
static int after_loss(struct ems_connection *connection, enum proto_op op, uint64_t deadline)
{
	int r;

	if (clock_passed(deadline))
		return -ERROR_CONNECTION;
	r = connect_again(connection, deadline);
	if (r < 0)
		return r;
	return op == PROTO_DETACH ? 0 : 1; /* of the former link's attachments none is left */
}

int connection_request(struct ems_connection *connection, enum proto_op op, const void *body, void *reply,
		       int *_fd, uint64_t deadline)
{
	bool again = false;
	int r;

	for (;;) {
		r = link_call(&connection->link, op, body, reply, _fd, deadline);
		/* Done before its answer was lost: what it was asked of is not there any more. */
		if (again && (op == PROTO_DROP || op == PROTO_RENAME) &&
		    (r == -ERROR_NOT_FOUND || r == -ERROR_DROPPED))
			return 0;
		if (r != -ERROR_CONNECTION || connection->link.socket >= 0)
			return r;
		r = after_loss(connection, op, deadline);
		if (r <= 0)
			return r;
		again = true;
	}
}

int connection_request_for(struct ems_connection *connection, struct mapping *mapping, enum proto_op op,
			   const void *body, uint32_t *heap, void *reply)
{
	uint64_t deadline = clock_deadline(CONNECTION_PATIENCE);
	int r;

	for (;;) {
		if (mapping->attachment == 0 || mapping->epoch != connection->link.epoch) {
			r = mapping->lost ? mapping->lost : -ERROR_CONNECTION;
			return r == -ERROR_DROPPED ? failure_say(r, "the heap was dropped while the daemon was away")
						   : failure_of(r);
		}
		*heap = mapping->attachment;
		r = link_call(&connection->link, op, body, reply, NULL, deadline);
		if (r != -ERROR_CONNECTION || connection->link.socket >= 0)
			return r;
		r = after_loss(connection, op, deadline);
		if (r <= 0)
			return r;
	}
}

int connection_call(struct ems_connection *connection, enum proto_op op, const void *body, void *reply,
		    uint64_t deadline)
{
	int r = lock_until(connection, true, deadline);

	if (r < 0)
		return r;
	r = connection_request(connection, op, body, reply, NULL, deadline);
	connection_unlock(connection);
	return r;
}

int ems_ping(ems_connection_t *connection, ems_deadline_t deadline)
{
	return connection_call(connection, PROTO_PING, &(struct proto_empty){0}, NULL, deadline);
}

const char *ems_daemon_version(ems_connection_t *connection)
{
	return connection_check(connection) < 0 ? NULL : connection->daemon_version;
}

ems_deadline_t ems_deadline_in(uint64_t nanoseconds)
{
	return clock_deadline(nanoseconds);
}

/* ---- the end ---- */

void ems_disconnect(ems_connection_t *connection)
{
	if (!connection)
		return;
	while (connection->heaps)
		ems_heap_close(connection->heaps);
	while (connection->regions)
		ems_region_close(connection->regions);
	loop_free(connection);
	if (process_is_another(connection->process)) {
		link_close_inherited(&connection->link); /* the lock may be a thread's that is not here */
	} else {
		connection_take(connection);
		connection->closed = true;
		link_close(&connection->link);
		connection_unlock(connection);
	}
	connection_unref(connection);
}
