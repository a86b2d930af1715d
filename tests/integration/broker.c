/* A client for tests: see broker.h. */
#include "tests/integration/broker.h"

#include <dirent.h>

static int try_connect(struct peer *peer, const char *socket)
{
	memset(peer, 0, sizeof(*peer));
	peer->fd = -1;
	peer->socket = -1;
	peer->next_id = 1;
	proto_reader_init(&peer->reader, PROTO_FRAME_MAX);
	return proto_connect(socket, clock_deadline(BROKER_PATIENCE), &peer->socket);
}

void peer_connect(struct peer *peer, const char *socket)
{
	ck_assert_int_eq(try_connect(peer, socket), 0);
}

static const struct proto_hello our_hello = {.version_min = PROTO_VERSION_MIN,
					     .version_max = PROTO_VERSION_MAX,
					     .features = PROTO_FEATURE_HEAPS,
					     .software = "test",
					     .software_version = "1"};

void peer_open(struct peer *peer, const char *socket)
{
	struct proto_hello_reply reply;

	peer_connect(peer, socket);
	ck_assert_int_eq(peer_call(peer, PROTO_HELLO, &our_hello, &reply), 0);
	ck_assert_uint_eq(reply.version, PROTO_VERSION_MAX);
	ck_assert_uint_ne(reply.client, 0);
	peer->client = reply.client;
}

int peer_try(struct peer *peer, const char *socket)
{
	_cleanup_(proto_buffer_fini) struct proto_buffer buffer = {0};
	int r = try_connect(peer, socket);

	ck_assert_int_eq(proto_encode_request(&buffer, peer->next_id++, PROTO_HELLO, &our_hello), 0);
	if (!r)
		r = proto_send_all(peer->socket, buffer.data, buffer.size, -1,
				   clock_deadline(BROKER_PATIENCE));
	if (!r)
		r = peer_receive(peer);
	if (r)
		peer_close(peer);
	else
		ck_assert_int_eq(peer->message.kind, PROTO_KIND_REPLY);
	return r;
}

void peer_close(struct peer *peer)
{
	peer->fd = fd_close(peer->fd);
	peer->socket = fd_close(peer->socket);
	proto_reader_fini(&peer->reader);
}

void peer_send_raw(struct peer *peer, const void *data, size_t size)
{
	ck_assert_int_eq(proto_send_all(peer->socket, data, size, -1, clock_deadline(BROKER_PATIENCE)), 0);
}

uint64_t peer_send(struct peer *peer, enum proto_op op, const void *body)
{
	_cleanup_(proto_buffer_fini) struct proto_buffer buffer = {0};
	uint64_t id = op == PROTO_TRIM ? 0 : peer->next_id++;

	ck_assert_int_eq(proto_encode_request(&buffer, id, op, body), 0);
	peer_send_raw(peer, buffer.data, buffer.size);
	return id;
}

int peer_receive(struct peer *peer)
{
	const void *data;
	size_t size;
	int r;

	r = proto_reader_wait(&peer->reader, peer->socket, clock_deadline(BROKER_PATIENCE), &data, &size);
	if (r)
		return r;
	ck_assert_int_eq(proto_parse(data, size, &peer->message), 0);
	fd_close(peer->fd);
	peer->fd = proto_reader_steal_fd(&peer->reader);
	return 0;
}

int peer_call(struct peer *peer, enum proto_op op, const void *request, void *reply)
{
	uint64_t id = peer_send(peer, op, request);
	const char *field = "";
	int r;

	do {
		r = peer_receive(peer);
		ck_assert_msg(r == 0, "%s: no answer: %s", proto_op_name(op), error_name(r));
	} while (peer->message.kind == PROTO_KIND_EVENT);
	if (peer->message.kind == PROTO_KIND_ERROR)
		return peer->message.error.code;
	ck_assert_uint_eq(peer->message.id, id);
	ck_assert_msg(proto_decode_reply(&peer->message, op, reply, &field) == 0, "%s: field %s",
		      proto_op_name(op), field);
	return 0;
}

void peer_expect_event(struct peer *peer, enum proto_event event, void *body)
{
	ck_assert_int_eq(peer_receive(peer), 0);
	ck_assert_int_eq(peer->message.kind, PROTO_KIND_EVENT);
	ck_assert_int_eq(peer->message.event, event);
	ck_assert_int_eq(proto_decode_event(&peer->message, body, NULL), 0);
}

void peer_expect_end(struct peer *peer)
{
	int r;

	do
		r = peer_receive(peer);
	while (r == 0);
	ck_assert_int_eq(r, -ERROR_CONNECTION);
}

struct proto_open peer_request(const char *name, enum proto_how how, uint64_t elements)
{
	struct proto_open request = {.how = how, .mode = 0600, .params = {.elements = elements}};

	snprintf(request.name, sizeof(request.name), "%s", name);
	return request;
}

int count_descriptors(pid_t pid)
{
	char path[64];
	int count = 0;
	DIR *directory;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	directory = opendir(path);
	ck_assert_ptr_nonnull(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}
