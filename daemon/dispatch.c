/*
 * dispatch.c: envelope, order of the handshake, and the table of functions.
 */
#include "daemon/dispatch.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/macros.h"
#include "daemon/client.h"
#include "daemon/kind.h"
#include "daemon/registry.h"
#include "proto/name.h"

/* One at a time: nothing here is entered twice. Not on the stack, for it is as large as the largest message.
 */
static union proto_request request;

static int call(struct client *client, const struct proto_message *message,
		char text[static REQUEST_MESSAGE_SIZE])
{
	switch (message->op) {
	case PROTO_HELLO:
		return request_hello(client, message->id, &request.HELLO, text);
	case PROTO_OPEN:
		return request_open(client, message->id, &request.OPEN, text);
	case PROTO_DETACH:
		return request_detach(client, message->id, &request.DETACH, text);
	case PROTO_LIST:
		return request_list(client, message->id, &request.LIST, text);
	case PROTO_INSPECT:
		return request_inspect(client, message->id, &request.INSPECT, text);
	case PROTO_DROP:
		return request_drop(client, message->id, &request.DROP, text);
	case PROTO_GROW:
		return request_grow(client, message->id, &request.GROW, text);
	case PROTO_COMMIT_UNITS:
		return request_commit_units(client, message->id, &request.COMMIT_UNITS, text);
	case PROTO_COMMIT_STORAGE:
		return request_commit_storage(client, message->id, &request.COMMIT_STORAGE, text);
	case PROTO_PREPARE_TABLE:
		return request_prepare_table(client, message->id, &request.PREPARE_TABLE, text);
	case PROTO_TRIM:
		return request_trim(client, message->id, &request.TRIM, text);
	case PROTO_RECOVER:
		return request_recover(client, message->id, &request.RECOVER, text);
	case PROTO_PING:
		return request_ping(client, message->id, &request.PING, text);
	case PROTO_STATUS:
		return request_status(client, message->id, &request.STATUS, text);
	case PROTO_REATTACH:
		return request_reattach(client, message->id, &request.REATTACH, text);
	case PROTO_OPEN_FILE:
		return request_open_file(client, message->id, &request.OPEN_FILE, text);
	case PROTO_GROW_REGION:
		return request_grow_region(client, message->id, &request.GROW_REGION, text);
	case PROTO_CHMOD:
		return request_chmod(client, message->id, &request.CHMOD, text);
	case PROTO_CHOWN:
		return request_chown(client, message->id, &request.CHOWN, text);
	case PROTO_RENAME:
		return request_rename(client, message->id, &request.RENAME, text);
	case PROTO_CLIENTS:
		return request_clients(client, message->id, &request.CLIENTS, text);
	case PROTO_KICK:
		return request_kick(client, message->id, &request.KICK, text);
	case PROTO_QUOTA:
		return request_quota(client, message->id, &request.QUOTA, text);
	case PROTO_SYNC:
		return request_sync(client, message->id, &request.SYNC, text);
	case PROTO_JOIN:
		return request_join(client, message->id, &request.JOIN, text);
	case PROTO_COPY:
		return request_copy(client, message->id, &request.COPY, text);
	case PROTO_OP_UNKNOWN:
	case PROTO_OP_COUNT:
		break;
	}
	snprintf(text, REQUEST_MESSAGE_SIZE, "this daemon does not know that request");
	return -ERROR_UNSUPPORTED;
}

/* Not a request, or one whose answer nobody could tell from another's. */
static void break_off(struct client *client, const char *why)
{
	client_send_error(client, 0, -ERROR_PROTOCOL, why);
	log_warning("client dropped", LOG_UINT("client", client->number), LOG_INT("pid", client->peer.pid),
		    LOG_UINT("uid", client->peer.uid), LOG_TEXT("software", client->software),
		    LOG_TEXT("why", why));
	client_end(client);
}

