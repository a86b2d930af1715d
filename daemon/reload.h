/*
 * reload.h: settings that change while the daemon runs (SIGHUP).
 */
#ifndef DAEMON_RELOAD_H
#define DAEMON_RELOAD_H

#include "daemon/broker.h"

/*
 * Reads the settings file again, if the daemon has one, over the defaults. Limits, budgets and the log's level are
 * those of the file from then on; who has more already keeps it. What the command line said stays; socket and
 * state directory do too. A file that is wrong changes nothing, and the log says why.
 */
void reload(struct broker *broker);

#endif
