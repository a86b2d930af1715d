/*
 * test_proto_message.c: every message arrives as it was sent; the wire looks as doc/PROTOCOL.md says.
 */
#include <msgpack.h>

#include "base/error.h"
#include "proto/codec.h"
#include "tests/unit/proto_random.h"

static uint64_t state;

/* The one frame in buffer. */
static void parse_only_frame(const struct proto_buffer *buffer, struct proto_message *message)
{
	msgpack_unpacked foreign;
	size_t at = 4;

	ck_assert_uint_ge(buffer->size, 4);
	ck_assert_uint_eq(buffer->data[0] | buffer->data[1] << 8 | buffer->data[2] << 16, buffer->size - 4);
	ck_assert_uint_eq(buffer->data[3], 0);
	ck_assert_int_eq(proto_parse(buffer->data + 4, buffer->size - 4, message), 0);

	/* Another decoder agrees that this is msgpack. */
	msgpack_unpacked_init(&foreign);
	ck_assert_int_eq(msgpack_unpack_next(&foreign, (char *)buffer->data, buffer->size, &at),
			 MSGPACK_UNPACK_SUCCESS);
	ck_assert_uint_eq(at, buffer->size);
	ck_assert_int_eq(foreign.data.type, MSGPACK_OBJECT_MAP);
	msgpack_unpacked_destroy(&foreign);
}

static void *zeroed(size_t size)
{
	void *p = calloc(1, size);

	ck_assert_ptr_nonnull(p);
	return p;
}

static void round_trip_request(enum proto_op op)
{
	const struct schema *schema = schema_of_request(op);
	union proto_request *sent = zeroed(sizeof(*sent)), *got = zeroed(sizeof(*got));
	_cleanup_(proto_buffer_fini) struct proto_buffer buffer = {0};
	uint64_t id = op == PROTO_TRIM ? 0 : unit_random(&state) | 1;
	struct proto_message message;
	const char *field = NULL;

	random_struct(&state, schema, (uint8_t *)sent);
	memset(got, 0xaa, sizeof(*got));
	ck_assert_int_eq(proto_encode_request(&buffer, id, op, sent), 0);
	parse_only_frame(&buffer, &message);
	ck_assert_int_eq(message.kind, PROTO_KIND_REQUEST);
	ck_assert_int_eq(message.op, op);
	ck_assert_uint_eq(message.id, id);
	ck_assert_msg(proto_decode_request(&message, got, &field) == 0, "%s: field %s", proto_op_name(op),
		      field);
	field = difference(schema, (uint8_t *)sent, (uint8_t *)got);
	ck_assert_msg(!field, "%s: %s differs", proto_op_name(op), field);
	free(sent);
	free(got);
}

static void round_trip_reply(enum proto_op op)
{
	const struct schema *schema = schema_of_reply(op);
	union proto_reply *sent = zeroed(sizeof(*sent)), *got = zeroed(sizeof(*got));
	_cleanup_(proto_buffer_fini) struct proto_buffer buffer = {0};
	struct proto_message message;
	const char *field = NULL;

	random_struct(&state, schema, (uint8_t *)sent);
	memset(got, 0xaa, sizeof(*got));
	ck_assert_int_eq(proto_encode_reply(&buffer, 77, op, sent), 0);
	parse_only_frame(&buffer, &message);
	ck_assert_int_eq(message.kind, PROTO_KIND_REPLY);
	ck_assert_uint_eq(message.id, 77);
	ck_assert_msg(proto_decode_reply(&message, op, got, &field) == 0, "%s: field %s", proto_op_name(op),
		      field);
	field = difference(schema, (uint8_t *)sent, (uint8_t *)got);
	ck_assert_msg(!field, "%s: %s differs", proto_op_name(op), field);
	free(sent);
	free(got);
}

START_TEST(requests_and_replies)
{
	state = unit_seed();
	for (unsigned op = 1; op < PROTO_OP_COUNT; op++) {
		for (int i = 0; i < 200; i++) {
			round_trip_request((enum proto_op)op);
			round_trip_reply((enum proto_op)op);
		}
	}
}
END_TEST

