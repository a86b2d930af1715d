/*
 * process.c: see process.h.
 */
#include "daemon/process.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "daemon/client.h"
#include "daemon/credentials.h"

void process_table_init(struct broker *broker)
{
	for (size_t i = 0; i < PROCESS_BUCKETS; i++)
		list_init(&broker->processes[i]);
}

static struct list *bucket(struct broker *broker, pid_t pid)
{
	return &broker->processes[(unsigned)pid % PROCESS_BUCKETS];
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

/* The handle before the descriptor, as for clients (client.c). */
static void process_free(struct process *process)
{
	list_remove(&process->node);
	uv_close((uv_handle_t *)&process->poll, on_closed);
	process->pidfd = fd_close(process->pidfd);
}

/* From here on the number may be another process's. The process is freed with its last client, from the loop: not below. */
static void on_end(uv_poll_t *poll, int status, int events)
{
	struct process *process = poll->data;

	(void)status;
	(void)events;
	(void)uv_poll_stop(poll);
	list_remove(&process->node);
	list_each(struct client, client, &process->clients, process_node) client_process_died(client);
}

static bool is_alive(const struct process *process)
{
	struct pollfd look = {.fd = process->pidfd, .events = POLLIN};

	return poll(&look, 1, 0) == 0;
}

/*
 * Are both of one process? Where pidfds have a file system of their own (Linux 6.9) the inode says so. Elsewhere all have the same, and
 * the number decides, which is right as well: a process that lives now has had its number since its pidfd was opened, so
 * nobody else can have connected with that number since.
 */
static bool is_same(const struct process *process, int pidfd)
{
	struct stat ours, other;

	return is_alive(process) && fstat(process->pidfd, &ours) == 0 && fstat(pidfd, &other) == 0 &&
	       ours.st_dev == other.st_dev && ours.st_ino == other.st_ino;
}

static struct process *process_new_take(struct broker *broker, pid_t pid, int pidfd)
{
	struct process *process = calloc(1, sizeof(*process));

	if (!process || uv_poll_init(&broker->loop, &process->poll, pidfd)) {
		free(process);
		fd_close(pidfd);
		return NULL;
	}
	process->pid = pid;
	process->pidfd = pidfd;
	process->poll.data = process;
	list_init(&process->node);
	list_init(&process->clients);
	(void)uv_poll_start(&process->poll, UV_READABLE, on_end);
	return process;
}

static void join(struct client *client, struct process *process)
{
	client->process = process;
	list_add(&process->clients, &client->process_node);
}

int process_watch(struct client *client)
{
	struct list *others = bucket(client->broker, client->peer.pid);
	_cleanup_(closep) int pidfd = -1;
	struct process *process;
	int r = credentials_open_pidfd(client->fd, client->peer.pid, &pidfd);

	if (r < 0)
		return r;
	/* 0: of a namespace beside ours, where many have that number. */
	if (client->peer.pid > 0) {
		list_each(struct process, other, others, node)
		{
			if (other->pid == client->peer.pid && is_same(other, pidfd)) {
				join(client, other);
				return 0;
			}
		}
	}
	process = process_new_take(client->broker, client->peer.pid, steal_fd(&pidfd));
	if (!process)
		return -ERROR_NO_MEMORY;
	if (process->pid > 0)
		list_add(others, &process->node);
	join(client, process);
	return 0;
}

int process_watch_take(struct client *client, int fd)
{
	struct process *process = process_new_take(client->broker, 0, fd);

	if (!process)
		return -ERROR_NO_MEMORY;
	join(client, process);
	return 0;
}

void process_leave(struct client *client)
{
	struct process *process = client->process;

	if (!process)
		return;
	client->process = NULL;
	list_remove(&client->process_node);
	if (list_is_empty(&process->clients))
		process_free(process);
}
