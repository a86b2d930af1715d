/*
 * run.c: emsctl run.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "client/emsctl/emsctl.h"
#include "client/emsctl/run.h"

#define GRACE (5 * NS_PER_S)

enum { OPTION_PIN = 1000, OPTION_ELASTIC, OPTION_PREFIX, OPTION_GRACE };

static const struct option options[] = {
	{"members", required_argument, NULL, 'n'},	  {"pin", no_argument, NULL, OPTION_PIN},
	{"elastic", no_argument, NULL, OPTION_ELASTIC},	  {"prefix", no_argument, NULL, OPTION_PREFIX},
	{"grace", required_argument, NULL, OPTION_GRACE}, COMMON_OPTIONS,
};

static void take_option(struct run *run, int letter)
{
	uint64_t count;

	switch (letter) {
	case 'n':
		if (text_parse_uint(optarg, 1, RUN_MEMBERS_MAX, &count) < 0)
			usage_error(&command_run, "--members: \"%s\" is not a number from 1 to %d", optarg,
				    RUN_MEMBERS_MAX);
		run->count = (int)count;
		break;
	case OPTION_PIN:
		run->pin = true;
		break;
	case OPTION_ELASTIC:
		run->elastic = true;
		break;
	case OPTION_PREFIX:
		run->prefix = true;
		break;
	case OPTION_GRACE:
		run->grace = duration_parse_or_exit(&command_run, optarg);
		break;
	}
}

/* A descriptor below 3 that is not open would be given to a pipe of ours. */
static int fill_standard_streams(void)
{
	for (;;) {
		int fd = open("/dev/null", O_RDWR);

		if (fd < 0)
			return report(EXIT_OTHER, "cannot open /dev/null: %s", strerror(errno));
		if (fd > STDERR_FILENO)
			return close(fd) < 0 ? EXIT_OTHER : 0;
	}
}

/* Two pipes for each member may be more than a process has by default. */
static void raise_descriptor_limit(struct run *run)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &run->before.files) < 0)
		return;
	limit = run->before.files;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int prepare(struct run *run)
{
	int code = fill_standard_streams();

	if (code == 0 && (run->pin || run->count == 0))
		code = run_find_cpus(run);
	if (code != 0)
		return code;
	if (run->count == 0)
		run->count = run->cpu_count < RUN_MEMBERS_MAX ? run->cpu_count : RUN_MEMBERS_MAX;
	run->members = calloc((size_t)run->count, sizeof(*run->members));
	run->items = calloc(3 + 2 * (size_t)run->count, sizeof(*run->items));
	if (!run->members || !run->items)
		return report(EXIT_OTHER, "out of memory");
	run_lines_init(run);
	run->before.self = getpid();
	raise_descriptor_limit(run);
	if (pipe2(run->notes, O_CLOEXEC | O_NONBLOCK) < 0)
		return report(EXIT_OTHER, "cannot make a pipe: %s", strerror(errno));
	return run_watch_init(run);
}

/* A name that no other team has or had. */
static int name_team(char *name, size_t size)
{
	uint64_t random[2];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return report(EXIT_OTHER, "no random numbers: %s", strerror(errno));
	(void)snprintf(name, size, "run-%016" PRIx64 "%016" PRIx64, random[0], random[1]);
	return 0;
}

/*
 * A signal of the terminal that comes while we start members does not reach those that are still to come, so it is not one
 * for the members: it ends the whole.
 */
static void start_all(struct run *run, const char *team)
{
	for (int id = 0; id < run->count && run->result == 0; id++) {
		if (run_told_to_end(run) == 0)
			run->result = run_start(run, id, team);
		else
			break;
	}
	if (run->result == 0 && run_told_to_end(run) != 0)
		run->result = 128 + run_told_to_end(run);
	if (run->result != 0)
		run_end(run);
}

static int run_command(int argc, char **argv)
{
	/* Static: what it leads to is left to the end of the process. */
	static struct run run = {.grace = GRACE, .kill_at = CLOCK_NEVER, .signals = -1, .notes = {-1, -1}};
	struct arguments arguments;
	int letter, code;
	char team[64];

	arguments_init(&arguments, &command_run, argc, argv);
	arguments.until_word = true;
	while ((letter = arguments_next(&arguments, "n:", options)) != -1)
		take_option(&run, letter);
	arguments_expect(&arguments, 1, argc);
	run.program = arguments.words;
	code = name_team(team, sizeof(team));
	if (code == 0)
		code = prepare(&run);
	if (code != 0)
		return code;
	start_all(&run, team);
	run_watch(&run);
	return run.result;
}

const struct command command_run = {
	.name = "run",
	.synopsis = "[OPTION…] PROGRAM [ARGUMENT…]",
	.summary = "start the members of a team",
	.help = "Starts PROGRAM several times, as the members of a team, and waits for their ends. The\n"
		"exit code is that of the first member that fails, 128 and its number for a signal, 126\n"
		"or 127 when PROGRAM cannot be run or found. The other members are then ended.\n"
		"\n"
		"  -n, --members N         how many, at most 1024 (as many as CPUs may be used)\n"
		"      --pin               each on a CPU of its own, as far as there are so many\n"
		"      --elastic           the others go on when a member fails\n"
		"      --prefix            their output line by line, as \"[MEMBER] LINE\"\n"
		"      --grace DURATION    how long members have between being told to end and being\n"
		"                          killed (5s)",
	.run = run_command,
};
