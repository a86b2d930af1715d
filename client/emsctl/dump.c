/*
 * dump.c: emsctl dump.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "client/emsctl/dump_line.h"
#include "client/emsctl/info_out.h"
#include "client/emsctl/key.h"
#include "client/emsctl/new_file.h"
#include "client/emsctl/progress.h"
#include "client/emsctl/tag.h"
#include "client/emsctl/value.h"
#include "client/options.h"

struct dump {
	FILE *out;
	const char *path; /* NULL: standard output */
	ems_heap_t *heap;
	ems_value_t initial;
	ems_tag_t initial_tag;
	uint64_t elements, queue, stack; /* written */
	uint64_t looked;
};

/* ---- where to ---- */

static int open_output(struct dump *dump)
{
	int fd;

	if (!dump->path || strcmp(dump->path, "-") == 0) {
		dump->path = NULL;
		dump->out = stdout;
		return 0;
	}
	fd = new_file_open(dump->path);
	dump->out = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (dump->out)
		return 0;
	return report(EXIT_OTHER, "%s: no file can be made there: %s%s", dump->path, strerror(errno),
		      errno == EOPNOTSUPP ? " (redirect the output instead)" : "");
}

static int name_output(const struct dump *dump)
{
	return fflush(dump->out) == 0 ? new_file_name(fileno(dump->out), dump->path) : -1;
}

/* ---- what ---- */

static void write_header(struct dump *dump, const ems_heap_info_t *info)
{
	struct json_object object, initial;

	json_begin(&object, dump->out);
	json_member_uint(&object, "dump", DUMP_VERSION);
	json_member_text(&object, "name", info->name);
	json_member_bool(&object, "map", info->map);
	json_member_uint(&object, "elements", info->elements);
	json_member_uint(&object, "max_elements", info->max_elements);
	json_member_uint(&object, "storage", info->storage / STORAGE_RESERVE); /* as it was asked for */
	json_member(&object, "mode");
	fprintf(dump->out, "\"%04o\"", info->mode);
	json_member_bool(&object, "persistent", info->persistent);
	json_member(&object, "initial");
	json_begin(&initial, dump->out);
	dump_value(&initial, &dump->initial);
	json_member_text(&initial, "tag", tag_name(dump->initial_tag));
	json_end(&initial);
	json_end(&object);
	fputc('\n', dump->out);
}

static bool is_initial(const struct dump *dump, const ems_value_t *value, ems_tag_t tag)
{
	const ems_value_t *initial = &dump->initial;

	if (tag != dump->initial_tag || value->type != initial->type)
		return false;
	if (value->type >= EMS_STRING)
		return value->size == initial->size &&
		       (value->size == 0 || memcmp(value->data, initial->data, value->size) == 0);
	if (value->type == EMS_BOOLEAN)
		return value->boolean == initial->boolean;
	return value->type == EMS_UNDEFINED || value->integer == initial->integer; /* bits */
}

/* Locks and leases are their owners': what one will find when they are gone is FULL. */
static ems_tag_t lasting(ems_tag_t tag)
{
	return tag == EMS_EMPTY ? EMS_EMPTY : EMS_FULL;
}

static int write_element(struct dump *dump, const ems_key_t *key, const ems_value_t *value)
{
	bool map = ems_heap_has_map(dump->heap);
	struct json_object object;
	ems_tag_t tag;

	if (ems_get_tag(dump->heap, *key, &tag) < 0)
		return -ems_last_error()->code;
	tag = lasting(tag);
	if (!map && is_initial(dump, value, tag))
		return 0;
	json_begin(&object, dump->out);
	json_member(&object, map ? "key" : "index");
	key_print_json(dump->out, key);
	dump_value(&object, value);
	json_member_text(&object, "tag", tag_name(tag));
	json_end(&object);
	fputc('\n', dump->out);
	dump->elements++;
	return 0;
}

/* True when there is a reason to end early. */
static bool is_over(struct dump *dump)
{
	progress_at(dump->looked++);
	return interrupt_came() || ferror(dump->out);
}

