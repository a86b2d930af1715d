/*
 * test_proto_socket.c: descriptors arrive with their frame, once, or are closed; half frames; deadlines.
 */
#include "proto/socket.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "proto/codec.h"
#include "proto/reader.h"
#include "tests/unit/unit.h"

static int open_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = 0;

	ck_assert_ptr_nonnull(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static void make_pair(int pair[2])
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
}

static void close_pair(int pair[2])
{
	fd_close(pair[0]);
	fd_close(pair[1]);
}

/* Sends size bytes with count descriptors at once, as a hostile peer may. */
static void send_raw(int socket, const void *data, size_t size, const int *fds, size_t count)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(64 * sizeof(int))];
	} control = {0};
	struct iovec part = {.iov_base = (void *)data, .iov_len = size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (count) {
		message.msg_control = control.room;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(&control.align), fds, count * sizeof(int));
	}
	ck_assert_int_eq(sendmsg(socket, &message, 0), (ssize_t)size);
}

static bool is_same_file(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

START_TEST(descriptor_comes_with_its_frame)
{
	struct proto_reader reader;
	const void *data;
	size_t size, done;
	int pair[2], file = open("/dev/null", O_RDONLY | O_CLOEXEC), got;

	make_pair(pair);
	proto_reader_init(&reader, 100);
	/* Frames without one before and behind, all there before anything is read. */
	ck_assert_int_eq(proto_send_all(pair[0], "\1\0\0\0a", 5, -1, CLOCK_NEVER), 0);
	ck_assert_int_eq(proto_send(pair[0], "\2\0\0\0bb", 6, file, &done), 0);
	ck_assert_uint_eq(done, 6);
	ck_assert_int_eq(proto_send_all(pair[0], "\1\0\0\0c\1\0\0\0d", 10, -1, CLOCK_NEVER), 0);

	ck_assert_int_eq(proto_reader_next(&reader, pair[1], &data, &size), 0);
	ck_assert_int_eq(proto_reader_steal_fd(&reader), -1);
	ck_assert_int_eq(proto_reader_next(&reader, pair[1], &data, &size), 0);
	ck_assert_uint_eq(size, 2);
	ck_assert_mem_eq(data, "bb", 2);
	got = proto_reader_steal_fd(&reader);
	ck_assert_int_ge(got, 0);
	ck_assert(is_same_file(got, file));
	ck_assert_int_eq(fcntl(got, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(proto_reader_steal_fd(&reader), -1);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(proto_reader_next(&reader, pair[1], &data, &size), 0);
		ck_assert_int_eq(*(const char *)data, 'c' + i);
		ck_assert_int_eq(proto_reader_steal_fd(&reader), -1);
	}
	ck_assert_int_eq(proto_reader_next(&reader, pair[1], &data, &size), -ERROR_BUSY);
	fd_close(got);
	fd_close(file);
	close_pair(pair);
	proto_reader_fini(&reader);
}
END_TEST

START_TEST(untaken_descriptor_is_closed)
{
	struct proto_reader reader;
	const void *data;
	size_t size;
	int pair[2], before;

	make_pair(pair);
	before = open_descriptors();
	proto_reader_init(&reader, 100);
	send_raw(pair[0], "\1\0\0\0a", 5, pair, 1);
	send_raw(pair[0], "\1\0\0\0b", 5, pair, 1);
	ck_assert_int_eq(proto_reader_next(&reader, pair[1], &data, &size), 0);
	ck_assert_int_eq(open_descriptors(), before + 1);
	ck_assert_int_eq(proto_reader_next(&reader, pair[1], &data, &size), 0);
	ck_assert_int_eq(open_descriptors(), before + 1);
	proto_reader_fini(&reader);
	ck_assert_int_eq(open_descriptors(), before);
	close_pair(pair);
}
END_TEST

/* Two in one message, two in two halves of a frame, more than there is room for: refused, and none is kept.
 */
START_TEST(second_descriptor_is_refused)
{
	static const size_t counts[] = {2, 8, 9, 64};
	int many[64];

	for (size_t i = 0; i < 64; i++)
		many[i] = STDERR_FILENO;
	for (size_t i = 0; i < 5; i++) {
		struct proto_reader reader;
		const void *data;
		size_t size;
		int pair[2], before;

		make_pair(pair);
		before = open_descriptors();
		proto_reader_init(&reader, 100);
		if (i < 4) {
			send_raw(pair[0], "\1\0\0\0a", 5, many, counts[i]);
		} else {
			send_raw(pair[0], "\2\0\0\0a", 5, many, 1);
			send_raw(pair[0], "b", 1, many, 1);
		}
		ck_assert_int_eq(proto_reader_next(&reader, pair[1], &data, &size), -ERROR_PROTOCOL);
		proto_reader_fini(&reader);
		ck_assert_int_eq(open_descriptors(), before);
		close_pair(pair);
	}
}
END_TEST

/* The kernel says MSG_CTRUNC when this process can have no more descriptors. */
START_TEST(truncated_control_data_is_an_error)
{
	struct rlimit limit, old;
	char byte;
	size_t done;
	int pair[2], before, fd = -1;

	make_pair(pair);
	before = open_descriptors();
	send_raw(pair[0], "x", 1, pair, 1);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	limit = old;
	limit.rlim_cur = 0;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_int_eq(proto_receive(pair[1], &byte, 1, &fd, &done), -ERROR_LIMIT);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
	ck_assert_int_eq(fd, -1);
	ck_assert_int_eq(open_descriptors(), before);
	close_pair(pair);
}
END_TEST

START_TEST(frames_in_pieces)
{
	static const char frame[] = "\3\0\0\0abc";
	struct proto_reader reader;
	const void *data;
	size_t size;
	int pair[2];

	make_pair(pair);
	proto_reader_init(&reader, 100);
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < 7; i++) {
			ck_assert_int_eq(proto_reader_next(&reader, pair[1], &data, &size), -ERROR_BUSY);
			send_raw(pair[0], frame + i, 1, NULL, 0);
		}
		ck_assert_int_eq(proto_reader_next(&reader, pair[1], &data, &size), 0);
		ck_assert_uint_eq(size, 3);
		ck_assert_mem_eq(data, "abc", 3);
	}
	ck_assert_int_eq(proto_reader_wait(&reader, pair[1], clock_deadline(1), &data, &size),
			 -ERROR_TIMEOUT);
	fd_close(pair[0]);
	ck_assert_int_eq(proto_reader_wait(&reader, pair[1], CLOCK_NEVER, &data, &size), -ERROR_CONNECTION);
	fd_close(pair[1]);
	proto_reader_fini(&reader);
}
END_TEST

