/* recovery.h: the recoverer is killed as well, at every instruction, and another one goes on. */
#ifndef TESTS_KILL_RECOVERY_H
#define TESTS_KILL_RECOVERY_H

#include "tests/kill/explore.h"

/* Recovers the present image of explore->watch under the stepper. Returns how many images that had. */
uint64_t recovery_explore(struct explore *explore);

#endif
