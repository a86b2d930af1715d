/*
 * load.c: emsctl load.
 *
 * The heap is made under a name of its own, and gets the one it is to have when everything is in it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/emsctl/dump_line.h"
#include "client/emsctl/progress.h"

struct load {
	FILE *in;
	const char *path; /* for messages */
	char *text;	  /* a line */
	size_t capacity;
	uint64_t line, bytes; /* read so far */
	struct dump_line parsed;
	ems_connection_t *connection;
	ems_heap_t *heap;
	char name[300];			 /* for the time being */
	uint64_t elements, queue, stack; /* loaded */
};

static int complain(const struct load *load, const char *what)
{
	return report(EXIT_OTHER, "%s: line %" PRIu64 " %s", load->path, load->line, what);
}

/* Reads a line; an exit code. */
static int next_line(struct load *load)
{
	const char *wrong;
	ssize_t size;

	errno = 0;
	size = getline(&load->text, &load->capacity, load->in);
	if (size < 0) {
		if (interrupt_came())
			return EXIT_OTHER;
		if (errno == 0)
			return report(EXIT_OTHER, "%s: the end of the dump is missing", load->path);
		return report(EXIT_OTHER, "%s: %s", load->path, strerror(errno));
	}
	load->line++;
	load->bytes += (uint64_t)size;
	progress_at(load->bytes);
	wrong = dump_parse(load->text, (size_t)size, &load->parsed);
	return wrong ? complain(load, wrong) : 0;
}

static int make_heap(struct load *load, const char *name)
{
	struct dump_line *head = &load->parsed;
	int code = next_line(load);

	if (code != 0)
		return code;
	if (head->kind != DUMP_HEADER)
		return complain(load, "is no head of a dump");
	head->options.fill = &head->value;
	snprintf(load->name, sizeof(load->name), "%.230s.loading-%d", name, (int)getpid());
	return ems_heap_open(load->connection, load->name, EMS_CREATE, &head->options, &load->heap) < 0
		       ? report_failure()
		       : 0;
}

/* The library's code. */
static int put(struct load *load)
{
	const struct dump_line *line = &load->parsed;
	ems_key_t key = line->kind == DUMP_INDEX ? ems_index((int64_t)line->number) : line->key;

	switch (line->kind) {
	case DUMP_QUEUE:
		load->queue++;
		return ems_enqueue(load->heap, &line->value, NULL);
	case DUMP_STACK:
		load->stack++;
		return ems_push(load->heap, &line->value, NULL);
	default:
		load->elements++;
		return line->tag == EMS_EMPTY ? ems_write_xe(load->heap, key, &line->value)
					      : ems_write_xf(load->heap, key, &line->value);
	}
}

static int put_all(struct load *load)
{
	struct dump_line *line = &load->parsed;

	while (!interrupt_came()) {
		int code = next_line(load);

		if (code != 0)
			return code;
		if (line->kind == DUMP_END)
			break;
		if (line->kind == DUMP_HEADER)
			return complain(load, "is a second head");
		if (put(load) < 0)
			return report_failure();
	}
	if (!interrupt_came() &&
	    (line->elements != load->elements || line->queue != load->queue || line->stack != load->stack))
		return complain(load, "tells of another number of elements or items than there were");
	return 0;
}

static uint64_t input_size(FILE *in)
{
	struct stat status;

	return fstat(fileno(in), &status) == 0 && S_ISREG(status.st_mode) ? (uint64_t)status.st_size : 0;
}

static int load_heap(struct load *load, const char *name, bool replace)
{
	char verb[300];
	int code;

	snprintf(verb, sizeof(verb), "loading %s", name);
	progress_begin(verb, input_size(load->in));
	interrupt_catch();
	code = make_heap(load, name);
	if (code == 0)
		code = put_all(load);
	progress_end();
	if (code == 0 && !interrupt_came() &&
	    ems_heap_rename(load->connection, load->name, name, replace) < 0)
		code = report_failure();
	else if (code == 0 && !interrupt_came())
		return 0;
	if (load->heap)
		(void)ems_heap_drop(load->connection, load->name);
	return code;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {{"replace", no_argument, NULL, 'r'}, COMMON_OPTIONS};
	struct arguments arguments;
	static struct load load; /* what it holds is in memory for the life of the process */
	bool replace = false;
	int code;

	arguments_init(&arguments, &command_load, argc, argv);
	while (arguments_next(&arguments, "", options) != -1)
		replace = true;
	arguments_expect(&arguments, 1, 2);
	load.path = "standard input";
	load.in = stdin;
	if (arguments.words[1] && strcmp(arguments.words[1], "-") != 0) {
		load.path = arguments.words[1];
		load.in = fopen(load.path, "re");
		if (!load.in)
			return report(EXIT_OTHER, "%s: %s", load.path, strerror(errno));
	}
	code = connect_daemon(&load.connection);
	if (code != 0)
		return code;
	code = load_heap(&load, arguments.words[0], replace);
	disconnect();
	interrupt_obey();
	return code;
}

const struct command command_load = {
	.name = "load",
	.synopsis = "[OPTION…] HEAP [FILE]",
	.summary = "make a heap of a dump",
	.help = "Makes a heap of what emsctl dump has written: from FILE, or from standard input. It\n"
		"appears under its name when everything is in it.\n"
		"\n"
		"      --replace  instead of one of that name",
	.run = run,
};
