/*
 * credentials.c: SO_PEERCRED, SO_PEERGROUPS, pidfds.
 */
#include "daemon/credentials.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "proto/socket.h"

static int groups_of_peer(int socket, struct credentials *credentials)
{
	_cleanup_(freep) gid_t *groups = NULL;
	socklen_t size = 0;

	/* Asked with no room it says how much it takes. */
	if (getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) == 0 || (errno == ERANGE && size == 0))
		return 0;
	if (errno != ERANGE)
		return error_from_errno(errno);
	groups = malloc(size);
	if (!groups)
		return -ERROR_NO_MEMORY;
	if (getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
		return error_from_errno(errno);
	credentials->group_count = size / sizeof(gid_t);
	credentials->groups = steal_pointer(&groups);
	return 0;
}

int credentials_of_peer(int socket, struct credentials *credentials)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	*credentials = (struct credentials){0};
	if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return error_from_errno(errno);
	credentials->uid = peer.uid;
	credentials->gid = peer.gid;
	credentials->pid = peer.pid;
	return groups_of_peer(socket, credentials);
}

/*
 * The number may by now be that of another process. As long as the peer has not hung up, it, or a child that
 * shares its socket, lives; and if it had died before pidfd_open, the number would have to be reused within
 * the connection's first moments for the two looks to agree. Newer kernels need no such reasoning.
 */
static int open_by_number(int socket, pid_t pid, int *_fd)
{
	_cleanup_(closep) int fd = -1;
	struct pollfd looks[2] = {{.fd = socket}, {.events = POLLIN}};

	if (pid <= 0)
		return -ERROR_NOT_FOUND;
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		return -ERROR_NOT_FOUND;
	looks[1].fd = fd;
	if (poll(looks, 2, 0) < 0)
		return error_from_errno(errno);
	if (looks[0].revents & (POLLHUP | POLLERR) || looks[1].revents)
		return -ERROR_NOT_FOUND;
	*_fd = steal_fd(&fd);
	return 0;
}

int credentials_open_pidfd(int socket, pid_t pid, int *_fd)
{
	return proto_peer_pidfd(socket, _fd) == 0 ? 0 : open_by_number(socket, pid, _fd);
}

/* The signal 0 asks whether there is such a process. EINVAL: in a namespace beside ours, which is the case that this is for. */
bool credentials_is_pidfd(int fd)
{
	return syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) == 0 || errno == EPERM || errno == EINVAL;
}