void dispatch(struct client *client, const void *data, size_t size)
{
	char text[REQUEST_MESSAGE_SIZE] = "";
	struct proto_message message;
	const char *field = "?";
	int r;

	if (proto_parse(data, size, &message)) {
		break_off(client, "malformed frame");
		return;
	}
	if (message.kind != PROTO_KIND_REQUEST || (message.id == 0 && message.op != PROTO_TRIM)) {
		break_off(client, "a frame that is no request with an id");
		return;
	}
	if (!client->greeted && message.op != PROTO_HELLO) {
		break_off(client, "the first request must be hello");
		return;
	}
	if (message.op != PROTO_OP_UNKNOWN && proto_decode_request(&message, &request, &field)) {
		snprintf(text, sizeof(text), "%s: field \"%s\" is missing, or not what it has to be",
			 proto_op_name(message.op), field);
		r = -ERROR_PROTOCOL;
	} else {
		r = call(client, &message, text);
	}
	if (r && message.id)
		client_send_error(client, message.id, r, *text ? text : NULL);
	/* Without a hello there is nothing to talk about. */
	if (r && !client->greeted)
		client_end(client);
}

int request_find(struct client *client, const char *name, const char *noun, struct heap **_heap,
		 char message[static REQUEST_MESSAGE_SIZE])
{
	const char *problem = proto_name_problem(name);
	char resolved[PROTO_NAME_MAX + 1];
	int r;

	if (problem) {
		snprintf(message, REQUEST_MESSAGE_SIZE, "\"%s\" is no %s's name: %s", name, noun, problem);
		return -ERROR_NAME;
	}
	r = access_resolve_name(&client->peer, name, resolved);
	if (r) {
		snprintf(message, REQUEST_MESSAGE_SIZE, "\"%s\" is too long when '~' is written out", name);
		return r;
	}
	*_heap = registry_find(&client->broker->registry, resolved);
	if (!*_heap) {
		snprintf(message, REQUEST_MESSAGE_SIZE, "there is no %s \"%s\"", noun, name);
		return -ERROR_NOT_FOUND;
	}
	return 0;
}

int request_attachment(struct client *client, uint32_t number, struct attachment **_attachment,
		       char message[static REQUEST_MESSAGE_SIZE])
{
	*_attachment = client_attachment(client, number);
	if (*_attachment)
		return 0;
	snprintf(message, REQUEST_MESSAGE_SIZE, "this connection has no attachment %u", number);
	return -ERROR_NOT_FOUND;
}

int request_heap(struct client *client, uint32_t number, const char *name, struct heap **_heap,
		 struct attachment **_attachment, char message[static REQUEST_MESSAGE_SIZE])
{
	int r;

	*_attachment = NULL;
	if (!number)
		return request_find(client, name, "heap", _heap, message);
	r = request_attachment(client, number, _attachment, message);
	if (!r)
		*_heap = (*_attachment)->heap;
	return r;
}

int request_expect_kind(const struct heap *heap, enum proto_named kind,
			char message[static REQUEST_MESSAGE_SIZE])
{
	if (heap->kind_number == kind)
		return 0;
	snprintf(message, REQUEST_MESSAGE_SIZE, "\"%s\" is a %s, not a %s", heap->name, heap->kind->noun,
		 kind_noun(kind));
	return -ERROR_MISMATCH;
}

int request_writer(struct client *client, uint32_t number, enum proto_named kind,
		   struct attachment **_attachment, char message[static REQUEST_MESSAGE_SIZE])
{
	int r = request_attachment(client, number, _attachment, message);

	if (!r)
		r = request_expect_kind((*_attachment)->heap, kind, message);
	if (r || (*_attachment)->access == PROTO_ACCESS_WRITE)
		return r;
	snprintf(message, REQUEST_MESSAGE_SIZE, "%s \"%s\" is attached read-only",
		 (*_attachment)->heap->kind->noun, (*_attachment)->heap->name);
	return -ERROR_READ_ONLY;
}

int request_no_access(const struct client *client, const struct heap *heap, const char *what,
		      char message[static REQUEST_MESSAGE_SIZE])
{
	char name[PROTO_NAME_MAX + 1];

	access_show_name(&client->peer, heap->name, name);
	snprintf(message, REQUEST_MESSAGE_SIZE,
		 "%s \"%s\" (user %u, group %u, mode %04o): user %u may not %s it", heap->kind->noun, name,
		 (unsigned)heap->owner.uid, (unsigned)heap->owner.gid, (unsigned)heap->owner.mode,
		 (unsigned)client->peer.uid, what);
	return -ERROR_ACCESS;
}
