/*
 * test_proto_garbage.c: frames that nobody should have sent give a clean error, and cost no more than their
 * size.
 *
 * Each frame is copied to memory that ends where it ends, so that a sanitizer, or valgrind, sees a read
 * beyond.
 */
#include <string.h>

#include "base/error.h"
#include "proto/codec.h"
#include "tests/unit/proto_random.h"

static union proto_request request;
static union proto_reply reply;
static union proto_event_body event_body;

/* Decodes whatever data is, as both sides would, and checks that only clean answers come. Yields
 * proto_parse's. */
static int swallow(const void *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	struct proto_message message;
	int parsed, r = 0;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, data, size);
	parsed = proto_parse(copy, size, &message);
	ck_assert(parsed == 0 || parsed == -ERROR_PROTOCOL);
	if (!parsed && message.kind == PROTO_KIND_REQUEST)
		r = proto_decode_request(&message, &request, NULL);
	else if (!parsed && message.kind == PROTO_KIND_EVENT)
		r = proto_decode_event(&message, &event_body, NULL);
	for (unsigned op = 1; !parsed && message.kind == PROTO_KIND_REPLY && op < PROTO_OP_COUNT; op++)
		r = proto_decode_reply(&message, (enum proto_op)op, &reply, NULL);
	ck_assert(r == 0 || r == -ERROR_PROTOCOL);
	free(copy);
	return parsed;
}

/* One frame of every kind of message, random contents. */
static void all_frames(uint64_t *state, void (*use)(const uint8_t *data, size_t size))
{
	_cleanup_(proto_buffer_fini) struct proto_buffer buffer = {0};

	for (unsigned i = 0; i < PROTO_OP_COUNT + PROTO_OP_COUNT + PROTO_EVENT_COUNT + 1; i++) {
		unsigned which = i % PROTO_OP_COUNT ? i % PROTO_OP_COUNT : 1;
		int r;

		memset(&request, 0, sizeof(request));
		memset(&reply, 0, sizeof(reply));
		memset(&event_body, 0, sizeof(event_body));
		buffer.size = 0;
		if (i < PROTO_OP_COUNT) {
			enum proto_op op = (enum proto_op)which;

			random_struct(state, schema_of_request(op), (uint8_t *)&request);
			r = proto_encode_request(&buffer, op != PROTO_TRIM, op, &request);
		} else if (i < 2 * PROTO_OP_COUNT) {
			random_struct(state, schema_of_reply((enum proto_op)which), (uint8_t *)&reply);
			/* One of a kind is enough: each bit costs as much as the whole frame. */
			if (which == PROTO_LIST)
				reply.LIST.count = 1;
			else if (which == PROTO_CLIENTS)
				reply.CLIENTS.count = 1;
			else if (which == PROTO_QUOTA)
				reply.QUOTA.count = 1;
			r = proto_encode_reply(&buffer, 300, (enum proto_op)which, &reply);
		} else if (i < 2 * PROTO_OP_COUNT + PROTO_EVENT_COUNT - 1) {
			enum proto_event event = (enum proto_event)(i - 2 * PROTO_OP_COUNT + 1);

			random_struct(state, schema_of_event(event), (uint8_t *)&event_body);
			r = proto_encode_event(&buffer, event, &event_body);
		} else {
			r = proto_encode_error(&buffer, 70000, ERROR_BUDGET, "no");
		}
		ck_assert_int_eq(r, 0);
		use(buffer.data + 4, buffer.size - 4);
	}
}

static void truncate_everywhere(const uint8_t *data, size_t size)
{
	ck_assert_int_eq(swallow(data, size), 0);
	for (size_t cut = 0; cut < size; cut++)
		ck_assert_int_eq(swallow(data, cut), -ERROR_PROTOCOL);
}

START_TEST(every_truncation)
{
	uint64_t state = unit_seed();

	all_frames(&state, truncate_everywhere);
}
END_TEST

static void flip_every_bit(const uint8_t *data, size_t size)
{
	uint8_t *flipped = malloc(size);

	ck_assert_ptr_nonnull(flipped);
	for (size_t bit = 0; bit < 8 * size; bit++) {
		memcpy(flipped, data, size);
		flipped[bit / 8] ^= (uint8_t)(1 << bit % 8);
		swallow(flipped, size);
	}
	free(flipped);
}

START_TEST(every_flipped_bit)
{
	uint64_t state = unit_seed();

	all_frames(&state, flip_every_bit);
}
END_TEST

START_TEST(noise)
{
	uint64_t state = unit_seed();
	uint8_t data[256];

	for (int i = 0; i < 200000; i++) {
		size_t size = unit_random(&state) % sizeof(data);

		for (size_t j = 0; j < size; j++)
			data[j] = (uint8_t)unit_random(&state);
		if (size)
			data[0] = (uint8_t)(0x81 + i % 3);
		swallow(data, size);
	}
}
END_TEST

