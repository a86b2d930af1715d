/*
 * options.c: the command line.
 */
#include "daemon/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/text.h"

enum {
	OPTION_SOCKET = 256,
	OPTION_STATE_DIR,
	OPTION_USER,
	OPTION_CONFIG,
	OPTION_CHECK,
	OPTION_LEVEL,
	OPTION_IDLE,
	OPTION_READY,
	OPTION_KEEP,
	OPTION_FD_STORE,
	OPTION_KEEPER
};

static const struct option table[] = {
	{"socket", required_argument, NULL, OPTION_SOCKET},
	{"state-dir", required_argument, NULL, OPTION_STATE_DIR},
	{"foreground", no_argument, NULL, 'f'},
	{"user", no_argument, NULL, OPTION_USER},
	{"config", required_argument, NULL, OPTION_CONFIG},
	{"check-config", no_argument, NULL, OPTION_CHECK},
	{"log-level", required_argument, NULL, OPTION_LEVEL},
	{"exit-idle", required_argument, NULL, OPTION_IDLE},
	{"ready-fd", required_argument, NULL, OPTION_READY},
	{"keep-seconds", required_argument, NULL, OPTION_KEEP},
	{"fd-store", required_argument, NULL, OPTION_FD_STORE},
	{"keeper", required_argument, NULL, OPTION_KEEPER}, /* what emsd itself runs: daemon/keeper.h */
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{0},
};

void options_help(void)
{
	fputs("usage: emsd [OPTION]...\n"
	      "\n"
	      "The broker of named shared memory. Clients find it by its socket; see emsd(8).\n"
	      "\n"
	      "  --user               serve this user only: socket and state in the user's directories,\n"
	      "                       end when idle. Started by clients when there is no other.\n"
	      "  --socket PATH        listen there (default /run/ems/emsd.sock)\n"
	      "  --state-dir DIR      keep state there (default /var/lib/ems)\n"
	      "  --config FILE        read settings from there (default /etc/ems/emsd.conf, if it exists)\n"
	      "  --check-config       say what is wrong with the settings, and exit\n"
	      "  --log-level LEVEL    error, warning, notice, info (default) or debug\n"
	      "  --exit-idle SECONDS  end after so long without clients and volatile heaps; 0: never\n"
	      "  --keep-seconds N     after an orderly end, leave heaps to the next daemon for so long\n"
	      "                       (default 600); without a service manager that keeps them\n"
	      "  --fd-store N         the service manager keeps N descriptors for us\n"
	      "  --ready-fd N         write a byte to descriptor N, and close it, when listening\n"
	      "  --foreground         stay in the foreground (which it always does)\n"
	      "  --help, --version    print this, or the version, and exit\n"
	      "\n"
	      "Exit status: 0 ended in order; 1 failed; 2 bad usage or settings; 3 another emsd serves\n"
	      "the same state directory or socket.\n",
	      stdout);
}

static int bad(const char *option, const char *value, const char *wanted)
{
	fprintf(stderr, "emsd: %s: \"%s\" is not %s\n", option, value, wanted);
	return -ERROR_INVALID;
}

/* emsd changes nothing by chdir, but a relative path in logs and messages would name nothing. */
static int take_path(const char *option, const char *value, const char **_path)
{
	if (value[0] != '/')
		return bad(option, value, "an absolute path");
	*_path = value;
	return 0;
}

static int take(struct options *options, int option, const char *value)
{
	uint64_t number;

	switch (option) {
	case OPTION_SOCKET:
		return take_path("--socket", value, &options->socket);
	case OPTION_STATE_DIR:
		return take_path("--state-dir", value, &options->state_dir);
	case OPTION_CONFIG:
		options->config = value;
		return 0;
	case OPTION_USER:
		options->user = true;
		return 0;
	case OPTION_CHECK:
		options->check_config = true;
		return 0;
	case OPTION_LEVEL:
		options->has_log_level = true;
		return log_level_parse(value, &options->log_level)
			       ? bad("--log-level", value, "one of error, warning, notice, info, debug")
			       : 0;
	case OPTION_IDLE:
		options->has_exit_idle = true;
		return text_parse_uint(value, 0, UINT32_MAX, &options->exit_idle)
			       ? bad("--exit-idle", value, "a number of seconds")
			       : 0;
	case OPTION_READY:
		if (text_parse_uint(value, 0, INT32_MAX, &number))
			return bad("--ready-fd", value, "a descriptor");
		options->ready_fd = (int)number;
		return 0;
	case OPTION_KEEP:
		options->has_keep_seconds = true;
		return text_parse_uint(value, 0, UINT32_MAX, &options->keep_seconds)
			       ? bad("--keep-seconds", value, "a number of seconds")
			       : 0;
	case OPTION_FD_STORE:
		return text_parse_uint(value, 0, UINT32_MAX, &options->fd_store)
			       ? bad("--fd-store", value, "a number of descriptors")
			       : 0;
	case OPTION_KEEPER:
		return text_parse_uint(value, 1, UINT64_MAX, &options->keeper)
			       ? bad("--keeper", value, "what emsd itself gives to it")
			       : 0;
	case 'h':
		options->help = true;
		return 0;
	case 'V':
		options->version = true;
		return 0;
	case 'f':
		return 0;
	default: /* getopt has told what is wrong */
		fputs("Try: emsd --help\n", stderr);
		return -ERROR_INVALID;
	}
}

int options_parse(struct options *options, int argc, char **argv)
{
	int option, r;

	*options = (struct options){.ready_fd = -1};
	while ((option = getopt_long(argc, argv, "hV", table, NULL)) != -1) {
		r = take(options, option, optarg);
		if (r)
			return r;
	}
	if (optind < argc) {
		fprintf(stderr, "emsd: \"%s\": there is nothing but options. Try: emsd --help\n",
			argv[optind]);
		return -ERROR_INVALID;
	}
	return 0;
}
