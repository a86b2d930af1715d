/*
 * replies.c: what a client makes of a daemon that answers anything: hello, open, list, inspect, and an end at any byte.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "client/link.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/proto_random.h"

#define PATIENCE (10 * NS_PER_S)

/* A request of each kind, as long as the link is good. */
static void ask(struct link *link)
{
	static const enum proto_op ops[] = {PROTO_OPEN, PROTO_LIST, PROTO_INSPECT, PROTO_STATUS, PROTO_CLIENTS,
					    PROTO_QUOTA, PROTO_GROW, PROTO_REATTACH};
	static union proto_request request;
	static union proto_reply reply;

	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]) && link->socket >= 0; i++) {
		int fd = -1;

		memset(&request, 0, sizeof(request));
		if (ops[i] == PROTO_OPEN)
			strcpy(request.OPEN.name, "a");
		(void)link_call(link, ops[i], &request, &reply, &fd, clock_deadline(PATIENCE));
		if (fd >= 0)
			close(fd);
		link_drain(link);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct link link;
	int pair[2];

	/* It must fit the socket's queue: there is nobody to write the rest. */
	if (size > 65536)
		return 0;
	FUZZ_MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	FUZZ_MUST(size == 0 || send(pair[1], data, size, MSG_NOSIGNAL) == (ssize_t)size);
	FUZZ_MUST(shutdown(pair[1], SHUT_WR) == 0);
	link_init(&link);
	if (link_open(&link, pair[0], clock_deadline(PATIENCE)) == 0)
		ask(&link);
	link_close(&link);
	close(pair[1]);
	return 0;
}

static void append(uint8_t *data, size_t *size, size_t room, struct proto_buffer *buffer)
{
	if (*size + buffer->size <= room) {
		memcpy(data + *size, buffer->data, buffer->size);
		*size += buffer->size;
	}
	buffer->size = 0;
}

/* A good hello, then a good answer to open and an answer of another kind each; events between them. */
size_t fuzz_example(unsigned index, uint8_t *data, size_t room)
{
	_cleanup_(proto_buffer_fini) struct proto_buffer buffer = {0};
	struct proto_hello_reply hello = {.version = 1, .client = 5, .features = PROTO_FEATURE_HEAPS, .frame_max = PROTO_FRAME_MAX};
	union { union proto_reply reply; union proto_event_body event; } *body;
	uint64_t state = index + 1;
	size_t size = 0;

	if (index >= 8)
		return 0;
	body = calloc(1, sizeof(*body));
	FUZZ_MUST(body && proto_encode_reply(&buffer, 1, PROTO_HELLO, &hello) == 0);
	append(data, &size, room, &buffer);
	for (uint64_t id = 2; id < 10; id++) {
		static const enum proto_op ops[] = {PROTO_OPEN, PROTO_LIST, PROTO_INSPECT, PROTO_STATUS, PROTO_CLIENTS,
						    PROTO_QUOTA, PROTO_GROW, PROTO_REATTACH};

		memset(body, 0, sizeof(*body));
		random_struct(&state, schema_of_event(PROTO_EVENT_GROWN), (uint8_t *)body);
		FUZZ_MUST(proto_encode_event(&buffer, PROTO_EVENT_GROWN, body) == 0);
		append(data, &size, room, &buffer);
		memset(body, 0, sizeof(*body));
		random_struct(&state, schema_of_reply(ops[id - 2]), (uint8_t *)body);
		if (id == 2 + index)
			FUZZ_MUST(proto_encode_error(&buffer, id, -ERROR_BUDGET, "no") == 0);
		else
			FUZZ_MUST(proto_encode_reply(&buffer, id, ops[id - 2], body) == 0);
		append(data, &size, room, &buffer);
	}
	free(body);
	return size;
}
