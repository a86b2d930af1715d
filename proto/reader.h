/*
 * reader.h: frames from a socket, piece by piece, for both sides.
 *
 * It never reads beyond the frame it is at, so that a descriptor's frame is never in doubt. The buffer
 * grows with what arrives, not with what a length announces, and never beyond the limit.
 */
#ifndef PROTO_READER_H
#define PROTO_READER_H

#include <stddef.h>
#include <stdint.h>

struct proto_reader {
	uint8_t *buffer; /* the frame's length and map, as far as they are there */
	size_t capacity, filled;
	uint32_t limit; /* bytes of a map */
	int fd;		/* came with the frame; the reader's */
};

/* limit: most bytes of a frame's map, normally PROTO_FRAME_MAX. */
void proto_reader_init(struct proto_reader *reader, uint32_t limit);
void proto_reader_fini(struct proto_reader *reader);

/*
 * Reads on. 0: a frame is complete; *_data and *_size are its map, until the next call. Without waiting.
 * -ERROR_BUSY: not complete yet; wait until the socket is readable and call again.
 * -ERROR_CONNECTION: end of file between frames. -ERROR_PROTOCOL: a length that is 0 or over the limit, end
 * of file inside a frame, or see proto_receive. -ERROR_NO_MEMORY. After these the reader is only good for
 * _fini.
 */
int proto_reader_next(struct proto_reader *reader, int socket, const void **_data, size_t *_size);

/* The same, waiting until the deadline: -ERROR_TIMEOUT; call again to go on. */
int proto_reader_wait(struct proto_reader *reader, int socket, uint64_t deadline, const void **_data,
		      size_t *_size);

/* Takes the descriptor that came with the frame, -1 when none did. What is not taken is closed by the next
 * call. */
int proto_reader_steal_fd(struct proto_reader *reader);

#endif
