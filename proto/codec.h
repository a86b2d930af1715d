/*
 * codec.h: messages to frames, and frames to messages.
 *
 * Encoding appends whole frames, with their length, to a buffer that may hold several. Decoding takes a
 * frame's map (what proto_reader yields), first as a whole:
 *
 *     proto_parse(data, size, &message)     is it well-formed; what kind; which id
 *     proto_decode_request(&message, …)     then its body, into the struct of its op
 *
 * No count, length or depth of a frame is believed: what exceeds the frame or a limit is -ERROR_PROTOCOL.
 * All functions are safe in any thread, each object in one at a time.
 */
#ifndef PROTO_CODEC_H
#define PROTO_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "proto/message.h"

/* Frames to be sent. {0} is an empty one; freed by proto_buffer_fini. */
struct proto_buffer {
	uint8_t *data;
	size_t size, capacity;
};

void proto_buffer_fini(struct proto_buffer *buffer);

/*
 * Append a frame. body: the request, reply or event struct of that op or event.
 * id: of the request, chosen by the client, not 0; 0 only for trim: the frame has no id then.
 * 0; -ERROR_NO_MEMORY; -ERROR_RANGE: a body that does not fit a frame, or a text, enum or count of it that is
 * none. After an error the buffer is as before.
 */
int proto_encode_request(struct proto_buffer *buffer, uint64_t id, enum proto_op op, const void *body);
int proto_encode_reply(struct proto_buffer *buffer, uint64_t id, enum proto_op op, const void *body);
/* code: negated or not. text: may be NULL, then the code's own; what is not UTF-8 is not sent, nor what is
 * too long. */
int proto_encode_error(struct proto_buffer *buffer, uint64_t id, int code, const char *text);
int proto_encode_event(struct proto_buffer *buffer, enum proto_event event, const void *body);

enum proto_kind { PROTO_KIND_REQUEST = 1, PROTO_KIND_REPLY, PROTO_KIND_ERROR, PROTO_KIND_EVENT };

struct proto_error {
	int code; /* negative; -ERROR_SYSTEM for a number that this code does not know */
	char message[PROTO_ERROR_MAX + 1];
};

struct proto_message {
	enum proto_kind kind;
	uint64_t id;	  /* 0: none */
	enum proto_op op; /* of a request */
	enum proto_event event;
	struct proto_error error;
	const uint8_t *body; /* in the frame; NULL when it has none */
	size_t body_size;
};

/*
 * Looks at a frame. data must stay until message and what was decoded from it are no longer used.
 * -ERROR_PROTOCOL: malformed, not one of the kinds, or beyond a limit: the connection is to be closed.
 */
int proto_parse(const void *data, size_t size, struct proto_message *message);

/*
 * Decode the body into its struct, whole: also what is absent. *_field, unless NULL, becomes the name of the
 * field that is at fault (static). -ERROR_PROTOCOL: a required field is missing, or one is of the wrong type
 * or out of its range. The frame is well-formed nevertheless, and the connection can go on.
 */
int proto_decode_request(const struct proto_message *message, void *body, const char **_field);
int proto_decode_reply(const struct proto_message *message, enum proto_op op, void *body,
		       const char **_field);
int proto_decode_event(const struct proto_message *message, void *body, const char **_field);

#endif
