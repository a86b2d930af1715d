/* Whose a heap is, and what it is called: requests that change what later comers find. */
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "client/connection.h"
#include "client/failure.h"
#include "client/heap.h"

static int check(const struct ems_connection *connection, const char *name)
{
	int r = connection_check(connection);

	if (r == 0)
		r = heap_check_name(name);
	return r;
}

int ems_heap_chmod(ems_connection_t *connection, const char *name, uint32_t mode)
{
	struct proto_chmod body = {.mode = mode};
	int r = check(connection, name);

	if (r < 0)
		return r;
	if (mode > 0777)
		return failure_say(-ERROR_RANGE, "heap \"%s\": mode %o is beyond 0777", name, (unsigned)mode);
	memcpy(body.name, name, strlen(name) + 1);
	return connection_call(connection, PROTO_CHMOD, &body, NULL, clock_deadline(CONNECTION_PATIENCE));
}

int ems_heap_chown(ems_connection_t *connection, const char *name, uint32_t uid, uint32_t gid)
{
	struct proto_chown body = {.uid = uid, .gid = gid};
	int r = check(connection, name);

	if (r < 0)
		return r;
	memcpy(body.name, name, strlen(name) + 1);
	return connection_call(connection, PROTO_CHOWN, &body, NULL, clock_deadline(CONNECTION_PATIENCE));
}

int ems_heap_rename(ems_connection_t *connection, const char *name, const char *to, bool replace)
{
	struct proto_rename body = {.replace = replace};
	int r = check(connection, name);

	if (r == 0)
		r = heap_check_name(to);
	if (r < 0)
		return r;
	memcpy(body.name, name, strlen(name) + 1);
	memcpy(body.to, to, strlen(to) + 1);
	return connection_call(connection, PROTO_RENAME, &body, NULL, clock_deadline(CONNECTION_PATIENCE));
}
