/*
 * run_lines.c: many streams into two, a line at a time.
 *
 * A stream is read while its sink has nothing waiting, so that a slow reader of our output slows the members
 * down, as it would without us, and memory stays bounded: by a line for each stream, and what one read makes for each sink.
 * A sink is written to when poll says that it takes PIPE_BUF bytes: so much never blocks, and signals are
 * not kept waiting. When standard output and standard error are one file they are one sink.
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/macros.h"
#include "client/emsctl/emsctl.h"
#include "client/emsctl/run.h"

#define LINE_MOST  65536 /* a longer one is broken */
#define PIECE	   65536 /* read at once */
#define FIRST_ROOM 256

static bool are_one_file(int one, int other)
{
	struct stat a, b;

	return fstat(one, &a) == 0 && fstat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

void run_lines_init(struct run *run)
{
	bool one = are_one_file(STDOUT_FILENO, STDERR_FILENO);

	run->sinks[0].fd = STDOUT_FILENO;
	run->sinks[1].fd = STDERR_FILENO;
	for (int i = 0; i < run->count; i++) {
		run->members[i].streams[0] = (struct stream){.fd = -1, .sink = &run->sinks[0]};
		run->members[i].streams[1] = (struct stream){.fd = -1, .sink = &run->sinks[one ? 0 : 1]};
	}
}

/* Without memory we end, and with us the members. */
static void add(char **data, size_t *used, size_t *room, const char *text, size_t size)
{
	size_t wanted = *room ? *room : FIRST_ROOM;

	while (wanted - *used < size)
		wanted *= 2;
	if (wanted != *room) {
		char *larger = realloc(*data, wanted);

		if (!larger)
			exit(report(EXIT_OTHER, "out of memory"));
		*data = larger;
		*room = wanted;
	}
	memcpy(*data + *used, text, size);
	*used += size;
}

static void sink_add(struct sink *sink, const char *text, size_t size)
{
	if (!sink->broken)
		add(&sink->data, &sink->used, &sink->room, text, size);
}

static void sink_write(struct sink *sink)
{
	ssize_t done =
		write(sink->fd, sink->data + sink->sent, MIN(sink->used - sink->sent, (size_t)PIPE_BUF));

	if (done < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (done < 0)
		sink->broken = true;
	else
		sink->sent += (size_t)done;
	if (sink->broken || sink->sent == sink->used)
		sink->sent = sink->used = 0;
}

void run_say(struct run *run, const char *format, ...)
{
	struct sink *sink = run->members[0].streams[1].sink;
	char text[1024];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (!run->prefix) {
		(void)report(0, "%s", text);
		return;
	}
	sink_add(sink, "emsctl: ", 8);
	sink_add(sink, text, MIN((size_t)length, sizeof(text) - 1));
	sink_add(sink, "\n", 1);
}

/* What begins each line of a member. */
struct prefix {
	char text[16];
	size_t size;
};

static struct prefix prefix_of(int id)
{
	struct prefix prefix;

	prefix.size = (size_t)snprintf(prefix.text, sizeof(prefix.text), "[%d] ", id);
	return prefix;
}

/* A whole line, of which `text` is the rest; without the "\n". */
static void line_end(struct stream *stream, const struct prefix *prefix, const char *text, size_t size)
{
	sink_add(stream->sink, prefix->text, prefix->size);
	if (stream->used > 0)
		sink_add(stream->sink, stream->line, stream->used);
	sink_add(stream->sink, text, size);
	sink_add(stream->sink, "\n", 1);
	stream->used = 0;
}

static void take_text(struct stream *stream, int id, const char *text, size_t size)
{
	const struct prefix prefix = prefix_of(id);

	while (size > 0) {
		size_t most = MIN(size, LINE_MOST - stream->used);
		const char *end = memchr(text, '\n', most);
		size_t length = end ? (size_t)(end - text) : most;

		if (end || stream->used + length == LINE_MOST)
			line_end(stream, &prefix, text, length);
		else
			add(&stream->line, &stream->used, &stream->room, text, length);
		length += end != NULL;
		text += length;
		size -= length;
	}
}

static void finish(struct stream *stream, int id)
{
	const struct prefix prefix = prefix_of(id);

	if (stream->used > 0)
		line_end(stream, &prefix, "", 0);
	free(stream->line);
	*stream = (struct stream){.fd = fd_close(stream->fd), .sink = stream->sink};
}

static void take_stream(struct stream *stream, int id)
{
	static char piece[PIECE];
	ssize_t size = read(stream->fd, piece, sizeof(piece));

	if (size > 0)
		take_text(stream, id, piece, (size_t)size);
	else if (size == 0 || (errno != EAGAIN && errno != EINTR))
		finish(stream, id);
}

size_t run_lines_poll(struct run *run, struct pollfd *items)
{
	size_t count = 0;

	if (!run->prefix)
		return 0;
	for (int i = 0; i < 2; i++, count++)
		items[count] = (struct pollfd){.fd = run->sinks[i].used > 0 ? run->sinks[i].fd : -1,
					       .events = POLLOUT};
	for (int i = 0; i < 2 * run->count; i++, count++) {
		const struct stream *stream = &run->members[i / 2].streams[i % 2];

		items[count] =
			(struct pollfd){.fd = stream->sink->used > 0 ? -1 : stream->fd, .events = POLLIN};
	}
	return count;
}

/* Whether there was something to be polled is read from the items: signals that came between may have added to a sink. */
void run_lines_take(struct run *run, const struct pollfd *items, size_t count, bool last)
{
	for (size_t i = 0; i < 2 && i < count; i++)
		if (items[i].fd >= 0 && items[i].revents)
			sink_write(&run->sinks[i]);
	for (size_t i = 2; i < count; i++) {
		int id = (int)(i - 2) / 2;
		struct stream *stream = &run->members[id].streams[i % 2];

		if (stream->fd < 0)
			continue;
		/* A member that writes where nobody reads shall find out as it would without us. */
		if (stream->sink->broken)
			finish(stream, id);
		else if (items[i].fd >= 0 && items[i].revents)
			take_stream(stream, id);
		else if (items[i].fd >= 0 && last)
			finish(stream, id);
	}
}

bool run_lines_pending(const struct run *run)
{
	return run->sinks[0].used > 0 || run->sinks[1].used > 0;
}

bool run_lines_open(const struct run *run)
{
	if (!run->prefix)
		return false;
	for (int i = 0; i < 2 * run->count; i++)
		if (run->members[i / 2].streams[i % 2].fd >= 0)
			return true;
	return false;
}