/* These return the library's code. */
static int write_elements(struct dump *dump)
{
	ems_value_t value = EMS_VALUE_INIT;
	ems_iterator_t *iterator;
	ems_key_t key;
	int r = ems_iterate(dump->heap, &iterator);

	if (r < 0)
		return r;
	while (r == 0 && !is_over(dump)) {
		r = ems_iterator_next(iterator, &key, &value);
		if (r == 0)
			r = write_element(dump, &key, &value);
	}
	ems_iterator_free(iterator);
	ems_value_clear(&value);
	return r == -EMS_EEMPTY ? 0 : r;
}

static void write_item(struct dump *dump, const char *what, uint64_t number, const ems_value_t *value)
{
	struct json_object object;

	json_begin(&object, dump->out);
	json_member_uint(&object, what, number);
	dump_value(&object, value);
	json_end(&object);
	fputc('\n', dump->out);
}

static int write_items(struct dump *dump)
{
	ems_value_t value = EMS_VALUE_INIT;
	uint64_t position = 0;
	int r = 0;

	while (r == 0 && !is_over(dump)) {
		r = ems_queue_look(dump->heap, &position, &value);
		if (r == 0)
			write_item(dump, "queue", dump->queue++, &value);
	}
	if (r == -EMS_EEMPTY)
		r = 0;
	while (r == 0 && !is_over(dump)) {
		r = ems_stack_look(dump->heap, dump->stack, &value);
		if (r == 0)
			write_item(dump, "stack", dump->stack++, &value);
	}
	ems_value_clear(&value);
	return r == -EMS_EEMPTY ? 0 : r;
}

static void write_end(struct dump *dump)
{
	struct json_object object;

	json_begin(&object, dump->out);
	json_member_bool(&object, "end", true);
	json_member_uint(&object, "elements", dump->elements);
	json_member_uint(&object, "queue", dump->queue);
	json_member_uint(&object, "stack", dump->stack);
	json_end(&object);
	fputc('\n', dump->out);
}

static int write_all(struct dump *dump, const ems_heap_info_t *info)
{
	char verb[300];
	int r;

	snprintf(verb, sizeof(verb), "dumping %s", info->name);
	progress_begin(verb, (info->map ? info->keys : info->elements) + info->queued + info->stacked);
	write_header(dump, info);
	r = write_elements(dump);
	if (r == 0)
		r = write_items(dump);
	progress_end();
	return r;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {COMMON_OPTIONS};
	static struct dump dump; /* what it holds is in memory for the life of the process */
	struct arguments arguments;
	ems_connection_t *connection;
	ems_heap_info_t info;
	int code;

	arguments_init(&arguments, &command_dump, argc, argv);
	while (arguments_next(&arguments, "", options) != -1)
		;
	arguments_expect(&arguments, 1, 2);
	dump.path = arguments.words[1];
	code = connect_daemon(&connection);
	if (code != 0)
		return code;
	if (ems_heap_open(connection, arguments.words[0], EMS_OPEN_EXISTING,
			  &(ems_heap_options_t){.read_only = true}, &dump.heap) < 0 ||
	    ems_heap_inspect(connection, arguments.words[0], &info) < 0 ||
	    ems_heap_initial(dump.heap, &dump.initial, &dump.initial_tag) < 0)
		return report_failure();
	code = open_output(&dump);
	if (code != 0)
		return code;
	interrupt_catch();
	if (write_all(&dump, &info) < 0)
		return report_failure();
	disconnect();
	interrupt_obey();
	write_end(&dump);
	if (dump.path && (ferror(dump.out) || name_output(&dump) < 0))
		return report(EXIT_OTHER, "%s: %s", dump.path, strerror(errno));
	return EXIT_DONE;
}

const struct command command_dump = {
	.name = "dump",
	.synopsis = "[OPTION…] HEAP [FILE]",
	.summary = "write a heap as lines of JSON",
	.help = "Writes all that a heap holds, exactly, as lines of JSON: to FILE, or to standard output.\n"
		"emsctl load makes a heap of it. While others change the heap, what they change is in\n"
		"the dump or not; for a moment of everything, let them pause.\n"
		"FILE comes into being when the dump is whole, and replaces one of that name.",
	.run = run,
};
