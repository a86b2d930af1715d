/*
 * parse.c: the outermost map of a frame: what kind of message it is.
 */
#include <string.h>

#include "base/error.h"
#include "proto/codec.h"
#include "proto/unpack.h"

/* The parts of an envelope that were seen. */
struct envelope {
	bool has_id, has_op, has_event, has_error, has_body;
};

static int parse_id(const struct unpack_item *item, struct proto_message *message)
{
	if (item->kind != UNPACK_UINT || item->number == 0)
		return -ERROR_PROTOCOL;
	message->id = item->number;
	return 0;
}

static int parse_op(const struct unpack_item *item, struct proto_message *message)
{
	if (item->kind != UNPACK_STR)
		return -ERROR_PROTOCOL;
	for (unsigned op = 1; op < PROTO_OP_COUNT; op++)
		if (unpack_is_text(item, proto_op_name((enum proto_op)op)))
			message->op = (enum proto_op)op;
	return 0;
}

static int parse_event(const struct unpack_item *item, struct proto_message *message)
{
	if (item->kind != UNPACK_STR)
		return -ERROR_PROTOCOL;
	for (unsigned event = 1; event < PROTO_EVENT_COUNT; event++)
		if (unpack_is_text(item, proto_event_name((enum proto_event)event)))
			message->event = (enum proto_event)event;
	return 0;
}

/* Later versions may have codes that this one does not know: they are errors, of whatever kind. */
static int parse_code(const struct unpack_item *item, struct proto_error *error)
{
	if (item->kind != UNPACK_UINT || item->number == 0)
		return -ERROR_PROTOCOL;
	error->code = item->number < ERROR_COUNT ? -(int)item->number : -ERROR_SYSTEM;
	return 0;
}

static int parse_error_text(const struct unpack_item *item, struct proto_error *error)
{
	if (item->kind != UNPACK_STR || item->size > PROTO_ERROR_MAX || memchr(item->data, 0, item->size))
		return -ERROR_PROTOCOL;
	memcpy(error->message, item->data, item->size);
	error->message[item->size] = '\0';
	return 0;
}

/* {code, name, message}; the name is for people that read along, and skipped. */
static int parse_error(struct unpack unpack, struct proto_error *error)
{
	struct unpack_item map, key, item;
	int r;

	r = unpack_next(&unpack, &map);
	if (r || map.kind != UNPACK_MAP)
		return -ERROR_PROTOCOL;
	for (uint32_t pair = 0; pair < map.size; pair++) {
		struct unpack value;

		if (unpack_next(&unpack, &key))
			return -ERROR_PROTOCOL;
		value = unpack;
		if (unpack_skip(&unpack, PROTO_DEPTH_MAX) || unpack_next(&value, &item))
			return -ERROR_PROTOCOL;
		r = 0;
		if (unpack_is_text(&key, "code"))
			r = parse_code(&item, error);
		else if (unpack_is_text(&key, "message"))
			r = parse_error_text(&item, error);
		if (r)
			return r;
	}
	return error->code ? 0 : -ERROR_PROTOCOL;
}

/* Sets *flag; a key that comes twice is an error. */
static bool first_time(bool *flag)
{
	bool first = !*flag;

	*flag = true;
	return first;
}

/* One pair: `key`, and the value at [value, end). */
static int parse_pair(const struct unpack_item *key, struct unpack value, struct proto_message *message,
		      struct envelope *envelope)
{
	struct unpack peek = value;
	struct unpack_item item;

	if (unpack_next(&peek, &item))
		return -ERROR_PROTOCOL;
	if (unpack_is_text(key, "id"))
		return first_time(&envelope->has_id) ? parse_id(&item, message) : -ERROR_PROTOCOL;
	if (unpack_is_text(key, "op"))
		return first_time(&envelope->has_op) ? parse_op(&item, message) : -ERROR_PROTOCOL;
	if (unpack_is_text(key, "event"))
		return first_time(&envelope->has_event) ? parse_event(&item, message) : -ERROR_PROTOCOL;
	if (unpack_is_text(key, "error"))
		return first_time(&envelope->has_error) ? parse_error(value, &message->error)
							: -ERROR_PROTOCOL;
	if (unpack_is_text(key, "body")) {
		if (!first_time(&envelope->has_body) || item.kind != UNPACK_MAP)
			return -ERROR_PROTOCOL;
		message->body = value.at;
		message->body_size = (size_t)(value.end - value.at);
	}
	return 0;
}

/* Which kind the parts make; a mixture is none. */
static int settle_kind(const struct envelope *envelope, struct proto_message *message)
{
	if (envelope->has_op + envelope->has_event + envelope->has_error > 1)
		return -ERROR_PROTOCOL;
	if (envelope->has_op)
		message->kind = PROTO_KIND_REQUEST;
	else if (envelope->has_event && !envelope->has_id)
		message->kind = PROTO_KIND_EVENT;
	else if (envelope->has_error && !envelope->has_body)
		message->kind = PROTO_KIND_ERROR;
	else if (envelope->has_id && envelope->has_body)
		message->kind = PROTO_KIND_REPLY;
	else
		return -ERROR_PROTOCOL;
	return 0;
}

int proto_parse(const void *data, size_t size, struct proto_message *message)
{
	struct unpack unpack = {.at = data, .end = (const uint8_t *)data + size}, whole = unpack;
	struct envelope envelope = {0};
	struct unpack_item map, key;
	int r;

	memset(message, 0, sizeof(*message));
	/* Well-formed to its very end, before anything of it is looked at. */
	if (size > PROTO_FRAME_MAX || unpack_skip(&whole, PROTO_DEPTH_MAX) || whole.at != whole.end)
		return -ERROR_PROTOCOL;
	r = unpack_next(&unpack, &map);
	if (r || map.kind != UNPACK_MAP)
		return -ERROR_PROTOCOL;
	for (uint32_t pair = 0; pair < map.size; pair++) {
		struct unpack value;

		r = unpack_next(&unpack, &key);
		if (r || key.kind != UNPACK_STR)
			return -ERROR_PROTOCOL;
		value.at = unpack.at;
		r = unpack_skip(&unpack, PROTO_DEPTH_MAX);
		if (r)
			return r;
		value.end = unpack.at;
		r = parse_pair(&key, value, message, &envelope);
		if (r)
			return r;
	}
	return settle_kind(&envelope, message);
}
