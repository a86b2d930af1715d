/* Descriptors: flags, whole reads and writes, signals in between. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "tests/unit/unit.h"

START_TEST(flags)
{
	int pair[2];

	ck_assert_int_eq(pipe2(pair, O_CLOEXEC), 0);
	ck_assert_int_eq(fd_set_cloexec(pair[0], false), 0);
	ck_assert_int_eq(fcntl(pair[0], F_GETFD), 0);
	ck_assert_int_eq(fd_set_cloexec(pair[0], true), 0);
	ck_assert_int_eq(fcntl(pair[0], F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fd_set_nonblocking(pair[0], true), 0);
	ck_assert(fcntl(pair[0], F_GETFL) & O_NONBLOCK);
	ck_assert_int_eq(fd_set_nonblocking(pair[0], false), 0);
	ck_assert(!(fcntl(pair[0], F_GETFL) & O_NONBLOCK));
	pair[0] = fd_close(pair[0]);
	ck_assert_int_eq(pair[0], -1);
	ck_assert_int_lt(fd_set_cloexec(pair[0], true), 0);
	ck_assert_int_lt(fd_set_nonblocking(pair[0], true), 0);
	fd_close(pair[1]);
}
END_TEST

START_TEST(duplicates_close_on_exec)
{
	int pair[2], copy = -7;

	ck_assert_int_eq(pipe(pair), 0);
	ck_assert_int_eq(fd_dup(pair[1], &copy), 0);
	ck_assert_int_ge(copy, 3);
	ck_assert_int_eq(fcntl(copy, F_GETFD), FD_CLOEXEC);
	fd_close(pair[1]);
	ck_assert_int_eq(fd_write_all(copy, "x", 1), 0);
	fd_close(copy);
	fd_close(pair[0]);

	copy = -7;
	ck_assert_int_lt(fd_dup(-1, &copy), 0);
	ck_assert_int_eq(copy, -7);
}
END_TEST

static void on_signal(int number)
{
	(void)number;
}

struct writer {
	int fd;
	pthread_t reader;
	char data[1 << 20];
};

/* Interrupts the reader's read(2) before every piece, so that both sides meet EINTR and short counts. */
static void *write_pieces(void *argument)
{
	struct writer *writer = argument;
	size_t piece = sizeof(writer->data) / 64;

	for (size_t i = 0; i < 64; i++) {
		pthread_kill(writer->reader, SIGUSR1);
		if (fd_write_all(writer->fd, writer->data + i * piece, piece) != 0)
			return (void *)1;
	}
	fd_close(writer->fd);
	return NULL;
}

START_TEST(all_arrives_despite_signals)
{
	static struct writer writer;
	static char got[sizeof(writer.data) + 1];
	struct sigaction action = {.sa_handler = on_signal};
	uint64_t state = unit_seed();
	pthread_t thread;
	void *result;
	size_t size = 0;
	int pair[2];

	/* No SA_RESTART: read(2) and write(2) return EINTR. */
	sigaction(SIGUSR1, &action, NULL);
	for (size_t i = 0; i < sizeof(writer.data); i++)
		writer.data[i] = (char)unit_random(&state);
	ck_assert_int_eq(pipe2(pair, O_CLOEXEC), 0);
	writer.fd = pair[1];
	writer.reader = pthread_self();
	ck_assert_int_eq(pthread_create(&thread, NULL, write_pieces, &writer), 0);
	/* One byte more than comes: the end of file must end it, not an error. */
	ck_assert_int_eq(fd_read_all(pair[0], got, sizeof(got), &size), 0);
	ck_assert_int_eq(pthread_join(thread, &result), 0);
	ck_assert_ptr_null(result);
	ck_assert_uint_eq(size, sizeof(writer.data));
	ck_assert_mem_eq(got, writer.data, sizeof(writer.data));
	fd_close(pair[0]);
}
END_TEST

START_TEST(errors_are_told)
{
	size_t size = 77;
	char byte;
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	ck_assert_int_eq(fd_read_all(pair[0], &byte, 1, &size), -ERROR_BUSY);
	ck_assert_uint_eq(size, 77);
	ck_assert_int_eq(fd_read_all(pair[0], &byte, 0, &size), 0);
	ck_assert_uint_eq(size, 0);
	fd_close(pair[1]);
	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(fd_write_all(pair[0], "x", 1), -ERROR_CONNECTION);
	ck_assert_int_eq(fd_write_all(-1, "x", 1), -ERROR_SYSTEM);
	ck_assert_int_eq(fd_write_all(-1, "x", 0), 0);
	fd_close(pair[0]);
}
END_TEST

UNIT_MAIN("base/fd", flags, duplicates_close_on_exec, all_arrives_despite_signals, errors_are_told)
