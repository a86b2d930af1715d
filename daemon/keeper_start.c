/*
 * keeper_start.c: making a keeper, and finding one.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "daemon/keeper.h"

/* Through the directory's descriptor: a state directory's path may be longer than a socket's. */
static void set_address(struct sockaddr_un *address, int directory)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/" KEEPER_SOCKET_NAME,
		 directory);
}

static int make_listener(int directory, int *_fd, ino_t *_inode)
{
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;
	struct stat st;

	if (fd < 0)
		return error_from_errno(errno);
	/* A keeper that is still there, deaf or dead, sees that its socket is gone, and ends. */
	if (unlinkat(directory, KEEPER_SOCKET_NAME, 0) < 0 && errno != ENOENT)
		return error_from_errno(errno);
	set_address(&address, directory);
	/* Before the name is there: the mode that it is made with. */
	if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, 4) < 0 ||
	    fstatat(directory, KEEPER_SOCKET_NAME, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_from_errno(errno);
	*_inode = st.st_ino;
	*_fd = steal_fd(&fd);
	return 0;
}

/* First out of the way of the numbers that they, or others, are to have. */
static bool set_descriptors(int listener, int connection, int directory)
{
	int a = fcntl(listener, F_DUPFD, 16), b = fcntl(connection, F_DUPFD, 16);
	int c = fcntl(directory, F_DUPFD, 16), nothing = open("/dev/null", O_RDWR);

	if (a < 0 || b < 0 || c < 0 || nothing < 0)
		return false;
	return dup2(nothing, 0) >= 0 && dup2(nothing, 1) >= 0 && dup2(nothing, 2) >= 0 &&
	       dup2(a, KEEPER_LISTENER_FD) >= 0 && dup2(b, KEEPER_CONNECTION_FD) >= 0 &&
	       dup2(c, KEEPER_DIRECTORY_FD) >= 0 &&
	       syscall(SYS_close_range, KEEPER_DIRECTORY_FD + 1, UINT_MAX, 0) == 0;
}

/* In the new process, with its descriptors where they belong. The daemon has one thread, so everything is allowed here. */
static _Noreturn void become_keeper(ino_t inode)
{
	char number[32];
	sigset_t none;

	snprintf(number, sizeof(number), "%llu", (unsigned long long)inode);
	for (int i = 1; i < NSIG; i++)
		(void)signal(i, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	/* Anew, so that it has none of the daemon's memory. */
	if (chdir("/") == 0)
		(void)execl("/proc/self/exe", "emsd", "--keeper", number, (char *)NULL);
	_exit(127);
}

/* The child makes the grandchild and ends: the keeper is nobody's, and has a session of its own. */
static int fork_twice(int listener, int connection, int directory, ino_t inode)
{
	pid_t child = fork();
	int status = 0;

	if (child < 0)
		return error_from_errno(errno);
	if (child == 0) {
		pid_t keeper;

		/* First of all: the daemon may be killed right now, and its sockets should end with it. */
		if (!set_descriptors(listener, connection, directory))
			_exit(1);
		(void)setsid();
		keeper = fork();
		if (keeper == 0)
			become_keeper(inode);
		_exit(keeper < 0 ? 1 : 0);
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		continue;
	return status == 0 ? 0 : -ERROR_SYSTEM;
}

int keeper_start(int directory, int *_connection)
{
	_cleanup_(closep) int listener = -1, mine = -1, its = -1;
	int ends[2], r;
	ino_t inode = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return error_from_errno(errno);
	mine = ends[0];
	its = ends[1];
	r = make_listener(directory, &listener, &inode);
	if (!r)
		r = fork_twice(listener, its, directory, inode);
	if (!r)
		*_connection = steal_fd(&mine);
	return r;
}

int keeper_connect(int directory, int *_connection)
{
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (fd < 0)
		return error_from_errno(errno);
	set_address(&address, directory);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return errno == ENOENT || errno == ECONNREFUSED ? -ERROR_NOT_FOUND : error_from_errno(errno);
	/* The directory is this user's alone; who listens there says what memory is whose, so look twice. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
	    (peer.uid != geteuid() && peer.uid != 0))
		return -ERROR_ACCESS;
	if (fd_set_nonblocking(fd, true))
		return -ERROR_SYSTEM;
	*_connection = steal_fd(&fd);
	return 0;
}
