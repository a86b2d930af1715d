/* An emsd that is killed and started again: see manager.h. */
#include "tests/integration/manager.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define READY_MS 60000 /* sanitizers and a busy machine */

static _Noreturn void die(const struct manager *manager, const char *what)
{
	char path[96], text[4096];
	FILE *log;
	size_t n;

	printf("manager: %s: %s\n", what, strerror(errno));
	snprintf(path, sizeof(path), "%s/emsd.log", manager->directory);
	log = fopen(path, "re");
	if (log && fseek(log, -(long)sizeof(text), SEEK_END) < 0)
		rewind(log);
	n = log ? fread(text, 1, sizeof(text), log) : 0;
	printf("---- end of emsd's log\n%.*s----\n", (int)n, text);
	fflush(stdout);
	exit(1);
}

/* ---- cleaning up ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *place)
{
	(void)st;
	(void)type;
	(void)place;
	return remove(path);
}

/* emsd ends with the test that is its parent, and a keeper when its directory goes. */
static _Noreturn void guard(const struct manager *manager, int end)
{
	char byte;

	(void)setsid();
	while (read(end, &byte, 1) < 0 && errno == EINTR)
		continue;
	for (int i = 0; i < 100 && nftw(manager->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0; i++)
		(void)poll(NULL, 0, 10); /* somebody still makes files there */
	_exit(0);
}

static void start_guardian(struct manager *manager)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		die(manager, "pipe");
	fflush(stdout);
	manager->guardian = fork();
	if (manager->guardian == 0) {
		close(ends[1]);
		guard(manager, ends[0]);
	}
	close(ends[0]);
	manager->guard = ends[1];
}

/* ---- the service manager ---- */

static void unstore(struct manager *manager, const char *name)
{
	for (size_t i = 0; i < manager->stored_count; i++) {
		if (strcmp(manager->stored[i].name, name) != 0)
			continue;
		close(manager->stored[i].fd);
		manager->stored[i--] = manager->stored[--manager->stored_count];
	}
}

static void store(struct manager *manager, const char *name, int fd)
{
	struct manager_stored *stored = &manager->stored[manager->stored_count];

	if (fd < 0 || manager->stored_count == MANAGER_STORE_MOST || strlen(name) >= sizeof(stored->name))
		die(manager, "a descriptor to be stored");
	strcpy(stored->name, name);
	stored->fd = fd;
	manager->stored_count++;
}

/* One note, with its lock held. fd: what came with it, or -1. */
static void take_note(struct manager *manager, char *note, int fd)
{
	const char *name = "";
	bool adding = false, removing = false;
	char *rest = note;

	for (char *line; (line = strsep(&rest, "\n"));) {
		if (strcmp(line, "READY=1") == 0)
			manager->ready = true;
		else if (strcmp(line, "WATCHDOG=1") == 0)
			manager->alive++;
		else if (strcmp(line, "X-BARRIER=1") == 0)
			manager->barriers++;
		else if (strcmp(line, "FDSTORE=1") == 0)
			adding = true;
		else if (strcmp(line, "FDSTOREREMOVE=1") == 0)
			removing = true;
		else if (strncmp(line, "FDNAME=", 7) == 0)
			name = line + 7;
	}
	if (removing)
		unstore(manager, name);
	if (adding)
		store(manager, name, fd);
	else if (fd >= 0)
		close(fd);
	pthread_cond_broadcast(&manager->changed);
}

static void *take_notes(void *arg)
{
	struct manager *manager = arg;

	for (;;) {
		char note[4096];
		union {
			struct cmsghdr align;
			char room[CMSG_SPACE(sizeof(int))];
		} control;
		struct iovec part = {.iov_base = note, .iov_len = sizeof(note) - 1};
		struct msghdr message = {.msg_iov = &part,
					 .msg_iovlen = 1,
					 .msg_control = &control,
					 .msg_controllen = sizeof(control)};
		ssize_t size = recvmsg(manager->notes, &message, MSG_CMSG_CLOEXEC);
		struct cmsghdr *head;
		int fd = -1;

		if (size < 0 && errno == EINTR)
			continue;
		if (size <= 0)
			return NULL;
		note[size] = '\0';
		head = CMSG_FIRSTHDR(&message);
		if (head && head->cmsg_type == SCM_RIGHTS)
			memcpy(&fd, CMSG_DATA(head), sizeof(fd));
		if (strcmp(note, "X-END=1") == 0)
			return NULL;
		pthread_mutex_lock(&manager->lock);
		take_note(manager, note, fd);
		pthread_mutex_unlock(&manager->lock);
	}
}

static void set_address(struct sockaddr_un *address, const char *directory, const char *name)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(address->sun_path, sizeof(address->sun_path), "%s/%s", directory, name);
}

