/*
 * test_proto_names.c: names of heaps, and where sockets and state are.
 */
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "proto/message.h"
#include "proto/name.h"
#include "proto/paths.h"
#include "tests/unit/unit.h"

START_TEST(good_names)
{
	static const char *const names[] = {
		"a",	   "app/users", "~/x", "~0/x",	 "~1000/a/b", "\xc3\xa4/\xe2\x82\xac", "...", "a b",
		".hidden", "a~",	"a/~", "a/~b/c", "..a/b.."};
	char longest[PROTO_NAME_MAX + 2];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		ck_assert_msg(!proto_name_problem(names[i]), "%s: %s", names[i],
			      proto_name_problem(names[i]));
	memset(longest, 'x', sizeof(longest));
	longest[PROTO_NAME_MAX] = '\0';
	ck_assert_ptr_null(proto_name_problem(longest));
	longest[PROTO_NAME_MAX] = 'x';
	longest[PROTO_NAME_MAX + 1] = '\0';
	ck_assert_ptr_nonnull(proto_name_problem(longest));
}
END_TEST

START_TEST(bad_names)
{
	static const char *const names[] = {"",
					    "/",
					    "/a",
					    "a/",
					    "a//b",
					    ".",
					    "..",
					    "a/.",
					    "a/..",
					    "../a",
					    "a/../b",
					    "a\nb",
					    "a\x7f",
					    "\xff",
					    "~",
					    "~x/y",
					    "~/",
					    "~01/x",
					    "~1",
					    "~-1/x",
					    "~4294967295/x",
					    "~99999999999999999999/x",
					    "~/a/",
					    "~/..",
					    "\x1b[0m",
					    "a/\xc0\x80"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		ck_assert_msg(proto_name_problem(names[i]) != NULL, "\"%s\" was taken", names[i]);
}
END_TEST

START_TEST(user_paths)
{
	char path[PROTO_PATH_SIZE], expected[64], longest[200];

	setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
	ck_assert_int_eq(proto_user_socket_path(path, sizeof(path)), 0);
	ck_assert_str_eq(path, "/run/user/7/ems/emsd.sock");
	snprintf(expected, sizeof(expected), "/tmp/ems-%u/emsd.sock", (unsigned)geteuid());
	setenv("XDG_RUNTIME_DIR", "relative", 1);
	ck_assert_int_eq(proto_user_socket_path(path, sizeof(path)), 0);
	ck_assert_str_eq(path, expected);
	unsetenv("XDG_RUNTIME_DIR");
	ck_assert_int_eq(proto_user_socket_path(path, sizeof(path)), 0);
	ck_assert_str_eq(path, expected);
	memset(longest, '/', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	setenv("XDG_RUNTIME_DIR", longest, 1);
	ck_assert_int_eq(proto_user_socket_path(path, sizeof(path)), -ERROR_NAME);

	setenv("XDG_STATE_HOME", "/s", 1);
	ck_assert_int_eq(proto_user_state_path(path, sizeof(path)), 0);
	ck_assert_str_eq(path, "/s/ems");
	setenv("XDG_STATE_HOME", "", 1);
	setenv("HOME", "/h", 1);
	ck_assert_int_eq(proto_user_state_path(path, sizeof(path)), 0);
	ck_assert_str_eq(path, "/h/.local/state/ems");
}
END_TEST

START_TEST(client_paths)
{
	char path[PROTO_PATH_SIZE];
	int autostart = 7;

	setenv("EMS_SOCKET", "/x/y", 1);
	ck_assert_int_eq(proto_client_socket_path(path, sizeof(path), &autostart), 0);
	ck_assert_str_eq(path, "/x/y");
	ck_assert_int_eq(autostart, 0);
	unsetenv("EMS_SOCKET");
	if (access(PROTO_SYSTEM_SOCKET, F_OK) == 0)
		return;
	setenv("XDG_RUNTIME_DIR", "/r", 1);
	unsetenv("EMS_AUTOSTART");
	ck_assert_int_eq(proto_client_socket_path(path, sizeof(path), &autostart), 0);
	ck_assert_str_eq(path, "/r/ems/emsd.sock");
	ck_assert_int_eq(autostart, 1);
	setenv("EMS_AUTOSTART", "0", 1);
	ck_assert_int_eq(proto_client_socket_path(path, sizeof(path), &autostart), 0);
	ck_assert_int_eq(autostart, 0);
}
END_TEST

START_TEST(private_directory)
{
	char base[] = "/tmp/test_proto_names.XXXXXX", path[128], other[128];
	struct stat st;

	ck_assert_ptr_nonnull(mkdtemp(base));
	snprintf(path, sizeof(path), "%s/a/b/file", base);
	ck_assert_int_eq(proto_make_private_directory(path), 0);
	ck_assert_int_eq(proto_make_private_directory(path), 0);
	snprintf(path, sizeof(path), "%s/a/b", base);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0700);

	/* Others may write there: not ours alone. */
	ck_assert_int_eq(chmod(path, 0770), 0);
	snprintf(path, sizeof(path), "%s/a/b/file", base);
	ck_assert_int_eq(proto_make_private_directory(path), -ERROR_ACCESS);
	/* A link is not followed. */
	snprintf(path, sizeof(path), "%s/a", base);
	snprintf(other, sizeof(other), "%s/link", base);
	ck_assert_int_eq(symlink(path, other), 0);
	snprintf(other, sizeof(other), "%s/link/file", base);
	ck_assert_int_eq(proto_make_private_directory(other), -ERROR_ACCESS);

	snprintf(path, sizeof(path), "%s/link", base);
	unlink(path);
	snprintf(path, sizeof(path), "%s/a/b", base);
	rmdir(path);
	snprintf(path, sizeof(path), "%s/a", base);
	rmdir(path);
	rmdir(base);
}
END_TEST

UNIT_MAIN("proto/names", good_names, bad_names, user_paths, client_paths, private_directory)
