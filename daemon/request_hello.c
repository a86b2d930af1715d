/*
 * request_hello.c: the handshake, and questions about the daemon itself.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/macros.h"
#include "daemon/client.h"
#include "daemon/dispatch.h"
#include "daemon/ticket.h"

#define FEATURES                                                                             \
	(PROTO_FEATURE_HEAPS | PROTO_FEATURE_STATUS | PROTO_FEATURE_REGIONS | PROTO_FEATURE_TEAMS | \
	 PROTO_FEATURE_REATTACH | PROTO_FEATURE_CHANGE | PROTO_FEATURE_USERS | PROTO_FEATURE_PIDFD | \
	 PROTO_FEATURE_PERSISTENT)

static int refuse_version(const struct proto_hello *hello, char message[static REQUEST_MESSAGE_SIZE])
{
	snprintf(message, REQUEST_MESSAGE_SIZE,
		 "no version of the protocol in common: emsd " PACKAGE_VERSION
		 " speaks %u to %u, the client %" PRIu32 " to %" PRIu32,
		 PROTO_VERSION_MIN, PROTO_VERSION_MAX, hello->version_min, hello->version_max);
	return -ERROR_VERSION;
}

static int refuse_client(const struct client *client, char message[static REQUEST_MESSAGE_SIZE])
{
	const struct user *user = client->user;

	snprintf(message, REQUEST_MESSAGE_SIZE,
		 "too many clients: user %u has %" PRIu32 " of %" PRIu32 ", all together %" PRIu32
		 " of %" PRIu32,
		 (unsigned)user->uid, user->clients - 1, user->limits->clients,
		 client->broker->client_count - 1, client->broker->config.clients);
	log_warning("client refused", LOG_UINT("uid", user->uid), LOG_INT("pid", client->peer.pid),
		    LOG_UINT("clients", user->clients));
	return -ERROR_LIMIT;
}

REQUEST_FUNCTION(hello, proto_hello)
{
	struct proto_hello_reply reply = {.features = FEATURES,
					  .software = "emsd",
					  .software_version = PACKAGE_VERSION,
					  .frame_max = PROTO_FRAME_MAX,
					  .pid = (uint32_t)getpid(),
					  .user_daemon = client->broker->user_daemon};

	if (client->greeted) {
		snprintf(message, REQUEST_MESSAGE_SIZE, "hello was said already");
		return -ERROR_PROTOCOL;
	}
	if (request->version_min > PROTO_VERSION_MAX || request->version_max < PROTO_VERSION_MIN ||
	    request->version_min > request->version_max)
		return refuse_version(request, message);
	if (client->refused)
		return refuse_client(client, message);
	if (request->features & PROTO_FEATURE_PIDFD)
		client_watch_take(client, proto_reader_steal_fd(&client->reader));
	snprintf(client->software, sizeof(client->software), "%s %s", request->software,
		 request->software_version);
	/* A client of a former daemon, or of a former connection, comes back with its slots. */
	if (request->client && !client_was_kicked(client->broker, request->client) &&
	    request->ticket == ticket_of_client(client->broker->catalogue, request->client))
		client_resume(client, request->client);
	reply.client = client->number;
	reply.ticket = ticket_of_client(client->broker->catalogue, client->number);
	reply.version = MIN(request->version_max, PROTO_VERSION_MAX);
	client->greeted = true;
	log_debug("client connected", LOG_UINT("client", client->number), LOG_INT("pid", client->peer.pid),
		  LOG_UINT("uid", client->peer.uid), LOG_TEXT("software", client->software));
	broker_tell_status(client->broker);
	client_send_reply(client, id, PROTO_HELLO, &reply);
	return 0;
}

REQUEST_FUNCTION(ping, proto_empty)
{
	(void)message;
	client_send_reply(client, id, PROTO_PING, request);
	return 0;
}

REQUEST_FUNCTION(status, proto_empty)
{
	const struct broker *broker = client->broker;
	const struct user *user = client->user;
	struct proto_status_reply reply = {.software = "emsd",
					   .software_version = PACKAGE_VERSION,
					   .version = PROTO_VERSION_MAX,
					   .pid = (uint32_t)getpid(),
					   .user_daemon = broker->user_daemon,
					   .uptime = (clock_now() - broker->started) / NS_PER_S,
					   .clients = broker->client_count,
					   .heaps = broker->heap_count,
					   .committed = broker->budget.used,
					   .budget = broker->budget.limit,
					   .recoveries = broker->recoveries,
					   .user_clients = user->clients,
					   .user_clients_limit = user->limits->clients,
					   .user_heaps = user->heaps,
					   .user_heaps_limit = user->limits->heaps,
					   .user_bytes = user->budget.used,
					   .user_bytes_limit = user->budget.limit,
					   .clients_limit = broker->config.clients,
					   .heaps_limit = broker->config.heaps};

	list_each(struct heap, heap, &broker->heaps, node) reply.quarantined += heap->quarantined;
	(void)request;
	(void)message;
	client_send_reply(client, id, PROTO_STATUS, &reply);
	return 0;
}
