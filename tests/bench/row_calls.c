/*
 * Row 8: how many system calls an operation makes when nobody waits. A child does everything until it has its memory, and
 * then again, between two system calls that are a mark; its parent counts those in between. Keys that come and go are not among
 * what it does: now and then they need a new table, for which the daemon is asked.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/bench.h"

#define ROUNDS 100

static void do_everything(ems_heap_t *heap, ems_heap_t *map)
{
	static ems_value_t value;
	ems_value_t one = ems_value_integer(1), text = ems_value_string("a text of some length, as they come");
	ems_transaction_element_t set[2] = {{.heap = heap, .key = ems_index(3)}, {.heap = heap, .key = ems_index(4)}};
	ems_transaction_t *transaction;
	ems_lease_t lease;

	need(ems_write(heap, ems_index(1), &one));
	need(ems_read(heap, ems_index(1), &value));
	need(ems_faa_int64(heap, ems_index(1), 1, NULL));
	need(ems_read_fe(heap, ems_index(1), &value));
	need(ems_write_ef(heap, ems_index(1), &one));
	need(ems_read_rw(heap, ems_index(1), &value));
	need(ems_release_rw(heap, ems_index(1), NULL));
	need(ems_write(heap, ems_index(2), &text));
	need(ems_read(heap, ems_index(2), &value));
	need(ems_enqueue(heap, &text, NULL));
	need(ems_dequeue(heap, &value));
	need(ems_push(heap, &one, NULL));
	need(ems_pop(heap, &value));
	need(ems_read_fe_lease(heap, ems_index(1), &value, &lease));
	need(ems_lease_put(&lease, &one));
	need(ems_faa_int64(map, ems_key("a key that was there"), 1, NULL));
	need(ems_transaction_begin(set, 2, &transaction));
	need(ems_transaction_write(transaction, 0, &one));
	need(ems_transaction_commit(transaction));
}

static void be_counted(ems_heap_t *heap, ems_heap_t *map)
{
	for (int i = 0; i < ROUNDS; i++)
		do_everything(heap, map);
	need_system(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0, "tracing");
	raise(SIGSTOP);
	(void)syscall(SYS_getppid);
	for (int i = 0; i < ROUNDS; i++)
		do_everything(heap, map);
	(void)syscall(SYS_getppid);
	_exit(0);
}

/* The number of a system call that it is about to make, or -1: it comes back from one. */
static long number_of_call(pid_t child)
{
	struct __ptrace_syscall_info info;
	long size = ptrace(PTRACE_GET_SYSCALL_INFO, child, (void *)sizeof(info), &info);

	return size > 0 && info.op == PTRACE_SYSCALL_INFO_ENTRY ? (long)info.entry.nr : -1;
}

/* Between the two marks. -1: it cannot be told. */
static long count_calls(pid_t child)
{
	long calls = 0;
	int status, marks = 0;

	if (waitpid(child, &status, 0) < 0 || ptrace(PTRACE_SETOPTIONS, child, NULL, (void *)PTRACE_O_TRACESYSGOOD) < 0)
		return -1;
	while (WIFSTOPPED(status)) {
		long number = number_of_call(child);

		if (number == SYS_getppid)
			marks++;
		else if (number >= 0 && marks == 1)
			calls++;
		if (ptrace(PTRACE_SYSCALL, child, NULL, NULL) < 0 || waitpid(child, &status, 0) < 0)
			return -1;
	}
	return marks == 2 ? calls : -1;
}

void row_system_calls(struct bench *bench)
{
	ems_heap_t *heap = new_heap(bench, &(ems_heap_options_t){.elements = 1000});
	ems_heap_t *map = new_heap(bench, &(ems_heap_options_t){.elements = 1000, .map = true});
	char names[2][256]; /* the handles mean nothing in the child */
	pid_t child;
	long calls;

	snprintf(names[0], sizeof(names[0]), "%s", ems_heap_name(heap));
	snprintf(names[1], sizeof(names[1]), "%s", ems_heap_name(map));
	fflush(NULL);
	child = fork();
	need_system(child >= 0, "a process");
	if (child == 0) {
		ems_connection_t *connection;

		need(ems_connect(&connection, NULL));
		be_counted(open_heap(connection, names[0]), open_heap(connection, names[1]));
	}
	calls = count_calls(child);
	if (calls < 0) {
		report_missing("system calls with nobody waiting", "processes may not be traced here");
	} else {
		double count = (double)calls;

		report_figure(&(struct figure){.what = "system calls with nobody waiting, of 1,900 calls", .unit = "",
					       .measured = spread_of(&count, 1), .kind = VALUE_AT_MOST, .target = 0});
	}
	ems_heap_close(heap);
	ems_heap_close(map);
}
