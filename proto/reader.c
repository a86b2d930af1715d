/*
 * reader.c: first the four bytes of the length, then the map, each read no further than its end.
 */
#include "proto/reader.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/macros.h"
#include "proto/socket.h"

#define LENGTH_SIZE 4
/* Read at once at most, so that an announced length costs memory only as its bytes arrive. */
#define PIECE 4096

void proto_reader_init(struct proto_reader *reader, uint32_t limit)
{
	*reader = (struct proto_reader){.limit = limit, .fd = -1};
}

void proto_reader_fini(struct proto_reader *reader)
{
	free(reader->buffer);
	fd_close(reader->fd);
	*reader = (struct proto_reader){.fd = -1};
}

static uint32_t announced(const struct proto_reader *reader)
{
	const uint8_t *length = reader->buffer;

	return length[0] | (uint32_t)length[1] << 8 | (uint32_t)length[2] << 16 | (uint32_t)length[3] << 24;
}

/* Bytes at which the part being read ends: of the length first, then of the whole frame. */
static size_t part_end(const struct proto_reader *reader)
{
	return reader->filled < LENGTH_SIZE ? LENGTH_SIZE : (size_t)LENGTH_SIZE + announced(reader);
}

static int make_room(struct proto_reader *reader, size_t size)
{
	size_t capacity = reader->capacity ? reader->capacity : 512;
	uint8_t *grown;

	while (capacity < size)
		capacity *= 2;
	if (capacity == reader->capacity)
		return 0;
	grown = realloc(reader->buffer, capacity);
	if (!grown)
		return -ERROR_NO_MEMORY;
	reader->buffer = grown;
	reader->capacity = capacity;
	return 0;
}

/* The frame before was given out whole: start anew. Its buffer stays, unless it was an unusually large one.
 */
static void forget_frame(struct proto_reader *reader)
{
	reader->fd = fd_close(reader->fd);
	reader->filled = 0;
	if (reader->capacity > 4 * PIECE) {
		free(reader->buffer);
		reader->buffer = NULL;
		reader->capacity = 0;
	}
}

static bool is_complete(const struct proto_reader *reader)
{
	return reader->filled > LENGTH_SIZE && reader->filled == part_end(reader);
}

static int read_piece(struct proto_reader *reader, int socket)
{
	size_t end = part_end(reader), size = MIN(end - reader->filled, (size_t)PIECE), done;
	int r = make_room(reader, reader->filled + size);

	if (r)
		return r;
	r = proto_receive(socket, reader->buffer + reader->filled, size, &reader->fd, &done);
	if (r == -ERROR_CONNECTION && reader->filled > 0)
		return -ERROR_PROTOCOL;
	if (r)
		return r;
	reader->filled += done;
	if (reader->filled == LENGTH_SIZE && (announced(reader) == 0 || announced(reader) > reader->limit))
		return -ERROR_PROTOCOL;
	return 0;
}

int proto_reader_next(struct proto_reader *reader, int socket, const void **_data, size_t *_size)
{
	int r;

	if (is_complete(reader))
		forget_frame(reader);
	while (!is_complete(reader)) {
		r = read_piece(reader, socket);
		if (r)
			return r;
	}
	*_data = reader->buffer + LENGTH_SIZE;
	*_size = reader->filled - LENGTH_SIZE;
	return 0;
}

int proto_reader_wait(struct proto_reader *reader, int socket, uint64_t deadline, const void **_data,
		      size_t *_size)
{
	int r;

	for (;;) {
		r = proto_reader_next(reader, socket, _data, _size);
		if (r != -ERROR_BUSY)
			return r;
		r = proto_wait_readable(socket, deadline);
		if (r)
			return r;
	}
}

int proto_reader_steal_fd(struct proto_reader *reader)
{
	return steal_fd(&reader->fd);
}