START_TEST(bad_lengths_and_half_frames)
{
	static const struct {
		const char *data;
		size_t size;
	} cases[] = {
		{"\0\0\0\0x", 5}, {"\x65\0\0\0x", 5}, {"\xff\xff\xff\xff", 4}, {"\1", 1}, {"\2\0\0\0a", 5}};

	for (size_t i = 0; i < 5; i++) {
		struct proto_reader reader;
		const void *data;
		size_t size;
		int pair[2];

		make_pair(pair);
		proto_reader_init(&reader, 100);
		send_raw(pair[0], cases[i].data, cases[i].size, NULL, 0);
		fd_close(pair[0]);
		ck_assert_int_eq(proto_reader_next(&reader, pair[1], &data, &size), -ERROR_PROTOCOL);
		/* An announced length costs nothing before its bytes come. */
		ck_assert_uint_le(reader.capacity, 8192);
		proto_reader_fini(&reader);
		fd_close(pair[1]);
	}
}
END_TEST

START_TEST(sending_to_nobody_and_to_a_full_socket)
{
	static uint8_t block[65536];
	size_t done;
	int pair[2], r;

	make_pair(pair);
	do
		r = proto_send(pair[0], block, sizeof(block), -1, &done);
	while (!r);
	ck_assert_int_eq(r, -ERROR_BUSY);
	ck_assert_int_eq(proto_send_all(pair[0], block, 1, -1, clock_deadline(1)), -ERROR_TIMEOUT);
	fd_close(pair[1]);
	/* Would raise SIGPIPE, and end the process, if it were not prevented. */
	ck_assert_int_eq(proto_send(pair[0], block, 1, -1, &done), -ERROR_CONNECTION);
	fd_close(pair[0]);
}
END_TEST

START_TEST(connecting)
{
	char directory[] = "/tmp/test_proto_socket.XXXXXX", path[128], longest[200];
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listener, fd = -1, full[64], count = 0, r;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/socket", directory);
	ck_assert_int_eq(proto_connect(path, CLOCK_NEVER, &fd), -ERROR_NO_DAEMON);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	ck_assert_int_eq(proto_connect(longest, CLOCK_NEVER, &fd), -ERROR_NAME);

	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strcpy(address.sun_path, path);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(proto_connect(path, CLOCK_NEVER, &fd), -ERROR_NO_DAEMON);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(proto_connect(path, CLOCK_NEVER, &fd), 0);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	/* Until the queue is full. */
	do
		r = proto_connect(path, clock_deadline(NS_PER_MS), &full[count]);
	while (!r && ++count < 64);
	ck_assert_int_eq(r, -ERROR_TIMEOUT);
	while (count > 0)
		fd_close(full[--count]);
	fd_close(fd);
	fd_close(listener);
	/* What a crash leaves: a socket that nobody listens on. */
	ck_assert_int_eq(proto_connect(path, CLOCK_NEVER, &fd), -ERROR_NO_DAEMON);
	unlink(path);
	rmdir(directory);
}
END_TEST

UNIT_MAIN("proto/socket", descriptor_comes_with_its_frame, untaken_descriptor_is_closed,
	  second_descriptor_is_refused, truncated_control_data_is_an_error, frames_in_pieces,
	  bad_lengths_and_half_frames, sending_to_nobody_and_to_a_full_socket, connecting)
