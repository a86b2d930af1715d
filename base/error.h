/*
 * error.h: the error contract, and the codes.
 *
 * The contract
 *
 *   Returning   A function that can fail returns 0, or a negated code of the list below:
 *               `return -ERROR_TIMEOUT;`. What it yields besides goes through pointers, which it writes
 *               only on success. errno is converted at the edge, right after the system call, by
 *               error_from_errno(), and means nothing above that.
 *
 *   Caller's    Everything that a caller, a peer, a file or the machine can bring about is returned:
 *               bad arguments and names, absence, refusal, lack of memory, disk or budget, time, the
 *               death of another process, contents of a segment, a frame or a file that make no sense
 *               (CORRUPT, PROTOCOL: never an assertion). After an error the object is as it was before
 *               the call, unless the function says otherwise.
 *
 *   Fatal       Only what shows that this very program is wrong: a broken invariant of private memory,
 *               a precondition that our own code did not keep. That is assert(): going on could
 *               damage what others share. Library code never exits, and never asserts on shared memory.
 *
 *   Reporting   Who returns an error does not log it. base, shm, proto and libems print nothing, ever.
 *               The programs report, once, where the error ends: emsctl to its user, emsd to the
 *               requester in a reply, and to its log what the operator has to know.
 *
 * The numbers travel in the protocol and are the public EMS_E… of <ems.h>: stable for ever. A number is
 * neither changed nor reused; new ones go to the end.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#define ERROR_LIST(X)                                                                                        \
	X(OK, 0, "success")                                                                                  \
	X(INVALID, 1, "bad argument")                                                                        \
	X(NAME, 2, "bad name")                                                                               \
	X(TYPE, 3, "wrong type of value for this operation")                                                 \
	X(RANGE, 4, "index or number out of range")                                                          \
	X(NO_KEY, 5, "no such key")                                                                          \
	X(NOT_FOUND, 6, "no such object")                                                                    \
	X(EXISTS, 7, "exists already")                                                                       \
	X(MISMATCH, 8, "exists with another geometry")                                                       \
	X(ACCESS, 9, "permission denied")                                                                    \
	X(READ_ONLY, 10, "attached or mounted read-only")                                                    \
	X(NO_SPACE, 11, "no storage left")                                                                   \
	X(FULL, 12, "no element or place left")                                                              \
	X(EMPTY, 13, "nothing there")                                                                        \
	X(BUDGET, 14, "memory budget or quota exceeded")                                                     \
	X(LIMIT, 15, "a limit on numbers is reached")                                                        \
	X(TIMEOUT, 16, "timed out")                                                                          \
	X(CANCELLED, 17, "cancelled by another thread")                                                      \
	X(INTERRUPTED, 18, "interrupted by a signal")                                                        \
	X(DEADLOCK, 19, "the caller itself holds what it waits for")                                         \
	X(BROKEN, 20, "a process that took part or held it died")                                            \
	X(DROPPED, 21, "the heap was dropped")                                                               \
	X(CORRUPT, 22, "contents make no sense")                                                             \
	X(VERSION, 23, "version not supported")                                                              \
	X(PROTOCOL, 24, "the peer does not keep to the protocol")                                            \
	X(NO_DAEMON, 25, "no daemon is running")                                                             \
	X(CONNECTION, 26, "connection to the daemon lost")                                                   \
	X(BUSY, 27, "in use or not ready; try again")                                                        \
	X(IO, 28, "input or output failed")                                                                  \
	X(NO_MEMORY, 29, "the process is out of memory")                                                     \
	X(SYSTEM, 30, "a system call failed")                                                                \
	X(FORKED, 31, "the handle belongs to the parent process")                                            \
	X(UNSUPPORTED, 32, "not supported here")                                                             \
	X(LOADING, 33, "the object is still being loaded")                                                   \
	X(CONFLICT, 34, "in conflict with another operation")

enum error {
#define ERROR_ENUM_(name, number, text) ERROR_##name = (number),
	ERROR_LIST(ERROR_ENUM_)
#undef ERROR_ENUM_
	ERROR_COUNT /* one more than the highest number */
};

/* All functions below are safe in any thread and in signal handlers; texts are static, never NULL. */

/* The name of a code, given negated or not: "TIMEOUT"; "UNKNOWN" for a number that is not ours. */
const char *error_name(int error);

/* One line of English for it, without a full stop. */
const char *error_text(int error);

/* The negated code for an errno: `return error_from_errno(errno);`. Never 0, whatever is passed. */
int error_from_errno(int number);

#endif
