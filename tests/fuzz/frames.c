/*
 * frames.c: any bytes as a frame: parsed, decoded as every message that it may be, and what could be decoded is encoded and decoded
 * again to the same.
 */
#include <string.h>

#include "base/error.h"
#include "proto/codec.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/proto_random.h"

static void again_request(const struct proto_message *message, const union proto_request *request)
{
	_cleanup_(proto_buffer_fini) struct proto_buffer buffer = {0};
	static union proto_request second;
	struct proto_message parsed;
	uint64_t id = message->op == PROTO_TRIM ? 0 : 1;

	/* A text may be too long beside others for one frame; then it is refused as a whole. */
	if (proto_encode_request(&buffer, id, message->op, request))
		return;
	FUZZ_MUST(proto_parse(buffer.data + 4, buffer.size - 4, &parsed) == 0);
	FUZZ_MUST(proto_decode_request(&parsed, &second, NULL) == 0);
	FUZZ_MUST(!difference(schema_of_request(message->op), (const uint8_t *)request, (const uint8_t *)&second));
}

static void decode_replies(const struct proto_message *message)
{
	static union proto_reply reply;
	const char *field;

	for (unsigned op = 1; op < PROTO_OP_COUNT; op++) {
		int r = proto_decode_reply(message, (enum proto_op)op, &reply, &field);

		FUZZ_MUST(r == 0 || r == -ERROR_PROTOCOL);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static union proto_request request;
	union proto_event_body event;
	struct proto_message message;
	const char *field = NULL;

	if (proto_parse(data, size, &message))
		return 0;
	switch (message.kind) {
	case PROTO_KIND_REQUEST:
		if (message.op != PROTO_OP_UNKNOWN && proto_decode_request(&message, &request, &field) == 0)
			again_request(&message, &request);
		break;
	case PROTO_KIND_REPLY:
		decode_replies(&message);
		break;
	case PROTO_KIND_EVENT:
		if (message.event != PROTO_EVENT_UNKNOWN)
			(void)proto_decode_event(&message, &event, &field);
		break;
	case PROTO_KIND_ERROR:
		FUZZ_MUST(message.error.code < 0);
		break;
	}
	return 0;
}

/* One of each message, with random contents from fixed seeds. */
size_t fuzz_example(unsigned index, uint8_t *data, size_t room)
{
	_cleanup_(proto_buffer_fini) struct proto_buffer buffer = {0};
	union { union proto_request request; union proto_reply reply; union proto_event_body event; } *body;
	unsigned ops = PROTO_OP_COUNT - 1, n = index;
	uint64_t state = index + 1;
	int r;

	if (index >= 2 * ops + PROTO_EVENT_COUNT)
		return 0;
	body = calloc(1, sizeof(*body));
	FUZZ_MUST(body);
	if (n < ops) {
		enum proto_op op = (enum proto_op)(n + 1);

		random_struct(&state, schema_of_request(op), (uint8_t *)body);
		r = proto_encode_request(&buffer, op == PROTO_TRIM ? 0 : 1, op, body);
	} else if ((n -= ops) < ops) {
		random_struct(&state, schema_of_reply((enum proto_op)(n + 1)), (uint8_t *)body);
		r = proto_encode_reply(&buffer, 1, (enum proto_op)(n + 1), body);
	} else if ((n -= ops) + 1 < PROTO_EVENT_COUNT) {
		random_struct(&state, schema_of_event((enum proto_event)(n + 1)), (uint8_t *)body);
		r = proto_encode_event(&buffer, (enum proto_event)(n + 1), body);
	} else {
		r = proto_encode_error(&buffer, 1, -ERROR_BUDGET, "a budget is used up");
	}
	free(body);
	/* A page of a list may be longer than there is room: then its beginning. */
	FUZZ_MUST(r == 0 && buffer.size > 4);
	room = room < buffer.size - 4 ? room : buffer.size - 4;
	memcpy(data, buffer.data + 4, room);
	return room;
}
