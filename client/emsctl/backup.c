/*
 * backup.c: emsctl backup, verify, restore.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client/emsctl/emsctl.h"
#include "client/emsctl/heap_file.h"
#include "client/emsctl/json.h"
#include "client/emsctl/new_file.h"
#include "client/emsctl/progress.h"
#include "client/emsctl/text_out.h"

struct work {
	const char *verb, *what;
	uint64_t done, all; /* as they were told last: a lower one begins a new stretch */
	char text[300];
};

static int on_progress(void *arg, uint64_t done, uint64_t all)
{
	struct work *work = arg;

	if (done < work->done || all != work->all) {
		progress_end();
		snprintf(work->text, sizeof(work->text), "%s %s", work->verb, work->what);
		progress_begin(work->text, all);
	}
	work->done = done;
	work->all = all;
	progress_at(done);
	return interrupt_came();
}

static void arguments_only(struct arguments *arguments, const struct command *command, int argc, char **argv, int count)
{
	static const struct option options[] = {COMMON_OPTIONS};

	arguments_init(arguments, command, argc, argv);
	while (arguments_next(arguments, "", options) != -1)
		;
	arguments_expect(arguments, count, count);
}

static void print_backup(const char *path, const ems_backup_t *backup)
{
	struct json_object object;
	char when[64] = "";
	time_t at = (time_t)backup->time;
	struct tm tm;

	if (settings.json) {
		json_begin(&object, stdout);
		json_member_text(&object, "name", backup->name);
		json_member_uint(&object, "time", backup->time);
		json_member_uint(&object, "elements", backup->elements);
		json_member_uint(&object, "bytes", backup->bytes);
		json_member_bool(&object, "map", backup->map);
		json_member_bool(&object, "persistent", backup->persistent);
		json_end(&object);
		fputc('\n', stdout);
		return;
	}
	if (localtime_r(&at, &tm))
		(void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	text_print(stdout, path, TEXT_ON_A_LINE);
	fputs(": whole: heap \"", stdout);
	text_print(stdout, backup->name, TEXT_ON_A_LINE);
	printf("\" as of %s, %" PRIu64 " bytes\n", when, backup->bytes);
}

/* ---- backup ---- */

/* What was written is read once more before it gets its name. */
static int write_backup(const char *name, const char *path, int fd, ems_heap_t *heap)
{
	struct work work = {.verb = "backing up", .what = name};
	ems_backup_t backup;
	int r = ems_heap_backup(heap, fd, on_progress, &work);

	work.verb = "verifying";
	if (r == 0)
		r = ems_backup_verify(fd, &backup, on_progress, &work);
	progress_end();
	interrupt_obey();
	if (r < 0)
		return heap_file_report(path);
	if (new_file_name(fd, path) < 0)
		return report(EXIT_OTHER, "%s: %s", path, strerror(errno));
	return EXIT_DONE;
}

static int run_backup(int argc, char **argv)
{
	struct arguments arguments;
	ems_heap_t *heap;
	int code, fd;

	arguments_only(&arguments, &command_backup, argc, argv, 2);
	code = attach_heap(arguments.words[0], true, &heap);
	if (code != 0)
		return code;
	fd = new_file_open(arguments.words[1]);
	if (fd < 0)
		return report(EXIT_OTHER, "%s: no file can be made there: %s", arguments.words[1], strerror(errno));
	interrupt_catch();
	return write_backup(arguments.words[0], arguments.words[1], fd, heap);
}

const struct command command_backup = {
	.name = "backup",
	.synopsis = "[OPTION…] HEAP FILE",
	.summary = "all of a heap at one moment, in a file",
	.help = "Writes all of a heap, as it is at one moment, with checksums to FILE. Others go on\n"
		"working in it. FILE comes into being when it is whole, was read once more, and is on\n"
		"disk; it replaces one of that name. emsctl restore makes a heap of it.",
	.run = run_backup,
};

/* ---- verify ---- */

static int run_verify(int argc, char **argv)
{
	struct arguments arguments;
	struct work work = {.verb = "verifying"};
	ems_backup_t backup;
	int code, fd, r;

	arguments_only(&arguments, &command_verify, argc, argv, 1);
	work.what = arguments.words[0];
	code = heap_file_open(work.what, &fd);
	if (code != EXIT_DONE)
		return code;
	interrupt_catch();
	r = ems_backup_verify(fd, &backup, on_progress, &work);
	progress_end();
	interrupt_obey();
	if (r < 0)
		return heap_file_report(work.what);
	print_backup(work.what, &backup);
	return EXIT_DONE;
}

const struct command command_verify = {
	.name = "verify",
	.synopsis = "[OPTION…] FILE",
	.summary = "is a backup whole?",
	.help = "Reads all of a file that emsctl backup has made, and compares the checksums.\n"
		"Exit code 5: it is damaged, or no such file. No daemon is needed.",
	.run = run_verify,
};

/* ---- restore ---- */

static int run_restore(int argc, char **argv)
{
	struct arguments arguments;
	struct work work = {.verb = "restoring"};
	ems_connection_t *connection;
	int code, fd, r;

	arguments_only(&arguments, &command_restore, argc, argv, 2);
	work.what = arguments.words[0];
	code = heap_file_open(work.what, &fd);
	if (code != EXIT_DONE)
		return code;
	code = connect_daemon(&connection);
	if (code != 0)
		return code;
	interrupt_catch();
	r = ems_heap_restore(connection, arguments.words[1], fd, on_progress, &work);
	progress_end();
	code = r < 0 && !interrupt_came() ? heap_file_report(work.what) : EXIT_DONE;
	disconnect();
	interrupt_obey();
	return code;
}

const struct command command_restore = {
	.name = "restore",
	.synopsis = "[OPTION…] FILE HEAP",
	.summary = "make a heap of a backup",
	.help = "Makes a heap of a file that emsctl backup has made, under any name that is free. It is\n"
		"yours, with the mode that it had, and appears when all is in it.",
	.run = run_restore,
};
