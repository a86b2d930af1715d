/* One conversation with the daemon: see link.h. */
#include "client/link.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "client/ems.h"
#include "client/failure.h"
#include "proto/socket.h"

void link_init(struct link *link)
{
	*link = (struct link){.socket = -1};
}

void link_close(struct link *link)
{
	if (link->socket < 0)
		return;
	link->socket = fd_close(link->socket);
	proto_reader_fini(&link->reader);
}

void link_close_inherited(struct link *link)
{
	struct stat st;

	if (link->socket >= 0 && fstat(link->socket, &st) == 0 && S_ISSOCK(st.st_mode) &&
	    st.st_ino == link->inode)
		(void)fd_close(link->socket);
	link->socket = -1;
}

/* What came does not keep to the protocol; there is no way to go on. */
static int broken(struct link *link, int r)
{
	link_close(link);
	if (r == -ERROR_PROTOCOL)
		return failure_say(r, "what answers on the socket does not speak emsd's protocol");
	if (r == -ERROR_LIMIT)
		return failure_say(r, "this process may have no more descriptors: the one that the daemon sent is lost");
	if (r == -ERROR_CONNECTION)
		return failure_say(r, "the daemon has closed the connection, or is gone");
	if (r == -ERROR_TIMEOUT)
		return failure_say(r, "the daemon does not answer");
	return failure_of(r);
}

/* 1: the reply to id, decoded; 0: something else, go on; negative: the daemon's or our error. *fatal: the link is of no more use. */
static int take_frame(const struct proto_message *message, uint64_t id, enum proto_op op, void *reply,
		      bool *fatal)
{
	int r;

	*fatal = false;
	if (message->kind == PROTO_KIND_ERROR && message->id == 0) /* about the connection as a whole */
		*fatal = true;
	else if (message->kind == PROTO_KIND_EVENT || message->id != id)
		return 0;
	if (message->kind == PROTO_KIND_ERROR)
		return failure_say(message->error.code, "%s", message->error.message);
	*fatal = true;
	if (message->kind != PROTO_KIND_REPLY)
		return -ERROR_PROTOCOL;
	r = reply ? proto_decode_reply(message, op, reply, NULL) : 0;
	*fatal = r < 0;
	return r < 0 ? r : 1;
}

static int wait_reply(struct link *link, uint64_t id, enum proto_op op, void *reply, uint64_t deadline)
{
	struct proto_message message;
	const void *data;
	bool fatal;
	size_t size;
	int r;

	for (;;) {
		r = proto_reader_wait(&link->reader, link->socket, deadline, &data, &size);
		if (r == -ERROR_TIMEOUT && (op == PROTO_PING || op == PROTO_DETACH))
			return failure_say(r, "the daemon has not answered in time");
		if (r < 0)
			return broken(link, r);
		r = proto_parse(data, size, &message);
		if (r < 0)
			return broken(link, r);
		r = take_frame(&message, id, op, reply, &fatal);
		if (r < 0 && fatal && message.kind != PROTO_KIND_ERROR)
			return broken(link, r);
		if (r < 0 && fatal)
			link_close(link);
		if (r != 0)
			return r < 0 ? r : 0;
	}
}

int link_call(struct link *link, enum proto_op op, const void *body, void *reply, int *_fd, uint64_t deadline)
{
	return link_call_with(link, op, body, -1, reply, _fd, deadline);
}

int link_call_with(struct link *link, enum proto_op op, const void *body, int enclosed, void *reply, int *_fd,
		   uint64_t deadline)
{
	_cleanup_(proto_buffer_fini) struct proto_buffer buffer = {0};
	_cleanup_(closep) int fd = -1;
	uint64_t id = ++link->last_id;
	int r;

	if (link->socket < 0)
		return failure_say(-ERROR_CONNECTION, "not connected to the daemon");
	r = proto_encode_request(&buffer, id, op, body);
	if (r < 0)
		return failure_of(r);
	r = proto_send_all(link->socket, buffer.data, buffer.size, enclosed, deadline);
	/* A daemon that turned us away has said why before it closed the connection: look for that. */
	if (r < 0 && r != -ERROR_CONNECTION)
		return broken(link, r);
	r = wait_reply(link, id, op, reply, deadline);
	if (r < 0)
		return r;
	fd = proto_reader_steal_fd(&link->reader);
	if (_fd && fd < 0)
		return broken(link, -ERROR_PROTOCOL);
	if (_fd)
		*_fd = steal_fd(&fd);
	return 0;
}

