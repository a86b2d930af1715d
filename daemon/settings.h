/*
 * settings.h: the settings: built-in defaults, then emsd.conf, then the command line. emsd.conf(5) describes
 * the file.
 */
#ifndef DAEMON_SETTINGS_H
#define DAEMON_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/log.h"
#include "proto/paths.h"

/* What one user may have at a time. 0: no limit. */
struct user_limits {
	uint64_t bytes;
	uint32_t heaps, clients, slots;
};

struct user_override {
	uid_t uid;
	struct user_limits limits;
};

struct config {
	char socket[PROTO_PATH_SIZE];
	char state_dir[PROTO_PATH_SIZE];
	enum log_level log_level;
	uint64_t exit_idle; /* seconds without clients and volatile heaps after which the daemon ends; 0:
			       never */
	uint64_t keep_seconds; /* after an orderly end, a keeper leaves heaps to the next daemon for so long */

	uint32_t checkpoint_ms; /* between checkpoints of persistent heaps that ask for nothing else; 0: only on demand */

	uint64_t total_bytes; /* of all heaps */
	uint64_t heap_bytes;  /* of one heap that asks for nothing else; and the most that one may ask for */
	uint32_t clients, heaps;
	uint64_t queue_bytes;	 /* of answers and events waiting for one client */
	struct user_limits user; /* of those without an override */

	struct user_override *overrides; /* malloc'ed */
	size_t override_count;
};

#define CONFIG_PROBLEM_SIZE 512

/*
 * The defaults: limits of memory follow from the machine's. For config_fini. user_mode: of a per-user daemon;
 * its paths can fail, then they are left empty.
 */
void config_init(struct config *config, bool user_mode);
void config_fini(struct config *config);

/*
 * Reads the file over what is there. Each problem is passed to report, as "FILE:LINE: what is wrong"; all of
 * the file is looked at. -ERROR_INVALID: there were some. -ERROR_NOT_FOUND: no such file (not reported).
 */
int config_read(struct config *config, const char *path, void (*report)(const char *problem));

/* The limits of a user. */
const struct user_limits *config_limits_of(const struct config *config, uid_t uid);

#endif
