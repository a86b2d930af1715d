/*
 * settings.c: reading emsd.conf.
 *
 *     # a comment                    to the end of the line
 *     [section]
 *     setting = value
 */
#include "daemon/settings.h"

#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/macros.h"
#include "base/text.h"
#include "daemon/machine.h"

#define LINE_SIZE 4608 /* more than a path */

/* Where in the file we are, and what was found so far. */
struct place {
	const char *path;
	unsigned line;
	bool failed;
	void (*report)(const char *problem);
	enum section { SECTION_NONE, SECTION_DAEMON, SECTION_LIMITS, SECTION_USER } section;
	size_t override; /* of SECTION_USER */
};

static void fclosep(FILE **file)
{
	if (*file)
		fclose(*file);
}

__attribute__((format(printf, 2, 3))) static void problem(struct place *place, const char *format, ...)
{
	char text[CONFIG_PROBLEM_SIZE];
	va_list arguments;
	int start = snprintf(text, sizeof(text), "%.255s:%u: ", place->path, place->line);

	va_start(arguments, format);
	vsnprintf(text + start, sizeof(text) - (size_t)start, format, arguments);
	va_end(arguments);
	place->failed = true;
	place->report(text);
}

void config_init(struct config *config, bool user_mode)
{
	uint64_t memory = machine_memory() / 4 * 3;

	*config = (struct config){
		.log_level = LOG_LEVEL_INFO,
		.exit_idle = user_mode ? 30 : 0,
		.keep_seconds = 600,
		.checkpoint_ms = 1000,
		.total_bytes = memory,
		.heap_bytes = memory,
		.clients = 4096,
		.heaps = 16384,
		.queue_bytes = UINT64_C(1) << 20,
		.user = {.bytes = user_mode ? memory : memory / 3 * 2, .heaps = 4096, .clients = 1024},
	};
	if (!user_mode) {
		strcpy(config->socket, PROTO_SYSTEM_SOCKET);
		strcpy(config->state_dir, PROTO_SYSTEM_STATE);
		return;
	}
	if (proto_user_socket_path(config->socket, sizeof(config->socket)))
		config->socket[0] = '\0';
	if (proto_user_state_path(config->state_dir, sizeof(config->state_dir)))
		config->state_dir[0] = '\0';
}

void config_fini(struct config *config)
{
	free(config->overrides);
	config->overrides = NULL;
	config->override_count = 0;
}

const struct user_limits *config_limits_of(const struct config *config, uid_t uid)
{
	for (size_t i = 0; i < config->override_count; i++)
		if (config->overrides[i].uid == uid)
			return &config->overrides[i].limits;
	return &config->user;
}

/* The override of a user, made from the general limits when there is none yet. */
static int find_override(struct config *config, uid_t uid, size_t *_index)
{
	struct user_override *grown;

	for (size_t i = 0; i < config->override_count; i++) {
		if (config->overrides[i].uid == uid) {
			*_index = i;
			return 0;
		}
	}
	grown = realloc(config->overrides, (config->override_count + 1) * sizeof(*grown));
	if (!grown)
		return -ERROR_NO_MEMORY;
	config->overrides = grown;
	grown[config->override_count] = (struct user_override){.uid = uid, .limits = config->user};
	*_index = config->override_count++;
	return 0;
}

static int find_user(const char *name, uid_t *_uid)
{
	struct passwd entry, *found = NULL;
	char room[4096];
	uint64_t number;

	if (text_parse_uint(name, 0, UINT32_MAX - 1, &number) == 0) {
		*_uid = (uid_t)number;
		return 0;
	}
	if (getpwnam_r(name, &entry, room, sizeof(room), &found) || !found)
		return -ERROR_NOT_FOUND;
	*_uid = found->pw_uid;
	return 0;
}

static void read_section(struct config *config, struct place *place, char *text)
{
	char *end = strchr(text, ']');
	uid_t uid;

	place->section = SECTION_NONE;
	if (!end || end[1] != '\0') {
		problem(place, "a section is written [name]");
		return;
	}
	*end = '\0';
	if (strcmp(text, "[emsd") == 0)
		place->section = SECTION_DAEMON;
	else if (strcmp(text, "[limits") == 0)
		place->section = SECTION_LIMITS;
	else if (strncmp(text, "[user ", 6) != 0)
		problem(place, "no section %s]; there are [emsd], [limits] and [user NAME]", text);
	else if (find_user(text + 6, &uid))
		problem(place, "no user \"%s\"", text + 6);
	else if (find_override(config, uid, &place->override))
		problem(place, "out of memory");
	else
		place->section = SECTION_USER;
}

static void set_path(struct place *place, const char *setting, char *to, size_t size, const char *value)
{
	if (value[0] != '/')
		problem(place, "%s: \"%s\" is not an absolute path", setting, value);
	else if (strlen(value) >= size)
		problem(place, "%s: the path is longer than %zu bytes", setting, size - 1);
	else
		strcpy(to, value);
}

static void set_bytes(struct place *place, const char *setting, uint64_t *to, const char *value)
{
	if (text_parse_size(value, to))
		problem(place, "%s: \"%s\" is not a size such as 512 MiB", setting, value);
}

static void set_count(struct place *place, const char *setting, uint32_t *to, const char *value)
{
	uint64_t number;

	if (text_parse_uint(value, 0, UINT32_MAX, &number))
		problem(place, "%s: \"%s\" is not a number of 0 to 4294967295", setting, value);
	else
		*to = (uint32_t)number;
}

