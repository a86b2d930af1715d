/*
 * emsctl.h: what the commands of emsctl share.
 *
 * emsctl is one process, one thread, one command. A command is a function that parses its own arguments,
 * talks to the daemon through <ems.h>, writes its result to stdout and its troubles to stderr, and returns
 * an exit code. Memory may be left to the end of the process; the connection is closed in order.
 *
 *     main.c          global options, the table of commands, help
 *     options.c       the arguments of a command; durations
 *     report.c        troubles, and which exit code each has
 *     connection.c    the daemon and the heap
 *     key.c value.c value_out.c tag.c info_out.c
 *                     keys and values as words on the command line, and as text or JSON
 *     json.c json_check.c json_read.c binary.c table.c text_out.c
 *                     formats
 *     list.c inspect.c create.c drop.c chmod.c rename.c clients.c quota.c stat.c check.c get.c set.c keys.c ping.c
 *                     the commands
 *     grow.c dump.c load.c
 *     dump_line.c progress.c new_file.c
 *                     the lines of a dump; the bar on a terminal, and signals; files that appear when they are whole
 *     backup.c        backup, verify, restore
 *     bench.c measure.c limit.c
 *                     what operations cost here
 *     run.c run_member.c run_watch.c run_lines.c
 *                     the one that starts programs; see run.h
 */
#ifndef CLIENT_EMSCTL_EMSCTL_H
#define CLIENT_EMSCTL_EMSCTL_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/ems.h"

/* Exit codes, documented in emsctl(1). They are stable. */
enum exit_code {
	EXIT_DONE = 0,
	EXIT_NO = 1,	     /* no such heap or key, the time is up, or the user said no */
	EXIT_USAGE = 2,	     /* wrong command line, or a value that is not of its type */
	EXIT_NO_DAEMON = 3,  /* no daemon, or the connection broke */
	EXIT_PERMISSION = 4, /* the heap's mode, or the socket's, does not admit the user */
	EXIT_OTHER = 5,
};

/* What the user wants of all commands. */
struct settings {
	const char *socket; /* NULL: the library's choice */
	bool json;
	bool colour; /* stdout is a terminal that wants colours */
};
extern struct settings settings;

struct command {
	const char *name;
	const char *synopsis; /* arguments, for the usage line */
	const char *summary;  /* a line for the list of commands */
	const char *help;     /* options and remarks, each line ended */
	int (*run)(int argc, char **argv);
};

extern const struct command command_list, command_inspect, command_create, command_drop, command_get,
	command_set, command_keys, command_sync, command_run, command_ping, command_bench, command_version, command_chmod, command_chown,
	command_rename, command_clients, command_kick, command_quota, command_stat, command_grow,
	command_dump, command_load, command_check, command_backup, command_verify, command_restore;

/* ---- options.c ---- */

/* Each command's own options come first, then these, which all have. */
#define COMMON_OPTIONS                                                      \
	{"help", no_argument, NULL, 'h'}, {"json", no_argument, NULL, 'j'}, \
		{"socket", required_argument, NULL, 'S'},                   \
	{                                                                   \
		NULL, 0, NULL, 0                                            \
	}

/* A command line being read. words: those that are no options, in their order, NULL at the end. */
struct arguments {
	const struct command *command;
	int argc;
	char **argv;
	char **words;
	int count;
	bool until_word; /* options end at the first word: what follows is another program's */
};

void arguments_init(struct arguments *arguments, const struct command *command, int argc, char **argv);
/*
 * The next option's letter, its argument in optarg, or -1 at the end. Options and words may be mixed; a word
 * that looks like a negative number is a word, not an option; after "--" all are words. The common options
 * are dealt with here. Help and errors end the process.
 */
int arguments_next(struct arguments *arguments, const char *letters, const struct option *options);
/* Ends the process with a usage error unless there are that many words. */
void arguments_expect(const struct arguments *arguments, int least, int most);

/* The options --string-key and --key-type, --timeout: end the process on nonsense. */
uint64_t duration_parse_or_exit(const struct command *command, const char *text); /* ns; "1.5s", "10m", "2" */

/* Octal permission bits: "0640". */
uint32_t mode_parse_or_exit(const struct command *command, const char *text);

/* ---- report.c ---- */

/* Tells what the library's last error was, and returns its exit code: `return report_failure();`. */
int report_failure(void);
/* The exit code of an EMS_E… code, positive or negative. */
int exit_code_of(int error);
/* A trouble of our own, without "emsctl: " and full stop. Returns code. */
int report(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A wrong command line: says so, points to --help, ends the process. command may be NULL. */
void usage_error(const struct command *command, const char *format, ...)
	__attribute__((format(printf, 2, 3), noreturn));

/* ---- connection.c ---- */

/*
 * Connects to the daemon, and opens a heap. Both return 0 or an exit code, after reporting. There is one
 * connection, which disconnect() closes with all that was opened through it.
 */
int connect_daemon(ems_connection_t **_connection);
int attach_heap(const char *name, bool read_only, ems_heap_t **_heap);
/* The same to a daemon that runs already. Reports nothing; returns the library's code. */
int connect_running(ems_connection_t **_connection);
void disconnect(void);

#endif
