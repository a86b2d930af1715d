/*
 * report.c: troubles, told once, and the exit code that goes with each.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/emsctl/emsctl.h"
#include "client/emsctl/text_out.h"

int exit_code_of(int error)
{
	switch (error < 0 ? -error : error) {
	case EMS_OK:
		return EXIT_DONE;
	case EMS_ENOTFOUND:
	case EMS_ENOKEY:
	case EMS_ERANGE: /* no element of that index */
	case EMS_EEMPTY:
	case EMS_ETIMEOUT:
		return EXIT_NO;
	case EMS_EINVALID:
	case EMS_ENAME:
		return EXIT_USAGE;
	case EMS_ENODAEMON:
	case EMS_ECONNECTION:
		return EXIT_NO_DAEMON;
	case EMS_EACCESS:
	case EMS_EREADONLY:
		return EXIT_PERMISSION;
	default:
		return EXIT_OTHER;
	}
}

/* What was written so far comes first, also where stdout and stderr are one file. */
static void begin_report(void)
{
	fflush(stdout);
	fputs("emsctl: ", stderr);
}

int report_failure(void)
{
	const ems_error_t *error = ems_last_error();

	begin_report();
	/* The message may quote what others named. */
	text_print(stderr, error->message, TEXT_TO_TERMINAL);
	fputc('\n', stderr);
	return exit_code_of(error->code);
}

int report(int code, const char *format, ...)
{
	va_list arguments;

	begin_report();
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	return code;
}

void usage_error(const struct command *command, const char *format, ...)
{
	va_list arguments;

	/* Without a format, getopt has told already. */
	if (format) {
		begin_report();
		va_start(arguments, format);
		vfprintf(stderr, format, arguments);
		va_end(arguments);
		fputc('\n', stderr);
	}
	if (command)
		fprintf(stderr, "usage: emsctl %s %s\n", command->name, command->synopsis);
	fprintf(stderr, "emsctl %s%s--help tells more\n", command ? command->name : "", command ? " " : "");
	exit(EXIT_USAGE);
}
