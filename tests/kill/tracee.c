/* Stepping a child with ptrace: see tracee.h. */
#include "tests/kill/tracee.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROBUST_MOST 64

void *shared_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return memory;
}

/* ---- the child's side ---- */

void control_begin(struct control *control)
{
	control->phase = 1;
	(void)raise(SIGSTOP);
}

void control_end(struct control *control, int result)
{
	control->result = result;
	control->phase = 2;
}

void control_fail(struct control *control, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(control->error, sizeof(control->error), format, arguments);
	va_end(arguments);
	_exit(1);
}

/* What the child runs. */
struct part {
	tracee_body *body;
	void *argument;
	struct control *control;
	bool in_thread;
};

static void *run_thread(void *argument)
{
	const struct part *part = argument;

	part->body(part->control, part->argument);
	return NULL;
}

static void run_in_thread(struct part *part)
{
	pthread_t thread;

	(void)raise(SIGSTOP); /* until the parent has asked to be told of new threads */
	if (pthread_create(&thread, NULL, run_thread, part) != 0)
		control_fail(part->control, "no thread");
	(void)pthread_join(thread, NULL);
	for (;;)
		(void)pause();
}

static __attribute__((noreturn)) void run_child(struct part *part, pid_t parent)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		control_fail(part->control, "cannot be traced: %s", strerror(errno));
	if (part->in_thread)
		run_in_thread(part);
	part->body(part->control, part->argument);
	_exit(0);
}

/* ---- the parent's side ---- */

/* Both on one processor: a step costs two switches, which are dearest between processors. */
static void pin(pid_t pid)
{
	cpu_set_t set;
	int cpu = sched_getcpu();

	CPU_ZERO(&set);
	CPU_SET(cpu < 0 ? 0 : cpu, &set);
	(void)sched_setaffinity(pid, sizeof(set), &set);
}

static int wait_for(pid_t pid, int *status)
{
	while (waitpid(pid, status, __WALL) < 0)
		if (errno != EINTR)
			return -1;
	return 0;
}

/* Forgets a child that has ended by itself. */
static void forget(struct tracee *tracee)
{
	if (tracee->pid == tracee->leader)
		tracee->leader = 0;
	tracee->pid = 0;
}

static void reap(pid_t pid)
{
	int status;

	while (wait_for(pid, &status) == 0 && WIFSTOPPED(status))
		continue;
}

static int run_to_begin(struct tracee *tracee)
{
	int status, deliver = 0;

	for (;;) {
		if (wait_for(tracee->pid, &status) < 0)
			return -1;
		if (!WIFSTOPPED(status)) {
			forget(tracee);
			printf("the child ended while preparing: %s\n",
			       tracee->control->error[0] ? tracee->control->error : "(no reason given)");
			return -1;
		}
		if (WSTOPSIG(status) == SIGSTOP && tracee->control->phase == 1)
			return 0;
		deliver = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
		if (ptrace(PTRACE_CONT, tracee->pid, NULL, (void *)(intptr_t)deliver) < 0)
			return -1;
	}
}

/* The child's second thread becomes the one that is stepped. */
static int follow_thread(struct tracee *tracee)
{
	unsigned long thread = 0;
	int status;

	if (wait_for(tracee->leader, &status) < 0 || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_SETOPTIONS, tracee->leader, NULL, (void *)PTRACE_O_TRACECLONE) < 0 ||
	    ptrace(PTRACE_CONT, tracee->leader, NULL, NULL) < 0 || wait_for(tracee->leader, &status) < 0 ||
	    !WIFSTOPPED(status) || status >> 8 != (SIGTRAP | PTRACE_EVENT_CLONE << 8) ||
	    ptrace(PTRACE_GETEVENTMSG, tracee->leader, NULL, &thread) < 0 ||
	    ptrace(PTRACE_CONT, tracee->leader, NULL, NULL) < 0 || wait_for((pid_t)thread, &status) < 0 ||
	    !WIFSTOPPED(status) || ptrace(PTRACE_CONT, (pid_t)thread, NULL, NULL) < 0) {
		printf("the child's thread cannot be followed\n");
		return -1;
	}
	tracee->pid = (pid_t)thread;
	return 0;
}

static int start(struct tracee *tracee, struct part *part)
{
	pid_t parent = getpid();

	part->control = shared_memory(sizeof(*part->control));
	*tracee = (struct tracee){.control = part->control};
	(void)fflush(stdout);
	pid_t pid = fork();
	if (pid < 0) {
		perror("fork");
		tracee_kill(tracee);
		return -1;
	}
	if (pid == 0)
		run_child(part, parent);
	tracee->pid = tracee->leader = pid;
	if ((part->in_thread && follow_thread(tracee) < 0) || run_to_begin(tracee) < 0) {
		tracee_kill(tracee);
		return -1;
	}
	pin(tracee->pid);
	return 0;
}

