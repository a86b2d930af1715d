/*
 * tracee.h: a child process that is single-stepped through one operation.
 *
 * The child runs `body`, which prepares what it needs, calls control_begin, does the
 * operation, and calls control_end. Up to control_begin it runs freely, from there on one
 * instruction at a time; it is never let go past control_end.
 */
#ifndef TESTS_KILL_TRACEE_H
#define TESTS_KILL_TRACEE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Shared by both sides. */
struct control {
	volatile uint32_t phase; /* 0 preparing, 1 operating, 2 over */
	volatile int result;	 /* of the operation */
	char error[240];	 /* why preparing failed */
};

struct tracee {
	pid_t pid;    /* of the thread that is stepped; 0: none */
	pid_t leader; /* of its process */
	struct control *control;
	uint64_t steps;
};

typedef void tracee_body(struct control *control, void *argument);

/* Forks, runs body up to control_begin. 0; or -1 after a line on what went wrong (nothing is left then). */
int tracee_start(struct tracee *tracee, tracee_body *body, void *argument);
/*
 * The same with a body that runs in a thread of its own, and with what a thread does at its end: the operation is over
 * when the thread has ended.
 */
int tracee_start_thread(struct tracee *tracee, tracee_body *body, void *argument);
/* One instruction (a whole system call counts as one). 1: done; 0: the operation is over; -1: it crashed. */
int tracee_step(struct tracee *tracee);
/* The address of the next instruction, as offset into the file that it belongs to when `file` is not NULL. */
uint64_t tracee_address(const struct tracee *tracee);
void tracee_describe(const struct tracee *tracee, uint64_t address, char *text, size_t size);
/* Kills and reaps it. Nothing happens when there is none. */
void tracee_kill(struct tracee *tracee);

/*
 * The robust list of the child, as the kernel would walk it were the child killed now: how many futex words
 * on it (the pending one included) hold the child's thread id. -1: the list makes no sense.
 */
int tracee_robust_words(const struct tracee *tracee);

/* For the body. control_fail ends the child. */
void control_begin(struct control *control);
void control_end(struct control *control, int result);
__attribute__((noreturn, format(printf, 2, 3))) void control_fail(struct control *control, const char *format,
								  ...);

/* Memory that parent and children share, zeroed; exits when there is none. */
void *shared_memory(size_t size);

#endif