START_TEST(events)
{
	state = unit_seed();
	for (unsigned event = 1; event < PROTO_EVENT_COUNT; event++) {
		const struct schema *schema = schema_of_event((enum proto_event)event);
		union proto_event_body sent = {0}, got;
		_cleanup_(proto_buffer_fini) struct proto_buffer buffer = {0};
		struct proto_message message;

		random_struct(&state, schema, (uint8_t *)&sent);
		ck_assert_int_eq(proto_encode_event(&buffer, (enum proto_event)event, &sent), 0);
		parse_only_frame(&buffer, &message);
		ck_assert_int_eq(message.kind, PROTO_KIND_EVENT);
		ck_assert_int_eq(message.event, event);
		ck_assert_int_eq(proto_decode_event(&message, &got, NULL), 0);
		ck_assert_ptr_null(difference(schema, (uint8_t *)&sent, (uint8_t *)&got));
	}
}
END_TEST

START_TEST(errors)
{
	char longest[3000];

	for (int code = 1; code < ERROR_COUNT; code++) {
		_cleanup_(proto_buffer_fini) struct proto_buffer buffer = {0};
		struct proto_message message;

		ck_assert_int_eq(proto_encode_error(&buffer, 5, -code, code % 2 ? "heap \"a\": why" : NULL),
				 0);
		parse_only_frame(&buffer, &message);
		ck_assert_int_eq(message.kind, PROTO_KIND_ERROR);
		ck_assert_uint_eq(message.id, 5);
		ck_assert_int_eq(message.error.code, -code);
		ck_assert_str_eq(message.error.message, code % 2 ? "heap \"a\": why" : error_text(code));
	}
	/* A text that is too long is cut, not inside a character; one that is no text is not sent. */
	for (size_t i = 0; i + 2 < sizeof(longest); i += 2)
		memcpy(longest + i, "\xc3\xa4", 3);
	for (int shift = 0; shift < 2; shift++) {
		_cleanup_(proto_buffer_fini) struct proto_buffer buffer = {0};
		struct proto_message message;

		ck_assert_int_eq(proto_encode_error(&buffer, 0, ERROR_BUDGET, longest), 0);
		parse_only_frame(&buffer, &message);
		ck_assert_uint_eq(message.id, 0);
		ck_assert_uint_ge(strlen(message.error.message), PROTO_ERROR_MAX - 3);
		longest[0] = 'x';
		memmove(longest + 1, longest + 2, strlen(longest + 2) + 1);
	}
	for (int i = 0; i < 1; i++) {
		_cleanup_(proto_buffer_fini) struct proto_buffer buffer = {0};
		struct proto_message message;

		ck_assert_int_eq(proto_encode_error(&buffer, 9, -ERROR_NAME, "\xff\xfe"), 0);
		parse_only_frame(&buffer, &message);
		ck_assert_str_eq(message.error.message, error_text(ERROR_NAME));
	}
}
END_TEST

/* What the wire looks like is fixed for ever: this is the example of doc/PROTOCOL.md. */
START_TEST(wire_is_as_documented)
{
	static const uint8_t frame[] = "\x1b\x00\x00\x00"
				       "\x83\xa2id\x07\xa2op\xa6"
				       "detach\xa4"
				       "body\x81\xa4heap\x03";
	_cleanup_(proto_buffer_fini) struct proto_buffer buffer = {0};
	struct proto_detach detach = {.heap = 3};

	ck_assert_int_eq(proto_encode_request(&buffer, 7, PROTO_DETACH, &detach), 0);
	ck_assert_uint_eq(buffer.size, sizeof(frame) - 1);
	ck_assert_mem_eq(buffer.data, frame, sizeof(frame) - 1);
}
END_TEST

