/* Lines of the log: form, escaping, cutting, and the journal's prefix. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/log.h"
#include "base/macros.h"
#include "tests/unit/unit.h"

static int pipe_read = -1;

/* stderr becomes a pipe (each test is a process of its own; libcheck reports on other descriptors). */
static void catch_stderr(void)
{
	int pair[2];

	ck_assert_int_eq(pipe2(pair, O_NONBLOCK), 0);
	ck_assert_int_eq(dup2(pair[1], STDERR_FILENO), STDERR_FILENO);
	close(pair[1]);
	pipe_read = pair[0];
}

static const char *caught(void)
{
	static char text[8192];
	ssize_t size = read(pipe_read, text, sizeof(text) - 1);

	text[MAX(size, (ssize_t)0)] = '\0';
	return text;
}

/* The line behind "DATE LEVEL: ", whose form is checked. */
static const char *caught_message(const char *level)
{
	const char *line = caught();
	static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ ";
	size_t i;

	for (i = 0; form[i]; i++) {
		if (form[i] == 'd')
			ck_assert_msg(line[i] >= '0' && line[i] <= '9', "%s", line);
		else
			ck_assert_msg(line[i] == form[i], "%s", line);
	}
	ck_assert_msg(strncmp(line + i, level, strlen(level)) == 0, "%s", line);
	i += strlen(level);
	ck_assert_msg(strncmp(line + i, ": ", 2) == 0, "%s", line);
	return line + i + 2;
}

START_TEST(plain_lines)
{
	catch_stderr();
	unsetenv("JOURNAL_STREAM");
	log_setup(LOG_LEVEL_DEBUG);
	log_info("ready");
	ck_assert_str_eq(caught_message("info"), "ready\n");
	log_warning("client dropped", LOG_INT("pid", -4711), LOG_UINT("bytes", UINT64_MAX),
		    LOG_TEXT("name", "app/users"), LOG_CODE("error", -ERROR_TIMEOUT));
	ck_assert_str_eq(caught_message("warning"),
			 "client dropped pid=-4711 bytes=18446744073709551615 name=app/users error=TIMEOUT\n");
}
END_TEST

START_TEST(values_cannot_forge)
{
	catch_stderr();
	unsetenv("JOURNAL_STREAM");
	log_setup(LOG_LEVEL_INFO);
	log_error("bad", LOG_TEXT("a", "x\n<3>forged uid=0"), LOG_TEXT("b", "say \"hi\" \\"),
		  LOG_TEXT("c", ""), LOG_TEXT("d", NULL), LOG_TEXT("e", "gr\xc3\xbc\xc3\x9f"));
	ck_assert_str_eq(caught_message("error"), "bad a=\"x\\x0a<3>forged uid=0\" b=\"say \\\"hi\\\" \\\\\""
						  " c=\"\" d=- e=gr\xc3\xbc\xc3\x9f\n");
}
END_TEST

START_TEST(unwanted_levels_are_silent)
{
	catch_stderr();
	log_setup(LOG_LEVEL_WARNING);
	log_debug("no");
	log_info("no");
	log_notice("no");
	ck_assert_str_eq(caught(), "");
	log_warning("yes");
	ck_assert_ptr_nonnull(strstr(caught(), "yes"));
}
END_TEST

/* Every length around the limit: one line, whole, with the mark where it was cut. */
START_TEST(long_lines_are_cut)
{
	static char value[4000];
	bool cut = false, whole = false;

	catch_stderr();
	log_setup(LOG_LEVEL_INFO);
	for (size_t length = 1900; length < 2200; length++) {
		const char *line, *end;

		memset(value, 'v', length);
		value[length] = '\0';
		log_info("m", LOG_TEXT("first", "1"), LOG_TEXT("value", value), LOG_TEXT("last", "2"));
		line = caught();
		end = line + strlen(line);
		ck_assert_uint_le(strlen(line), 2048);
		ck_assert_ptr_eq(strchr(line, '\n'), end - 1);
		ck_assert_ptr_nonnull(strstr(line, " first=1"));
		if (strcmp(end - 4, "...\n") == 0) {
			cut = true;
		} else {
			whole = true;
			ck_assert_ptr_nonnull(strstr(line, " last=2\n"));
		}
	}
	ck_assert(cut && whole);
}
END_TEST

START_TEST(journal_gets_priorities)
{
	char stream[64];
	struct stat st;

	catch_stderr();
	ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_setup(LOG_LEVEL_INFO);
	log_warning("w", LOG_INT("n", 1));
	ck_assert_str_eq(caught(), "<4>w n=1\n");

	/* stderr is something else than what systemd gave us: no prefix. */
	setenv("JOURNAL_STREAM", "1:2", 1);
	log_setup(LOG_LEVEL_INFO);
	log_warning("w");
	ck_assert_str_eq(caught_message("warning"), "w\n");
}
END_TEST

START_TEST(errno_survives)
{
	catch_stderr();
	log_setup(LOG_LEVEL_INFO);
	close(STDERR_FILENO);
	errno = ENOSPC;
	log_error("nobody hears this");
	ck_assert_int_eq(errno, ENOSPC);
}
END_TEST

START_TEST(level_names)
{
	enum log_level level = LOG_LEVEL_INFO;

	ck_assert_int_eq(log_level_parse("error", &level), 0);
	ck_assert_int_eq(level, LOG_LEVEL_ERROR);
	ck_assert_int_eq(log_level_parse("debug", &level), 0);
	ck_assert_int_eq(level, LOG_LEVEL_DEBUG);
	ck_assert_int_eq(log_level_parse("loud", &level), -ERROR_INVALID);
	ck_assert_int_eq(log_level_parse("", &level), -ERROR_INVALID);
	ck_assert_int_eq(level, LOG_LEVEL_DEBUG);
}
END_TEST

UNIT_MAIN("base/log", plain_lines, values_cannot_forge, unwanted_levels_are_silent, long_lines_are_cut,
	  journal_gets_priorities, errno_survives, level_names)
