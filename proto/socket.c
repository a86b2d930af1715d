/*
 * socket.c: sendmsg and recvmsg with at most one descriptor, strictly.
 *
 * MSG_CTRUNC means that the kernel had to drop descriptors or control data: what the message was about is
 * then unknown, so it is an error, never a guess. Room for a few descriptors more than the one allowed is
 * kept, so that a peer that sends several is told from a truncation, and all of them are closed.
 */
#include "proto/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/macros.h"

#ifndef SO_PEERPIDFD /* Linux 6.5 */
#define SO_PEERPIDFD 77
#endif

#define FDS_ROOM 8

/* Aligned as the kernel wants it: a plain char array need not be. */
union control {
	struct cmsghdr align;
	char room[CMSG_SPACE(FDS_ROOM * sizeof(int))];
};

static int socket_error(int number)
{
	if (number == EAGAIN || number == EWOULDBLOCK)
		return -ERROR_BUSY;
	if (number == EPIPE || number == ECONNRESET || number == ENOTCONN)
		return -ERROR_CONNECTION;
	/* Too many descriptors in flight: the receivers do not take theirs. */
	if (number == ETOOMANYREFS)
		return -ERROR_LIMIT;
	return error_from_errno(number);
}

int proto_send(int socket, const void *data, size_t size, int fd, size_t *_done)
{
	union control control = {0};
	struct iovec part = {.iov_base = (void *)data, .iov_len = size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	ssize_t done;

	if (size == 0) {
		*_done = 0;
		return 0;
	}
	if (fd >= 0) {
		struct cmsghdr *head = &control.align;

		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(head), &fd, sizeof(fd));
		message.msg_control = control.room;
		message.msg_controllen = CMSG_SPACE(sizeof(fd));
	}
	do
		done = sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (done < 0 && errno == EINTR);
	if (done < 0)
		return socket_error(errno);
	*_done = (size_t)done;
	return 0;
}

/* Takes the descriptors out of one control message: the first into *fd when that is -1, the others are
 * closed. */
static int take_fds(const struct cmsghdr *head, int *fd)
{
	size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	int r = 0;

	for (size_t i = 0; i < count; i++) {
		int received;

		memcpy(&received, CMSG_DATA(head) + i * sizeof(int), sizeof(received));
		if (*fd < 0) {
			*fd = received;
		} else {
			fd_close(received);
			r = -ERROR_PROTOCOL;
		}
	}
	return r;
}

/* There was no room for what came: in our array, or for descriptors in this process. */
static int why_truncated(int socket)
{
	int fd = fcntl(socket, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return -ERROR_LIMIT;
	fd_close(fd);
	return -ERROR_PROTOCOL;
}

static int take_control(int socket, struct msghdr *message, int *fd)
{
	int r = 0;

	/* All of it is looked at whatever is found: each descriptor in it is ours to close by now. */
	for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head; head = CMSG_NXTHDR(message, head)) {
		if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
			r = -ERROR_PROTOCOL;
		else if (take_fds(head, fd))
			r = -ERROR_PROTOCOL;
	}
	if (message->msg_flags & MSG_CTRUNC)
		r = why_truncated(socket);
	if (r)
		*fd = fd_close(*fd);
	return r;
}

int proto_receive(int socket, void *data, size_t size, int *fd, size_t *_done)
{
	union control control = {0};
	struct iovec part = {.iov_base = data, .iov_len = size};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control.room,
				 .msg_controllen = sizeof(control.room)};
	ssize_t done;
	int r;

	do
		done = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (done < 0 && errno == EINTR);
	if (done < 0)
		return socket_error(errno);
	r = take_control(socket, &message, fd);
	if (r)
		return r;
	if (done == 0)
		return -ERROR_CONNECTION;
	*_done = (size_t)done;
	return 0;
}

/* Waits for events on fd; fd -1 only passes the time until `most` ns are over. */
static int wait_for(int fd, short events, uint64_t deadline)
{
	struct pollfd item = {.fd = fd, .events = events};
	struct timespec left;
	int r;

	do {
		if (clock_passed(deadline))
			return -ERROR_TIMEOUT;
		left = clock_timespec(clock_left(deadline));
		r = ppoll(&item, 1, &left, NULL);
	} while (r == 0 || (r < 0 && errno == EINTR));
	return r < 0 ? error_from_errno(errno) : 0;
}

int proto_wait_readable(int socket, uint64_t deadline)
{
	return wait_for(socket, POLLIN, deadline);
}

int proto_send_all(int socket, const void *data, size_t size, int fd, uint64_t deadline)
{
	const uint8_t *at = data;
	size_t done;
	int r;

	while (size > 0) {
		r = proto_send(socket, at, size, fd, &done);
		if (r == -ERROR_BUSY)
			r = wait_for(socket, POLLOUT, deadline);
		else if (!r) {
			at += done;
			size -= done;
			fd = -1;
		}
		if (r)
			return r;
	}
	return 0;
}

/* A Unix socket's connect says EAGAIN while the listener's queue is full, and offers nothing to poll for. */
static int connect_patiently(int fd, const struct sockaddr_un *address, uint64_t deadline)
{
	while (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0) {
		if (errno == EINTR)
			continue;
		if (errno == ENOENT || errno == ECONNREFUSED || errno == ENOTSOCK || errno == ENOTDIR)
			return -ERROR_NO_DAEMON;
		if (errno != EAGAIN)
			return error_from_errno(errno);
		if (clock_passed(deadline))
			return -ERROR_TIMEOUT;
		(void)wait_for(-1, 0, MIN(deadline, clock_deadline(NS_PER_MS)));
	}
	return 0;
}

int proto_connect(const char *path, uint64_t deadline, int *_socket)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	_cleanup_(closep) int fd = -1;
	int r;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ERROR_NAME;
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_from_errno(errno);
	r = connect_patiently(fd, &address, deadline);
	if (r)
		return r;
	*_socket = steal_fd(&fd);
	return 0;
}

int proto_peer_pidfd(int socket, int *_fd)
{
	int fd = -1;
	socklen_t size = sizeof(fd);

	if (getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &fd, &size) < 0)
		return errno == ENOPROTOOPT ? -ERROR_UNSUPPORTED : error_from_errno(errno);
	*_fd = fd;
	return 0;
}