START_TEST(absent_fields_have_their_defaults)
{
	static const uint8_t frame[] = "\x83\xa2id\x01\xa2op\xa4open\xa4"
				       "body\x82\xa4name\xa1x\xa7unknown\x93\x01\x02\x81\xa1k\xc0";
	struct proto_message message;
	struct proto_open open;

	ck_assert_int_eq(proto_parse(frame, sizeof(frame) - 1, &message), 0);
	memset(&open, 0xaa, sizeof(open));
	ck_assert_int_eq(proto_decode_request(&message, &open, NULL), 0);
	ck_assert_str_eq(open.name, "x");
	ck_assert_int_eq(open.how, PROTO_HOW_OPEN);
	ck_assert_int_eq(open.access, PROTO_ACCESS_WRITE);
	ck_assert_uint_eq(open.mode, 0600);
	ck_assert_uint_eq(open.params.elements, 0);
	ck_assert_uint_eq(open.budget, 0);
	ck_assert(!open.replace);
}
END_TEST

START_TEST(faulty_fields_are_named)
{
	static const struct {
		const char *frame;
		size_t size;
		const char *field;
	} cases[] = {
#define CASE(text, name) {text, sizeof(text) - 1, name}
#define OPEN                               \
	"\x83\xa2id\x01\xa2op\xa4open\xa4" \
	"body"
		CASE(OPEN "\x80", "name"),				    /* missing */
		CASE(OPEN "\x81\xa4name\x01", "name"),			    /* no text */
		CASE(OPEN "\x81\xa4name\xa2x\x00", "name"),		    /* NUL in it */
		CASE(OPEN "\x82\xa4name\xa1x\xa4name\xa1y", "name"),	    /* twice */
		CASE(OPEN "\x82\xa4name\xa1x\xa4mode\xcd\x02\x00", "mode"), /* 01000 */
		CASE(OPEN "\x82\xa4name\xa1x\xa4mode\xff", "mode"),	    /* negative */
		CASE(OPEN "\x82\xa4name\xa1x\xa3how\xa4"
			  "dump",
		     "how"),						  /* no such choice */
		CASE(OPEN "\x82\xa4name\xa1x\xa7replace\x01", "replace"), /* no boolean */
		CASE(OPEN "\x82\xa4name\xa1x\xa6params\xc0", "params"),	  /* no map */
		CASE(OPEN "\x82\xa4name\xa1x\xa6params\x80", "elements"), /* missing inside */
		CASE(OPEN "\x82\xa4name\xa1x\xa6params\x82\xa8"
			  "elements\x01\xa4"
			  "fill\xd4\x02\x00",
		     "fill"),
		CASE(OPEN "\x82\xa4name\xa1x\xa6params\x82\xa8"
			  "elements\x01\xa4"
			  "fill\x90",
		     "fill"),
		CASE(OPEN "\x82\xa4name\xa1x\xa6params\x82\xa8"
			  "elements\x01\xa4"
			  "fill"
			  "\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
		     "fill"), /* beyond int64 */
#undef OPEN
#undef CASE
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct proto_message message;
		struct proto_open open;
		const char *field = "";

		ck_assert_msg(proto_parse(cases[i].frame, cases[i].size, &message) == 0, "case %zu", i);
		ck_assert_int_eq(proto_decode_request(&message, &open, &field), -ERROR_PROTOCOL);
		ck_assert_msg(strcmp(field, cases[i].field) == 0, "case %zu: %s", i, field);
	}
}
END_TEST

