/*
 * options.h: the command line of emsd. emsd(8) describes it.
 */
#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"

struct options {
	bool user, check_config, help, version;
	const char *socket, *state_dir, *config; /* NULL: not given */
	bool has_log_level, has_exit_idle, has_keep_seconds;
	enum log_level log_level;
	uint64_t exit_idle, keep_seconds;
	uint64_t fd_store; /* descriptors that the service manager keeps; 0: none */
	uint64_t keeper;   /* not 0: be the keeper whose socket this inode is */
	int ready_fd; /* -1: none */
};

/* Texts stay those of argv. -ERROR_INVALID: it has told what is wrong, on stderr. */
int options_parse(struct options *options, int argc, char **argv);

/* Prints what --help prints. */
void options_help(void);

#endif
