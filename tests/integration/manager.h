/*
 * manager.h: an emsd for a test that is killed and started again, and what keeps its heaps meanwhile.
 *
 *     manager_open(&manager, MANAGER_KEEPER)      emsd makes a keeper for itself
 *     manager_open(&manager, MANAGER_STORE)       the test is a service manager: it has the listening socket, takes notes,
 *                                                 stores descriptors, and passes all of that to each new emsd
 *     manager_open(&manager, MANAGER_SYSTEMD)     systemd runs emsd as its service, in a place where this is harmless: see
 *                                                 tests/system/systemd
 *
 * A guardian process sees to it that, however the test ends, daemon and keeper end and the directory is removed. Failures end the
 * test program.
 */
#ifndef TESTS_MANAGER_H
#define TESTS_MANAGER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define MANAGER_STORE_MOST 4096

enum manager_mode { MANAGER_KEEPER, MANAGER_STORE, MANAGER_SYSTEMD };

struct manager_stored {
	char name[64];
	int fd;
};

struct manager {
	enum manager_mode mode;
	char directory[64], socket[96], state[96];
	const char *options[8]; /* more arguments for emsd, NULL at the end; may be changed between runs */
	const char *program;	/* emsd's path; NULL: of the build tree */
	pid_t pid;		/* of emsd; 0: does not run */
	pid_t guardian;
	int guard; /* closing it tells the guardian to clean up */

	/* MANAGER_STORE */
	int listener, notes;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct manager_stored *stored;
	size_t stored_count;
	unsigned barriers, alive; /* taken notes of the manager itself; signs of life */
	bool ready;
	const char *room; /* how many descriptors it takes; NULL: MANAGER_STORE_MOST */
};

/* Makes the directory, and starts emsd for the first time. */
void manager_open(struct manager *manager, enum manager_mode mode);
/* Starts emsd again, and waits until it is ready. */
void manager_start(struct manager *manager);
/* Sends the signal, and waits for the end; returns the status as of waitpid. */
int manager_kill(struct manager *manager, int signal);
/* The keeper's process id; 0: there is none. */
pid_t manager_keeper(const struct manager *manager);
/* Ends all of it. Returns emsd's status, if it ran. */
int manager_close(struct manager *manager);

#endif
