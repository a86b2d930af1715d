/*
 * connection.c: the daemon, and the heap that a command works on.
 */
#include "client/emsctl/emsctl.h"

#include <stdlib.h>

static ems_connection_t *the_connection;

int connect_daemon(ems_connection_t **_connection)
{
	if (ems_connect(&the_connection, settings.socket) < 0)
		return report_failure();
	*_connection = the_connection;
	return 0;
}

int connect_running(ems_connection_t **_connection)
{
	int r;

	setenv("EMS_AUTOSTART", "0", 1);
	r = ems_connect(&the_connection, settings.socket);
	if (r == 0)
		*_connection = the_connection;
	return r;
}

int attach_heap(const char *name, bool read_only, ems_heap_t **_heap)
{
	ems_connection_t *connection = NULL;
	int code = connect_daemon(&connection);

	if (code != 0)
		return code;
	if (ems_heap_open(connection, name, EMS_OPEN_EXISTING, &(ems_heap_options_t){.read_only = read_only},
			  _heap) < 0)
		return report_failure();
	return 0;
}

void disconnect(void)
{
	ems_disconnect(the_connection);
	the_connection = NULL;
}