static void note_to_self(const struct manager *manager, const char *text)
{
	struct sockaddr_un address;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	set_address(&address, manager->directory, "notify");
	if (sendto(fd, text, strlen(text), 0, (struct sockaddr *)&address, sizeof(address)) < 0)
		die(manager, "a note to the manager");
	close(fd);
}

/* Everything that a daemon has sent before it ended is taken. */
static void settle_notes(struct manager *manager)
{
	unsigned before;

	if (manager->mode != MANAGER_STORE)
		return;
	pthread_mutex_lock(&manager->lock);
	before = manager->barriers;
	pthread_mutex_unlock(&manager->lock);
	note_to_self(manager, "X-BARRIER=1");
	pthread_mutex_lock(&manager->lock);
	while (manager->barriers == before)
		pthread_cond_wait(&manager->changed, &manager->lock);
	pthread_mutex_unlock(&manager->lock);
}

static void open_store(struct manager *manager)
{
	struct sockaddr_un address;

	manager->stored = calloc(MANAGER_STORE_MOST, sizeof(*manager->stored));
	pthread_mutex_init(&manager->lock, NULL);
	pthread_cond_init(&manager->changed, NULL);
	manager->notes = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	set_address(&address, manager->directory, "notify");
	if (bind(manager->notes, (struct sockaddr *)&address, sizeof(address)) < 0)
		die(manager, "the socket for notes");
	manager->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	set_address(&address, manager->directory, "emsd.sock");
	if (bind(manager->listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(manager->listener, 512) < 0)
		die(manager, "the listening socket");
	if (pthread_create(&manager->thread, NULL, take_notes, manager) != 0)
		die(manager, "a thread");
}

/* ---- systemd ---- */

static void ask_systemd(const struct manager *manager, const char *command)
{
	fflush(stdout);
	if (system(command) != 0)
		die(manager, command);
}

/* Once it is ready; 0 before. */
static pid_t main_pid(const struct manager *manager)
{
	FILE *pipe = popen("systemctl show --property=MainPID,SubState emsd.service", "re");
	bool running = false;
	char line[64];
	int pid = 0;

	if (!pipe)
		die(manager, "systemctl");
	while (fgets(line, sizeof(line), pipe)) {
		running |= strcmp(line, "SubState=running\n") == 0;
		if (strncmp(line, "MainPID=", 8) == 0)
			pid = atoi(line + 8);
	}
	pclose(pipe);
	return running ? (pid_t)pid : 0;
}

/* It restarts what was killed by itself; what ends in order it restarts when told. */
static int kill_service(struct manager *manager, int signal)
{
	struct pollfd end = {.fd = (int)syscall(SYS_pidfd_open, manager->pid, 0), .events = POLLIN};

	if (signal == SIGTERM) {
		ask_systemd(manager, "systemctl restart emsd.service");
	} else if (end.fd < 0 || kill(manager->pid, signal) < 0 || poll(&end, 1, READY_MS) != 1) {
		die(manager, "a service that is to be killed");
	}
	close(end.fd);
	return 0;
}

static void await_service(struct manager *manager)
{
	uint64_t patience = clock_deadline(READY_MS * NS_PER_MS);
	pid_t pid;

	while ((pid = main_pid(manager)) == 0 || pid == manager->pid) {
		if (clock_passed(patience))
			die(manager, "systemd does not restart the service");
		(void)poll(NULL, 0, 5);
	}
	manager->pid = pid;
}

static int stop_service(const struct manager *manager)
{
	ask_systemd(manager, "systemctl stop emsd.service emsd.socket");
	return system("test $(systemctl show --value --property=Result emsd.service) = success");
}

/* ---- starting ---- */

/* In the child: socket and stored descriptors at 3 and up, with their names. */
static void pass_descriptors(const struct manager *manager, int *ready)
{
	size_t count = manager->stored_count + 1;
	char *names = malloc(count * 80), number[32];
	int *moved = calloc(count, sizeof(*moved));

	strcpy(names, "emsd.socket");
	moved[0] = fcntl(manager->listener, F_DUPFD, (int)count + 16);
	for (size_t i = 1; i < count; i++) {
		strcat(strcat(names, ":"), manager->stored[i - 1].name);
		moved[i] = fcntl(manager->stored[i - 1].fd, F_DUPFD, (int)count + 16);
	}
	*ready = fcntl(*ready, F_DUPFD, (int)count + 16);
	for (size_t i = 0; i < count; i++) {
		if (moved[i] < 0 || dup2(moved[i], 3 + (int)i) < 0)
			_exit(126);
		close(moved[i]);
	}
	snprintf(number, sizeof(number), "%zu", count);
	setenv("LISTEN_FDS", number, 1);
	setenv("LISTEN_FDNAMES", names, 1);
	snprintf(number, sizeof(number), "%d", (int)getpid());
	setenv("LISTEN_PID", number, 1);
	snprintf(names, 80, "%s/notify", manager->directory);
	setenv("NOTIFY_SOCKET", names, 1);
	snprintf(number, sizeof(number), "%d", MANAGER_STORE_MOST);
	setenv("FDSTORE", manager->room ? manager->room : number, 1);
}

static _Noreturn void become_daemon(const struct manager *manager, int ready)
{
	const char *build = getenv("EMS_BUILD_DIR");
	char program[4096], log[96], fd[16];
	const char *arguments[24] = {"emsd", "--state-dir", manager->state, "--ready-fd", fd};
	int out, n = 5;

	snprintf(program, sizeof(program), "%s/emsd", build ? build : ".");
	snprintf(log, sizeof(log), "%s/emsd.log", manager->directory);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (out < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(126);
	if (manager->mode == MANAGER_STORE) {
		pass_descriptors(manager, &ready);
	} else {
		arguments[n++] = "--socket";
		arguments[n++] = manager->socket;
		(void)fcntl(ready, F_SETFD, 0);
	}
	for (int i = 0; i < 8 && manager->options[i]; i++)
		arguments[n++] = manager->options[i];
	snprintf(fd, sizeof(fd), "%d", ready);
	execv(manager->program ? manager->program : program, (char *const *)arguments);
	_exit(127);
}

void manager_start(struct manager *manager)
{
	struct pollfd item = {.events = POLLIN};
	int ends[2];
	char byte;

	if (manager->mode == MANAGER_SYSTEMD) {
		await_service(manager);
		return;
	}
	settle_notes(manager);
	if (pipe2(ends, O_CLOEXEC) < 0)
		die(manager, "pipe");
	fflush(stdout);
	manager->pid = fork();
	if (manager->pid < 0)
		die(manager, "fork");
	if (manager->pid == 0)
		become_daemon(manager, ends[1]);
	close(ends[1]);
	item.fd = ends[0];
	errno = 0;
	if (poll(&item, 1, READY_MS) != 1 || read(ends[0], &byte, 1) != 1)
		die(manager, "emsd does not start");
	close(ends[0]);
}

void manager_open(struct manager *manager, enum manager_mode mode)
{
	if (mode == MANAGER_SYSTEMD) {
		*manager = (struct manager){.mode = mode, .socket = "/run/ems/emsd.sock"};
		ask_systemd(manager, "systemctl start emsd.service");
		await_service(manager);
		return;
	}
	*manager = (struct manager){.mode = mode, .directory = "/tmp/ems-test.XXXXXX", .listener = -1, .notes = -1};
	if (!mkdtemp(manager->directory))
		die(manager, "mkdtemp");
	snprintf(manager->socket, sizeof(manager->socket), "%s/emsd.sock", manager->directory);
	snprintf(manager->state, sizeof(manager->state), "%s/state", manager->directory);
	start_guardian(manager);
	if (mode == MANAGER_STORE)
		open_store(manager);
	manager_start(manager);
}

/* ---- ending ---- */

int manager_kill(struct manager *manager, int signal)
{
	int status = 0;

	if (manager->pid <= 0)
		return 0;
	if (manager->mode == MANAGER_SYSTEMD)
		return kill_service(manager, signal);
	kill(manager->pid, signal);
	while (waitpid(manager->pid, &status, 0) < 0 && errno == EINTR)
		continue;
	manager->pid = 0;
	return status;
}

/* Whoever has the state directory open, and is a keeper. */
pid_t manager_keeper(const struct manager *manager)
{
	DIR *directory = opendir("/proc");
	struct dirent *entry;
	pid_t found = 0;

	while (directory && !found && (entry = readdir(directory))) {
		char path[128], target[256];
		ssize_t size;

		snprintf(path, sizeof(path), "/proc/%.20s/fd/5", entry->d_name);
		size = readlink(path, target, sizeof(target) - 1);
		if (size <= 0)
			continue;
		target[size] = '\0';
		snprintf(path, sizeof(path), "/proc/%.20s/comm", entry->d_name);
		if (strcmp(target, manager->state) == 0) {
			FILE *file = fopen(path, "re");

			if (file && fgets(target, sizeof(target), file) && strcmp(target, "ems-keeper\n") == 0)
				found = (pid_t)atoi(entry->d_name);
			if (file)
				fclose(file);
		}
	}
	closedir(directory);
	return found;
}

int manager_close(struct manager *manager)
{
	int status;

	if (manager->mode == MANAGER_SYSTEMD)
		return stop_service(manager);
	status = manager_kill(manager, SIGTERM);
	if (manager->mode == MANAGER_STORE) {
		settle_notes(manager);
		note_to_self(manager, "X-END=1");
		pthread_join(manager->thread, NULL);
		for (size_t i = 0; i < manager->stored_count; i++)
			close(manager->stored[i].fd);
		free(manager->stored);
		close(manager->notes);
		close(manager->listener);
	}
	close(manager->guard);
	while (waitpid(manager->guardian, NULL, 0) < 0 && errno == EINTR)
		continue;
	return status;
}
