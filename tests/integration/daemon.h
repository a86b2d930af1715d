/*
 * daemon.h: a private emsd for a test, which is surely gone afterwards.
 *
 *     INTEGRATION_MAIN("client/values", test_…, …)      a unit test program with one daemon for all tests
 *     daemon_start(&daemon, …)                          a daemon for one test alone
 *
 * The daemon is that of the build tree ($EMS_BUILD_DIR/emsd), with socket and state in a directory of its own under
 * /tmp. Between test and daemon stands a keeper process: when the test stops the daemon or ends, however it
 * ends, the keeper ends the daemon and removes the directory.
 */
#ifndef TESTS_DAEMON_H
#define TESTS_DAEMON_H

#include <sys/types.h>

#include "tests/unit/unit.h"

struct daemon {
	char directory[64];
	char socket[96];
	pid_t pid;    /* of emsd */
	pid_t keeper; /* its parent */
	int stop;     /* closing it tells the keeper to end the daemon */
};

/*
 * Starts one and waits until it listens. options: more arguments, up to 8, NULL at the end; may be NULL. Fails the test when it does
 * not start, with its log on stdout.
 */
void daemon_start(struct daemon *daemon, const char *const *options);

/* Ends it (unless it was killed) and removes its directory. Returns its exit status; 128 + a signal's number. */
int daemon_stop(struct daemon *daemon);

/*
 * The daemon of the program, of INTEGRATION_MAIN; its socket is in $EMS_SOCKET, too. With $EMS_TEST_DAEMON it is one that runs already: its
 * socket is emsd.sock in that directory, its log emsd.log, $EMS_TEST_DAEMON_PID its process.
 */
extern struct daemon the_daemon;

int integration_run(const char *name, const TTest *const *tests, size_t count);
/* The same, with more arguments for emsd, as for daemon_start. */
int integration_run_with(const char *name, const TTest *const *tests, size_t count, const char *const *options);

#define INTEGRATION_MAIN(name, ...)                                                      \
	int main(void)                                                                   \
	{                                                                                \
		const TTest *const tests[] = {__VA_ARGS__};                              \
                                                                                         \
		return integration_run((name), tests, sizeof(tests) / sizeof(tests[0])); \
	}

#endif
