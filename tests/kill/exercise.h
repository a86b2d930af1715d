/* exercise.h: does a recovered heap still work? Each operation on several elements, as another client. */
#ifndef TESTS_KILL_EXERCISE_H
#define TESTS_KILL_EXERCISE_H

#include "shm/element.h"

/* 0; or the error of what should have worked, with *what saying what that was. */
int exercise_heap(struct shm_segment *seg, const char **what);
/* Deletes all keys; in a heap without map makes every element pristine. */
int exercise_empty(struct shm_segment *seg);

#endif
