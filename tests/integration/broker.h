/*
 * broker.h: a client for tests, straight on the protocol: what libems would hide is what is tested.
 *
 * Every function fails the test when what it is for does not happen; waiting ends after BROKER_PATIENCE.
 */
#ifndef TESTS_BROKER_H
#define TESTS_BROKER_H

#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "proto/codec.h"
#include "proto/reader.h"
#include "proto/socket.h"
#include "tests/integration/daemon.h"

#define BROKER_PATIENCE (60 * NS_PER_S)

struct peer {
	int socket;
	struct proto_reader reader;
	struct proto_message message; /* the last one received */
	int fd;			      /* that came with it; -1: none */
	uint64_t next_id;
	uint64_t client; /* number */
};

/* Without a handshake. */
void peer_connect(struct peer *peer, const char *socket);
/* With one. */
void peer_open(struct peer *peer, const char *socket);
/* With one, where the daemon may have ended by now: 0, or a negative error and nothing to close. */
int peer_try(struct peer *peer, const char *socket);
void peer_close(struct peer *peer);

/* Sends bytes as they are. */
void peer_send_raw(struct peer *peer, const void *data, size_t size);
/* Sends a request; returns its id. */
uint64_t peer_send(struct peer *peer, enum proto_op op, const void *body);
/* Receives the next frame into peer->message. 0, or what proto_reader_wait says. */
int peer_receive(struct peer *peer);

/*
 * A request and its answer: 0 and the reply, or the error's negative code (with peer->message.error). Events that come
 * meanwhile are skipped.
 */
int peer_call(struct peer *peer, enum proto_op op, const void *request, void *reply);

/* The next event; it must be that one. */
void peer_expect_event(struct peer *peer, enum proto_event event, void *body);
/* The daemon closes the connection, maybe after more frames. */
void peer_expect_end(struct peer *peer);

/* A request to open: how, so many elements, the rest as by default. */
struct proto_open peer_request(const char *name, enum proto_how how, uint64_t elements);

/* Descriptors that a process has open, waiting processes of it not counted. */
int count_descriptors(pid_t pid);

/* Waits until the condition holds; no event tells of it, so it is polled with a pause of a ms. Fails after BROKER_PATIENCE. */
#define EVENTUALLY(condition)                                                               \
	do {                                                                                \
		uint64_t eventually_ = clock_deadline(BROKER_PATIENCE);                     \
		while (!(condition)) {                                                      \
			ck_assert_msg(!clock_passed(eventually_), "never: %s", #condition); \
			nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);            \
		}                                                                           \
	} while (0)

#endif
