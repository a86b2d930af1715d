/*
 * peer.h: what others offer for the same work, in parts.
 */
#ifndef TESTS_BENCH_PEER_H
#define TESTS_BENCH_PEER_H

#include "tests/bench/bench.h"

void peer_stores(struct bench *bench); /* peer_store.c: LMDB, Redis */

#endif
