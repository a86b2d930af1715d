/*
 * test_daemon_settings.c: emsd.conf, good and bad.
 */
#include "daemon/settings.h"

#include <fcntl.h>
#include <string.h>

#include "base/error.h"
#include "base/fd.h"
#include "tests/unit/unit.h"

static char problems[8192];

static void collect(const char *problem)
{
	strncat(problems, problem, sizeof(problems) - strlen(problems) - 1);
	strncat(problems, "\n", sizeof(problems) - strlen(problems) - 1);
}

/* Reads text as a file over the defaults. */
static int read_text(struct config *config, const char *text)
{
	char path[] = "/tmp/test_daemon_settings.XXXXXX";
	int fd = mkstemp(path), r;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fd_write_all(fd, text, strlen(text)), 0);
	fd_close(fd);
	problems[0] = '\0';
	config_init(config, false);
	r = config_read(config, path, collect);
	unlink(path);
	return r;
}

START_TEST(good_settings)
{
	struct config config;

	ck_assert_int_eq(read_text(&config, "# nothing\n"
					    "[emsd]\n"
					    "socket = /x/y # behind\n"
					    "  state_dir=/s\n"
					    "log_level = debug\n"
					    "exit_idle = 7\n"
					    "[limits]\n"
					    "total_bytes = 2 GiB\n"
					    "heap_bytes = 1G\r\n"
					    "clients = 5\nheaps = 6\nqueue_bytes = 64K\n"
					    "user_bytes = 0\nuser_heaps = 8\nuser_clients = 9\n"
					    "[user root]\n"
					    "bytes = 3 MiB\n"
					    "[user 12345]\n"
					    "heaps = 1\nclients = 2"),
			 0);
	ck_assert_str_eq(problems, "");
	ck_assert_str_eq(config.socket, "/x/y");
	ck_assert_str_eq(config.state_dir, "/s");
	ck_assert_int_eq(config.log_level, LOG_LEVEL_DEBUG);
	ck_assert_uint_eq(config.exit_idle, 7);
	ck_assert_uint_eq(config.total_bytes, UINT64_C(2) << 30);
	ck_assert_uint_eq(config.heap_bytes, 1 << 30);
	ck_assert_uint_eq(config.clients, 5);
	ck_assert_uint_eq(config.heaps, 6);
	ck_assert_uint_eq(config.queue_bytes, 65536);
	/* An override starts from the general limits that stand before it. */
	ck_assert_uint_eq(config_limits_of(&config, 0)->bytes, 3 << 20);
	ck_assert_uint_eq(config_limits_of(&config, 0)->heaps, 8);
	ck_assert_uint_eq(config_limits_of(&config, 12345)->bytes, 0);
	ck_assert_uint_eq(config_limits_of(&config, 12345)->heaps, 1);
	ck_assert_uint_eq(config_limits_of(&config, 12345)->clients, 2);
	ck_assert_uint_eq(config_limits_of(&config, 12346)->clients, 9);
	config_fini(&config);
}
END_TEST

/* The example that is installed: as it is, and with every line of it made to count. */
START_TEST(example)
{
	const char *top = getenv("top_srcdir");
	char path[4096], text[16384] = "";
	struct config config;
	char line[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/contrib/emsd.conf", top ? top : ".");
	config_init(&config, false);
	problems[0] = '\0';
	ck_assert_int_eq(config_read(&config, path, collect), 0);
	config_fini(&config);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file)) {
		bool setting = line[0] == '#' && line[1] != ' ';

		strncat(text, line + setting, sizeof(text) - strlen(text) - 1);
	}
	fclose(file);
	ck_assert_msg(read_text(&config, text) == 0, "%s", problems);
	ck_assert_uint_eq(config_limits_of(&config, 1000)->clients, 200);
	config_fini(&config);
}
END_TEST

START_TEST(bad_settings)
{
	static const struct {
		const char *text, *problem;
	} cases[] = {
		{"x = 1\n", ":1: \"x\" stands in no section"},
		{"[emsd\n", ":1: a section is written [name]"},
		{"[other]\n", ":1: no section [other]"},
		{"[emsd]\n\nfoo = 1\n", ":3: no setting \"foo\""},
		{"[emsd]\nsocket = here\n", "not an absolute path"},
		{"[emsd]\nlog_level = loud\n", "\"loud\" is none of"},
		{"[emsd]\nexit_idle = soon\n", "not a number of seconds"},
		{"[emsd]\njust words\n", "neither [section] nor setting = value"},
		{"[limits]\ntotal_bytes = much\n", "\"much\" is not a size"},
		{"[limits]\nclients = -1\n", "\"-1\" is not a number"},
		{"[limits]\nclients = 4294967296\n", "is not a number"},
		{"[limits]\nbytes = 1\n", "no setting \"bytes\""},
		{"[user nobody-has-this-name]\n", "no user \"nobody-has-this-name\""},
		{"[user 4294967295]\n", "no user"},
	};
	struct config config;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_int_eq(read_text(&config, cases[i].text), -ERROR_INVALID);
		ck_assert_msg(strstr(problems, cases[i].problem), "case %zu: %s", i, problems);
		config_fini(&config);
	}
	/* All of them are told, each with its line. */
	ck_assert_int_eq(read_text(&config, "[emsd]\na = 1\nb = 2\n[limits]\nc = 3\n"), -ERROR_INVALID);
	ck_assert(strstr(problems, ":2: ") && strstr(problems, ":3: ") && strstr(problems, ":5: "));
	config_fini(&config);
}
END_TEST

START_TEST(missing_and_unreadable_files)
{
	struct config config;

	config_init(&config, false);
	problems[0] = '\0';
	ck_assert_int_eq(config_read(&config, "/nowhere/emsd.conf", collect), -ERROR_NOT_FOUND);
	ck_assert_str_eq(problems, "");
	ck_assert_int_eq(config_read(&config, "/", collect), -ERROR_INVALID);
	ck_assert(strstr(problems, "cannot be read"));
	config_fini(&config);
}
END_TEST

START_TEST(defaults)
{
	struct config config;

	config_init(&config, false);
	ck_assert_str_eq(config.socket, "/run/ems/emsd.sock");
	ck_assert_str_eq(config.state_dir, "/var/lib/ems");
	ck_assert_uint_eq(config.exit_idle, 0);
	ck_assert_uint_gt(config.total_bytes, 0);
	ck_assert_uint_le(config_limits_of(&config, 5)->bytes, config.total_bytes);
	setenv("XDG_RUNTIME_DIR", "/r", 1);
	setenv("XDG_STATE_HOME", "/s", 1);
	config_init(&config, true);
	ck_assert_str_eq(config.socket, "/r/ems/emsd.sock");
	ck_assert_str_eq(config.state_dir, "/s/ems");
	ck_assert_uint_gt(config.exit_idle, 0);
}
END_TEST

UNIT_MAIN("daemon/settings", good_settings, example, bad_settings, missing_and_unreadable_files, defaults)
