/*
 * broker.c: the loop, the listener, the end.
 */
#include "daemon/broker.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "daemon/catalogue.h"
#include "daemon/client.h"
#include "daemon/disk.h"
#include "daemon/heap.h"
#include "daemon/process.h"
#include "daemon/recovery.h"
#include "daemon/registry.h"
#include "daemon/reload.h"
#include "daemon/service.h"
#include "daemon/store.h"
#include "daemon/sweep.h"
#include "daemon/user.h"

/* Connections taken before those that are there have their turn. */
#define ACCEPTS_PER_TURN 64

#define ACCEPT_PAUSE_MS 100

void broker_tell_status(const struct broker *broker)
{
	char status[128];

	if (broker->stopping)
		return;
	snprintf(status, sizeof(status), "%" PRIu32 " clients, %" PRIu32 " heaps, %" PRIu64 " MiB committed",
		 broker->client_count, broker->heap_count, broker->budget.used >> 20);
	service_status(status);
}

static void on_connection(uv_poll_t *poll, int status, int events);

static void on_accept_pause_over(uv_timer_t *timer)
{
	struct broker *broker = timer->data;

	(void)uv_poll_start(&broker->listener_poll, UV_READABLE, on_connection);
}

/* The listener would stay readable, and the loop turn for nothing: better to come back. */
static void pause_accepting(struct broker *broker, int r)
{
	log_error("no connection can be taken for now", LOG_CODE("why", r),
		  LOG_UINT("clients", broker->client_count));
	(void)uv_poll_stop(&broker->listener_poll);
	(void)uv_timer_start(&broker->accept_timer, on_accept_pause_over, ACCEPT_PAUSE_MS, 0);
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
	struct broker *broker = poll->data;

	(void)status;
	(void)events;
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int fd = accept4(broker->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), r;

		if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0) {
			pause_accepting(broker, error_from_errno(errno));
			return;
		}
		r = client_new_take(broker, fd);
		if (r)
			log_warning("connection refused", LOG_CODE("why", r),
				    LOG_UINT("clients", broker->client_count));
	}
}

static void on_signal(uv_signal_t *handle, int number)
{
	broker_stop(handle->data, strsignal(number));
}

static void on_hangup(uv_signal_t *handle, int number)
{
	(void)number;
	reload(handle->data);
}

static void on_watchdog(uv_timer_t *timer)
{
	(void)timer;
	service_alive();
}

void broker_watch(struct broker *broker)
{
	uint64_t interval = service_watchdog() / NS_PER_MS;

	/* Three times in an interval: a machine under load is late, too. A loop that is stuck says nothing. */
	if (interval)
		(void)uv_timer_start(&broker->watchdog, on_watchdog, 0, interval / 3 + 1);
}

static void init_state(struct broker *broker, struct config *config, bool user_daemon, int listener,
		       bool activated)
{
	uint32_t random = 0;

	memset(broker, 0, sizeof(*broker));
	broker->config = *config;
	*config = (struct config){0};
	broker->user_daemon = user_daemon;
	broker->listener = listener;
	broker->activated = activated;
	broker->started = broker->idle_since = clock_now();
	broker->sweep_at = CLOCK_NEVER;
	broker->budget.limit = broker->config.total_bytes;
	process_table_init(broker);
	list_init(&broker->clients);
	list_init(&broker->heaps);
	list_init(&broker->users);
	list_init(&broker->pending);
	list_init(&broker->condemned);
	/* A number is never met again, not even in a segment that outlives this daemon. */
	(void)getrandom(&random, sizeof(random), GRND_NONBLOCK);
	broker->next_client = (uint64_t)(random >> 1) << 32 | 1;
}

static int init_handles(struct broker *broker)
{
	uv_loop_t *loop = &broker->loop;

	if (uv_poll_init(loop, &broker->listener_poll, broker->listener) ||
	    uv_timer_init(loop, &broker->accept_timer) || uv_timer_init(loop, &broker->recovery_timer) ||
	    uv_timer_init(loop, &broker->sweep_timer) || uv_idle_init(loop, &broker->reaper) ||
	    uv_signal_init(loop, &broker->sigterm) || uv_signal_init(loop, &broker->sigint) ||
	    uv_signal_init(loop, &broker->sighup) || uv_timer_init(loop, &broker->watchdog))
		return -ERROR_SYSTEM;
	broker->listener_poll.data = broker->accept_timer.data = broker->recovery_timer.data =
		broker->sweep_timer.data = broker->reaper.data = broker->sigterm.data = broker->sigint.data =
			broker->sighup.data = broker->watchdog.data = broker;
	if (uv_signal_start(&broker->sigterm, on_signal, SIGTERM) ||
	    uv_signal_start(&broker->sigint, on_signal, SIGINT) ||
	    uv_signal_start(&broker->sighup, on_hangup, SIGHUP) ||
	    uv_poll_start(&broker->listener_poll, UV_READABLE, on_connection))
		return -ERROR_SYSTEM;
	return 0;
}

int broker_init(struct broker *broker, struct config *config, bool user_daemon, int listener, bool activated)
{
	int r;

	init_state(broker, config, user_daemon, listener, activated);
	if (fd_set_nonblocking(listener, true) || uv_loop_init(&broker->loop)) {
		broker->listener = fd_close(listener);
		config_fini(&broker->config);
		return -ERROR_SYSTEM;
	}
	r = init_handles(broker);
	if (r)
		broker_fini(broker);
	else
		sweep_idle(broker);
	return r;
}

void broker_run(struct broker *broker)
{
	(void)uv_run(&broker->loop, UV_RUN_DEFAULT);
}

void broker_stop(struct broker *broker, const char *why)
{
	const struct proto_empty event = {0};

	if (broker->stopping)
		return;
	log_notice("stopping", LOG_TEXT("why", why), LOG_UINT("clients", broker->client_count),
		   LOG_UINT("heaps", broker->heap_count));
	service_stopping();
	broker->stopping = true;
	(void)uv_poll_stop(&broker->listener_poll);
	/* What the sockets do not take now is not waited for: a client that does not read must not hold up
	 * the end. */
	list_each(struct client, client, &broker->clients, node)
		client_send_event(client, PROTO_EVENT_SHUTTING_DOWN, &event);
	uv_stop(&broker->loop);
}

static void close_handle(uv_handle_t *handle, void *broker)
{
	/* Clients close their own. */
	if (handle->data == broker && !uv_is_closing(handle))
		uv_close(handle, NULL);
}

void broker_fini(struct broker *broker)
{
	broker->stopping = true;
	/* Before the heaps go from this process, which does not end them. */
	if (broker->store)
		store_close(broker->store);
	broker->store = NULL;
	list_each(struct client, client, &broker->clients, node) client_free(client);
	list_each(struct heap, heap, &broker->heaps, node) heap_free(heap);
	disk_close(broker);
	catalogue_free(broker->catalogue);
	registry_fini(&broker->registry);
	uv_walk(&broker->loop, close_handle, broker);
	(void)uv_run(&broker->loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(&broker->loop);
	broker->listener = fd_close(broker->listener);
	config_fini(&broker->config);
}