int tracee_start(struct tracee *tracee, tracee_body *body, void *argument)
{
	struct part part = {.body = body, .argument = argument};

	return start(tracee, &part);
}

int tracee_start_thread(struct tracee *tracee, tracee_body *body, void *argument)
{
	struct part part = {.body = body, .argument = argument, .in_thread = true};

	return start(tracee, &part);
}

int tracee_step(struct tracee *tracee)
{
	int status;

	if (tracee->control->phase == 2)
		return 0;
	if (ptrace(PTRACE_SINGLESTEP, tracee->pid, NULL, NULL) < 0 || wait_for(tracee->pid, &status) < 0)
		return -1;
	tracee->steps++;
	if (WIFSTOPPED(status) && (WSTOPSIG(status) == SIGTRAP || WSTOPSIG(status) == SIGSTOP))
		return tracee->control->phase == 2 ? 0 : 1;
	if (WIFEXITED(status) && tracee->pid != tracee->leader)
		return 0; /* a thread has come to its end */
	if (!WIFSTOPPED(status))
		forget(tracee);
	return -1;
}

uint64_t tracee_address(const struct tracee *tracee)
{
#ifdef __x86_64__
	return (uint64_t)ptrace(PTRACE_PEEKUSER, tracee->pid, (void *)offsetof(struct user_regs_struct, rip),
				NULL);
#else
	(void)tracee;
	return 0;
#endif
}

void tracee_describe(const struct tracee *tracee, uint64_t address, char *text, size_t size)
{
	char path[64], line[512];
	FILE *maps;

	(void)snprintf(text, size, "%" PRIx64, address);
	(void)snprintf(path, sizeof(path), "/proc/%d/maps", (int)tracee->pid);
	maps = fopen(path, "re");
	while (maps && fgets(line, sizeof(line), maps)) {
		uint64_t start, end, offset;
		char file[256] = "";

		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64 " %*s %*s %255s", &start, &end,
			   &offset, file) >= 3 &&
		    address >= start && address < end) {
			const char *base = strrchr(file, '/');

			(void)snprintf(text, size, "%s+0x%" PRIx64, base ? base + 1 : file,
				       address - start + offset);
		}
	}
	if (maps)
		(void)fclose(maps);
}

void tracee_kill(struct tracee *tracee)
{
	if (tracee->control)
		(void)munmap(tracee->control, sizeof(*tracee->control));
	tracee->control = NULL;
	if (tracee->leader == 0)
		return;
	(void)kill(tracee->leader, SIGKILL);
	if (tracee->pid && tracee->pid != tracee->leader)
		reap(tracee->pid); /* a leader is the last to go; a thread that has ended is gone already */
	reap(tracee->leader);
	tracee->pid = tracee->leader = 0;
}

/* ---- the robust list ---- */

static bool peek(const struct tracee *tracee, uint64_t address, void *to, size_t size)
{
	struct iovec local = {to, size}, remote = {(void *)(uintptr_t)address, size};

	return process_vm_readv(tracee->pid, &local, 1, &remote, 1, 0) == (ssize_t)size;
}

/* 1 when the word that goes with a list entry holds the child's id, 0 when not, -1 when it cannot be read. */
static int is_held(const struct tracee *tracee, uint64_t entry, int64_t distance)
{
	uint32_t word;

	if (!peek(tracee, entry + (uint64_t)distance, &word, sizeof(word)))
		return -1;
	return (word & FUTEX_TID_MASK) == (uint32_t)tracee->pid;
}

int tracee_robust_words(const struct tracee *tracee)
{
	struct robust_list_head *address = NULL;
	size_t length = 0;
	uint64_t head[3]; /* first entry, futex_offset, list_op_pending */
	uint64_t seen[ROBUST_MOST];
	int count = 0, held = 0, one;
	bool pending_seen = false;

	if (syscall(SYS_get_robust_list, tracee->pid, &address, &length) < 0 || !address)
		return 0;
	if (!peek(tracee, (uint64_t)(uintptr_t)address, head, sizeof(head)))
		return -1;
	/* A link's low bit marks a priority-inheritance lock. */
	for (uint64_t entry = head[0] & ~1ull; entry != (uint64_t)(uintptr_t)address;
	     entry = seen[count - 1] & ~1ull) {
		one = is_held(tracee, entry, (int64_t)head[1]);
		pending_seen = pending_seen || entry == (head[2] & ~1ull);
		if (one < 0 || count == ROBUST_MOST || !peek(tracee, entry, &seen[count++], sizeof(seen[0])))
			return -1;
		held += one;
	}
	if (head[2] && !pending_seen) {
		one = is_held(tracee, head[2] & ~1ull, (int64_t)head[1]);
		/* A pending entry that cannot be read ends the kernel's walk, at its end. */
		held += one > 0;
	}
	return held;
}
