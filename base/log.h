/*
 * log.h: what the programs tell their operator. Never called by library code.
 *
 *     log_warning("client dropped", LOG_INT("pid", pid), LOG_TEXT("why", "queue full"));
 *
 * writes one line to stderr, in one write, so that lines of several threads do not mix:
 *
 *     2026-02-03T04:05:06.789Z warning: client dropped pid=4711 why="queue full"       to people
 *     <4>client dropped pid=4711 why="queue full"                          to systemd's journal
 *
 * The message is fixed text; what varies goes into fields. Values from outside cannot forge lines or
 * fields: a value with blanks, quotes, '=', or control characters is quoted and escaped. A line that is
 * too long is cut, and ends with "...".
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stddef.h>
#include <stdint.h>

/* The numbers are syslog's priorities, which the journal expects. */
enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_NOTICE = 5,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7,
};

struct log_field {
	const char *key;
	enum log_kind { LOG_KIND_NONE, LOG_KIND_INT, LOG_KIND_UINT, LOG_KIND_TEXT, LOG_KIND_CODE } kind;
	union {
		int64_t i;
		uint64_t u;
		const char *text;
	};
};

/* Fields: a signed or unsigned number, a text (NULL shows as "-"), an error code by its name. */
#define LOG_INT(name, value)  ((struct log_field){.key = (name), .kind = LOG_KIND_INT, .i = (value)})
#define LOG_UINT(name, value) ((struct log_field){.key = (name), .kind = LOG_KIND_UINT, .u = (value)})
#define LOG_TEXT(name, value) ((struct log_field){.key = (name), .kind = LOG_KIND_TEXT, .text = (value)})
#define LOG_CODE(name, value) ((struct log_field){.key = (name), .kind = LOG_KIND_CODE, .i = (value)})

#define log_error(message, ...)   log_at(LOG_LEVEL_ERROR, message, ##__VA_ARGS__)
#define log_warning(message, ...) log_at(LOG_LEVEL_WARNING, message, ##__VA_ARGS__)
#define log_notice(message, ...)  log_at(LOG_LEVEL_NOTICE, message, ##__VA_ARGS__)
#define log_info(message, ...)    log_at(LOG_LEVEL_INFO, message, ##__VA_ARGS__)
#define log_debug(message, ...)   log_at(LOG_LEVEL_DEBUG, message, ##__VA_ARGS__)

/* The first, empty element lets a message have no fields. */
#define log_at(level, message, ...)                                                                          \
	log_write((level), (message), (const struct log_field[]){{.key = NULL}, ##__VA_ARGS__},              \
		  sizeof((const struct log_field[]){{.key = NULL}, ##__VA_ARGS__}) / sizeof(struct log_field))

/*
 * Sets the least important level that is still written (LOG_LEVEL_INFO before the first call), and looks
 * whether stderr is the journal. Call before starting threads, and again after stderr was replaced.
 */
void log_setup(enum log_level most);

/* The level for a name ("error" … "debug"), or -ERROR_INVALID. */
int log_level_parse(const char *name, enum log_level *_level);

/*
 * Behind the macros: writes the line if level is wanted. fields[0] is not looked at. Keeps errno.
 * Thread-safe. Errors of writing are ignored: there is nobody left to tell.
 */
void log_write(enum log_level level, const char *message, const struct log_field *fields, size_t count);

#endif