static bool set_daemon(struct config *config, struct place *place, const char *setting, const char *value)
{
	if (strcmp(setting, "socket") == 0) {
		set_path(place, setting, config->socket, PROTO_SOCKET_PATH_SIZE, value);
	} else if (strcmp(setting, "state_dir") == 0) {
		set_path(place, setting, config->state_dir, sizeof(config->state_dir), value);
	} else if (strcmp(setting, "log_level") == 0) {
		if (log_level_parse(value, &config->log_level))
			problem(place, "log_level: \"%s\" is none of error, warning, notice, info, debug",
				value);
	} else if (strcmp(setting, "exit_idle") == 0) {
		if (text_parse_uint(value, 0, UINT32_MAX, &config->exit_idle))
			problem(place, "exit_idle: \"%s\" is not a number of seconds", value);
	} else if (strcmp(setting, "keep_seconds") == 0) {
		if (text_parse_uint(value, 0, UINT32_MAX, &config->keep_seconds))
			problem(place, "keep_seconds: \"%s\" is not a number of seconds", value);
	} else if (strcmp(setting, "checkpoint_ms") == 0) {
		set_count(place, setting, &config->checkpoint_ms, value);
	} else {
		return false;
	}
	return true;
}

static bool set_limit(struct config *config, struct place *place, const char *setting, const char *value)
{
	if (strcmp(setting, "total_bytes") == 0)
		set_bytes(place, setting, &config->total_bytes, value);
	else if (strcmp(setting, "heap_bytes") == 0)
		set_bytes(place, setting, &config->heap_bytes, value);
	else if (strcmp(setting, "queue_bytes") == 0)
		set_bytes(place, setting, &config->queue_bytes, value);
	else if (strcmp(setting, "clients") == 0)
		set_count(place, setting, &config->clients, value);
	else if (strcmp(setting, "heaps") == 0)
		set_count(place, setting, &config->heaps, value);
	else if (strcmp(setting, "user_bytes") == 0)
		set_bytes(place, setting, &config->user.bytes, value);
	else if (strcmp(setting, "user_heaps") == 0)
		set_count(place, setting, &config->user.heaps, value);
	else if (strcmp(setting, "user_clients") == 0)
		set_count(place, setting, &config->user.clients, value);
	else if (strcmp(setting, "user_slots") == 0)
		set_count(place, setting, &config->user.slots, value);
	else
		return false;
	return true;
}

static bool set_override(struct user_limits *limits, struct place *place, const char *setting,
			 const char *value)
{
	if (strcmp(setting, "bytes") == 0)
		set_bytes(place, setting, &limits->bytes, value);
	else if (strcmp(setting, "heaps") == 0)
		set_count(place, setting, &limits->heaps, value);
	else if (strcmp(setting, "clients") == 0)
		set_count(place, setting, &limits->clients, value);
	else if (strcmp(setting, "slots") == 0)
		set_count(place, setting, &limits->slots, value);
	else
		return false;
	return true;
}

static void read_setting(struct config *config, struct place *place, const char *setting, const char *value)
{
	bool known = true;

	switch (place->section) {
	case SECTION_NONE:
		if (!place->failed)
			problem(place, "\"%s\" stands in no section", setting);
		break;
	case SECTION_DAEMON:
		known = set_daemon(config, place, setting, value);
		break;
	case SECTION_LIMITS:
		known = set_limit(config, place, setting, value);
		break;
	case SECTION_USER:
		known = set_override(&config->overrides[place->override].limits, place, setting, value);
		break;
	}
	if (!known)
		problem(place, "no setting \"%s\" in this section", setting);
}

/* Cuts blanks off both ends, in place. */
static char *trim(char *text)
{
	size_t size;

	text += strspn(text, " \t\r\n");
	size = strlen(text);
	while (size > 0 && strchr(" \t\r\n", text[size - 1]))
		size--;
	text[size] = '\0';
	return text;
}

static void read_line(struct config *config, struct place *place, char *line)
{
	char *value;

	line[strcspn(line, "#")] = '\0';
	line = trim(line);
	if (*line == '\0')
		return;
	if (*line == '[') {
		read_section(config, place, line);
		return;
	}
	value = strchr(line, '=');
	if (!value) {
		problem(place, "neither [section] nor setting = value: \"%s\"", line);
		return;
	}
	*value++ = '\0';
	read_setting(config, place, trim(line), trim(value));
}

int config_read(struct config *config, const char *path, void (*report)(const char *problem))
{
	_cleanup_(fclosep) FILE *file = fopen(path, "re");
	struct place place = {.path = path, .report = report};
	char line[LINE_SIZE];

	if (!file) {
		if (errno == ENOENT)
			return -ERROR_NOT_FOUND;
		problem(&place, "cannot be read: %s", strerror(errno));
		return -ERROR_INVALID;
	}
	while (fgets(line, sizeof(line), file)) {
		place.line++;
		if (!strchr(line, '\n') && !feof(file)) {
			problem(&place, "the line is too long");
			break;
		}
		read_line(config, &place, line);
	}
	if (ferror(file))
		problem(&place, "cannot be read: %s", strerror(errno));
	return place.failed ? -ERROR_INVALID : 0;
}
