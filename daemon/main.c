/*
 * main.c: the start of emsd: settings, the lock, the socket, then the broker.
 */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "daemon/adopt.h"
#include "daemon/broker.h"
#include "daemon/disk.h"
#include "daemon/keeper.h"
#include "daemon/listen.h"
#include "daemon/options.h"
#include "daemon/service.h"
#include "daemon/settings.h"
#include "daemon/state.h"
#include "daemon/store.h"

/* For what is to be written at the end; a service manager has more. */
#define FINISH_PATIENCE (60 * NS_PER_S)

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_TAKEN = 3 };

#define DESCRIPTORS_OF_OUR_OWN 64u

static uint64_t descriptors; /* how many we may have */

static void report_problem(const char *problem)
{
	fprintf(stderr, "emsd: %s\n", problem);
}

/* A user's daemon has none unless told so. */
static const char *config_path(const struct options *options)
{
	return options->config ? options->config : options->user ? NULL : PROTO_SYSTEM_CONFIG;
}

/* A file that was asked for must be there; the default one need not. */
static int read_config(struct config *config, const struct options *options)
{
	const char *path = config_path(options);
	int r;

	if (!path)
		return 0;
	r = config_read(config, path, report_problem);
	if (r == -ERROR_NOT_FOUND && options->config)
		fprintf(stderr, "emsd: %s: no such file\n", path);
	return r == -ERROR_NOT_FOUND && !options->config ? 0 : r;
}

/* The command line has the last word. */
static int apply_options(struct config *config, const struct options *options)
{
	if (options->socket && strlen(options->socket) >= PROTO_SOCKET_PATH_SIZE) {
		fprintf(stderr, "emsd: --socket: the path is longer than %d bytes\n",
			PROTO_SOCKET_PATH_SIZE - 1);
		return -ERROR_NAME;
	}
	if (options->socket)
		snprintf(config->socket, sizeof(config->socket), "%s", options->socket);
	if (options->state_dir)
		snprintf(config->state_dir, sizeof(config->state_dir), "%s", options->state_dir);
	if (options->has_log_level)
		config->log_level = options->log_level;
	if (options->has_exit_idle)
		config->exit_idle = options->exit_idle;
	if (options->has_keep_seconds)
		config->keep_seconds = options->keep_seconds;
	if (!config->socket[0] || !config->state_dir[0]) {
		fprintf(stderr, "emsd: no %s for this user: give --socket and --state-dir\n",
			config->socket[0] ? "home directory" : "usable runtime directory");
		return -ERROR_NOT_FOUND;
	}
	return 0;
}

/* A client takes a descriptor, its process, which others may share, one, and a heap one: as many as the system lets us have. Yields how many. */
static uint64_t raise_descriptor_limit(const struct config *config)
{
	uint64_t wanted = UINT64_C(2) * config->clients + config->heaps + DESCRIPTORS_OF_OUR_OWN;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 0;
	if (limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	if (limit.rlim_cur < wanted)
		log_warning("fewer descriptors are allowed than the settings' clients and heaps would take",
			    LOG_UINT("allowed", limit.rlim_cur), LOG_UINT("wanted", wanted));
	return limit.rlim_cur;
}

/* The one who started us waits for this, or for the descriptor's end. */
static void tell_ready(const struct options *options, const struct config *config)
{
	log_notice("ready", LOG_TEXT("version", PACKAGE_VERSION), LOG_TEXT("socket", config->socket),
		   LOG_TEXT("state", config->state_dir), LOG_UINT("budget", config->total_bytes),
		   LOG_UINT("descriptors", descriptors));
	service_ready("0 clients, 0 heaps");
	if (options->ready_fd >= 0) {
		(void)fd_write_all(options->ready_fd, "\n", 1);
		fd_close(options->ready_fd);
	}
}

static int open_listener(const struct config *config, bool user, int *_fd, bool *_activated,
			 struct stored_list *stored)
{
	char message[LISTEN_MESSAGE_SIZE];
	int r = service_take_fds(_fd, stored);

	if (r) {
		log_error("the socket that was passed is not one listening Unix stream socket");
		return EXIT_FAILED;
	}
	*_activated = *_fd >= 0;
	if (*_activated)
		return 0;
	r = listen_open(config->socket, !user, _fd, message);
	if (!r)
		return 0;
	log_error(message);
	return r == -ERROR_BUSY ? EXIT_TAKEN : EXIT_FAILED;
}

static int serve(const struct options *options, struct config *config)
{
	_cleanup_(closep) int lock = -1;
	char message[STATE_MESSAGE_SIZE], socket_path[PROTO_PATH_SIZE];
	_cleanup_(stored_fini) struct stored_list stored = {0};
	uint64_t room = service_store_room(options->fd_store);
	struct broker broker;
	bool activated = false;
	int listener = -1, r;

	r = state_lock(config->state_dir, config->socket, &lock, message);
	if (r) {
		log_error(message);
		return r == -ERROR_BUSY ? EXIT_TAKEN : EXIT_FAILED;
	}
	r = open_listener(config, options->user, &listener, &activated, &stored);
	if (r)
		return r;
	strcpy(socket_path, config->socket);
	r = broker_init(&broker, config, options->user, listener, activated);
	if (r) {
		log_error("the event loop cannot be made", LOG_CODE("why", r));
		if (!activated)
			(void)unlink(socket_path);
		return EXIT_FAILED;
	}
	/* Clients may connect by now, and wait: what was there before them is put in order first. */
	r = store_open(&broker, broker.config.state_dir, room, broker.config.keep_seconds, &stored);
	if (!r)
		r = adopt(&broker, &stored);
	if (!r)
		r = disk_open(&broker);
	if (r) {
		log_error("what a former emsd left cannot be taken over", LOG_CODE("why", r));
	} else {
		broker.config_path = config_path(options);
		broker.log_level_said = options->has_log_level;
		tell_ready(options, &broker.config);
		broker_watch(&broker);
		broker_run(&broker);
	}
	disk_finish(&broker, FINISH_PATIENCE);
	/* Before the lock goes: whoever comes next finds neither the name nor, then, the lock. */
	if (!activated)
		(void)unlink(socket_path);
	broker_fini(&broker);
	log_notice("stopped");
	return r ? EXIT_FAILED : 0;
}

int main(int argc, char **argv)
{
	_cleanup_(config_fini) struct config config = {0};
	struct options options;

	if (options_parse(&options, argc, argv))
		return EXIT_USAGE;
	if (options.help) {
		options_help();
		return 0;
	}
	if (options.version) {
		puts("emsd " PACKAGE_VERSION);
		return 0;
	}
	if (options.keeper)
		return keeper_run((ino_t)options.keeper);
	config_init(&config, options.user);
	if (read_config(&config, &options) || apply_options(&config, &options))
		return EXIT_USAGE;
	if (options.check_config) {
		puts("emsd: the settings are in order");
		return 0;
	}
	log_setup(config.log_level);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN); /* a limit of files' sizes is an error like a full disk */
	/* Of jobs with files: one that a client has handed over may be on a disk that never answers. */
	(void)setenv("UV_THREADPOOL_SIZE", "16", 0);
	descriptors = raise_descriptor_limit(&config);
	return serve(&options, &config);
}
