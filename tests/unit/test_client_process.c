/* Telling a child from its parent, by fork and around it. */
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/process.h"
#include "tests/unit/unit.h"

static void ck_child(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

START_TEST(test_parent)
{
	uint32_t number;

	ck_assert_uint_eq(process_present(), 0);
	number = process_number();
	ck_assert_uint_ne(number, 0);
	ck_assert_uint_eq(process_number(), number);
	ck_assert(!process_is_another(number));
}
END_TEST

START_TEST(test_children)
{
	uint32_t number = process_number();

	for (int raw = 0; raw < 2; raw++) {
		pid_t pid = raw ? (pid_t)syscall(SYS_clone, SIGCHLD, 0L, 0L, 0L, 0L) : fork();

		if (pid == 0) {
			uint32_t own;

			if (!process_is_another(number) || process_present() != 0)
				_exit(1);
			own = process_number();
			if (own == 0 || own == number || process_is_another(own) ||
			    !process_is_another(number))
				_exit(2);
			pid = fork(); /* a grandchild is neither */
			if (pid == 0)
				_exit(process_is_another(number) && process_is_another(own) ? 0 : 3);
			int status;
			_exit(waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 4);
		}
		ck_child(pid);
		ck_assert(!process_is_another(number));
	}
}
END_TEST

UNIT_MAIN("client/process", test_parent, test_children)