/* A frame {"x": …} around what is tested. */
static int swallow_inside(const void *data, size_t size)
{
	static const uint8_t head[] = "\x82\xa5"
				      "event\xa1"
				      "e\xa1x";
	uint8_t *frame = malloc(sizeof(head) - 1 + size);
	int r;

	ck_assert_ptr_nonnull(frame);
	memcpy(frame, head, sizeof(head) - 1);
	memcpy(frame + sizeof(head) - 1, data, size);
	r = swallow(frame, sizeof(head) - 1 + size);
	free(frame);
	return r;
}

START_TEST(size_bombs)
{
	static const struct {
		const char *data;
		size_t size;
	} bombs[] = {
#define BOMB(text) {text, sizeof(text) - 1}
		BOMB("\xdd\xff\xff\xff\xff"),
		BOMB("\xdf\xff\xff\xff\xff"),
		BOMB("\xdf\x80\x00\x00\x00"),
		BOMB("\xdb\xff\xff\xff\xff"),
		BOMB("\xc6\xff\xff\xff\xff"),
		BOMB("\xc9\xff\xff\xff\xff\x01"),
		BOMB("\xdc\xff\xff"),
		BOMB("\xde\xff\xff"),
		BOMB("\xda\xff\xff"),
		BOMB("\xdd\x00\x00\x00\x02\x01"),
		BOMB("\xdf\x00\x00\x00\x02\x01\x01\x01"),
		BOMB("\xc1"),
		BOMB("\xa1\xff"),
		BOMB("\xa2\xc0\x80"),
#undef BOMB
	};
	uint8_t *large;

	for (size_t i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++)
		ck_assert_msg(swallow_inside(bombs[i].data, bombs[i].size) == -ERROR_PROTOCOL, "bomb %zu", i);
	ck_assert_int_eq(swallow_inside("\x92\x01\x02", 3), 0);

	/* Well-formed, but larger than a frame may be. */
	large = calloc(1, PROTO_FRAME_MAX + 16);
	ck_assert_ptr_nonnull(large);
	memcpy(large, "\xc6\x00\x02\x00\x00", 5);
	ck_assert_int_eq(swallow_inside(large, 5 + 0x20000), -ERROR_PROTOCOL);
	memcpy(large, "\xc6\x00\x01\xff\x00", 5);
	ck_assert_int_eq(swallow_inside(large, 5 + 0x1ff00), 0);
	free(large);
}
END_TEST

START_TEST(depth_bombs)
{
	static uint8_t deep[PROTO_FRAME_MAX - 64];

	/* The frame's own map is one of the PROTO_DEPTH_MAX. */
	for (unsigned depth = 1; depth < 100; depth++) {
		memset(deep, 0x91, depth);
		deep[depth] = 0x01;
		ck_assert_int_eq(swallow_inside(deep, depth + 1),
				 depth < PROTO_DEPTH_MAX ? 0 : -ERROR_PROTOCOL);
	}
	memset(deep, 0x91, sizeof(deep));
	ck_assert_int_eq(swallow_inside(deep, sizeof(deep)), -ERROR_PROTOCOL);
	memset(deep, 0x81, sizeof(deep));
	ck_assert_int_eq(swallow_inside(deep, sizeof(deep)), -ERROR_PROTOCOL);
}
END_TEST

START_TEST(mixed_kinds)
{
	static const struct {
		const char *data;
		size_t size;
	} frames[] = {
#define FRAME(text) {text, sizeof(text) - 1}
		FRAME("\x80"),
		FRAME("\x90"),
		FRAME("\xc0"),
		FRAME("\x01"),
		FRAME("\x81\xa2id\x01"),
		FRAME("\x81\xa4"
		      "body\x80"),				 /* of what? */
		FRAME("\x82\xa2id\x00\xa2op\xa4ping"),		 /* 0 is no id */
		FRAME("\x82\xa2id\xff\xa2op\xa4ping"),		 /* nor is -1 */
		FRAME("\x82\xa2id\x01\xa2op\x01"),		 /* op is a text */
		FRAME("\x83\xa2id\x01\xa2id\x01\xa2op\xa4ping"), /* twice */
		FRAME("\x83\xa2id\x01\xa2op\xa4ping\xa5"
		      "event\xa4ping"),
		FRAME("\x82\xa2id\x01\xa5"
		      "event\xa5grown"), /* events have none */
		FRAME("\x82\xa2id\x01\xa5"
		      "error\x80"), /* no code */
		FRAME("\x82\xa2id\x01\xa5"
		      "error\x81\xa4"
		      "code\x00"),
		FRAME("\x82\xa2id\x01\xa5"
		      "error\xc0"),
		FRAME("\x82\xa2id\x01\xa4"
		      "body\xc0"),			   /* body is a map */
		FRAME("\x81\x01\x01"),			   /* keys are texts */
		FRAME("\x82\xa2id\x01\xa2op\xa4ping\x01"), /* something behind */
#undef FRAME
	};

	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++)
		ck_assert_msg(swallow(frames[i].data, frames[i].size) == -ERROR_PROTOCOL, "frame %zu", i);
}
END_TEST

UNIT_MAIN("proto/garbage", every_truncation, every_flipped_bit, noise, size_bombs, depth_bombs, mixed_kinds)
