/*
 * log.c: one line per event, built on the stack and written at once.
 */
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/macros.h"

#define LINE_MAX_BYTES 2048

static const char cut_mark[] = "...\n";

struct line {
	size_t used;
	bool cut;
	char text[LINE_MAX_BYTES];
};

/* Written before threads exist (log_setup), read by all. */
static struct {
	enum log_level most;
	bool journal;
} settings = {.most = LOG_LEVEL_INFO};

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_WARNING] = "warning", [LOG_LEVEL_NOTICE] = "notice",
	[LOG_LEVEL_INFO] = "info",   [LOG_LEVEL_DEBUG] = "debug",
};

/* systemd names the journal's socket as DEVICE:INODE; stderr may have been redirected since. */
static bool stderr_is_journal(void)
{
	const char *named = getenv("JOURNAL_STREAM");
	char own[64];
	struct stat st;

	if (!named || fstat(STDERR_FILENO, &st) < 0)
		return false;
	snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(named, own) == 0;
}

void log_setup(enum log_level most)
{
	settings.most = most;
	settings.journal = stderr_is_journal();
}

int log_level_parse(const char *name, enum log_level *_level)
{
	for (size_t i = LOG_LEVEL_ERROR; i < ARRAY_SIZE(level_names); i++) {
		if (strcmp(name, level_names[i]) == 0) {
			*_level = (enum log_level)i;
			return 0;
		}
	}
	return -ERROR_INVALID;
}

/* Room that text may fill: what is left after keeping place for the end of a cut line. */
static size_t line_room(const struct line *line)
{
	return sizeof(line->text) - sizeof(cut_mark) - line->used;
}

static void line_add(struct line *line, const char *text, size_t size)
{
	if (line->cut || size > line_room(line)) {
		line->cut = true;
		return;
	}
	memcpy(line->text + line->used, text, size);
	line->used += size;
}

__attribute__((format(printf, 2, 3))) static void line_print(struct line *line, const char *format, ...)
{
	char piece[64];
	va_list arguments;
	int size;

	va_start(arguments, format);
	size = vsnprintf(piece, sizeof(piece), format, arguments);
	va_end(arguments);
	if (size > 0)
		line_add(line, piece, MIN((size_t)size, sizeof(piece) - 1));
}

static bool needs_quotes(const char *text)
{
	if (*text == '\0')
		return true;
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c <= ' ' || c == 0x7f || c == '"' || c == '=' || c == '\\')
			return true;
	}
	return false;
}

static void line_add_value(struct line *line, const char *text)
{
	if (!text)
		text = "-";
	if (!needs_quotes(text)) {
		line_add(line, text, strlen(text));
		return;
	}
	line_add(line, "\"", 1);
	for (; *text && !line->cut; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < ' ' || c == 0x7f)
			line_print(line, "\\x%02x", c);
		else if (c == '"' || c == '\\')
			line_print(line, "\\%c", c);
		else
			line_add(line, text, 1);
	}
	line_add(line, "\"", 1);
}

static void line_add_field(struct line *line, const struct log_field *field)
{
	line_add(line, " ", 1);
	line_add(line, field->key, strlen(field->key));
	line_add(line, "=", 1);
	switch (field->kind) {
	case LOG_KIND_INT:
		line_print(line, "%" PRId64, field->i);
		break;
	case LOG_KIND_UINT:
		line_print(line, "%" PRIu64, field->u);
		break;
	case LOG_KIND_TEXT:
		line_add_value(line, field->text);
		break;
	case LOG_KIND_CODE:
		line_add_value(line, error_name((int)field->i));
		break;
	case LOG_KIND_NONE:
		break;
	}
}

static void line_add_prefix(struct line *line, enum log_level level)
{
	struct timespec now;
	struct tm utc;
	char date[32];

	if (settings.journal) {
		line_print(line, "<%d>", (int)level);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &utc);
	line_print(line, "%s.%03ldZ ", date, now.tv_nsec / 1000000);
	line_print(line, "%s: ", level_names[level]);
}

void log_write(enum log_level level, const char *message, const struct log_field *fields, size_t count)
{
	struct line line;
	int saved = errno;
	ssize_t written;

	if (level > settings.most)
		return;
	line.used = 0;
	line.cut = false;
	line_add_prefix(&line, level);
	line_add(&line, message, strlen(message));
	for (size_t i = 1; i < count; i++)
		line_add_field(&line, &fields[i]);

	/* line_room() kept the place for this. */
	memcpy(line.text + line.used, line.cut ? cut_mark : "\n", line.cut ? strlen(cut_mark) : 1);
	line.used += line.cut ? strlen(cut_mark) : 1;
	do
		written = write(STDERR_FILENO, line.text, line.used);
	while (written < 0 && errno == EINTR);
	errno = saved;
}
