/*
 * options.c: the arguments of a command.
 *
 * getopt is told to return words in their place (a leading "-" in its letters), for two reasons: words and
 * options may be mixed even under POSIXLY_CORRECT, and a look at the next word before getopt sees it keeps
 * "-5" from being taken for an option named 5.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "client/emsctl/emsctl.h"

#define LETTERS_MAX 64

void arguments_init(struct arguments *arguments, const struct command *command, int argc, char **argv)
{
	/* Words are moved to the front of argv, behind what getopt has read already. */
	*arguments = (struct arguments){.command = command, .argc = argc, .argv = argv, .words = argv + 1};
	/* An empty command line, so that getopt starts anew and has noticed the "-" before we look ahead. */
	optind = 0;
	(void)getopt_long(1, argv, "-", (struct option[]){{NULL, 0, NULL, 0}}, NULL);
}

static bool looks_negative(const char *word)
{
	return word[0] == '-' &&
	       ((word[1] >= '0' && word[1] <= '9') || word[1] == '.' || strcmp(word, "-Infinity") == 0);
}

static void print_help(const struct command *command)
{
	printf("usage: emsctl %s %s\n\n%s\n", command->name, command->synopsis, command->help);
	fputs("  -j, --json              write JSON for programs\n"
	      "  -S, --socket PATH       the daemon's socket\n"
	      "  -h, --help              this text\n",
	      stdout);
}

static bool common_option(const struct arguments *arguments, int letter)
{
	switch (letter) {
	case 'h':
		print_help(arguments->command);
		exit(fflush(stdout) == 0 ? EXIT_DONE : EXIT_OTHER);
	case 'j':
		settings.json = true;
		return true;
	case 'S':
		settings.socket = optarg;
		return true;
	case '?':
		usage_error(arguments->command, NULL);
	default:
		return false;
	}
}

static void take_words_to_the_end(struct arguments *arguments)
{
	while (optind < arguments->argc)
		arguments->words[arguments->count++] = arguments->argv[optind++];
}

int arguments_next(struct arguments *arguments, const char *letters, const struct option *options)
{
	char all[LETTERS_MAX];

	snprintf(all, sizeof(all), "-hjS:%s", letters);
	for (;;) {
		int letter;

		if (arguments->until_word && optind < arguments->argc &&
		    (arguments->argv[optind][0] != '-' || !arguments->argv[optind][1]))
			take_words_to_the_end(arguments);
		if (optind < arguments->argc && looks_negative(arguments->argv[optind])) {
			arguments->words[arguments->count++] = arguments->argv[optind++];
			continue;
		}
		letter = getopt_long(arguments->argc, arguments->argv, all, options, NULL);
		if (letter == -1) {
			take_words_to_the_end(arguments);
			arguments->words[arguments->count] = NULL;
			return -1;
		}
		if (letter == 1)
			arguments->words[arguments->count++] = optarg;
		else if (!common_option(arguments, letter))
			return letter;
	}
}

void arguments_expect(const struct arguments *arguments, int least, int most)
{
	if (arguments->count < least)
		usage_error(arguments->command, "too few arguments");
	if (arguments->count > most)
		usage_error(arguments->command, "unexpected argument \"%s\"", arguments->words[most]);
}

uint32_t mode_parse_or_exit(const struct command *command, const char *text)
{
	char *end;
	unsigned long mode = strtoul(text, &end, 8);

	if (text[0] < '0' || text[0] > '7' || *end || mode > 0777)
		usage_error(command, "\"%s\" is not a mode (like 0640)", text);
	return (uint32_t)mode;
}

/* strtod's grammar is wider than ours (hexadecimal, inf, nan): only digits and one point get there. */
static bool is_plain_decimal(const char *text, size_t length)
{
	return length > 0 && strspn(text, "0123456789.") >= length && memchr(text, '.', length) != text &&
	       text[length - 1] != '.';
}

uint64_t duration_parse_or_exit(const struct command *command, const char *text)
{
	static const struct {
		const char *name;
		double seconds;
	} units[] = {{"", 1}, {"s", 1}, {"ms", 1e-3}, {"m", 60}, {"h", 3600}, {"d", 86400}};
	size_t length = strspn(text, "0123456789.");

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		double nanoseconds;
		char *end;

		if (!is_plain_decimal(text, length) || strcmp(text + length, units[i].name) != 0)
			continue;
		nanoseconds = strtod(text, &end) * units[i].seconds * (double)NS_PER_S;
		if (end != text + length)
			break;
		return nanoseconds >= 1.8e19 ? CLOCK_NEVER - 1 : (uint64_t)nanoseconds;
	}
	usage_error(command, "\"%s\" is not a duration (like 2, 1.5s, 10m, 1h, 7d, 200ms)", text);
}