void link_post(struct link *link, enum proto_op op, const void *body)
{
	_cleanup_(proto_buffer_fini) struct proto_buffer buffer = {0};
	size_t done = 0;
	int r;

	if (link->socket < 0 || proto_encode_request(&buffer, 0, op, body) < 0)
		return;
	r = proto_send(link->socket, buffer.data, buffer.size, -1, &done);
	if (r == -ERROR_BUSY)
		return;
	/* Half a frame is sent, and a frame is tiny: the rest will find room, or the daemon is stuck. */
	if (r == 0 && done < buffer.size)
		r = proto_send_all(link->socket, buffer.data + done, buffer.size - done, -1,
				   clock_deadline(100 * NS_PER_MS));
	if (r < 0)
		link_close(link);
}

void link_drain(struct link *link)
{
	const void *data;
	size_t size;
	int r = 0;

	while (link->socket >= 0 && r == 0)
		r = proto_reader_next(&link->reader, link->socket, &data, &size);
	if (r < 0 && r != -ERROR_BUSY)
		link_close(link);
}

/*
 * A pidfd of our own, for a daemon that cannot get one by itself: of a kernel that has none for sockets, when it does not see our
 * process id. -1: it can, or there is none.
 */
static int own_pidfd(const struct link *link)
{
	_cleanup_(closep) int daemon = -1;

	if (proto_peer_pidfd(link->socket, &daemon) != -ERROR_UNSUPPORTED)
		return -1;
	return (int)syscall(SYS_pidfd_open, getpid(), 0);
}

static int hello(struct link *link, uint64_t deadline)
{
	struct proto_hello body = {
		.version_min = PROTO_VERSION_MIN,
		.version_max = PROTO_VERSION_MAX,
		.features = PROTO_FEATURE_HEAPS | PROTO_FEATURE_REGIONS | PROTO_FEATURE_TEAMS |
			    PROTO_FEATURE_PERSISTENT,
		.software = "libems",
		/* Who we were on the link before: our slots bear that number. */
		.client = link->daemon.client,
		.ticket = link->daemon.ticket,
	};
	_cleanup_(closep) int pidfd = own_pidfd(link);
	struct proto_hello_reply daemon;
	int r;

	if (pidfd >= 0)
		body.features |= PROTO_FEATURE_PIDFD;
	strncpy(body.software_version, ems_version(), sizeof(body.software_version) - 1);
	r = link_call_with(link, PROTO_HELLO, &body, pidfd, &daemon, NULL, deadline);
	if (r < 0)
		return r;
	link->daemon = daemon;
	if (link->daemon.version < PROTO_VERSION_MIN || link->daemon.version > PROTO_VERSION_MAX)
		return failure_say(
			-ERROR_VERSION,
			"the daemon chose protocol version %u, which this library (%s) does not speak",
			link->daemon.version, ems_version());
	if (link->daemon.client == 0 || !(link->daemon.features & PROTO_FEATURE_HEAPS))
		return broken(link, -ERROR_PROTOCOL);
	return 0;
}

int link_open(struct link *link, int socket_take, uint64_t deadline)
{
	struct stat st;
	int r;

	link_close(link);
	link->socket = socket_take;
	link->inode = fstat(socket_take, &st) == 0 ? st.st_ino : 0;
	link->epoch++;
	proto_reader_init(&link->reader, PROTO_FRAME_MAX);
	r = hello(link, deadline);
	if (r < 0)
		link_close(link);
	return r;
}