START_TEST(later_versions_are_understood)
{
	/* Unknown op, event, code, feature. */
	static const uint8_t op[] = "\x82\xa2id\x01\xa2op\xa5"
				    "smell";
	static const uint8_t event[] = "\x81\xa5"
				       "event\xa6"
				       "broken";
	static const uint8_t code[] = "\x82\xa2id\x01\xa5"
				      "error\x82\xa4"
				      "code\xcd\x03\xe8\xa6"
				      "detail\x01";
	static const uint8_t feature[] = "\x83\xa2id\x01\xa2op\xa5hello\xa4"
					 "body\x83\xabversion_min\x01"
					 "\xabversion_max\x09\xa8"
					 "features\x92\xa5telex\xa5heaps";
	struct proto_message message;
	struct proto_hello hello;

	ck_assert_int_eq(proto_parse(op, sizeof(op) - 1, &message), 0);
	ck_assert_int_eq(message.kind, PROTO_KIND_REQUEST);
	ck_assert_int_eq(message.op, PROTO_OP_UNKNOWN);
	ck_assert_int_eq(proto_decode_request(&message, &hello, NULL), -ERROR_PROTOCOL);
	ck_assert_int_eq(proto_parse(event, sizeof(event) - 1, &message), 0);
	ck_assert_int_eq(message.event, PROTO_EVENT_UNKNOWN);
	ck_assert_int_eq(proto_parse(code, sizeof(code) - 1, &message), 0);
	ck_assert_int_eq(message.error.code, -ERROR_SYSTEM);
	ck_assert_int_eq(proto_parse(feature, sizeof(feature) - 1, &message), 0);
	ck_assert_int_eq(proto_decode_request(&message, &hello, NULL), 0);
	ck_assert_uint_eq(hello.features, PROTO_FEATURE_HEAPS);
	ck_assert_uint_eq(hello.version_max, 9);
}
END_TEST

START_TEST(senders_mistakes_are_refused)
{
	_cleanup_(proto_buffer_fini) struct proto_buffer buffer = {0};
	struct proto_open *open = zeroed(sizeof(*open));
	struct proto_list_reply *list = zeroed(sizeof(*list));
	struct proto_detach detach = {.heap = 1};

	ck_assert_int_eq(proto_encode_request(&buffer, 0, PROTO_DETACH, &detach), -ERROR_RANGE);
	ck_assert_int_eq(proto_encode_request(&buffer, 1, PROTO_TRIM, &detach), -ERROR_RANGE);
	ck_assert_int_eq(proto_encode_request(&buffer, 1, PROTO_OP_UNKNOWN, &detach), -ERROR_RANGE);
	strcpy(open->name, "\xff");
	ck_assert_int_eq(proto_encode_request(&buffer, 1, PROTO_OPEN, open), -ERROR_RANGE);
	memset(open->name, 'x', sizeof(open->name));
	ck_assert_int_eq(proto_encode_request(&buffer, 1, PROTO_OPEN, open), -ERROR_RANGE);
	strcpy(open->name, "x");
	open->mode = 01000;
	ck_assert_int_eq(proto_encode_request(&buffer, 1, PROTO_OPEN, open), -ERROR_RANGE);
	open->mode = 0;
	open->how = (enum proto_how)3;
	ck_assert_int_eq(proto_encode_request(&buffer, 1, PROTO_OPEN, open), -ERROR_RANGE);
	list->count = PROTO_LIST_MAX + 1;
	ck_assert_int_eq(proto_encode_reply(&buffer, 1, PROTO_LIST, list), -ERROR_RANGE);
	ck_assert_uint_eq(buffer.size, 0);
	/* The largest list fits a frame. */
	list->count = PROTO_LIST_MAX;
	for (uint32_t i = 0; i < PROTO_LIST_MAX; i++) {
		memset(&list->heaps[i], 0xff, sizeof(list->heaps[i]));
		memset(list->heaps[i].name, 'n', PROTO_NAME_MAX);
		list->heaps[i].name[PROTO_NAME_MAX] = '\0';
		list->heaps[i].has_map = list->heaps[i].persistent = list->heaps[i].quarantined = true;
		list->heaps[i].lifetime = PROTO_LIFETIME_DETACH;
		list->heaps[i].kind = PROTO_NAMED_REGION;
	}
	ck_assert_int_eq(proto_encode_reply(&buffer, 1, PROTO_LIST, list), 0);
	free(open);
	free(list);
}
END_TEST

UNIT_MAIN("proto/message", requests_and_replies, events, errors, wire_is_as_documented,
	  absent_fields_have_their_defaults, faulty_fields_are_named, later_versions_are_understood,
	  senders_mistakes_are_refused)
