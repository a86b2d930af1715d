/*
 * paths.c: the rules for where things are, in one place.
 */
#include "proto/paths.h"

#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/macros.h"

__attribute__((format(printf, 3, 4))) static int put(char *buffer, size_t size, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(buffer, size, format, arguments);
	va_end(arguments);
	return length < 0 || (size_t)length >= size ? -ERROR_NAME : 0;
}

static const char *absolute_variable(const char *name)
{
	const char *value = getenv(name);

	return value && value[0] == '/' ? value : NULL;
}

int proto_user_socket_path(char *buffer, size_t size)
{
	const char *runtime = absolute_variable("XDG_RUNTIME_DIR");

	size = MIN(size, (size_t)PROTO_SOCKET_PATH_SIZE);
	if (runtime)
		return put(buffer, size, "%s/ems/emsd.sock", runtime);
	return put(buffer, size, "/tmp/ems-%u/emsd.sock", (unsigned)geteuid());
}

int proto_user_state_path(char *buffer, size_t size)
{
	const char *state = absolute_variable("XDG_STATE_HOME"), *home = absolute_variable("HOME");
	struct passwd entry, *found = NULL;
	char room[4096];

	if (state)
		return put(buffer, size, "%s/ems", state);
	if (home)
		return put(buffer, size, "%s/.local/state/ems", home);
	if (getpwuid_r(geteuid(), &entry, room, sizeof(room), &found) || !found || found->pw_dir[0] != '/')
		return -ERROR_NOT_FOUND;
	return put(buffer, size, "%s/.local/state/ems", found->pw_dir);
}

/* Makes each missing directory of path up to, not including, its last part. */
static int make_parents(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		int r;

		*slash = '\0';
		r = mkdir(path, 0700) < 0 && errno != EEXIST ? error_from_errno(errno) : 0;
		*slash = '/';
		if (r)
			return r;
	}
	return 0;
}

int proto_make_private_directory(const char *path)
{
	char directory[PROTO_PATH_SIZE];
	struct stat st;
	char *slash;
	int r;

	r = put(directory, sizeof(directory), "%s", path);
	if (r)
		return r;
	slash = strrchr(directory, '/');
	if (!slash || slash == directory)
		return -ERROR_NAME;
	r = make_parents(directory);
	if (r)
		return r;
	*slash = '\0';
	/* No symbolic link: in /tmp it could be anybody's, and lead anywhere. */
	if (lstat(directory, &st) < 0)
		return error_from_errno(errno);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022))
		return -ERROR_ACCESS;
	return 0;
}

int proto_client_socket_path(char *buffer, size_t size, int *_autostart)
{
	const char *given = getenv("EMS_SOCKET"), *autostart = getenv("EMS_AUTOSTART");

	*_autostart = 0;
	if (given && *given)
		return put(buffer, MIN(size, (size_t)PROTO_SOCKET_PATH_SIZE), "%s", given);
	if (access(PROTO_SYSTEM_SOCKET, F_OK) == 0)
		return put(buffer, size, "%s", PROTO_SYSTEM_SOCKET);
	*_autostart = !(autostart && strcmp(autostart, "0") == 0);
	return proto_user_socket_path(buffer, size);
}
